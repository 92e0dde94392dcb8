"""The order in which small batches of items come round. Pure: the same seed gives the same order everywhere."""

import hashlib
from collections.abc import Sequence

__all__ = ["batch_items", "batches_per_pass", "pass_order", "spread"]


def batches_per_pass(items: int, size: int) -> int:
    """Batches in which all items come round once. size: the most items in a batch."""
    if items < 1 or size < 1:
        raise ValueError(f"a rotation needs items and a batch size above zero, not {items} and {size}")
    return -(-items // size)


def pass_order(item_ids: Sequence[str], seed: int, number: int) -> tuple[str, ...]:
    """All items in the order of one pass. Sorting by a hash does not depend on a random generator's version."""
    return tuple(sorted(item_ids, key=lambda item: hashlib.sha256(f"{seed}|{number}|{item}".encode()).digest()))


def batch_items(item_ids: Sequence[str], *, size: int, seed: int, index: int) -> tuple[str, ...]:
    """The index-th batch (from 0, without end).

    Each pass is a whole number of batches that differ by at most one item in size, so every item comes round exactly
    once a pass and no batch asks one twice.
    """
    if index < 0:
        raise ValueError(f"batches count from 0, not {index}")
    count = batches_per_pass(len(item_ids), size)
    number, position = divmod(index, count)
    order = pass_order(item_ids, seed, number)
    return order[position * len(order) // count : (position + 1) * len(order) // count]


def spread(item_ids: Sequence[str], limit: int) -> tuple[str, ...]:
    """At most limit items, evenly spaced over the set, in its order: every part of it is represented."""
    if limit < 1:
        raise ValueError(f"a limit is at least 1, not {limit}")
    count = min(limit, len(item_ids))
    return tuple(item_ids[position * len(item_ids) // count] for position in range(count))

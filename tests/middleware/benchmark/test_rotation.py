"""The order in which batches of items come round."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from middleware.benchmark.rotation import batch_items, batches_per_pass, pass_order, spread

IDS = [str(number) for number in range(1, 172)]


@given(items=st.integers(1, 60), size=st.integers(1, 80), seed=st.integers(0, 2**32), first=st.integers(0, 5))
def test_every_item_once_a_pass(items: int, size: int, seed: int, first: int) -> None:
    """In each pass every item comes round exactly once, in batches of nearly equal size within the limit."""
    ids = IDS[:items]
    count = batches_per_pass(items, size)
    batches = [batch_items(ids, size=size, seed=seed, index=first * count + k) for k in range(count)]
    assert Counter(item for batch in batches for item in batch) == Counter(ids)
    sizes = {len(batch) for batch in batches}
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1


def test_seed_decides() -> None:
    """The same seed gives the same order, whatever the order of the ids that are passed; another seed another one."""
    assert pass_order(IDS, 1, 0) == pass_order(IDS[::-1], 1, 0)
    assert pass_order(IDS, 1, 0) != pass_order(IDS, 2, 0)
    assert pass_order(IDS, 1, 0) != pass_order(IDS, 1, 1)


def test_order_is_pinned() -> None:
    """The order is a fact of the seed that no release may change: batches of a running pass would repeat items."""
    assert pass_order(["a", "b", "c", "d", "e"], 1, 0) == ("a", "e", "b", "d", "c")


def test_spread_covers_the_set() -> None:
    """A limited run takes items from all over the set, in its order, and never more than there are."""
    assert spread(["a", "b", "c", "d", "e", "f"], 3) == ("a", "c", "e")
    assert spread(["a", "b"], 5) == ("a", "b")
    assert len(set(spread(IDS, 100))) == 100


def test_wrong_sizes() -> None:
    """Sizes and indices out of range are errors."""
    for wrong in (lambda: batches_per_pass(0, 1), lambda: batches_per_pass(1, 0), lambda: spread(IDS, 0)):
        with pytest.raises(ValueError, match=r"not 0|and 0"):
            wrong()
    with pytest.raises(ValueError, match="from 0"):
        batch_items(IDS, size=12, seed=1, index=-1)

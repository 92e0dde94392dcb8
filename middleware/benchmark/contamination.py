"""Asks a variant of an item set beside the originals: does the model know the set by heart? Not the judgement (scorer).

The runs of both are ordinary ones that can be resumed; the variant's remembers which run of the originals it is beside.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from middleware.benchmark.manual import RunRequest, held, run_to_carry_out
from middleware.benchmark.outcomes import RunReport
from middleware.benchmark.soundness import degenerate
from middleware.records.benchmark import Protocol, Run
from middleware.store import Store
from scorer.contamination import Contamination, contamination
from scorer.items import ItemSet
from scorer.variants import variant_of

__all__ = ["gap_between", "pair_to_carry_out", "protocol_of_variant", "variant_request"]


def variant_request(request: RunRequest, seed: int) -> RunRequest:
    """The same request about the variant that the seed draws."""
    variant = variant_of(request.item_set, seed)
    return replace(request, item_set=variant, protocol=protocol_of_variant(request.protocol, variant))


def protocol_of_variant(protocol: Protocol, variant: ItemSet) -> Protocol:
    """Asked and scored in the same way; a key of its own."""
    return replace(protocol, item_set=variant.name, item_set_sha256=variant.sha256)


@contextmanager
def pair_to_carry_out(
    request: RunRequest, variant: RunRequest, store: Store, data_dir: Path, *, at: float, fresh: bool
) -> Iterator[tuple[Run, Run]]:
    """The runs of originals and variant, unfinished ones of the same pair where there are any, held for the block."""
    with run_to_carry_out(variant, store, data_dir, at=at, fresh=fresh) as changed:
        name = f"contamination:{changed.id}"
        known = store.load_state(name)
        partner = store.run(str(known["original"])) if known is not None else None
        if partner is not None:
            with held(data_dir, partner.id):
                yield partner, changed
            return
        with run_to_carry_out(request, store, data_dir, at=at, fresh=fresh) as original:
            store.save_state(name, {"original": original.id})
            yield original, changed


def gap_between(original: RunReport, variant: RunReport, item_set: ItemSet) -> Contamination:
    """How much better the model does on the originals."""
    for name, report in (("originals", original), ("variants", variant)):
        if report.flags:
            words = degenerate(report.flags)
            return Contamination("unmeasured", reason=f"the answers to the {name} are degenerate ({words})")
    clusters = {item.id: item.cluster for item in item_set.items}
    return contamination(original.score.item_points, variant.score.item_points, clusters)

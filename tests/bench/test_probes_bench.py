"""The bench of probes: two real sidecars under load, of which one probes, and its table."""

import random
from pathlib import Path

import pytest

from bench.proxy.loads import Load
from bench.proxy.measure import Sample
from bench.proxy.native import missing_tools
from bench.proxy.probes import OFF, Found, as_markdown, compared
from bench.proxy.session import session

needs_tools = pytest.mark.skipif(bool(missing_tools()), reason=f"needs {' and '.join(missing_tools())} on the PATH")


def sample(cpu: float, *, failure: str = "") -> Sample:
    return Sample("", "json", 1, cpu, 1.0, 0.0, {"p50_us": cpu, "errors": 0.0, "stalled": 0.0}, failure)


def test_changes_are_from_probes_off_in_the_same_round() -> None:
    """A cost that is 5 % higher in every round is a change of 5 %; a round in which either one failed is left out."""
    found = Found(
        {("json", OFF): [sample(c) for c in (10.0, 20.0, 40.0, 1.0)]}, {OFF: 2.0, "on": 2.0}, {OFF: 0.0, "on": 3.0}
    )
    found.samples["json", "on"] = [sample(10.5), sample(21.0), sample(42.0), sample(9.0, failure="refused")]
    change = found.change("json", "on", lambda s: s.cpu_us or 0.0)
    assert change is not None
    assert (change.pairs, round(change.percent, 6)) == (3, 5.0)
    assert "| json | on | 21.0 (10.5..42.0) | +5.0 % (+5.0..+5.0) | +5.0 % (+5.0..+5.0) | 1.0 | 1 |" in as_markdown(
        found, "head"
    )


@needs_tools
@pytest.mark.timeout(300)
def test_only_the_sidecar_with_probes_on_probes(compiled_product: Path) -> None:
    """Under the same load, with no error in either; both relays' own time is told."""
    load = Load("json", 4, 4.0, 0.2, rate=40)  # long enough for a probe on a busy machine
    with session([], random.Random(1), lambda _: None, product=compiled_product) as run:
        found = compared(run, [load], 1, {OFF: None, "on": 1.0})
    off, on = found.samples["json", OFF][0], found.samples["json", "on"][0]
    assert (off.failure, on.failure) == ("", "")
    assert off.figures["errors"] == on.figures["errors"] == 0
    assert min(off.cpu_us or 0, on.cpu_us or 0) > 0
    assert found.probed[OFF] == 0
    assert found.probed["on"] > 0

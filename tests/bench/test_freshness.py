"""The freshness bench measures what it says: every turn is told and read, once the judge has answered."""

import time
from pathlib import Path

import pytest

from bench.freshness.measure import measured
from bench.freshness.upstream import answering


@pytest.mark.timeout(300)
def test_two_short_conversations(tmp_path: Path) -> None:
    """No estimate is there before its judge has answered, and none is missing."""
    judged: list[float] = []
    with answering(0.05, lambda: judged.append(time.monotonic())) as upstream:
        found = measured(upstream, tmp_path / "run", anchor_only=False, conversations=2, turns=2)
    assert len(found.streamed) == len(found.pulled) == len(found.told_at) == len(found.read_at) == 4
    # Turns come one after another, and each of them is judged at least once.
    judgements = sorted(judged)[:4]
    assert all(at >= judgement for at, judgement in zip(found.told_at, judgements, strict=True))
    assert all(at >= judgement for at, judgement in zip(found.read_at, judgements, strict=True))

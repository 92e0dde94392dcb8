"""The freshness bench measures what it says: every turn is told and read, once the judge has answered."""

from pathlib import Path

import pytest

from bench.freshness.measure import measured
from bench.freshness.upstream import answering


@pytest.mark.timeout(180)
def test_two_short_conversations(tmp_path: Path) -> None:
    """No estimate is there before its judge has answered, and none is missing."""
    with answering(0.05) as upstream:
        found = measured(upstream, tmp_path / "run", anchor_only=False, conversations=2, turns=2)
    assert len(found.streamed) == len(found.pulled) == 4
    assert min(found.streamed + found.pulled) >= 0.05

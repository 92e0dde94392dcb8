"""The arithmetic in docs/responsible-use.md is right."""

from pathlib import Path

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "responsible-use.md").read_text(encoding="utf-8")


def alarms(messages: int, one_in: int, sensitivity: float, specificity: float) -> tuple[float, float]:
    """Real and false alarms among the messages."""
    crises = messages / one_in
    return crises * sensitivity, (messages - crises) * (1 - specificity)


def test_the_base_rate_example() -> None:
    """The table's rows follow from its assumptions."""
    real, false = alarms(100_000, 1_000, 0.90, 0.95)
    for text in (f"| {real:.0f} |", f"| {false:,.0f} |", f"| {100 * real / (real + false):.1f} % |"):
        assert text in PAGE
    assert f"Of {(real + false) / real:.0f} alarms one is real" in PAGE
    assert "one crisis in ten is missed" in PAGE


def test_a_rarer_event() -> None:
    """The same detector where the event is ten times rarer."""
    real, false = alarms(100_000, 10_000, 0.90, 0.95)
    assert f"one real alarm in {(real + false) / real:.0f}" in PAGE

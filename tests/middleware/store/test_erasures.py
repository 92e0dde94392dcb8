"""What was erased is known for a while, in memory and bounded."""

from middleware.store.erasures import Erasures


def test_what_ended_before_is_covered_and_what_comes_after_is_new() -> None:
    """To the instant; erased again, it is covered up to the later time. Of others nothing is covered."""
    erasures = Erasures()
    erasures.note(["eq_1"], 10.0)
    assert erasures.covers("eq_1", 10.0)
    assert not erasures.covers("eq_1", 10.001)
    assert not erasures.covers("eq_2", 10.0)
    erasures.note(["eq_1"], 20.0)
    assert erasures.covers("eq_1", 15.0)


def test_only_the_newest_are_remembered() -> None:
    """Memory is bounded: the one that was erased longest ago goes first."""
    erasures = Erasures(capacity=2)
    erasures.note(["eq_1", "eq_2"], 1.0)
    erasures.note(["eq_1"], 2.0)
    erasures.note(["eq_3"], 3.0)
    assert [erasures.covers(name, 1.0) for name in ("eq_1", "eq_2", "eq_3")] == [True, False, True]

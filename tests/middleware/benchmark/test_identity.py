"""Another version is noticed from what answers say of themselves, and backends that take turns are not."""

from middleware.benchmark.identity import STEADY_ANSWERS, Identities, identities_of, model_of, observe, took_over
from middleware.records.benchmark import ItemResult


def _fed(state: Identities, *batches: list[str]) -> Identities:
    for batch in batches:
        state = observe(state, batch)
    return state


def test_the_first_answers_are_the_version() -> None:
    """What answers first is known, from however many backends."""
    state = _fed(Identities(), ["m|a", "m|b", "m|a"])
    assert state.known == ("m|a", "m|b")
    assert not took_over(_fed(state, ["m|b", "m|a"] * 30))


def test_two_dozen_answers_in_a_row_from_strangers_are_a_new_version() -> None:
    """One old answer among them begins the count anew."""
    state = _fed(Identities(), ["m|a"] * 12)
    almost = _fed(state, ["m|b"] * (STEADY_ANSWERS - 1))
    assert not took_over(almost)
    assert took_over(_fed(almost, ["m|c"]))
    assert not took_over(_fed(almost, ["m|a"], ["m|b"] * (STEADY_ANSWERS - 1)))


def test_backends_by_call_do_not_flap() -> None:
    """A new one that answers every second call is no new version, for as long as the old one answers too."""
    state = _fed(Identities(), ["m|a"] * 12)
    for _ in range(100):
        state = _fed(state, ["m|b", "m|a"] * 6)
        assert not took_over(state)


def test_the_version_before_is_recognised_when_it_returns() -> None:
    """And a third one is not taken for it."""
    state = _fed(Identities(), ["m|a", "m|a2"], ["n|b"] * STEADY_ANSWERS).replaced()
    assert (state.known, state.before) == (("n|b",), ("m|a", "m|a2"))
    assert _fed(state, ["m|a"] * STEADY_ANSWERS).returned
    assert not _fed(state, ["o|c"] * STEADY_ANSWERS).returned
    assert _fed(state, ["m|a"] * STEADY_ANSWERS).restored().known == ("m|a", "m|a2")
    assert set(_fed(state, ["m|a"] * 3).merged().known) == {"m|a", "m|a2", "n|b"}


def test_answers_that_name_nothing_are_left_out_and_order_is_that_of_time() -> None:
    """Results come from the store by item; what counts is when they were given."""
    results = [
        ItemResult("r", "i1", 0, "scored", answered_model="late", at=3.0),
        ItemResult("r", "i2", 0, "scored", at=2.0),
        ItemResult("r", "i3", 0, "scored", answered_model="m", system_fingerprint="fp", at=1.0),
    ]
    assert identities_of(results) == ["m|fp", "late|"]
    assert model_of(["m|fp", "late|"]) == "late"
    assert model_of([]) == ""

"""Places of conversations are kept in order, for a while, and never more than so many."""

from dataclasses import replace

from middleware.records.place import Place
from middleware.store import Store

ONE = Place("eq_1", "tutor", "00aa", b"\x00\xff" * 8, 1, (b"a" * 16, b"b" * 16), b"x" * 16, 100.0)


def test_places_come_back_as_they_were_oldest_first(store: Store) -> None:
    """With every hash; the newest are preferred where only some are wanted."""
    found = [ONE, replace(ONE, turn=2, keys=(), exchange=b"", at=200.0), replace(ONE, turn=3, key_id="", at=300.0)]
    store.save_places(found[:2])
    store.save_places(found[2:])
    store.save_places([])
    assert store.places(0.0, 10) == found
    assert store.places(150.0, 10) == found[1:]
    assert store.places(0.0, 2) == found[1:]


def test_what_is_old_or_too_much_is_forgotten(store: Store) -> None:
    """By time, and by number."""
    store.save_places([replace(ONE, turn=number, at=float(number)) for number in range(10)])
    store.forget_places(3.0, most=100)
    assert [place.turn for place in store.places(0.0, 100)] == [3, 4, 5, 6, 7, 8, 9]
    store.forget_places(0.0, most=2)
    assert [place.turn for place in store.places(0.0, 100)] == [8, 9]
    store.forget_places(100.0, most=2)
    assert store.places(0.0, 100) == []
    store.forget_places(100.0, most=2)

"""Baselines are appended, numbered, accepted and never changed."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import pytest

from middleware.records.baseline import BaselineRecord
from middleware.records.benchmark import Protocol
from middleware.records.event import Event
from middleware.store import Store

PROTOCOL = Protocol(
    item_set="starter",
    item_set_sha256="0" * 64,
    prompt_version="1",
    scoring_profile="tolerant",
    temperature=0.01,
    max_tokens=60,
    seed=None,
    answer_format="text",
    revise=False,
)
RECORD = BaselineRecord(
    deployment="tutor",
    item_set="starter",
    model="m-1",
    protocol=PROTOCOL,
    digest="a" * 64,
    created_at=100.0,
    source="commissioning",
    value={"items": [1, 2]},
    identities=("m-1|fp_1",),
    days=3.5,
)


def test_versions_count_up_and_the_first_accepted_one_is_the_reference(store: Store) -> None:
    """The newest accepted one is in force; the reference of record stays the first one."""
    ids = [store.add_baseline(dataclasses.replace(RECORD, digest=letter * 64)) for letter in "abc"]
    assert store.baseline_ids("tutor", PROTOCOL.key) == (None, None)
    for at, baseline_id in ((1.0, ids[1]), (2.0, ids[2])):
        assert store.accept_baseline(baseline_id, at) is not None
    assert store.baseline_ids("tutor", PROTOCOL.key) == (ids[2], ids[1])
    found = store.baseline_in_force("tutor", PROTOCOL.key)
    assert found == dataclasses.replace(RECORD, digest="c" * 64, version=3, id=ids[2], accepted_at=2.0)
    assert [(r.version, r.reference) for r in store.baselines("tutor")] == [(1, False), (2, True), (3, False)]
    assert store.baselines("shop") == []


def test_an_older_one_can_be_put_in_force_again_and_made_the_reference(store: Store) -> None:
    """Accepting is the only change, and the reference moves only when asked to."""
    first = store.add_baseline(dataclasses.replace(RECORD, accepted_at=1.0))
    second = store.add_baseline(dataclasses.replace(RECORD, digest="b" * 64, accepted_at=2.0))
    assert store.baseline_ids("tutor", PROTOCOL.key) == (second, first)
    store.accept_baseline(first, 3.0)
    assert store.baseline_ids("tutor", PROTOCOL.key) == (first, first)
    store.accept_baseline(second, 4.0, as_reference=True)
    assert store.baseline_ids("tutor", PROTOCOL.key) == (second, second)
    assert store.accept_baseline(999, 5.0) is None


def test_the_same_content_is_kept_once_and_other_protocols_apart(store: Store) -> None:
    """Adding again gives the id that is there; another protocol has versions of its own."""
    first = store.add_baseline(RECORD)
    assert store.add_baseline(dataclasses.replace(RECORD, created_at=200.0)) == first
    warm = dataclasses.replace(PROTOCOL, temperature=1.0)
    other = store.add_baseline(dataclasses.replace(RECORD, protocol=warm, accepted_at=1.0))
    found = store.baseline(other)
    assert found is not None
    assert (found.version, found.protocol) == (1, warm)
    assert store.baseline_ids("tutor", PROTOCOL.key) == (None, None)


def test_a_state_is_saved_with_what_led_to_it_or_not_at_all(store: Store) -> None:
    """Events, baseline and state are one transaction; the state knows the ids of both."""

    def state(ids: object, baseline_id: int | None) -> dict[str, object]:
        return {"events": ids, "baseline": baseline_id}

    events = [Event("incident_closed", "tutor", 1.0), Event("baseline_accepted", "tutor", 1.0)]
    progress = store.save_progress("watch", state, after=0, events=events, baseline=RECORD)
    assert progress is not None
    assert store.load_state("watch") == {"events": list(progress.event_ids), "baseline": progress.baseline_id}
    assert [event.id for event in store.events()] == list(progress.event_ids)

    def broken(ids: object, baseline_id: int | None) -> dict[str, object]:
        raise RuntimeError("killed here")

    other = dataclasses.replace(RECORD, digest="z" * 64)
    with pytest.raises(RuntimeError, match="killed"):
        store.save_progress("watch", broken, after=0, events=events, baseline=other)
    assert len(store.events()) == 2
    assert len(store.baselines()) == 1


def test_a_state_that_another_process_moved_on_is_not_written_over(store: Store) -> None:
    """Who follows a revision that is no longer the newest writes nothing: no state, no event, no baseline."""
    assert store.save_progress("watch", lambda *_: {"revision": 1, "by": "a"}, after=0)
    assert store.save_progress("watch", lambda *_: {"revision": 2, "by": "b"}, after=1)
    for after in (0, 1, 3):
        late = [Event("incident_opened", "tutor", 1.0)]
        assert store.save_progress("watch", lambda *_: {"by": "a"}, after=after, events=late, baseline=RECORD) is None
    assert store.load_state("watch") == {"revision": 2, "by": "b"}
    assert store.events() == []
    assert store.baselines() == []


def test_of_many_first_states_at_once_one_is_saved(store: Store) -> None:
    """Whatever the interleaving, and the events are those of the one that was saved."""

    def first(number: int) -> bool:
        event = Event("baseline_accepted", str(number), 1.0)
        return (
            store.save_progress("watch", lambda *_: {"revision": 1, "by": number}, after=0, events=[event]) is not None
        )

    with ThreadPoolExecutor(8) as pool:
        saved = list(pool.map(first, range(16)))
    assert saved.count(True) == 1
    assert store.load_state("watch") == {"revision": 1, "by": saved.index(True)}
    assert [event.deployment for event in store.events()] == [str(saved.index(True))]


def test_a_state_is_set_aside_once(store: Store) -> None:
    """Under another name, with an event; a second process finds nothing left to do."""
    store.save_state("watch", {"schema": 1})
    event = Event("state_set_aside", "tutor", 1.0)
    assert store.set_state_aside("watch", "watch|kept", event) == 1
    assert store.set_state_aside("watch", "watch|kept-2", event) is None
    assert (store.load_state("watch"), store.load_state("watch|kept")) == (None, {"schema": 1})
    assert len(store.events()) == 1

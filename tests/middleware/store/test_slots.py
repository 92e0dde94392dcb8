"""One owner for a slot; a stalled one can't write."""

from concurrent.futures import ThreadPoolExecutor

from middleware.records.benchmark import ItemResult, Protocol, Run
from middleware.records.event import Event
from middleware.store import Fence, Store


def test_a_slot_has_one_owner_while_its_lease_runs(store: Store) -> None:
    """Another slot of the same work is free, and an expired lease passes on with a greater token."""
    assert store.claim_slot("bench:tutor", 3600.0, "a", 60.0, now=3600.0) == 1
    assert store.claim_slot("bench:tutor", 3600.0, "b", 60.0, now=3659.0) is None
    assert store.claim_slot("bench:tutor", 7200.0, "b", 60.0, now=3659.0) == 1
    assert store.claim_slot("bench:tutor", 3600.0, "b", 60.0, now=3660.0) == 2


def test_a_renewed_lease_lasts_longer_and_a_lost_one_can_not_be_renewed(store: Store) -> None:
    """The owner learns from the answer that it lost the slot."""
    first = Fence("bench", 0.0, store.claim_slot("bench", 0.0, "a", 10.0, now=0.0) or 0)
    assert store.renew_slot(first, 10.0, now=9.0)
    assert store.claim_slot("bench", 0.0, "b", 10.0, now=15.0) is None
    assert store.claim_slot("bench", 0.0, "b", 10.0, now=19.0) == 2
    assert not store.renew_slot(first, 10.0, now=19.5)
    assert not store.release_slot(first, now=19.5)


def test_a_done_slot_is_never_claimed_again_and_a_released_one_at_once(store: Store) -> None:
    """Work happens once; work that was given back is taken by the next."""
    given_back = Fence("bench", 0.0, store.claim_slot("bench", 0.0, "a", 1000.0, now=0.0) or 0)
    assert store.release_slot(given_back, now=1.0, done=False)
    done = Fence("bench", 0.0, store.claim_slot("bench", 0.0, "b", 1000.0, now=1.0) or 0)
    assert store.release_slot(done, now=2.0)
    assert store.claim_slot("bench", 0.0, "c", 10.0, now=1_000_000.0) is None


def test_of_many_claims_at_once_one_wins(store: Store) -> None:
    """Whatever the interleaving."""
    with ThreadPoolExecutor(8) as pool:
        claims = [pool.submit(store.claim_slot, "bench", 0.0, str(number), 60.0, 0.0) for number in range(16)]
    assert sorted(claim.result() or 0 for claim in claims) == [0] * 15 + [1]


def test_a_stalled_owner_cannot_write_after_its_slot_passed_on(store: Store) -> None:
    """Its attempt, its result, its end of the run and its state are refused; the new owner's are taken."""
    protocol = Protocol("s", "", "1", "tolerant", 0.0, 60, None, "text", False)
    store.begin_run(Run("r", "tutor", "batch", protocol, "m", "u", ("a",), 1, 0.0))
    stalled = Fence("bench", 0.0, store.claim_slot("bench", 0.0, "a", 10.0, now=0.0) or 0)
    assert store.mark_attempted("r", "a", 0, 1.0, fence=stalled)
    owner = Fence("bench", 0.0, store.claim_slot("bench", 0.0, "b", 10.0, now=11.0) or 0)
    late = ItemResult("r", "a", 0, "scored", score=1.0, at=12.0)
    assert not store.mark_attempted("r", "a", 0, 12.0, fence=stalled)
    assert not store.save_item(late, fence=stalled)
    assert not store.finish_run("r", "finished", 10.0, 1, 12.0, fence=stalled)
    late_event = [Event("incident_opened", "tutor", 12.0)]
    assert store.save_progress("watch", lambda *_: {"revision": 1}, after=0, events=late_event, fence=stalled) is None
    assert (store.load_state("watch"), store.events()) == (None, [])
    assert store.item_results("r") == []
    assert store.save_progress("watch", lambda *_: {"revision": 1}, after=0, fence=owner)
    assert store.save_item(ItemResult("r", "a", 0, "scored", score=9.0, at=13.0), fence=owner)
    assert [result.score for result in store.item_results("r")] == [9.0]


def test_old_slots_go_when_a_newer_one_is_released(store: Store) -> None:
    """Done and skipped slots are kept for seven days; one whose lease still runs is kept longer."""
    day = 86_400.0
    for slot in (0.0, 0.5 * day):
        fence = Fence("bench", slot, store.claim_slot("bench", slot, "a", 60.0, now=slot) or 0)
        assert store.release_slot(fence, now=slot + 1.0)
    assert store.claim_slot("other", 0.0, "a", 30 * day, now=0.0) == 1
    assert store.claim_slot("crashed", 0.0, "a", 60.0, now=0.0) == 1
    now = 7.2 * day
    newest = Fence("bench", now, store.claim_slot("bench", now, "a", 60.0, now=now) or 0)
    assert store.release_slot(newest, now=now + 1.0)
    assert store.claim_slot("bench", 0.0, "b", 60.0, now=now) == 1, "forgotten: as if nobody had ever had it"
    assert store.claim_slot("crashed", 0.0, "b", 60.0, now=now) == 1
    assert store.claim_slot("bench", 0.5 * day, "b", 60.0, now=now) is None, "done, and younger than seven days"
    assert store.claim_slot("other", 0.0, "b", 60.0, now=now) is None, "its lease runs"
    assert store.claim_slot("bench", now, "b", 60.0, now=now + 2.0) is None

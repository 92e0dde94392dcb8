"""Which run a person's command means: an unfinished one, or a new one."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from middleware.benchmark.manual import RunRequest, held, run_to_carry_out
from middleware.benchmark.protocol import make_protocol
from middleware.records.benchmark import Run
from middleware.store import Store
from scorer.items import ItemSet

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'eqwatch.db'}")
    store.open()
    yield store
    store.close()


@pytest.fixture
def request_(small_set: ItemSet) -> RunRequest:
    return RunRequest("http://127.0.0.1:1", "m", small_set, make_protocol(small_set), passes=1)


def begun(request: RunRequest, store: Store, data_dir: Path, *, at: float = 1000.0, fresh: bool = False) -> Run:
    """The run that the command means, begun and left unfinished."""
    with run_to_carry_out(request, store, data_dir, at=at, fresh=fresh) as run:
        store.begin_run(run)
        return run


def test_unfinished_run_goes_on(request_: RunRequest, store: Store, tmp_path: Path) -> None:
    """The same command within a day means the unfinished run; --fresh, or a day later, a new one."""
    first = begun(request_, store, tmp_path)
    assert begun(request_, store, tmp_path, at=2000.0) == first
    assert begun(request_, store, tmp_path, at=2000.0, fresh=True).id != first.id
    assert begun(request_, store, tmp_path, at=2000.0 + 2 * DAY).id != first.id


def test_another_request_is_another_run(request_: RunRequest, store: Store, tmp_path: Path, small_set: ItemSet) -> None:
    """Another upstream, model, number of passes or items, or protocol is never mixed into an unfinished run."""
    first = begun(request_, store, tmp_path)
    others = [
        replace(request_, upstream="http://127.0.0.1:2"),
        replace(request_, model="n"),
        replace(request_, passes=2),
        replace(request_, limit=3),
        replace(request_, protocol=make_protocol(small_set, temperature=1.0)),
    ]
    runs = [begun(other, store, tmp_path) for other in others]
    assert len({run.id for run in [first, *runs]}) == 6
    assert len(runs[3].item_ids) == 3


def test_one_process_at_a_time(request_: RunRequest, store: Store, tmp_path: Path) -> None:
    """While a run is being carried out, the same command begins one of its own."""
    with run_to_carry_out(request_, store, tmp_path, at=1000.0, fresh=False) as first:
        store.begin_run(first)
        with run_to_carry_out(request_, store, tmp_path, at=1000.0, fresh=False) as second:
            assert second.id != first.id
    with run_to_carry_out(request_, store, tmp_path, at=1000.0, fresh=False) as again:
        assert again == first


def test_finished_run_is_over(request_: RunRequest, store: Store, tmp_path: Path) -> None:
    """A finished run is never gone on with."""
    first = begun(request_, store, tmp_path)
    store.finish_run(first.id, "finished", 1.0, 20, 2000.0)
    assert begun(request_, store, tmp_path).id != first.id


def test_a_run_that_another_process_just_finished_is_over(
    request_: RunRequest, store: Store, tmp_path: Path, before_the_next_lock: Callable[[Callable[[], object]], None]
) -> None:
    """Finished between the look for an unfinished run and the hold on it: a new one begins."""
    first = begun(request_, store, tmp_path)
    before_the_next_lock(lambda: store.finish_run(first.id, "finished", 1.0, 20, 2000.0))
    assert begun(request_, store, tmp_path).id != first.id


def test_of_two_holds_at_once_one_is_granted(
    tmp_path: Path, before_the_next_lock: Callable[[Callable[[], object]], None]
) -> None:
    """A hold that ends between the two steps of the next one leaves no second holder beside a third."""
    third = held(tmp_path, "r")

    def ends_and_is_held_again() -> None:
        (tmp_path / "locks" / "run-r.lock").unlink()  # as the first holder's end does
        assert third.__enter__()

    before_the_next_lock(ends_and_is_held_again)
    with held(tmp_path, "r") as second:
        assert not second
    third.__exit__(None, None, None)
    with held(tmp_path, "r") as again:
        assert again

"""What a gate is asked, and which unfinished gate goes on."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from middleware.benchmark.protocol import make_protocol
from middleware.errors import ConfigurationError
from middleware.gate.request import GateRequest, Subject, gate_to_carry_out
from middleware.store import Store
from scorer.comparison import GateRules
from scorer.items import ItemSet

DAY = 24 * 3600.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(f"sqlite:///{tmp_path / 'eqwatch.db'}")
    store.open()
    yield store
    store.close()


@pytest.fixture
def request_(small_set: ItemSet) -> GateRequest:
    one, two = Subject("http://one", "m-1"), Subject("http://one", "m-2")
    return GateRequest(one, two, small_set, make_protocol(small_set), GateRules())


def gate_id(request: GateRequest, store: Store, folder: Path, *, at: float = 100.0, fresh: bool = False) -> str:
    with gate_to_carry_out(request, store, folder, at=at, fresh=fresh) as runs:
        return runs.gate_id


def test_two_runs_under_one_id(request_: GateRequest, store: Store, tmp_path: Path) -> None:
    """A gate is two runs of one protocol, named after it."""
    with gate_to_carry_out(request_, store, tmp_path, at=100.0, fresh=False) as runs:
        assert (runs.baseline.id, runs.candidate.id) == (f"{runs.gate_id}-baseline", f"{runs.gate_id}-candidate")
        assert runs.baseline.protocol == runs.candidate.protocol
        assert (runs.baseline.model, runs.candidate.model, runs.candidate.passes) == ("m-1", "m-2", 4)
        assert store.run(runs.baseline.id) == runs.baseline


def test_goes_on(request_: GateRequest, store: Store, tmp_path: Path) -> None:
    """The same request goes on with its gate for a day, unless a new one is wanted or another process has it."""
    first = gate_id(request_, store, tmp_path)
    assert gate_id(request_, store, tmp_path, at=100.0 + DAY) == first
    assert gate_id(request_, store, tmp_path, at=101.0 + DAY) != first
    other = gate_id(request_, store, tmp_path, at=200.0, fresh=True)
    assert other != first
    with gate_to_carry_out(request_, store, tmp_path, at=201.0, fresh=False) as runs:
        assert runs.gate_id == other
        assert gate_id(request_, store, tmp_path, at=202.0) != other


def test_other_rules_are_another_gate(request_: GateRequest, store: Store, tmp_path: Path) -> None:
    """The margin can't be changed over answers that were seen: another margin, budget or order asks anew."""
    first = gate_id(request_, store, tmp_path)
    for other in (
        replace(request_, rules=GateRules(margin=2.0)),
        replace(request_, rules=GateRules(max_passes=2)),
        replace(request_, seed=1),
        replace(request_, candidate=Subject("http://two", "m-2")),
    ):
        assert gate_id(other, store, tmp_path) != first


def test_finished_gates_do_not_go_on(request_: GateRequest, store: Store, tmp_path: Path) -> None:
    """A gate whose runs are both closed is done: the same request begins a new one."""
    first = gate_id(request_, store, tmp_path)
    for role in ("baseline", "candidate"):
        store.finish_run(f"{first}-{role}", "finished", 1.0, 20, 101.0)
    assert gate_id(request_, store, tmp_path) != first


def test_nothing_to_compare(request_: GateRequest) -> None:
    """A model against itself is a mistake, not a pass."""
    with pytest.raises(ConfigurationError, match="name another model"):
        replace(request_, candidate=request_.baseline)


def test_a_gate_is_held_before_others_can_find_it(
    request_: GateRequest, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same request just as a new gate is saved begins one of its own: no gate is carried out by two processes."""
    really_save, others = store.save_state, []

    def save_state(*arguments: Any) -> Any:
        saved = really_save(*arguments)
        monkeypatch.setattr(store, "save_state", really_save)
        others.append(gate_id(request_, store, tmp_path, at=101.0))
        return saved

    monkeypatch.setattr(store, "save_state", save_state)
    with gate_to_carry_out(request_, store, tmp_path, at=100.0, fresh=False) as runs:
        assert len({runs.gate_id, *others}) == 2


def test_a_gate_that_another_process_just_finished_is_over(
    request_: GateRequest, store: Store, tmp_path: Path, before_the_next_lock: Callable[[Callable[[], object]], None]
) -> None:
    """Finished between the look for an unfinished gate and the hold on it: a new one begins."""
    first = gate_id(request_, store, tmp_path)

    def finish() -> None:
        for role in ("baseline", "candidate"):
            store.finish_run(f"{first}-{role}", "finished", 1.0, 20, 101.0)

    before_the_next_lock(finish)
    assert gate_id(request_, store, tmp_path, at=102.0) != first

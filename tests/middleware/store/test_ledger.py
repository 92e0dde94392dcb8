"""The budget's windows under many reservers at once: in threads, and in processes that share one database."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor

import pytest

from middleware.store import Store, engine
from middleware.store.ledger import Amount, Refusal, Take

CAP = 1000
EACH = 7


def take(tokens: int, *, cap: int = CAP) -> list[Take]:
    return [
        Take("day", Amount(tokens, tokens), Amount(tokens, tokens), tokens_cap=cap, micros_cap=cap),
        Take("run", Amount(tokens, tokens), Amount(tokens, tokens), tokens_cap=None, micros_cap=2 * cap),
    ]


def reserve_all(url: str, tries: int) -> int:
    """What one process got in so many tries; it has its own limits, which fixtures do not reach."""
    engine.BUSY_SECONDS, engine.STATEMENT_SECONDS = 60.0, 120.0
    with Store(url) as store:
        return sum(EACH for _ in range(tries) if not isinstance(store.take_budget(take(EACH)), Refusal))


def test_threads_never_overspend(store: Store) -> None:
    """Of many reservations at once just as many are granted as the cap has room for, in every window."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: store.take_budget(take(EACH)), range(300)))
    granted = sum(EACH for each in found if not isinstance(each, Refusal))
    assert granted == CAP // EACH * EACH
    assert store.budget_taken("day") == Amount(granted, granted)
    assert store.budget_taken("run") == Amount(granted, granted)


def test_processes_never_overspend(store: Store, store_url: str) -> None:
    """The same for processes: replicas on PostgreSQL, a command beside the sidecar on SQLite."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        granted = sum(pool.starmap(reserve_all, [(store_url, 80)] * 3))
    assert granted == CAP // EACH * EACH
    assert store.budget_taken("day") == Amount(granted, granted)


def test_what_is_given_back_can_be_taken_again(store: Store) -> None:
    """Reservers that settle for less at the same time never push a window over its cap, nor below what was spent."""

    def reserve_and_settle(number: int) -> int:
        if isinstance(store.take_budget(take(EACH)), Refusal):
            return 0
        spent = number % EACH
        store.settle_budget({"day": Amount(spent - EACH, spent - EACH)}, {("probe", "prompt"): spent})
        return spent

    # Fewer threads than the pool has connections: on a slow machine a wait for one would end in a timeout.
    with ThreadPoolExecutor(8) as pool:
        spent = sum(pool.map(reserve_and_settle, range(400)))
    assert store.budget_taken("day") == Amount(spent, spent)
    assert spent <= CAP
    assert store.tokens_used("probe", 0.0) == spent


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_windows_taken_crosswise_do_not_lock_each_other(store: Store, order: tuple[str, str]) -> None:
    """Two reservers that name the same windows in another order both come to an end."""

    def crosswise(number: int) -> list[Amount] | Refusal:
        names = order if number % 2 else tuple(reversed(order))
        return store.take_budget([Take(name, Amount(1), Amount(1), tokens_cap=1000) for name in names])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(crosswise, range(64)))
    assert not [each for each in found if isinstance(each, Refusal)]
    assert store.budget_taken("a") == store.budget_taken("b") == Amount(64)

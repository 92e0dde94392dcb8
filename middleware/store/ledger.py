"""Statements on the budget's windows: amounts are taken before they are spent, and what was not spent is given back.

One row per window, locked while it is looked at: two processes can't take the same remainder.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select

from middleware.store.schema import budget_windows
from middleware.store.statements import insert_into

__all__ = ["Amount", "Refusal", "Take", "adjust", "take", "taken"]

_KEPT_SECONDS = 400 * 86_400.0


@dataclass(frozen=True, slots=True)
class Amount:
    """Tokens, and money in millionths of the currency's unit."""

    tokens: int = 0
    micros: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.tokens + other.tokens, self.micros + other.micros)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.tokens - other.tokens, self.micros - other.micros)

    def times(self, factor: int) -> "Amount":
        """So many times as much."""
        return Amount(self.tokens * factor, self.micros * factor)

    def covers(self, need: "Amount") -> bool:
        """Whether both are at least as large."""
        return self.tokens >= need.tokens and self.micros >= need.micros


@dataclass(frozen=True, slots=True)
class Take:
    """What one window is asked for. need: at least, else nothing; wish: at most. A cap of None is no cap."""

    window: str
    need: Amount
    wish: Amount
    tokens_cap: int | None = None
    micros_cap: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The window that has too little left, what was taken from it so far, and which of its caps stands in the way."""

    window: str
    taken: Amount
    by_money: bool


def take(connection: Connection, takes: Sequence[Take], now: float) -> list[Amount] | Refusal:
    """Take from every window, or from none where one has too little left. What each gives is between need and wish."""
    found: dict[str, tuple[Amount, Amount]] = {}
    # In one order everywhere: two processes that lock the same rows crosswise would wait for each other for ever.
    for each in sorted(takes, key=lambda one: one.window):
        used = _locked(connection, each.window, now)
        granted = Amount(
            _granted(each.need.tokens, each.wish.tokens, used.tokens, each.tokens_cap),
            _granted(each.need.micros, each.wish.micros, used.micros, each.micros_cap),
        )
        if not granted.covers(each.need):
            return Refusal(each.window, used, by_money=granted.tokens >= each.need.tokens)
        found[each.window] = (used, granted)
    for window, (used, granted) in found.items():
        _write(connection, window, used + granted, now)
    return [found[each.window][1] for each in takes]


def adjust(connection: Connection, window: str, change: Amount, now: float) -> None:
    """Add to what a window has given out; below zero for what comes back. Never below nothing."""
    _write(connection, window, _locked(connection, window, now) + change, now)
    connection.execute(delete(budget_windows).where(budget_windows.c.touched_at < now - _KEPT_SECONDS))


def taken(connection: Connection, window: str) -> Amount:
    """What a window has given out so far."""
    row = connection.execute(
        select(budget_windows.c.tokens, budget_windows.c.micros).where(budget_windows.c.name == window)
    ).first()
    return Amount() if row is None else Amount(int(row[0]), int(row[1]))


def _granted(need: int, wish: int, used: int, cap: int | None) -> int:
    return max(need, wish) if cap is None else max(0, min(max(need, wish), cap - used))


def _locked(connection: Connection, window: str, now: float) -> Amount:
    """The window's amount; its row, made where it is missing, stays locked until the transaction ends."""
    statement = insert_into(connection, budget_windows).values(name=window, tokens=0, micros=0, touched_at=now)
    row = connection.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"touched_at": now}).returning(
            budget_windows.c.tokens, budget_windows.c.micros
        )
    ).one()
    return Amount(int(row[0]), int(row[1]))


def _write(connection: Connection, window: str, amount: Amount, now: float) -> None:
    statement = insert_into(connection, budget_windows).values(
        name=window, tokens=max(0, amount.tokens), micros=max(0, amount.micros), touched_at=now
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["name"],
            set_={"tokens": statement.excluded.tokens, "micros": statement.excluded.micros, "touched_at": now},
        )
    )

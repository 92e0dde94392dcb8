"""The store's part in recognising conversations after a restart. Salted hashes only, for a while."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Connection, delete, func, insert, or_, select

from middleware.records.place import Place
from middleware.store.erasures import Erasures
from middleware.store.schema import places
from middleware.store.statements import storable, values_of

__all__ = ["Places"]

_KEY_BYTES = 16


class Places:
    """A part of `Store`, which has the transactions."""

    _reading: Callable[[], AbstractContextManager[Connection]]
    _writing: Callable[[], AbstractContextManager[Connection]]
    erasures: Erasures

    def save_places(self, found: Sequence[Place]) -> None:
        """Append them, in their order; of erased conversations none."""
        with self.erasures.writing:
            self._append([place for place in found if not self.erasures.covers(place.conversation, place.at)])

    def _append(self, found: Sequence[Place]) -> None:
        rows = [
            {
                "conversation": place.conversation,
                "deployment": place.deployment,
                "key_id": storable(place.key_id),
                "system": place.system,
                "turn": place.turn,
                "keys": b"".join(place.keys),
                "exchange": place.exchange,
                "at": place.at,
            }
            for place in found
        ]
        if rows:
            with self._writing() as connection:
                connection.execute(insert(places), rows)

    def places(self, since: float, limit: int) -> list[Place]:
        """The newest ones whose exchange ended at or after ``since`` (Unix seconds), oldest first."""
        with self._reading() as connection:
            rows = connection.execute(
                select(places).where(places.c.at >= since).order_by(places.c.id.desc()).limit(limit)
            ).all()
        return [_place(values_of(row)) for row in reversed(rows)]

    def forget_places(self, before: float, most: int) -> None:
        """Remove those that ended before a time, and all but the newest so many."""
        with self._writing() as connection:
            newest = connection.execute(select(func.coalesce(func.max(places.c.id), 0))).scalar_one()
            connection.execute(delete(places).where(or_(places.c.at < before, places.c.id <= newest - most)))


def _place(values: dict[str, object]) -> Place:
    del values["id"]
    keys = values.pop("keys")
    assert isinstance(keys, bytes)  # noqa: S101 - the column's type
    cut = tuple(keys[start : start + _KEY_BYTES] for start in range(0, len(keys), _KEY_BYTES))
    return Place(keys=cut, **values)  # type: ignore[arg-type]

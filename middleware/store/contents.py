"""The store's part in keeping content, and in removing what is known of a conversation, or is old."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from sqlalchemy import Connection, Delete, delete, func, select

from middleware.errors import StoreUnavailable
from middleware.records.content import Erased, SealedContent
from middleware.store.erasures import Erasures
from middleware.store.schema import contents, deliveries, events, informed_calls, places, probes
from middleware.store.statements import insert_into, values_of

__all__ = ["Contents"]


class Contents:
    """A part of `Store`, which has the transactions."""

    _reading: Callable[[], AbstractContextManager[Connection]]
    _writing: Callable[[], AbstractContextManager[Connection]]
    _naming: Callable[[str, float], AbstractContextManager[Connection | None]]
    _checkpoint: Callable[[], bool]
    _clock: Callable[[], float]
    erasures: Erasures

    def save_content(self, found: SealedContent) -> bool:
        """Keep a turn; False if it is there already, or was erased."""
        values = {name: getattr(found, name) for name in found.__slots__}
        with self._naming(found.conversation, found.at) as connection:
            if connection is None:
                return False
            statement = insert_into(connection, contents).values(values).on_conflict_do_nothing()
            return connection.execute(statement.returning(contents.c.turn)).first() is not None

    def contents_of(self, conversation: str) -> list[SealedContent]:
        """What is kept of a conversation (its salted id), by turn."""
        with self._reading() as connection:
            rows = connection.execute(
                select(contents).where(contents.c.conversation == conversation).order_by(contents.c.turn)
            ).all()
        return [SealedContent(**values_of(row)) for row in rows]

    def erase(self, conversations: Sequence[str]) -> Erased:
        """Remove all that is known of conversations (salted ids): at once, and from the file as well.

        What ended before and is written later by this process is not written any more. Where a reader keeps it in the
        file for now, StoreUnavailable says so: erasing once more ends it.
        """
        with self.erasures.writing, self._writing() as connection:
            self.erasures.note(conversations, self._clock())
            named = select(events.c.id).where(events.c.details["conversation"].as_string().in_(conversations))
            connection.execute(delete(deliveries).where(deliveries.c.event.in_(named)))
            connection.execute(delete(informed_calls).where(informed_calls.c.conversation.in_(conversations)))
            erased = Erased(
                scores=_removed(connection, delete(probes).where(probes.c.conversation.in_(conversations))),
                content=_removed(connection, delete(contents).where(contents.c.conversation.in_(conversations))),
                events=_removed(connection, delete(events).where(events.c.id.in_(named))),
                places=_removed(connection, delete(places).where(places.c.conversation.in_(conversations))),
            )
        if not self._checkpoint():
            raise StoreUnavailable("what was erased is still in the store's log, which is being read", reason="locked")
        return erased

    def purge(self, *, content_before: float | None, scores_before: float | None) -> Erased:
        """Remove what ended before a time (Unix seconds); None: of this kind nothing is old."""
        with self._writing() as connection:
            content = scores = 0
            if content_before is not None:
                content = _removed(connection, delete(contents).where(contents.c.at < content_before))
            if scores_before is not None:
                scores = _removed(connection, delete(probes).where(probes.c.at < scores_before))
                connection.execute(delete(informed_calls).where(informed_calls.c.at < scores_before))
        if content or scores:
            self._checkpoint()
        return Erased(scores=scores, content=content)

    def oldest(self) -> tuple[float | None, float | None]:
        """When the oldest content and the oldest scores that are there ended, or None."""
        with self._reading() as connection:
            content = connection.execute(select(func.min(contents.c.at))).scalar_one()
            return content, connection.execute(select(func.min(probes.c.at))).scalar_one()


def _removed(connection: Connection, statement: Delete) -> int:
    # What is counted is what comes back: drivers give no row count that can be relied on.
    return len(connection.execute(statement.returning(statement.table.c[next(iter(statement.table.c.keys()))])).all())

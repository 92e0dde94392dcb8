"""Remembers the last request head of a connection, so that the same head is not judged twice."""

from __future__ import annotations

from middleware.proxy.counters import Cell
from middleware.proxy.heads import RequestHead
from middleware.proxy.template import Template
from middleware.records.relay import DeploymentMatch

__all__ = ["Memo"]

_MOST_VALUES = 8


class Memo:
    """One judged head with a Content-Length, and where its requests belong."""

    __slots__ = ("cell", "head", "key_id", "match", "template")

    def __init__(self, template: Template, head: RequestHead, cell: Cell, match: DeploymentMatch, key_id: str) -> None:
        self.template = template
        self.head = head
        self.cell = cell
        self.match = match
        self.key_id = key_id

    @classmethod
    def of(
        cls, raw: bytes, head: RequestHead, cell: Cell, match: DeploymentMatch, key_id: str, before: Memo | None
    ) -> Memo | None:
        """A memo of a head as it came, or None where it has no Content-Length.

        before: the connection's last memo, which the head did not match.
        """
        template = Template.of(raw, head.forwarded, before.template if before else None, most=_MOST_VALUES)
        return cls(template, head, cell, match, key_id) if template is not None else None

    def repeat(self, data: bytes, limit: int) -> tuple[bytes, int] | None:
        """What to send upstream, and where the body begins, if the data is such a head with its whole body (within the
        limit); else None."""
        known = self.template.fill(data)
        return known if known is not None and len(data) - known[1] <= limit else None

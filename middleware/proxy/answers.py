"""Remembers the last head of a whole answer, so that the same head is not judged twice. Of all upstream connections."""

from middleware.proxy.heads import ResponseHead
from middleware.proxy.template import Template

__all__ = ["REMEMBERED_STATUS", "Answers"]

REMEMBERED_STATUS = 200
# With more of them, filling in a template costs as much as judging the head.
_MOST_VALUES = 3
# Heads remembered in vain, one after the other, before only one in so many is: where no head comes again, remembering
# costs more than it saves.
_TRIES = 4
_SELDOM = 256


class Answers:
    """One judged head of status 200 with a Content-Length, after which the connection stays; template: None of none."""

    __slots__ = ("_vain", "template")

    def __init__(self) -> None:
        self.template: Template | None = None
        self._vain = 0

    def learn(self, head: ResponseHead, raw: bytes) -> None:
        """Remember the head, as it came, of a whole answer to anything but HEAD; or leave it."""
        self._vain += 1
        if self._vain > _TRIES and self._vain % _SELDOM > 1:
            self.template = None
        elif head.status == REMEMBERED_STATUS and head.length >= 0 and head.keep_alive and not head.old_version:
            self.template = Template.of(raw, head.forward(raw), self.template, most=_MOST_VALUES)

    def repeat(self, data: bytes) -> tuple[bytes, int] | None:
        """What to send the client, and where the body begins, if the data is such a head with its whole body."""
        known = self.template.fill(data) if self.template is not None else None
        if known is not None:
            self._vain = 0
        return known

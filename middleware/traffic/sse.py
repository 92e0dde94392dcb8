"""A server-sent-events decoder without I/O, by the rules of the WHATWG HTML standard, section 9.2.6.

It reads bytes split anywhere and keeps no more than the line and event that are not complete yet.
"""

import re
from dataclasses import dataclass

__all__ = ["SSEDecoder", "ServerSentEvent"]

_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """A dispatched event. retry: reconnection time in milliseconds as last set in this event, or None."""

    data: str
    event: str = "message"
    id: str = ""
    retry: int | None = None


class SSEDecoder:
    """Feed bytes, get events. ``pending`` is true while an event has begun that no blank line has ended yet."""

    def __init__(self) -> None:
        self._line = bytearray()
        self._start = bytearray()
        self._at_start = True
        self._skip_newline = False
        self._data: list[str] = []
        self._event = ""
        self._id = ""
        self._retry: int | None = None

    @property
    def pending(self) -> bool:
        """Whether bytes of an event that is not complete would be lost now."""
        return bool(self._line or self._start or self._data)

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """The events that these bytes complete."""
        data = self._without_bom(data)
        if self._skip_newline and data:
            # A CR ended the last line; a LF right after it belongs to that end.
            self._skip_newline = False
            data = data.removeprefix(b"\n")
        events: list[ServerSentEvent] = []
        position = 0
        for end in _LINE_END.finditer(data):
            self._line += data[position : end.start()]
            position = end.end()
            self._take_line(events)
        self._line += data[position:]
        self._skip_newline = data.endswith(b"\r") or (self._skip_newline and not data)
        return events

    def _without_bom(self, data: bytes) -> bytes:
        if not self._at_start:
            return data
        self._start += data
        if len(self._start) < len(_BOM) and _BOM.startswith(self._start):
            return b""
        self._at_start = False
        data = bytes(self._start).removeprefix(_BOM)
        self._start.clear()
        return data

    def _take_line(self, events: list[ServerSentEvent]) -> None:
        line = self._line.decode("utf-8", "replace")
        self._line.clear()
        if not line:
            self._dispatch(events)
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
        elif field == "event":
            self._event = value
        elif field == "id" and "\x00" not in value:
            self._id = value
        elif field == "retry" and value.isascii() and value.isdigit():
            self._retry = int(value[:18])
        # Comments (an empty field name) and unknown fields are ignored.

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        if self._data:
            events.append(ServerSentEvent("\n".join(self._data), self._event or "message", self._id, self._retry))
        self._data = []
        self._event = ""
        self._retry = None

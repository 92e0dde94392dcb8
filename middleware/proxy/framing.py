"""llhttp as the judge of message framing: validates heads and fixed-length bodies, finds the end of chunked ones.

httptools does not say where in the input a message ended, so input is cut at every place where a chunked message may
end; what lies beyond the end is never fed. No callback for headers or bodies unless asked for: that keeps it cheap.
"""

import re
from collections.abc import Callable

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser, HttpResponseParser

__all__ = [
    "CHUNK_KEY",
    "FramingError",
    "RequestFramer",
    "ResponseFramer",
    "chunk_length",
    "judge_request",
    "whole_chunks",
]

FramingError = (HttpParserError, HttpParserUpgrade)
_END = b"\r\n\r\n"
_LINE_ENDS = frozenset(b"\r\n")


class _Callbacks:
    """What llhttp calls; a class of its own, so that framer and parser form no reference cycle."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = False

    def on_message_complete(self) -> None:
        self.done = True


class _BodyCallbacks(_Callbacks):
    """The same, and the payload of each chunk goes to a sink."""

    __slots__ = ("on_body",)

    def __init__(self, on_body: Callable[[bytes], None]) -> None:
        super().__init__()
        self.on_body = on_body


_no_callbacks = object()


def judge_request(head: bytes) -> None:
    """Let llhttp judge a request's head, of which nothing is kept; raises one of FramingError."""
    HttpRequestParser(_no_callbacks).feed_data(head)


class _Framer:
    """One direction of one connection, message after message."""

    __slots__ = ("_callbacks", "feed")

    def __init__(
        self, parser: type[HttpRequestParser | HttpResponseParser], on_body: Callable[[bytes], None] | None
    ) -> None:
        self._callbacks = _Callbacks() if on_body is None else _BodyCallbacks(on_body)
        self.feed: Callable[[bytes], None] = parser(self._callbacks).feed_data

    @property
    def done(self) -> bool:
        """Whether the current message has been fed to its end."""
        return self._callbacks.done

    def begin(self, head: bytes) -> None:
        """Feed the head of the next message; raises one of FramingError."""
        self._callbacks.done = False
        self.feed(head)

    def take(self, data: bytes) -> int:
        """Feed a piece of a chunked message; the number of bytes that belong to it. Raises one of FramingError."""
        at = 0
        if data[0] in _LINE_ENDS:  # the end of the message may straddle two reads
            while at < min(len(data), len(_END)) and data[at] in _LINE_ENDS:
                self.feed(data[at : at + 1])
                at += 1
                if self._callbacks.done:
                    return at
        while (cut := data.find(_END, at)) >= 0:
            cut += len(_END)
            self.feed(data[at:cut])
            at = cut
            if self._callbacks.done:
                return at
        if at < len(data):
            self.feed(data[at:] if at else data)
        return len(data)


CHUNK_KEY = 6
"""How many bytes of a chunk `chunk_length` is asked with."""

_LENGTHS: dict[bytes, int] = {}
chunk_length = _LENGTHS.get
"""The length of a chunk, with its framing, that begins with these bytes, where such a one came before; else None.

A name of its own, since the interpreter takes its long way to a method of a global.
"""

_MOST_LENGTHS = 2048
_SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,4})\r\n")


def whole_chunks(data: bytes) -> bool:
    """Whether data from the end of a chunk on is whole chunks, none of them the last and none with an extension.

    That is all that there is to say of its framing: llhttp need not see it, and stays where it was.
    """
    at, end = 0, len(data)
    while at < end:
        key = data[at : at + CHUNK_KEY]
        length = chunk_length(key) or _learn(key)
        at += length
        if not length or data[at - 2 : at] != b"\r\n":
            return False
    return at == end


def _learn(key: bytes) -> int:
    match = _SIZE_LINE.match(key)
    size = int(match[1], 16) if match is not None else 0
    if match is None or not size:
        return 0
    if len(_LENGTHS) >= _MOST_LENGTHS:
        _LENGTHS.clear()
    _LENGTHS[key] = length = match.end() + size + 2
    return length


class RequestFramer(_Framer):
    """Frames requests."""

    __slots__ = ()

    def __init__(self, on_body: Callable[[bytes], None] | None = None) -> None:
        super().__init__(HttpRequestParser, on_body)


class ResponseFramer(_Framer):
    """Frames answers; make a new one after an answer to HEAD, whose missing body llhttp can't know of."""

    __slots__ = ()

    def __init__(self, on_body: Callable[[bytes], None] | None = None) -> None:
        super().__init__(HttpResponseParser, on_body)

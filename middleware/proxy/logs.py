"""The relay's log: one JSON object a line on standard error, and never a wait: what a stuck reader can't take is lost.

No logging thread: a second thread would make every system call and allocation of the relay dearer.
"""

import os
import select
import time
import traceback
from typing import Any

import msgspec

__all__ = ["JsonLog"]

# A pipe that is writable takes this much without blocking (POSIX: PIPE_BUF).
_MAX_LINE_BYTES = 4096
_MAX_TRACEBACK_CHARACTERS = 2000


class JsonLog:
    """Writes to a descriptor that it does not own. dropped: lines lost so far; the next line that is written tells."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self.dropped = 0

    def info(self, event: str, **fields: Any) -> None:
        """Log an event."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log something that an operator should look at."""
        self._write("warning", event, fields)

    def fault(self, event: str, error: BaseException, **fields: Any) -> None:
        """Log an error with (the end of) its traceback."""
        text = "".join(traceback.format_exception(error))
        self._write("error", event, fields | {"traceback": text[-_MAX_TRACEBACK_CHARACTERS:]})

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        line = {"timestamp": now, "level": level, "event": event} | fields
        if self.dropped:
            line["lines_dropped"] = self.dropped
        data = msgspec.json.encode(line) + b"\n"
        if len(data) > _MAX_LINE_BYTES:
            data = msgspec.json.encode({"timestamp": now, "level": level, "event": event, "cut": True}) + b"\n"
        if not any(events & select.POLLOUT for _, events in self._poll.poll(0)):
            self.dropped += 1
            return
        try:
            os.write(self._descriptor, data)
            self.dropped = 0
        except OSError:  # the reader is gone: there is nobody left to tell
            self.dropped += 1

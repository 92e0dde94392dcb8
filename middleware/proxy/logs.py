"""The relay's log: JSON lines on standard error, written by a thread so that a stuck reader stops nothing."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from logging.handlers import QueueHandler, QueueListener
from typing import Any, TextIO

import msgspec

__all__ = ["JsonLog"]

_MAX_QUEUED = 10_000
_CLOSE_SECONDS = 1.0


class _Lines(logging.Formatter):
    """An event and its fields as one JSON object; a traceback, where there is one, as a field."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line |= fields
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class _DroppingHandler(QueueHandler):
    """Counts what the full queue can't take."""

    def __init__(self, lines: "queue.Queue[logging.LogRecord]", dropped: Callable[[], None]) -> None:
        super().__init__(lines)
        self._dropped = dropped

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self._dropped()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # formatted by the thread: that is off the loop


class JsonLog:
    """Owns the queue and the thread. dropped: called for each line that was lost because the reader is stuck."""

    def __init__(self, stream: TextIO, dropped: Callable[[], None] = lambda: None) -> None:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(_Lines())
        lines: queue.Queue[logging.LogRecord] = queue.Queue(_MAX_QUEUED)
        self._logger = logging.getLogger("eqwatch.relay")
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._logger.addHandler(_DroppingHandler(lines, dropped))
        self._listener = QueueListener(lines, handler)
        self._listener.start()

    def info(self, event: str, **fields: Any) -> None:
        """Log an event."""
        self._logger.info(event, extra={"fields": fields})

    def warning(self, event: str, **fields: Any) -> None:
        """Log something that an operator should look at."""
        self._logger.warning(event, extra={"fields": fields})

    def fault(self, event: str, error: BaseException, **fields: Any) -> None:
        """Log an error with its traceback."""
        self._logger.error(event, extra={"fields": fields}, exc_info=error)

    def close(self) -> None:
        """Write what is queued, unless the reader is stuck: then that is lost."""
        self._logger.handlers.clear()
        thread = threading.Thread(target=self._listener.stop, daemon=True)
        thread.start()
        thread.join(_CLOSE_SECONDS)

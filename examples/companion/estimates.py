"""Listens to eqwatch's event stream for one conversation, on its own thread, and starts anew when it breaks."""

import json
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import httpx2

__all__ = ["Estimates"]

AGAIN_SECONDS = 2.0
SILENCE_SECONDS = 60.0  # eqwatch sends a comment now and then; without any, the connection is dead


class Estimates:
    """tell: called on the listening thread with the turn and the emotions (0..10) of each new estimate."""

    def __init__(
        self, admin: str, conversation: str, tell: Callable[[int, Mapping[str, float]], None], token: str = ""
    ) -> None:
        self._conversation = conversation
        self._tell = tell
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        timeout = httpx2.Timeout(5.0, read=SILENCE_SECONDS)
        self._client = httpx2.Client(base_url=admin, headers=headers, timeout=timeout)
        self._ended = threading.Event()
        self.listening = threading.Event()

    def start(self) -> None:
        """Begin to listen; ends with the process."""
        threading.Thread(target=self._listen, name="estimates", daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self._ended.set()

    def _listen(self) -> None:
        wanted = {"type": "emotions", "conversation": self._conversation}
        while not self._ended.is_set():
            try:
                with self._client.stream("GET", "/api/v1/events", params=wanted) as answer:
                    answer.raise_for_status()
                    self.listening.set()
                    for event in events(answer.iter_lines()):
                        self._take(event)
            except httpx2.HTTPError as error:
                print(f"(no estimates for now: {error})", file=sys.stderr)
            self.listening.clear()
            self._ended.wait(AGAIN_SECONDS)

    def _take(self, event: Mapping[str, Any]) -> None:
        details = event["details"]
        readings = details["emotions"].values()
        if any(one["steered"] for one in readings):  # the text tried to steer the estimate: do nothing on its word
            return
        self._tell(details["turn"], {name: one["intensity"] for name, one in details["emotions"].items()})


def events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The JSON of each event; comments and other fields are passed over."""
    data: list[str] = []
    for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line and data:
            yield json.loads("\n".join(data))
            data.clear()

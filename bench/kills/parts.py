"""What both studies use: the scripted upstream, and what came of a study."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from middleware.demo.processes import Child, eqwatch_command, running

__all__ = ["Outcome", "get", "requests_at", "until", "upstream"]

REPLAY = Path(__file__).resolve().parents[2] / "examples" / "replay"
READY_SECONDS = 120.0
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """figures: what was counted, by name. problems: in words; none is what is promised."""

    what: str
    kills: int
    figures: dict[str, int | float | str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


@contextmanager
def upstream(folder: Path, *arguments: str) -> Iterator[str]:
    """`eqwatch fake-upstream` with the scripted models; its base URL."""
    command = eqwatch_command(
        *("fake-upstream", "--port", "0", "--items", "starter"),
        *("--replay", f"assistant={REPLAY / 'scripted-strong.json'}", *arguments),
    )
    with running(Child("fake-upstream", command, log=folder / "upstream.log")) as child:
        yield child.ready(READY_SECONDS)[0]


def get(url: str) -> Any:
    """The JSON behind a loopback URL."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - loopback
        return json.loads(answer.read())


def requests_at(upstream_url: str) -> int:
    """Calls that the upstream has received."""
    return int(get(upstream_url.removesuffix("/v1") + "/-/stats")["requests"])


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for it; TimeoutError with ``what`` after two minutes."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {_PATIENCE_SECONDS:.0f} s: {what}")
        time.sleep(0.01)

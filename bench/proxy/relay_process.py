"""The relay process as it is benchmarked: the project's own `serve`, with a stand-in control where wanted.

    python -P -m bench.proxy.relay_process CONFIG.json CONTROL ABLATION

CONTROL is the stand-in's rate in exchanges/s, or "none". ABLATION is "none", or names a cost to leave out so that it
can be seen: "strict" (the grammar of heads and the rules of targets), "metrics" (counting and observing). These are
switched off here, from outside, and only here: the product has no switch that makes it unsafe.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from middleware.server import serve

from middleware.proxy import heads
from middleware.proxy.counters import Histogram
from middleware.proxy.transit import Transit
from middleware.records.relay import RelayConfig

__all__ = ["ABLATIONS"]


def _without_strictness() -> None:
    """Heads are cut by a pattern that only finds the first line; what follows isn't looked at, nor is the target."""
    _replace(heads, "_REQUEST", re.compile(rb"([^ ]+) ([^ ]+) HTTP/1\.([01])\r\n(?s:.*)"))
    _replace(heads, "_RESPONSE", re.compile(rb"HTTP/1\.([01]) ([0-9]{3})[^\r]*\r\n(?s:.*)"))
    _replace(heads, "_check_target", lambda *_: None)


def _without_metrics() -> None:
    _replace(Histogram, "observe", lambda *_: None)
    _replace(Transit, "_count", lambda *_: None)


def _replace(owner: Any, name: str, by: Any) -> None:
    if not hasattr(owner, name):
        raise SystemExit(f"{owner!r} has no {name}: the ablation is out of date")
    setattr(owner, name, by)


ABLATIONS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "strict": _without_strictness,
    "metrics": _without_metrics,
}
"""What can be left out, by name."""


def main(config_path: str, control: str, ablation: str) -> int:
    """Run until ended by a signal; returns the exit code."""
    ABLATIONS[ablation]()
    config = msgspec.json.decode(Path(config_path).read_bytes(), type=RelayConfig)
    command = None if control == "none" else [sys.executable, "-P", "-m", "bench.proxy.control", control]
    return serve(config, command, b"")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))

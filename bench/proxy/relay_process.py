"""The relay process as it is benchmarked: the project's own `serve`, with a stand-in control where wanted.

    python -P -m bench.proxy.relay_process CONFIG.json CONTROL ABLATION

CONTROL is the stand-in's rate in exchanges/s, or "none". ABLATION is "none", or names a cost to leave out so that it
can be seen: "strict" (the grammar of heads and the rules of targets), "metrics" (counting and observing). These are
switched off here, from outside, and only here: the product has no switch that makes it unsafe.
"""

import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from middleware.proxy import client, heads
from middleware.proxy.transit import Transit
from middleware.records.relay import RelayConfig
from middleware.server import serve

__all__ = ["ABLATIONS", "missing"]

# A head is cut by a pattern that finds its first line only; neither its other lines nor its target are looked at.
_ANY_REQUEST = re.compile(rb"([^ ]+) ([^ ]+) HTTP/1\.([01])\r\n(?s:.*)")

ABLATIONS: dict[str, tuple[tuple[Any, str, Any], ...]] = {
    "none": (),
    "strict": (
        (heads, "_REQUEST", _ANY_REQUEST),
        (heads, "_check_target", lambda *_: None),
        (client, "judge_request", lambda *_: None),
    ),
    # Without tap and access log, observing a transit is nothing but counting it.
    "metrics": ((Transit, "observe", lambda *_, **__: None),),
}
"""What can be left out: owner, name and stand-in of each part that is replaced."""


def missing(ablation: str) -> list[str]:
    """Names that the relay no longer has, so that the ablation is out of date; empty where all is well."""
    return [name for owner, name, _ in ABLATIONS[ablation] if not hasattr(owner, name)]


def main(config_path: str, control: str, ablation: str) -> int:
    """Run until ended by a signal; returns the exit code."""
    for owner, name, stand_in in ABLATIONS[ablation]:
        setattr(owner, name, stand_in)
    config = msgspec.json.decode(Path(config_path).read_bytes(), type=RelayConfig)
    command = None if control == "none" else [sys.executable, "-P", "-m", "bench.proxy.control", control]
    return serve(config, command, b"")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))

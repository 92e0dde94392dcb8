"""The relay as a target, in its variants: tap off, 10 % and 100 %, interpreted, and with single costs left out.

It is the compiled relay of an installed product; what leaves a cost out replaces parts of the interpreted one.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import msgspec

from bench.proxy.bars import PLAIN, TAP_ALL, TAP_TENTH
from bench.proxy.relay_process import missing
from bench.proxy.targets import Running, Site, Target, launched
from middleware.demo.processes import free_port
from middleware.records.relay import DeploymentMatch, Listener, RelayConfig, Tap, UpstreamTarget

__all__ = ["CONTROL_RATE", "relay", "variants"]

CONTROL_RATE = 100
_INTERPRETED = "relay, interpreted"
_ABLATED_LOADS = frozenset({"json c=64", "json c=64 varied", "sse 50x50/s"})


def variants() -> tuple[list[Target], list[str]]:
    """All variants, and why some are left out. Those with a cost left out run only the loads on which a bar stands."""
    found = [
        Target(PLAIN, relay(tap=0.0, control=None)),
        Target(TAP_TENTH, relay(tap=0.1, control=CONTROL_RATE)),
        Target(TAP_ALL, relay(tap=1.0, control=CONTROL_RATE)),
        Target(_INTERPRETED, relay(tap=0.0, control=None, compiled=False)),
    ]
    skipped = []
    for ablation, what in (("strict", "strict checks off"), ("metrics", "metrics off")):
        name = f"{_INTERPRETED}, {what}"
        if gone := missing(ablation):
            skipped.append(f"{name}: the relay no longer has {', '.join(gone)}")
            continue
        start = relay(tap=0.0, control=None, compiled=False, ablation=ablation)
        found.append(Target(name, start, _ABLATED_LOADS, streams=False))
    return found, skipped


def relay(
    *, tap: float, control: int | None, compiled: bool = True, ablation: str = "none"
) -> Callable[[Site], AbstractContextManager[Running]]:
    """How to start the relay. tap: share of exchanges; control: rate of the stand-in in exchanges/s, None for none.

    compiled: as installed from a wheel; else as the sources.

    Its cost is that of the relay process alone; the stand-in's is told beside it.
    """

    @contextmanager
    def start(site: Site) -> Iterator[Running]:
        port = free_port(0)
        config = RelayConfig(
            upstream=UpstreamTarget("http", "127.0.0.1", site.upstream),
            listeners=(Listener("127.0.0.1", port),),
            tap=Tap(rate=tap, busy_share=0.0),  # at its limit too: what the tap costs is what is measured
            deployments=(DeploymentMatch("default", tapped=tap > 0),),
        )
        path = site.folder / f"relay-{port}.json"
        path.write_bytes(msgspec.json.encode(config))
        rate = "none" if control is None else str(control)
        command = [sys.executable, "-P", "-m", "bench.proxy.relay_process", str(path), rate, ablation]
        environment = site.installed() if compiled else {}
        with launched(command, port, own_process=True, environment=environment) as running:
            yield running

    return start

"""What probing costs the relay: a real `eqwatch serve` with probes on against one with probes off, in paired rounds.

    python -P -m bench.proxy.probes [--pairs 12] [--apart] [--markdown docs/performance.md]

Each sidecar is the whole product with store, metrics and control process; probes are those of the local anchor, so that
no call competes for the processors. Relay and control share one processor; with --apart control has that of the load
generator, as on a machine where there is another one to put it on. A second sidecar with probes off shows what two
equal ones differ by: the noise. Cost is the CPU time of the relay process; control's is told beside it, and how many
turns were probed meanwhile.
"""

import argparse
import random
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from bench.proxy import account, machine
from bench.proxy.figures import Change, paired_change, spread
from bench.proxy.loads import Load
from bench.proxy.measure import Sample, measure
from bench.proxy.native import CLIENT_CPU, missing_tools
from bench.proxy.page import put_section
from bench.proxy.session import Session, session
from bench.proxy.targets import Running, Site, launched
from middleware.demo.processes import eqwatch_command, free_port

__all__ = ["LOADS", "OFF", "VARIANTS", "Found", "as_markdown", "compared", "main"]

OFF = "probes off"
_AGAIN = "probes off, again"
# Long enough that how a load begins, which is met by some probing before the relay is found busy, weighs little.
LOADS = (Load("json c=64", 64, 12.0, 0.5), Load("json 1000/s", 64, 4.0, 1.0, rate=1000))
VARIANTS: Mapping[str, float | None] = {OFF: None, _AGAIN: None, "sample_rate 0.1": 0.1, "sample_rate 1.0": 1.0}
"""Share of conversations that is probed, by the sidecar's name; None: no deployment, so that nothing is."""

BEGIN, END = "<!-- probes bench: generated below this line -->", "<!-- probes bench: generated above this line -->"
_PROBED = """
[[deployments]]
name = "bench"
kind = "companion"
purpose = "measure what probing costs the relay"
anchor_only = true
sample_rate = {rate}
match = {{ paths = ["/v1"] }}
"""
_READY_SECONDS = 120.0


@dataclass(slots=True)
class Found:
    """Samples by load and sidecar, in the order of the rounds; seconds and probed turns of each sidecar under load."""

    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    probed: dict[str, float] = field(default_factory=dict)

    def pairs(self, load: str, name: str) -> list[tuple[Sample, Sample]]:
        """Rounds in which neither the sidecar with probes off nor this one failed."""
        both = zip(self.samples.get((load, OFF), []), self.samples.get((load, name), []), strict=True)
        return [(off, on) for off, on in both if not off.failure and not on.failure]

    def change(self, load: str, name: str, take: Callable[[Sample], float]) -> Change | None:
        """Change of a measure from probes off, over pairs; None for fewer than two."""
        pairs = [(take(off), take(on)) for off, on in self.pairs(load, name)]
        pairs = [(off, on) for off, on in pairs if off > 0 and on > 0]
        return paired_change(*zip(*pairs, strict=True)) if len(pairs) > 1 else None


def compared(
    run: Session,
    loads: Sequence[Load],
    rounds: int,
    variants: Mapping[str, float | None] = VARIANTS,
    *,
    apart: bool = False,
) -> Found:
    """Every round gives each load to each sidecar, in a new random order. apart: control is not on the relay's CPU."""
    found = Found(seconds=dict.fromkeys(variants, 0.0), probed=dict.fromkeys(variants, 0.0))
    with ExitStack() as stack:
        sidecars = {name: stack.enter_context(_sidecar(run.site, rate)) for name, rate in variants.items()}
        if apart:
            for running, _ in sidecars.values():
                account.pin(running.others(), CLIENT_CPU)
        for number in range(1, rounds + 1):
            for load in loads:
                run.tell(f"round {number} of {rounds}: {load.name}")
                for name in run.rng.sample(list(variants), len(variants)):
                    running, admin = sidecars[name]
                    probed, began = _scored(admin), time.monotonic()
                    sample = measure(run.native, run.mock, load, running)
                    found.seconds[name] += time.monotonic() - began
                    found.probed[name] += _scored(admin) - probed
                    found.samples.setdefault((load.name, name), []).append(sample)
                    if sample.failure:
                        run.tell(f"{name}: {sample.failure}")
    return found


@contextmanager
def _sidecar(site: Site, rate: float | None) -> Iterator[tuple[Running, str]]:
    """The relay process as a target, and the address of the sidecar's admin listener."""
    port, admin = free_port(0), free_port(0)
    folder = site.folder / f"sidecar-{port}"
    folder.mkdir()
    (folder / "eqwatch.toml").write_text("" if rate is None else _PROBED.format(rate=rate))
    command = eqwatch_command(
        *("serve", "--upstream", f"http://127.0.0.1:{site.upstream}", "--listen", f"127.0.0.1:{port}"),
        *("--admin-listen", f"127.0.0.1:{admin}", "--data-dir", str(folder / "data")),
        *("--config", str(folder / "eqwatch.toml")),
    )
    with launched(command, port, own_process=True, environment=site.installed()) as running:
        address = f"http://127.0.0.1:{admin}"
        _until_ready(address)
        yield running, address


def _until_ready(address: str) -> None:
    end = time.monotonic() + _READY_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/-/ready", timeout=5):  # noqa: S310 - loopback
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"{address} was not ready within {_READY_SECONDS:.0f} s")


def _scored(address: str) -> float:
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:  # noqa: S310 - loopback
        lines = answer.read().decode().splitlines()
    counts = [line for line in lines if line.startswith("eqwatch_probe_conversations_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in counts if 'outcome="scored"' in line)


def as_markdown(found: Found, head: str) -> str:
    """What the page shows."""
    lines = [head, ""]
    lines += ["| load | sidecar | relay's CPU µs per request | change | change of p50 | control's CPU µs | errors |"]
    lines += ["| --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    loads = dict.fromkeys(load for load, _ in found.samples)
    for load, name in product(loads, found.seconds):
        samples = found.samples[load, name]
        whole = [sample for sample in samples if not sample.failure]
        cost, beside = (spread([getattr(s, key) or 0.0 for s in whole]) for key in ("cpu_us", "control_us"))
        wrong = sum(int(s.figures["errors"] + s.figures["stalled"]) for s in whole) + len(samples) - len(whole)
        told = "-" if cost is None else f"{cost.median:.1f} ({cost.low:.1f}..{cost.high:.1f})"
        cpu, p50 = "-", "-"
        if name != OFF:
            cpu = _percent(found.change(load, name, lambda s: s.cpu_us or 0.0))
            p50 = _percent(found.change(load, name, lambda s: s.figures["p50_us"]))
        lines.append(f"| {load} | {name} | {told} | {cpu} | {p50} | {beside.median if beside else 0:.1f} | {wrong} |")
    rates = (f"{name}: {found.probed[name] / seconds:.1f}" for name, seconds in found.seconds.items())
    return "\n".join([*lines, "", f"Turns probed per second under load: {'; '.join(rates)}."])


def _percent(change: Change | None) -> str:
    return "-" if change is None else f"{change.percent:+.1f} % ({change.low:+.1f}..{change.high:+.1f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show and write; the exit code is 1 if there were errors, whatever the figures say."""
    parser = argparse.ArgumentParser(prog="python -P -m bench.proxy.probes", description="Probes on against off.")
    parser.add_argument("--pairs", type=int, default=12, help="rounds, each with every sidecar (default 12)")
    parser.add_argument("--seed", type=int, default=1, help="of the order within a round")
    parser.add_argument("--markdown", type=Path, help="put the table between the markers of this page")
    parser.add_argument("--apart", action="store_true", help="control on the load generator's CPU, not the relay's")
    options = parser.parse_args(arguments)
    if missing := missing_tools():
        raise SystemExit(f"needs {' and '.join(missing)} on the PATH")
    with session([], random.Random(options.seed), lambda line: print(line, file=sys.stderr)) as run:
        found = compared(run, LOADS, options.pairs, apart=options.apart)
    told = machine.describe()
    head = (
        f"`python -P -m bench.proxy.probes --pairs {options.pairs} --seed {options.seed}"
        f"{' --apart' if options.apart else ''}`, "
        f"{time.strftime('%Y-%m-%d')}, {told.cpus} x {told.cpu}, Python {told.python}. Median and range over "
        f"{options.pairs} rounds; changes are from `{OFF}` in the same round, with 95 % intervals."
    )
    page = as_markdown(found, head)
    print(page)
    if options.markdown:
        put_section(options.markdown, page, begin=BEGIN, end=END)
    failed = [sample for samples in found.samples.values() for sample in samples if sample.failure]
    return 1 if failed or any(s.figures["errors"] for samples in found.samples.values() for s in samples) else 0


if __name__ == "__main__":
    sys.exit(main())

"""One load on one target: cost, latency and how quiet the machine was; and rounds of them in random order."""

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.proxy import account
from bench.proxy.loads import Load
from bench.proxy.native import LoadError, Mock, Native, finish_load
from bench.proxy.targets import Running

__all__ = ["DIRECT", "Sample", "measure", "run_rounds"]

DIRECT = "direct"
"""Name under which the mock itself is measured, without a proxy."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement. unit: requests or chunks of the whole run, warm-up included, as is the CPU.

    cpu_us: microseconds per unit of the proxy; control_us: of the processes told separately. foreign: CPUs that were
    busy with something else during the run. figures: as told by the load generator.
    """

    target: str
    load: str
    round: int
    cpu_us: float | None
    control_us: float | None
    foreign: float
    figures: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""


def measure(
    native: Native,
    mock: Mock,
    load: Load,
    running: Running | None,
    meanwhile: Callable[[], None] | None = None,
) -> Sample:
    """Run the load and account for it. meanwhile: called once the load generator runs; may block as long as that."""
    pids = running.pids() if running else []
    others = running.others() if running else []
    started = time.monotonic()
    busy, mocked = account.machine_busy_us(), account.cpu_us([mock.pid])
    own, side = account.cpu_us(pids), account.cpu_us(others)
    process = native.start_load(load, running.port if running else mock.port)
    try:
        if meanwhile:
            meanwhile()
        figures = finish_load(process, load)
    except LoadError as failure:
        return Sample("", load.name, 0, None, None, 0.0, failure=str(failure))
    own = account.cpu_us(pids) - own
    side = max(0.0, account.cpu_us(others) - side)  # a killed process takes its account with it
    mocked = account.cpu_us([mock.pid]) - mocked
    elapsed = (time.monotonic() - started) * 1e6
    ours = own + side + mocked + figures["cpu_seconds"] * 1e6
    units = max(1.0, figures["chunks" if load.per_chunk else "requests"])
    foreign = max(0.0, account.machine_busy_us() - busy - ours) / elapsed
    cost, beside = (own / units, side / units) if running else (None, None)
    return Sample("", load.name, 0, cost, beside if others else None, round(foreign, 3), figures)


def run_rounds(
    rounds: int,
    todo: Sequence[Load],
    names: Iterable[str],
    one: Callable[[str, Load, int], Sample | None],
    rng: random.Random,
) -> list[Sample]:
    """Every round visits each load, and for each load the targets in a new random order."""
    names = list(names)
    samples = []
    for number in range(1, rounds + 1):
        for load in todo:
            for name in rng.sample(names, len(names)):
                sample = one(name, load, number)
                if sample is not None:
                    samples.append(sample)
    return samples

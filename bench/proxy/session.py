"""One run of the bench: starts the targets, goes through the rounds, and fills a report."""

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.product import install_compiled
from bench.proxy import streams
from bench.proxy.faults import run_faults
from bench.proxy.loads import Load
from bench.proxy.measure import DIRECT, Sample, measure, run_rounds
from bench.proxy.native import Mock, Native, compile_native
from bench.proxy.report import Report
from bench.proxy.targets import Running, Site, StartError, Target

__all__ = ["Session", "session"]


@dataclass(slots=True)
class Session:
    """The mock is up; the parts of a run can be done in any order. tell: one line about what is being done."""

    native: Native
    mock: Mock
    site: Site
    targets: Sequence[Target]
    rng: random.Random
    tell: Callable[[str], None]

    def streams(self, report: Report, tries: int) -> None:
        """Memory per open stream and cancellation, each try on freshly started targets."""
        for number in range(1, tries + 1):
            for target in self.rng.sample(list(self.targets), len(self.targets)):
                if not target.streams:
                    continue
                self.tell(f"open streams, try {number} of {tries}: {target.name}")
                try:
                    with target.start(self.site) as running:
                        self._one_stream_try(report, target.name, running)
                except StartError as error:
                    self._leave_out(report, target.name, error)

    def _one_stream_try(self, report: Report, name: str, running: Running) -> None:
        self.native.run_load(Load("first requests", 4, 2.0, 0.0), running.port)  # some proxies load code at their first
        self.native.run_load(Load("first streams", 4, 2.0, 0.0, stream=True, wish="chunks=5"), running.port)
        streamed = streams.cancelled(self.mock, running.port, stream=True)
        report.streamed.setdefault(name, []).append(streamed)
        report.waiting.setdefault(name, []).append(streams.cancelled(self.mock, running.port, stream=False))
        try:
            kib = streams.open_stream_kib(self.native, running)
        except RuntimeError as error:
            self.tell(f"{name}: {error}")
            return
        report.memory.setdefault(name, []).append(kib)

    def _leave_out(self, report: Report, name: str, error: StartError) -> None:
        self.tell(f"{name}: {error}")
        reason = f"{name}: it did not start"
        if reason not in report.skipped:
            report.skipped.append(reason)

    def rounds(self, report: Report, rounds: int, loads: Sequence[Load]) -> None:
        """All loads on all targets, interleaved."""
        wanted = {target.name: target.loads for target in self.targets}
        with ExitStack() as stack:
            running: dict[str, Running | None] = {DIRECT: None}
            for target in self.targets:
                self.tell(f"starting {target.name}")
                try:
                    running[target.name] = stack.enter_context(target.start(self.site))
                except StartError as error:
                    self._leave_out(report, target.name, error)

            def one(name: str, load: Load, number: int) -> Sample | None:
                only = wanted.get(name)
                if only and load.name not in only:
                    return None
                self.tell(f"round {number} of {rounds}: {load.name}, {name}")
                sample = measure(self.native, self.mock, load, running[name])
                if sample.failure:
                    self.tell(f"{name}: {sample.failure}")
                return replace(sample, target=name, round=number)

            report.samples += run_rounds(rounds, loads, running, one, self.rng)

    def faults(self, report: Report, rounds: int) -> None:
        """The relay with control killed, stopped and never granting."""
        report.faults += run_faults(self.native, self.mock, self.site, rounds, self.rng, self.tell)


@contextmanager
def session(
    targets: Sequence[Target], rng: random.Random, tell: Callable[[str], None], *, product: Path | None = None
) -> Iterator[Session]:
    """Compile the C parts into a temporary folder and start the mock; gone after the block.

    product: what `install_compiled` made elsewhere; else it is made in that folder as well.
    """
    with tempfile.TemporaryDirectory(prefix="proxy-bench-") as name:
        native = compile_native(Path(name))
        if product is None:
            tell("compiling the relay")
            product = install_compiled(Path(name) / "installed")
        with native.mock() as mock:
            yield Session(native, mock, Site(native.folder, mock.port, product), targets, rng, tell)

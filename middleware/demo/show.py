"""The five steps of the demonstration, each of which says what is real in it and has to show something."""

import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from middleware.demo import data
from middleware.demo.admin_client import AdminClient
from middleware.demo.conversations import PlayedTurn, play
from middleware.demo.model_server import MODEL_NAME
from middleware.demo.probes import ProbeTable, collect_probes
from middleware.demo.processes import Child, eqwatch_command, free_port, running
from middleware.demo.upgrade import Moment, switch_models, watch_upgrade
from middleware.store import Store

__all__ = ["Demo", "Sidecar", "addresses"]

DEPLOYMENTS = ("marketing", "tutoring", "companion")
_READY_SECONDS = 60.0
_UPGRADE_SECONDS = 120.0
_PROBE_SECONDS = 240.0
_SCRIPTED_NAME = "scripted-assistant"
_LEAST_SCORED = 0.8
_DATA_PORT, _ADMIN_PORT = 8080, 8081
_ITEMS = 12
_TURNS = 3


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A running ``eqwatch serve`` of the demonstration."""

    data: str
    admin: AdminClient


class Demo:
    """Owns the processes: they end with the stack. folder: for stores and logs."""

    def __init__(self, stack: ExitStack, folder: Path, console: Console) -> None:
        self._stack = stack
        self._folder = folder
        self._console = console
        self.model_url = ""

    def start(self) -> Sidecar:
        """Step 1: the real model, and the sidecar in front of it."""
        self._step(1, "A real model, and eqwatch in front of it")
        command = [sys.executable, "-P", "-m", "middleware.demo.model_server"]
        self.model_url = self._child("model-server", command).ready(_READY_SECONDS)[0]
        self._say(f"real: llama.cpp with {MODEL_NAME}, 135 million parameters, on {self.model_url}")
        sidecar = self.serve("sidecar", self.model_url, _PROBES, ports=(_DATA_PORT, _ADMIN_PORT))
        self._say(
            f"real: eqwatch serve --upstream {self.model_url}, data on {sidecar.data}, admin on {sidecar.admin.url}"
        )
        return sidecar

    def serve(self, name: str, upstream: str, config: str, *, ports: tuple[int, int]) -> Sidecar:
        """Start a sidecar with this configuration file, on these ports (data, admin) where they are free."""
        folder = self._folder / name
        folder.mkdir()
        (folder / "eqwatch.toml").write_text(config, encoding="utf-8")
        chosen = free_port(ports[0]), free_port(ports[1])
        for got, wanted in zip(chosen, ports, strict=True):
            if wanted not in {0, got}:
                self._say(f"port {wanted} is taken: using {got}")
        command = eqwatch_command(
            *("serve", "--upstream", upstream, "--data-dir", str(folder / "data")),
            *("--config", str(folder / "eqwatch.toml")),
            *("--listen", f"127.0.0.1:{chosen[0]}", "--admin-listen", f"127.0.0.1:{chosen[1]}"),
        )
        # A local model wants no key; that one is set says that the operator agrees to calls of eqwatch's own.
        child = self._child(name, command, EQWATCH_UPSTREAM_API_KEY="demo-operator-key")
        host, port = child.ready(_READY_SECONDS)
        admin = AdminClient(f"http://127.0.0.1:{chosen[1]}")
        admin.wait_until_healthy(_READY_SECONDS)
        return Sidecar(f"http://{host}:{port}", admin)

    def benchmark(self) -> bool:
        """Step 2: a batch of bundled items, by the same command that anybody uses; whether it has outcomes."""
        self._step(2, f"EQ-Bench-style items against the real model ({_ITEMS} of the bundled starter set)")
        folder = self._folder / "run"
        arguments = (
            *("run", "--upstream", self.model_url, "--model", MODEL_NAME, "--items", "starter"),
            *("--limit", str(_ITEMS), "--concurrency", "2"),
        )
        self._console.print(f"[dim]$ eqwatch {' '.join(arguments)}[/]", highlight=False)
        subprocess.run(eqwatch_command(*arguments, "--data-dir", str(folder)), check=True)  # noqa: S603
        self._say("real model, real failures: one this small rarely keeps to the format. The score means nothing yet;")
        self._say("the same command with --upstream URL --model NAME (and EQWATCH_UPSTREAM_API_KEY) runs it on yours.")
        return _saved_outcomes(folder) == _ITEMS

    def conversations(self, sidecar: Sidecar, *, every: bool) -> bool:
        """Step 3: conversations through the relay, probed; whether at least 80 % of the probes are scored."""
        self._step(3, "Conversations of three deployments through the proxy, probed")
        self._say("scripted: what the users say (examples/conversations). real: the SDK, the proxy, every answer.")
        played: list[PlayedTurn] = []
        for number, deployment in enumerate(DEPLOYMENTS):
            scripted = data.conversations(deployment)
            # One of each kind: the first of a deployment is streamed, the second is not.
            for conversation in scripted[:2] if every else scripted[number % 2 : number % 2 + 1]:
                self._say(
                    f"[bold]{deployment}[/]: {conversation.title} ({'streamed' if conversation.stream else 'whole'})"
                )
                played += play(f"{sidecar.data}/v1", MODEL_NAME, conversation, turns=_TURNS, told=self._show_turn)
        self._say(f"waiting for the probes of {len(played)} turns, {_PROBE_SECONDS:.0f} s at most")
        table = collect_probes(sidecar.admin, DEPLOYMENTS, expected=len(played), seconds=_PROBE_SECONDS)
        self._console.print(table.rendered())
        self._say("the intensities are the small model's own reading of the users: real answers, little insight.")
        return self._enough(table)

    def _show_turn(self, turn: PlayedTurn) -> None:
        answer = " ".join(turn.reply.split())
        kind = f"{turn.chunks} chunks" if turn.chunks else "one piece"
        for line in (
            f"  [cyan]user [/] {escape(turn.user)}",
            f"  [green]model[/] [dim]({kind})[/] {escape(answer)}",
        ):
            self._console.print(line, highlight=False, no_wrap=True, overflow="ellipsis")

    def _enough(self, table: ProbeTable) -> bool:
        share = table.scored_share
        self._say(f"{table.scored} of {table.probes} probes scored ({share:.0%}): {table.outcomes_in_words}")
        enough = share >= _LEAST_SCORED and set(table.deployments) == set(DEPLOYMENTS)
        if not enough:
            self._say(
                f"[bold red]not enough[/]: this step wants {_LEAST_SCORED:.0%} scored, in each deployment. Timeouts "
                "mean that this machine is too busy for the model: try again when it is not."
            )
        return enough

    def upgrade(self) -> tuple[bool, Sidecar]:
        """Step 4: a weaker model behind the same name; whether the regression became visible."""
        self._step(4, "An upgrade that makes it worse")
        replay = [f"{_SCRIPTED_NAME}={data.replay_file(name)}" for name in ("scripted-strong", "scripted-weak")]
        command = eqwatch_command(
            *("fake-upstream", "--port", "0", "--items", "starter", "--noise", "low"),
            *("--replay", replay[0], "--replay", replay[1]),
        )
        upstream = self._child("scripted-upstream", command).ready(_READY_SECONDS)[0]
        self._say(
            "scripted: both models (their answers come from files). real: benchmark, baseline, detection, metrics."
        )
        sidecar = self.serve("upgrade", upstream, _UPGRADE, ports=(0, 0))
        self._say("a baseline is made: five passes over the 24 starter items")
        self._say("regression metric: eqwatch_bench_regression_cusum_ratio; 1 is its alarm limit")
        before = watch_upgrade(
            sidecar.admin,
            reached=lambda m: m.state == "fine" and m.ratio is not None,
            seconds=_UPGRADE_SECONDS,
            told=self._show_moment,
        )
        switch_models(upstream)
        self._say("[bold]now the weaker model answers, behind the same name[/]")
        after = watch_upgrade(
            sidecar.admin, reached=lambda m: m.state == "regressed", seconds=_UPGRADE_SECONDS, told=self._show_moment
        )
        return _rose(before, after), sidecar

    def _show_moment(self, moment: Moment) -> None:
        ratio = "" if moment.ratio is None else f"{moment.ratio:5.2f} [red]{'█' * min(30, round(moment.ratio * 10))}[/]"
        score = "" if moment.score is None else f"score {moment.score:5.1f}"
        self._console.print(f"  {moment.state:14} {score:12} regression metric {ratio}", highlight=False)

    def _child(self, name: str, command: Sequence[str], **environment: str) -> Child:
        child = Child(name, command, log=self._folder / f"{name}.log", environment=environment)
        return self._stack.enter_context(running(child))

    def _step(self, number: int, title: str) -> None:
        self._console.rule(f"[bold]{number}. {title}", align="left")

    def _say(self, text: str) -> None:
        self._console.print(text, highlight=False)


def addresses(sidecars: Sequence[tuple[str, Sidecar]]) -> str:
    """Where to look now, one line each: addresses have to stay whole to be clicked."""
    lines = []
    for name, sidecar in sidecars:
        lines += [
            f"[bold]{name}[/]",
            f"  status page   {sidecar.admin.url}/",
            f"  metrics       {sidecar.admin.url}/metrics",
            f"  SDK base URL  {sidecar.data}/v1",
        ]
    return "\n".join(lines)


def _saved_outcomes(folder: Path) -> int:
    with Store(f"sqlite:///{folder / 'eqwatch.db'}") as store:
        runs = store.runs(limit=1)
        return sum(1 for result in store.item_results(runs[0].id) if result.outcome) if runs else 0


def _rose(before: Sequence[Moment], after: Sequence[Moment]) -> bool:
    """The baseline stood, and the metric rose from under its limit until the incident opened."""
    if not before or before[-1].ratio is None or not after:
        return False
    return before[-1].ratio < 1.0 and after[-1].state == "regressed"


_PROBES = """
[probe]
timeout_seconds = 180
""" + "".join(
    f"""
[[deployments]]
name = "{name}"
kind = "{name}"
purpose = "demonstration of the probes"
sample_rate = 1.0
"""
    for name in DEPLOYMENTS
)
_UPGRADE = f"""
[benchmark]
model = "{_SCRIPTED_NAME}"
items = ["starter"]
batch = 6
interval = "500ms"
commissioning_passes = 5
concurrency = 8
"""

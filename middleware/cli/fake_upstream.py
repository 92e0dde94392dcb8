"""`eqwatch fake-upstream`: an OpenAI-compatible server that answers from recordings and scripts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from middleware.cli.options import DataDir, data_dir_of
from middleware.errors import ConfigurationError

if TYPE_CHECKING:
    from middleware.benchmark.fake_upstream import Noise, Stages

__all__ = ["fake_upstream"]


def fake_upstream(
    items: Annotated[
        list[str] | None, typer.Option(help="Item set whose prompts are recognised, a name or a file; repeats.")
    ] = None,
    replay: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL=FILE", help="Recorded answers of a model; repeats. Two behind one name: an upgrade."
        ),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free port.")] = 8000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    switch_after: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="When the second recording of a name takes over.")
    ] = None,
    latency: Annotated[float, typer.Option(min=0, metavar="MS", help="Time before each answer.")] = 0,
    chunk_delay: Annotated[float, typer.Option(min=0, metavar="MS", help="Time between the words of a stream.")] = 0,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KIND[:HOW]",
            help="429, 500, 503, reset, hang, slow, malformed-sse, truncated, empty, refusal or cut-off; HOW is a "
            "share (0.1) or every=N,first=N,share=X,seconds=S; repeats.",
        ),
    ] = None,
    script: Annotated[Path | None, typer.Option(help="JSON rules for everything that is no recorded prompt.")] = None,
    noise: Annotated[str | None, typer.Option(metavar="low|mid|high", help="Jitter on the recorded answers.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of faults and noise.")] = 0,
    fingerprint: Annotated[
        str, typer.Option(help="System fingerprint of every answer; default: one of each recording's own.")
    ] = "",
    data_dir: DataDir = None,
) -> None:
    """Serve recorded answers as if the model were there: for dry runs, demos and tests.

    Prints `ready http://127.0.0.1:PORT/v1` once it answers. A benchmark prompt gets the model's recorded answer, one
    without a recording gets prose without numbers, and anything else gets an answer from the script.

    Example: eqwatch fake-upstream --port 9000 --items eqbench-v2 --replay gpt-4=answers.json --latency 200
    """
    # Imported here, so that the other commands start without a web framework.
    from middleware.benchmark.fake_upstream import (
        DEFAULT_SCRIPT,
        FakeUpstream,
        FaultPlan,
        PromptBook,
        create_app,
        parse_fault,
        read_script,
        serve_app,
    )
    from middleware.benchmark.item_sets import load

    fake = FakeUpstream(
        book=PromptBook(load(name, data_dir_of(data_dir)) for name in items or ()),
        stages=_stages(replay or [], switch_after),
        script=read_script(script) if script else DEFAULT_SCRIPT,
        noise=_noise(noise, seed),
        faults=FaultPlan(tuple(parse_fault(spec) for spec in fault or ()), seed=seed),
        latency=latency / 1000,
        chunk_delay=chunk_delay / 1000,
        fingerprint=fingerprint,
    )
    serve_app(create_app(fake), host=host, port=port, ready=lambda url: print(f"ready {url}", flush=True))


def _stages(replay: list[str], switch_after: float | None) -> "Stages":
    from middleware.benchmark.fake_upstream import Recording, Stages, read_recording

    recordings: dict[str, list[Recording]] = {}
    for entry in replay:
        model, separator, file = entry.partition("=")
        if not separator or not model or not file:
            raise ConfigurationError(f"--replay {entry}: write MODEL=FILE, such as gpt-4=answers.json")
        recordings.setdefault(model, []).append(read_recording(Path(file)))
    return Stages(recordings, switch_after=switch_after)


def _noise(level: str | None, seed: int) -> "Noise | None":
    from middleware.benchmark.fake_upstream import Noise

    match level:
        case None:
            return None
        case "low" | "mid" | "high":
            return Noise(level, seed)
        case _:
            raise ConfigurationError(f"--noise {level}: choose low, mid or high")

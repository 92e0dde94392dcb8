"""`eqwatch plan`: what the benchmark will find, how fast and at what cost. A simulation; nothing is asked."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from middleware.benchmark.baselines import content_of, from_document
from middleware.benchmark.estimate import Forecast, earlier_results, forecast
from middleware.benchmark.item_sets import load
from middleware.cli.options import DataDir
from middleware.cli.plan_words import MONTH_DAYS, Outlook, as_json, print_outlook
from middleware.cli.printing import output
from middleware.control.plans import DEFAULT_DEPLOYMENT, benchmark_protocol, subjects, system_prompt_of
from middleware.control.prices import Prices, prices_of
from middleware.errors import ConfigurationError
from middleware.records.benchmark import Protocol
from middleware.settings import Settings, load_settings
from middleware.settings.schema import parse_duration
from middleware.store import Store
from scorer.baseline import Baseline
from scorer.detection import Detector, DetectorConfig
from scorer.detection.prospect import NOISE_RUN_SD, Pace, Prospect, prospect, typical_baseline
from scorer.items import ItemSet

__all__ = ["plan"]

_DAY_SECONDS = 86_400.0
_YEAR_DAYS = 365.25
_POINTS = (0.5, 1.0, 2.0, 5.0)


def plan(
    items: Annotated[str | None, typer.Option(help="Item set; default: the first one of \\[benchmark].")] = None,
    baseline: Annotated[
        str | None, typer.Option(metavar="ID|FILE", help="Baseline to plan with; default: the one in force.")
    ] = None,
    noise: Annotated[str | None, typer.Option(metavar="low|mid|high", help="Plan without a baseline.")] = None,
    deployment: Annotated[str, typer.Option(help="Deployment that is planned for.")] = DEFAULT_DEPLOYMENT,
    batch: Annotated[int | None, typer.Option(min=1, max=1000, help="Items per batch; default: as configured.")] = None,
    interval: Annotated[
        str | None, typer.Option(help="Time between batches, such as 1h; default: as configured.")
    ] = None,
    suspected_interval: Annotated[str | None, typer.Option(help="The same while a fall is suspected.")] = None,
    false_alarms: Annotated[
        float | None, typer.Option(min=0.001, max=52, help="False pages a year that this detector may give.")
    ] = None,
    points: Annotated[
        list[float] | None, typer.Option(min=0.1, max=100, help="Fall to look for, in points; repeats.")
    ] = None,
    price_prompt: Annotated[
        float | None, typer.Option(min=0, metavar="MONEY", help="Per million prompt tokens; default: as configured.")
    ] = None,
    price_completion: Annotated[
        float | None, typer.Option(min=0, metavar="MONEY", help="Per million completion tokens.")
    ] = None,
    tokens_per_day: Annotated[int | None, typer.Option(min=1, help="Token budget of a day.")] = None,
    installations: Annotated[int, typer.Option(min=20, max=2000, help="How many to simulate.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulation.")] = 0,
    as_json_: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    data_dir: DataDir = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file; default: eqwatch.toml if there.")] = None,
) -> None:
    """Say what drop would be detected, how fast and at what cost a month, at your measured noise.

    Simulated on the baseline in force, on `--baseline`, or at a known level of noise. The same seed gives the same
    figures.

    Example: eqwatch plan --noise mid --interval 30m --price-prompt 2.5 --price-completion 10
    """
    settings = load_settings(config, {"data_dir": data_dir} if data_dir is not None else {})
    item_set = load(items or settings.benchmark.items[0], settings.data_dir)
    system_prompt = system_prompt_of(settings)
    protocol = benchmark_protocol(settings, item_set, system_prompt)
    asked = _Asked(settings, item_set, protocol, system_prompt, deployment)
    frozen, origin = _baseline(asked, baseline, noise, seed)
    size = min(batch or settings.benchmark.batch, frozen.size)
    usual = _duration("--interval", interval) or settings.benchmark.interval
    quick = _duration("--suspected-interval", suspected_interval) or (
        usual / 4 if interval is not None else settings.benchmark.interval_when_suspected
    )
    watched = max(1, sum(len(sets) for _, _, sets in subjects(settings)))
    rate = false_alarms or settings.detection.false_alarms_per_year / watched
    cap = tokens_per_day or settings.budget.tokens_per_day
    cost = _cost(asked)
    usual, quick, stretched = _affordable(usual, quick, size, cost, cap)
    pace = Pace(usual.total_seconds() / _DAY_SECONDS, quick.total_seconds() / _DAY_SECONDS)
    found = _simulated(frozen, size, rate, pace, tuple(points or _POINTS), installations, seed)
    outlook = Outlook(
        origin=origin,
        item_set=item_set.name,
        items=frozen.size,
        run_sd_points=frozen.run_sd_points,
        batch=size,
        interval=usual,
        suspected_interval=quick,
        stretched_by_budget=stretched,
        false_alarms_per_year=rate,
        most_days=pace.most_batches * pace.interval_days,
        installations=installations,
        prospects=found,
        month=cost,
        calls_per_month=MONTH_DAYS / pace.interval_days * size,
        prices=_prices(settings, price_prompt, price_completion),
    )
    if as_json_:
        print(json.dumps(as_json(outlook), ensure_ascii=False, allow_nan=False))
    else:
        print_outlook(outlook, output())


@dataclass(frozen=True, slots=True)
class _Asked:
    settings: Settings
    item_set: ItemSet
    protocol: Protocol
    system_prompt: str
    deployment: str

    @property
    def model(self) -> str:
        """That of the deployment, empty where none is configured."""
        return next((model for name, model, _ in subjects(self.settings) if name == self.deployment), "")


def _baseline(asked: _Asked, named: str | None, noise: str | None, seed: int) -> tuple[Baseline, str]:
    """The baseline to simulate on, and where it is from. Raises ConfigurationError."""
    if named is not None and noise is not None:
        raise ConfigurationError("--baseline and --noise exclude one another: keep one")
    if noise is not None:
        if noise not in NOISE_RUN_SD:
            raise ConfigurationError(f"--noise {noise}: choose {', '.join(NOISE_RUN_SD)}")
        return _typical(asked, noise, seed), f"{noise} noise, assumed"
    if named is not None and not named.isdigit():
        try:
            text = Path(named).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"--baseline {named} can't be read: {error}") from None
        return content_of(from_document(text, named)), f"baseline in {named}"
    with Store(asked.settings.store_url) as store:
        record = (
            store.baseline(int(named))
            if named is not None
            else store.baseline_in_force(asked.deployment, asked.protocol.key)
        )
    if record is None and named is not None:
        raise ConfigurationError(f"no baseline has the id {named}: see eqwatch baseline list")
    if record is None:
        return _typical(asked, "mid", seed), "mid noise, assumed: no baseline is in force for this item set yet"
    return content_of(record), f"baseline {record.id} ({record.model}), as measured"


def _typical(asked: _Asked, noise: str, seed: int) -> Baseline:
    return typical_baseline(noise, len(asked.item_set.items), np.random.default_rng(seed))


def _duration(option: str, value: str | None) -> timedelta | None:
    if value is None:
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ConfigurationError(f"{option} {value}: {error}") from None


def _cost(asked: _Asked) -> Forecast:
    """One pass over the items, from earlier answers where there are any."""
    with Store(asked.settings.store_url) as store:
        earlier = earlier_results(store, asked.deployment, asked.protocol.key, asked.model)
    return forecast(
        asked.item_set,
        asked.item_set.items,
        asked.protocol,
        system_prompt=asked.system_prompt,
        concurrency=1,
        earlier=earlier,
    )


def _affordable(
    usual: timedelta, quick: timedelta, batch: int, one_pass: Forecast, cap: int | None
) -> tuple[timedelta, timedelta, bool]:
    """Both intervals as the day's tokens allow them, and whether they were stretched."""
    if cap is None:
        return usual, quick, False
    tokens = batch * (one_pass.prompt + one_pass.completion) / max(1, one_pass.calls)
    least = timedelta(days=tokens / cap)
    return max(usual, least), max(quick, least), usual < least or quick < least


def _prices(settings: Settings, prompt: float | None, completion: float | None) -> Prices:
    known = prices_of(settings.budget)
    return Prices(
        prompt=known.prompt if prompt is None else prompt,
        completion=known.completion if completion is None else completion,
        currency=known.currency,
    )


def _simulated(
    baseline: Baseline,
    batch: int,
    rate: float,
    pace: Pace,
    points: tuple[float, ...],
    installations: int,
    seed: int,
) -> tuple[Prospect, ...]:
    per_year = _YEAR_DAYS / pace.suspected_days
    config = DetectorConfig(per_year, batch, rate)
    limits = Detector(baseline, config).cusum_limits
    with _progress(len(points) * pace.most_batches) as advance:
        found = []
        for number, fall in enumerate(sorted(points)):
            rng = np.random.default_rng([seed, number])
            at = number * pace.most_batches

            def tell(done: int, at: int = at) -> None:
                advance(at + done)

            found.append(prospect(baseline, config, limits, fall, pace, rng, installations=installations, tell=tell))
            tell(pace.most_batches)  # it ends sooner where all have found the fall
    return tuple(found)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, a line for each quarter elsewhere."""
    console, told = Console(stderr=True), 0
    if not console.is_terminal:

        def plain(done: int) -> None:
            nonlocal told
            if (quarter := done * 4 // total) > told:
                told = quarter
                console.print(f"simulating: {quarter * 25} %", highlight=False, soft_wrap=True)

        yield plain
        return
    columns = (TextColumn("simulating"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done: bar.update(task, completed=done)

"""`eqwatch baseline`: makes, lists, compares, accepts and exports what "as before" means."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from middleware.benchmark.baselines import as_document, content_of, from_document
from middleware.benchmark.item_sets import load
from middleware.cli.baseline_sources import Source, collected
from middleware.cli.baseline_tables import (
    difference_words,
    in_force_ids,
    print_baseline,
    print_commissioning,
    print_list,
    row_of,
)
from middleware.cli.options import DataDir
from middleware.cli.printing import output
from middleware.control.plans import DEFAULT_DEPLOYMENT, benchmark_protocol, subjects, system_prompt_of
from middleware.errors import ConfigurationError
from middleware.records.baseline import BaselineRecord
from middleware.records.event import Event
from middleware.settings import Settings, load_settings
from middleware.store import Store
from scorer.reference import baseline_difference

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What 'as before' means: make, list, compare, accept, export baselines.")

Config = Annotated[Path | None, typer.Option(help="Configuration file; default: eqwatch.toml if there.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Identity = Annotated[int, typer.Argument(min=1, metavar="ID", help="As in `eqwatch baseline list`.")]


@app.command()
def create(
    upstream: Annotated[str | None, typer.Option(help="Chat API: its origin, or the SDK-style base URL.")] = None,
    model: Annotated[str | None, typer.Option(help="Model name to ask; default: as configured.")] = None,
    items: Annotated[str | None, typer.Option(help="Item set; default: the first one of \\[benchmark].")] = None,
    passes: Annotated[int, typer.Option(min=5, max=100, help="Passes over all items; 10 are recommended.")] = 10,
    deployment: Annotated[str, typer.Option(help="Deployment that it is for.")] = DEFAULT_DEPLOYMENT,
    from_store: Annotated[
        bool, typer.Option("--from-store", help="Ask nothing: take the newest passes that are in the store.")
    ] = False,
    run: Annotated[
        list[str] | None, typer.Option(metavar="RUN", help="Ask nothing: take the passes of this run; repeats.")
    ] = None,
    answers: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="Ask nothing: take recorded answers; repeats.")
    ] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Put it in force at once.")] = False,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Calls at once, to begin with.")] = 16,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew where an unfinished one could go on.")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Make a baseline: by asking a model, from runs in the store, or from recorded answers.

    It is asked as \\[benchmark] asks, so that `serve` can compare with it. After Ctrl-C or a crash the same command
    goes on where it was.

    Example: eqwatch baseline create --upstream https://api.example.com/v1 --model my-model --items tutoring --accept
    """
    overrides: dict[str, Any] = {"upstream": {"url": upstream}} if upstream is not None else {}
    settings = _settings(config, data_dir, overrides)
    source = Source(model, items, passes, deployment, from_store, tuple(run or ()), tuple(answers or ()))
    record = collected(source, settings, concurrency=concurrency, fresh=fresh)
    with Store(settings.store_url) as store:
        identity = store.add_baseline(record)
        if accept:
            _put_in_force(store, identity, as_reference=False)
        saved = _found(store, identity)
        if as_json:
            print(json.dumps(row_of(saved, in_force_ids(store)), ensure_ascii=False))
        else:
            print_baseline(saved, in_force_ids(store), output())


@app.command(name="list")
def list_(
    deployment: Annotated[str | None, typer.Option(help="Only of this deployment.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Every baseline with its passes, noise and date; which is in force, and which is the reference of record.

    Example: eqwatch baseline list
    """
    settings = _settings(config, data_dir)
    with Store(settings.store_url) as store:
        records, force = store.baselines(deployment), in_force_ids(store)
        if as_json:
            print(json.dumps([row_of(record, force) for record in records], ensure_ascii=False))
            return
        print_list(records, force, output())
        print_commissioning(settings, store, output())


@app.command()
def show(baseline: Identity, as_json: AsJson = False, data_dir: DataDir = None, config: Config = None) -> None:
    """One baseline: score, noise, days, and what could be better about it.

    Example: eqwatch baseline show 3
    """
    with Store(_settings(config, data_dir).store_url) as store:
        record, force = _found(store, baseline), in_force_ids(store)
        if as_json:
            print(json.dumps(row_of(record, force), ensure_ascii=False))
        else:
            print_baseline(record, force, output())


@app.command()
def compare(
    reference: Annotated[int, typer.Argument(min=1, help="The earlier one.")],
    later: Annotated[int, typer.Argument(min=1, help="The later one.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """How far two baselines are apart, item by item, with a 95 % interval. Other protocols are refused.

    Example: eqwatch baseline compare 1 3
    """
    with Store(_settings(config, data_dir).store_url) as store:
        first, second = _found(store, reference), _found(store, later)
    differences = first.protocol.differences(second.protocol)
    if differences:
        raise ConfigurationError(
            f"baselines {first.id} and {second.id} can't be compared, their protocols differ: {'; '.join(differences)}"
        )
    found = baseline_difference(content_of(first), content_of(second))
    if found is None:
        raise ConfigurationError(f"baselines {first.id} and {second.id} have too few items in common to be compared")
    if as_json:
        figures = {"points": found.points, "lower": found.lower, "upper": found.upper, "items": found.items}
        print(json.dumps({"reference": first.id, "later": second.id, **figures}))
    else:
        output().print(difference_words(first, second, found), highlight=False, soft_wrap=True)


@app.command()
def accept(
    baseline: Identity,
    reference: Annotated[
        bool, typer.Option("--reference", help="Make it the reference of record too, in place of the first one.")
    ] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Put a baseline in force: a running `serve` compares with it from its next batch on.

    Example: eqwatch baseline accept 3
    """
    settings = _settings(config, data_dir)
    with Store(settings.store_url) as store:
        record = _found(store, baseline)
        _require_protocol(record, settings)
        before = store.baseline_in_force(record.deployment, record.protocol.key)
        _put_in_force(store, baseline, as_reference=reference)
        if as_json:
            print(json.dumps(row_of(_found(store, baseline), in_force_ids(store)), ensure_ascii=False))
            return
        console = output()
        print_baseline(_found(store, baseline), in_force_ids(store), console)
        if before is not None and before.id != baseline:
            found = baseline_difference(content_of(before), content_of(record))
            if found is not None:
                console.print(difference_words(before, record, found), highlight=False, soft_wrap=True)


@app.command()
def export(
    baseline: Identity,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; default: print it.")] = None,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """A baseline as one JSON document, for another installation or for `eqwatch plan --baseline FILE`.

    Example: eqwatch baseline export 3 --output baseline.json
    """
    with Store(_settings(config, data_dir).store_url) as store:
        text = json.dumps(as_document(_found(store, baseline)), ensure_ascii=False, indent=1)
    if output is None:
        print(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--output {output} can't be written: {error.strerror}") from None
    typer.echo(f"wrote {output}", err=True)


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="What `eqwatch baseline export` wrote.")],
    deployment: Annotated[str | None, typer.Option(help="Deployment that it is for; default: as exported.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
    config: Config = None,
) -> None:
    """Take in a baseline that another installation exported. It is not in force before it is accepted.

    Example: eqwatch baseline import baseline.json --deployment tutor
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} can't be read: {error}") from None
    record = from_document(text, str(file), deployment=deployment)
    with Store(_settings(config, data_dir).store_url) as store:
        saved, force = _found(store, store.add_baseline(record)), in_force_ids(store)
        if as_json:
            print(json.dumps(row_of(saved, force), ensure_ascii=False))
        else:
            print_baseline(saved, force, output())


def _settings(config: Path | None, data_dir: Path | None, overrides: dict[str, Any] | None = None) -> Settings:
    given = dict(overrides or {})
    if data_dir is not None:
        given["data_dir"] = data_dir
    return load_settings(config, given)


def _found(store: Store, identity: int) -> BaselineRecord:
    record = store.baseline(identity)
    if record is None:
        raise ConfigurationError(f"no baseline has the id {identity}: see eqwatch baseline list")
    return record


def _put_in_force(store: Store, identity: int, *, as_reference: bool) -> None:
    now = time.time()
    record = store.accept_baseline(identity, now, as_reference=as_reference)
    if record is not None:
        baseline = content_of(record)
        details: dict[str, Any] = {"item_set": record.item_set, "model": record.model, "baseline": record.id}
        details |= {"points": baseline.points, "passes": baseline.passes, "days": record.days}
        store.save_event(Event("baseline_accepted", record.deployment, now, details))


def _require_protocol(record: BaselineRecord, settings: Settings) -> None:
    """A baseline that `serve` could not compare with is refused, with what differs."""
    system_prompt = system_prompt_of(settings)
    for deployment, _, sets in subjects(settings):
        for name in sets if deployment == record.deployment else ():
            protocol = benchmark_protocol(settings, load(name, settings.data_dir), system_prompt)
            differences = record.protocol.differences(protocol)
            if protocol.item_set == record.item_set and differences:
                raise ConfigurationError(
                    f"baseline {record.id} can't be compared with what [benchmark] asks, its protocol differs: "
                    f"{'; '.join(differences)}; change the settings back, or make a new baseline"
                )

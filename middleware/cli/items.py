"""`eqwatch items`: which item sets there are, what is in them, and how official ones get here."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from middleware.cli.options import DataDir, data_dir_of
from middleware.cli.printing import output, print_table
from middleware.errors import ItemSetError
from scorer.items import Item, ItemSet
from scorer.prompts import question

__all__ = ["app"]

app = typer.Typer(name="items", no_args_is_help=True, help="Item sets: list, show, check, and get the official ones.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value.")]
SetName = Annotated[str, typer.Argument(metavar="SET", help="A name from `eqwatch items list`, or a file.")]


@app.command("list")
def list_sets(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the item sets that have a name.

    Example: eqwatch items list
    """
    from middleware.benchmark.item_sets import listing

    rows = listing(data_dir_of(data_dir))
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    table = Table()
    for column in ("name", "kind", "items", "version", "language", "here"):
        table.add_column(column, justify="right" if column == "items" else "left")
    for row in rows:
        here = "yes" if row.present else f"no: eqwatch items fetch {row.name}"
        table.add_row(row.name, row.kind, str(row.items), row.version, row.language, here)
    print_table(table)


@app.command()
def show(
    item_set: SetName,
    item_id: Annotated[str | None, typer.Argument(metavar="[ITEM]", help="One item, in full.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Show a set, or one item of it with its prompt and references.

    Example: eqwatch items show tutoring
    """
    from middleware.benchmark.item_sets import load

    loaded = load(item_set, data_dir_of(data_dir))
    if item_id is not None:
        _show_item(loaded, item_id, as_json=as_json)
    elif as_json:
        print(json.dumps(_set_json(loaded) | {"item_ids": [item.id for item in loaded.items]}, ensure_ascii=False))
    else:
        _show_set(loaded)


@app.command()
def check(item_set: SetName, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Check a set: that it can be read, and that nothing in it would trip a reader of the answers.

    Exit code 1 if there are problems.

    Example: eqwatch items check my-items.json
    """
    from middleware.benchmark.item_sets import find_problems, load

    loaded = load(item_set, data_dir_of(data_dir))
    problems = find_problems(loaded)
    if as_json:
        print(json.dumps(_set_json(loaded) | {"problems": problems}, ensure_ascii=False))
    else:
        for problem in problems:
            print(problem)
        print(f"{loaded.name}: {len(loaded.items)} items, {_plural(len(problems), 'problem')}")
    if problems:
        raise typer.Exit(1)


@app.command("import")
def import_set(
    file: Annotated[Path, typer.Argument(help="An official item file, as published.")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Take an official item file from disk; its content tells which one it is.

    Item files of your own need no import: pass their path as --items.

    Example: eqwatch items import eq_bench_v2_questions_171.json
    """
    from middleware.benchmark.fetch import import_file, stored_path

    directory = data_dir_of(data_dir)
    official = import_file(file, directory)
    _report_stored(official.name, stored_path(official, directory), as_json=as_json)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="eqbench-v1, eqbench-v2 or eqbench-v2-de.")],
    url: Annotated[
        str | None, typer.Option(help="A mirror: the URL of the file, or of its folder with a slash at the end.")
    ] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Download an official item file at a pinned commit and check its SHA-256.

    Example: eqwatch items fetch eqbench-v2
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from middleware.benchmark.catalogue import OFFICIAL
    from middleware.benchmark.fetch import download_client
    from middleware.benchmark.fetch import fetch as download

    official = OFFICIAL.get(name)
    if official is None:
        raise ItemSetError(f"{name!r} is no official set: choose {', '.join(OFFICIAL)}")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = Console(stderr=True)
    with download_client() as http, Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(official.file_name, total=official.size)
        path = download(
            official,
            data_dir_of(data_dir),
            http=http,
            url=url,
            progress=lambda size: progress.update(task, completed=size),
        )
    _report_stored(official.name, path, as_json=as_json)


def _report_stored(name: str, path: Path, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"name": name, "path": str(path)}))
    else:
        print(f"{name} is at {path}")


def _set_json(loaded: ItemSet) -> dict[str, Any]:
    return {
        "name": loaded.name,
        "version": loaded.version,
        "language": loaded.language,
        "official": loaded.official,
        "items": len(loaded.items),
        "sha256": loaded.sha256,
    }


def _show_set(loaded: ItemSet) -> None:
    console = output()
    facts = f"{len(loaded.items)} items, {loaded.version}, {loaded.language}, SHA-256 {loaded.sha256}"
    console.print(f"[bold]{escape(loaded.name)}[/]: {facts}", highlight=False)
    table = Table()
    for column in ("item", "dialogue", "who", "emotions (reference)"):
        table.add_column(column)
    for item in loaded.items:
        reference = item.reference_for(loaded.version)
        emotions = ", ".join(f"{name} {value:g}" for name, value in zip(item.emotions, reference, strict=True))
        table.add_row(*(escape(text) for text in (item.id, item.cluster, item.subject, emotions)))
    print_table(table, console)


def _show_item(loaded: ItemSet, item_id: str, *, as_json: bool) -> None:
    item = loaded.by_id.get(item_id)
    if item is None:
        raise ItemSetError(f"{loaded.name} has no item {item_id!r}: see `eqwatch items show {loaded.name}`")
    if as_json:
        print(json.dumps(asdict(item), ensure_ascii=False))
        return
    console = output()
    _show_question(item, loaded, console)
    table = Table(title="reference", title_justify="left")
    table.add_column("emotion")
    for label, _ in _references(item):
        table.add_column(label, justify="right")
    for position, name in enumerate(item.emotions):
        table.add_row(escape(name), *(f"{values[position]:g}" for _, values in _references(item)))
    print_table(table, console)
    if item.rationale:
        console.print(item.rationale, markup=False, highlight=False)


def _show_question(item: Item, loaded: ItemSet, console: Console) -> None:
    """What `run` and `serve` send unless they are told to ask for a revision."""
    asked = question(item, revise=False, language=loaded.language, version=loaded.version)
    console.print(asked.strip(), markup=False, highlight=False, soft_wrap=True)
    if asked.strip() != question(item, revise=True, language=loaded.language, version=loaded.version).strip():
        console.print("(`--revise` asks for a critique and a second pass too)", highlight=False, soft_wrap=True)


def _references(item: Item) -> list[tuple[str, tuple[float, ...]]]:
    named = (("0..10", item.reference_fullscale), ("sums to 10", item.reference))
    return [(label, values) for label, values in named if values is not None]


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count or 'no'} {noun}s"

"""`eqwatch score`: scores recorded answers offline."""

import json
from pathlib import Path
from typing import Annotated

import typer

from middleware.cli.options import DataDir, data_dir_of
from middleware.errors import ConfigurationError

__all__ = ["score"]


def score(
    items: Annotated[str, typer.Option(help="Item set that was asked: a name or a file.")],
    answers: Annotated[Path, typer.Option(help="JSONL of id and text, or a replay file.")],
    scoring_profile: Annotated[
        str | None,
        typer.Option(
            metavar="official|lm-eval|tolerant", help="Default: official for official sets, tolerant for all others."
        ),
    ] = None,
    revise: Annotated[
        bool | None, typer.Option(help="Whether the answers hold a critique and a revised pass; replay files say so.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Score recorded answers.

    An item without an answer is missing, which is not the same as a score of zero.

    Example: eqwatch score --items eqbench-v2 --answers answers.jsonl
    """
    from middleware.benchmark.answers import read_answers
    from middleware.benchmark.item_sets import load
    from middleware.benchmark.recorded import score_answers
    from middleware.cli.tables import print_score, profile_named

    item_set = load(items, data_dir_of(data_dir))
    recorded = read_answers(answers)
    if revise is not None and recorded.revise is not None and revise != recorded.revise:
        given = "--revise" if revise else "--no-revise"
        raise ConfigurationError(f"{given} contradicts {answers}, which says revise: {str(recorded.revise).lower()}")
    result = score_answers(
        item_set,
        recorded,
        profile=profile_named(scoring_profile) or item_set.default_profile,
        revise=bool(recorded.revise if revise is None else revise),
    )
    if as_json:
        print(json.dumps(result.to_json(), ensure_ascii=False))
    else:
        print_score(result, title=f"{recorded.model} on {item_set.name}")

"""Options that several commands have, spelt and read alike."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from middleware.settings import load_settings

__all__ = ["Contamination", "DataDir", "VariantSeed", "data_dir_of"]

Contamination: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--contamination",
        help="Ask a variant of the items too (other names, emotions in another order) and report the gap.",
    ),
]
VariantSeed: TypeAlias = Annotated[int, typer.Option(min=0, help="Seed that draws the variant.")]

DataDir: TypeAlias = Annotated[
    Path | None, typer.Option(help="Where the store and the items are kept; default: as configured.")
]


def data_dir_of(chosen: Path | None) -> Path:
    """The directory of the command line, else of environment and configuration file."""
    return chosen if chosen is not None else load_settings().data_dir

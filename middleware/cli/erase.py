"""`eqwatch erase`: removes all that is known of a conversation from the store."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from middleware.cli.options import DataDir
from middleware.settings import load_settings
from middleware.settings.secrets import conversation_salt
from middleware.store import Store
from middleware.traffic.hashing import conversation_keys

__all__ = ["erase"]


def erase(
    conversation: Annotated[
        str, typer.Argument(metavar="CONVERSATION", help="The value of x-eqwatch-conversation, or an id from lookup.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON value.")] = False,
    data_dir: DataDir = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file; default: eqwatch.toml if there.")] = None,
) -> None:
    """Erase scores, kept content, events and all else that is known of a conversation.

    Works on the store, also beside a running sidecar, which may hold ratings of it in memory until it looks again or is
    restarted: DELETE /api/v1/conversations/{id} clears these as well. Nothing to erase is no error.

    Example: eqwatch erase chat-4711
    """
    settings = load_settings(config, {"data_dir": data_dir} if data_dir is not None else {})
    keys = list(conversation_keys(conversation_salt(settings), conversation))
    with Store(settings.store_url) as store:
        erased = dataclasses.asdict(store.erase(keys))
    if as_json:
        typer.echo(json.dumps({"conversation": conversation, **erased}))
        return
    told = ", ".join(f"{count} {name}" for name, count in erased.items() if count)
    typer.echo(f"erased: {told}" if told else "nothing is known of this conversation")

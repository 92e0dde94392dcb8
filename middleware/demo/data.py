"""The demonstration's files: scripted users and scripted answers, from the wheel or from a source tree's examples/."""

import json
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Conversation", "conversations", "replay_file"]

_INSTALLED = Path(__file__).parent / "data"
_SOURCE_TREE = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True, slots=True)
class Conversation:
    """A user's side, scripted; the model's side is not."""

    id: str
    deployment: str
    title: str
    system: str
    stream: bool
    turns: tuple[str, ...]


def _folder(name: str) -> Path:
    return next(root / name for root in (_INSTALLED, _SOURCE_TREE) if (root / name).is_dir())


def conversations(deployment: str) -> list[Conversation]:
    """The scripted conversations of a deployment."""
    data = json.loads((_folder("conversations") / f"{deployment}.json").read_text(encoding="utf-8"))
    return [
        Conversation(
            id=entry["id"],
            deployment=data["deployment"],
            title=entry["title"],
            system=entry["system"],
            stream=entry["stream"],
            turns=tuple(entry["turns"]),
        )
        for entry in data["conversations"]
    ]


def replay_file(name: str) -> Path:
    """A file of scripted answers to the bundled items."""
    return _folder("replay") / f"{name}.json"

"""The labelled messages. The sealed half is read by the measuring command alone, and only as it was committed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["FOLDER", "Half", "Labelled", "labelled"]

FOLDER = Path(__file__).parent
Half = Literal["open", "sealed"]


@dataclass(frozen=True, slots=True)
class Labelled:
    """group: ordinary, irony, politeness, mixed, codeswitch. intensity: emotion -> 0..10."""

    domain: str
    group: str
    text: str
    intensity: Mapping[str, float]

    @property
    def hard(self) -> bool:
        """Whether it was written to be misread."""
        return self.group != "ordinary"


def labelled(half: Half) -> list[Labelled]:
    """Raises ValueError where the file is not the one that was hashed before any tuning."""
    name = f"{half}.jsonl"
    data = (FOLDER / name).read_bytes()
    sums = dict(reversed(line.split()) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    if hashlib.sha256(data).hexdigest() != sums[name]:
        raise ValueError(f"{name} is not what SHA256SUMS says: restore the committed file")
    rows = [json.loads(line) for line in data.decode().splitlines()]
    return [Labelled(row["domain"], row["group"], row["text"], row["intensity"]) for row in rows]

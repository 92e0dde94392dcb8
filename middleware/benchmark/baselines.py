"""Baselines as records: made of passes, written to a document and read from one. It keeps and accepts nothing."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from middleware.errors import ConfigurationError
from middleware.records.baseline import BaselineRecord, BaselineSource
from middleware.records.benchmark import Protocol
from scorer.baseline import MIN_PASSES, Baseline, Observation

__all__ = ["as_document", "content_of", "from_document", "record_of"]

_FORMAT = 1


def record_of(
    passes: Sequence[Sequence[Observation]],
    *,
    deployment: str,
    model: str,
    protocol: Protocol,
    identities: Sequence[str],
    days: float,
    at: float,
    source: BaselineSource = "created",
) -> BaselineRecord:
    """A baseline that is neither saved nor accepted. Raises ConfigurationError where these passes make none."""
    if len(passes) < MIN_PASSES:
        raise ConfigurationError(
            f"a baseline needs at least {MIN_PASSES} whole passes and {len(passes)} are here: ask more, such as with "
            f"eqwatch baseline create --passes 10"
        )
    try:
        baseline = Baseline.from_passes(passes, protocol_key=protocol.key)
    except ValueError as error:
        raise ConfigurationError(f"no baseline can be made of these answers: {error}") from None
    return BaselineRecord(
        deployment=deployment,
        item_set=protocol.item_set,
        model=model,
        protocol=protocol,
        digest=baseline.digest,
        created_at=at,
        source=source,
        value=baseline.to_dict(),
        identities=tuple(dict.fromkeys(identities)),
        days=days,
    )


def content_of(record: BaselineRecord) -> Baseline:
    """What was measured."""
    return Baseline.from_dict(record.value)


def as_document(record: BaselineRecord) -> dict[str, Any]:
    """The record as JSON values that `from_document` reads; what is true of one store only is left out."""
    fields = asdict(record)
    for name in ("id", "version", "accepted_at", "reference"):
        del fields[name]
    return {"eqwatch_baseline": _FORMAT, **fields}


class _ProtocolDocument(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    item_set: str
    item_set_sha256: str
    prompt_version: str
    scoring_profile: str
    temperature: float
    max_tokens: int
    seed: int | None
    answer_format: str
    revise: bool
    system_prompt_sha256: str = ""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    eqwatch_baseline: int
    deployment: str
    item_set: str
    model: str
    protocol: _ProtocolDocument
    digest: str
    created_at: float
    source: str
    value: dict[str, Any]
    identities: tuple[str, ...] = ()
    days: float = 0.0


def from_document(text: str, name: str, *, deployment: str | None = None) -> BaselineRecord:
    """A record from what `as_document` wrote. Raises ConfigurationError that names file, field and fix."""
    try:
        found = _Document.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise ConfigurationError(f"{name}: not JSON (line {error.lineno}): {error.msg}") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(f"{name}: {place}: {first['msg']}; write it with eqwatch baseline export") from None
    if found.eqwatch_baseline != _FORMAT:
        raise ConfigurationError(f"{name}: format {found.eqwatch_baseline}; this version reads {_FORMAT}")
    protocol = Protocol(**found.protocol.model_dump())
    try:
        baseline = Baseline.from_dict(found.value)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{name}: value: {error}") from None
    if baseline.digest != found.digest or baseline.protocol_key != protocol.key:
        raise ConfigurationError(f"{name}: its content is not what its digest says: it was changed; export it again")
    return BaselineRecord(
        deployment=deployment or found.deployment,
        item_set=found.item_set,
        model=found.model,
        protocol=protocol,
        digest=found.digest,
        created_at=found.created_at,
        source="imported",
        value=found.value,
        identities=found.identities,
        days=found.days,
    )

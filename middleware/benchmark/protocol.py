"""What is asked in a run and how: the protocol from its settings, and the call for each item. No I/O."""

import hashlib
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from middleware.errors import ConfigurationError
from middleware.records.benchmark import Protocol
from scorer.answers import Profile
from scorer.items import Item, ItemSet
from scorer.prompts import PROMPT_VERSION, answer_schema, question

__all__ = ["AnswerFormat", "default_max_tokens", "make_protocol", "messages_for", "schema_for"]

AnswerFormat: TypeAlias = Literal["text", "json_schema"]

# As EQ-Bench asks (github.com/EQ-bench/EQ-Bench at d28c60c5): four lines fit in 60 tokens, a critique does not.
TEMPERATURE = 0.01
_ONE_PASS_TOKENS = 60
_REVISION_TOKENS = 1000
# Names, quotes and line breaks of a structured answer, spelt out as some servers do.
_STRUCTURED_TOKENS = 120


def default_max_tokens(item_set: ItemSet, *, revise: bool, answer_format: AnswerFormat) -> int:
    """The completion allowance that an answer needs; v1 always asks for a revision."""
    if answer_format == "json_schema":
        return _STRUCTURED_TOKENS
    return _REVISION_TOKENS if revise or item_set.version == "v1" else _ONE_PASS_TOKENS


def make_protocol(
    item_set: ItemSet,
    *,
    profile: Profile | None = None,
    revise: bool = False,
    answer_format: AnswerFormat = "text",
    temperature: float = TEMPERATURE,
    max_tokens: int | None = None,
    seed: int | None = None,
    system_prompt: str = "",
    reasoning_tokens: int = 0,
) -> Protocol:
    """The protocol of a run; raises ConfigurationError for combinations that could never yield a score.

    max_tokens: of the answer. reasoning_tokens: that the model may think in, on top of it.
    """
    if answer_format == "json_schema":
        if revise or item_set.version == "v1":
            raise ConfigurationError(
                "answer format json_schema has no room for a critique: use text with --revise and with v1 items"
            )
        if profile not in (None, "tolerant"):
            raise ConfigurationError(
                f"scoring profile {profile!r} can't read JSON answers: use tolerant, or answer format text"
            )
        profile = "tolerant"
    return Protocol(
        item_set=item_set.name,
        item_set_sha256=item_set.sha256,
        prompt_version=PROMPT_VERSION,
        scoring_profile=profile or item_set.default_profile,
        temperature=temperature,
        max_tokens=(max_tokens or default_max_tokens(item_set, revise=revise, answer_format=answer_format))
        + reasoning_tokens,
        seed=seed,
        answer_format=answer_format,
        # What is asked for decides: v1 prompts hold the revision whatever was chosen.
        revise=revise or item_set.version == "v1",
        system_prompt_sha256=_sha256(system_prompt),
    )


def messages_for(item: Item, item_set: ItemSet, protocol: Protocol, system_prompt: str) -> list[Mapping[str, str]]:
    """The conversation that asks one item. Raises ValueError if the system prompt is not the protocol's."""
    if _sha256(system_prompt) != protocol.system_prompt_sha256:
        raise ValueError("the system prompt is not the one of the protocol")
    prompt = question(item, revise=protocol.revise, language=item_set.language, version=item_set.version)
    system = [{"role": "system", "content": system_prompt}] if system_prompt else []
    return [*system, {"role": "user", "content": prompt}]


def schema_for(item: Item, protocol: Protocol) -> dict[str, Any] | None:
    """The JSON schema of the answer, or None where text is asked for."""
    return answer_schema(item.emotions) if protocol.answer_format == "json_schema" else None


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest() if text else ""

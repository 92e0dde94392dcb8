"""The body of POST /api/v1/exchanges: one exchange with a chat model, or a list of them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from middleware.records.report import Report

__all__ = ["ArrivedBody", "ExchangeBody", "ExchangesBody", "GivenExchanges", "given_exchanges"]

_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
_KEY_ID = r"^[0-9a-f]{16}$"
_MOST_MESSAGES = 5000
_MOST_EXCHANGES = 100


class ExchangeBody(BaseModel):
    """What a user and a model said. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages: list[dict[str, Any]] = Field(
        min_length=1,
        max_length=_MOST_MESSAGES,
        description="As they were sent to the model, oldest first, all of them.",
    )
    reply: str | dict[str, Any] | None = Field(
        None, description="The model's answer: its text, or one message with `content`. Leave it out if none came."
    )
    model: str = Field("", max_length=200, description="Name of the model that was asked.")
    dialect: Literal["openai_chat", "openai_responses", "anthropic_messages"] = Field(
        "openai_chat", description="The form that messages have."
    )
    system: str = Field("", description="System prompt, where the dialect keeps it outside the messages.")
    deployment: str = Field("", pattern=rf"^$|{_NAME}", description="Default: found by path, key_id, then model.")
    conversation: str = Field(
        "", max_length=200, description="The application's own id, as in x-eqwatch-conversation; kept as a salted hash."
    )
    id: str = Field("", max_length=200, description="Of this exchange: one that came before is not taken again.")
    path: str = Field("", max_length=2000, description="Path of the request, for deployments that are known by it.")
    key_id: str = Field("", pattern=rf"^$|{_KEY_ID}", description="Keyed hash of the client's credential.")
    opt_out: bool = Field(False, description="As x-eqwatch-opt-out: counted, and nothing else.")
    at: float | None = Field(None, ge=0, description="Unix seconds at which the answer ended; default: now.")
    response_id: str = Field("", max_length=200, description="Id of the answer, where the server keeps conversations.")
    previous_response_id: str = Field("", max_length=200, description="Of the answer that this request goes on from.")


class ExchangesBody(BaseModel):
    """Several at once, oldest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    exchanges: list[ExchangeBody] = Field(min_length=1, max_length=_MOST_EXCHANGES)


class ArrivedBody(BaseModel):
    """What became of them. dropped: number by reason: `opted_out`, `not_configured`, `not_sampled`,
    `beginning_unknown`, `undecodable`, `queue_full`."""

    accepted: int
    duplicates: int
    dropped: dict[str, int]


def _form(body: object) -> str:
    several = "exchanges" in body if isinstance(body, dict) else isinstance(body, ExchangesBody)
    return "ExchangesBody" if several else "ExchangeBody"


GivenExchanges = Annotated[
    Annotated[ExchangeBody, Tag("ExchangeBody")] | Annotated[ExchangesBody, Tag("ExchangesBody")], Discriminator(_form)
]
"""Told apart by the field `exchanges`, so that a problem is told of the form that was meant."""


def given_exchanges(body: ExchangeBody | ExchangesBody) -> list[Report]:
    """The body as records."""
    given = body.exchanges if isinstance(body, ExchangesBody) else [body]
    return [Report(**{name: getattr(one, name) for name in ExchangeBody.model_fields}) for one in given]

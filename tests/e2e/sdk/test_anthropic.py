"""The official Anthropic SDK through the relay: the same values and the same exceptions as direct."""

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import pytest

ASK: dict[str, Any] = {"model": "small", "max_tokens": 9, "messages": [{"role": "user", "content": "I feel lost"}]}
Outcome = tuple[Any, ...]


def create(client: Any) -> Any:
    return client.messages.create(**ASK).model_dump()


def create_stream(client: Any) -> Any:
    with client.messages.create(**ASK, stream=True) as stream:
        return [event.model_dump() for event in stream]


def stream_helper(client: Any) -> Any:
    with client.messages.stream(**ASK) as stream:
        return (list(stream.text_stream), stream.get_final_message().model_dump())


OPERATIONS = {each.__name__: each for each in (create, create_stream, stream_helper)}


def outcome(base: str, scenario: str, operation: Callable[[Any], Any], **options: Any) -> Outcome:
    """What the SDK gave or raised, in comparable form."""
    with anthropic.Anthropic(base_url=f"{base}/{scenario}", api_key="k", max_retries=0, **options) as client:
        try:
            return ("value", operation(client))
        except anthropic.APIStatusError as error:
            return (type(error).__name__, error.status_code, error.body, error.response.headers.get("retry-after"))
        except anthropic.AnthropicError as error:
            return (type(error).__name__,)
        except httpx2.HTTPError as error:
            # A stream that breaks raises the transport's own error: its class is what a program would catch.
            return (type(error).__name__,)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("scenario", ["ok", "401", "404", "413", "429", "500", "529"])
def test_same_outcome(places: Any, scenario: str, operation: str) -> None:
    """Messages, streamed or not, and every error of the upstream come out the same."""
    direct = outcome(places.direct, scenario, OPERATIONS[operation])
    assert (direct[0] == "value") == (scenario == "ok")
    assert outcome(places.relay, scenario, OPERATIONS[operation]) == direct


@pytest.mark.parametrize("operation", ["create_stream", "stream_helper"])
def test_a_stream_that_breaks(places: Any, operation: str) -> None:
    """A stream that its upstream cuts raises the same error, never a message that looks whole."""
    direct = outcome(places.direct, "cut", OPERATIONS[operation])
    assert direct[0] != "value"
    assert outcome(places.relay, "cut", OPERATIONS[operation]) == direct


def test_the_clients_own_timeout(places: Any) -> None:
    """The time-out that the client sets raises the same class."""
    direct = outcome(places.direct, "hang", create, timeout=0.4)
    assert direct == ("APITimeoutError",)
    assert outcome(places.relay, "hang", create, timeout=0.4) == direct


@pytest.mark.parametrize(
    ("scenario", "status", "code"), [("reset", 502, "upstream_closed"), ("hang", 504, "upstream_timeout")]
)
def test_our_own_errors(places: Any, scenario: str, status: int, code: str) -> None:
    """Where there is no answer to pass on, the SDK raises a class that it retries, with our stable code in its body."""
    name, got, body, _ = outcome(places.impatient if scenario == "hang" else places.relay, scenario, create)
    assert got == status
    assert name in {"InternalServerError", "GatewayTimeoutError"}
    assert body["error"]["code"] == code


@pytest.mark.parametrize("scenario", ["ok", "429"])
def test_the_asynchronous_client(places: Any, scenario: str) -> None:
    """The asynchronous client has the same outcomes, twenty at once."""

    async def outcomes(base: str) -> list[Any]:
        async with anthropic.AsyncAnthropic(base_url=f"{base}/{scenario}", api_key="k", max_retries=0) as client:

            async def one() -> Any:
                try:
                    stream = await client.messages.create(**ASK, stream=True)
                    return [event.model_dump() async for event in stream]
                except anthropic.APIStatusError as error:
                    return (type(error).__name__, error.status_code, error.body)

            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one()) for _ in range(20)]
            return [task.result() for task in tasks]

    assert asyncio.run(outcomes(places.relay)) == asyncio.run(outcomes(places.direct))

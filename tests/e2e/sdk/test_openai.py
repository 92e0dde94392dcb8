"""The official OpenAI SDK through the relay: the same values and the same exceptions as direct."""

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

ASK: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "I feel lost 🙂"}]}
FAULTS = ["400", "401", "403", "404", "408", "409", "413", "422", "429", "500", "502", "503", "529", "nonsense"]
Outcome = tuple[Any, ...]


def text_of(events: list[Any]) -> list[Any]:
    """Streamed events as plain data."""
    return [event.model_dump() for event in events]


def chat(client: Any) -> Any:
    answer = client.chat.completions.create(**ASK)
    return answer if isinstance(answer, str) else answer.model_dump()


def chat_stream(client: Any) -> Any:
    with client.chat.completions.create(**ASK, stream=True) as stream:
        return text_of(list(stream))


def responses(client: Any) -> Any:
    return client.responses.create(model="small", input="I feel lost").model_dump()


def responses_stream(client: Any) -> Any:
    with client.responses.create(model="small", input="I feel lost", stream=True) as stream:
        return text_of(list(stream))


def embeddings(client: Any) -> Any:
    return client.embeddings.create(model="small", input=["a"], encoding_format="float").model_dump()


def models(client: Any) -> Any:
    return [model.model_dump() for model in client.models.list()]


def transcription(client: Any) -> Any:
    return client.audio.transcriptions.create(model="small", file=("a.wav", io.BytesIO(bytes(200_000)))).text


def file_content(client: Any) -> Any:
    return client.files.content("file-1").read()


def raw_headers(client: Any) -> Any:
    answer = client.chat.completions.with_raw_response.create(**ASK)
    return [answer.status_code, sorted(answer.headers.items())]


OPERATIONS = {
    each.__name__: each
    for each in (
        chat,
        chat_stream,
        responses,
        responses_stream,
        embeddings,
        models,
        transcription,
        file_content,
        raw_headers,
    )
}


def outcome(run: Callable[[], Any]) -> Outcome:
    """What the SDK gave or raised, in comparable form."""
    try:
        return ("value", run())
    except openai.APIStatusError as error:
        told = {name: error.response.headers.get(name) for name in ("retry-after", "x-request-id", "content-type")}
        return (type(error).__name__, error.status_code, error.code, error.body, told)
    except openai.OpenAIError as error:
        return (type(error).__name__,)
    except json.JSONDecodeError:
        return ("JSONDecodeError",)
    except httpx2.HTTPError as error:
        # A stream that breaks raises the transport's own error: its class is what a program would catch.
        return (type(error).__name__,)


def sync_outcome(base: str, scenario: str, operation: Callable[[Any], Any], **options: Any) -> Outcome:
    """With the client that blocks."""
    with openai.OpenAI(base_url=f"{base}/{scenario}/v1", api_key="k", max_retries=0, **options) as client:
        return outcome(lambda: operation(client))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation(places: Any, operation: str) -> None:
    """Chat, responses, embeddings, lists, uploads and downloads, streamed or not, give the same value."""
    direct = sync_outcome(places.direct, "ok", OPERATIONS[operation])
    assert direct[0] == "value"
    assert direct[1]
    assert sync_outcome(places.relay, "ok", OPERATIONS[operation]) == direct


@pytest.mark.parametrize("scenario", FAULTS)
@pytest.mark.parametrize("operation", ["chat", "chat_stream"])
def test_every_error_of_the_upstream(places: Any, scenario: str, operation: str) -> None:
    """An upstream's error raises the same class with the same code, body and headers."""
    direct = sync_outcome(places.direct, scenario, OPERATIONS[operation])
    assert sync_outcome(places.relay, scenario, OPERATIONS[operation]) == direct
    assert scenario == "nonsense" or direct[0] != "value"


@pytest.mark.parametrize("operation", ["chat_stream", "responses_stream"])
def test_a_stream_that_breaks(places: Any, operation: str) -> None:
    """A stream that its upstream cuts raises the same error in mid-stream, never a stream that looks whole."""
    direct = sync_outcome(places.direct, "cut", OPERATIONS[operation])
    assert direct[0] != "value"
    assert sync_outcome(places.relay, "cut", OPERATIONS[operation]) == direct


@pytest.mark.parametrize(
    ("scenario", "operation", "seconds"),
    # In mid-stream only a time-out that the first events can't meet shows the other class.
    [("hang", "chat", 0.4), ("hang", "chat_stream", 0.4), ("stall", "chat_stream", 4.0)],
)
def test_the_clients_own_timeout(places: Any, scenario: str, operation: str, seconds: float) -> None:
    """The time-out that the client sets raises the same class, before the answer and in mid-stream."""
    direct = sync_outcome(places.direct, scenario, OPERATIONS[operation], timeout=seconds)
    assert "Timeout" in direct[0]
    assert sync_outcome(places.relay, scenario, OPERATIONS[operation], timeout=seconds) == direct


@pytest.mark.parametrize(
    ("scenario", "status", "code"),
    [("reset", 502, "upstream_closed"), ("close", 502, "upstream_closed"), ("hang", 504, "upstream_timeout")],
)
def test_our_own_errors(places: Any, scenario: str, status: int, code: str) -> None:
    """Where there is no answer to pass on, the SDK raises its class for 5xx, which it retries, with our stable code."""
    place = places.impatient if scenario == "hang" else places.relay
    name, got_status, got_code, body, _ = sync_outcome(place, scenario, chat)
    assert (name, got_status, got_code) == ("InternalServerError", status, code)
    assert set(body) == {"message", "type", "param", "code"}
    if scenario != "hang":
        assert sync_outcome(places.direct, scenario, chat) == ("APIConnectionError",)


def test_the_sdk_retries_as_ever(places: Any) -> None:
    """A 429 is retried by the SDK itself: one failure and one success, seen twice by the upstream either way."""
    for base, scenario in ((places.direct, "flaky-direct"), (places.relay, "flaky-relay")):
        with openai.OpenAI(base_url=f"{base}/{scenario}/v1", api_key="k", max_retries=1) as client:
            assert chat(client)["id"] == "chatcmpl-1"
        assert places.api.asked[f"/{scenario}/v1/chat/completions"] == 2


async def async_outcomes(base: str, scenario: str, streamed: bool) -> list[Outcome]:
    """Twenty at once with the asynchronous client."""
    async with openai.AsyncOpenAI(base_url=f"{base}/{scenario}/v1", api_key="k", max_retries=0) as client:

        async def one() -> Outcome:
            try:
                answer = await client.chat.completions.create(**ASK, stream=streamed)
                if streamed:
                    return ("value", [event.model_dump() async for event in answer])
                return ("value", answer.model_dump())
            except openai.APIStatusError as error:
                return (type(error).__name__, error.status_code, error.body)
            except (openai.APIError, httpx2.HTTPError) as error:
                return (type(error).__name__,)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one()) for _ in range(20)]
        return [task.result() for task in tasks]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("scenario", ["ok", "429", "500", "cut"])
def test_the_asynchronous_client(places: Any, scenario: str, streamed: bool) -> None:
    """Twenty asynchronous requests at once have the same outcomes."""
    direct = asyncio.run(async_outcomes(places.direct, scenario, streamed))
    assert asyncio.run(async_outcomes(places.relay, scenario, streamed)) == direct

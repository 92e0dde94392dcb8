"""The official OpenAI SDK works unchanged through the proxy against a real model: sync, async, streaming."""

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest

from middleware.demo.model_server import MODEL_NAME

pytestmark = [pytest.mark.timeout(500), pytest.mark.xdist_group("real-model")]
MESSAGES: list[Any] = [{"role": "user", "content": "Say hello."}]
# Greedy sampling: the same answer each time, so that direct and relayed answers can be compared.
GREEDY: dict[str, Any] = {"model": MODEL_NAME, "messages": MESSAGES, "max_tokens": 12, "temperature": 0, "seed": 1}


@pytest.fixture
def base_urls(real_model: str, start_sidecar: Callable[..., Any]) -> tuple[str, str]:
    """Of the model itself, and of the sidecar in front of it."""
    return f"{real_model}/v1", f"{start_sidecar(real_model).data}/v1"


def test_sync_answers_are_equal(base_urls: tuple[str, str]) -> None:
    """A whole answer through the proxy says what the model says directly."""
    texts = []
    for url in base_urls:
        with openai.OpenAI(base_url=url, api_key="k", timeout=120) as client:
            answer = client.chat.completions.create(**GREEDY)
            texts.append(answer.choices[0].message.content)
            assert answer.usage is not None
    assert texts[0]
    assert texts[0] == texts[1]


def test_sync_streams_are_equal_chunk_by_chunk(base_urls: tuple[str, str]) -> None:
    """A stream arrives in the same pieces."""
    streams = []
    for url in base_urls:
        with (
            openai.OpenAI(base_url=url, api_key="k", timeout=120) as client,
            client.chat.completions.create(stream=True, **GREEDY) as chunks,
        ):
            streams.append([chunk.choices[0].delta.content for chunk in chunks if chunk.choices])
    assert len(streams[0]) > 3
    assert streams[0] == streams[1]


def test_async_answers_and_streams_work_at_once(base_urls: tuple[str, str]) -> None:
    """Two at a time over the asynchronous client, one of them streamed."""

    async def both() -> tuple[str | None, str]:
        async with openai.AsyncOpenAI(base_url=base_urls[1], api_key="k", timeout=120) as client:

            async def streamed() -> str:
                chunks = await client.chat.completions.create(stream=True, **GREEDY)
                return "".join([c.choices[0].delta.content or "" async for c in chunks if c.choices])

            whole, text = await asyncio.gather(client.chat.completions.create(**GREEDY), streamed())
            return whole.choices[0].message.content, text

    whole, text = asyncio.run(both())
    # Not compared: llama.cpp decodes the two in one batch, whose sums differ in the last bits from run to run.
    assert whole
    assert text


def test_models_are_listed(base_urls: tuple[str, str]) -> None:
    """A path that eqwatch knows nothing about passes too."""
    listed = []
    for url in base_urls:
        with openai.OpenAI(base_url=url, api_key="k", timeout=120) as client:
            listed.append([model.id for model in client.models.list()])
    assert listed[0] == listed[1]
    assert MODEL_NAME in listed[0]

"""The fake upstream over a real socket: recordings, upgrades, scripts, faults; the official SDK as its client."""

import json
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx2
import openai
import pytest

from middleware.benchmark.fake_upstream import FakeUpstream, FaultPlan, PromptBook, Recording, Stages, parse_fault
from middleware.benchmark.fake_upstream.app import NO_RECORDING
from scorer.items import ItemSet
from scorer.prompts import answer_schema, question

Serve = Callable[[FakeUpstream], str]
PATIENCE = 60.0


def sdk(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url, api_key="any", max_retries=0, timeout=PATIENCE)


def ask(url: str, content: str, model: str = "m", **options) -> str:
    with sdk(url) as client:
        messages = [{"role": "user", "content": content}]
        completion = client.chat.completions.create(model=model, messages=messages, **options)
    return completion.choices[0].message.content


def prompt_of(item_set: ItemSet, number: int, *, revise: bool = False) -> str:
    return question(item_set.items[number], revise=revise)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def with_faults(fake: FakeUpstream, *specs: str) -> FakeUpstream:
    fake.faults = FaultPlan(tuple(parse_fault(spec) for spec in specs), seed=0)
    return fake


def test_recorded_answer(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet) -> None:
    """A benchmark prompt gets the recorded answer, with model, fingerprint, finish reason and usage."""
    url = serve_fake(fake)
    with sdk(url) as client:
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt_of(small_set, 3)}]
        completion = client.chat.completions.create(model="m", messages=messages)
        assert [model.id for model in client.models.list()] == ["m"]
    assert completion.choices[0].message.content == "Joy: 7\nAnger: 0\nFear: 1\nPride: 8"
    assert (completion.model, completion.system_fingerprint) == ("m", "fp_perfect")
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


def test_streamed_answer(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet) -> None:
    """A streamed answer joins up to the same text and ends with the usage, if that is asked for."""
    with sdk(serve_fake(fake)) as client:
        chunks = list(
            client.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": prompt_of(small_set, 3)}],
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == "Joy: 7\nAnger: 0\nFear: 1\nPride: 8"
    assert len(chunks) > 8
    assert chunks[-1].usage.completion_tokens > 0


def test_structured_answer(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet) -> None:
    """With a JSON schema the recorded numbers come as JSON."""
    schema = {"name": "answer", "schema": answer_schema(small_set.items[0].emotions), "strict": True}
    text = ask(
        serve_fake(fake),
        prompt_of(small_set, 0),
        response_format={"type": "json_schema", "json_schema": schema},
    )
    assert json.loads(text) == {"Joy": 7, "Anger": 0, "Fear": 1, "Pride": 8}


def test_no_recording_is_prose(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, perfect: Recording) -> None:
    """An item without a recording gets prose without numbers, and no error."""
    texts = {name: text for name, text in perfect.texts.items() if name != "i3"}
    fake.stages = Stages({"m": [Recording(revise=False, texts=texts, fingerprint="fp")]})
    text = ask(serve_fake(fake), prompt_of(small_set, 3))
    assert text == NO_RECORDING
    assert not any(character.isdigit() for character in text)


def test_revision(serve_fake: Serve, small_set: ItemSet) -> None:
    """A recording with revision answers the stored prompt in full and the revision-free one with the first pass."""
    full = "First pass scores:\nJoy: 1\nAnger: 2\nFear: 3\nPride: 4\n\nCritique: Fear: 9?\n\nRevised scores:\nJoy: 5"
    fake = FakeUpstream(
        book=PromptBook([small_set]),
        stages=Stages({"m": [Recording(revise=True, texts={"i0": full}, fingerprint="fp")]}),
    )
    url = serve_fake(fake)
    assert ask(url, prompt_of(small_set, 0, revise=True)) == full
    assert ask(url, prompt_of(small_set, 0)) == "Joy: 1\nAnger: 2\nFear: 3\nPride: 4"


def test_upgrade_by_switch(serve_fake: Serve, fake: FakeUpstream, small_set: ItemSet, perfect: Recording) -> None:
    """Two recordings behind one name make an upgrade, at once when a test says so."""
    weaker = Recording(revise=False, texts=dict.fromkeys(perfect.texts, "Joy: 0"), fingerprint="fp_weaker")
    fake.stages = Stages({"m": [perfect, weaker], "other": [perfect]})
    url = serve_fake(fake)
    assert ask(url, prompt_of(small_set, 0)).startswith("Joy: 7")
    answer = httpx2.post(url.removesuffix("/v1") + "/-/switch?model=m", timeout=PATIENCE)
    assert answer.json() == {"m": 1, "other": 0}
    assert ask(url, prompt_of(small_set, 0)) == "Joy: 0"
    assert ask(url, prompt_of(small_set, 0), model="other").startswith("Joy: 7")
    unknown = httpx2.post(url.removesuffix("/v1") + "/-/switch?model=unknown", timeout=PATIENCE)
    assert unknown.status_code == 404


def test_upgrade_by_clock(perfect: Recording) -> None:
    """With a switch time the second recording takes over when it has come, and no third one ever does."""
    weaker = Recording(revise=False, texts={}, fingerprint="fp_weaker")
    weakest = Recording(revise=False, texts={}, fingerprint="fp_weakest")
    stages = Stages({"m": [perfect, weaker, weakest]}, switch_after=10)
    assert stages.current("m", 9.9) is perfect
    assert stages.current("m", 10.0) is weaker
    assert stages.current("m", 1e9) is weaker
    stages.switch()
    stages.switch("m")
    assert stages.current("m", 0.0) is weakest
    assert stages.current("unknown", 0.0) is None


def test_unknown_model(serve_fake: Serve, fake: FakeUpstream) -> None:
    """A name without recordings is unknown, as at the real API."""
    with pytest.raises(openai.NotFoundError, match="`stranger` does not exist"):
        ask(serve_fake(fake), "Hello", model="stranger")


def test_conversation(serve_fake: Serve, small_set: ItemSet) -> None:
    """Without recordings any name answers, and a conversation goes on turn by turn from the script."""
    fake = FakeUpstream(book=PromptBook([small_set]), stages=Stages({}))
    url = serve_fake(fake)
    first = ask(url, "Good evening, I feel a bit alone.", model="anything")
    with sdk(url) as client:
        messages = [
            {"role": "user", "content": "Good evening, I feel a bit alone."},
            {"role": "assistant", "content": first},
            {"role": "user", "content": [{"type": "text", "text": "It was a long day and nobody called."}]},
        ]
        second = client.chat.completions.create(model="anything", messages=messages).choices[0].message.content
    assert first != second
    assert ask(url, "Good evening, I feel a bit alone.", model="anything") == first


def test_question_about_a_user(serve_fake: Serve, small_set: ItemSet) -> None:
    """A question for scores that is no benchmark prompt is answered with numbers, as text and as JSON."""
    url = serve_fake(FakeUpstream(book=PromptBook([small_set]), stages=Stages({})))
    asked = "How does the user feel now?\nConfusion: <0-10>\nCuriosity: <0-10>\nWrite nothing else."
    lines = dict(line.split(": ") for line in ask(url, asked, model="any").splitlines())
    assert sorted(lines) == ["Confusion", "Curiosity"]
    schema = {"name": "answer", "schema": answer_schema(("Confusion", "Curiosity")), "strict": True}
    text = ask(url, asked, model="any", response_format={"type": "json_schema", "json_schema": schema})
    assert json.loads(text) == {name: int(value) for name, value in lines.items()}


def test_invalid_request(serve_fake: Serve, fake: FakeUpstream) -> None:
    """A body that is no chat request is refused in the API's error shape."""
    answer = httpx2.post(f"{serve_fake(fake)}/chat/completions", json={"model": "m"}, timeout=PATIENCE)
    assert answer.status_code == 400
    assert "messages" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ("429:seconds=0.5", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("503", openai.InternalServerError),
        ("reset", openai.APIConnectionError),
        ("truncated", openai.APIConnectionError),
    ],
)
def test_faults(serve_fake: Serve, fake: FakeUpstream, spec: str, error: type[Exception]) -> None:
    """Each fault of server and network reaches the official SDK as what it is."""
    with pytest.raises(error):
        ask(serve_fake(with_faults(fake, spec)), "Hello")


def test_retry_after(serve_fake: Serve, fake: FakeUpstream) -> None:
    """A 429 tells how long to wait."""
    with pytest.raises(openai.RateLimitError) as caught:
        ask(serve_fake(with_faults(fake, "429:seconds=1.5")), "Hello")
    assert caught.value.response.headers["retry-after"] == "2"
    assert caught.value.response.headers["retry-after-ms"] == "1500"


def test_hang(serve_fake: Serve, fake: FakeUpstream) -> None:
    """A hanging request gets no answer while later ones do, and the server notices when the client leaves."""
    url = serve_fake(with_faults(fake, "hang:first=1"))
    body = b'{"model": "m", "messages": []}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: fake\r\ncontent-length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", urlsplit(url).port)) as client:
        client.sendall(head.encode() + b"content-type: application/json\r\n\r\n" + body)
        until(lambda: fake.counts["fault:hang"] == 1)
        assert ask(url, "Hello")
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(1)
        assert fake.in_flight == 1
    until(lambda: fake.in_flight == 0)


def test_broken_stream(serve_fake: Serve, fake: FakeUpstream) -> None:
    """A truncated stream breaks off without a [DONE], a malformed one holds garbage and goes on to the end."""
    body = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    url = serve_fake(with_faults(fake, "truncated:first=1", "malformed-sse:first=2"))
    with (
        pytest.raises(httpx2.TransportError),
        httpx2.stream("POST", f"{url}/chat/completions", json=body, timeout=PATIENCE) as answer,
    ):
        answer.read()
    with httpx2.stream("POST", f"{url}/chat/completions", json=body, timeout=PATIENCE) as answer:
        content = answer.read()
    assert b'data: {"choices": [{"delta"\n\n' in content
    assert content.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    ("spec", "text", "reason"),
    [("empty", "", "stop"), ("refusal", "I'm sorry, but I can't help with that.", "stop"), ("cut-off", None, "length")],
)
def test_answer_faults(serve_fake: Serve, fake: FakeUpstream, spec: str, text: str | None, reason: str) -> None:
    """A model can also answer nothing, decline, or be cut off."""
    url = serve_fake(with_faults(fake, spec))
    with sdk(url) as client:
        choice = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello"}]).choices[0]
    assert choice.finish_reason == reason
    assert text is None or choice.message.content == text


def test_slow(serve_fake: Serve, fake: FakeUpstream) -> None:
    """A slow answer is the usual one, later."""
    url = serve_fake(with_faults(fake, "slow:seconds=0.3"))
    started = time.monotonic()
    assert ask(url, "Hello")
    assert time.monotonic() - started >= 0.3


def test_faults_can_be_changed(serve_fake: Serve, fake: FakeUpstream) -> None:
    """A storm begins and ends while the server runs, and what was injected is counted."""
    url = serve_fake(fake)
    origin = url.removesuffix("/v1")
    assert httpx2.post(f"{origin}/-/faults", json=["500"], timeout=PATIENCE).status_code == 204
    with pytest.raises(openai.InternalServerError):
        ask(url, "Hello")
    assert httpx2.post(f"{origin}/-/faults", json=[], timeout=PATIENCE).status_code == 204
    assert ask(url, "Hello")
    assert httpx2.post(f"{origin}/-/faults", json=["earthquake"], timeout=PATIENCE).status_code == 400
    stats = httpx2.get(f"{origin}/-/stats", timeout=PATIENCE).json()
    assert (stats["requests"], stats["fault"], stats["in_flight"]) == (2, {"500": 1}, 0)

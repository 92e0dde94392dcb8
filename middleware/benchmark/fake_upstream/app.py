"""The HTTP side of the fake upstream: models, chat completions (streamed or not), faults, and switches for tests.

``POST /-/switch[?model=M]`` brings the next recording at once, ``POST /-/faults`` replaces the fault plan,
``GET /-/stats`` counts.
"""

import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse

from middleware.benchmark.fake_upstream.connection import abort, gone
from middleware.benchmark.fake_upstream.faults import FaultPlan, FaultSpec, parse_fault
from middleware.benchmark.fake_upstream.noise import Noise
from middleware.benchmark.fake_upstream.recordings import PromptBook, Stages
from middleware.benchmark.fake_upstream.script import DEFAULT_SCRIPT, Script, wanted_scores
from middleware.benchmark.fake_upstream.wire import Answer, ChatRequest, chunks, completion, error_body, tokens
from middleware.errors import ConfigurationError
from scorer.items import Item
from scorer.parsing import Answer as ParsedAnswer
from scorer.parsing import parse

__all__ = ["FakeUpstream", "create_app"]

NO_RECORDING = "I would rather listen than put feelings into figures. Could you tell me more about the two of them?"
REFUSAL = "I'm sorry, but I can't help with that."
_SCRIPT_FINGERPRINT = "fp_script"


@dataclass(slots=True)
class FakeUpstream:
    """Everything that the server knows. latency and chunk_delay in seconds; clock is monotonic.

    fingerprint: of every answer, so that a switch is silent; empty: each recording has its own.
    """

    book: PromptBook
    stages: Stages
    script: Script = DEFAULT_SCRIPT
    noise: Noise | None = None
    faults: FaultPlan = field(default_factory=lambda: FaultPlan((), seed=0))
    latency: float = 0.0
    chunk_delay: float = 0.0
    fingerprint: str = ""
    clock: Callable[[], float] = time.monotonic
    started: float = 0.0
    requests: int = 0
    in_flight: int = 0
    most_in_flight: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.started = self.clock()

    @property
    def models(self) -> tuple[str, ...]:
        """The names that it answers to; none means any."""
        return tuple(dict.fromkeys((*self.stages.names, *self.script.models)))

    def answer(self, request: ChatRequest) -> Answer:
        """What the model behind the name says."""
        recording = self.stages.current(request.model, self.clock() - self.started)
        last = next((message.text for message in reversed(request.messages) if message.role == "user"), "")
        found = self.book.find(last)
        if found is None:
            messages = [{"role": message.role, "content": message.text} for message in request.messages]
            schema = request.schema_
            wanted = wanted_scores(last, schema)
            text = self.script.reply(messages, model=request.model, wanted=wanted, as_json=schema is not None)
        else:
            item, revise = found
            text = (recording.answer(item.id, revise=revise) if recording else None) or NO_RECORDING
            if self.noise is not None:
                text = self.noise.apply(text, item.emotions, f"{request.model}|{item.id}|{self.requests}")
            if request.schema_ is not None:
                text = _as_json(text, item)
        return Answer(
            text=text,
            model=request.model,
            fingerprint=self.fingerprint or (recording.fingerprint if recording else _SCRIPT_FINGERPRINT),
            prompt_tokens=sum(tokens(message.text) for message in request.messages),
        )


def _as_json(text: str, item: Item) -> str:
    """The recorded numbers as a structured answer; text without them stays as it is."""
    answer = parse(text, item.emotions, profile="tolerant")
    if not isinstance(answer, ParsedAnswer):
        return text
    return json.dumps({name: answer.first[name] for name in item.emotions}, ensure_ascii=False)


def create_app(fake: FakeUpstream) -> FastAPI:
    """The server's application."""
    app = FastAPI(title="eqwatch fake upstream", docs_url=None, redoc_url=None, openapi_url=None)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return JSONResponse(error_body(f"{place}: {first['msg']}", kind="invalid_request_error"), 400)

    @app.get("/v1/models")
    async def _models() -> dict[str, Any]:
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "eqwatch"} for name in fake.models]
        return {"object": "list", "data": data}

    @app.post("/v1/chat/completions")
    async def _chat(body: ChatRequest, request: Request) -> Response:
        fake.requests += 1
        fake.in_flight += 1
        fake.most_in_flight = max(fake.most_in_flight, fake.in_flight)
        fake.counts[f"model:{body.model}"] += 1
        try:
            return await _respond(fake, body, request)
        finally:
            fake.in_flight -= 1

    _add_switches(app, fake)
    return app


def _add_switches(app: FastAPI, fake: FakeUpstream) -> None:
    @app.post("/-/switch")
    async def _switch(model: str | None = None) -> Response:
        if model is not None and model not in fake.stages.names:
            return JSONResponse(error_body(f"no recording of {model!r}", kind="invalid_request_error"), 404)
        return JSONResponse(fake.stages.switch(model))

    @app.post("/-/faults")
    async def _faults(specs: list[str], seed: int = 0) -> Response:
        try:
            fake.faults = FaultPlan(tuple(parse_fault(spec) for spec in specs), seed=seed)
        except ConfigurationError as error:
            return JSONResponse(error_body(str(error), kind="invalid_request_error"), 400)
        return Response(status_code=204)

    @app.get("/-/stats")
    async def _stats() -> dict[str, Any]:
        return {
            "requests": fake.requests,
            "in_flight": fake.in_flight,
            "most_in_flight": fake.most_in_flight,
            **{kind: dict(_by_kind(fake.counts, kind)) for kind in ("model", "fault")},
        }


def _by_kind(counts: Counter[str], kind: str) -> list[tuple[str, int]]:
    return [(name.partition(":")[2], count) for name, count in counts.items() if name.startswith(f"{kind}:")]


async def _respond(fake: FakeUpstream, body: ChatRequest, request: Request) -> Response:
    number, fault = fake.requests, fake.faults.next()
    if fault is not None:
        fake.counts[f"fault:{fault.kind}"] += 1
    early = await _fail_early(fault, request)
    if early is not None:
        return early
    if fake.models and body.model not in fake.models:
        message = f"The model `{body.model}` does not exist"
        return JSONResponse(error_body(message, kind="invalid_request_error", code="model_not_found"), 404)
    await asyncio.sleep(fake.latency + (fault.seconds if fault is not None and fault.kind == "slow" else 0.0))
    answer = _spoilt(fake.answer(body), fault)
    created = int(time.time())
    if body.stream:
        usage = body.stream_options is not None and body.stream_options.include_usage
        events = list(chunks(answer, number=number, created=created, include_usage=usage))
        return StreamingResponse(_stream(fake, events, fault, request), media_type="text/event-stream")
    content = json.dumps(completion(answer, number=number, created=created), ensure_ascii=False).encode()
    if fault is not None and fault.kind == "malformed-sse":
        content = content[: len(content) // 2]
    if fault is not None and fault.kind == "truncated":
        return StreamingResponse(
            _cut(content, request), media_type="application/json", headers={"content-length": str(len(content))}
        )
    return Response(content, media_type="application/json")


async def _fail_early(fault: FaultSpec | None, request: Request) -> Response | None:
    """The faults that leave no answer of the model at all."""
    kind = fault.kind if fault is not None else None
    if fault is not None and kind in {"429", "503"}:
        wait = {"retry-after": str(math.ceil(fault.seconds)), "retry-after-ms": str(round(fault.seconds * 1000))}
        code = "rate_limit_exceeded" if kind == "429" else "overloaded"
        return JSONResponse(error_body("injected fault", kind="injected", code=code), int(fault.kind), headers=wait)
    if kind == "500":
        return JSONResponse(error_body("injected fault", kind="injected", code="server_error"), 500)
    if kind == "reset":
        abort(request)
        await gone(request)
        return Response()
    if kind == "hang":
        await gone(request)
        return Response()
    return None


def _spoilt(answer: Answer, fault: FaultSpec | None) -> Answer:
    """The faults that are the model's own."""
    kind = fault.kind if fault is not None else None
    if kind == "empty":
        return replace(answer, text="")
    if kind == "refusal":
        return replace(answer, text=REFUSAL)
    if kind == "cut-off":
        return replace(answer, text=answer.text[: len(answer.text) // 2], finish_reason="length")
    return answer


async def _stream(
    fake: FakeUpstream, events: list[bytes], fault: FaultSpec | None, request: Request
) -> AsyncIterator[bytes]:
    for position, event in enumerate(events):
        if fault is not None and position == len(events) // 2:
            if fault.kind == "malformed-sse":
                yield b'data: {"choices": [{"delta"\n\nevent\r: ?\xff\n\n'
            if fault.kind == "truncated":
                abort(request)
                return
        yield event
        if fake.chunk_delay:
            await asyncio.sleep(fake.chunk_delay)


async def _cut(content: bytes, request: Request) -> AsyncIterator[bytes]:
    yield content[: len(content) // 2]
    await asyncio.sleep(0.05)  # lets the first half reach the client before the connection breaks
    abort(request)
    await gone(request)

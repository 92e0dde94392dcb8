"""From an exchange that somebody handed in to an observation, by the same readers as traffic. Pure."""

from collections.abc import Mapping
from typing import Any

from middleware.records.conversation import Message, Skipped, Transcript
from middleware.records.observation import Observation
from middleware.records.report import Report
from middleware.traffic.dialects import request_reader
from middleware.traffic.hashing import conversation_id
from middleware.traffic.reading import content, text
from middleware.traffic.selecting import Selection
from middleware.traffic.trace import trace_of

__all__ = ["observation_of"]


def observation_of(report: Report, selection: Selection, *, now: float) -> Observation | Skipped:
    """What was said, where it is wanted at all. Its time is never after now: clocks differ."""
    deployment = report.deployment or selection.deployment_of(
        model=report.model, path=report.path, key_id=report.key_id
    )
    if report.opt_out or selection.opt_outs.covers(report.path, report.key_id):
        return Skipped(deployment, "opted_out")
    if selection.rate(deployment) <= 0:
        return Skipped(deployment, "not_configured")
    asked = request_reader(report.dialect)(_body(report))
    if asked is None or not any(message.role == "user" for message in asked.messages):
        return Skipped(deployment, "undecodable", "no_user")
    reply = _reply(report.reply)
    transcript = Transcript(
        dialect=report.dialect,
        model=text(report.model),
        messages=asked.messages,
        reply=Message("assistant", reply) if reply else None,
        streamed=False,
        flags=asked.flags if reply else asked.flags | {"no_reply"},
        response_id=text(report.response_id),
        previous_response_id=text(report.previous_response_id),
    )
    return Observation(
        deployment=deployment,
        transcript=transcript,
        trace=trace_of(selection.salt, transcript),
        id=report.id,
        conversation=conversation_id(selection.salt, report.conversation) if report.conversation else "",
        key_id=report.key_id,
        at=now if report.at is None else min(report.at, now),
    )


def _body(report: Report) -> dict[str, Any]:
    """The request as its dialect writes it."""
    messages = [dict(message) for message in report.messages]
    if report.dialect == "openai_responses":
        return {"model": report.model, "input": messages, "instructions": report.system}
    if report.dialect == "anthropic_messages":
        return {"model": report.model, "messages": messages, "system": report.system}
    system = [{"role": "system", "content": report.system}] if report.system else []
    return {"model": report.model, "messages": [*system, *messages]}


def _reply(reply: str | Mapping[str, Any] | None) -> str:
    if isinstance(reply, Mapping):
        return content(reply.get("content")).text + text(reply.get("refusal"))
    return text(reply)

"""What the application may know about a conversation: GET …/emotions and the lookup by messages."""

import asyncio
from collections.abc import Mapping, Sequence

from fastapi import APIRouter

from middleware.admin.bodies import ConversationEmotions, ConversationId, EmotionReading, LastProbe, LookupBody
from middleware.admin.errors import ApiError
from middleware.admin.state import AdminState
from middleware.awareness.adoption import Read
from middleware.awareness.estimates import Estimate, estimates
from middleware.records.conversation import ProbeResult
from scorer.repeatability import Repeatability

__all__ = ["emotions_body", "reading", "router"]


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])

    @routes.get("/{conversation}/emotions", summary="The user's emotions in a sampled conversation")
    async def emotions(conversation: str) -> ConversationEmotions:
        results = await _results(state, conversation)
        if not results:
            state.metrics.awareness_reads_total.labels(channel="pull", outcome="not_found").inc()
            raise ApiError(
                404,
                "conversation_unknown",
                "No probe of this conversation is stored. It may not be sampled, not be probed yet, or be under "
                "another id: use the value of x-eqwatch-conversation, or ask /api/v1/conversations/lookup.",
            )
        report = state.emotions(results[0].deployment)
        known = report.repeatability if report is not None else {}
        body = emotions_body(conversation, results, state.clock(), known)
        _note_read(state, body)
        return body

    @routes.post(
        "/lookup", summary="The sidecar's id of a conversation, by its messages or by the application's own id"
    )
    async def lookup(body: LookupBody) -> ConversationId:
        if body.conversation is not None:
            return ConversationId(conversation=state.conversation_keys(body.conversation)[0])
        found = state.lookup(body.messages or [])
        if found is None:
            raise ApiError(
                404,
                "conversation_unknown",
                "No sampled conversation has these messages. Send them as they were sent to the model, in order.",
            )
        return ConversationId(conversation=found)

    return routes


async def _results(state: AdminState, conversation: str) -> list[ProbeResult]:
    for key in state.conversation_keys(conversation):
        if results := await asyncio.to_thread(state.store.emotions_of, key):
            return results
    return []


def _note_read(state: AdminState, body: ConversationEmotions) -> None:
    state.metrics.awareness_reads_total.labels(channel="pull", outcome="found").inc()
    if body.emotions:
        now = state.clock()
        age = min(one.age_seconds for one in body.emotions.values())
        state.on_read(Read("pull", body.deployment, body.id, now, now - age))


def emotions_body(
    conversation: str, results: Sequence[ProbeResult], now: float, repeatability: Mapping[str, Repeatability]
) -> ConversationEmotions:
    """The newest scored intensity of each emotion; results must not be empty. Ages are never negative."""
    latest = max(results, key=lambda result: (result.turn, result.at))
    return ConversationEmotions(
        conversation=conversation,
        id=latest.conversation,
        deployment=latest.deployment,
        turn=latest.turn,
        emotions=_readings(estimates(results, "perception", repeatability), latest.turn, now),
        anticipated=_readings(estimates(results, "anticipation", {}), latest.turn, now),
        last_probe=LastProbe(
            kind=latest.kind,
            turn=latest.turn,
            outcome=latest.outcome,
            reason=latest.reason,
            judge=latest.judge,
            at=latest.at,
            flags=list(latest.flags),
        ),
    )


def _readings(found: Mapping[str, Estimate], turn: int, now: float) -> dict[str, EmotionReading]:
    return {emotion: reading(one, turn, now) for emotion, one in found.items()}


def reading(estimate: Estimate, turn: int, now: float) -> EmotionReading:
    """An estimate as the API shows it. turn: the newest one that is known of; now: Unix seconds."""
    result, going = estimate.result, estimate.trend
    return EmotionReading(
        intensity=estimate.intensity,
        turn=result.turn,
        age_seconds=round(max(0.0, now - estimate.ended_at), 3),
        age_turns=max(0, turn - result.turn),
        judge=result.judge,
        judge_version=result.judge_version,
        trend=round(going.slope, 3) if going is not None else None,
        direction=going.direction if going is not None else None,
        confidence=round(estimate.confidence, 3) if estimate.confidence is not None else None,
        retests=estimate.retests,
        readings=estimate.readings,
        flags=list(result.flags),
        steered=result.steered,
    )

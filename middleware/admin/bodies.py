"""What the API takes and gives, as pydantic models: its published shapes. Times are Unix seconds, UTC."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "AcknowledgeBody",
    "BenchmarkState",
    "CallsState",
    "ContentTurn",
    "ConversationContent",
    "ConversationEmotions",
    "ConversationId",
    "DeploymentBody",
    "EmotionReading",
    "ErasedBody",
    "EventBody",
    "EventId",
    "LastProbe",
    "LookupBody",
    "MessageBody",
    "MessageId",
    "RunBody",
    "RunDetail",
    "UpgradeBody",
    "UpgradeVerdictBody",
    "VerdictBody",
    "WebhookBody",
]

_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"


class _Given(BaseModel):
    """A body that a client sends: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LookupBody(_Given):
    """Chat messages as they were sent to the model, the last reply of the assistant included or not; or the value of
    x-eqwatch-conversation."""

    model_config = ConfigDict(extra="ignore", frozen=True)  # a whole request body may be sent as it is

    messages: list[dict[str, Any]] | None = Field(default=None, min_length=1, max_length=5000)
    conversation: str | None = Field(default=None, min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.messages is None) == (self.conversation is None):
            raise ValueError("send messages or conversation")
        return self


class UpgradeBody(_Given):
    """A change of model that is made on purpose."""

    deployment: str = Field(pattern=_NAME)
    from_model: str = Field(default="", max_length=200)
    to_model: str = Field(min_length=1, max_length=200)
    note: str = Field(default="", max_length=500)


class AcknowledgeBody(_Given):
    """accept_baseline: what is measured from now on becomes the new baseline."""

    accept_baseline: bool = False


class ConversationId(BaseModel):
    """The sidecar's own id of a conversation: what webhooks and events call it, and what the emotions route takes."""

    conversation: str


class EventId(BaseModel):
    """The id of an event that was recorded."""

    event: int


class BenchmarkState(BaseModel):
    """Whether scheduled batches are paused."""

    paused: bool


class CallsState(BaseModel):
    """Whether every call of the sidecar's own is stopped; stopped_by: `settings`, `operator`. Traffic passes on."""

    paused: bool
    stopped_by: list[str]


class EmotionReading(BaseModel):
    """intensity: 0..10. turn: the user turn that it is about, from 1. age_turns: newer turns that are known.

    trend: intensity points per turn over the newest five estimates of this judge; direction: of it, steady where it is
    within the noise; null of a single estimate. readings: estimated turns so far. confidence: how surely the judge
    would say the same again, within one point: lower end of a 95 % interval over `retests`; null under 20 retests.

    flags: what was odd about the text that was judged. steered: it looked like an attempt to steer the judge, so that
    nothing should be done on this estimate's word alone.
    """

    intensity: float
    turn: int
    age_seconds: float
    age_turns: int
    judge: str
    judge_version: str = ""
    trend: float | None = None
    direction: Literal["rising", "falling", "steady"] | None = None
    confidence: float | None = None
    retests: int = 0
    readings: int = 1
    outcome: Literal["scored"] = "scored"
    flags: list[str] = []
    steered: bool = False


class LastProbe(BaseModel):
    """How the newest probe ended; outcome tells why there may be no newer emotions."""

    kind: str
    turn: int
    outcome: str
    reason: str
    judge: str
    at: float
    flags: list[str] = []


class ConversationEmotions(BaseModel):
    """conversation: as it was asked for. id: the sidecar's own, which events and webhooks have.

    emotions: what the user is judged to feel. anticipated: what was predicted for after the newest judged reply."""

    conversation: str
    id: str
    deployment: str
    turn: int
    emotions: dict[str, EmotionReading]
    anticipated: dict[str, EmotionReading]
    last_probe: LastProbe


class ContentTurn(BaseModel):
    """What was said in one turn, redacted."""

    turn: int
    at: float
    user: str
    assistant: str


class ConversationContent(BaseModel):
    """What is kept of a conversation, by turn."""

    conversation: str
    deployment: str
    turns: list[ContentTurn]


class ErasedBody(BaseModel):
    """How many rows were removed. events: those that named the conversation."""

    conversation: str
    scores: int
    content: int
    events: int
    places: int


class UpgradeVerdictBody(BaseModel):
    """The newest change of version: new minus old in points, negative is worse. verdict: comparing until decided.

    passes: over all items so far. passes_to_decide: what would settle an undecided one, or null.
    """

    from_model: str
    to_model: str
    since: float
    declared: bool
    verdict: str
    reason: str
    points: float | None
    lower: float | None
    upper: float | None
    passes: int
    passes_max: int
    passes_to_decide: int | None
    decided_at: float | None
    accepted: bool


class VerdictBody(BaseModel):
    """Where a deployment stands on one item set; words is the sentence of the status page, next_step what to do.

    tone: how urgent, of bad, warn, none, info, good. headline: the words' first sentence.
    reference_delta: to the first accepted baseline, over all upgrades since. branches: score by branch of emotional
    intelligence. passes_done, passes_needed: of a baseline that is being made, else 0.
    """

    deployment: str
    item_set: str
    state: str
    tone: str
    headline: str
    words: str
    next_step: str
    detail: str
    model: str
    since: float | None
    last_batch_at: float | None
    stale: bool
    score: float | None
    baseline_score: float | None
    delta: float | None
    delta_lower: float | None
    delta_upper: float | None
    incident: int | None
    baseline: int | None
    baseline_at: float | None
    reference_delta: float | None
    reference_lower: float | None
    reference_upper: float | None
    branches: dict[str, float]
    passes_done: int
    passes_needed: int
    stepped_up: bool
    upgrade: UpgradeVerdictBody | None


class DeploymentBody(BaseModel):
    """A deployment as configured, with its verdicts."""

    name: str
    kind: str | None
    model: str | None
    emotions: list[str]
    sample_rate: float
    sampled: bool
    verdicts: list[VerdictBody]


class RunBody(BaseModel):
    """A run without its items. score: points, 100 = perfect. items: asked in all, over all passes.

    flags: why its answers are degenerate, such as the same answer to everything; it has no score then.
    """

    id: str
    deployment: str
    purpose: str
    model: str
    status: str
    item_set: str
    scoring_profile: str
    passes: int
    items: int
    parseable: int | None
    score: float | None
    flags: list[str]
    started_at: float
    finished_at: float | None


class RunDetail(RunBody):
    """A run with its items. score is the mean of what is scored, even where the run is not valid."""

    valid: bool
    outcomes: dict[str, int]
    item_scores: dict[str, float | None]


class EventBody(BaseModel):
    """Something that happened. id: a cursor for /api/v1/events?since=, 0 of what is not stored as an event.

    details: figures, by kind; of `emotions` the conversation, the turn and each emotion as the emotions route has it.
    """

    id: int
    kind: str
    deployment: str
    at: float
    details: dict[str, Any]


class WebhookBody(BaseModel):
    """A webhook as configured, without URL and key. pending, dead: messages that wait, and dead letters."""

    name: str
    format: str
    send: list[str]
    deployments: list[str]
    pending: int
    dead: int


class MessageId(BaseModel):
    """The id of a message, which is the header webhook-id."""

    message: str


class MessageBody(BaseModel):
    """A message to a webhook. reason, http_status: how the last attempt failed. event: what it tells."""

    id: str
    webhook: str
    status: str
    attempts: int
    reason: str
    http_status: int | None
    created_at: float
    next_at: float | None
    done_at: float | None
    event: EventBody | None

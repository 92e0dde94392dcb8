"""From an exchange to the turn that is probed, or the reason why it is not. CPU work: for a thread, not the loop."""

from collections.abc import Iterable
from dataclasses import dataclass

from middleware.records.conversation import Skipped, Turn
from middleware.records.exchange import Exchange
from middleware.traffic.caps import Caps, OptOuts
from middleware.traffic.conversation import ConversationTracker
from middleware.traffic.dialects import decode
from middleware.traffic.sampling import chosen
from middleware.traffic.undecodable import Undecodable

__all__ = ["Intake", "IntakeRule"]

DEFAULT_DEPLOYMENT = "default"


@dataclass(frozen=True, slots=True)
class IntakeRule:
    """Whose turns are wanted. rate: share of conversations, 0..1; 0 where no purpose is configured.

    models: names by which a deployment is recognised when neither header, path nor credential named it.
    """

    deployment: str
    rate: float
    models: tuple[str, ...] = ()


class Intake:
    """Decodes, recognises the conversation, and decides by its id alone whether it is probed."""

    def __init__(
        self,
        rules: Iterable[IntakeRule],
        tracker: ConversationTracker,
        salt: bytes,
        *,
        opt_outs: OptOuts = OptOuts(),  # noqa: B008 - frozen
        caps: Caps | None = None,
    ) -> None:
        self._rules = {rule.deployment: rule for rule in rules}
        self._by_model = {model: rule.deployment for rule in self._rules.values() for model in rule.models}
        self._tracker = tracker
        self._salt = salt
        self._opt_outs = opt_outs
        self._caps = caps or Caps()

    def take(self, exchange: Exchange) -> Turn | Skipped:
        """The turn, where its conversation is chosen."""
        if self._opt_outs.covers(exchange):
            return Skipped(exchange.deployment, "opted_out")
        transcript = decode(exchange)
        if isinstance(transcript, Undecodable):
            return Skipped(exchange.deployment, "undecodable", transcript.reason)
        deployment = exchange.deployment
        if deployment == DEFAULT_DEPLOYMENT:
            deployment = self._by_model.get(transcript.model, deployment)
        rule = self._rules.get(deployment)
        if rule is None or rule.rate <= 0:
            return Skipped(deployment, "not_configured")
        turn = self._tracker.observe(deployment, exchange, transcript)
        if not chosen(turn.conversation, rule.rate, self._salt):
            return Skipped(deployment, "not_sampled")
        refused = self._caps.refuses(turn)
        return turn if refused is None else Skipped(deployment, refused)

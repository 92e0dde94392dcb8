"""Whose exchanges are wanted, and which of them are chosen before anything leaves the process that heard them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import msgspec

from middleware.records.conversation import Skipped
from middleware.records.exchange import Exchange
from middleware.records.observation import Observation
from middleware.traffic.caps import OptOuts
from middleware.traffic.dialects import decode
from middleware.traffic.hashing import conversation_id
from middleware.traffic.sampling import chosen
from middleware.traffic.trace import Openings, trace_of
from middleware.traffic.trimming import trimmed
from middleware.traffic.undecodable import Undecodable

__all__ = ["DEFAULT_DEPLOYMENT", "Picking", "Selection", "SelectionRule"]

DEFAULT_DEPLOYMENT = "default"


@dataclass(frozen=True, slots=True)
class SelectionRule:
    """Whose turns are wanted. rate: share of conversations, 0..1; 0 where no purpose is configured.

    models, paths, key_ids: by what a deployment is recognised where the request did not name it.
    """

    deployment: str
    rate: float
    models: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    key_ids: tuple[str, ...] = ()


class Selection:
    """Opt-outs, decoding, and the deployment; sampling is left to who knows the conversation."""

    def __init__(self, rules: Iterable[SelectionRule], salt: bytes, *, opt_outs: OptOuts = OptOuts()) -> None:  # noqa: B008 - frozen
        self.salt = salt
        self.opt_outs = opt_outs
        self._rules = {rule.deployment: rule for rule in rules}
        ruled = self._rules.values()
        self._by_model = {model: rule.deployment for rule in ruled for model in rule.models}
        self._by_key = {key_id: rule.deployment for rule in ruled for key_id in rule.key_ids}
        prefixes = [(prefix, rule.deployment) for rule in ruled for prefix in rule.paths]
        self._by_path = sorted(prefixes, key=lambda pair: len(pair[0]), reverse=True)

    def rate(self, deployment: str) -> float:
        """Share of its conversations that is wanted; 0 of one that is not configured."""
        rule = self._rules.get(deployment)
        return rule.rate if rule is not None else 0.0

    def deployment_of(self, *, model: str, path: str = "", key_id: str = "") -> str:
        """By path prefix (the longest wins), key id, then model, as the relay does; else the default."""
        by_path = next((name for prefix, name in self._by_path if path and path.startswith(prefix)), None)
        return by_path or self._by_key.get(key_id) or self._by_model.get(model) or DEFAULT_DEPLOYMENT

    def of_exchange(self, exchange: Exchange) -> Observation | Skipped:
        """What an exchange of the relay says, where it is wanted at all."""
        if self.opt_outs.covers(exchange.target.decode("latin-1"), exchange.key_id):
            return Skipped(exchange.deployment, "opted_out")
        transcript = decode(exchange)
        if isinstance(transcript, Undecodable):
            return Skipped(exchange.deployment, "undecodable", transcript.reason)
        deployment = exchange.deployment
        if deployment == DEFAULT_DEPLOYMENT:
            deployment = self._by_model.get(transcript.model, deployment)
        if self.rate(deployment) <= 0:
            return Skipped(deployment, "not_configured")
        return Observation(
            deployment=deployment,
            transcript=transcript,
            trace=trace_of(self.salt, transcript),
            conversation=conversation_id(self.salt, exchange.conversation) if exchange.conversation else "",
            key_id=exchange.key_id,
            at=exchange.started_at + exchange.duration_seconds,
            started_at=exchange.started_at,
        )


class Picking:
    """Samples by how the conversation began, which every process finds alike, and takes out what nobody needs.

    clean: redacts one text. characters: how much of a transcript a judge is shown, about.
    """

    def __init__(self, selection: Selection, *, clean: Callable[[str], str], characters: int) -> None:
        self.selection = selection
        self._openings = Openings(selection.salt)
        self._clean = clean
        self._characters = characters

    def pick(self, heard: Observation) -> Observation | Skipped:
        """The observation redacted and cut to its end, or why it stays."""
        selection = self.selection
        rate = selection.rate(heard.deployment)
        if rate <= 0:
            return Skipped(heard.deployment, "not_configured")
        opening = self._openings.of(heard.transcript, conversation=heard.conversation, key_id=heard.key_id)
        if opening is None:
            return Skipped(heard.deployment, "beginning_unknown")
        if not chosen(opening, rate, selection.salt):
            return Skipped(heard.deployment, "not_sampled")
        return self.cleaned(heard)

    def pick_exchange(self, exchange: Exchange) -> Observation | Skipped:
        """`pick` of what the relay heard."""
        heard = self.selection.of_exchange(exchange)
        return heard if isinstance(heard, Skipped) else self.pick(heard)

    def cleaned(self, heard: Observation) -> Observation:
        """Redacted and cut to its end."""
        transcript = trimmed(heard.transcript, clean=self._clean, characters=self._characters)
        return msgspec.structs.replace(heard, transcript=transcript)

"""The judges of the answer key, made from the settings: who rates what users expressed, in which deployment."""

import importlib
import ssl
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import structlog

from middleware.benchmark.limiter import ConcurrencyRule, Limiter, Ticket
from middleware.control.budget import Budget
from middleware.errors import AnchorMissing, ConfigurationError
from middleware.probe.anchor_extra import ANCHOR_FIX
from middleware.probe.judging import (
    ANCHOR,
    REFERENCE,
    Anchor,
    AnchorJudge,
    Asker,
    Asking,
    Judge,
    ReferenceJudge,
)
from middleware.records.conversation import Turn
from middleware.settings import Settings
from middleware.settings.schema import DeploymentSettings
from middleware.settings.secrets import revealed
from middleware.tracing import NO_TRACING, Tracing
from middleware.upstream import UpstreamClient, http_client

__all__ = ["Judges", "judges_itself", "make_judges"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Judges:
    """reference, anchor: None where not there. limiter: of the reference model's calls, None without one.

    budgeted: the reference model by deployment, where its calls count against a budget of the deployment's own.
    """

    reference: Judge | None = None
    anchor: AnchorJudge | None = None
    limiter: Limiter | None = None
    budgeted: Mapping[str, Judge] = field(default_factory=dict)

    def of(self, deployment: DeploymentSettings) -> tuple[Judge, ...]:
        """Who rates what its users expressed, the answer key first; raises ConfigurationError for one that is named
        and not there."""
        reference = self.budgeted.get(deployment.name, self.reference)
        there: Mapping[str, Judge | None] = {REFERENCE: reference, ANCHOR: self.anchor}
        for name in deployment.judges:
            if there[name] is None:
                raise ConfigurationError(
                    f'deployments.judges of {deployment.name!r} names "{name}", which is not there: '
                    + ("set judge.model and its api_key" if name == REFERENCE else ANCHOR_FIX)
                )
        chosen = deployment.judges or (REFERENCE, ANCHOR)
        found = [there[name] for name in chosen]
        return tuple(judge for judge in found if judge is not None)


def make_judges(
    settings: Settings,
    stack: AsyncExitStack,
    budget: Budget,
    *,
    verify: ssl.SSLContext | bool = True,
    load: Callable[[], Anchor] | None = None,
    busy: Callable[[], bool] = lambda: False,
    tracing: Tracing = NO_TRACING,
) -> Judges:
    """Those that are configured and installed. Raises ConfigurationError where a deployment needs one that is not.

    verify: trust for the reference model's server. load: makes the anchor, or raises AnchorMissing.
    busy: whether traffic needs the processor.
    """
    asker = _asker(settings, stack, budget, verify, tracing)
    anchor = _anchor(settings, load or _load_anchor, busy)
    judges = Judges(anchor=anchor)
    if asker is not None and settings.judge.model:
        model, (asking, limiter) = settings.judge.model, asker
        budgeted = {
            d.name: ReferenceJudge(asking, model, budget.meter("judge", deployment=d.name))
            for d in settings.deployments
            if d.tokens_per_day is not None
        }
        judges = Judges(ReferenceJudge(asking, model), anchor, limiter, budgeted)
    for deployment in settings.deployments:
        judges.of(deployment)
        if deployment.anchor_only and anchor is None:
            raise ConfigurationError(f"deployments.anchor_only of {deployment.name!r} needs the anchor: {ANCHOR_FIX}")
    return judges


def judges_itself(settings: Settings) -> Callable[[Turn], bool]:
    """Whether a turn's reply is the reference model's own.

    Settings refuse a judge that is a configured model; which model traffic names is known only as it comes.
    """
    if not settings.judge_at_upstream:
        return lambda _: False
    tested = {deployment.name: deployment.model for deployment in settings.deployments}
    return lambda turn: (tested.get(turn.deployment) or turn.transcript.model) == settings.judge.model


def _asker(
    settings: Settings, stack: AsyncExitStack, budget: Budget, verify: ssl.SSLContext | bool, tracing: Tracing
) -> tuple[Asker[Ticket], Limiter] | None:
    """Who asks the reference model; None without one, or without a key for it."""
    judge, upstream = settings.judge, settings.upstream
    # The operator's key goes to the operator's own upstream only.
    key = revealed(judge.api_key) or ("" if judge.url else revealed(upstream.api_key))
    if not judge.model or not (judge.url or key):
        return None
    http = http_client(connections=judge.concurrency, timeout_seconds=judge.timeout_seconds, verify=verify)
    stack.push_async_callback(http.aclose)
    client = UpstreamClient(
        base_url=judge.url or upstream.url or "",
        api_key=key or None,
        dialect=judge.dialect,
        timeout_seconds=judge.timeout_seconds,
        http=http,
        tracing=tracing,
    ).metered(budget.meter("judge"))
    limiter = Limiter(ConcurrencyRule(judge.concurrency))
    config = Asking(
        answer_format=judge.answer_format,
        max_tokens=judge.max_tokens,
        context_characters=settings.probe.context_characters,
    )
    return Asker(client, config=config, limiter=limiter), limiter


def _load_anchor() -> Anchor:
    """Imported only where it is wanted: its parts are an extra."""
    try:
        module = importlib.import_module("middleware.probe.anchor_weights")
    except ModuleNotFoundError as error:
        raise AnchorMissing(f"the local anchor is not installed ({error.name} is missing): {ANCHOR_FIX}") from None
    anchor: Anchor = module.load_anchor()
    return anchor


def _anchor(settings: Settings, load: Callable[[], Anchor], busy: Callable[[], bool]) -> AnchorJudge | None:
    """Loaded only where a sampled deployment can use it: it takes some memory and a second."""
    wanted = [d for d in settings.deployments if d.sampled and (d.anchor_only or not d.judges or ANCHOR in d.judges)]
    if not wanted:
        return None
    try:
        return AnchorJudge(load(), context_characters=settings.probe.context_characters, busy=busy)
    except AnchorMissing as error:
        if any(d.anchor_only or ANCHOR in d.judges for d in wanted):
            raise
        _log.info("no_anchor", reason=str(error))
        return None

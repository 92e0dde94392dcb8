"""An upgrade, shown: a baseline of one model, then a weaker one behind the same name, and the regression metric rising.

Both models are scripted, and the demonstration says so: their answers come from files (examples/replay).
"""

import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass

from middleware.demo.admin_client import AdminClient

__all__ = ["Moment", "switch_models", "watch_upgrade"]

_POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known at one instant. state: as /api/v1/verdicts says. ratio: CUSUM over its alarm limit, None before."""

    state: str
    words: str
    score: float | None
    delta: float | None
    ratio: float | None

    @property
    def seen(self) -> tuple[str, float | None, float | None]:
        """What tells this moment from another one."""
        return self.state, self.score, self.ratio


def switch_models(upstream: str) -> None:
    """Let the second recording answer from now on, behind the same name."""
    request = urllib.request.Request(f"{upstream.removesuffix('/v1')}/-/switch", method="POST")  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        answer.read()


def watch_upgrade(
    admin: AdminClient, *, reached: Callable[[Moment], bool], seconds: float, told: Callable[[Moment], None]
) -> list[Moment]:
    """Poll verdict and metric until reached or the time is up; each moment that differs from the one before it."""
    moments: list[Moment] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        moment = _moment(admin)
        if moment is not None and (not moments or moment.seen != moments[-1].seen):
            moments.append(moment)
            told(moment)
            if reached(moment):
                break
        time.sleep(_POLL_SECONDS)
    return moments


def _moment(admin: AdminClient) -> Moment | None:
    verdicts = admin.json("/api/v1/verdicts")
    if not verdicts:
        return None
    verdict = verdicts[0]
    return Moment(
        state=verdict["state"],
        words=verdict["words"],
        score=verdict["score"],
        delta=verdict["delta"],
        ratio=admin.metric("eqwatch_bench_regression_cusum_ratio"),
    )

"""What tokens cost and what a window may give out, as configured."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from middleware.settings.schema import BudgetSettings, DeploymentSettings

__all__ = ["MICROS", "Caps", "Prices", "caps_of", "deployment_caps", "prices_of"]

MICROS = 1_000_000
"""Parts of the currency's unit in which money is counted."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Money per million tokens, in `currency`; None: not known, and no money is counted."""

    prompt: float | None = None
    completion: float | None = None
    currency: str = "USD"

    @property
    def known(self) -> bool:
        """Whether money can be told."""
        return self.prompt is not None and self.completion is not None

    def cost(self, prompt: int, completion: int) -> float | None:
        """What so many tokens cost, in the currency's unit; None where a price is not known."""
        return self.micros(prompt, completion) / MICROS if self.known else None

    def micros(self, prompt: int, completion: int) -> int:
        """What so many tokens cost in millionths of the currency's unit, rounded up."""
        return -int(-((self.prompt or 0.0) * prompt + (self.completion or 0.0) * completion) // 1)


@dataclass(frozen=True, slots=True)
class Caps:
    """Most that a window may give out; None: no cap."""

    tokens: int | None = None
    micros: int | None = None


def caps_of(budget: BudgetSettings, *, overrides: Mapping[str, float | None] | None = None) -> tuple[Caps, Caps]:
    """The caps per day and per run. overrides: what the command line says instead, by the setting's name."""
    values = budget.model_dump() | {name: value for name, value in (overrides or {}).items() if value is not None}

    def caps(window: str) -> Caps:
        money = values[f"money_per_{window}"]
        return Caps(values[f"tokens_per_{window}"], None if money is None else int(money * MICROS))

    return caps("day"), caps("run")


def deployment_caps(deployments: Iterable[DeploymentSettings]) -> dict[str, Caps]:
    """What the probes of deployments may take per day, of those that have a cap of their own."""
    return {d.name: Caps(tokens=d.tokens_per_day) for d in deployments if d.tokens_per_day is not None}


def prices_of(budget: BudgetSettings) -> Prices:
    """The prices as configured."""
    return Prices(budget.price_per_million_prompt_tokens, budget.price_per_million_completion_tokens, budget.currency)

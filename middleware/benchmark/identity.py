"""Who answers: the model name and system fingerprint of answers, and when they mean that another version took over.

Providers answer from several backends at once, so one strange answer means nothing. A version has taken over when two
dozen answers in a row came from strangers. A stranger that goes away again before it was judged is a further backend.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from middleware.records.benchmark import ItemResult

__all__ = ["STEADY_ANSWERS", "Identities", "identities_of", "model_of", "observe", "took_over"]

STEADY_ANSWERS = 24
"""Answers in a row from strangers that make a new version; two batches of 12."""
_MOST_KNOWN = 64


@dataclass(frozen=True, slots=True)
class Identities:
    """known: of the version that is measured. before: of the one that it replaced. strange: of the present streak."""

    known: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    streak: int = 0

    @property
    def returned(self) -> bool:
        """Whether the strangers are the version that was replaced."""
        return bool(self.strange) and set(self.strange) <= set(self.before)

    def replaced(self) -> "Identities":
        """The strangers are the version from now on."""
        return Identities(known=self.strange, before=self.known)

    def restored(self) -> "Identities":
        """The version before is the one again."""
        return Identities(known=self.before)

    def merged(self) -> "Identities":
        """Both versions are one, behind several backends."""
        return Identities(known=_distinct((*self.known, *self.before, *self.strange)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def identities_of(results: Iterable[ItemResult]) -> list[str]:
    """Of each answer in the order of time, as "model|fingerprint"; answers that name neither are left out."""
    answers = sorted((result.at, f"{result.answered_model}|{result.system_fingerprint}") for result in results)
    return [identity for _, identity in answers if identity != "|"]


def model_of(identities: Sequence[str]) -> str:
    """The model name of the newest of them; empty if it is not known."""
    return identities[-1].rpartition("|")[0] if identities else ""


def observe(state: Identities, answered: Sequence[str]) -> Identities:
    """Count the answers of a batch. The first ones ever seen are known."""
    if not state.known:
        return replace(state, known=_distinct(answered))
    for identity in answered:
        if identity in state.known:
            state = replace(state, strange=(), streak=0)
        else:
            state = replace(state, strange=_distinct((*state.strange, identity)), streak=state.streak + 1)
    return state


def took_over(state: Identities) -> bool:
    """Whether the strangers have been alone for long enough to be a version of their own."""
    return state.streak >= STEADY_ANSWERS


def _distinct(identities: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(identities))[-_MOST_KNOWN:]

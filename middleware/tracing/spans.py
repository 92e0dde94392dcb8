"""What code that is traced knows of tracing: a span around some work, and one that costs nothing where it is off."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeAlias

__all__ = ["NO_TRACING", "Attributes", "Span", "Tracing"]

Attributes: TypeAlias = Mapping[str, str | int | float | bool | tuple[str, ...]]


class Span(Protocol):
    """A piece of work under way."""

    def set(self, attributes: Attributes) -> None:
        """What is known by now."""

    def event(self, name: str, attributes: Attributes) -> None:
        """Something that happened in it."""

    def failed(self, kind: str) -> None:
        """It failed; kind: from a closed set, never an error's text, which may hold what a user wrote."""


class Tracing(Protocol):
    """Makes spans. Spans that are opened within another one, also in tasks that are begun there, are its children."""

    def span(self, name: str, attributes: Attributes, *, client: bool = False) -> AbstractContextManager[Span]:
        """A span around a with block. client: it is a call to another server."""

    def trace_id(self) -> str:
        """Of the span that is open now, 32 hexadecimal digits; empty where none is, or where it is not sampled."""


class _NoSpan:
    def set(self, attributes: Attributes) -> None:
        """Nothing."""

    def event(self, name: str, attributes: Attributes) -> None:
        """Nothing."""

    def failed(self, kind: str) -> None:
        """Nothing."""


class _NoTracing:
    @contextmanager
    def span(self, name: str, attributes: Attributes, *, client: bool = False) -> Iterator[Span]:  # noqa: ARG002
        """A span that nobody sees."""
        yield _NO_SPAN

    def trace_id(self) -> str:
        """None."""
        return ""


_NO_SPAN = _NoSpan()
NO_TRACING: Tracing = _NoTracing()

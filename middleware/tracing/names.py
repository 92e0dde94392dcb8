"""Names and attributes of spans and events. Where OpenTelemetry's GenAI conventions have a name, it is that one.

Conventions: github.com/open-telemetry/semantic-conventions, docs/gen-ai (in development as of version 1.38); what is
ours begins with ``eqwatch.``.
"""

from urllib.parse import urlsplit

from middleware.tracing.spans import Attributes, Span

__all__ = ["BATCH", "EVALUATION", "GATE", "ITEM", "PROBE", "RATING", "chat_span", "evaluated"]

BATCH = "eqwatch.benchmark"
ITEM = "eqwatch.benchmark.item"
GATE = "eqwatch.gate"
PROBE = "eqwatch.probe"
RATING = "eqwatch.rating"
EVALUATION = "gen_ai.evaluation.result"

_PROVIDERS = {"anthropic_messages": "anthropic"}
_PORTS = {"http": 80, "https": 443}


def chat_span(
    base_url: str, dialect: str, *, model: str, temperature: float, max_tokens: int, seed: int | None
) -> tuple[str, Attributes]:
    """Name and attributes of a call's span, known before it is made. The provider is told by the dialect."""
    url = urlsplit(base_url)
    attributes: dict[str, str | int | float | bool | tuple[str, ...]] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(dialect, "openai"),
        "gen_ai.request.model": model,
        "gen_ai.request.temperature": temperature,
        "gen_ai.request.max_tokens": max_tokens,
        "server.address": url.hostname or "",
        "server.port": url.port or _PORTS.get(url.scheme, 0),
    }
    if seed is not None:
        attributes["gen_ai.request.seed"] = seed
    return f"chat {model}", attributes


def evaluated(span: Span, name: str, outcome: str, value: float | None, **about: str) -> None:
    """Tell what an evaluation gave. value: None where nothing could be scored, which is no 0; outcome says why."""
    attributes: dict[str, str | int | float | bool | tuple[str, ...]] = {
        "gen_ai.evaluation.name": name,
        "gen_ai.evaluation.score.label": outcome,
    }
    if value is not None:
        attributes["gen_ai.evaluation.score.value"] = value
    elif outcome in ("api_error", "timeout"):
        attributes["error.type"] = outcome
    span.event(EVALUATION, attributes | {f"eqwatch.{key}": text for key, text in about.items()})

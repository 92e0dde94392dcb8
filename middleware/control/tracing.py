"""Makes the tracing that the settings ask for, where OpenTelemetry is installed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from middleware.errors import ConfigurationError
from middleware.settings.schema import TracingSettings
from middleware.tracing import NO_TRACING, Tracing

__all__ = ["require_tracing", "traced"]


def require_tracing(settings: TracingSettings) -> None:
    """Raises ConfigurationError where traces are wanted and the extra is not installed."""
    if settings.enabled and not _installed():
        raise ConfigurationError(
            "tracing.enabled is true and OpenTelemetry is not installed: in a checkout pip install '.[otel]', "
            "or set EQWATCH_TRACING_ENABLED=false"
        )


def _installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


@contextmanager
def traced(settings: TracingSettings, count_lost: Callable[[int], None] = lambda _spans: None) -> Iterator[Tracing]:
    """The tracing, closed at the end. count_lost: told how many spans the collector did not take."""
    require_tracing(settings)
    if not settings.enabled:
        yield NO_TRACING
        return
    from middleware.tracing.otel import OtelTracing

    tracing = OtelTracing(settings.endpoint, count_lost=count_lost)
    try:
        yield tracing
    finally:
        tracing.close()

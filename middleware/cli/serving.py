"""What `serve` and `monitor` check before anything listens, and say to the person at the terminal."""

import os
import ssl

from middleware.admin.access import Access
from middleware.control.listening import bound
from middleware.control.plans import benchmark_configured, benchmark_plans, missing_settings
from middleware.control.tracing import require_tracing
from middleware.errors import ConfigurationError
from middleware.probe.anchor_extra import ANCHOR_FIX, missing_part
from middleware.settings import Settings
from middleware.settings.secrets import revealed
from middleware.settings.webhooks import webhook_secrets

__all__ = ["checked", "checked_listener", "checked_parts", "said_of_benchmark", "said_of_deployments"]


def checked(settings: Settings) -> None:
    """What control would trip over later is said now. Raises ConfigurationError."""
    checked_parts(settings)
    if benchmark_configured(settings):
        benchmark_plans(settings)
    checked_listener(settings)


def checked_parts(settings: Settings) -> None:
    """Raises ConfigurationError where a webhook's secret can't be read, or a sampled deployment names the local anchor
    and it is not installed."""
    for webhook in settings.webhooks:
        webhook_secrets(webhook)
    part = missing_part()
    for deployment in settings.deployments:
        if part and deployment.sampled and (deployment.anchor_only or "anchor" in deployment.judges):
            field = "anchor_only" if deployment.anchor_only else "judges"
            raise ConfigurationError(
                f"deployments.{field} of {deployment.name!r} needs the local anchor, and {part} is not installed: "
                f"{ANCHOR_FIX}"
            )


def checked_listener(settings: Settings) -> None:
    """The admin listener: who may reach it, its certificate, and whether its address is free."""
    require_tracing(settings.tracing)
    admin = settings.admin
    Access.for_listener(admin.listen, read_token=revealed(admin.token), operate_token=revealed(admin.operate_token))
    if admin.certificate:
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(admin.certificate, admin.certificate_key or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"admin.certificate {admin.certificate} can't be used ({error}): name PEM files in admin.certificate "
                "and admin.certificate_key"
            ) from None
    try:
        bound(admin.listen).close()
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise ConfigurationError(
            f"admin.listen {admin.listen!r} can't be used ({reason}): pass --admin-listen HOST:PORT"
        ) from error


def said_of_benchmark(settings: Settings) -> str:
    """Whether the benchmark runs, and what is missing if not."""
    missing = missing_settings(settings)
    return f"benchmark: {'not configured, set ' + ' and '.join(missing) if missing else settings.benchmark.model}"


def said_of_deployments(settings: Settings) -> str:
    """Whose conversations are sampled."""
    sampled = [d.name for d in settings.deployments if d.sampled]
    return f"sampled deployments: {', '.join(sampled) or 'none (a deployment is sampled once its purpose is set)'}"

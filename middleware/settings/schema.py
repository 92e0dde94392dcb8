"""Every setting of the sidecar, with default, range and description; nothing else reads files or the environment.

Precedence: command line, then environment ``EQWATCH_*`` (``EQWATCH_UPSTREAM_API_KEY`` is ``upstream.api_key``), then
the file ``eqwatch.toml``, then the default. docs/configuration.md is generated from this module.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from middleware.records.emotions import DEFAULT_EMOTIONS, RESERVED
from middleware.records.threshold import Threshold, parse_threshold
from middleware.settings.store import StoreSettings
from middleware.settings.types import Duration, Section, parse_duration
from middleware.settings.webhooks import WebhookSettings, checked_public_url

__all__ = [
    "AdminSettings",
    "BenchmarkSettings",
    "BudgetSettings",
    "DeploymentSettings",
    "DetectionSettings",
    "EmotionSettings",
    "JudgeSettings",
    "LogSettings",
    "MatchSettings",
    "MonitorSettings",
    "ProbeSettings",
    "RelaySettings",
    "Settings",
    "StoreSettings",
    "TracingSettings",
    "UpstreamSettings",
    "WebhookSettings",
    "default_data_dir",
    "parse_duration",
]

DEPLOYMENT_NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
EMOTION_NAME = r"^[A-Za-z]{2,32}$"


def _listen(value: str) -> str:
    """``HOST:PORT`` (IPv6 in brackets) or ``unix:/path``."""
    if value.startswith("unix:/"):
        return value
    host, separator, port = value.rpartition(":")
    if not separator or not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError("write HOST:PORT such as 127.0.0.1:8080, [::1]:8080, or unix:/run/eqwatch.sock")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("put an IPv6 address in brackets, such as [::1]:8080")
    return value


Listen = Annotated[str, AfterValidator(_listen)]


class UpstreamSettings(Section):
    """The chat API behind the relay."""

    url: str | None = Field(None, description="Origin of the chat API, or the SDK-style base URL that ends in /v1.")
    dialect: Literal["openai_chat", "openai_responses", "anthropic_messages"] = Field(
        "openai_chat", description="What the sidecar's own calls speak. Traffic passes whatever it speaks."
    )
    api_key: SecretStr | None = Field(
        None, description="Operator key for benchmark and probes (EQWATCH_UPSTREAM_API_KEY). Never a client's key."
    )
    own_calls: bool = Field(
        True, description="Kill switch: false stops every call of the sidecar's own, `run` and `gate` included."
    )
    token_limit_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        "max_tokens", description="How openai_chat names the completion allowance; reasoning models want the latter."
    )
    ca_file: str = Field(
        "", description="PEM file of a private certificate authority; empty: the system's trust store."
    )
    client_certificate: str = Field("", description="PEM file of a client certificate for the upstream.")
    client_key: str = Field("", description="PEM file of the client certificate's key.")
    server_name: str = Field("", description="TLS server name, where it differs from the URL's host.")
    unix_socket: str = Field("", description="Connect to this Unix socket instead of the URL's host and port.")


class RelaySettings(Section):
    """The data listener: limits and timeouts of the traffic path."""

    listen: tuple[Listen, ...] = Field(
        ("127.0.0.1:8080",), description="Where clients connect: HOST:PORT or unix:/path."
    )
    workers: int = Field(1, ge=1, le=64, description="Relay processes that share the listener (SO_REUSEPORT).")
    head_bytes: int = Field(65536, ge=1024, description="Largest request or response head, in bytes (431 over it).")
    headers: int = Field(128, ge=8, description="Most header lines in a head (431 over it).")
    body_bytes: int = Field(512 * 1024 * 1024, ge=0, description="Largest request body, in bytes (413 over it).")
    connections: int = Field(10_000, ge=1, description="Most client connections at once (503 over it).")
    upstream_connections: int = Field(10_000, ge=1, description="Most upstream connections at once (503 over it).")
    buffer_bytes: int = Field(262_144, ge=4096, description="Bytes held per direction before the sender is slowed.")
    head_timeout_seconds: float = Field(20, ge=0, description="Time for a client to send a whole head; 0: no limit.")
    body_timeout_seconds: float = Field(60, ge=0, description="Longest pause within a request body; 0: no limit.")
    keep_alive_seconds: float = Field(75, ge=0, description="How long an idle client connection stays open.")
    connect_timeout_seconds: float = Field(10, ge=0, description="Time to connect to the upstream (504 over it).")
    first_byte_timeout_seconds: float = Field(600, ge=0, description="Time to the answer's head (504 over it).")
    idle_timeout_seconds: float = Field(600, ge=0, description="Longest pause within an answer; 0: no limit.")
    upstream_keep_alive_seconds: float = Field(30, ge=0, description="How long an idle upstream connection is kept.")
    drain_seconds: float = Field(30, ge=0, description="After SIGTERM, how long open streams may still run.")
    tap_body_bytes: int = Field(1_048_576, ge=1024, description="Most bytes kept of each body for a probe.")
    tap_busy_processor_share: float = Field(
        0.7,
        ge=0,
        le=1,
        description="Share of one processor, used or waited for by a relay process over half a second, from which it "
        "takes nothing for probes until it is below 0.7 of that; 0: it never gives way.",
    )
    emotions_header: bool = Field(
        False, description="Add x-eqwatch-emotions to responses of requests that carry x-eqwatch-conversation."
    )
    access_log: bool = Field(False, description="One structured line per request; never bodies, keys or queries.")


class AdminSettings(Section):
    """The admin listener: metrics, health, API and status page."""

    listen: Listen = Field("127.0.0.1:8081", description="Loopback by default; any other address needs a token.")
    token: SecretStr | None = Field(None, description="Bearer token that may read (EQWATCH_ADMIN_TOKEN).")
    operate_token: SecretStr | None = Field(
        None, description="Bearer token that may also pause, resume, declare and acknowledge."
    )
    public_url: Annotated[str | None, AfterValidator(checked_public_url)] = Field(
        None, description="Where people reach the status page; messages link to it."
    )
    ingest_token: SecretStr | None = Field(
        None, description="Bearer token that may hand in exchanges and nothing else (EQWATCH_ADMIN_INGEST_TOKEN)."
    )
    certificate: str = Field("", description="PEM file of the listener's TLS certificate chain; empty: plain HTTP.")
    certificate_key: str = Field("", description="PEM file of the certificate's key.")


class MonitorSettings(Section):
    """Where this sidecar's exchanges go when another process is the monitor: with `eqwatch serve --monitor URL`."""

    url: str | None = Field(
        None,
        description="Base URL of the monitor's admin listener; set: this sidecar only relays, observes and reports.",
    )
    token: SecretStr | None = Field(
        None, description="The monitor's ingest token (EQWATCH_MONITOR_TOKEN), which it knows as admin.ingest_token."
    )
    ca_file: str = Field(
        "", description="PEM file of a private certificate authority; empty: the system's trust store."
    )
    allow_plaintext: bool = Field(
        False, description="Report over http to another machine, as where a service mesh encrypts."
    )
    queue: int = Field(1000, ge=1, description="Exchanges that may wait; more are dropped and counted.")
    queue_bytes: int = Field(16_777_216, ge=65_536, description="Bytes that may wait; more are dropped and counted.")
    batch: int = Field(50, ge=1, le=100, description="Most exchanges in one delivery.")
    linger_seconds: float = Field(0.1, ge=0, le=10, description="How long a delivery waits for more exchanges.")
    timeout_seconds: float = Field(5, gt=0, description="Time limit of one delivery.")
    retry_seconds: float = Field(
        30, ge=0, description="How long an exchange waits for a monitor that is away; then it is dropped and counted."
    )


class BenchmarkSettings(Section):
    """The scheduled benchmark. Without a model and an operator key it is not configured, and says so."""

    enabled: bool = Field(True, description="Kill switch: false stops all scheduled benchmark calls.")
    model: str | None = Field(None, description="Model name to ask; without it the benchmark is not configured.")
    items: tuple[str, ...] = Field(("bundled",), description="Item sets to rotate through: names or file paths.")
    batch: int = Field(12, ge=1, le=1000, description="Items per batch.")
    interval: Duration = Field(timedelta(hours=1), description="Time between batches, such as 15m or 1h.")
    answer_format: Literal["text", "json_schema"] = Field("text", description="Plain text, or structured answers.")
    scoring_profile: Literal["official", "lm-eval", "tolerant"] | None = Field(
        None, description="How answers are read; default: official for official sets, tolerant for all others."
    )
    temperature: float = Field(0.01, ge=0, le=2, description="Sampling temperature; part of the protocol key.")
    max_tokens: int | None = Field(
        None, ge=8, description="Completion allowance; default: what the answer needs. Reasoning models need more."
    )
    reasoning_tokens: int = Field(
        0, ge=0, description="Tokens that a reasoning model may think in, on top of the allowance of the answer."
    )
    seed: int | None = Field(None, description="Sampling seed that is sent with each call, if any.")
    system_prompt: str = Field("", description="System prompt to ask under, such as the deployment's; empty: none.")
    system_prompt_file: str = Field("", description="File with the system prompt, in place of system_prompt.")
    rotation_seed: int = Field(1, ge=0, description="Seed of the order in which items come round.")
    concurrency: int = Field(4, ge=1, le=256, description="Most benchmark calls at once.")
    timeout_seconds: float = Field(120, gt=0, description="Time limit of one call.")
    yield_from_requests: int = Field(
        32, ge=1, description="User requests under way from which own calls give way; at twice as many they stop."
    )
    suspected_interval: Duration | None = Field(
        None,
        description="Time between batches while a fall is suspected or an upgrade is judged; default: a quarter of "
        "interval.",
    )
    commissioning_passes: int = Field(10, ge=5, description="Passes over all items that make a baseline.")
    commissioning_days: float = Field(
        0, ge=0, le=90, description="Least days that a baseline spans; 3 show how days differ. 0: as fast as passes go."
    )

    @model_validator(mode="after")
    def _suspicion_is_no_slower(self) -> BenchmarkSettings:
        if self.suspected_interval is not None and self.suspected_interval > self.interval:
            raise ValueError("suspected_interval is longer than interval: set it to at most that, or leave it out")
        return self

    @property
    def interval_when_suspected(self) -> timedelta:
        """The stepped-up time between batches."""
        return self.suspected_interval if self.suspected_interval is not None else self.interval / 4


class DetectionSettings(Section):
    """When the benchmark speaks up."""

    false_alarms_per_year: float = Field(
        1.0, gt=0, le=52, description="False pages that the whole installation may give in a year, over all detectors."
    )
    margin: float = Field(1.0, gt=0, le=100, description="Points that an upgrade may lose and still pass.")
    upgrade_passes: int = Field(4, ge=1, le=64, description="Passes after which an upgrade's comparison ends.")


class ProbeSettings(Section):
    """Probes of sampled conversations."""

    enabled: bool = Field(True, description="Kill switch: false stops all probe calls.")
    answer_format: Literal["text", "json_schema"] = Field("json_schema", description="How the judge must answer.")
    concurrency: int = Field(2, ge=1, le=64, description="Most probe calls at once.")
    queue: int = Field(256, ge=1, description="Exchanges that may wait; more are dropped and counted.")
    exchanges_per_second: float = Field(
        100, gt=0, description="Most exchanges taken from the relay per second, and at once."
    )
    timeout_seconds: float = Field(60, gt=0, description="Time limit of one probe call.")
    max_tokens: int = Field(120, ge=8, description="Completion allowance of a probe.")
    context_characters: int = Field(12_000, ge=500, description="Longest transcript shown to a judge.")
    turns_per_conversation: int | None = Field(
        100, ge=1, description="Turns of one conversation that are probed at most; later ones are counted."
    )
    conversations_per_hour: int | None = Field(
        None, ge=1, description="Conversations of a deployment that may begin to be probed in an hour; default: no cap."
    )
    conversations_kept_for: Duration = Field(
        timedelta(hours=24),
        description="How long a sampled conversation is recognised over a restart, by salted hashes.",
    )
    opt_out_paths: tuple[str, ...] = Field((), description="Path prefixes whose requests are never probed.")
    opt_out_key_ids: tuple[str, ...] = Field(
        (), description="Clients that are never probed, by their id from `eqwatch config key-id`."
    )


class JudgeSettings(Section):
    """The pinned reference model: it rates what users expressed, as the answer key of the probes."""

    url: str | None = Field(None, description="Base URL of the reference model's API; default: that of the upstream.")
    model: str | None = Field(None, description="Name of the reference model, pinned. Never the model under test.")
    api_key: SecretStr | None = Field(
        None, description="Key of the judge (EQWATCH_JUDGE_API_KEY); default at the upstream's own URL: the operator's."
    )
    dialect: Literal["openai_chat", "openai_responses", "anthropic_messages"] = Field(
        "openai_chat", description="What the reference model's API speaks."
    )
    answer_format: Literal["text", "json_schema"] = Field("json_schema", description="How it must answer.")
    max_tokens: int = Field(120, ge=8, description="Completion allowance of a rating.")
    concurrency: int = Field(2, ge=1, le=64, description="Most ratings under way at once.")
    timeout_seconds: float = Field(60, gt=0, description="Time limit of one rating.")
    benchmark_points: float | None = Field(
        None,
        le=100,
        description="EQ-Bench score of the reference model, from `eqwatch run`; agreement with it reads "
        "as quality only where this is above the score of the model under test.",
    )


class EmotionSettings(Section):
    """What predictions are held against, and the windows of the emotions over time."""

    censored_after: Duration = Field(
        timedelta(minutes=30), description="A turn without a next one within this time counts as censored."
    )
    retest_share: float = Field(0.05, ge=0, le=1, description="Share of turns that are rated twice, 0..1.")
    update_interval: Duration = Field(timedelta(minutes=1), description="Time between two looks at the windows.")
    reference_conversations: int = Field(
        300, ge=10, le=5000, description="Conversations of the reference window, frozen once it is full."
    )
    window_conversations: int = Field(300, ge=10, le=5000, description="Newest conversations of the current window.")
    least_conversations: int = Field(200, ge=5, description="Conversations in the current window before drift is said.")
    drift_floor: float = Field(0.5, ge=0, le=10, description="Least distance, in intensity points, that is a drift.")
    false_alarm_probability: float = Field(
        0.05, gt=0, lt=1, description="Of ever calling a drift where there is none, over all emotions of a deployment."
    )

    @model_validator(mode="after")
    def _window_holds_enough(self) -> EmotionSettings:
        if self.least_conversations > self.window_conversations:
            raise ValueError(
                f"least_conversations {self.least_conversations} is above window_conversations "
                f"{self.window_conversations}: set it to at most that"
            )
        return self


class BudgetSettings(Section):
    """Caps that are reserved before each of the sidecar's own calls."""

    tokens_per_day: int | None = Field(2_000_000, ge=0, description="Prompt plus completion tokens per UTC day.")
    tokens_per_run: int | None = Field(None, ge=0, description="Tokens per benchmark batch, `eqwatch run` or gate.")
    money_per_day: float | None = Field(None, ge=0, description="Money per UTC day, in `currency`; needs the prices.")
    money_per_run: float | None = Field(None, ge=0, description="Money per batch, `eqwatch run` or gate.")
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="Currency of prices and caps, three letters.")
    price_per_million_prompt_tokens: float | None = Field(
        None, ge=0, description="What a million prompt tokens cost; of the dearest model that is asked."
    )
    price_per_million_completion_tokens: float | None = Field(
        None, ge=0, description="What a million completion tokens cost, reasoning included."
    )

    @model_validator(mode="after")
    def _money_needs_prices(self) -> BudgetSettings:
        prices = (self.price_per_million_prompt_tokens, self.price_per_million_completion_tokens)
        if (self.money_per_day is not None or self.money_per_run is not None) and None in prices:
            raise ValueError(
                "money_per_day and money_per_run can't be kept without prices: set price_per_million_prompt_tokens "
                "and price_per_million_completion_tokens"
            )
        return self


class LogSettings(Section):
    """Structured logs on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is written.")
    format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal, else JSON.")


class TracingSettings(Section):
    """OpenTelemetry spans of the sidecar's own work, as OTLP over HTTP; needs the extra `otel`. Never of traffic."""

    enabled: bool = Field(False, description="Whether spans are made and exported.")
    endpoint: str | None = Field(
        None,
        description="Base URL of the collector, such as http://127.0.0.1:4318; default: as OTEL_EXPORTER_OTLP_* say.",
    )


class MatchSettings(Section):
    """How requests are recognised as a deployment's, besides the header x-eqwatch-deployment."""

    paths: tuple[str, ...] = Field((), description="Path prefixes.")
    models: tuple[str, ...] = Field((), description="Model names (known off the path only).")
    key_ids: tuple[str, ...] = Field(
        (), description="Clients by the keyed hash of their credential, from `eqwatch config key-id`."
    )


class DeploymentSettings(Section):
    """One application in front of the model."""

    name: str = Field(pattern=DEPLOYMENT_NAME, description="Name: lower case, digits, - and _.")
    kind: Literal["marketing", "tutoring", "companion"] | None = Field(None, description="Chooses default emotions.")
    purpose: str | None = Field(
        None, min_length=8, description="Why conversations may be sampled. Without it nothing is sampled."
    )
    model: str | None = Field(None, description="Model that is asked; default: the one that the conversation used.")
    emotions: tuple[Annotated[str, Field(pattern=EMOTION_NAME)], ...] = Field(
        (), max_length=10, description="Up to ten emotions; default by kind."
    )
    sample_rate: float = Field(0.1, ge=0, le=1, description="Share of conversations that are probed, 0..1.")
    judges: tuple[Literal["reference", "anchor"], ...] = Field(
        (),
        max_length=2,
        description="Who rates what users expressed, the answer key first; default: all of reference and anchor that "
        "are there.",
    )
    anchor_only: bool = Field(
        False, description="The local anchor estimates emotions at once; no model is called, and nothing is predicted."
    )
    tokens_per_day: int | None = Field(
        None,
        ge=0,
        description="Tokens that its probes and their ratings may take per UTC day, within budget.tokens_per_day; "
        "default: no cap of its own.",
    )
    benchmark: bool = Field(False, description="Benchmark this deployment's own model on its own; needs model.")
    items: tuple[str, ...] = Field((), description="Item sets of its benchmark; default: those of [benchmark].")
    thresholds: tuple[str, ...] = Field(
        (), max_length=20, description='When webhooks are told, such as "Boredom >= 7 for 2 turns, again below 5".'
    )
    match: MatchSettings = Field(default_factory=MatchSettings, description="How requests are recognised.")

    @model_validator(mode="before")
    @classmethod
    def _emotions_by_kind(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and not data.get("emotions") and data.get("kind") in DEFAULT_EMOTIONS:
            return {**data, "emotions": DEFAULT_EMOTIONS[data["kind"]]}
        return data

    @model_validator(mode="after")
    def _emotions_fit(self) -> DeploymentSettings:
        if len({e.casefold() for e in self.emotions}) != len(self.emotions):
            raise ValueError(f"emotions {list(self.emotions)} hold a duplicate: name each emotion once")
        if reserved := RESERVED & {e.casefold() for e in self.emotions}:
            raise ValueError(f"emotions hold {min(reserved)!r}, a key of x-eqwatch-emotions: use another word")
        if self.sampled and len(self.emotions) < 2:
            raise ValueError("a sampled deployment needs a kind or at least two emotions: set kind or emotions")
        return self

    @model_validator(mode="after")
    def _benchmark_has_a_model(self) -> DeploymentSettings:
        if self.benchmark and not self.model:
            raise ValueError(f"deployment {self.name!r} has benchmark = true and no model: set its model")
        if self.items and not self.benchmark:
            raise ValueError(f"deployment {self.name!r} names items and no benchmark of its own: set benchmark = true")
        return self

    @model_validator(mode="after")
    def _thresholds_can_be_read(self) -> DeploymentSettings:
        if len({str(rule) for rule in self.threshold_rules}) != len(self.thresholds):
            raise ValueError(f"thresholds {list(self.thresholds)} hold a duplicate: write each one once")
        return self

    @property
    def threshold_rules(self) -> tuple[Threshold, ...]:
        """The thresholds as rules."""
        return tuple(parse_threshold(text, self.emotions) for text in self.thresholds)

    @property
    def sampled(self) -> bool:
        """Whether conversations of this deployment may be probed at all."""
        return bool(self.purpose) and self.sample_rate > 0


class Settings(BaseSettings):
    """The whole configuration, frozen."""

    model_config = SettingsConfigDict(
        env_prefix="EQWATCH_",
        env_nested_delimiter="_",
        env_nested_max_split=1,
        extra="forbid",
        frozen=True,
        toml_file=None,
    )

    data_dir: Path = Field(default_factory=lambda: default_data_dir(), description="Where the store and items are.")
    salt: SecretStr | None = Field(
        None,
        min_length=16,
        description="Salt of conversation ids; default: made once and kept in the data directory. All sidecars of a "
        "monitor and the monitor itself need the same one (EQWATCH_SALT).",
    )
    upstream: UpstreamSettings = Field(default_factory=UpstreamSettings)
    relay: RelaySettings = Field(default_factory=RelaySettings)
    admin: AdminSettings = Field(default_factory=AdminSettings)
    monitor: MonitorSettings = Field(default_factory=MonitorSettings)
    benchmark: BenchmarkSettings = Field(default_factory=BenchmarkSettings)
    detection: DetectionSettings = Field(default_factory=DetectionSettings)
    probe: ProbeSettings = Field(default_factory=ProbeSettings)
    judge: JudgeSettings = Field(default_factory=JudgeSettings)
    emotions: EmotionSettings = Field(default_factory=EmotionSettings)
    budget: BudgetSettings = Field(default_factory=BudgetSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    log: LogSettings = Field(default_factory=LogSettings)
    tracing: TracingSettings = Field(default_factory=TracingSettings)
    deployments: tuple[DeploymentSettings, ...] = Field(())
    webhooks: tuple[WebhookSettings, ...] = Field(())

    @field_validator("webhooks")
    @classmethod
    def _distinct_webhooks(cls, value: tuple[WebhookSettings, ...]) -> tuple[WebhookSettings, ...]:
        names = [webhook.name for webhook in value]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"webhook name {repeated[0]!r} is used twice: give each webhook its own name")
        return value

    @model_validator(mode="after")
    def _webhooks_name_deployments(self) -> Settings:
        known = {deployment.name for deployment in self.deployments} | {"default"}
        for webhook in self.webhooks:
            if unknown := sorted(set(webhook.deployments) - known):
                raise ValueError(
                    f"webhook {webhook.name!r} names deployment {unknown[0]!r}, which is not configured: correct it"
                )
        return self

    @field_validator("deployments")
    @classmethod
    def _distinct(cls, value: tuple[DeploymentSettings, ...]) -> tuple[DeploymentSettings, ...]:
        names = [deployment.name for deployment in value]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"deployment name {repeated[0]!r} is used twice: give each deployment its own name")
        return value

    @model_validator(mode="after")
    def _judge_is_another(self) -> Settings:
        """Whoever is measured can't be what it is measured against."""
        judge = self.judge
        if any("reference" in d.judges for d in self.deployments) and not judge.model:
            raise ValueError('judges names "reference" and no reference model is set: set [judge] model, or remove it')
        if not self.judge_at_upstream:
            return self
        for deployment in self.deployments:
            if judge.model in {deployment.model, *(() if deployment.model else deployment.match.models)}:
                raise ValueError(
                    f"judge.model {judge.model!r} is the model under test of deployment {deployment.name!r}: a model "
                    "can't check itself; set another [judge] model, or another url"
                )
        return self

    @property
    def judge_at_upstream(self) -> bool:
        """Whether the reference model, if there is one, is behind the same URL as the models under test."""
        judge = self.judge
        return judge.model is not None and (not judge.url or _origin(judge.url) == _origin(self.upstream.url))

    @property
    def store_url(self) -> str:
        """The configured store, else a SQLite file in the data directory."""
        if self.store.url is not None:
            return self.store.url.get_secret_value()
        return f"sqlite:///{self.data_dir / 'eqwatch.db'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is the library's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line (init) over environment over file; no .env file and no secrets directory."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def _origin(url: str | None) -> str:
    """The same for both ways to write a base URL, with ``/v1`` at its end and without."""
    return (url or "").rstrip("/").removesuffix("/v1").rstrip("/").lower()


def default_data_dir() -> Path:
    """``$XDG_DATA_HOME/eqwatch``, else ``~/.local/share/eqwatch`` (XDG Base Directory Specification 0.8)."""
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base else Path.home() / ".local" / "share") / "eqwatch"

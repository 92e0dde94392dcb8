"""`eqwatch config`: check the configuration, and show what it comes to."""

import base64
import json
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from middleware.cli.options import DataDir
from middleware.cli.printing import print_table
from middleware.cli.serving import checked_parts
from middleware.control.plans import benchmark_plans, missing_settings
from middleware.errors import ConfigurationError
from middleware.proxy.deployments import key_id
from middleware.settings import Settings, load_settings
from middleware.settings.document import example_file, settings_table
from middleware.settings.loading import config_file
from middleware.settings.secrets import conversation_salt

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Check the configuration, show what it comes to, write an example file.")

ConfigFile = Annotated[Path | None, typer.Option("--config", help="Configuration file; default: eqwatch.toml.")]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def check(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Read every setting and say whether it is valid.

    Example: eqwatch config check --config eqwatch.toml
    """
    settings = load_settings(config)
    checked_parts(settings)
    benchmark_plans(settings)
    file = config_file(config)
    if as_json:
        print(json.dumps({"valid": True, "file": str(file) if file else None, "notes": _remarks(settings)}))
        return
    typer.echo(f"valid: {file or 'defaults and environment (no configuration file was found)'}")
    for remark in _remarks(settings):
        typer.echo(f"note: {remark}")


@app.command()
def show(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Print every setting with the value in force; secrets are hidden.

    Example: EQWATCH_BENCHMARK_INTERVAL=30m eqwatch config show
    """
    settings = load_settings(config)
    if as_json:
        # Secrets become asterisks where they are set.
        print(json.dumps(settings.model_dump(mode="json"), ensure_ascii=False))
        return
    print_table(settings_table(settings))


@app.command()
def example() -> None:
    """Print a commented eqwatch.toml with every setting and its default.

    Example: eqwatch config example > eqwatch.toml
    """
    typer.echo(example_file(), nl=False)


@app.command("webhook-secret")
def webhook_secret() -> None:
    """Print a new signing key for a webhook: give it to the receiver, and set it as the webhook's secret.

    Example: eqwatch config webhook-secret > webhook.key
    """
    typer.echo(f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}")


@app.command("content-key")
def content_key() -> None:
    """Print a new key for kept content: set it as EQWATCH_STORE_CONTENT_KEY, and keep it apart from the store.

    Example: eqwatch config content-key
    """
    typer.echo(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())


@app.command("key-id")
def key_identity(config: ConfigFile = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Print the key id of a client's API key, for deployments.match.key_ids and probe.opt_out_key_ids.

    The key is read from standard input, so that it stands in no history and no process list. The id depends on the
    salt: the configured one, else that of the data directory.

    Example: eqwatch config key-id < client.key
    """
    settings = load_settings(config, {"data_dir": data_dir} if data_dir is not None else {})
    given = typer.prompt("API key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read()
    key = given.strip()
    if not key:
        raise ConfigurationError("no API key came on standard input: pipe it in, such as `< client.key`")
    identity = key_id(key.encode("utf-8", "surrogateescape"), conversation_salt(settings))
    typer.echo(json.dumps({"key_id": identity}) if as_json else identity)


def _remarks(settings: Settings) -> list[str]:
    """What is valid, and yet may not be what was meant."""
    remarks = [] if settings.upstream.url else ["upstream.url is not set: pass --upstream URL to serve"]
    remarks += [f"the benchmark does not run: set {missing}" for missing in missing_settings(settings)]
    remarks += [
        f"deployment {deployment.name} is not sampled: set its purpose"
        for deployment in settings.deployments
        if not deployment.purpose
    ]
    told = {name for w in settings.webhooks if "emotions" in w.groups for name in w.deployments or ("*",)}
    remarks += [
        f"thresholds of deployment {deployment.name} reach no webhook, only /api/v1/events"
        for deployment in settings.deployments
        if deployment.thresholds and not told & {deployment.name, "*"}
    ]
    return remarks

"""`eqwatch monitor` and `eqwatch serve --monitor` refuse what can't work, in one line that names the fix."""

import os
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from middleware.cli.app import command_line
from middleware.demo.processes import eqwatch_command
from middleware.errors import ConfigurationError
from middleware.settings import load_settings
from middleware.settings.monitor import monitor_target

SALT = "one salt for the whole fleet"
SALTED = {"EQWATCH_SALT": SALT}
POD = (
    "serve",
    "--upstream",
    "http://127.0.0.1:9",
    "--listen",
    "127.0.0.1:0",
    "--admin-listen",
    "127.0.0.1:0",
    "--monitor",
)
TOKEN = {"EQWATCH_MONITOR_TOKEN": "ingest-token-of-the-test"}


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        (("monitor",), {}, "EQWATCH_SALT"),
        (("monitor", "--admin-listen", "0.0.0.0:0"), SALTED, "EQWATCH_ADMIN_INGEST_TOKEN"),
        (
            ("monitor", "--admin-listen", "0.0.0.0:0"),
            {**SALTED, "EQWATCH_ADMIN_INGEST_TOKEN": "x"},
            "EQWATCH_ADMIN_TOKEN",
        ),
        (("monitor", "--admin-listen", "127.0.0.1:0"), {**SALTED, "EQWATCH_UPSTREAM_API_KEY": "k"}, "--upstream URL"),
        (("monitor",), {**SALTED, "EQWATCH_ADMIN_CERTIFICATE": "absent.pem"}, "admin.certificate absent.pem"),
        ((*POD, "http://127.0.0.1:8081"), {}, "EQWATCH_SALT"),
        ((*POD, "monitor:8081"), SALTED, "monitor.url"),
        ((*POD, "https://monitor.example:8081"), SALTED, "EQWATCH_MONITOR_TOKEN"),
        ((*POD, "http://monitor.example:8081"), {**SALTED, **TOKEN}, "EQWATCH_MONITOR_ALLOW_PLAINTEXT"),
        (
            (*POD, "https://monitor.example:8081"),
            {**SALTED, **TOKEN, "EQWATCH_MONITOR_CA_FILE": "absent.pem"},
            "monitor.ca_file absent.pem",
        ),
    ],
)
def test_what_cannot_work_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], environment: dict[str, str], words: str
) -> None:
    """A configuration error before anything listens; its text names setting and fix, and no secret."""
    monkeypatch.chdir(tmp_path)
    for name, value in {**environment, "XDG_DATA_HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(command_line(), list(arguments))
    assert isinstance(done.exception, ConfigurationError)
    assert words in str(done.exception)
    assert SALT not in str(done.exception)


def test_the_refusal_is_one_line_with_its_exit_code(tmp_path: Path) -> None:
    """As of every command; why one salt is needed is said."""
    done = subprocess.run(
        eqwatch_command("monitor"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env={**os.environ},
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "finds no predecessor on another machine" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("http://127.0.0.1:8081", {}),
        ("http://localhost:8081/", {}),
        ("http://[::1]:8081", {}),
        ("https://monitor.example:8081/", TOKEN),
        ("http://monitor.example:8081", {**TOKEN, "EQWATCH_MONITOR_ALLOW_PLAINTEXT": "true"}),
    ],
)
def test_where_a_sidecar_may_report(monkeypatch: pytest.MonkeyPatch, url: str, environment: dict[str, str]) -> None:
    """This machine, or another one with a token, encrypted unless somebody says that the network does it."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    target = monitor_target(load_settings(None, {"monitor": {"url": url}}))
    assert target.url == url.rstrip("/")
    assert target.token == environment.get("EQWATCH_MONITOR_TOKEN", "")


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1", "http://", "https://user@monitor.example", "https://m.example/?a=b", ""]
)
def test_what_is_no_base_url_is_refused(url: str) -> None:
    """The value and how to write one are named."""
    with pytest.raises(ConfigurationError, match="no base URL: write https://HOST:PORT"):
        monitor_target(load_settings(None, {"monitor": {"url": url}}))

"""`eqwatch serve` refuses what can't work before anything listens, in one line that names the fix."""

import os
import socket
import subprocess
from pathlib import Path

import pytest

from middleware.demo.processes import eqwatch_command


def serve(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        eqwatch_command("serve", "--data-dir", str(tmp_path / "data"), *arguments),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "pass --upstream URL"),
        (("--upstream", "model:8000"), "is no base URL"),
        (("--upstream", "http://127.0.0.1:9", "--admin-listen", "0.0.0.0:8081"), "EQWATCH_ADMIN_TOKEN"),
        (("--upstream", "http://127.0.0.1:9", "--listen", "8080"), "write HOST:PORT"),
        (("--upstream", "http://127.0.0.1:9", "--config", "absent.toml"), "does not exist"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    """Exit code 2 and one line on standard error; no traceback."""
    done = serve(tmp_path, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_item_set_that_is_not_here_is_refused_before_traffic_flows(tmp_path: Path) -> None:
    """The benchmark's items are checked at the start, and the message says how to get them."""
    (tmp_path / "eqwatch.toml").write_text('[benchmark]\nmodel = "m"\nitems = ["eqbench-v2"]\n')
    done = serve(tmp_path, "--upstream", "http://127.0.0.1:9", EQWATCH_UPSTREAM_API_KEY="k")
    assert done.returncode == 2
    assert "eqwatch items fetch eqbench-v2" in done.stderr


def test_a_taken_data_port_is_named(tmp_path: Path) -> None:
    """The port, the reason and the option to change it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve(
            tmp_path,
            "--upstream",
            "http://127.0.0.1:9",
            "--listen",
            f"127.0.0.1:{port}",
            "--admin-listen",
            "127.0.0.1:0",
        )
    assert done.returncode == 2
    assert f"can't listen on 127.0.0.1 port {port}" in done.stderr
    assert "pass another --listen" in done.stderr


def test_a_taken_admin_port_is_named(tmp_path: Path) -> None:
    """The address, the reason and the option to change it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = serve(tmp_path, "--upstream", "http://127.0.0.1:9", "--listen", "127.0.0.1:0", "--admin-listen", address)
    assert done.returncode == 2
    assert address in done.stderr
    assert "--admin-listen" in done.stderr

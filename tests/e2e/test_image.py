"""The image: linted, and built and run for real where buildah and debootstrap can work (root, Debian)."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
pytestmark = [pytest.mark.timeout(600), pytest.mark.xdist_group("image")]


def run(*command: str, **kwargs: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, **kwargs)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout).strip()


def test_the_dockerfile_is_linted() -> None:
    """hadolint finds nothing in it."""
    run(str(Path(sys.executable).parent / "hadolint"), str(ROOT / "Dockerfile"))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image, built on a minimal Debian, since no registry is needed for that."""
    missing = [tool for tool in ("buildah", "debootstrap") if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"building the image needs root, buildah and debootstrap (missing: {missing or 'root'})")
    work = tmp_path_factory.mktemp("image")
    environment = {
        **os.environ,
        "BUILDAH_ISOLATION": "chroot",
        "STORAGE_DRIVER": "vfs",
        "CONTAINERS_STORAGE_CONF": str(work / "storage.conf"),
    }
    (work / "storage.conf").write_text(
        f'[storage]\ndriver = "vfs"\ngraphroot = "{work}/graph"\nrunroot = "{work}/run"\n'
    )
    os.environ.update({key: environment[key] for key in ("CONTAINERS_STORAGE_CONF", "STORAGE_DRIVER")})
    run(
        "debootstrap",
        "--variant=minbase",
        "--include=python3,python3-dev,python3-venv,ca-certificates,gcc,libc6-dev",
        SUITE,
        f"{work}/root",
    )
    container = run("buildah", "from", "scratch", env=environment)
    run("buildah", "add", "-q", container, f"{work}/root", "/", env=environment)
    run("buildah", "commit", "-q", "--rm", container, "localhost/base", env=environment)
    # The machine's own trust store and package index settings, for the time of the build alone.
    (work / "pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\n")
    run(
        *("buildah", "build", "-q", "--build-arg", "BASE=localhost/base", "-t", "localhost/eqwatch"),
        *("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro", "--volume", f"{work}/pip.conf:/etc/pip.conf:ro"),
        str(ROOT),
        env=environment,
    )
    yield "localhost/eqwatch"
    run("buildah", "rm", "--all", env=environment)
    shutil.rmtree(work, ignore_errors=True)


def test_the_image_is_non_root_and_starts_in_exec_form(image: str) -> None:
    """No shell stands between the signal and the process, and the user has no privileges."""
    config = json.loads(run("buildah", "inspect", "--type", "image", image))["OCIv1"]["config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["eqwatch"]
    assert config["Cmd"][0] == "serve"
    assert config["StopSignal"] == "SIGTERM"


def test_the_image_serves(image: str, free_port: int) -> None:
    """A container of it relays, answers its own health path, runs as an ordinary user, and ends with 0 on SIGTERM."""
    container = run("buildah", "from", image)
    command = ["buildah", "run", "--isolation", "chroot", container, "--", "eqwatch", "serve"]
    with socket.create_server(("127.0.0.1", 0)) as upstream:
        process = subprocess.Popen(
            [
                *(*command, "--upstream", f"http://127.0.0.1:{upstream.getsockname()[1]}"),
                *("--listen", f"127.0.0.1:{free_port}", "--admin-listen", "127.0.0.1:0"),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("ready ")
            with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/-/eqwatch/live", timeout=60) as answer:
                assert answer.status == 200
            served = relay_process(free_port)
            said = run(*command[:-2], "eqwatch", "--version")
            assert said.endswith("(compiled relay)"), said
            assert f"Uid:\t{10001}\t" in Path(f"/proc/{served}/status").read_text()
            os.kill(served, 15)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


def relay_process(port: int) -> int:
    """The process that listens on the port, found by its command line."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            if b"middleware.server" in words and b"/opt/eqwatch/bin" in words[0]:
                return int(entry.parent.name)
        time.sleep(0.1)
    raise AssertionError("no relay process was found")

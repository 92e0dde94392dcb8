"""Which file gets which form of the report: the suffix decides."""

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from middleware.errors import ConfigurationError
from middleware.gate.as_json import to_json_text
from middleware.gate.html import to_html
from middleware.gate.junit import to_junit
from middleware.gate.markdown import to_markdown
from middleware.gate.report import GateReport

__all__ = ["report_formats", "write_reports"]

_FORMATS: dict[str, Callable[[GateReport], str]] = {
    ".html": to_html,
    ".md": to_markdown,
    ".json": to_json_text,
    ".xml": to_junit,
}


def report_formats(paths: Iterable[Path]) -> None:
    """Raise ConfigurationError, before anything is asked, for a path that no report could be written to."""
    for path in paths:
        if path.suffix.lower() not in _FORMATS:
            raise ConfigurationError(f"--report {path}: its suffix picks the format, one of {', '.join(_FORMATS)}")
        folder = next(each for each in (path.parent, *path.absolute().parents) if each.exists())
        if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
            raise ConfigurationError(f"--report {path} can't be written: name a file in a directory that is writable")


def write_reports(report: GateReport, paths: Iterable[Path]) -> None:
    """Write each file whole or not at all; raises ConfigurationError."""
    for path in paths:
        text = _FORMATS[path.suffix.lower()](report)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, text)
        except OSError as error:
            raise ConfigurationError(f"--report {path} can't be written: {error.strerror}") from None


def _replace(path: Path, text: str) -> None:
    """Through a file beside it, so that a reader never sees half a report."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        umask = os.umask(0)
        os.umask(umask)
        Path(name).chmod(0o666 & ~umask)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

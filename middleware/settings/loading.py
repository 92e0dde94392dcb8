"""Reads the settings and turns what is wrong with them into one message that names place, value and fix."""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from middleware.errors import ConfigurationError
from middleware.settings.schema import Settings

__all__ = ["CONFIG_VARIABLE", "config_file", "load_settings"]

CONFIG_VARIABLE = "EQWATCH_CONFIG"
DEFAULT_FILE = Path("eqwatch.toml")
# Variables of the prefix that are not settings.
_OTHER_VARIABLES = frozenset({CONFIG_VARIABLE, "EQWATCH_EQBENCH_DIR", "EQWATCH_RELAY_FD", "EQWATCH_CANDIDATE_API_KEY"})
_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"'-]+)\s*=")
_FIXES = {
    "extra_forbidden": "remove it, or correct its name",
    "missing": "add it",
    "tuple_type": 'write a list, such as ["bundled"]',
}
_PLAIN = {
    "extra_forbidden": "there is no such setting",
    "missing": "it is required",
    "tuple_type": "a list is wanted",
}


def load_settings(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings from the command line's overrides, the environment and the file.

    file: an explicit configuration file, which must exist; else ``EQWATCH_CONFIG``; else ``eqwatch.toml`` if there.
    Raises ConfigurationError naming field, line where known, value and fix.
    """
    path = config_file(file)
    text = _read(path) if path else ""
    _refuse_unknown_variables()

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=path)

    try:
        return FromFile(**(overrides or {}))
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path, text)) from None
    except SettingsError as error:
        raise ConfigurationError(f"{error}: write a list or table in the environment as JSON") from None


def config_file(explicit: Path | None) -> Path | None:
    """The file that is read: the named one, else ``EQWATCH_CONFIG``, else ``eqwatch.toml`` if there, else none."""
    named = explicit or (Path(value) if (value := os.environ.get(CONFIG_VARIABLE)) else None)
    if named is not None:
        if not named.is_file():
            raise ConfigurationError(
                f"configuration file {named} does not exist: correct --config or {CONFIG_VARIABLE}"
            )
        return named
    return DEFAULT_FILE if DEFAULT_FILE.is_file() else None


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} can't be read: {error}") from None
    return text


def _refuse_unknown_variables() -> None:
    """A misspelt variable must not be a silent default; a misspelt field within a section is found by validation."""
    sections = tuple(f"EQWATCH_{name.upper()}" for name in Settings.model_fields)
    for variable in os.environ:
        known = variable in _OTHER_VARIABLES or variable.startswith(sections)
        if variable.startswith("EQWATCH_") and not known:
            raise ConfigurationError(
                f"environment variable {variable} is no setting of eqwatch: remove it, or correct its name"
            )


def _explain(error: ValidationError, path: Path | None, text: str) -> str:
    problems = []
    for entry in error.errors(include_url=False):
        where = _dotted(entry["loc"])
        line = _line_of(text, entry["loc"])
        variable = _variable_of(entry["loc"])
        place = f"{path}, line {line}: {where}" if line else where
        if variable:  # it beats the file
            place = f"environment variable {variable}, {where}"
        quoted = entry["type"] != "missing" and not _secret(where) and _plain(entry["input"])
        value = f" (got {entry['input']!r})" if quoted else ""
        message = _PLAIN.get(entry["type"], entry["msg"].removeprefix("Value error, "))
        fix = _FIXES.get(entry["type"])
        problems.append(f"{place}: {message}{value}" + (f": {fix}" if fix else ""))
    return "wrong setting\n  " + "\n  ".join(problems) if len(problems) > 1 else f"wrong setting: {problems[0]}"


def _variable_of(location: Sequence[int | str]) -> str:
    """The environment variable that sets the field or the list that it is in, or empty."""
    names = [str(part).upper() for part in takewhile(lambda part: isinstance(part, str), location)]
    variables = ["_".join(["EQWATCH", *names[:length]]) for length in range(len(names), 0, -1)]
    present = {name.upper(): name for name in os.environ}
    return next((present[variable] for variable in variables if variable in present), "")


def _secret(where: str) -> bool:
    field = where.rpartition(".")[2]
    secret = {"api_key", "token", "operate_token", "ingest_token", "salt", "secret"}
    return field in secret or where == "store.url" or (where.startswith("webhooks[") and field == "url")


def _plain(value: object) -> bool:
    """Whether a value can be quoted: a whole table may hold a secret, and what is wrong with it is said in words."""
    if isinstance(value, list | tuple):
        return all(_plain(part) for part in value)
    return not isinstance(value, Mapping | Settings)


def _dotted(location: Sequence[int | str]) -> str:
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _line_of(text: str, location: Sequence[int | str]) -> int | None:
    """The line of the file that sets the field, or that opens its table; None where the file doesn't name it."""
    table: tuple[int | str, ...] = ()
    counts: dict[str, int] = {}
    best: tuple[int, int] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            name = header[2]
            table = tuple(name.split("."))
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                table = (*table, counts[name])
            here = table
        elif key := _KEY.match(line):
            here = (*table, *key[1].strip("\"'").split("."))
        else:
            continue
        if here == tuple(location)[: len(here)] and (best is None or len(here) > best[0]):
            best = (len(here), number)
    return best[1] if best else None

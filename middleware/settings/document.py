"""Writes the settings down for people: the configuration page, an example file, a table of what is in force."""

import json
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args, get_origin

import durationpy
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from rich.table import Table

from middleware.settings.schema import (
    DeploymentSettings,
    MatchSettings,
    Settings,
    WebhookSettings,
    default_data_dir,
)

__all__ = ["Field", "configuration_page", "example_file", "fields", "settings_table"]

_LISTS = ("deployments", "webhooks")


@dataclass(frozen=True, slots=True)
class Field:
    """One setting as documented. section is empty for top-level settings."""

    section: str
    name: str
    kind: str
    default: str
    limits: str
    description: str

    @property
    def path(self) -> str:
        """Dotted, as in error messages."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def variable(self) -> str:
        """The environment variable, or empty where only the file can set it."""
        if self.section.startswith(_LISTS):
            return ""
        return f"EQWATCH_{self.path.replace('.', '_').upper()}"


def fields() -> Iterator[Field]:
    """Every setting, in the order of the schema."""
    for name, info in Settings.model_fields.items():
        if name == "deployments":
            yield from _section("deployments", DeploymentSettings)
            yield from _section("deployments.match", MatchSettings)
        elif name == "webhooks":
            yield from _section(name, WebhookSettings)
        elif isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _section(name, info.annotation)
        else:
            yield _field("", name, info)


def _section(section: str, model: type[BaseModel]) -> Iterator[Field]:
    for name, info in model.model_fields.items():
        if name != "match":
            yield _field(section, name, info)


def _field(section: str, name: str, info: FieldInfo) -> Field:
    default = "`$XDG_DATA_HOME/eqwatch`" if name == "data_dir" else _value(info.default)
    if info.default is PydanticUndefined and name != "data_dir":
        default = "required"
    return Field(section, name, _kind(info.annotation), default, _limits(info), info.description or "")


def _kind(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is typing.Literal:
        return " or ".join(f'"{value}"' for value in get_args(annotation))
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_kind(part) for part in get_args(annotation) if part is not type(None))
    if origin is tuple:
        return "list of " + _kind(get_args(annotation)[0])
    if origin is typing.Annotated:
        return _kind(get_args(annotation)[0])
    names = {str: "string", bool: "true or false", int: "integer", float: "number", timedelta: "duration"}
    return {**names, SecretStr: "secret", Path: "path"}.get(annotation, str(annotation))


def _limits(info: FieldInfo) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    parts = []
    for constraint in info.metadata:
        for attribute, sign in signs.items():
            if (bound := getattr(constraint, attribute, None)) is not None:
                parts.append(f"{sign} {bound}")
        if (length := getattr(constraint, "min_length", None)) is not None:
            parts.append(f"at least {length} characters")
        if (length := getattr(constraint, "max_length", None)) is not None:
            parts.append(f"at most {length}")
        if (pattern := getattr(constraint, "pattern", None)) is not None:
            parts.append(f"matches `{pattern}`")
    return ", ".join(parts)


def _value(value: object) -> str:
    """A default as TOML writes it; empty for an optional setting that is not set."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case timedelta():
            return f'"{durationpy.to_str(value)}"'
        case str() | Path():
            return f'"{value}"'
        case tuple():
            return "[" + ", ".join(_value(part) for part in value) + "]"
        case _:
            return str(value)


def configuration_page() -> str:
    """docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "Command line over environment over file over default. The file is TOML: `--config FILE`, else",
        "`EQWATCH_CONFIG`, else `eqwatch.toml` in the working directory. Durations are written as `90s`, `15m`,",
        "`1h30m`; lists and tables in the environment are JSON. An unknown setting or variable refuses to start.",
        "`eqwatch config check` validates, `eqwatch config show` prints what is in force, `eqwatch config example`",
        "writes a commented file. This page is generated from `middleware/settings/schema.py` by `scripts/generate`.",
    ]
    section = None
    for field in fields():
        if field.section != section:
            section = field.section
            title = f"[[{section}]]" if section in _LISTS else f"[{section}]" if section else "Top level"
            lines += ["", f"## {title}", "", "| setting | environment | type | default | what it does |"]
            lines += ["| --- | --- | --- | --- | --- |"]
        kind = f"{field.kind}, {field.limits}" if field.limits else field.kind
        variable = f"`{field.variable}`" if field.variable else "file only"
        default = field.default if field.default.startswith("`") or not field.default else f"`{field.default}`"
        cells = (f"`{field.name}`", variable, kind, default, field.description)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def example_file() -> str:
    """A commented eqwatch.toml: optional and secret settings are commented out."""
    lines = ["# eqwatch.toml: every setting with its default. Secrets belong in the environment."]
    section = ""
    for field in fields():
        if field.section != section:
            section = field.section
            commented = section.startswith(_LISTS)
            header = f"[[{section}]]" if section in _LISTS else f"[{section}]"
            lines += ["", f"# {header}" if commented else header]
        default = _written(field)
        plain = field.default not in {"", "required"} and not field.default.startswith("`")
        comment = "" if plain and not field.section.startswith(_LISTS) else "# "
        lines += [f"# {field.description}", f"{comment}{field.name} = {default}"]
    return "\n".join(lines) + "\n"


def _written(field: Field) -> str:
    """The default as TOML; what depends on the machine is this machine's, what has none is an empty text."""
    if field.path == "data_dir":
        return json.dumps(str(default_data_dir()))
    return field.default if field.default not in {"", "required"} else '""'


def settings_table(settings: Settings) -> Table:
    """What is in force, section by section; a secret shows only whether it is set."""
    table = Table("setting", "value", title="eqwatch configuration")
    for name in Settings.model_fields:
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            for key in type(value).model_fields:
                table.add_row(f"{name}.{key}", _shown(getattr(value, key)))
        elif name in _LISTS:
            for entry in value:
                table.add_row(f"{name}.{entry.name}", _shown(entry))
        else:
            table.add_row(name, _shown(value))
    return table


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return "(set)"
    return _value(value) if not isinstance(value, BaseModel) else repr(value)

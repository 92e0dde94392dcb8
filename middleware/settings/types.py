"""What the sections of the settings are made of: durations, and tables that refuse unknown keys."""

from datetime import timedelta
from typing import Annotated

import durationpy
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

__all__ = ["Duration", "Section", "parse_duration"]


def parse_duration(text: str) -> timedelta:
    """A Go-style duration (``90s``, ``1h30m``) above zero; raises ValueError that says how to write one."""
    try:
        found: timedelta = durationpy.from_str(text)
    except durationpy.DurationError as error:
        raise ValueError("write a duration such as 90s, 15m or 1h30m") from error
    return _positive(found)


def _duration(value: object) -> object:
    """Text is read here; anything else is left to pydantic."""
    return parse_duration(value) if isinstance(value, str) else value


def _positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("write a duration above zero, such as 15m")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration), AfterValidator(_positive)]


class Section(BaseModel):
    """A table of the file: frozen, and an unknown key is an error rather than a silent default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

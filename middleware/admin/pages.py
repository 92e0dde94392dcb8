"""What the pages of the admin listener share: the loaded model with the pictures drawn from it, templates, policies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from middleware.admin.charts import (
    DAYS_HEIGHT,
    EMOTIONS_WIDTH,
    branches_height,
    emotions_height,
)
from middleware.admin.drawing import Drawing
from middleware.admin.errors import ApiError
from middleware.admin.feelings import BANDS
from middleware.admin.standings import known_standings
from middleware.admin.state import AdminState
from middleware.admin.view import PageModel, StatusReader
from middleware.admin.words import FILTERS

__all__ = ["HERE", "Pages", "environment", "html", "picture"]

HERE = Path(__file__).parent
_FRESH_SECONDS = 5.0
_LOOKS = 3
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A picture carries its own style sheet, named by its digest; nothing else may load or run in it.
_PICTURE_POLICY = "default-src 'none'; style-src {}; sandbox; frame-ancestors 'none'"
_MOST_PICTURES = 200


@dataclass(slots=True)
class _Loaded:
    """One model of the page and the pictures that were drawn from it."""

    model: PageModel
    pictures: dict[tuple[str, ...], Drawing] = field(default_factory=dict)


class Pages:
    """Owns the loaded model: a page and its pictures are one moment, and many readers cost one read of the store."""

    def __init__(self, state: AdminState) -> None:
        self._state = state
        self._reader = StatusReader(state)
        self._loading = asyncio.Lock()
        self._loaded: _Loaded | None = None
        self.templates = environment()

    async def model(self) -> PageModel:
        """The model, read anew where the last one is older than a few seconds."""
        return (await self._fresh()).model

    async def picture(self, key: tuple[str, ...], draw: Callable[[PageModel], Drawing | None]) -> Response:
        """The picture under that key, drawn at most once for a model; 404 where it has no data."""
        loaded = await self._fresh()
        drawn = loaded.pictures.get(key)
        if drawn is None:
            drawn = await asyncio.to_thread(draw, loaded.model)
            if drawn is None:
                raise ApiError(404, "no_data", "There is no data for this chart yet.")
            if len(loaded.pictures) < _MOST_PICTURES:
                loaded.pictures[key] = drawn
        return picture(drawn)

    async def _fresh(self) -> _Loaded:
        async with self._loading:
            now = self._state.clock()
            if self._loaded is None or not 0 <= now - self._loaded.model.now < _FRESH_SECONDS:
                self._loaded = _Loaded(await self._read(now))
            return self._loaded

    async def _read(self, now: float) -> PageModel:
        """Once more where a verdict was told meanwhile: what the store has of it belongs to the new one."""
        for _ in range(_LOOKS):
            standings = known_standings(self._state)
            model = await asyncio.to_thread(self._reader.read, standings, now)
            if known_standings(self._state) == standings:
                break
        return model


def html(text: str) -> Response:
    """A page under the strict policy."""
    return HTMLResponse(text, headers={"content-security-policy": _PAGE_POLICY})


def picture(drawn: Drawing) -> Response:
    """An SVG under a policy that names its one style sheet."""
    headers = {
        "content-security-policy": _PICTURE_POLICY.format(drawn.style_source),
        "cache-control": "private, max-age=5",
    }
    return Response(drawn.svg, media_type="image/svg+xml", headers=headers)


def _bands() -> list[str]:
    """``low 1-4``: names and bounds of the bands, as the key to the colours says them."""
    upper = [lower for _, lower in BANDS[1:]] + [10.0]
    return [f"{name} {lower:g}\N{EN DASH}{top:g}" for (name, lower), top in zip(BANDS, upper, strict=True)]


def environment() -> Environment:
    """The templates, with everything escaped."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals |= {
        "bands": _bands(),
        "branches_height": branches_height,
        "days_height": DAYS_HEIGHT,
        "emotions_height": emotions_height,
        "emotions_width": EMOTIONS_WIDTH,
        "version": metadata.version("eqwatch"),
    }
    return environment

"""The dashboards as Grafana would load them, and as the panels with queries that tests walk."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from middleware.observe.dashboards import dashboard_files

RUNBOOKS = "https://wiki.example.com/runbooks"


@dataclass(frozen=True)
class Shown:
    """A panel of a dashboard's JSON."""

    board: dict[str, Any]
    panel: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.board['title']}: {self.panel['title']}"

    @property
    def targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.panel["targets"]
        return found


@pytest.fixture(scope="session")
def boards() -> list[dict[str, Any]]:
    files = dashboard_files(status_url="https://eqwatch.example.com", runbooks_url=RUNBOOKS)
    return [json.loads(text) for text in files.values()]


@pytest.fixture(scope="session")
def panels(boards: list[dict[str, Any]]) -> list[Shown]:
    return list(_panels(boards))


def _panels(boards: list[dict[str, Any]]) -> Iterator[Shown]:
    for board in boards:
        for panel in board["panels"]:
            if panel["type"] != "row":
                yield Shown(board, panel)

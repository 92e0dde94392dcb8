"""The Grafana dashboards: four boards as records here, JSON by grafana.py (which needs the extra ``dashboards``)."""

from middleware.errors import ConfigurationError
from middleware.observe.dashboards.emotions import EMOTIONS
from middleware.observe.dashboards.operations import OPERATIONS
from middleware.observe.dashboards.overview import OVERVIEW
from middleware.observe.dashboards.panels import STATES, Board, Panel, Row, State, Step
from middleware.observe.dashboards.queries import Query
from middleware.observe.dashboards.upgrades import UPGRADES

__all__ = ["BOARDS", "STATES", "Board", "Panel", "Query", "Row", "State", "Step", "dashboard_files"]

BOARDS = (OVERVIEW, UPGRADES, EMOTIONS, OPERATIONS)


def dashboard_files(*, status_url: str, runbooks_url: str | None = None) -> dict[str, str]:
    """File name -> JSON text of every dashboard. Raises ConfigurationError where the extra is not installed."""
    try:
        from middleware.observe.dashboards.grafana import rendered
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("grafana_foundation_sdk"):
            raise
        raise ConfigurationError(
            "dashboards need grafana-foundation-sdk, which is not installed: in a checkout, pip install '.[dashboards]'"
        ) from None
    return {f"{board.uid}.json": rendered(board, status_url=status_url, runbooks_url=runbooks_url) for board in BOARDS}

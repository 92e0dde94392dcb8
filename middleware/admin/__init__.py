"""The admin listener: metrics, health, API and status page, on their own port. Never in the path of traffic.

Names are imported when they are asked for: the observer in a pod has a listener too, without API, page and store.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from middleware.admin.access import Access
    from middleware.admin.app import create_app
    from middleware.admin.feed import EventFeed
    from middleware.admin.state import AdminState, BenchmarkInfo, DeploymentInfo

__all__ = ["Access", "AdminState", "BenchmarkInfo", "DeploymentInfo", "EventFeed", "create_app"]

_HOMES = {
    "Access": "access",
    "AdminState": "state",
    "BenchmarkInfo": "state",
    "DeploymentInfo": "state",
    "EventFeed": "feed",
    "create_app": "app",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

"""The admin listener: metrics, health, API and status page, on their own port. Never in the path of traffic."""

from middleware.admin.access import Access
from middleware.admin.app import create_app
from middleware.admin.feed import EventFeed
from middleware.admin.state import AdminState, BenchmarkInfo, DeploymentInfo

__all__ = ["Access", "AdminState", "BenchmarkInfo", "DeploymentInfo", "EventFeed", "create_app"]

"""Durable state: runs, item results, probes, leases, events, detector states; in SQLite or PostgreSQL."""

from middleware.store.repository import OpenReport, Progress, Store
from middleware.store.slots import Fence

__all__ = ["Fence", "OpenReport", "Progress", "Store"]

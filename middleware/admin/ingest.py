"""Where exchanges come in over the network. Everything here needs the scope ``ingest``."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from fastapi import APIRouter, Request

from middleware.admin.errors import ApiError
from middleware.admin.exchange_bodies import ArrivedBody, GivenExchanges, given_exchanges
from middleware.admin.state import AdminState
from middleware.records.report import Arrived, Report

__all__ = ["Ingest", "router"]


class Ingest(Protocol):
    """Who takes exchanges in."""

    def observations(self, body: bytes) -> Awaitable[Arrived]:
        """A pod's delivery as it came; raises ApiError."""

    def reports(self, reports: Sequence[Report], source: str = "api") -> Awaitable[Arrived]:
        """Exchanges that an application hands in."""

    def traces(self, body: bytes, media_type: str, encoding: str) -> Awaitable[Arrived]:
        """An OTLP trace request as it came; raises ApiError."""


def router(state: AdminState) -> APIRouter:
    """The routes over this state."""
    routes = APIRouter(tags=["ingest"])

    @routes.post("/api/v1/exchanges", status_code=202, summary="Hand in one exchange, or up to 100 of them")
    async def exchanges(body: GivenExchanges) -> ArrivedBody:
        return _told(await _ingest(state).reports(given_exchanges(body)))

    @routes.post("/api/v1/observations", status_code=202, summary="What observers deliver; not for applications")
    async def observations(request: Request) -> ArrivedBody:
        if "json" not in request.headers.get("content-type", ""):
            raise ApiError(415, "not_json", "Send application/json.")
        return _told(await _ingest(state).observations(await request.body()))

    return routes


def _ingest(state: AdminState) -> Ingest:
    if state.ingest is None:
        raise ApiError(501, "not_available", "This process takes no exchanges; hand them to the monitor.")
    return state.ingest


def _told(arrived: Arrived) -> ArrivedBody:
    return ArrivedBody(accepted=arrived.accepted, duplicates=arrived.duplicates, dropped=dict(arrived.dropped))

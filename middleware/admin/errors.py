"""Errors of the admin listener as JSON: what went wrong and what to do, never a piece of what was sent."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from middleware.errors import StoreUnavailable

__all__ = ["ApiError", "error_response", "install"]

_log = structlog.get_logger(__name__)
_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
_MESSAGES = {
    404: "There is nothing at this path; see /api/v1/openapi.json.",
    405: "This path does not take this method; see /api/v1/openapi.json.",
    413: "The body is larger than the admin API takes.",
}


class ApiError(Exception):
    """An answer other than success. message: for people, with the remedy, and without anything that the caller sent."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def error_response(
    status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> JSONResponse:
    """``{"error": {"code", "message", …}}``."""
    return JSONResponse({"error": {"code": code, "message": message, **more}}, status, headers)


def install(app: FastAPI) -> None:
    """Answer every expected failure of the app in one form; the gate answers all others."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(StoreUnavailable, _store_unavailable)


async def _api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)  # noqa: S101 - registered for this type
    return error_response(error.status, error.code, str(error))


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type
    code = _CODES.get(error.status_code, "error")
    message = _MESSAGES.get(error.status_code, "The request can't be answered.")
    return error_response(error.status_code, code, message, headers=error.headers)


async def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type
    # Only where and what kind: pydantic's own messages may quote the input.
    problems = [{"where": [str(part) for part in found["loc"]], "problem": found["type"]} for found in error.errors()]
    return error_response(422, "invalid", "A parameter or the body does not fit; see problems.", problems=problems[:20])


async def _store_unavailable(_request: Request, error: Exception) -> JSONResponse:
    _log.warning("store_unavailable", error=type(error).__name__)
    return error_response(503, "store_unavailable", "The store can't answer now; traffic is not affected. Try again.")

"""Errors of the admin listener as JSON: what went wrong and what to do, never a piece of what was sent."""

import re
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


_FIELD = re.compile(r"[a-z_][a-z0-9_]{0,40}")
_LIMITS = {
    "max_length": "at most so many characters or entries:",
    "min_length": "at least so many characters or entries:",
    "pattern": "write what matches",
    "expected": "write one of",
    "ge": "at least",
    "gt": "more than",
    "le": "at most",
    "lt": "less than",
}
_FIXES = {
    "missing": "add it",
    "extra_forbidden": "remove it: there is no such field",
    "string_type": "write text",
    "list_type": "write a list",
    "dict_type": "write an object",
    "bool_parsing": "write true or false",
    "float_parsing": "write a number",
    "float_type": "write a number",
    "int_parsing": "write a whole number",
    "json_invalid": "send valid JSON with the content type application/json",
    "model_attributes_type": "send a JSON object with the content type application/json",
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
    problems = [_problem(found) for found in error.errors()]
    return error_response(422, "invalid", "A parameter or the body does not fit; see problems.", problems=problems[:20])


def _problem(found: Mapping[str, Any]) -> dict[str, Any]:
    """Where, what kind of value was given and what to write instead; never the value, nor a name that is no field's."""
    parts = [part for part in found["loc"] if not (isinstance(part, str) and part.endswith("Body"))]
    where = [str(part) if isinstance(part, int) or _FIELD.fullmatch(part) else "(a name)" for part in parts]
    return {"where": where, "problem": found["type"], "got": _kind(found.get("input")), "fix": _fix(found)}


def _kind(value: object) -> str:
    """What a value is, by its type and size alone."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return f"text of {len(value)} characters"
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return f"an object with {len(value)} fields"
        case _:
            return "something else"


def _fix(found: Mapping[str, Any]) -> str:
    """From the rule that was broken: what the schema says, not what was sent."""
    rule = found.get("ctx") or {}
    limits = {name: rule[name] for name in _LIMITS if name in rule}
    if limits:
        return "; ".join(f"{_LIMITS[name]} {limit}" for name, limit in limits.items())
    return _FIXES.get(found["type"], "see the schema at /api/v1/openapi.json")


async def _store_unavailable(_request: Request, error: Exception) -> JSONResponse:
    _log.warning("store_unavailable", error=type(error).__name__)
    return error_response(503, "store_unavailable", "The store can't answer now; traffic is not affected. Try again.")

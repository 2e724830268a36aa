"""Errors in the language of HTTP: one table from codes to statuses, one form of answer.

The form is ``application/problem+json`` (RFC 9457) with our code, the fix and the request's id.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lineal.errors import Invalid, LinealError

#: Every code that an error of ours may carry, and what HTTP calls it.
STATUS = {
    "error": 500,
    "invalid": 422,
    "invalid_uri": 422,
    "invalid_event": 422,
    "invalid_query": 422,
    "malformed": 400,
    "too_large": 413,
    "unsupported": 415,
    "wrong_host": 421,
    "shape": 422,
    "unfit": 422,
    "rule": 422,
    "source_spec": 500,
    "config": 500,
    "not_found": 404,
    "not_observed": 404,
    "forbidden": 403,
    "method_not_allowed": 405,
    "file": 422,
    "source": 502,
    "source_down": 503,
    "source_gone": 502,
    "source_garbled": 502,
    "door_down": 503,
    "source_moved": 502,
    "overloaded": 503,
    "promise_broken": 503,
    "store": 500,
    "busy": 503,
    "out_of_time": 503,
    "store_unreachable": 503,
    "unstorable": 422,
    "read_only": 503,
    "storage_full": 507,
    "newer_schema": 503,
    "damaged": 500,
}

MEDIA_TYPE = "application/problem+json"


class Malformed(Invalid):
    """A body that is not what its content type says."""

    code = "malformed"


class TooLarge(Invalid):
    """A body above a limit."""

    code = "too_large"


class Unsupported(Invalid):
    """A body of a type or encoding that is not read here."""

    code = "unsupported"


class WrongHost(LinealError):
    """A request that was sent to another name than ours."""

    code = "wrong_host"


class Unexpected(LinealError):
    """A fault of ours: the log has the rest, under the request's id."""


class _Plain(LinealError):
    """An error of the framework, in our form."""

    def __init__(self, code: str, message: str, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.code = code


def status_of(error: LinealError) -> int:
    """Return the HTTP status of an error."""
    return STATUS.get(error.code, 500)


def translated(error: Exception) -> LinealError:
    """Return an error of ours for any that reaches the surface."""
    if isinstance(error, LinealError):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error.errors())
    if isinstance(error, HTTPException):
        codes = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
        code = codes.get(error.status_code, "malformed" if error.status_code < 500 else "error")
        fix = "See /api/v1/openapi.json for what there is." if code == "not_found" else ""
        return _Plain(code, str(error.detail), fix)
    return Unexpected(
        "Something went wrong here, and it is not your fault.",
        fix="Try again; if it stays so, look for the request id in the server's log.",
    )


def _invalid(faults: Sequence[dict[str, object]]) -> Invalid:
    """Say in one sentence which arguments are wrong."""
    told = []
    for fault in faults[:5]:
        place = fault.get("loc")
        name = place[-1] if isinstance(place, tuple) and place else "argument"
        told.append(f"{name}: {str(fault.get('msg', 'is wrong')).lower()}")
    return Invalid(f"{'; '.join(told)}.", fix="See /api/v1/openapi.json for each argument.")


def problem(error: LinealError, request: Request) -> dict[str, object]:
    """Return the body of an error answer."""
    status = status_of(error)
    return {
        "type": f"urn:lineal:error:{error.code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": error.code,
        "detail": error.message,
        "fix": error.fix or None,
        "nearest": [str(uri) for uri in getattr(error, "nearest", ())],
        "request_id": request_id(request),
    }


def request_id(request: Request) -> str:
    """Return the id under which the log knows this request."""
    return str(getattr(request.state, "request_id", ""))


def problem_response(error: LinealError, request: Request) -> Response:
    """Return an error as an answer."""
    retry = getattr(error, "retry_after", None)
    headers = {"Retry-After": str(math.ceil(retry))} if retry is not None else {}
    if status_of(error) == 503 and not headers:
        headers = {"Retry-After": "1"}
    body = msgspec.json.encode(problem(error, request))
    return Response(body, status_of(error), headers, MEDIA_TYPE)

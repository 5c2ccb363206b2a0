"""Errors as clients see them: a status code and ``{"detail": {"error", "message", "details"}}``."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import pydantic
from aiohttp import web

from engine.errors import (
    ConflictError,
    DatabaseError,
    NotFoundError,
    ServiceUnavailable,
    ValidationError,
    WorkflowError,
)
from engine.flow.strict_json import MAX_PROBLEMS
from engine.model.problem import Problem, Severity
from wfe_desktop.server.jsonio import encode_json

log = logging.getLogger(__name__)

ERROR_NAMES: dict[int, str] = {
    400: "ValidationError",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    408: "RequestTimeout",
    409: "Conflict",
    412: "PreconditionFailed",
    413: "PayloadTooLarge",
    415: "UnsupportedMediaType",
    421: "MisdirectedRequest",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented",
    503: "ServiceUnavailable",
}
"""The name that goes with each status where the error has none of its own."""

RETRY_AFTER_S = 1


class HttpError(Exception):
    """An answer other than the one asked for. ``closes``: the connection is of no more use after it."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        error: str | None = None,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        closes: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.error = error or ERROR_NAMES.get(status) or HTTPStatus(status).phrase.replace(" ", "")
        self.details = dict(details or {})
        self.headers = dict(headers or {})
        self.closes = closes

    def to_dict(self) -> dict[str, Any]:
        """The body of the answer."""
        return {"detail": {"error": self.error, "message": self.message, "details": self.details}}

    def to_response(self) -> web.Response:
        """The answer."""
        response = web.Response(
            status=self.status,
            body=encode_json(self.to_dict()) + b"\n",
            content_type="application/json",
            headers=self.headers,
        )
        if self.closes:
            response.force_close()
            response.headers["Connection"] = "close"
        return response


def to_http_error(error: BaseException) -> HttpError:
    """What a client is told about an exception; one that nobody expected is logged and told by number only."""
    match error:
        case HttpError():
            return error
        case web.HTTPException():
            return _of_aiohttp(error)
        case pydantic.ValidationError():
            return to_http_error(refusal(problems_of(error)))
        case WorkflowError():
            return _of_engine(error)
        case _:
            return internal_error(error)


def internal_error(error: BaseException | None) -> HttpError:
    """Logs a fault of ours under a new reference number, which is all the client is told."""
    reference = secrets.token_hex(6)
    log.error("a request failed, reference %s", reference, exc_info=error, extra={"reference": reference})
    return HttpError(
        500,
        f"something went wrong here; the log has it under reference {reference}",
        details={"reference": reference},
    )


def refusal(problems: list[Problem]) -> ValidationError:
    """The error for a request with these problems; its message is the first of them."""
    first = problems[0]
    where = f"{first.field}: " if first.field else ""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ValidationError(f"{where}{first.message}{more}", problems)


def problems_of(error: pydantic.ValidationError) -> list[Problem]:
    """Every fault pydantic found, each with its field; values are not repeated, they may be secret."""
    return [
        Problem(
            Severity.ERROR,
            fault["type"].replace("_", "-"),
            _sentence(fault["type"], fault["msg"]),
            field=".".join(str(part) for part in fault["loc"]) or None,
        )
        for fault in error.errors(include_url=False, include_context=False, include_input=False)[
            :MAX_PROBLEMS
        ]
    ]


def problems_in(model: type[pydantic.BaseModel], data: Any) -> list[Problem]:
    """What keeps ``data`` from being of this model."""
    try:
        model.model_validate(data)
    except pydantic.ValidationError as error:
        return problems_of(error)
    return []


def _sentence(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "unknown field"
    if kind == "missing":
        return "this field is required"
    return message[:1].lower() + message[1:]


def _of_engine(error: WorkflowError) -> HttpError:
    headers: dict[str, str] = {}
    match error:
        case NotFoundError():
            status = 404
        case ConflictError():
            status = 409
        case ServiceUnavailable() | DatabaseError():
            status = 503
            headers["Retry-After"] = str(RETRY_AFTER_S)
            if isinstance(error, DatabaseError):
                log.error("the database cannot be used: %s", error.message)
        case _:
            status = 400
    return HttpError(status, error.message, error=error.code, details=error.details, headers=headers)


def _of_aiohttp(error: web.HTTPException) -> HttpError:
    headers: dict[str, str] = {}
    details: dict[str, Any] = {}
    message = error.reason or HTTPStatus(error.status).phrase
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = sorted(error.allowed_methods)
        headers["Allow"] = ", ".join(allowed)
        details["allowed"] = allowed
        message = f"this address takes {', '.join(allowed)}"
    elif error.status == 404:
        message = "there is nothing at this address"
    return HttpError(error.status, message, details=details, headers=headers, closes=error.status == 413)

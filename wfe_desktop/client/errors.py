"""What a client raises. The names are those of the engine and of the HTTP answers.

::

    WorkflowError                      .code is the name in the answer, .status its HTTP status, .details is JSON
    ├── NotFoundError
    │   ├── GraphNotFound
    │   ├── RunNotFound
    │   └── ToolNotFound
    ├── ValidationError                the request or the graph is wrong; .problems has everything that is
    ├── ConflictError                  somebody else changed it meanwhile
    │   └── PreconditionFailed         the graph is at another version than the expected one
    ├── Unauthorized                   a token is needed, or this is not the right one
    ├── Forbidden
    ├── ServiceUnavailable             try again after .retry_after_s
    │   ├── DatabaseError
    │   └── TooManyRequests
    ├── InternalError                  a fault of the server; its log has it under .details["reference"]
    ├── ConnectionFailed               nobody answers at the address (also a ConnectionError)
    └── ServerTimedOut                 no answer came in time (also a TimeoutError)

An answer with a name that is not here is a ``WorkflowError`` with that ``code``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any


class WorkflowError(Exception):
    """Base of all that a client raises. ``str(error)`` is a sentence for the user. ``status`` is None without an answer."""

    code = "WorkflowError"

    def __init__(
        self, message: str, *, status: int | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.details: dict[str, Any] = dict(details or {})


class NotFoundError(WorkflowError):
    """Nothing has this id or name."""

    code = "NotFound"


class GraphNotFound(NotFoundError):
    """No graph (or no such version of it) has this id."""

    code = "GraphNotFound"


class RunNotFound(NotFoundError):
    """No run has this id."""

    code = "RunNotFound"


class ToolNotFound(NotFoundError):
    """No tool is registered under this name."""

    code = "ToolNotFound"


class ValidationError(WorkflowError):
    """The request or the graph is wrong."""

    code = "ValidationError"

    @property
    def problems(self) -> list[dict[str, Any]]:
        """Everything that is wrong: ``severity``, ``code``, ``message``, and ``node_id``, ``edge`` or ``field``."""
        found = self.details.get("problems", [])
        return [problem for problem in found if isinstance(problem, dict)] if isinstance(found, list) else []


class ConflictError(WorkflowError):
    """It was changed by somebody else meanwhile."""

    code = "Conflict"


class PreconditionFailed(ConflictError):
    """The graph is at another version than the one that was expected; ``details["version"]`` has it."""

    code = "PreconditionFailed"


class Unauthorized(WorkflowError):
    """A token is needed, or the one that was sent is wrong."""

    code = "Unauthorized"


class Forbidden(WorkflowError):
    """The server does not let this client in."""

    code = "Forbidden"


class ServiceUnavailable(WorkflowError):
    """The server takes nothing now; try again after ``retry_after_s``, where it says so."""

    code = "ServiceUnavailable"
    retry_after_s: float | None = None


class DatabaseError(ServiceUnavailable):
    """The server's database cannot be used."""

    code = "DatabaseError"


class TooManyRequests(ServiceUnavailable):
    """The server is asked too often."""

    code = "TooManyRequests"


class InternalError(WorkflowError):
    """A fault of the server; ``details["reference"]`` is the number under which its log has it."""

    code = "InternalError"


class ConnectionFailed(WorkflowError, ConnectionError):
    """Nobody answers at the address, or the connection broke."""

    code = "ConnectionFailed"


class ServerTimedOut(WorkflowError, TimeoutError):
    """No answer came in time."""

    code = "ServerTimedOut"


def _family(kind: type[WorkflowError]) -> Iterator[type[WorkflowError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


_BY_CODE = {kind.code: kind for kind in _family(WorkflowError)}
_BY_STATUS: dict[int, type[WorkflowError]] = {
    400: ValidationError,
    401: Unauthorized,
    403: Forbidden,
    404: NotFoundError,
    409: ConflictError,
    412: PreconditionFailed,
    429: TooManyRequests,
    500: InternalError,
    502: ServiceUnavailable,
    503: ServiceUnavailable,
    504: ServiceUnavailable,
}


def make_error(status: int, reason: str, body: Any, retry_after: str | None = None) -> WorkflowError:
    """The exception for an answer that is none; ``body`` is its JSON, or None where it has no JSON."""
    detail = body.get("detail") if isinstance(body, dict) else None
    if not isinstance(detail, dict):  # not one of our server's: something in between has answered
        return _BY_STATUS.get(status, WorkflowError)(f"the answer is {status} {reason}", status=status)
    code, message, details = (detail.get(key) for key in ("error", "message", "details"))
    kind = _BY_CODE.get(str(code)) or _BY_STATUS.get(status, WorkflowError)
    error = kind(str(message), status=status, details=details if isinstance(details, dict) else None)
    error.code = str(code)
    if isinstance(error, ServiceUnavailable) and retry_after is not None:
        with suppress(ValueError):  # a date: nobody here sends one
            error.retry_after_s = float(retry_after)
    return error

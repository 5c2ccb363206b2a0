"""Every error the engine raises on purpose, in one tree.

::

    WorkflowError                      .code is the name used in HTTP answers, .details is JSON
    ├── NotFoundError
    │   ├── GraphNotFound
    │   ├── RunNotFound
    │   └── ToolNotFound
    ├── ValidationError                a graph or a request is wrong; .problems lists every fault found
    ├── ConflictError                  somebody else changed it meanwhile
    ├── ToolDefinitionError            a Python function cannot be made a tool
    │   └── ToolAlreadyRegistered
    ├── ExpressionError                a condition or binding does not compile or does not evaluate
    ├── StepError                      one step cannot be done; it becomes the step's failure
    │   ├── ArgumentError              a parameter has no value or a wrong one
    │   ├── SecretNotFound             a secret that a parameter refers to is not there
    │   ├── ResultError                a tool returned what cannot be kept as JSON
    │   ├── StepTimedOut               it took longer than its timeout_s
    │   └── StepCrashed                the process that ran it ended
    ├── ServiceUnavailable             the engine is closing or closed
    └── DatabaseError                  the environment: says what to do about it
        └── DatabaseInUse              another program holds this database

The user's errors are shown as they are; the environment's say what to do; anything else that is raised is
a fault of ours and is logged with a reference number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.model.problem import Problem


class WorkflowError(Exception):
    """Base of all errors the engine raises on purpose. ``str(error)`` is a sentence for the user."""

    code = "WorkflowError"

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})


class NotFoundError(WorkflowError):
    """Something was asked for by a name or id that nothing has."""

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
    """A graph or a request is wrong. ``problems`` holds every fault found, each naming node, edge or field."""

    code = "ValidationError"

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, {"problems": [problem.to_dict() for problem in problems]})
        self.problems = tuple(problems)


class ConflictError(WorkflowError):
    """The thing was changed by somebody else since it was read."""

    code = "Conflict"


class ToolDefinitionError(WorkflowError):
    """A Python function cannot be registered as a tool; the message says why."""

    code = "ToolDefinitionError"


class ToolAlreadyRegistered(ToolDefinitionError):
    """The name is taken by another tool."""

    code = "ToolAlreadyRegistered"


class ExpressionError(WorkflowError):
    """An expression does not compile, or could not be evaluated.

    ``expression`` is its text; ``position`` the offset of the fault in characters, where known.
    """

    code = "ExpressionError"

    def __init__(self, message: str, expression: str = "", position: int | None = None) -> None:
        super().__init__(message, {"expression": expression, "position": position})
        self.expression = expression
        self.position = position


class StepError(WorkflowError):
    """One step cannot be done. It becomes the failure of that step."""

    code = "StepError"


class ArgumentError(StepError):
    """A tool's parameter has no value, or one of the wrong type."""

    code = "ArgumentError"


class SecretNotFound(StepError):
    """There is no secret of the name that a parameter refers to."""

    code = "SecretNotFound"


class ResultError(StepError):
    """A tool returned something that cannot be kept as JSON."""

    code = "ResultError"


class StepTimedOut(StepError):
    """A try of a step took longer than its node's ``timeout_s``. A retry policy knows it as TimeoutError."""

    code = "TimeoutError"


class StepCrashed(StepError):
    """The process that ran a step ended before the tool did: it crashed, or somebody killed it."""

    code = "StepCrashed"


class ServiceUnavailable(WorkflowError):
    """The engine is closing or closed and takes no more work."""

    code = "ServiceUnavailable"


class DatabaseError(WorkflowError):
    """The database cannot be used; the message says what to do."""

    code = "DatabaseError"


class DatabaseInUse(DatabaseError):
    """Another program holds the lock on this database."""

    code = "DatabaseInUse"

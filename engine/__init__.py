"""The Agent Workflow Engine: graphs of Python functions, run durably. These names are promised to users.

Those that need the database or Qt are imported when they are first asked for: a file of tools that says
``from engine import tool`` loads neither, nor does a process that only runs tools.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine.config import AppConfig
from engine.errors import (
    ArgumentError,
    ConflictError,
    DatabaseError,
    DatabaseInUse,
    ExpressionError,
    GraphNotFound,
    ResultError,
    RunNotFound,
    ServiceUnavailable,
    StepError,
    ToolAlreadyRegistered,
    ToolDefinitionError,
    ToolNotFound,
    ValidationError,
    WorkflowError,
)
from engine.flow.state import DELETE
from engine.flow.validation import validate_graph
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.model.outcome import EndRun, RunWorkflow, WaitForSignal, WaitUntil
from engine.model.problem import Problem, Severity
from engine.model.run import EventRecord, HistoryPage, RunSnapshot, RunSummary
from engine.model.status import RunStatus, StepStatus
from engine.tools.context import ToolContext
from engine.tools.decorator import tool
from engine.tools.registry import ToolRegistry

if TYPE_CHECKING:
    from engine.execution.engine import ExecutionEngine
    from engine.execution.services import Services, open_services
    from engine.storage.graphs import GraphManager
    from engine.storage.journal import StateManager

__all__ = [
    "DELETE",
    "AppConfig",
    "ArgumentError",
    "ConflictError",
    "DatabaseError",
    "DatabaseInUse",
    "EdgeDefinition",
    "EndRun",
    "EventRecord",
    "ExecutionEngine",
    "ExpressionError",
    "GraphDefinition",
    "GraphManager",
    "GraphNotFound",
    "HistoryPage",
    "NodeDefinition",
    "Problem",
    "ResultError",
    "RunNotFound",
    "RunSnapshot",
    "RunStatus",
    "RunSummary",
    "RunWorkflow",
    "ServiceUnavailable",
    "Services",
    "Severity",
    "StateManager",
    "StepError",
    "StepStatus",
    "ToolAlreadyRegistered",
    "ToolContext",
    "ToolDefinitionError",
    "ToolNotFound",
    "ToolRegistry",
    "ValidationError",
    "WaitForSignal",
    "WaitUntil",
    "WorkflowError",
    "open_services",
    "tool",
    "validate_graph",
]

_LATER = {
    "ExecutionEngine": "engine.execution.engine",
    "GraphManager": "engine.storage.graphs",
    "Services": "engine.execution.services",
    "StateManager": "engine.storage.journal",
    "open_services": "engine.execution.services",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_LATER[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

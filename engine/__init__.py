"""The Agent Workflow Engine: graphs of Python functions, run durably. These names are promised to users."""

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
from engine.execution.engine import ExecutionEngine
from engine.execution.services import Services, open_services
from engine.flow.state import DELETE
from engine.flow.validation import validate_graph
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.model.outcome import EndRun, WaitForSignal, WaitUntil
from engine.model.problem import Problem, Severity
from engine.model.run import EventRecord, HistoryPage, RunSnapshot, RunSummary
from engine.model.status import RunStatus, StepStatus
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager
from engine.tools.context import ToolContext
from engine.tools.decorator import tool
from engine.tools.registry import ToolRegistry

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

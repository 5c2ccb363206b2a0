"""A client of the HTTP and WebSocket API, for programs that drive a running Agent Workflow Engine.

``Client`` for scripts, ``AsyncClient`` for asyncio, with the same methods; they need neither the engine nor Qt.

    from wfe_desktop.client import Client

    with Client() as client:
        run = client.run_and_wait({"name": "Hello", "nodes": [...]}, {"value": 9})
        print(run.status, run.current_state.data)
"""

from wfe_desktop.client.asynchronous import AsyncClient
from wfe_desktop.client.blocking import Client
from wfe_desktop.client.errors import (
    ConflictError,
    ConnectionFailed,
    DatabaseError,
    Forbidden,
    GraphNotFound,
    InternalError,
    NotFoundError,
    PreconditionFailed,
    RunNotFound,
    ServerTimedOut,
    ServiceUnavailable,
    ToolNotFound,
    TooManyRequests,
    Unauthorized,
    ValidationError,
    WorkflowError,
)
from wfe_desktop.client.results import Event, RunState, RunStatus, StepStatus

__all__ = [
    "AsyncClient",
    "Client",
    "ConflictError",
    "ConnectionFailed",
    "DatabaseError",
    "Event",
    "Forbidden",
    "GraphNotFound",
    "InternalError",
    "NotFoundError",
    "PreconditionFailed",
    "RunNotFound",
    "RunState",
    "RunStatus",
    "ServerTimedOut",
    "ServiceUnavailable",
    "StepStatus",
    "TooManyRequests",
    "ToolNotFound",
    "Unauthorized",
    "ValidationError",
    "WorkflowError",
]

"""What clients send to have runs started, stopped and steered."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from engine.model.graph import Durability, GraphDefinition, Name
from wfe_desktop.server.payloads import MAX_PAGE, GraphVersionNumber, Id, QueryModel, Request

MAX_WAIT_S = 300
WaitSeconds = Annotated[
    float | None,
    Field(
        ge=0,
        le=MAX_WAIT_S,
        description="Wait up to this long for the end of the run, and answer with its state.",
    ),
]
IdempotencyKey = Annotated[
    Name | None,
    Field(
        description="A text of your own choice. The same request with the same key is the same run, for ever."
    ),
]
Unfinished = Literal["pending", "running", "paused", "waiting"]


class StateQuery(QueryModel):
    """Whether to wait."""

    wait_s: WaitSeconds = None


class _RunRequest(Request):
    initial_state: dict[str, Any] = Field(default_factory=dict)
    wait_s: WaitSeconds = None
    breakpoints: list[Id] = Field(
        default_factory=list, max_length=10_000, description="Nodes before which the run pauses."
    )
    durability: Durability | None = Field(
        default=None,
        description="strict: no step starts before what it builds on is committed. relaxed: faster; a crash can cost "
        "the last twentieth of a second, which is then done again. Left out: as the program is set.",
    )
    idempotency_key: IdempotencyKey = None


class RunRequest(_RunRequest):
    """Start a run of a stored graph."""

    graph_id: Id
    graph_version: GraphVersionNumber | None = Field(default=None, description="Left out: the newest.")


class RunInlineRequest(_RunRequest):
    """Store this graph, where it is not stored as it is, and start a run of it."""

    graph: GraphDefinition


class CancelRequest(Request):
    """Cancel these runs."""

    run_ids: list[Id] = Field(min_length=1, max_length=MAX_PAGE)


class CancelGraphRequest(Request):
    """Cancel every run of this graph that has not ended, or those of them at one status."""

    graph_id: Id
    status: Unfinished | None = None


class CancelStatusRequest(Request):
    """Cancel every run at this status."""

    status: Unfinished


class BreakpointsRequest(Request):
    """The nodes before which the run pauses, in place of those set before."""

    nodes: list[Id] = Field(max_length=10_000)

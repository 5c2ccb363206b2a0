"""Forks over HTTP: a new run from a step of an older one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from engine.model.run import ForkPoint
from engine.model.status import RunStatus
from wfe_desktop.server.payloads import (
    AnswerBody,
    GraphVersionNumber,
    Id,
    QueryModel,
    Request,
    RunStarted,
    RunState,
)
from wfe_desktop.server.routing import Answer, Call, NoQuery, Notes, RouteTable
from wfe_desktop.server.run_requests import IdempotencyKey, WaitSeconds
from wfe_desktop.server.run_routes import finished, settled

table = RouteTable("Runs")

_NodeId = Annotated[Id | None, Field(description="The step to run anew. Left out: from the start.")]
_Visit = Annotated[int | None, Field(ge=1, le=2**31, description="Left out: the node's latest.")]
_Version = Annotated[
    GraphVersionNumber | Literal["newest"] | None, Field(description="Left out: the one that ran.")
]


class ForkRequest(Request):
    """From where to fork, and with what."""

    node_id: _NodeId = None
    visit: _Visit = None
    state: dict[str, Any] = Field(default_factory=dict, description="Keys to set before the step starts.")
    remove: list[str] = Field(default_factory=list, max_length=10_000, description="Keys to take away.")
    graph_version: _Version = None
    breakpoints: list[Id] = Field(
        default_factory=list, max_length=10_000, description="Nodes before which the run pauses."
    )
    wait_s: WaitSeconds = None
    idempotency_key: IdempotencyKey = None


class ForkQuery(QueryModel):
    """From where to fork, and with which version."""

    node_id: _NodeId = None
    visit: _Visit = None
    graph_version: _Version = None


class ForkPlace(AnswerBody):
    """``state`` is what the fork would begin with, ``taken_over`` the nodes whose steps it would not run again."""

    run_id: str
    node_id: str | None
    visit: int | None
    graph_id: str
    graph_version: int
    state: dict[str, Any]
    taken_over: list[str]

    @classmethod
    def of(cls, point: ForkPoint) -> ForkPlace:
        return cls.model_construct(
            run_id=point.run_id,
            node_id=point.node_id,
            visit=point.visit,
            graph_id=point.graph_id,
            graph_version=point.graph_version,
            state=point.state,
            taken_over=list(point.taken_over),
        )


@table.with_body(
    "POST",
    "/graph/fork/{run_id}",
    "Start a new run from a step of an older one",
    body=ForkRequest,
    answers={202: RunStarted, 200: RunState},
    errors=(404, 409),
    notes=Notes(
        example={"node_id": "NODE_ID", "state": {"limit": 5}, "wait_s": 10},
        answer_headers={"Location": "Where the new run can be watched."},
    ),
)
async def fork_run(call: Call[NoQuery], body: ForkRequest) -> Answer:
    """What was recorded before that step started is taken over and not run again; the older run may still be running.

    Another version of the graph must come to the same steps up to there; else the answer names the step that differs.
    `wait_s` and `idempotency_key` are as for `/graph/run`.
    """
    engine = call.server.services.engine
    run_id = await settled(
        engine.submit_fork(
            call.path("run_id"),
            body.node_id,
            body.visit,
            state=body.state,
            remove=body.remove,
            graph_version=body.graph_version,
            breakpoints=tuple(dict.fromkeys(body.breakpoints)),
            idempotency_key=body.idempotency_key,
        )
    )
    headers = {"Location": f"/graph/state/{run_id}"}
    status = RunStatus.PENDING
    if body.wait_s is not None:
        run = await finished(call.server, run_id, body.wait_s)
        if run.status.is_final:
            return Answer(RunState.of(run), headers=headers)
        status = run.status
    elif body.idempotency_key is not None:  # it may be an old one
        status = (await settled(engine.request_status(run_id))).status
    message = "The run is forked"
    return Answer(RunStarted(run_id=run_id, message=message, status=status), status=202, headers=headers)


@table.plain(
    "GET",
    "/graph/fork/{run_id}",
    "Look at where a run would be forked",
    query=ForkQuery,
    answers={200: ForkPlace},
    errors=(404,),
)
async def look_at_fork(call: Call[ForkQuery]) -> Answer:
    """The state that the new run would begin with, before any edits, and what it would take over. Makes no run."""
    query = call.query
    point = await settled(
        call.server.services.engine.look_at_fork(
            call.path("run_id"), query.node_id, query.visit, graph_version=query.graph_version
        )
    )
    return Answer(ForkPlace.of(point))

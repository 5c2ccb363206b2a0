"""Answers for steps that wait, over HTTP: a signal they asked for, or a decision about one that was interrupted."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from wfe_desktop.server.payloads import AnswerBody, Id, Request
from wfe_desktop.server.routing import Answer, Call, NoQuery, Notes, RouteTable
from wfe_desktop.server.run_routes import settled

table = RouteTable("Runs")


class SignalRequest(Request):
    """The signal that a step waits for; the value becomes the step's result."""

    name: Id
    value: Any = None


class DecisionRequest(Request):
    """What becomes of a step that was interrupted and must not simply run again."""

    node_id: Id
    choice: Literal["rerun", "result", "fail"]
    result: Any = Field(default=None, description='The step\'s result, where the choice is "result".')


class RunSignal(AnswerBody):
    message: str
    delivered: bool


class RunDecision(AnswerBody):
    message: str
    decided: bool


@table.with_body(
    "POST",
    "/graph/signal/{run_id}",
    "Give a run the signal it waits for",
    body=SignalRequest,
    answers={200: RunSignal},
    errors=(404,),
    notes=Notes(example={"name": "approval", "value": True}),
)
async def signal_run(call: Call[NoQuery], body: SignalRequest) -> Answer:
    """`delivered` is false where no step waits for it. A value that does not meet the step's schema is refused."""
    engine = call.server.services.engine
    done = await settled(engine.signal(call.path("run_id"), body.name, body.value))
    message = "The run has its signal" if done else f'No step waits for the signal "{body.name}"'
    return Answer(RunSignal(message=message, delivered=done))


@table.with_body(
    "POST",
    "/graph/decide/{run_id}",
    "Decide about an interrupted step",
    body=DecisionRequest,
    answers={200: RunDecision},
    errors=(404,),
    notes=Notes(example={"node_id": "NODE_ID", "choice": "rerun"}),
)
async def decide_step(call: Call[NoQuery], body: DecisionRequest) -> Answer:
    """Run it again, take this result, or let it fail. `decided` is false where it does not wait for a decision."""
    engine = call.server.services.engine
    done = await settled(engine.decide_step(call.path("run_id"), body.node_id, body.choice, body.result))
    message = "The step is decided" if done else f'The step "{body.node_id}" does not wait for a decision'
    return Answer(RunDecision(message=message, decided=done))

"""Deleting ended runs over HTTP: one, some, or all that are old."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from engine.errors import ConflictError, RunNotFound
from wfe_desktop.server.payloads import MAX_PAGE, AnswerBody, Id, Request, Seq
from wfe_desktop.server.routing import Answer, Call, NoQuery, Notes, RouteTable
from wfe_desktop.server.run_routes import settled

table = RouteTable("Runs")


class DeleteRequest(Request):
    """Delete these runs."""

    run_ids: list[Id] = Field(min_length=1, max_length=MAX_PAGE)


class PruneRequest(Request):
    """What is left out is as configured; 0 deletes none by that rule."""

    days: Annotated[
        float | None,
        Field(ge=0, le=100_000, description="Delete runs that ended more than so many days ago."),
    ] = None
    runs: Annotated[Seq | None, Field(description="Delete all but the newest so many that have ended.")] = (
        None
    )


class RunsDelete(AnswerBody):
    """What became of each run: it is deleted (child runs as well), it has not ended or goes with its parent, or there is none."""

    message: str
    deleted: list[str]
    unfinished: list[str]
    not_found: list[str]


class RunsPrune(AnswerBody):
    message: str
    deleted: int


@table.plain(
    "DELETE",
    "/graph/runs/{run_id}",
    "Delete a run",
    query=NoQuery,
    answers={204: None},
    errors=(404, 409),
)
async def delete_run(call: Call[NoQuery]) -> Answer:
    """For good, with its child runs. One that has not ended is not deleted (409): cancel it first."""
    run_id = call.path("run_id")
    found = await settled(call.server.services.engine.request_deletion([run_id]))
    if found.not_found:
        raise RunNotFound(f'there is no run "{run_id}"', {"run_id": run_id})
    if found.unfinished:
        raise ConflictError(
            f'run "{run_id}" is not deleted: it, or a child run of it, has not ended; or it is a child run, '
            "which goes with its parent",
            {"run_id": run_id},
        )
    return Answer(status=204)


@table.with_body(
    "POST",
    "/history/delete",
    "Delete many runs",
    body=DeleteRequest,
    answers={200: RunsDelete},
    notes=Notes(example={"run_ids": ["RUN_ID"]}),
)
async def delete_runs(call: Call[NoQuery], body: DeleteRequest) -> Answer:
    """For good, each with its child runs. One that cannot be deleted keeps none of the others."""
    found = await settled(call.server.services.engine.request_deletion(body.run_ids))
    return Answer(
        RunsDelete(
            message=_count(len(found.deleted)),
            deleted=list(found.deleted),
            unfinished=list(found.unfinished),
            not_found=list(found.not_found),
        )
    )


@table.with_body(
    "POST",
    "/history/prune",
    "Delete old runs",
    body=PruneRequest,
    answers={200: RunsPrune},
    notes=Notes(example={"days": 90, "runs": 1000}),
)
async def prune_runs(call: Call[NoQuery], body: PruneRequest) -> Answer:
    """Ended ones only, by age, by number, or both, each with its child runs. This is also done by itself, as configured."""
    count = await call.server.database.run(call.server.services.engine.prune_runs, body.days, body.runs)
    return Answer(RunsPrune(message=_count(count), deleted=count))


def _count(deleted: int) -> str:
    return "1 run is deleted" if deleted == 1 else f"{deleted or 'No'} runs are deleted"

"""Runs: start, look, pause and go on, cancel, look back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from wfe_desktop.client.deletions import RunsDelete, RunsPrune
from wfe_desktop.client.results import (
    Event,
    ForkPlace,
    History,
    RunsCancel,
    RunStarted,
    RunState,
    RunStatus,
    RunSteps,
    Statistics,
    StepStatus,
)
from wfe_desktop.client.transport import Graph, Transport, given, graph_json


class RunCalls(Transport):
    """What can be asked and told about runs. Where there is no such run, each raises ``RunNotFound``."""

    async def execute_workflow(
        self,
        graph_id: str,
        initial_state: dict[str, Any] | None = None,
        breakpoints: Sequence[str] = (),
        *,
        graph_version: int | None = None,
        idempotency_key: str | None = None,
        durability: Literal["strict", "relaxed"] | None = None,
    ) -> str:
        """Start a run of a stored graph's newest version, or the one given; its id. From then on it is not lost.

        It pauses before the first of the nodes in ``breakpoints`` that is due. A request that is sent again with the
        same ``idempotency_key``, because no answer came to the first, is answered with the run that was made.
        ``durability="relaxed"`` is faster; a crash can cost the last moment's work, which is then done again.

        Raises:
            GraphNotFound: there is no such graph.
            ValidationError: the initial state cannot be used, or the graph has no such node.
            ConflictError: another request came with this key before.
        """
        body = given(
            graph_id=graph_id,
            graph_version=graph_version,
            initial_state=initial_state,
            breakpoints=list(breakpoints),
            idempotency_key=idempotency_key,
            durability=durability,
        )
        return (await self._call("POST", "/graph/run", RunStarted, body=body)).run_id

    async def execute_graph(
        self,
        graph: Graph,
        initial_state: dict[str, Any] | None = None,
        breakpoints: Sequence[str] = (),
        *,
        idempotency_key: str | None = None,
        durability: Literal["strict", "relaxed"] | None = None,
    ) -> RunStarted:
        """Store this graph, where it is not stored as it is, and start a run of it, as ``execute_workflow`` does.

        Raises:
            ValidationError: the graph has errors, or the initial state cannot be used.
        """
        body = given(
            graph=graph_json(graph),
            initial_state=initial_state,
            breakpoints=list(breakpoints),
            idempotency_key=idempotency_key,
            durability=durability,
        )
        return await self._call("POST", "/graph/run", RunStarted, body=body)

    async def get_execution_status(self, run_id: str) -> RunState:
        """The run as it stands now."""
        return await self._call("GET", "/graph/state/{run_id}", RunState, names={"run_id": run_id})

    async def get_execution_logs(
        self,
        run_id: str,
        since: int | None = None,
        limit: int | None = None,
        types: Sequence[str] | None = None,
    ) -> list[Event]:
        """The run's events with a ``seq`` above ``since``, oldest first, by itself the first 1,000."""
        query = given(since=since, limit=limit, types=types)
        return await self._call(
            "GET", "/graph/logs/{run_id}", list[Event], names={"run_id": run_id}, query=query
        )

    async def get_execution_steps(
        self,
        run_id: str,
        node_id: str | None = None,
        status: StepStatus | str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        *,
        visit: int | None = None,
        inputs: bool = False,
    ) -> RunSteps:
        """Every visit, attempt and item as it began; of one node, one visit, or in one status, where given.

        ``inputs``: with what each was given. What is too large for a list is left out, unless ``limit`` is 1.
        """
        with_inputs = "true" if inputs else None
        query = given(
            node_id=node_id, status=status, visit=visit, inputs=with_inputs, limit=limit, offset=offset
        )
        return await self._call(
            "GET", "/graph/steps/{run_id}", RunSteps, names={"run_id": run_id}, query=query
        )

    # Commands ---------------------------------------------------------------------------------------------

    async def cancel_execution(self, run_id: str) -> bool:
        """Cancel a run; whether there was anything to cancel. Running steps are asked to stop."""
        return await self._command("cancel", "cancelled", run_id)

    async def cancel_executions(
        self,
        graph_id: str | None = None,
        status: RunStatus | str | None = None,
        run_ids: Sequence[str] | None = None,
    ) -> RunsCancel:
        """Cancel all runs that have not ended of a graph, at a status, or both; or these (``run_ids``)."""
        body = given(graph_id=graph_id, status=status, run_ids=None if run_ids is None else list(run_ids))
        return await self._call("POST", "/graph/cancel", RunsCancel, body=body)

    async def delete_run(self, run_id: str) -> None:
        """Delete a run that has ended for good, with its child runs.

        Raises:
            ConflictError: it, or a child run of it, has not ended; or it is a child run itself.
        """
        await self._call("DELETE", "/graph/runs/{run_id}", type(None), names={"run_id": run_id})

    async def delete_runs(self, run_ids: Sequence[str]) -> RunsDelete:
        """Delete runs that have ended for good, each with its child runs; what became of each."""
        body = {"run_ids": list(run_ids)}
        return await self._call("POST", "/history/delete", RunsDelete, body=body)

    async def prune_runs(self, days: float | None = None, runs: int | None = None) -> RunsPrune:
        """Delete runs that ended more than so many days ago, and all but the newest so many; how many are gone.

        What is left out is as the server is configured; 0 deletes none by that rule.
        """
        return await self._call("POST", "/history/prune", RunsPrune, body=given(days=days, runs=runs))

    async def pause(self, run_id: str) -> bool:
        """Let a run start nothing new; running steps finish. Whether it was running."""
        return await self._command("pause", "paused", run_id)

    async def resume(self, run_id: str) -> bool:
        """Let a paused run go on; whether it was paused."""
        return await self._command("resume", "resumed", run_id)

    async def step(self, run_id: str) -> bool:
        """Let a paused run start one step more; whether there was one to start."""
        return await self._command("step", "stepped", run_id)

    async def retry(self, run_id: str) -> bool:
        """Let a failed run go on from where it failed; whether it had failed."""
        return await self._command("retry", "retried", run_id)

    async def fork(
        self,
        run_id: str,
        node_id: str | None = None,
        visit: int | None = None,
        *,
        state: dict[str, Any] | None = None,
        remove: Sequence[str] = (),
        graph_version: int | Literal["newest"] | None = None,
        breakpoints: Sequence[str] = (),
        idempotency_key: str | None = None,
    ) -> str:
        """Start a new run from a step of an older one; its id. What was recorded before is taken over, not run again.

        Without ``node_id`` from the start; ``visit`` is by default the node's latest. Before the step starts the keys of
        ``state`` are set and those in ``remove`` taken away. The version is by default the one that ran. A request that is
        sent again with the same ``idempotency_key`` is answered with the run that was made.

        Raises:
            GraphNotFound: there is no such version.
            ValidationError: the run did not start that step, or the version does not go the same way up to there.
            ConflictError: another request came with this key before.
        """
        body = given(
            node_id=node_id,
            visit=visit,
            state=state,
            remove=list(remove),
            graph_version=graph_version,
            breakpoints=list(breakpoints),
            idempotency_key=idempotency_key,
        )
        names = {"run_id": run_id}
        return (await self._call("POST", "/graph/fork/{run_id}", RunStarted, names=names, body=body)).run_id

    async def look_at_fork(
        self,
        run_id: str,
        node_id: str | None = None,
        visit: int | None = None,
        *,
        graph_version: int | Literal["newest"] | None = None,
    ) -> ForkPlace:
        """The state that ``fork`` would begin with, and what it would take over. Raises as ``fork`` does."""
        query = given(node_id=node_id, visit=visit, graph_version=graph_version)
        names = {"run_id": run_id}
        return await self._call("GET", "/graph/fork/{run_id}", ForkPlace, names=names, query=query)

    async def set_breakpoints(self, run_id: str, nodes: Sequence[str]) -> bool:
        """Have a run pause before these nodes start, in place of those set before; False where it has ended."""
        body = {"nodes": list(nodes)}
        return await self._command("breakpoints", "changed", run_id, body, method="PUT")

    async def signal(self, run_id: str, name: str, value: Any = None) -> bool:
        """Give a run the signal that a step of it waits for; whether one did. The value becomes the step's result.

        Raises:
            ValidationError: the value does not meet the step's schema.
        """
        return await self._command("signal", "delivered", run_id, {"name": name, "value": value})

    async def decide_step(
        self, run_id: str, node_id: str, choice: Literal["rerun", "result", "fail"], result: Any = None
    ) -> bool:
        """Decide about a step that was interrupted and must not simply run again; whether there was such a step."""
        body = {"node_id": node_id, "choice": choice, "result": result}
        return await self._command("decide", "decided", run_id, body)

    async def _command(
        self, command: str, answer: str, run_id: str, body: Any = None, *, method: str = "POST"
    ) -> bool:
        path = f"/graph/{command}/{{run_id}}"
        told = await self._call(method, path, dict[str, Any], names={"run_id": run_id}, body=body)
        return bool(told[answer])

    # History ----------------------------------------------------------------------------------------------

    async def query_historical_executions(
        self,
        graph_id: str | None = None,
        status: RunStatus | str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int | None = None,
        offset: int | None = None,
        parent_run_id: str | None = None,
        *,
        top_level: bool | None = None,
    ) -> History:
        """Runs, newest first, by itself 50. ``start_date`` is included, ``end_date`` is not; both by acceptance.

        With ``parent_run_id``, the runs that steps of that run started; with ``top_level``, only runs that no step started.
        """
        body = given(
            graph_id=graph_id,
            status=status,
            start_date=start_date,
            end_date=end_date,
            limit=limit,
            offset=offset,
            parent_run_id=parent_run_id,
            top_level=top_level,
        )
        return await self._call("POST", "/history/executions", History, body=body)

    async def get_execution_statistics(
        self,
        graph_id: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Statistics:
        """Counts by status and by graph, and how long completed runs took. ``limit`` and ``offset`` page the graphs."""
        query = given(graph_id=graph_id, start_date=start_date, end_date=end_date, limit=limit, offset=offset)
        return await self._call("GET", "/history/statistics", Statistics, query=query)

    async def read_events(
        self,
        since: int | None = None,
        run_id: str | None = None,
        graph_id: str | None = None,
        limit: int | None = None,
        types: Sequence[str] | None = None,
    ) -> list[Event]:
        """Stored events of all runs after ``since``, oldest first, by itself the first 1,000."""
        query = given(since=since, run_id=run_id, graph_id=graph_id, limit=limit, types=types)
        return await self._call("GET", "/events", list[Event], query=query)

"""A run in memory, and its row in the history."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from engine.execution.attempts.attempt import Attempt
from engine.flow.run_state import RunState, WaitingStep
from engine.model.events import ChildStarted, RunEvent
from engine.model.run import RunSnapshot, RunSummary
from engine.model.tool import Tool


@dataclass(slots=True)
class LiveRun:
    """A run in memory: its state, the tools as they were when it came in, and the attempts under way.

    ``children`` are the runs that its steps run, by node and item; ``origin`` is how its parent's step started it.
    """

    state: RunState
    about: RunSummary
    tools: tuple[Tool | None, ...]
    stored: bool = False
    attempts: dict[tuple[str, int | None], Attempt] = field(default_factory=dict)
    waiters: list[Future[RunSnapshot]] = field(default_factory=list)
    children: dict[tuple[str, int | None], ChildStarted] = field(default_factory=dict)
    origin: ChildStarted | None = None
    _careful: frozenset[str] | None = None

    def is_urgent(self, facts: Sequence[RunEvent]) -> bool:
        """Whether these facts must be committed before anything follows from them.

        Always in a strict run. In a relaxed one what concerns a step that must not be doubled is, and that the run exists.
        """
        if self.about.durability == "strict" or not self.stored:
            return True
        if self._careful is None:
            self._careful = frozenset(
                definition.id
                for definition, tool in zip(self.state.plan.graph.nodes, self.tools, strict=True)
                if definition.on_restart in ("ask", "fail") or (tool is not None and tool.effects == "once")
            )
        return any(getattr(fact, "node", None) in self._careful for fact in facts)

    def list_waiting(self) -> list[tuple[str, int | None, WaitingStep]]:
        """The steps that wait: node, item, and how."""
        ids, steps = self.state.plan.topology.node_ids, self.state.waiting.items()
        keys = ((key if isinstance(key, tuple) else (key, None), step) for key, step in steps)
        return [(ids[node], item, step) for (node, item), step in keys]

    def row(self) -> dict[str, Any]:
        """The row of a run that the database does not have yet."""
        run, about = self.state, self.about
        return {
            "id": run.run_id,
            "graph_id": about.graph_id,
            "graph_version": about.graph_version,
            "graph_name": about.graph_name,
            "accepted_at": run.accepted_at,
            "parent_run_id": about.parent_run_id,
            "parent_node_id": about.parent_node_id,
            "forked_from": about.forked_from,
            "idempotency_key": about.idempotency_key,
            "durability": about.durability,
            **self._standing(),
        }

    def changed_row(self) -> dict[str, Any]:
        """What is to be changed in the row that the database has."""
        return {
            "run_id": self.state.run_id,
            **{f"new_{name}": value for name, value in self._standing().items()},
        }

    def _standing(self) -> dict[str, Any]:
        run = self.state
        return {
            "status": run.status.value,
            "started_at": run.started_at,
            "completed_at": run.completed_at,
            "error_message": run.failure.message if run.failure else run.waiting_for or run.idle_reason,
            "step_count": len(run.path),
        }

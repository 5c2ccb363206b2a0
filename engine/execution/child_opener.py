"""Making ready the runs that steps ask for: what graph, how deep, with which tools."""

from __future__ import annotations

from engine.errors import StepError
from engine.execution.families import Child
from engine.execution.live_run import LiveRun
from engine.execution.preparing import PreparedGraphs, open_run
from engine.model.events import ChildStarted, ChildWanted, RunAccepted
from engine.storage.graphs import GraphManager
from engine.tools.registry import ToolRegistry


class ChildOpener:
    """Makes the runs ready that steps ask for. Reads the database."""

    def __init__(
        self, graphs: GraphManager, prepared: PreparedGraphs, tools: ToolRegistry, max_depth: int
    ) -> None:
        self._graphs = graphs
        self._prepared = prepared
        self._tools = tools
        self._max_depth = max_depth

    def open(self, parent: LiveRun, wanted: ChildWanted, at: int) -> Child:
        """The run of the graph's newest version.

        Raises:
            GraphNotFound: there is no such graph, or more than one of this name.
            StepError: runs would lie too deep in one another.
        """
        graph = self._graphs.find_graph(wanted.graph)
        depth = parent.state.depth + 1
        if depth > self._max_depth:
            raise StepError(
                f'"{graph.name}" is not run: it would lie {depth} deep in runs that run one another, '
                f"and {self._max_depth} is the most (max_depth)"
            )
        accepted = RunAccepted(
            at,
            graph.id,
            graph.version,
            graph.name,
            wanted.initial_state,
            parent_run_id=parent.state.run_id,
            parent_node=wanted.node,
            depth=depth,
            durability=parent.about.durability,
        )
        prepared = self._prepared.get(graph.id, graph.version)
        live = open_run(prepared, self._tools.list_tools(), accepted)
        plan = parent.state.plan
        timeout_s = plan.graph.nodes[plan.topology.index[wanted.node]].timeout_s
        started = ChildStarted(
            at=at,
            node=wanted.node,
            visit=wanted.visit,
            attempt=wanted.attempt,
            child_run_id=live.state.run_id,
            graph_id=graph.id,
            graph_name=graph.name,
            due=None if timeout_s is None else at + int(timeout_s * 1e6),
            changes=wanted.changes,
            removed=wanted.removed,
            item=wanted.item,
        )
        return Child(started, live, accepted)

"""Drives the engine's decisions without threads, clock or database."""

from __future__ import annotations

import copy
from pathlib import Path

from engine.execution.attempts.attempt import execute, prepare
from engine.flow.decide import decide
from engine.flow.plan import compile_plan
from engine.flow.run_state import UNRESOLVED, RunState
from engine.model.events import RunAccepted, RunContinued, StepCompleted, StepFailed, StepStarted
from engine.model.status import StepStatus


class Driver:
    """Runs a graph by ``decide`` alone; tools are really called, one at a time, when they are told to end."""

    def __init__(self, graph, catalog, state=None):
        self.catalog = catalog
        self.plan = compile_plan(graph)
        self.run = RunState("run", self.plan)
        self.journal = []
        self.attempts = {}
        self.told = []
        self.feed(RunAccepted(0, "graph", 1, graph.name, state or {}))

    @property
    def running(self):
        return sorted(map(self._name, self.run.running))

    def _name(self, key):
        """A node's id, or ``node/item``."""
        ids = self.plan.topology.node_ids
        return f"{ids[key[0]]}/{key[1]}" if isinstance(key, tuple) else ids[key]

    @property
    def visits(self):
        return dict(zip(self.plan.topology.node_ids, self.run.visits, strict=True))

    @property
    def errors(self):
        return dict(zip(self.plan.topology.node_ids, self.run.errors, strict=True))

    @property
    def statuses(self):
        return dict(zip(self.plan.topology.node_ids, self.run.step_status, strict=True))

    def feed(self, event):
        events = decide(self.run, event)
        if events and isinstance(event, RunContinued):
            self.attempts.clear()  # what ran is gone with the program
        if events and isinstance(event, StepCompleted | StepFailed):
            self.attempts.pop(_label(event), None)
        self.journal += copy.deepcopy(events)
        for one in events:
            if isinstance(one, StepStarted):
                node = self.plan.topology.index[one.node]
                assert _label(one) not in self.attempts
                if _label(one) in self.running:
                    tool = self.catalog[self.plan.graph.nodes[node].function_name]
                    self.attempts[_label(one)] = prepare(self.run, node, tool, one, Path(), 2**20)
        self.attempts = {name: attempt for name, attempt in self.attempts.items() if name in self.running}
        return events

    def complete(self, name):
        event = execute(self.attempts[name])
        self.told.append(copy.deepcopy(event))
        self.feed(event)
        self.check_invariants()

    def check_invariants(self):
        run, topology = self.run, self.plan.topology
        assert not run.todo
        assert all(count >= 0 for count in (*run.unresolved, *run.busy))
        assert len(run.path) == sum(run.visits)
        nodes = {key[0] if isinstance(key, tuple) else key for key in run.running}
        assert all(run.step_status[node] is StepStatus.RUNNING for node in nodes)
        assert set(self.attempts) == set(self.running)
        for node in nodes:
            assert all(
                not topology.is_back[edge] or run.edges[edge] == UNRESOLVED
                for edge in topology.outgoing[node]
            )
        assert run.status.is_final == (not run.running)
        if run.status.is_final:
            assert run.completed_at is not None


def _label(event):
    return event.node if event.item is None else f"{event.node}/{event.item}"

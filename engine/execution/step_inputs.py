"""What a step was given: not recorded, but found again by folding the run's journal up to the step's start."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

from engine.errors import StepError
from engine.execution.attempts.attempt import find_values
from engine.flow.decide import decide
from engine.flow.plan import Plan
from engine.flow.run_state import RunState
from engine.flow.values import copy_json
from engine.model.events import INPUTS, RunEvent, StepStarted
from engine.model.run import StepInputs, StepRecord
from engine.model.tool import Tool

Key: TypeAlias = tuple[str, int, int, int | None]
"""An attempt of a step, or of an item of it: node, visit, attempt, item."""


def key_of(step: StepRecord) -> Key:
    """What tells a step that has started from every other of its run."""
    return (step.node_id, step.visit, step.attempt, step.item)


def find_inputs(
    run_id: str, plan: Plan, events: Iterable[RunEvent], tools: Mapping[str, Tool], wanted: Collection[Key]
) -> dict[Key, StepInputs]:
    """What these attempts were given, those that the journal tells of. Reads no further than the last one's start.

    ``tools`` are those of now: what a tool that is not registered took from the state is not known.
    """
    run = RunState(run_id, plan)
    missing, found = set(wanted), {}
    for event in events:
        if not missing:
            break
        for fact in decide(run, event) if isinstance(event, INPUTS) else ():
            if isinstance(fact, StepStarted):
                key = (fact.node, fact.visit, fact.attempt, fact.item)
                if key in missing:
                    missing.remove(key)
                    found[key] = _look(run, fact, tools)
    return found


def _look(run: RunState, started: StepStarted, tools: Mapping[str, Tool]) -> StepInputs:
    """As ``attempts.prepare`` does it when the step starts."""
    node = run.plan.topology.index[started.node]
    definition = run.plan.graph.nodes[node]
    tool = tools.get(definition.function_name)
    about = (started.node, started.visit, started.attempt, started.item)
    if started.item is None and run.plan.for_each[node] is not None:
        items = run.items.get(node)
        return StepInputs(*about, items=None if items is None else copy_json(items.values))
    try:
        values = find_values(run, node, definition, tool, started.item)
    except StepError as error:
        return StepInputs(*about, error=error.message)
    state = copy_json(run.state) if tool is not None and tool.takes_state else None
    return StepInputs(*about, {name: copy_json(value) for name, value in values.items()}, state)

"""Random graphs on a real engine: whatever order its workers finish in, the run is what the rules say of that order."""

import copy
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, assume, given, settings

from engine.model.events import StepCompleted, StepFailed
from engine.model.status import RunStatus
from tests.integration.engine.conftest import Bench
from tests.unit.flow.oracle import RUNNING, Oracle
from tests.unit.flow.random_graphs import ORACLE_TOOLS, graphs, make_catalog

MOST_STEPS = 150


@pytest.fixture
def stage(bench: Bench) -> Iterator[Bench]:
    for name, tool in make_catalog().items():
        bench.tools.register_tool(name, tool.function, "a test's tool")
    return bench


def ends(bench: Bench, run_id: str) -> list[str]:
    """The steps and items in the order in which the engine took in their ends; those that follow by themselves aside."""
    graph = bench.graphs.get_graph(bench.engine.states.get_run(run_id).graph_id)
    mapped = {node.id for node in graph.nodes if node.for_each is not None}
    found = []
    for entry in bench.engine.read_events(run_id=run_id, limit=None):
        event = entry.event
        if isinstance(event, StepCompleted | StepFailed) and (
            event.item is not None or event.node not in mapped
        ):
            found.append(event.node if event.item is None else f"{event.node}/{event.item}")
    return found


@settings(
    max_examples=int(os.environ.get("WFE_EXAMPLES", "40")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(graph=graphs(items=True))
def test_p10_a_run_is_what_the_rules_say_with_one_worker_and_with_eight(stage, graph):
    graph = graph.model_copy(update={"max_steps": MOST_STEPS})
    run_id = stage.start(copy.deepcopy(graph))
    run = stage.engine.wait(run_id, 20)
    assume(run.error_message is None or "max_steps" not in run.error_message)
    oracle = Oracle(graph, ORACLE_TOOLS)
    oracle.start()
    for name in ends(stage, run_id):
        assert oracle.status == RUNNING
        oracle.complete(name)
    assert oracle.status == run.status.value
    assert run.current_state.data == oracle.state
    assert {name: step.visit for name, step in run.steps.items() if step.visit} == {
        name: visit for name, visit in oracle.visits.items() if visit
    }
    if run.status is RunStatus.COMPLETED and not oracle.ended_early:
        assert {name: step.status.value for name, step in run.steps.items()} == {
            name: status for name, status in oracle.now.items() if status != "pending"
        }

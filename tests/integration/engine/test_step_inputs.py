"""What a step was given is found again from the journal: exactly what its tool saw."""

import copy

import pytest

from engine.errors import NotFoundError, RunNotFound
from engine.execution import step_pages
from engine.model.status import RunStatus
from tests.integration.engine.conftest import make_graph


def test_every_step_is_found_to_have_been_given_what_its_tool_saw(bench):
    seen = {}

    def remember(context, **given):
        key = (context.node_id, context.visit, context.attempt)
        seen[key] = copy.deepcopy(given)

    @bench.tool
    def count(context, state, by: int) -> dict:
        remember(context, by=by, state=dict(state))
        if context.node_id == "left" and context.attempt == 1:
            raise ValueError("not yet")
        return {context.node_id: state.get(context.node_id, 0) + by}

    @bench.tool
    def join(context, one: object, two: list, three: int = 7) -> list:
        remember(context, one=one, two=two)
        return [one, *two]

    retry = {"max_attempts": 2, "delay_s": 0}
    graph = make_graph(
        {
            "start": {"function_name": "count", "parameters": {"by": 1}},
            "left": {"function_name": "count", "bindings": {"by": "visit + state.start"}, "retry": retry},
            "right": {"function_name": "count"},
            "end": {"function_name": "join", "parameters": {"two": [1, {"a": [2]}]}, "save_as": "joined"},
        },
        ["start -> left", "start -> right", "left -> end.one", "right -> end", ("end -> start", "visit < 3")],
        entry_point="start",
    )
    run = bench.run(graph, {"by": 5, "note": "x"})
    assert run.status is RunStatus.COMPLETED
    assert len(seen) == 3 * 5
    for (node, visit, attempt), given in seen.items():
        found = bench.engine.get_step_inputs(run.run_id, node, visit, attempt)
        assert (found.node_id, found.visit, found.attempt, found.item) == (node, visit, attempt, None)
        assert (found.error, found.items) == (None, None)
        assert {**found.arguments, **({} if found.state is None else {"state": found.state})} == given
    latest = bench.engine.get_step_inputs(run.run_id, "left")
    assert (latest.visit, latest.attempt) == (3, 2)
    keys = {(node, visit, attempt, None) for node, visit, attempt in seen}
    steps = bench.engine.get_execution_steps(run.run_id)
    assert bench.engine.find_step_inputs(run.run_id, steps).keys() == keys

    fork = bench.engine.wait(bench.engine.fork(run.run_id, "end"), 10).run_id
    taken = [step for step in bench.engine.get_execution_steps(fork) if step.taken_from]
    assert {(step.node_id, step.visit) for step in taken} >= {("start", 1), ("left", 1), ("right", 1)}
    again = bench.engine.find_step_inputs(fork, bench.engine.get_execution_steps(fork))
    for step in taken:
        given = again[step.node_id, step.visit, 1, None]
        assert given.arguments == bench.engine.get_step_inputs(run.run_id, step.node_id, step.visit).arguments
        assert given.state == bench.engine.get_step_inputs(run.run_id, step.node_id, step.visit).state
        assert bench.engine.get_step_inputs(fork, step.node_id, step.visit, 1) == given


def test_what_is_found_belongs_to_the_caller(bench):
    @bench.tool
    def keep(value: list) -> list:
        return value

    run = bench.run(make_graph({"a": "keep"}), {"value": [1]})
    bench.engine.get_step_inputs(run.run_id, "a").arguments["value"].append(2)
    assert bench.engine.get_step_inputs(run.run_id, "a").arguments == {"value": [1]}
    assert bench.engine.get_execution_status(run.run_id).current_state.data == {"value": [1]}


def test_items_are_given_one_value_each_and_their_step_the_list(bench):
    @bench.tool
    def double(n: int) -> int:
        return 2 * n

    graph = make_graph(
        {"a": {"function_name": "double", "for_each": "state.numbers", "bindings": {"n": "item + index"}}}
    )
    run = bench.run(graph, {"numbers": [5, 6]})
    assert bench.engine.get_step_inputs(run.run_id, "a").items == [5, 6]
    assert bench.engine.get_step_inputs(run.run_id, "a", item=1).arguments == {"n": 7}


def test_a_step_that_could_not_be_given_anything_says_why(bench):
    @bench.tool
    def need(thing: int) -> int:
        return thing

    run = bench.run(make_graph({"a": "need"}))
    assert run.status is RunStatus.FAILED
    found = bench.engine.get_step_inputs(run.run_id, "a")
    assert 'parameter "thing" has no value' in found.error
    assert found.arguments == {}


def test_without_its_tool_the_literal_values_are_still_known(bench):
    @bench.tool
    def give(a: int, b: int) -> int:
        return a + b

    run = bench.run(make_graph({"x": {"function_name": "give", "parameters": {"a": 1}}}), {"b": 2})
    assert bench.engine.get_step_inputs(run.run_id, "x").arguments == {"a": 1, "b": 2}
    bench.tools.unregister_tool("give")
    assert bench.engine.get_step_inputs(run.run_id, "x").arguments == {"a": 1}


def test_a_step_that_has_not_started_is_not_found(bench):
    @bench.tool
    def nothing() -> None: ...

    run = bench.run(make_graph({"a": "nothing", "b": "nothing"}, [("a -> b", "False")], entry_point="a"))
    for asked in (("b",), ("a", 2), ("a", 1, 2), ("a", None, None, 0), ("c",)):
        with pytest.raises(NotFoundError, match=f'not come to a step of "{asked[0]}"'):
            bench.engine.get_step_inputs(run.run_id, *asked)
    with pytest.raises(RunNotFound):
        bench.engine.get_step_inputs("nope", "a")


def test_pages_of_steps_read_what_is_new_and_nothing_twice(bench, monkeypatch):
    @bench.tool
    def nothing() -> None: ...

    @bench.tool
    def fail() -> None:
        raise ValueError

    nodes = {f"n{number}": "nothing" for number in range(400)}
    graph = make_graph(
        {**nodes, "last": "fail"},
        [*(f"n{number} -> n{number + 1}" for number in range(399)), "n399 -> last"],
    )
    run = bench.run(graph)
    page = bench.engine.query_execution_steps(run.run_id, limit=10, offset=395)
    assert [step.node_id for step in page.steps] == ["n395", "n396", "n397", "n398", "n399", "last"]
    assert (page.total_count, page.has_more) == (401, False)
    assert page.steps == bench.engine.get_execution_steps(run.run_id)[395:]

    read = []
    read_events = bench.engine.states.read_events

    def listen(*args, **named):
        read.append(read_events(*args, **named))
        return read[-1]

    monkeypatch.setattr(bench.engine.states, "read_events", listen)
    assert bench.engine.query_execution_steps(run.run_id, limit=2).has_more
    assert [len(entries) for entries in read] == [0]
    read.clear()
    assert bench.engine.retry(run.run_id).result(5)
    bench.engine.wait(run.run_id, 10)
    read.clear()
    again = bench.engine.query_execution_steps(run.run_id, "last")
    assert sum(len(entries) for entries in read) < 10
    assert again.steps[0].status.value == "failed"
    assert bench.engine.query_execution_steps(
        run.run_id, limit=1_000
    ).steps == bench.engine.get_execution_steps(run.run_id)


def test_no_more_runs_and_steps_are_kept_than_there_is_room_for(bench, monkeypatch):
    @bench.tool
    def nothing() -> None: ...

    graph = make_graph({f"n{number}": "nothing" for number in range(20)})
    runs = [bench.run(graph).run_id for _ in range(5)]
    monkeypatch.setattr(step_pages, "MOST_STEPS", 50)
    for run_id in runs:
        assert bench.engine.query_execution_steps(run_id).total_count == 20
    assert list(bench.engine._step_pages._known) == runs[-2:]
    monkeypatch.setattr(step_pages, "MOST_STEPS", 5)
    assert bench.engine.query_execution_steps(runs[0]).total_count == 20
    assert list(bench.engine._step_pages._known) == runs[:1]

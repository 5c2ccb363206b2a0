"""Forked runs on a real engine: what was recorded is taken over, the rest really runs."""

import asyncio
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from engine import RunStatus, StepStatus, ValidationError, WaitForSignal, WaitUntil
from engine.config import AppConfig
from engine.errors import GraphNotFound, RunNotFound
from engine.model.run import ForkPoint
from engine.tools.builtin.control import run_workflow
from tests.integration.engine.conftest import Bench, make_graph


@pytest.fixture
def calls(bench):
    """How often each node's tool was called, by run and node."""
    calls = Counter()

    def note(state, context, key: str = "n", fail_at: int = 0) -> None:
        calls[context.run_id, context.node_id] += 1
        state[key] = state.get(key, 0) + 1
        if state[key] == fail_at:
            raise ValueError("not yet mended")

    bench.tools.register_tool("note", note, "")
    return calls


def called(calls, run_id):
    return {node: count for (run, node), count in calls.items() if run == run_id}


BIG = "x" * 300_000
CHAIN = make_graph({"a": "note", "b": "note", "c": "note"}, ["a -> b", "b -> c"])


def test_p2_steps_before_the_fork_are_taken_over_and_not_run_again(bench, calls):
    old = bench.run(CHAIN, {"n": 10})
    run_id = bench.engine.fork(old.run_id, "b")
    run = bench.engine.wait(run_id, 10)
    assert (run.status, run.current_state.data) == (RunStatus.COMPLETED, {"n": 13})
    assert run.current_state.execution_path == ["a", "b", "c"]
    assert called(calls, run_id) == {"b": 1, "c": 1}
    assert run.steps["a"].taken_from == old.run_id
    assert run.steps["b"].taken_from is None
    assert run.forked_from == old.run_id
    assert (run.steps["a"].started_at, run.steps["a"].duration_s) == (None, old.steps["a"].duration_s)
    assert replace(bench.engine.get_execution_status(old.run_id), seq=old.seq) == old
    line = bench.engine.query_historical_executions().executions[0]
    assert (line.run_id, line.forked_from, line.step_count) == (run_id, old.run_id, 3)


def test_the_journal_of_a_fork_says_what_was_taken_over_and_stands_alone(bench, calls):
    old = bench.run(CHAIN, {"n": 10})
    run_id = bench.engine.fork(old.run_id, "b", state={"n": 40}, remove=["gone"])
    run = bench.engine.wait(run_id, 10)
    assert run.current_state.data == {"n": 42}
    events = [entry.event for entry in bench.engine.read_events(run_id=run_id)]
    kinds = [type(event).__name__ for event in events[:6]]
    assert kinds == ["RunAccepted", "RunStarted", "StepTakenOver", "StateEdited", "RunForked", "StepStarted"]
    logs = bench.engine.get_execution_logs(run_id)
    assert logs[0].data["forked_from"] == old.run_id
    taken = next(line for line in logs if line.data.get("taken_from"))
    assert taken.node_id == "a"
    assert taken.message.endswith(f"taken over from run {old.run_id}")
    assert (taken.data["execution_event"], taken.data["taken_from"]) == ("completed", old.run_id)
    assert [line.message for line in logs[3:5]] == [
        "State edited: gone, n",
        "Runs by itself from b (visit 1) on",
    ]
    before = next(step for step in bench.engine.get_execution_steps(old.run_id) if step.node_id == "a")
    first = bench.engine.get_execution_steps(run_id)[0]
    assert (first.node_id, first.taken_from, first.result) == ("a", old.run_id, before.result)
    assert (first.completed_at, first.duration_s) == (before.completed_at, before.duration_s)


def test_a_run_is_forked_from_its_start_with_another_state(bench, calls):
    old = bench.run(CHAIN, {"n": 10, "x": 1})
    run_id = bench.engine.fork(old.run_id, state={"n": 0}, remove=["x"])
    run = bench.engine.wait(run_id, 10)
    assert run.current_state.data == {"n": 3}
    assert called(calls, run_id) == {"a": 1, "b": 1, "c": 1}


def test_a_failed_run_goes_on_in_a_fork_with_the_newer_version_of_its_graph(bench, calls):
    graph = make_graph(
        {"a": "note", "b": {"function_name": "note", "parameters": {"fail_at": 2}}}, ["a -> b"]
    )
    graph_id = bench.graphs.create_graph(graph)
    old = bench.engine.wait(bench.engine.execute_workflow(graph_id), 10)
    assert old.status is RunStatus.FAILED
    again = bench.engine.wait(bench.engine.fork(old.run_id, "b"), 10)
    assert again.status is RunStatus.FAILED
    assert bench.graphs.update_graph(graph_id, make_graph({"a": "note", "b": "note"}, ["a -> b"])) == 2
    run_id = bench.engine.fork(old.run_id, "b", graph_version="newest")
    run = bench.engine.wait(run_id, 10)
    assert (run.status, run.graph_version, run.current_state.data) == (RunStatus.COMPLETED, 2, {"n": 2})
    assert called(calls, run_id) == {"b": 1}


def test_a_cancelled_run_and_one_that_still_runs_are_forked_as_far_as_they_came(bench, calls):
    begun, go = threading.Event(), threading.Event()

    @bench.tool
    def hold() -> None:
        begun.set()
        assert go.wait(10)

    graph = make_graph({"a": "note", "hold": "hold", "c": "note"}, ["a -> hold", "hold -> c"])
    old = bench.start(graph)
    assert begun.wait(10)
    first = bench.engine.fork(old, "hold")
    bench.engine.cancel_execution(old)
    go.set()
    assert bench.engine.wait(first, 10).current_state.data == {"n": 2}
    assert bench.engine.wait(old, 10).status is RunStatus.CANCELLED
    second = bench.engine.fork(old, "hold")
    assert bench.engine.wait(second, 10).current_state.data == {"n": 2}
    assert called(calls, first) == called(calls, second) == {"c": 1}


def test_a_fork_in_a_loop_begins_at_the_visit_that_was_asked_for(bench, calls):
    graph = make_graph(
        {"a": "note", "b": "note", "end": {"function_name": "note", "parameters": {"key": "e"}}},
        ["a -> b", ("b -> a", "visit < 3"), ("b -> end", "else")],
        entry_point="a",
    )
    old = bench.run(graph)
    assert old.current_state.data == {"n": 6, "e": 1}
    run_id = bench.engine.fork(old.run_id, "b", 2)
    run = bench.engine.wait(run_id, 10)
    assert run.current_state == old.current_state
    assert called(calls, run_id) == {"a": 1, "b": 2, "end": 1}
    latest = bench.engine.fork(old.run_id, "b")
    assert bench.engine.wait(latest, 10).current_state == old.current_state
    assert called(calls, latest) == {"b": 1, "end": 1}
    with pytest.raises(ValidationError, match='the run started "b" 3 times; it has no visit 4'):
        bench.engine.fork(old.run_id, "b", 4)


def test_retried_and_handled_failures_are_taken_over_with_their_last_outcome(bench, calls):
    @bench.tool
    def fragile(context, until: int) -> str:
        calls[context.run_id, context.node_id] += 1
        if context.attempt < until:
            raise RuntimeError("not yet")
        return "at last"

    graph = make_graph(
        {
            "retried": {"function_name": "fragile", "parameters": {"until": 3}, "retry": {"delay_s": 0}, "save_as": "r"},
            "handled": {"function_name": "fragile", "parameters": {"until": 99}, "retry": {"max_attempts": 2, "delay_s": 0}},
            "help": "note",
            "defaulted": {"function_name": "fragile", "parameters": {"until": 99}, "on_error": "continue", "default_result": 7, "save_as": "d"},
            "last": "note",
        },
        ["retried -> handled", "handled! -> help", "help -> defaulted", "defaulted -> last"],
    )  # fmt: skip
    old = bench.run(graph)
    assert old.current_state.data == {"r": "at last", "n": 2, "d": 7}
    run_id = bench.engine.fork(old.run_id, "last")
    run = bench.engine.wait(run_id, 10)
    assert run.current_state == old.current_state
    assert run.edges_taken == old.edges_taken
    assert run.steps["handled"].status is StepStatus.FAILED
    assert run.steps["handled"].error == "RuntimeError: not yet"
    assert called(calls, run_id) == {"last": 1}


def test_a_step_that_failed_the_run_and_was_retried_is_taken_over_as_it_ended(bench, calls):
    mended = []

    @bench.tool
    def fragile() -> str:
        if not mended:
            raise RuntimeError("broken")
        return "whole"

    graph = make_graph({"a": {"function_name": "fragile", "save_as": "x"}, "b": "note"}, ["a -> b"])
    run_id = bench.start(graph)
    assert bench.engine.wait(run_id, 10).status is RunStatus.FAILED
    mended.append(True)
    assert bench.engine.retry(run_id).result(10)
    old = bench.engine.wait(run_id, 10)
    mended.clear()
    fork = bench.engine.wait(bench.engine.fork(run_id, "b"), 10)
    assert fork.current_state == old.current_state
    assert fork.steps["a"].status is StepStatus.COMPLETED


def test_edges_that_could_be_evaluated_only_at_a_retry_are_so_in_a_fork(bench, calls):
    begun, go = threading.Event(), threading.Event()

    @bench.tool
    def slow(state) -> None:
        begun.set()
        assert go.wait(10)
        state["late"] = True

    @bench.tool
    async def quick() -> None: ...

    graph = make_graph({"q": "quick", "s": "slow", "b": "note"}, [("q -> b", "state.late")])
    run_id = bench.start(graph)
    assert begun.wait(10)
    while bench.engine.running_steps > 1:
        time.sleep(0.001)
    go.set()
    assert "state.late" in bench.engine.wait(run_id, 10).error_message
    assert bench.engine.retry(run_id).result(10)
    old = bench.engine.wait(run_id, 10)
    assert old.status is RunStatus.COMPLETED
    fork = bench.engine.fork(run_id, "b")
    assert bench.engine.wait(fork, 10).current_state.data == old.current_state.data
    assert called(calls, fork) == {"b": 1}


def test_a_step_for_each_item_is_taken_over_whole_or_runs_anew_from_its_list(bench, calls):
    @bench.tool
    def double(x: int, context) -> int:
        calls[context.run_id, context.node_id] += 1
        return 2 * x

    each = {"function_name": "double", "for_each": "state.xs", "bindings": {"x": "item"}, "save_as": "ys"}
    graph = make_graph({"a": "note", "each": each, "b": "note"}, ["a -> each", "each -> b"])
    old = bench.run(graph, {"xs": [1, 2, 3]})
    after = bench.engine.fork(old.run_id, "b")
    assert bench.engine.wait(after, 10).current_state == old.current_state
    assert called(calls, after) == {"b": 1}
    items = [step for step in bench.engine.get_execution_steps(after) if step.item is not None]
    # They are taken over in the order in which they ended.
    assert sorted((step.item, step.result, step.taken_from) for step in items) == [
        (item, 2 * item + 2, old.run_id) for item in range(3)
    ]
    anew = bench.engine.fork(old.run_id, "each", state={"xs": [5, 6, 7, 8]})
    assert bench.engine.wait(anew, 10).current_state.data["ys"] == [10, 12, 14, 16]
    assert called(calls, anew) == {"each": 4, "b": 1}


def test_items_recorded_before_the_fork_are_taken_over_though_their_step_had_not_ended(bench, calls):
    begun, go = threading.Event(), threading.Event()

    @bench.tool
    async def double(x: int, context) -> int:
        calls[context.run_id, f"item {x}"] += 1
        if x == 3:
            await asyncio.to_thread(go.wait, 10)
        return 2 * x

    @bench.tool
    async def wait_for_items() -> None:
        await asyncio.to_thread(begun.wait, 10)

    each = {"function_name": "double", "for_each": "[1, 2, 3]", "bindings": {"x": "item"}, "save_as": "ys"}
    graph = make_graph({"each": each, "wait": "wait_for_items", "b": "note"}, ["wait -> b"])
    old = bench.start(graph)
    while bench.engine.get_execution_status(old).steps.get("each") is None or (
        bench.engine.get_execution_status(old).steps["each"].items_done != 2
    ):
        time.sleep(0.001)
    begun.set()
    while called(calls, old).get("b") is None:
        time.sleep(0.001)
    go.set()
    assert bench.engine.wait(old, 10).current_state.data == {"ys": [2, 4, 6], "n": 1}
    fork = bench.engine.fork(old, "b")
    assert bench.engine.wait(fork, 10).current_state.data == {"ys": [2, 4, 6], "n": 1}
    assert called(calls, fork) == {"item 3": 1, "b": 1}


def test_steps_that_waited_are_taken_over_with_what_they_were_given(bench, calls):
    @bench.tool
    def rest() -> object:
        return WaitUntil(timedelta(milliseconds=1), "rested")

    @bench.tool
    def ask() -> object:
        return WaitForSignal("go", {"type": "integer"})

    graph = make_graph(
        {"rest": {"function_name": "rest", "save_as": "r"}, "ask": {"function_name": "ask", "save_as": "x"}, "b": "note"},
        ["rest -> ask", "ask -> b"],
    )  # fmt: skip
    run_id = bench.start(graph)
    while not bench.engine.signal(run_id, "go", 42).result(10):
        time.sleep(0.001)
    old = bench.engine.wait(run_id, 10)
    fork = bench.engine.fork(run_id, "b")
    run = bench.engine.wait(fork, 10)
    assert run.current_state == old.current_state
    assert run.current_state.data == {"r": "rested", "x": 42, "n": 1}
    asked_again = bench.engine.fork(run_id, "ask")
    while not bench.engine.signal(asked_again, "go", 7).result(10):
        time.sleep(0.001)
    assert bench.engine.wait(asked_again, 10).current_state.data == {"r": "rested", "x": 7, "n": 1}


def test_a_step_that_was_running_beside_runs_anew_and_one_that_was_recorded_does_not(bench, calls):
    begun, go = threading.Event(), threading.Event()

    @bench.tool
    async def hold(context) -> None:
        calls[context.run_id, "hold"] += 1
        begun.set()
        await asyncio.to_thread(go.wait, 10)

    graph = make_graph(
        {"hold": "hold", "done": "note", "b": "note", "end": "note"}, ["done -> b", "b -> end", "hold -> end"]
    )
    old = bench.start(graph)
    assert begun.wait(10)
    while called(calls, old).get("b") is None:
        time.sleep(0.001)
    go.set()
    assert bench.engine.wait(old, 10).status is RunStatus.COMPLETED
    fork = bench.engine.fork(old, "b")
    assert bench.engine.wait(fork, 10).status is RunStatus.COMPLETED
    assert called(calls, fork) == {"hold": 1, "b": 1, "end": 1}


def test_a_fork_pauses_before_a_breakpoint_even_before_its_first_step(bench, calls):
    old = bench.run(CHAIN)
    run_id = bench.engine.fork(old.run_id, "b", breakpoints=["a", "b"])
    run = bench.engine.get_execution_status(run_id)
    assert (run.status, run.held, run.current_state.execution_path) == (RunStatus.PAUSED, ("b",), ["a"])
    assert called(calls, run_id) == {}
    assert bench.engine.resume(run_id).result(10)
    assert bench.engine.wait(run_id, 10).current_state == old.current_state


def test_a_fork_can_be_looked_at_before_it_is_made(bench, calls):
    old = bench.run(CHAIN, {"n": 10})
    point = bench.engine.look_at_fork(old.run_id, "c").result(10)
    assert point == ForkPoint(old.run_id, "c", 1, old.graph_id, 1, {"n": 12}, ("a", "b"))
    start = bench.engine.look_at_fork(old.run_id).result(10)
    assert (start.node_id, start.state, start.taken_over) == (None, {"n": 10}, ())
    assert bench.engine.query_historical_executions().total_count == 1


def test_a_fork_of_a_fork_keeps_its_edits_and_says_where_steps_really_ran(bench, calls):
    old = bench.run(CHAIN)
    first = bench.engine.wait(bench.engine.fork(old.run_id, "b", state={"n": 10}), 10)
    second_id = bench.engine.fork(first.run_id, "c")
    second = bench.engine.wait(second_id, 10)
    assert second.current_state == first.current_state
    assert [second.steps[node].taken_from for node in "abc"] == [old.run_id, first.run_id, None]
    third_id = bench.engine.fork(first.run_id, "a")
    assert bench.engine.wait(third_id, 10).current_state == old.current_state
    assert called(calls, third_id) == {"a": 1, "b": 1, "c": 1}


def test_a_fork_does_without_the_run_that_it_comes_from(tmp_path):
    config = AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=1)
    begun, go = threading.Event(), threading.Event()

    def open_bench():
        bench = Bench(config)
        bench.tools.register_tool("count", lambda state: {"n": state.get("n", 0) + 1, "big": BIG}, "")
        bench.tools.register_tool("hold", lambda: (begun.set(), go.wait(10))[1], "")
        return bench

    bench = open_bench()
    go.set()
    old = bench.run(make_graph({"a": "count", "hold": "hold", "b": "count"}, ["a -> hold", "hold -> b"]))
    go.clear()
    begun.clear()
    run_id = bench.engine.fork(old.run_id, "hold", state={"n": 10})
    assert begun.wait(10)
    assert bench.engine.delete_runs([old.run_id])[0] == (old.run_id,)
    go.set()
    bench.engine.close(0.01)
    bench.database.close()

    bench = open_bench()
    bench.engine.recover()
    run = bench.engine.wait(run_id, 10)
    assert (run.status, run.current_state.data) == (RunStatus.COMPLETED, {"n": 11, "big": BIG})
    assert run.current_state.execution_path == ["a", "hold", "b"]
    assert run.steps["a"].taken_from == old.run_id
    bench.close()


def test_a_step_that_ran_another_graph_is_taken_over_with_its_result_and_runs_no_child(bench, calls):
    bench.tools.register(run_workflow)
    bench.graphs.create_graph(make_graph({"inner": "note"}, name="Child"))
    child = {"function_name": "run_workflow", "parameters": {"graph": "Child"}, "save_as": "made"}
    old = bench.run(make_graph({"child": child, "b": "note"}, ["child -> b"], name="Parent"))
    fork = bench.engine.wait(bench.engine.fork(old.run_id, "b"), 10)
    assert fork.current_state == old.current_state
    assert bench.engine.query_historical_executions(parent_run_id=fork.run_id).total_count == 0
    again = bench.engine.wait(bench.engine.fork(old.run_id, "child"), 10)
    assert again.current_state == old.current_state
    (inner,) = bench.engine.query_historical_executions(parent_run_id=again.run_id).executions
    alone = bench.engine.wait(bench.engine.fork(inner.run_id), 10)
    assert (alone.status, alone.current_state.data) == (RunStatus.COMPLETED, {"n": 1})


def test_a_fork_waits_for_the_tokens_of_its_steps_and_takes_over_without_any(tmp_path):
    bench = Bench(AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=2, resources={"gpu": 1}))
    begun, go = threading.Event(), threading.Event()

    @bench.tool
    def hold(state) -> None:
        state["n"] = state.get("n", 0) + 1
        begun.set()
        assert go.wait(10)

    go.set()
    graph = make_graph({n: {"function_name": "hold", "resources": {"gpu": 1}} for n in "ab"}, ["a -> b"])
    old = bench.run(graph)
    go.clear()
    begun.clear()
    holder = bench.start(graph)
    assert begun.wait(10)
    fork = bench.engine.fork(old.run_id, "b")
    waiting = bench.engine.get_execution_status(fork)
    assert waiting.steps["a"].taken_from == old.run_id
    assert waiting.steps["b"].waits_for.kind == "resources"
    go.set()
    assert bench.engine.wait(fork, 10).current_state == old.current_state
    assert bench.engine.wait(holder, 10).status is RunStatus.COMPLETED
    bench.close()


def test_what_a_step_of_a_fork_was_given_is_found_again_with_the_edits(bench, calls):
    old = bench.run(CHAIN, {"n": 10})
    run_id = bench.engine.fork(old.run_id, "b", state={"n": 40})
    bench.engine.wait(run_id, 10)
    assert bench.engine.get_step_inputs(run_id, "b").state == {"n": 40}


# Another version ----------------------------------------------------------------------------------------------


@pytest.fixture
def versions(bench, calls):
    """A run of a -> b -> c, and a way to fork it with another graph."""
    graph_id = bench.graphs.create_graph(CHAIN)
    old = bench.engine.wait(bench.engine.execute_workflow(graph_id, {"n": 10}), 10)

    def fork(graph, node):
        version = bench.graphs.update_graph(graph_id, graph)
        run_id = bench.engine.fork(old.run_id, node, graph_version=version)
        return bench.engine.wait(run_id, 10), called(calls, run_id)

    return fork


def test_a_node_that_is_new_before_the_step_runs(versions):
    graph = make_graph({"a": "note", "b": "note", "x": "note", "c": "note"}, ["a -> b", "b -> x", "x -> c"])
    run, ran = versions(graph, "c")
    assert (run.current_state.data, ran) == ({"n": 14}, {"x": 1, "c": 1})


def test_a_way_that_leads_elsewhere_after_what_was_taken_over_is_gone(versions):
    nodes = {
        "a": "note",
        "b": "note",
        "c": "note",
        "d": {"function_name": "note", "parameters": {"key": "d"}},
    }
    run, ran = versions(make_graph(nodes, ["a -> b", ("b -> c", "state.n > 99"), ("b -> d", "else")]), "c")
    assert (run.current_state.data, ran) == ({"n": 12, "d": 1}, {"d": 1})
    assert run.steps["c"].status is StepStatus.SKIPPED


def test_a_node_that_is_gone_is_left_out_with_what_it_did_to_the_state(versions):
    run, ran = versions(make_graph({"a": "note", "c": "note"}, ["a -> c"]), "c")
    assert (run.current_state.data, ran) == ({"n": 12}, {"c": 1})
    assert run.current_state.execution_path == ["a", "c"]


def test_a_node_that_was_changed_before_the_step_is_taken_over_as_it_ran(versions):
    changed = {"function_name": "note", "parameters": {"key": "other"}}
    run, ran = versions(make_graph({"a": changed, "b": "note", "c": "note"}, ["a -> b", "b -> c"]), "c")
    assert (run.current_state.data, ran) == ({"n": 13}, {"c": 1})


@pytest.mark.parametrize(
    ("graph", "node", "message"),
    [
        (
            make_graph({"a": "note", "b": "note", "c": "note"}, ["b -> a", "a -> c"]),
            "c",
            'version 2 of "test" does not come to "a", as the run did; fork from "a" or an earlier step',
        ),
        (
            make_graph({"a": "note", "x": "note", "b": "note", "c": "note"}, ["a -> x", "x -> b", "b -> c"]),
            "c",
            'does not come to "b" after "a", as the run did; fork from "b" or an earlier step',
        ),
        (make_graph({"a": "note", "b": "note"}, ["a -> b"]), "c", 'version 2 of "test" has no node "c"'),
        (
            make_graph({"a": "note", "b": "note", "c": "note"}, ["a -> b", ("b -> c", "state.n > 99")]),
            "c",
            'version 2 of "test" ends after "b" and does not come to "c"',
        ),
        (
            make_graph({"a": "note", "b": "note", "c": "note"}, ["a -> b", ("b -> c", "state.m > 99")]),
            "c",
            'the fork would fail before it begins: After step "b": ',
        ),
        (
            make_graph({"a": "note", "b": "note", "c": "note"}, ["a -> b", "b -> c"], exit_conditions=("state.n > 10",)),
            "c",
            'does not come to "b" after "a"',
        ),
        (make_graph({"a": "note", "b": "note", "c": "gone"}, ["a -> b", "b -> c"]), "c", '"gone"'),
    ],
    ids=["turned round", "new before a recorded one", "node gone", "not reached", "bad edge", "exit", "no tool"],
)  # fmt: skip
def test_a_version_that_goes_another_way_is_refused_and_the_step_named(bench, versions, graph, node, message):
    with pytest.raises(ValidationError) as refused:
        versions(graph, node)
    assert message in str(refused.value)
    assert refused.value.problems
    assert bench.engine.query_historical_executions().total_count == 1


def test_what_was_handled_before_must_be_handled_in_the_newer_version(bench, calls):
    failing = {"function_name": "note", "parameters": {"fail_at": 1}}
    graph_id = bench.graphs.create_graph(make_graph({"a": failing, "b": "note"}, ["a! -> b"]))
    old = bench.engine.wait(bench.engine.execute_workflow(graph_id), 10)
    bench.graphs.update_graph(graph_id, make_graph({"a": failing, "b": "note"}, ["a -> b"]))
    with pytest.raises(
        ValidationError, match='version 2 of "test" does not handle the failure of "a"; fork from "a"'
    ):
        bench.engine.fork(old.run_id, "b", graph_version="newest")


def test_bad_requests_for_a_fork_name_what_is_wrong_and_make_no_run(bench, calls):
    branch = make_graph(
        {"a": "note", "b": "note", "c": "note"}, [("a -> b", "state.n > 0"), ("a -> c", "else")]
    )
    old = bench.run(branch).run_id
    fork = bench.engine.fork
    with pytest.raises(RunNotFound):
        fork("nothing")
    with pytest.raises(GraphNotFound, match="no version 9"):
        fork(old, "b", graph_version=9)
    with pytest.raises(ValidationError, match='the run\'s graph has no node "z"'):
        fork(old, "z")
    with pytest.raises(ValidationError, match='the run never started "c"'):
        fork(old, "c")
    with pytest.raises(ValidationError, match='the graph has no node "y"'):
        fork(old, "b", breakpoints=["y"])
    with pytest.raises(ValidationError, match='"n" is both to be set and to be removed'):
        fork(old, "b", state={"n": 1}, remove=["n"])
    with pytest.raises(ValidationError, match="cannot be kept as JSON"):
        fork(old, "b", state={"n": print})
    with pytest.raises(ValidationError, match="must be an object"):
        fork(old, "b", state=[1])
    assert bench.engine.query_historical_executions().total_count == 1

"""Retries, pausing and single steps, and going on from where a run failed."""

import threading
import time

import pytest

from engine.config import AppConfig
from engine.errors import RunNotFound, ValidationError
from engine.flow.retries import delay_us
from engine.model.events import StepDue, StepRetrying
from engine.model.graph import RetryPolicy
from engine.model.status import RunStatus, StepStatus
from tests.integration.engine.conftest import Bench, make_graph

SOON = {"delay_s": 0.01, "jitter": 0}


def fails_times(bench, count, error=ValueError):
    calls = []

    @bench.tool
    def shaky() -> int:
        calls.append(time.monotonic())
        if len(calls) <= count:
            raise error(f"call {len(calls)}")
        return len(calls)

    return calls


def test_p13_a_failing_step_is_tried_again_up_to_its_attempts(bench):
    fails_times(bench, 2)
    graph = make_graph(
        {"a": {"function_name": "shaky", "retry": {"max_attempts": 3, **SOON}, "save_as": "calls"}}
    )
    run = bench.run(graph)
    assert (run.status, run.current_state.data) == (RunStatus.COMPLETED, {"calls": 3})
    assert (run.steps["a"].visit, run.steps["a"].attempt) == (1, 3)
    assert run.current_state.execution_path == ["a"]
    log = [record.data.get("execution_event") for record in bench.engine.get_execution_logs(run.run_id)]
    assert [word for word in log if word] == [
        "started", "failed", "retrying", "waiting", "started", "failed", "retrying", "waiting", "started", "completed",
    ]  # fmt: skip


def test_after_the_last_attempt_the_failure_counts(bench):
    calls = fails_times(bench, 99)
    run = bench.run(make_graph({"a": {"function_name": "shaky", "retry": {"max_attempts": 3, **SOON}}}))
    assert (run.status, run.error_message, len(calls)) == (
        RunStatus.FAILED,
        'Step "a" failed: ValueError: call 3',
        3,
    )


def test_only_the_named_exceptions_are_tried_again(bench):
    calls = fails_times(bench, 99, KeyError)
    run = bench.run(make_graph({"a": {"function_name": "shaky", "retry": {"on": ["ValueError"], **SOON}}}))
    assert (run.status, len(calls)) == (RunStatus.FAILED, 1)


def test_p13_delays_grow_by_the_backoff_up_to_their_limit():
    policy = RetryPolicy(delay_s=1, backoff=3, max_delay_s=10, jitter=0)
    assert [delay_us(policy, attempt, "k") / 1e6 for attempt in (1, 2, 3, 4, 999)] == [1, 3, 9, 10, 10]


def test_jitter_stays_in_its_share_and_the_same_history_gives_the_same_delay():
    policy = RetryPolicy(delay_s=1, jitter=0.5)
    delays = [delay_us(policy, 1, f"run/{number}") / 1e6 for number in range(200)]
    assert all(0.5 <= delay <= 1.5 for delay in delays)
    assert max(delays) - min(delays) > 0.8
    assert delays == [delay_us(policy, 1, f"run/{number}") / 1e6 for number in range(200)]


def test_p13_a_wait_for_the_next_attempt_survives_a_restart_and_holds_no_thread(tmp_path):
    config = AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=1)
    bench = Bench(config)
    fails_times(bench, 99)
    graph = make_graph({"a": {"function_name": "shaky", "retry": {"delay_s": 0.5, "jitter": 0}}})
    waits = threading.Event()
    bench.engine.subscribe(
        lambda entries: any(isinstance(e.event, StepRetrying) for e in entries) and waits.set()
    )
    run_id = bench.start(graph)
    assert waits.wait(10)
    status = bench.engine.get_execution_status(run_id)
    assert (status.status, status.steps["a"].status) == (RunStatus.RUNNING, StepStatus.WAITING)
    assert bench.engine.running_steps == 0
    bench.close()

    bench = Bench(config)
    fails_times(bench, 0)
    run = bench.engine.wait(run_id, 10)
    assert (run.status, run.steps["a"].attempt) == (RunStatus.COMPLETED, 2)
    events = [entry.event for entry in bench.engine.read_events(run_id=run_id)]
    promised = next(event.due for event in events if isinstance(event, StepRetrying))
    assert next(event.at for event in events if isinstance(event, StepDue)) >= promised
    bench.close()


def test_a_run_that_waits_for_a_retry_can_be_cancelled(bench):
    fails_times(bench, 99)
    waits = threading.Event()
    bench.engine.subscribe(
        lambda entries: any(isinstance(e.event, StepRetrying) for e in entries) and waits.set()
    )
    run_id = bench.start(make_graph({"a": {"function_name": "shaky", "retry": {"delay_s": 60}}}))
    assert waits.wait(10)
    bench.engine.cancel_execution(run_id)
    assert bench.engine.wait(run_id, 10).status is RunStatus.CANCELLED


@pytest.fixture
def gate(bench):
    """A tool that reports its start and waits to be let through."""

    class Gate:
        begun, go = threading.Semaphore(0), threading.Semaphore(0)

    @bench.tool
    def through() -> None:
        Gate.begun.release()
        assert Gate.go.acquire(timeout=10)

    return Gate


CHAIN = make_graph({name: "through" for name in "abc"}, ["a -> b", "b -> c"])  # noqa: C420


def test_a_paused_run_finishes_what_runs_and_starts_nothing_until_it_is_resumed(bench, gate):
    run_id = bench.start(CHAIN)
    gate.begun.acquire()
    assert bench.engine.pause(run_id).result(5)
    assert not bench.engine.pause(run_id).result(5)
    gate.go.release()
    while bench.engine.running_steps:
        pass
    status = bench.engine.get_execution_status(run_id)
    assert (status.status, status.current_state.execution_path) == (RunStatus.PAUSED, ["a"])
    gate.go.release(2)
    assert bench.engine.resume(run_id).result(5)
    assert bench.engine.wait(run_id, 10).current_state.execution_path == ["a", "b", "c"]


def test_a_breakpoint_pauses_before_its_node_and_steps_go_one_by_one(bench, gate):
    run_id = bench.start(CHAIN)
    gate.begun.acquire()
    assert bench.engine.set_breakpoints(run_id, ["b"]).result(5)
    gate.go.release()

    def wait_until_paused_after(path):
        while (
            bench.engine.get_execution_status(run_id).status is not RunStatus.PAUSED
            or bench.engine.running_steps
        ):
            time.sleep(0.001)
        assert bench.engine.get_execution_status(run_id).current_state.execution_path == path

    wait_until_paused_after(["a"])
    assert bench.engine.step(run_id).result(5)
    gate.begun.acquire()
    gate.go.release()
    wait_until_paused_after(["a", "b"])
    gate.go.release()
    assert bench.engine.step(run_id).result(5)
    assert bench.engine.wait(run_id, 10).status is RunStatus.COMPLETED
    assert not bench.engine.step(run_id).result(5)


def wait_until_it_holds(bench, run_id):
    """Wait until the run is paused with nothing running; how it stands then."""
    while True:
        status = bench.engine.get_execution_status(run_id)
        if status.status is RunStatus.PAUSED and not bench.engine.running_steps:
            return status
        time.sleep(0.001)


def test_breakpoints_given_at_the_start_hold_even_the_first_step(bench, gate):
    graph_id = bench.graphs.create_graph(CHAIN)
    run_id = bench.engine.execute_workflow(graph_id, {}, ["a", "c", "unknown"])
    status = wait_until_it_holds(bench, run_id)
    assert (status.current_state.execution_path, status.held) == ([], ("a",))
    gate.go.release(2)
    assert bench.engine.resume(run_id).result(5)
    status = wait_until_it_holds(bench, run_id)
    assert (status.current_state.execution_path, status.held) == (["a", "b"], ("c",))
    gate.go.release()
    assert bench.engine.resume(run_id).result(5)
    status = bench.engine.wait(run_id, 10)
    assert (status.status, status.held) == (RunStatus.COMPLETED, ())
    accepted = bench.engine.get_execution_logs(run_id)[0]
    assert accepted.data["breakpoints"] == ["a", "c", "unknown"]


def test_breakpoints_given_at_the_start_survive_a_restart(tmp_path):
    def quick() -> None:
        pass

    config = AppConfig(database_url=f"sqlite:///{tmp_path}/w.db")
    graph = make_graph({"a": "quick", "b": "quick"}, ["a -> b"])
    bench = Bench(config)
    bench.tool(quick)
    run_id = bench.engine.execute_workflow(bench.graphs.create_graph(graph), {}, ["a", "b"])
    wait_until_it_holds(bench, run_id)
    bench.close()

    bench = Bench(config)
    bench.tool(quick)
    assert bench.engine.resume(run_id).result(5)
    status = wait_until_it_holds(bench, run_id)
    assert (status.current_state.execution_path, status.held) == (["a"], ("b",))
    assert bench.engine.resume(run_id).result(5)
    assert bench.engine.wait(run_id, 10).status is RunStatus.COMPLETED
    bench.close()


def test_breakpoints_given_at_a_retry_hold_what_comes_after_what_failed(bench):
    fails_times(bench, 1)

    @bench.tool
    def after() -> None:
        pass

    run = bench.run(make_graph({"a": "shaky", "b": "after"}, ["a -> b"]))
    assert run.status is RunStatus.FAILED
    assert bench.engine.retry(run.run_id, ["b"]).result(5)
    status = wait_until_it_holds(bench, run.run_id)
    assert (status.current_state.execution_path, status.held) == (["a"], ("b",))
    assert bench.engine.resume(run.run_id).result(5)
    assert bench.engine.wait(run.run_id, 10).status is RunStatus.COMPLETED


def test_a_paused_run_is_still_paused_after_a_restart(tmp_path):
    config = AppConfig(database_url=f"sqlite:///{tmp_path}/w.db")
    bench = Bench(config)
    begun, go = threading.Event(), threading.Event()

    def through() -> None:
        begun.set()
        go.wait(10)

    bench.tools.register_tool("through", through, "")
    run_id = bench.start(CHAIN)
    begun.wait(10)
    bench.engine.pause(run_id).result(5)
    go.set()
    bench.close()

    bench = Bench(config)
    bench.tools.register_tool("through", lambda: None, "")
    assert bench.engine.recover() == 1
    status = bench.engine.get_execution_status(run_id)
    assert (status.status, status.current_state.execution_path) == (RunStatus.PAUSED, ["a"])
    assert bench.engine.resume(run_id).result(5)
    assert bench.engine.wait(run_id, 10).status is RunStatus.COMPLETED
    bench.close()


def test_a_failed_run_goes_on_from_where_it_failed_and_repeats_nothing(bench):
    calls = fails_times(bench, 1)
    counted = []

    @bench.tool
    def count() -> None:
        counted.append(1)

    graph = make_graph({"first": "count", "a": "shaky", "last": "count"}, ["first -> a", "a -> last"])
    run = bench.run(graph)
    assert (run.status, counted) == (RunStatus.FAILED, [1])
    assert bench.engine.retry(run.run_id).result(5)
    run = bench.engine.wait(run.run_id, 10)
    assert (run.status, run.error_message) == (RunStatus.COMPLETED, None)
    assert (run.steps["a"].attempt, len(calls), counted) == (2, 2, [1, 1])
    summary = bench.engine.query_historical_executions(graph_id=run.graph_id).executions[0]
    assert (summary.status, summary.error_message) == (RunStatus.COMPLETED, None)
    assert not bench.engine.retry(run.run_id).result(5)
    with pytest.raises(RunNotFound):
        bench.engine.retry("nobody").result(5)


def test_a_run_that_failed_at_a_condition_evaluates_it_again(bench):
    @bench.tool
    def nothing() -> None: ...

    run = bench.run(make_graph({"a": "nothing", "b": "nothing"}, [("a -> b", "state.x")]))
    assert run.status is RunStatus.FAILED
    bench.engine.retry(run.run_id).result(5)
    again = bench.engine.wait(run.run_id, 10)
    assert (again.status, again.error_message) == (RunStatus.FAILED, run.error_message)
    assert again.current_state.execution_path == ["a"]


def test_a_failed_run_whose_tool_is_gone_is_not_retried_in_vain(bench):
    fails_times(bench, 1)
    run = bench.run(make_graph({"a": "shaky"}))
    bench.tools.unregister_tool("shaky")
    with pytest.raises(ValidationError, match="shaky"):
        bench.engine.retry(run.run_id).result(5)
    assert bench.engine.get_execution_status(run.run_id).status is RunStatus.FAILED


# for_each -----------------------------------------------------------------------------------------------------


def map_graph(tool="work", **more):
    node = {
        "function_name": tool,
        "for_each": "state.xs",
        "bindings": {"x": "item", "i": "index"},
        "save_as": "ys",
    }
    return make_graph(
        {"each": {**node, **more}, "end": {"function_name": "total", "save_as": "sum"}},
        ["each.result -> end.xs"],
    )


@pytest.fixture
def mapping(bench):
    @bench.tool
    def total(xs: list[object]) -> int:
        return sum(x for x in xs if isinstance(x, int))

    return bench


def test_for_each_calls_the_tool_once_an_item_and_keeps_their_order(mapping):
    @mapping.tool
    def work(x: int, i: int) -> int:
        time.sleep(0.001 * (5 - i))
        return 10 * x + i

    run = mapping.run(map_graph(), {"xs": [1, 2, 3, 4]})
    assert run.current_state.data == {"xs": [1, 2, 3, 4], "ys": [10, 21, 32, 43], "sum": 106}
    assert run.current_state.execution_path == ["each", "end"]


def test_for_each_over_nothing_gives_an_empty_list(mapping):
    mapping.tool(lambda_named("work"))
    assert mapping.run(map_graph(), {"xs": []}).current_state.data["ys"] == []


def lambda_named(name):
    def work(x: int, i: int) -> int:
        return x + i

    work.__name__ = name
    return work


def test_at_most_max_parallel_items_are_under_way(mapping):
    now, most = [], []

    @mapping.tool
    async def work(x: int, i: int) -> int:
        import asyncio

        now.append(x)
        most.append(len(now))
        await asyncio.sleep(0.002)
        now.remove(x)
        return x

    run = mapping.run(map_graph(max_parallel=3), {"xs": list(range(12))})
    assert run.status is RunStatus.COMPLETED
    assert max(most) == 3


def test_what_is_no_list_fails_the_step(mapping):
    mapping.tool(lambda_named("work"))
    run = mapping.run(map_graph(), {"xs": 5})
    assert run.status is RunStatus.FAILED
    assert "for_each (state.xs) must give a list" in str(run.error_message)


def test_a_failing_item_fails_the_step_with_its_number_and_a_retry_repeats_only_it(mapping):
    calls = []

    @mapping.tool
    def work(x: int, i: int) -> int:
        calls.append(i)
        if x == 3 and calls.count(i) == 1:
            raise ValueError("three")
        return x

    run = mapping.run(map_graph(), {"xs": [1, 2, 3, 4]})
    assert run.status is RunStatus.FAILED
    assert run.error_message == 'Step "each" failed: item 2: ValueError: three'
    done_before = sorted(set(calls))
    mapping.engine.retry(run.run_id).result(5)
    run = mapping.engine.wait(run.run_id, 10)
    assert (run.status, run.current_state.data["ys"]) == (RunStatus.COMPLETED, [1, 2, 3, 4])
    assert all(calls.count(i) == (2 if i == 2 else 1) for i in done_before)


def test_failures_of_items_can_be_collected(mapping):
    @mapping.tool
    def work(x: int, i: int) -> int:
        return x // i

    run = mapping.run(map_graph(on_item_error="collect"), {"xs": [1, 2]})
    error = {
        "error": "ZeroDivisionError: integer division or modulo by zero",
        "error_type": "ZeroDivisionError",
    }
    assert run.current_state.data["ys"] == [error, 2]


def test_each_item_has_its_own_retries(mapping):
    calls = []

    @mapping.tool
    def work(x: int, i: int) -> int:
        calls.append(i)
        if calls.count(i) < 3:
            raise ValueError
        return x

    run = mapping.run(map_graph(retry={"max_attempts": 3, **SOON}), {"xs": [7, 8, 9]})
    assert run.current_state.data["ys"] == [7, 8, 9]
    assert len(calls) == 9


def test_items_that_are_recorded_are_not_done_again_after_a_restart(tmp_path):
    config = AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=2)
    calls, third, go = [], threading.Event(), threading.Event()

    def work(x: int, context) -> int:
        calls.append(x)
        if len(calls) >= 3:
            third.set()
            while not (go.is_set() or context.cancelled):
                time.sleep(0.001)
        return x

    def open_bench():
        bench = Bench(config)
        bench.tools.register_tool("work", work, "")
        return bench

    bench = open_bench()
    node = {
        "function_name": "work",
        "for_each": "[1, 2, 3, 4, 5, 6]",
        "bindings": {"x": "item"},
        "max_parallel": 1,
        "save_as": "ys",
    }
    run_id = bench.start(make_graph({"each": node}))
    third.wait(10)
    assert bench.engine.get_execution_status(run_id).steps["each"].items_done == 2
    bench.engine.close(0.05)
    bench.database.close()
    go.set()

    bench = open_bench()
    run = bench.engine.wait(run_id, 10)
    assert run.current_state.data == {"ys": [1, 2, 3, 4, 5, 6]}
    assert calls == [1, 2, 3, 3, 4, 5, 6]
    bench.close()


def test_a_run_with_items_under_way_can_be_cancelled(mapping):
    begun = threading.Event()

    @mapping.tool
    async def work(x: int, i: int) -> int:
        import asyncio

        begun.set()
        await asyncio.sleep(60)
        return x

    run_id = mapping.start(map_graph(), {"xs": [1, 2, 3]})
    begun.wait(10)
    mapping.engine.cancel_execution(run_id)
    run = mapping.engine.wait(run_id, 10)
    assert (run.status, run.steps["each"].status) == (RunStatus.CANCELLED, StepStatus.CANCELLED)


def test_items_wait_while_the_run_is_paused(mapping):
    begun, go = threading.Semaphore(0), threading.Semaphore(0)

    @mapping.tool
    def work(x: int, i: int) -> int:
        begun.release()
        go.acquire(timeout=10)
        return x

    run_id = mapping.start(map_graph(max_parallel=1), {"xs": [1, 2, 3]})
    begun.acquire()
    assert mapping.engine.pause(run_id).result(5)
    go.release(3)
    while mapping.engine.running_steps:
        time.sleep(0.001)
    assert mapping.engine.get_execution_status(run_id).steps["each"].items_done == 1
    mapping.engine.resume(run_id).result(5)
    assert mapping.engine.wait(run_id, 10).current_state.data["ys"] == [1, 2, 3]


@pytest.mark.parametrize("bench", [8], indirect=True)
def test_a_run_that_fails_leaves_nothing_waiting_and_a_retry_takes_up_every_thread(mapping):
    """A branch fails while another waits for a retry and a third is half through its items."""
    begun, fail, go = threading.Semaphore(0), threading.Event(), threading.Event()
    calls = []

    @mapping.tool
    def work(x: int, i: int) -> int:
        calls.append(i)
        if i == 1:
            begun.release()
            go.wait(10)
        return x

    @mapping.tool
    def shaky() -> int:
        begun.release()
        if not go.is_set():
            raise ValueError("later")
        return 1

    @mapping.tool
    def boom() -> int:
        fail.wait(10)
        if not go.is_set():
            raise ValueError("boom")
        return 2

    each = {
        "function_name": "work",
        "for_each": "[1, 2, 3]",
        "bindings": {"x": "item", "i": "index"},
        "max_parallel": 1,
    }
    graph = make_graph(
        {
            "each": {**each, "save_as": "ys"},
            "shaky": {"function_name": "shaky", "retry": {"delay_s": 60}},
            "boom": "boom",
        }
    )
    run_id = mapping.start(graph)
    for _ in range(2):
        assert begun.acquire(timeout=10)
    for others, event in ((2, fail), (1, go)):
        while mapping.engine.running_steps > others:
            time.sleep(0.001)
        event.set()
    run = mapping.engine.wait(run_id, 10)
    assert (run.status, run.error_message) == (RunStatus.FAILED, 'Step "boom" failed: ValueError: boom')
    assert {step.status for step in run.steps.values()} == {StepStatus.FAILED, StepStatus.CANCELLED}
    mapping.engine.retry(run_id).result(5)
    run = mapping.engine.wait(run_id, 10)
    assert (run.status, run.current_state.data) == (RunStatus.COMPLETED, {"ys": [1, 2, 3]})
    assert calls == [0, 1, 2]

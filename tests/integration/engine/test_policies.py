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

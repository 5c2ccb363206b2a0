"""Steps that wait: for a time, for a signal, for a decision; and tools that end the run."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from engine import EndRun, RunStatus, StepStatus, ValidationError, WaitForSignal, WaitUntil
from engine.config import AppConfig
from engine.model.events import RunIdled
from engine.model.run import Waiting
from tests.integration.engine.conftest import Bench, make_graph

APPROVAL = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


def ask() -> WaitForSignal:
    return WaitForSignal("approve", APPROVAL, "Is this all right?")


def wait_until_idle(bench, run_id):
    while True:
        status = bench.engine.get_execution_status(run_id)
        if status.status is RunStatus.WAITING:
            return status
        assert not status.status.is_final
        time.sleep(0.001)


def approval_graph():
    return make_graph(
        {"ask": {"function_name": "ask", "save_as": "answer"}, "yes": "nothing", "no": "nothing"},
        [("ask -> yes", "result.ok"), ("ask -> no", "else")],
    )


@pytest.fixture
def asking(bench):
    bench.tools.register_tool("ask", ask, "")
    bench.tools.register_tool("nothing", lambda: None, "")
    return bench


def test_a_step_waits_for_its_signal_and_the_value_becomes_its_result(asking):
    run_id = asking.start(approval_graph())
    status = wait_until_idle(asking, run_id)
    assert status.error_message == "Is this all right?"
    assert status.steps["ask"].status is StepStatus.WAITING
    assert status.steps["ask"].waits_for == Waiting("signal", "approve", "Is this all right?", APPROVAL)
    assert asking.engine.running_steps == 0
    assert not asking.engine.signal(run_id, "other", {"ok": True}).result(5)
    assert asking.engine.signal(run_id, "approve", {"ok": True}).result(5)
    run = asking.engine.wait(run_id, 10)
    assert (run.status, run.current_state.data) == (RunStatus.COMPLETED, {"answer": {"ok": True}})
    assert run.current_state.execution_path == ["ask", "yes"]
    assert not asking.engine.signal(run_id, "approve", {"ok": True}).result(5)


def test_a_signal_that_does_not_meet_the_schema_is_refused_and_the_step_waits_on(asking):
    run_id = asking.start(approval_graph())
    wait_until_idle(asking, run_id)
    with pytest.raises(ValidationError, match="'ok' is a required property"):
        asking.engine.signal(run_id, "approve", {}).result(5)
    with pytest.raises(ValidationError, match="cannot be kept as JSON"):
        asking.engine.signal(run_id, "approve", print)
    assert asking.engine.get_execution_status(run_id).status is RunStatus.WAITING
    asking.engine.signal(run_id, "approve", {"ok": False}).result(5)
    assert asking.engine.wait(run_id, 10).current_state.execution_path == ["ask", "no"]


def test_waiting_survives_a_restart(tmp_path):
    config = AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=1)

    def open_bench():
        bench = Bench(config)
        bench.tools.register_tool("ask", ask, "")
        bench.tools.register_tool("nothing", lambda: None, "")
        return bench

    bench = open_bench()
    run_id = bench.start(approval_graph())
    wait_until_idle(bench, run_id)
    bench.close()

    bench = open_bench()
    assert bench.engine.recover() == 1
    assert wait_until_idle(bench, run_id).steps["ask"].attempt == 1
    assert bench.engine.query_historical_executions(status="waiting").total_count == 1
    bench.engine.signal(run_id, "approve", {"ok": True}).result(5)
    assert bench.engine.wait(run_id, 10).status is RunStatus.COMPLETED
    bench.close()


def test_a_step_waits_until_its_time_without_a_thread(bench):
    @bench.tool
    def later() -> int | WaitUntil:
        return WaitUntil(datetime.now(UTC) + timedelta(seconds=0.05), result=7)

    began = time.monotonic()
    run = bench.run(make_graph({f"n{i}": {"function_name": "later", "save_as": "x"} for i in range(20)}))
    assert (run.status, run.current_state.data) == (RunStatus.COMPLETED, {"x": 7})
    assert 0.05 <= time.monotonic() - began < 5
    assert run.steps["n0"].duration_s >= 0.049


def test_a_time_without_a_zone_is_refused(bench):
    @bench.tool
    def later() -> object:
        return WaitUntil(datetime.now())  # noqa: DTZ005

    assert "needs a time with a time zone" in str(bench.run(make_graph({"a": "later"})).error_message)


def test_a_state_tool_that_waits_keeps_what_it_did_to_the_state(bench):
    @bench.tool
    def note(state):
        state["asked"] = True
        return WaitUntil(timedelta(milliseconds=5))

    assert bench.run(make_graph({"a": "note"})).current_state.data == {"asked": True}


def test_a_waiting_run_can_be_cancelled_and_says_so_at_its_step(asking):
    run_id = asking.start(approval_graph())
    wait_until_idle(asking, run_id)
    asking.engine.cancel_execution(run_id)
    run = asking.engine.wait(run_id, 10)
    assert (run.status, run.steps["ask"].status) == (RunStatus.CANCELLED, StepStatus.CANCELLED)


def test_the_run_is_waiting_only_while_nothing_runs(asking):
    begun, go = threading.Event(), threading.Event()

    @asking.tool
    def hold() -> None:
        begun.set()
        go.wait(10)

    idled = []
    asking.engine.subscribe(lambda entries: idled.extend(e for e in entries if isinstance(e.event, RunIdled)))
    run_id = asking.start(make_graph({"hold": "hold", "ask": "ask"}))
    begun.wait(10)
    while asking.config.workers > 1 and asking.engine.running_steps > 1:
        time.sleep(0.001)
    assert not idled
    go.set()
    wait_until_idle(asking, run_id)
    assert len(idled) == 1


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_a_tool_can_end_the_run(bench, status):
    @bench.tool
    def finish() -> EndRun:
        return EndRun(status, "enough")

    @bench.tool
    async def forever() -> None:
        import asyncio

        await asyncio.sleep(60)

    run = bench.run(make_graph({"s": "finish", "f": "forever", "never": "finish"}, ["s -> never"]))
    assert run.status is RunStatus(status)
    assert "never" not in run.steps
    assert run.error_message == ("enough" if status == "failed" else None)


# A step that was interrupted ----------------------------------------------------------------------------------


def interrupted_run(tmp_path, **node):
    """A run whose step was under way when its program ended, opened again."""
    config = AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=2)
    begun, calls = threading.Event(), []

    def send(context) -> int:
        calls.append(context.attempt)
        begun.set()
        while context.attempt == 1 and not context.cancelled:
            time.sleep(0.001)
        return context.attempt

    def open_bench():
        bench = Bench(config)
        bench.tools.register_tool("send", send, "", effects="once")
        return bench

    bench = open_bench()
    run_id = bench.start(make_graph({"a": {"function_name": "send", "save_as": "x", **node}}))
    begun.wait(10)
    bench.engine.close(0.01)
    bench.database.close()
    bench = open_bench()
    bench.engine.recover()
    return bench, run_id, calls


@pytest.mark.parametrize(
    ("choice", "status", "state", "attempts"),
    [
        ("rerun", RunStatus.COMPLETED, {"x": 2}, [1, 2]),
        ("result", RunStatus.COMPLETED, {"x": 42}, [1]),
        ("fail", RunStatus.FAILED, {}, [1]),
    ],
)
def test_p3_an_interrupted_step_with_effects_waits_for_a_decision(tmp_path, choice, status, state, attempts):
    bench, run_id, calls = interrupted_run(tmp_path)
    waiting = wait_until_idle(bench, run_id)
    assert "decide whether to run it again" in str(waiting.error_message)
    assert waiting.steps["a"].waits_for == Waiting("decision")
    assert calls == [1]
    with pytest.raises(ValidationError, match="perhaps"):
        bench.engine.decide_step(run_id, "a", "perhaps")
    assert not bench.engine.decide_step(run_id, "b", choice).result(5)
    assert bench.engine.decide_step(run_id, "a", choice, 42).result(5)
    run = bench.engine.wait(run_id, 10)
    assert (run.status, run.current_state.data, calls) == (status, state, attempts)
    bench.close()


def test_p3_a_node_may_say_that_its_interrupted_step_fails_or_runs_again(tmp_path):
    (tmp_path / "1").mkdir()
    bench, run_id, calls = interrupted_run(tmp_path / "1", on_restart="fail", retry={"delay_s": 0})
    run = bench.engine.wait(run_id, 10)
    assert (run.status, calls) == (RunStatus.FAILED, [1])
    assert run.error_message == 'Step "a" failed: the program ended while it was running'
    bench.close()
    (tmp_path / "2").mkdir()
    bench, run_id, calls = interrupted_run(tmp_path / "2", on_restart="rerun")
    assert (bench.engine.wait(run_id, 10).status, calls) == (RunStatus.COMPLETED, [1, 2])
    bench.close()

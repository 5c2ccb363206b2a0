"""A step that ends, is timed out and is cancelled at about the same moment has one end, and so has its run."""

import asyncio
import queue
import random
import threading
import time
from collections import Counter
from concurrent.futures import Future

import pytest

from engine.config import AppConfig
from engine.model.events import (
    RunCancelled,
    RunCompleted,
    RunFailed,
    StepCancelled,
    StepCompleted,
    StepFailed,
)
from engine.model.run import RunSnapshot
from tests.integration.engine import isolated_tools
from tests.integration.engine.conftest import Bench, make_graph

ENDS = (RunCompleted, RunFailed, RunCancelled)
STEP_ENDS = (StepCompleted, StepFailed, StepCancelled)


@pytest.fixture
def bench(tmp_path):
    bench = Bench(AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=16, synchronous="normal"))
    yield bench
    bench.close()


def doze(pause_s: float) -> str:
    time.sleep(pause_s)
    return "awake"


async def doze_async(pause_s: float) -> str:
    await asyncio.sleep(pause_s)
    return "awake"


def race(bench: Bench, node: dict[str, object], count: int, at_once: int, about_s: float) -> Counter[str]:
    """So many runs whose step takes about as long as it may, each cancelled at about that time; how many ended how."""
    dice = random.Random(count)
    graph_id = bench.graphs.create_graph(make_graph({"a": {**node, "timeout_s": about_s}}))
    outcomes: Counter[str] = Counter()
    patience_s = about_s * 0.9
    for _ in range(0, count, at_once):
        begun: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
        answers = {}

        def cancel(begun=begun, answers=answers, patience_s=patience_s) -> None:
            for _ in range(at_once):
                run_id, at = begun.get()
                threading.Event().wait(max(0.0, at + patience_s - time.monotonic()))
                answers[run_id] = bench.engine.request_cancel(run_id)

        hurry = threading.Thread(target=cancel)
        hurry.start()
        run_ids = []
        for _ in range(at_once):
            run_id = bench.engine.execute_workflow(graph_id, {"pause_s": about_s * dice.uniform(0.5, 1.3)})
            begun.put((run_id, time.monotonic()))
            run_ids.append(run_id)
        ended = {run_id: bench.engine.wait(run_id, 30) for run_id in run_ids}
        hurry.join()
        found = Counter(check_one_end(bench, run, answers[run_id]) for run_id, run in ended.items())
        outcomes += found
        # However fast the machine: neither always too late nor always first.
        if found["cancelled"] < at_once / 5:
            patience_s = max(0.0, patience_s - about_s / 10)
        elif found["cancelled"] > at_once / 2:
            patience_s += about_s / 10
    return outcomes


def check_one_end(bench: Bench, run: RunSnapshot, was_cancelled: Future[bool]) -> str:
    """That the run ended once, its step at most once, and that everybody was told the same; how it ended."""
    events = [entry.event for entry in bench.engine.read_events(run_id=run.run_id, limit=None)]
    ends = [event for event in events if isinstance(event, ENDS)]
    assert len(ends) == 1, events
    assert ends[0] is events[-1], "something happened after the end"
    step_ends = [event for event in events if isinstance(event, STEP_ENDS)]
    assert len(step_ends) <= 1, events
    status = run.status.value
    assert was_cancelled.result(10) is (status == "cancelled")
    if status == "completed":
        assert isinstance(step_ends[0], StepCompleted)
    elif status == "failed":
        assert step_ends[0].error_type == "TimeoutError"
    assert bench.engine.states.get_run(run.run_id).status is run.status
    return status


@pytest.mark.parametrize("tool", [doze, doze_async], ids=["thread", "async"])
def test_p17_p18_cancel_timeout_and_completion_race_to_one_end_a_thousand_times(bench, tool):
    bench.tools.register_tool("doze", tool, "")
    node = {"function_name": "doze", "isolation": "auto" if tool is doze_async else "thread"}
    outcomes = race(bench, node, count=1_000, at_once=50, about_s=0.05)
    assert outcomes.total() == 1_000
    assert min(outcomes[status] for status in ("completed", "failed", "cancelled")) > 10, outcomes


def test_p17_p18_in_processes_too(bench):
    bench.tools.register_tool("doze", isolated_tools.doze, "")
    outcomes = race(
        bench, {"function_name": "doze", "isolation": "process"}, count=48, at_once=4, about_s=0.3
    )
    assert outcomes.total() == 48

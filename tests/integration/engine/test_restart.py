"""What survives the end of the program, orderly or not."""

import random
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from engine.config import AppConfig
from engine.flow.decide import decide
from engine.flow.run_state import RunState
from engine.model.events import INPUTS
from engine.model.status import RunStatus
from tests.integration.engine.conftest import Bench, make_graph

WORKER = Path(__file__).with_name("worker.py")
STEPS = 40


def start(*arguments: object) -> subprocess.Popen[str]:
    root = str(WORKER.parents[3])
    code = f"import sys, runpy; sys.path.insert(0, {root!r}); sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"
    command = [sys.executable, "-c", code, str(WORKER), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("kill_after", [0, 1, 7, 20])
def test_p1_p2_after_kill_9_the_run_goes_on_and_no_acknowledged_step_runs_again(tmp_path, kill_after):
    database, effects = tmp_path / "w.db", tmp_path / "effects"
    acknowledged = []
    with start(database, effects, "start") as victim:
        for line in victim.stdout:
            word, *rest = line.split()
            if word == "done":
                acknowledged.append(rest[0])
            if (word == "run" and not kill_after) or len(acknowledged) >= kill_after > 0:
                victim.kill()
                break
        acknowledged += [line.split()[1] for line in victim.stdout if line.startswith("done")]
    heir = start(database, effects, "go_on")
    out, _ = heir.communicate(timeout=40)
    assert out.split() == ["end", "completed", str(STEPS)]
    lines = Counter(effects.read_text().split())
    assert set(lines) == {f"n{number}" for number in range(STEPS)}
    assert all(lines[node] == 1 for node in acknowledged)
    assert sum(lines.values()) <= STEPS + 1  # only the step in flight may have been tried twice


def open_bench(tmp_path, **more) -> Bench:
    return Bench(AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=4, **more))


def test_after_an_orderly_close_the_run_goes_on_where_it_was(tmp_path):
    bench = open_bench(tmp_path)
    begun, release = threading.Event(), threading.Event()
    calls = []

    def first() -> None:
        calls.append("first")
        begun.set()
        release.wait(20)

    def second() -> None:
        calls.append("second")

    def register(bench):
        bench.tools.register_tool("first", first, "")
        bench.tools.register_tool("second", second, "")

    register(bench)
    run_id = bench.start(make_graph({"a": "first", "b": "second"}, ["a -> b"]))
    begun.wait(10)
    closing = threading.Thread(target=bench.close)
    closing.start()
    while not bench.engine._conductor._draining:
        pass
    release.set()
    closing.join()
    assert calls == ["first"]

    bench = open_bench(tmp_path)
    register(bench)
    assert bench.engine.recover() == 1
    assert bench.engine.wait(run_id, 10).status is RunStatus.COMPLETED
    assert calls == ["first", "second"]
    bench.close()


def leave_a_run_behind(tmp_path) -> str:
    """Close the engine while the one step of a run, which uses the tool "hold", is under way; the run's id."""
    bench = open_bench(tmp_path)
    begun = threading.Event()

    def hold(context) -> None:
        begun.set()
        while not context.cancelled:
            begun.wait(0.001)

    bench.tools.register_tool("hold", hold, "")
    run_id = bench.start(make_graph({"a": "hold"}))
    assert begun.wait(10)
    bench.engine.close(timeout_s=0.1)
    bench.database.close()
    return run_id


def test_a_run_whose_tool_is_missing_waits_visibly_and_goes_on_when_it_is_back(tmp_path):
    run_id = leave_a_run_behind(tmp_path)

    bench = open_bench(tmp_path)
    assert bench.engine.recover() == 0
    status = bench.engine.get_execution_status(run_id)
    assert status.status is RunStatus.WAITING
    assert status.error_message == "it needs tools that are not registered: hold"
    bench.close()

    bench = open_bench(tmp_path)
    assert bench.engine.recover() == 0
    bench.tools.register_tool("hold", lambda: 1, "")
    assert bench.engine.recover() == 1
    run = bench.engine.wait(run_id, 10)
    assert (run.status, run.steps["a"].attempt) == (RunStatus.COMPLETED, 2)
    bench.close()


def test_p7_a_run_keeps_the_version_it_started_with_across_an_edit_and_a_restart(tmp_path):
    run_id = leave_a_run_behind(tmp_path)

    bench = open_bench(tmp_path)
    about = bench.engine.states.get_run(run_id)
    newer = make_graph({"a": "hold", "b": "hold"}, ["a -> b"])
    assert bench.graphs.update_graph(about.graph_id, newer) == 2
    bench.tools.register_tool("hold", lambda: 1, "")
    run = bench.engine.wait(run_id, 10)
    assert (run.status, run.graph_version, [*run.steps]) == (RunStatus.COMPLETED, 1, ["a"])
    bench.close()


def test_p38_a_tool_that_is_replaced_changes_nothing_in_a_run_that_is_live(tmp_path):
    bench = open_bench(tmp_path)
    begun, release = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        release.wait(20)

    bench.tools.register_tool("hold", hold, "")
    bench.tools.register_tool("say", lambda: "old", "")
    graph_id = bench.graphs.create_graph(
        make_graph({"a": "hold", "b": {"function_name": "say", "save_as": "said"}}, ["a -> b"])
    )
    run_id = bench.engine.execute_workflow(graph_id)
    assert begun.wait(10)
    bench.tools.unregister_tool("say")
    bench.tools.register_tool("say", lambda: "new", "")
    release.set()
    assert bench.engine.wait(run_id, 10).current_state.data == {"said": "old"}
    run_id = bench.engine.execute_workflow(graph_id)
    assert bench.engine.wait(run_id, 10).current_state.data == {"said": "new"}
    bench.close()


def test_an_engine_that_was_not_told_recovers_at_its_first_use(tmp_path):
    old = leave_a_run_behind(tmp_path)

    bench = open_bench(tmp_path)
    bench.tools.register_tool("hold", lambda: 1, "")
    assert bench.engine.wait(old, 10).status is RunStatus.COMPLETED
    bench.close()


def test_p11_a_journal_replays_to_the_very_events_it_holds(tmp_path):
    bench = open_bench(tmp_path)
    dice = random.Random(5)

    @bench.tool
    def throw() -> int:
        if dice.random() < 0.2:
            raise ValueError("unlucky")
        return dice.randint(1, 6)

    graph = make_graph(
        dict.fromkeys("abcde", "throw"),
        [
            "a -> b", "a -> c", ("b -> d", "result > 3"), ("b -> b", "result < 3"), "c -> d",
            ("d -> a", "visit < 5"), ("d -> e", "else"), "c! -> e",
        ],
        entry_point="a",
    )  # fmt: skip
    for _ in range(20):
        run = bench.run(graph)
        entries = bench.engine.read_events(run_id=run.run_id, limit=None)
        plan = bench.engine._prepared.get(run.graph_id, 1).plan
        state, again = RunState(run.run_id, plan), []
        for entry in entries:
            if isinstance(entry.event, INPUTS):
                again += decide(state, entry.event)
        assert again == [entry.event for entry in entries]
        assert state.status is run.status
        assert state.state == run.current_state.data
    bench.close()

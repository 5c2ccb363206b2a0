"""Where steps run, how long they may, and what is left when they misbehave."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import AppConfig
from engine.execution.attempts.frames import FrameTooLarge, read_frame, write_frame
from engine.model.events import LogWritten, StepCompleted, StepFailed
from engine.model.status import RunStatus, StepStatus
from tests.integration.engine import isolated_tools as tools
from tests.integration.engine.conftest import Bench, make_graph

PLACES = ["thread", "process", "async", "async in a process"]
LIMIT = 300_000


class Isolated(Bench):
    """A bench whose threads and processes have all started, so that no test starts one."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        super().__init__(
            AppConfig(
                database_url=f"sqlite:///{folder}/w.db",
                workers=workers,
                synchronous="normal",
                workspace=folder,
                cancel_grace_s=0.2,
                max_result_bytes=LIMIT,
            )
        )
        for name, function in vars(tools).items():
            if (
                callable(function)
                and getattr(function, "__module__", None) == tools.__name__
                and name != "Point"
            ):
                self.tools.register_tool(name, function, "a test's tool")
        warm = {
            "function_name": "nap",
            "isolation": "process",
            "parameters": {"seconds": 0.3},
            "timeout_s": 60,
        }
        graph = make_graph({**{f"n{n}": warm for n in range(workers)}, "a": "make_point_async"})
        run = self.run(graph, {"x": 1})
        assert run.status is RunStatus.COMPLETED
        assert not self.engine.cancel_execution(run.run_id)

    def step(self, tool: str, state: dict[str, object] | None = None, **fields: object):
        """Run one step: the run, and the event that ended the step."""
        run = self.run(make_graph({"a": {"function_name": tool, **fields}}), state)
        kinds = (StepCompleted, StepFailed)
        ends = [
            entry.event
            for entry in self.engine.read_events(0, run.run_id, limit=None)
            if isinstance(entry.event, kinds)
        ]
        return run, ends[-1]

    def lines(self, run_id: str) -> list[tuple[str, str]]:
        return [
            (entry.event.level, entry.event.message)
            for entry in self.engine.read_events(0, run_id, limit=None)
            if isinstance(entry.event, LogWritten)
        ]


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Isolated]:
    bench = Isolated(tmp_path_factory.mktemp("isolation"))
    yield bench
    bench.close()


@pytest.fixture
def bench(shared_bench: Isolated) -> Iterator[Isolated]:
    """The bench of all tests here. What a test has abandoned on it has ended before the next one begins."""
    yield shared_bench
    end = time.monotonic() + 5
    while shared_bench.engine.abandoned_steps:
        assert time.monotonic() < end
        time.sleep(0.005)


def place(name: str, tool: str) -> tuple[str, dict[str, object]]:
    """The tool's name and the node's fields that make it run there."""
    return (
        f"{tool}_async" if "async" in name else tool,
        {"isolation": "process" if "process" in name else "thread"},
    )


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone_within(seconds: float, pids: list[int]) -> bool:
    end = time.monotonic() + seconds
    while any(map(is_alive, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def wait_for(path: Path) -> list[int]:
    end = time.monotonic() + 10
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.005)
    return [int(word) for word in path.read_text().split()]


# ------------------------------------------------------------------------ what every executor does alike


@pytest.mark.parametrize("name", PLACES)
class TestEveryExecutor:
    def test_gives_the_result_as_json_with_its_duration(self, bench, name):
        tool, fields = place(name, "make_point")
        run, end = bench.step(tool, parameters={"x": "7"}, save_as="point", **fields)
        assert (end.result, end.changes, end.removed) == (
            {"x": 7, "y": 0.5},
            {"point": {"x": 7, "y": 0.5}},
            (),
        )
        assert end.duration_us > 0
        for_each = {"for_each": "[1, 2]", "bindings": {"x": "item"}}
        run, _ = bench.step(tool, parameters={}, **for_each, **fields)
        assert run.results["a"] == [{"x": 1, "y": 0.5}, {"x": 2, "y": 0.5}]
        run, _ = bench.step(tool, {"x": 7}, **fields)
        assert (run.status, bench.lines(run.run_id)) == (RunStatus.COMPLETED, [])

    def test_gives_what_a_state_tool_changed(self, bench, name):
        tool, fields = place(name, "change_state")
        run, end = bench.step(tool, {"old": 1, "items": ["one"], "same": {"n": 1}}, **fields)
        seen = [run.run_id, "a", 1, 1, str(bench.config.workspace), False]
        assert end.changes == {"items": ["one", "new"], "seen": seen}
        assert end.removed == ("old",)
        assert run.current_state.data == {"items": ["one", "new"], "same": {"n": 1}, "seen": seen}

    def test_tells_a_failure_with_the_tools_own_traceback(self, bench, name):
        tool, fields = place(name, "look_up")
        _, end = bench.step(tool, parameters={"key": "b"}, **fields)
        assert (end.error, end.error_type) == ("KeyError: 'b'", "KeyError")
        assert 'return {"a": 1}[key]' in end.trace
        assert end.trace.endswith("KeyError: 'b'")
        assert "execution" not in end.trace

    def test_refuses_arguments_and_results_with_the_same_words(self, bench, name):
        tool, fields = place(name, "make_point")
        _, end = bench.step(tool, {"x": "many"}, **fields)
        assert end.error_type == "ArgumentError"
        assert end.error == 'Parameter "x": expected integer, got text "many"'
        tool, fields = place(name, "give_a_type")
        _, end = bench.step(tool, **fields)
        assert end.error_type == "ResultError"
        assert end.error.startswith("the result['it'][0] is of type type, which cannot be kept as JSON")

    def test_fails_a_step_that_gives_more_than_a_step_may(self, bench, name):
        tool, fields = place(name, "give_text")
        run, end = bench.step(tool, parameters={"size": LIMIT - 2}, save_as="text", **fields)
        assert (run.status, len(run.results["a"])) == (RunStatus.COMPLETED, LIMIT - 2)
        for size, told in ((LIMIT - 1, "300,001"), (LIMIT + 50, "at least 300,050")):
            run, end = bench.step(tool, parameters={"size": size}, save_as="text", **fields)
            assert (run.status, run.current_state.data) == (RunStatus.FAILED, {})
            assert end.error_type == "ResultError"
            assert end.error == (
                f'the tool "{tool}" gave {told} bytes of JSON, and 300,000 are the most that a step may '
                "(max_result_bytes): write big data to a file and return its path"
            )
        run, end = bench.step(tool, parameters={"size": 10}, **fields)
        assert end.result == 10 * "x"

    def test_fails_a_step_that_changes_more_of_the_state_than_a_step_may(self, bench, name):
        tool, fields = place(name, "fill_state")
        run, end = bench.step(tool, {"key0": ""}, parameters={"size": LIMIT - 100}, **fields)
        assert (run.status, end.changes) == (RunStatus.COMPLETED, {"key0": (LIMIT - 100) * "x"})
        many = {"size": LIMIT // 4, "count": 4}
        run, end = bench.step(tool, {"key0": ""}, parameters=many, **fields)
        assert (run.status, run.current_state.data) == (RunStatus.FAILED, {"key0": ""})
        assert end.error.startswith(f'the tool "{tool}" gave 300,041 bytes of JSON, and 300,000 are the most')
        tool, fields = place(name, "ask_at_length")
        run, end = bench.step(tool, parameters={"size": LIMIT}, **fields)
        assert (run.status, end.error_type) == (RunStatus.FAILED, "ResultError")

    def test_keeps_the_beginning_of_an_endless_error(self, bench, name):
        tool, fields = place(name, "complain_at_length")
        _, end = bench.step(tool, parameters={"size": 3 * LIMIT}, **fields)
        assert end.error == f"ValueError: {(65_536 - 12) * 'x'}... (834,476 characters more)"
        assert end.trace.startswith("  File ")
        assert len(end.trace) < 70_000

    def test_tells_watchers_how_far_the_step_is_but_not_too_often(self, bench, name):
        seen = []
        unsubscribe = bench.engine.subscribe_progress(seen.append)
        tool, fields = place(name, "count")
        run, _ = bench.step(tool, parameters={"upto": 5_000}, **fields)
        unsubscribe()
        assert seen[0] == (run.run_id, "a", 1, 1, None, 0, 5_000, "counting")
        assert seen[-1][5:] == (5_000, 5_000, "")
        assert len(seen) <= 2 + 10 * 5

    def test_lets_a_step_wait_and_the_run_end(self, bench, name):
        tool, fields = place(name, "park")
        run = bench.run(make_graph({"a": {"function_name": tool, **fields}}))
        assert (run.results["a"], run.current_state.data) == ("later", {"parked": True})
        tool, fields = place(name, "end_run")
        run = bench.run(make_graph({"a": {"function_name": tool, **fields}}))
        assert run.status is RunStatus.CANCELLED

    def test_survives_a_tool_that_wants_to_end_the_program(self, bench, name):
        tool, fields = place(name, "leave")
        _, end = bench.step(tool, **fields)
        assert (end.error, end.error_type) == ("SystemExit: enough", "SystemExit")

    def test_keeps_what_the_tool_prints_and_logs(self, bench, name, expect_log):
        if "process" not in name:
            expect_log("from logging")
            expect_log("two")
        tool, fields = place(name, "speak")
        run, _ = bench.step(tool, **fields)
        assert bench.lines(run.run_id) == [
            ("info", "from print"),
            ("warning", "an error"),
            ("warning", "from logging"),
            ("error", "two"),
            ("error", "lines"),
            ("info", "✓ the last one, without an end"),
        ]
        logs = [
            record for record in bench.engine.get_execution_logs(run.run_id) if record.event_type == "log"
        ]
        assert (logs[0].node_id, logs[0].message, logs[0].data["level"]) == ("a", "from print", "info")

    def test_keeps_no_more_of_a_flood_than_is_wanted(self, bench, name, expect_log):
        if "process" not in name:
            expect_log("from logging")
            expect_log("two")
        tool, fields = place(name, "speak")
        run, _ = bench.step(tool, parameters={"lines": 3_000}, **fields)
        lines = bench.lines(run.run_id)
        assert len(lines) == 1_001
        assert lines[-1] == ("warning", "... 2,006 more lines")


# -------------------------------------------------------------------------------- processes that can be killed


def test_p14_a_step_that_hangs_in_c_is_gone_within_a_second_of_its_timeout_with_its_children(bench, tmp_path):
    began = time.monotonic()
    run, end = bench.step("hang_in_c", parameters={"folder": str(tmp_path)}, timeout_s=1)
    assert time.monotonic() - began < 2
    assert (end.error, end.error_type) == ("timed out after 1 s", "TimeoutError")
    assert run.error_message == 'Step "a" failed: timed out after 1 s'
    assert gone_within(0.5, wait_for(tmp_path / "pids"))
    assert bench.engine.abandoned_steps == 0


def test_p14_the_timeout_does_not_count_the_wait_for_a_process(bench):
    nap = {"function_name": "nap", "isolation": "process", "parameters": {"seconds": 0.2}, "timeout_s": 0.35}
    run = bench.run(make_graph({f"n{n}": nap for n in range(6)}))
    assert run.status is RunStatus.COMPLETED


@pytest.mark.parametrize(
    ("tool", "error", "error_type"),
    [
        ("segfault", "(SIGSEGV: Segmentation fault)", "StepCrashed"),
        ("exit_at_once", "(exit code 3)", "StepCrashed"),
        ("kill_itself", "somebody killed it, perhaps the system for lack of memory", "StepCrashed"),
        ("take_too_much_memory", "MemoryError", "MemoryError"),
        ("close_everything", "(SIGKILL: Killed)", "StepCrashed"),
    ],
)
def test_p15_p16_a_crash_fails_that_step_only(bench, tool, error, error_type):
    graph = make_graph(
        {
            "bad": {"function_name": tool, "isolation": "process", "on_error": "continue"},
            "good": {"function_name": "nap", "isolation": "process", "parameters": {"seconds": 0.8}},
            "thread": "make_point",
            "after": {"function_name": "get_pid", "isolation": "process"},
        },
        ["bad -> after"],
    )
    run = bench.run(graph, {"x": 1})
    assert run.status is RunStatus.COMPLETED
    assert run.steps["bad"].status is StepStatus.FAILED
    assert error in run.steps["bad"].error
    assert run.results["good"] == 0.8
    assert run.results["after"] != os.getpid()
    failures = [
        entry.event
        for entry in bench.engine.read_events(0, run.run_id)
        if isinstance(entry.event, StepFailed)
    ]
    assert [event.error_type for event in failures] == [error_type]


def test_what_was_printed_before_a_crash_is_kept(bench):
    run, _ = bench.step("segfault", isolation="process")
    assert bench.lines(run.run_id) == [("info", "about to fall")]


def test_cancelling_a_run_kills_its_process_steps_with_their_children(bench, tmp_path):
    graph = make_graph({"a": {"function_name": "hang_in_c", "isolation": "process"}})
    run_id = bench.start(graph, {"folder": str(tmp_path)})
    pids = wait_for(tmp_path / "pids")
    began = time.monotonic()
    assert bench.engine.cancel_execution(run_id)
    run = bench.engine.wait(run_id, 5)
    assert time.monotonic() - began < 1
    assert (run.status, run.steps["a"].status) == (RunStatus.CANCELLED, StepStatus.CANCELLED)
    assert gone_within(0.5, pids)


def test_a_process_that_sends_more_than_it_may_is_not_listened_to_and_not_used_again(bench):
    _, end = bench.step("give_text_unmeasured", parameters={"size": 9 * 2**20}, isolation="process")
    assert end.error_type == "ResultError"
    assert "gave 9,4" in end.error
    assert "bytes of JSON, and 300,000 are the most that a step may (max_result_bytes)" in end.error
    _, end = bench.step("give_text", parameters={"size": LIMIT}, isolation="process")
    assert end.error_type == "ResultError", "that process measures"


def test_a_frame_that_is_too_large_is_refused_by_its_head():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", buffering=0) as end:
        write_frame(end.fileno(), b"L", "x" * 98)
        end.write(b"E" + (10**12).to_bytes(8, "big"))  # and nothing else: whoever reads on waits for ever
        assert read_frame(pipe, 100) == (b"L", "x" * 98)
        with pytest.raises(FrameTooLarge, match="1000000000000 bytes"):
            read_frame(pipe, 100)


def test_a_process_is_used_again_by_the_next_step(bench):
    graph = make_graph(
        {f"n{n}": {"function_name": "get_pid", "isolation": "process"} for n in range(5)},
        [f"n{n} -> n{n + 1}" for n in range(4)],
    )
    run = bench.run(graph)
    assert len(set(run.results.values())) <= 2


def test_p17_timeouts_and_completions_race_to_one_end_each(bench):
    nap = {
        "function_name": "nap",
        "isolation": "process",
        "parameters": {"seconds": 0.05},
        "timeout_s": 0.0505,
    }
    run = bench.run(make_graph({f"n{n}": {**nap, "on_error": "continue"} for n in range(12)}))
    kinds = (StepCompleted, StepFailed)
    ends = [
        entry.event for entry in bench.engine.read_events(0, run.run_id) if isinstance(entry.event, kinds)
    ]
    assert sorted(event.node for event in ends) == sorted(f"n{n}" for n in range(12))
    assert {event.error for event in ends if isinstance(event, StepFailed)} <= {"timed out after 0.0505 s"}


def test_a_tool_that_no_process_can_find_is_refused_before_the_run_starts(bench):
    bench.tools.register_tool("closure", lambda: 1, "a test's tool")
    run = bench.run(
        make_graph({"first": "get_pid", "a": {"function_name": "closure", "isolation": "process"}})
    )
    assert run.status is RunStatus.FAILED
    assert run.error_message == (
        '"a": the tool "closure" cannot run in a process of its own, since it is a lambda; use a function of a module'
    )
    assert run.steps == {}
    run, end = bench.step("closure", timeout_s=5)
    assert (run.status, end.result) == (RunStatus.COMPLETED, 1)  # auto: on a thread


# ------------------------------------------------------------------------------------ timeouts elsewhere


def test_a_step_on_a_thread_that_takes_too_long_is_given_up_and_its_thread_replaced(bench):
    release = [threading.Event(), threading.Event()]
    waiting = iter(release)

    def hold() -> str:
        print("before")
        next(waiting).wait(20)
        print("too late")
        return "too late"

    bench.tools.register_tool("hold", hold, "a test's tool")
    late = {"function_name": "hold", "timeout_s": 0.1, "on_error": "continue"}
    run = bench.run(make_graph({"a": late, "b": late, "c": "make_point"}, ["a -> c", "b -> c"]), {"x": 1})
    assert (run.status, run.results["c"]) == (RunStatus.COMPLETED, {"x": 1, "y": 0.5})
    assert run.steps["a"].error == "timed out after 0.1 s"
    assert bench.engine.abandoned_steps == 2
    for event in release:
        event.set()
    end = time.monotonic() + 5
    while bench.engine.abandoned_steps:
        assert time.monotonic() < end
        time.sleep(0.005)
    assert bench.engine.get_execution_status(run.run_id).results["a"] is None
    assert bench.lines(run.run_id) == [("info", "before")] * 2
    assert bench.step("make_point", {"x": 2})[1].result == {"x": 2, "y": 0.5}


def test_an_async_step_that_takes_too_long_is_cancelled(bench):
    began = time.monotonic()
    _, end = bench.step("nap_async", parameters={"seconds": 20}, timeout_s=0.1)
    assert (end.error, end.error_type) == ("timed out after 0.1 s", "TimeoutError")
    assert time.monotonic() - began < 1
    assert bench.engine.abandoned_steps == 0


def test_an_async_step_that_does_not_let_itself_be_cancelled_is_given_up(bench):
    _, end = bench.step("never_mind_async", parameters={"seconds": 1.2}, timeout_s=0.1)
    assert end.error == "timed out after 0.1 s"
    assert bench.engine.abandoned_steps == 1
    stop = time.monotonic() + 5
    while bench.engine.abandoned_steps:
        assert time.monotonic() < stop
        time.sleep(0.005)


def test_an_async_tool_that_returns_in_time_is_not_touched(bench):
    assert bench.step("nap_async", parameters={"seconds": 0.01}, timeout_s=5)[1].result == 0.01


def test_a_timed_out_step_is_tried_again_by_its_retry_policy(bench):
    retry = {"max_attempts": 2, "delay_s": 0.01, "on": ["TimeoutError"]}
    run, end = bench.step("nap", parameters={"seconds": 20}, timeout_s=0.1, retry=retry)
    assert (end.attempt, end.error, run.steps["a"].attempt) == (2, "timed out after 0.1 s", 2)


# ---------------------------------------------------------------------------------------------- auto


def test_auto_moves_a_tool_that_burns_cpu_to_a_process_and_says_so_once(bench):
    # so long that it is sure also on a busy machine
    nodes = {f"n{n}": {"function_name": "burn", "parameters": {"seconds": 0.51}} for n in range(3)}
    run = bench.run(make_graph(nodes, ["n0 -> n1", "n1 -> n2"]))
    assert run.results["n0"] == os.getpid()
    assert os.getpid() not in (run.results["n1"], run.results["n2"])
    (level, line), *more = bench.lines(run.run_id)
    assert (level, more) == ("info", [])
    assert line.startswith('The tool "burn" kept the processor busy for 0.5')
    assert line.endswith("from now on it runs in a process of its own")


def test_auto_leaves_a_tool_that_waits_and_one_that_must_stay_on_a_thread_where_they_are(bench):
    run, _ = bench.step("nap", parameters={"seconds": 0.2})
    assert bench.lines(run.run_id) == []
    bench.tools.register_tool("stays", lambda: tools.burn(0.51), "a test's tool")
    for expected in (1, 0):
        run, end = bench.step("stays")
        assert end.result == os.getpid()
        assert len(bench.lines(run.run_id)) == expected


def test_a_tool_of_a_tools_folder_runs_in_a_process(bench, tmp_path):
    from engine.tools.discovery import load_tools_dir

    source = "import os\nfrom engine import tool\n\n@tool\ndef where_am_i() -> int:\n    return os.getpid()\n"
    (tmp_path / "mine.py").write_text(source)
    assert load_tools_dir(bench.tools, tmp_path) == []
    _, end = bench.step("where_am_i", isolation="process")
    assert end.result not in (os.getpid(), None)


def test_a_built_in_tool_runs_in_a_process(bench):
    from engine.tools.builtin import register_builtin_tools

    register_builtin_tools(bench.tools, bench.config.workspace)
    parameters = {"operation": "add", "value": 2}
    _, end = bench.step("math_operation", {"value": 1}, isolation="process", parameters=parameters)
    assert end.changes["value"] == 3


# ------------------------------------------------------------------------------------------- what is left


def test_p39_after_close_no_process_thread_or_file_is_left(tmp_path):
    def look() -> tuple[int, set[str]]:
        files = {f"{fd.name}->{fd.readlink()}" for fd in Path("/proc/self/fd").iterdir() if fd.exists()}
        return threading.active_count(), {name for name in files if "pipe:" in name or "w.db" in name}

    before = None
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        bench = Isolated(tmp_path / str(number), workers=1)
        pid = bench.step("get_pid", isolation="process")[1].result
        bench.step("hang_in_c", parameters={"folder": str(tmp_path / str(number))}, timeout_s=0.05)
        bench.close()
        assert not is_alive(pid)
        now = look()
        before = before or now
        assert len(now[1]) <= len(before[1])
        assert now[0] <= before[0]


def test_p39_closing_twice_takes_the_streams_away_from_nobody(bench, tmp_path):
    other = Isolated(tmp_path, workers=1)
    other.close()
    assert other.engine.close(1)
    bench.tools.register_tool("say", lambda: print("still heard"), "a test's tool")
    run, _ = bench.step("say")
    assert bench.lines(run.run_id) == [("info", "still heard")]


def test_p39_closing_kills_a_process_step_that_does_not_end(tmp_path):
    bench = Isolated(tmp_path, workers=1)
    bench.start(
        make_graph({"a": {"function_name": "hang_in_c", "isolation": "process"}}), {"folder": str(tmp_path)}
    )
    pids = wait_for(tmp_path / "pids")
    assert bench.engine.close(0.1)
    bench.database.close()
    assert gone_within(0.5, pids)


def test_p28_a_process_step_ends_when_the_program_is_killed(tmp_path, project_root):
    script = f"""
import sys
sys.path.insert(0, {str(project_root)!r})
from pathlib import Path
from tests.integration.engine.conftest import make_graph
from tests.integration.engine.test_isolation import Isolated
folder = Path({str(tmp_path)!r})
bench = Isolated(folder, workers=1)
bench.start(make_graph({{"a": {{"function_name": "hang_in_c", "isolation": "process"}}}}), {{"folder": str(folder)}})
sys.stdin.read()
"""
    program = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    try:
        worker = wait_for(tmp_path / "pids")[0]
        program.kill()
        program.wait()
        assert gone_within(1, [worker])
    finally:
        program.kill()
        program.communicate()
        for pid in wait_for(tmp_path / "pids"):
            subprocess.run(["kill", "-9", str(pid)], capture_output=True, check=False)


def test_a_process_for_tools_loads_neither_qt_nor_the_database():
    code = (
        "import sys; import engine.execution.attempts.tool_process; from engine import tool; "
        "print(sorted({'PySide6', 'sqlalchemy', 'alembic', 'aiohttp'} & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {code}"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_unguarded_program_does_not_start_programs_without_end(tmp_path):
    script = f"""
import sys
sys.path[:] = {sys.path!r}
from pathlib import Path
from tests.integration.engine.conftest import make_graph
from tests.integration.engine.test_isolation import Isolated
def mine() -> int: return 1
folder = Path({str(tmp_path)!r})
bench = Isolated(folder, workers=1)
bench.tools.register_tool("mine", mine, "x")
run, _ = bench.step("mine", isolation="process")
print(run.error_message)
bench.close()
"""
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, str(tmp_path / "script.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.stdout.startswith('Step "a" failed: ')
    (tmp_path / "guarded.py").write_text(
        script.replace("folder =", 'if __name__ == "__main__":\n  folder =')
        .replace("\nbench", "\n  bench")
        .replace("\nrun", "\n  run")
        .replace("\nprint", "\n  print")
        .replace("w.db", "v.db")
    )
    command = [sys.executable, str(tmp_path / "guarded.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.returncode) == ("None\n", 0)


def test_p8_what_follows_a_timeout_starts_though_no_worker_of_the_pool_reported_it(bench):
    def slow() -> None:
        time.sleep(0.3)

    bench.tools.register_tool("slow", slow, "")
    bench.tools.register_tool("after", lambda: "after", "")
    a = {"function_name": "slow", "timeout_s": 0.05, "isolation": "thread"}
    run = bench.run(make_graph({"a": a, "b": "after"}, ["a! -> b"]))
    assert (run.status, run.steps["b"].status) == (RunStatus.COMPLETED, StepStatus.COMPLETED)


def test_p15_a_process_that_dies_after_its_step_takes_no_other_step_along(tmp_path):
    bench = Bench(AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=1))
    bench.tools.register_tool("die_afterwards", tools.die_afterwards, "")
    bench.tools.register_tool("get_pid", tools.get_pid, "")
    victim = bench.run(
        make_graph({"a": {"function_name": "die_afterwards", "isolation": "process", "save_as": "pid"}})
    )
    pid = victim.current_state.data["pid"]
    deadline = time.monotonic() + 20
    while "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():  # dead, and waited for by nobody yet
        assert time.monotonic() < deadline
        time.sleep(0.01)
    after = bench.run(
        make_graph({"a": {"function_name": "get_pid", "isolation": "process", "save_as": "pid"}})
    )
    assert after.status is RunStatus.COMPLETED, after.error_message
    assert after.current_state.data["pid"] != pid
    bench.close()

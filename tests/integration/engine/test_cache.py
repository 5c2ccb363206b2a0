"""Kept results: what is used again and what is not, over restarts, with real files of tools and real power cuts."""

import asyncio
import subprocess
import sys
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from engine.config import AppConfig
from engine.errors import ValidationError
from engine.execution.engine import ExecutionEngine
from engine.flow.validation import validate_graph
from engine.model.events import StepCompleted
from engine.model.outcome import EndRun, WaitUntil
from engine.model.status import RunStatus, StepStatus
from engine.storage.database import open_database
from engine.storage.graphs import GraphManager
from engine.storage.kept_results import KeptResults
from engine.tools.builtin.control import run_workflow
from engine.tools.discovery import load_tools_dir
from engine.tools.registry import ToolRegistry
from tests.integration.engine.conftest import Bench, make_graph
from tests.integration.engine.test_power_cuts import Flickering

TOOLS = """
from pathlib import Path
from engine import tool

FACTOR = 2

def note(effects, text):
    with Path(effects).open("a") as file:
        file.write(text + "\\n")

@tool
def double(effects: str, x: int = 1) -> int:
    note(effects, f"double {x}")
    return FACTOR * x

@tool
async def double_async(effects: str, x: int = 1) -> int:
    note(effects, f"async {x}")
    return FACTOR * x
"""


class Program:
    """An engine with the tools of a file, as after a start; what the tools really did is in ``effects``."""

    def __init__(self, folder: Path, **more) -> None:
        self.folder, self.effects = folder, folder / "effects"
        tools = folder / "tools"
        tools.mkdir(exist_ok=True)
        if not (tools / "mine.py").exists():
            (tools / "mine.py").write_text(TOOLS)
        config = AppConfig(database_url=f"sqlite:///{folder}/w.db", workers=4, synchronous="normal", **more)
        self.bench = Bench(config)
        assert not load_tools_dir(self.bench.tools, tools)

    def node(self, x: object = 5, tool="double", ttl_s=None, **more):
        parameters = {"effects": str(self.effects), "x": x}
        return {"function_name": tool, "parameters": parameters, "cache": {"ttl_s": ttl_s}, **more}

    def run(self, **nodes):
        return self.bench.run(make_graph(nodes))

    def done(self) -> list[str]:
        return self.effects.read_text().splitlines() if self.effects.exists() else []

    def close(self) -> None:
        self.bench.close()


@pytest.fixture
def program(tmp_path):
    program = Program(tmp_path)
    yield program
    program.close()


def completions(program, run):
    entries = program.bench.engine.read_events(run_id=run.run_id, limit=None)
    return [entry.event for entry in entries if isinstance(entry.event, StepCompleted)]


@pytest.mark.parametrize(
    "how",
    [
        {"tool": "double"},
        {"tool": "double_async"},
        {"tool": "double", "isolation": "thread"},
        {"tool": "double", "isolation": "process"},
    ],
)
def test_a_result_is_used_again_for_the_same_arguments_and_the_tool_is_not_called(program, how):
    first = program.run(a=program.node(**how, save_as="y"))
    again = program.run(b=program.node(**how, save_as="z"))
    assert (first.results, again.results) == ({"a": 10}, {"b": 10})
    assert again.current_state.data == {"z": 10}
    assert len(program.done()) == 1
    assert first.steps["a"].cached_from is None
    assert (again.steps["b"].status, again.steps["b"].cached_from) == (StepStatus.COMPLETED, first.run_id)
    [done] = completions(program, again)
    assert done.cached_from == first.run_id
    log = program.bench.engine.get_execution_logs(again.run_id)
    told = next(record for record in log if record.data.get("execution_event") == "completed")
    assert told.message == f"b completed with the kept result of run {first.run_id}"
    assert told.data["cached_from"] == first.run_id
    [step] = program.bench.engine.get_execution_steps(again.run_id)
    assert (step.cached_from, step.result) == (first.run_id, 10)


def test_other_arguments_are_another_result(program):
    program.run(a=program.node(5))
    for x in (6, "5", 5.0, True):  # the argument as it was given, before the tool's types convert it
        run = program.run(a=program.node(x))
        assert run.steps["a"].cached_from is None
    program.run(a=program.node(5))
    assert program.done() == ["double 5", "double 6", "double 5", "double 5"]  # True is refused


def test_without_the_policy_nothing_is_kept_nor_used(program):
    plain = program.node()
    del plain["cache"]
    program.run(a=plain)
    program.run(a=program.node())
    program.run(a=plain)
    assert len(program.done()) == 3


def test_arguments_count_wherever_they_come_from(program):
    source = {"function_name": "double", "parameters": {"effects": str(program.effects), "x": 2}}
    wired = program.node()
    del wired["parameters"]["x"]
    first = program.bench.run(make_graph({"s": source, "a": wired}, ["s.result -> a.x"]))
    bound = program.node()
    bound["parameters"].pop("x")
    bound["bindings"] = {"x": "2 + 2"}
    assert program.run(a=bound).steps["a"].cached_from == first.run_id
    assert program.run(a=program.node(4)).steps["a"].cached_from == first.run_id


def test_each_item_is_looked_up_on_its_own(program):
    program.run(a=program.node(2))
    each = program.node(for_each="[1, 2, 3, 1]", max_parallel=1)
    each["parameters"].pop("x")
    each["bindings"] = {"x": "item"}
    run = program.run(a=each)
    assert run.results["a"] == [2, 4, 6, 2]
    assert program.done() == ["double 2", "double 1", "double 3"]
    assert [done.cached_from is not None for done in completions(program, run)] == [
        False, True, False, True, False,
    ]  # fmt: skip


def test_a_result_that_is_too_old_is_made_anew(program):
    program.run(a=program.node(ttl_s=0.2))
    assert program.run(a=program.node(ttl_s=1000)).steps["a"].cached_from is not None
    kept = program.bench.database
    with kept.write() as connection:  # an hour goes by
        connection.exec_driver_sql("UPDATE cached_results SET created_at = created_at - 3600000000")
    third = program.run(a=program.node(ttl_s=1000))
    assert third.steps["a"].cached_from is None
    assert program.run(a=program.node(ttl_s=1000)).steps["a"].cached_from == third.run_id
    assert len(program.done()) == 2


def test_kept_results_survive_a_restart_and_a_change_of_the_tools_file_does_not(tmp_path):
    program = Program(tmp_path)
    first = program.run(a=program.node(), b=program.node(tool="double_async"))
    program.close()

    program = Program(tmp_path)
    again = program.run(a=program.node(), b=program.node(tool="double_async"))
    assert {name: step.cached_from for name, step in again.steps.items()} == dict.fromkeys("ab", first.run_id)
    program.close()

    (tmp_path / "tools" / "mine.py").write_text(TOOLS.replace("FACTOR = 2", "FACTOR = 3  # not 2"))
    program = Program(tmp_path)
    changed = program.run(a=program.node(), b=program.node(tool="double_async"))
    assert changed.results == {"a": 15, "b": 15}
    assert len(program.done()) == 4
    program.close()


def test_failures_ends_and_waits_are_not_kept(tmp_path):
    CALLS.clear()
    bench = Bench(AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=2))

    def fails(x: int) -> int:
        CALLS.append("fails")
        raise ValueError("no")

    def ends(x: int) -> object:
        CALLS.append("ends")
        return EndRun()

    def waits(x: int) -> object:
        CALLS.append("waits")
        return WaitUntil(timedelta(milliseconds=1), "rested")

    for function in (fails, ends, waits):
        bench.tool(function)
        node = {"function_name": function.__name__, "parameters": {"x": 1}, "cache": {}}
        for _ in range(2):
            bench.run(make_graph({"a": node}))
    assert Counter(CALLS) == {"fails": 2, "ends": 2, "waits": 2}
    bench.close()


CALLS: list[str] = []


def test_what_must_not_be_used_again_is_refused_with_the_reason(tmp_path):
    bench = Bench(AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=2))
    shelf = {"n": 0}

    def takes_state(state: dict) -> dict:
        return {"n": 1}

    def pays() -> str:
        return "paid"

    def counts() -> int:
        shelf["n"] += 1
        return shelf["n"]

    bench.tools.register_tool("takes_state", takes_state, "")
    bench.tools.register_tool("pays", pays, "", effects="once")
    bench.tools.register_tool("counts", counts, "")
    reasons = {
        "takes_state": "what it does depends on the whole state, and what it changes there is not its result",
        "pays": 'it does something that must be done for each call (effects "once")',
        "counts": "a change of its code could not be noticed, since "
        'it uses "shelf" of the function around it, an object (dict)',
    }
    for name, reason in reasons.items():
        graph = make_graph({"a": {"function_name": name, "cache": {}}})
        message = f'"a": the results of "{name}" cannot be used again (cache): {reason}'
        [problem] = [p for p in validate_graph(graph, bench.tools.list_tools()) if p.code == "no-cache"]
        assert (problem.message, problem.field, problem.is_error) == (message, "cache", True)
        run = bench.run(graph)
        assert (run.status, run.error_message, run.current_state.execution_path) == (
            RunStatus.FAILED,
            message,
            [],
        )
    assert shelf == {"n": 0}
    bench.close()


def test_cache_on_a_tool_whose_steps_wait_or_run_a_workflow_is_pointed_out_and_does_no_harm(bench):

    def pause() -> str | WaitUntil:
        return WaitUntil(timedelta(0), "rested")

    bench.tools.register(run_workflow)
    bench.tools.register_tool("pause", pause, "")
    bench.tools.register_tool("add", lambda a, b: a + b, "")
    inner = {"function_name": "add", "parameters": {"a": 1, "b": 2}}
    bench.graphs.create_graph(make_graph({"n": inner}, name="In"))
    graph = make_graph(
        {
            "child": {"function_name": "run_workflow", "parameters": {"graph": "In"}, "cache": {}},
            "rest": {"function_name": "pause", "cache": {}},
        },
        name="Out",
    )
    problems = validate_graph(graph, bench.tools.list_tools())
    assert [(p.code, p.is_error, p.node_id, p.field) for p in problems] == [
        ("vain-cache", False, "child", "cache"),
        ("vain-cache", False, "rest", "cache"),
    ]
    assert problems[0].message == (
        '"child": the results of "run_workflow" are not kept (cache), since its steps wait or run another workflow; '
        "take cache away, or set it on nodes that do the work themselves"
    )
    for _ in range(2):
        run = bench.run(graph)
        assert run.status is RunStatus.COMPLETED
        assert [run.steps[name].cached_from for name in ("child", "rest")] == [None, None]
    assert bench.engine.clear_cache() == 0


def test_equal_steps_at_the_same_time_may_both_run_and_do_no_harm(program):
    nodes = {f"n{number}": program.node() for number in range(20)}
    run = program.run(**nodes)
    assert set(run.results.values()) == {10}
    assert 1 <= len(program.done()) <= 20
    assert program.bench.engine.clear_cache() == 1
    assert program.run(a=program.node()).steps["a"].cached_from is None


def test_kept_results_can_be_forgotten_all_or_those_of_a_tool(program):
    program.run(a=program.node(1), b=program.node(2), c=program.node(1, tool="double_async"))
    assert program.bench.engine.clear_cache("double") == 2
    assert program.run(c=program.node(1, tool="double_async")).steps["c"].cached_from is not None
    assert program.run(a=program.node(1)).steps["a"].cached_from is None
    assert program.bench.engine.clear_cache() == 2
    assert program.bench.engine.clear_cache() == 0


def test_kept_results_are_bounded_in_number_and_age(program):
    for x in range(5):
        program.run(a=program.node(x))
    kept = KeptResults(program.bench.database)
    assert kept.drop_all_but(3) == 2
    assert kept.drop_all_but(3) == 0
    assert program.run(a=program.node(4)).steps["a"].cached_from is not None
    assert program.run(a=program.node(0)).steps["a"].cached_from is None
    assert kept.drop_before(0) == 0
    assert kept.drop_before(2**62) == 4


def test_the_engine_forgets_what_is_over_its_limit(tmp_path):
    program = Program(tmp_path, retention_results=2)
    for x in range(4):
        program.run(a=program.node(x))
    program.bench.engine._retention._prune_results()
    assert program.bench.engine.clear_cache() == 2
    program.close()


def test_a_cancel_while_a_result_is_looked_up_ends_the_run(tmp_path, monkeypatch):
    program = Program(tmp_path, cancel_grace_s=0.05)
    looked, go_on = threading.Event(), threading.Event()
    find = KeptResults.find

    def slow(self, key, not_before):
        looked.set()
        go_on.wait(20)
        return find(self, key, not_before)

    monkeypatch.setattr(KeptResults, "find", slow)
    run_id = program.bench.start(make_graph({"a": program.node(tool="double_async")}))
    assert looked.wait(20)
    assert program.bench.engine.cancel_execution(run_id)
    assert program.bench.engine.wait(run_id, 20).status is RunStatus.CANCELLED
    go_on.set()
    assert program.run(a=program.node(tool="double_async")).status is RunStatus.COMPLETED
    assert program.done() == ["async 5"]
    assert program.bench.engine.abandoned_steps == 0
    program.close()


def test_the_engine_goes_on_while_a_look_up_takes_its_time(program, monkeypatch):
    go_on = threading.Event()
    find = KeptResults.find

    def slow(self, key, not_before):
        assert go_on.wait(20)
        return find(self, key, not_before)

    monkeypatch.setattr(KeptResults, "find", slow)
    waiting = program.bench.start(make_graph({"a": program.node()}))
    plain = program.node()
    del plain["cache"]
    assert program.run(a=plain).status is RunStatus.COMPLETED
    go_on.set()
    assert program.bench.engine.wait(waiting, 20).status is RunStatus.COMPLETED


def test_a_tool_that_takes_the_context_keeps_its_results_for_its_workspace(tmp_path):
    calls = tmp_path / "calls"
    (tmp_path / "tools").mkdir()
    text = f"""
from pathlib import Path
from engine import tool
@tool
def look(context, name: str) -> str:
    with Path({str(calls)!r}).open("a") as file:
        file.write("x")
    return str(context.workspace / name)
"""
    (tmp_path / "tools" / "mine.py").write_text(text)
    for folder, count in (("one", 1), ("one", 1), ("two", 2)):
        (tmp_path / folder).mkdir(exist_ok=True)
        program = Program(tmp_path, workspace=tmp_path / folder)
        node = {"function_name": "look", "parameters": {"name": "a"}, "cache": {}}
        assert program.run(a=node).results["a"] == str(tmp_path / folder / "a")
        assert len(calls.read_text()) == count
        program.close()


@pytest.mark.qt_no_exception_capture  # a worker may have the turn
def test_after_a_power_cut_a_result_is_kept_just_where_its_step_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # a thread dies of each cut: the engine's,
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)  # or a worker
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "mine.py").write_text(TOOLS)

    def open_program(path, cut_at, after):
        database = open_database(AppConfig(database_url=f"sqlite:///{path}", synchronous="normal"))
        store, tools = Flickering(database, cut_at, after=after), ToolRegistry()
        load_tools_dir(tools, tmp_path / "tools")
        engine = ExecutionEngine(
            graph_manager=GraphManager(database), state_manager=store, tool_registry=tools
        )
        return database, store, engine

    cuts = 0
    for cut_at, after in ((number, after) for number in range(1, 20) for after in (False, True)):
        path, effects = tmp_path / f"{cut_at}-{after}.db", tmp_path / f"{cut_at}-{after}.txt"
        parameters = {"effects": str(effects)}
        graph = make_graph(
            {x: {"function_name": "double", "parameters": {**parameters, "x": n}, "cache": {}} for n, x in enumerate("ab")},
            ["a -> b"],
        )  # fmt: skip
        database, store, engine = open_program(path, cut_at, after)
        engine.submit_workflow(engine.graphs.create_graph(graph))
        assert store.over.wait(10)
        engine.close(1.0)
        database.close()
        if store.left > 0:
            break
        cuts += 1
        database, store, engine = open_program(path, 10**9, after)
        recorded = [e.event.node for e in store.read_events(limit=None) if isinstance(e.event, StepCompleted)]
        with database.read() as connection:
            kept = connection.exec_driver_sql("SELECT count(*) FROM cached_results").scalar()
        assert kept == len(recorded)
        for run in store.query_runs().executions:
            assert engine.wait(run.run_id, 20).status is RunStatus.COMPLETED
        done = Counter(effects.read_text().split()[1::2]) if effects.exists() else {}
        assert all(done[str("ab".index(name))] == 1 for name in recorded)
        engine.close(1.0)
        database.close()
    assert cuts >= 5


VERSION = """
import sys
sys.path.insert(0, sys.argv[1])
import mine
from engine.tools.version import find_version
print(find_version(mine.pick))
"""


def test_the_version_of_a_tool_is_the_same_in_every_process(tmp_path):
    (tmp_path / "mine.py").write_text(
        'def pick(x: str, n: int = 3) -> bool:\n    return x in {"a", "b", "c", "d"} and n in (1, 2)\n'
    )
    root = str(Path(__file__).parents[3])

    def ask(seed):
        command = [sys.executable, "-c", VERSION, str(tmp_path)]
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": root}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert ask("1") == ask("2") == ask("3")


async def test_an_engine_in_an_asyncio_program_uses_kept_results_too(tmp_path):
    program = Program(tmp_path)
    graph = make_graph({"a": program.node(tool="double_async")})
    graph_id = program.bench.graphs.create_graph(graph)
    for _ in range(2):
        run_id = await asyncio.wrap_future(program.bench.engine.submit_workflow(graph_id))
        run = await asyncio.wrap_future(program.bench.engine.when_finished(run_id))
    assert run.steps["a"].cached_from is not None
    program.close()


def test_a_failed_run_is_not_retried_with_a_tool_whose_results_must_not_be_used_again(tmp_path):
    bench = Bench(AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=2))
    bench.tools.register_tool("f", _raise, "")
    run = bench.run(make_graph({"a": {"function_name": "f", "cache": {}}}))
    assert run.status is RunStatus.FAILED
    bench.tools.unregister_tool("f")
    bench.tools.register_tool("f", lambda state: None, "")
    with pytest.raises(ValidationError, match="cannot be used again"):
        bench.engine.retry(run.run_id).result()
    bench.close()


def _raise() -> None:
    raise ValueError("no")

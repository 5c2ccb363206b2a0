"""Resources: tokens that steps of all runs share, with real threads, processes, cancels, crashes and power cuts."""

import asyncio
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.config import AppConfig
from engine.errors import ValidationError
from engine.execution.engine import ExecutionEngine
from engine.flow.validation import validate_graph
from engine.model.events import ResourcesGranted, StepQueued, StepStarted
from engine.model.outcome import WaitForSignal
from engine.model.run import ResourceUsage
from engine.model.status import RunStatus, StepStatus
from engine.storage.database import open_database
from engine.storage.graphs import GraphManager
from engine.tools.registry import ToolRegistry
from tests.integration.engine import isolated_tools
from tests.integration.engine.conftest import Bench, make_graph
from tests.integration.engine.test_power_cuts import Flickering

LIMITS = {"gpu": 2, "db": 3, "cpu": 1}


@pytest.fixture(params=[1, 8], ids=["1 worker", "8 workers"])
def bench(request, tmp_path):
    bench = open_bench(tmp_path, workers=request.param)
    yield bench
    bench.close()


def open_bench(tmp_path, **more) -> Bench:
    settings = {"resources": LIMITS, "workers": 8, "synchronous": "normal", **more}
    return Bench(AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", **settings))


class Meter:
    """Counts tokens in use by the tools themselves."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.used: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.calls = 0

    def work(self, takes: dict[str, int], fails: bool = False) -> int:
        with self.lock:
            self.calls += 1
            self.used.update(takes)
            for name in takes:
                self.most[name] = max(self.most[name], self.used[name])
        time.sleep(0.001)
        with self.lock:
            self.used.subtract(takes)
        if fails:
            raise ValueError("as asked")
        return 1


class Gate:
    """A tool that holds on until it is let go; it says who has begun, in order."""

    def __init__(self, bench) -> None:
        self.begun: list[str] = []
        self.changed = threading.Condition()
        self.open: set[str] = set()
        bench.tools.register_tool("hold", self.hold, "")

    def hold(self, name: str) -> str:
        with self.changed:
            self.begun.append(name)
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: name in self.open, 30)
        return name

    def wait_for(self, *names: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.begun == list(names), 20), self.begun

    def let_go(self, *names: str) -> None:
        with self.changed:
            self.open.update(names)
            self.changed.notify_all()


def holding(name, resources, **more):
    node = {"function_name": "hold", "parameters": {"name": name}, "resources": resources, **more}
    return make_graph({name: node})


def wait_until_queued(bench, run_id, node):
    for _ in range(4000):
        step = bench.engine.get_execution_status(run_id).steps.get(node)
        if step is not None and step.waits_for is not None and step.waits_for.kind == "resources":
            return step
        time.sleep(0.005)
    raise AssertionError(f"{node} was never queued")


def wait_until_free(bench):
    """Until no token is in use."""
    for _ in range(4000):
        usage = bench.engine.get_resources()
        if not any(one.in_use for one in usage.values()):
            return usage
        time.sleep(0.005)
    raise AssertionError(usage)


NEEDS = st.dictionaries(st.sampled_from(["gpu", "db", "cpu"]), st.integers(1, 3), max_size=3).map(
    lambda needs: {name: min(count, LIMITS[name]) for name, count in needs.items()}
)
STEP = st.tuples(NEEDS, st.sampled_from(["ok", "ok", "ok", "fails", "items"]))


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs=st.lists(st.lists(STEP, min_size=1, max_size=4), min_size=1, max_size=6), cancel=st.booleans())
def test_never_more_tokens_than_there_are_and_every_run_ends(bench, graphs, cancel):
    meter = Meter()
    if bench.tools.find_tool("work") is not None:
        bench.tools.unregister_tool("work")
    bench.tools.register_tool("work", meter.work, "")
    run_ids = []
    for steps in graphs:
        nodes = {}
        for number, (needs, kind) in enumerate(steps):
            node = {"function_name": "work", "parameters": {"takes": needs}, "resources": needs}
            if kind == "fails":
                node["parameters"] |= {"fails": True}
                node |= {"on_error": "continue", "retry": {"max_attempts": 2, "delay_s": 0.001}}
            elif kind == "items":
                node["for_each"] = "[1, 2, 3]"
            nodes[f"n{number}"] = node
        run_ids += [bench.start(make_graph(nodes)) for _ in range(2)]
    if cancel:
        bench.engine.cancel_execution(run_ids[-1])
    ends = [bench.engine.wait(run_id, 30).status for run_id in run_ids]
    assert set(ends[:-1]) <= {RunStatus.COMPLETED}
    assert ends[-1] in (RunStatus.COMPLETED, RunStatus.CANCELLED)
    assert all(meter.most[name] <= limit for name, limit in LIMITS.items())
    usage = wait_until_free(bench)
    assert usage == {name: ResourceUsage(limit, 0, 0, 0) for name, limit in LIMITS.items()}


def test_steps_that_want_overlapping_sets_never_wait_for_each_other_for_ever(bench):
    meter = Meter()
    bench.tools.register_tool("work", meter.work, "")
    pairs = [{"gpu": 2, "db": 3}, {"db": 3, "cpu": 1}, {"cpu": 1, "gpu": 2}, {"gpu": 1, "db": 1, "cpu": 1}]
    nodes = {
        f"n{number}": {"function_name": "work", "parameters": {"takes": needs}, "resources": needs}
        for number, needs in enumerate(pairs * 5)
    }
    runs = [bench.start(make_graph(nodes)) for _ in range(5)]
    assert {bench.engine.wait(run, 30).status for run in runs} == {RunStatus.COMPLETED}
    assert meter.calls == 100
    assert meter.most == LIMITS


def test_first_come_is_first_served_and_a_small_request_does_not_overtake_a_large_one(tmp_path):
    bench = open_bench(tmp_path)
    gate = Gate(bench)
    first = bench.start(holding("first", {"gpu": 1}))
    gate.wait_for("first")
    large = bench.start(holding("large", {"gpu": 2}))
    small = bench.start(holding("small", {"gpu": 1}))  # there is a token for it
    other = bench.start(holding("other", {"db": 1}))  # it wants nothing that they want
    gate.wait_for("first", "other")
    assert bench.engine.get_resources()["gpu"] == ResourceUsage(limit=2, in_use=1, abandoned=0, waiting=2)
    gate.let_go("first")
    gate.wait_for("first", "other", "large")
    gate.let_go("large")
    gate.wait_for("first", "other", "large", "small")
    gate.let_go("small", "other")
    for run in (first, large, small, other):
        assert bench.engine.wait(run, 20).status is RunStatus.COMPLETED
    bench.close()


def test_a_waiting_step_says_what_it_waits_for_since_when_and_its_run_is_running(tmp_path):
    bench = open_bench(tmp_path)
    gate = Gate(bench)
    first = bench.start(holding("first", {"cpu": 1}))
    gate.wait_for("first")
    second = bench.start(holding("second", {"cpu": 1, "db": 2}))
    step = wait_until_queued(bench, second, "second")
    run = bench.engine.get_execution_status(second)
    assert run.status is RunStatus.RUNNING
    assert run.current_state.execution_path == []
    assert (step.status, step.visit, step.started_at) == (StepStatus.WAITING, 0, None)
    assert step.waits_for.message == "cpu \u00d7 1, db \u00d7 2"
    assert step.waits_for.resources == {"cpu": 1, "db": 2}
    assert run.accepted_at <= step.waits_for.since
    assert bench.engine.running_steps == 1
    messages = [record.message for record in bench.engine.get_execution_logs(second)]
    assert "second waits for cpu \u00d7 1, db \u00d7 2" in messages
    gate.let_go("first", "second")
    assert bench.engine.wait(first, 20).status is RunStatus.COMPLETED
    assert bench.engine.wait(second, 20).steps["second"].waits_for is None
    bench.close()


def test_a_cancelled_run_gives_up_its_place_and_its_tokens(tmp_path):
    bench = open_bench(tmp_path)
    gate = Gate(bench)
    first = bench.start(holding("first", {"gpu": 1}))
    gate.wait_for("first")
    large = bench.start(holding("large", {"gpu": 2}))
    small = bench.start(holding("small", {"gpu": 1}))
    wait_until_queued(bench, small, "small")
    assert bench.engine.cancel_execution(large)
    gate.wait_for("first", "small")  # nobody stands before it any more
    assert bench.engine.wait(large, 20).status is RunStatus.CANCELLED
    gate.let_go("first", "small")
    bench.engine.wait(first, 20)
    bench.engine.wait(small, 20)
    assert wait_until_free(bench)["gpu"].waiting == 0
    bench.close()


def test_a_paused_run_is_granted_nothing_and_lets_others_pass(tmp_path):
    bench = open_bench(tmp_path)
    gate = Gate(bench)
    first = bench.start(holding("first", {"cpu": 1}))
    gate.wait_for("first")
    paused = bench.start(holding("paused", {"cpu": 1}))
    other = bench.start(holding("other", {"cpu": 1}))
    wait_until_queued(bench, other, "other")
    assert bench.engine.pause(paused).result()
    gate.let_go("first")
    gate.wait_for("first", "other")
    assert bench.engine.step(paused).result()  # one step, as soon as it has its token
    gate.let_go("other")
    gate.wait_for("first", "other", "paused")
    assert bench.engine.resume(paused).result()
    gate.let_go("paused")
    for run in (first, other, paused):
        assert bench.engine.wait(run, 20).status is RunStatus.COMPLETED
    bench.close()


def test_a_thread_that_was_given_up_keeps_its_tokens_until_its_call_returns(tmp_path):
    bench = open_bench(tmp_path)
    gate = Gate(bench)
    late = bench.run(holding("late", {"cpu": 1}, timeout_s=0.05, isolation="thread"))
    assert late.status is RunStatus.FAILED
    assert bench.engine.get_resources()["cpu"] == ResourceUsage(limit=1, in_use=1, abandoned=1, waiting=0)
    next_run = bench.start(holding("next", {"cpu": 1}))
    wait_until_queued(bench, next_run, "next")
    gate.wait_for("late")
    gate.let_go("late")
    gate.wait_for("late", "next")
    gate.let_go("next")
    assert bench.engine.wait(next_run, 20).status is RunStatus.COMPLETED
    wait_until_free(bench)
    bench.close()


def test_a_killed_process_and_an_async_step_free_their_tokens(tmp_path):
    bench = open_bench(tmp_path, cancel_grace_s=5)
    bench.tools.register_tool("nap", isolated_tools.nap, "")
    node = {"function_name": "nap", "resources": {"cpu": 1}, "timeout_s": 0.3, "isolation": "process"}
    run = bench.run(make_graph({"a": node | {"parameters": {"seconds": 60}}}))
    assert run.status is RunStatus.FAILED
    assert "timed out" in run.error_message
    wait_until_free(bench)

    async def rest() -> int:
        await asyncio.sleep(60)
        return 1

    bench.tools.register_tool("rest", rest, "")
    run_id = bench.start(make_graph({"a": {"function_name": "rest", "resources": {"cpu": 1}}}))
    while bench.engine.get_resources()["cpu"].in_use == 0:
        pass
    bench.engine.cancel_execution(run_id)
    assert bench.engine.wait(run_id, 20).status is RunStatus.CANCELLED
    wait_until_free(bench)
    bench.close()


def test_a_parked_step_holds_no_tokens(tmp_path):
    bench = open_bench(tmp_path)
    bench.tools.register_tool("ask", lambda: WaitForSignal("go"), "")
    run_id = bench.start(make_graph({"a": {"function_name": "ask", "resources": {"cpu": 1}}}))
    while bench.engine.get_execution_status(run_id).status is not RunStatus.WAITING:
        pass
    assert wait_until_free(bench)["cpu"].in_use == 0
    assert bench.engine.signal(run_id, "go", 1).result()
    assert bench.engine.wait(run_id, 20).status is RunStatus.COMPLETED
    bench.close()


def test_a_step_that_cannot_begin_gives_its_tokens_back(tmp_path):
    bench = open_bench(tmp_path)
    bench.tools.register_tool("f", lambda x: x, "")
    run = bench.run(make_graph({"a": {"function_name": "f", "resources": {"cpu": 1}}}))
    assert run.status is RunStatus.FAILED
    assert 'parameter "x" has no value' in run.error_message
    wait_until_free(bench)
    bench.close()


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        (
            {"gpu": 3},
            '"a" takes 3 of the resource "gpu", but its limit is 2, so it could never start',
        ),
        (
            {"gpus": 1},
            (
                '"a" takes the resource "gpus", which is not configured; did you mean "gpu"? '
                "(--resource gpus=N, or WFE_RESOURCES)"
            ),
        ),
    ],
)
def test_what_could_never_start_is_refused_before_any_step(tmp_path, resources, message):
    bench = open_bench(tmp_path)
    bench.tools.register_tool("f", lambda: 1, "")
    graph = make_graph({"z": "f", "a": {"function_name": "f", "resources": resources}}, ["z -> a"])
    run = bench.run(graph)
    assert (run.status, run.error_message) == (RunStatus.FAILED, message)
    assert run.current_state.execution_path == []
    problem = validate_graph(graph, bench.tools.list_tools(), LIMITS)[0]
    name = next(iter(resources))
    assert (problem.message, problem.node_id, problem.field) == (message, "a", f"resources.{name}")
    assert not problem.is_error  # another program may have more of it
    bench.close()


def test_after_a_crash_a_step_that_only_waited_is_queued_again_and_nobody_is_asked(tmp_path):
    """With ``effects: once``; and a limit that was taken away makes the run wait and say so."""
    bench = open_bench(tmp_path)
    gate = Gate(bench)
    first = bench.start(holding("first", {"cpu": 1}))
    gate.wait_for("first")
    bench.tools.register_tool("pay", lambda: "paid", "", effects="once")
    second = bench.start(make_graph({"pay": {"function_name": "pay", "resources": {"cpu": 1}}}))
    wait_until_queued(bench, second, "pay")
    bench.engine.close(0.05)
    gate.let_go("first")
    bench.database.close()

    def reopen(**more):
        bench = open_bench(tmp_path, **more)
        bench.tools.register_tool("hold", lambda name: name, "")
        bench.tools.register_tool("pay", lambda: "paid", "", effects="once")
        bench.engine.recover()
        return bench

    bench = reopen(resources={"gpu": 2})
    status = bench.engine.get_execution_status(second)
    assert status.status is RunStatus.WAITING
    assert status.error_message.startswith('"pay" takes the resource "cpu", which is not configured')
    bench.close()

    bench = reopen()
    run = bench.engine.wait(second, 20)
    assert (run.status, run.results["pay"], run.steps["pay"].attempt) == (RunStatus.COMPLETED, "paid", 1)
    assert bench.engine.wait(first, 20).status is RunStatus.COMPLETED
    wait_until_free(bench)
    bench.close()


KILLED = """
import sys, time
from pathlib import Path
from engine import AppConfig, ExecutionEngine, GraphDefinition, GraphManager, NodeDefinition, StateManager, ToolRegistry

database, effects, what = sys.argv[1:]

def use(item):
    with Path(effects).open("a") as file:
        file.write(f"+{item}\\n")
    time.sleep(0.02)
    with Path(effects).open("a") as file:
        file.write(f"-{item}\\n")
    return item

config = AppConfig(database_url=f"sqlite:///{database}", workers=8, resources={"gpu": 2})
graphs, states, tools = GraphManager(config), StateManager(config), ToolRegistry()
tools.register_tool("use", use, "")
engine = ExecutionEngine(graph_manager=graphs, state_manager=states, tool_registry=tools, config=config)
if what == "start":
    node = NodeDefinition(id="a", function_name="use", for_each="state.items", bindings={"item": "item"}, resources={"gpu": 1})
    graph_id = graphs.create_graph(GraphDefinition(name="g", nodes=(node,)))
    run_id = engine.execute_workflow(graph_id, {"items": list(range(30))})
    print("run", run_id, flush=True)
else:
    run_id = states.query_runs().executions[0].run_id
run = engine.wait(run_id, 30)
print("end", run.status.value, len(run.results["a"]), engine.get_resources()["gpu"].in_use, flush=True)
engine.close()
"""


def test_after_kill_9_the_tokens_are_free_and_every_item_is_done(tmp_path):
    database, effects = tmp_path / "w.db", tmp_path / "effects"
    root = str(Path(__file__).parents[3])

    def start(what):
        code = f"import sys; sys.path.insert(0, {root!r})\n{KILLED}"
        command = [sys.executable, "-c", code, str(database), str(effects), what]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    with start("start") as victim:
        assert victim.stdout.readline().startswith("run")
        while not effects.exists() or effects.read_text().count("-") < 6:
            time.sleep(0.002)
        victim.kill()
    cut = len(effects.read_text().split())
    out, _ = start("go_on").communicate(timeout=40)
    assert out.split() == ["end", "completed", "30", "0"]
    lines = effects.read_text().split()
    assert {line for line in lines if line[0] == "-"} == {f"-{item}" for item in range(30)}
    assert len(lines) <= 60 + 2 * 2  # only the two under way were tried again
    for part in (lines[:cut], lines[cut:]):
        in_use = 0
        for line in part:
            in_use += 1 if line[0] == "+" else -1
            assert in_use <= 2


@pytest.mark.qt_no_exception_capture  # a worker may have the turn
def test_a_power_cut_at_any_commit_loses_no_step_that_waits_for_tokens(tmp_path, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # a thread dies of each cut: the engine's,
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)  # or a worker
    graph = make_graph(
        {name: {"function_name": "f", "resources": {"gpu": 1}} for name in "abc"}, ["a -> b", "a -> c"]
    )

    def open_program(path, effects, cut_at, after):
        database = open_database(AppConfig(database_url=f"sqlite:///{path}", synchronous="normal"))
        store, tools = Flickering(database, cut_at, after=after), ToolRegistry()

        def f(context) -> None:
            effects[context.node_id] += 1

        tools.register_tool("f", f, "")
        config = AppConfig(workers=4, resources={"gpu": 1})
        engine = ExecutionEngine(
            graph_manager=GraphManager(database), state_manager=store, tool_registry=tools, config=config
        )
        return database, store, engine

    cuts = 0
    for cut_at, after in ((number, after) for number in range(1, 30) for after in (False, True)):
        path, effects = tmp_path / f"{cut_at}-{after}.db", Counter()
        database, store, engine = open_program(path, effects, cut_at, after)
        engine.submit_workflow(engine.graphs.create_graph(graph))
        assert store.over.wait(10)
        engine.close(1.0)
        database.close()
        if store.left > 0:
            break
        cuts += 1
        database, store, engine = open_program(path, effects, 10**9, after)
        for run in store.query_runs().executions:
            assert engine.wait(run.run_id, 20).status is RunStatus.COMPLETED
            assert all(1 <= effects[name] <= 2 for name in "abc")
            granted = [e.event for e in store.read_events(limit=None)]
            started = sum(isinstance(event, StepStarted) for event in granted)
            assert started == sum(isinstance(event, ResourcesGranted) for event in granted)
            assert started <= sum(isinstance(event, StepQueued) for event in granted)
        engine.close(1.0)
        database.close()
    assert cuts >= 8


def test_a_fork_waits_for_the_tokens_of_what_it_runs_and_not_of_what_it_takes_over(tmp_path):
    bench = open_bench(tmp_path)
    bench.tools.register_tool("f", lambda context: context.run_id, "")
    nodes = {name: {"function_name": "f", "resources": {"cpu": 1}} for name in "ab"}
    old = bench.run(make_graph(nodes, ["a -> b"]))
    new = bench.engine.wait(bench.engine.fork(old.run_id, "b"), 20)
    assert new.results == {"a": old.run_id, "b": new.run_id}
    facts = [entry.event for entry in bench.engine.read_events(run_id=new.run_id, limit=None)]
    assert [fact.node for fact in facts if isinstance(fact, StepQueued)] == ["b"]
    wait_until_free(bench)
    bench.close()
    bench = open_bench(tmp_path, resources={})
    bench.tools.register_tool("f", lambda: 1, "")
    with pytest.raises(ValidationError, match='takes the resource "cpu", which is not configured'):
        bench.engine.fork(old.run_id, "b")
    bench.close()


def test_a_failed_run_is_not_retried_in_vain_for_want_of_a_resource(tmp_path):
    bench = open_bench(tmp_path)

    def bad() -> None:
        raise ValueError("no")

    bench.tools.register_tool("bad", bad, "")
    run = bench.run(make_graph({"a": {"function_name": "bad", "resources": {"cpu": 1}}}))
    assert run.status is RunStatus.FAILED
    bench.close()
    bench = open_bench(tmp_path, resources={})
    bench.tools.register_tool("bad", bad, "")
    with pytest.raises(ValidationError, match='takes the resource "cpu", which is not configured'):
        bench.engine.retry(run.run_id).result()
    bench.close()

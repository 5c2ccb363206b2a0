"""One key is one run: for ever, from all sides at once, and across a crash at either side of the commit."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.config import AppConfig
from engine.errors import ConflictError, GraphNotFound, RunNotFound, ValidationError
from tests.integration.engine.conftest import Bench, make_graph
from tests.integration.engine.test_power_cuts import GRAPH, Program


@pytest.fixture
def graph_id(bench):
    @bench.tool
    def nothing() -> None: ...

    return bench.graphs.create_graph(make_graph({"a": "nothing"}))


def test_p6_the_same_key_is_the_same_run_while_it_runs_and_ever_after(bench, graph_id):
    first = bench.engine.execute_workflow(graph_id, {"n": 1}, idempotency_key="k")
    assert bench.engine.execute_workflow(graph_id, {"n": 1}, idempotency_key="k") == first
    bench.engine.wait(first, 10)
    bench.graphs.update_graph(graph_id, make_graph({"b": "nothing"}))
    assert bench.engine.execute_workflow(graph_id, {"n": 1}, idempotency_key="k") == first
    bench.graphs.delete_graph(graph_id)
    assert bench.engine.execute_workflow(graph_id, {"n": 1}, idempotency_key="k") == first
    assert bench.engine.query_historical_executions().total_count == 1
    assert bench.engine.query_historical_executions().executions[0].idempotency_key == "k"


def test_p6_the_same_key_is_the_same_run_in_the_next_program(tmp_path):
    config = AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=1, synchronous="normal")
    ids = []
    for _ in range(2):
        bench = Bench(config)
        bench.tools.register_tool("nothing", lambda: None, "")
        graph_id = bench.graphs.keep_graph(make_graph({"a": "nothing"}))
        ids.append(bench.engine.execute_workflow(graph_id, idempotency_key="k"))
        bench.close()
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"initial_state": {"n": 2}}, ["initial_state"]),
        ({"initial_state": {"n": 1.0}}, ["initial_state"]),
        ({"initial_state": {"n": True}}, ["initial_state"]),
        ({"breakpoints": ["a"]}, ["breakpoints"]),
        ({"graph_version": 2}, ["graph_version"]),
    ],
)
def test_another_request_with_the_key_is_refused_and_told_in_what_it_differs(
    bench, graph_id, changed, differs
):
    bench.graphs.update_graph(graph_id, make_graph({"b": "nothing"}))
    request = {"initial_state": {"n": 1}, "graph_version": 1}
    run_id = bench.engine.execute_workflow(graph_id, **request, idempotency_key="k")
    with pytest.raises(ConflictError, match=f"of run {run_id}, which had another {differs[0]}") as refused:
        bench.engine.execute_workflow(graph_id, **{**request, **changed}, idempotency_key="k")
    assert refused.value.details == {"idempotency_key": "k", "differs": differs}
    with pytest.raises(ConflictError, match="another graph_id"):
        bench.engine.execute_workflow("other", **request, idempotency_key="k")
    bench.engine.wait(run_id, 10)


@pytest.fixture
def loop_id(bench):
    """A run that has gone twice through its loop."""
    bench.tools.register_tool("more", lambda state: {"n": state.get("n", 0) + 1}, "")
    graph = make_graph({"a": "more", "b": "more"}, ["a -> b", ("b -> a", "state.n < 4")], entry_point="a")
    return bench.run(graph).run_id


def test_p6_a_fork_with_a_key_is_one_run_also_when_the_old_one_has_gone_on_or_is_deleted(bench, loop_id):
    asked = {"node_id": "b", "state": {"n": 3}, "idempotency_key": "k"}
    first = bench.engine.fork(loop_id, **asked)
    assert bench.engine.fork(loop_id, **asked) == first
    run = bench.engine.wait(first, 10)
    assert (run.forked_from, run.current_state.data) == (loop_id, {"n": 4})
    assert bench.engine.submit_fork(loop_id, **asked).result(10) == first
    assert bench.engine.fork(loop_id, "b", state={"n": 3}) != first, "without the key it is another one"
    assert bench.engine.query_historical_executions().total_count == 3
    assert bench.engine.delete_runs([loop_id]).deleted == (loop_id,)
    assert bench.engine.fork(loop_id, **asked) == first
    bench.engine.delete_runs([first])
    with pytest.raises(RunNotFound):
        bench.engine.fork(loop_id, **asked)


def test_p6_a_fork_with_a_key_is_the_same_run_in_the_next_program(tmp_path):
    config = AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=1, synchronous="normal")
    forks = []
    for _ in range(2):
        bench = Bench(config)
        bench.tools.register_tool("nothing", lambda: None, "")
        graph_id = bench.graphs.keep_graph(make_graph({"a": "nothing"}))
        old = bench.engine.execute_workflow(graph_id, idempotency_key="old")
        bench.engine.wait(old, 10)
        asked = {"state": {"x": [1, {"y": None}]}, "remove": ["z"], "breakpoints": ["a"]}
        forks.append(bench.engine.fork(old, **asked, idempotency_key="k"))
        with pytest.raises(ConflictError, match="another state"):
            bench.engine.fork(old, **{**asked, "state": {"x": [1]}}, idempotency_key="k")
        bench.close()
    assert forks[0] == forks[1]


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"state": {"n": 2.0}}, ["state"]),
        ({"remove": []}, ["remove"]),
        ({"breakpoints": ["a"]}, ["breakpoints"]),
        ({"graph_version": "newest"}, ["graph_version"]),
        ({"visit": 2}, ["visit"]),
        ({"node_id": "a", "visit": 1, "state": None}, ["node_id", "state"]),
    ],
)
def test_another_fork_with_the_key_is_refused_and_told_in_what_it_differs(bench, loop_id, changed, differs):
    asked = {"node_id": "b", "visit": 1, "graph_version": 1, "state": {"n": 2}, "remove": ["x"]}
    run_id = bench.engine.fork(loop_id, **asked, idempotency_key="k")
    bench.engine.wait(run_id, 10)
    with pytest.raises(ConflictError, match=f"of run {run_id}, which had another") as refused:
        bench.engine.fork(loop_id, **{**asked, **changed}, idempotency_key="k")
    assert refused.value.details == {"idempotency_key": "k", "differs": differs}


def test_a_key_is_for_a_run_or_a_fork_and_a_refused_fork_does_not_use_it_up(bench, graph_id, loop_id):
    with pytest.raises(ValidationError, match='no node "nope"'):
        bench.engine.fork(loop_id, "nope", idempotency_key="k")
    with pytest.raises(ValidationError, match="1 to 200 characters"):
        bench.engine.fork(loop_id, idempotency_key="")
    fork = bench.engine.fork(loop_id, "b", idempotency_key="k")
    with pytest.raises(ConflictError, match=f"of run {fork}, which had another graph_id"):
        bench.engine.execute_workflow(graph_id, idempotency_key="k")
    bench.engine.execute_workflow(graph_id, idempotency_key="run")
    for run_id in (loop_id, fork):
        with pytest.raises(ConflictError, match="another run_id"):
            bench.engine.fork(run_id, idempotency_key="run")
    with pytest.raises(ConflictError, match="another run_id"):
        bench.engine.fork(fork, "b", idempotency_key="k")


def test_equal_forks_at_once_make_one_run(bench, loop_id):
    together = threading.Barrier(8)

    def ask(_: int) -> str:
        together.wait(10)
        return bench.engine.fork(loop_id, "b", 1, state={"n": 4}, idempotency_key="k")

    with ThreadPoolExecutor(8) as threads:
        ids = set(threads.map(ask, range(8)))
    assert len(ids) == 1
    bench.engine.wait(ids.pop(), 10)
    assert bench.engine.query_historical_executions().total_count == 2


def test_equal_requests_at_once_make_one_run(bench, graph_id):
    together = threading.Barrier(16)

    def ask(number: int) -> str:
        together.wait(10)
        if number % 2:
            return bench.engine.execute_workflow(graph_id, {"n": 1}, idempotency_key="k")
        return bench.engine.submit_workflow(graph_id, {"n": 1}, idempotency_key="k").result(10)

    with ThreadPoolExecutor(16) as threads:
        ids = set(threads.map(ask, range(16)))
    assert len(ids) == 1
    bench.engine.wait(ids.pop(), 10)
    assert bench.engine.query_historical_executions().total_count == 1


def test_a_request_that_was_refused_does_not_use_its_key_up(bench, graph_id):
    with pytest.raises(GraphNotFound):
        bench.engine.execute_workflow("none", idempotency_key="k")
    with pytest.raises(ValidationError):
        bench.engine.execute_workflow(graph_id, {"n": object()}, idempotency_key="k")
    assert bench.engine.wait(bench.engine.execute_workflow(graph_id, idempotency_key="k"), 10)


@pytest.mark.parametrize("key", ["", "x" * 201, "a\nb", "\ud800", 5])
def test_what_is_no_key_is_refused(bench, graph_id, key):
    with pytest.raises(ValidationError, match="1 to 200 characters"):
        bench.engine.execute_workflow(graph_id, idempotency_key=key)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_p6_a_power_cut_at_the_commit_of_a_request_does_not_double_its_run(tmp_path, monkeypatch, after):
    monkeypatch.setattr(threading, "excepthook", lambda _: None)  # the engine's thread dies of the cut
    program = Program(tmp_path / "w.db", Counter(), 1, after=after)
    graph_id = program.graphs.keep_graph(GRAPH)
    future = program.engine.submit_workflow(graph_id, idempotency_key="k")
    assert program.store.over.wait(10)
    program.close()
    assert future.exception(5) is not None, "nobody was told of the run"

    program = Program(tmp_path / "w.db", Counter())
    known = program.store.query_runs().executions
    assert len(known) == after
    run_id = program.engine.execute_workflow(graph_id, idempotency_key="k")
    program.engine.wait(run_id, 10)
    assert [run.run_id for run in program.store.query_runs().executions] == [run_id]
    assert not known or known[0].run_id == run_id
    program.close()


def test_a_graph_that_comes_along_is_stored_once_and_again_after_it_was_deleted(bench, graph_id):
    told = []
    stop = bench.graphs.subscribe(told.append)
    graph = make_graph({"x": "nothing"}, name="Along")
    kept = bench.graphs.keep_graph(graph)
    assert bench.graphs.keep_graph(make_graph({"x": "nothing"}, name="Along")) == kept
    assert bench.graphs.keep_graph(make_graph({"x": "nothing"}, name="Other")) != kept
    bench.graphs.update_graph(kept, make_graph({"y": "nothing"}, name="Edited"))
    assert bench.graphs.keep_graph(graph) == kept
    run = bench.engine.wait(bench.engine.execute_workflow(kept, graph_version=1), 10)
    assert run.current_state.execution_path == ["x"]
    bench.graphs.delete_graph(kept)
    assert bench.graphs.keep_graph(graph) == kept
    assert bench.graphs.get_graph(kept, 1) == graph
    assert bench.graphs.get_summary(kept).name == "Edited"
    stop()
    assert [(change.kind, change.version) for change in told if change.graph_id == kept] == [
        ("created", 1),
        ("updated", 2),
        ("deleted", 2),
        ("created", 2),
    ]


def test_all_runs_of_a_graph_or_at_a_status_are_cancelled(bench, graph_id):
    opened = threading.Event()

    @bench.tool
    def gate() -> None:
        opened.wait(20)

    ended = bench.engine.wait(bench.engine.execute_workflow(graph_id), 10).run_id
    gated = bench.graphs.create_graph(make_graph({"g": "gate"}))
    going = [bench.engine.execute_workflow(gated) for _ in range(3)]
    assert bench.engine.pause(going[0]).result(5)
    assert bench.engine.cancel_executions(status="paused") == going[:1]
    assert bench.engine.cancel_executions(graph_id) == []
    assert sorted(bench.engine.cancel_executions(gated, "running")) == sorted(going[1:])
    opened.set()
    for run_id in going:
        assert bench.engine.wait(run_id, 10).status.value == "cancelled"
    assert bench.engine.get_execution_status(ended).status.value == "completed"

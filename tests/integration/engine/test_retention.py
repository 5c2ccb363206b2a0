"""Deleting runs while the engine works."""

import threading
from contextlib import closing

import pytest

from engine.config import AppConfig
from engine.errors import RunNotFound
from engine.execution import retention
from engine.model.status import RunStatus
from engine.tools.builtin.control import run_workflow
from tests.crash.life import LEVELS
from tests.crash.mother import Mother
from tests.crash.shapes import WIDER_SHAPES, make_shape
from tests.crash.tools import read_lines
from tests.integration.engine.conftest import Bench, make_graph


def open_bench(tmp_path, **more) -> Bench:
    return Bench(AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", synchronous="normal", **more))


@pytest.fixture
def bench(tmp_path):
    bench = open_bench(tmp_path)
    yield bench
    bench.close()


def test_p35_a_deleted_run_is_found_no_more_and_the_others_are(bench):
    bench.tool(work)
    told = []
    bench.engine.subscribe_deleted(told.extend)
    graph = make_graph({"a": "work"})
    gone, kept = bench.run(graph).run_id, bench.run(graph).run_id
    answer = bench.engine.delete_runs([gone, "nobody"])
    assert answer == ((gone,), (), ("nobody",))
    assert told == [gone]
    for look in (bench.engine.get_execution_status, bench.engine.get_execution_logs, bench.engine.wait):
        with pytest.raises(RunNotFound):
            look(gone)
    assert bench.engine.get_execution_status(kept).status is RunStatus.COMPLETED


def test_p35_a_child_run_that_went_with_its_parent_is_found_no_more(bench):
    bench.tool(work)
    bench.tools.register(run_workflow)
    bench.graphs.create_graph(make_graph({"a": "work"}, name="below"))
    node = {"function_name": "run_workflow", "parameters": {"graph": "below"}}
    parent = bench.run(make_graph({"a": node}))
    (child,) = parent.steps["a"].child_run_ids
    assert set(bench.engine.delete_runs([parent.run_id]).deleted) == {parent.run_id, child}
    for look in (bench.engine.get_execution_status, bench.engine.get_execution_logs, bench.engine.wait):
        with pytest.raises(RunNotFound):
            look(child)


def work() -> int:
    return 1


def test_p35_a_run_that_has_not_ended_is_not_deleted(bench):
    begun, release = threading.Event(), threading.Event()

    @bench.tool
    def hold() -> None:
        begun.set()
        release.wait(20)

    run_id = bench.start(make_graph({"a": "hold"}))
    assert begun.wait(10)
    assert bench.engine.delete_runs([run_id]) == ((), (run_id,), ())
    assert bench.engine.prune_runs(runs=1) == 0
    release.set()
    bench.engine.wait(run_id, 10)
    assert bench.engine.delete_runs([run_id]) == ((run_id,), (), ())


def test_p35_a_run_is_deleted_or_goes_on_but_not_both(bench):
    ways = {"deleted": 0, "retried": 0}
    good = threading.Event()

    @bench.tool
    def fragile(n: int) -> int:
        if not good.is_set():
            raise ValueError("not yet")
        return n

    graph_id = bench.graphs.create_graph(make_graph({"a": "fragile"}))
    failed = [bench.engine.execute_workflow(graph_id, {"n": n}) for n in range(100)]
    assert all(bench.engine.wait(run_id, 20).status is RunStatus.FAILED for run_id in failed)
    good.set()
    for number, run_id in enumerate(failed):
        first, second = bench.engine.request_deletion, bench.engine.retry
        answers = [first([run_id]), second(run_id)] if number % 2 else [second(run_id), first([run_id])]
        deletion, retry = answers if number % 2 else answers[::-1]
        if run_id in deletion.result(10).deleted:
            ways["deleted"] += 1
            assert retry.exception(10) is not None or retry.result() is False or number % 2 == 0
            with pytest.raises(RunNotFound):
                bench.engine.get_execution_status(run_id)
        else:
            ways["retried"] += 1
            assert retry.result(10) is True
            assert bench.engine.wait(run_id, 10).status is RunStatus.COMPLETED
    assert ways["deleted"] >= 50
    assert ways["retried"] > 0


def test_p35_seq_never_goes_back_though_the_newest_runs_are_deleted(tmp_path):
    bench = open_bench(tmp_path)
    bench.tool(work)
    run_id = bench.run(make_graph({"a": "work"})).run_id
    last = bench.engine.last_seq
    bench.engine.delete_runs([run_id])
    while bench.engine.read_events():
        threading.Event().wait(0.005)
    bench.close()

    bench = open_bench(tmp_path)
    bench.tool(work)
    assert bench.engine.last_seq == last
    bench.run(make_graph({"a": "work"}))
    assert bench.engine.read_events()[0].seq == last + 1
    bench.close()


def test_p35_at_the_start_the_runs_beyond_the_configured_number_go(tmp_path, monkeypatch):
    bench = open_bench(tmp_path)
    bench.tool(work)
    graph_id = bench.graphs.create_graph(make_graph({"a": "work"}))
    made = [bench.engine.execute_workflow(graph_id) for _ in range(20)]
    for run_id in made:
        bench.engine.wait(run_id, 10)
    bench.close()

    monkeypatch.setattr(retention, "_FIRST_S", 0.0)
    bench = open_bench(tmp_path, retention_runs=5)
    told, over = [], threading.Event()

    def hear(gone):
        told.extend(gone)
        if len(told) == 15:
            over.set()

    bench.engine.subscribe_deleted(hear)
    bench.engine.recover()
    assert over.wait(10)
    assert set(told) == set(made[:15])
    assert bench.engine.query_historical_executions().total_count == 5
    bench.close()


def test_p35_thousands_of_small_runs_do_not_make_the_file_grow_without_end(tmp_path, request):
    """An accelerated soak: the file and the log beside it stay as large as what is kept."""
    bench = open_bench(tmp_path, retention_runs=100, workers=4)
    bench.tool(work)
    graph_id = bench.graphs.create_graph(make_graph({"a": "work", "b": "work"}, ["a -> b"]))
    path = bench.database.path
    sizes = []
    for _ in range(request.config.getoption("--soak-rounds")):
        started = (bench.engine.execute_workflow(graph_id, {"text": "x" * 2_000}) for _ in range(300))
        for run in [bench.engine.when_finished(run_id) for run_id in started]:  # they may be gone soon after
            run.result(30)
        bench.engine.prune_runs()
        bench.engine._retention._sweep()
        sizes.append(path.stat().st_size)
        assert bench.engine.query_historical_executions().total_count == 100
        assert path.with_name("w.db-wal").stat().st_size < 16 * 1024 * 1024
    assert max(sizes[2:]) <= sizes[1] * 1.2, sizes
    bench.close()


def test_p35_round_after_round_of_all_kinds_of_runs_threads_files_and_memory_stay_level(
    tmp_path, project_root, request
):
    """A soak in a process of its own: child runs, forks, kept results, tokens, relaxed runs, on threads and the event loop."""
    scenarios = [make_shape(shape, isolation) for shape in WIDER_SHAPES for isolation in ("thread", "async")]
    with closing(Mother(project_root)) as mother:
        mother.bear(tmp_path, scenarios, prune_to=20, rounds=request.config.getoption("--soak-rounds"))
        mother.ended_within(36_000)
        assert mother.bury() == 0
    levels = [tuple(map(int, line.split())) for line in read_lines(tmp_path / LEVELS)]
    threads, files, memory_kb = zip(*levels, strict=True)
    assert max(threads) <= threads[0] + 2, threads
    assert max(files) <= files[0] + 8, files  # readers of the database that overlap have a connection each
    assert memory_kb[-1] <= memory_kb[len(memory_kb) // 2] * 1.1, memory_kb

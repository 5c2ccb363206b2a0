"""Following the journal from a point on."""

import threading

from tests.integration.engine.conftest import make_graph


def test_p5_history_and_live_events_come_once_in_order_and_without_a_gap(bench):
    @bench.tool
    def nothing() -> None: ...

    graph_id = bench.graphs.create_graph(
        make_graph({"a": "nothing"}, [("a -> a", "visit < 20")], entry_point="a")
    )
    bench.engine.wait(bench.engine.execute_workflow(graph_id), 10)
    since = bench.engine.last_seq // 2
    stop = threading.Event()

    def keep_running():
        while not stop.is_set():
            bench.engine.wait(bench.engine.execute_workflow(graph_id), 10)

    worker = threading.Thread(target=keep_running)
    worker.start()
    seen = []
    for record in bench.engine.iter_events(since, timeout=10):
        seen.append(record.seq)
        if len(seen) == 400:
            break
    stop.set()
    worker.join()
    assert seen == list(range(since + 1, since + 401))


def test_one_runs_events_end_after_the_time_without_any(bench):
    @bench.tool
    def nothing() -> None: ...

    graph = make_graph({"a": "nothing"})
    first, second = bench.run(graph), bench.run(graph)
    records = list(bench.engine.iter_events(run_id=second.run_id, timeout=0.01))
    assert {record.run_id for record in records} == {second.run_id}
    assert records[-1].event_type == "workflow_completed"
    assert records == bench.engine.get_execution_logs(second.run_id)
    assert first.run_id != second.run_id

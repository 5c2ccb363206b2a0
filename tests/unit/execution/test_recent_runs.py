from engine.execution.live_run import LiveRun
from engine.execution.recent_runs import RecentRuns
from engine.flow.plan import compile_plan
from engine.flow.run_state import RunState
from engine.model.graph import GraphDefinition, NodeDefinition


def make_run(run_id, steps):
    """A run of one node, of a size of ``steps + 1``."""
    graph = GraphDefinition(name="G", nodes=(NodeDefinition(id="a", function_name="f"),))
    state = RunState(run_id, compile_plan(graph))
    state.path = [0] * steps
    return LiveRun(state, None, ())


def kept(runs, *run_ids):
    return [run_id for run_id in run_ids if runs.get(run_id) is not None]


def test_the_oldest_go_when_it_gets_too_narrow():
    runs = RecentRuns(room=30)
    for run_id in ("1", "2", "3"):
        runs.add(make_run(run_id, 9))
    assert kept(runs, "1", "2", "3") == ["1", "2", "3"]
    runs.add(make_run("4", 10))
    assert kept(runs, "1", "2", "3", "4") == ["3", "4"]


def test_the_newest_is_kept_however_large_it_is():
    runs = RecentRuns(room=30)
    runs.add(make_run("small", 1))
    runs.add(make_run("large", 1_000))
    assert kept(runs, "small", "large") == ["large"]
    runs.add(make_run("next", 1))
    assert kept(runs, "large", "next") == ["next"]


def test_what_is_dropped_or_added_again_takes_no_room_twice():
    runs = RecentRuns(room=30)
    for _ in range(10):
        runs.add(make_run("1", 9))
    runs.add(make_run("2", 9))
    runs.drop("1")
    runs.drop("1")
    runs.add(make_run("3", 9))
    runs.add(make_run("4", 9))
    assert kept(runs, "1", "2", "3", "4") == ["2", "3", "4"]

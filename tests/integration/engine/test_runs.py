"""Runs on a real engine: the rules of semantics as a user meets them."""

import asyncio
import gc
import threading
import time
from typing import NamedTuple

import pytest

from engine.errors import GraphNotFound, RunNotFound, ServiceUnavailable, ValidationError
from engine.model.run import RunSnapshot
from engine.model.status import RunStatus, StepStatus
from tests.integration.engine.conftest import make_graph


def test_a_branch_that_does_not_hold_is_skipped_and_the_merge_runs_once(bench):
    @bench.tool
    def look(value: int) -> int:
        return value

    @bench.tool
    def note(state, word: str):
        return {"words": [*state.get("words", []), word]}

    graph = make_graph(
        {
            "look": "look",
            "big": {"function_name": "note", "parameters": {"word": "big"}},
            "small": {"function_name": "note", "parameters": {"word": "small"}},
            "end": {"function_name": "note", "parameters": {"word": "end"}},
        },
        [("look -> big", "result > 10"), ("look -> small", "else"), "big -> end", "small -> end"],
    )
    for value, word in ((50, "big"), (5, "small")):
        run = bench.run(graph, {"value": value})
        assert run.status is RunStatus.COMPLETED
        assert run.current_state.data["words"] == [word, "end"]
        assert run.current_state.execution_path == ["look", word, "end"]
        assert run.steps[{"big": "small", "small": "big"}[word]].status is StepStatus.SKIPPED


@pytest.mark.parametrize("bench", [8], indirect=True)
def test_parallel_branches_overlap_and_join(bench):
    meet = threading.Barrier(2, timeout=10)

    @bench.tool
    def start() -> None: ...

    @bench.tool
    def branch() -> bool:
        meet.wait()  # passes only when both branches are running
        return True

    graph = make_graph(
        {"s": "start", "a": "branch", "b": "branch", "j": "start"}, ["s -> a", "s -> b", "a -> j", "b -> j"]
    )
    run = bench.run(graph)
    assert run.status is RunStatus.COMPLETED
    assert run.current_state.execution_path.count("j") == 1


def test_nested_loops_run_their_passes(bench):
    @bench.tool
    def count(state, key: str):
        state[key] = state.get(key, 0) + 1

    def node(key):
        return {"function_name": "count", "parameters": {"key": key}}

    graph = make_graph(
        {"outer": node("o"), "inner": node("i"), "after": node("a"), "end": node("e")},
        [
            "outer -> inner",
            ("inner -> inner", "visit % 3 != 0"),
            ("inner -> after", "visit % 3 == 0"),
            ("after -> outer", "visit < 4"),
            ("after -> end", "else"),
        ],
        entry_point="outer",
    )
    run = bench.run(graph)
    assert run.current_state.data == {"o": 4, "i": 12, "a": 4, "e": 1}
    assert run.steps["inner"].visit == 12


class Split(NamedTuple):
    head: str
    rest: list[str]


def test_wires_bindings_literals_state_and_defaults_supply_parameters_in_this_order(bench):
    @bench.tool
    def split(text: str) -> Split:
        head, *rest = text.split()
        return Split(head, rest)

    @bench.tool
    def collect(wired: str, bound: int, literal: int, stated: int, default: int = 5) -> list[object]:
        return [wired, bound, literal, stated, default]

    graph = make_graph(
        {
            "split": {"function_name": "split", "parameters": {"text": "one two three"}},
            "collect": {
                "function_name": "collect",
                "bindings": {"wired": "'never'", "bound": "len(steps.split.result.rest)"},
                "parameters": {"bound": 99, "literal": "3"},
                "save_as": "got",
            },
        },
        ["split.head -> collect.wired"],
    )
    run = bench.run(graph, {"stated": 4, "literal": 77})
    assert run.current_state.data["got"] == ["one", 2, 3, 4, 5]


def test_a_missing_parameter_fails_the_step_and_says_where_it_could_come_from(bench):
    @bench.tool
    def needs(limit: int) -> int:
        return limit

    run = bench.run(make_graph({"a": "needs"}), {"other": 1})
    assert run.status is RunStatus.FAILED
    assert run.error_message is not None
    assert 'parameter "limit" has no value' in run.error_message
    assert "keys there: other" in run.error_message


def test_a_failing_tool_fails_the_run_with_its_words_and_running_steps_are_recorded(bench):
    @bench.tool
    def boom() -> None:
        raise ValueError("the oven is cold")

    run = bench.run(make_graph({"a": "boom", "b": "boom"}, ["a -> b"]))
    assert run.status is RunStatus.FAILED
    assert run.error_message == 'Step "a" failed: ValueError: the oven is cold'
    assert "b" not in run.steps


def test_an_error_edge_handles_a_failure_and_sees_it(bench):
    @bench.tool
    def boom() -> None:
        raise ValueError("no")

    @bench.tool
    def explain(why: str) -> str:
        return why

    graph = make_graph(
        {
            "a": "boom",
            "ok": "boom",
            "help": {"function_name": "explain", "bindings": {"why": "steps.a.error"}, "save_as": "why"},
        },
        ["a -> ok", "a! -> help"],
    )
    run = bench.run(graph)
    assert run.status is RunStatus.COMPLETED
    assert run.current_state.data == {"why": "ValueError: no"}
    assert run.steps["ok"].status is StepStatus.SKIPPED


def test_an_error_edge_whose_condition_does_not_hold_hides_no_failure(bench):
    @bench.tool
    def boom() -> None:
        raise ValueError("no")

    run = bench.run(make_graph({"a": "boom", "b": "boom"}, [("a! -> b", "'other' in steps.a.error")]))
    assert (run.status, run.error_message) == (RunStatus.FAILED, 'Step "a" failed: ValueError: no')


def test_on_error_continue_goes_on_with_the_default_result(bench):
    @bench.tool
    def boom() -> int:
        raise ValueError("no")

    @bench.tool
    def double(x: int) -> int:
        return 2 * x

    graph = make_graph(
        {
            "a": {"function_name": "boom", "on_error": "continue", "default_result": 21},
            "b": {"function_name": "double", "save_as": "y"},
        },
        ["a.result -> b.x"],
    )
    assert bench.run(graph).current_state.data == {"y": 42}


def test_a_condition_that_cannot_be_evaluated_fails_the_run_there(bench):
    @bench.tool
    def nothing() -> None: ...

    run = bench.run(
        make_graph({"a": "nothing", "b": "nothing"}, [("a -> b", "state.scor > 1")]), {"score": 1}
    )
    assert run.status is RunStatus.FAILED
    assert run.error_message is not None
    assert "'scor'" in run.error_message
    assert "score" in run.error_message


def test_an_unknown_tool_fails_the_run_before_any_step_with_the_closest_names(bench):
    @bench.tool
    def analyze() -> None: ...

    run = bench.run(make_graph({"first": "analyze", "second": "analyse"}, ["first -> second"]))
    assert run.status is RunStatus.FAILED
    assert run.current_state.execution_path == []
    assert run.error_message is not None
    assert "second" in run.error_message
    assert "analyse" in run.error_message
    assert "analyze" in run.error_message


def test_exit_conditions_complete_the_run_and_cancel_what_runs(bench):
    release = threading.Event()

    @bench.tool
    def quick() -> int:
        return 1

    @bench.tool
    async def slow() -> None:
        await asyncio.sleep(60)

    graph = make_graph(
        {"s": "quick", "slow": "slow", "quick": {"function_name": "quick", "save_as": "done"}},
        ["s -> slow", "s -> quick"],
        exit_conditions=("state.get('done') == 1",),
    )
    run = bench.run(graph)
    assert run.status is RunStatus.COMPLETED
    assert run.steps["slow"].status is StepStatus.CANCELLED
    release.set()


def test_a_loop_that_never_ends_fails_at_its_limit_and_is_named(bench):
    @bench.tool
    def nothing() -> None: ...

    graph = make_graph({"a": "nothing"}, [("a -> a", "visit > 0")], entry_point="a", max_iterations=20)
    run = bench.run(graph)
    assert run.status is RunStatus.FAILED
    assert run.steps["a"].visit == 20
    assert run.error_message == (
        "The loop at a (a -> a when visit > 0) reached its limit of 20 passes (max_iterations)."
    )


def test_max_steps_ends_a_run(bench):
    @bench.tool
    def nothing() -> None: ...

    run = bench.run(make_graph({"a": "nothing"}, ["a -> a"], entry_point="a", max_steps=7))
    assert run.status is RunStatus.FAILED
    assert len(run.current_state.execution_path) == 7
    assert "limit of 7 steps (max_steps) in the loop at a (a -> a always)" in str(run.error_message)


def test_reducers_combine_parallel_results_and_nothing_is_lost(bench):
    @bench.tool
    def give(n: int) -> int:
        return n

    nodes = {f"n{i}": {"function_name": "give", "parameters": {"n": i}, "save_as": "all"} for i in range(20)}
    run = bench.run(make_graph(nodes, reducers={"all": "append"}), {"all": []})
    assert sorted(run.current_state.data["all"]) == list(range(20))


def test_a_reducer_that_cannot_combine_fails_the_step(bench):
    @bench.tool
    def give() -> int:
        return 1

    run = bench.run(
        make_graph({"a": {"function_name": "give", "save_as": "k"}}, reducers={"k": "append"}), {"k": 5}
    )
    assert run.status is RunStatus.FAILED
    assert 'reducer "append" of state key "k"' in str(run.error_message)


def test_a_tool_cannot_reach_the_run_through_what_it_was_given_or_returned(bench):
    kept = []

    @bench.tool
    def keep(items: list[int]) -> list[int]:
        items.append(99)
        kept.append(items)
        return items

    @bench.tool
    def after(items: list[int]) -> int:
        kept[0].append(100)
        return len(items)

    graph = make_graph(
        {"a": {"function_name": "keep", "save_as": "kept"}, "b": {"function_name": "after", "save_as": "n"}},
        ["a -> b"],
    )
    run = bench.run(graph, {"items": [1]})
    assert run.current_state.data == {"items": [1], "kept": [1, 99], "n": 1}


def test_a_result_that_is_not_json_fails_the_step_with_advice(bench):
    @bench.tool
    def odd():
        return {"f": print}

    run = bench.run(make_graph({"a": "odd"}))
    assert run.status is RunStatus.FAILED
    assert "the result['f'] is of type builtin_function_or_method, which cannot be kept as JSON" in str(
        run.error_message
    )


def test_sys_exit_in_a_tool_fails_its_step_only(bench):
    @bench.tool
    def leave() -> None:
        raise SystemExit(3)

    @bench.tool
    async def leave_async() -> None:
        raise SystemExit(3)

    for name in ("leave", "leave_async"):
        run = bench.run(make_graph({"a": name}))
        assert (run.status, run.error_message) == (RunStatus.FAILED, 'Step "a" failed: SystemExit: 3')


def test_a_hundred_waiting_async_steps_need_no_threads(bench):
    @bench.tool
    async def nap() -> int:
        await asyncio.sleep(0.2)
        return threading.get_ident()

    began = time.monotonic()
    run = bench.run(make_graph({f"n{i}": "nap" for i in range(100)}))
    assert run.status is RunStatus.COMPLETED
    assert len({run.results[node] for node in run.results}) == 1
    assert time.monotonic() - began < 10  # one after another they would take 20 s


def test_runs_at_once_share_nothing(bench):
    @bench.tool
    def grow(state):
        state["mine"].append(state["me"])

    graph_id = bench.graphs.create_graph(
        make_graph({"a": "grow"}, [("a -> a", "visit < 10")], entry_point="a", name="grow")
    )
    runs = [bench.engine.execute_workflow(graph_id, {"me": i, "mine": []}) for i in range(20)]
    for i, run_id in enumerate(runs):
        assert bench.engine.wait(run_id, 20).current_state.data == {"me": i, "mine": [i] * 10}


def test_cancel_stops_cooperative_and_async_steps_and_nothing_new_starts(bench):
    begun = threading.Semaphore(0)

    @bench.tool
    def patient(context) -> None:
        begun.release()
        while True:
            context.check_cancelled()
            time.sleep(0.002)

    @bench.tool
    async def asleep() -> None:
        begun.release()
        await asyncio.sleep(60)

    graph = make_graph({"p": "patient", "s": "asleep", "next": "asleep"}, ["p -> next", "s -> next"])
    run_id = bench.start(graph)
    begun.acquire()
    begun.acquire()
    assert bench.engine.cancel_execution(run_id)
    run = bench.engine.wait(run_id, 10)
    assert run.status is RunStatus.CANCELLED
    assert {run.steps[node].status for node in ("p", "s")} == {StepStatus.CANCELLED}
    assert "next" not in run.steps
    assert not bench.engine.cancel_execution(run_id)


def test_a_step_that_does_not_stop_is_abandoned_and_its_late_result_discarded(tmp_path):
    from engine.config import AppConfig
    from tests.integration.engine.conftest import Bench

    bench = Bench(AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", cancel_grace_s=0.05))
    begun, release = threading.Event(), threading.Event()

    @bench.tool
    def stubborn() -> int:
        begun.set()
        release.wait(20)
        return 1

    run_id = bench.start(make_graph({"a": {"function_name": "stubborn", "save_as": "x"}}))
    begun.wait(10)
    bench.engine.cancel_execution(run_id)
    run = bench.engine.wait(run_id, 10)
    assert (run.status, run.steps["a"].status) == (RunStatus.CANCELLED, StepStatus.CANCELLED)
    release.set()
    bench.close()  # waits for the thread, whose report comes too late
    assert bench.engine.last_seq == run.seq


def test_the_status_of_a_running_run_is_the_callers_own(bench):
    begun, release = threading.Event(), threading.Event()

    @bench.tool
    def hold(items: list[int]) -> int:
        begun.set()
        release.wait(20)
        return len(items)

    run_id = bench.start(
        make_graph({"a": {"function_name": "hold"}, "b": "hold"}, ["a -> b"]), {"items": [1]}
    )
    begun.wait(10)
    status = bench.engine.get_execution_status(run_id)
    assert status.status.value == "running"
    assert status.current_state.execution_path == ["a"]
    status.current_state.data["items"].append(2)
    release.set()
    assert bench.engine.wait(run_id, 10).results == {"a": 1, "b": 1}


def test_waiting_has_a_timeout_and_unknown_things_are_named(bench):
    release = threading.Event()

    @bench.tool
    def hold() -> None:
        release.wait(20)

    run_id = bench.start(make_graph({"a": "hold"}))
    with pytest.raises(TimeoutError, match=run_id):
        bench.engine.wait(run_id, 0.01)
    release.set()
    bench.engine.wait(run_id, 10)
    for ask in (bench.engine.get_execution_status, bench.engine.wait, bench.engine.get_execution_logs):
        with pytest.raises(RunNotFound, match="nobody"):
            ask("nobody")
    with pytest.raises(RunNotFound):
        bench.engine.cancel_execution("nobody")
    with pytest.raises(GraphNotFound, match="nothing"):
        bench.engine.execute_workflow("nothing")
    with pytest.raises(ValidationError, match="initial state"):
        bench.start(make_graph({"a": "hold"}), [1])
    with pytest.raises(ValidationError, match="cannot be kept as JSON"):
        bench.start(make_graph({"a": "hold"}), {"f": print})


def test_an_ended_run_holds_nothing_of_what_those_who_waited_for_it_were_given(bench):
    asked = threading.Event()

    @bench.tool
    def wait_until_asked() -> None:
        asked.wait(10)

    graph_id = bench.graphs.create_graph(make_graph({"a": "wait_until_asked"}))
    run_id = bench.engine.execute_workflow(graph_id)
    ended = bench.engine.when_finished(run_id)
    asked.set()
    assert ended.result(10).status is RunStatus.COMPLETED
    del ended
    bench.engine.get_execution_status(run_id)  # when this is answered, telling of the end is over
    assert [found for found in gc.get_objects() if isinstance(found, RunSnapshot)] == []


def test_the_history_is_filtered_and_paged(bench):
    @bench.tool
    def maybe(fail: bool) -> None:
        if fail:
            raise ValueError

    graph_id = bench.graphs.create_graph(make_graph({"a": "maybe"}))
    for number in range(7):
        bench.engine.wait(bench.engine.execute_workflow(graph_id, {"fail": number % 2 == 0}), 10)
    failed = bench.engine.query_historical_executions(graph_id=graph_id, status="failed", limit=3)
    assert (len(failed.executions), failed.total_count, failed.has_more) == (3, 4, True)
    assert failed.executions[0].accepted_at > failed.executions[-1].accepted_at
    rest = bench.engine.query_historical_executions(status=["failed"], limit=3, offset=3)
    assert (len(rest.executions), rest.has_more) == (1, False)
    newest = failed.executions[0].accepted_at
    assert bench.engine.query_historical_executions(start_date=newest).total_count == 1
    assert bench.engine.query_historical_executions(end_date=newest).total_count == 6


def test_events_are_told_in_order_and_only_after_they_are_committed(bench):
    told, missing = [], []

    def listen(entries):
        stored = {entry.seq for entry in bench.engine.read_events(entries[0].seq - 1, limit=None)}
        missing.extend(entry.seq for entry in entries if entry.seq not in stored)
        told.extend(entries)

    @bench.tool
    def nothing() -> None: ...

    stop = bench.engine.subscribe(listen)
    run_id = bench.start(make_graph({f"n{i}": "nothing" for i in range(50)}))
    bench.engine.wait(run_id, 10)
    bench.engine.get_execution_status(run_id)  # comes after the last telling
    stop()
    assert not missing
    assert [entry.seq for entry in told] == list(range(1, bench.engine.last_seq + 1))
    assert told == bench.engine.read_events(limit=None)


def test_a_run_read_back_from_the_journal_is_the_run_that_was(bench):
    @bench.tool
    def big(n: int) -> str:
        return "x" * n

    graph = make_graph(
        {"a": {"function_name": "big", "parameters": {"n": 300_000}, "save_as": "text"}, "b": "big"},
        [("a -> b", "len(state.text) > 5"), ("b -> a", "visit < 2")],
        entry_point="a",
    )
    run = bench.run(graph, {"n": 3})
    live = bench.engine.get_execution_status(run.run_id)
    bench.engine._conductor._recent.drop(run.run_id)
    again = bench.engine.get_execution_status(run.run_id)
    assert again == live
    assert len(again.current_state.data["text"]) == 300_000


def test_many_small_runs_that_have_ended_are_told_of_without_reading_the_journal(bench, monkeypatch):
    @bench.tool
    def nothing() -> None: ...

    graph_id = bench.graphs.create_graph(make_graph({"a": "nothing"}))
    run_ids = [bench.engine.execute_workflow(graph_id) for _ in range(100)]
    for run_id in run_ids:
        bench.engine.wait(run_id, 10)
    read = []
    real = bench.engine.states.read_events
    monkeypatch.setattr(bench.engine.states, "read_events", lambda *a, **k: read.append(a) or real(*a, **k))
    for run_id in run_ids:
        assert bench.engine.wait(run_id, 10) == bench.engine.get_execution_status(run_id)
    assert read == []


def test_ended_runs_of_an_empty_graph_take_room_too(bench):
    graph_id = bench.graphs.create_graph(make_graph({}))
    recent = bench.engine._conductor._recent
    room = recent._room
    for _ in range(10):
        bench.engine.wait(bench.engine.execute_workflow(graph_id), 10)
    assert recent._room == room - 10


def test_a_closed_engine_says_so(bench):
    graph_id = bench.graphs.create_graph(make_graph({}))
    bench.engine.close()
    with pytest.raises(ServiceUnavailable):
        bench.engine.execute_workflow(graph_id)
    with pytest.raises(ServiceUnavailable):
        bench.engine.submit_workflow(graph_id).result(5)
    with pytest.raises(ServiceUnavailable):
        bench.engine.request_status("x").result(5)


def test_closing_answers_those_whose_turn_has_not_come(bench):
    """Nobody waits for ever: a thread that does would keep the program from ending."""
    begun, release = threading.Event(), threading.Event()
    graph_id = bench.graphs.create_graph(make_graph({}))
    bench.engine._loader._thread.submit(lambda: (begun.set(), release.wait(20)))
    assert begun.wait(5)
    waiting = bench.engine.submit_workflow(graph_id)
    closing = threading.Thread(target=bench.engine.close)
    closing.start()
    with pytest.raises(ServiceUnavailable):
        waiting.result(5)
    release.set()
    closing.join()


def test_p7_an_edit_does_not_touch_a_run_that_goes_on_with_its_version(bench):
    begun, release = threading.Event(), threading.Event()

    @bench.tool
    def hold() -> None:
        begun.set()
        release.wait(20)

    @bench.tool
    def mark(word: str) -> str:
        return word

    def graph(word):
        last = {"function_name": "mark", "parameters": {"word": word}, "save_as": "w"}
        return make_graph({"a": "hold", "b": last}, ["a -> b"])

    graph_id = bench.graphs.create_graph(graph("old"))
    run_id = bench.engine.execute_workflow(graph_id)
    begun.wait(10)
    assert bench.graphs.update_graph(graph_id, graph("new"), expected_version=1) == 2
    release.set()
    assert bench.engine.wait(run_id, 10).current_state.data == {"w": "old"}
    assert bench.engine.wait(bench.engine.execute_workflow(graph_id), 10).current_state.data == {"w": "new"}

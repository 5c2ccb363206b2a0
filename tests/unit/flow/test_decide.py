"""The rules of a run, one small graph each."""

from engine.model.events import (
    CancelRequested,
    RunCompleted,
    RunFailed,
    RunRetried,
    StepDue,
    StepFailed,
    StepsAbandoned,
)
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition, RetryPolicy
from engine.model.status import RunStatus, StepStatus
from engine.tools.registry import ToolRegistry
from tests.unit.flow.driver import Driver


def give(value: object = None) -> object:
    return value


def fail(value: object = None) -> object:
    raise RuntimeError("broken")


def add(state: dict, by: int = 1) -> dict:
    return {"n": state.get("n", 0) + by}


REGISTRY = ToolRegistry()
for function in (give, fail, add):
    REGISTRY.register_tool(function.__name__, function)
CATALOG = REGISTRY.list_tools()


def node(name, tool="give", **fields):
    return NodeDefinition(id=name, function_name=tool, **fields)


def edge(start, end, condition=None, **fields):
    return EdgeDefinition(from_node=start, to_node=end, condition=condition, **fields)


def drive(nodes, edges=(), state=None, **fields):
    made = [node(name) if isinstance(name, str) else name for name in nodes]
    return Driver(GraphDefinition(name="g", nodes=made, edges=list(edges), **fields), CATALOG, state)


def finish(driver, order=()):
    """Complete the steps named, then always the first of those that run."""
    for name in order:
        driver.complete(name)
    while driver.running:
        driver.complete(driver.running[0])
    return driver


def path(driver):
    return [driver.plan.topology.node_ids[number] for number in driver.run.path]


def test_a_skipped_branch_does_not_block_the_join():
    edges = [edge("a", "b", "result == 1"), edge("a", "c", "else"), edge("b", "d"), edge("c", "d")]
    driver = finish(drive([node("a", parameters={"value": 1}), "b", "c", "d"], edges))
    assert path(driver) == ["a", "b", "d"]
    assert driver.statuses["c"] is StepStatus.SKIPPED


def test_a_join_waits_for_all_that_run():
    driver = drive(["a", "b", "c", "d"], [edge("a", "b"), edge("a", "c"), edge("b", "d"), edge("c", "d")])
    driver.complete("a")
    driver.complete("c")
    assert driver.running == ["b"]
    driver.complete("b")
    assert driver.running == ["d"]


def test_a_join_any_runs_once_at_the_first():
    nodes = ["a", "b", "c", node("d", join="any")]
    driver = drive(nodes, [edge("a", "b"), edge("a", "c"), edge("b", "d"), edge("c", "d")])
    driver.complete("a")
    driver.complete("c")
    assert driver.running == ["b", "d"]
    assert driver.visits["d"] == 1
    finish(driver)
    assert driver.visits["d"] == 1


def test_a_join_of_two_is_skipped_where_only_one_edge_is_taken():
    nodes = ["a", "b", "c", node("d", join=2)]
    edges = [edge("a", "b"), edge("a", "c", "visit > 1"), edge("b", "d"), edge("c", "d")]
    driver = finish(drive(nodes, edges))
    assert driver.statuses["d"] is StepStatus.SKIPPED
    assert driver.run.status is RunStatus.COMPLETED


def test_a_join_any_is_given_the_values_of_all_edges_taken_at_that_moment():
    nodes = [node("a", parameters={"value": 7}), node("b", join="any", save_as="got")]
    driver = finish(drive(nodes, [edge("a", "b"), edge("a", "b", to_port="value")]))
    assert driver.run.state == {"got": 7}


def test_a_loop_runs_until_no_edge_back_is_taken_and_then_is_left():
    edges = [
        edge("s", "h"),
        edge("h", "b"),
        edge("b", "h", "state.n < 3"),
        edge("b", "end", "else"),
        edge("h", "side"),
    ]
    driver = finish(drive(["s", "h", node("b", "add"), "end", "side"], edges))
    assert path(driver) == ["s", "h", "b", "h", "b", "h", "b", "end", "side"]
    assert driver.run.state == {"n": 3}


def test_the_edge_back_hands_its_value_to_the_next_pass():
    edges = [edge("a", "b", to_port="value"), edge("b", "c"), edge("c", "b", "visit < 2", to_port="value")]
    nodes = [
        node("a", parameters={"value": "first"}),
        node("b", save_as="b"),
        node("c", parameters={"value": "again"}),
    ]
    driver = drive(nodes, edges)
    driver.complete("a")
    driver.complete("b")
    assert driver.run.state == {"b": "first"}
    driver.complete("c")
    driver.complete("b")
    assert driver.run.state == {"b": "again"}


def test_an_inner_loop_starts_anew_in_every_pass_of_the_outer():
    edges = [
        edge("outer", "inner"),
        edge("inner", "inner", "visit % 2 == 1"),
        edge("inner", "last", "else"),
        edge("last", "outer", "visit < 2"),
    ]
    driver = finish(drive(["outer", "inner", "last"], edges, entry_point="outer"))
    assert path(driver) == ["outer", "inner", "inner", "last"] * 2


def test_a_loop_that_is_never_entered_does_not_hold_up_what_follows_it():
    edges = [edge("a", "h", "visit > 1"), edge("h", "h", "visit < 3"), edge("h", "z"), edge("a", "z")]
    driver = finish(drive(["a", "h", "z"], edges))
    assert path(driver) == ["a", "z"]


def test_a_failure_ends_the_run_when_what_runs_has_finished():
    driver = drive([node("a", "fail"), "b", "c"], [edge("b", "c")])
    driver.complete("a")
    assert driver.run.status is RunStatus.RUNNING
    driver.complete("b")
    assert driver.run.status is RunStatus.FAILED
    assert path(driver) == ["a", "b"]
    assert isinstance(driver.journal[-1], RunFailed)
    assert "broken" in driver.journal[-1].error


def test_an_error_edge_takes_over_where_it_is_taken():
    nodes = [node("a", "fail"), "good", node("bad", bindings={"value": "steps.a.error"}, save_as="why")]
    driver = finish(drive(nodes, [edge("a", "good"), edge("a", "bad", kind="error")]))
    assert path(driver) == ["a", "bad"]
    assert driver.run.status is RunStatus.COMPLETED
    assert "broken" in driver.run.state["why"]


def test_a_failure_that_no_error_edge_takes_fails_the_run():
    edges = [edge("a", "bad", "'timeout' in steps.a.error", kind="error")]
    assert finish(drive([node("a", "fail"), "bad"], edges)).run.status is RunStatus.FAILED


def test_a_default_result_is_combined_as_any_result():
    nodes = [node("a", "fail", on_error="continue", default_result=5, save_as="k")]
    driver = finish(drive(nodes, reducers={"k": "add"}, state={"k": 10}))
    assert driver.run.state == {"k": 15}
    failed = finish(drive(nodes, reducers={"k": "add"}, state={"k": "text"}))
    assert failed.run.status is RunStatus.FAILED


def test_an_exit_condition_ends_the_run_at_once():
    driver = drive([node("a", "add"), "b", "c"], [edge("b", "c")], exit_conditions=["state.get('n', 0) > 0"])
    driver.complete("a")
    assert driver.run.status is RunStatus.COMPLETED
    assert driver.statuses["b"] is StepStatus.CANCELLED
    assert isinstance(driver.journal[-1], RunCompleted)


def test_an_exit_condition_counts_after_a_failure_that_was_handled():
    nodes = [node("a", "fail", on_error="continue"), "b"]
    driver = drive(nodes, [edge("a", "b")], exit_conditions=["steps.a.status == 'failed'"])
    driver.complete("a")
    assert driver.run.status is RunStatus.COMPLETED
    assert path(driver) == ["a"]


def test_an_exit_condition_does_not_turn_a_failure_into_success():
    driver = drive([node("a", "fail"), node("b", "add")], exit_conditions=["'n' in state"])
    driver.complete("a")
    driver.complete("b")
    assert driver.run.status is RunStatus.FAILED


def test_a_condition_that_cannot_be_evaluated_fails_the_run_there():
    driver = finish(drive(["a", "b"], [edge("a", "b", "state.scor > 1")], state={"score": 1}))
    assert driver.run.status is RunStatus.FAILED
    assert driver.journal[-1].node == "a"
    assert "no field 'scor' in state; it has score" in driver.journal[-1].error


def test_max_steps_and_max_iterations_name_the_loop():
    loop = [edge("a", "b"), edge("b", "a", "visit > 0")]
    for limit, word in (("max_steps", "max_steps"), ("max_iterations", "max_iterations")):
        driver = finish(drive(["a", "b"], loop, entry_point="a", **{limit: 5}))
        assert driver.run.status is RunStatus.FAILED
        assert word in driver.journal[-1].error
        assert "b -> a when visit > 0" in driver.journal[-1].error


def test_a_step_that_is_tried_again_is_given_what_it_was_given_before():
    """Also where that is its own result of the pass before."""
    own = edge("a", "a", "visit < 2", to_port="value")
    start = edge("s", "a", to_port="value")
    for retry in (None, RetryPolicy(max_attempts=2)):
        nodes = [node("s", parameters={"value": "kept"}), node("a", retry=retry, save_as="got")]
        driver = drive(nodes, [start, own])
        driver.complete("s")
        driver.complete("a")
        driver.feed(StepFailed(1, "a", 2, 1, "flaky", "Flaky"))
        driver.feed(StepDue(9**9, "a", 2, 2) if retry else RunRetried(2))
        driver.complete("a")
        assert driver.run.status is RunStatus.COMPLETED
        assert driver.run.state == {"got": "kept"}


def test_a_cancelled_run_starts_nothing_and_ends_with_its_last_step():
    driver = drive(["a", "b"], [edge("a", "b")])
    driver.feed(CancelRequested(1))
    assert driver.run.status is RunStatus.RUNNING
    driver.feed(StepsAbandoned(2))
    assert driver.run.status is RunStatus.CANCELLED
    assert driver.statuses["a"] is StepStatus.CANCELLED
    assert driver.feed(StepFailed(3, "a", 1, 1, "late", "Late")) == []

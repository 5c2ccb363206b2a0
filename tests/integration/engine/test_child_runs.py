"""Steps that run another graph: what they are given, how they end, and what happens to one happening to the other."""

import threading
import time
from functools import partial

import pytest

from engine import EndRun, RunStatus, RunWorkflow, StepStatus, WaitForSignal
from engine.config import AppConfig
from engine.errors import DatabaseError
from engine.flow.validation import validate_graph
from engine.model.graph import GraphDefinition, NodeDefinition, RetryPolicy
from engine.model.run import Waiting
from engine.storage.tables import stored_values
from engine.tools.builtin.control import fail, run_workflow, set_state
from tests.integration.engine.conftest import Bench, make_graph

RUN = "run_workflow"


def add_tools(bench):
    for function in (run_workflow, fail, set_state):
        bench.tools.register(function)
    bench.tools.register_tool("ask", lambda: WaitForSignal("go"), "")
    bench.tools.register_tool("nothing", lambda: None, "")
    bench.tools.register_tool("double", lambda x: 2 * x, "")
    return bench


@pytest.fixture
def nest(bench):
    return add_tools(bench)


def double_graph(**more):
    return make_graph({"double": {"function_name": "double", "save_as": "y"}}, name="Double", **more)


def asking_graph():
    return make_graph({"ask": {"function_name": "ask", "save_as": "answer"}}, name="Ask")


def parent_graph(name, more=None, edges=(), **node):
    node = {"function_name": RUN, "parameters": {"graph": name}} | node
    return make_graph({"child": node} | (more or {}), edges, name="Parent", entry_point="child")


def wait_for(look, timeout_s=20.0):
    """What ``look`` gives as soon as it is true."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    return found


def children_of(bench, run_id, count=1, status=None):
    """The child runs, oldest first, once there are so many (of this status)."""

    def look():
        found = bench.engine.query_historical_executions(parent_run_id=run_id, status=status).executions
        return found[::-1] if len(found) >= count else None

    return wait_for(look)


def signal(bench, run_id, value=None):
    wait_for(lambda: bench.engine.signal(run_id, "go", value).result(5))


# What it is given, and gives -----------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["name", "id"])
def test_a_step_runs_another_graph_and_its_final_state_becomes_the_result(nest, by):
    child_graph = nest.graphs.create_graph(double_graph())
    run = nest.run(
        parent_graph(
            "Double" if by == "name" else child_graph,
            {"use": {"function_name": "double", "bindings": {"x": "steps.child.result.y"}, "save_as": "z"}},
            ["child -> use"],
            bindings={"x": "state.n"},
            save_as="made",
        ),
        {"n": 3},
    )
    assert run.status is RunStatus.COMPLETED, run.error_message
    assert run.current_state.data == {"n": 3, "made": {"x": 3, "y": 6}, "z": 12}
    [child] = children_of(nest, run.run_id)
    assert run.steps["child"].child_run_ids == (child.run_id,)
    assert (child.graph_id, child.graph_version, child.graph_name) == (child_graph, 1, "Double")
    assert (child.parent_run_id, child.parent_node_id) == (run.run_id, "child")
    snapshot = nest.engine.get_execution_status(child.run_id)
    assert (snapshot.parent_run_id, snapshot.parent_node_id) == (run.run_id, "child")
    assert snapshot.current_state.data == {"x": 3, "y": 6}


def test_the_initial_state_is_an_object_and_whatever_else_is_given_by_name(nest):
    nest.graphs.create_graph(make_graph({"a": "nothing"}, name="Plain"))
    parameters = {"graph": "Plain", "initial_state": {"a": 1, "b": 1}, "b": 2}
    run = nest.run(parent_graph("Plain", parameters=parameters, save_as="made"))
    assert run.current_state.data == {"made": {"a": 1, "b": 2}}


def test_the_newest_version_runs_as_it_is_when_the_step_starts(nest):
    started, go_on = threading.Event(), threading.Event()

    @nest.tool
    def hold():
        started.set()
        assert go_on.wait(10)

    graph_id = nest.graphs.create_graph(double_graph())
    run_id = nest.start(
        make_graph(
            {"hold": "hold", "child": {"function_name": RUN, "parameters": {"graph": graph_id}}},
            ["hold -> child"],
        )
    )
    assert started.wait(10)
    nest.graphs.update_graph(graph_id, make_graph({"a": "nothing"}, name="Renamed"))
    go_on.set()
    assert nest.engine.wait(run_id, 10).status is RunStatus.COMPLETED
    [child] = children_of(nest, run_id)
    assert (child.graph_version, child.graph_name) == (2, "Renamed")


def test_a_tool_of_ones_own_may_run_a_workflow_and_change_the_state_too(nest):
    @nest.tool
    def choose(state):
        state["chosen"] = "Double"
        return RunWorkflow("Double", {"x": state["n"]})

    nest.graphs.create_graph(double_graph())
    run = nest.run(make_graph({"child": {"function_name": "choose", "save_as": "made"}}), {"n": 4})
    assert run.current_state.data == {"n": 4, "chosen": "Double", "made": {"x": 4, "y": 8}}


def test_a_waiting_parent_holds_no_worker_and_says_which_run_it_waits_for(nest):
    nest.graphs.create_graph(asking_graph())
    run_id = nest.start(parent_graph("Ask"))
    [child] = children_of(nest, run_id, status="waiting")
    assert nest.engine.running_steps == 0
    status = nest.engine.get_execution_status(run_id)
    assert status.status is RunStatus.WAITING
    assert status.error_message == '"child" runs a workflow that waits: "ask" waits for the signal "go"'
    assert status.steps["child"].status is StepStatus.WAITING
    assert status.steps["child"].waits_for == Waiting("run", child_run_id=child.run_id)
    [step] = nest.engine.get_execution_steps(run_id)
    assert (step.status, step.child_run_id) == (StepStatus.WAITING, child.run_id)
    signal(nest, child.run_id, 7)
    run = nest.engine.wait(run_id, 10)
    assert (run.status, run.results["child"]) == (RunStatus.COMPLETED, {"answer": 7})
    assert run.steps["child"].waits_for is None


def test_a_workflow_is_run_once_an_item_and_the_results_are_in_the_items_order(nest):
    nest.graphs.create_graph(double_graph())
    run = nest.run(
        parent_graph("Double", for_each="state.xs", bindings={"x": "item"}, max_parallel=3, save_as="ys"),
        {"xs": list(range(10))},
    )
    assert run.current_state.data["ys"] == [{"x": x, "y": 2 * x} for x in range(10)]
    children = children_of(nest, run.run_id, 10)
    assert len(children) == 10
    states = [
        nest.engine.get_execution_status(child).current_state.data["x"]
        for child in run.steps["child"].child_run_ids
    ]
    assert states == list(range(10))
    page = nest.engine.query_historical_executions(top_level=True)
    assert [found.run_id for found in page.executions] == [run.run_id]


def test_the_tool_may_run_in_a_process_of_its_own(nest):
    nest.graphs.create_graph(double_graph())
    run = nest.run(parent_graph("Double", isolation="process", bindings={"x": "20 + 1"}))
    assert run.results["child"] == {"x": 21, "y": 42}, run.error_message


def test_a_large_final_state_is_stored_once(nest):
    nest.tools.register_tool("grow", lambda: "x" * 300_000, "")
    nest.graphs.create_graph(make_graph({"grow": {"function_name": "grow", "save_as": "text"}}, name="Grow"))
    run = nest.run(parent_graph("Grow", save_as="made"))
    assert len(run.current_state.data["made"]["text"]) == 300_000
    with nest.database.read() as connection:
        sizes = [row.size_bytes for row in connection.execute(stored_values.select())]
    assert len(sizes) == 2, "the text itself, and the object that holds it"


# Failing -------------------------------------------------------------------------------------------------------


def failing_graph():
    return make_graph({"boom": {"function_name": "fail", "parameters": {"message": "boom!"}}}, name="Fails")


def test_a_child_that_fails_fails_the_step_and_the_message_leads_to_it(nest):
    nest.graphs.create_graph(failing_graph())
    run = nest.run(parent_graph("Fails"))
    [child] = children_of(nest, run.run_id)
    assert run.status is RunStatus.FAILED
    wanted = f'Step "child" failed: run {child.run_id} of "Fails" failed: Step "boom" failed: boom!'
    assert run.error_message == wanted
    [step] = nest.engine.get_execution_steps(run.run_id)
    assert (step.status, step.error_type, step.child_run_id) == (
        StepStatus.FAILED,
        "ChildRunFailed",
        child.run_id,
    )


def test_each_attempt_is_a_child_run_of_its_own(nest):
    calls = []

    @nest.tool
    def second_time_lucky():
        calls.append(1)
        if len(calls) < 2:
            raise ValueError("not yet")

    nest.graphs.create_graph(make_graph({"a": "second_time_lucky"}, name="Lucky"))
    policy = RetryPolicy(delay_s=0.001, on=("ChildRunFailed",))
    run = nest.run(parent_graph("Lucky", retry=policy))
    assert run.status is RunStatus.COMPLETED
    first, second = children_of(nest, run.run_id, 2)
    assert {first.status, second.status} == {RunStatus.FAILED, RunStatus.COMPLETED}
    steps = nest.engine.get_execution_steps(run.run_id)
    assert [(step.attempt, step.child_run_id) for step in steps] == [(1, first.run_id), (2, second.run_id)]
    assert run.steps["child"].child_run_ids == (second.run_id,)


def test_error_edges_defaults_and_collected_items_work_as_for_any_step(nest):
    nest.graphs.create_graph(failing_graph())
    run = nest.run(parent_graph("Fails", {"help": "nothing"}, ["child! -> help"]))
    assert (run.status, run.current_state.execution_path) == (RunStatus.COMPLETED, ["child", "help"])
    run = nest.run(parent_graph("Fails", on_error="continue", default_result=7, save_as="made"))
    assert (run.status, run.current_state.data) == (RunStatus.COMPLETED, {"made": 7})
    run = nest.run(parent_graph("Fails", for_each="[1, 2]", on_item_error="collect", save_as="made"))
    assert [item["error_type"] for item in run.current_state.data["made"]] == ["ChildRunFailed"] * 2


def test_a_failed_parent_that_is_retried_starts_a_new_child(nest):
    broken = threading.Event()
    broken.set()

    @nest.tool
    def maybe():
        if broken.is_set():
            raise ValueError("broken")

    nest.graphs.create_graph(make_graph({"a": "maybe"}, name="Maybe"))
    run = nest.run(parent_graph("Maybe"))
    assert run.status is RunStatus.FAILED
    broken.clear()
    assert nest.engine.retry(run.run_id).result(10)
    assert nest.engine.wait(run.run_id, 10).status is RunStatus.COMPLETED
    first, second = children_of(nest, run.run_id, 2)
    assert nest.engine.retry(first.run_id).result(10), "a child may be retried alone; nobody waits for it"
    assert nest.engine.wait(first.run_id, 10).status is RunStatus.COMPLETED
    assert first.run_id != second.run_id


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "Dubble",
            'there is no workflow with the id or name "Dubble"; did you mean "Double"?',
        ),
        (
            "Nowhere",
            'there is no workflow with the id or name "Nowhere"; store it first, or name one that is stored',
        ),
        ("Gone", 'the workflow "Gone" was deleted; name one that is stored'),
        ("Twins", '2 workflows are named "Twins"; name one by its id: '),
    ],
)
def test_a_graph_that_cannot_be_found_is_a_failure_that_says_what_there_is(nest, name, message):
    nest.graphs.create_graph(double_graph())
    nest.graphs.delete_graph(nest.graphs.create_graph(make_graph({"a": "nothing"}, name="Gone")))
    for _ in range(2):
        nest.graphs.create_graph(make_graph({"a": "nothing"}, name="Twins"))
    parent = parent_graph(name)
    [problem] = validate_graph(parent, nest.tools.list_tools(), find_workflow=nest.graphs.find_graph)
    assert problem.message.startswith(f'"child" cannot run its workflow: {message}')
    assert (problem.code, problem.is_error) == ("unknown-workflow", False)
    assert (problem.node_id, problem.field) == ("child", "parameters.graph")
    run = nest.run(parent)
    assert run.status is RunStatus.FAILED
    assert f'Step "child" failed: {message}' in run.error_message
    assert nest.engine.get_execution_steps(run.run_id)[0].error_type == "GraphNotFound"


def test_a_workflow_that_is_stored_or_known_only_to_the_run_is_no_problem(nest):
    stored = nest.graphs.create_graph(double_graph())
    tools, find = nest.tools.list_tools(), nest.graphs.find_graph
    for name in (stored, "Double", "Parent"):  # a graph may run itself, also before it is stored
        assert validate_graph(parent_graph(name), tools, find_workflow=find) == []
    node = NodeDefinition(id="child", function_name=RUN, bindings={"graph": "state.which"})
    assert validate_graph(GraphDefinition(name="Bound", nodes=(node,)), tools, find_workflow=find) == []
    assert validate_graph(parent_graph("Nowhere"), tools) == [], "nobody said what there is"


def test_what_a_closed_database_has_is_not_judged(nest):
    nest.graphs.create_graph(double_graph())

    def fail_to_read(name):
        raise DatabaseError("the disk fails")

    assert validate_graph(parent_graph("Nowhere"), nest.tools.list_tools(), find_workflow=fail_to_read) == []


def test_a_child_whose_tools_are_missing_is_refused_and_the_step_fails(nest):
    nest.graphs.create_graph(make_graph({"a": "dubble"}, name="Refused"))
    run = nest.run(parent_graph("Refused"))
    assert run.status is RunStatus.FAILED
    assert 'uses the tool "dubble", which is not registered; did you mean "double"?' in run.error_message
    [child] = children_of(nest, run.run_id)
    assert (child.status, child.started_at) == (RunStatus.FAILED, None)


def test_a_graph_that_runs_itself_ends_where_its_condition_says(nest):
    nest.graphs.create_graph(
        make_graph(
            {
                "less": {
                    "function_name": "set_state",
                    "bindings": {"n": "state.n - 1", "sum": "state.get('sum', 0) + state.n"},
                },
                "self": {
                    "function_name": RUN,
                    "parameters": {"graph": "Sum"},
                    "bindings": {"n": "state.n", "sum": "state.sum"},
                    "save_as": "inner",
                },
                "take": {"function_name": "set_state", "bindings": {"sum": "state.inner.sum"}},
            },
            [("less -> self", "state.n > 0"), "self -> take"],
            name="Sum",
            entry_point="less",
        )
    )
    [graph] = nest.graphs.list_graphs()
    run_id = nest.engine.execute_workflow(graph.id, {"n": 5})
    run = nest.engine.wait(run_id, 20)
    assert (run.status, run.current_state.data["sum"]) == (RunStatus.COMPLETED, 15)
    assert nest.engine.query_historical_executions().total_count == 5


def test_runs_that_run_one_another_without_end_fail_at_the_limit(nest):
    nest.graphs.create_graph(parent_graph("Parent"))
    [graph] = nest.graphs.list_graphs()
    run = nest.engine.wait(nest.engine.execute_workflow(graph.id), 20)
    assert run.status is RunStatus.FAILED
    assert (
        "it would lie 33 deep in runs that run one another, and 32 is the most (max_depth)"
        in run.error_message
    )
    page = nest.engine.query_historical_executions(limit=100)
    assert page.total_count == 33
    assert all(found.status is RunStatus.FAILED for found in page.executions)


def test_a_step_with_a_timeout_gives_its_child_up_and_cancels_it(nest):
    nest.graphs.create_graph(asking_graph())
    run = nest.run(parent_graph("Ask", timeout_s=0.05))
    [child] = children_of(nest, run.run_id, status="cancelled")
    assert run.error_message == (
        f'Step "child" failed: timed out after 0.05 s; run {child.run_id} of "Ask" is cancelled'
    )


# Cancel, pause, step -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"for_each": "[1, 2, 3]"}], ids=["one", "for each"])
def test_cancelling_the_parent_cancels_its_children(nest, more):
    nest.graphs.create_graph(asking_graph())
    run_id = nest.start(parent_graph("Ask", **more))
    count = 3 if more else 1
    children_of(nest, run_id, count, status="waiting")
    assert nest.engine.cancel_execution(run_id)
    run = nest.engine.wait(run_id, 10)
    assert run.status is RunStatus.CANCELLED
    assert run.steps["child"].status is StepStatus.CANCELLED
    assert len(children_of(nest, run_id, count, status="cancelled")) == count
    assert nest.engine.active_runs == 0


def test_cancelling_reaches_the_running_steps_of_grandchildren(nest):
    begun, stopped = threading.Event(), threading.Event()

    @nest.tool
    def busy(context):
        begun.set()
        assert context.cancel_event.wait(10)
        stopped.set()
        context.check_cancelled()

    nest.graphs.create_graph(make_graph({"a": "busy"}, name="Busy"))
    nest.graphs.create_graph(parent_graph("Busy").model_copy(update={"name": "Middle"}))
    run_id = nest.start(parent_graph("Middle"))
    assert begun.wait(10)
    nest.engine.cancel_execution(run_id)
    assert nest.engine.wait(run_id, 10).status is RunStatus.CANCELLED
    assert stopped.is_set()
    assert {run.status for run in nest.engine.query_historical_executions().executions} == {
        RunStatus.CANCELLED
    }


def test_a_child_that_is_cancelled_alone_fails_the_step(nest):
    nest.graphs.create_graph(asking_graph())
    run_id = nest.start(parent_graph("Ask"))
    [child] = children_of(nest, run_id, status="waiting")
    nest.engine.cancel_execution(child.run_id)
    run = nest.engine.wait(run_id, 10)
    assert run.error_message == f'Step "child" failed: run {child.run_id} of "Ask" was cancelled'
    assert nest.engine.get_execution_steps(run_id)[0].error_type == "ChildRunCancelled"


@pytest.mark.parametrize("by", ["tool", "exit condition"])
def test_what_ends_the_parent_early_cancels_the_children_of_its_steps(nest, by):
    nest.tools.register_tool("end", lambda: EndRun("completed"), "")
    nest.graphs.create_graph(asking_graph())
    nodes = {
        "child": {"function_name": RUN, "parameters": {"graph": "Ask"}},
        "wait": {"function_name": "ask", "save_as": "said"},
    }
    if by == "tool":
        graph = make_graph({**nodes, "end": "end"}, ["wait -> end"])
    else:
        graph = make_graph(nodes, exit_conditions=("state.get('said') == 1",))
    run_id = nest.start(graph)
    children_of(nest, run_id, status="waiting")
    signal(nest, run_id, 1)
    run = nest.engine.wait(run_id, 10)
    assert (run.status, run.steps["child"].status) == (RunStatus.COMPLETED, StepStatus.CANCELLED)
    assert len(children_of(nest, run_id, status="cancelled")) == 1
    assert nest.engine.active_runs == 0


def test_end_run_in_a_child_ends_the_child_only(nest):
    nest.tools.register_tool("end", lambda: EndRun("completed", "done"), "")
    nest.graphs.create_graph(make_graph({"end": "end", "never": "nothing"}, ["end -> never"], name="Ends"))
    run = nest.run(parent_graph("Ends", {"after": "nothing"}, ["child -> after"]))
    assert (run.status, run.current_state.execution_path) == (RunStatus.COMPLETED, ["child", "after"])


def test_a_failing_run_waits_for_its_children_as_for_any_running_step(nest):
    nest.graphs.create_graph(asking_graph())
    graph = make_graph(
        {"child": {"function_name": RUN, "parameters": {"graph": "Ask"}}, "wait": "ask", "boom": "fail"},
        ["wait -> boom"],
    )
    run_id = nest.start(graph)
    [child] = children_of(nest, run_id, status="waiting")
    signal(nest, run_id)
    wait_for(lambda: nest.engine.get_execution_status(run_id).steps.get("boom", None))
    signal(nest, child.run_id)
    run = nest.engine.wait(run_id, 10)
    assert run.status is RunStatus.FAILED
    assert run.steps["child"].status is StepStatus.COMPLETED


def test_pause_and_resume_reach_the_children(nest):
    nest.graphs.create_graph(make_graph({"ask": "ask", "then": "nothing"}, ["ask -> then"], name="AskThen"))
    run_id = nest.start(parent_graph("AskThen"))
    [child] = children_of(nest, run_id, status="waiting")
    assert nest.engine.pause(run_id).result(5)
    assert nest.engine.get_execution_status(child.run_id).status is RunStatus.PAUSED
    signal(nest, child.run_id)
    assert nest.engine.get_execution_status(child.run_id).held == ("then",)
    assert nest.engine.resume(run_id).result(5)
    assert nest.engine.wait(run_id, 10).status is RunStatus.COMPLETED


def test_stepping_a_paused_run_steps_into_its_children(nest):
    nest.graphs.create_graph(make_graph({"a": "nothing", "b": "nothing"}, ["a -> b"], name="Two"))
    graph = nest.graphs.create_graph(parent_graph("Two", {"after": "nothing"}, ["child -> after"]))
    run_id = nest.engine.execute_workflow(graph, breakpoints=["child"])
    wait_for(lambda: nest.engine.get_execution_status(run_id).status is RunStatus.PAUSED)
    assert nest.engine.step(run_id).result(5)
    [child] = children_of(nest, run_id)
    look = partial(nest.engine.get_execution_status, child.run_id)
    assert wait_for(lambda: look().held) == ("a",)
    assert look().status is RunStatus.PAUSED
    assert nest.engine.step(run_id).result(5)
    assert wait_for(lambda: look().held) == ("b",)
    assert nest.engine.step(run_id).result(5)
    assert nest.engine.wait(child.run_id, 10).status is RunStatus.COMPLETED
    assert wait_for(lambda: nest.engine.get_execution_status(run_id).held) == ("after",)
    assert nest.engine.step(run_id).result(5)
    assert nest.engine.wait(run_id, 10).status is RunStatus.COMPLETED
    assert not nest.engine.step(run_id).result(5)


# Waiting -------------------------------------------------------------------------------------------------------


def test_a_run_waits_only_while_all_that_is_under_way_in_it_waits(nest):
    go_on, busy = threading.Event(), threading.Event()

    @nest.tool
    def work():
        busy.set()
        assert go_on.wait(10)

    nest.graphs.create_graph(
        make_graph(
            {"ask": "ask", "work": "work", "again": "ask"}, ["ask -> work", "work -> again"], name="Ask"
        )
    )
    nest.graphs.create_graph(parent_graph("Ask").model_copy(update={"name": "Middle"}))
    run_id = nest.start(parent_graph("Middle", for_each="[1, 2]"))
    look = partial(nest.engine.get_execution_status, run_id)
    middles = children_of(nest, run_id, 2, status="waiting")
    leaves = [children_of(nest, middle.run_id)[0].run_id for middle in middles]
    assert wait_for(lambda: look().status is RunStatus.WAITING)
    assert look().error_message.count("runs a workflow that waits: ") == 4
    signal(nest, leaves[0])
    assert busy.wait(10)
    assert look().status is RunStatus.RUNNING, "one of them works"
    go_on.set()
    wait_for(lambda: look().status is RunStatus.WAITING)
    assert nest.engine.pause(run_id).result(5)
    signal(nest, leaves[1])
    busy.clear()
    go_on.clear()
    assert nest.engine.resume(run_id).result(5)
    assert busy.wait(10)
    assert look().status is RunStatus.RUNNING
    go_on.set()
    wait_for(lambda: look().status is RunStatus.WAITING)
    for leaf in leaves:
        signal(nest, leaf)
    assert nest.engine.wait(run_id, 10).status is RunStatus.COMPLETED


def test_a_parent_waits_after_a_restart_as_it_did_before(tmp_path):
    bench = open_nest(tmp_path)
    bench.graphs.create_graph(asking_graph())
    run_id = bench.start(parent_graph("Ask"))
    [child] = children_of(bench, run_id, status="waiting")
    bench.close()
    bench = open_nest(tmp_path)
    bench.engine.recover()
    assert bench.engine.get_execution_status(run_id).status is RunStatus.WAITING
    signal(bench, child.run_id)
    assert bench.engine.wait(run_id, 10).status is RunStatus.COMPLETED
    bench.close()


# Restart -------------------------------------------------------------------------------------------------------


def open_nest(tmp_path):
    return add_tools(Bench(AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=2)))


def test_parents_and_children_go_on_after_a_restart(tmp_path):
    bench = open_nest(tmp_path)
    bench.graphs.create_graph(asking_graph())
    middle = parent_graph("Ask", save_as="inner").model_copy(update={"name": "Middle"})
    bench.graphs.create_graph(middle)
    run_id = bench.start(parent_graph("Middle", for_each="[1, 2]", save_as="made"))
    middles = children_of(bench, run_id, 2)
    leaves = [children_of(bench, middle.run_id, status="waiting")[0].run_id for middle in middles]
    bench.close()

    bench = open_nest(tmp_path)
    assert bench.engine.recover() == 5
    for number, leaf in enumerate(leaves):
        signal(bench, leaf, number)
    run = bench.engine.wait(run_id, 10)
    assert run.status is RunStatus.COMPLETED
    assert {made["inner"]["answer"] for made in run.current_state.data["made"]} == {0, 1}
    assert bench.engine.query_historical_executions().total_count == 5, "no child was started twice"
    bench.close()


def test_a_child_may_end_while_its_parent_waits_for_missing_tools(tmp_path):
    bench = open_nest(tmp_path)
    bench.tools.register_tool("rare", lambda: None, "")
    bench.graphs.create_graph(asking_graph())
    run_id = bench.start(parent_graph("Ask", {"then": "rare"}, ["child -> then"], save_as="made"))
    [child] = children_of(bench, run_id, status="waiting")
    bench.close()

    bench = open_nest(tmp_path)
    assert bench.engine.recover() == 1
    assert "rare" in bench.engine.get_execution_status(run_id).error_message
    signal(bench, child.run_id, 9)
    assert bench.engine.wait(child.run_id, 10).status is RunStatus.COMPLETED
    assert bench.engine.get_execution_status(run_id).status is RunStatus.WAITING
    bench.tools.register_tool("rare", lambda: None, "")
    assert bench.engine.recover() == 1
    run = bench.engine.wait(run_id, 10)
    assert (run.status, run.current_state.data) == (RunStatus.COMPLETED, {"made": {"answer": 9}})
    bench.close()


def test_a_timeout_goes_on_after_a_restart(tmp_path):
    bench = open_nest(tmp_path)
    bench.graphs.create_graph(asking_graph())
    run_id = bench.start(parent_graph("Ask", timeout_s=0.3))
    children_of(bench, run_id)
    bench.close()
    bench = open_nest(tmp_path)
    assert "timed out after 0.3 s" in bench.engine.wait(run_id, 10).error_message
    assert children_of(bench, run_id, status="cancelled")
    bench.close()

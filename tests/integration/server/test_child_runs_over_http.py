"""Runs that steps of others started, over HTTP and through the client."""

import pytest

from wfe_desktop.client import AsyncClient

pytestmark = pytest.mark.plain_loop

PARENT = {
    "name": "Parent",
    "nodes": [
        {
            "id": "each",
            "function_name": "run_workflow",
            "for_each": "[1, 2]",
            "parameters": {"graph": "Chain"},
            "bindings": {"total": "item * 10"},
        }
    ],
}


@pytest.fixture
def ask(http):
    async def ask(method, path, body=None, **more):
        async with http.request(method, path, json=body, **more) as answer:
            return answer.status, await answer.json()

    return ask


async def create(ask, graph):
    status, answer = await ask("POST", "/graph/create", graph)
    assert status == 201, answer
    return answer["graph_id"]


async def test_parents_and_children_name_each_other_in_state_steps_history_and_log(ask, make_graph):
    await make_graph("add")
    parent_graph = await create(ask, PARENT)
    _, state = await ask("POST", "/graph/run", {"graph_id": parent_graph, "wait_s": 20})
    assert (state["status"], state["parent_run_id"]) == ("completed", None)
    assert state["results"]["each"] == [{"total": 11}, {"total": 21}]
    children = state["steps"]["each"]["child_run_ids"]
    assert len(children) == 2
    _, child = await ask("GET", f"/graph/state/{children[0]}")
    assert (child["parent_run_id"], child["parent_node_id"]) == (state["run_id"], "each")
    assert child["current_state"]["data"] == {"total": 11}
    _, steps = await ask("GET", f"/graph/steps/{state['run_id']}")
    assert [step["child_run_id"] for step in steps["steps"]] == [None, *children]

    _, history = await ask("POST", "/history/executions", {"parent_run_id": state["run_id"]})
    assert {line["run_id"] for line in history["executions"]} == set(children)
    assert {line["parent_node_id"] for line in history["executions"]} == {"each"}
    _, history = await ask("POST", "/history/executions", {"top_level": True})
    assert [line["run_id"] for line in history["executions"]] == [state["run_id"]]
    _, history = await ask("POST", "/history/executions", {})
    assert history["total_count"] == 3

    _, log = await ask("GET", f"/graph/logs/{state['run_id']}")
    told = [event["data"] for event in log if "child_run_id" in event["data"]]
    assert sorted(data["child_run_id"] for data in told) == sorted(2 * children)
    assert [data["child_status"] for data in told if "child_status" in data] == ["completed"] * 2
    _, log = await ask("GET", f"/graph/logs/{children[0]}")
    assert (log[0]["data"]["parent_run_id"], log[0]["data"]["parent_node_id"]) == (state["run_id"], "each")


async def test_a_workflow_that_is_not_stored_is_a_warning_until_it_is(ask, make_graph):
    message = '"each" cannot run its workflow: there is no workflow with the id or name "Chain"'
    status, answer = await ask("POST", "/graph/create", PARENT)
    [warning] = answer["validation_warnings"]
    assert (status, warning["code"], warning["field"]) == (201, "unknown-workflow", "parameters.graph")
    assert warning["message"].startswith(message)
    _, answer = await ask("POST", "/graph/validate", PARENT)
    assert answer == {"is_valid": True, "errors": [], "warnings": [warning]}
    await make_graph("add")
    _, answer = await ask("POST", "/graph/validate", PARENT)
    assert answer["warnings"] == []


async def test_a_step_says_which_run_it_waits_for_and_cancel_reaches_it(ask, make_graph, gate, server):
    await make_graph("gate")
    node = {"id": "n0", "function_name": "run_workflow", "parameters": {"graph": "Chain"}}
    parent_graph = await create(ask, {"name": "One", "nodes": [node]})
    async with AsyncClient(server.address) as client:
        run_id = await client.execute_workflow(parent_graph)
        while not (page := await client.query_historical_executions(parent_run_id=run_id)).executions:
            pass
        [child] = page.executions
        state = await client.get_execution_status(run_id)
        waits_for = state.steps["n0"].waits_for
        assert (state.status, waits_for.kind, waits_for.child_run_id) == ("running", "run", child.run_id)
        assert await client.cancel_execution(run_id)
        gate.opened.set()
        assert (await client.wait(run_id, 10)).status == "cancelled"
        assert (await client.wait(child.run_id, 10)).status == "cancelled"


@pytest.mark.parametrize(
    ("body", "field"), [({"top_level": 1}, "top_level"), ({"parent_run_id": 3}, "parent_run_id")]
)
async def test_a_bad_filter_is_refused_by_name(ask, body, field):
    status, answer = await ask("POST", "/history/executions", body)
    assert status == 400
    assert any(problem["field"] == field for problem in answer["detail"]["details"]["problems"])

"""Forks over HTTP, and through the client."""

import pytest

from tests.integration.server.conftest import chain
from wfe_desktop.client import AsyncClient, ConflictError, ValidationError

pytestmark = pytest.mark.plain_loop


@pytest.fixture
def ask(http):
    """``ask(method, path, body)``: the status and the JSON of the answer."""

    async def ask(method, path, body=None, **more):
        async with http.request(method, path, json=body, **more) as answer:
            return answer.status, await answer.json(), answer.headers

    return ask


async def test_a_run_is_forked_with_another_state_and_says_what_it_took_over(ask, run):
    old = await run("add", "add", "add")
    body = {"node_id": "n1", "state": {"total": 40}, "remove": ["nothing"], "wait_s": 10}
    status, state, headers = await ask("POST", f"/graph/fork/{old['run_id']}", body)
    assert (status, state["status"], state["current_state"]["data"]) == (200, "completed", {"total": 42})
    assert (state["forked_from"], old["forked_from"]) == (old["run_id"], None)
    assert headers["Location"] == f"/graph/state/{state['run_id']}"
    assert [state["steps"][node]["taken_from"] for node in ("n0", "n1")] == [old["run_id"], None]
    _, steps, _ = await ask("GET", f"/graph/steps/{state['run_id']}")
    assert [step["taken_from"] for step in steps["steps"]] == [old["run_id"], None, None]
    _, logs, _ = await ask("GET", f"/graph/logs/{state['run_id']}")
    assert logs[0]["data"]["forked_from"] == old["run_id"]
    assert [line["data"]["taken_from"] for line in logs if "taken_from" in line["data"]] == [old["run_id"]]
    _, history, _ = await ask("POST", "/history/executions", {})
    assert [line["forked_from"] for line in history["executions"]] == [old["run_id"], None]


async def test_without_wait_the_answer_is_202_as_for_a_run(ask, run, gate):
    gate.opened.set()
    old = await run("add", "gate")
    status, answer, headers = await ask("POST", f"/graph/fork/{old['run_id']}", {})
    assert (status, answer["message"], answer["status"]) == (202, "The run is forked", "pending")
    assert headers["Location"] == f"/graph/state/{answer['run_id']}"


async def test_a_fork_with_a_key_is_one_run(ask, run, gate, server):
    gate.opened.set()
    old = await run("add", "add")
    body = {"node_id": "n1", "state": {"total": 40}, "idempotency_key": "once"}
    status, first, headers = await ask("POST", f"/graph/fork/{old['run_id']}", body)
    assert status == 202
    status, again, _ = await ask("POST", f"/graph/fork/{old['run_id']}", {**body, "wait_s": 10})
    assert (status, again["run_id"], again["status"]) == (200, first["run_id"], "completed")
    status, again, later = await ask("POST", f"/graph/fork/{old['run_id']}", body)
    assert (status, again["run_id"], again["status"]) == (202, first["run_id"], "completed")
    assert later["Location"] == headers["Location"]
    status, answer, _ = await ask("POST", f"/graph/fork/{old['run_id']}", {**body, "state": {}})
    assert (status, answer["detail"]["error"]) == (409, "Conflict")
    assert answer["detail"]["details"] == {"idempotency_key": "once", "differs": ["state"]}
    async with AsyncClient(server.address) as client:
        asked = {"state": {"total": 40}, "idempotency_key": "once"}
        assert await client.fork(old["run_id"], "n1", **asked) == first["run_id"]
        with pytest.raises(ConflictError, match="which had another visit"):
            await client.fork(old["run_id"], "n1", 1, **asked)


async def test_the_place_of_a_fork_can_be_looked_at(ask, run):
    old = await run("add", "add")
    status, place, _ = await ask("GET", f"/graph/fork/{old['run_id']}", params={"node_id": "n1"})
    assert status == 200
    assert place == {
        "run_id": old["run_id"],
        "node_id": "n1",
        "visit": 1,
        "graph_id": old["graph_id"],
        "graph_version": 1,
        "state": {"total": 1},
        "taken_over": ["n0"],
    }


async def test_a_failed_run_is_forked_with_the_mended_workflow(ask, run):
    old = await run("add", "break_down")
    assert old["status"] == "failed"
    status, _, _ = await ask("PUT", f"/graph/{old['graph_id']}", chain("add", "add"))
    assert status == 200
    body = {"node_id": "n1", "graph_version": "newest", "wait_s": 10}
    _, state, _ = await ask("POST", f"/graph/fork/{old['run_id']}", body)
    assert (state["status"], state["graph_version"]) == ("completed", 2)
    assert state["current_state"]["data"] == {"total": 2}


@pytest.mark.parametrize(
    ("body", "status", "error", "field"),
    [
        ({"node_id": "z"}, 400, "ValidationError", "node_id"),
        ({"node_id": "n1", "visit": 7}, 400, "ValidationError", "visit"),
        ({"node_id": "n1", "visit": 0}, 400, "ValidationError", "visit"),
        ({"node_id": "n1", "graph_version": 9}, 404, "GraphNotFound", None),
        ({"node_id": "n1", "graph_version": "oldest"}, 400, "ValidationError", "graph_version"),
        ({"node_id": "n1", "breakpoints": ["z"]}, 400, "ValidationError", "breakpoints.0"),
        ({"node_id": "n1", "state": {"a": 1}, "remove": ["a"]}, 400, "ValidationError", "remove"),
        ({"node_id": "n1", "states": {}}, 400, "ValidationError", "states"),
    ],
)
async def test_a_bad_request_for_a_fork_names_the_field(ask, run, body, status, error, field):
    old = await run("add", "add")
    got, answer, _ = await ask("POST", f"/graph/fork/{old['run_id']}", body)
    assert (got, answer["detail"]["error"]) == (status, error)
    if field is not None:
        fields = [problem["field"] for problem in answer["detail"]["details"]["problems"]]
        assert any(name.startswith(field) for name in fields)
    assert (await ask("POST", "/graph/fork/nothing", {}))[0] == 404
    _, history, _ = await ask("POST", "/history/executions", {})
    assert history["total_count"] == 1


async def test_the_client_forks_and_looks(server, run):
    old = await run("add", "add")
    async with AsyncClient(server.address) as client:
        place = await client.look_at_fork(old["run_id"], "n1")
        assert (place.state, place.taken_over, place.visit) == ({"total": 1}, ["n0"], 1)
        run_id = await client.fork(old["run_id"], "n1", state={"total": 9}, graph_version="newest")
        assert (await client.wait(run_id, 10)).current_state.data == {"total": 10}
        assert (await client.query_historical_executions()).executions[0].forked_from == old["run_id"]
        with pytest.raises(ValidationError, match='no node "z"'):
            await client.fork(old["run_id"], "z")

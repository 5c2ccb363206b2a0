import asyncio
import io
import json
import logging
import re
import threading

import aiohttp
import pytest
from yarl import URL

from engine.flow.strict_json import parse_json
from tests.integration.server.conftest import chain
from wfe_desktop.server import routing
from wfe_desktop.server.page import FILES

pytestmark = pytest.mark.plain_loop


async def error_of(answer):
    body = await answer.json()
    assert set(body) == {"detail"}
    assert set(body["detail"]) == {"error", "message", "details"}
    return body["detail"]


# ------------------------------------------------------------------------------------------------------- graphs


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
@pytest.mark.parametrize("wrapped", [False, True])
async def test_a_graph_is_created_bare_or_wrapped_at_both_addresses(http, prefix, wrapped):
    graph = chain("add")
    async with http.post(f"{prefix}/graph/create", json={"graph": graph} if wrapped else graph) as answer:
        assert answer.status == 201
        body = await answer.json()
    assert set(body) == {"graph_id", "message", "validation_warnings"}
    assert body["message"] == "Graph 'Chain' created successfully"
    assert body["validation_warnings"] == []
    async with http.get(f"{prefix}/graph/{body['graph_id']}") as answer:
        assert answer.status == 200
        assert answer.headers["ETag"] == '"1"'
        stored = await answer.json()
    assert stored["nodes"][0]["function_name"] == "add"
    assert stored["entry_point"] == "n0"


async def test_an_unknown_tool_is_a_warning_when_a_graph_is_stored_and_fails_its_run(http):
    async with http.post("/graph/create", json=chain("ad")) as answer:
        assert answer.status == 201
        body = await answer.json()
    assert any(
        "ad" in warning["message"] and warning["node_id"] == "n0" for warning in body["validation_warnings"]
    )
    async with http.post("/graph/run", json={"graph_id": body["graph_id"], "wait_s": 10}) as answer:
        run = await answer.json()
    assert run["status"] == "failed"
    assert run["current_state"]["execution_path"] == []
    for part in ("n0", "ad", "add"):
        assert part in run["error_message"]


async def test_every_problem_of_a_graph_is_told_at_once_with_its_place(http):
    graph = chain("add", "add")
    graph["nodes"][1]["id"] = "n0"
    graph["edges"].append({"from_node": "n0", "to_node": "nowhere"})
    graph["entry_point"] = "start"
    async with http.post("/graph/create", json=graph) as answer:
        assert answer.status == 400
        error = await error_of(answer)
    assert error["error"] == "ValidationError"
    problems = error["details"]["problems"]
    assert len(problems) >= 3
    assert all({"severity", "code", "message"} <= set(problem) for problem in problems)
    async with http.get("/graphs") as answer:
        assert await answer.json() == []


@pytest.mark.parametrize("data", [{}, [], 5, None, "x", {"graph": 5}, {"name": 1, "nodes": 2}, {"nome": "x"}])
async def test_what_is_no_graph_at_all_is_validated_and_not_created(http, data):
    request = {"data": json.dumps(data), "headers": {"Content-Type": "application/json"}}
    async with http.post("/graph/validate", **request) as answer:
        assert answer.status == 200
        body = await answer.json()
    assert body["is_valid"] is False
    assert body["errors"]
    async with http.post("/graph/create", **request) as answer:
        assert answer.status == 400
        assert (await error_of(answer))["details"]["problems"]


async def test_a_valid_graph_is_said_to_be_valid_with_its_warnings(http):
    async with http.post("/graph/validate", json=chain("no_such_tool")) as answer:
        body = await answer.json()
    assert body["is_valid"] is True
    assert body["errors"] == []
    assert body["warnings"][0]["severity"] == "warning"


async def test_graphs_are_listed_changed_and_deleted(http, make_graph):
    graph_id = await make_graph("add", description="first")
    async with http.put(f"/graph/{graph_id}", json=chain("add", "add", name="Changed")) as answer:
        assert answer.status == 200
        assert (await answer.json())["version"] == 2
    async with http.get("/graphs") as answer:
        [line] = await answer.json()
    assert line["id"] == graph_id
    assert (line["name"], line["version"], line["node_count"]) == ("Changed", 2, 2)
    assert line["created_at"].endswith("Z")
    async with http.get(f"/graph/{graph_id}?version=1") as answer:
        assert (await answer.json())["description"] == "first"
    async with http.delete(f"/graph/{graph_id}") as answer:
        assert answer.status == 204
        assert await answer.read() == b""
    for method, body in (("GET", None), ("DELETE", None), ("PUT", chain("add"))):
        async with http.request(method, f"/graph/{graph_id}", json=body) as answer:
            assert answer.status == 404
            assert (await error_of(answer))["error"] == "GraphNotFound"


async def test_a_stored_graph_can_be_put_back_as_it_was_read(http, make_graph):
    graph_id = await make_graph(
        "add", "add", reducers={"total": "add"}, ui={"nodes": {"n0": {"x": 1.5, "y": 2}}}
    )
    async with http.get(f"/graph/{graph_id}") as answer:
        graph = await answer.json()
    async with http.put(f"/graph/{graph_id}", json=graph) as answer:
        assert answer.status == 200
    async with http.get(f"/graph/{graph_id}") as answer:
        assert await answer.json() == graph


@pytest.mark.parametrize(("size", "on_the_loop"), [(10, True), (5_000, False)])
async def test_a_large_body_is_not_read_on_the_loop(http, monkeypatch, size, on_the_loop):
    threads = []

    def parse(content):
        threads.append(threading.current_thread())
        return parse_json(content)

    monkeypatch.setattr(routing, "parse_json", parse)
    nodes = [{"id": f"n{index}", "function_name": "add", "description": "x" * 400} for index in range(size)]
    body = io.BytesIO(json.dumps({"name": "Large", "nodes": nodes}).encode())
    async with http.post("/graph/create", data=body, headers={"Content-Type": "application/json"}) as answer:
        assert answer.status == 201
    assert (threads == [threading.current_thread()]) is on_the_loop


# --------------------------------------------------------------------------------------------------------- runs


async def test_a_run_is_accepted_at_once_and_can_be_followed_to_its_end(http, make_graph, gate):
    graph_id = await make_graph("add", "gate", "add")
    body = {"graph_id": graph_id, "initial_state": {"total": 40}}
    async with http.post("/graph/run", json=body) as answer:
        assert answer.status == 202
        started = await answer.json()
    run_id = started.pop("run_id")
    assert started == {"message": "Workflow execution started successfully", "status": "pending"}
    gate.opened.set()
    async with asyncio.timeout(10):
        while True:
            async with http.get(f"/graph/state/{run_id}") as answer:
                assert answer.status == 200
                state = await answer.json()
            if state["status"] == "completed":
                break
    assert state["run_id"] == run_id
    assert state["graph_id"] == graph_id
    assert state["current_state"] == {"data": {"total": 42}, "execution_path": ["n0", "n1", "n2"]}
    assert state["error_message"] is None
    assert state["started_at"] <= state["completed_at"]
    assert state["steps"]["n1"]["status"] == "completed"
    assert state["results"]["n1"] == "passed"


async def test_with_wait_s_the_answer_is_the_finished_state(run):
    state = await run("add", "add", initial_state={"total": 1})
    assert state["status"] == "completed"
    assert state["current_state"]["data"] == {"total": 3}


async def test_a_run_that_takes_longer_than_wait_s_is_answered_as_it_stands(http, make_graph):
    body = {"graph_id": await make_graph("gate"), "wait_s": 0.05}
    async with http.post("/graph/run", json=body) as answer:
        assert answer.status == 202
        assert (await answer.json())["status"] == "running"


async def test_a_client_that_hangs_up_while_waiting_does_not_end_the_run(http, make_graph, gate, services):
    body = {"graph_id": await make_graph("gate", "add"), "wait_s": 20}
    with pytest.raises(TimeoutError):
        await http.post("/graph/run", json=body, timeout=aiohttp.ClientTimeout(total=0.3))
    gate.opened.set()
    [line] = services.engine.query_historical_executions().executions
    run = await asyncio.wrap_future(services.engine.when_finished(line.run_id))
    assert run.current_state.data == {"total": 1}


async def test_a_failed_run_says_why(run):
    state = await run("add", "break_down", "add")
    assert state["status"] == "failed"
    assert "luck" in state["error_message"]
    assert state["steps"]["n1"]["status"] == "failed"


async def test_a_run_is_cancelled_once(http, make_graph, gate, services):
    async with http.post("/graph/run", json={"graph_id": await make_graph("gate", "add")}) as answer:
        run_id = (await answer.json())["run_id"]
    async with http.post(f"/graph/cancel/{run_id}") as answer:
        assert answer.status == 200
        assert (await answer.json())["cancelled"] is True
    gate.opened.set()
    await asyncio.wrap_future(services.engine.when_finished(run_id))
    async with http.post(f"/graph/cancel/{run_id}", json={}) as answer:
        assert (await answer.json())["cancelled"] is False
    async with http.get(f"/graph/state/{run_id}") as answer:
        assert (await answer.json())["status"] == "cancelled"


async def test_the_log_of_a_run_tells_its_events_in_order(http, run):
    state = await run("add", "add")
    url = f"/graph/logs/{state['run_id']}"
    async with http.get(url) as answer:
        events = await answer.json()
    assert set(events[0]) == {"seq", "timestamp", "run_id", "event_type", "node_id", "message", "data"}
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))
    assert events[-1]["event_type"] == "workflow_completed"
    steps = [(event["node_id"], event["data"]["execution_event"]) for event in events if event["node_id"]]
    assert steps == [("n0", "started"), ("n0", "completed"), ("n1", "started"), ("n1", "completed")]
    async with http.get(url, params={"since": seqs[1], "limit": 2}) as answer:
        assert [event["seq"] for event in await answer.json()] == seqs[2:4]
    async with http.get(url, params={"types": "workflow_started,workflow_completed"}) as answer:
        assert [event["event_type"] for event in await answer.json()] == [
            "workflow_started",
            "workflow_completed",
        ]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/graph/state/nope"), ("GET", "/graph/logs/nope"), ("POST", "/graph/cancel/nope")],
)
async def test_an_unknown_run_is_not_found(http, method, path):
    async with http.request(method, path) as answer:
        assert answer.status == 404
        assert (await error_of(answer))["error"] == "RunNotFound"


async def test_an_unknown_graph_cannot_be_run(http):
    async with http.post("/graph/run", json={"graph_id": "nope"}) as answer:
        assert answer.status == 404
        error = await error_of(answer)
    assert error["error"] == "GraphNotFound"
    assert "nope" in error["message"]


async def test_history_is_filtered_and_paged(http, run, make_graph):
    graph_id = await make_graph("add")
    for _ in range(3):
        await run(graph_id=graph_id)
    failed = await run("break_down")

    async def search(**body):
        async with http.post("/history/executions", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    page = await search(limit=3)
    assert (len(page["executions"]), page["total_count"], page["has_more"]) == (3, 4, True)
    assert page["executions"][0]["run_id"] == failed["run_id"]
    page = await search(limit=3, offset=3)
    assert (len(page["executions"]), page["has_more"]) == (1, False)
    assert (await search(graph_id=graph_id))["total_count"] == 3
    assert (await search(status="failed"))["executions"][0]["error_message"]
    assert (await search(start_date="2020-01-01T00:00:00", end_date="2020-01-02T00:00:00Z"))[
        "total_count"
    ] == 0
    assert (await search(start_date="2020-01-01T00:00:00+02:00"))["total_count"] == 4


# ------------------------------------------------------------------------------------------------ the server itself


async def test_health_and_the_front_door(http):
    async with http.get("/health") as answer:
        body = await answer.json()
    assert body["status"] == "healthy"
    assert body["service"] == "agent-workflow-engine"
    for path in ("/", "/api/v1/"):
        async with http.get(path, headers={"Accept": "*/*"}) as answer:
            assert (await answer.json())["message"] == "Agent Workflow Engine is running"
    for path in ("/", "/api/v1/"):
        async with http.get(path, headers={"Accept": "text/html,*/*"}) as answer:
            assert answer.content_type == "text/html"
            assert answer.headers["Cache-Control"] == "no-store"


async def test_the_page_is_made_of_files_of_its_own_and_of_no_inline_part(http):
    async with http.get("/", headers={"Accept": "text/html"}) as answer:
        policy = answer.headers["Content-Security-Policy"]
        page = await answer.text()
    host = f"{http._base_url.host}:{http._base_url.port}"
    for part in (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        f"ws://{host} ",
        "require-trusted-types",
    ):
        assert part in policy
    assert "unsafe" not in policy
    assert not re.search(r"<style|style=|<script(?! type=\"module\" src=)|\son\w+=|https?:", page)
    linked = set(re.findall(r'(?:href|src)="(page/[^"]+)"', page))
    assert linked <= {f"page/{name}" for name in FILES}
    for name, kind in FILES.items():
        async with http.get(f"/page/{name}") as answer:
            assert (answer.status, answer.content_type, answer.charset) == (200, kind, "utf-8")
            assert answer.headers["Cache-Control"] == "no-cache"
            tag = answer.headers["ETag"]
            text = await answer.text()
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|\beval\(|new Function|document\.write|https?://(?!www\.w3\.org/2000/svg)",
            text,
        )
        for other in re.findall(r'from "\./([^"]+)"', text):
            assert other in FILES
        async with http.get(f"/page/{name}", headers={"If-None-Match": tag}) as answer:
            assert (answer.status, await answer.read()) == (304, b"")
    for name in ("index.html", "nothing.js", "..%2fswagger%2fstart.js", "%2e%2e"):
        async with http.get(URL(f"http://{host}/page/{name}", encoded=True)) as answer:
            assert answer.status == 404


async def test_the_layout_is_as_the_window_has_it_and_complete(http):
    graph = {
        "name": "Placed",
        "nodes": [{"id": name, "function_name": "add"} for name in ("a", "b", "c")],
        "edges": [
            {"from_node": "a", "to_node": "b"},
            {"from_node": "a", "to_node": "c", "condition": "state.total > 1000"},
        ],
        "ui": {"nodes": {"a": {"x": 5, "y": 7}, "b": {"x": 405, "y": 7}, "c": {"x": "far"}}},
    }
    async with http.post("/graph/create", json=graph) as answer:
        graph_id = (await answer.json())["graph_id"]

    async def read(**query):
        async with http.get(f"/graph/{graph_id}/layout", params=query) as answer:
            assert answer.status == 200
            return await answer.json()

    right = await read()
    assert (right["graph_id"], right["version"], right["direction"]) == (graph_id, 1, "right")
    assert right["nodes"]["a"] == {"x": 5, "y": 7}
    assert right["nodes"]["b"] == {"x": 405, "y": 7}
    assert right["nodes"]["c"]["y"] >= 7 + right["node_height"]  # below what has its place
    down = (await read(direction="down", version=1))["nodes"]
    assert down["a"]["y"] + right["node_height"] < down["b"]["y"] == down["c"]["y"]
    assert abs(down["b"]["x"] - down["c"]["x"]) >= right["node_width"]
    async with http.delete(f"/graph/{graph_id}"):
        pass
    assert (await read(version=1))["nodes"] == right["nodes"]  # its runs can still be drawn
    for query, status in (({}, 404), ({"version": 9}, 404), ({"direction": "up"}, 400)):
        async with http.get(f"/graph/{graph_id}/layout", params=query) as answer:
            assert answer.status == status


async def test_tools_are_listed_with_their_parameters(http):
    async with http.get("/tools") as answer:
        tools = {tool["name"]: tool for tool in await answer.json()}
    assert list(tools) == sorted(tools)
    assert tools["add"]["takes_state"] is True
    [amount] = tools["add"]["inputs"]
    assert (amount["name"], amount["type"], amount["required"], amount["default"]) == (
        "amount",
        "number",
        False,
        1,
    )
    assert amount["schema"]["type"] == "integer"


async def test_every_answer_carries_the_protective_headers(http):
    for path in ("/health", "/nowhere", "/graph/nope", "/"):
        async with http.get(path) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
            assert "Python" not in answer.headers["Server"]
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_other_methods_and_addresses_are_answered_in_the_one_form(http):
    async with http.get("/nowhere") as answer:
        assert answer.status == 404
        assert (await error_of(answer))["error"] == "NotFound"
    async with http.get("/graph/run/") as answer:
        assert answer.status == 404
    async with http.delete("/graphs") as answer:
        assert answer.status == 405
        assert "GET" in answer.headers["Allow"]
        assert (await error_of(answer))["error"] == "MethodNotAllowed"


async def test_unknown_and_wrong_fields_are_all_named(http):
    async with http.post(
        "/graph/run", json={"graph_id": 5, "initial_state": [], "wait_s": "1", "idempotency": "x"}
    ) as answer:
        assert answer.status == 400
        error = await error_of(answer)
    assert {problem["field"] for problem in error["details"]["problems"]} == {
        "graph_id",
        "initial_state",
        "wait_s",
        "idempotency",
    }
    async with http.get("/graph/logs/x?since=-1&limit=a&what=1") as answer:
        assert answer.status == 400
        error = await error_of(answer)
    assert {problem["field"] for problem in error["details"]["problems"]} == {"since", "limit", "what"}
    for path in ("/health?x=1", "/graphs?what=1", "/graph/logs/x?since=1&since=2"):
        async with http.get(path) as answer:
            assert answer.status == 400


async def test_a_fault_of_ours_is_told_by_number_and_logged(http, services, monkeypatch, expect_log):
    expect_log("reference [0-9a-f]{12}")

    def broken():
        raise RuntimeError("the secret is hunter2")

    monkeypatch.setattr(services.graphs, "list_graphs", broken)
    async with http.get("/graphs") as answer:
        assert answer.status == 500
        text = await answer.text()
        error = await error_of(answer)
    assert error["error"] == "InternalError"
    assert len(error["details"]["reference"]) == 12
    assert "hunter2" not in text
    assert "Traceback" not in text


async def test_what_is_asked_while_the_engine_is_closed_is_refused_with_retry_after(
    http, make_graph, services
):
    graph_id = await make_graph("add")
    await asyncio.to_thread(services.engine.close, 5)
    async with http.post("/graph/run", json={"graph_id": graph_id}) as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"
        assert (await error_of(answer))["error"] == "ServiceUnavailable"


async def test_closing_the_server_releases_who_waits_for_a_run(http, make_graph, server):
    body = {"graph_id": await make_graph("gate"), "wait_s": 60}
    waiting = asyncio.ensure_future(http.post("/graph/run", json=body))
    async with asyncio.timeout(5):
        while (await (await http.get("/health")).json())["running_steps"] == 0:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.01)
        await server.close()
        answer = await waiting
    assert answer.status == 503
    assert json.loads(await answer.read())["detail"]["error"] == "ServiceUnavailable"


async def test_no_request_writes_to_the_log(http, run, caplog):
    with caplog.at_level(logging.WARNING):
        await run("add")
        await http.get("/nowhere")
    assert caplog.records == []


async def test_the_state_can_be_waited_for(http, make_graph, gate):
    async def state(run_id, wait_s):
        async with http.get(f"/graph/state/{run_id}", params={"wait_s": wait_s}) as answer:
            return answer.status, (await answer.json()).get("status")

    async with http.post("/graph/run", json={"graph_id": await make_graph("gate")}) as answer:
        run_id = (await answer.json())["run_id"]
    assert await state(run_id, 0.05) == (200, "running")
    waiting = asyncio.ensure_future(state(run_id, 20))
    gate.opened.set()
    assert await waiting == (200, "completed")
    assert await state(run_id, 20) == (200, "completed")
    assert await state("nobody", 20) == (404, None)
    assert await state(run_id, 301) == (400, None)

"""Runs paused, stepped, retried and cancelled over HTTP; graphs kept from being overwritten; and what is counted."""

import asyncio
import time

import pytest

from engine import WaitForSignal
from tests.integration.server.conftest import chain

pytestmark = pytest.mark.plain_loop


@pytest.fixture
def ask(http):
    """``ask(method, path, body)``: the JSON of a good answer."""

    async def ask(method, path, body=None, **more):
        async with http.request(method, path, json=body, **more) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    return ask


async def eventually(look):
    """Asks again until the answer is neither false nor empty."""
    async with asyncio.timeout(10):
        while not (found := await look()):  # noqa: ASYNC110 - the server tells only who asks
            await asyncio.sleep(0.005)
    return found


@pytest.fixture
def until(ask):
    """Waits until a run has this status; its state."""

    async def until(run_id, status):
        async def look():
            state = await ask("GET", f"/graph/state/{run_id}")
            return state if state["status"] == status else None

        return await eventually(look)

    return until


@pytest.fixture
def start(ask, make_graph):
    """Starts a chain of tools and waits until a step runs."""

    async def start(*tools):
        run_id = (await ask("POST", "/graph/run", {"graph_id": await make_graph(*tools)}))["run_id"]

        async def look():
            return (await ask("GET", "/graph/steps/" + run_id, params={"status": "running"}))["steps"]

        await eventually(look)
        return run_id

    return start


# ------------------------------------------------------------------------------------------------------ steering


async def test_a_paused_run_starts_nothing_until_it_steps_or_resumes(ask, start, until, gate):
    run_id = await start("gate", "add", "add", "add")
    assert (await ask("POST", f"/graph/pause/{run_id}"))["paused"] is True
    assert (await ask("POST", f"/graph/pause/{run_id}"))["paused"] is False
    gate.opened.set()

    async def step():
        return (await ask("POST", f"/graph/step/{run_id}"))["stepped"]

    async def stepped():
        state = await ask("GET", f"/graph/state/{run_id}")
        return state if state["current_state"]["data"] == {"total": 1} else None

    await eventually(step)
    state = await eventually(stepped)
    assert state["status"] == "paused"
    assert state["current_state"]["execution_path"] == ["n0", "n1"]
    assert (await ask("POST", f"/graph/resume/{run_id}"))["resumed"] is True
    state = await until(run_id, "completed")
    assert state["current_state"]["data"] == {"total": 3}
    assert (await ask("POST", f"/graph/resume/{run_id}"))["resumed"] is False


async def test_a_waiting_step_is_given_its_signal(ask, http, make_graph, until, services):
    services.registry.register_tool(
        "ask", lambda: WaitForSignal("go", {"type": "integer"}, "How many?"), "Asks"
    )
    run_id = (await ask("POST", "/graph/run", {"graph_id": await make_graph("ask", "add")}))["run_id"]
    state = await until(run_id, "waiting")
    assert state["error_message"] == "How many?"
    asked = {"signal": "go", "message": "How many?", "schema": {"type": "integer"}, "due_at": None}
    waits_for = state["steps"]["n0"]["waits_for"]
    assert {key: value for key, value in waits_for.items() if value is not None or key in asked} == {
        "kind": "signal",
        **asked,
    }
    assert (await ask("POST", f"/graph/signal/{run_id}", {"name": "other"}))["delivered"] is False
    async with http.post(f"/graph/signal/{run_id}", json={"name": "go", "value": "many"}) as answer:
        assert answer.status == 400
        problem = (await answer.json())["detail"]["details"]["problems"][0]
        assert problem["message"] == "'many' is not of type 'integer'"
    assert (await ask("POST", f"/graph/signal/{run_id}", {"name": "go", "value": 3}))["delivered"] is True
    assert (await until(run_id, "completed"))["results"]["n0"] == 3
    decision = {"node_id": "n0", "choice": "rerun"}
    assert (await ask("POST", f"/graph/decide/{run_id}", decision))["decided"] is False


async def test_a_run_pauses_at_its_breakpoint(ask, start, until, gate):
    run_id = await start("gate", "add", "add")
    answer = await ask("PUT", f"/graph/breakpoints/{run_id}", {"nodes": ["n2", "n2"]})
    assert (answer["changed"], answer["nodes"]) == (True, ["n2"])
    gate.opened.set()
    state = await until(run_id, "paused")
    assert state["current_state"]["execution_path"] == ["n0", "n1"]
    await ask("PUT", f"/graph/breakpoints/{run_id}", {"nodes": []})
    await ask("POST", f"/graph/resume/{run_id}")
    await until(run_id, "completed")
    assert (await ask("PUT", f"/graph/breakpoints/{run_id}", {"nodes": ["n1"]}))["changed"] is False


async def test_a_breakpoint_at_no_node_is_refused_by_name(http, run):
    state = await run("add")
    async with http.put(f"/graph/breakpoints/{state['run_id']}", json={"nodes": ["n0", "n9"]}) as answer:
        assert answer.status == 400
        [problem] = (await answer.json())["detail"]["details"]["problems"]
    assert (problem["node_id"], problem["field"]) == ("n9", "nodes.1")


async def test_a_failed_run_goes_on_from_where_it_failed(ask, run, services, until):
    tries = []

    def fragile() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("not yet")
        return "done"

    services.registry.register_tool("fragile", fragile, "Fails once")
    state = await run("add", "fragile")
    run_id = state["run_id"]
    assert state["status"] == "failed"
    steps = (await ask("GET", f"/graph/steps/{run_id}", params={"status": "failed"}))["steps"]
    assert [(step["node_id"], step["error"], step["error_type"]) for step in steps] == [
        ("n1", "ValueError: not yet", "ValueError")
    ]
    assert (await ask("POST", f"/graph/retry/{run_id}"))["retried"] is True
    state = await until(run_id, "completed")
    assert state["current_state"]["data"] == {"total": 1}
    assert (await ask("POST", f"/graph/retry/{run_id}"))["retried"] is False


async def test_a_step_goes_on_with_the_signal_it_waits_for(http, ask, services, make_graph, until):
    def approve() -> dict:
        return WaitForSignal("approval", {"type": "object", "required": ["by"]})

    services.registry.register_tool("approve", approve, "Waits for somebody")
    run_id = (await ask("POST", "/graph/run", {"graph_id": await make_graph("approve")}))["run_id"]
    await until(run_id, "waiting")
    path = f"/graph/signal/{run_id}"
    assert (await ask("POST", path, {"name": "other"}))["delivered"] is False
    async with http.post(path, json={"name": "approval", "value": {}}) as answer:
        assert answer.status == 400
        assert "by" in (await answer.json())["detail"]["message"]
    assert (await ask("POST", path, {"name": "approval", "value": {"by": "me"}}))["delivered"] is True
    assert (await until(run_id, "completed"))["results"]["n0"] == {"by": "me"}
    assert (await ask("POST", path, {"name": "approval"}))["delivered"] is False
    decision = {"node_id": "n0", "choice": "rerun"}
    assert (await ask("POST", f"/graph/decide/{run_id}", decision))["decided"] is False


async def test_many_runs_are_cancelled_at_once(ask, start, run, until, gate):
    going = [await start("gate", "add") for _ in range(2)]
    ended = (await run("add"))["run_id"]
    answer = await ask("POST", "/graph/cancel", {"run_ids": [going[0], ended, "nope", going[0]]})
    assert (answer["cancelled"], answer["ended"], answer["not_found"]) == ([going[0]], [ended], ["nope"])
    graph_id = (await ask("GET", f"/graph/state/{going[1]}"))["graph_id"]
    assert (await ask("POST", "/graph/cancel", {"graph_id": graph_id, "status": "paused"}))["cancelled"] == []
    assert (await ask("POST", "/graph/cancel", {"graph_id": graph_id}))["cancelled"] == [going[1]]
    gate.opened.set()
    for run_id in going:
        await until(run_id, "cancelled")


async def test_all_runs_at_a_status_are_cancelled(ask, start, until, gate):
    running, paused = [await start("gate", "add") for _ in range(2)]
    await ask("POST", f"/graph/pause/{paused}")
    answer = await ask("POST", "/graph/cancel", {"status": "paused"})
    assert (answer["cancelled"], answer["message"]) == ([paused], "1 run is being cancelled")
    gate.opened.set()
    await until(paused, "cancelled")
    await until(running, "completed")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"run_ids": []},
        {"run_ids": ["a"], "graph_id": "b"},
        {"run_ids": ["a"], "status": "running"},
        {"run_ids": [5]},
        {"status": "completed"},
    ],
)
async def test_what_to_cancel_has_to_be_said(http, body):
    async with http.post("/graph/cancel", json=body) as answer:
        assert answer.status == 400


# ------------------------------------------------------------------------------------------------ graphs and runs


async def test_a_graph_that_comes_along_is_stored_and_run(ask):
    answer = await ask("POST", "/graph/run", {"graph": chain("add", name="Along"), "wait_s": 10})
    assert answer["current_state"]["data"] == {"total": 1}
    [line] = await ask("GET", "/graphs")
    assert (line["id"], line["name"]) == (answer["graph_id"], "Along")
    again = await ask("POST", "/graph/run", {"graph": chain("add", name="Along")})
    assert again["graph_id"] == answer["graph_id"], "the same graph is stored once"
    started = await ask("POST", "/graph/run", {"graph": chain("add")})
    assert started["graph_id"] != answer["graph_id"]


async def test_a_run_is_started_of_an_older_version_and_with_breakpoints(ask, http, make_graph, until):
    graph_id = await make_graph("add", "add")
    await ask("PUT", f"/graph/{graph_id}", chain("gate"))
    body = {"graph_id": graph_id, "graph_version": 1, "breakpoints": ["n1", "n1"]}
    run_id = (await ask("POST", "/graph/run", body))["run_id"]
    run = await until(run_id, "paused")
    assert (run["graph_version"], run["current_state"]["data"]) == (1, {"total": 1})
    await ask("POST", f"/graph/resume/{run_id}")
    await until(run_id, "completed")
    for wrong, field in (
        ({**body, "breakpoints": ["x"]}, "breakpoints.0"),
        ({**body, "graph_version": 0}, "graph_version"),
    ):
        async with http.post("/graph/run", json=wrong) as answer:
            assert answer.status == 400
            [problem] = (await answer.json())["detail"]["details"]["problems"]
        assert problem["field"] == field
    async with http.post("/graph/run", json={**body, "graph_version": 9}) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("inline", [False, True], ids=["stored", "along"])
async def test_p6_requests_with_one_key_are_one_run(ask, http, make_graph, until, inline):
    graph = {"graph": chain("add", "gate")} if inline else {"graph_id": await make_graph("add", "gate")}
    body = {**graph, "initial_state": {"total": 5}, "idempotency_key": "once"}
    answers = await asyncio.gather(*(ask("POST", "/graph/run", body) for _ in range(12)))
    assert len({answer["run_id"] for answer in answers}) == 1
    run_id = answers[0]["run_id"]
    assert (await ask("POST", "/graph/run", body))["status"] == "running"
    for other, differs in (
        ({"initial_state": {}}, "initial_state"),
        ({"breakpoints": ["n1"]}, "breakpoints"),
    ):
        async with http.post("/graph/run", json={**body, **other}) as answer:
            error = (await answer.json())["detail"]
        assert (answer.status, error["error"], error["details"]["differs"]) == (409, "Conflict", [differs])
        assert run_id in error["message"]
    async with http.post("/graph/run", json={"graph": chain("add"), "idempotency_key": "once"}) as answer:
        assert answer.status == 409
    await ask("POST", f"/graph/cancel/{run_id}")
    await until(run_id, "cancelled")
    assert (await ask("POST", "/graph/run", body))["status"] == "cancelled"
    assert (await ask("POST", "/graph/run", {**body, "wait_s": 5}))["run_id"] == run_id
    assert (await ask("POST", "/history/executions", {}))["total_count"] == 1


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"graph_id"}),
        ({"graph_id": "x", "graph": chain("add")}, {"graph"}),
        ({"graph": {"name": 5}, "wait_s": "x", "what": 1}, {"name", "wait_s", "what"}),
        ({"graph": chain("add"), "wait_s": "x"}, {"wait_s"}),
    ],
)
async def test_what_to_run_has_to_be_said_once(http, body, fields):
    async with http.post("/graph/run", json=body) as answer:
        assert answer.status == 400
        problems = (await answer.json())["detail"]["details"]["problems"]
    assert {problem["field"] for problem in problems} == fields
    async with http.get("/graphs") as answer:
        assert await answer.json() == []


@pytest.mark.parametrize("field", ["max_steps", "max_iterations"])
@pytest.mark.parametrize("value", ["5", True])
async def test_neither_a_text_nor_true_is_taken_for_a_number(http, field, value):
    async with http.post("/graph/create", json=chain("add", **{field: value})) as answer:
        assert answer.status == 400
        [problem] = (await answer.json())["detail"]["details"]["problems"]
    assert problem["field"] == field
    assert "whole number" in problem["message"]


async def test_two_editors_do_not_overwrite_each_other(http, make_graph):
    graph_id = await make_graph("add")
    path = f"/graph/{graph_id}"
    async with http.get(path) as answer:
        etag = answer.headers["ETag"]
    for status in (200, 412):
        async with http.put(path, json=chain("add", "add"), headers={"If-Match": etag}) as answer:
            assert answer.status == status
            assert answer.headers["ETag"] == '"2"'
            body = await answer.json()
    assert body["detail"]["error"] == "PreconditionFailed"
    for given, status in [('"7", "2"', 200), ("*", 200), ('W/"4"', 412), ("4", 400), ('"4', 400)]:
        async with http.put(path, json=chain("add"), headers={"If-Match": given}) as answer:
            assert answer.status == status, given


async def test_editors_that_come_at_once_change_it_one_time(http, make_graph):
    path = f"/graph/{await make_graph('add')}"
    answers = await asyncio.gather(
        *(http.put(path, json=chain("add"), headers={"If-Match": '"1"'}) for _ in range(8))
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 7


async def test_versions_are_listed_and_compared(ask, make_graph):
    graph_id = await make_graph("add", name="One")
    await ask("PUT", f"/graph/{graph_id}", chain("add", "gate", name="Two"))
    await ask("PUT", f"/graph/{graph_id}", chain("gate", "gate", name="Two"))
    page = await ask("GET", f"/graph/{graph_id}/versions", params={"limit": 2})
    assert [(line["version"], line["name"], line["node_count"]) for line in page["versions"]] == [
        (3, "Two", 2),
        (2, "Two", 2),
    ]
    assert (page["total_count"], page["has_more"]) == (3, True)
    diff = await ask("GET", f"/graph/{graph_id}/diff")
    assert (diff["from_version"], diff["to_version"]) == (2, 3)
    assert diff["nodes"]["changed"] == [
        {"id": "n0", "fields": {"function_name": {"before": "add", "after": "gate"}}}
    ]
    diff = await ask("GET", f"/graph/{graph_id}/diff", params={"from_version": 1, "to_version": 2})
    assert [node["id"] for node in diff["nodes"]["added"]] == ["n1"]
    assert [edge["to_node"] for edge in diff["edges"]["added"]] == ["n1"]
    assert diff["fields"] == {"name": {"before": "One", "after": "Two"}}


async def test_lists_are_paged_in_one_manner(http, make_graph):
    for number in range(5):
        await make_graph("add", name=f"G{number}")
    names, url = [], "/graphs?limit=2"
    while url:
        async with http.get(url) as answer:
            assert answer.headers["X-Total-Count"] == "5"
            names += [line["name"] for line in await answer.json()]
            url = answer.links.get("next", {}).get("url")
    assert names == ["G4", "G3", "G2", "G1", "G0"]


async def test_an_unknown_tool_names_the_closest(http, ask):
    assert (await ask("GET", "/tools/add"))["name"] == "add"
    async with http.get("/tools/ad") as answer:
        assert answer.status == 404
        error = (await answer.json())["detail"]
    assert error["error"] == "ToolNotFound"
    assert "add" in error["message"]


# -------------------------------------------------------------------------------------------------- looking back


async def test_the_steps_of_a_run_are_filtered_and_paged(ask, run):
    state = await run("add", "add", "add")
    path = f"/graph/steps/{state['run_id']}"
    page = await ask("GET", path)
    assert [(step["node_id"], step["visit"], step["status"]) for step in page["steps"]] == [
        ("n0", 1, "completed"),
        ("n1", 1, "completed"),
        ("n2", 1, "completed"),
    ]
    assert page["steps"][0]["result"] == {"total": 1}
    page = await ask("GET", path, params={"limit": 1, "offset": 1})
    assert [step["node_id"] for step in page["steps"]] == ["n1"]
    assert (page["total_count"], page["has_more"]) == (3, True)
    page = await ask("GET", path, params={"node_id": "n2", "status": "completed"})
    assert page["total_count"] == 1


async def test_a_large_result_is_left_out_of_the_list_of_steps(ask, run, services):
    services.registry.register_tool("flood", lambda: "x" * 100_000, "A long text")
    state = await run("flood")
    [step] = (await ask("GET", f"/graph/steps/{state['run_id']}"))["steps"]
    assert (step["result"], step["result_omitted"]) == (None, True)
    assert len(state["results"]["n0"]) == 100_000
    [step] = (await ask("GET", f"/graph/steps/{state['run_id']}", params={"limit": 1}))["steps"]
    assert (len(step["result"]), step["result_omitted"]) == (100_000, False)


async def test_steps_are_told_with_what_they_were_given_where_that_is_asked_for(ask, http, run, services):
    services.registry.register_tool("flood", lambda text: text * 100_000, "A long text")
    services.registry.register_tool("measure", lambda text: 2 * len(text), "How long it is")
    graph = chain("add", "flood", "measure")
    graph["nodes"][1]["parameters"] = {"text": "x"}
    graph["edges"][1] |= {"to_port": "text"}
    run_id = (await ask("POST", "/graph/run", {"graph": graph, "wait_s": 20}))["run_id"]
    path = f"/graph/steps/{run_id}"
    first, second, third = (await ask("GET", path, params={"inputs": "true"}))["steps"]
    assert first["inputs"] == {"arguments": {}, "state": {}, "items": None, "error": None}
    assert second["inputs"]["arguments"] == {"text": "x"}
    assert (third["inputs"], third["inputs_omitted"]) == (None, True)
    [third] = (await ask("GET", path, params={"inputs": "true", "limit": 1, "offset": 2}))["steps"]
    assert (len(third["inputs"]["arguments"]["text"]), third["inputs_omitted"]) == (100_000, False)
    page = await ask("GET", path, params={"node_id": "n1", "visit": 1})
    assert [(step["node_id"], step["inputs"]) for step in page["steps"]] == [("n1", None)]
    assert (await ask("GET", path, params={"visit": 2}))["total_count"] == 0
    for wrong in ({"inputs": "1"}, {"inputs": ""}, {"visit": 0}):
        async with http.get(path, params=wrong) as answer:
            assert answer.status == 400


async def test_the_events_of_all_runs_are_read_from_where_one_stopped(ask, run):
    states = [await run("add"), await run("add", "add")]
    events = await ask("GET", "/events")
    assert {event["run_id"] for event in events} == {state["run_id"] for state in states}
    page = await ask("GET", "/events", params={"since": events[2]["seq"], "limit": 2})
    assert page == events[3:5]
    page = await ask(
        "GET", "/events", params={"graph_id": states[0]["graph_id"], "types": "workflow_completed"}
    )
    assert [event["run_id"] for event in page] == [states[0]["run_id"]]


async def test_statistics_count_the_runs(ask, run, make_graph):
    graph_id = await make_graph("add", name="Often")
    for _ in range(3):
        await run(graph_id=graph_id)
    await run("break_down")
    found = await ask("GET", "/history/statistics", params={"limit": 1})
    assert (found["total_count"], found["by_status"]["completed"], found["by_status"]["failed"]) == (4, 3, 1)
    assert (found["graph_count"], found["has_more"]) == (2, True)
    [graph] = found["by_graph"]
    assert (graph["graph_name"], graph["total_count"], graph["durations"]["count"]) == ("Often", 3, 3)
    assert 0 < found["durations"]["p50_s"] <= found["durations"]["p95_s"] <= found["durations"]["max_s"]
    assert (await ask("GET", "/history/statistics", params={"end_date": "2020-01-01"}))["total_count"] == 0


@pytest.mark.parametrize("date", ["0", "1e9", "5.5", "soon", "2026-13-01", "0001-01-01T00:00:00+23:59"])
async def test_what_is_no_time_is_refused(http, date):
    async with http.get("/history/statistics", params={"start_date": date}) as answer:
        assert answer.status == 400
    async with http.post("/history/executions", json={"start_date": date}) as answer:
        assert answer.status == 400


async def test_the_program_measures_itself(http, ask, run):
    await run("add")
    await http.get("/nowhere")
    before = await ask("GET", "/system/metrics")
    after = await ask("GET", "/system/metrics")
    assert after["server"]["requests_by_status"]["404"] == 1
    assert after["server"]["requests_total"] == before["server"]["requests_total"] + 1
    assert after["server"]["requests_in_progress"] == 1
    assert after["engine"]["last_seq"] > 0
    assert after["server"]["events_dispatched"] > 0
    assert after["process"]["memory_peak_bytes"] >= 10 * 2**20
    health = await ask("GET", "/system/health")
    assert (health["status"], health["tools"]["load_failures"]) == ("healthy", [])
    assert health["database"]["latency_ms"] > 0


@pytest.mark.parametrize("settings", [{"resources": {"gpu": 2}}])
async def test_a_step_that_waits_for_tokens_is_seen_over_http(http, ask, gate):
    node = {"id": "a", "function_name": "gate", "resources": {"gpu": 2}}
    ids = []
    for _ in range(2):
        body = {"graph": {"name": "Busy", "nodes": [node]}}
        async with http.post("/graph/run", json=body) as answer:
            ids.append((await answer.json())["run_id"])

    async def both_are_in():
        used = (await ask("GET", "/system/metrics"))["engine"]["resources"]["gpu"]
        return used == {"limit": 2, "in_use": 2, "abandoned": 0, "waiting": 1}

    assert await eventually(both_are_in)
    state = await ask("GET", f"/graph/state/{ids[1]}")
    waits = state["steps"]["a"]["waits_for"]
    assert (state["status"], waits["kind"], waits["resources"]) == ("running", "resources", {"gpu": 2})
    assert waits["message"] == "gpu \u00d7 2"
    assert waits["since"] >= state["accepted_at"]
    assert ask_events(await ask("GET", f"/graph/logs/{ids[1]}")) == [("waiting", "a waits for gpu \u00d7 2")]
    gate.opened.set()

    async def both_are_done():
        return [(await ask("GET", f"/graph/state/{run}"))["status"] for run in ids] == ["completed"] * 2

    assert await eventually(both_are_done)


def ask_events(log):
    return [(e["data"]["execution_event"], e["message"]) for e in log if e["event_type"] == "node_execution"]


@pytest.mark.parametrize("settings", [{"resources": {"gpu": 2}}])
async def test_a_graph_that_takes_too_much_is_stored_with_a_warning_and_its_run_is_refused(http):
    node = {"id": "a", "function_name": "add", "resources": {"gpu": 3}}
    async with http.post("/graph/create", json={"name": "Greedy", "nodes": [node]}) as answer:
        made = await answer.json()
    [warning] = made["validation_warnings"]
    assert (warning["code"], warning["node_id"], warning["field"]) == ("resource-limit", "a", "resources.gpu")
    async with http.post("/graph/run", json={"graph_id": made["graph_id"], "wait_s": 20}) as answer:
        state = await answer.json()
    assert (state["status"], state["error_message"]) == ("failed", warning["message"])
    assert state["current_state"]["execution_path"] == []


async def test_a_kept_result_is_used_and_forgotten_over_http(http, ask, services):
    services.registry.register_tool("now", now, "The time")
    body = {"graph": {"name": "Kept", "nodes": [{"id": "a", "function_name": "now", "cache": {"ttl_s": 60}}]}}
    first, again = [await ask("POST", "/graph/run", {**body, "wait_s": 20}) for _ in range(2)]
    assert again["results"] == first["results"]
    assert again["steps"]["a"]["cached_from"] == first["run_id"]
    [step] = (await ask("GET", f"/graph/steps/{again['run_id']}"))["steps"]
    assert step["cached_from"] == first["run_id"]

    async with http.delete("/cache", params={"tool": "another"}) as answer:
        assert await answer.json() == {"message": 'Forgot 0 kept results of "another"', "deleted": 0}
    async with http.delete("/cache") as answer:
        assert await answer.json() == {"message": "Forgot 1 kept result", "deleted": 1}
    third = await ask("POST", "/graph/run", {**body, "wait_s": 20})
    assert third["steps"]["a"]["cached_from"] is None
    assert third["results"] != first["results"]


def now() -> int:
    return time.time_ns()


async def test_websocket_clients_are_listed_while_they_are_there(http, ask):
    async with http.ws_connect("/ws") as socket:
        hello = await socket.receive_json()
        await socket.send_json({"action": "subscribe", "run_id": "*"})
        await socket.receive_json()
        found = await ask("GET", "/ws/connections")
        [line] = found["connections"]
        assert line["connection_id"] == hello["connection_id"]
        assert (line["subscriptions"], line["sent"], line["queued"]) == (["*"], 2, 0)

    async def gone():
        return (await ask("GET", "/ws/connections"))["total_count"] == 0

    assert await eventually(gone)

"""The Python client against the server: that it knows all of it, and what it makes of the answers."""

import asyncio
import dataclasses
import inspect
import itertools
import os
import re
import subprocess
import sys
import threading
import typing
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta

import pytest

from engine.model.graph import GraphDefinition
from engine.model.outcome import WaitForSignal
from engine.model.status import RunStatus as EngineRunStatus
from engine.model.status import StepStatus as EngineStepStatus
from tests.integration.server.conftest import chain
from wfe_desktop import client as wfe
from wfe_desktop.client import AsyncClient, Client, errors
from wfe_desktop.server.app import routes
from wfe_desktop.server.openapi import Shown, make_document

pytestmark = pytest.mark.plain_loop

FOLLOWING = {"run_and_wait", "wait", "events", "event_batches"}
"""What is made of several requests."""
NOT_OFFERED = {
    # The client waits on the WebSocket, which also goes on after a restart of the server.
    "wait_s",
}


def public(kind):
    return {
        name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_") and name != "close"
    }


class Recorder(AsyncClient):
    """A client that only notes what it would ask for."""

    async def _call(self, method, path, answer, *, names=None, query=None, body=None, headers=None):
        self.asked = (method, path)
        self.answer = answer
        raise errors.WorkflowError("noted")


def calls():
    """(method of the client, (HTTP method, path), type of the answer) for everything that is one request."""
    for name in sorted(public(AsyncClient) - FOLLOWING):
        method = getattr(AsyncClient, name)
        needed = [
            parameter
            for parameter in list(inspect.signature(method).parameters.values())[1:]
            if parameter.default is parameter.empty
        ]
        recorder = Recorder()
        arguments = {p.name: {} if p.name == "graph" else "x" for p in needed}
        with pytest.raises(errors.WorkflowError, match="noted"):
            asyncio.run(method(recorder, **arguments))
        yield method, recorder.asked, recorder.answer


@pytest.fixture(scope="module")
def known():
    return list(calls())


@pytest.fixture(scope="module")
def document():
    return make_document(routes(), "0", Shown("http://127.0.0.1:8000"))


def resolve(document, schema):
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


# ------------------------------------------------------------------------------------------- nothing is forgotten


def test_every_route_has_its_method(known, document):
    served = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert {asked for _, asked, _ in known} == served


def test_every_query_parameter_and_field_of_a_body_can_be_given(known, document):
    missing = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            given = {
                name
                for call, asked, _ in known
                if asked == (method.upper(), path)
                for name in inspect.signature(call).parameters
            }
            wanted = {p["name"] for p in operation.get("parameters", []) if p["in"] != "header"}
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                parts = [resolve(document, part) for part in schema.get("anyOf", [schema])]
                fields = {name for part in parts for name in part.get("properties", {})}
                wanted |= set() if "nodes" in fields else fields  # a graph is one parameter
            missing += [f"{method} {path}: {name}" for name in wanted - given - NOT_OFFERED]
    assert missing == []


def differences(document, kind, schema, where):
    """Where a result has other fields than the answer."""
    schema = resolve(document, schema)
    kinds = [part for part in schema.get("anyOf", []) if part != {"type": "null"}]
    if kinds:
        schema = resolve(document, kinds[0])
    if typing.get_origin(kind) in {typing.Union, type(int | None)}:
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    if typing.get_origin(kind) is list:
        yield from differences(document, typing.get_args(kind)[0], schema["items"], where)
    elif typing.get_origin(kind) is dict:
        value = typing.get_args(kind)[1]
        if dataclasses.is_dataclass(value):
            yield from differences(document, value, schema["additionalProperties"], where)
    elif dataclasses.is_dataclass(kind):
        fields = typing.get_type_hints(kind)
        if wrong := fields.keys() ^ schema["properties"].keys():
            yield f"{where} ({kind.__name__}): {sorted(wrong)}"
        for name in fields.keys() & schema["properties"].keys():
            yield from differences(document, fields[name], schema["properties"][name], f"{where}.{name}")


def test_the_results_have_the_fields_of_the_answers(known, document):
    found = []
    for call, (method, path), answer in known:
        responses = document["paths"][path][method.lower()]["responses"]
        schemas = [
            content["schema"]
            for status in responses
            if status < "300"
            for media, content in responses[status].get("content", {}).items()
            if media != "text/html"
        ]
        if (method, path) in {("POST", "/graph/run"), ("POST", "/graph/fork/{run_id}")}:
            schemas = schemas[1:]  # of 202: the client never waits with this request
        for schema in schemas:
            found += differences(document, answer, schema, call.__name__)
    assert found == []


def test_both_clients_have_the_same_methods_with_the_same_parameters():
    assert public(Client) == public(AsyncClient) - {"event_batches"}
    for name in public(Client):
        assert inspect.signature(getattr(Client, name)).parameters.keys() == (
            inspect.signature(getattr(AsyncClient, name)).parameters.keys()
        )
        assert inspect.getdoc(getattr(Client, name)) == inspect.getdoc(getattr(AsyncClient, name))


@pytest.mark.timeout(180)
def test_whoever_uses_the_client_can_have_mypy_strict(project_root, tmp_path):
    """With the types that a reader of docs/client.md expects, and with a mistake."""
    user = tmp_path / "user.py"
    user.write_text(
        """
from wfe_desktop.client import AsyncClient, Client

def use(client: Client) -> None:
    run = client.run_and_wait("id", {"value": 1}, timeout=5)
    reveal_type(run.current_state.data)
    reveal_type(client.pause)
    for event in client.events(run.run_id):
        reveal_type(event.timestamp)
    client.get_tool(5)

async def wait(client: AsyncClient) -> None:
    reveal_type((await client.wait("id")).status)
"""
    )
    example = project_root / "docs" / "examples" / "run.py"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--config-file",
            os.devnull,
            "--cache-dir",
            tmp_path,
            user,
            example,
        ],
        cwd=project_root,
        capture_output=True,
        text=True,
        check=False,
    )
    told = re.findall(r"(?:note|error): (.*)", done.stdout)
    assert told == [
        'Revealed type is "dict[str, Any]"',
        'Revealed type is "def (run_id: str) -> bool"',
        'Revealed type is "datetime.datetime"',
        'Argument 1 has incompatible type "int"; expected "str"  [arg-type]',
        'Revealed type is "wfe_desktop.client.results.RunStatus"',
    ]


def test_the_words_are_those_of_the_engine():
    assert {s.value for s in wfe.RunStatus} == {s.value for s in EngineRunStatus}
    assert {s for s in wfe.RunStatus if s.is_final} == {s for s in EngineRunStatus if s.is_final}
    assert {s.value for s in wfe.StepStatus} == {s.value for s in EngineStepStatus}
    import engine.errors

    for name in (
        "GraphNotFound",
        "RunNotFound",
        "ToolNotFound",
        "ValidationError",
        "ConflictError",
        "DatabaseError",
    ):
        assert getattr(wfe, name).code == getattr(engine.errors, name).code


# -------------------------------------------------------------------------------------------------- what it does


@pytest.fixture
def client(loop, server):
    async def make():
        return AsyncClient(server.address)

    client = loop.run_until_complete(make())
    yield client
    loop.run_until_complete(client.close())


@pytest.fixture
def approval(services):
    def ask_for_approval() -> WaitForSignal:
        return WaitForSignal("approval", {"type": "boolean"}, "May it?")

    services.registry.register_tool("ask", ask_for_approval, "Asks")


async def test_graphs_are_stored_changed_compared_and_deleted(client):
    graph_id = await client.create_graph(GraphDefinition.model_validate(chain("add", name="One")))
    assert (await client.get_graph(graph_id))["name"] == "One"
    updated = await client.update_graph(graph_id, chain("add", "add", name="Two"), expected_version=1)
    assert (updated.version, updated.validation_warnings) == (2, [])
    with pytest.raises(wfe.PreconditionFailed) as caught:
        await client.update_graph(graph_id, chain("add"), expected_version=1)
    assert (caught.value.status, caught.value.details["version"]) == (412, 2)
    assert [line.version for line in (await client.list_versions(graph_id)).versions] == [2, 1]
    assert list((await client.get_layout(graph_id, direction="down")).nodes) == [
        node["id"] for node in (await client.get_graph(graph_id))["nodes"]
    ]
    diff = await client.compare_versions(graph_id)
    assert [node["id"] for node in diff.nodes.added] == ["n1"]
    assert diff.fields["name"] == {"before": "One", "after": "Two"}
    [line] = await client.list_graphs()
    assert (line.id, line.node_count, line.created_at.tzinfo) == (graph_id, 2, UTC)
    assert (await client.get_graph(graph_id, version=1))["name"] == "One"
    await client.delete_graph(graph_id)
    assert await client.list_graphs() == []


async def test_a_run_is_started_steered_and_read_back(client, approval):
    graph_id = await client.create_graph(chain("add", "ask", "add"))
    run_id = await client.execute_workflow(graph_id, {"total": 40})
    async for event in client.events(run_id):
        if event.data.get("execution_event") == "waiting":
            break
    state = await client.get_execution_status(run_id)
    assert state.status is wfe.RunStatus.WAITING
    assert state.steps["n1"].waits_for.signal == "approval"
    with pytest.raises(wfe.ValidationError) as caught:
        await client.signal(run_id, "approval", "perhaps")
    assert caught.value.problems
    assert await client.set_breakpoints(run_id, ["n2"])
    assert await client.signal(run_id, "approval", True)
    async for event in client.events(run_id, since=state.seq):
        if event.event_type == "workflow_paused":
            break
    assert not await client.pause(run_id)
    assert await client.step(run_id)
    state = await client.wait(run_id, timeout=20)
    assert (state.status.value, state.current_state.data) == ("completed", {"total": 42})
    assert state.current_state.execution_path == ["n0", "n1", "n2"]
    assert not await client.resume(run_id)
    assert not await client.retry(run_id)
    assert not await client.cancel_execution(run_id)
    assert not await client.decide_step(run_id, "n0", "fail")
    steps = await client.get_execution_steps(run_id, node_id="n2", status=wfe.StepStatus.COMPLETED)
    assert [(step.node_id, step.visit) for step in steps.steps] == [("n2", 1)]
    logs = await client.get_execution_logs(run_id, types=["workflow_completed"])
    assert [event.event_type for event in logs] == ["workflow_completed"]
    assert logs == await client.read_events(since=logs[0].seq - 1, run_id=run_id)


async def test_runs_are_found_counted_and_cancelled_together(client, gate):
    held = await client.execute_graph(chain("gate", name="Held"), idempotency_key="one")
    again = await client.execute_graph(chain("gate", name="Held"), idempotency_key="one")
    assert again.run_id == held.run_id
    with pytest.raises(wfe.ConflictError):
        await client.execute_graph(chain("gate", name="Other"), idempotency_key="one")
    assert (await client.run_and_wait(held.graph_id and chain("break_down"), {})).error_message
    cancelled = await client.cancel_executions(run_ids=[held.run_id, "nobody"])
    assert (cancelled.cancelled, cancelled.not_found) == ([held.run_id], ["nobody"])
    gate.opened.set()
    assert (await client.wait(held.run_id)).status is wfe.RunStatus.CANCELLED
    assert (await client.cancel_executions(graph_id=held.graph_id)).cancelled == []
    yesterday = datetime.now(UTC) - timedelta(days=1)
    history = await client.query_historical_executions(status="cancelled", start_date=yesterday, limit=5)
    assert [line.run_id for line in history.executions] == [held.run_id]
    statistics = await client.get_execution_statistics(start_date=yesterday)
    assert statistics.by_status[wfe.RunStatus.FAILED] == 1


async def test_the_server_tells_of_itself(client):
    tools = await client.list_tools()
    assert tools["add"].inputs[-1].schema["type"] == "integer"
    assert await client.get_tool("add") == tools["add"]
    assert (await client.health()).status == "healthy"
    assert (await client.system_health()).database.latency_ms >= 0
    assert (await client.system_metrics()).server.requests_by_status[200] >= 3
    assert await client.list_connections() == []
    assert (await client.about()).message == "Agent Workflow Engine is running"
    assert (await client.openapi_document())["openapi"].startswith("3.1")


async def test_errors_have_the_engines_names_and_the_servers_words(client):
    with pytest.raises(wfe.GraphNotFound, match='"nothing"') as caught:
        await client.execute_workflow("nothing")
    assert (caught.value.code, caught.value.status, caught.value.details) == (
        "GraphNotFound",
        404,
        {"graph_id": "nothing"},
    )
    for asking in (
        client.get_execution_status("no/body?"),
        client.cancel_execution("nobody"),
        client.wait("nobody"),
        anext(client.events("nobody")),
    ):
        with pytest.raises(wfe.RunNotFound):
            await asking
    with pytest.raises(wfe.ToolNotFound, match="add"):
        await client.get_tool("ad")
    with pytest.raises(wfe.ValidationError) as caught:
        await client.create_graph({**chain("add"), "entry_point": "nowhere", "colour": 1})
    assert {problem.get("field") for problem in caught.value.problems} >= {"colour"}
    checked = await client.validate_graph({**chain("add"), "entry_point": "nowhere"})
    assert not checked.is_valid
    assert checked.errors[0].message


async def test_wait_gives_up_and_the_run_goes_on(client, gate):
    run_id = (await client.execute_graph(chain("gate"))).run_id
    with pytest.raises(TimeoutError, match=run_id):
        await client.wait(run_id, timeout=0.05)
    gate.opened.set()
    assert (await client.wait(run_id)).status is wfe.RunStatus.COMPLETED


async def test_a_run_that_failed_is_followed_through_its_retry(client, services):
    broken = True

    def break_once() -> str:
        if broken:
            raise ValueError("no luck")
        return "luck"

    services.registry.register_tool("break_once", break_once, "Fails once")
    run_id = (await client.execute_graph(chain("break_once"))).run_id
    assert [event.ends_run async for event in client.events(run_id)][-1]
    broken = False
    assert await client.retry(run_id)
    assert (await client.wait(run_id)).status is wfe.RunStatus.COMPLETED
    events = [event async for event in client.events(run_id)]
    assert [event.event_type for event in events if event.ends_run] == [
        "execution_error",
        "workflow_completed",
    ]
    assert [event async for event in client.events(run_id, since=events[-1].seq)] == []


async def test_nobody_at_the_address_is_an_error_of_the_connection(unused_port):
    async with AsyncClient(f"http://127.0.0.1:{unused_port}") as client:
        with pytest.raises(wfe.ConnectionFailed, match=str(unused_port)):
            await client.health()
        with pytest.raises(ConnectionError):
            await anext(client.events())


async def test_a_server_that_does_not_answer_is_given_up(loop):
    silent = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with AsyncClient(f"http://127.0.0.1:{port}", timeout_s=0.1) as client:
        with pytest.raises(wfe.ServerTimedOut, match=r"within 0\.1 s"):
            await client.health()
        with pytest.raises(wfe.ServerTimedOut):
            await client.wait("x", timeout=20)
    silent.close()


@pytest.fixture
def unused_port():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


# ------------------------------------------------------------------------------------------- broken connections


class Cutter:
    """Stands between a client and a server, and cuts each WebSocket after some bytes, in the middle of whatever it is."""

    def __init__(self, server, bytes_each):
        self._server, self._bytes_each = server, bytes_each
        self.cuts = 0
        self._tasks = set()

    async def start(self):
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{self.port}"

    async def close(self):
        self._listener.close()
        await asyncio.gather(*self._tasks)

    async def _accept(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        there, back = await asyncio.open_connection("127.0.0.1", self._server.port)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            own_name = f"Host: 127.0.0.1:{self.port}".encode()
            name = f"Host: 127.0.0.1:{self._server.port}".encode()
            if not head.startswith(b"GET /ws "):
                back.write(head.replace(own_name, name + b"\r\nConnection: close"))
                await self._pump(there, writer, 10_000_000)
                return
            back.write(head.replace(own_name, name))
            orders = asyncio.ensure_future(self._pump(reader, back, 10_000_000))
            writer.write(await there.readuntil(b"\r\n\r\n"))
            await self._pump(there, writer, next(self._bytes_each))
            self.cuts += 1
        finally:
            writer.close()
            back.close()
        await orders

    @staticmethod
    async def _pump(source, target, limit):
        with suppress(ConnectionError):
            while limit and (some := await source.read(min(limit, 4096))):
                target.write(some)
                await target.drain()
                limit -= len(some)


@pytest.mark.parametrize("run_id", ["one run", None])
async def test_p05_events_come_once_and_in_order_however_often_the_connection_breaks(
    loop, server, client, services, monkeypatch, run_id
):
    monkeypatch.setattr("wfe_desktop.client.asynchronous.FIRST_PAUSE_S", 0.001)
    run = await client.run_and_wait(chain(*["add"] * 40), timeout=20)
    cutter = Cutter(server, itertools.chain(range(1, 40_000, 1_500), itertools.repeat(1_000_000)))
    stored = await client.read_events()
    seen = []
    async with (
        AsyncClient(await cutter.start()) as through,
        aclosing(through.events(run.run_id if run_id else None, since=0)) as events,
    ):
        async for event in events:
            seen.append(event)
            if run_id is None and len(seen) == len(stored):
                break
    assert seen == stored
    assert len(stored) > 80
    assert cutter.cuts > 10
    await cutter.close()


async def test_events_of_some_types_come_alone_and_end_with_the_run(client, run, gate):
    old = (await run("add", "break_down"))["run_id"]
    stored = await client.get_execution_logs(old)
    for types in (["node_execution"], ["node_execution", "execution_error"], {"workflow_paused"}):
        seen = [event async for event in client.events(old, types=types)]
        assert seen == [event for event in stored if event.event_type in types]
    assert len(stored) > len(seen) == 0
    going = (await client.execute_graph(chain("gate", "add"))).run_id
    async with aclosing(client.events(going, types=["node_execution"])) as events:
        seen = [await anext(events)]
        gate.opened.set()
        seen += [event async for event in events]
    assert seen == await client.get_execution_logs(going, types=["node_execution"])
    assert len(seen) >= 4


async def test_p05_filtered_events_come_once_and_in_order_however_often_the_connection_breaks(
    loop, server, client, services, monkeypatch
):
    monkeypatch.setattr("wfe_desktop.client.asynchronous.FIRST_PAUSE_S", 0.001)
    run = await client.run_and_wait(chain(*["add"] * 40), timeout=20)
    cutter = Cutter(server, itertools.chain(range(1, 20_000, 1_500), itertools.repeat(1_000_000)))
    async with AsyncClient(await cutter.start()) as through:
        seen = [event async for event in through.events(run.run_id, types=["node_execution"])]
    assert seen == await client.get_execution_logs(run.run_id, types=["node_execution"])
    assert len(seen) >= 80
    assert cutter.cuts > 5
    await cutter.close()


async def test_the_events_of_a_graphs_runs_are_followed(client, make_graph):
    graph_id = await make_graph("add")
    first = await client.run_and_wait(graph_id)
    await client.run_and_wait(chain("add", name="Another"))
    async with aclosing(client.events(graph_id=graph_id, since=0, types=["workflow_completed"])) as events:
        assert (await anext(events)).run_id == first.run_id
        second = await client.run_and_wait(graph_id)
        assert (await anext(events)).run_id == second.run_id
    with pytest.raises(wfe.GraphNotFound):
        await anext(client.events(graph_id="nope"))
    with pytest.raises(wfe.ValidationError, match="either run_id or graph_id"):
        await anext(client.events(first.run_id, 1, graph_id=graph_id))


async def test_who_comes_late_is_told_how_a_run_stands_and_then_what_happens(client, gate):
    run_id = (await client.execute_graph(chain("add", "gate", "add"))).run_id
    async for event in client.events(run_id):
        if event.node_id == "n1":
            break
    async with aclosing(client.events(run_id, snapshot=True, types=["node_execution"])) as events:
        snapshot = await anext(events)
        assert (snapshot.event_type, snapshot.run_id) == ("snapshot", run_id)
        assert snapshot.seq == snapshot.data["seq"] >= event.seq
        assert snapshot.data["steps"]["n1"]["status"] == "running"
        gate.opened.set()
        rest = [event async for event in events]
    assert rest == await client.get_execution_logs(run_id, snapshot.seq, types=["node_execution"])
    ended = [event async for event in client.events(run_id, snapshot=True)]
    assert [(event.event_type, event.data["status"]) for event in ended] == [("snapshot", "completed")]
    with pytest.raises(wfe.ValidationError, match="takes the place of since"):
        await anext(client.events(run_id, since=1, snapshot=True))


async def test_how_far_steps_are_is_told_among_the_events(client, services):
    told = threading.Event()

    def count(context) -> str:
        context.progress(3, 10, "counting")
        assert told.wait(20)
        return "counted"

    services.registry.register_tool("count", count, "Counts")
    await client.create_graph(chain("add", "count"))
    async with aclosing(client.events(progress=True, types=["workflow_completed"])) as events:
        following = asyncio.ensure_future(anext(events))
        while not any(line.subscriptions for line in await client.list_connections()):
            pass
        run_id = (await client.execute_graph(chain("add", "count"))).run_id
        progress = await asyncio.wait_for(following, 20)
        told.set()
        assert (progress.event_type, progress.run_id, progress.node_id) == ("step_progress", run_id, "n1")
        assert (progress.data["done"], progress.data["total"], progress.message) == (3, 10, "counting")
        end = await anext(events)
        assert (end.event_type, end.run_id) == ("workflow_completed", run_id)
        assert progress.seq < end.seq


async def test_who_follows_all_runs_is_told_first_which_are_under_way(client, gate):
    run_id = (await client.execute_graph(chain("gate"))).run_id
    async with aclosing(client.events(snapshot=True)) as events:
        snapshot = await anext(events)
        assert (snapshot.run_id, [line["run_id"] for line in snapshot.data["runs"]]) == ("*", [run_id])
        gate.opened.set()
        async for event in events:
            assert event.seq > snapshot.seq
            if event.ends_run:
                break


# ------------------------------------------------------------------------------------------------- the plain client


async def test_the_plain_client_does_the_same_from_any_thread(server):
    def drive():
        with Client(server.address) as client:
            state = client.run_and_wait(chain("add", "add"), {"total": 40}, timeout=20)
            assert state.current_state.data == {"total": 42}
            events = list(client.events(state.run_id))
            assert [event.seq for event in events] == [
                event.seq for event in client.get_execution_logs(state.run_id)
            ]
            assert events == client.get_execution_logs(state.run_id)
            with pytest.raises(wfe.RunNotFound):
                client.pause("nobody")
            assert [event.event_type for event in client.events(state.run_id, snapshot=True)] == ["snapshot"]
            [end] = client.events(state.run_id, types=["workflow_completed"])
            assert end == events[-1]
            following = client.events()
            run_id = client.execute_graph(chain("add")).run_id
            following.close()
            client.wait(run_id)
        with pytest.raises(wfe.WorkflowError, match="closed"):
            client.health()
        client.close()

    await asyncio.to_thread(drive)


async def test_a_client_that_is_left_behind_takes_its_thread_with_it(server):
    def leave():
        assert Client(server.address).health().status == "healthy"

    await asyncio.to_thread(leave)  # the fixture no_thread_left_behind looks for its thread


@pytest.mark.parametrize("settings", [{"api_token": "s3cret-s3cret"}])
async def test_the_token_is_that_of_the_environment_or_the_one_given(server, monkeypatch):
    async with AsyncClient(server.address) as stranger:
        with pytest.raises(wfe.Unauthorized):
            await stranger.health()
        with pytest.raises(wfe.Unauthorized):
            await anext(stranger.events())
    async with AsyncClient(server.address, token="s3cret-s3cret") as client:
        run = await client.run_and_wait(chain("add"))
        assert [event.run_id async for event in client.events(run.run_id)]
    monkeypatch.setenv("WFE_API_TOKEN", "s3cret-s3cret")
    async with AsyncClient(server.address) as client:
        assert (await client.health()).service == "agent-workflow-engine"


def test_an_address_without_a_scheme_is_refused():
    with pytest.raises(ValueError, match=re.escape("127.0.0.1:8000")):
        Client("127.0.0.1:8000")

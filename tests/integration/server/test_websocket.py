import asyncio
import json
import threading

import aiohttp
import pytest
from aiohttp import WSMsgType

from wfe_desktop.server import subscriber as subscriber_module
from wfe_desktop.server import websocket as websocket_module
from wfe_desktop.server.websocket import MAX_MESSAGE_BYTES

pytestmark = pytest.mark.plain_loop


@pytest.fixture
def connect(http):
    async def connect(path="/ws", **more):
        socket = await http.ws_connect(path, **more)
        hello = await socket.receive_json(timeout=5)
        assert hello["event_type"] == "connection_established"
        return socket

    return connect


async def ask(socket, **message):
    await socket.send_json(message)
    return await socket.receive_json(timeout=5)


async def collect(socket, until, found=()):
    """Messages up to the first of this event type, which is included; arrays are taken apart."""
    found = list(found)
    while True:
        message = await socket.receive_json(timeout=10)
        for event in message if isinstance(message, list) else [message]:
            found.append(event)
        if any(event["event_type"] == until for event in found):
            return found


@pytest.mark.parametrize("path", ["/ws", "/ws/monitor", "/api/v1/ws", "/api/v1/ws/monitor"])
async def test_the_server_greets_with_a_connection_id(http, path):
    async with http.ws_connect(path) as socket:
        hello = await socket.receive_json(timeout=5)
    assert hello["event_type"] == "connection_established"
    assert hello["connection_id"]
    assert {"event_type", "run_id", "timestamp", "seq", "data"} <= set(hello)


async def test_ping_unsubscribe_and_status_are_answered(connect):
    socket = await connect()
    assert (await ask(socket, action="ping"))["event_type"] == "pong"
    confirmed = await ask(socket, action="subscribe", run_id="*")
    assert (confirmed["event_type"], confirmed["run_id"]) == ("subscription_confirmed", "*")
    status = await ask(socket, action="get_status")
    assert status["event_type"] == "status_info"
    assert status["data"]["subscriptions"] == ["*"]
    assert status["data"]["connections"] == 1
    assert (await ask(socket, action="unsubscribe", run_id="*"))["event_type"] == "unsubscribed"
    assert (await ask(socket, action="get_status"))["data"]["subscriptions"] == []


async def test_a_run_is_watched_to_its_end(connect, run):
    socket = await connect()
    await ask(socket, action="subscribe", run_id="*")
    state = await run("add", "add")
    events = await collect(socket, "workflow_completed")
    assert [event["event_type"] for event in events if event["event_type"] != "execution_status_update"] == [
        "workflow_started",
        *["node_execution"] * 4,
        "workflow_completed",
    ]
    assert {event["run_id"] for event in events} == {state["run_id"]}
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))
    assert all(event["timestamp"].endswith("Z") for event in events)
    [completed] = [
        event
        for event in events
        if event["data"].get("node_id") == "n1" and event["data"]["execution_event"] == "completed"
    ]
    assert completed["data"]["visit"] == 1
    assert completed["data"]["message"]


async def test_a_failure_is_told_with_its_reason(connect, run):
    socket = await connect()
    await ask(socket, action="subscribe", run_id="*")
    await run("break_down")
    events = await collect(socket, "execution_error")
    assert "luck" in events[-1]["data"]["error_message"]


async def test_since_gives_history_and_then_what_happens(connect, http, make_graph, gate, run):
    await run("add")
    graph_id = await make_graph("add", "gate", "add")
    async with http.post("/graph/run", json={"graph_id": graph_id}) as answer:
        run_id = (await answer.json())["run_id"]
    socket = await connect()
    await socket.send_json({"action": "subscribe", "run_id": run_id, "since": 0})
    first = [await socket.receive_json(timeout=5) for _ in range(4)]
    gate.opened.set()
    events = await collect(socket, "workflow_completed", first)
    assert events.pop(0)["event_type"] == "subscription_confirmed"
    async with http.get(f"/graph/logs/{run_id}") as answer:
        log = await answer.json()
    assert [event["seq"] for event in events] == [event["seq"] for event in log]
    assert [event["data"].get("execution_event") for event in events] == [
        event["data"].get("execution_event") for event in log
    ]


async def test_a_client_resumes_from_its_last_seq(connect, run):
    state = await run("add", "add")
    socket = await connect()
    await socket.send_json({"action": "subscribe", "run_id": state["run_id"], "since": 0})
    events = (await collect(socket, "workflow_completed"))[1:]
    await socket.close()
    again = await connect()
    await again.send_json({"action": "subscribe", "run_id": "*", "since": events[2]["seq"]})
    assert (await collect(again, "workflow_completed"))[1:] == events[3:]


async def test_with_batch_ms_events_come_in_arrays(connect, run):
    socket = await connect()
    await ask(socket, action="subscribe", run_id="*", batch_ms=50)
    await run("add", "add")
    message = await socket.receive_json(timeout=5)
    assert isinstance(message, list)
    assert len(message) > 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "null",
        "[]",
        "5",
        "{}",
        '{"action": "dance"}',
        '{"action": 5}',
        '{"action": ["ping"]}',
        '{"action": "ping", "more": 1}',
        '{"action": "subscribe"}',
        '{"action": "subscribe", "run_id": 5}',
        '{"action": "subscribe", "run_id": ""}',
        '{"action": "subscribe", "run_id": "*", "since": -1}',
        '{"action": "subscribe", "run_id": "*", "since": "0"}',
        '{"action": "subscribe", "run_id": "*", "since": 99999999999999999999}',
        '{"action": "subscribe", "run_id": "*", "batch_ms": 0}',
        '{"action": "subscribe", "run_id": "*", "graph_id": "x"}',
        '{"action": "subscribe", "run_id": "*", "since": 1, "snapshot": true}',
        '{"action": "subscribe", "run_id": "*", "types": []}',
        '{"action": "subscribe", "run_id": "*", "types": "log"}',
        '{"action": "unsubscribe"}',
        '{"action": "subscribe", "run_id": "*", "action": "ping"}',
        '{"action": "subscribe", "run_id": "\\ud800"}',
        '{"action": NaN}',
        "[" * 10_000,
    ],
)
async def test_what_is_not_understood_is_an_error_and_the_connection_lives_on(connect, text):
    socket = await connect()
    await socket.send_str(text)
    error = await socket.receive_json(timeout=5)
    assert error["event_type"] == "error"
    assert error["data"]["error"] == "ValidationError"
    assert error["data"]["message"]
    assert (await ask(socket, action="ping"))["event_type"] == "pong"


async def test_an_unknown_run_is_an_error(connect):
    socket = await connect()
    error = await ask(socket, action="subscribe", run_id="nope")
    assert error["event_type"] == "error"
    assert error["data"]["error"] == "RunNotFound"


async def test_the_runs_of_a_graph_are_watched_old_ones_and_new_ones(connect, run, make_graph, services):
    wanted, other = await make_graph("add"), await make_graph("add", "add")
    before = (await run(graph_id=wanted))["run_id"]
    await run(graph_id=other)
    socket = await connect()
    confirmed = await ask(socket, action="subscribe", graph_id=wanted, since=0)
    assert (confirmed["event_type"], confirmed["data"]["graph_id"]) == ("subscription_confirmed", wanted)
    events = await collect(socket, "workflow_completed")
    await run(graph_id=other)
    after = (await run(graph_id=wanted))["run_id"]
    events += await collect(socket, "workflow_completed")
    assert {event["run_id"] for event in events} == {before, after}
    stored = services.states.read_events(graph_id=wanted)
    assert [event["seq"] for event in events] == [entry.seq for entry in stored]
    status = await ask(socket, action="get_status")
    assert status["data"]["subscriptions"] == [f"graph:{wanted}"]
    gone = await ask(socket, action="unsubscribe", graph_id=wanted)
    assert gone["data"] == {"was_subscribed": True, "graph_id": wanted}
    error = await ask(socket, action="subscribe", graph_id="nope")
    assert error["data"]["error"] == "GraphNotFound"


async def test_a_failed_run_that_is_retried_is_known_to_be_of_its_graph(
    connect, run, make_graph, services, http
):
    """Its acceptance was long ago, for this server as well."""
    graph_id = await make_graph("break_down")
    run_id = (await run(graph_id=graph_id))["run_id"]
    socket = await connect()
    await ask(socket, action="subscribe", graph_id=graph_id, types=["workflow_resumed", "execution_error"])
    async with http.post(f"/graph/retry/{run_id}") as answer:
        assert (await answer.json())["retried"]
    events = await collect(socket, "execution_error")
    assert [event["event_type"] for event in events] == ["workflow_resumed", "execution_error"]


async def test_who_comes_late_is_first_told_how_a_run_stands_and_then_what_happens(
    connect, http, make_graph, gate
):
    graph_id = await make_graph("add", "gate", "add")
    body = {"graph_id": graph_id, "initial_state": {"text": "x" * 100_000}}
    async with http.post("/graph/run", json=body) as answer:
        run_id = (await answer.json())["run_id"]
    first = await connect()
    await ask(first, action="subscribe", run_id=run_id, since=0)
    events = []
    while not any(event["data"].get("node_id") == "n1" for event in events):
        events.append(await first.receive_json(timeout=5))
    late = await connect()
    assert (await ask(late, action="subscribe", run_id=run_id, snapshot=True))["data"]["since"] is None
    snapshot = await late.receive_json(timeout=5)
    assert (snapshot["event_type"], snapshot["run_id"]) == ("snapshot", run_id)
    assert snapshot["seq"] == snapshot["data"]["seq"] >= events[-1]["seq"]
    assert snapshot["data"]["current_state"]["data"]["text"] == "x" * 100_000
    assert snapshot["data"]["steps"]["n1"]["status"] == "running"
    gate.opened.set()
    rest = await collect(late, "workflow_completed")
    assert [event["seq"] for event in rest] == [
        event["seq"]
        for event in events + await collect(first, "workflow_completed")
        if event["seq"] > snapshot["seq"]
    ]


@pytest.mark.parametrize("of", ["all", "graph"])
async def test_who_comes_late_is_told_which_runs_are_under_way(connect, http, make_graph, run, gate, of):
    await run("add")
    graph_id = await make_graph("gate")
    async with http.post("/graph/run", json={"graph_id": graph_id}) as answer:
        run_id = (await answer.json())["run_id"]
    socket = await connect()
    matter = {"graph_id": graph_id} if of == "graph" else {"run_id": "*"}
    await ask(socket, action="subscribe", **matter, snapshot=True)
    snapshot = await socket.receive_json(timeout=5)
    assert [(line["run_id"], line["graph_id"]) for line in snapshot["data"]["runs"]] == [(run_id, graph_id)]
    gate.opened.set()
    events = await collect(socket, "workflow_completed")
    assert min(event["seq"] for event in events) > snapshot["seq"]


async def test_only_the_wanted_types_of_events_are_told(connect, run):
    socket = await connect()
    await ask(socket, action="subscribe", run_id="*", types=["workflow_started", "workflow_completed"])
    await run("add", "add")
    events = await collect(socket, "workflow_completed")
    assert [event["event_type"] for event in events] == ["workflow_started", "workflow_completed"]


async def test_a_client_that_does_not_answer_pings_is_closed(http, connect, monkeypatch):
    monkeypatch.setattr(websocket_module, "PING_EVERY_S", 0.2)
    socket = await http.ws_connect("/ws", autoping=False)
    await socket.receive_json(timeout=5)
    assert (await socket.receive(timeout=5)).type is WSMsgType.PING
    other = await connect()
    async with asyncio.timeout(10):
        while (await ask(other, action="get_status"))["data"]["connections"] > 1:  # noqa: ASYNC110 - see below
            await asyncio.sleep(0.05)
    await socket.close()


async def test_binary_frames_close_the_connection(connect):
    socket = await connect()
    await socket.send_bytes(b"{}")
    message = await socket.receive(timeout=5)
    assert message.type is WSMsgType.CLOSE
    assert message.data == 1003


async def test_a_message_has_a_limit(connect):
    socket = await connect()
    await socket.send_str(json.dumps({"action": "ping", "x": "y" * MAX_MESSAGE_BYTES}))
    message = await socket.receive(timeout=5)
    assert message.type is WSMsgType.CLOSE
    assert message.data == 1009


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("path", ["/ws", "/api/v1/ws/monitor"])
async def test_strangers_get_no_socket(http, headers, path):
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(path, headers=headers)
    assert caught.value.status in {403, 421}


async def test_a_plain_request_is_told_what_is_spoken_here(http):
    async with http.get("/ws") as answer:
        assert answer.status == 426
        assert answer.headers["Upgrade"] == "websocket"


async def test_there_is_a_limit_to_connections(http, connect, services):
    services.config = services.config.model_copy(update={"max_websockets": 2})
    first, second = await connect(), await connect()
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect("/ws")
    assert caught.value.status == 503
    await second.close()
    await first.close()
    await connect()


async def test_clients_are_told_when_the_server_closes(connect, server):
    sockets = [await connect() for _ in range(3)]
    closing = asyncio.ensure_future(server.close())
    for socket in sockets:
        message = await socket.receive(timeout=5)
        assert message.type is WSMsgType.CLOSE
        assert message.data == 1001
    await closing


async def test_a_client_that_does_not_read_is_dropped_and_neither_the_engine_nor_others_notice(
    server, connect, run, make_graph, monkeypatch
):
    monkeypatch.setattr(subscriber_module, "MAX_QUEUED", 1_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**10)
    writer.transport.get_extra_info("socket").setsockopt(1, 8, 4096)  # SO_RCVBUF
    writer.write(
        (
            f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    payload = b'{"action": "subscribe", "run_id": "*"}'
    writer.write(bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
    writer.transport.pause_reading()
    quick = await connect()
    await ask(quick, action="subscribe", run_id="*", batch_ms=5)

    graph_id = await make_graph(
        "add",
        "add",
        edges=[
            {"from_node": "n0", "to_node": "n0", "condition": "state.total < 2500"},
            {"from_node": "n0", "to_node": "n1", "condition": "else"},
        ],
    )

    async def read():
        events = []
        while sum(event["event_type"] == "workflow_completed" for event in events) < 4:
            events += await quick.receive_json(timeout=10)
        return events

    reading = asyncio.ensure_future(read())
    for _ in range(4):
        assert (await run(graph_id=graph_id))["status"] == "completed"
    events = await reading
    assert len(events) > 4 * 5_000
    assert [event["seq"] for event in events] == sorted(event["seq"] for event in events)
    async with asyncio.timeout(10):
        while (await ask(quick, action="get_status"))["data"]["connections"] > 1:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.05)
    writer.close()


async def test_how_far_a_step_is_is_told_on_request(connect, services, run, make_graph):
    told = threading.Event()

    def count(context) -> str:
        context.progress(3, 10, "counting")
        assert told.wait(20)
        return "counted"

    services.registry.register_tool("count", count, "Counts")
    graph_id = await make_graph("count")
    asked, plain = await connect(), await connect()
    confirmed = await ask(asked, action="subscribe", run_id="*", progress=True, types=["workflow_completed"])
    assert confirmed["data"]["progress"] is True
    assert "progress" not in (await ask(plain, action="subscribe", run_id="*"))["data"]
    ending = asyncio.ensure_future(run(graph_id=graph_id))
    message = await asked.receive_json(timeout=10)
    told.set()
    run_id = (await ending)["run_id"]
    assert (message["event_type"], message["run_id"], message["seq"]) == ("step_progress", run_id, None)
    about = {"node_id": "n0", "visit": 1, "attempt": 1, "item": None, "message": "counting"}
    assert message["data"] == {**about, "done": 3, "total": 10}
    assert (await asked.receive_json(timeout=10))["event_type"] == "workflow_completed"
    events = await collect(plain, "workflow_completed")
    assert "step_progress" not in {event["event_type"] for event in events}
    assert [entry.run_id for entry in services.states.read_events()] == [run_id] * len(events)

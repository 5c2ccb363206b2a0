"""The server on Qt's event loop, as it runs beside the window (the other tests here run on asyncio's own)."""

import asyncio
import sys

import aiohttp

from tests.gap_meter import GapMeter
from tests.integration.server.conftest import read_reply


async def test_requests_and_events_work_on_the_loop_of_the_window(http, run):
    async with http.ws_connect("/ws") as socket:
        await socket.receive_json(timeout=5)
        await socket.send_json({"action": "subscribe", "run_id": "*", "since": 0, "batch_ms": 5})
        assert (await socket.receive_json(timeout=5))["event_type"] == "subscription_confirmed"
        states = await asyncio.gather(*(run("add", "add") for _ in range(5)))
        assert [state["current_state"]["data"] for state in states] == [{"total": 2}] * 5
        events = []
        while sum(event["event_type"] == "workflow_completed" for event in events) < 5:
            events += await socket.receive_json(timeout=10)
    seqs = [event["seq"] for event in events]
    assert seqs == list(range(1, len(seqs) + 1))


async def test_a_client_that_hangs_up_while_it_waits_is_let_go(http, make_graph, services, gate):
    body = {"graph_id": await make_graph("gate"), "wait_s": 20}
    waiting = asyncio.ensure_future(http.post("/graph/run", json=body))
    async with asyncio.timeout(5):
        while services.engine.running_steps == 0:  # noqa: ASYNC110 - there is nothing to wait for
            await asyncio.sleep(0.01)
    waiting.cancel()
    gate.opened.set()
    async with http.get("/health") as answer:
        assert answer.status == 200


async def test_hostile_bytes_are_answered_on_this_loop_too(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert (await read_reply(reader)).status == 421
    writer.close()


async def test_the_server_closes_in_order_on_this_loop(http, server):
    async with http.ws_connect("/ws") as socket:
        await socket.receive_json(timeout=5)
        closing = asyncio.ensure_future(server.close())
        message = await socket.receive(timeout=5)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
        await closing


FLOOD = """
import asyncio, collections, sys, time

async def ask_again_and_again(port, end, counts):
    asked = f"GET /graphs HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n".encode()
    while time.monotonic() < end:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            while time.monotonic() < end:
                writer.write(asked)
                head = await reader.readuntil(b"\\r\\n\\r\\n")
                counts[head[9:12].decode()] += 1
                length = head.lower().split(b"content-length: ")[1].split(b"\\r\\n")[0]
                await reader.readexactly(int(length))
        except (OSError, EOFError):
            await asyncio.sleep(0.01)

async def main():
    counts = collections.Counter()
    end = time.monotonic() + float(sys.argv[2])
    await asyncio.gather(*(ask_again_and_again(int(sys.argv[1]), end, counts) for _ in range(300)))
    print(*(f"{status}={count}" for status, count in counts.items()))

asyncio.run(main())
"""


async def test_a_flood_of_requests_is_turned_back_and_the_loop_of_the_window_stays_free(
    server, collected_on_the_gui_thread
):
    meter = GapMeter()
    meter.start()
    command = [sys.executable, "-I", "-S", "-c", FLOOD, str(server.port), "2"]
    flood = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await flood.communicate()
    counts = dict(part.split("=") for part in output.decode().split())
    assert meter.at(0.99) < 50, (
        f"p50 {meter.at(0.5):.0f}, p99 {meter.at(0.99):.0f}, most {meter.at(1.0):.0f} ms, {counts}"
    )
    assert int(counts["200"]) > 0
    assert int(counts["429"]) > 0, counts
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
        assert (await read_reply(reader)).status == 200
        writer.close()


async def test_a_flood_of_messages_leaves_the_loop_of_the_window_its_turns(
    server, collected_on_the_gui_thread
):
    payload = b'{"action": "get_status"}'
    frame = b"\x81" + bytes([0x80 | len(payload)]) + b"\0\0\0\0" + payload  # masked with zeros
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    meter = GapMeter()
    meter.start()
    writer.write(frame * 8_000)
    answered = 0
    while answered < 8_000:
        answered += (await reader.read(2**20)).count(b'"status_info"')
    assert meter.at(1.0) < 50, f"p50 {meter.at(0.5):.0f}, most {meter.at(1.0):.0f} ms"
    writer.close()

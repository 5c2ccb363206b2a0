"""Too many, too often, too slowly: what is done about it, on real sockets."""

import asyncio
import os
import socket
import subprocess
import sys
from contextlib import suppress

import pytest

from tests.integration.server.conftest import read_reply
from tests.integration.server.test_hostile_requests import error_of, request
from tests.integration.server.test_who_is_there import NOBODY
from wfe_desktop.server import app, connections, limits
from wfe_desktop.server.app import start_server

pytestmark = pytest.mark.plain_loop

TOKEN = "correct horse battery staple"


@pytest.fixture
def settings(request):
    return getattr(request, "param", {})


@pytest.fixture(autouse=True)
def nobody_is_held(monkeypatch):
    monkeypatch.setattr(limits, "HOLD_S", 0.01)


async def ask(server, *lines, path="/health", source=None):
    """One request on a connection of its own."""
    local = None if source is None else (source, 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, local_addr=local)
    try:
        writer.write(request(server, *lines, path=path))
        return await read_reply(reader)
    finally:
        writer.close()


async def until_answered(server):
    async with asyncio.timeout(10):
        while (await ask(server)).status == 503:
            pass


# ------------------------------------------------------------------------------------------------- connections


@pytest.mark.parametrize("settings", [{"max_connections": 8}], indirect=True)
@pytest.mark.parametrize("path", ["/health", "/ws", "/docs"])
async def test_a_connection_too_many_is_told_so(server, settings, path):
    held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(8)]
    for reader, writer in held:
        writer.write(request(server))
        assert (await read_reply(reader)).status == 200
    reply = await ask(server, path=path)
    assert reply.status == 503
    assert error_of(reply)["error"] == "ServiceUnavailable"
    assert int(reply.headers["retry-after"]) > 0
    assert reply.headers["connection"] == "close"
    for _, writer in held[:2]:
        writer.close()
    await until_answered(server)  # the server hears of the closing in its own time
    for _, writer in held:
        writer.close()


@pytest.mark.parametrize("settings", [{"max_connections": 8}], indirect=True)
async def test_far_too_many_connections_are_dropped_without_a_word(server, settings):
    held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(8 + limits.MAX_TOLD + 1)]
    with suppress(ConnectionResetError):
        assert await held[-1][0].read() == b""
    for _, writer in held:
        writer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who is on the other end")
@pytest.mark.parametrize("settings", [{"max_connections": 16}], indirect=True)
async def test_connections_of_another_user_do_not_keep_this_one_out(server, settings):
    if os.geteuid() != 0:
        pytest.skip("only root can start a process of another user")
    connect = f"exec {{fd}}<>/dev/tcp/127.0.0.1/{server.port}"
    stranger = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f"for i in $(seq 30); do {connect}; done; echo connected; read",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert await stranger.stdout.readline() == b"connected\n"
    held = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(11)]
    for reader, writer in held:
        writer.write(request(server))
        assert (await read_reply(reader)).status == 200
        writer.close()
    await stranger.communicate(b"\n")


# ---------------------------------------------------------------------------------------------- slow and silent


async def test_headers_that_come_byte_by_byte_do_not_hold_a_connection(services, monkeypatch):
    monkeypatch.setattr(app, "KEEPALIVE_S", 0.3)
    server = await start_server(services, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    async def trickle():
        for byte in request(server, "X-More: " + "a" * 8_000):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.01)

    trickling = asyncio.ensure_future(trickle())
    async with asyncio.timeout(5):
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
    trickling.cancel()
    await asyncio.gather(trickling, return_exceptions=True)
    writer.close()
    await server.close()


@pytest.mark.parametrize("settings", [{"max_connections": 8}], indirect=True)
async def test_answers_that_nobody_reads_do_not_hold_connections(server, settings, monkeypatch):
    monkeypatch.setattr(connections, "UNREAD_S", 0.3)
    deaf = [socket.socket() for _ in range(8)]
    for each in deaf:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        each.connect(("127.0.0.1", server.port))
        each.sendall(request(server, path="/docs/swagger-ui-bundle.js") * 8)
    assert (await ask(server)).status == 503
    await until_answered(server)
    for each in deaf:
        each.close()


def test_an_unread_answer_is_waited_for_thirty_seconds():
    assert connections.UNREAD_S == 30


async def test_an_answer_that_is_read_slowly_arrives_whole(server, monkeypatch):
    monkeypatch.setattr(connections, "UNREAD_S", 2.0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**14)
    writer.write(request(server, path="/docs/swagger-ui-bundle.js"))
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    body = b""
    while len(body) < length:
        body += await reader.read(2**16)
        await asyncio.sleep(0.005)
    assert len(body) == length
    writer.close()


# -------------------------------------------------------------------------------------------------- wrong tokens


@pytest.mark.parametrize("settings", [{"api_token": TOKEN}], indirect=True)
async def test_tokens_cannot_be_tried_out(server, settings):
    wrong, right = ("Authorization: Bearer no",), (f"Authorization: Bearer {TOKEN}",)
    for _ in range(limits.WRONG_TOKENS):
        assert (await ask(server, *wrong)).status == 401
    for lines in (wrong, right):
        reply = await ask(server, *lines)
        assert reply.status == 429
        assert error_of(reply)["error"] == "TooManyRequests"
        assert int(reply.headers["retry-after"]) > 0
    assert (await ask(server)).status == 401  # who tries nothing is told what is needed
    assert (await ask(server, path="/docs")).status == 200
    if sys.platform == "linux":
        assert (await ask(server, *right, source="127.0.0.2")).status == 200


# --------------------------------------------------------------------------------------------------------- floods


@pytest.mark.parametrize("settings", [{"max_requests_per_s": 10}], indirect=True)
@pytest.mark.parametrize("path", ["/health", "/api/v1/graphs", "/nowhere", "/ws"])
async def test_too_many_requests_a_second_are_told_to_come_back(server, settings, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request(server, path=path) * 60)
    replies = [await read_reply(reader) for _ in range(60)]
    writer.close()
    assert replies[0].status != 429
    late = next(reply for reply in replies if reply.status == 429)
    assert error_of(late)["error"] == "TooManyRequests"
    assert int(late.headers["retry-after"]) == 1


async def test_what_is_refused_is_answered_at_once_only_so_often(server, monkeypatch):
    held = []

    class Noted(limits.Bucket):
        def take(self):
            found = super().take()
            held.append(not found)
            return found

    server._runner.app[app.LIMITS]._refusals = Noted(limits.REFUSALS_A_SECOND, limits.REFUSALS_A_SECOND)
    stranger = "Origin: http://evil.example"
    for _ in range(int(limits.REFUSALS_A_SECOND) * 3):
        if held and held[-1]:
            break
        assert (await ask(server, stranger)).status == 403
    assert held[0] is False
    assert (await ask(server)).status == 200

"""The same user's processes come in; anybody else shows the token. On real sockets, with a real second user."""

import asyncio
import base64
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from tests.integration.server.conftest import read_reply
from wfe_desktop.client import AsyncClient
from wfe_desktop.client.transport import find_token
from wfe_desktop.logs import logging_to
from wfe_desktop.server import app, peers
from wfe_desktop.server.app import start_server
from wfe_desktop.server.security import StartRefused
from wfe_desktop.server.tokens import load_user_token, user_token_file

pytestmark = pytest.mark.plain_loop

NOBODY = 65_534

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who is on the other end")


@pytest.fixture
def ask_as():
    """Makes a request from a process of this user; the status of the answer."""

    async def ask(user, server, *lines, path="/health"):
        command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", f"{server.address}{path}"]
        command += [part for line in lines for part in ("-H", line)]
        process = await asyncio.create_subprocess_exec(
            *command, user=user, group=user, extra_groups=[], cwd="/", stdout=subprocess.PIPE
        )
        output, _ = await process.communicate()
        return int(output)

    return ask


@pytest.fixture
def second_user():
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can start a process of another user")
    return NOBODY


@linux
async def test_processes_of_the_same_user_need_no_token(server, ask_as):
    assert server.token is None
    assert await ask_as(os.geteuid(), server) == 200


@linux
@pytest.mark.parametrize(
    "path", ["/health", "/api/v1/health", "/graphs", "/ws", "/nowhere", "/", "/openapi.json"]
)
async def test_another_user_of_the_machine_is_not_let_in(server, ask_as, second_user, path):
    assert await ask_as(second_user, server, path=path) == 401


@linux
async def test_another_user_who_was_given_the_token_is_let_in(server, ask_as, second_user):
    token = user_token_file().read_text().strip()
    assert await ask_as(second_user, server, f"Authorization: Bearer {token}") == 200
    assert await ask_as(second_user, server, f"Authorization: Bearer {token}x") == 401


@linux
async def test_another_user_gets_the_pages_which_hold_no_data(server, ask_as, second_user):
    for path in ("/docs", "/docs/start.js", "/page/access.js", "/api/v1/docs"):
        assert await ask_as(second_user, server, path=path) == 200
    assert await ask_as(second_user, server, "Accept: text/html", path="/") == 200
    assert await ask_as(second_user, server, "Accept: text/html", path="/graphs") == 401


def test_nobody_can_read_the_token_but_its_user(second_user):
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        path = folder / "api-token"
        assert load_user_token(path) == path.read_text().strip()
        (folder / "other").write_text("for all")
        read = [
            subprocess.run(
                ["cat", file],
                user=second_user,
                group=second_user,
                extra_groups=[],
                capture_output=True,
                check=False,
            )
            for file in (folder / "other", path)
        ]
    assert [each.stdout for each in read] == [b"for all", b""]
    assert b"Permission denied" in read[1].stderr


@linux
async def test_a_socket_that_its_process_has_closed_belongs_to_nobody(services, monkeypatch):
    """The kernel then says 0, which is root, and tests often run as root."""
    seen = asyncio.get_running_loop().create_future()
    find_owner = peers.find_owner
    monkeypatch.setattr(peers, "find_owner", lambda *ends: seen.set_result(find_owner(*ends)))
    server = await start_server(services, "127.0.0.1", 0)
    with socket.create_connection(("127.0.0.1", server.port)) as gone:
        gone.sendall(f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n".encode())
    async with asyncio.timeout(5):
        assert await seen is None
    await server.close()


@linux
@pytest.mark.parametrize("finder", [peers.ask_kernel, peers.look_in_tables])
@pytest.mark.parametrize(
    ("family", "bound", "called"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "127.0.0.1", "::ffff:127.0.0.1"),
        (socket.AF_INET6, "::1", "::1"),
    ],
)
def test_each_way_to_ask_tells_the_owner_of_the_other_end(finder, family, bound, called):
    try:
        listener = socket.create_server((bound, 0), family=family)
    except OSError:
        pytest.skip(f"no {bound} here")
    port = listener.getsockname()[1]
    with listener, socket.create_connection((called, port)) as client:
        accepted, peer = listener.accept()
        with accepted:
            here = accepted.getsockname()[:2]
            assert finder(peer[:2], here) == os.geteuid()
            assert finder(here, peer[:2]) == os.geteuid()
            assert finder((peer[0], peer[1] ^ 1), here) is None
            assert finder(peer[:2], (here[0], here[1] ^ 1)) is None
            client.close()
            assert finder(peer[:2], here) is None


@linux
def test_who_listens_at_the_port_of_a_connection_that_is_gone_is_not_taken_for_it():
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as other:
        here, bystander = listener.getsockname(), other.getsockname()
        assert peers.ask_kernel(bystander, here) is None
        assert peers.look_in_tables(bystander, here) is None


@linux
def test_asking_for_an_owner_takes_no_time_worth_speaking_of():
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
    ):
        here, peer = listener.getsockname(), client.getsockname()
        began = time.thread_time()
        for _ in range(100):
            assert peers.ask_kernel(peer, here) == os.geteuid()
        assert (time.thread_time() - began) / 100 < 0.001  # 10 to 20 microseconds


# ------------------------------------------------------------------------------- where the owner cannot be told


class TestWhereOwnersCannotBeTold:
    @pytest.fixture(autouse=True)
    def no_finder(self, monkeypatch):
        monkeypatch.setattr(app, "choose_finder", lambda _address: None)

    async def test_the_users_own_token_is_needed_and_is_in_a_file_of_its_own(self, server, send_raw):
        path = user_token_file()
        assert server.token == path.read_text().strip()
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        host = f"Host: 127.0.0.1:{server.port}"
        assert (await send_raw(f"GET /health HTTP/1.1\r\n{host}\r\n\r\n".encode())).status == 401
        auth = f"Authorization: Bearer {server.token}"
        assert (await send_raw(f"GET /health HTTP/1.1\r\n{host}\r\n{auth}\r\n\r\n".encode())).status == 200

    async def test_the_client_finds_it_by_itself_where_the_system_is_not_linux(self, server, monkeypatch):
        monkeypatch.setattr(platform, "system", lambda: "Darwin")
        async with AsyncClient(server.address) as client:
            assert (await client.health()).status == "healthy"
        assert find_token(server.address) == server.token
        assert find_token("http://somewhere.example:8000") == ""
        monkeypatch.setattr(platform, "system", lambda: "Linux")
        assert find_token(server.address) == ""

    async def test_a_second_server_of_the_user_takes_the_same_token(self, server, services):
        other = await start_server(services, "127.0.0.1", 0)
        assert other.token == server.token
        await other.close()

    async def test_the_document_says_that_it_is_needed(self, http, server):
        http.headers["Authorization"] = f"Bearer {server.token}"
        async with http.get("/openapi.json") as answer:
            assert (await answer.json())["security"] == [{"bearer": []}]

    @pytest.mark.parametrize("state", ["readable by others", "empty", "not one of ours"])
    async def test_a_token_that_others_may_know_is_replaced(self, services, state):
        path = user_token_file()
        path.parent.mkdir(parents=True)
        text = {"empty": "", "not one of ours": "password"}.get(state, "A" * 43)
        path.write_text(text)
        path.chmod(0o644 if state == "readable by others" else 0o600)
        server = await start_server(services, "127.0.0.1", 0)
        assert server.token not in {text, None}
        assert path.stat().st_mode & 0o777 == 0o600
        await server.close()

    async def test_where_no_token_can_be_kept_nobody_comes_in_and_the_start_says_so(
        self, services, expect_log
    ):
        user_token_file().parent.parent.mkdir(parents=True)
        user_token_file().parent.write_text("in the way")
        expect_log("there is no token")
        with pytest.raises(StartRefused, match="WFE_API_TOKEN"):
            await start_server(services, "127.0.0.1", 0)


# ------------------------------------------------------------------------------------------------- the WebSocket


TOKEN = "correct hörse battery staple"


def bearer(token):
    return "bearer." + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


class TestAWebSocketOfABrowser:
    @pytest.fixture
    def settings(self):
        return {"api_token": TOKEN}

    @pytest.mark.parametrize("path", ["/ws", "/api/v1/ws/monitor"])
    async def test_it_shows_the_token_as_a_subprotocol_that_is_not_repeated(self, http, path):
        async with http.ws_connect(path, protocols=["wfe", bearer(TOKEN)]) as connection:
            assert connection.protocol == "wfe"
            assert (await connection.receive_json())["event_type"] == "connection_established"

    @pytest.mark.parametrize(
        "offered",
        [
            ["wfe"],
            ["wfe", "bearer."],
            ["wfe", "bearer.!!!"],
            ["wfe", bearer("wrong")],
            ["wfe", bearer(TOKEN), bearer(TOKEN)],
            ["wfe", bearer(TOKEN), bearer("wrong")],
            ["wfe", bearer(TOKEN).removeprefix("bearer.")],
        ],
        ids=range(7),
    )
    async def test_without_the_right_one_it_is_refused(self, http, offered):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect("/ws", protocols=offered)
        assert refused.value.status == 401

    async def test_two_ways_at_once_are_one_too_many(self, http):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect(
                "/ws", protocols=["wfe", bearer(TOKEN)], headers={"Authorization": f"Bearer {TOKEN}"}
            )
        assert refused.value.status == 401

    async def test_a_token_without_our_protocol_is_refused_and_not_logged(self, http, caplog):
        with caplog.at_level("DEBUG"), pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect("/ws", protocols=[bearer(TOKEN)])
        assert refused.value.status == 400
        assert bearer(TOKEN) not in caplog.text


# ----------------------------------------------------------------------------------------------------- the pages


class TestPagesWithAToken:
    @pytest.fixture
    def settings(self):
        return {"api_token": TOKEN}

    @pytest.mark.parametrize("prefix", ["", "/api/v1"])
    async def test_they_are_given_without_it_and_their_data_is_not(self, http, prefix):
        for path in (
            "/docs",
            "/docs/start.js",
            "/docs/swagger-ui.css",
            "/page/access.js",
            "/page/access.css",
        ):
            async with http.get(prefix + path) as answer:
                assert answer.status == 200, path
        async with http.get(f"{prefix}/", headers={"Accept": "text/html"}) as answer:
            assert answer.status == 200
        for path in ("/", "/openapi.json", "/health", "/docs/nope", "/page/nope"):
            async with http.get(prefix + path) as answer:
                assert answer.status == (404 if "nope" in path else 401), path
        async with http.post(f"{prefix}/docs", headers={"Accept": "text/html"}) as answer:
            assert answer.status == 401

    async def test_they_are_the_same_for_everybody(self, http, run):
        async def pages():
            found = []
            for path in ("/", "/docs"):
                async with http.get(path, headers={"Accept": "text/html"}) as answer:
                    found.append(await answer.text())
            return found

        before = await pages()
        http.headers["Authorization"] = f"Bearer {TOKEN}"
        await run("add")
        assert await pages() == before
        assert TOKEN not in json.dumps(before)

    @pytest.mark.parametrize(
        "line", ["Host: evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: cross-site"]
    )
    async def test_they_are_not_given_to_other_sites(self, server, line):
        host = "" if line.startswith("Host") else f"Host: 127.0.0.1:{server.port}\r\n"
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"GET /docs HTTP/1.1\r\n{host}{line}\r\n\r\n".encode())
        assert (await read_reply(reader)).status in {403, 421}
        writer.close()


# ------------------------------------------------------------------------------------------------------- the log


async def test_a_fault_of_ours_is_found_in_the_log_by_its_number(
    http, services, monkeypatch, tmp_path, expect_log
):
    expect_log("reference")

    def broken():
        raise RuntimeError("where it broke")

    monkeypatch.setattr(services.graphs, "list_graphs", broken)
    with logging_to("info", tmp_path / "wfe.log"):
        async with http.get("/graphs") as answer:
            reference = (await answer.json())["detail"]["details"]["reference"]
    (line,) = [json.loads(line) for line in (tmp_path / "wfe.log").read_text().splitlines()]
    assert line["reference"] == reference
    assert "where it broke" in line["error"]


class TestTheLogWithAToken:
    @pytest.fixture
    def settings(self):
        return {"api_token": TOKEN}

    async def test_who_was_refused_is_in_it_and_what_was_sent_is_not(self, http, tmp_path):
        with logging_to("debug", tmp_path / "wfe.log"):
            async with http.get(
                f"/health?token={TOKEN}", headers={"Authorization": f"Bearer {TOKEN}x"}
            ) as answer:
                assert answer.status == 401
            async with http.get("/health", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
                assert answer.status == 200
            async with http.ws_connect("/ws", protocols=["wfe", bearer(TOKEN)]):
                pass
        text = (tmp_path / "wfe.log").read_text()
        assert "answered 401 to 127.0.0.1" in text
        for form in (TOKEN, "battery", bearer(TOKEN), quote(TOKEN)):
            assert form not in text

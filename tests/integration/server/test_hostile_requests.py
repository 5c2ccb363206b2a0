"""Bytes as strangers send them, and what they get."""

import asyncio
import json
import socket

import pytest

from engine.config import AppConfig
from tests.integration.server.conftest import read_reply
from wfe_desktop.server import app, bodies
from wfe_desktop.server.app import start_server
from wfe_desktop.server.security import StartRefused, check_binding

pytestmark = pytest.mark.plain_loop


def request(server, *lines, method="GET", path="/health", body=b"", host=True):
    head = [f"{method} {path} HTTP/1.1"]
    if host:
        head.append(f"Host: 127.0.0.1:{server.port}")
    return ("\r\n".join([*head, *lines, "", ""])).encode("latin-1") + body


def post(server, body, *lines, path="/graph/validate", content_type="application/json"):
    if isinstance(body, str):
        body = body.encode()
    typed = [f"Content-Type: {content_type}"] if content_type else []
    return request(
        server, *typed, f"Content-Length: {len(body)}", *lines, method="POST", path=path, body=body
    )


def error_of(reply):
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["x-content-type-options"] == "nosniff"
    return json.loads(reply.body)["detail"]


# ------------------------------------------------------------------------------------------- who asks for what


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "[::1]:{port}"])
async def test_our_own_names_are_welcome(server, send_raw, host):
    host = host.format(port=server.port)
    reply = await send_raw(request(server, f"Host: {host}", f"Origin: http://{host}", host=False))
    assert reply.status == 200


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        ["evil.example:{port}"],
        ["127.0.0.1"],
        ["localhost"],
        ["127.0.0.1:1"],
        ["127.0.0.1:{port}", "127.0.0.1:{port}"],
        ["127.0.0.1:{port}", "evil.example"],
        ["127.0.0.1:{port}.evil.example"],
        ["user@127.0.0.1:{port}"],
        ["127.1:{port}"],
        ["2130706433:{port}"],
        ["0x7f.0.0.1:{port}"],
        ["0.0.0.0:{port}"],
        ["LOCALHOST:{port}"],
        ["localhost.:{port}"],
        ["[::ffff:127.0.0.1]:{port}"],
        ["127.0.0.1:{port}/"],
        ["127.0.0.1:{port}#x"],
        ["127.0.0.1:0{port}"],
    ],
    ids=str,
)
@pytest.mark.parametrize("path", ["/health", "/docs", "/api/v1/ws"])
async def test_any_other_host_is_misdirected(server, send_raw, hosts, path):
    lines = [f"Host: {host.format(port=server.port)}" for host in hosts]
    reply = await send_raw(request(server, *lines, path=path, host=False))
    # aiohttp's parser refuses some of these before we see them.
    assert reply.status in {421, 400}
    assert error_of(reply)["error"] in {"MisdirectedRequest", "ValidationError"}
    assert reply.headers["connection"] == "close"


@pytest.mark.parametrize(
    "line",
    [
        "Origin: null",
        "Origin: http://evil.example",
        "Origin: https://127.0.0.1:{port}",
        "Origin: http://127.0.0.1",
        "Origin: http://127.0.0.1:1",
        "Origin: http://127.0.0.1:{port}.evil.example",
        "Origin: http://127.0.0.1:{port}/",
        "Origin: ",
        "Origin: http://127.0.0.1:{port}\r\nOrigin: http://evil.example",
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site",
    ],
)
@pytest.mark.parametrize(
    "path", ["/health", "/nowhere", "/ws", "/docs", "/api/v1/health", "/api/v1/ws/monitor"]
)
async def test_other_origins_and_sites_are_forbidden(server, send_raw, line, path):
    reply = await send_raw(request(server, line.format(port=server.port), path=path))
    assert reply.status == 403
    assert error_of(reply)["error"] == "Forbidden"


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_our_own_pages_and_the_address_bar_are_welcome(server, send_raw, site):
    assert (await send_raw(request(server, f"Sec-Fetch-Site: {site}"))).status == 200


@pytest.mark.parametrize("target", ["http://127.0.0.1/health", "//evil.example/health", "*", "health"])
async def test_a_target_that_is_no_path_of_ours_gets_nowhere(server, send_raw, target):
    reply = await send_raw(request(server, path=target))
    assert reply.status in {400, 404}


async def test_preflight_requests_get_no_permission(server, send_raw):
    reply = await send_raw(
        request(
            server, "Origin: http://evil.example", "Access-Control-Request-Method: POST", method="OPTIONS"
        )
    )
    assert reply.status == 403
    assert not [name for name in reply.headers if name.startswith("access-control")]


# --------------------------------------------------------------------------------------------------------- HTTP


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n\r\n\r\nnonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"GET /health\r\n\r\n",
        b"G\x00T /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX\x00Y: 1\r\n\r\n",
        b"POST /graph/run HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /graph/run HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\n",
        b"POST /graph/run HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /graph/run HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 500 + b"\r\n",
    ],
    ids=range(15),
)
async def test_what_is_not_http_is_refused_in_our_words_and_not_repeated(send_raw, data):
    reply = await send_raw(data)
    assert reply.status in {400, 421}
    assert b"Traceback" not in reply.body
    assert b"aiohttp" not in reply.body
    assert error_of(reply)["message"]


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/json-patch+json", 415),
        ("text/json", 415),
        ("application/json; charset=utf-16", 415),
        (None, 415),
        ("application/json; charset=utf-8", 200),
        ("APPLICATION/JSON", 200),
    ],
)
@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_bodies_are_json_and_say_so(server, send_raw, content_type, status, prefix):
    reply = await send_raw(post(server, "{}", path=f"{prefix}/graph/validate", content_type=content_type))
    assert reply.status == status


async def test_two_content_types_are_one_too_many(server, send_raw):
    reply = await send_raw(post(server, "{}", "Content-Type: text/plain"))
    assert reply.status in {400, 415}


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, gzip", "x"])
async def test_compressed_bodies_are_refused_unread(server, send_raw, encoding):
    reply = await send_raw(post(server, b"\x1f\x8b" + b"0" * 50, f"Content-Encoding: {encoding}"))
    assert reply.status == 415


async def test_a_body_announced_too_large_is_refused_before_it_is_sent(server, send_raw):
    head = request(
        server,
        "Content-Type: application/json",
        f"Content-Length: {bodies.MAX_BODY_BYTES + 1}",
        method="POST",
        path="/graph/create",
    )
    reply = await send_raw(head)
    assert reply.status == 413
    assert error_of(reply)["error"] == "PayloadTooLarge"
    assert reply.headers["connection"] == "close"


async def test_a_chunked_body_is_cut_off_at_the_limit(server, monkeypatch):
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 100_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        request(
            server,
            "Content-Type: application/json",
            "Transfer-Encoding: chunked",
            method="POST",
            path="/graph/create",
        )
    )
    for _ in range(20):
        writer.write(b"2710\r\n" + b" " * 10_000 + b"\r\n")
    await writer.drain()
    reply = await read_reply(reader)
    assert reply.status == 413
    writer.close()


async def test_a_body_that_does_not_come_is_waited_for_only_so_long(server, send_raw, monkeypatch):
    monkeypatch.setattr(bodies.read_json_body, "__kwdefaults__", {"deadline_s": 0.1})
    head = request(
        server, "Content-Type: application/json", "Content-Length: 50", method="POST", path="/graph/create"
    )
    reply = await send_raw(head + b'{"na')
    assert reply.status == 408
    assert reply.headers["connection"] == "close"


def test_the_time_for_a_body_is_five_seconds():
    assert bodies.BODY_DEADLINE_S == 5.0


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (b"", ["not-json"]),
        (b"{", ["not-json"]),
        (b"\xff{}", ["not-utf-8"]),
        (b'{"name": NaN}', ["not-a-number"]),
        (b'{"name": "a", "name": "b"}', ["repeated-key"]),
        (b"[" * 1_000 + b"]" * 1_000, ["too-deep"]),
        (b"[" * 200_000, ["too-deep"]),
        (b'{"max_steps": 9223372036854775808}', ["number-too-large"]),
        (b'{"a": ' + b"9" * 100_000 + b"}", ["number-too-large"]),
        (rb'{"name": "\ud800"}', ["half-surrogate"]),
        (
            b'{"a": Infinity, "b": [1e400], "b": 1, "c": NaN}',
            ["repeated-key", "not-a-number", "not-a-number"],
        ),
    ],
    ids=range(11),
)
async def test_json_is_read_strictly_and_every_fault_is_told(server, send_raw, body, codes):
    reply = await send_raw(post(server, body))
    assert reply.status == 400
    error = error_of(reply)
    assert error["error"] == "ValidationError"
    assert [problem["code"] for problem in error["details"]["problems"]] == codes


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        ("", None, 404),
        ("{}", "application/json", 404),
        ("{}", "text/plain", 415),
        ("a=b", "application/x-www-form-urlencoded", 415),
        ('{"a": 1}', "application/json", 400),
        ("{", "application/json", 400),
    ],
)
async def test_an_address_without_a_body_takes_none(server, send_raw, body, content_type, status):
    reply = await send_raw(post(server, body, path="/graph/cancel/x", content_type=content_type))
    assert reply.status == status


async def test_line_breaks_in_an_address_forge_nothing(server, send_raw):
    reply = await send_raw(request(server, path="/graph/state/a%0d%0aSet-Cookie:%20x=y%0d%0a%1b[31m"))
    assert reply.status == 404
    assert "set-cookie" not in reply.headers
    assert b"\x1b" not in reply.body


async def test_a_path_out_of_the_house_leads_nowhere(server, send_raw):
    for path in ("/../../etc/passwd", "/graph/..%2f..%2fetc%2fpasswd", "/graph/%00", "/static/../main.py"):
        assert (await send_raw(request(server, path=path))).status == 404


async def test_several_requests_on_one_connection_are_answered_in_order(server):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request(server) + request(server, path="/graphs") + request(server, path="/nowhere"))
    replies = [await read_reply(reader) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 404]
    writer.close()


@pytest.mark.parametrize("start", [b"", b"GET /health HTTP/1.1\r\nHost: x", b"GET /hea"])
async def test_a_connection_that_never_asks_is_closed(services, monkeypatch, start):
    monkeypatch.setattr(app, "KEEPALIVE_S", 0.2)
    server = await start_server(services, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(start)
    async with asyncio.timeout(5):
        assert await reader.read() == b""
    writer.close()
    await server.close()


def test_an_idle_connection_is_kept_for_thirty_seconds():
    assert app.KEEPALIVE_S == 30


# -------------------------------------------------------------------------------------------------------- token


TOKEN = "correct horse battery staple"


class TestWithAToken:
    @pytest.fixture
    def settings(self):
        return {"api_token": TOKEN}

    @pytest.mark.parametrize(
        "lines",
        [
            [],
            ["Authorization: Bearer wrong"],
            ["Authorization: Bearer "],
            ["Authorization: Bearer"],
            [f"Authorization: {TOKEN}"],
            [f"Authorization: Basic {TOKEN}"],
            [f"Authorization: Bearer {TOKEN}x"],
            [f"Authorization: Bearer {TOKEN[:-1]}"],
            [f"Authorization: Bearer {TOKEN}", f"Authorization: Bearer {TOKEN}"],
            ["Authorization: Bearer \xff\xfe"],
        ],
        ids=range(10),
    )
    @pytest.mark.parametrize(
        "path", ["/health", "/ws", "/nowhere", f"/health?token={TOKEN}", "/api/v1/graphs", "/api/v1/ws"]
    )
    async def test_nothing_is_answered_without_it(self, server, send_raw, lines, path):
        reply = await send_raw(request(server, *lines, path=path.replace(" ", "%20")))
        assert reply.status in {400, 401}
        if reply.status == 401:
            assert reply.headers["www-authenticate"] == "Bearer"
            assert TOKEN.encode() not in reply.body

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
    async def test_with_it_everything_is(self, server, send_raw, scheme):
        reply = await send_raw(request(server, f"Authorization: {scheme} {TOKEN}"))
        assert reply.status == 200

    async def test_it_does_not_open_the_door_to_other_origins(self, server, send_raw):
        reply = await send_raw(
            request(server, f"Authorization: Bearer {TOKEN}", "Origin: http://evil.example")
        )
        assert reply.status == 403


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.1", "::", "fe80::1%eth0"])
def test_binding_beyond_loopback_needs_a_token(address):
    for token in (None, "", "  "):
        with pytest.raises(StartRefused, match="WFE_API_TOKEN"):
            check_binding(address, AppConfig(api_token=token))
    check_binding(address, AppConfig(api_token="secret"))


async def test_a_server_for_other_machines_is_not_started_without_a_token(services):
    with pytest.raises(StartRefused, match="WFE_API_TOKEN"):
        await start_server(services, "0.0.0.0", 0)


class TestBeyondLoopback:
    @pytest.fixture
    def settings(self):
        return {"api_token": TOKEN}

    async def test_it_answers_to_the_names_of_the_machine_with_the_token(self, services):
        server = await start_server(services, "0.0.0.0", 0)
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            host = f"Host: {socket.gethostname()}:{server.port}"
            auth = f"Authorization: Bearer {TOKEN}"
            writer.write(request(server, host, host=False))
            assert (await read_reply(reader)).status == 401
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request(server, host, auth, host=False))
            assert (await read_reply(reader)).status == 200
            writer.close()
        finally:
            await server.close()


# -------------------------------------------------------------------------------------------------------- ports


async def test_a_taken_port_gives_the_next_free_one(services, server):
    other = await start_server(services, "127.0.0.1", server.port)
    try:
        assert server.port < other.port < server.port + 100
    finally:
        await other.close()


async def test_a_taken_port_that_was_asked_for_is_an_error(services, server):
    with pytest.raises(StartRefused, match=f"port {server.port} is taken"):
        await start_server(services, "127.0.0.1", server.port, explicit_port=True)


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid"])
async def test_an_address_of_another_machine_is_an_error(services, host):
    services.config = services.config.model_copy(
        update={"api_token": AppConfig(api_token="secret").api_token}
    )
    with pytest.raises(StartRefused):
        await start_server(services, host, 0)


async def test_after_close_nobody_listens(services):
    server = await start_server(services, "127.0.0.1", 0)
    await server.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", server.port)


async def test_the_server_speaks_ipv6_where_it_is_bound_to_it(services):
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        server = await start_server(services, "::1", 0)
    except StartRefused:
        pytest.skip("no IPv6 loopback here")
    assert server.address == f"http://[::1]:{server.port}"
    await server.close()


async def test_deep_but_allowed_data_of_a_client_arrives(http, run):
    value = "x"
    for _ in range(40):
        value = [value]
    assert (await run("add", initial_state={"deep": value}))["current_state"]["data"]["deep"] == value

"""The HTTP tool, against a real server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from engine.tools.builtin.web import http_request


async def echo(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "query": dict(request.query),
            "headers": {name.lower(): value for name, value in request.headers.items()},
            "body": await request.text(),
        }
    )


async def redirect(request: web.Request) -> web.Response:
    return web.Response(status=int(request.query["status"]), headers={"Location": request.query["to"]})


async def big(request: web.Request) -> web.Response:
    return web.Response(body=b"x" * 200_000)


async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def missing(request: web.Request) -> web.Response:
    return web.Response(status=404, text="no such\nthing")


async def bad_json(request: web.Request) -> web.Response:
    return web.Response(text="{", content_type="application/json")


def ask(use: Callable[[str], Awaitable[Any]]) -> Any:
    """Start a server, and give what ``use(its address)`` gives."""

    async def run() -> Any:
        app = web.Application()
        for handler in (echo, redirect, big, slow, missing, bad_json):
            app.router.add_route("*", f"/{handler.__name__}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]
        try:
            return await use(f"http://127.0.0.1:{port}")
        finally:
            await runner.cleanup()

    return asyncio.run(run())


def test_json_is_sent_and_read() -> None:
    answer = ask(lambda url: http_request(f"{url}/echo?a=1", "POST", {"X-Y": "z"}, {"b": 2}, {"c": [1]}))
    assert (answer.status, answer.ok) == (200, True)
    assert answer.data["method"] == "POST"
    assert answer.data["query"] == {"a": "1", "b": "2"}
    assert answer.data["headers"]["x-y"] == "z"
    assert answer.data["headers"]["content-type"] == "application/json"
    assert answer.data["body"] == '{"c": [1]}'
    assert answer.headers["content-type"].startswith("application/json")


def test_text_is_sent_as_it_is() -> None:
    answer = ask(lambda url: http_request(f"{url}/echo", "PUT", body="Grüße"))
    assert (answer.data["body"], answer.data["headers"]["content-type"]) == (
        "Grüße",
        "text/plain; charset=utf-8",
    )


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
def test_redirects_are_followed(status: int, method: str) -> None:
    answer = ask(
        lambda url: http_request(f"{url}/redirect", "POST", query={"to": "/echo", "status": status}, body="x")
    )
    assert answer.data["method"] == method
    assert answer.url.endswith("/echo")


def test_headers_do_not_go_to_another_host() -> None:
    def use(url: str) -> Any:
        other = url.replace("127.0.0.1", "localhost")
        return http_request(
            f"{url}/redirect", headers={"X-Key": "k"}, query={"to": f"{other}/echo", "status": 302}
        )

    assert "x-key" not in ask(use).data["headers"]


@pytest.mark.parametrize(
    ("path", "extra", "error", "message"),
    [
        ("/redirect?status=302&to=/redirect%3Fstatus%3D302%26to%3D/echo", {}, None, ""),
        ("/redirect?status=302&to=file:///etc/passwd", {}, ValueError, "must start with http"),
        ("/missing", {}, ConnectionError, "answered 404 Not Found: no such thing"),
        ("/big", {"max_bytes": 1_000}, ValueError, "more than 1,000 bytes"),
        ("/slow", {"timeout_s": 0.1}, TimeoutError, r"did not answer within 0\.1 s"),
        ("/bad_json", {}, ValueError, "claims to be JSON but is not"),
    ],
)
def test_what_goes_wrong_is_said(path: str, extra: dict[str, Any], error: type | None, message: str) -> None:
    if error is None:
        assert ask(lambda url: http_request(url + path, **extra)).status == 200
        return
    with pytest.raises(error, match=message):
        ask(lambda url: http_request(url + path, **extra))


def test_an_endless_redirect_is_given_up() -> None:
    with pytest.raises(ValueError, match="redirects more than 5 times"):
        ask(lambda url: http_request(f"{url}/redirect", query={"status": 302, "to": "/redirect?status=302&to=/redirect%3Fstatus%3D302%26to%3D/redirect%253Fstatus%253D302%2526to%253D/redirect%25253Fstatus%25253D302%252526to%25253D/redirect%2525253Fstatus%2525253D302%25252526to%2525253D/redirect%252525253Fstatus%252525253D302%2525252526to%252525253D/echo"}))  # fmt: skip


def test_a_status_can_be_looked_at_instead_of_failing() -> None:
    answer = ask(lambda url: http_request(f"{url}/missing", fail_on_error=False))
    assert (answer.status, answer.ok, answer.data) == (404, False, None)


def test_a_server_that_is_not_there_is_told_of() -> None:
    with pytest.raises(ConnectionError, match="cannot be reached"):
        asyncio.run(http_request("http://127.0.0.1:1/"))


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://x/", "localhost", "http://", "javascript:alert(1)"]
)
def test_only_web_addresses_are_asked(url: str) -> None:
    with pytest.raises(ValueError, match="is not a web address"):
        asyncio.run(http_request(url))

"""A real server on a real engine, on a free port."""

import asyncio
import threading
from dataclasses import dataclass, field

import aiohttp
import pytest

from engine.config import AppConfig
from engine.execution.services import open_services
from wfe_desktop.server.app import start_server


class Gate:
    """A tool that waits until the test lets it go on."""

    def __init__(self):
        self.opened = threading.Event()

    def __call__(self) -> str:
        self.opened.wait(20)
        return "passed"


def add(state, amount: int = 1) -> dict:
    return {"total": state.get("total", 0) + amount}


def break_down() -> None:
    raise ValueError("no\nluck")


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.opened.set()


@pytest.fixture
def settings():
    """Overridden by tests that want another configuration."""
    return {}


@pytest.fixture
def services(tmp_path, gate, settings):
    config = AppConfig(
        **{
            "database_url": f"sqlite:///{tmp_path / 'test.db'}",
            "synchronous": "normal",
            "workers": 4,
            **settings,
        }
    )
    services = open_services(config)
    services.registry.register_tool("add", add, "Adds to the total")

    def wait_at_gate() -> str:
        return gate()

    services.registry.register_tool("gate", wait_at_gate, "Waits")
    services.registry.register_tool("break_down", break_down, "Fails")
    yield services
    gate.opened.set()
    assert services.close(5)


@pytest.fixture
def server(loop, services):
    server = loop.run_until_complete(start_server(services, "127.0.0.1", 0))
    yield server
    loop.run_until_complete(server.close())


@pytest.fixture
def http(loop, server):
    async def open_session():
        return aiohttp.ClientSession(server.address)

    session = loop.run_until_complete(open_session())
    yield session
    loop.run_until_complete(session.close())


def chain(*tools, name="Chain", **more):
    """A graph of these tools, one after another; nodes n0, n1 ..."""
    return {
        "name": name,
        "nodes": [{"id": f"n{index}", "function_name": tool} for index, tool in enumerate(tools)],
        "edges": [{"from_node": f"n{index}", "to_node": f"n{index + 1}"} for index in range(len(tools) - 1)],
        "entry_point": "n0",
        **more,
    }


@pytest.fixture
def make_graph(http):
    async def make(*tools, **more):
        async with http.post("/graph/create", json=chain(*tools, **more)) as answer:
            assert answer.status == 201, await answer.text()
            return (await answer.json())["graph_id"]

    return make


@pytest.fixture
def run(http, make_graph):
    """Runs a chain of tools and waits for its end; the finished state."""

    async def run(*tools, initial_state=None, graph_id=None):
        graph_id = graph_id or await make_graph(*tools)
        body = {"graph_id": graph_id, "initial_state": initial_state or {}, "wait_s": 20}
        async with http.post("/graph/run", json=body) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    return run


@dataclass
class Reply:
    status: int
    headers: dict = field(default_factory=dict)
    body: bytes = b""


@pytest.fixture
def send_raw(server):
    """Sends bytes as they are and reads what comes back until the end, or until ``Content-Length`` is reached."""

    async def send(data, *, timeout_s=8.0):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            writer.write(data)
            await writer.drain()
            async with asyncio.timeout(timeout_s):
                return await read_reply(reader)
        finally:
            writer.close()

    return send


async def read_reply(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    headers = {}
    for line in lines:
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Reply(int(first.split()[1]), headers, body)

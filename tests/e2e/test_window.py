"""The program with its window, on a screen of its own: what the server does while the window is open."""

import os
import shutil
import subprocess
import time

import aiohttp
import pytest

from tests.e2e.conftest import ask, create, until

pytestmark = pytest.mark.plain_loop


@pytest.fixture
def start_window(start, display, database, tools_dir):
    def start_window(*arguments, **more):
        program = start(
            "--port",
            0,
            "--database",
            database,
            "--tools",
            tools_dir,
            *arguments,
            **{"DISPLAY": display, **more},
        )
        return program, program.wait_for_address()

    return start_window


async def test_the_server_works_beside_the_window_and_the_history_is_there_when_it_opens_again(start_window):
    program, address = start_window()
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{address}/ws") as ws:
        await ws.send_json({"action": "subscribe", "run_id": "*"})
        graph_id = create(
            address,
            ("a", "math_operation", {"operation": "add", "value": 5}),
            ("b", "math_operation", {"operation": "multiply", "value": 3}),
        )
        status, run = ask(
            address, "/graph/run", {"graph_id": graph_id, "initial_state": {"value": 9}, "wait_s": 20}
        )
        assert status == 200
        assert run["status"] == "completed"
        assert run["current_state"]["data"] == {"value": 42}
        events = []
        while not events or events[-1]["event_type"] != "workflow_completed":
            events.append(await ws.receive_json(timeout=10))
        assert [event["data"]["node_id"] for event in events if event["event_type"] == "node_execution"] == [
            "a",
            "a",
            "b",
            "b",
        ]
        began = time.monotonic()
        program.process.terminate()
        message = await ws.receive(timeout=10)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    assert program.wait(15) == 0
    assert time.monotonic() - began < 10
    assert program.err == []

    _, address = start_window()
    _, history = ask(address, "/history/executions", {"graph_id": graph_id})
    assert [line["run_id"] for line in history["executions"]] == [run["run_id"]]


def test_p29_a_run_goes_on_in_the_window_after_kill_9(start_window, tmp_path):
    folder = str(tmp_path)
    program, address = start_window()
    graph_id = create(
        address,
        ("e0", "effect", {"folder": folder, "label": "0"}),
        ("held", "hold", {"folder": folder}),
        ("e1", "effect", {"folder": folder, "label": "1"}),
    )
    _, started = ask(address, "/graph/run", {"graph_id": graph_id})
    until((tmp_path / "held").exists)
    program.kill()
    (tmp_path / "go").touch()
    _, address = start_window()
    until(lambda: ask(address, f"/graph/state/{started['run_id']}")[1]["status"] == "completed")
    assert (tmp_path / "effects.txt").read_text().split() == ["0", "1"]


def test_a_taken_port_that_was_asked_for_ends_the_start(start_window, start, display):
    _, address = start_window()
    port = address.rpartition(":")[2]
    other = start("--port", port, DISPLAY=display)
    assert other.wait() == 1
    assert any(f"port {port} is taken" in line for line in other.err)


def test_p28_a_step_that_does_not_stop_does_not_keep_the_window(start_window, tmp_path):
    program, address = start_window()
    graph_id = create(address, ("held", "hold", {"folder": str(tmp_path)}))
    ask(address, "/graph/run", {"graph_id": graph_id})
    until((tmp_path / "held").exists)
    began = time.monotonic()
    assert program.stop() == 0
    assert time.monotonic() - began < 12
    assert "did not stop in time" in program.err[-1]


def test_p28_a_signal_while_a_tool_is_dragged_closes_the_window_in_order(start_window, display):
    """Qt runs a loop of its own inside a drag: the widgets under it must not be destroyed there."""
    if shutil.which("xdotool") is None:
        pytest.fail("xdotool is missing; `make setup` installs it (apt-get install xdotool)", pytrace=False)
    program, _ = start_window(
        MALLOC_PERTURB_="165"
    )  # what is used after it was freed is no longer what it was

    def do(*words):
        subprocess.run(["xdotool", *words], env={**os.environ, "DISPLAY": display}, check=True)

    window = subprocess.run(
        ["xdotool", "search", "--sync", "--onlyvisible", "--name", "Agent Workflow Engine"],
        env={**os.environ, "DISPLAY": display},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()[0]
    do("mousemove", "--window", window, "90", "262", "mousedown", "1")
    for x in range(100, 640, 20):  # many small moves, as a hand makes them
        do("mousemove", "--window", window, str(x), "300")
    program.process.terminate()
    assert program.wait(20) == 0
    assert program.err == []

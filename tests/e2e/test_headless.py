import json
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.conftest import ask, create, loaded_libraries, until

pytestmark = pytest.mark.plain_loop


COUNTING = '''
import time
from pathlib import Path

from engine import tool


@tool(name="count")
def count(folder: str, context) -> str:
    """Says how far it is until there is a file called "go"."""
    while not (Path(folder) / "go").exists():
        context.progress(3, 10, "counting")
        time.sleep(0.02)
    return "counted"
'''


async def watch(address, run_id, since=0):
    """The events of a run up to its end, as a WebSocket client sees them."""
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{address}/ws") as ws:
        await ws.send_json({"action": "subscribe", "run_id": run_id, "since": since})
        events = []
        while not events or events[-1]["event_type"] != "workflow_completed":
            message = await ws.receive_json(timeout=20)
            if message["seq"] is not None:
                events.append(message)
        return events


async def test_a_workflow_is_created_run_watched_and_read_back(start_headless):
    program, address = start_headless()
    graph_id = create(
        address,
        ("a", "math_operation", {"operation": "add", "value": 5}),
        ("b", "math_operation", {"operation": "multiply", "value": 3}),
    )
    status, started = ask(address, "/graph/run", {"graph_id": graph_id, "initial_state": {"value": 9}})
    assert status == 202
    assert started["status"] == "pending"
    run_id = started["run_id"]
    events = await watch(address, run_id)
    steps = [
        (e["data"]["node_id"], e["data"]["execution_event"])
        for e in events
        if e["event_type"] == "node_execution"
    ]
    assert steps == [("a", "started"), ("a", "completed"), ("b", "started"), ("b", "completed")]
    status, state = ask(address, f"/graph/state/{run_id}")
    assert status == 200
    assert state["status"] == "completed"
    assert state["current_state"]["data"] == {"value": 42}
    assert state["current_state"]["execution_path"] == ["a", "b"]
    _, log = ask(address, f"/api/v1/graph/logs/{run_id}")
    assert [event["seq"] for event in log] == [event["seq"] for event in events]
    assert program.stop() == 0
    assert program.err == []


def test_history_is_there_after_a_restart(start_headless):
    program, address = start_headless()
    graph_id = create(address, ("a", "pass_through", {"value": 1}))
    _, run = ask(address, "/graph/run", {"graph_id": graph_id, "wait_s": 20})
    assert program.stop() == 0

    _, address = start_headless()
    _, graphs = ask(address, "/graphs")
    assert [graph["id"] for graph in graphs] == [graph_id]
    _, history = ask(address, "/history/executions", {})
    assert [(line["run_id"], line["status"]) for line in history["executions"]] == [
        (run["run_id"], "completed")
    ]
    _, again = ask(address, f"/graph/state/{run['run_id']}")
    assert again["current_state"] == run["current_state"]
    assert again["results"] == run["results"]


async def test_p1_p2_a_run_goes_on_after_kill_9_and_no_recorded_step_is_run_twice(start_headless, tmp_path):
    folder = str(tmp_path)
    program, address = start_headless()
    graph_id = create(
        address,
        ("e0", "effect", {"folder": folder, "label": "0"}),
        ("e1", "effect", {"folder": folder, "label": "1"}),
        ("held", "hold", {"folder": folder}),
        ("e2", "effect", {"folder": folder, "label": "2"}),
    )
    _, started = ask(address, "/graph/run", {"graph_id": graph_id})
    run_id = started["run_id"]
    until((tmp_path / "held").exists)
    seen = ask(address, f"/graph/logs/{run_id}")[1]
    program.kill()

    (tmp_path / "go").touch()
    _, address = start_headless()
    events = await watch(address, run_id, since=seen[-1]["seq"])
    assert events[0]["seq"] > seen[-1]["seq"]
    assert "workflow_resumed" in [event["event_type"] for event in events]
    assert (tmp_path / "effects.txt").read_text().split() == ["0", "1", "2"]
    _, state = ask(address, f"/graph/state/{run_id}")
    assert state["status"] == "completed"
    assert state["current_state"]["execution_path"][:2] == ["e0", "e1"]
    assert [state["steps"][node]["visit"] for node in ("e0", "e1", "e2")] == [1, 1, 1]


async def close_by(number, start_headless):
    program, address = start_headless()
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{address}/ws") as ws:
        await ws.receive_json(timeout=5)
        program.process.send_signal(number)
        message = await ws.receive(timeout=5)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1001)
    began = time.monotonic()
    assert program.wait(15) == 0
    assert program.err == []
    return time.monotonic() - began


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_p28_a_signal_closes_in_order_and_tells_who_watches(start_headless, number):
    assert await close_by(number, start_headless) < 5


def test_p28_a_step_that_does_not_stop_does_not_keep_the_program(start_headless, tmp_path):
    program, address = start_headless()
    graph_id = create(address, ("held", "hold", {"folder": str(tmp_path)}))
    _, started = ask(address, "/graph/run", {"graph_id": graph_id})
    until((tmp_path / "held").exists)
    began = time.monotonic()
    assert program.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < 10
    assert "did not stop in time" in program.err[0]
    (tmp_path / "go").touch()
    _, address = start_headless()
    until(lambda: ask(address, f"/graph/state/{started['run_id']}")[1]["status"] == "completed")


def test_p28_clients_that_do_nothing_do_not_keep_the_program(start_headless):
    program, address = start_headless()
    port = int(address.rpartition(":")[2])
    host = f"Host: 127.0.0.1:{port}\r\n"
    upgrade = (
        f"GET /ws HTTP/1.1\r\n{host}Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    half = f"POST /graph/run HTTP/1.1\r\n{host}Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{{"
    sockets = []
    for text in ("", "GET /hea", upgrade, half):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(text.encode())
        sockets.append(client)
    assert sockets[2].recv(12) == b"HTTP/1.1 101"
    began = time.monotonic()
    assert program.stop(signal.SIGTERM) == 0
    assert time.monotonic() - began < 8
    for client in sockets:
        client.close()


def test_p28_the_second_ctrl_c_closes_at_once(start_headless, tmp_path):
    program, address = start_headless()
    graph_id = create(address, ("held", "hold", {"folder": str(tmp_path)}))
    ask(address, "/graph/run", {"graph_id": graph_id})
    until((tmp_path / "held").exists)
    program.process.send_signal(signal.SIGINT)
    port = int(address.rpartition(":")[2])
    until(lambda: _refuses(port))
    began = time.monotonic()
    assert program.stop(signal.SIGINT) == 130
    assert time.monotonic() - began < 1


def _refuses(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_taken_port_is_an_error_when_it_was_asked_for(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = start("--headless", "--port", port)
        assert program.wait() == 1
    assert program.out == []
    assert f"port {port} is taken" in program.err[0]


def test_a_taken_port_gives_the_next_free_one_otherwise(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        program = start("--headless", WFE_PORT=str(port))
        address = program.wait_for_address()
    assert port < int(address.rpartition(":")[2]) < port + 100
    assert ask(address, "/health")[1]["status"] == "healthy"
    assert program.err == [f"Port {port} is taken."]


def test_without_a_display_it_starts_headless_and_says_so(start, database):
    program = start("--port", 0, "--database", database)
    address = program.wait_for_address()
    assert "headless" in program.err[0]
    assert ask(address, "/health")[0] == 200
    if sys.platform.startswith("linux"):
        libraries = loaded_libraries(program)
        assert "QtCore" in libraries
        for library in ("QtGui", "QtWidgets", "Qt6Gui", "Qt6Widgets", "libGL", "libEGL"):
            assert library not in libraries
    assert program.stop() == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_headless_loads_qtcore_alone_and_needs_one_system_library_for_it(start, database, project_root):
    """That of docs/command-line.md; all others are Python's own, or there on every Debian."""
    program = start("--headless", "--port", 0, "--database", database, DISPLAY=":0")
    address = program.wait_for_address()
    graph = {
        "name": "One",
        "nodes": [{"id": "a", "function_name": "pass_through", "parameters": {"value": 1}}],
    }
    assert ask(address, "/graph/run", {"graph": graph, "wait_s": 20})[1]["status"] == "completed"
    loaded = set(re.findall(r"/\S+/([^/\s]+)\.so[.\d]*", loaded_libraries(program)))
    qt = {name for name in loaded if name.startswith(("Qt", "libQt"))}
    assert {name.partition(".")[0] for name in qt} == {"QtCore", "libQt6Core"}
    system = set(re.findall(r" /(?:usr/)?lib\S*/([^/\s]+?)(?:-\d[\d.]*)?\.so", loaded_libraries(program)))
    everywhere = {
        "ld-linux-x86",
        "ld-linux-aarch64",
        "libc",
        "libdl",
        "libgcc_s",
        "libm",
        "libpthread",
        "librt",
        "libstdc++",
    }
    of_python = {
        "libbz2",
        "libcrypto",
        "libexpat",
        "libffi",
        "liblzma",
        "libsqlite3",
        "libssl",
        "libuuid",
        "libz",
        "libzstd",
    }
    of_glib = {"libglib", "libgthread", "libpcre2"}
    others = system - everywhere - of_python - of_glib
    assert {name for name in others if "cpython" not in name and not name.startswith("libpython3")} == set()
    page = (project_root / "docs" / "command-line.md").read_text()
    assert "apt-get install --no-install-recommends libglib2.0-0\n" in page


def test_p25_two_programs_do_not_share_a_database(start_headless, start, database):
    start_headless()
    second = start("--headless", "--port", 0, "--database", database)
    assert second.wait() == 1
    assert "in use" in second.err[0]


def test_other_machines_are_let_in_with_a_token_only(start, database):
    program = start("--headless", "--port", 0, "--host", "0.0.0.0", "--database", database)
    assert program.wait() == 1
    assert "WFE_API_TOKEN" in program.err[0]
    program = start(
        "--headless", "--port", 0, "--host", "0.0.0.0", "--database", database, WFE_API_TOKEN="s3cret-s3cret"
    )
    port = program.wait_for_address().rpartition(":")[2]
    assert ask(f"http://127.0.0.1:{port}", "/health")[0] == 401


# ------------------------------------------------------------------------------------------------- the commands


@pytest.fixture
def workflow(tmp_path):
    file = tmp_path / "sum.json"
    file.write_text(
        json.dumps(
            {
                "name": "Sum",
                "nodes": [
                    {
                        "id": "a",
                        "function_name": "math_operation",
                        "parameters": {"operation": "add", "value": 5},
                    }
                ],
            }
        )
    )
    return file


def test_run_prints_the_final_state_and_ends_with_0(start, workflow, database):
    program = start("run", workflow, "--input", "value=37", "--database", database)
    assert program.wait() == 0
    assert json.loads("\n".join(program.out)) == {"value": 42}
    assert any("a completed" in line for line in program.err)
    listing = start("runs", "--json", "--database", database)
    assert listing.wait() == 0
    [run] = json.loads("\n".join(listing.out))
    assert (run["graph_name"], run["status"], run["step_count"]) == ("Sum", "completed", 1)


def test_run_finds_the_workflows_that_a_file_runs_in_the_database(start, workflow, database, tmp_path):
    assert start("run", workflow, "--input", "value=1", "--database", database).wait() == 0
    node = {"id": "sum", "function_name": "run_workflow", "save_as": "made"}
    node["parameters"] = {"graph": "Sum", "value": 2}
    file = tmp_path / "outer.json"
    file.write_text(json.dumps({"name": "Outer", "nodes": [node]}))
    program = start("run", file, "--database", database)
    assert program.wait() == 0, program.err
    assert json.loads("\n".join(program.out)) == {"made": {"value": 7}}
    listing = start("runs", "--json", "--database", database)
    assert listing.wait() == 0
    child, outer, _ = sorted(
        json.loads("\n".join(listing.out)), key=lambda run: run["accepted_at"], reverse=True
    )
    assert (child["graph_name"], child["parent_run_id"]) == ("Sum", outer["run_id"])


def test_a_failed_run_ends_with_1(start, workflow, database):
    program = start("run", workflow, "--input", 'value="seven"', "--database", database)
    assert program.wait() == 1
    assert json.loads("\n".join(program.out)) == {"value": "seven"}
    assert program.err[-1].startswith("wfe: ")


def test_what_cannot_be_run_ends_with_2(start, workflow, tmp_path, database):
    broken = tmp_path / "broken.json"
    broken.write_text('{"name": "x", "nodes": [{"id": "a"}]}')
    unknown = tmp_path / "unknown.json"
    unknown.write_text('{"name": "x", "nodes": [{"id": "a", "function_name": "math_operatoin"}]}')
    for arguments in (
        [tmp_path / "nowhere.json"],
        [broken],
        [unknown],
        [workflow, "--input", "value=abc"],
    ):
        program = start("run", *arguments, "--database", database)
        assert program.wait() == 2, program.err
        assert program.out == []
        assert program.err


def test_ctrl_c_cancels_a_run_and_ends_with_130(start, tmp_path, tools_dir, database):
    file = tmp_path / "hold.json"
    nodes = [
        {"id": "wait", "function_name": "delay", "parameters": {"seconds": 60}},
        {"id": "after", "function_name": "pass_through", "parameters": {"value": 1}},
    ]
    file.write_text(
        json.dumps({"name": "Hold", "nodes": nodes, "edges": [{"from_node": "wait", "to_node": "after"}]})
    )
    program = start("run", file, "--database", database)
    until(lambda: any("wait started" in line for line in program.err))
    assert program.stop(signal.SIGINT) == 130
    assert any("cancelled" in line for line in program.err)


def test_a_step_that_does_not_stop_does_not_keep_a_cancelled_run(start, tmp_path, tools_dir, database):
    file = tmp_path / "hold.json"
    nodes = [{"id": "held", "function_name": "hold", "parameters": {"folder": str(tmp_path)}}]
    file.write_text(json.dumps({"name": "Hold", "nodes": nodes}))
    program = start("run", file, "--tools", tools_dir, "--database", database, WFE_CANCEL_GRACE_S="0.1")
    until((tmp_path / "held").exists)
    assert program.stop(signal.SIGTERM) == 130


def test_run_works_beside_a_running_program(start_headless, start, workflow, database):
    start_headless()
    program = start("run", workflow, "--input", "value=1", WFE_DATABASE_URL=f"sqlite:///{database}")
    assert program.wait() == 2
    assert "in use" in program.err[-1]
    own = start("--headless", "--port", 0)  # on the usual database
    own.wait_for_address()
    program = start("run", workflow, "--input", "value=1")
    assert program.wait() == 0
    assert json.loads("\n".join(program.out)) == {"value": 6}
    assert "not be in its history" in program.err[0]


def test_the_installed_command_is_the_same_program(environment):
    command = [str(Path(sysconfig.get_path("scripts")) / "wfe"), "--help"]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert found.returncode == 0
    assert "--headless" in found.stdout


def test_export_draws_a_workflow_without_a_display(start, project_root, tmp_path):
    svg, png = tmp_path / "picture.svg", tmp_path / "picture.png"
    workflow = project_root / "resources" / "workflows" / "math_processing.json"
    program = start("export", workflow, "--svg", svg, "--png", png, "--theme", "light")
    assert program.wait() == 0, program.err
    assert "<svg" in svg.read_text()
    assert png.read_bytes().startswith(b"\x89PNG")
    for wrong in ([], ["--svg", tmp_path / "picture.png"]):
        assert start("export", workflow, *wrong).wait() == 2


def test_a_second_terminal_is_told_how_far_a_step_is_where_it_asks(
    start_headless, start, tmp_path, tools_dir
):
    (tools_dir / "counting.py").write_text(COUNTING)
    _, address = start_headless()
    graph_id = create(address, ("counts", "count", {"folder": str(tmp_path)}))
    run_id = ask(address, "/graph/run", {"graph_id": graph_id})[1]["run_id"]
    asked = start("events", run_id, "--follow", "--progress", "--server", address)
    plain = start("events", run_id, "--follow", "--server", address)
    until(lambda: any(line.endswith("  counts: 3 of 10 counting") for line in asked.out))
    (tmp_path / "go").touch()
    for following in (asked, plain):
        assert following.wait() == 0
        assert following.out[-1].endswith("Run completed")
    stored = [line for line in asked.out if "3 of 10" not in line]
    assert stored == plain.out
    assert len(stored) < len(asked.out)


def test_a_second_terminal_follows_a_run_and_cancels_it(start_headless, start, tmp_path, project_root):
    _, address = start_headless()
    graph_id = create(
        address, ("a", "pass_through", {"value": 1}), ("held", "hold", {"folder": str(tmp_path)})
    )
    run_id = ask(address, "/graph/run", {"graph_id": graph_id})[1]["run_id"]
    following = start("events", run_id, "--follow", "--server", address)
    until(lambda: any("held started" in line for line in following.out))
    cancel = start("cancel", run_id, "nobody", "--server", address)
    assert cancel.wait() == 1
    assert cancel.out == [f"{run_id} is being cancelled."]
    assert cancel.err == ["wfe: there is no run nobody"]
    (tmp_path / "go").touch()
    assert following.wait() == 0
    assert following.out[-1].endswith("Run cancelled")
    listing = start("events", "--json", "--since", "2", "--server", address)
    assert listing.wait() == 0
    assert [json.loads(line) for line in listing.out] == [
        {**event, "timestamp": event["timestamp"].replace("Z", "+00:00")}
        for event in ask(address, "/events?since=2")[1]
    ]
    for arguments in (
        ["events", "nobody", "--follow"],
        ["events", "nobody"],
        ["events", "--server", "http://127.0.0.1:9"],
    ):
        lost = start(*arguments, *([] if "--server" in arguments else ["--server", address]))
        assert lost.wait() == 1
        assert lost.err[0].startswith("wfe: ")

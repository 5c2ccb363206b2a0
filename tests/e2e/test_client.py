"""The Python client against the program as a process: ended, killed and started again while it is followed."""

import signal
import socket
import threading

import pytest

from tests.e2e.conftest import ask, create, until
from wfe_desktop.client import Client, ConnectionFailed


@pytest.fixture
def start_again(start, database, tools_dir):
    """Starts the program at the same address each time."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def start_again():
        program = start("--headless", "--port", port, "--database", database, "--tools", tools_dir)
        return program, program.wait_for_address()

    return start_again


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("of_one_run", [True, False])
def test_p05_a_client_follows_through_a_restart_without_gap_or_repeat(
    start_again, tmp_path, number, of_one_run
):
    folder = str(tmp_path)
    program, address = start_again()
    graph_id = create(
        address,
        ("e0", "effect", {"folder": folder, "label": "0"}),
        ("held", "hold", {"folder": folder}),
        ("e1", "effect", {"folder": folder, "label": "1"}),
    )
    seen = []

    def follow(client, run_id):
        for event in client.events(run_id, since=0):
            seen.append(event)
            if event.event_type == "workflow_completed" and not of_one_run:
                return

    with Client(address) as client:
        run_id = client.execute_workflow(graph_id)
        following = threading.Thread(target=follow, args=(client, run_id if of_one_run else None))
        following.start()
        until(lambda: (tmp_path / "held").exists() and any(event.node_id == "held" for event in seen))
        program.process.send_signal(number)
        program.wait(20)
        (tmp_path / "go").touch()
        _, address = start_again()
        following.join(30)
        assert not following.is_alive()
        assert [event.seq for event in seen] == [event["seq"] for event in ask(address, "/events")[1]]
        assert "workflow_resumed" in [event.event_type for event in seen]
        assert client.wait(run_id).status.value == "completed"


def test_wait_outlives_the_server(start_again, tmp_path):
    program, address = start_again()
    graph_id = create(address, ("held", "hold", {"folder": str(tmp_path)}))
    ended = []
    with Client(address) as client:
        run_id = client.execute_workflow(graph_id)
        waiting = threading.Thread(target=lambda: ended.append(client.wait(run_id, timeout=40)))
        waiting.start()
        until(lambda: (tmp_path / "held").exists() and client.list_connections())
        program.kill()
        (tmp_path / "go").touch()
        start_again()
        waiting.join(40)
    assert [state.status.value for state in ended] == ["completed"]


def test_a_server_that_does_not_come_back_is_given_up(start_again):
    program, address = start_again()
    raised = []

    def follow(client):
        try:
            next(client.events(reconnect_s=0.3))
        except ConnectionFailed as error:
            raised.append(error)

    with Client(address) as client:
        following = threading.Thread(target=follow, args=(client,))
        following.start()
        until(client.list_connections)
        program.kill()
        following.join(20)
    assert len(raised) == 1

"""Deleting ended runs over HTTP, and with the client."""

import asyncio

import pytest

from tests.integration.server.conftest import chain
from wfe_desktop.client import AsyncClient, ConflictError, RunNotFound


@pytest.fixture
def client(loop, server):
    client = AsyncClient(server.address)
    yield client
    loop.run_until_complete(client.close())


async def until_swept(client, run_id):
    while await client.read_events(run_id=run_id):
        pass


async def test_a_deleted_run_is_gone_from_everywhere_and_the_next_numbers_are_new(client):
    graph_id = await client.create_graph(chain("add"))
    gone = (await client.run_and_wait(graph_id)).run_id
    kept = await client.run_and_wait(graph_id)
    last = (await client.health()).last_seq
    await client.delete_run(gone)
    with pytest.raises(RunNotFound):
        await client.get_execution_status(gone)
    with pytest.raises(RunNotFound):
        await client.delete_run(gone)
    history = await client.query_historical_executions()
    assert [run.run_id for run in history.executions] == [kept.run_id]
    await asyncio.wait_for(until_swept(client, gone), 20)
    following = await client.run_and_wait(graph_id)
    assert (await client.read_events(run_id=following.run_id))[0].seq > last


async def test_a_run_that_has_not_ended_is_refused_and_keeps_none_of_the_others(client, gate):
    graph_id = await client.create_graph(chain("gate"))
    going = await client.execute_workflow(graph_id)
    with pytest.raises(ConflictError, match="has not ended"):
        await client.delete_run(going)
    ended = (await client.run_and_wait(await client.create_graph(chain("add")))).run_id
    answer = await client.delete_runs([going, ended, "nope"])
    assert (answer.deleted, answer.unfinished, answer.not_found) == ([ended], [going], ["nope"])
    assert answer.message == "1 run is deleted"
    gate.opened.set()


async def test_old_runs_are_deleted_by_number_and_none_by_zero(client):
    graph_id = await client.create_graph(chain("add"))
    made = [(await client.run_and_wait(graph_id)).run_id for _ in range(5)]
    assert (await client.prune_runs(runs=0, days=0)).deleted == 0
    assert (await client.prune_runs(days=1)).deleted == 0
    assert (await client.prune_runs(runs=2)).deleted == 3
    history = await client.query_historical_executions()
    assert {run.run_id for run in history.executions} == set(made[3:])


async def test_websocket_clients_are_told_which_runs_are_gone(client, http):
    ended = [(await client.run_and_wait(chain("add"))).run_id for _ in range(3)]
    async with http.ws_connect("/ws") as every, http.ws_connect("/ws") as one:
        await every.send_json({"action": "subscribe", "run_id": "*"})
        await one.send_json({"action": "subscribe", "run_id": ended[0], "types": ["runs_deleted"]})
        for socket in (every, one):
            assert [(await socket.receive_json(timeout=5))["event_type"] for _ in range(2)] == [
                "connection_established",
                "subscription_confirmed",
            ]
        await client.delete_runs([ended[1]])
        await client.delete_runs([ended[0], ended[2], "nope"])
        gone = [await every.receive_json(timeout=5) for _ in range(2)]
        assert [set(message["data"]["run_ids"]) for message in gone] == [{ended[1]}, {ended[0], ended[2]}]
        assert gone[0].keys() == {"event_type", "run_id", "timestamp", "seq", "data"}
        told = await one.receive_json(timeout=5)
        assert (told["event_type"], told["seq"], told["data"]) == (
            "runs_deleted",
            None,
            {"run_ids": [ended[0]]},
        )

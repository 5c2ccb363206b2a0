"""A full disk, as clients of the HTTP API see it: no promise is given that is not kept."""

import asyncio

import pytest

from tests.integration.disks import mounted
from tests.integration.server.conftest import chain


@pytest.fixture
def disk(tmp_path):
    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def settings(disk):
    return {"database_url": f"sqlite:///{disk.folder}/w.db"}


async def ask(http, method, path, body=None):
    async with http.request(method, path, json=body) as answer:
        return answer.status, answer.headers, await answer.json()


async def until_healthy(http):
    while (await ask(http, "GET", "/health"))[2]["status"] != "healthy":
        pass


async def test_p19_on_a_full_disk_runs_and_graphs_are_refused_with_503_and_no_202_is_lost(
    http, services, disk, expect_log
):
    for line in ("its disk is full", "can be written again; work goes on"):
        expect_log(line)
    _, _, created = await ask(http, "POST", "/graph/create", chain("add"))
    run = {"graph_id": created["graph_id"], "initial_state": {"text": "x" * 50_000}}
    status, _, first = await ask(http, "POST", "/graph/run", run)
    assert status == 202
    disk.fill()

    accepted, refusals = [first["run_id"]], 0
    while refusals < 20:
        status, headers, answer = await ask(http, "POST", "/graph/run", run)
        assert status in (202, 503)
        if status == 202:
            accepted.append(answer["run_id"])
            continue
        refusals += 1
        assert headers["Retry-After"] == "1"
        assert answer["detail"]["error"] == "ServiceUnavailable"
        assert "its disk is full; make room there" in answer["detail"]["message"]
    status, headers, answer = await ask(http, "POST", "/graph/create", chain("add"))
    assert (status, headers["Retry-After"]) == (503, "1")
    assert "its disk is full" in answer["detail"]["message"]
    status, _, health = await ask(http, "GET", "/health")
    assert (status, health["status"]) == (200, "unhealthy")
    assert "its disk is full" in health["problem"]
    assert (await ask(http, "GET", f"/graph/state/{first['run_id']}"))[0] == 200

    disk.empty()
    await asyncio.wait_for(until_healthy(http), 20)
    status, _, answer = await ask(http, "POST", "/graph/run", run)
    assert status == 202
    for run_id in [*accepted, answer["run_id"]]:
        ended = await asyncio.wrap_future(services.engine.when_finished(run_id))
        assert ended.status.value == "completed"
    known = {run.run_id for run in services.states.query_runs(limit=1_000).executions}
    assert known >= set(accepted)
    assert len(known) <= len(accepted) + 2  # the one that was under way when the disk got full, and the last

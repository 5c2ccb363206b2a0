"""What the program counts and measures, as JSON and for Prometheus."""

import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.integration.server.conftest import chain
from wfe_desktop.server.app import start_server

pytestmark = pytest.mark.plain_loop


@pytest.fixture
def measure(http):
    async def measure():
        async with http.get("/system/metrics") as answer:
            assert answer.status == 200
            return await answer.json()

    return measure


@pytest.fixture
def scrape(http):
    """The samples of ``/metrics``: by name and labels, their values."""

    async def scrape():
        async with http.get("/metrics") as answer:
            assert (answer.status, answer.content_type) == (200, "text/plain")
            families = list(text_string_to_metric_families(await answer.text()))
        assert all(family.documentation for family in families)
        return {
            (sample.name, tuple(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    return scrape


async def test_runs_and_steps_are_counted_by_how_they_ended(http, run, measure, scrape, gate, make_graph):
    await run("add", "add")
    await run("break_down")
    branch = chain("add", "add")
    branch["edges"][0]["condition"] = "False"
    branch["nodes"][0]["retry"] = {"max_attempts": 2, "delay_s": 0}
    again = chain("break_down", name="Again")
    again["nodes"][0]["retry"] = {"max_attempts": 2, "delay_s": 0}
    for graph in (branch, again):
        async with http.post("/graph/run", json={"graph": graph, "wait_s": 20}) as answer:
            assert answer.status == 200
    async with http.post("/graph/run", json={"graph_id": await make_graph("gate")}) as answer:
        going = (await answer.json())["run_id"]
    async with http.post(f"/graph/cancel/{going}") as answer:
        assert answer.status == 200
    gate.opened.set()
    while (found := await measure())["runs"]["ended"]["cancelled"] < 1:
        pass
    assert found["runs"]["accepted"] == 5
    assert found["runs"]["ended"] == {"completed": 2, "failed": 2, "cancelled": 1}
    steps = found["steps"]["ended"]
    late = steps["completed"] - 3  # the tool at the gate may have returned before it was cancelled
    assert steps == {"completed": 3 + late, "failed": 3, "skipped": 1, "cancelled": 1 - late, "retried": 1}
    assert found["runs"]["durations"]["count"] == 5
    assert found["steps"]["durations"]["count"] == steps["completed"] + steps["failed"]
    assert list(found["runs"]["durations"]["up_to_s"].values())[-1] == 5
    assert found["engine"]["commits"] > 5
    assert 0 < found["engine"]["commit_s"] < 60
    assert (found["engine"]["abandoned_threads"], found["server"]["journal_lag_events"]) == (0, 0)

    samples = await scrape()
    assert samples["wfe_runs_total", (("status", "failed"),)] == 2
    assert samples["wfe_steps_total", (("outcome", "retried"),)] == 1
    assert samples["wfe_runs_accepted_total", ()] == 5
    assert samples["wfe_run_duration_seconds_count", ()] == 5
    assert samples["wfe_step_duration_seconds_bucket", (("le", "+Inf"),)] == steps["completed"] + 3
    assert samples["wfe_journal_commits_total", ()] >= found["engine"]["commits"]
    assert samples["wfe_process_memory_bytes", ()] > 10 * 2**20
    assert samples["wfe_active_runs", ()] == samples["wfe_abandoned_threads", ()] == 0
    assert samples["wfe_http_requests_total", (("status", "200"),)] > 5


async def test_the_number_of_samples_does_not_grow_with_runs_graphs_and_clients(http, run, scrape):
    await run("add")
    await scrape()
    before = await scrape()
    for _ in range(10):
        await run("add")
    async with http.ws_connect("/ws") as socket:
        await socket.receive_json()
        after = await scrape()
    assert after.keys() == before.keys()
    assert after["wfe_websocket_connections", ()] == 1
    assert {name for _, labels in after for name, _ in labels} == {"status", "outcome", "mode", "le"}


async def test_the_time_of_a_run_that_began_before_the_server_is_known(
    http, services, make_graph, gate, server
):
    async with http.post("/graph/run", json={"graph_id": await make_graph("gate")}) as answer:
        assert answer.status == 202
    second = await start_server(services, "127.0.0.1", 0)
    try:
        gate.opened.set()
        while True:
            async with http.get(f"{second.address}/system/metrics") as answer:
                runs = (await answer.json())["runs"]
            if runs["ended"]["completed"]:
                break
        assert (runs["accepted"], runs["durations"]["count"]) == (0, 1)
    finally:
        await second.close()


async def test_without_the_extra_the_address_says_what_to_install(http, monkeypatch):
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    async with http.get("/metrics") as answer:
        assert answer.status == 501
        error = (await answer.json())["detail"]
    assert error["error"] == "NotImplemented"
    assert "pip install 'agent-workflow-engine[metrics]'" in error["message"]
    assert "/system/metrics" in error["message"]

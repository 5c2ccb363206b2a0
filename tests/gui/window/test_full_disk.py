"""A full disk, as the user of the window sees it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.config import AppConfig
from engine.execution.services import Services, open_services
from tests.conftest import ExpectedLog
from tests.gui.window.conftest import Hand, add
from tests.gui.window.test_steering import make_chain
from tests.gui.window.test_window import open_stored
from tests.integration.disks import SmallDisk, mounted

pytestmark = pytest.mark.qt_log_ignore("This plugin does not support", extend=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Where the database is."""
    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.fixture
def services(tmp_path: Path, disk: SmallDisk) -> Iterator[Services]:
    """An open engine with its database there."""
    config = AppConfig(database_url=f"sqlite:///{disk.folder}/w.db", workspace=tmp_path, workers=2)
    services = open_services(config)
    services.registry.register_tool("add", add, "Add", category="Test")
    yield services
    assert services.close()


def test_p19_the_window_says_that_work_stands_still_what_to_do_and_when_it_goes_on(
    hand: Hand, services: Services, disk: SmallDisk, expect_log: ExpectedLog
) -> None:
    for line in ("its disk is full", "can be written again; work goes on"):
        expect_log(line)
    graph_id = open_stored(hand, make_chain("add", "add"))
    disk.fill()
    run = services.engine.submit_workflow(graph_id, {"text": "x" * 100_000})
    work = hand.bench.window.status.work
    hand.wait(lambda: work.text() == "Work stands still")
    assert run.exception(10) is not None
    assert "its disk is full; make room there" in work.toolTip()
    hand.wait(lambda: hand.said)
    said = hand.bench.messages.history[-1]
    assert (said.tone, said.advice) == (
        "error",
        "All work stands still until then. What is recorded is safe.",
    )
    assert said.text.endswith("make room there, or delete old runs (database or disk is full).")
    disk.empty()
    hand.wait(lambda: work.text() == "Idle · 2 workers free")
    hand.wait(lambda: hand.said[-1:] == ["The database can be written again; work goes on."])
    assert (
        services.states.query_runs().total_count == 1
    )  # decided before anybody knew, and told so: nothing is lost

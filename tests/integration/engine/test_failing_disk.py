"""The disk is full, or fails: work stands still and says so, nothing is damaged, and it goes on when it can."""

import json
import subprocess
import sys
import threading
import time
from contextlib import closing

import pytest

from engine.config import AppConfig
from engine.errors import DatabaseError, ServiceUnavailable
from engine.model.events import RunCompleted, StepCompleted
from engine.model.status import RunStatus
from tests.crash.checks import check_folder
from tests.crash.shapes import Builder, make_shape
from tests.integration.disks import mounted, strace
from tests.integration.engine.conftest import Bench, make_graph

STANDS_STILL = r"cannot be written: its disk is full; make room there.*work stands still"


def wait_until(condition, timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_p19_with_a_full_disk_work_stands_still_says_so_and_goes_on_when_there_is_room(tmp_path, expect_log):
    expect_log(STANDS_STILL)
    expect_log("can be written again; work goes on")
    with mounted(tmp_path / "disk") as disk:
        bench = Bench(AppConfig(database_url=f"sqlite:///{disk.folder}/w.db", workers=2))
        begun, release = threading.Event(), threading.Event()

        @bench.tool
        def hold() -> str:
            begun.set()
            release.wait(20)
            return "x" * 100_000

        told = []
        bench.engine.subscribe(told.extend)
        graph_id = bench.graphs.create_graph(
            make_graph(dict.fromkeys("abcd", "hold"), ["a -> b", "b -> c", "c -> d"])
        )
        run_id = bench.engine.execute_workflow(graph_id)
        assert begun.wait(10)
        disk.fill()
        release.set()
        wait_until(lambda: bench.engine.storage_problem is not None)

        assert "its disk is full; make room there" in bench.engine.storage_problem
        assert not any(isinstance(entry.event, StepCompleted) for entry in told), (
            "told before it was recorded"
        )
        with pytest.raises(ServiceUnavailable, match="its disk is full"):
            bench.engine.execute_workflow(graph_id)
        with pytest.raises(DatabaseError, match="its disk is full"):
            bench.graphs.create_graph(make_graph({"a": "hold"}))
        assert bench.engine.get_execution_status(run_id).status is RunStatus.RUNNING  # as it is recorded
        with pytest.raises(ServiceUnavailable):
            bench.engine.cancel_execution(run_id)

        disk.empty()
        assert bench.engine.wait(run_id, 20).status is RunStatus.COMPLETED
        assert bench.engine.storage_problem is None
        assert bench.run(make_graph({"a": "hold"})).status is RunStatus.COMPLETED
        with bench.database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        recorded = bench.engine.read_events(limit=None)
        assert sum(isinstance(entry.event, RunCompleted) for entry in recorded) == 2
        assert [entry.seq for entry in told] == [entry.seq for entry in recorded]
        bench.close()


def test_p19_a_program_that_ends_on_a_full_disk_leaves_what_the_next_one_goes_on_with(tmp_path, expect_log):
    expect_log(STANDS_STILL)
    expect_log("the engine stops: it was closed while the journal could not be written")
    with mounted(tmp_path / "disk") as disk:
        config = AppConfig(database_url=f"sqlite:///{disk.folder}/w.db", workers=2)
        bench = Bench(config)
        begun, release = threading.Event(), threading.Event()

        def hold() -> str:
            begun.set()
            release.wait(20)
            return "x" * 100_000

        bench.tools.register_tool("hold", hold, "")
        run_id = bench.start(make_graph({"a": "hold", "b": "hold"}, ["a -> b"]))
        assert begun.wait(10)
        disk.fill()
        release.set()
        wait_until(lambda: bench.engine.storage_problem is not None)
        bench.engine.close(0.2)
        bench.database.close()

        disk.empty()
        with closing(Bench(config)) as bench:
            bench.tools.register_tool("hold", hold, "")
            assert bench.engine.wait(run_id, 20).status is RunStatus.COMPLETED


@pytest.mark.parametrize(
    "fault",
    [
        "fsync,fdatasync:error=EIO:when=15..16",
        "pwrite64:error=EIO:when=120..121",
        "pwrite64:error=ENOSPC:when=130..131",
    ],
)
def test_p20_when_syncing_or_writing_fails_for_a_while_nothing_is_damaged_and_work_goes_on(
    tmp_path, project_root, fault
):
    """The faults strike each thread of the program for itself: late enough to spare the one that opens the database."""
    builder = Builder("long", "thread")
    builder.chain([], 100)
    shapes = [
        builder.scenario(),
        *(make_shape(shape, "thread") for shape in ("branches", "loop", "items")),
    ]
    scenarios = [scenario.model_dump(mode="json") for scenario in shapes]
    code = (
        "import json, logging, sys; from pathlib import Path; logging.basicConfig(level='WARNING')\n"
        "from tests.crash.life import live\n"
        "live(Path(sys.argv[1]), json.load(sys.stdin), 'full')"
    )
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    errors = {}
    for folder, prefix in ((calm, []), (wild, strace(fault))):
        folder.mkdir()
        command = [*prefix, sys.executable, "-c", code, str(folder)]
        done = subprocess.run(
            command,
            input=json.dumps(scenarios),
            cwd=project_root,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        errors[folder] = done.stderr
        if folder is calm:
            assert done.returncode == 0, done.stderr
    undisturbed = check_folder(calm)
    assert "work stands still until then" in errors[wild]
    assert "work goes on" in errors[wild]
    found = check_folder(wild, undisturbed.endings)
    assert found.violations == []
    assert found.runs == undisturbed.runs == 4

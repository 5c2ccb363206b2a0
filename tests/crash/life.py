"""One life of a program that may be killed at any moment: it lets old runs go on, starts new ones, and waits for all."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from engine.config import AppConfig
from engine.execution.engine import ExecutionEngine
from engine.model.events import JournalEntry
from engine.model.run import RunSnapshot
from engine.model.status import RunStatus
from engine.storage.database import Database, open_database
from engine.storage.graphs import GraphManager
from engine.storage.journal import Batch, StateManager
from engine.tools.builtin.control import run_workflow
from engine.tools.registry import ToolRegistry
from tests.crash.shapes import RESOURCES, Scenario
from tests.crash.tools import ALL, FOLDER, LIFE, ONCE, Clock, Step, read_effects, read_lines, write_line

DATABASE, ACCEPTED, SEEN, LIVES, LEVELS = "w.db", "accepted", "seen", "lives", "levels"
WAIT_S = 60.0


def describe(entry: JournalEntry) -> str:
    """An event on one line, as it is told and as it is recorded."""
    event = entry.event
    names = {field.name for field in fields(event)} & {"node", "visit", "attempt", "item"}
    parts = [
        f"{name}={getattr(event, name)}" for name in ("node", "visit", "attempt", "item") if name in names
    ]
    return " ".join([str(entry.seq), entry.run_id, type(event).__name__, *parts])


def open_only(path: str, file_limit: int | None) -> None:
    """Open a database, which may bring it up to date, and close it. The write that makes a file longer than the limit kills."""
    if file_limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, resource.RLIM_INFINITY))
    Database(f"sqlite:///{path}").close()


class DeadlyJournal(StateManager):
    """Kills the program at a commit that is chosen by what it holds: ``before:ChildStarted:2``, or after it.

    The second is the name of an event's type, or ``NewResult`` for a result that is to be kept; the number counts such commits.
    """

    def __init__(self, database: Database, moment: str) -> None:
        super().__init__(database)
        self._when, self._what, nth = (moment or "never::0").split(":")
        self._left = int(nth)

    def append(self, batch: Batch) -> None:
        held = {type(part).__name__ for part in (*(e.event for e in batch.entries), *batch.new_results)}
        self._left -= self._what in held
        meant = self._what in held and self._left == 0
        if meant and self._when == "before":
            _die()
        super().append(batch)
        if meant:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()  # the signal may take a moment


def live(
    folder: Path,
    scenarios: Sequence[dict[str, Any]],
    synchronous: str = "normal",
    prune_to: int | None = None,
    moment: str = "",
    rounds: int = 1,
) -> None:
    """Play these scenarios in this folder, so many times. What is told goes into files at once, and no crash takes it back."""
    number = len(read_lines(folder / LIVES)) + 1
    os.environ[FOLDER], os.environ[LIFE] = str(folder), str(number)
    config = AppConfig(
        database_url=f"sqlite:///{folder / DATABASE}",
        workers=2,
        synchronous=synchronous,
        workspace=folder,
        resources=RESOURCES,
    )
    database = open_database(config)
    tools = ToolRegistry()
    tools.register(run_workflow)
    for name, function in ALL.items():
        tools.register_tool(name, function, "")
    for name, function in ONCE.items():
        tools.register_tool(name, function, "", effects="once")
    states = DeadlyJournal(database, moment)
    Clock(folder, number).start()
    write_line(LIVES, f"{number} {states.last_seq()}\n")
    engine = ExecutionEngine(
        graph_manager=GraphManager(database), state_manager=states, tool_registry=tools, config=config
    )
    engine.subscribe(lambda entries: write_line(SEEN, "".join(f"{describe(entry)}\n" for entry in entries)))
    played = [Scenario.model_validate(scenario) for scenario in scenarios]
    for _ in range(rounds):
        _play(engine, folder, played)
        left = {
            name: usage for name, usage in engine.get_resources().items() if usage.in_use or usage.waiting
        }
        assert not left, f"no step is under way, and tokens are taken: {left}"
        if prune_to is not None:
            engine.prune_runs(runs=prune_to)
        write_line(LEVELS, _measure())
    engine.close()
    database.close()


def _measure() -> str:
    """Threads, open files, and memory in KB."""
    own = Path("/proc/self")
    (memory,) = (line.split()[1] for line in (own / "status").read_text().splitlines() if "RssAnon" in line)
    return f"{len([*own.glob('task/*')])} {len([*own.glob('fd/*')])} {memory}\n"


def _play(engine: ExecutionEngine, folder: Path, scenarios: Sequence[Scenario]) -> None:
    waited_for = [run.run_id for run in engine.states.unfinished_runs()]
    engine.recover()
    for run_id in waited_for:
        _decide_steps(engine, folder, engine.get_execution_status(run_id))
    to_fork = []
    for scenario in scenarios:
        for child in scenario.children:
            engine.graphs.keep_graph(child)
        graph_id = engine.graphs.keep_graph(scenario.graph)
        if scenario.fork_at is not None and (ended := _find_ended(engine, graph_id)) is not None:
            waited_for.append(_fork(engine, ended, scenario.fork_at))
        new = [
            _accept(engine.execute_workflow(graph_id, durability=scenario.durability))
            for _ in range(scenario.runs)
        ]
        if scenario.fork_at is not None and ended is None:
            to_fork.append((new[0], scenario.fork_at))
        waited_for += new
    for run_id in waited_for:
        engine.wait(run_id, WAIT_S)
    for run_id in [_fork(engine, *place) for place in to_fork]:
        engine.wait(run_id, WAIT_S)


def _accept(run_id: str) -> str:
    write_line(ACCEPTED, f"{run_id}\n")
    return run_id


def _fork(engine: ExecutionEngine, run_id: str, node_id: str) -> str:
    return _accept(engine.fork(run_id, node_id))


def _find_ended(engine: ExecutionEngine, graph_id: str) -> str | None:
    """A run of the graph that can be forked."""
    page = engine.states.query_runs(graph_id, RunStatus.COMPLETED, top_level=True)
    return next((run.run_id for run in page.executions if run.forked_from is None), None)


def _decide_steps(engine: ExecutionEngine, folder: Path, run: RunSnapshot) -> None:
    """As a person would who looks whether an interrupted step has had its effect, which must not be doubled."""
    for node_id, info in run.steps.items():
        if info.waits_for is None or info.waits_for.kind != "decision":
            continue
        step = Step(run.run_id, node_id, info.visit, -1)
        results = [effect.result for effect in read_effects(folder) if effect.step == step]
        choice = "result" if results else "rerun"
        engine.decide_step(run.run_id, node_id, choice, results[0] if results else None).result()

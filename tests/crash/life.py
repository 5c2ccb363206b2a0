"""One life of a program that may be killed at any moment: it lets old runs go on, starts new ones, and waits for all."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from engine.config import AppConfig
from engine.execution.engine import ExecutionEngine
from engine.model.events import JournalEntry
from engine.model.graph import GraphDefinition
from engine.storage.database import Database, open_database
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager
from engine.tools.registry import ToolRegistry
from tests.crash.tools import ALL, EFFECTS

DATABASE, ACCEPTED, SEEN, EFFECT_FILE = "w.db", "accepted", "seen", "effects"
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


def live(folder: Path, graphs: Sequence[dict[str, Any]], synchronous: str, prune_to: int | None) -> None:
    """Run these graphs in this folder. What is told goes into files at once, so that a crash takes none of it back."""
    os.environ[EFFECTS] = str(folder / EFFECT_FILE)
    config = AppConfig(
        database_url=f"sqlite:///{folder / DATABASE}", workers=2, synchronous=synchronous, workspace=folder
    )
    database = open_database(config)
    tools = ToolRegistry()
    for name, function in ALL.items():
        tools.register_tool(name, function, "")
    manager, states = GraphManager(database), StateManager(database)
    engine = ExecutionEngine(graph_manager=manager, state_manager=states, tool_registry=tools, config=config)
    seen = os.open(folder / SEEN, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    accepted = os.open(folder / ACCEPTED, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    engine.subscribe(
        lambda entries: os.write(seen, "".join(f"{describe(entry)}\n" for entry in entries).encode()) and None
    )
    old = [run.run_id for run in states.unfinished_runs()]
    engine.recover()
    new = []
    for graph in graphs:
        run_id = engine.execute_workflow(manager.create_graph(GraphDefinition.model_validate(graph)))
        os.write(accepted, f"{run_id}\n".encode())
        new.append(run_id)
    for run_id in [*old, *new]:
        engine.wait(run_id, WAIT_S)
    if prune_to is not None:
        engine.prune_runs(runs=prune_to)
    engine.close()
    database.close()

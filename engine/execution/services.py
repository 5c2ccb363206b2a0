"""The engine with all it needs, opened and closed as one: for the window, the headless server and the command line."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from engine.config import AppConfig
from engine.execution.engine import ExecutionEngine
from engine.storage.database import Database, open_database
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager
from engine.tools.builtin import register_builtin_tools
from engine.tools.discovery import LoadFailure, load_tools_dir
from engine.tools.registry import ToolRegistry

_SWITCH_INTERVAL_S = 0.0005
"""How long a busy thread keeps the interpreter to itself while others want it.

Measured on two cores with runs of ten steps, alone and beside one thread (two) that is busy in pure Python:

    =========  ==========  ================  ======================
    interval   alone       beside it         what it still gets done
    =========  ==========  ================  ======================
    5 ms       2.2 ms      202 (1,054) ms    100 %
    1 ms       2.1 ms      44 (194) ms       92 %
    0.5 ms     2.1 ms      28 (41) ms        84 %
    0.2 ms     2.5 ms      6 (26) ms         67 %
    0.1 ms     3.0 ms      3 (12) ms         57 %
    =========  ==========  ================  ======================

Half a millisecond costs runs nothing and a busy tool a sixth; tools that burn CPU leave for a process anyway.
"""

_M_ARENA_MAX: Final = -8


@dataclass(slots=True)
class Services:
    """What the doors share. ``load_failures`` tells of tool files that could not be loaded."""

    config: AppConfig
    database: Database
    graphs: GraphManager
    states: StateManager
    registry: ToolRegistry
    engine: ExecutionEngine
    load_failures: list[LoadFailure] = field(default_factory=list)

    def close(self, timeout_s: float = 5.0) -> bool:
        """Close in reverse order; whether all threads have ended."""
        ended = self.engine.close(timeout_s)
        self.database.close()
        return ended


def open_services(config: AppConfig | None = None) -> Services:
    """Open the database, load the tools, and let unfinished runs go on. For a program that is ours to tune.

    Raises:
        DatabaseError: the database cannot be used; says what to do.
    """
    config = config or AppConfig()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    _share_one_heap()
    database = open_database(config)
    try:
        registry = ToolRegistry()
        register_builtin_tools(registry, config.workspace)
        failures = [failure for folder in config.tools_dirs for failure in load_tools_dir(registry, folder)]
        graphs, states = GraphManager(database), StateManager(database)
        engine = ExecutionEngine(
            graph_manager=graphs, state_manager=states, tool_registry=registry, config=config
        )
        engine.recover()
    except BaseException:
        database.close()
        raise
    return Services(config, database, graphs, states, registry, engine, failures)


def _share_one_heap() -> None:
    """Have glibc give no thread a heap of its own: what one has freed is there for the others. Elsewhere, nothing.

    Threads take turns at the interpreter, so they rarely meet there.
    """
    if sys.platform == "linux":
        with suppress(AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)

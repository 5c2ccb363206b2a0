"""``wfe run FILE``: one workflow to its end, progress on stderr, the final state on stdout."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any, Final

from engine.errors import DatabaseInUse, ValidationError
from engine.execution.services import Services, open_services
from engine.flow.presenter import present
from engine.flow.strict_json import parse_json
from engine.flow.validation import check_runnable, validate_graph
from engine.model.events import JournalEntry, RunCancelled, RunCompleted, RunFailed
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem, Severity
from engine.model.status import RunStatus
from wfe_desktop.document.files import load_graph_file
from wfe_desktop.options import StartOptions
from wfe_desktop.terminal import complain, leave, notice, print_json

CLOSE_TIMEOUT_S: Final = 3.0
EXIT_STATUS: Final = {RunStatus.COMPLETED: 0, RunStatus.FAILED: 1, RunStatus.CANCELLED: 130}


def run_file(path: Path, inputs: Sequence[str], options: StartOptions) -> int:
    """Runs a workflow file; the exit status says how the run ended: 0, 1, or 130 where it was cancelled.

    Raises:
        WorkflowError, WorkflowFileError: the file, the input or the database cannot be used; nothing was run.
    """
    graph = load_graph_file(path)
    initial_state = read_inputs(inputs)
    with tempfile.TemporaryDirectory(prefix="wfe-") as folder:
        services = _open_services(options, Path(folder))
        try:
            _check(graph, services)
            status = _run(services, graph, initial_state)
        finally:
            ended = services.close(CLOSE_TIMEOUT_S)
    if not ended:
        leave(status)
    return status


def read_inputs(inputs: Sequence[str]) -> dict[str, Any]:
    """The initial state from ``key=json`` and ``@file`` arguments; a later one overrides an earlier one.

    Raises:
        ValidationError: one of them is not that; all that are wrong are named.
    """
    state: dict[str, Any] = {}
    problems: list[Problem] = []
    for text in inputs:
        try:
            state.update(_read_input(text))
        except (ValidationError, OSError, ValueError) as error:
            problems.append(Problem(Severity.ERROR, "bad-input", f"--input {text}: {error}"))
    if problems:
        raise ValidationError("\n".join(problem.message for problem in problems), problems)
    return state


def _read_input(text: str) -> dict[str, Any]:
    if text.startswith("@"):
        value = parse_json(Path(text[1:]).read_bytes())
        if not isinstance(value, dict):
            raise ValueError("the file holds no JSON object")
        return value
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ValueError("give it as key=json, or @file")
    try:
        return {key: parse_json(value)}
    except ValidationError as error:
        raise ValueError(f"{error.message}; a text goes in quotes, such as '{key}=\"...\"'") from None


def _open_services(options: StartOptions, spare: Path) -> Services:
    """The engine on the database asked for. Where none was and the usual one is in use (the window is open),
    one in the folder ``spare`` serves: the run works all the same, only that no history has it.
    """
    config = options.to_config()
    try:
        services = open_services(config)
    except DatabaseInUse:
        if options.database is not None or "WFE_DATABASE_URL" in os.environ:
            raise
        notice("The database is in use by another program: this run will not be in its history.")
        config = config.model_copy(update={"database_url": f"sqlite:///{spare / 'workflows.db'}"})
        services = open_services(config)
    for failure in services.load_failures:
        notice(str(failure))
    return services


def _check(graph: GraphDefinition, services: Services) -> None:
    tools, resources = services.registry.list_tools(), services.engine.config.resources
    for problem in validate_graph(graph, tools, resources):
        notice(f"{problem.severity.value}: {problem.message}")
    refused = check_runnable(graph, tools, resources)
    if refused:
        raise ValidationError("The workflow cannot be run.", refused)


def _run(services: Services, graph: GraphDefinition, initial_state: dict[str, Any]) -> int:
    engine = services.engine
    happened: SimpleQueue[JournalEntry] = SimpleQueue()

    def listen(entries: Sequence[JournalEntry]) -> None:
        for entry in entries:
            happened.put(entry)

    unsubscribe = engine.subscribe(listen)
    try:
        run_id = engine.execute_workflow(_store(services, graph), initial_state)
        with _cancel_on_signals(services, run_id):
            _show_until_the_end(happened, run_id)
        run = engine.wait(run_id)
    finally:
        unsubscribe()
    print_json(run.current_state.data)
    if run.error_message:
        complain(run.error_message)
    return EXIT_STATUS[run.status]


def _store(services: Services, graph: GraphDefinition) -> str:
    """The graph's id in the database; one that is there already is used again."""
    for summary in services.graphs.list_graphs():
        if summary.name == graph.name and services.graphs.get_graph(summary.id) == graph:
            return summary.id
    return services.graphs.create_graph(graph)


def _show_until_the_end(happened: SimpleQueue[JournalEntry], run_id: str) -> None:
    while True:
        entry = happened.get()
        if entry.run_id != run_id:
            continue
        event = present(entry)
        notice(f"{_clock(event.timestamp)}  {event.message}")
        if isinstance(entry.event, RunCompleted | RunFailed | RunCancelled):
            return


def _clock(at: datetime) -> str:
    return at.astimezone().strftime("%H:%M:%S.%f")[:-3]


@contextmanager
def _cancel_on_signals(services: Services, run_id: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM cancel the run in order; the second Ctrl-C ends the process at once."""
    asked = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            os._exit(EXIT_STATUS[RunStatus.CANCELLED])
        asked = True
        services.engine.request_cancel(run_id)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)

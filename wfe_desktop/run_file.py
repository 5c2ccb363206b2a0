"""``wfe run FILE``: one workflow to its end, progress on stderr, the final state on stdout."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Final

from engine.errors import DatabaseInUse, ValidationError
from engine.execution.attempts.output import logged_only
from engine.execution.engine import ExecutionEngine
from engine.execution.services import Services, open_services
from engine.flow.strict_json import parse_json
from engine.flow.validation import check_runnable, validate_graph
from engine.model.events import JournalEntry, RunCancelled, RunCompleted, RunFailed, StepProgress
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem, Severity
from engine.model.status import RunStatus
from wfe_desktop.document.files import load_graph_file
from wfe_desktop.options import StartOptions
from wfe_desktop.progress import REFRESH_S, View, make_view
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
        gc.enable()
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
        notice(
            "The database is in use by another program: this run will not be in its history, and finds no workflows there."
        )
        config = config.model_copy(update={"database_url": f"sqlite:///{spare / 'workflows.db'}"})
        services = open_services(config)
    for failure in services.load_failures:
        notice(str(failure))
    return services


def _check(graph: GraphDefinition, services: Services) -> None:
    tools, resources = services.registry.list_tools(), services.engine.config.resources
    for problem in validate_graph(graph, tools, resources, services.graphs.find_graph):
        notice(f"{problem.severity.value}: {problem.message}")
    refused = check_runnable(graph, tools, resources)
    if refused:
        raise ValidationError("The workflow cannot be run.", refused)


def _run(services: Services, graph: GraphDefinition, initial_state: dict[str, Any]) -> int:
    engine = services.engine
    happened: SimpleQueue[JournalEntry | StepProgress] = SimpleQueue()

    def listen(entries: Sequence[JournalEntry]) -> None:
        for entry in entries:
            happened.put(entry)

    with ExitStack() as stack:
        stack.enter_context(
            logged_only()
        )  # stdout is for the final state, stderr has what they print as events
        stack.callback(engine.subscribe(listen))
        stack.callback(engine.subscribe_progress(happened.put))
        cancelling = stack.enter_context(_cancel_on_signals(engine))
        run_id = engine.execute_workflow(_store(services, graph), initial_state)
        view = make_view(graph, lambda: engine.request_status(run_id).result())
        stack.callback(view.close)
        cancelling.begin(run_id, view)
        _show_until_the_end(happened, run_id, view)
        run = engine.wait(run_id)
        view.end(run)
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


def _show_until_the_end(happened: SimpleQueue[JournalEntry | StepProgress], run_id: str, view: View) -> None:
    while True:
        try:
            found = happened.get(timeout=REFRESH_S)
        except Empty:
            view.refresh()
            continue
        if found.run_id != run_id:
            continue
        view.show(found)
        if isinstance(found, JournalEntry) and isinstance(
            found.event, RunCompleted | RunFailed | RunCancelled
        ):
            return
        view.refresh()


class _Cancelling:
    """What Ctrl-C and SIGTERM do: the first one cancels the run in order; a second Ctrl-C ends the process at once."""

    def __init__(self, engine: ExecutionEngine) -> None:
        self._engine = engine
        self._asked = False
        self._run: tuple[str, View] | None = None

    def begin(self, run_id: str, view: View) -> None:
        """From now on there is something to cancel."""
        self._run = run_id, view
        if self._asked:
            self._cancel()

    def handle(self, number: int, _frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            if self._run is not None:
                self._run[1].close()
            os._exit(EXIT_STATUS[RunStatus.CANCELLED])
        self._asked = True
        self._cancel()

    def _cancel(self) -> None:
        if self._run is not None:
            run_id, view = self._run
            view.announce_cancel()
            self._engine.request_cancel(run_id)


@contextmanager
def _cancel_on_signals(engine: ExecutionEngine) -> Iterator[_Cancelling]:
    cancelling = _Cancelling(engine)
    before = {number: signal.signal(number, cancelling.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancelling
    finally:
        for number, old in before.items():
            signal.signal(number, old)

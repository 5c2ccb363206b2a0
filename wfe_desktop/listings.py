"""``wfe validate``, ``tools``, ``graphs`` and ``runs``: what there is, as a table or as JSON.

The database is opened for reading only, so that this works while another program runs on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from typing import Final

import pydantic

from engine.config import AppConfig
from engine.errors import DatabaseError
from engine.flow.validation import validate_graph
from engine.model.problem import Problem, Severity
from engine.storage.database import Database, open_database
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager
from engine.storage.kept_results import KeptResults
from engine.tools.builtin import register_builtin_tools
from engine.tools.discovery import load_tools_dir
from engine.tools.registry import ToolRegistry
from wfe_desktop.document.files import WorkflowFileError, load_graph_file
from wfe_desktop.options import StartOptions
from wfe_desktop.server.payloads import GraphLine, RunLine, problems_out
from wfe_desktop.server.system_payloads import ToolOut
from wfe_desktop.terminal import complain, notice, print_json, print_table, say

EXIT_INVALID: Final = 2
UNREADABLE: Final = "unreadable-file"


def validate_file(path: Path, options: StartOptions, *, as_json: bool) -> int:
    """Prints every problem of a workflow file; 0 where none of them is an error, else 2."""
    try:
        graph = load_graph_file(path)
    except WorkflowFileError as error:
        problems = list(error.problems) or [Problem(Severity.ERROR, UNREADABLE, str(error))]
    else:
        config = options.to_config()
        with ExitStack() as stack:
            find_workflow = _open_workflows(options, stack)
            problems = validate_graph(graph, load_tools(config).list_tools(), config.resources, find_workflow)
    errors = [problem for problem in problems if problem.is_error]
    warnings = [problem for problem in problems if not problem.is_error]
    if as_json:
        found = {"is_valid": not errors, "errors": problems_out(errors), "warnings": problems_out(warnings)}
        print_json(found)
        return EXIT_INVALID if errors else 0
    for problem in problems:
        (complain if problem.code == UNREADABLE else say)(describe(problem))
    if not errors:
        count = f", with {len(warnings)} warning{'s' * (len(warnings) > 1)}" if warnings else ""
        notice(f"{path} is valid{count}.")
    return EXIT_INVALID if errors else 0


def describe(problem: Problem) -> str:
    """A problem on one line, its place first."""
    places = [
        f"node {problem.node_id}" if problem.node_id is not None else "",
        f"edge {problem.edge}" if problem.edge is not None else "",
        problem.field or "",
    ]
    where = ", ".join(place for place in places if place)
    return f"{problem.severity.value}: {where + ': ' if where else ''}{problem.message}"


def list_tools(options: StartOptions, *, as_json: bool) -> int:
    """Prints the registered tools, those of ``--tools`` included."""
    tools = load_tools(options.to_config()).list_tools()
    found = [tools[name] for name in sorted(tools)]
    if as_json:
        _print_models([ToolOut.of(tool) for tool in found])
    else:
        rows = [
            (tool.name, tool.category, tool.description.splitlines()[0] if tool.description else "")
            for tool in found
        ]
        print_table(("NAME", "CATEGORY", "DESCRIPTION"), rows, "No tools.")
    return 0


def list_graphs(options: StartOptions, *, as_json: bool) -> int:
    """Prints the stored graphs, the latest changed first."""
    with closing(_open_for_reading(options)) as database:
        graphs = GraphManager(database).list_graphs()
    if as_json:
        _print_models([GraphLine.of(graph) for graph in graphs])
    else:
        rows = [
            (graph.id, graph.name, str(graph.version), str(graph.node_count), _local(graph.updated_at))
            for graph in graphs
        ]
        print_table(("ID", "NAME", "VERSION", "NODES", "CHANGED"), rows, "No graphs are stored.")
    return 0


def list_runs(options: StartOptions, *, limit: int, as_json: bool) -> int:
    """Prints the latest runs, newest first."""
    with closing(_open_for_reading(options)) as database:
        page = StateManager(database).query_runs(limit=limit)
    if as_json:
        _print_models([RunLine.of(run) for run in page.executions])
        return 0
    rows = [
        (
            run.run_id,
            run.graph_name,
            run.status.value,
            _local(run.accepted_at),
            "" if run.duration_s is None else f"{run.duration_s:.3f} s",
            run.parent_run_id or "",
            run.forked_from or "",
            run.error_message or "",
        )
        for run in page.executions
    ]
    print_table(
        ("ID", "WORKFLOW", "STATUS", "ACCEPTED", "DURATION", "PARENT", "FORKED FROM", "ERROR"),
        rows,
        "There were no runs yet.",
    )
    if page.has_more:
        notice(f"{page.total_count} runs in all.")
    return 0


def clear_cache(options: StartOptions, tool: str | None) -> int:
    """Forgets the results that are kept for use again, all or those of one tool."""
    database = open_database(options.to_config())
    try:
        count = KeptResults(database).drop(tool)
    finally:
        database.close()
    say(f"Forgot {count:,} kept result{'s' * (count != 1)}.")
    return 0


def load_tools(config: AppConfig) -> ToolRegistry:
    """The built-in tools and those of the configuration's folders; what could not be loaded is said on stderr."""
    registry = ToolRegistry()
    register_builtin_tools(registry, config.workspace)
    for folder in config.tools_dirs:
        for failure in load_tools_dir(registry, folder):
            complain(str(failure))
    return registry


def _open_for_reading(options: StartOptions) -> Database:
    config = options.to_config()
    return Database(config.database_url, read_only=True)


def _open_workflows(options: StartOptions, stack: ExitStack) -> Callable[[str], object] | None:
    """What finds stored workflows until the stack closes; None where there is no database."""
    try:
        database = stack.enter_context(closing(_open_for_reading(options)))
    except DatabaseError:
        return None
    return GraphManager(database).find_graph


def _print_models(models: Sequence[pydantic.BaseModel]) -> None:
    print_json([model.model_dump(mode="json", by_alias=True) for model in models])


def _local(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")

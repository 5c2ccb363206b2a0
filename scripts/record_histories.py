"""Record the histories of a few runs into ``tests/data/histories``: once a release, never over an old file.

    python scripts/record_histories.py 0.1
    python scripts/record_histories.py 0.2 forks      only some of them: what is new

Each file has a graph, the journal of one run of it as it was stored, and what became of it. Every later version must
replay it to the same outcome (tests/unit/flow/test_histories.py).
"""

import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from engine import (
    AppConfig,
    ExecutionEngine,
    GraphDefinition,
    GraphManager,
    StateManager,
    ToolRegistry,
    WaitForSignal,
    WaitUntil,
)
from engine.model.run import RunSnapshot
from engine.storage.codec import encode_event
from engine.storage.database import open_database
from engine.tools.builtin.control import run_workflow

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "data" / "histories"


def count(state: dict[str, Any], key: str = "n") -> None:
    state[key] = state.get(key, 0) + 1


def double(x: int) -> int:
    return 2 * x


def fail(context: Any, until: int = 99) -> str:
    if context.attempt < until:
        raise ValueError(f"attempt {context.attempt}")
    return "at last"


def ask() -> object:
    return WaitForSignal("go", {"type": "integer"})


def rest() -> object:
    return WaitUntil(timedelta(milliseconds=1), "rested")


GRAPHS: dict[str, dict[str, Any]] = {
    "branches": {
        "nodes": [
            {"id": "a", "function_name": "double", "bindings": {"x": "state.x"}, "save_as": "y"},
            {"id": "big", "function_name": "count"},
            {"id": "small", "function_name": "count", "parameters": {"key": "m"}},
            {"id": "end", "function_name": "count"},
        ],
        "edges": [
            {"from_node": "a", "to_node": "big", "condition": "result > 5"},
            {"from_node": "a", "to_node": "small", "condition": "else"},
            {"from_node": "big", "to_node": "end"},
            {"from_node": "small", "to_node": "end"},
        ],
    },
    "loops": {
        "entry_point": "outer",
        "nodes": [
            {"id": "outer", "function_name": "count"},
            {"id": "inner", "function_name": "count", "parameters": {"key": "i"}},
            {"id": "end", "function_name": "count", "parameters": {"key": "e"}},
        ],
        "edges": [
            {"from_node": "outer", "to_node": "inner"},
            {"from_node": "inner", "to_node": "inner", "condition": "visit % 3 != 0"},
            {"from_node": "inner", "to_node": "outer", "condition": "steps.outer.visit < 3"},
            {"from_node": "inner", "to_node": "end"},
        ],
    },
    "failures": {
        "nodes": [
            {
                "id": "retried",
                "function_name": "fail",
                "parameters": {"until": 3},
                "retry": {"delay_s": 0.001},
            },
            {"id": "handled", "function_name": "fail"},
            {"id": "help", "function_name": "count"},
            {
                "id": "defaulted",
                "function_name": "fail",
                "on_error": "continue",
                "default_result": 7,
                "save_as": "d",
            },
            {"id": "last", "function_name": "fail"},
        ],
        "edges": [
            {"from_node": "retried", "to_node": "handled"},
            {"from_node": "handled", "to_node": "help", "kind": "error"},
            {"from_node": "help", "to_node": "defaulted"},
            {"from_node": "defaulted", "to_node": "last"},
        ],
    },
    "items": {
        "nodes": [
            {
                "id": "each",
                "function_name": "double",
                "for_each": "state.xs",
                "bindings": {"x": "item"},
                "save_as": "ys",
            },
            {
                "id": "some",
                "function_name": "fail",
                "for_each": "[1, 2]",
                "on_item_error": "collect",
                "save_as": "es",
            },
        ],
        "edges": [{"from_node": "each", "to_node": "some"}],
    },
    "waiting": {
        "nodes": [
            {"id": "rest", "function_name": "rest", "save_as": "r"},
            {"id": "ask", "function_name": "ask", "save_as": "answer"},
            {"id": "end", "function_name": "count"},
        ],
        "edges": [
            {"from_node": "rest", "to_node": "ask"},
            {"from_node": "ask", "to_node": "end", "condition": "result == 42"},
        ],
    },
    "forks": {
        "entry_point": "a",
        "nodes": [
            {"id": "a", "function_name": "count"},
            {
                "id": "each",
                "function_name": "double",
                "for_each": "state.xs",
                "bindings": {"x": "item"},
                "save_as": "ys",
            },
            {
                "id": "handled",
                "function_name": "fail",
                "retry": {"max_attempts": 2, "delay_s": 0.001},
            },
            {"id": "again", "function_name": "count", "parameters": {"key": "m"}},
            {"id": "end", "function_name": "count"},
        ],
        "edges": [
            {"from_node": "a", "to_node": "each"},
            {"from_node": "each", "to_node": "handled"},
            {"from_node": "handled", "to_node": "again", "kind": "error"},
            {"from_node": "again", "to_node": "again", "condition": "visit < 3"},
            {"from_node": "again", "to_node": "end"},
        ],
    },
    "cache": {
        "nodes": [
            {"id": "made", "function_name": "double", "cache": {}, "save_as": "y"},
            {"id": "kept", "function_name": "double", "cache": {"ttl_s": 60}, "save_as": "z"},
            {
                "id": "each",
                "function_name": "double",
                "for_each": "[4, 5, 4]",
                "max_parallel": 1,
                "bindings": {"x": "item"},
                "cache": {},
                "resources": {"gpu": 1},
                "save_as": "ys",
            },
        ],
        "edges": [{"from_node": "made", "to_node": "kept"}, {"from_node": "kept", "to_node": "each"}],
    },
    "resources": {
        "nodes": [
            {"id": "one", "function_name": "count", "resources": {"gpu": 1}},
            {
                "id": "again",
                "function_name": "fail",
                "parameters": {"until": 2},
                "retry": {"delay_s": 0.001},
                "resources": {"gpu": 1},
            },
            {
                "id": "each",
                "function_name": "double",
                "for_each": "state.xs",
                "bindings": {"x": "item"},
                "resources": {"gpu": 1},
                "save_as": "ys",
            },
        ],
        "edges": [{"from_node": "one", "to_node": "each"}],
    },
    "children": {
        "nodes": [
            {
                "id": "each",
                "function_name": "run_workflow",
                "for_each": "state.xs",
                "parameters": {"graph": "branches"},
                "bindings": {"x": "item"},
                "save_as": "made",
            },
            {
                "id": "failing",
                "function_name": "run_workflow",
                "parameters": {"graph": "failures"},
                "retry": {"max_attempts": 2, "delay_s": 0.001},
                "on_error": "continue",
                "default_result": "no luck",
                "save_as": "f",
            },
            {"id": "missing", "function_name": "run_workflow", "parameters": {"graph": "nothing"}},
        ],
        "edges": [
            {"from_node": "each", "to_node": "failing"},
            {"from_node": "failing", "to_node": "missing"},
        ],
    },
    "asking": {
        "nodes": [
            {
                "id": "child",
                "function_name": "run_workflow",
                "parameters": {"graph": "waiting"},
                "save_as": "made",
            }
        ],
    },
}


def record(engine: ExecutionEngine, graph: GraphDefinition, run: RunSnapshot, path: Path) -> None:
    rows = [encode_event(entry.event) for entry in engine.read_events(run_id=run.run_id, limit=None)]
    history = {
        "graph": graph.model_dump(mode="json", exclude_defaults=True),
        "run_id": run.run_id,
        "events": [{"type": row.type, "data": json.loads(row.data)} for row in rows],
        "outcome": {
            "status": run.status.value,
            "state": run.current_state.data,
            "execution_path": run.current_state.execution_path,
            "error_message": run.error_message,
        },
    }
    if path.exists():
        raise SystemExit(f"{path} is there already; histories are never changed")
    text = json.dumps(history, indent=1, sort_keys=True) + "\n"
    path.write_text(text.replace(f"{ROOT}/", ""), encoding="utf-8")


def main() -> None:
    version = sys.argv[1]
    tools = ToolRegistry()
    for function in (count, double, fail, ask, rest):
        tools.register_tool(function.__name__, function, "")
    tools.register(run_workflow)
    with tempfile.TemporaryDirectory() as folder:
        config = AppConfig(database_url=f"sqlite:///{folder}/h.db", resources={"gpu": 1})
        database = open_database(config)
        graphs, states = GraphManager(database), StateManager(database)
        engine = ExecutionEngine(
            graph_manager=graphs, state_manager=states, tool_registry=tools, config=config
        )
        stored = {
            name: graphs.create_graph(GraphDefinition.model_validate({"name": name, **form}))
            for name, form in GRAPHS.items()
        }
        for name in sys.argv[2:] or GRAPHS:
            graph = graphs.get_graph(stored[name])
            run_id = engine.execute_workflow(stored[name], {"x": 4, "xs": [1, 2, 3]})
            while name == "waiting" and not engine.signal(run_id, "go", 42).result():
                pass  # it does not wait for the signal yet
            while name == "asking" and not any(
                engine.signal(child.run_id, "go", 42).result()
                for child in states.query_runs(parent_run_id=run_id).executions
            ):
                pass
            run = engine.wait(run_id, 10)
            if name == "forks":
                run_id = engine.fork(
                    run_id, "again", 2, state={"n": 40}, remove=["x"], idempotency_key="once more"
                )
                run = engine.wait(run_id, 10)
            record(engine, graph, run, FOLDER / f"{version}-{name}.json")
            if name == "children":
                child = engine.get_execution_status(run.steps["failing"].child_run_ids[0])
                record(engine, graphs.get_graph(child.graph_id), child, FOLDER / f"{version}-child.json")
        engine.close()
        database.close()


if __name__ == "__main__":
    main()

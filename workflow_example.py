"""A tour of the Python API: ``python workflow_example.py``. Needs no display, prints what happens, leaves nothing behind.

Branches, a loop, parallel branches with a join, a failure that is handled, and the review of a real file.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from engine import (
    AppConfig,
    EdgeDefinition,
    ExecutionEngine,
    GraphDefinition,
    GraphManager,
    NodeDefinition,
    RunSnapshot,
    RunStatus,
    StateManager,
    ToolContext,
    ToolRegistry,
    tool,
)
from engine.tools.builtin import register_builtin_tools

ROOT = Path(__file__).resolve().parent
TIMEOUT_S = 60.0


# ---------------------------------------------------------------------------------------------------------- tools


def math_operation(state: dict[str, Any], operation: str, value: int, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG001
    """A state tool: is given the state first, and returns what it changes."""
    current = state["value"]
    match operation:
        case "add":
            return {"value": current + value}
        case "subtract":
            return {"value": current - value}
        case "multiply":
            return {"value": current * value}
        case _:
            raise ValueError(f"there is no operation {operation!r}")


def describe(value: int, size: str = "small") -> str:
    """A plain tool: typed parameters in, a value out. ``value`` comes from the state, ``size`` from the node."""
    return f"{value} is {size}"


class Counts(NamedTuple):
    """A result with fields: each is an output of its own, beside the whole result."""

    words: int
    letters: int


@tool(description="Counts words and letters", category="Text")
def count(text: str) -> Counts:
    """Count words and letters. Registered with what the mark says; still an ordinary function."""
    return Counts(len(text.split()), sum(map(str.isalpha, text)))


@tool(description="The longest word", category="Text")
def longest_word(text: str) -> str:
    return max(text.split(), key=len)


@tool(description="Joins what the branches found", category="Text")
async def summarize(words: int, letters: int, longest: str, context: ToolContext) -> str:
    """Async tools run on an event loop; ``context`` tells a tool about its step."""
    return f"{words} words, {letters} letters, the longest is {longest} (said by {context.node_id})"


def fetch_price(item: str) -> float:
    """A tool that can fail."""
    prices = {"apple": 0.4, "pear": 0.5}
    if item not in prices:
        raise LookupError(f"nobody sells a {item}")
    return prices[item]


# ------------------------------------------------------------------------------------------------------ workflows


def math_workflow() -> GraphDefinition:
    """Branches by the value that was reached."""
    return GraphDefinition(
        name="Mathematical processing",
        nodes=[
            NodeDefinition(
                id="add", function_name="math_operation", parameters={"operation": "add", "value": 10}
            ),
            NodeDefinition(
                id="multiply",
                function_name="math_operation",
                parameters={"operation": "multiply", "value": 3},
            ),
            NodeDefinition(
                id="large", function_name="describe", parameters={"size": "large"}, save_as="verdict"
            ),
            NodeDefinition(id="small", function_name="describe", save_as="verdict"),
        ],
        edges=[
            EdgeDefinition(from_node="add", to_node="multiply"),
            EdgeDefinition(from_node="multiply", to_node="large", condition="state.value > 50"),
            EdgeDefinition(from_node="multiply", to_node="small", condition="else"),
        ],
        entry_point="add",
    )


def loop_workflow() -> GraphDefinition:
    """Doubles until the value is above a thousand, then goes on."""
    return GraphDefinition(
        name="Doubling loop",
        nodes=[
            NodeDefinition(
                id="double", function_name="math_operation", parameters={"operation": "multiply", "value": 2}
            ),
            NodeDefinition(
                id="minus_one",
                function_name="math_operation",
                parameters={"operation": "subtract", "value": 1},
            ),
        ],
        edges=[
            EdgeDefinition(from_node="double", to_node="double", condition="state.value <= 1000"),
            EdgeDefinition(from_node="double", to_node="minus_one", condition="else"),
        ],
        entry_point="double",
    )


def parallel_workflow() -> GraphDefinition:
    """Two branches at the same time; data wires carry their results to the join, which waits for both."""
    return GraphDefinition(
        name="Parallel text analysis",
        nodes=[
            NodeDefinition(id="start", function_name="pass_through", bindings={"value": "state.text"}),
            NodeDefinition(id="count", function_name="count"),
            NodeDefinition(id="longest", function_name="longest_word"),
            NodeDefinition(id="summary", function_name="summarize", save_as="summary"),
        ],
        edges=[
            EdgeDefinition(from_node="start", to_node="count", to_port="text"),
            EdgeDefinition(from_node="start", to_node="longest", to_port="text"),
            EdgeDefinition(from_node="count", from_port="words", to_node="summary", to_port="words"),
            EdgeDefinition(from_node="count", from_port="letters", to_node="summary", to_port="letters"),
            EdgeDefinition(from_node="longest", to_node="summary", to_port="longest"),
        ],
        entry_point="start",
    )


def failure_workflow() -> GraphDefinition:
    """An error edge leads on where a step fails; the run is completed all the same."""
    return GraphDefinition(
        name="Failure that is handled",
        nodes=[
            NodeDefinition(id="price", function_name="fetch_price", save_as="price"),
            NodeDefinition(
                id="done", function_name="pass_through", parameters={"value": "bought"}, save_as="outcome"
            ),
            NodeDefinition(
                id="apologize",
                function_name="text.template",
                parameters={"template": "Sorry: {error}."},
                bindings={"values": "{'error': steps.price.error}"},
                save_as="outcome",
            ),
        ],
        edges=[
            EdgeDefinition(from_node="price", to_node="done"),
            EdgeDefinition(from_node="price", to_node="apologize", kind="error"),
        ],
        entry_point="price",
    )


def review_workflow() -> GraphDefinition:
    """A workflow file, as the window writes it: the sample that reviews a file of Python."""
    return GraphDefinition.model_validate_json((ROOT / "resources/workflows/code_review.json").read_bytes())


# -------------------------------------------------------------------------------------------------------- the tour


def show(title: str, run: RunSnapshot, *keys: str) -> None:
    """Print how a run ended."""
    print(f"\n{title}")
    print(f"  status: {run.status.value}")
    print(f"  path:   {' -> '.join(run.current_state.execution_path)}")
    for key in keys:
        print(f"  {key}: {run.current_state.data.get(key)}")
    if run.error_message:
        print(f"  error:  {run.error_message}")


def take_tour() -> None:
    """Register tools, make graphs, run them and look at what came of it."""
    tool_registry = ToolRegistry()
    graph_manager = GraphManager()
    state_manager = StateManager()
    execution_engine = ExecutionEngine(
        graph_manager=graph_manager, state_manager=state_manager, tool_registry=tool_registry
    )

    register_builtin_tools(tool_registry, AppConfig().workspace)
    tool_registry.unregister_tool("math_operation")  # ours takes its place
    tool_registry.register_tool("math_operation", math_operation, "Changes the value of the state")
    tool_registry.register_tool("describe", describe, "Says how large a value is")
    tool_registry.register_tool("fetch_price", fetch_price, "Looks a price up")
    for function in (count, longest_word, summarize):
        tool_registry.register(function)
    print(f"{len(tool_registry.list_tools())} tools are registered")

    def run(graph: GraphDefinition, initial_state: dict[str, Any]) -> RunSnapshot:
        graph_id = graph_manager.create_graph(graph)
        run_id = execution_engine.execute_workflow(graph_id, initial_state)
        return execution_engine.wait(run_id, timeout=TIMEOUT_S)

    try:
        large = run(math_workflow(), {"value": 10})
        show("Mathematical processing, starting with 10", large, "value", "verdict")
        small = run(math_workflow(), {"value": 1})
        show("Mathematical processing, starting with 1", small, "value", "verdict")
        looped = run(loop_workflow(), {"value": 3})
        show("A loop: doubled until above 1000, then less one", looped, "value")
        parallel = run(parallel_workflow(), {"text": "many small steps make a long way"})
        show("Parallel branches with a join", parallel, "summary")
        handled = run(failure_workflow(), {"item": "unicorn"})
        show("A failing tool, handled by an error edge", handled, "outcome")
        failed = run(math_workflow(), {"valeu": 10})
        show("A failure that nobody handles", failed)
        review = run(review_workflow(), {"path": "inventory.py"})
        show("Code review of resources/samples/inventory.py", review)
        print_review(review)

        history = execution_engine.query_historical_executions(status=RunStatus.COMPLETED)
        print(f"\n{history.total_count} runs were completed; the last one logged:")
        status = execution_engine.get_execution_status(review.run_id)
        for event in execution_engine.get_execution_logs(status.run_id)[-3:]:
            print(f"  {event.timestamp:%H:%M:%S} {event.event_type:24} {event.message}")
    finally:
        execution_engine.close()

    expected = [RunStatus.COMPLETED] * 5 + [RunStatus.FAILED, RunStatus.COMPLETED]
    if [one.status for one in (large, small, looped, parallel, handled, failed, review)] != expected:
        raise SystemExit("A run did not end as it should have.")


def print_review(run: RunSnapshot) -> None:
    """The measures of the review; its whole text is in the state under "review"."""
    for line in str(run.current_state.data["review"]).split("## ")[0].splitlines():
        if line.strip():
            print(f"    {line}")


def main() -> None:
    """Take the tour in a folder of its own, so that it can be taken again and again."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "workspace"
        workspace.mkdir()
        (workspace / "inventory.py").write_bytes((ROOT / "resources/samples/inventory.py").read_bytes())
        # Every field of AppConfig can be set like this; without it, the database would be ./workflows.db.
        os.environ["WFE_DATABASE_URL"] = f"sqlite:///{folder}/workflows.db"
        os.environ["WFE_WORKSPACE"] = str(workspace)
        take_tour()


if __name__ == "__main__":
    main()

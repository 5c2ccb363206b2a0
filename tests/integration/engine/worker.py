"""A program that runs a workflow and is killed by a test: ``python worker.py DATABASE EFFECTS start|go_on``.

Each step of the chain writes a line to the file EFFECTS. ``go_on`` waits for the run of the earlier program.
"""

import sys
import time
from pathlib import Path

from engine.config import AppConfig
from engine.execution.engine import ExecutionEngine
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager
from engine.tools.registry import ToolRegistry

database, effects, what = sys.argv[1:4]
STEPS = 40


def work(context, state):
    with Path(effects).open("a", encoding="utf-8") as file:
        file.write(f"{context.node_id}\n")
    time.sleep(0.005)
    return {"n": state.get("n", 0) + 1}


config = AppConfig(database_url=f"sqlite:///{database}", workers=2)
graphs, states, tools = GraphManager(config), StateManager(config), ToolRegistry()
tools.register_tool("work", work, "Writes a line")
engine = ExecutionEngine(graph_manager=graphs, state_manager=states, tool_registry=tools, config=config)
if what == "start":
    graph = GraphDefinition(
        name="chain",
        nodes=tuple(NodeDefinition(id=f"n{number}", function_name="work") for number in range(STEPS)),
        edges=tuple(
            EdgeDefinition(from_node=f"n{number}", to_node=f"n{number + 1}") for number in range(STEPS - 1)
        ),
    )
    engine.subscribe(
        lambda entries: [
            print("done", entry.event.node, flush=True)
            for entry in entries
            if type(entry.event).__name__ == "StepCompleted"
        ]
    )
    run_id = engine.execute_workflow(graphs.create_graph(graph))
    print("run", run_id, flush=True)
else:
    run_id = states.query_runs().executions[0].run_id
run = engine.wait(run_id, 30)
print("end", run.status.value, run.current_state.data["n"], flush=True)
engine.close()

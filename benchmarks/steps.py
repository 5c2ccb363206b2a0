"""What a durable step costs: ``python benchmarks/steps.py [--rounds 5] [--synchronous normal] [W1 W2 ...]``.

Workloads (each step is x + 1, every step recorded):
  W1  200 runs of a chain of 10 steps, one after another
  W2  10 runs of one step to 100 parallel steps to one join
  W3  a loop of 1,000 passes over one step
  W4  100 runs at once of 10 steps that sleep 10 ms, with 64 workers (ms; ideal 156)
  W5  a layered graph of 5,000 nodes, 50 a layer, 1 to 3 inputs each

Baseline, interleaved with the workloads in the same process: plain Python in one thread with one SQLite commit a step.
Printed are medians of the rounds; times drift with the machine, ratios less.
"""

import argparse
import random
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pysqlite3

from engine import (
    AppConfig,
    EdgeDefinition,
    ExecutionEngine,
    GraphDefinition,
    GraphManager,
    NodeDefinition,
    StateManager,
    ToolRegistry,
)
from engine.storage.database import open_database


def increment(x: int) -> int:
    return x + 1


def nap(x: int) -> int:
    time.sleep(0.01)
    return x


def node(name: str, tool: str = "increment") -> NodeDefinition:
    return NodeDefinition(id=name, function_name=tool, bindings={"x": "state.x"}, save_as="x")


def graph(name: str, nodes: list[NodeDefinition], pairs: list[tuple[str, str]]) -> GraphDefinition:
    edges = tuple(EdgeDefinition(from_node=a, to_node=b) for a, b in pairs)
    return GraphDefinition(name=name, nodes=tuple(nodes), edges=edges)


def chain(tool: str = "increment") -> GraphDefinition:
    return graph(
        "chain", [node(f"n{i}", tool) for i in range(10)], [(f"n{i}", f"n{i + 1}") for i in range(9)]
    )


def fan(width: int) -> GraphDefinition:
    middle = [f"m{i}" for i in range(width)]
    pairs = [("first", name) for name in middle] + [(name, "last") for name in middle]
    return graph("fan", [node("first"), *(node(name) for name in middle), node("last")], pairs)


def loop(passes: int) -> GraphDefinition:
    back = EdgeDefinition(from_node="n", to_node="n", condition=f"visit < {passes}")
    return GraphDefinition(name="loop", nodes=(node("n"),), edges=(back,), entry_point="n")


def layers(count: int, width: int = 50) -> GraphDefinition:
    dice = random.Random(1)
    names = [f"n{i}" for i in range(count)]
    pairs = []
    for i in range(width, count):
        start = (i // width - 1) * width
        pairs += [(names[p], names[i]) for p in dice.sample(range(start, start + width), dice.randint(1, 3))]
    return graph("layers", [node(name) for name in names], pairs)


class Ours:
    def __init__(self, folder: Path, synchronous: str, workers: int) -> None:
        config = AppConfig(
            database_url=f"sqlite:///{folder}/ours.db", synchronous=synchronous, workers=workers
        )
        self.database = open_database(config)
        self.graphs = GraphManager(self.database)
        tools = ToolRegistry()
        tools.register_tool("increment", increment, "x + 1")
        tools.register_tool("nap", nap, "Sleeps 10 ms")
        self.engine = ExecutionEngine(
            graph_manager=self.graphs,
            state_manager=StateManager(self.database),
            tool_registry=tools,
            config=config,
        )

    def run(
        self, definition: GraphDefinition, times: int = 1, *, together: bool = False
    ) -> Callable[[], None]:
        graph_id = self.graphs.create_graph(definition)
        batch = times if together else 1

        def go() -> None:
            for _ in range(times // batch):
                for run_id in [self.engine.execute_workflow(graph_id, {"x": 0}) for _ in range(batch)]:
                    run = self.engine.wait(run_id, 60)
                    if run.status.value != "completed":
                        raise RuntimeError(run.error_message)

        return go

    def close(self) -> None:
        self.engine.close()
        self.database.close()


class Floor:
    """The least that a durable step can cost in Python: a loop with one commit a step."""

    def __init__(self, folder: Path, synchronous: str) -> None:
        self.connection = pysqlite3.connect(f"{folder}/floor.db", isolation_level=None)
        for text in ("journal_mode=WAL", f"synchronous={synchronous}"):
            self.connection.execute(f"PRAGMA {text}")
        self.connection.execute("CREATE TABLE steps (seq INTEGER PRIMARY KEY, run TEXT, data BLOB)")

    def run(self, steps: int) -> Callable[[], None]:
        def go() -> None:
            for number in range(steps):
                row = orjson.dumps({"node": "n", "result": increment(number)})
                self.connection.execute("BEGIN IMMEDIATE")
                self.connection.execute("INSERT INTO steps (run, data) VALUES (?, ?)", ("run", row))
                self.connection.execute("COMMIT")

        return go

    def close(self) -> None:
        self.connection.close()


def measure(go: Callable[[], None]) -> float:
    began = time.perf_counter()
    go()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", default=["W1", "W2", "W3", "W4", "W5"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--synchronous", choices=["normal", "full"], action="append")
    chosen = parser.parse_args()
    print(f"{'':4}{'synchronous':>12}{'us a step':>12}{'floor':>8}{'ratio':>8}{'spread':>16}")
    for synchronous in chosen.synchronous or ["normal", "full"]:
        folder = Path(tempfile.mkdtemp())
        ours, wide = Ours(folder, synchronous, 8), None
        floor = Floor(folder, synchronous)
        work = {
            "W1": (2_000, ours.run(chain(), 200)),
            "W2": (1_020, ours.run(fan(100), 10)),
            "W3": (1_000, ours.run(loop(1_000))),
            "W5": (5_000, ours.run(layers(5_000))),
        }
        for name in ("W1", "W2", "W3", "W5"):
            if name not in chosen.workloads:
                continue
            steps, go = work[name]
            base = floor.run(min(steps, 2_000))
            go()
            times, floors = [], []
            for _ in range(chosen.rounds):
                times.append(measure(go) / steps * 1e6)
                floors.append(measure(base) / min(steps, 2_000) * 1e6)
            middle, low = statistics.median(times), statistics.median(floors)
            print(
                f"{name:4}{synchronous:>12}{middle:12.0f}{low:8.0f}{middle / low:8.1f}"
                f"{min(times):8.0f}-{max(times):.0f}",
                flush=True,
            )
        ours.close()
        if "W4" in chosen.workloads:
            (folder / "wide").mkdir()
            wide = Ours(folder / "wide", synchronous, 64)
            go = wide.run(chain("nap"), 100, together=True)
            go()
            times = [measure(go) * 1e3 for _ in range(chosen.rounds)]
            ideal = 100 * 10 * 10 / 64
            middle = statistics.median(times)
            print(
                f"W4  {synchronous:>12}{middle:10.0f}ms{ideal:6.0f}ms{middle / ideal:8.2f}{min(times):8.0f}-{max(times):.0f}"
            )
            wide.close()
        floor.close()
        shutil.rmtree(folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()

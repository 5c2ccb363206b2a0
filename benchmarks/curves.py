"""Whether a step's cost grows with what it has nothing to do with: ``python benchmarks/curves.py [--images docs/images]``.

Three curves, the lowest of the rounds in microseconds a step (synchronous=normal, from the first step's recorded end to the last one's):
against the number of nodes of the graph, against the events already in the journal, and against the size of the state that a
step does not touch.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from history import fill
from shapes import Sizes, Workload, chain_pairs, layer_pairs, make_workloads
from subject_engine import Ours, loop_graph, make_graph
from svg import draw_lines

from engine import NodeDefinition

NODES = (10, 30, 100, 300, 1_000, 3_000, 5_000)
EVENTS = (0, 1_000, 10_000, 100_000, 1_000_000)
STATE = (0, 10_000, 100_000, 1_000_000, 5_000_000)
Lines = dict[str, list[tuple[float, float]]]


def touch(state: dict[str, Any]) -> None:
    """Change one small key and look at nothing else."""
    state["count"] = state.get("count", 0) + 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("curves", nargs="*", help="nodes, history, state (default: all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=Path, help="also draw the curves into this folder")
    chosen = parser.parse_args()
    for name, (measure, title, label) in CURVES.items():
        if chosen.curves and name not in chosen.curves:
            continue
        with tempfile.TemporaryDirectory() as folder:
            lines = measure(Path(folder), chosen.rounds)
        print_lines(label, lines)
        if chosen.images is not None:
            draw_lines(chosen.images / f"cost-{name}.svg", title, label, "µs a step", lines)


def print_lines(label: str, lines: Lines) -> None:
    xs = sorted({x for points in lines.values() for x, _ in points})
    print(f"\n| {label} | {' | '.join(f'{x:,.0f}' for x in xs)} |\n|---|{'---:|' * len(xs)}")
    for name, points in lines.items():
        found = dict(points)
        cells = [f"{found[x]:.0f}" if x in found else "-" for x in xs]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def lowest(rounds: int, asked: dict[Any, Callable[[], float]]) -> dict[Any, float]:
    """The lowest of each of these measurements, taken in turn, after one of each that does not count.

    What else the machine does only ever adds; whether a cost grows shows best in what was disturbed least.
    """
    values: dict[Any, list[float]] = {key: [] for key in asked}
    for number in range(rounds + 1):
        for key, measure in asked.items():
            value = measure()
            if number:
                values[key].append(value)
    return {key: min(found) for key, found in values.items()}


def cost_of(ours: Ours, graph_id: str, state: dict[str, Any] | None = None, runs: int = 1) -> float:
    seconds, steps = 0.0, 0
    for run_id in [ours.run(graph_id, state) for _ in range(runs)]:
        more, count = ours.inner_seconds(run_id)
        seconds, steps = seconds + more, steps + count
    return seconds / steps * 1e6


def by_nodes(folder: Path, rounds: int) -> Lines:
    ours = Ours(folder, "normal")
    asked: dict[Any, Callable[[], float]] = {}
    shapes = {"a chain": chain_pairs, "layers of 50": layer_pairs}
    for name, make in shapes.items():
        for count in NODES:
            if name != "a chain" and count < 100:
                continue
            graph_id = ours.graphs.create_graph(make_graph(Workload(name, 1, count, make(count))))
            runs = max(1, 1_000 // count)
            asked[name, count] = lambda graph_id=graph_id, runs=runs: cost_of(ours, graph_id, runs=runs)
    found = lowest(rounds, asked)
    ours.close()
    return {name: [(count, y) for (other, count), y in found.items() if other == name] for name in shapes}


def by_history(folder: Path, rounds: int) -> Lines:
    """Engines side by side, each with a journal of another length."""
    workloads = make_workloads(Sizes(nodes=1_000))
    lines: Lines = {"chains of 10": [], "layers of 50": []}
    asked: dict[Any, Callable[[], float]] = {}
    opened: list[Ours] = []
    for events in EVENTS:
        place = folder / str(events)
        place.mkdir()
        if events:
            fill(place, events)
        ours = Ours(place, "normal")
        opened.append(ours)
        for name, workload, runs in zip(lines, (workloads["W1"], workloads["W5"]), (100, 2), strict=True):
            graph_id = ours.graphs.create_graph(make_graph(workload))
            asked[name, events] = lambda ours=ours, graph_id=graph_id, runs=runs: cost_of(
                ours, graph_id, runs=runs
            )
    for (name, events), cost in lowest(rounds, asked).items():
        lines[name].append((events, cost))
    for ours in opened:
        ours.close()
    return lines


def by_state(folder: Path, rounds: int) -> Lines:
    ours = Ours(folder, "normal")
    ours.tools.register_tool("touch", touch, "count + 1")
    tool = {
        "a state tool": NodeDefinition(id="n", function_name="touch"),
        "a plain tool": NodeDefinition(
            id="n", function_name="increment", bindings={"x": "state.count"}, save_as="count"
        ),
    }
    parts = {"one value": 1, "1,000 keys": 1_000}
    asked: dict[Any, Callable[[], float]] = {}
    for name, node in tool.items():
        graph_id = ours.graphs.create_graph(loop_graph(node, 500))
        for form, keys in parts.items():
            for size in STATE:
                state = {
                    "count": 0,
                    **({f"key {i}": "x" * (size // keys) for i in range(keys)} if size else {}),
                }
                asked[f"{name}, {form}", size] = lambda graph_id=graph_id, state=state: cost_of(
                    ours, graph_id, state
                )
    found = lowest(rounds, asked)
    ours.close()
    names = dict.fromkeys(name for name, _ in found)
    return {name: [(size, y) for (other, size), y in found.items() if other == name] for name in names}


CURVES: dict[str, tuple[Callable[[Path, int], Lines], str, str]] = {
    "nodes": (by_nodes, "Cost of a step by size of the graph", "nodes"),
    "history": (by_history, "Cost of a step by length of the history", "events in the journal before"),
    "state": (by_state, "Cost of a step by size of the state it does not touch", "bytes of untouched state"),
}

if __name__ == "__main__":
    main()

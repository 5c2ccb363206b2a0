"""Graphs for runs that are killed: whatever happens to a run of one, it ends in one state."""

from __future__ import annotations

import random
from typing import Any, Final

from pydantic import BaseModel

from engine.model.graph import Durability, GraphDefinition

ISOLATIONS: Final = ("thread", "process", "async")
SHAPES: Final = ("chain", "branches", "loop", "items")
WIDER_SHAPES: Final = ("child", "children", "kept", "tokens", "fork", "relaxed")
"""With more than one run, or with more at stake than a run's own steps."""

RESOURCES: Final = {"gpu": 1}


class Scenario(BaseModel):
    """What a life is to run: a graph, so many times at once, and the graphs that its steps run.

    ``fork_at``: the life forks a run of it that has ended, too, at this node.
    """

    graph: GraphDefinition
    children: tuple[GraphDefinition, ...] = ()
    runs: int = 1
    durability: Durability = "strict"
    fork_at: str | None = None


class Builder:
    """Puts parts one after another. Each node works on the value of the one before.

    A part takes the nodes that it comes after, and gives those that come last in it.
    """

    def __init__(self, name: str, isolation: str, pause_s: float = 0.0) -> None:
        self.children: list[GraphDefinition] = []
        self._name = name
        self._isolation = isolation
        self._pause_s = pause_s
        self._nodes: list[dict[str, Any]] = []
        self._edges: list[dict[str, Any]] = []
        self._values: dict[str, str] = {}

    def node(self, value: str, after: list[str], tool: str = "step", **more: Any) -> str:
        """A node whose result is kept under its own name."""
        name = self._add(value, after, tool, save_as=f"n{len(self._nodes)}", **more)
        self._values[name] = f"state.{name}"
        return name

    def _add(self, value: str, after: list[str], tool: str, **more: Any) -> str:
        name = f"n{len(self._nodes)}"
        node = {
            "id": name,
            "function_name": f"async_{tool}" if self._isolation == "async" else tool,
            "isolation": "auto" if self._isolation == "async" else self._isolation,
            "parameters": {"pause_s": self._pause_s},
            "retry": {"max_attempts": 50, "delay_s": 0.0},
            **more,
            "bindings": {"value": value, **more.get("bindings", {})},
        }
        self._nodes.append(node)
        self._edges += [{"from_node": before, "to_node": name} for before in after]
        return name

    def chain(self, before: list[str], length: int) -> list[str]:
        for _ in range(length):
            before = [self.node(self._sum(before), before)]
        return before

    def branches(self, before: list[str], width: int) -> list[str]:
        return self.chain([self.node(f"{self._sum(before)} + {way}", before) for way in range(width)], 1)

    def loop(self, before: list[str], passes: int) -> list[str]:
        head = f"n{len(self._nodes)}"
        self.node(f"{self._sum(before)} + state.get('{head}', 0)", before)
        tail = self.chain([head], 1)[0]
        self._edges.append(
            {"from_node": tail, "to_node": head, "condition": f"steps.{head}.visit < {passes}"}
        )
        return [tail]

    def items(self, before: list[str], count: int, **more: Any) -> list[str]:
        many = {"for_each": repr([*range(count)]), "max_parallel": 2, "bindings": {"index": "index"}}
        each = self.node(f"{self._sum(before)} + item", before, **many, **more)
        return [self.node(f"sum(state.{each})", [each])]

    def once(self, before: list[str], length: int) -> list[str]:
        """Steps that must not be doubled. Not in processes: one that is killed would fail them."""
        for _ in range(length):
            before = [self.node(self._sum(before), before, "once_step", isolation="thread", retry=None)]
        return before

    def tokens(self, before: list[str], width: int) -> list[str]:
        """Branches and items that only one step of all runs may be in at a time."""
        ways = [
            self.node(f"{self._sum(before)} + {way}", before, "alone_step", resources=RESOURCES)
            for way in range(width)
        ]
        return self.items(ways, width, tool="alone_step", resources=RESOURCES)

    def kept(self, before: list[str], count: int) -> list[str]:
        """Steps whose results are kept: for this run, the same once more, and for all runs; and items."""
        value, cache = self._sum(before), {"cache": {}}
        ways = []
        for salt in ("run.id", "run.id", "'all'"):
            name = self._add(value, ways[-1:] or before, "kept_step", **cache, bindings={"salt": salt})
            self._values[name] = f"steps.{name}.result.value"
            ways.append(name)
        many = {"for_each": repr([*range(count)]), "max_parallel": 2, **cache}
        bindings = {"salt": "run.id", "index": "index"}
        each = self._add(f"{self._sum(ways)} + item", ways[-1:], "kept_step", **many, bindings=bindings)
        return [self.node(f"sum([one['value'] for one in steps.{each}.result])", [each])]

    def child(self, before: list[str], length: int) -> list[str]:
        """A step that runs a graph, whose last step runs one as well."""
        below = self._below()
        last = below.children_of(below.chain([below.node("state.value", [])], length), 1)
        return self._run(below, last, self._sum(before), before)

    def children_of(self, before: list[str], count: int) -> list[str]:
        """A step that runs a small graph, for each item where there are several."""
        below = self._below()
        last = below.chain([below.node("state.value", [])], 1)
        if count == 1:
            return self._run(below, last, self._sum(before), before)
        many = {"for_each": repr([*range(count)]), "max_parallel": 2}
        return self._run(below, last, f"{self._sum(before)} + item", before, **many)

    def _below(self) -> Builder:
        return Builder(f"{self._name}.{len(self._nodes)}", self._isolation, self._pause_s)

    def _run(self, below: Builder, last: list[str], value: str, before: list[str], **more: Any) -> list[str]:
        self.children += [*below.children, below.graph()]
        name = self._add(
            value, before, "run", **more,
            function_name="run_workflow", isolation="auto", parameters={"graph": below.graph().name},
        )  # fmt: skip
        end = f"steps.{name}.result"
        self._values[name] = f"sum([one['{last[0]}'] for one in {end}])" if more else f"{end}.{last[0]}"
        return self.chain([name], 1)

    def _sum(self, before: list[str]) -> str:
        return " + ".join(self._values[name] for name in before) or "0"

    def graph(self) -> GraphDefinition:
        return GraphDefinition.model_validate(
            {"name": self._name, "entry_point": "n0", "nodes": self._nodes, "edges": self._edges}
        )

    def scenario(self, **more: Any) -> Scenario:
        return Scenario(graph=self.graph(), children=tuple(self.children), **more)


def make_shape(shape: str, isolation: str) -> Scenario:
    """One of ``SHAPES`` or ``WIDER_SHAPES``, of some five steps."""
    builder = Builder(f"{shape} {isolation}", isolation, 0.03 if shape == "relaxed" else 0.0)
    start = builder.chain([], 1)
    more: dict[str, Any] = {}
    match shape:
        case "chain":
            builder.chain(start, 4)
        case "branches":
            builder.branches(start, 2)
        case "loop":
            builder.loop(start, 3)
        case "items":
            builder.items(start, 4)
        case "child":
            builder.child(start, 1)
        case "children":
            builder.children_of(start, 4)
        case "kept":
            builder.kept(start, 2)
        case "tokens":
            builder.tokens(start, 2)
            more["runs"] = 2
        case "fork":
            joined = builder.branches(builder.loop(start, 2), 2)
            builder.child(joined, 1)
            more["fork_at"] = joined[0]
        case "relaxed":
            builder.items(builder.loop(builder.chain(builder.once(start, 1), 14), 2), 4)
            more["durability"] = "relaxed"
    return builder.scenario(**more)


def make_random(dice: random.Random, name: str, isolation: str) -> Scenario:
    """Any parts, one after another."""
    builder = Builder(name, isolation, pause_s=dice.choice((0.0, 0.0, 0.002, 0.02)))
    before = builder.chain([], 1)
    plain = (builder.chain, builder.branches, builder.loop, builder.items)
    wider = (builder.once, builder.once, builder.tokens, builder.kept, builder.child, builder.children_of)
    for _ in range(dice.randint(1, 4)):
        part = dice.choice(dice.choice((plain, wider)))
        before = part(before, dice.randint(1, 6))
    graph = builder.graph()
    return builder.scenario(
        runs=dice.choice((1, 1, 2)),
        durability=dice.choice(("strict", "strict", "relaxed")),
        fork_at=dice.choice(graph.nodes).id if dice.random() < 0.4 else None,
    )

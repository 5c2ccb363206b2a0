"""Graphs for runs that are killed: whatever happens to a run of one, it ends in one state."""

from __future__ import annotations

import random
from typing import Any, Final

from engine.model.graph import GraphDefinition

ISOLATIONS: Final = ("thread", "process", "async")
SHAPES: Final = ("chain", "branches", "loop", "items")


class Builder:
    """Puts parts one after another. Each node keeps its result under its own name, and works on that of the one before."""

    def __init__(self, isolation: str, pause_s: float = 0.0) -> None:
        self._isolation = isolation
        self._pause_s = pause_s
        self._nodes: list[dict[str, Any]] = []
        self._edges: list[dict[str, Any]] = []

    def node(self, value: str, after: list[str], **more: Any) -> str:
        name = f"n{len(self._nodes)}"
        bindings = {"value": value, **more.pop("bindings", {})}
        node = {
            "id": name,
            "function_name": "async_step" if self._isolation == "async" else "step",
            "isolation": "auto" if self._isolation == "async" else self._isolation,
            "parameters": {"pause_s": self._pause_s},
            "bindings": bindings,
            "save_as": name,
            "retry": {"max_attempts": 50, "delay_s": 0.0},
            **more,
        }
        self._nodes.append(node)
        self._edges += [{"from_node": before, "to_node": name} for before in after]
        return name

    def chain(self, before: list[str], length: int) -> list[str]:
        for _ in range(length):
            before = [self.node(_sum(before), before)]
        return before

    def branches(self, before: list[str], width: int) -> list[str]:
        return self.chain([self.node(f"{_sum(before)} + {way}", before) for way in range(width)], 1)

    def loop(self, before: list[str], passes: int) -> list[str]:
        head = f"n{len(self._nodes)}"
        self.node(f"{_sum(before)} + state.get('{head}', 0)", before)
        tail = self.chain([head], 1)[0]
        self._edges.append(
            {"from_node": tail, "to_node": head, "condition": f"steps.{head}.visit < {passes}"}
        )
        return [tail]

    def items(self, before: list[str], count: int) -> list[str]:
        more = {"for_each": repr([*range(count)]), "max_parallel": 2, "bindings": {"index": "index"}}
        many = self.node(f"{_sum(before)} + item", before, **more)
        return [self.node(f"sum(state.{many})", [many])]

    def graph(self, name: str) -> GraphDefinition:
        return GraphDefinition.model_validate(
            {"name": name, "entry_point": "n0", "nodes": self._nodes, "edges": self._edges}
        )


def _sum(before: list[str]) -> str:
    return " + ".join(f"state.{name}" for name in before) or "0"


def make_shape(shape: str, isolation: str) -> GraphDefinition:
    """One of ``SHAPES``, of some five steps."""
    builder = Builder(isolation)
    start = builder.chain([], 1)
    match shape:
        case "chain":
            builder.chain(start, 4)
        case "branches":
            builder.branches(start, 2)
        case "loop":
            builder.loop(start, 3)
        case "items":
            builder.items(start, 4)
    return builder.graph(f"{shape} {isolation}")


def make_random(dice: random.Random, isolation: str) -> GraphDefinition:
    """Any of them, one after another."""
    builder = Builder(isolation, pause_s=dice.choice((0.0, 0.0, 0.002, 0.02)))
    before = builder.chain([], 1)
    for _ in range(dice.randint(1, 4)):
        part = dice.choice((builder.chain, builder.branches, builder.loop, builder.items))
        before = part(before, dice.randint(2, 6))
    return builder.graph(f"random {isolation}")

"""A second interpreter of a run's rules: slow and obvious, written from the description of the rules alone.

It shares the expressions with the engine and nothing else: no numbering of nodes, no counters, no dominator tree.
After every completed step it looks at all nodes and all edges again until nothing changes any more. It knows tools
that are plain functions: ``Tool.call(arguments, state) -> result``, which raise to fail.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.errors import ExpressionError
from engine.flow.expressions import Scope, StepView, compile_expression
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition

UNRESOLVED, TAKEN, SKIPPED = "unresolved", "taken", "skipped"
PENDING, WAITING, RUNNING = "pending", "waiting", "running"
COMPLETED, FAILED = "completed", "failed"


@dataclass(frozen=True)
class OracleTool:
    """``takes_state``: ``call`` gets the state, and what it returns are the keys to change."""

    call: Callable[[dict[str, Any], dict[str, Any]], Any]
    parameters: tuple[str, ...] = ()
    takes_state: bool = False


@dataclass
class Loop:
    header: str
    body: frozenset[str]
    over: bool = False


@dataclass
class Step:
    arguments: dict[str, Any]
    state: dict[str, Any]
    visit: int


@dataclass
class Items:
    """The items of a step with ``for_each``; ``pending`` and ``open`` are indexes."""

    values: list[Any]
    wires: list[EdgeDefinition]
    results: dict[int, Any] = field(default_factory=dict)
    pending: list[int] = field(default_factory=list)
    open: set[int] = field(default_factory=set)
    error: str | None = None


@dataclass
class Oracle:
    """One run. ``running`` are node ids, or ``node/item`` for an item of a step with ``for_each``. ``path`` are the node ids in the order of their starts (those of one moment in any order)."""

    graph: GraphDefinition
    tools: Mapping[str, OracleTool]
    state: dict[str, Any] = field(default_factory=dict)
    status: str = RUNNING
    path: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.nodes = {node.id: node for node in self.graph.nodes}
        self.edges = list(self.graph.edges)
        self.entries = self._entries()
        self.reachable = self._reachable(self.entries, without=None)
        self.back = {number for number, edge in enumerate(self.edges) if self._is_back(edge)}
        self.loops = self._find_loops()
        self.now = dict.fromkeys(self.nodes, PENDING)
        self.visits = dict.fromkeys(self.nodes, 0)
        self.results: dict[str, Any] = dict.fromkeys(self.nodes)
        self.errors: dict[str, str | None] = dict.fromkeys(self.nodes)
        self.decided = dict.fromkeys(range(len(self.edges)), UNRESOLVED)
        self.resolved = dict.fromkeys(range(len(self.edges)), UNRESOLVED)
        self.queued: dict[str, list[EdgeDefinition]] = {}  # they wait for tokens; with their taken wires
        self.running: dict[str, Step] = {}
        self.items: dict[str, Items] = {}
        self.over: list[str] = []  # of these, those that end next
        self.finished: list[str] = []
        self.failing = False
        self.ended_early = False

    # ---------------------------------------------------------------------------------------------- the graph

    def _entries(self) -> list[str]:
        if self.graph.entry_point is not None:
            return [self.graph.entry_point]
        entered = {edge.to_node for edge in self.edges}
        return [name for name in self.nodes if name not in entered]

    def _reachable(self, starts: list[str], without: str | None) -> set[str]:
        found = {name for name in starts if name != without}
        while True:
            more = {edge.to_node for edge in self.edges if edge.from_node in found} - found - {without}
            if not more:
                return found
            found |= more

    def _is_back(self, edge: EdgeDefinition) -> bool:
        """Every path from the entry to the source passes through the target."""
        if edge.from_node not in self.reachable:
            return False
        return edge.from_node not in self._reachable(self.entries, without=edge.to_node)

    def _find_loops(self) -> list[Loop]:
        """The natural loops, smaller ones first."""
        loops = []
        for header in {self.edges[number].to_node for number in self.back}:
            body = {header} | {
                self.edges[number].from_node for number in self.back if self.edges[number].to_node == header
            }
            while True:
                more = {
                    edge.from_node
                    for edge in self.edges
                    if edge.to_node in body - {header} and edge.from_node in self.reachable
                } - body
                if not more:
                    break
                body |= more
            loops.append(Loop(header, frozenset(body)))
        return sorted(loops, key=lambda loop: len(loop.body))

    def _incoming(self, name: str) -> list[int]:
        """Back edges aside, and edges from nodes that never run."""
        return [
            number
            for number, edge in enumerate(self.edges)
            if edge.to_node == name and number not in self.back and edge.from_node in self.reachable
        ]

    def _loops_left_by(self, edge: EdgeDefinition) -> list[Loop]:
        return [loop for loop in self.loops if edge.from_node in loop.body and edge.to_node not in loop.body]

    # ------------------------------------------------------------------------------------------------- running

    def start(self) -> None:
        """The run begins."""
        for name in self.entries:
            self._start(name)
        self._settle()
        self._end_items()

    def complete(self, name: str) -> None:
        """The running step of this node, or item of it, ends as its tool says."""
        if "/" in name:
            self._complete_item(*name.split("/"))
        else:
            self._complete_step(name)
        self._end_items()

    def _complete_step(self, name: str) -> None:
        step = self.running.pop(name)
        node = self.nodes[name]
        tool = self.tools[node.function_name]
        self.finished.append(name)
        self.errors[name] = None
        try:
            result = tool.call(copy.deepcopy(step.arguments), copy.deepcopy(step.state))
        except Exception as error:  # noqa: BLE001 - a tool may raise anything
            self._fail(node, error)
        else:
            self.now[name] = COMPLETED
            self.results[name] = result
            self._apply(node, result, takes_state=tool.takes_state)
            self._follow(node, "success")
        self._after(name)

    def _after(self, name: str) -> None:
        if not self.failing and self._exits(name):
            self.status = COMPLETED
            self.running.clear()
            self.items.clear()
            self.queued.clear()
            self.ended_early = True
            return
        self._settle()

    # ------------------------------------------------------------------------------------------------- items

    def _open_items(self, node: NodeDefinition, wires: list[EdgeDefinition]) -> None:
        self.now[node.id] = RUNNING
        self.visits[node.id] += 1
        self.path.append(node.id)
        items = self.items[node.id] = Items([], wires)
        scope = Scope(state=self.state, steps=self, visit=self.visits[node.id])
        try:
            items.values = compile_expression(node.for_each).evaluate(scope)
        except ExpressionError as error:
            items.error = str(error)
        items.pending = list(range(len(items.values)))
        self._start_items(node)

    def _start_items(self, node: NodeDefinition) -> None:
        """As many as may be under way at once; when none is and none will, the step ends next."""
        items = self.items[node.id]
        while items.pending and len(items.open) < (node.max_parallel or 64) and not items.error:
            if self.failing:
                break
            item = items.pending.pop(0)
            items.open.add(item)
            values = self._values(node, items.wires, item)
            self.running[f"{node.id}/{item}"] = Step(values, copy.deepcopy(self.state), self.visits[node.id])
        if not items.open and (items.error or not items.pending):
            self.over.append(node.id)

    def _complete_item(self, name: str, number: str) -> None:
        step, node, items = self.running.pop(f"{name}/{number}"), self.nodes[name], self.items[name]
        tool = self.tools[node.function_name]
        items.open.remove(int(number))
        try:
            result = tool.call(copy.deepcopy(step.arguments), copy.deepcopy(step.state))
        except Exception as error:  # noqa: BLE001 - a tool may raise anything
            if node.on_item_error == "collect":
                items.results[int(number)] = {"error_type": type(error).__name__}
            else:
                items.error = items.error or str(error)
        else:
            items.results[int(number)] = result
            if tool.takes_state:
                self._change(result)
        self._start_items(node)
        self._settle()

    def _end_items(self) -> None:
        """Steps whose items have all ended end one after another, before anything else happens."""
        while self.over and self.status == RUNNING:
            name = self.over.pop(0)
            node, items = self.nodes[name], self.items.pop(name)
            self.finished.append(name)
            self.errors[name] = None
            if items.error:
                self._fail(node, RuntimeError(items.error))
            else:
                self.now[name] = COMPLETED
                self.results[name] = [items.results[number] for number in sorted(items.results)]
                self._apply(node, self.results[name], takes_state=False)
                self._follow(node, "success")
            self._after(name)
        self.over.clear()

    def grant(self, name: str) -> None:
        """The queued step of this node has its tokens and starts."""
        self._run(name, self._values(self.nodes[name], self.queued.pop(name)))

    def _fail(self, node: NodeDefinition, error: Exception) -> None:
        self.now[node.id] = FAILED
        self.errors[node.id] = str(error)
        if any(edge.from_node == node.id and edge.kind == "error" for edge in self.edges):
            self._follow(node, "error")
            if self.failing or any(
                self.decided[number] == TAKEN
                for number, edge in enumerate(self.edges)
                if edge.from_node == node.id
            ):
                return
        if node.on_error == "continue":
            self.results[node.id] = node.default_result
            self._apply(node, node.default_result, takes_state=False)
            self._follow(node, "success")
        else:
            self.failing = True

    def _apply(self, node: NodeDefinition, result: Any, *, takes_state: bool) -> None:
        changes = dict(result) if takes_state else {}
        if node.save_as is not None:
            changes[node.save_as] = result
        self._change(changes)

    def _change(self, changes: dict[str, Any]) -> None:
        for key, value in changes.items():
            reducer = self.graph.reducers.get(key, "replace")
            if key in self.state and reducer == "add":
                value = self.state[key] + value  # noqa: PLW2901
            elif key in self.state and reducer == "append":
                value = [*self.state[key], value]  # noqa: PLW2901
            elif key in self.state and reducer == "max":
                value = max(self.state[key], value)  # noqa: PLW2901
            self.state[key] = copy.deepcopy(value)

    def _follow(self, node: NodeDefinition, kind: str) -> None:
        """Decide on the node's edges: those of the other kind are skipped."""
        mine = [number for number, edge in enumerate(self.edges) if edge.from_node == node.id]
        for number in mine:
            self.decided[number] = SKIPPED
        mine = [number for number in mine if self.edges[number].kind == kind]
        taken_by_expression = False
        try:
            for number in mine:
                condition = self.edges[number].condition
                if condition is None:
                    self.decided[number] = TAKEN
                elif condition != "else" and compile_expression(condition).holds(self._scope(node.id)):
                    self.decided[number] = TAKEN
                    taken_by_expression = True
        except ExpressionError:
            self.failing = True
            return
        for number in mine:
            if self.edges[number].condition == "else" and not taken_by_expression:
                self.decided[number] = TAKEN

    def _exits(self, name: str) -> bool:
        try:
            return any(
                compile_expression(text).holds(self._scope(name)) for text in self.graph.exit_conditions
            )
        except ExpressionError:
            self.failing = True
            return False

    def _scope(self, name: str) -> Scope:
        return Scope(state=self.state, result=self.results[name], steps=self, visit=self.visits[name])

    def find_step(self, node_id: str) -> StepView | None:
        if node_id not in self.nodes:
            return None
        return StepView(self.results[node_id], self.now[node_id], self.errors[node_id], self.visits[node_id])

    def step_ids(self) -> list[str]:
        return list(self.nodes)

    # ------------------------------------------------------------------------------------------- what follows

    def _settle(self) -> None:
        """Let everything happen that follows, until nothing does."""
        if not self.failing:
            while self._resolve_edges() or self._look_at_nodes() or self._look_at_loops():
                pass
        if self.failing:
            self.queued.clear()
        if not self.running and not self.queued and (self.failing or not self.items):
            self.status = FAILED if self.failing else COMPLETED

    def _resolve_edges(self) -> bool:
        """What was decided holds at once, but for edges that leave a loop which is not over."""
        changed = False
        for number, edge in enumerate(self.edges):
            held_back = not all(loop.over for loop in self._loops_left_by(edge))
            if self.resolved[number] != self.decided[number] and not held_back:
                self.resolved[number] = self.decided[number]
                changed = True
        return changed

    def _look_at_nodes(self) -> bool:
        for name, node in self.nodes.items():
            if self.now[name] != PENDING or name not in self.reachable or name in self.entries:
                continue
            statuses = [self.resolved[number] for number in self._incoming(name)]
            all_resolved, taken = UNRESOLVED not in statuses, statuses.count(TAKEN)
            needed = {"all": 1, "any": 1}.get(node.join, node.join)
            if taken >= needed and (all_resolved or node.join != "all"):
                self._start(name)
                return True
            if all_resolved:
                self.now[name] = SKIPPED
                for number, edge in enumerate(self.edges):
                    if edge.from_node == name:
                        self.decided[number] = SKIPPED
                return True
        return False

    def _look_at_loops(self) -> bool:
        """A loop's pass is over when nothing in its body goes on any more. Inner loops are looked at first."""
        for loop in self.loops:
            if loop.over or any(self.now[name] in (PENDING, WAITING, RUNNING) for name in loop.body):
                continue
            again = any(
                self.decided[number] == TAKEN
                for number in self.back
                if self.edges[number].to_node == loop.header
            )
            if not again:
                loop.over = True
                return True
            self._start(loop.header, again=loop)
            return True
        return False

    def _reset(self, loop: Loop) -> None:
        for name in loop.body:
            self.now[name] = PENDING
        for number, edge in enumerate(self.edges):
            if edge.from_node in loop.body:
                self.decided[number] = self.resolved[number] = UNRESOLVED
        for inner in self.loops:
            if inner.body < loop.body:
                inner.over = False

    def _start(self, name: str, again: Loop | None = None) -> None:
        node = self.nodes[name]
        wires = self._wires(node)  # before the reset: the wires of the pass just ended count
        if node.for_each is not None:
            if again is not None:
                self._reset(again)
            self._open_items(node, wires)
            return
        arguments = self._values(node, wires)
        if again is not None:
            self._reset(again)
        if node.resources:
            self.now[name] = WAITING
            self.queued[name] = wires
        else:
            self._run(name, arguments)

    def _run(self, name: str, arguments: dict[str, Any]) -> None:
        self.now[name] = RUNNING
        self.visits[name] += 1
        self.path.append(name)
        self.running[name] = Step(arguments, copy.deepcopy(self.state), self.visits[name])

    def _wires(self, node: NodeDefinition) -> list[EdgeDefinition]:
        return [
            edge
            for number, edge in enumerate(self.edges)
            if edge.to_node == node.id
            and edge.to_port is not None
            and edge.from_node in self.reachable
            and self.resolved[number] == TAKEN
        ]

    def _values(
        self, node: NodeDefinition, taken: list[EdgeDefinition], item: int | None = None
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        scope = Scope(state=self.state, steps=self, visit=self.visits[node.id] + 1)
        if item is not None:  # its step has begun
            scope = Scope(state=self.state, steps=self, visit=self.visits[node.id], index=item)
            scope.item = self.items[node.id].values[item]
        for parameter in self.tools[node.function_name].parameters:
            wires = [edge for edge in taken if edge.to_port == parameter]
            if wires:
                latest = max(wires, key=lambda edge: _last_index(self.finished, edge.from_node))
                value = self.results[latest.from_node]
                found[parameter] = value if latest.from_port in (None, "result") else value[latest.from_port]
            elif parameter in node.bindings:
                found[parameter] = compile_expression(node.bindings[parameter]).evaluate(scope)
            elif parameter in node.parameters:
                found[parameter] = node.parameters[parameter]
            elif parameter in self.state:
                found[parameter] = self.state[parameter]
        return copy.deepcopy(found)


def _last_index(items: list[str], wanted: str) -> int:
    return max((number for number, item in enumerate(items) if item == wanted), default=-1)

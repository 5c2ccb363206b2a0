"""What the checks ask about a graph's shape: what comes before what, for sure or perhaps."""

from __future__ import annotations

from engine.flow.topology import NO_LOOP, Loop, Topology

_ROOT = -1


class Shape:
    """Answers about reachable nodes (by number), back edges aside.

    ``order`` has every node after those it follows. ``always`` are the nodes that run whenever the run gets that
    far without failing: no condition keeps them out. ``before`` are each node's incoming forward edges.
    """

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.before: dict[int, list[int]] = {node: [] for node in topology.reachable}
        for edge, source in enumerate(topology.source):
            if source in topology.reachable and not topology.is_back[edge]:
                self.before[topology.target[edge]].append(edge)
        self.order = self._sort()
        self.place = {node: number for number, node in enumerate(self.order)}
        self.dominator = self._find_dominators()
        self._enter, self._leave = self._number_dominator_tree()
        self.always = self.find_always(set(topology.entries), self.order)

    def _sort(self) -> list[int]:
        topology = self.topology
        missing = {node: len(edges) for node, edges in self.before.items()}
        order = [node for node in topology.entries if not missing[node]]
        for node in order:  # grows while it is gone through
            for edge in topology.outgoing[node]:
                if not topology.is_back[edge]:
                    target = topology.target[edge]
                    missing[target] -= 1
                    if not missing[target]:
                        order.append(target)
        return order

    def _find_dominators(self) -> dict[int, int]:
        """In one pass, as there are no cycles; ``_ROOT`` stands before all entries."""
        dominator: dict[int, int] = {}
        entries = set(self.topology.entries)
        for node in self.order:
            new = _ROOT if node in entries else None
            for edge in self.before[node]:
                other = self.topology.source[edge]
                new = other if new is None else self._meet(dominator, new, other)
            dominator[node] = _ROOT if new is None else new
        return dominator

    def _meet(self, dominator: dict[int, int], first: int, second: int) -> int:
        while first != second:
            if _ROOT in (first, second):
                return _ROOT
            if self.place[first] > self.place[second]:
                first = dominator[first]
            else:
                second = dominator[second]
        return first

    def _number_dominator_tree(self) -> tuple[dict[int, int], dict[int, int]]:
        children: dict[int, list[int]] = {}
        for node, parent in self.dominator.items():
            children.setdefault(parent, []).append(node)
        enter: dict[int, int] = {}
        leave: dict[int, int] = {}
        stack = [(node, False) for node in children.get(_ROOT, ())]
        while stack:
            node, done = stack.pop()
            if done:
                leave[node] = len(enter)
                continue
            enter[node] = len(enter)
            stack.append((node, True))
            stack.extend((child, False) for child in children.get(node, ()))
        return enter, leave

    def find_always(self, start: set[int], order: list[int]) -> set[int]:
        """Which of the nodes in ``order`` run for sure when those of ``start`` do."""
        topology, always = self.topology, set(start)
        for node in order:
            if node in always or isinstance(topology.graph.nodes[node].join, int):
                continue
            for edge in self.before[node]:
                definition = topology.graph.edges[edge]
                if (
                    topology.source[edge] in always
                    and definition.condition is None
                    and definition.kind == "success"
                ):
                    always.add(node)
                    break
        return always

    def dominates(self, first: int, second: int) -> bool:
        """Whether ``second`` can only run after ``first`` has; every node dominates itself."""
        return self._enter[first] <= self._enter[second] < self._leave[first]

    def dominators_of(self, node: int) -> list[int]:
        """The node, what dominates it next, and so on up to where the run starts."""
        chain = []
        while node != _ROOT:
            chain.append(node)
            node = self.dominator[node]
        return chain

    def loops_around(self, node: int) -> list[Loop]:
        """The loops that the node is in, the innermost first."""
        loops, number = [], self.topology.loop_of[node]
        while number != NO_LOOP:
            loops.append(self.topology.loops[number])
            number = loops[-1].parent
        return loops

    def share_loop(self, first: int, second: int) -> bool:
        """Whether one loop has both nodes in it, so that either may have run in an earlier pass."""
        around = {loop.index for loop in self.loops_around(first)}
        return any(loop.index in around for loop in self.loops_around(second))

    def reach(self, start: int) -> set[int]:
        """All that comes after a node, back edges aside."""
        found, stack = {start}, [start]
        while stack:
            for edge in self.topology.outgoing[stack.pop()]:
                target = self.topology.target[edge]
                if not self.topology.is_back[edge] and target not in found:
                    found.add(target)
                    stack.append(target)
        return found

"""What follows from a graph's shape alone: who can be reached, back edges, loops and which edges leave them.

Computed once for each version of a graph (about linear in nodes and edges), so that a step costs in proportion to
its own edges only. Nodes and edges are numbered as they stand in the definition.

Dominators: Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm" (2001). A loop is the natural loop of
all back edges to its header; loops are nested or disjoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.errors import ValidationError
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem, Severity

NO_LOOP = -1


@dataclass(slots=True)
class Loop:
    """A natural loop. ``body`` has the header first and includes the bodies of inner loops.

    ``edges`` are those that start in the body; ``exits`` those whose outermost left loop is this one.
    """

    index: int
    header: int
    body: tuple[int, ...]
    back_edges: tuple[int, ...]
    parent: int = NO_LOOP
    depth: int = 1
    edges: tuple[int, ...] = ()
    exits: tuple[int, ...] = ()
    inner: tuple[int, ...] = ()


@dataclass(slots=True)
class Topology:
    """The shape of one version of a graph.

    By node: ``outgoing`` edges, ``incoming`` forward edges (back edges and edges from unreachable nodes aside),
    ``wires`` (all data wires into it, back edges included), ``loop_of`` (innermost loop, or -1).
    By edge: ``source``, ``target``, ``is_back``, ``leaves`` (the outermost loop it leaves, or -1).
    """

    graph: GraphDefinition
    node_ids: tuple[str, ...]
    index: dict[str, int]
    entries: tuple[int, ...]
    reachable: frozenset[int]
    source: tuple[int, ...]
    target: tuple[int, ...]
    outgoing: tuple[tuple[int, ...], ...]
    incoming: tuple[int, ...]
    wires: tuple[tuple[int, ...], ...]
    is_back: tuple[bool, ...]
    loops: tuple[Loop, ...] = ()
    loop_of: tuple[int, ...] = ()
    leaves: tuple[int, ...] = ()
    back_edges: frozenset[int] = field(default_factory=frozenset)

    def describe_loop(self, loop: Loop) -> str:
        """The loop in words: its header, and where it goes back with which condition."""
        edges = (self.graph.edges[index] for index in loop.back_edges)
        ways = ", ".join(
            f"{edge.from_node} -> {edge.to_node}"
            + (f" when {edge.condition}" if edge.condition else " always")
            for edge in edges
        )
        return f"the loop at {self.node_ids[loop.header]} ({ways})"


def compile_graph(graph: GraphDefinition) -> Topology:
    """Work out the shape of a graph.

    Raises:
        ValidationError: doubled node ids, edges to unknown nodes, no node to start at, or a loop that can be
            entered at more than one node.
    """
    index = _number_nodes(graph)
    source = tuple(index[edge.from_node] for edge in graph.edges)
    target = tuple(index[edge.to_node] for edge in graph.edges)
    outgoing = _group(len(index), source)
    entries = _find_entries(graph, index, target)
    order = _reverse_postorder(entries, outgoing, target)
    reachable = frozenset(order)
    live = [edge for edge in range(len(source)) if source[edge] in reachable]
    back = _find_back_edges(entries, order, live, source, target)
    forward = [edge for edge in live if edge not in back]
    _check_reducible(graph, entries, forward, source, target)

    incoming = [0] * len(index)
    for edge in forward:
        incoming[target[edge]] += 1
    wires = _group(len(index), target, (edge for edge in live if graph.edges[edge].is_wire))
    loops, loop_of = _find_loops(order, back, live, outgoing, source, target)
    return Topology(
        graph=graph,
        node_ids=tuple(node.id for node in graph.nodes),
        index=index,
        entries=entries,
        reachable=reachable,
        source=source,
        target=target,
        outgoing=outgoing,
        incoming=tuple(incoming),
        wires=wires,
        is_back=tuple(edge in back for edge in range(len(source))),
        loops=loops,
        loop_of=loop_of,
        leaves=_assign_exits(loops, loop_of, live, source, target),
        back_edges=frozenset(back),
    )


def _number_nodes(graph: GraphDefinition) -> dict[str, int]:
    index: dict[str, int] = {}
    problems = []
    for number, node in enumerate(graph.nodes):
        if node.id in index:
            problems.append(
                Problem(
                    Severity.ERROR, "duplicate-node", f'two nodes have the id "{node.id}"', node_id=node.id
                )
            )
        index.setdefault(node.id, number)
    for number, edge in enumerate(graph.edges):
        for end, name in (("from_node", edge.from_node), ("to_node", edge.to_node)):
            if name not in index:
                message = f'edge {edge.describe()}: there is no node "{name}"'
                problems.append(Problem(Severity.ERROR, "unknown-node", message, edge=number, field=end))
    _raise_if(problems)
    return index


def _raise_if(problems: Sequence[Problem]) -> None:
    if problems:
        raise ValidationError("; ".join(problem.message for problem in problems), problems)


def _group(size: int, key: Sequence[int], edges: Iterable[int] | None = None) -> tuple[tuple[int, ...], ...]:
    groups: list[list[int]] = [[] for _ in range(size)]
    for edge in range(len(key)) if edges is None else edges:
        groups[key[edge]].append(edge)
    return tuple(tuple(group) for group in groups)


def _find_entries(graph: GraphDefinition, index: dict[str, int], target: Sequence[int]) -> tuple[int, ...]:
    if graph.entry_point is not None:
        if graph.entry_point not in index:
            message = f'there is no node "{graph.entry_point}" to start at'
            _raise_if([Problem(Severity.ERROR, "unknown-entry", message, field="entry_point")])
        return (index[graph.entry_point],)
    entered = set(target)
    entries = tuple(node for node in range(len(index)) if node not in entered)
    if index and not entries:
        message = "every node has an incoming edge, so there is nowhere to start: set entry_point"
        _raise_if([Problem(Severity.ERROR, "no-entry", message, field="entry_point")])
    return entries


def _reverse_postorder(
    entries: Sequence[int], outgoing: Sequence[Sequence[int]], target: Sequence[int]
) -> tuple[int, ...]:
    seen: set[int] = set()
    postorder: list[int] = []
    for entry in entries:
        if entry in seen:
            continue
        seen.add(entry)
        stack = [(entry, iter(outgoing[entry]))]
        while stack:
            node, edges = stack[-1]
            for edge in edges:
                follower = target[edge]
                if follower not in seen:
                    seen.add(follower)
                    stack.append((follower, iter(outgoing[follower])))
                    break
            else:
                postorder.append(node)
                stack.pop()
    return tuple(reversed(postorder))


def _find_back_edges(
    entries: Sequence[int],
    order: Sequence[int],
    live: Sequence[int],
    source: Sequence[int],
    target: Sequence[int],
) -> set[int]:
    """The edges whose target dominates their source. Positions count in reverse postorder; 0 is a virtual root."""
    position = {node: number for number, node in enumerate(order, 1)}
    predecessors: list[list[int]] = [[] for _ in range(len(order) + 1)]
    for entry in entries:
        predecessors[position[entry]].append(0)
    for edge in live:
        predecessors[position[target[edge]]].append(position[source[edge]])

    dominator = [-1] * (len(order) + 1)
    dominator[0] = 0
    changed = True
    while changed:
        changed = False
        for node in range(1, len(order) + 1):
            new = -1
            for other in predecessors[node]:
                if dominator[other] == -1:
                    continue
                new = other if new == -1 else _intersect(dominator, new, other)
            if dominator[node] != new:
                dominator[node] = new
                changed = True

    back = set()
    for edge in live:
        end, walker = position[target[edge]], position[source[edge]]
        if end > walker:
            continue  # a dominator comes before what it dominates
        while walker > end:
            walker = dominator[walker]
        if walker == end:
            back.add(edge)
    return back


def _intersect(dominator: Sequence[int], first: int, second: int) -> int:
    while first != second:
        while first > second:
            first = dominator[first]
        while second > first:
            second = dominator[second]
    return first


def _check_reducible(
    graph: GraphDefinition,
    entries: Sequence[int],
    forward: Sequence[int],
    source: Sequence[int],
    target: Sequence[int],
) -> None:
    """Without its back edges the graph must have no cycle; else name one, and the nodes it can be entered at."""
    followers: dict[int, list[int]] = {}
    missing: dict[int, int] = {}
    for edge in forward:
        followers.setdefault(source[edge], []).append(target[edge])
        missing[target[edge]] = missing.get(target[edge], 0) + 1
    free = [node for node in followers if not missing.get(node)]
    while free:
        for follower in followers.get(free.pop(), ()):
            missing[follower] -= 1
            if not missing[follower]:
                free.append(follower)
    stuck = {node for node, count in missing.items() if count}
    if not stuck:
        return
    cycle = _find_cycle(stuck, followers)
    inside = set(cycle)
    doors = {target[edge] for edge in forward if target[edge] in inside and source[edge] not in inside}
    doors |= inside.intersection(entries)
    names = [graph.nodes[node].id for node in cycle]
    entered = " and at ".join(graph.nodes[node].id for node in cycle if node in doors)
    way = " -> ".join([*names, names[0]])
    message = (
        f"the loop {way} can be entered both at {entered}; a loop needs a single node to enter by. "
        "A value from before the loop can be read with a binding (steps.<id>.result) in place of a wire"
    )
    raise ValidationError(message, [Problem(Severity.ERROR, "irreducible-loop", message, node_id=names[0])])


def _find_cycle(stuck: set[int], followers: dict[int, list[int]]) -> list[int]:
    """A cycle among nodes that lie on, or behind, one. Walks against the edges, where each has a predecessor."""
    before: dict[int, int] = {}
    for node in sorted(stuck):
        for follower in followers.get(node, ()):
            if follower in stuck:
                before.setdefault(follower, node)
    path: list[int] = []
    seen: dict[int, int] = {}
    node = min(stuck)
    while node not in seen:
        seen[node] = len(path)
        path.append(node)
        node = before[node]
    cycle = path[seen[node] :][::-1]
    start = cycle.index(min(cycle))
    return cycle[start:] + cycle[:start]


def _find_loops(
    order: Sequence[int],
    back: set[int],
    live: Sequence[int],
    outgoing: Sequence[Sequence[int]],
    source: Sequence[int],
    target: Sequence[int],
) -> tuple[tuple[Loop, ...], tuple[int, ...]]:
    predecessors: list[list[int]] = [[] for _ in outgoing]
    for edge in live:
        predecessors[target[edge]].append(source[edge])
    by_header: dict[int, list[int]] = {}
    for edge in sorted(back):
        by_header.setdefault(target[edge], []).append(edge)

    position = {node: number for number, node in enumerate(order)}
    loops: list[Loop] = []
    loop_of = [NO_LOOP] * len(outgoing)
    # Headers in reverse postorder: an outer loop comes before the loops inside it, so the last writer is innermost.
    for header in sorted(by_header, key=position.__getitem__):
        body = {header}
        stack = [source[edge] for edge in by_header[header]]
        while stack:
            node = stack.pop()
            if node not in body:
                body.add(node)
                stack.extend(predecessors[node])
        parent = loop_of[header]
        loop = Loop(
            index=len(loops),
            header=header,
            body=(header, *sorted(body - {header})),
            back_edges=tuple(by_header[header]),
            parent=parent,
            depth=1 if parent == NO_LOOP else loops[parent].depth + 1,
        )
        loops.append(loop)
        for node in body:
            loop_of[node] = loop.index
    headed = {loop.header: loop.index for loop in loops}
    for loop in loops:
        loop.edges = tuple(edge for node in loop.body for edge in outgoing[node])
        loop.inner = tuple(headed[node] for node in loop.body[1:] if node in headed)
    return tuple(loops), tuple(loop_of)


def _assign_exits(
    loops: Sequence[Loop],
    loop_of: Sequence[int],
    live: Sequence[int],
    source: Sequence[int],
    target: Sequence[int],
) -> tuple[int, ...]:
    chains: dict[int, set[int]] = {}
    for node in set(target):
        chain, loop = set(), loop_of[node]
        while loop != NO_LOOP:
            chain.add(loop)
            loop = loops[loop].parent
        chains[node] = chain
    leaves = [NO_LOOP] * len(source)
    exits: list[list[int]] = [[] for _ in loops]
    for edge in live:
        loop, left = loop_of[source[edge]], NO_LOOP
        while loop != NO_LOOP and loop not in chains[target[edge]]:
            left, loop = loop, loops[loop].parent
        if left != NO_LOOP:
            leaves[edge] = left
            exits[left].append(edge)
    for number, edges in enumerate(exits):
        loops[number].exits = tuple(edges)
    return tuple(leaves)

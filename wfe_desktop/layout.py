"""Where nodes go when nobody has said: layers from left to right, in the order of the flow.

Loops are opened first (their back edges are left out), every node then stands one layer right of the last of its
predecessors, and the order within a layer is found by the barycentre of the neighbours, sweeping to and fro. Edges
that pass a layer hold a lane free in it, as long as there are not too many of them. No Qt, no recursion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.model.graph import GraphDefinition

Size = tuple[float, float]
Position = tuple[float, float]

LAYER_GAP = 88.0
NODE_GAP = 46.0
LANE_HEIGHT = 14.0
DEFAULT_SIZE: Size = (180.0, 84.0)
"""Where flow edges leave and enter, below a node's top: what is lined up."""

LABEL_CHARACTER = 6.8
WIDEST_LABEL = 190.0
LABEL_ROOM = 84.0
"""What a condition on an edge takes: a character's width, the most, and the room around it."""

_SWEEPS = 4
_LANES_PER_NODE = 2
_FARTHEST = 400_000.0
_BELOW = 80.0


def stored_places(graph: GraphDefinition) -> dict[str, Position]:
    """The places that ``graph.ui`` gives; what is no place is left out, wherever it comes from."""
    nodes = graph.ui.get("nodes")
    places: dict[str, Position] = {}
    for node_id, place in nodes.items() if isinstance(nodes, Mapping) else ():
        try:
            x, y = float(place["x"]), float(place["y"])
        except (TypeError, KeyError, ValueError, OverflowError):
            continue
        if abs(x) <= _FARTHEST and abs(y) <= _FARTHEST:  # not for NaN either
            places[node_id] = (x, y)
    return places


def complete_places(
    graph: GraphDefinition, known: Mapping[str, Position], sizes: Mapping[str, Size] | None = None
) -> dict[str, Position]:
    """A place for every node: the known ones, and for the others that of the layout, under what has its place."""
    sizes = sizes or {}
    places = {node.id: known[node.id] for node in graph.nodes if node.id in known}
    missing = [node.id for node in graph.nodes if node.id not in places]
    if not missing:
        return places
    laid_out = layout(graph, sizes)
    if not places:
        return laid_out
    below = max(y + sizes.get(node_id, DEFAULT_SIZE)[1] for node_id, (_, y) in places.items())
    top = min(laid_out[node_id][1] for node_id in missing)
    for node_id in missing:
        x, y = laid_out[node_id]
        places[node_id] = (x, y - top + below + _BELOW)
    return places


def layout(graph: GraphDefinition, sizes: Mapping[str, Size] | None = None) -> dict[str, Position]:
    """The top left corner of every node, the first layer at x = 0 and the uppermost node at y = 0.

    Args:
        graph: the workflow; edges to nodes that do not exist are ignored.
        sizes: width and height by node id; ``DEFAULT_SIZE`` where missing.
    """
    names = list(dict.fromkeys(node.id for node in graph.nodes))
    if not names:
        return {}
    index = {name: at for at, name in enumerate(names)}
    pairs = dict.fromkeys(
        (index[edge.from_node], index[edge.to_node])
        for edge in graph.edges
        if edge.from_node in index and edge.to_node in index and edge.from_node != edge.to_node
    )
    entry = index.get(graph.entry_point or "")
    forward = _without_back_edges(len(names), list(pairs), entry)
    layer_of = _longest_paths(len(names), forward)
    known = sizes or {}
    measured = [known.get(name, DEFAULT_SIZE) for name in names]
    layers, before, after, heights = _with_lanes(layer_of, forward, [size[1] for size in measured])
    kept = set(forward)
    runs_back = {source for source, target in pairs if (source, target) not in kept}
    for (
        layer
    ) in layers:  # loops run back below the nodes: what starts them stands low where that is all the same
        layer.sort(key=runs_back.__contains__)
    _order(layers, before, after)
    tops = _heights(layers, before, after, heights)
    lefts = _columns(layers, measured, _gaps(graph, index, layer_of))
    upmost = min(tops[at] for at in range(len(names)))
    return {name: (lefts[layer_of[at]], round(tops[at] - upmost)) for at, name in enumerate(names)}


def _without_back_edges(
    count: int, pairs: Sequence[tuple[int, int]], entry: int | None
) -> list[tuple[int, int]]:
    """The edges that are left when those are taken out that close a cycle, in a walk from the entries."""
    outgoing: list[list[int]] = [[] for _ in range(count)]
    has_incoming = [False] * count
    for source, target in pairs:
        outgoing[source].append(target)
        has_incoming[target] = True
    starts = [entry] if entry is not None else []
    starts += [node for node in range(count) if not has_incoming[node]]
    starts += range(count)
    unseen, open_, done = 0, 1, 2
    state = [unseen] * count
    forward: list[tuple[int, int]] = []
    for start in starts:
        if state[start] != unseen:
            continue
        state[start] = open_
        path = [(start, iter(outgoing[start]))]
        while path:
            node, targets = path[-1]
            for target in targets:
                if state[target] != open_:
                    forward.append((node, target))
                if state[target] == unseen:
                    state[target] = open_
                    path.append((target, iter(outgoing[target])))
                    break
            else:
                state[node] = done
                path.pop()
    return forward


def _longest_paths(count: int, forward: Sequence[tuple[int, int]]) -> list[int]:
    outgoing: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for source, target in forward:
        outgoing[source].append(target)
        waiting[target] += 1
    layer = [0] * count
    ready = [node for node in range(count) if not waiting[node]]
    for node in ready:  # grows while it is walked
        for target in outgoing[node]:
            layer[target] = max(layer[target], layer[node] + 1)
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    return layer


def _with_lanes(
    layer_of: Sequence[int], forward: Sequence[tuple[int, int]], node_heights: Sequence[float]
) -> tuple[list[list[int]], list[list[int]], list[list[int]], list[float]]:
    """Layers with, for each layer that an edge passes, a place holder numbered after the nodes."""
    count = len(layer_of)
    layers: list[list[int]] = [[] for _ in range(max(layer_of) + 1)]
    for node in range(count):
        layers[layer_of[node]].append(node)
    heights = list(node_heights)
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    wanted = sum(layer_of[target] - layer_of[source] - 1 for source, target in forward)
    lanes = wanted <= _LANES_PER_NODE * count + 50
    for source, target in forward:
        last = source
        if lanes:
            for at in range(layer_of[source] + 1, layer_of[target]):
                lane = len(heights)
                heights.append(LANE_HEIGHT)
                before.append([last])
                after.append([])
                after[last].append(lane)
                layers[at].append(lane)
                last = lane
        after[last].append(target)
        before[target].append(last)
    return layers, before, after, heights


def _order(layers: list[list[int]], before: list[list[int]], after: list[list[int]]) -> None:
    place = [0.0] * len(before)

    def number(layer: list[int]) -> None:
        for at, node in enumerate(layer):
            place[node] = float(at)

    for layer in layers:
        number(layer)
    for sweep in range(_SWEEPS):
        to_the_right = sweep % 2 == 0
        neighbours = before if to_the_right else after
        for layer in layers if to_the_right else reversed(layers):
            weight = {
                node: sum(place[other] for other in neighbours[node]) / len(neighbours[node])
                if neighbours[node]
                else place[node]
                for node in layer
            }
            layer.sort(key=weight.__getitem__)
            number(layer)


def _heights(
    layers: list[list[int]], before: list[list[int]], after: list[list[int]], heights: list[float]
) -> list[float]:
    """Tops: first stacked, then drawn towards the middle of the neighbours, keeping order and distance."""
    tops = [0.0] * len(heights)
    for layer in layers:
        y = 0.0
        for node in layer:
            tops[node] = y
            y += heights[node] + NODE_GAP
        for node in layer:
            tops[node] -= (y - NODE_GAP) / 2
    for sweep in range(_SWEEPS):
        to_the_right = sweep % 2 == 0
        neighbours = before if to_the_right else after
        for layer in layers if to_the_right else reversed(layers):
            wanted = []
            for node in layer:
                around = neighbours[node]
                wanted.append(sum(tops[other] for other in around) / len(around) if around else tops[node])
            _settle(layer, wanted, heights, tops)
    return tops


def _settle(layer: list[int], wanted: list[float], heights: list[float], tops: list[float]) -> None:
    """Give each the place it wants, or, where that would overlap, the blocks' mean (pool adjacent violators)."""
    blocks: list[list[float]] = []  # sum of wanted starts, members, offset of the block's first member
    offset = 0.0
    offsets = []
    for node, want in zip(layer, wanted, strict=True):
        offsets.append(offset)
        blocks.append([want - offset, 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            total, members = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += members
        offset += heights[node] + NODE_GAP
    at = 0
    for total, members in blocks:
        start = total / members
        for _ in range(int(members)):
            tops[layer[at]] = start + offsets[at]
            at += 1


def _gaps(graph: GraphDefinition, index: Mapping[str, int], layer_of: Sequence[int]) -> dict[int, float]:
    """The room right of each layer: more where a condition is written on an edge to the next one."""
    gaps: dict[int, float] = {}
    for edge in graph.edges:
        source, target = index.get(edge.from_node), index.get(edge.to_node)
        if edge.condition is None or source is None or target is None:
            continue
        if layer_of[target] == layer_of[source] + 1:
            label = min(WIDEST_LABEL, len(edge.condition) * LABEL_CHARACTER)
            at = layer_of[source]
            gaps[at] = max(gaps.get(at, LAYER_GAP), label + LABEL_ROOM)
    return gaps


def _columns(layers: list[list[int]], measured: Sequence[Size], gaps: Mapping[int, float]) -> list[float]:
    lefts = []
    x = 0.0
    for at, layer in enumerate(layers):
        lefts.append(x)
        widest = max((measured[node][0] for node in layer if node < len(measured)), default=0.0)
        x += widest + gaps.get(at, LAYER_GAP)
    return lefts

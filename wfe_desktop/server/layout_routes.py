"""Where the nodes of a graph stand, for those who draw it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.model.graph import GraphDefinition
from wfe_desktop.layout import Position, complete_places, layout, stored_places
from wfe_desktop.server.payloads import AnswerBody, GraphQuery
from wfe_desktop.server.routing import Answer, Call, RouteTable

table = RouteTable("Graphs")

NODE_WIDTH = 180.0
NODE_HEIGHT = 56.0

Direction = Literal["right", "down"]


class LayoutQuery(GraphQuery):
    """Of which version, and which way the flow goes."""

    direction: Direction = Field(
        default="right",
        description="right: as in the window; down: laid out from top to bottom, for narrow screens.",
    )


class Place(AnswerBody):
    """The top left corner of a node, in pixels."""

    x: float
    y: float


class GraphLayout(AnswerBody):
    """``nodes`` has every node; they are ``node_width`` × ``node_height`` pixels."""

    graph_id: str
    version: int
    direction: Direction
    node_width: float
    node_height: float
    nodes: dict[str, Place]


@table.plain(
    "GET",
    "/graph/{graph_id}/layout",
    "Read where the nodes of a graph stand",
    query=LayoutQuery,
    answers={200: GraphLayout},
    errors=(404,),
)
async def read_layout(call: Call[LayoutQuery]) -> Answer:
    """As they were placed in the window; what nobody has placed is laid out. Back edges are best drawn below the nodes."""
    graphs, graph_id, query = call.server.services.graphs, call.path("graph_id"), call.query

    def read() -> GraphLayout:
        version = query.version or graphs.get_summary(graph_id).version
        places = find_places(graphs.get_graph(graph_id, version), query.direction)
        return GraphLayout(
            graph_id=graph_id,
            version=version,
            direction=query.direction,
            node_width=NODE_WIDTH,
            node_height=NODE_HEIGHT,
            nodes={node_id: Place(x=x, y=y) for node_id, (x, y) in places.items()},
        )

    return Answer(await call.server.database.run(read))


def find_places(graph: GraphDefinition, direction: Direction) -> dict[str, Position]:
    """Stored places go to the right. Downwards, the layout is turned: conditions are then written between two layers."""
    names = [node.id for node in graph.nodes]
    if direction == "right":
        sizes = dict.fromkeys(names, (NODE_WIDTH, NODE_HEIGHT))
        return complete_places(graph, stored_places(graph), sizes)
    edges = tuple(edge.model_copy(update={"condition": None}) for edge in graph.edges)
    turned = layout(
        graph.model_copy(update={"edges": edges}), dict.fromkeys(names, (NODE_HEIGHT, NODE_WIDTH))
    )
    return {node_id: (across, along) for node_id, (along, across) in turned.items()}

"""A part of a workflow on the system's clipboard, as JSON. What comes from there is nobody's friend: it is checked."""

from __future__ import annotations

from typing import Any

import orjson
import pydantic
from PySide6.QtCore import QByteArray, QMimeData
from PySide6.QtGui import QGuiApplication

from engine.errors import ValidationError
from engine.flow.strict_json import parse_json
from engine.model.graph import GraphDefinition
from wfe_desktop.document.edits import Fragment, GraphEditError, node_positions

MIME_TYPE = "application/x-workflow-fragment+json"
MAX_BYTES = 16 * 1024 * 1024
MAX_NODES = 10_000
_MARK = "workflow-fragment"


def encode_fragment(fragment: Fragment) -> bytes:
    """The fragment as JSON, readable by people too."""
    data = {
        "format": _MARK,
        "nodes": [node.model_dump(exclude_defaults=True) for node in fragment.nodes],
        "edges": [edge.model_dump(exclude_defaults=True) for edge in fragment.edges],
        "ui": {"nodes": {node_id: {"x": x, "y": y} for node_id, (x, y) in fragment.positions.items()}},
    }
    return orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE)


def decode_fragment(content: bytes | str) -> Fragment:
    """The fragment in a text; a whole workflow is taken too.

    Raises:
        GraphEditError: the text holds none; the sentence says why.
    """
    if len(content) > MAX_BYTES:
        raise GraphEditError("The clipboard holds too much to paste.")
    try:
        data = parse_json(content)
    except ValidationError as error:
        raise GraphEditError("The clipboard does not hold a part of a workflow.") from error
    if not isinstance(data, dict) or not isinstance(data.get("nodes"), list):
        raise GraphEditError("The clipboard does not hold a part of a workflow.")
    if len(data["nodes"]) > MAX_NODES:
        raise GraphEditError(f"The clipboard holds more than {MAX_NODES:,} nodes.")
    return _read(data)


def _read(data: dict[str, Any]) -> Fragment:
    kept = {name: data[name] for name in ("nodes", "edges", "ui") if name in data}
    try:
        graph = GraphDefinition.model_validate({"name": "clipboard", **kept})
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise GraphEditError(
            f"What the clipboard holds cannot be pasted: {place}: {first['msg']}."
        ) from error
    ids = {node.id for node in graph.nodes}
    if len(ids) != len(graph.nodes):
        raise GraphEditError("What the clipboard holds cannot be pasted: two of its nodes have the same id.")
    edges = {
        edge.key: edge for edge in graph.edges if edge.from_node in ids and edge.to_node in ids
    }  # the key of a valid graph's edge is its own; a double would be drawn twice
    positions = {node_id: place for node_id, place in node_positions(graph).items() if node_id in ids}
    return Fragment(graph.nodes, tuple(edges.values()), positions)


def put_on_clipboard(fragment: Fragment) -> None:
    """Copy: as our own type, and as text for everybody else."""
    content = encode_fragment(fragment)
    mime = QMimeData()
    mime.setData(MIME_TYPE, QByteArray(content))
    mime.setText(content.decode())
    QGuiApplication.clipboard().setMimeData(mime)


def take_from_clipboard() -> Fragment:
    """What can be pasted. Raises GraphEditError where the clipboard holds nothing of the kind."""
    mime = QGuiApplication.clipboard().mimeData()
    if mime is not None and mime.hasFormat(MIME_TYPE):
        return decode_fragment(bytes(mime.data(MIME_TYPE).data()))
    if mime is not None and mime.hasText():
        return decode_fragment(mime.text())
    raise GraphEditError("There is nothing on the clipboard to paste.")

"""Names of nodes: ids made from tools' names, titles for people, and ids inside expressions."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Collection, Mapping

from engine.model.graph import NodeDefinition
from engine.model.tool import Catalog


def make_id(function_name: str) -> str:
    """An id for a node of this tool, good as a name in expressions: ``code.analyze-all`` gives ``analyze_all``."""
    last = function_name.rsplit(".", 1)[-1]
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last)
    name = re.sub(r"\W+", "_", spaced).strip("_").lower()[:60]
    if not name or name[0].isdigit():
        name = f"step_{name}".rstrip("_")
    return f"{name}_step" if keyword.iskeyword(name) else name


def make_unique(name: str, taken: Collection[str], separator: str = "_") -> str:
    """The name, or the name with the first free number from 2 on. A number it ends in is counted on."""
    if name not in taken:
        return name
    stem = re.sub(rf"{re.escape(separator)}\d+$", "", name) or name
    number = 2
    while f"{stem}{separator}{number}" in taken:
        number += 1
    return f"{stem}{separator}{number}"


def node_title(node: NodeDefinition, catalog: Catalog | None = None) -> str:
    """What people call the node: its label, else its tool's label, else its id."""
    if node.label:
        return node.label
    tool = (catalog or {}).get(node.function_name)
    return tool.label if tool is not None and tool.label else node.id


def rename_steps(expression: str, ids: Mapping[str, str]) -> str:
    """The expression with ``steps.<id>`` and ``steps["<id>"]`` renamed, all else as it was written.

    An expression that does not parse is returned as it is: nobody knows what it names.
    """
    if "steps" not in expression or not any(old in expression for old in ids):
        return expression
    lead = len(expression) - len(expression.lstrip())
    try:
        tree = ast.parse(expression[lead:], mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return expression
    lines = expression[lead:].splitlines(keepends=True)
    starts = [lead]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def offset(line: int, column_bytes: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column_bytes].decode())

    changes: list[tuple[int, int, str]] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute | ast.Subscript):
            continue
        if not (isinstance(node.value, ast.Name) and node.value.id == "steps"):
            continue
        new = ids.get(_key_of(node) or "")
        if new is not None:
            start = offset(node.value.end_lineno or 1, node.value.end_col_offset or 0)
            end = offset(node.end_lineno or 1, node.end_col_offset or 0)
            changes.append((start, end, _access(new)))
    for start, end, text in sorted(changes, reverse=True):
        expression = expression[:start] + text + expression[end:]
    return expression


def _key_of(node: ast.Attribute | ast.Subscript) -> str | None:
    if isinstance(node, ast.Attribute):
        return node.attr
    key = node.slice
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None


def _access(node_id: str) -> str:
    if node_id.isidentifier() and not keyword.iskeyword(node_id):
        return f".{node_id}"
    return "[" + repr(node_id) + "]"


def step_reference(node_id: str) -> str:
    """How an expression names a step: ``steps.gate``, or ``steps['my gate']``."""
    return "steps" + _access(node_id)

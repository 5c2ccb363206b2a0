"""The checks that need the tools: which there are, their parameters and ports, and the values for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from engine.errors import DatabaseError, GraphNotFound
from engine.flow.secrets import is_secret
from engine.flow.validation_findings import Findings, quote, show_value, suggest
from engine.model.graph import RESULT_PORT, EdgeDefinition, GraphDefinition, NodeDefinition
from engine.model.problem import Problem, Severity
from engine.model.tool import Catalog, InputPort, OutputPort, PortType, Tool

_WORDS: Final[Mapping[PortType, str]] = {
    PortType.TEXT: "text",
    PortType.NUMBER: "a number",
    PortType.BOOLEAN: "true or false",
    PortType.LIST: "a list",
    PortType.OBJECT: "an object",
    PortType.ANY: "anything",
}
_CONVERTIBLE: Final = {
    (PortType.TEXT, PortType.NUMBER),
    (PortType.TEXT, PortType.BOOLEAN),
    (PortType.NUMBER, PortType.BOOLEAN),
}
"""From, to: whether this works depends on the value."""
_TRUTHS: Final = frozenset({"0", "off", "f", "false", "n", "no", "1", "on", "t", "true", "y", "yes"})
_WORKFLOW: Final = "workflow"
"""The format of a parameter that takes a stored workflow's id or name."""
_MAX_DEPTH = 20
_MAX_ITEMS = 1_000


def find_unknown_tools(graph: GraphDefinition, tools: Catalog, severity: Severity) -> list[Problem]:
    """A problem for every node whose tool is not registered."""
    hints: dict[str, str] = {}
    problems = []
    for node in graph.nodes:
        name = node.function_name
        if name in tools:
            continue
        if name not in hints:
            hints[name] = suggest(name, tools)
        message = f"{quote(node.id)} uses the tool {quote(name)}, which is not registered{hints[name]}"
        problems.append(Problem(severity, "unknown-tool", message, node_id=node.id, field="function_name"))
    return problems


def find_unknown_workflows(
    graph: GraphDefinition, tools: Catalog, find_workflow: Callable[[str], object]
) -> list[Problem]:
    """A problem for every parameter that names a workflow of which ``find_workflow`` says that it is not stored.

    A graph may name itself before it is stored. What a binding gives is known only when the step starts.
    """
    faults: dict[str, str | None] = {graph.name: None}
    problems = []
    for node in graph.nodes:
        tool = tools.get(node.function_name)
        for port in tool.inputs if tool is not None else ():
            name = node.parameters.get(port.name)
            if port.schema.get("format") != _WORKFLOW or port.name in node.bindings:
                continue
            if not isinstance(name, str):
                continue
            if name not in faults:
                faults[name] = _why_not_found(name, find_workflow)
            if faults[name] is not None:
                message = f"{quote(node.id)} cannot run its workflow: {faults[name]}"
                place = f"parameters.{port.name}"
                problems.append(
                    Problem(Severity.WARNING, "unknown-workflow", message, node_id=node.id, field=place)
                )
    return problems


def _why_not_found(name: str, find_workflow: Callable[[str], object]) -> str | None:
    try:
        find_workflow(name)
    except GraphNotFound as error:
        return error.message
    except DatabaseError:
        return None  # nobody can tell now
    return None


def check_tools(graph: GraphDefinition, tools: Catalog, findings: Findings) -> None:
    """Tools, the parameters given to them, and the types that wires connect."""
    findings.problems += find_unknown_tools(graph, tools, Severity.WARNING)
    used: dict[str, Tool] = {}
    for node in graph.nodes:
        tool = tools.get(node.function_name)
        if tool is not None:
            used[node.id] = tool
            _check_parameters(node, tool, findings)
    sources = {
        **used,
        **{node.id: _mapped(used[node.id]) for node in graph.nodes if node.for_each and node.id in used},
    }
    for number, edge in enumerate(graph.edges):
        if edge.is_wire:
            _check_wire(edge, number, sources.get(edge.from_node), used.get(edge.to_node), findings)


def _mapped(tool: Tool) -> Tool:
    """The tool as a node with ``for_each`` shows it to the nodes after it: it gives one list."""
    results = OutputPort(RESULT_PORT, PortType.LIST, {"type": "array"})
    return replace(tool, outputs=(results,))


def _check_parameters(node: NodeDefinition, tool: Tool, findings: Findings) -> None:
    for group, names in (("parameters", node.parameters), ("bindings", node.bindings)):
        for name in names:
            reason = _why_not_parameter(tool, name)
            if reason:
                message = f"{quote(node.id)}: {reason}"
                findings.error("unknown-parameter", message, node=node.id, field=f"{group}.{name}")
    for name, value in node.parameters.items():
        port = tool.find_input(name)
        if port is not None and not fits(port.schema, value):
            message = f"{quote(node.id)}: parameter {quote(name)} takes {_describe(port)}, not {_this(value)}"
            findings.error("wrong-value", message, node=node.id, field=f"parameters.{name}")


def _why_not_parameter(tool: Tool, name: str) -> str | None:
    if (name == "state" and tool.takes_state) or (name == "context" and tool.takes_context):
        return f"{quote(name)} is given by the run and cannot be set"
    if tool.takes_any or tool.find_input(name) is not None:
        return None
    names = [port.name for port in tool.inputs]
    known = suggest(name, names) or (f"; it has {', '.join(names)}" if names else "; it has none")
    return f"the tool {quote(tool.name)} has no parameter {quote(name)}{known}"


def _check_wire(
    edge: EdgeDefinition, number: int, source: Tool | None, target: Tool | None, findings: Findings
) -> None:
    given, taken = PortType.ANY, PortType.ANY
    parameter, output = edge.to_port or "", edge.from_port or RESULT_PORT
    if target is not None:
        reason = _why_not_parameter(target, parameter)
        if reason:
            findings.error("unknown-port", f"edge {edge.describe()}: {reason}", edge=number, field="to_port")
            return
        port = target.find_input(parameter)
        taken = port.type if port else PortType.ANY
    if source is not None:
        out = source.find_output(output)
        if out is None and output != RESULT_PORT:
            names = [port.name for port in source.outputs] or [RESULT_PORT]
            known = suggest(output, names) or f"; it has {', '.join(names)}"
            message = (
                f"edge {edge.describe()}: the tool {quote(source.name)} has no output {quote(output)}{known}"
            )
            findings.error("unknown-port", message, edge=number, field="from_port")
            return
        given = out.type if out else PortType.ANY
    if taken.accepts(given):
        return
    message = (
        f"edge {edge.describe()}: {quote(edge.from_node)} gives {_WORDS[given]}; "
        f"{quote(parameter)} of {quote(edge.to_node)} takes {_WORDS[taken]}"
    )
    if (given, taken) in _CONVERTIBLE:
        findings.warning(
            "type-mismatch", f"{message}, so it depends on the value whether it works", edge=number
        )
    else:
        findings.error("type-mismatch", message, edge=number)


# ------------------------------------------------------------------------------------------------ values, schemas


def fits(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value may be right for a schema, after the conversions that tools make. Lenient where unsure."""
    return _fits(schema, value, schema, 0)


def _fits(schema: Any, value: Any, root: Mapping[str, Any], depth: int) -> bool:
    if depth > _MAX_DEPTH or not isinstance(schema, Mapping) or is_secret(value):
        return True
    if "$ref" in schema:
        return _fits(_resolve(schema["$ref"], root), value, root, depth + 1)
    if "enum" in schema and value not in schema["enum"]:
        return False
    if "const" in schema and value != schema["const"]:
        return False
    for combined in ("anyOf", "oneOf"):
        if combined in schema and not any(
            _fits(option, value, root, depth + 1) for option in schema[combined]
        ):
            return False
    if not all(_fits(option, value, root, depth + 1) for option in schema.get("allOf", ())):
        return False
    kinds = schema.get("type")
    if kinds is not None and not any(
        _has_type(kind, value) for kind in ([kinds] if isinstance(kinds, str) else kinds)
    ):
        return False
    if isinstance(value, list) and "items" in schema:
        return all(_fits(schema["items"], item, root, depth + 1) for item in value[:_MAX_ITEMS])
    return _is_within(schema, value)


def _resolve(reference: str, root: Mapping[str, Any]) -> Any:
    target: Any = root
    for part in reference.removeprefix("#/").split("/"):
        target = (
            target.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(target, Mapping) else None
        )
    return target


def _has_type(kind: str, value: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return (
                isinstance(value, bool)
                or value in (0, 1)
                or (isinstance(value, str) and value.lower() in _TRUTHS)
            )
        case "integer" | "number":
            return _is_number(value, whole=kind == "integer")
        case "array":
            return isinstance(value, list | tuple)
        case "object":
            return isinstance(value, Mapping)
        case "null":
            return value is None
    return True


def _is_number(value: Any, *, whole: bool) -> bool:
    if isinstance(value, bool):
        return False
    try:
        number = float(value) if isinstance(value, str | int | float) else None
    except (ValueError, OverflowError):
        return isinstance(value, int)
    return number is not None and (not whole or isinstance(value, int) or number.is_integer())


def _is_within(schema: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        low, high = schema.get("minimum"), schema.get("maximum")
        above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        return not (
            (low is not None and value < low)
            or (high is not None and value > high)
            or (above is not None and value <= above)
            or (below is not None and value >= below)
        )
    if isinstance(value, str | list):
        word = "Length" if isinstance(value, str) else "Items"
        least, most = schema.get(f"min{word}"), schema.get(f"max{word}")
        return not ((least is not None and len(value) < least) or (most is not None and len(value) > most))
    return True


def _describe(port: InputPort) -> str:
    schema = port.schema
    if "enum" in schema:
        return "one of " + ", ".join(show_value(value) for value in schema["enum"][:20])
    if "const" in schema:
        return show_value(schema["const"])
    words = "a whole number" if schema.get("type") == "integer" else _WORDS[port.type]
    if port.type is PortType.ANY and "anyOf" in schema:
        return "another kind of value"
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        words += f" from {low} to {high}"
    elif low is not None or high is not None:
        words += f" of at least {low}" if low is not None else f" of at most {high}"
    for key, text in (("exclusiveMinimum", "above"), ("exclusiveMaximum", "below")):
        if key in schema:
            words += f" {text} {schema[key]}"
    return words


def _this(value: object) -> str:
    """A value that was refused; that it takes a list, not *a* list, would help nobody."""
    match value:
        case list() | tuple():
            return "this list"
        case Mapping():
            return "this object"
    return show_value(value)

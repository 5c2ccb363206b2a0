"""The checks of node policies against what there is: the configured resources, and what a tool's results can stand for."""

from __future__ import annotations

from collections.abc import Mapping

from engine.flow.validation_findings import quote, suggest
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem, Severity
from engine.model.tool import Catalog, Tool


def find_unmet_resources(
    graph: GraphDefinition, limits: Mapping[str, int], severity: Severity
) -> list[Problem]:
    """A problem for every resource of which a node wants more than there ever is: it would wait for ever."""
    problems = []
    for node in graph.nodes:
        for name, count in node.resources.items():
            limit = limits.get(name)
            if limit is None:
                known = suggest(name, limits) or (
                    f"; configured are {', '.join(limits)}" if limits else "; none is configured"
                )
                message = (
                    f"{quote(node.id)} takes the resource {quote(name)}, which is not configured{known} "
                    f"(--resource {name}=N, or WFE_RESOURCES)"
                )
                code = "unknown-resource"
            elif count > limit:
                message = (
                    f"{quote(node.id)} takes {count} of the resource {quote(name)}, but its limit is {limit}, so it "
                    "could never start"
                )
                code = "resource-limit"
            else:
                continue
            problems.append(Problem(severity, code, message, node_id=node.id, field=f"resources.{name}"))
    return problems


def find_uncacheable(graph: GraphDefinition, tools: Catalog) -> list[Problem]:
    """A problem for every node with ``cache`` whose tool's results must not be used again."""
    problems = []
    for node in graph.nodes:
        tool = tools.get(node.function_name) if node.cache is not None else None
        if tool is not None and (reason := why_not_cached(tool)) is not None:
            message = (
                f"{quote(node.id)}: the results of {quote(tool.name)} cannot be used again (cache): {reason}"
            )
            problems.append(Problem(Severity.ERROR, "no-cache", message, node_id=node.id, field="cache"))
    return problems


def find_vain_caches(graph: GraphDefinition, tools: Catalog) -> list[Problem]:
    """A problem for every node with ``cache`` whose tool waits, or runs another graph: its results are not kept."""
    problems = []
    for node in graph.nodes:
        tool = tools.get(node.function_name) if node.cache is not None else None
        if tool is not None and tool.waits and why_not_cached(tool) is None:
            message = (
                f"{quote(node.id)}: the results of {quote(tool.name)} are not kept (cache), since its steps wait or run "
                "another workflow; take cache away, or set it on nodes that do the work themselves"
            )
            problems.append(Problem(Severity.WARNING, "vain-cache", message, node_id=node.id, field="cache"))
    return problems


def why_not_cached(tool: Tool) -> str | None:
    """Why results of a tool must not be used again; None where they may."""
    if tool.takes_state:
        return "what it does depends on the whole state, and what it changes there is not its result"
    if tool.effects == "once":
        return 'it does something that must be done for each call (effects "once")'
    if not tool.version:
        return f"a change of its code could not be noticed, since {tool.unversioned}"
    return None

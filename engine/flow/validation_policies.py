"""The checks of node policies against what there is: the configured resources."""

from __future__ import annotations

from collections.abc import Mapping

from engine.flow.validation_findings import quote, suggest
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem, Severity


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

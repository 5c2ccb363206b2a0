"""Is this a graph that can be stored and run? Every fault is found and said at its node, edge or field."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.errors import ValidationError
from engine.flow.topology import compile_graph
from engine.flow.validation_findings import Findings
from engine.flow.validation_flow import check_flow
from engine.flow.validation_parsing import parse_graph
from engine.flow.validation_policies import find_uncacheable, find_unmet_resources, find_vain_caches
from engine.flow.validation_reads import StateRead, graph_reads
from engine.flow.validation_shape import Shape
from engine.flow.validation_structure import check_edges, check_expressions, check_names, check_policies
from engine.flow.validation_tools import check_tools, find_unknown_tools, find_unknown_workflows
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem, Severity
from engine.model.tool import Catalog

__all__ = ["StateRead", "check_runnable", "graph_reads", "parse_graph", "validate_graph"]


def validate_graph(
    graph: GraphDefinition,
    tools: Catalog | None = None,
    resources: Mapping[str, int] | None = None,
    find_workflow: Callable[[str], object] | None = None,
) -> list[Problem]:
    """All problems of a graph, errors first. Without ``tools``, the limits of ``resources``, or ``find_workflow``
    (``GraphManager.find_graph``: which stored graph is meant by an id or a name), what depends on them is not judged.

    A graph with errors is not stored. A tool that is not registered, a resource that is not configured, or a workflow to
    run that is not stored, is a warning: the graph may be stored, but see ``check_runnable``. Takes some 50 us a node;
    any thread that may do what ``find_workflow`` does.
    """
    findings = Findings()
    check_names(graph, findings)
    sound = not findings.has_errors
    check_edges(graph, findings)
    check_policies(graph, findings)
    expressions = check_expressions(graph, findings)
    if tools is not None:
        check_tools(graph, tools, findings)
        findings.problems += find_uncacheable(graph, tools) + find_vain_caches(graph, tools)
        if find_workflow is not None:
            findings.problems += find_unknown_workflows(graph, tools, find_workflow)
    if resources is not None:
        findings.problems += find_unmet_resources(graph, resources, Severity.WARNING)
    if sound and graph.nodes:
        try:
            shape = Shape(compile_graph(graph))
        except ValidationError as error:
            findings.problems += error.problems
        else:
            check_flow(shape, expressions, tools, findings)
    return sorted(findings.problems, key=lambda problem: not problem.is_error)


def check_runnable(
    graph: GraphDefinition, tools: Catalog, resources: Mapping[str, int] | None = None
) -> list[Problem]:
    """What keeps a stored graph from being run now: no nodes, tools that are not registered, too few ``resources``. Cheap."""
    if not graph.nodes:
        message = f'the workflow "{graph.name}" has no nodes, so there is nothing to run'
        return [Problem(Severity.ERROR, "empty-graph", message)]
    problems = find_unknown_tools(graph, tools, Severity.ERROR) + find_uncacheable(graph, tools)
    if resources is not None:
        problems += find_unmet_resources(graph, resources, Severity.ERROR)
    return problems

"""The faults of the graph that is being edited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt

from engine.model.graph import GraphDefinition
from engine.model.problem import Problem
from wfe_desktop.tips import plain_tip

Index: TypeAlias = QModelIndex | QPersistentModelIndex
SEVERITY_ROLE = Qt.ItemDataRole.UserRole + 1
PLACE_ROLE = Qt.ItemDataRole.UserRole + 2


def describe_place(problem: Problem, graph: GraphDefinition, title_of: Callable[[str], str] = str) -> str:
    """Where the fault is, as the user knows it: ``Quality gate · threshold``. ``title_of`` names a node."""
    parts: list[str] = []
    if problem.edge is not None and problem.edge < len(graph.edges):
        edge = graph.edges[problem.edge]
        parts.append(f"{title_of(edge.from_node)} → {title_of(edge.to_node)}")
    elif problem.node_id is not None:
        parts.append(title_of(problem.node_id))
    if problem.field:
        parts.append(problem.field.rpartition(".")[2])
    return " · ".join(parts) or "Workflow"


class ProblemsModel(QAbstractListModel):
    """Problems, errors first."""

    def __init__(self) -> None:
        super().__init__()
        self._problems: list[Problem] = []
        self._places: list[str] = []

    @property
    def problems(self) -> list[Problem]:
        """A copy of what is shown."""
        return list(self._problems)

    @property
    def error_count(self) -> int:
        """How many of them keep the workflow from running."""
        return sum(problem.is_error for problem in self._problems)

    def problem_at(self, row: int) -> Problem:
        """The problem in this row."""
        return self._problems[row]

    def set_problems(
        self, problems: Sequence[Problem], graph: GraphDefinition, title_of: Callable[[str], str] = str
    ) -> None:
        """Show these problems of this graph; nothing is touched where they are the same."""
        wanted = sorted(problems, key=lambda problem: not problem.is_error)
        places = [describe_place(problem, graph, title_of) for problem in wanted]
        if (wanted, places) == (self._problems, self._places):
            return
        self.beginResetModel()
        self._problems, self._places = wanted, places
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._problems)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        problem = self._problems[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return problem.message
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(f"{problem.message}\n{self._places[index.row()]}")
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{problem.severity.value}: {problem.message}, at {self._places[index.row()]}"
            case _ if role == SEVERITY_ROLE:
                return problem.severity.value
            case _ if role == PLACE_ROLE:
                return self._places[index.row()]
            case _:
                return None

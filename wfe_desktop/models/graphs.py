"""The workflows that are kept in the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt

from engine.model.run import GraphSummary
from wfe_desktop.models.times import describe_moment
from wfe_desktop.tips import plain_tip

Index: TypeAlias = QModelIndex | QPersistentModelIndex
ID_ROLE = Qt.ItemDataRole.UserRole + 1
DETAIL_ROLE = Qt.ItemDataRole.UserRole + 2


def describe_graph(graph: GraphSummary, now: datetime) -> str:
    """``4 nodes · version 2 · 5 min ago``."""
    nodes = "1 node" if graph.node_count == 1 else f"{graph.node_count} nodes"
    return f"{nodes} · version {graph.version} · {describe_moment(graph.updated_at, now)}"


class GraphsModel(QAbstractListModel):
    """Graphs of the database, the latest change first; ``set_filter`` searches names and descriptions."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC).astimezone()) -> None:
        super().__init__()
        self._now = now
        self._all: list[GraphSummary] = []
        self._shown: list[GraphSummary] = []
        self._needle = ""

    def graph_at(self, row: int) -> GraphSummary:
        """The graph in this row."""
        return self._shown[row]

    def find_graph(self, graph_id: str) -> GraphSummary | None:
        """The graph of this id, where it is known."""
        return next((graph for graph in self._all if graph.id == graph_id), None)

    def references(self) -> list[tuple[str, str]]:
        """How a node may name each graph, and what it is called: its name, or its id where others have the name."""
        names = Counter(graph.name for graph in self._all)
        return [
            (graph.name, graph.name)
            if names[graph.name] == 1
            else (graph.id, f"{graph.name} ({graph.id[:8]}…)")
            for graph in self._all
        ]

    def set_graphs(self, graphs: Sequence[GraphSummary]) -> None:
        """Show these."""
        ordered = sorted(graphs, key=lambda graph: graph.updated_at, reverse=True)
        if ordered != self._all:
            self._all = ordered
            self._choose()

    def set_filter(self, text: str) -> None:
        """Show only graphs whose name or description contains ``text``."""
        self._needle = text.casefold().strip()
        self._choose()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own default
        return 0 if parent.isValid() else len(self._shown)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        graph = self._shown[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return graph.name
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(f"{graph.name}\n{graph.description}".strip() + f"\n{graph.id}")
            case _ if role == ID_ROLE:
                return graph.id
            case _ if role == DETAIL_ROLE:
                return describe_graph(graph, self._now())
            case _:
                return None

    def _choose(self) -> None:
        self.beginResetModel()
        needle = self._needle
        self._shown = [
            g for g in self._all if needle in g.name.casefold() or needle in g.description.casefold()
        ]
        self.endResetModel()

"""The problems of the workflow that is being edited; a click leads to the place."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QRect, Signal
from PySide6.QtGui import QPainter
from PySide6.QtWidgets import QListView, QStyleOptionViewItem, QVBoxLayout, QWidget

from engine.model.problem import Problem
from wfe_desktop import theme
from wfe_desktop.models.problems import PLACE_ROLE, SEVERITY_ROLE, ProblemsModel
from wfe_desktop.panels.empty import EmptyState, Switcher
from wfe_desktop.panels.rows import RIGHT, Index, RowDelegate, draw_background, draw_text

ROW = 30
PLACE_SHARE = 0.3


class _ProblemDelegate(RowDelegate):
    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        colors = theme.current_theme()
        draw_background(painter, option)
        rect = option.rect.adjusted(12, 0, -16, 0)
        severity = index.data(SEVERITY_ROLE)
        self.draw_sign(
            painter, QRect(rect.x(), rect.y(), 20, rect.height()), severity, colors.status_color(severity), 15
        )
        place = QRect(rect)
        place.setLeft(rect.right() - int(rect.width() * PLACE_SHARE))
        used = draw_text(
            painter,
            place,
            index.data(PLACE_ROLE),
            theme.ui_font(theme.TEXT_SECOND_SIZE),
            colors.text_second,
            RIGHT,
        )
        words = rect.adjusted(30, 0, -used - 16, 0)
        draw_text(painter, words, str(index.data()), theme.ui_font(theme.TEXT_DENSE_SIZE), colors.text)


class ProblemsPanel(QWidget):
    """``problem_chosen(Problem)`` when one is clicked."""

    problem_chosen = Signal(Problem)

    def __init__(self, model: ProblemsModel) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        self.model = model
        self.view = QListView()
        self.view.setObjectName("problems_view")
        self.view.setAccessibleName("Problems")
        self.view.setModel(model)
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        self.view.setItemDelegate(_ProblemDelegate(ROW, self.view))
        self._switcher = Switcher(
            self.view,
            EmptyState("check", "Nothing to fix", "This workflow is ready to run.", tone="completed"),
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 4, 0, 0)
        column.addWidget(self._switcher)
        self.view.clicked.connect(self._choose)
        self.view.activated.connect(self._choose)
        model.modelReset.connect(lambda: self._switcher.show_content(self.model.rowCount() > 0))

    def _choose(self, index: QModelIndex) -> None:
        problem: Problem = self.model.problem_at(index.row())
        self.problem_chosen.emit(problem)

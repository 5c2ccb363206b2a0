"""The tabs of the open workflows, with a dot where something is not saved."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QTabBar, QToolButton, QWidget

from wfe_desktop import theme

SIDE = 16
DOT = 9
MOST_LETTERS = 28


class _TabMark(QAbstractButton):
    """A dot while the workflow is modified; a cross under the mouse, which closes it."""

    def __init__(self, tabs: QTabBar) -> None:
        super().__init__(tabs)
        self.is_modified = False
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.setToolTip("Close")
        self.resize(self.sizeHint())

    def sizeHint(self) -> QSize:
        return QSize(SIDE + 4, SIDE)

    def enterEvent(self, event: QEvent) -> None:
        self.update()
        super().enterEvent(event)  # type: ignore[arg-type]

    def leaveEvent(self, event: QEvent) -> None:
        self.update()
        super().leaveEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        del event
        painter = QPainter(self)
        colors = theme.current_theme()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self.is_modified and not self.underMouse():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.text_faint))
            painter.drawEllipse(QRectF(self.width() - SIDE + (SIDE - DOT) / 2, (SIDE - DOT) / 2, DOT, DOT))
            return
        if self.underMouse():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colors.border))
            painter.drawRoundedRect(QRectF(self.width() - SIDE, 0, SIDE, SIDE), 4, 4)
        color = colors.text if self.underMouse() else colors.text_faint
        painter.drawPixmap(self.width() - SIDE + 3, 3, 10, 10, theme.icon_pixmap("close", color, 10))


class DocumentTabs(QWidget):
    """``chosen(int)``, ``close_requested(int)``, ``new_requested()`` by what the user does with the tabs."""

    chosen = Signal(int)
    close_requested = Signal(int)
    new_requested = Signal()
    moved = Signal(int, int)

    def __init__(self) -> None:
        super().__init__()
        self.bar = QTabBar()
        self.bar.setObjectName("document_tabs")
        self.bar.setProperty("documents", "true")
        self.bar.setExpanding(False)
        self.bar.setMovable(True)
        self.bar.setDrawBase(False)
        self.bar.setUsesScrollButtons(True)
        self.bar.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.bar.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.add = QToolButton()
        self.add.setObjectName("new_tab")
        self.add.setToolTip("New workflow (Ctrl+N)")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.bar)
        row.addWidget(self.add)
        row.addStretch(1)
        self.bar.currentChanged.connect(self.chosen)
        self.bar.tabMoved.connect(self.moved)
        self.bar.installEventFilter(self)
        self.add.clicked.connect(self.new_requested)
        self._paint_add()

    def add_tab(self, title: str) -> int:
        """A further tab at the end; returns its place."""
        index = self.bar.addTab(title)
        mark = _TabMark(self.bar)
        mark.clicked.connect(lambda: self._close(mark))
        self.bar.setTabButton(index, QTabBar.ButtonPosition.RightSide, mark)
        return index

    def set_tab(self, index: int, title: str, tip: str, *, is_modified: bool) -> None:
        """What a tab says."""
        short = (
            title
            if len(title) <= MOST_LETTERS
            else f"{title[: MOST_LETTERS // 2]}…{title[-MOST_LETTERS // 2 + 1 :]}"
        )
        if self.bar.tabText(index) != short.replace("&", "&&"):
            self.bar.setTabText(index, short.replace("&", "&&"))
        self.bar.setTabToolTip(index, tip)
        mark = self.bar.tabButton(index, QTabBar.ButtonPosition.RightSide)
        if isinstance(mark, _TabMark) and mark.is_modified != is_modified:
            mark.is_modified = is_modified
            mark.update()

    def is_marked(self, index: int) -> bool:
        """Whether the tab shows the dot of unsaved changes."""
        mark = self.bar.tabButton(index, QTabBar.ButtonPosition.RightSide)
        return isinstance(mark, _TabMark) and mark.is_modified

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        if (
            watched is self.bar
            and isinstance(event, QMouseEvent)
            and event.type() == QEvent.Type.MouseButtonRelease
            and event.button() == Qt.MouseButton.MiddleButton
        ):
            index = self.bar.tabAt(QPoint(event.position().toPoint()))
            if index >= 0:
                self.close_requested.emit(index)
        return False

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self._paint_add()

    def _paint_add(self) -> None:
        if hasattr(self, "add"):
            self.add.setIcon(theme.icon("add", theme.current_theme().text_second))

    def _close(self, mark: _TabMark) -> None:
        for index in range(self.bar.count()):
            if self.bar.tabButton(index, QTabBar.ButtonPosition.RightSide) is mark:
                self.close_requested.emit(index)
                return

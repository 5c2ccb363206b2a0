"""The window's layout: menus, the row above the canvas, the docks, the status bar. What they do is wired elsewhere."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QEvent, QSize, Qt, Signal
from PySide6.QtGui import QCloseEvent, QColor, QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QDockWidget,
    QFrame,
    QMainWindow,
    QMenu,
    QStyleOptionTab,
    QTabBar,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from wfe_desktop import theme
from wfe_desktop.actions import ACTIONS, CANVAS_ONLY, Actions, Menu
from wfe_desktop.background import is_alive
from wfe_desktop.editors import Editors
from wfe_desktop.panels.log import LogPanel
from wfe_desktop.panels.palette import PalettePanel
from wfe_desktop.panels.problems import ProblemsPanel
from wfe_desktop.panels.runs import RunsPanel
from wfe_desktop.panels.state import StatePanel
from wfe_desktop.panels.statusbar import StatusBar
from wfe_desktop.panels.toast import Toasts
from wfe_desktop.panels.toolbar import ActionButton, TopBar
from wfe_desktop.panels.workflows import WorkflowsPanel

TITLE = "Agent Workflow Engine"
SIZE = (1440, 900)
FRAME = (16, 48)
"""Room for what a window manager puts around a window: it says how much only once the window is there."""
LEAST = (900, 560)
STATE_VERSION = 1
RUNS, LOG, STATE, PROBLEMS = range(4)


class CountingTabs(QTabBar):
    """Tabs that can carry a count in a coloured pill."""

    def __init__(self) -> None:
        super().__init__()
        self.setDrawBase(False)
        self.setExpanding(False)
        self._counts: dict[int, tuple[int, str]] = {}

    def set_count(self, index: int, count: int, status: str) -> None:
        """Show a count on a tab, in the colour of ``status``; none for 0."""
        if self._counts.get(index) != (count, status):
            self._counts[index] = (count, status)
            self.setTabText(index, self.tabText(index).rstrip() + (" " * 7 if count else ""))
            self.update()

    def count_of(self, index: int) -> int:
        """The count on a tab."""
        return self._counts.get(index, (0, ""))[0]

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for index, (count, status) in self._counts.items():
            if not count:
                continue
            option = QStyleOptionTab()
            self.initStyleOption(option, index)
            text = str(count) if count < 100 else "99+"
            painter.setFont(theme.ui_font(10.5, QFont.Weight.Bold))
            width = max(18, painter.fontMetrics().horizontalAdvance(text) + 10)
            rect = option.rect
            pill = rect.adjusted(rect.width() - width - 14, (rect.height() - 16) // 2, -14, 0)
            pill.setHeight(16)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(theme.current_theme().status_color(status)))
            painter.drawRoundedRect(pill, 8, 8)
            painter.setPen(QColor("#15171C" if status == "warning" else theme.current_theme().on_accent))
            painter.drawText(pill, int(Qt.AlignmentFlag.AlignCenter), text)


class MainWindow(QMainWindow):
    """Everything there is to see. ``close_requested`` when the user wants to leave; ``let_go()`` lets the window close."""

    close_requested = Signal()

    def __init__(
        self,
        editors: Editors,
        palette: PalettePanel,
        workflows: WorkflowsPanel,
        runs: RunsPanel,
        log: LogPanel,
        state: StatePanel,
        problems: ProblemsPanel,
        inspector: QWidget,
    ) -> None:
        super().__init__()
        self.setWindowTitle(TITLE)
        self.setMinimumSize(*LEAST)
        self.resize(*SIZE)
        self.editors = editors
        self.actions_by_name = Actions(self)
        self.palette_panel, self.workflows_panel = palette, workflows
        self.runs_panel, self.log_panel, self.state_panel, self.problems_panel = runs, log, state, problems
        self._may_close = False
        self._make_menus()
        self._make_center()
        self.left_dock = self._make_dock(
            "palette_dock", "Palette", self._make_left(), Qt.DockWidgetArea.LeftDockWidgetArea
        )
        self.right_dock = self._make_dock(
            "inspector_dock", "Inspector", inspector, Qt.DockWidgetArea.RightDockWidgetArea
        )
        self.bottom_dock = self._make_dock(
            "bottom_dock", "Runs and problems", self._make_bottom(), Qt.DockWidgetArea.BottomDockWidgetArea
        )
        self.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea)
        self.setCorner(Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea)
        self.status = StatusBar(self)
        self.setStatusBar(self.status)
        self.toasts = Toasts(self.editors.stack)
        self._wire_docks()
        self.lay_out(None)

    # -------------------------------------------------------------------------------------------------- layout

    def _make_menus(self) -> None:
        self.menus: dict[Menu, QMenu] = {menu: self.menuBar().addMenu(menu.value) for menu in Menu}
        for spec in ACTIONS:
            menu = self.menus[spec.menu]
            if spec.separator:
                menu.addSeparator()
            action = self.actions_by_name[spec.name]
            menu.addAction(action)
            if spec.name in CANVAS_ONLY:
                action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                self.editors.stack.addAction(action)
        self.recent_menu = QMenu("Open &recent", self)
        self.menus[Menu.FILE].insertMenu(self.actions_by_name["open_database"], self.recent_menu)
        self.samples_menu = QMenu("Open sa&mple", self)
        self.menus[Menu.FILE].insertMenu(self.actions_by_name["save"], self.samples_menu)

    def _make_center(self) -> None:
        actions = self.actions_by_name
        self.run_button = ActionButton(actions["run"], "Run", "F5", is_accent=True)
        self.run_button.setObjectName("run_button")
        self.pause_button = ActionButton(actions["pause"])
        self.pause_button.setObjectName("pause_button")
        self.step_button = ActionButton(actions["step"])
        self.step_button.setObjectName("step_button")
        self.stop_button = ActionButton(actions["stop"])
        self.stop_button.setObjectName("stop_button")
        self.commands_button = ActionButton(actions["commands"], "Commands", "Ctrl Shift P")
        self.commands_button.setObjectName("commands_button")
        controls: list[QWidget] = [self.run_button, self.pause_button, self.step_button, self.stop_button]
        self.top_bar = TopBar(self.editors.tabs, controls, self.commands_button)
        bar = self.addToolBar("Workflows and runs")
        bar.setObjectName("top_bar")
        bar.setMovable(False)
        bar.setFloatable(False)
        bar.toggleViewAction().setVisible(False)
        bar.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        bar.addWidget(self.top_bar)
        bar.setStyleSheet("QToolBar { padding: 0px; spacing: 0px; margin: 0px; border: none; }")
        inside = bar.layout()
        if inside is not None:
            inside.setContentsMargins(0, 0, 0, 0)
            inside.setSpacing(0)
        self.setCentralWidget(self.editors.stack)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.NoContextMenu)

    def _make_dock(self, name: str, title: str, content: QWidget, area: Qt.DockWidgetArea) -> QDockWidget:
        dock = QDockWidget(title, self)
        dock.setObjectName(name)
        dock.setFeatures(QDockWidget.DockWidgetFeature.DockWidgetClosable)
        dock.setTitleBarWidget(QWidget(dock))  # no title: the content's own heading says what it is
        dock.setWidget(content)
        self.addDockWidget(area, dock)
        return dock

    def _make_left(self) -> QWidget:
        self.left_tabs = QTabWidget()
        self.left_tabs.setObjectName("left_tabs")
        self.left_tabs.setDocumentMode(True)
        self.left_tabs.addTab(self.palette_panel, "Tools")
        self.left_tabs.addTab(self.workflows_panel, "Workflows")
        self.left_tabs.setMinimumWidth(180)
        return self.left_tabs

    def _make_bottom(self) -> QWidget:
        self.bottom_tabs = QTabWidget()
        self.bottom_tabs.setObjectName("bottom_tabs")
        self.bottom_bar = CountingTabs()
        self.bottom_tabs.setTabBar(self.bottom_bar)
        self.bottom_tabs.setDocumentMode(True)
        for panel, title in (
            (self.runs_panel, "Runs"),
            (self.log_panel, "Log"),
            (self.state_panel, "State"),
            (self.problems_panel, "Problems"),
        ):
            self.bottom_tabs.addTab(panel, title)
        hide = QToolButton()
        hide.setIcon(theme.icon("chevron-down", theme.current_theme().text_second))
        hide.setToolTip("Hide this panel (Ctrl+J)")
        hide.clicked.connect(self._hide_bottom_dock)
        self._hide_bottom = hide
        self.bottom_tabs.setCornerWidget(hide)
        frame = QFrame()
        column = QVBoxLayout(frame)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.bottom_tabs)
        return frame

    def _hide_bottom_dock(self) -> None:
        self.bottom_dock.hide()

    def _wire_docks(self) -> None:
        for name, dock in (
            ("show_palette", self.left_dock),
            ("show_inspector", self.right_dock),
            ("show_bottom", self.bottom_dock),
        ):
            action = self.actions_by_name[name]
            action.setChecked(True)
            action.toggled.connect(dock.setVisible)
            dock.visibilityChanged.connect(
                lambda _, dock=dock, action=action: self._follow_dock(dock, action)
            )
        for name, index in (
            ("show_runs", RUNS),
            ("show_log", LOG),
            ("show_state", STATE),
            ("show_problems", PROBLEMS),
        ):
            self.actions_by_name[name].triggered.connect(lambda _=False, index=index: self.show_bottom(index))

    def _follow_dock(self, dock: QDockWidget, action: object) -> None:
        if is_alive(self) and self.isVisible() and not self.isMinimized():
            action.setChecked(not dock.isHidden())  # type: ignore[attr-defined]

    # ---------------------------------------------------------------------------------------------- to the rest

    def lay_out(self, state: QByteArray | None) -> None:
        """Put the docks where they were, or where they belong."""
        if state is None or not self.restoreState(state, STATE_VERSION):
            self.resizeDocks(
                [self.left_dock, self.right_dock],
                [theme.PALETTE_WIDTH, theme.INSPECTOR_WIDTH],
                Qt.Orientation.Horizontal,
            )
            self.resizeDocks([self.bottom_dock], [theme.BOTTOM_HEIGHT], Qt.Orientation.Vertical)

    def fit(self, room: QSize) -> None:
        """Fill the screen, where there is less room on it than the usual size takes. Before the window is shown."""
        usual = QSize(*SIZE)
        fitting = usual.boundedTo(room - QSize(*FRAME))
        if fitting != usual:
            self.resize(fitting)  # what it has without a window manager, or when it is made smaller
            self.setWindowState(self.windowState() | Qt.WindowState.WindowMaximized)

    def save_layout(self) -> QByteArray:
        """Where the docks are."""
        return self.saveState(STATE_VERSION)

    def show_bottom(self, index: int) -> None:
        """Bring one of the bottom tabs to the front."""
        self.bottom_dock.show()
        self.bottom_tabs.setCurrentIndex(index)

    def let_go(self) -> None:
        """Close for real."""
        self._may_close = True
        self.close()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._may_close:
            event.accept()
        else:
            event.ignore()
            self.close_requested.emit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_hide_bottom"):
            self._hide_bottom.setIcon(theme.icon("chevron-down", theme.current_theme().text_second))
            self.actions_by_name.set_icons()

"""The row above the canvas: tabs at the left, run controls in the middle, the command palette at the right."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QAction, QColor, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QWidget

from wfe_desktop import theme
from wfe_desktop.actions import plain_text
from wfe_desktop.background import is_alive

HEIGHT = 45


class ActionButton(QPushButton):
    """A button that does what an action does, with its icon, a short text, and its key in a small frame."""

    def __init__(self, action: QAction, text: str = "", key: str = "", *, is_accent: bool = False) -> None:
        super().__init__()
        self._action = action
        self._text = text
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        if is_accent:
            self.setProperty("accent", "true")
        self._sign = QLabel()
        self._words = QLabel(text)
        self._words.setVisible(bool(text))
        self._key = QLabel(key)
        self._key.setProperty("role", "key")
        self._key.setVisible(bool(key))
        row = self._row = QHBoxLayout(self)
        row.setContentsMargins(12, 0, 8 if key else 12, 0)
        row.setSpacing(8)
        for part in (self._sign, self._words, self._key):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            row.addWidget(part, 0, Qt.AlignmentFlag.AlignVCenter)
        self._is_accent = is_accent
        self.clicked.connect(action.trigger)
        action.changed.connect(self._follow)
        self._follow()

    def sizeHint(self) -> QSize:
        return QSize(self._row.sizeHint().width(), theme.CONTROL_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in {QEvent.Type.PaletteChange, QEvent.Type.EnabledChange} and hasattr(self, "_sign"):
            self._dress()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._dress()  # a style sheet that was set before the first show is not seen

    def _follow(self) -> None:
        self.setEnabled(self._action.isEnabled())
        self.setToolTip(self._action.toolTip())
        self.setAccessibleName(self._action.toolTip())
        if self._text and self._words.text() != (text := plain_text(self._action.text())):
            self._words.setText(text)
            self.updateGeometry()
        self._dress()

    def _dress(self) -> None:
        if not is_alive(self._action):  # the window is being taken apart
            return
        colors = theme.current_theme()
        mode = self._action.icon().Mode
        self._sign.setPixmap(
            self._action.icon().pixmap(
                QSize(14, 14), self.devicePixelRatioF(), mode.Normal if self.isEnabled() else mode.Disabled
            )
        )
        words = colors.text if self.isEnabled() else colors.text_faint
        if self._is_accent and self.isEnabled():
            words = colors.on_accent
            ground, edge, ink = "rgba(255, 255, 255, 40)", "rgba(255, 255, 255, 0)", colors.on_accent
        else:
            ground, edge, ink = colors.panel, colors.border, colors.text_second
        self._key.setStyleSheet(
            f"background: {ground}; border: 1px solid {edge}; border-radius: 4px; padding: 0px 5px; color: {ink};"
        )
        self._key.setFont(theme.code_font(theme.CODE_SIZE))
        weight = 600 if self._is_accent else 400
        self._words.setStyleSheet(f"color: {words}; font-weight: {weight};")


class TopBar(QWidget):
    """Three parts, of which the middle one stays in the middle while there is room."""

    def __init__(self, tabs: QWidget, controls: list[QWidget], commands: QWidget) -> None:
        super().__init__()
        self.setProperty("panel", "true")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedHeight(HEIGHT)
        tabs.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        middle = QHBoxLayout()
        middle.setSpacing(8)
        for control in controls:
            middle.addWidget(control)
        right = QHBoxLayout()
        right.addStretch(1)
        right.addWidget(commands)
        grid = QGridLayout(self)
        grid.setContentsMargins(9, 0, 12, 0)
        grid.setHorizontalSpacing(12)
        grid.addWidget(tabs, 0, 0, Qt.AlignmentFlag.AlignVCenter)
        grid.addLayout(middle, 0, 1, Qt.AlignmentFlag.AlignCenter)
        grid.addLayout(right, 0, 2, Qt.AlignmentFlag.AlignVCenter)
        grid.setColumnStretch(0, 5)
        grid.setColumnStretch(2, 3)

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        painter = QPainter(self)
        painter.fillRect(0, self.height() - 1, self.width(), 1, QColor(theme.current_theme().border))

"""Small controls that forms are made of."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QFontMetrics,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QWidget,
)

from wfe_desktop.theme import (
    CONTROL_HEIGHT,
    SPACE,
    TEXT_SECOND_SIZE,
    code_font,
    current_theme,
    icon_pixmap,
)

BUTTON_HEIGHT = CONTROL_HEIGHT - 3 * SPACE + 2
_ICON = 3 * SPACE


class SmallButton(QAbstractButton):
    """A small button that sits in a field: a few letters in the code face, or an icon. Checked, it is accented."""

    def __init__(
        self, tooltip: str, *, text: str = "", icon_name: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setText(text)
        self._icon_name = icon_name
        self.setToolTip(tooltip)
        self.setAccessibleName(tooltip)
        self.setCursor(Qt.CursorShape.ArrowCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)

    def sizeHint(self) -> QSize:
        """As wide as its text needs."""
        if self._icon_name:
            return QSize(BUTTON_HEIGHT, BUTTON_HEIGHT)
        width = QFontMetrics(code_font(TEXT_SECOND_SIZE)).horizontalAdvance(self.text())
        return QSize(max(width + 3 * SPACE, BUTTON_HEIGHT), BUTTON_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """It is never squeezed."""
        return self.sizeHint()

    def paintEvent(self, _event: QPaintEvent) -> None:
        """Border and letters in the theme's colours; accent when checked."""
        theme = current_theme()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        hot = self.underMouse() or self.isDown()
        border = theme.accent if self.hasFocus() else theme.text_faint if hot else theme.border
        fill = theme.accent_fill if self.isChecked() else theme.raised
        if self._icon_name and not (hot or self.hasFocus()):
            border = fill = ""
        if fill:
            painter.setPen(QPen(QColor(border), 1))
            painter.setBrush(QColor(fill))
            painter.drawRoundedRect(
                QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), SPACE + 0.5, SPACE + 0.5
            )
        ink = theme.on_accent if self.isChecked() else theme.text if hot else theme.text_second
        if self._icon_name:
            place = QRectF(self.rect()).center()
            painter.drawPixmap(
                round(place.x() - _ICON / 2),
                round(place.y() - _ICON / 2),
                icon_pixmap(self._icon_name, ink, _ICON),
            )
            return
        painter.setFont(code_font(TEXT_SECOND_SIZE))
        painter.setPen(QColor(ink))
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, self.text())


class ButtonStrip(QWidget):
    """The small buttons at the right end of a field."""

    resized = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._buttons: list[SmallButton] = []
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(0, 0, 0, 0)
        self._row.setSpacing(SPACE // 2)
        self.setCursor(Qt.CursorShape.ArrowCursor)

    def add(self, button: SmallButton) -> SmallButton:
        """Put a button at the right end."""
        self._row.addWidget(button)
        self._buttons.append(button)
        return button

    @property
    def wanted_width(self) -> int:
        """How much room its visible buttons take."""
        shown = [button for button in self._buttons if not button.isHidden()]
        return sum(button.sizeHint().width() for button in shown) + self._row.spacing() * max(
            len(shown) - 1, 0
        )

    def arrange(self) -> None:
        """Tell the field that a button was shown or hidden."""
        self._row.activate()
        self.resized.emit()


class _UndoGuard(QObject):
    """Keeps a text field from taking Ctrl+Z for itself: there is one history, the document's."""

    def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
        if event.type() in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress) and (
            event.matches(QKeySequence.StandardKey.Undo)  # type: ignore[attr-defined]
            or event.matches(QKeySequence.StandardKey.Redo)  # type: ignore[attr-defined]
        ):
            event.ignore()
            return True
        return False


class LineEdit(QLineEdit):
    """A line of text that leaves undo to the document, says when it is left, and can hold small buttons."""

    left = Signal()

    def __init__(self, parent: QWidget | None = None, *, code: bool = False) -> None:
        super().__init__(parent)
        self.installEventFilter(_UndoGuard(self))
        self._strip: ButtonStrip | None = None
        if code:
            self.setProperty("code", "true")

    def hold(self, strip: ButtonStrip) -> None:
        """Put a strip of buttons into the field's right end."""
        self._strip = strip
        strip.setParent(self)
        strip.resized.connect(self._arrange)
        strip.show()
        self._arrange()

    def _arrange(self) -> None:
        if self._strip is None:
            return
        width = self._strip.wanted_width
        self.setTextMargins(0, 0, width + SPACE if width else 0, 0)
        self._strip.setGeometry(
            self.width() - width - SPACE - 2, (self.height() - BUTTON_HEIGHT) // 2, width, BUTTON_HEIGHT
        )

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.left.emit()


class TextArea(QPlainTextEdit):
    """Lines of text: as high as what it holds, within bounds; leaves undo to the document and Tab to the form."""

    left = Signal()

    def __init__(
        self, parent: QWidget | None = None, *, code: bool = False, lines: int = 2, most: int = 14
    ) -> None:
        super().__init__(parent)
        self.installEventFilter(_UndoGuard(self))
        self.setUndoRedoEnabled(False)
        self.setTabChangesFocus(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)  # lines are broken
        self._lines, self._most = lines, most
        self._strip: ButtonStrip | None = None
        if code:
            self.setProperty("code", "true")
        self.textChanged.connect(self._fit)
        self._fit()

    def hold(self, strip: ButtonStrip) -> None:
        """Put a strip of buttons into the field's top right corner."""
        self._strip = strip
        strip.setParent(self)
        strip.resized.connect(self._arrange)
        strip.show()
        self._arrange()

    def _arrange(self) -> None:
        if self._strip is None:
            return
        width = self._strip.wanted_width
        self.setViewportMargins(0, 0, width + SPACE if width else 0, 0)
        bar = self.verticalScrollBar()
        right = bar.width() if bar.isVisible() else 0
        self._strip.setGeometry(self.width() - width - SPACE - 2 - right, SPACE + 1, width, BUTTON_HEIGHT)

    def _fit(self) -> None:
        line = self.fontMetrics().lineSpacing()
        lines = max(self._lines, min(self._most, self._shown_lines()))
        self.setFixedHeight(lines * line + round(2 * self.document().documentMargin()) + 3 * SPACE)

    def _shown_lines(self) -> int:
        """Lines as they are broken; of a long text, only as many as matter."""
        block, lines = self.document().firstBlock(), 0
        layout = self.document().documentLayout()
        while block.isValid() and lines < self._most:
            layout.blockBoundingRect(block)  # breaks its lines, which else waits until it is seen
            lines += max(1, block.layout().lineCount())
            block = block.next()
        return lines

    def changeEvent(self, event: QEvent) -> None:
        """The type size may be another after a change of style."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._arrange()
        self._fit()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.left.emit()


class ComboBox(QComboBox):
    """A choice that does not change when the form is scrolled over it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


def words(text: str = "", role: str = "", *, wrap: bool = False) -> QLabel:
    """A label of plain text in one of the style sheet's roles."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(wrap)
    if role:
        label.setProperty("role", role)
    return label


def line() -> QFrame:
    """A thin line between parts."""
    frame = QFrame()
    frame.setProperty("line", "true")
    return frame


def mark_invalid(widget: QWidget, message: str | None) -> None:
    """Show a field as wrong, for eyes and for screen readers; None: as right again."""
    widget.setAccessibleDescription(message or "")
    wanted = "true" if message else "false"
    if (widget.property("invalid") or "false") == wanted:
        return
    widget.setProperty("invalid", wanted)
    widget.style().unpolish(widget)
    widget.style().polish(widget)

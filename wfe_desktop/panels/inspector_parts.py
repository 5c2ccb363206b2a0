"""What the pages of the inspector share: header, scrolling, an edit whose refusal is shown."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from wfe_desktop.forms.controls import LineEdit, words
from wfe_desktop.theme import CORNER, SPACE, current_theme, icon_pixmap
from wfe_desktop.tips import plain_tip

MARGIN = 4 * SPACE
TILE = 8 * SPACE


class Tile(QWidget):
    """The coloured square with an icon beside a title. ``color`` is asked for when it is painted."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon_name, self._category = "info", ""
        self.setFixedSize(TILE, TILE)

    def show_icon(self, icon_name: str, category: str = "") -> None:
        """Another icon, in the colour of a category; without one in the second text colour."""
        self._icon_name, self._category = icon_name, category
        self.update()

    def sizeHint(self) -> QSize:
        """Fixed."""
        return QSize(TILE, TILE)

    def paintEvent(self, _event: QPaintEvent) -> None:
        """A tint of the colour, and the icon in it."""
        theme = current_theme()
        ink = theme.category_color(self._category) if self._category else theme.text_second
        tint = QColor(ink)
        tint.setAlphaF(0.22)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(tint)
        painter.drawRoundedRect(QRectF(self.rect()), CORNER, CORNER)
        size = TILE // 2
        painter.drawPixmap((TILE - size) // 2, (TILE - size) // 2, icon_pixmap(self._icon_name, ink, size))


class TitleEdit(LineEdit):
    """A title that can be edited: a label until the caret is in it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # No colour of its own: without focus only the text is seen.
        self.setStyleSheet(
            "QLineEdit { font-weight: 600; padding: 0px 2px; min-height: 20px; }"
            "QLineEdit:!focus { background: transparent; border-color: transparent; }"
        )
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape):
            self.clearFocus()
            return
        super().keyPressEvent(event)


class Header(QWidget):
    """Tile, title, a second line, and room at the right."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        row = QHBoxLayout(self)
        row.setContentsMargins(MARGIN, 3 * SPACE, MARGIN, 2 * SPACE)
        row.setSpacing(2 * SPACE + SPACE // 2)
        self.tile = Tile()
        self.title = TitleEdit()
        self.subtitle = words(role="second")
        self.subtitle.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(self.title)
        texts.addWidget(self.subtitle)
        self.subtitle.setContentsMargins(5, 0, 0, 0)  # below the title's text, which has a border around it
        row.addWidget(self.tile, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(texts, 1)
        self.right = QHBoxLayout()
        self.right.setSpacing(SPACE)
        row.addLayout(self.right)

    def show_title(self, text: str, placeholder: str = "") -> None:
        """The title; one that is being typed is left alone."""
        self.title.setPlaceholderText(placeholder)
        self.title.setToolTip(plain_tip(text))
        if self.title.hasFocus() and not self.title.text():
            return
        if self.title.text() != text:
            self.title.setText(text)
            if not self.title.hasFocus():
                self.title.setCursorPosition(0)

    def show_subtitle(self, text: str) -> None:
        """The second line, in full as its tooltip."""
        self.subtitle.setText(text)
        self.subtitle.setToolTip(plain_tip(text))


def scrolled(widget: QWidget) -> QScrollArea:
    """The widget in a vertical scroll area without a frame."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(widget)
    return area


def column(parent: QWidget, spacing: int = 4 * SPACE) -> QVBoxLayout:
    """The usual column of a page."""
    layout = QVBoxLayout(parent)
    layout.setContentsMargins(MARGIN, MARGIN, MARGIN, MARGIN)
    layout.setSpacing(spacing)
    return layout


def clear(layout: QVBoxLayout | QHBoxLayout) -> None:
    """Take every widget out of a layout and let go of it."""
    while (item := layout.takeAt(0)) is not None:
        widget = item.widget()
        if widget is not None:
            widget.hide()
            widget.deleteLater()

"""A theme made ready to paint with: colours, pens, fonts and measured texts, each made once."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPen

from engine.model.status import RunStatus, StepStatus
from engine.model.tool import PortType
from wfe_desktop.theme import NODE, STATUS_ICONS, Theme, code_font, ui_font

OVERVIEW_SCALE = 0.35
"""Below this scale nothing can be read: nodes are blocks."""
PLAIN_SCALE = 0.5
"""Below this scale the small print is left out."""


def mixed(one: str, other: str, share: float) -> QColor:
    """``share`` of the first colour over the second."""
    a, b = QColor(one), QColor(other)
    return QColor(
        round(a.red() * share + b.red() * (1 - share)),
        round(a.green() * share + b.green() * (1 - share)),
        round(a.blue() * share + b.blue() * (1 - share)),
    )


class Face:
    """A font with its measures; remembers what it has measured and shortened."""

    def __init__(self, font: QFont) -> None:
        self.font = font
        self._metrics = QFontMetricsF(font)
        self.ascent = self._metrics.ascent()
        self.height = self._metrics.height()
        self.middle = (self._metrics.ascent() - self._metrics.descent()) / 2
        """How far below the middle of a line its baseline is."""
        self.width = lru_cache(maxsize=4096)(self._metrics.horizontalAdvance)
        self._elided = lru_cache(maxsize=4096)(self._elide)

    def _elide(self, text: str, width: int) -> str:
        return self._metrics.elidedText(text, Qt.TextElideMode.ElideMiddle, width)

    def fit(self, text: str, width: float) -> str:
        """The text, shortened in the middle where it is wider than ``width``."""
        return text if self.width(text) <= width else self._elided(text, int(width))


class Style:
    """What items paint with. One for each theme; made anew when the theme changes."""

    def __init__(self, theme: Theme) -> None:
        self.theme = theme
        self.title = Face(ui_font(NODE.title_size, QFont.Weight.DemiBold))
        self.name = Face(ui_font(NODE.name_size))
        self.label = Face(ui_font(NODE.label_size))
        self.value = Face(code_font(NODE.value_size))
        self.time = Face(code_font(NODE.time_size))
        self.pill = Face(code_font(NODE.value_size))
        self.canvas = QColor(theme.canvas)
        self.dots = QColor(theme.dots)
        self.panel = QColor(theme.panel)
        self.node = QColor(theme.node)
        self.node_header = QColor(theme.node_header)
        self.raised = QColor(theme.raised)
        self.border = QColor(theme.border)
        self.text = QColor(theme.text)
        self.second = QColor(theme.text_second)
        self.accent = QColor(theme.accent)
        self.flow = QColor(theme.flow_edge)
        self.failed_text = QColor(theme.status_text["failed"])
        self.warning = QColor(theme.status["warning"])
        self.error = QColor(theme.status["error"])
        self.shadow = QColor(theme.shadow)
        self.shadow.setAlpha(46 if theme.is_dark else 16)
        self.progress_track = mixed(theme.status["running"], theme.node, 0.18)
        self.progress_unknown = mixed(theme.status["running"], theme.node, 0.6)
        self.block = mixed(theme.flow_edge, theme.canvas, 0.42)
        """A node nothing is known of, seen from far."""
        self.far_edge = mixed(theme.flow_edge, theme.canvas, 0.5)
        self._status = {status: QColor(theme.status_color(status)) for status in StepStatus}
        self._ports = {kind: QColor(theme.port_color(kind)) for kind in PortType}
        self.border_pen = QPen(QColor(theme.border), 1.2)
        self.accent_pen = QPen(self.accent, 2.0)
        self.breakpoint_pen = QPen(self.canvas, 1.6)
        self.flow_port_pen = QPen(self.flow, 1.6, j=Qt.PenJoinStyle.MiterJoin)
        self.error_port_pen = QPen(QColor(theme.status["failed"]), 1.6, j=Qt.PenJoinStyle.MiterJoin)
        # Of this object, not of the class: fonts must not outlive the window.
        self.pen = lru_cache(maxsize=256)(self._make_pen)
        """A round pen of a colour and width, ``dashed`` or not, made once."""
        self.tile = lru_cache(maxsize=64)(self._make_tile)
        """A category's tile: its background, and the colour of its sign."""

    def status(self, status: StepStatus) -> QColor:
        """The colour of a border, a sign, an edge."""
        return self._status[status]

    def port(self, kind: PortType) -> QColor:
        """The colour of a port type."""
        return self._ports[kind]

    def _make_pen(self, color: str, width: float, *, dashed: bool = False, opacity: float = 1.0) -> QPen:
        shade = QColor(color)
        shade.setAlphaF(opacity)
        pen = QPen(shade, width)
        pen.setCapStyle(Qt.PenCapStyle.RoundCap)
        pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
        if dashed:
            pen.setDashPattern([3.2 * 1.6 / width, 3.6 * 1.6 / width])
        return pen

    def _make_tile(self, category: str) -> tuple[QColor, str]:
        color = self.theme.category_color(category)
        return mixed(color, self.theme.node_header, 0.24), color

    def sign(self, status: StepStatus | RunStatus) -> tuple[str, str]:
        """The icon and the colour of a status' sign."""
        return STATUS_ICONS[status.value], self.theme.status_color(status)


def format_duration(seconds: float) -> str:
    """A duration in at most six characters: ``2 ms``, ``1.2 s``, ``3 m 5``."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms" if seconds >= 0.0005 else "0 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes = round(seconds) // 60
    if minutes < 60:
        return f"{minutes}m {round(seconds) % 60:02d}s"
    return f"{minutes // 60}h {minutes % 60:02d}m"

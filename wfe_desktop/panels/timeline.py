"""When each node ran, as bars over time: one row a node, one bar a visit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QColor,
    QContextMenuEvent,
    QHelpEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from PySide6.QtWidgets import QAbstractScrollArea, QMenu, QToolTip

from engine.model.status import StepStatus
from wfe_desktop import theme
from wfe_desktop.models.run_view import RunView, Span
from wfe_desktop.models.times import describe_duration
from wfe_desktop.panels.rows import LEFT, draw_text

ROW = 25
AXIS = 32
NAMES = 132
BAR = 13
SHORTEST_BAR = 3.0
LEAST_SPAN_US = 10_000
STEPS = (1, 2, 5)
TICK_SPACING = 78


def tick_step(span_us: int, width: int) -> int:
    """The distance of the axis' ticks in microseconds: 1, 2 or 5 times a power of ten, not too dense."""
    least = span_us * TICK_SPACING / max(1, width)
    step = 1
    while True:
        for factor in STEPS:
            if step * factor >= least:
                return step * factor
        step *= 10


def describe_tick(at_us: int, step_us: int) -> str:
    """A tick's label, with as many digits as the step needs."""
    if step_us < 1_000_000 and step_us * 10 < 1_000_000:
        return f"{at_us / 1000:g} ms"
    return f"{at_us / 1e6:.1f} s" if step_us < 1_000_000 else f"{at_us // 1_000_000} s"


class Scale(NamedTuple):
    """From microseconds to pixels."""

    left: int
    width: int
    start_us: int
    span_us: int

    @property
    def right(self) -> float:
        """The last pixel."""
        return self.left + self.width

    def to_x(self, at_us: int) -> float:
        """Where a moment is."""
        return self.left + (at_us - self.start_us) / self.span_us * self.width


class Timeline(QAbstractScrollArea):
    """Draws the spans of a run. ``refresh()`` after the run has changed; ``node_chosen(node_id)`` on a click.

    ``fork_requested(node_id, visit)`` from the menu of a row; the visit is that of the bar, or 0 beside the bars.
    """

    node_chosen = Signal(str)
    fork_requested = Signal(str, int)

    def __init__(self, now_us: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        super().__init__()
        self.setObjectName("timeline")
        self.setAccessibleName("Timeline of the run")
        self.setFrameShape(self.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setMouseTracking(True)
        self._now_us = now_us
        self._run: RunView | None = None
        self._title_of: Callable[[str], str] = str
        self._rows: list[tuple[str, str, list[Span]]] = []
        self._clock = QTimer(self)
        self._clock.setInterval(100)
        self._clock.timeout.connect(self.viewport().update)

    def set_run(self, run: RunView | None, title_of: Callable[[str], str] = str) -> None:
        """Show another run, or none. ``title_of`` gives the name of a node."""
        self._run, self._title_of = run, title_of
        self.verticalScrollBar().setValue(0)
        self.refresh()

    def refresh(self) -> None:
        """The run has changed."""
        self._rows = self._make_rows() if self._run else []
        self._set_range()
        running = self._run is not None and not self._run.status.is_final and self._run.started_us is not None
        if running != self._clock.isActive():
            self._clock.start() if running else self._clock.stop()
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._set_range()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.fillRect(event.rect(), QColor(theme.current_theme().panel))
        if self._run is None or not self._rows:
            self._draw_hint(painter)
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        start, span = self._period()
        area = self._area()
        self._draw_axis(painter, area, span)
        self._draw_rows(painter, area, start, span)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        row = self._row_at(event.position().toPoint())
        if row is not None and event.button() == Qt.MouseButton.LeftButton:
            self.node_chosen.emit(self._rows[row][0])

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        row = self._row_at(event.pos())
        if row is None or self._run is None:
            return
        node_id, _, spans = self._rows[row]
        span, step = self._span_at(event.pos(), spans), self._run.nodes.get(node_id)
        visit = span.visit if span is not None else 0
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        again = QAction("Run again from here…", menu)
        again.setEnabled(step is not None and step.visit > 0)
        again.triggered.connect(lambda: self.fork_requested.emit(node_id, visit))
        show = QAction("Show the node", menu)
        show.triggered.connect(lambda: self.node_chosen.emit(node_id))
        menu.addActions([again, show])
        menu.popup(event.globalPos())

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(event.globalPos(), self._explain(event.pos()), self.viewport())
            return True
        return super().viewportEvent(event)

    def _area(self) -> QRect:
        """Where the bars are."""
        return QRect(NAMES + 12, 0, max(1, self.viewport().width() - NAMES - 36), self.viewport().height())

    def _make_rows(self) -> list[tuple[str, str, list[Span]]]:
        assert self._run is not None
        by_node: dict[str, list[Span]] = {
            node_id: [] for node_id, step in self._run.nodes.items() if step.taken_from is not None
        }
        for span in self._run.spans:
            by_node.setdefault(span.node, []).append(span)
        for node in self._run.graph.nodes:
            if node.id in self._run.nodes:
                by_node.setdefault(node.id, [])
        return [(node_id, self._title_of(node_id), spans) for node_id, spans in by_node.items()]

    def _set_range(self) -> None:
        bar = self.verticalScrollBar()
        height = self.viewport().height() - AXIS
        bar.setPageStep(max(1, height))
        bar.setSingleStep(ROW)
        bar.setRange(0, max(0, len(self._rows) * ROW + 8 - height))

    def _period(self) -> tuple[int, int]:
        assert self._run is not None
        first = self._run.spans[0].started_us if self._run.spans else 0
        start = min(self._run.started_us or first, first) if first else (self._run.started_us or 0)
        end = self._run.ended_us or self._now_us()
        return start, max(LEAST_SPAN_US, end - start)

    def _draw_hint(self, painter: QPainter) -> None:
        colors = theme.current_theme()
        text = "Choose a run to see its timeline" if self._run is None else "No step has started yet"
        flags = int(Qt.AlignmentFlag.AlignCenter)
        draw_text(
            painter,
            self.viewport().rect(),
            text,
            theme.ui_font(theme.TEXT_SECOND_SIZE),
            colors.text_second,
            flags,
        )

    def _draw_axis(self, painter: QPainter, area: QRect, span: int) -> None:
        colors = theme.current_theme()
        step = tick_step(span, area.width())
        font = theme.code_font(10.5)
        for at in range(0, span + 1, step):
            x = area.x() + round(at / span * area.width())
            painter.setPen(QPen(QColor(colors.border), 1))
            painter.drawLine(x, AXIS - 4, x, area.height())
            box = QRect(x - 40, 6, 80, AXIS - 12)
            if box.right() - 14 <= self.viewport().width():
                draw_text(
                    painter,
                    box,
                    describe_tick(at, step),
                    font,
                    colors.text_second,
                    int(Qt.AlignmentFlag.AlignCenter),
                )

    def _draw_rows(self, painter: QPainter, area: QRect, start: int, span: int) -> None:
        colors = theme.current_theme()
        scale = Scale(area.x(), area.width(), start, span)
        offset = self.verticalScrollBar().value()
        painter.setClipRect(0, AXIS - 2, self.viewport().width(), area.height())
        first = offset // ROW
        last = min(len(self._rows), first + area.height() // ROW + 2)
        for row in range(first, last):
            node_id, label, spans = self._rows[row]
            y = AXIS + row * ROW - offset
            color = colors.text if spans else colors.text_second
            words = QRect(12, y, NAMES - 12, ROW)
            draw_text(
                painter,
                words,
                label,
                theme.ui_font(theme.TEXT_DENSE_SIZE),
                color,
                LEFT,
                Qt.TextElideMode.ElideMiddle,
            )
            if not spans:
                self._draw_word(painter, QRect(area.x() + 2, y, area.width() - 2, ROW), node_id)
            self._draw_bars(painter, spans, y, scale)
        assert self._run is not None
        if self._run.ended_us is None and self._run.started_us is not None:
            x = area.right()
            painter.setPen(QPen(QColor(colors.accent), 2))
            painter.drawLine(x, AXIS - 2, x, area.height())

    def _draw_word(self, painter: QPainter, rect: QRect, node_id: str) -> None:
        """Why there are no bars."""
        assert self._run is not None
        step = self._run.nodes.get(node_id)
        if step is None:
            return
        word = (
            "taken over"
            if step.taken_from
            else "skipped"
            if step.status is StepStatus.SKIPPED
            else step.about
        )
        colors = theme.current_theme()
        draw_text(painter, rect, word, theme.ui_font(theme.TEXT_SECOND_SIZE), colors.text_second)

    def _draw_bars(self, painter: QPainter, spans: list[Span], y: int, scale: Scale) -> None:
        """The visits of a node; those too close to be told apart become one bar, however many there are."""
        colors = theme.current_theme()
        now = self._now_us()
        painter.setPen(Qt.PenStyle.NoPen)
        top = y + (ROW - BAR) / 2
        left, right, status = 0.0, -1.0, StepStatus.PENDING
        begin = end = 0.0
        for one in (*spans, None):
            if one is not None:
                begin = scale.to_x(one.started_us)
                end = max(begin + SHORTEST_BAR, scale.to_x(one.ended_us if one.ended_us is not None else now))
                if one.status is status and begin <= right + 1:
                    right = max(right, end)
                    continue
            if right >= left:
                painter.setBrush(QColor(colors.status_color(status)))
                width = max(SHORTEST_BAR, min(right, scale.right) - left)
                painter.drawRoundedRect(QRectF(left, top, width, BAR), 2.5, 2.5)
            if one is not None:
                left, right, status = begin, end, one.status

    def _row_at(self, at: QPoint) -> int | None:
        row = (at.y() - AXIS + self.verticalScrollBar().value()) // ROW
        return row if at.y() >= AXIS and 0 <= row < len(self._rows) else None

    def _explain(self, at: QPoint) -> str:
        row = self._row_at(at)
        if row is None:
            return ""
        assert self._run is not None
        node_id, title, spans = self._rows[row]
        span = self._span_at(at, spans)
        if span is not None:
            end = span.ended_us if span.ended_us is not None else self._now_us()
            took = describe_duration((end - span.started_us) / 1e6)
            return f"{title}, visit {span.visit}: {span.status.value}, {took}"
        step = self._run.nodes.get(node_id)
        origin = step.taken_from if step is not None else None
        return title if origin is None else f"{title}: taken over from run {origin}, not run again"

    def _span_at(self, at: QPoint, spans: list[Span]) -> Span | None:
        area = self._area()
        scale = Scale(area.x(), area.width(), *self._period())
        now = self._now_us()
        for span in spans:
            begin = scale.to_x(span.started_us)
            end = scale.to_x(span.ended_us if span.ended_us is not None else now)
            if begin - 2 <= at.x() <= max(end, begin + 3) + 2:
                return span
        return None

"""Pictures of a graph, as SVG or PNG: of what a canvas shows, or made without a window."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QBuffer, QIODevice, QRectF, QSize
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgGenerator

from wfe_desktop.canvas.viewer import WorkflowViewer

_MARGIN = 32.0
_LARGEST_PX = 16_000
_NO_GRID = 0
"""NodeGraphQt's; None would stand for lines."""


_FALLBACKS = {
    "Inter": "system-ui, Helvetica, Arial, sans-serif",
    "JetBrains Mono": "ui-monospace, Menlo, Consolas, monospace",
}
"""Qt names one family; where that is not installed, browsers would take a serif."""


class ExportError(Exception):
    """The picture could not be written; the message says why."""


def paint_svg(viewer: WorkflowViewer, path: Path, title: str) -> None:
    """Write the whole graph as an SVG of its own size. Raises ExportError."""
    area = graph_area(viewer)
    generator, written = QSvgGenerator(), QBuffer()
    written.open(QIODevice.OpenModeFlag.WriteOnly)
    generator.setOutputDevice(written)
    screen = QGuiApplication.primaryScreen()
    generator.setResolution(round(screen.logicalDotsPerInch()) if screen is not None else 96)
    generator.setSize(QSize(round(area.width()), round(area.height())))
    generator.setViewBox(QRectF(0, 0, area.width(), area.height()))
    generator.setTitle(title)
    painter = QPainter(generator)
    _render(viewer, painter, area, vectors=True)
    painter.end()
    text = bytes(written.data().data()).decode()
    for family, instead in _FALLBACKS.items():
        text = text.replace(f'font-family="{family}"', f'font-family="{family}, {instead}"')
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ExportError(f"{path} cannot be written.") from error


def paint_png(viewer: WorkflowViewer, path: Path, scale: float = 2.0) -> None:
    """Write the whole graph as a PNG, ``scale`` pixels a scene pixel. Raises ExportError."""
    area = graph_area(viewer)
    scale = min(scale, _LARGEST_PX / max(area.width(), area.height()))
    image = QImage(
        QSize(round(area.width() * scale), round(area.height() * scale)), QImage.Format.Format_ARGB32
    )
    image.fill(viewer.scenery.style.canvas)
    painter = QPainter(image)
    painter.scale(scale, scale)
    _render(viewer, painter, area, vectors=False)
    painter.end()
    if not image.save(str(path), "PNG"):  # type: ignore[call-overload]
        raise ExportError(f"{path} cannot be written.")


def graph_area(viewer: WorkflowViewer) -> QRectF:
    """The rectangle around nodes and edges, with a margin."""
    area = QRectF()
    for node in viewer.nodes.values():
        area = area.united(node.sceneBoundingRect())
        for port in node.outputs:
            for pipe in port.connected_pipes:
                area = area.united(pipe.sceneBoundingRect())
    if area.isEmpty():
        area = QRectF(0, 0, 320, 200)
    return area.adjusted(-_MARGIN, -_MARGIN, _MARGIN, _MARGIN).toAlignedRect().toRectF()


def _render(viewer: WorkflowViewer, painter: QPainter, area: QRectF, *, vectors: bool) -> None:
    """The scene as it is, but for what is only of the moment: selection and hover."""
    painter.setRenderHints(
        QPainter.RenderHint.Antialiasing
        | QPainter.RenderHint.TextAntialiasing
        | QPainter.RenderHint.SmoothPixmapTransform
    )
    selection, scenery = viewer.selection, viewer.scenery
    nodes, pipes = selection.nodes(), list(selection.pipes)
    selection.choose([], [], quiet=True)
    viewer.gestures.left()
    scenery.vectors = vectors
    background = viewer.scene().backgroundBrush()
    viewer.scene().setBackgroundBrush(scenery.style.canvas)
    grid = viewer.scene().grid_mode
    viewer.scene().grid_mode = _NO_GRID
    try:
        viewer.scene().render(painter, QRectF(0, 0, area.width(), area.height()), area)
    finally:
        viewer.scene().grid_mode = grid
        viewer.scene().setBackgroundBrush(background)
        scenery.vectors = False
        selection.choose(nodes, pipes, quiet=True)

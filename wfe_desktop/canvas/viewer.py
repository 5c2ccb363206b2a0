"""The view of the scene with the hand on it: Qt's events go to ``gestures``, none to NodeGraphQt.

There, mouse, keys, context menus and search change the graph; here a gesture is a wish.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QFocusEvent,
    QHelpEvent,
    QInputDevice,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QUndoStack,
    QWheelEvent,
)
from PySide6.QtWidgets import QGraphicsView, QToolTip

from wfe_desktop.canvas.gestures import Gestures
from wfe_desktop.canvas.items import Scenery
from wfe_desktop.canvas.surface import Surface


class WorkflowViewer(Surface):
    """Where the graph is seen and touched."""

    def __init__(self, scenery: Scenery, undo_stack: QUndoStack) -> None:
        super().__init__(scenery, undo_stack)
        self.gestures = Gestures(self)

    def focusInEvent(self, event: QFocusEvent) -> None:
        QGraphicsView.focusInEvent(self, event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self.gestures.let_go_of_keys()
        QGraphicsView.focusOutEvent(self, event)

    def wheelEvent(self, event: QWheelEvent) -> None:
        pixels, angle = event.pixelDelta(), event.angleDelta()
        control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        on_pad = event.device() is not None and event.device().type() == QInputDevice.DeviceType.TouchPad
        if on_pad and not control:
            step = pixels if not pixels.isNull() else angle / 2
            self.pan(-step.x(), -step.y())
        elif event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
            self.pan(-(angle.y() or angle.x()) // 2, 0)
        else:
            turned = angle.y() or angle.x()
            self.zoom_by_hand(self.zoom * 1.0015**turned, event.position().toPoint())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._previous_pos = event.position().toPoint()
        self.gestures.press(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._previous_pos = event.position().toPoint()
        self.gestures.move(event)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self.gestures.release(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.gestures.double_click(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        self.gestures.menu(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if not self.gestures.key(event):
            event.ignore()

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        self.gestures.key_released(event)

    def focusNextPrevChild(self, forward: bool) -> bool:  # noqa: N802  (Qt's name)
        """Tab opens the search here; Shift+Tab leads out."""
        return False if forward else bool(QGraphicsView.focusNextPrevChild(self, forward))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        self.gestures.drag_over(event)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:
        self.gestures.drag_over(event)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        event.accept()

    def dropEvent(self, event: QDropEvent) -> None:
        self.gestures.drop(event)

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            text = self.gestures.tooltip(event.pos())
            if text:
                QToolTip.showText(event.globalPos(), text, self.viewport())
            else:
                QToolTip.hideText()
            return True
        if event.type() == QEvent.Type.Leave:
            self.gestures.left()
        if isinstance(event, QNativeGestureEvent):
            if event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture:
                self.zoom_by_hand(self.zoom * (1.0 + event.value()), event.position().toPoint())
            return True
        return bool(QGraphicsView.viewportEvent(self, event))

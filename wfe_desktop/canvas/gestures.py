"""What mouse and keyboard do on the canvas. A gesture ends in a wish (a signal of the surface), never in a change.

Only what is under the hand moves at once: dragged nodes, the loose wire, the selection and the view itself.
"""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QContextMenuEvent, QDropEvent, QKeyEvent, QMouseEvent

from wfe_desktop.canvas.drags import Band, Cut, Gesture, Move, Pan, Wire
from wfe_desktop.canvas.items import WorkflowNodeItem, WorkflowPort
from wfe_desktop.canvas.pipes import WorkflowPipe
from wfe_desktop.canvas.spec import ERROR_OUT, FLOW_IN, FLOW_OUT
from wfe_desktop.canvas.surface import Surface
from wfe_desktop.models.palette import TOOL_MIME

NUDGE = 8.0
_LEFT = Qt.MouseButton.LeftButton
_SHIFT = Qt.KeyboardModifier.ShiftModifier
_CONTROL = Qt.KeyboardModifier.ControlModifier
_ALT = Qt.KeyboardModifier.AltModifier


class Gestures:
    """Mouse and keys of one surface."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._now: Gesture | None = None
        self._space = False
        self._selection = surface.selection
        self._hovered_pipe: WorkflowPipe | None = None

    # --- what goes away, what is broken off

    def forget(self, pipe: WorkflowPipe) -> None:
        """An edge goes away."""
        self._selection.forget(pipe)
        if self._hovered_pipe is pipe:
            self._hovered_pipe = None

    def forget_node(self, node: WorkflowNodeItem) -> None:
        """A node goes away."""
        scenery = self._surface.scenery
        if scenery.hovered_node is node:
            scenery.hovered_node = None
        if scenery.hovered is not None and scenery.hovered.node is node:
            scenery.hovered = None
        if self._now is not None and not isinstance(self._now, Pan):
            self.stop()

    def stop(self) -> None:
        """Break off what is going on."""
        now, self._now = self._now, None
        if now is not None:
            now.cancel()

    # --- mouse

    def press(self, event: QMouseEvent) -> None:
        """A button went down."""
        at = event.position().toPoint()
        surface = self._surface
        surface.bubble.hide()
        if self._now is not None:
            return
        if event.button() == Qt.MouseButton.MiddleButton or (event.button() == _LEFT and self._space):
            self._now = Pan(surface, at)
            return
        if event.button() != _LEFT:
            return
        hit = surface.hit(at)
        adding = bool(event.modifiers() & (_SHIFT | _CONTROL))
        if hit.port is not None:
            self._now = Wire(surface, hit.port, at)
        elif hit.node is not None:
            self._press_node(hit.node, at, adding=adding)
        elif hit.pipe is not None:
            pipes = [pipe for pipe in self._selection.pipes if pipe is not hit.pipe] if adding else []
            if hit.pipe not in self._selection.pipes or not adding:
                pipes.append(hit.pipe)
            self._selection.choose(self._selection.nodes() if adding else [], pipes)
        elif event.modifiers() & _ALT:
            self._now = Cut(surface, at)
        else:
            self._now = Band(surface, at, adding=adding)

    def _press_node(self, node: WorkflowNodeItem, at: QPoint, *, adding: bool) -> None:
        selected = self._selection.nodes()
        if adding:
            kept = [other for other in selected if other is not node]
            self._selection.choose(kept if node in selected else [*kept, node], self._selection.pipes)
            if node in selected:
                return
        elif node not in selected:
            self._selection.choose([node], [])
        self._now = Move(self._surface, at, node)

    def move(self, event: QMouseEvent) -> None:
        """The pointer has moved."""
        if self._now is not None:
            self._now.move(event)
        elif not event.buttons():
            self._hover(event.position().toPoint())

    def _hover(self, at: QPoint) -> None:
        if self._surface.is_overview:
            return
        hit = self._surface.hit(at)
        scenery = self._surface.scenery
        if hit.port is not scenery.hovered or hit.node is not scenery.hovered_node:
            for node in (scenery.hovered_node, hit.node):
                if node is not None:
                    node.update()
            scenery.hovered, scenery.hovered_node = hit.port, hit.node
        if hit.pipe is not self._hovered_pipe:
            if self._hovered_pipe is not None:
                self._hovered_pipe.hover(hovered=False)
            self._hovered_pipe = hit.pipe
            if hit.pipe is not None:
                hit.pipe.hover(hovered=True)
        shape = Qt.CursorShape.ArrowCursor
        if self._space:
            shape = Qt.CursorShape.OpenHandCursor
        elif hit.port is not None:
            shape = Qt.CursorShape.CrossCursor
        elif hit.pipe is not None:
            shape = Qt.CursorShape.PointingHandCursor
        if self._surface.viewport().cursor().shape() != shape:
            self._surface.viewport().setCursor(shape)

    def left(self) -> None:
        """The pointer is elsewhere."""
        if self._now is None:
            self._clear_hover()

    def _clear_hover(self) -> None:
        scenery = self._surface.scenery
        if scenery.hovered_node is not None:
            scenery.hovered_node.update()
        scenery.hovered = scenery.hovered_node = None
        if self._hovered_pipe is not None:
            self._hovered_pipe.hover(hovered=False)
            self._hovered_pipe = None

    def release(self, event: QMouseEvent) -> None:
        """A button went up."""
        buttons = (_LEFT, Qt.MouseButton.MiddleButton) if isinstance(self._now, Pan) else (_LEFT,)
        if self._now is not None and event.button() in buttons:
            now, self._now = self._now, None
            now.release(event)

    def double_click(self, event: QMouseEvent) -> None:
        """On a condition or edge: edit it. On a node: open it. On the canvas: search for a tool."""
        if event.button() != _LEFT:
            return
        at = event.position().toPoint()
        hit = self._surface.hit(at)
        self.stop()
        if hit.pipe is not None and hit.pipe.spec is not None:
            self._surface.condition_edit_requested.emit(hit.pipe.spec.key)
        elif hit.node is not None and hit.node.spec is not None and hit.port is None:
            self._surface.open_node_requested.emit(hit.node.spec.id)
        elif hit.is_empty:
            self._search(at)

    def _search(self, at: QPoint) -> None:
        surface = self._surface
        surface.search_requested.emit(surface.mapToScene(at), surface.viewport().mapToGlobal(at), None)

    def menu(self, event: QContextMenuEvent) -> None:
        """Ask for a menu about what is there (selecting it), or about the canvas."""
        self.stop()
        hit = self._surface.hit(event.pos())
        about: object = None
        if hit.node is not None and hit.node.spec is not None:
            if not hit.node.isSelected():
                self._selection.choose([hit.node], [])
            about = hit.node.spec.id
        elif hit.pipe is not None and hit.pipe.spec is not None:
            self._selection.choose([], [hit.pipe])
            about = hit.pipe.spec.key
        self._surface.menu_requested.emit(about, self._surface.mapToScene(event.pos()), event.globalPos())
        event.accept()

    # --- keys

    def key(self, event: QKeyEvent) -> bool:
        """A key went down; whether it meant something here."""
        match event.key():
            case Qt.Key.Key_Delete | Qt.Key.Key_Backspace:
                self._delete_selection()
            case Qt.Key.Key_Tab:
                self._search(self._pointer())
            case Qt.Key.Key_Escape:
                self._escape()
            case Qt.Key.Key_Space:
                if not event.isAutoRepeat():
                    self._space = True
                    self._surface.viewport().setCursor(Qt.CursorShape.OpenHandCursor)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._open_selection()
            case Qt.Key.Key_Left | Qt.Key.Key_Right | Qt.Key.Key_Up | Qt.Key.Key_Down as arrow:
                if event.modifiers() & _CONTROL:
                    self.nudge(*_STEPS[arrow])
                else:
                    self.walk(*_STEPS[arrow])
            case _:
                return False
        return True

    def _escape(self) -> None:
        if self._now is not None:
            self.stop()
        else:
            self._selection.choose([], [])

    def _delete_selection(self) -> None:
        nodes, keys = self._selection.keys()
        if nodes or keys:
            self._surface.delete_requested.emit(nodes, keys)

    def _open_selection(self) -> None:
        nodes, keys = self._selection.keys()
        if len(nodes) == 1 and not keys:
            self._surface.open_node_requested.emit(nodes[0])
        elif len(keys) == 1 and not nodes:
            self._surface.condition_edit_requested.emit(keys[0])

    def _pointer(self) -> QPoint:
        """Where the pointer was last, or the middle where it is outside."""
        at: QPoint = self._surface._previous_pos  # noqa: SLF001  (NodeGraphQt's record of it)
        inside: QRect = self._surface.viewport().rect()
        return at if inside.contains(at) else inside.center()

    def key_released(self, event: QKeyEvent) -> None:
        """A key went up."""
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self.let_go_of_keys()

    def let_go_of_keys(self) -> None:
        """The keyboard is elsewhere."""
        self._space = False
        if not isinstance(self._now, Pan):
            self._surface.viewport().unsetCursor()

    def nudge(self, dx: float, dy: float) -> None:
        """Ask for the selected nodes to be a little further in a direction (-1, 0 or 1 each)."""
        moved = {
            node.spec.id: (node.x() + dx * NUDGE, node.y() + dy * NUDGE)
            for node in self._selection.nodes()
            if node.spec is not None
        }
        if moved:
            self._surface.move_requested.emit(moved)

    def walk(self, dx: float, dy: float) -> None:
        """Select the nearest node in a direction, and bring it into view."""
        selected = self._selection.nodes()
        nodes = list(self._surface.nodes.values())
        if not nodes:
            return
        if not selected:
            best = min(nodes, key=lambda node: (node.x() + node.y(), node.x()))
        else:
            here = selected[-1].scene_body().center()

            def away(node: WorkflowNodeItem) -> float:
                line = node.scene_body().center() - here
                along, across = line.x() * dx + line.y() * dy, line.x() * dy + line.y() * dx
                return along + 2.5 * abs(across) if along > 1.0 else float("inf")

            best = min(nodes, key=away)
            if away(best) == float("inf"):
                return
        self._selection.choose([best], [])
        if not self._surface.visible_rect().contains(best.scene_body()):
            self._surface.center_at(best.scene_body().center())

    # --- things dropped from outside, words about what is here

    def drag_over(self, event: QDropEvent) -> None:
        """Take tools, nothing else."""
        if event.mimeData().hasFormat(TOOL_MIME):
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
        else:
            event.ignore()

    def drop(self, event: QDropEvent) -> None:
        """A tool was dropped: ask for a node of it there."""
        if not event.mimeData().hasFormat(TOOL_MIME):
            event.ignore()
            return
        name = bytes(event.mimeData().data(TOOL_MIME).data()).decode()
        at = self._surface.mapToScene(event.position().toPoint())
        event.setDropAction(Qt.DropAction.CopyAction)
        event.accept()
        self._surface.node_requested.emit(name, at.x(), at.y())

    def tooltip(self, at: QPoint) -> str:
        """The whole of what is shortened or only drawn: names, types, values, conditions."""
        hit = self._surface.hit(at)
        if hit.port is not None and hit.node is not None:
            return _about_port(hit.port, hit.node)
        if hit.node is not None and hit.node.spec is not None:
            spec = hit.node.spec
            lines = [f"<b>{escape(spec.title)}</b>", escape(spec.tool)]
            if not spec.is_known:
                lines.append("No tool of this name is registered.")
            if spec.description:
                lines.append(escape(spec.description.strip().splitlines()[0]))
            if hit.node.run is not None and hit.node.run.taken_from is not None:
                lines.append(f"Taken over from run {escape(hit.node.run.taken_from)}, not run again")
            if hit.node.run is not None and hit.node.run.about:
                lines.append(escape(hit.node.run.about[:1].upper() + hit.node.run.about[1:]))
            return "<br>".join(lines)
        if hit.pipe is not None and hit.pipe.spec is not None and hit.pipe.spec.condition:
            return f"<code>{escape(hit.pipe.spec.condition)}</code>"
        return ""


def _about_port(port: WorkflowPort, node: WorkflowNodeItem) -> str:
    match port.name:
        case name if name == FLOW_IN:
            return "Starts after the nodes connected here"
        case name if name == FLOW_OUT:
            return "What follows when this node has completed"
        case name if name == ERROR_OUT:
            return "What follows when this node has failed"
        case _:
            lines = [f"<b>{escape(port.name)}</b> · {port.kind.value}"]
            ports = node.spec.inputs if node.spec is not None and not port.is_output else ()
            hint = next((shown.hint for shown in ports if shown.name == port.name), "")
            if hint:
                lines.append(f"<code>{escape(hint)}</code>")
            return "<br>".join(lines)


_STEPS: dict[int, tuple[float, float]] = {
    Qt.Key.Key_Left: (-1.0, 0.0),
    Qt.Key.Key_Right: (1.0, 0.0),
    Qt.Key.Key_Up: (0.0, -1.0),
    Qt.Key.Key_Down: (0.0, 1.0),
}

"""How long the canvas takes: loading, panning, zooming, dragging, showing a run. Prints a table.

    python benchmarks/canvas.py [--sizes 1000 5000] [--onscreen]

The graph: a chain with half as many extra edges again, each at most 60 nodes long, on a square grid. A frame is timed
from the move to the end of the paint it causes; medians. Targets: load 1 s for 1,000 nodes and 5 s for 5,000, pan
16 ms and 33 ms a frame at any zoom.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import statistics
import time


def sample(count: int):
    from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition
    from engine.model.tool import InputPort, OutputPort, PortType, Tool

    tool = Tool(
        "numbers.add",
        lambda: None,
        "Adds",
        "Numbers",
        "Add",
        (
            InputPort("a", PortType.NUMBER, {}, required=True),
            InputPort("b", PortType.NUMBER, {}, required=False),
        ),
        (OutputPort("result", PortType.NUMBER, {}),),
    )
    columns = int(count**0.5) + 1
    chance = random.Random(1)
    pairs = {(at, at + 1): "" for at in range(count - 1)}
    while len(pairs) < count * 1.5:
        start = chance.randrange(count - 1)
        pairs.setdefault((start, min(count - 1, start + chance.randrange(1, 60))), "a")
    graph = GraphDefinition(
        name="benchmark",
        nodes=tuple(
            NodeDefinition(id=f"n{at}", function_name=tool.name, label=f"Node {at}", parameters={"b": at})
            for at in range(count)
        ),
        edges=tuple(
            EdgeDefinition(from_node=f"n{a}", to_node=f"n{b}", to_port=port or None)
            for (a, b), port in pairs.items()
            if a != b
        ),
        ui={
            "nodes": {
                f"n{at}": {"x": at % columns * 250.0, "y": at // columns * 160.0} for at in range(count)
            }
        },
    )
    return graph, {tool.name: tool}


class Bench:
    def __init__(self, count: int) -> None:
        from PySide6.QtCore import QEvent, QObject
        from PySide6.QtWidgets import QApplication

        from wfe_desktop.canvas.adapter import CanvasWidget

        self.app = QApplication.instance()
        self.count = count
        self.graph, self.catalog = sample(count)
        self.canvas = CanvasWidget()
        self.canvas.resize(1280, 800)
        self.canvas.show()
        self.app.processEvents()
        self.viewer = self.canvas._viewer  # noqa: SLF001  (what is measured is inside)
        self.paints = 0
        bench = self

        class Counter(QObject):
            def eventFilter(self, _watched, event):
                bench.paints += event.type() == QEvent.Type.Paint
                return False

        self._counter = Counter()
        self.viewer.viewport().installEventFilter(self._counter)

    def load(self) -> float:
        gc.collect()
        started = time.perf_counter()
        self.canvas.show_graph(self.graph, self.catalog)
        return time.perf_counter() - started

    def frames(self, act, count: int = 30) -> tuple[float, float]:
        times = []
        for at in range(count):
            before = self.paints
            started = time.perf_counter()
            act(at)
            while self.paints == before and time.perf_counter() - started < 3:
                self.app.processEvents()
            times.append((time.perf_counter() - started) * 1000)
        return statistics.median(times), max(times)

    def middle(self):
        return self.viewer._combined_rect(self.viewer.nodes.values()).center()  # noqa: SLF001

    def pan(self):
        return self.frames(lambda at: self.viewer.pan(22 if at % 9 < 7 else -60, 13 if at % 2 else -9))

    def wheel(self):
        from PySide6.QtCore import QPoint, QPointF, Qt
        from PySide6.QtGui import QWheelEvent

        viewport = self.viewer.viewport()
        place = QPointF(640, 400)

        def turn(at):
            event = QWheelEvent(
                place,
                QPointF(viewport.mapToGlobal(place)),
                QPoint(),
                QPoint(0, 40 if at % 2 else -40),
                Qt.MouseButton.NoButton,
                Qt.KeyboardModifier.NoModifier,
                Qt.ScrollPhase.NoScrollPhase,
                False,  # noqa: FBT003  (positional in Qt)
            )
            self.app.sendEvent(viewport, event)

        return self.frames(turn, 12)

    def drag(self):
        middle = self.viewer.visible_rect().center()
        node = min(
            self.viewer.nodes.values(),
            key=lambda item: (item.scene_body().center() - middle).manhattanLength(),
        )
        return self.frames(
            lambda at: (node.moveBy(6, 4 if at % 2 else -4), self.viewer.overview.follow([node]))[0], 12
        )

    def statuses(self):
        from engine.model.status import StepStatus
        from wfe_desktop.canvas.adapter import NodeRunView

        chance = random.Random(2)
        choices = [StepStatus.RUNNING, StepStatus.COMPLETED, StepStatus.FAILED]

        def change(_at):
            some = {
                f"n{chance.randrange(self.count)}": NodeRunView(chance.choice(choices), 1, 0.1)
                for _ in range(50)
            }
            self.canvas.update_run(some, {})
            self.viewer.viewport().update(0, 0, 1, 1)

        return self.frames(change, 15)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 5000])
    parser.add_argument(
        "--onscreen", action="store_true", help="use the display instead of painting offscreen"
    )
    options = parser.parse_args()
    if not options.onscreen:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    from PySide6.QtWidgets import QApplication

    from wfe_desktop.theme import DARK, apply_theme

    app = QApplication([])
    apply_theme(app, DARK)
    print("nodes  load s |  zoom | pan ms (max) | wheel | drag | 50 statuses")
    for count in options.sizes:
        bench = Bench(count)
        load = bench.load()
        for zoom in ("fit", 0.39, 0.41, 0.6, 1.0):
            if zoom == "fit":
                bench.canvas.zoom_fit()
            else:
                bench.viewer.zoom_to(zoom)
                bench.viewer.center_at(bench.middle())
            app.processEvents()
            cells = [f"{count:5}  {load:6.2f} | {bench.viewer.zoom:5.2f} |"]
            median, most = bench.pan()
            cells.append(f"{median:6.1f} ({most:4.0f})|")
            cells += [f"{act()[0]:6.1f} |" for act in (bench.wheel, bench.drag, bench.statuses)]
            print(" ".join(cells), flush=True)
        bench.canvas.deleteLater()
        app.processEvents()


if __name__ == "__main__":
    main()

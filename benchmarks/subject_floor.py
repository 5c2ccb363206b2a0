"""What a durable step must cost in Python, whatever the engine: a loop, or a thread pool, with one commit a step."""

import json
import queue
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import shapes
from shapes import Workload

try:
    import pysqlite3 as sqlite3
except ImportError:
    import sqlite3

try:
    from orjson import dumps
except ImportError:

    def dumps(value: object) -> bytes:
        return json.dumps(value).encode()


class Order:
    """Which steps of one run are ready; nothing is recorded here."""

    def __init__(self, workload: Workload) -> None:
        self.targets: list[list[int]] = [[] for _ in range(workload.count)]
        self.waiting = [0] * workload.count
        for source, target in workload.pairs:
            self.targets[source].append(target)
            self.waiting[target] += 1
        self.passes = workload.passes
        self.left = workload.count * workload.passes

    def first(self) -> list[int]:
        return [node for node, count in enumerate(self.waiting) if not count]

    def after(self, node: int) -> Iterator[int]:
        self.left -= 1
        self.passes -= 1
        if self.passes > 0:
            yield node
        for target in self.targets[node]:
            self.waiting[target] -= 1
            if not self.waiting[target]:
                yield target


class Floor:
    def __init__(self, settings: shapes.Settings) -> None:
        settings.folder.mkdir(parents=True, exist_ok=True)
        self.connection = sqlite3.connect(f"{settings.folder}/floor.db", isolation_level=None)
        synchronous = "full" if settings.synchronous == "shipped" else settings.synchronous
        for text in ("journal_mode=WAL", f"synchronous={synchronous}"):
            self.connection.execute(f"PRAGMA {text}")
        self.connection.execute("CREATE TABLE steps (seq INTEGER PRIMARY KEY, run TEXT, data BLOB)")

    def record(self, node: int, result: int) -> None:
        row = dumps({"node": node, "result": result})
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute("INSERT INTO steps (run, data) VALUES (?, ?)", ("run", row))
        self.connection.execute("COMMIT")

    def plain(self, workload: Workload) -> Callable[[], None]:
        tool = shapes.nap if workload.naps else shapes.increment

        def go() -> None:
            for _ in range(workload.runs):
                order = Order(workload)
                ready = order.first()
                while ready:
                    node = ready.pop()
                    self.record(node, tool(0))
                    ready.extend(order.after(node))

        return go

    def pooled(self, workload: Workload) -> Callable[[], None]:
        tool = shapes.nap if workload.naps else shapes.increment
        pool = ThreadPoolExecutor(workload.workers or 6)
        done: queue.SimpleQueue[tuple[Order, int, int]] = queue.SimpleQueue()

        def call(order: Order, node: int) -> None:
            done.put((order, node, tool(0)))

        def work(runs: int) -> None:
            left = 0
            for _ in range(runs):
                order = Order(workload)
                left += order.left
                for node in order.first():
                    pool.submit(call, order, node)
            while left:
                order, node, result = done.get()
                self.record(node, result)
                left -= 1
                for target in order.after(node):
                    pool.submit(call, order, target)

        def go() -> None:
            if workload.together:
                work(workload.runs)
            else:
                for _ in range(workload.runs):
                    work(1)

        return go


if __name__ == "__main__":
    kind = sys.argv.pop(1)
    floor = Floor(shapes.subject_arguments())
    shapes.serve(floor.plain if kind == "plain" else floor.pooled)

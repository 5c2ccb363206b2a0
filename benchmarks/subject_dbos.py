"""DBOS on SQLite: every step of a workflow is recorded before the next."""

import asyncio
import os
from collections.abc import Callable
from typing import Any

import shapes
import sqlalchemy as sa
from dbos import DBOS
from shapes import Workload


@DBOS.step()
def add_one(x: int) -> int:
    return shapes.increment(x)


@DBOS.step()
async def add_one_async(x: int) -> int:
    return shapes.increment(x)


@DBOS.step()
def sleep(x: int) -> int:
    return shapes.nap(x)


@DBOS.workflow()
def in_a_row(count: int, naps: bool) -> int:
    x = 0
    for _ in range(count):
        x = sleep(x) if naps else add_one(x)
    return x


@DBOS.workflow()
async def by_layers(layers: list[int]) -> int:
    """As many steps at once as each layer has."""
    x = 0
    for width in layers:
        x = max(await asyncio.gather(*(add_one_async(x) for _ in range(width))))
    return x


def layers_of(workload: Workload) -> list[int]:
    depth = [0] * workload.count
    for node, before in enumerate(workload.sources()):
        depth[node] = 1 + max((depth[source] for source in before), default=-1)
    return [depth.count(level) for level in range(max(depth) + 1)]


def prepare(workload: Workload) -> Callable[[], None]:
    layers = layers_of(workload)
    if max(layers) > 1:

        async def go_by_layers() -> None:
            for _ in range(workload.runs):
                await by_layers(layers)

        return lambda: asyncio.run(go_by_layers())
    steps = workload.count * workload.passes
    if not workload.together:
        return lambda: [in_a_row(steps, workload.naps) for _ in range(workload.runs)] and None

    def together() -> None:
        runs = [DBOS.start_workflow(in_a_row, steps, workload.naps) for _ in range(workload.runs)]
        for run in runs:
            run.get_result()

    return together


def start(settings: shapes.Settings) -> None:
    settings.folder.mkdir(parents=True, exist_ok=True)
    if settings.synchronous != "shipped":

        @sa.event.listens_for(sa.Engine, "connect")
        def set_synchronous(connection: Any, _: object) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={settings.synchronous}")

    os.chdir(settings.folder)
    url = f"sqlite:///{settings.folder}/dbos.db"
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "log_level": "ERROR",
            "max_executor_threads": 64,
        }
    )
    DBOS.launch()


if __name__ == "__main__":
    start(shapes.subject_arguments())
    shapes.serve(prepare)
    os._exit(0)

"""Prefect with the server that it starts by itself; each step a task. It is asked for fewer steps: it needs its time."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import shapes
from shapes import Workload

settings = shapes.subject_arguments()
settings.folder.mkdir(parents=True, exist_ok=True)
os.environ |= {
    "PREFECT_HOME": str(settings.folder),
    "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
}

from prefect import flow, task  # noqa: E402 - its settings are read when it is imported
from prefect.futures import PrefectFuture  # noqa: E402
from prefect.task_runners import ThreadPoolTaskRunner  # noqa: E402


@task
def add_one(x: int) -> int:
    return shapes.increment(x)


@task
def sleep(x: int) -> int:
    return shapes.nap(x)


@flow
def in_a_row(steps: int, naps: bool) -> int:
    x = 0
    for _ in range(steps):
        x = sleep(x) if naps else add_one(x)
    return x


@flow(task_runner=ThreadPoolTaskRunner(max_workers=6))
def as_graph(sources: list[list[int]]) -> None:
    futures: list[PrefectFuture[int]] = []
    for before in sources:
        futures.append(add_one.submit(0, wait_for=[futures[source] for source in before]))
    for future in futures:
        future.result()


def prepare(workload: Workload) -> Callable[[], None]:
    sources = workload.sources()
    steps = workload.count * workload.passes
    if workload.together:
        pool = ThreadPoolExecutor(workload.workers)
        return lambda: list(pool.map(lambda _: in_a_row(steps, workload.naps), range(workload.runs))) and None
    if len(workload.pairs) == workload.count - 1:
        return lambda: [in_a_row(steps, workload.naps) for _ in range(workload.runs)] and None
    return lambda: [as_graph(sources) for _ in range(workload.runs)] and None


if __name__ == "__main__":
    shapes.serve(prepare)
    os._exit(0)

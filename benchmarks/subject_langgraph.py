"""LangGraph with its SQLite checkpointer; every superstep is recorded before the next (durability="sync")."""

import sqlite3
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import shapes
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from shapes import Workload
from typing_extensions import TypedDict


def larger(first: int, second: int) -> int:
    return max(first, second)


class State(TypedDict):
    x: Annotated[int, larger]  # parallel steps write it at once


def add_one(state: State) -> dict[str, int]:
    return {"x": shapes.increment(state["x"])}


def sleep(state: State) -> dict[str, int]:
    return {"x": shapes.nap(state["x"])}


class Subject:
    def __init__(self, settings: shapes.Settings) -> None:
        settings.folder.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(f"{settings.folder}/langgraph.db", check_same_thread=False)
        self.saver = SqliteSaver(connection)
        self.saver.setup()
        if settings.synchronous != "shipped":
            connection.execute(f"PRAGMA synchronous={settings.synchronous}")

    def prepare(self, workload: Workload) -> Callable[[], None]:
        builder = StateGraph(State)
        sources = workload.sources()
        has_targets = {source for source, _ in workload.pairs}
        for node, before in enumerate(sources):
            name = f"n{node}"
            builder.add_node(name, sleep if workload.naps else add_one)
            if not before:
                builder.add_edge(START, name)
            elif len(before) == 1:
                builder.add_edge(f"n{before[0]}", name)
            else:
                builder.add_edge([f"n{source}" for source in before], name)
            if workload.passes > 1:
                again = {"again": name, "end": END}
                builder.add_conditional_edges(
                    name, lambda state: "again" if state["x"] < workload.passes else "end", again
                )
            elif node not in has_targets:
                builder.add_edge(name, END)
        app = builder.compile(checkpointer=self.saver)

        def run(_: Any = None) -> None:
            config: Any = {"configurable": {"thread_id": uuid.uuid4().hex}, "recursion_limit": 100_000}
            app.invoke({"x": 0}, config, durability="sync")

        if workload.together:
            pool = ThreadPoolExecutor(workload.workers)
            return lambda: list(pool.map(run, range(workload.runs))) and None
        return lambda: [run() for _ in range(workload.runs)] and None


if __name__ == "__main__":
    shapes.serve(Subject(shapes.subject_arguments()).prepare)

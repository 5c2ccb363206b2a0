"""What must hold of a folder in which programs were killed: the promises, read from the outside."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from engine.flow.decide import fold
from engine.flow.plan import compile_plan
from engine.model.events import JournalEntry, StepCompleted
from engine.storage.database import Database
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager
from tests.crash.life import ACCEPTED, DATABASE, EFFECT_FILE, SEEN, describe


class Findings(NamedTuple):
    """What was found wrong, and how much there was to look at."""

    violations: list[str]
    runs: int
    steps: int
    lines_seen: int
    states: dict[str, dict[str, object]]
    """By name of the graph: the state in which its first run ended."""


def read_lines(path: Path) -> list[str]:
    """The whole lines of a file; the last one may be cut off."""
    text = path.read_text() if path.exists() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def check_folder(
    folder: Path, known: dict[str, dict[str, object]] | None = None, *, pruned: bool = False
) -> Findings:
    """Hold what was told and done against what is recorded. ``known``: how runs of each graph end undisturbed.

    ``pruned``: runs may have been deleted; of those nothing can be said.
    """
    database = Database(f"sqlite:///{folder / DATABASE}", read_only=True)
    try:
        return _check(folder, database, dict(known or {}), pruned)
    finally:
        database.close()


def _check(folder: Path, database: Database, known: dict[str, dict[str, object]], pruned: bool) -> Findings:
    wrong: list[str] = []
    states, manager = StateManager(database), GraphManager(database)
    with database.read() as connection:
        if (said := connection.exec_driver_sql("PRAGMA integrity_check").scalar()) != "ok":
            wrong.append(f"the database is damaged: {said}")
    journal = states.read_events(limit=None)
    runs = {run.run_id: run for run in states.query_runs(limit=1_000_000).executions}
    by_run: dict[str, list[JournalEntry]] = {}
    for entry in journal:
        by_run.setdefault(entry.run_id, []).append(entry)

    accepted = set(read_lines(folder / ACCEPTED))
    if not pruned and (lost := accepted - runs.keys()):
        wrong.append(f"P6: accepted, and not there: {lost}")
    recorded = {describe(entry) for entry in journal}
    seen = read_lines(folder / SEEN)
    told = [line for line in seen if line.split()[1] in runs or not pruned]
    if unfounded := [line for line in told if line not in recorded]:
        wrong.append(f"P1, P4: told, and not recorded: {unfounded[:5]}")
    wrong += [
        f"P8: nobody works on run {run.run_id}: it is {run.status}"
        for run in runs.values()
        if not run.status.is_final
    ]

    effects = Counter(tuple(line.split()) for line in read_lines(folder / EFFECT_FILE))
    attempts: dict[tuple[str, ...], list[int]] = {}
    for *step, attempt in effects:
        attempts.setdefault(tuple(step), []).append(int(attempt))
    steps = 0
    for run_id, entries in by_run.items():
        if run_id not in runs:
            if not pruned:
                wrong.append(f"events of a run that is not there: {run_id}")
            continue
        completed = [entry.event for entry in entries if isinstance(entry.event, StepCompleted)]
        steps += len(completed)
        wrong += _check_effects(run_id, completed, effects, attempts)
        plan = compile_plan(manager.get_graph(runs[run_id].graph_id, runs[run_id].graph_version))
        run = fold(run_id, plan, (entry.event for entry in entries))
        if run.status is not runs[run_id].status:
            wrong.append(f"run {run_id}: the list says {runs[run_id].status}, its journal {run.status}")
        if known.setdefault(plan.graph.name, dict(run.state)) != run.state:
            wrong.append(
                f"run {run_id} of {plan.graph.name} ended in {run.state}, not {known[plan.graph.name]}"
            )
    return Findings(wrong, len(runs), steps, len(seen), known)


def _check_effects(
    run_id: str,
    completed: list[StepCompleted],
    effects: Counter[tuple[str, ...]],
    attempts: dict[tuple[str, ...], list[int]],
) -> list[str]:
    """P2: a recorded attempt has done its work once, and none came after it."""
    wrong = []
    doubled = [
        key
        for key, count in Counter((event.node, event.visit, event.item) for event in completed).items()
        if count > 1
    ]
    if doubled:
        wrong.append(f"run {run_id}: recorded twice: {doubled[:5]}")
    many = {event.node for event in completed if event.item is not None}
    for event in completed:
        if event.node in many and event.item is None:
            continue  # the list of its items' results: no tool was called for it
        step = (run_id, event.node, str(event.visit), str(-1 if event.item is None else event.item))
        if (count := effects[(*step, str(event.attempt))]) != 1:
            wrong.append(f"P2: {step} attempt {event.attempt} is recorded, and was done {count} times")
        if later := [number for number in attempts.get(step, []) if number > event.attempt]:
            wrong.append(f"P2: {step} is recorded at attempt {event.attempt}, and was done again at {later}")
    return wrong

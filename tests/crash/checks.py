"""What must hold of a folder in which programs were killed: the promises, read from the outside."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa

from engine.flow.decide import decide
from engine.flow.plan import Plan, compile_plan
from engine.flow.run_state import RunState
from engine.model.events import (
    INPUTS,
    ChildEnded,
    ChildStarted,
    JournalEntry,
    RunAccepted,
    RunCancelled,
    RunCompleted,
    RunEvent,
    RunFailed,
    RunForked,
    StepCompleted,
    StepDecided,
    StepFailed,
    StepStarted,
    StepTakenOver,
)
from engine.model.graph import NodeDefinition
from engine.model.run import RunSummary
from engine.storage.database import Database
from engine.storage.graphs import GraphManager
from engine.storage.journal import StateManager
from engine.storage.tables import cached_results
from tests.crash.life import ACCEPTED, DATABASE, LIVES, SEEN, describe
from tests.crash.tools import ONCE, OVERLAPS, Clock, Effect, Step, read_effects, read_lines

LATEST_S = 0.5
"""Work of a relaxed run that is older than this is not lost. Its commit is due after 0.05 s, and may take its time."""

_KEPT = ("kept_step", "async_kept_step")
_ENDS = (RunCompleted, RunFailed, RunCancelled)

Kept: TypeAlias = tuple[object, ...]
"""For what a result is kept: the tool, and what it was given."""


class Ending(NamedTuple):
    """How a run ended: its state, and how many steps it had completed or taken over."""

    state: dict[str, object]
    steps: int


@dataclass
class Findings:
    """What was found wrong, and how much there was to look at."""

    violations: list[str] = field(default_factory=list)
    runs: int = 0
    steps: int = 0
    lines_seen: int = 0
    endings: dict[str, Ending] = field(default_factory=dict)
    """By name of the graph and initial state: how the first such run ended."""
    children: int = 0
    forks: int = 0
    reused: int = 0
    decided: int = 0
    lost: int = 0
    """Steps of relaxed runs that were done, not recorded, and so done again."""
    oldest_lost_s: float = 0.0
    """Of that work, how long its life went on after it."""


@dataclass
class _Run:
    about: RunSummary
    entries: list[JournalEntry]
    plan: Plan
    state: RunState

    @property
    def run_id(self) -> str:
        return self.about.run_id

    @property
    def relaxed(self) -> bool:
        return self.about.durability == "relaxed"

    def find(self, *kinds: type) -> Iterator[tuple[int, Any]]:
        """Events of these very types, with their ``seq``."""
        return ((entry.seq, entry.event) for entry in self.entries if type(entry.event) in kinds)

    def node(self, node_id: str) -> NodeDefinition:
        return self.plan.graph.nodes[self.plan.topology.index[node_id]]

    def list_children(self) -> list[tuple[int, ChildStarted]]:
        return [*self.find(ChildStarted)]

    def list_done(self) -> list[tuple[int, StepCompleted]]:
        """The completed steps of our tools, with their ``seq``."""
        with_child = {(event.node, event.visit, event.item) for _, event in self.list_children()}
        return [
            (seq, event)
            for seq, event in self.find(StepCompleted)
            if (event.item is not None or self.node(event.node).for_each is None)
            and (event.node, event.visit, event.item) not in with_child
        ]


def check_folder(
    folder: Path, known: dict[str, Ending] | None = None, *, pruned: bool = False, cut: bool = False
) -> Findings:
    """Hold what was told and done against what is recorded. ``known``: how runs end undisturbed.

    ``pruned``: runs may have been deleted; of those nothing can be said. ``cut``: the last life was killed, so runs
    need not have ended.
    """
    database = Database(f"sqlite:///{folder / DATABASE}", read_only=True)
    try:
        return _Inspection(folder, database, pruned=pruned, cut=cut).check(dict(known or {}))
    finally:
        database.close()


class _Inspection:
    def __init__(self, folder: Path, database: Database, *, pruned: bool, cut: bool) -> None:
        self._folder, self._database, self._pruned, self._cut = folder, database, pruned, cut
        self._found = Findings()
        self._journal = StateManager(database).read_events(limit=None)
        self._effects = read_effects(folder)
        lives = [line.split() for line in read_lines(folder / LIVES)]
        self._began_at = [int(seq) for _, seq in lives]
        """For each life, the last ``seq`` that was recorded before it."""
        self._runs = {run.run_id: run for run in self._read_runs()}

    def check(self, known: dict[str, Ending]) -> Findings:
        self._check_database()
        self._check_telling()
        self._check_families()
        self._check_forks()
        self._check_kept()
        if lines := read_lines(self._folder / OVERLAPS):
            self._wrong(f"two steps had the only token at a time: {lines[:5]}")
        for run in self._runs.values():
            self._check_run(run)
            if not self._cut:
                self._check_end(run, known)
        self._check_effects()
        found = self._found
        found.runs, found.endings = len(self._runs), known
        return found

    def _wrong(self, sentence: str) -> None:
        self._found.violations.append(sentence)

    def _read_runs(self) -> Iterator[_Run]:
        graphs, by_run = GraphManager(self._database), defaultdict[str, list[JournalEntry]](list)
        for entry in self._journal:
            by_run[entry.run_id].append(entry)
        plans: dict[tuple[str, int], Plan] = {}
        states = StateManager(self._database)
        for about in states.query_runs(limit=1_000_000).executions:
            version = (about.graph_id, about.graph_version)
            if version not in plans:
                plans[version] = compile_plan(graphs.get_graph(*version))
            entries = by_run.pop(about.run_id, [])
            if states.read_events(run_id=about.run_id, limit=None) != entries:
                self._wrong(f"of run {about.run_id}, asked for alone, other events are found")
            run = RunState(about.run_id, plans[version])
            again: list[RunEvent] = []
            for entry in entries:
                if isinstance(entry.event, INPUTS):
                    again += decide(run, entry.event)
            if again != [entry.event for entry in entries]:
                self._wrong(f"P11: the journal of run {about.run_id} does not follow from what it tells of")
            yield _Run(about, entries, plans[version], run)
        if by_run and not self._pruned:
            self._wrong(f"events of runs that are not there: {[*by_run]}")

    def _check_database(self) -> None:
        with self._database.read() as connection:
            if (said := connection.exec_driver_sql("PRAGMA integrity_check").scalar()) != "ok":
                self._wrong(f"the database is damaged: {said}")
        numbers = [entry.seq for entry in self._journal]
        if not self._pruned and numbers != [*range(1, len(numbers) + 1)]:
            self._wrong("P5: there are gaps in seq")

    def _check_telling(self) -> None:
        lost = {*read_lines(self._folder / ACCEPTED)} - self._runs.keys()
        if lost and not self._pruned:
            self._wrong(f"P6: accepted, and not there: {lost}")
        seen = read_lines(self._folder / SEEN)
        self._found.lines_seen = len(seen)
        recorded = {describe(entry) for entry in self._journal}
        told = [line for line in seen if line.split()[1] in self._runs or not self._pruned]
        if unfounded := [line for line in told if line not in recorded]:
            self._wrong(f"P1, P4: told, and not recorded: {unfounded[:5]}")
        numbers = [int(line.split()[0]) for line in seen]
        if any(later <= earlier for earlier, later in pairwise(numbers)):
            self._wrong("P5: something was told twice, or out of order")

    # Runs -------------------------------------------------------------------------------------------------------

    def _check_run(self, run: _Run) -> None:
        if run.state.status is not run.about.status:
            self._wrong(f"run {run.run_id}: the list says {run.about.status}, its journal {run.state.status}")
        ends = [*run.find(*_ENDS)]
        if len(ends) != int(run.about.status.is_final):
            self._wrong(f"run {run.run_id} is {run.about.status}, and ended {len(ends)} times")
        steps = [(event.node, event.visit, event.item) for _, event in run.find(StepCompleted, StepTakenOver)]
        self._found.steps += len(steps)
        self._found.decided += len([*run.find(StepDecided)])
        if doubled := [step for step, count in Counter(steps).items() if count > 1]:
            self._wrong(f"P2: run {run.run_id}: recorded twice: {doubled[:5]}")

    def _check_end(self, run: _Run, known: dict[str, Ending]) -> None:
        if not run.about.status.is_final:
            self._wrong(f"P8: nobody works on run {run.run_id}: it is {run.about.status}")
        steps = len([*run.find(StepCompleted, StepTakenOver)])
        ending = Ending(dict(run.state.state), steps)
        accepted = run.entries[0].event
        assert isinstance(accepted, RunAccepted)
        key = f"{run.plan.graph.name} {json.dumps(accepted.initial_state, sort_keys=True)}"
        if known.setdefault(key, ending) != ending:
            self._wrong(f"run {run.run_id} of {key} ended in {ending}, not {known[key]}")

    def _check_families(self) -> None:
        """A step and its child begin in one commit and end in one; so neither is ever there without the other."""
        for run in self._runs.values():
            running: Counter[str] = Counter()
            begun: Counter[tuple[object, ...]] = Counter()
            for _, event in run.find(ChildStarted, ChildEnded):
                child = self._runs.get(event.child_run_id)
                if child is None or child.about.parent_run_id != run.run_id:
                    self._wrong(f"run {run.run_id} has a child {event.child_run_id} that is not there")
                    continue
                if isinstance(event, ChildStarted):
                    running[event.node] += 1
                    begun[event.node, event.visit, event.item] += 1
                    limit = run.node(event.node).max_parallel or 1
                    if running[event.node] > limit:
                        self._wrong(f"run {run.run_id}: {event.node} has more than {limit} children at once")
                    continue
                running[event.node] -= 1
                if child.about.status != event.status or child.state.state != event.result:
                    self._wrong(f"run {run.run_id} and its child {child.run_id} tell of two ends")
            self._found.children += begun.total()
            if many := [step for step, count in begun.items() if count > 1]:
                self._wrong(f"run {run.run_id}: steps were given more than one child: {many[:5]}")
            open_children = {
                step.child.child_run_id for step in run.state.running.values() if step.child is not None
            }
            if over := [one for one in open_children if self._runs[one].about.status.is_final]:
                self._wrong(f"run {run.run_id} waits for children that have ended: {over}")
        for run in self._runs.values():
            if run.about.parent_run_id is None:
                continue
            parent = self._runs.get(run.about.parent_run_id)
            children = [] if parent is None else parent.list_children()
            if run.run_id not in {event.child_run_id for _, event in children}:
                self._wrong(f"no step has started the child run {run.run_id}")

    def _check_forks(self) -> None:
        """A fork is there whole, from the beginning, or not at all."""
        for run in self._runs.values():
            forked = [*run.find(RunForked)]
            self._found.forks += len(forked)
            if len(forked) != int(run.about.forked_from is not None):
                self._wrong(f"fork {run.run_id} of {run.about.forked_from} was forked {len(forked)} times")
            elif forked:
                (seq, _), first = forked[0], run.entries[0].seq
                if [entry.seq for entry in run.entries if entry.seq <= seq] != [*range(first, seq + 1)]:
                    self._wrong(f"run {run.run_id} was not forked in one piece")

    def _life_of(self, seq: int) -> int:
        """In which it was recorded; they are counted from 1."""
        return bisect_left(self._began_at, seq)

    # Steps ------------------------------------------------------------------------------------------------------

    def _check_effects(self) -> None:
        """P2, P3: a recorded step has done its work, and never did it again; how often before is the run's to say."""
        done = defaultdict[Step, list[Effect]](list)
        for effect in self._effects:
            done[effect.step].append(effect)
        unrecorded = set(done)
        for run in self._runs.values():
            for seq, event in run.list_done():
                step = Step(run.run_id, event.node, event.visit, -1 if event.item is None else event.item)
                unrecorded.discard(step)
                self._check_recorded(run, step, seq, event, done[step])
        for step, effects in done.items():
            run = self._runs.get(step.run_id)
            if run is None:
                continue
            often = Counter(effect.attempt for effect in effects)
            if not run.relaxed and any(count > 1 for count in often.values()):
                self._wrong(f"P2: {step}: an attempt was made twice: {often}")
            if run.node(step.node).function_name in ONCE and len(effects) > 1:
                self._wrong(f"P3: {step} must not be doubled, and was done {len(effects)} times")
            if not self._cut and step in unrecorded:
                self._wrong(f"P8: {step} was done, and is not recorded though its run has ended")

    def _check_recorded(
        self, run: _Run, step: Step, seq: int, event: StepCompleted, effects: list[Effect]
    ) -> None:
        life = self._life_of(seq)
        mine = [effect for effect in effects if effect.attempt == event.attempt]
        here = [effect for effect in mine if effect.life == life]
        times = int(event.cached_from is None)
        # Where a person decided on a result, the work was done in a life before. What a relaxed run did there may be lost.
        if len(mine) != times and not (run.relaxed and len(here) == times):
            self._wrong(f"P2: {step} is recorded in life {life}, but attempt {event.attempt} was {mine}")
        if any(effect.life > life for effect in effects):
            self._wrong(f"P2: {step} is recorded in life {life}, and was done again later: {effects}")
        if any(effect.attempt > event.attempt and effect.life == life for effect in effects):
            self._wrong(f"P2: {step} is recorded at attempt {event.attempt}, and was done again: {effects}")
        if run.relaxed:
            self._measure_lost(run, step, [effect for effect in effects if effect.life < life])

    def _measure_lost(self, run: _Run, step: Step, earlier: list[Effect]) -> None:
        """Of a relaxed run only what was done last may be lost. What failed after it was done is not."""
        failed = {
            (event.attempt, self._life_of(seq))
            for seq, event in run.find(StepFailed)
            if (event.node, event.visit) == (step.node, step.visit)
        }
        for effect in earlier:
            if (effect.attempt, effect.life) in failed:
                continue
            age_s = (Clock(self._folder, effect.life).read() - effect.at) * Clock.TICK_S
            self._found.lost += 1
            self._found.oldest_lost_s = max(self._found.oldest_lost_s, age_s)
            if age_s > LATEST_S:
                self._wrong(f"{effect.step} was lost {age_s:.2f} s after it was done")

    def _check_kept(self) -> None:
        """A result is kept just where its step is recorded, and a step that starts after that uses it."""
        made: dict[Kept, int] = {}
        for run in self._runs.values():
            for seq, event in run.list_done():
                if (tool := run.node(event.node).function_name) in _KEPT and event.cached_from is None:
                    key = (tool, *event.result["given"])
                    made[key] = min(seq, made.get(key, seq))
        with self._database.read() as connection:
            rows = connection.execute(sa.select(cached_results.c.tool, cached_results.c.result))
            kept = {(row.tool, *json.loads(row.result)["given"]) for row in rows}
        if not (kept >= made.keys() if self._pruned else kept == made.keys()):
            self._wrong(f"kept, and not recorded, or the other way round: {kept ^ made.keys()}")
        for run in self._runs.values():
            started = {
                (event.node, event.visit, event.item, event.attempt): seq
                for seq, event in run.find(StepStarted)
            }
            for _, event in run.find(StepCompleted):
                tool = run.node(event.node).function_name
                if tool not in _KEPT or isinstance(event.result, list):
                    continue
                key = (tool, *event.result["given"])
                began = started[event.node, event.visit, event.item, event.attempt]
                if event.cached_from is not None:
                    self._found.reused += 1
                    if key not in kept:
                        self._wrong(f"run {run.run_id}: {event.node} uses a result that is not kept")
                elif not run.relaxed and made[key] < began:
                    self._wrong(f"run {run.run_id}: {event.node} did what was kept: {key}")

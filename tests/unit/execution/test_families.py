"""Parents and children with all sorts of things happening to them: nobody is forgotten, doubled or left waiting."""

from __future__ import annotations

import copy
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.execution.families import Child, Families, Opened
from engine.execution.live_run import LiveRun
from engine.execution.preparing import make_live
from engine.flow.decide import decide, fold
from engine.flow.plan import compile_plan
from engine.flow.run_state import Items, RunState
from engine.model.events import (
    CancelRequested,
    ChildEnded,
    ChildStarted,
    ChildWanted,
    RunAccepted,
    RunContinued,
    RunPaused,
    RunResumed,
    RunSuspended,
    SignalReceived,
    StepCompleted,
    StepDue,
    StepFailed,
    StepParked,
    StepStarted,
)
from engine.model.graph import EdgeDefinition, GraphDefinition, NodeDefinition, RetryPolicy
from engine.model.status import RunStatus


def graph(name, nodes, *edges, **more):
    made = [NodeDefinition(id=node, **fields) for node, fields in nodes.items()]
    ends = [EdgeDefinition(from_node=start, to_node=end) for start, end in edges]
    return GraphDefinition(name=name, nodes=made, edges=ends, **more)


WORK, ASK = {"function_name": "work"}, {"function_name": "ask"}
AGAIN = RetryPolicy(max_attempts=2)
PLANS = {
    plan.graph.name: plan
    for plan in map(
        compile_plan,
        (
            graph(
                "leaf",
                {"one": WORK, "ask": ASK, "two": WORK | {"on_error": "continue"}},
                ("one", "ask"),
                ("ask", "two"),
            ),
            graph(
                "middle",
                {
                    "each": {
                        "function_name": "leaf",
                        "for_each": "[1, 2, 3]",
                        "max_parallel": 2,
                        "on_item_error": "collect",
                    },
                    "last": WORK | {"retry": AGAIN},
                },
                ("each", "last"),
            ),
            graph(
                "root",
                {
                    "middle": {"function_name": "middle", "retry": AGAIN, "save_as": "made"},
                    "leaf": {"function_name": "leaf", "on_error": "continue"},
                    "work": WORK,
                    "end": WORK,
                },
                ("middle", "end"),
                ("leaf", "end"),
                exit_conditions=("steps.work.result != None and steps.work.result > 2",),
            ),
        ),
    )
}


class Household:
    """A root run and all below it, without threads or database; ``journal`` is what would be committed."""

    def __init__(self):
        self.runs, self.journal, self.numbers = {}, [], itertools.count()
        self.attempts = {}
        self.families = Families(self.runs, self.take_in, self.end_attempt)
        child = self.make("root")
        self.runs["0"] = child[0]
        self.take_in(*child)
        self.settle()

    def make(self, name, **more):
        run_id = str(next(self.numbers))
        accepted = RunAccepted(0, name, 1, name, {}, **more)
        return make_live(run_id, PLANS[name], accepted, ()), accepted

    def take_in(self, live, event):
        events = decide(live.state, event)
        run_id = live.state.run_id
        for fact in events:
            self.journal.append((run_id, copy.deepcopy(fact)))
            match fact:
                case StepStarted():
                    node = live.state.plan.topology.index[fact.node]
                    if fact.item is not None or live.state.plan.for_each[node] is None:
                        self.attempts[run_id, fact.node, fact.item] = fact
                case _ if hasattr(fact, "attempt"):
                    self.attempts.pop((run_id, fact.node, fact.item), None)
                case _:
                    pass
        if live.children or live.origin is not None:
            self.families.follow(live, events)
        return bool(events)

    def end_attempt(self, live, wanted):
        del self.attempts[live.state.run_id, wanted.node, wanted.item]

    def settle(self):
        self.families.settle()
        for run_id, live in list(self.runs.items()):
            if live.state.status.is_final:
                del self.runs[run_id]
        alive = {key: step for key, step in self.attempts.items() if key[0] in self.runs}
        self.attempts = alive

    def complete(self, number):
        if not self.attempts:
            return self.go_on()
        (run_id, node, item), step = list(self.attempts.items())[number % len(self.attempts)]
        live = self.runs[run_id]
        tool = next(one for one in live.state.plan.graph.nodes if one.id == node).function_name
        if tool == "work":
            return self.take_in(live, StepCompleted(0, node, step.visit, step.attempt, number, {}, item=item))
        if tool == "ask":
            return self.take_in(live, StepParked(0, node, step.visit, step.attempt, signal="go"))
        wanted = ChildWanted(0, node, step.visit, step.attempt, tool, {}, {}, item=item)
        child, accepted = self.make(tool, parent_run_id=run_id, parent_node=node, depth=live.state.depth + 1)
        started = ChildStarted(0, node, step.visit, step.attempt, child.state.run_id, tool, tool, item=item)
        return self.families.start(live, Opened(wanted, Child(started, child, accepted)))

    def fail(self, number):
        if self.attempts:
            (run_id, node, item), step = list(self.attempts.items())[number % len(self.attempts)]
            self.take_in(
                self.runs[run_id], StepFailed(0, node, step.visit, step.attempt, "no", "No", item=item)
            )

    def crash(self):
        """What is left is the journal; the families are found in it, in any order."""
        ids = list(self.runs)[::-1]
        self.runs.clear()
        self.attempts.clear()
        for run_id in ids:
            recorded = [copy.deepcopy(event) for of, event in self.journal if of == run_id]
            accepted = recorded[0]
            live = make_live(run_id, PLANS[accepted.graph_name], accepted, ())
            self.runs[run_id] = LiveRun(fold(run_id, live.state.plan, recorded), live.about, (), stored=True)
        self.families.join(self.runs.values())
        for live in list(self.runs.values()):
            self.take_in(live, RunContinued(0))

    def go_on(self):
        """Nothing is under way: do what some run waits for."""
        for live in list(self.runs.values()):
            for key, step in live.state.waiting.items():
                node = live.state.plan.topology.node_ids[key[0] if isinstance(key, tuple) else key]
                if step.parked is not None:
                    self.take_in(live, SignalReceived(0, node, step.visit, step.attempt, "yes"))
                else:
                    self.take_in(live, StepDue(step.due, node, step.visit, step.attempt))
                return
            if live.state.paused:
                self.take_in(live, RunResumed(0))
                return
            if live.state.suspended:
                self.crash()
                return
            if live.state.cancelling:  # its steps have stopped by now
                self.crash()
                return
        raise AssertionError(f"nothing goes on, and nothing says why: {list(self.runs)}")

    def act(self, action, number):
        live = list(self.runs.values())[number % len(self.runs)]
        match action:
            case "complete":
                self.complete(number)
            case "fail":
                self.fail(number)
            case "pause":
                self.take_in(live, RunPaused(0))
            case "resume":
                self.take_in(live, RunResumed(0))
            case "step":
                self.families.allow_step(live.state.run_id)
            case "cancel":
                self.take_in(live, CancelRequested(0))
            case "suspend":
                for one in self.runs.values():
                    self.take_in(one, RunSuspended(0))
            case "crash":
                self.crash()
        self.settle()
        self.check()

    def check_status(self, live):
        """A run waits if something in it waits for somebody, and nothing is under way in it or below it."""
        state = live.state
        if state.paused or state.suspended or state.cancelling or state.failure is not None:
            return

        def is_idle(run):
            below = [self.runs[child.child_run_id] for child in run.children.values()]
            if any(one.state.paused or one.state.suspended or one.state.cancelling for one in below):
                return None  # whatever it says
            own = [key for key in self.attempts if key[0] == run.state.run_id]
            waits = all(step.is_long for step in run.state.waiting.values())
            rest = [is_idle(one) for one in below]
            return None if None in rest else not own and waits and all(rest) and not run.state.held

        idle = is_idle(live)
        if idle is not None:
            assert (state.status is RunStatus.WAITING) == idle, (state.run_id, state.idle_children)

    def check(self):
        accepted = {
            run for run, event in self.journal if isinstance(event, RunAccepted) and event.parent_run_id
        }
        started = [event.child_run_id for _, event in self.journal if isinstance(event, ChildStarted)]
        assert sorted(started) == sorted(accepted)
        ended = [event.child_run_id for _, event in self.journal if isinstance(event, ChildEnded)]
        assert len(ended) == len(set(ended))
        for run_id, live in self.runs.items():
            self.check_status(live)
            waited_for = {
                step.child.child_run_id for step in live.state.running.values() if step.child is not None
            }
            assert waited_for == {child.child_run_id for child in live.children.values()}
            assert waited_for <= self.runs.keys(), "a step waits for a run that has ended"
            parent = live.about.parent_run_id
            if parent is not None and live.origin is None:
                assert live.state.cancelling, f"nobody waits for {run_id}, and it goes on"
            recorded = [copy.deepcopy(event) for of, event in self.journal if of == run_id]
            again = fold(run_id, live.state.plan, recorded)
            assert everything(again) == everything(live.state)


def everything(run):
    def plain(value):
        if isinstance(value, Items):
            return {name: getattr(value, name) for name in Items.__slots__}
        return {key: plain(one) for key, one in value.items()} if isinstance(value, dict) else value

    return {name: plain(getattr(run, name)) for name in RunState.__slots__ if name != "plan"}


ACTIONS = st.tuples(
    st.sampled_from(
        [*["complete"] * 8, "fail", "fail", "pause", "resume", "step", "cancel", "suspend", "crash"]
    ),
    st.integers(0, 7),
)


@settings(max_examples=80)
@given(st.lists(ACTIONS, max_size=40))
def test_p8_whatever_happens_no_child_is_lost_doubled_or_waited_for_in_vain(actions):
    household = Household()
    for action, number in actions:
        if not household.runs:
            break
        household.act(action, number)
    for _ in range(500):
        if not household.runs:
            break
        household.act("complete", 0)
    assert not household.runs


def test_undisturbed_the_family_ends_with_all_results_in_place():
    household = Household()
    root = household.runs["0"]
    while household.runs:
        household.act("complete", 0)
    assert root.state.status is RunStatus.COMPLETED
    assert root.state.state == {"made": {}}
    results = root.state.results[root.state.plan.topology.index["middle"]]
    assert results == {}
    assert len([1 for _, event in household.journal if isinstance(event, ChildStarted)]) == 5

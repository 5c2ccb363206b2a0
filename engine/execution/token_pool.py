"""The tokens of the configured resources, shared by all runs, and the steps that wait for some (docs/runs.md, "Resources").

A step is given all its tokens at once or none, so no two can wait for each other. At each resource, first come is first
served: a step that cannot have all of its tokens yet keeps later ones that want one of the same resources waiting. So a
small request never starves a large one, and those that share no resource do not wait for each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from engine.execution.attempts.attempt import Attempt, now_us
from engine.execution.live_run import LiveRun
from engine.flow.queueing import may_be_granted
from engine.flow.run_state import RunState, StepKey, WaitingStep
from engine.model.events import ResourcesGranted, RunEvent, StepQueued
from engine.model.run import ResourceUsage


class _Request(NamedTuple):
    """What a step asked for; ``number`` counts requests as they came."""

    number: int
    run_id: str
    key: StepKey
    step: WaitingStep
    queued: StepQueued


class _Lease:
    """Tokens that are taken. ``attempt`` holds them until its call has returned."""

    __slots__ = ("attempt", "needs")

    def __init__(self, needs: Mapping[str, int]) -> None:
        self.needs = needs
        self.attempt: Attempt | None = None


class TokenPool:
    """With the turn only; ``runs`` are those in memory, ``call`` has something called with the turn.

    A request is one as long as its step still waits: nobody has to take it back. A request costs the number of
    different sets of resources that are wanted, however many steps wait.
    """

    def __init__(
        self,
        limits: Mapping[str, int],
        runs: Mapping[str, LiveRun],
        take_in: Callable[[LiveRun, RunEvent], object],
        call: Callable[[Callable[[], None]], object],
    ) -> None:
        self._limits = limits
        self._runs = runs
        self._take_in = take_in
        self._call = call
        self._free = dict(limits)
        self._queues: dict[frozenset[str], deque[_Request]] = {}
        self._leases: set[_Lease] = set()
        self._count = 0

    def queue(self, run: RunState, queued: StepQueued) -> None:
        """A step waits from now on."""
        node = run.plan.topology.index[queued.node]
        key: StepKey = node if queued.item is None else (node, queued.item)
        step = run.waiting.get(key)
        if step is not None:  # else it was cancelled, or held, by the same event
            self._count += 1
            request = _Request(self._count, run.run_id, key, step, queued)
            self._queues.setdefault(frozenset(queued.resources), deque()).append(request)

    def grant(self) -> bool:
        """Start the steps that can have their tokens now; whether there were any."""
        some = False
        while self._queues and (request := self._take_next()) is not None:
            some = True
            live, queued = self._runs[request.run_id], request.queued
            lease = _Lease(queued.resources)
            self._count_tokens(lease, -1)
            granted = ResourcesGranted(now_us(), queued.node, queued.visit, queued.attempt, queued.item)
            self._take_in(live, granted)
            attempt = live.attempts.get((queued.node, queued.item))
            if attempt is None:  # it could not even begin
                self._count_tokens(lease, 1)
                continue
            lease.attempt = attempt
            attempt.on_over = lambda lease=lease: self._call(lambda: self._free_tokens(lease))
            self._leases.add(lease)
        return some

    def usage(self) -> dict[str, ResourceUsage]:
        """How each resource stands."""
        waiting = dict.fromkeys(self._limits, 0)
        for wanted, queue in self._queues.items():
            still = [request for request in queue if self._is_wanted(request)]
            queue.clear()
            queue.extend(still)
            for name in wanted & waiting.keys():
                waiting[name] += len(still)
        abandoned = dict.fromkeys(self._limits, 0)
        for lease in self._leases:
            if lease.attempt is not None and not lease.attempt.ticket:
                for name, count in lease.needs.items():
                    abandoned[name] += count
        return {
            name: ResourceUsage(limit, limit - self._free[name], abandoned[name], waiting[name])
            for name, limit in self._limits.items()
        }

    def _take_next(self) -> _Request | None:
        heads = sorted(head for wanted in list(self._queues) if (head := self._find_head(wanted)) is not None)
        blocked: set[str] = set()
        for request in heads:
            needs = request.queued.resources
            if blocked.isdisjoint(needs) and all(
                self._free.get(name, 0) >= count for name, count in needs.items()
            ):
                return self._queues[frozenset(needs)].popleft()
            blocked.update(needs)
        return None

    def _find_head(self, wanted: frozenset[str]) -> _Request | None:
        queue = self._queues[wanted]
        while queue:
            if self._is_wanted(queue[0]):
                return queue[0]
            queue.popleft()
        del self._queues[wanted]
        return None

    def _is_wanted(self, request: _Request) -> bool:
        live = self._runs.get(request.run_id)
        return (
            live is not None
            and live.state.waiting.get(request.key) is request.step
            and may_be_granted(live.state)
        )

    def _count_tokens(self, lease: _Lease, sign: int) -> None:
        for name, count in lease.needs.items():
            self._free[name] += sign * count

    def _free_tokens(self, lease: _Lease) -> None:
        if lease in self._leases:
            self._leases.remove(lease)
            self._count_tokens(lease, 1)

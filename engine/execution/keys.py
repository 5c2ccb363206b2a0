"""The same request is the same run for ever: runs by the key that came with the request for them."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeAlias

import pydantic

from engine.errors import ConflictError, ValidationError
from engine.execution.loader import done
from engine.execution.preparing import check_state
from engine.model.events import RunAccepted
from engine.model.graph import Durability, Name
from engine.model.problem import Problem, Severity
from engine.storage.journal import StateManager

_KEY = pydantic.TypeAdapter(Name)


class Asked(NamedTuple):
    """What a request for a run asks for. ``graph_version`` is None where the newest will do."""

    graph_id: str
    graph_version: int | None
    initial_state: dict[str, Any]
    breakpoints: tuple[str, ...]
    durability: Durability = "strict"

    def find_differences(self, other: Request) -> list[str]:
        """In what two requests differ, by field."""
        if not isinstance(other, Asked):
            return ["graph_id"]
        found = [
            name
            for name in ("graph_id", "breakpoints", "durability")
            if getattr(self, name) != getattr(other, name)
        ]
        if (
            None not in (self.graph_version, other.graph_version)
            and self.graph_version != other.graph_version
        ):
            found.append("graph_version")
        if _text(self.initial_state) != _text(other.initial_state):
            found.append("initial_state")
        return found


class AskedFork(NamedTuple):
    """What a request for a fork asks for, in its own words: what was the latest visit then may not be it any more."""

    run_id: str
    node_id: str | None
    visit: int | None
    graph_version: int | str | None
    state: str
    """A hash: the fork's journal has the values."""
    remove: tuple[str, ...]
    breakpoints: tuple[str, ...]

    def find_differences(self, other: Request) -> list[str]:
        """In what two requests differ, by field."""
        if not isinstance(other, AskedFork):
            return ["run_id"]
        return [name for name in self._fields if getattr(self, name) != getattr(other, name)]

    def to_record(self) -> dict[str, Any]:
        """What the fork's first event does not say by itself."""
        told = self._asdict()
        del told["run_id"], told["breakpoints"]
        return {**told, "remove": list(self.remove)}


Request: TypeAlias = Asked | AskedFork


def hash_state(changes: dict[str, Any]) -> str:
    """Equal for equal changes of the state alone."""
    return hashlib.sha256(_text(changes).encode()).hexdigest()


def make_request(
    graph_id: str,
    graph_version: int | None,
    initial_state: object,
    breakpoints: Sequence[str],
    durability: Durability,
) -> Asked:
    """A request, with values of its own.

    Raises:
        ValidationError: the initial state is not a JSON object.
    """
    return Asked(graph_id, graph_version, check_state(initial_state), tuple(breakpoints), durability)


class RunKeys:
    """Sees to it that requests with one key make one run, however many come and whenever. Any thread."""

    def __init__(self, states: StateManager) -> None:
        self._states = states
        self._lock = threading.Lock()
        self._accepting: dict[str, tuple[Request, Future[str]]] = {}

    def accept(self, key: str, asked: Request, accept: Callable[[], Future[str]]) -> Future[str]:
        """The run of this key; ``accept`` makes it where there is none yet. Waits for the database, not for a commit.

        Raises:
            ConflictError: the key came with another request before.
            ValidationError: it is no key.
        """
        _check_key(key)
        with self._lock:
            if (other := self._accepting.get(key)) is not None:
                _check_same(key, asked, other[0], "that is being accepted")
                return other[1]
            if (found := self._find(key)) is not None:
                run_id, before = found
                _check_same(key, asked, before, f"of run {run_id}")
                return done(run_id)
            answer: Future[str] = Future()
            self._accepting[key] = (asked, answer)

        def forget(ended: Future[str]) -> None:
            with self._lock:  # it is committed now, or was refused
                del self._accepting[key]
            if (error := ended.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(ended.result())

        try:
            accepted = accept()
        except BaseException as error:  # noqa: BLE001 - it is told to all who ask
            accepted = Future()
            accepted.set_exception(error)
        accepted.add_done_callback(forget)
        return answer

    def _find(self, key: str) -> tuple[str, Request] | None:
        run = self._states.find_run_of_key(key)
        if run is None:
            return None
        first = self._states.read_events(run_id=run.run_id, limit=1)
        if not first:
            return None  # it was deleted this very moment
        event = first[0].event
        assert isinstance(event, RunAccepted), "a run's first event is its acceptance"
        return run.run_id, _read_request(event)


def _read_request(event: RunAccepted) -> Request:
    breakpoints = tuple(event.breakpoints)
    if event.forked_from is not None and event.fork_request is not None:
        asked = {**event.fork_request, "remove": tuple(event.fork_request["remove"])}
        return AskedFork(run_id=event.forked_from, breakpoints=breakpoints, **asked)
    return Asked(event.graph_id, event.graph_version, event.initial_state, breakpoints, event.durability)


def _check_key(key: object) -> None:
    try:
        _KEY.validate_python(key, strict=True)
    except pydantic.ValidationError:
        message = "an idempotency key is a text of 1 to 200 characters, without control characters"
        problem = Problem(Severity.ERROR, "bad-key", message, field="idempotency_key")
        raise ValidationError(message, [problem]) from None


def _check_same(key: str, asked: Request, before: Request, which: str) -> None:
    if differences := asked.find_differences(before):
        raise ConflictError(
            f'the idempotency key "{key}" belongs to the request {which}, which had another '
            f"{' and '.join(differences)}; send a new key for a new request",
            {"idempotency_key": key, "differs": differences},
        )


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

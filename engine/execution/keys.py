"""The same request is the same run for ever: runs by the key that came with the request for them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

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

    def find_differences(self, other: Asked) -> list[str]:
        """In what two requests differ, by field."""
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
        self._accepting: dict[str, tuple[Asked, Future[str]]] = {}

    def accept(self, key: str, asked: Asked, accept: Callable[[], Future[str]]) -> Future[str]:
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

    def _find(self, key: str) -> tuple[str, Asked] | None:
        run = self._states.find_run_of_key(key)
        if run is None:
            return None
        first = self._states.read_events(run_id=run.run_id, limit=1)
        if not first:
            return None  # it was deleted this very moment
        event = first[0].event
        assert isinstance(event, RunAccepted), "a run's first event is its acceptance"
        asked = Asked(
            event.graph_id,
            event.graph_version,
            event.initial_state,
            tuple(event.breakpoints),
            event.durability,
        )
        return run.run_id, asked


def _check_key(key: object) -> None:
    try:
        _KEY.validate_python(key, strict=True)
    except pydantic.ValidationError:
        message = "an idempotency key is a text of 1 to 200 characters, without control characters"
        problem = Problem(Severity.ERROR, "bad-key", message, field="idempotency_key")
        raise ValidationError(message, [problem]) from None


def _check_same(key: str, asked: Asked, before: Asked, which: str) -> None:
    if differences := asked.find_differences(before):
        raise ConflictError(
            f'the idempotency key "{key}" belongs to the request {which}, which had another '
            f"{' and '.join(differences)}; send a new key for a new request",
            {"idempotency_key": key, "differs": differences},
        )


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)

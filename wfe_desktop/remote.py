"""``wfe events`` and ``wfe cancel``: a second terminal for a program that is running."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from wfe_desktop.client import Client, ConnectionFailed, Event, WorkflowError
from wfe_desktop.client.asynchronous import STEP_PROGRESS
from wfe_desktop.terminal import complain, describe_amount, notice, plain, say

EXIT_FAILED: Final = 1


def show_events(
    address: str, run_id: str | None, since: int | None, *, follow: bool, progress: bool, as_json: bool
) -> int:
    """Prints events, those of one run where given, a line each; with ``follow``, those to come as well.

    ``progress``: among these also how far steps are.
    """

    def show(client: Client) -> bool:
        for event in _events(client, run_id, since, follow=follow, progress=progress):
            if as_json:
                say(json.dumps(_as_dict(event), ensure_ascii=False))
            else:
                run = "" if run_id else f"{event.run_id}  "
                say(f"{event.seq}  {event.timestamp.astimezone():%H:%M:%S}  {run}{plain(_words(event))}")
        return True

    return _ask(address, show)


def cancel_runs(address: str, run_ids: Sequence[str]) -> int:
    """Cancels runs; 0 where all of them are being cancelled or had ended."""

    def cancel(client: Client) -> bool:
        told = client.cancel_executions(run_ids=run_ids)
        for run_id in told.cancelled:
            say(f"{run_id} is being cancelled.")
        for run_id in told.ended:
            notice(f"{run_id} has ended already.")
        for run_id in told.not_found:
            complain(f"there is no run {run_id}")
        return not told.not_found

    return _ask(address, cancel)


def _words(event: Event) -> str:
    if event.event_type != STEP_PROGRESS:
        return event.message
    return f"{event.node_id}: {describe_amount(event.data['done'], event.data['total'], event.message)}"


def _events(
    client: Client, run_id: str | None, since: int | None, *, follow: bool, progress: bool
) -> Iterator[Event]:
    if follow:
        yield from client.events(run_id, since, progress=progress)
        return
    seen = since or 0
    while found := client.get_execution_logs(run_id, seen) if run_id else client.read_events(seen):
        yield from found
        seen = found[-1].seq


def _as_dict(event: Event) -> dict[str, object]:
    return {
        "seq": event.seq,
        "timestamp": event.timestamp.isoformat(),
        "run_id": event.run_id,
        "event_type": event.event_type,
        "node_id": event.node_id,
        "message": event.message,
        "data": event.data,
    }


def _ask(address: str, work: Callable[[Client], bool]) -> int:
    """The exit status: 0 where ``work`` says that all went well."""
    gc.enable()  # following may go on for long
    try:
        with Client(address) as client:
            return 0 if work(client) else EXIT_FAILED
    except ConnectionFailed:
        complain(
            f"nobody answers at {address}; start the program there, or say where it is with --server URL"
        )
    except (WorkflowError, ValueError) as error:
        complain(str(error))
    return EXIT_FAILED

"""Starting, stopping and showing runs. Each open workflow shows one run at most; the docks show the front one's."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal

from engine.errors import ConflictError, GraphNotFound
from engine.execution.services import Services
from engine.flow.presenter import present
from engine.model.events import JournalEntry
from engine.model.graph import GraphDefinition
from engine.model.run import RunSnapshot
from engine.model.status import RunStatus, StepStatus
from wfe_desktop.background import Background
from wfe_desktop.bridge import EngineBridge
from wfe_desktop.canvas.spec import NodeRunView
from wfe_desktop.document.edits import same_graph
from wfe_desktop.editors import Editor, Editors
from wfe_desktop.messages import Messages
from wfe_desktop.models.log import MOST_LINES, LogLine, LogModel
from wfe_desktop.models.run_view import Changes, RunView, StepView
from wfe_desktop.models.runs import RunsModel

PAGE = 5_000
STATE_DELAY_MS = 400
_ROOM = 7  # characters in a node's corner


@dataclass(slots=True)
class Follower:
    """The run that an open workflow shows. ``waiting`` holds what came while the past was being read."""

    editor: Editor
    run_id: str
    view: RunView | None = None
    waiting: list[JournalEntry] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LoadedRun:
    """A run as it was read, made ready to be shown. ``is_newest``: its graph is still the newest version."""

    snapshot: RunSnapshot
    graph: GraphDefinition
    is_newest: bool
    view: RunView
    lines: list[LogLine]


def load_run(services: Services, run_id: str) -> LoadedRun:
    """Read a run. Touches the database: never on the GUI thread."""
    snapshot = services.engine.get_execution_status(run_id)
    graph = services.graphs.get_graph(snapshot.graph_id, snapshot.graph_version)
    try:
        is_newest = services.graphs.get_summary(snapshot.graph_id).version == snapshot.graph_version
    except GraphNotFound:
        is_newest = False
    entries: deque[JournalEntry] = deque(maxlen=MOST_LINES)
    since = 0
    while page := services.engine.read_events(since=since, run_id=run_id, limit=PAGE):
        entries.extend(page)
        since = page[-1].seq
    view = RunView(run_id, graph)
    view.load(snapshot)
    view.load_spans(entry for entry in entries if entry.seq <= view.seq)
    view.fold(entries)
    lines = [LogLine.from_record(present(entry)) for entry in entries]
    return LoadedRun(snapshot, graph, is_newest, view, lines)


def has_shape(one: GraphDefinition, other: GraphDefinition) -> bool:
    """Whether a run of one graph can be shown on the other: the same nodes, tools and edges."""
    nodes = {(node.id, node.function_name) for node in one.nodes}
    if nodes != {(node.id, node.function_name) for node in other.nodes}:
        return False
    return {edge.key for edge in one.edges} == {edge.key for edge in other.edges}


def store_graph(
    services: Services, graph: GraphDefinition, graph_id: str | None, expected_version: int | None = None
) -> tuple[str, int]:
    """Keep a graph in the database, as a new version of ``graph_id`` or as a new one. Not on the GUI thread.

    Raises:
        ConflictError: somebody else stored a version after ``expected_version``.
    """
    if graph_id is not None:
        try:
            return graph_id, services.graphs.update_graph(graph_id, graph, expected_version)
        except GraphNotFound:
            pass  # it was deleted meanwhile; what is on the canvas is kept all the same
    return services.graphs.create_graph(graph), 1


def canvas_view(step: StepView) -> NodeRunView:
    """A step as the canvas wants it."""
    note, progress = "child" if step.runs_child else "", None
    if step.items_total is not None and step.items_done is not None:
        note, progress = f"{step.items_done}/{step.items_total}", step.items_done / max(1, step.items_total)
        if len(note) > _ROOM:
            note = f"{100 * progress:.0f} %"
    return NodeRunView(
        StepStatus.RUNNING if step.runs_child else step.status,
        step.visit,
        step.duration_s,
        progress,
        is_held=step.is_held,
        taken_from=step.taken_from,
        note=note,
        about=step.about,
    )


class RunControl(QObject):
    """Runs of the open workflows. Use it on the GUI thread; it never waits.

    ``shown_changed()``: the front workflow shows another run, or its run stands elsewhere.
    ``stored(Editor)``: a workflow was kept in the database.
    ``version_requested(LoadedRun)``: a run must be shown whose graph is not open.
    """

    shown_changed = Signal()
    state_read = Signal(object)
    """A RunSnapshot, or None where no run is shown."""
    stored = Signal(Editor)
    version_requested = Signal(LoadedRun)
    spans_changed = Signal()
    inputs_found = Signal(str, object)
    """Of a run's step, the StepInputs that were asked for; None where they are not to be found."""
    conflict_found = Signal(Editor, int, object)
    """Somebody else stored this version. What is to be called with the answer: ``replace`` it, or keep both."""
    started = Signal(Editor, str, object)
    """A run of an open workflow was started: its id, and the breakpoints it was given."""

    def __init__(
        self,
        services: Services,
        bridge: EngineBridge,
        background: Background,
        messages: Messages,
        editors: Editors,
        runs: RunsModel,
        log: LogModel,
    ) -> None:
        super().__init__()
        self._services, self._background, self._messages = services, background, messages
        self._bridge = bridge
        self._editors, self._runs, self._log = editors, runs, log
        self._followers: dict[Editor, Follower] = {}
        self._log_run = ""
        self._state_timer = QTimer(self)
        self._state_timer.setSingleShot(True)
        self._state_timer.setInterval(STATE_DELAY_MS)
        self._state_timer.timeout.connect(self._read_state)
        bridge.entries.connect(self._fold)
        bridge.overflowed.connect(self._reload)
        runs.page_requested.connect(self._load_page)
        runs.run_accepted.connect(self._follow_from_outside)
        editors.current_changed.connect(self._show_current)
        editors.closed.connect(self._forget)

    # ------------------------------------------------------------------------------------------------- reading

    @property
    def shown(self) -> RunView | None:
        """The run that the front workflow shows."""
        follower = self._current
        return follower.view if follower else None

    @property
    def shown_run_id(self) -> str:
        """Its id, also while it is being read; empty where none is shown."""
        follower = self._current
        return follower.run_id if follower else ""

    @property
    def _current(self) -> Follower | None:
        editor = self._editors.current
        return self._followers.get(editor) if editor is not None else None

    @property
    def shown_status(self) -> RunStatus | None:
        """Where the run of the front workflow stands; None where none is shown or it is still being read."""
        return self.shown.status if self.shown is not None else None

    def editor_of(self, run_id: str) -> Editor | None:
        """The open workflow that shows a run."""
        return next((f.editor for f in self._followers.values() if f.run_id == run_id), None)

    def active_run_of(self, editor: Editor) -> str:
        """The id of the run that a workflow shows, unless it has ended; else empty."""
        follower = self._followers.get(editor)
        is_over = follower is None or (follower.view is not None and follower.view.status.is_final)
        return "" if follower is None or is_over else follower.run_id

    # -------------------------------------------------------------------------------------- starting, stopping

    def start(
        self, editor: Editor, initial_state: dict[str, Any], then: Callable[[], object] | None = None
    ) -> None:
        """Keep the workflow as it stands, then run it and show the run."""

        def run() -> None:
            assert editor.graph_id is not None
            stops = editor.document.breakpoints
            future = self._services.engine.submit_workflow(
                editor.graph_id, initial_state, stops, graph_version=editor.version
            )
            self._background.follow(future, lambda run_id: started(run_id, stops), owner=editor)

        def started(run_id: str, stops: tuple[str, ...]) -> None:
            self.show_started(editor, run_id, stops)
            if then is not None:
                then()

        self.store(editor, run)

    def show_started(self, editor: Editor, run_id: str, stops: tuple[str, ...]) -> None:
        """Show a run of the workflow as it stands that was just started with these breakpoints."""
        already = self._followers.get(editor)
        if already is None or already.run_id != run_id:  # its first events may have been quicker
            self.follow(editor, run_id)
        self.started.emit(editor, run_id, stops)

    def store(
        self,
        editor: Editor,
        then: Callable[[], object] | None = None,
        *,
        failed: Callable[[BaseException], object] | None = None,
    ) -> None:
        """Keep the workflow in the database where it is not kept as it stands. A newer version is not written over.

        ``failed`` is told why it was not kept, in place of the user.
        """
        graph = editor.document.graph
        if editor.stored is not None and editor.graph_id and same_graph(editor.stored, graph):
            self._has_stored(editor, graph, (editor.graph_id, editor.version or 1), then)
            return
        self._store_as(editor, editor.graph_id, editor.version, then, failed)

    def _store_as(
        self,
        editor: Editor,
        graph_id: str | None,
        expected: int | None,
        then: Callable[[], object] | None,
        failed: Callable[[BaseException], object] | None = None,
    ) -> None:
        """As the version after ``expected``; as a new workflow where there is no ``graph_id``."""
        if editor.is_storing:
            return
        editor.is_storing = True
        graph = editor.document.graph

        def go_on(version: int, *, replace: bool) -> None:
            self._store_as(editor, graph_id if replace else None, version, then)

        def refused(error: BaseException) -> None:
            editor.is_storing = False
            if isinstance(error, ConflictError) and failed is None:
                version = int(error.details["version"])
                self.conflict_found.emit(editor, version, partial(go_on, version))
            else:
                (failed or self._messages.report)(error)

        self._background.run(
            partial(store_graph, self._services, graph, graph_id, expected),
            lambda place: self._has_stored(editor, graph, place, then),
            refused,
            owner=editor,
        )

    def stop(self, run_id: str) -> None:
        """Ask a run to stop."""
        self._background.follow(
            self._services.engine.request_cancel(run_id),
            lambda done: None if done else self._messages.info("The run had ended already."),
        )

    def _has_stored(
        self,
        editor: Editor,
        graph: GraphDefinition,
        place: tuple[str, int],
        then: Callable[[], object] | None,
    ) -> None:
        editor.is_storing = False
        editor.graph_id, editor.version = place
        editor.stored = graph
        if editor.document.file_path is None and editor.document.graph is graph:
            editor.document.mark_saved(graph_id=place[0], version=place[1])
        self.stored.emit(editor)
        if then is not None:
            then()

    # ------------------------------------------------------------------------------------------------- showing

    def follow(self, editor: Editor, run_id: str) -> None:
        """Show a run of its own graph on an open workflow, from its beginning to its end."""
        follower = Follower(editor, run_id)
        self._followers[editor] = follower
        editor.canvas.clear_run_view()
        self._background.run(
            partial(load_run, self._services, run_id),
            lambda loaded: self._has_loaded(follower, loaded),
            owner=editor,
        )
        if editor is self._editors.current:
            self.shown_changed.emit()

    def show_run(self, run_id: str) -> None:
        """Show any run: on its workflow where that is open and looks the same, else on a version of its own."""
        already = self.editor_of(run_id)
        if already is not None:
            self._editors.bring_forward(already)
            return
        self._background.run(partial(load_run, self._services, run_id), self._place)

    def adopt(self, editor: Editor, loaded: LoadedRun) -> None:
        """Show a run that has been read on this workflow."""
        follower = Follower(editor, loaded.snapshot.run_id)
        self._followers[editor] = follower
        self._editors.bring_forward(editor)
        self._has_loaded(follower, loaded)

    def clear(self, editor: Editor) -> None:
        """Show the workflow without a run."""
        if self._followers.pop(editor, None) is not None:
            editor.canvas.clear_run_view()
            if editor is self._editors.current:
                self._show_current()

    def close(self) -> None:
        """Ask for nothing more."""
        self._state_timer.stop()
        self._bridge.entries.disconnect(self._fold)
        self._bridge.overflowed.disconnect(self._reload)

    def request_state(self) -> None:
        """Read the state of the run that is shown, soon."""
        if not self._state_timer.isActive():
            self._state_timer.start()

    def _place(self, loaded: LoadedRun) -> None:
        snapshot = loaded.snapshot

        def fits(editor: Editor) -> bool:
            return editor.graph_id == snapshot.graph_id and has_shape(editor.document.graph, loaded.graph)

        editor = self._editors.find(lambda e: fits(e) and not e.read_only) or self._editors.find(fits)
        if editor is not None:
            self.adopt(editor, loaded)
        else:
            self.version_requested.emit(loaded)

    def _has_loaded(self, follower: Follower, loaded: LoadedRun) -> None:
        if self._followers.get(follower.editor) is not follower:
            return
        view = loaded.view
        view.fold(follower.waiting)
        follower.view, late = view, follower.waiting
        follower.waiting = []
        follower.editor.canvas.set_run_view(
            {node_id: canvas_view(step) for node_id, step in view.nodes.items()}, dict(view.edges)
        )
        if follower.editor is self._editors.current:
            self._log_run = follower.run_id
            self._log.clear()
            self._log.append_lines(loaded.lines)
            self._log.append([present(entry) for entry in late])
            self.shown_changed.emit()
            self.state_read.emit(loaded.snapshot)
            self.request_state()

    def _fold(self, entries: list[JournalEntry]) -> None:
        self._runs.fold(entries)
        for follower in self._followers.values():
            own = [entry for entry in entries if entry.run_id == follower.run_id]
            if not own:
                continue
            if follower.view is None:
                follower.waiting.extend(own)
                continue
            self._apply(follower, follower.view.fold(own))
            if follower.run_id == self._log_run:
                self._log.append([present(entry) for entry in own])

    def _apply(self, follower: Follower, changes: Changes) -> None:
        nodes = {node_id: canvas_view(step) for node_id, step in changes.nodes.items()}
        if nodes or changes.edges:
            follower.editor.canvas.update_run(nodes, changes.edges)
        if follower.editor is self._editors.current:
            self.spans_changed.emit()
            self.request_state()
            if changes.status_changed:
                self.shown_changed.emit()
        if follower.view is not None and follower.view.status is RunStatus.PAUSED:
            self._background.follow(
                self._services.engine.request_status(follower.run_id),
                lambda snapshot: self._show_held(follower, snapshot),
                owner=follower.editor,
            )

    def _show_held(self, follower: Follower, snapshot: RunSnapshot) -> None:
        view = follower.view
        is_shown = self._followers.get(follower.editor) is follower
        if is_shown and view is not None and view.status is RunStatus.PAUSED and snapshot.seq >= view.seq:
            held = view.hold(snapshot.held).nodes
            follower.editor.canvas.update_run(
                {node_id: canvas_view(step) for node_id, step in held.items()}, {}
            )
            if follower.editor is self._editors.current:
                self.spans_changed.emit()  # the timeline has a line for them

    def _follow_from_outside(self, run_id: str, graph_id: str) -> None:
        """A run was started. If its workflow is open and shows nothing that runs, show it there."""

        def is_free(editor: Editor) -> bool:
            follower = self._followers.get(editor)
            return follower is None or (follower.view is not None and follower.view.status.is_final)

        editor = self._editors.find(lambda e: e.graph_id == graph_id and not e.read_only and is_free(e))
        row = self._runs.find_run(run_id)
        if (
            editor is not None
            and editor.stored is not None
            and row is not None
            and row.graph_version == editor.version
            and has_shape(editor.stored, editor.document.graph)
        ):
            self.follow(editor, run_id)

    # ---------------------------------------------------------------------------------- docks of the front one

    def find_inputs(self, run_id: str, node_id: str, visit: int, attempt: int) -> None:
        """Find what a step was given; ``inputs_found`` has the answer."""
        find = partial(self._services.engine.get_step_inputs, run_id, node_id, visit, attempt)
        self._background.run(
            find,
            lambda found: self.inputs_found.emit(run_id, found),
            lambda _: self.inputs_found.emit(run_id, None),
        )

    def _show_current(self) -> None:
        follower = self._current
        self.shown_changed.emit()
        if follower is None:
            self._log_run = ""
            self._log.clear()
            self.state_read.emit(None)
        elif follower.run_id != self._log_run and follower.view is not None:
            self._reload_follower(follower)

    def _reload_follower(self, follower: Follower) -> None:
        follower.view = None
        self._background.run(
            partial(load_run, self._services, follower.run_id),
            lambda loaded: self._has_loaded(follower, loaded),
            owner=follower.editor,
        )

    def _reload(self) -> None:
        self._runs.reload()
        for follower in self._followers.values():
            self._reload_follower(follower)

    def _read_state(self) -> None:
        run_id = self.shown_run_id
        if run_id:
            future = self._services.engine.request_status(run_id)
            self._background.follow(future, lambda snapshot: self._has_state(run_id, snapshot))

    def _has_state(self, run_id: str, snapshot: RunSnapshot) -> None:
        follower = self._current
        if follower is None or run_id != follower.run_id:
            return
        counted = follower.view.count_items(snapshot).nodes if follower.view is not None else {}
        if counted:
            follower.editor.canvas.update_run(
                {node_id: canvas_view(step) for node_id, step in counted.items()}, {}
            )
        self.state_read.emit(snapshot)

    def _forget(self, editor: Editor) -> None:
        self._followers.pop(editor, None)

    def _load_page(self, offset: int, limit: int) -> None:
        engine, with_children = self._services.engine, self._runs.with_children

        def read() -> tuple[int, Any]:
            seq = engine.last_seq
            return seq, engine.query_historical_executions(
                limit=limit, offset=offset, top_level=not with_children
            )

        def failed(error: BaseException) -> None:
            self._runs.page_failed()
            self._messages.report(error)

        def add(page: tuple[int, Any]) -> None:
            if self._runs.with_children == with_children:  # else another one is on its way
                self._runs.add_page(page[1], page[0])

        self._background.run(read, add, failed)

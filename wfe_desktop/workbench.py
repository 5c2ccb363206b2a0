"""The window at work: its parts put together, and the engine attached once it is open."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from PySide6.QtCore import QObject, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QApplication

from engine.execution.services import Services
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem, Severity
from engine.model.run import RunSnapshot
from engine.model.status import RunStatus
from engine.model.tool import Catalog
from wfe_desktop import theme
from wfe_desktop.answering import Answering
from wfe_desktop.background import Background
from wfe_desktop.bridge import EngineBridge
from wfe_desktop.checking import ProblemChecker
from wfe_desktop.document.autosave import Autosave
from wfe_desktop.document.edits import EdgeKey
from wfe_desktop.editors import Editor, Editors, Sample
from wfe_desktop.filing import Filing
from wfe_desktop.kinship import Kinship
from wfe_desktop.library import Library
from wfe_desktop.messages import Messages
from wfe_desktop.models.graphs import GraphsModel
from wfe_desktop.models.log import LogModel
from wfe_desktop.models.problems import ProblemsModel
from wfe_desktop.models.runs import RunsModel
from wfe_desktop.panels.inspector_host import InspectorHost
from wfe_desktop.panels.log import LogPanel
from wfe_desktop.panels.palette import PalettePanel
from wfe_desktop.panels.problems import ProblemsPanel
from wfe_desktop.panels.runs import RunsPanel
from wfe_desktop.panels.state import StatePanel
from wfe_desktop.panels.workflows import WorkflowsPanel
from wfe_desktop.removing import Removing
from wfe_desktop.running import LoadedRun, RunControl
from wfe_desktop.settings import Settings
from wfe_desktop.steering import Steering
from wfe_desktop.window import PROBLEMS, TITLE, MainWindow
from wfe_desktop.work_display import WorkDisplay


def session_entry(editor: Editor) -> str:
    """How a session remembers an open workflow; empty where it is kept nowhere."""
    if editor.read_only:
        return ""
    if editor.document.file_path is not None:
        return f"file:{editor.document.file_path}"
    return f"graph:{editor.graph_id}" if editor.graph_id else ""


class Workbench(QObject):
    """The whole window. Works without an engine; ``attach`` gives it one. Use it on the GUI thread."""

    leave_allowed = Signal()
    """The user wants to leave, and nothing would be lost."""
    situation_changed = Signal()
    """What is open, selected or running is another: other things can be done now."""
    samples_changed = Signal()
    _tools_changed = Signal()

    def __init__(
        self, settings: Settings, messages: Messages, background: Background, autosave: Autosave
    ) -> None:
        super().__init__()
        self.settings, self.messages, self.background = settings, messages, background
        self.editors = Editors()
        self.runs_model, self.log_model = RunsModel(), LogModel()
        self.problems_model, self.graphs_model = ProblemsModel(), GraphsModel()
        self.palette, self.workflows = PalettePanel(), WorkflowsPanel(self.graphs_model)
        self.runs_panel, self.log_panel = RunsPanel(self.runs_model), LogPanel(self.log_model)
        self.state_panel, self.problems_panel = StatePanel(), ProblemsPanel(self.problems_model)
        self.inspector = InspectorHost()
        self.window = MainWindow(
            self.editors,
            self.palette,
            self.workflows,
            self.runs_panel,
            self.log_panel,
            self.state_panel,
            self.problems_panel,
            self.inspector,
        )
        self.filing = Filing(self.window, self.editors, background, messages, settings, autosave)
        self.library = Library(
            self.window, self.editors, self.filing, background, messages, self.graphs_model
        )
        self.checker = ProblemChecker(background)
        # One owner for what is no widget: it all goes with the workbench, after the window, and in this order.
        for part in (self.editors, self.checker, self.runs_model, self.log_model, self.problems_model):
            part.setParent(self)
        for last in (self.graphs_model, self.messages, background):
            last.setParent(self)
        self.services: Services | None = None
        self.runs: RunControl | None = None
        self.steering: Steering | None = None
        self.answering: Answering | None = None
        self.catalog: Catalog = {}
        self.samples: list[Sample] = []
        self.address = ""
        self._token: str | None = None
        self._unsubscribe: list[object] = []
        self.work = WorkDisplay(self, self.window.status, self.messages)
        self._connect()
        self.window.lay_out(settings.docks)
        if settings.geometry is not None:
            self.window.restoreGeometry(settings.geometry)

    # ------------------------------------------------------------------------------------------------ the engine

    def attach(self, services: Services, bridge: EngineBridge) -> None:
        """The engine is open: show its tools, its workflows and its runs, and let workflows run."""
        self.services = services
        self.inspector.workspace = services.config.workspace
        self.inspector.find_workflows = self.graphs_model.references
        self.inspector.resources = services.config.resources
        runs = self.runs = RunControl(
            services, bridge, self.background, self.messages, self.editors, self.runs_model, self.log_model
        )
        self.steering = Steering(
            services.engine, self.background, self.messages, self.editors, runs, self.runs_model
        )
        self.answering = Answering(services.engine, self.background, self.messages, self.editors, runs)
        kinship = Kinship(services.states, self.background, self.editors, runs)
        removing = Removing(
            services.engine, self.background, self.messages, self.window, self.runs_panel, runs
        )
        for part in (runs, self.steering, self.answering, kinship, removing, bridge):
            part.setParent(self)
        runs.shown_changed.connect(self._show_run)
        runs.spans_changed.connect(self.runs_panel.timeline.refresh)
        runs.state_read.connect(self._show_state)
        runs.stored.connect(lambda _: self._show_saved())
        runs.version_requested.connect(self._open_version)
        runs.inputs_found.connect(self.inspector.show_inputs)
        self.inspector.inputs_wanted.connect(runs.find_inputs)
        runs.conflict_found.connect(self.library.ask_conflict)
        self._tools_changed.connect(self._take_catalog)
        self._unsubscribe = [
            services.registry.subscribe(self._tools_changed.emit),
            services.engine.subscribe(bridge.take),
            removing.close,
            self.checker.attach(services),
        ]
        self._take_catalog()
        self.library.attach(services)
        self.runs_model.reload()
        self.work.start(services.engine)
        self.situation_changed.emit()
        for failure in services.load_failures:
            self.messages.warning(str(failure))

    def detach(self) -> None:
        """The engine is about to close: take nothing more from it."""
        self.work.stop()
        self.library.detach()
        self.editors.silence()
        if self.runs is not None:
            self.runs.close()
        for unsubscribe in reversed(self._unsubscribe):
            unsubscribe()  # type: ignore[operator]
        self._unsubscribe = []

    def set_address(self, address: str, tip: str, token: str | None = None) -> None:
        """Where the server answers, and the token that its pages ask for."""
        self.address, self._token = address, token
        self.window.status.set_server(address, tip)

    def set_samples(self, samples: list[Sample]) -> None:
        """Offer these in the menu and on the empty canvas."""
        self.samples = samples
        for editor in self.editors:
            editor.set_samples(samples)
        self.samples_changed.emit()

    def open_sample(self, name: str) -> None:
        """Open a workflow that comes with the program."""
        for sample in self.samples:
            if sample.name == name:
                self.filing.open_sample(sample.graph)

    def open_entry(self, entry: str) -> None:
        """Open what an earlier session had open; what has gone since is left out."""
        kind, _, place = entry.partition(":")
        if kind == "graph":
            self.library.open_graph(place, is_asked=False)
        elif Path(place).is_file():
            self.filing.open_file(Path(place))
        else:
            self.filing.ensure_open()

    def save_settings(self) -> None:
        """Remember how the window looks and what is open."""
        self.settings.geometry = self.window.saveGeometry()
        self.settings.docks = self.window.save_layout()
        self.settings.session = [entry for editor in self.editors if (entry := session_entry(editor))]
        self.settings.save()

    # -------------------------------------------------------------------------------------------------- wiring

    def _connect(self) -> None:
        editors, window = self.editors, self.window
        self.messages.posted.connect(window.toasts.show_message)
        editors.opened.connect(self._has_opened)
        editors.closed.connect(lambda editor: self.inspector.forget(editor.document))
        editors.current_changed.connect(self._show_editor)
        editors.titles_changed.connect(self._show_saved)
        editors.tabs.new_requested.connect(self.filing.new)
        self.filing.store_requested.connect(self._store)
        self.palette.tool_chosen.connect(self._place_tool)
        self.workflows.open_requested.connect(self.library.open_graph)
        self.workflows.delete_requested.connect(self.library.ask_delete)
        self.library.place_changed.connect(self._show_saved)
        self.runs_panel.run_chosen.connect(self._show_chosen_run)
        self.runs_panel.stop_requested.connect(lambda run_id: self.runs.stop(run_id) if self.runs else None)
        self.runs_panel.steer_requested.connect(self.steer)
        self.runs_panel.node_chosen.connect(self._select_node)
        self.log_panel.node_chosen.connect(self._select_node)
        self.problems_panel.problem_chosen.connect(self._show_problem)
        self.inspector.select_requested.connect(self._select)
        self.inspector.run_requested.connect(self._show_chosen_run)
        self.checker.checked.connect(self._show_problems)
        window.status.address_clicked.connect(self.open_page)
        window.status.zoom_clicked.connect(window.actions_by_name["zoom_100"].trigger)
        window.close_requested.connect(lambda: self.filing.close_all(self.leave_allowed.emit))
        window.bottom_tabs.currentChanged.connect(lambda _: self.runs.request_state() if self.runs else None)

    def _has_opened(self, editor: Editor) -> None:
        editor.refused.connect(self.messages.warning)
        editor.tool_placed.connect(self._remember_tool)
        editor.sample_requested.connect(self.open_sample)
        editor.copy_requested.connect(lambda: self.filing.open_copy(editor))
        editor.condition_edit_requested.connect(self._edit_condition)
        editor.node_open_requested.connect(self._open_node)
        editor.selection_changed.connect(lambda: self._inspect(editor))
        editor.document.changed.connect(lambda *_: self._has_changed(editor))
        editor.document.undo_stack.indexChanged.connect(lambda _: self.situation_changed.emit())
        editor.canvas.zoom_changed.connect(lambda zoom: self._show_zoom(editor, zoom))
        editor.set_samples(self.samples)

    # ------------------------------------------------------------------------------------------ the front editor

    def _show_editor(self) -> None:
        editor = self.editors.current
        if editor is not None:
            self.inspector.show_document(None if editor.read_only else editor.document)
        self.checker.watch(editor)
        if editor is None:
            self.problems_model.set_problems([], GraphDefinition(name="none"))
        else:
            self._inspect(editor)
            self.window.status.set_zoom(editor.canvas.zoom)
        self._show_saved()
        self.situation_changed.emit()

    def _has_changed(self, editor: Editor) -> None:
        if editor is self.editors.current:
            self.checker.check_soon()
            self.situation_changed.emit()

    def _inspect(self, editor: Editor) -> None:
        if editor is not self.editors.current:
            return
        nodes, edges = editor.canvas.selection
        self.inspector.show_selection(nodes, edges)
        self.situation_changed.emit()

    def _show_zoom(self, editor: Editor, zoom: float) -> None:
        if editor is self.editors.current:
            self.window.status.set_zoom(zoom)

    def _show_saved(self) -> None:
        editor = self.editors.current
        if editor is None:
            self.window.status.set_saved("")
            self.window.setWindowTitle(TITLE)
            return
        document = editor.document
        if editor.read_only:
            text, tip = "Read only", "A version as a run saw it"
        elif not document.is_clean:
            text, tip = "Modified", "Ctrl+S saves"
        elif document.file_path is None and editor.graph_id is None:
            text, tip = "Not saved", "It is neither in a file nor in the database yet"
        else:
            place = (
                str(document.file_path)
                if document.file_path
                else f"in the database, version {editor.version}"
            )
            text, tip = "Saved", place
        self.window.status.set_saved(text, tip)
        self.window.setWindowTitle(f"{document.title} – {TITLE}")

    def _open_node(self, node_id: str) -> None:
        self.window.right_dock.show()
        self.inspector.edit_label(node_id)

    def _edit_condition(self, edge: object) -> None:
        editor, key = self.editors.current, cast("EdgeKey", edge)
        if editor is not None:
            self.window.right_dock.show()
            editor.select(edge=key)
            self.inspector.edit_condition(key)

    def _select(self, nodes: list[str], edges: list[EdgeKey]) -> None:
        editor = self.editors.current
        if editor is not None:
            editor.canvas.select(nodes, edges)
            if len(nodes) == 1:
                editor.canvas.center_on(nodes[0])

    def _select_node(self, node_id: str) -> None:
        editor = self.editors.current
        if editor is not None and editor.document.find_node(node_id) is not None:
            editor.select(node_id)

    # -------------------------------------------------------------------------------------------------- problems

    def _show_problems(self, editor: Editor, graph: GraphDefinition, problems: list[Problem]) -> None:
        self.problems_model.set_problems(problems, graph, editor.document.node_title)
        errors = self.problems_model.error_count
        self.window.bottom_bar.set_count(PROBLEMS, len(problems), "error" if errors else "warning")
        worst: dict[str, Severity] = {}
        for problem in sorted(problems, key=lambda p: p.is_error):
            if problem.node_id is not None:
                worst[problem.node_id] = problem.severity
        editor.canvas.set_problems(worst)
        self.inspector.show_problems(problems)

    def _show_problem(self, problem: Problem) -> None:
        editor = self.editors.current
        if editor is None:
            return
        if problem.edge is not None and problem.edge < len(editor.document.graph.edges):
            editor.select(edge=editor.document.graph.edges[problem.edge].key)
        elif problem.node_id is not None:
            editor.select(problem.node_id)

    # -------------------------------------------------------------------------------------------------- runs

    def _show_chosen_run(self, run_id: str) -> None:
        if self.runs is not None and run_id != self.runs.shown_run_id:
            self.runs.show_run(run_id)

    def steer(self, what: str, run_id: str) -> None:
        """Pause a run, resume it, let it step, or retry it: the names of ``Steering``'s methods."""
        if self.steering is not None:
            getattr(self.steering, what)(run_id)

    def _show_run(self) -> None:
        assert self.runs is not None
        view, editor = self.runs.shown, self.editors.current
        title_of = editor.document.node_title if editor is not None else str
        self.runs_panel.timeline.set_run(view, title_of)
        self.runs_panel.select_run(self.runs.shown_run_id)
        self.work.refresh()
        self.situation_changed.emit()

    def _show_state(self, snapshot: object) -> None:
        run = cast("RunSnapshot | None", snapshot)
        self.state_panel.show_snapshot(run)
        self.inspector.show_run(run)

    def _open_version(self, loaded: LoadedRun) -> None:
        assert self.runs is not None
        snapshot = loaded.snapshot
        is_open = self.editors.find(lambda e: e.graph_id == snapshot.graph_id and not e.read_only)
        if is_open is None and loaded.is_newest:
            editor = self.filing.open_stored(loaded.graph, snapshot.graph_id, snapshot.graph_version)
        else:
            editor = self.filing.open_version(loaded.graph, snapshot.graph_id, snapshot.graph_version)
        self.runs.adopt(editor, loaded)

    def run_has_errors(self) -> bool:
        """Whether the front workflow cannot run; shows why."""
        if self.problems_model.error_count == 0:
            return False
        count = self.problems_model.error_count
        self.window.show_bottom(PROBLEMS)
        what = "a problem" if count == 1 else f"{count} problems"
        self.messages.error(
            f"The workflow has {what} and cannot run.", "Each line under Problems leads to its place."
        )
        return True

    @property
    def is_running(self) -> bool:
        """Whether the run that is shown has not ended."""
        if self.runs is None or not self.runs.shown_run_id:
            return False
        shown = self.runs.shown
        status = shown.status if shown else RunStatus.RUNNING
        return not status.is_final

    # --------------------------------------------------------------------------------------------- the database

    def open_page(self) -> None:
        """Open the runs in a browser.

        A token it asks for goes by way of the clipboard: an address is kept in histories and seen among the processes.
        """
        if not self.address:
            return
        if self._token is not None:
            QGuiApplication.clipboard().setText(self._token)
            self.messages.info(
                "The page asks for the server's token. It is on the clipboard: paste it there."
            )
        QDesktopServices.openUrl(QUrl(f"{self.address}/"))

    def _store(self, editor: Editor, then: object) -> None:
        if self.runs is None:
            self.messages.error("There is no database yet.", "Wait until the program has started.")
            return

        def done() -> None:
            self.messages.success(f"“{editor.document.title}” is in the database, version {editor.version}.")
            if callable(then):
                then()

        self.runs.store(editor, done)

    # -------------------------------------------------------------------------------------------------- tools

    def _take_catalog(self) -> None:
        assert self.services is not None
        self.catalog = self.services.registry.list_tools()
        self.filing.set_catalog(self.catalog)
        self.palette.set_catalog(self.catalog, self.settings.recent_tools)
        for editor in self.editors:
            editor.set_catalog(self.catalog)
        self.checker.check_soon()

    def _place_tool(self, name: str) -> None:
        editor = self.editors.current
        if editor is not None:
            editor.place(name)

    def _remember_tool(self, name: str) -> None:
        self.settings.add_recent_tool(name)
        self.palette.set_recent(self.settings.recent_tools)

    def toggle_theme(self) -> None:
        """The other of the two looks."""
        chosen = theme.LIGHT if theme.current_theme().is_dark else theme.DARK
        self.inspector.drop_hidden()
        theme.apply_theme(QApplication.instance(), chosen)
        self.settings.theme = chosen.name
        for editor in self.editors:
            editor.canvas.set_theme(chosen)

"""What each action does, and when it can be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from PySide6.QtCore import QObject, QPoint, QPointF
from PySide6.QtGui import QAction, QCursor
from PySide6.QtWidgets import QMenu

from engine.flow.validation import graph_reads
from engine.model.status import RunStatus
from wfe_desktop.actions import plain_text
from wfe_desktop.canvas.spec import PendingWire
from wfe_desktop.dialogs.about import AboutDialog
from wfe_desktop.dialogs.commands import CommandPalette
from wfe_desktop.dialogs.open_graph import OpenGraphDialog
from wfe_desktop.dialogs.shortcuts import ShortcutsDialog
from wfe_desktop.document import clipboard
from wfe_desktop.document.edits import EdgeKey, GraphEditError
from wfe_desktop.editors import Editor
from wfe_desktop.forking import Forking
from wfe_desktop.layout import layout
from wfe_desktop.logs import log_file
from wfe_desktop.workbench import Workbench


class Handlers(QObject):
    """Connects every action of the window, and enables those that can be done now. Lives as long as the workbench."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self._bench = bench
        self._actions = bench.window.actions_by_name
        self._remembered: dict[str, dict[str, Any]] = {}
        self._commands: CommandPalette | None = None
        for name, handler in self._table().items():
            self._actions[name].triggered.connect(lambda _=False, handler=handler: handler())
        bench.window.recent_menu.aboutToShow.connect(self._fill_recent)
        bench.editors.opened.connect(self._serve)
        bench.runs_panel.fork_requested.connect(self._fork)
        bench.log_panel.fork_requested.connect(self._fork_shown)
        bench.samples_changed.connect(self._fill_samples)
        bench.situation_changed.connect(self.refresh)
        self.refresh()

    def _serve(self, editor: Editor) -> None:
        editor.search_requested.connect(self.search_at)
        editor.canvas.context_menu_requested.connect(self._open_menu)

    def _table(self) -> dict[str, Callable[[], object]]:
        bench, filing = self._bench, self._bench.filing
        return {
            "new": filing.new,
            "open": filing.ask_open,
            "open_database": self._open_database,
            "save": self._on_editor(filing.save),
            "save_as": self._on_editor(filing.ask_save),
            "save_database": self._on_editor(lambda editor: filing.store_requested.emit(editor, None)),
            "export_picture": self._on_editor(filing.ask_export),
            "close": self._on_editor(filing.close_editor),
            "quit": bench.window.close,
            "undo": self._on_editor(lambda editor: editor.document.undo_stack.undo()),
            "redo": self._on_editor(lambda editor: editor.document.undo_stack.redo()),
            "cut": self._on_editor(self._cut),
            "copy": self._on_editor(self._copy),
            "paste": self._on_editor(self._paste),
            "duplicate": self._on_editor(self._duplicate),
            "delete": self._on_editor(self._delete),
            "select_all": self._on_editor(lambda editor: editor.canvas.select_all()),
            "find_tool": self._on_editor(self._find_tool),
            "commands": self._open_commands,
            "fit": self._on_editor(Editor.fit),
            "zoom_100": self._on_editor(lambda editor: editor.canvas.zoom_100()),
            "zoom_in": self._on_editor(lambda editor: editor.canvas.zoom_in()),
            "zoom_out": self._on_editor(lambda editor: editor.canvas.zoom_out()),
            "auto_layout": self._on_editor(self._arrange),
            "toggle_theme": bench.toggle_theme,
            "run": self._on_editor(self._run_or_resume),
            "run_with_input": self._on_editor(lambda editor: self._run(editor, ask=True)),
            "stop": self._on_run(lambda run_id: bench.runs.stop(run_id) if bench.runs else None),
            "retry_run": self._on_run(lambda run_id: bench.steer("retry", run_id)),
            "fork_run": self._on_run(self._fork_selected),
            "pause": self._on_run(lambda run_id: bench.steer("pause", run_id)),
            "step": self._on_run(lambda run_id: bench.steer("step", run_id)),
            "toggle_breakpoint": self._on_editor(self._toggle_breakpoint),
            "clear_breakpoints": self._on_editor(lambda editor: editor.edit("clear_breakpoints")),
            "clear_run": self._on_editor(lambda editor: bench.runs.clear(editor) if bench.runs else None),
            "set_entry": self._on_editor(self._set_entry),
            "edit_condition": self._on_editor(self._edit_condition),
            "search_tools": self._search_tools,
            "open_server": bench.open_page,
            "shortcuts": self._show_shortcuts,
            "about": self._show_about,
        }

    def _on_editor(self, handler: Callable[[Editor], object]) -> Callable[[], object]:
        def call() -> None:
            editor = self._bench.editors.current
            if editor is not None:
                handler(editor)

        return call

    def refresh(self) -> None:
        """Enable what can be done with what is open, selected and running."""
        bench, actions = self._bench, self._actions
        editor = bench.editors.current
        nodes, edges = editor.canvas.selection if editor is not None else ([], [])
        can_edit = editor is not None and not editor.read_only
        has_nodes = editor is not None and bool(editor.document.graph.nodes)
        stack = editor.document.undo_stack if editor is not None else None
        is_attached = bench.runs is not None
        status = bench.runs.shown_status if bench.runs is not None else None
        is_paused = status is RunStatus.PAUSED
        enabled = {
            "undo": can_edit and stack is not None and stack.canUndo(),
            "redo": can_edit and stack is not None and stack.canRedo(),
            "cut": can_edit and bool(nodes),
            "copy": bool(nodes),
            "paste": can_edit,
            "duplicate": can_edit and bool(nodes),
            "delete": can_edit and bool(nodes or edges),
            "set_entry": can_edit and len(nodes) == 1,
            "edit_condition": can_edit and len(edges) == 1,
            "auto_layout": can_edit and has_nodes,
            "export_picture": has_nodes,
            "save_database": can_edit and is_attached,
            "open_database": is_attached,
            "run": is_paused or (can_edit and has_nodes and is_attached),
            "run_with_input": can_edit and has_nodes and is_attached,
            "stop": bench.is_running,
            "retry_run": status is RunStatus.FAILED,
            "fork_run": self._find_started() is not None,
            "pause": status is RunStatus.RUNNING,
            "step": is_paused,
            "toggle_breakpoint": can_edit and bool(nodes),
            "clear_breakpoints": can_edit and editor is not None and bool(editor.document.breakpoints),
            "clear_run": is_attached and bench.runs is not None and bool(bench.runs.shown_run_id),
            "open_server": bool(bench.address),
        }
        for name, is_enabled in enabled.items():
            if actions[name].isEnabled() != is_enabled:
                actions[name].setEnabled(is_enabled)
        for name, text in (
            ("undo", stack.undoText() if stack else ""),
            ("redo", stack.redoText() if stack else ""),
        ):
            actions[name].setText(f"&{name.capitalize()} {text[:1].lower()}{text[1:]}".rstrip())
        self._name_run(is_paused=is_paused)
        actions["fork_run"].setText("Run again from &here…" if nodes else "Run again from t&he start…")

    def _name_run(self, *, is_paused: bool) -> None:
        """While the run that is shown is paused, F5 lets it go on, and says so."""
        text, tip = ("&Resume", "Let the paused run go on") if is_paused else ("&Run", "Run the workflow")
        run = self._actions["run"]
        if run.text() != text:
            run.setText(text)
            run.setToolTip(f"{tip} (F5)")

    # ------------------------------------------------------------------------------------------------- editing

    def search_at(self, scene_at: QPointF, global_at: QPoint, wire: object = None) -> None:
        """Open the search for a tool; what is chosen is placed at ``scene_at`` and ends the ``wire`` (PendingWire)."""
        editor = self._bench.editors.current
        if editor is None or editor.read_only:
            return
        from wfe_desktop.dialogs.search_popup import SearchPopup

        popup = SearchPopup(self._bench.catalog, self._bench.settings.recent_tools, editor)
        popup.tool_chosen.connect(lambda name: editor.place(name, scene_at, cast("PendingWire | None", wire)))
        popup.open_at(global_at)

    def _find_tool(self, editor: Editor) -> None:
        canvas = editor.canvas
        at = QCursor.pos()
        if not canvas.rect().contains(canvas.mapFromGlobal(at)):
            at = canvas.mapToGlobal(canvas.rect().center())
        self.search_at(canvas.pointer_position(), at)

    def _copy(self, editor: Editor) -> None:
        nodes, _ = editor.canvas.selection
        if nodes:
            clipboard.put_on_clipboard(editor.document.copy(nodes))

    def _cut(self, editor: Editor) -> None:
        self._copy(editor)
        self._delete(editor)

    def _paste(self, editor: Editor) -> None:
        try:
            fragment = clipboard.take_from_clipboard()
        except GraphEditError as error:
            self._bench.messages.warning(str(error))
            return
        center = editor.canvas.view_center()
        if editor.edit("paste", fragment, (center.x(), center.y())):
            added = editor.document.graph.nodes[-len(fragment.nodes) :]
            editor.canvas.select([node.id for node in added], [])

    def _duplicate(self, editor: Editor) -> None:
        nodes, _ = editor.canvas.selection
        count = len(editor.document.graph.nodes)
        if nodes and editor.edit("duplicate", nodes):
            editor.canvas.select([node.id for node in editor.document.graph.nodes[count:]], [])

    def _delete(self, editor: Editor) -> None:
        nodes, edges = editor.canvas.selection
        if nodes or edges:
            editor.edit("remove", nodes, edges)

    def _set_entry(self, editor: Editor) -> None:
        nodes, _ = editor.canvas.selection
        if len(nodes) == 1:
            editor.toggle_entry(nodes[0])

    def _toggle_breakpoint(self, editor: Editor) -> None:
        nodes, _ = editor.canvas.selection
        if nodes:
            editor.edit("toggle_breakpoints", nodes)

    def _edit_condition(self, editor: Editor) -> None:
        _, edges = editor.canvas.selection
        if len(edges) == 1:
            editor.condition_edit_requested.emit(edges[0])

    def _arrange(self, editor: Editor) -> None:
        editor.edit("move", layout(editor.document.graph, editor.canvas.node_sizes()))
        editor.fit()

    # ------------------------------------------------------------------------------------------------- running

    def _run_or_resume(self, editor: Editor) -> None:
        bench = self._bench
        if bench.runs is not None and bench.runs.shown_status is RunStatus.PAUSED:
            bench.steer("resume", bench.runs.shown_run_id)
        else:
            self._run(editor, ask=False)

    def _run(self, editor: Editor, *, ask: bool) -> None:
        bench = self._bench
        if bench.runs is None or bench.run_has_errors():
            return
        graph, catalog = editor.document.graph, dict(editor.document.catalog)

        def known(reads: Mapping[str, Any]) -> None:
            remembered = self._remembered.get(editor.document.key)
            needs = any(read.required for read in reads.values())
            if ask or (needs and remembered is None):
                self._ask_input(editor, reads, remembered or {})
            else:
                self._start(editor, remembered or {})

        bench.background.run(lambda: graph_reads(graph, catalog), known, owner=editor)

    def _ask_input(self, editor: Editor, reads: Mapping[str, Any], values: dict[str, Any]) -> None:
        from wfe_desktop.dialogs.run_form import RunForm

        form = RunForm(reads, values, self._bench.window)
        form.accepted_with.connect(lambda state: self._start(editor, state))
        form.open()

    def _start(self, editor: Editor, state: dict[str, Any]) -> None:
        self._remembered[editor.document.key] = state
        if self._bench.runs is not None:
            self._bench.runs.start(editor, state)

    def _find_started(self) -> str | None:
        """The selected node, where the run that is shown has started it; empty where nothing is selected."""
        bench, editor = self._bench, self._bench.editors.current
        view = bench.runs.shown if bench.runs is not None else None
        if view is None or editor is None:
            return None
        nodes, _ = editor.canvas.selection
        if not nodes:
            return ""
        step = view.nodes.get(nodes[0])
        return nodes[0] if len(nodes) == 1 and step is not None and step.visit else None

    def _fork_selected(self, run_id: str) -> None:
        node_id = self._find_started()
        if node_id is not None:
            self._fork(run_id, node_id, 0)

    def _fork_shown(self, node_id: str, visit: int) -> None:
        if self._bench.runs is not None:
            self._fork(self._bench.runs.shown_run_id, node_id, visit)

    def _fork(self, run_id: str, node_id: str, visit: int) -> None:
        """Ask what to run again with; without a node from the start, with visit 0 from the node's latest."""
        bench = self._bench
        if bench.services is not None and bench.runs is not None and run_id:
            forking = Forking(
                bench.services.engine,
                bench.background,
                bench.messages,
                bench.editors,
                bench.runs,
                bench.window,
            )
            forking.ask(run_id, node_id or None, visit or None)

    def _on_run(self, handler: Callable[[str], object]) -> Callable[[], object]:
        """What is done to the run that is shown."""

        def call() -> None:
            runs = self._bench.runs
            if runs is not None and runs.shown_run_id:
                handler(runs.shown_run_id)

        return call

    # ------------------------------------------------------------------------------------------------- dialogs

    def _open_database(self) -> None:
        dialog = OpenGraphDialog(self._bench.window, self._bench.graphs_model)
        dialog.chosen.connect(self._bench.library.open_graph)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _open_commands(self) -> None:
        if self._commands is None:
            groups = [
                (
                    plain_text(menu.value),
                    [a for a in entries.actions() if not a.isSeparator() and a.menu() is None],
                )
                for menu, entries in self._bench.window.menus.items()
            ]
            self._commands = CommandPalette(self._bench.window, groups)
        self._commands.open()

    def _search_tools(self) -> None:
        window = self._bench.window
        window.left_dock.show()
        window.left_tabs.setCurrentWidget(self._bench.palette)
        self._bench.palette.search.setFocus()
        self._bench.palette.search.selectAll()

    def _show_shortcuts(self) -> None:
        dialog = ShortcutsDialog(self._bench.window)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _show_about(self) -> None:
        services = self._bench.services
        database = (
            str(services.database.path or services.database.url) if services is not None else "not open"
        )
        dialog = AboutDialog(self._bench.window, database, self._bench.address, str(log_file()))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    # --------------------------------------------------------------------------------------------------- menus

    def _open_menu(self, what: object, scene_at: QPointF, global_at: QPoint) -> None:
        """The canvas' own menu, for a node (its id), an edge (its key) or, where None, for the canvas."""
        editor = self._bench.editors.current
        if editor is None:
            return
        nodes, edges = editor.canvas.selection
        if isinstance(what, str) and what not in nodes:
            editor.canvas.select([what])
        elif isinstance(what, tuple) and what not in edges:
            editor.canvas.select([], [cast("EdgeKey", what)])
        names: tuple[str, ...]
        if isinstance(what, str):
            names = ("set_entry", "toggle_breakpoint", "fork_run", "", "cut", "copy", "duplicate", "delete")
        elif what is not None:
            names = ("edit_condition", "", "delete")
        else:
            names = ("", "paste", "select_all", "", "fit", "auto_layout")
        menu = QMenu(editor)
        menu.aboutToHide.connect(menu.deleteLater)
        if what is None and not editor.read_only:
            find = QAction(self._actions["find_tool"].icon(), self._actions["find_tool"].text(), menu)
            find.triggered.connect(lambda: self.search_at(scene_at, global_at))
            menu.addAction(find)
        for name in names:
            menu.addAction(self._actions[name]) if name else menu.addSeparator()
        menu.popup(global_at)

    def _fill_samples(self) -> None:
        """List the samples in the File menu."""
        menu = self._bench.window.samples_menu
        menu.clear()
        for sample in self._bench.samples:
            action = QAction(sample.graph.name, menu)
            action.triggered.connect(lambda _=False, name=sample.name: self._bench.open_sample(name))
            menu.addAction(action)

    def _fill_recent(self) -> None:
        menu = self._bench.window.recent_menu
        menu.clear()
        for path in self._bench.settings.recent_files:
            action = QAction(path.name, menu)
            action.setToolTip(str(path))
            action.triggered.connect(lambda _=False, path=path: self._bench.filing.open_file(path))
            menu.addAction(action)
        if menu.isEmpty():
            nothing = QAction("Nothing yet", menu)
            nothing.setEnabled(False)
            menu.addAction(nothing)

"""Opening, saving and closing workflows: files and the database. Nothing here waits for a disk or a question."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, QStandardPaths, Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from engine.model.graph import GraphDefinition
from engine.model.tool import Catalog
from wfe_desktop.background import Background
from wfe_desktop.canvas.export import ExportError
from wfe_desktop.dialogs.question import DISCARD, NO, YES, ask
from wfe_desktop.document.autosave import Autosave, Recovered
from wfe_desktop.document.document import NEW_NAME, WorkflowDocument
from wfe_desktop.document.files import SUFFIX, load_graph_file, save_graph_file
from wfe_desktop.document.names import make_unique
from wfe_desktop.editors import Editor, Editors
from wfe_desktop.messages import Messages
from wfe_desktop.settings import Settings

FILTER = f"Workflows (*{SUFFIX} *.json);;All files (*)"
PICTURES = "Pictures (*.svg *.png)"
Then = Callable[[], object]


def file_name(title: str) -> str:
    """A file name for a workflow of this title."""
    kept = "".join(c if c.isalnum() or c in " -_" else " " for c in title)
    return "-".join(kept.lower().split()) or "workflow"


class Filing(QObject):
    """What the File menu does. ``store_requested(Editor, then)``: save it in the database, then go on."""

    store_requested = Signal(Editor, object)

    def __init__(
        self,
        window: QWidget,
        editors: Editors,
        background: Background,
        messages: Messages,
        settings: Settings,
        autosave: Autosave,
    ) -> None:
        super().__init__(window)
        self._window, self._editors, self._background = window, editors, background
        self._messages, self._settings, self._autosave = messages, settings, autosave
        self._catalog: Catalog = {}
        self._folder = Path(
            QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
        )
        editors.close_requested.connect(self.close_editor)

    def set_catalog(self, catalog: Catalog) -> None:
        """The tools that new documents know."""
        self._catalog = catalog

    # ------------------------------------------------------------------------------------------------- opening

    def new(self) -> Editor:
        """An empty workflow."""
        taken = {editor.document.title for editor in self._editors}
        return self._open(
            WorkflowDocument(GraphDefinition(name=make_unique(NEW_NAME, taken, " ")), self._catalog)
        )

    def ask_open(self) -> None:
        """Ask for a file and open it."""
        dialog = self._file_dialog("Open a workflow", FILTER)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(self._open_files)
        dialog.open()

    def _open_files(self, names: list[str]) -> None:
        for name in names:
            self.open_file(Path(name))

    def open_file(self, path: Path) -> None:
        """Open a file, or bring it forward where it is open."""
        path = path.resolve()
        already = self._editors.find(lambda editor: editor.document.file_path == path)
        if already is not None:
            self._editors.bring_forward(already)
            return

        def done(graph: GraphDefinition) -> None:
            self._open(WorkflowDocument(graph, self._catalog, file_path=path))
            self._settings.add_recent_file(path)

        def failed(error: BaseException) -> None:
            self._messages.report(error)
            self.ensure_open()

        self._background.run(lambda: load_graph_file(path), done, failed)

    def ensure_open(self) -> None:
        """There is always a workflow to work on: an empty one, where nothing else is open."""
        if not len(self._editors):
            self.new()

    def open_sample(self, graph: GraphDefinition) -> Editor:
        """Open a workflow that comes with the program, as one of the user's own."""
        already = self._editors.find(lambda editor: editor.document.graph == graph)
        if already is not None:
            self._editors.bring_forward(already)
            return already
        return self._open(WorkflowDocument(graph, self._catalog))

    def open_stored(self, graph: GraphDefinition, graph_id: str, version: int) -> Editor:
        """Open a graph that was read from the database."""
        already = self._editors.find(lambda editor: editor.graph_id == graph_id and not editor.read_only)
        if already is not None:
            self._editors.bring_forward(already)
            return already
        return self._open(WorkflowDocument(graph, self._catalog, graph_id=graph_id, version=version))

    def open_version(self, graph: GraphDefinition, graph_id: str, version: int) -> Editor:
        """Open a version as a run saw it, not to be changed."""
        document = WorkflowDocument(graph, self._catalog, graph_id=graph_id, version=version)
        return self._open(document, note=f"Version {version} of this workflow, as the run saw it. Read only.")

    def open_copy(self, editor: Editor) -> Editor:
        """A new workflow like this one."""
        graph = editor.document.graph
        copy = graph.model_copy(update={"name": f"{graph.name} (copy)"[:200]})
        opened = self._open(WorkflowDocument(copy, self._catalog))
        opened.document.mark_recovered()  # a copy is nowhere saved yet
        return opened

    def open_recovered(self, found: Recovered) -> Editor:
        """Open what a crash left behind, as it was, unsaved."""
        document = WorkflowDocument(
            found.graph,
            self._catalog,
            graph_id=found.graph_id,
            version=found.version,
            file_path=found.file_path,
        )
        document.mark_recovered()
        editor = self._open(document)
        editor.stored = None
        self._background.run(found.discard)
        return editor

    def _open(self, document: WorkflowDocument, note: str = "") -> Editor:
        self._drop_untouched()
        editor = Editor(document, note=note)
        if not editor.read_only:
            self._autosave.watch(document)
        self._editors.add(editor)
        return editor

    def _drop_untouched(self) -> None:
        """An empty, unnamed workflow gives way to what is opened."""
        for editor in self._editors:
            document = editor.document
            untouched = document.is_clean and not document.graph.nodes and not document.undo_stack.count()
            if (
                untouched
                and document.file_path is None
                and editor.graph_id is None
                and len(self._editors) == 1
            ):
                self._autosave.forget(document)
                self._editors.remove(editor)

    # -------------------------------------------------------------------------------------------------- saving

    def save(self, editor: Editor, then: Then | None = None) -> None:
        """Save where it came from: its file, the database, or a file that is asked for."""
        if editor.document.file_path is not None:
            self.save_to(editor, editor.document.file_path, then)
        elif editor.graph_id is not None and not editor.read_only:
            self.store_requested.emit(editor, then)
        else:
            self.ask_save(editor, then)

    def ask_save(self, editor: Editor, then: Then | None = None) -> None:
        """Ask for a file and save there."""
        dialog = self._file_dialog("Save the workflow", FILTER)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(SUFFIX.removeprefix("."))
        dialog.selectFile(file_name(editor.document.title) + SUFFIX)
        dialog.fileSelected.connect(lambda name: self.save_to(editor, Path(name), then))
        dialog.open()

    def save_to(self, editor: Editor, path: Path, then: Then | None = None) -> None:
        """Write the file; what is edited meanwhile stays unsaved."""
        graph = editor.document.graph

        def done(_: None) -> None:
            if editor.document.graph is graph:
                editor.document.mark_saved(file_path=path.resolve())
            self._settings.add_recent_file(path)
            self._messages.success(f"Saved as {path.name}.")
            if then is not None:
                then()

        self._background.run(lambda: save_graph_file(path, graph), done, owner=editor)

    def ask_export(self, editor: Editor) -> None:
        """Ask for a picture file and draw the workflow there."""
        dialog = self._file_dialog("Export a picture", PICTURES)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("svg")
        dialog.selectFile(f"{file_name(editor.document.title)}.svg")
        dialog.fileSelected.connect(lambda name: self.export(editor, Path(name)))
        dialog.open()

    def export(self, editor: Editor, path: Path) -> None:
        """Draw the workflow to a file: PNG by its name, else SVG."""
        try:
            if path.suffix.lower() == ".png":
                editor.canvas.export_png(path)
            else:
                editor.canvas.export_svg(path)
        except ExportError as error:
            self._messages.error(str(error))
            return
        self._messages.success(f"The picture is in {path.name}.")

    def _file_dialog(self, title: str, filters: str) -> QFileDialog:
        dialog = QFileDialog(self._window, title, str(self._folder), filters)
        dialog.finished.connect(lambda _: self._remember_folder(dialog))
        return dialog

    def _remember_folder(self, dialog: QFileDialog) -> None:
        self._folder = Path(dialog.directory().absolutePath())
        dialog.deleteLater()

    # ------------------------------------------------------------------------------------------------- closing

    def close_editor(self, editor: Editor) -> None:
        """Close a workflow, asking first where something would be lost."""
        self._ask_then(editor, lambda: self._close(editor))

    def close_all(self, then: Then) -> None:
        """Ask about each workflow that is not saved; ``then`` once nothing would be lost, never where it is cancelled."""
        unsaved = self._editors.find(lambda editor: not editor.document.is_clean)
        if unsaved is None:
            then()
            return

        def go_on() -> None:
            if unsaved in list(self._editors):
                self._close(unsaved)
            self.close_all(then)

        self._editors.bring_forward(unsaved)
        self._ask_then(unsaved, go_on)

    def _ask_then(self, editor: Editor, go_on: Then) -> None:
        if editor.document.is_clean:
            go_on()
            return
        ask(
            self._window,
            "unsaved_box",
            "Unsaved changes",
            f"Save the changes to “{editor.document.title}”?",
            "They are lost if you don't.",
            (
                ("Save", YES, lambda: self.save(editor, go_on)),
                ("Don't save", DISCARD, go_on),
                ("Cancel", NO, None),
            ),
        )

    def _close(self, editor: Editor) -> None:
        self._autosave.forget(editor.document)
        self._editors.remove(editor)
        self.ensure_open()

"""``wfe export FILE``: a picture of a workflow, without a window."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from engine.errors import WorkflowError
from wfe_desktop.document.files import load_graph_file
from wfe_desktop.listings import load_tools
from wfe_desktop.options import StartOptions
from wfe_desktop.terminal import notice


def export_file(path: Path, pictures: Sequence[Path], theme: str, options: StartOptions) -> int:
    """Draws a workflow file into each of ``pictures``, SVG or PNG by their names.

    Raises:
        WorkflowError, WorkflowFileError: the file cannot be read, a picture cannot be written, or this system
            lacks the libraries to draw with.
    """
    graph = load_graph_file(path)
    catalog = load_tools(options.to_config()).list_tools()
    os.environ["QT_QPA_PLATFORM"] = "offscreen"  # nothing is shown, so no display is needed
    os.environ.setdefault("QT_API", "pyside6")
    os.environ.setdefault("QT_PREFERRED_BINDING", "PySide6")
    try:
        from PySide6.QtWidgets import QApplication

        from wfe_desktop.canvas.adapter import export_graph
        from wfe_desktop.canvas.export import ExportError
        from wfe_desktop.theme import THEMES, apply_theme
    except ImportError as error:
        raise WorkflowError(f"Drawing needs libraries that this system lacks: {error}") from error
    app = QApplication(["wfe"])
    apply_theme(app, THEMES[theme])
    for picture in pictures:
        try:
            export_graph(graph, catalog, picture, THEMES[theme])
        except ExportError as error:
            raise WorkflowError(str(error)) from error
        notice(f"{picture} is written.")
    return 0

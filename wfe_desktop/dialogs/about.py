"""What this program is, and on what it stands."""

from __future__ import annotations

import platform
from importlib import metadata

import PySide6
from PySide6.QtCore import Qt, qVersion
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget


def program_version() -> str:
    """The installed version; ``0`` where it runs from a copy that was never installed."""
    try:
        return metadata.version("agent-workflow-engine")
    except metadata.PackageNotFoundError:
        return "0"


class AboutDialog(QDialog):
    """Names, versions, and where the data is."""

    def __init__(self, parent: QWidget, database: str, address: str, log_file: str) -> None:
        super().__init__(parent)
        self.setWindowTitle("About")
        self.setMinimumWidth(440)
        column = QVBoxLayout(self)
        column.setContentsMargins(24, 20, 24, 16)
        column.setSpacing(8)
        lines = (
            ("Agent Workflow Engine", "title"),
            ("Draw a workflow of Python functions, run it, watch it, and drive it over HTTP.", ""),
            (f"Version {program_version()}", "second"),
            (
                f"Python {platform.python_version()} · Qt {qVersion()} · PySide {PySide6.__version__}",
                "second",
            ),
            (f"Database: {database}", "second"),
            (f"Server: {address or 'not running'}", "second"),
            (f"Log: {log_file}", "second"),
            ("MIT licence. Typefaces: Inter and JetBrains Mono (OFL).", "second"),
        )
        for text, role in lines:
            label = QLabel(text)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setProperty("role", role)
            column.addWidget(label)
        close = QPushButton("Close")
        close.setDefault(True)
        close.clicked.connect(self.accept)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(close)
        column.addStretch(1)
        column.addSpacing(8)
        column.addLayout(row)
        self.resize(self.minimumWidth(), 300)

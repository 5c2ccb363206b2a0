"""What the window remembers between starts: a small ini file in the user's configuration folder."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QByteArray, QSettings

MOST_RECENT_FILES = 8
MOST_RECENT_TOOLS = 4


class Settings:
    """Typed access to the ini file. Use it on the GUI thread."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._store = QSettings(str(path), QSettings.Format.IniFormat)

    @property
    def theme(self) -> str:
        """``dark`` or ``light``."""
        return "light" if self._text("window/theme") == "light" else "dark"

    @theme.setter
    def theme(self, name: str) -> None:
        self._store.setValue("window/theme", name)

    @property
    def geometry(self) -> QByteArray | None:
        """Where the window was, as ``saveGeometry`` gave it."""
        return self._bytes("window/geometry")

    @geometry.setter
    def geometry(self, value: QByteArray) -> None:
        self._store.setValue("window/geometry", value)

    @property
    def docks(self) -> QByteArray | None:
        """How the docks lay, as ``saveState`` gave it."""
        return self._bytes("window/docks")

    @docks.setter
    def docks(self, value: QByteArray) -> None:
        self._store.setValue("window/docks", value)

    @property
    def recent_files(self) -> list[Path]:
        """Workflow files, the latest first, that still exist."""
        return [path for path in map(Path, self._list("recent/files")) if path.is_file()]

    def add_recent_file(self, path: Path) -> None:
        """Put a file at the top of the list."""
        self._add("recent/files", str(path.resolve()), MOST_RECENT_FILES)

    @property
    def recent_tools(self) -> list[str]:
        """Names of the tools that were placed last, the latest first."""
        return self._list("recent/tools")

    def add_recent_tool(self, name: str) -> None:
        """Put a tool at the top of the list."""
        self._add("recent/tools", name, MOST_RECENT_TOOLS)

    @property
    def session(self) -> list[str]:
        """What was open when the window closed: ``file:PATH`` or ``graph:ID``, in the order of the tabs."""
        return self._list("session/open")

    @session.setter
    def session(self, entries: list[str]) -> None:
        self._store.setValue("session/open", entries)

    @property
    def was_started_before(self) -> bool:
        """Whether the program has run on this account before."""
        return self._text("session/started") == "yes"

    def remember_start(self) -> None:
        """From now on it has been started before."""
        self._store.setValue("session/started", "yes")

    def save(self) -> None:
        """Write to disk now."""
        self._store.sync()

    def _text(self, key: str) -> str:
        return str(self._store.value(key, ""))

    def _bytes(self, key: str) -> QByteArray | None:
        value = self._store.value(key)
        return value if isinstance(value, QByteArray) and not value.isEmpty() else None

    def _list(self, key: str) -> list[str]:
        value = self._store.value(key)
        if isinstance(value, str):  # QSettings gives a list of one back as a text
            return [value] if value else []
        return [str(item) for item in value] if isinstance(value, list) else []

    def _add(self, key: str, item: str, most: int) -> None:
        items = [item, *(other for other in self._list(key) if other != item)]
        self._store.setValue(key, items[:most])

"""Every action of the window with its shortcut, in one table. docs/keyboard.md is held against it by a test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence

from wfe_desktop import theme


class Menu(Enum):
    """The menus, in order."""

    FILE = "&File"
    EDIT = "&Edit"
    VIEW = "&View"
    RUN = "&Run"
    TOOLS = "&Tools"
    HELP = "&Help"


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action. A line in the menu comes before it where ``separator``; ``keys`` are alternatives."""

    name: str
    menu: Menu
    text: str
    keys: tuple[str, ...] = ()
    icon: str = ""
    tip: str = ""
    separator: bool = False
    checkable: bool = False


F, E, V, R, T, H = Menu.FILE, Menu.EDIT, Menu.VIEW, Menu.RUN, Menu.TOOLS, Menu.HELP

ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec("new", F, "&New workflow", ("Ctrl+N",), "new"),
    ActionSpec("open", F, "&Open file…", ("Ctrl+O",), "open"),
    ActionSpec("open_database", F, "Open from &database…", ("Ctrl+Shift+O",), "server"),
    ActionSpec("save", F, "&Save", ("Ctrl+S",), "save", separator=True),
    ActionSpec("save_as", F, "Save &as…", ("Ctrl+Shift+S",)),
    ActionSpec("save_database", F, "Save &in database", ("Ctrl+Alt+S",), "server"),
    ActionSpec("export_picture", F, "&Export picture…", ("Ctrl+E",), "export", separator=True),
    ActionSpec("close", F, "&Close workflow", ("Ctrl+W",), separator=True),
    ActionSpec("quit", F, "&Quit", ("Ctrl+Q",)),
    ActionSpec("undo", E, "&Undo", ("Ctrl+Z",), "undo"),
    ActionSpec("redo", E, "&Redo", ("Ctrl+Shift+Z", "Ctrl+Y"), "redo"),
    ActionSpec("cut", E, "Cu&t", ("Ctrl+X",), "cut", separator=True),
    ActionSpec("copy", E, "&Copy", ("Ctrl+C",), "copy"),
    ActionSpec("paste", E, "&Paste", ("Ctrl+V",), "paste"),
    ActionSpec("duplicate", E, "D&uplicate", ("Ctrl+D",)),
    ActionSpec("delete", E, "&Delete", ("Del",), "trash"),
    ActionSpec("select_all", E, "Select &all", ("Ctrl+A",), separator=True),
    ActionSpec(
        "find_tool", E, "&Find a tool…", ("Tab",), "search", "Search for a tool and place it on the canvas"
    ),
    ActionSpec(
        "commands", V, "&Commands…", ("Ctrl+Shift+P",), "terminal", "Search everything that can be done"
    ),
    ActionSpec("fit", V, "&Fit the workflow", ("F",), "fit", separator=True),
    ActionSpec("zoom_100", V, "&100 %", ("Ctrl+0",), "zoom-100"),
    ActionSpec("zoom_in", V, "Zoom &in", ("Ctrl++", "Ctrl+="), "zoom-in"),
    ActionSpec("zoom_out", V, "Zoom &out", ("Ctrl+-",), "zoom-out"),
    ActionSpec(
        "auto_layout", V, "Auto &layout", ("Ctrl+L",), "layout", "Arrange the nodes from left to right"
    ),
    ActionSpec("show_palette", V, "&Palette", ("Ctrl+1",), separator=True, checkable=True),
    ActionSpec("show_inspector", V, "&Inspector", ("Ctrl+2",), checkable=True),
    ActionSpec("show_runs", V, "&Runs", ("Ctrl+3",), "history"),
    ActionSpec("show_log", V, "&Log", ("Ctrl+4",), "terminal"),
    ActionSpec("show_state", V, "&State", ("Ctrl+5",), "category-data"),
    ActionSpec("show_problems", V, "Pro&blems", ("Ctrl+6",), "warning"),
    ActionSpec("show_bottom", V, "&Bottom panel", ("Ctrl+J",), checkable=True),
    ActionSpec("toggle_theme", V, "Dark or light &theme", ("Ctrl+Shift+L",), "moon", separator=True),
    ActionSpec("run", R, "&Run", ("F5",), "run", "Run the workflow"),
    ActionSpec("run_with_input", R, "Run with &input…", ("Ctrl+F5",), "", "Set the initial state, then run"),
    ActionSpec("stop", R, "&Stop", ("Shift+F5",), "stop", "Stop the run that is shown"),
    ActionSpec(
        "retry_run",
        R,
        "Go on from the fai&lure",
        ("Ctrl+Shift+F5",),
        "redo",
        "Try again what failed in the run that is shown, and go on from there",
    ),
    ActionSpec(
        "fork_run",
        R,
        "Run again from &here…",
        ("Ctrl+F10",),
        "history",
        "A new run from the selected step of the run that is shown; what ran before is taken over",
    ),
    ActionSpec(
        "pause", R, "&Pause", ("F6",), "pause", "Let running steps finish and start no more", separator=True
    ),
    ActionSpec("step", R, "S&tep", ("F10",), "step", "Let the paused run start one step more"),
    ActionSpec("toggle_breakpoint", R, "&Breakpoint", ("F9",), "dot", "Pause runs before the selected nodes"),
    ActionSpec("clear_breakpoints", R, "Remove all brea&kpoints", ("Ctrl+Shift+F9",)),
    ActionSpec(
        "clear_run",
        R,
        "&Hide the run",
        ("Shift+Esc",),
        "",
        "Show the workflow without the run's marks",
        separator=True,
    ),
    ActionSpec(
        "set_entry", T, "Start &here", ("Ctrl+Return",), "entry", "Make the selected node the entry, or not"
    ),
    ActionSpec(
        "edit_condition", T, "Edit the &condition", ("F2",), "edit", "Edit the selected edge's condition"
    ),
    ActionSpec("search_tools", T, "Search in the &palette", ("Ctrl+F",), "search"),
    ActionSpec(
        "open_server",
        T,
        "Open the &server's page",
        (),
        "server",
        "Open the address in a browser",
        separator=True,
    ),
    ActionSpec("shortcuts", H, "&Keyboard shortcuts", ("F1",), "keyboard"),
    ActionSpec("about", H, "&About", (), "info"),
)

CANVAS_ONLY = frozenset({"find_tool", "fit", "delete", "cut", "copy", "paste", "select_all", "set_entry"})
"""Keys that a text field or a list needs for itself: these actions are taken from the keyboard on the canvas only."""


class Actions:
    """The QActions by name: ``actions["run"]``."""

    def __init__(self, parent: QObject) -> None:
        self._by_name: dict[str, QAction] = {}
        for spec in ACTIONS:
            action = QAction(spec.text, parent)
            action.setObjectName(spec.name)
            action.setShortcuts([QKeySequence(keys) for keys in spec.keys])
            action.setCheckable(spec.checkable)
            plain = plain_text(spec.text)
            action.setToolTip(f"{spec.tip or plain} ({spec.keys[0]})" if spec.keys else spec.tip or plain)
            self._by_name[spec.name] = action
        self.set_icons()

    def __getitem__(self, name: str) -> QAction:
        return self._by_name[name]

    def __iter__(self) -> Iterator[QAction]:
        return iter(self._by_name.values())

    def set_icons(self) -> None:
        """Draw the icons in the colours of the current theme."""
        colors = theme.current_theme()
        failed = colors.status["failed"]
        special = {"run": colors.on_accent, "stop": failed, "toggle_breakpoint": failed}
        for spec in ACTIONS:
            if spec.icon:
                name = ("sun" if colors.is_dark else "moon") if spec.name == "toggle_theme" else spec.icon
                self._by_name[spec.name].setIcon(theme.icon(name, special.get(spec.name, colors.text_second)))


def plain_text(text: str) -> str:
    """A menu text without its mnemonic and dots."""
    return text.replace("&", "").removesuffix("…")

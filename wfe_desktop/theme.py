"""How everything looks: the only place that names a colour, a type size or a distance.

``apply_theme(app, DARK)`` dresses the program; ``current_theme()`` is what it wears. A widget that paints by itself
asks for the theme when it paints, or listens for ``QEvent.Type.PaletteChange``.

Dynamic properties the style sheet knows:

* ``QPushButton``: ``accent=True`` (one a screen), ``flat=True``, ``danger=True``
* ``QLabel``: ``role`` = ``title``, ``heading``, ``second``, ``faint``, ``section``, ``error``, ``warning``, ``success``,
  ``badge``, ``key`` (a keyboard key)
* ``QLineEdit``, ``QPlainTextEdit``, ``QTextEdit``, ``QLabel``: ``code=True`` (the code face), ``invalid=True``
* ``QCheckBox``: ``toggle=True`` (a switch); ``QFrame``: ``card=True``; ``QWidget``: ``panel=True``
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import cast

from PySide6.QtCore import QByteArray, QObject, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication

from engine.model.status import RunStatus, StepStatus
from engine.model.tool import PortType

# ------------------------------------------------------------------------------------------------- sizes, in pixels

SPACE = 4
"""Every distance is a multiple of this."""
CONTROL_HEIGHT = 30
CORNER = 7
PALETTE_WIDTH = 236
INSPECTOR_WIDTH = 316
BOTTOM_HEIGHT = 224

TEXT_SIZE = 13.0
TEXT_SECOND_SIZE = 11.5
TEXT_DENSE_SIZE = 12.0
CODE_SIZE = 11.5
TITLE_SIZE = 15.0
"""Nothing moves for longer; nothing moves at all where the system asks for that."""

UI_FAMILY = "Inter"
CODE_FAMILY = "JetBrains Mono"


@dataclass(frozen=True, slots=True)
class NodeMetrics:
    """The anatomy of a node on the canvas, in scene pixels."""

    min_width: float = 160.0
    max_width: float = 280.0
    corner: float = 9.0
    header: float = 40.0
    row: float = 22.0
    padding: float = 10.0
    tile: float = 20.0
    tile_corner: float = 5.0
    port_radius: float = 5.0
    flow_half: float = 6.5
    sign: float = 13.0
    pill_height: float = 16.0
    progress: float = 3.0
    title_size: float = 12.5
    name_size: float = 10.5
    label_size: float = 12.0
    value_size: float = 11.0
    time_size: float = 10.5
    flow_width: float = 2.0
    data_width: float = 1.6
    dot_step: float = 24.0


NODE = NodeMetrics()


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours, as ``#RRGGBB``. ``text_faint`` and the fills of ``status`` are never for information in words."""

    name: str
    is_dark: bool
    canvas: str
    dots: str
    panel: str
    raised: str
    border: str
    node: str
    node_header: str
    text: str
    text_second: str
    text_faint: str
    accent: str
    accent_fill: str
    accent_hover: str
    accent_text: str
    on_accent: str
    selected_row: str
    flow_edge: str
    shadow: str
    status: Mapping[str, str]
    status_text: Mapping[str, str]
    ports: Mapping[PortType, str]
    categories: Mapping[str, str]
    category_others: tuple[str, ...]

    def status_color(self, status: RunStatus | StepStatus | str) -> str:
        """The fill, border or sign of a run's or step's status."""
        return self.status[_status_name(status)]

    def status_text_color(self, status: RunStatus | StepStatus | str) -> str:
        """The same for words: at least 4.5:1 on panel, canvas, node and selected row."""
        return self.status_text[_status_name(status)]

    def port_color(self, port_type: PortType) -> str:
        """The colour of a port of this type and of the wires that leave it."""
        return self.ports[port_type]

    def category_color(self, category: str) -> str:
        """The colour of a category of tools; one that is not known keeps the one its name picks."""
        known = self.categories.get(category.strip().lower())
        if known is not None:
            return known
        return self.category_others[zlib.crc32(category.encode()) % len(self.category_others)]


def _status_name(status: RunStatus | StepStatus | str) -> str:
    return status.value if isinstance(status, (RunStatus, StepStatus)) else status


_STATUS = MappingProxyType(
    {
        "completed": "#2FB170",
        "running": "#F0A020",
        "failed": "#EF4E6B",
        "waiting": "#4C9AFF",
        "paused": "#4C9AFF",
        "skipped": "#8791A3",
        "pending": "#8791A3",
        "cancelled": "#8791A3",
        "warning": "#F0A020",
        "error": "#EF4E6B",
    }
)

_PORTS = MappingProxyType(
    {
        PortType.TEXT: "#6FBF73",
        PortType.NUMBER: "#4FA3E3",
        PortType.BOOLEAN: "#E39B4F",
        PortType.LIST: "#A98AE0",
        PortType.OBJECT: "#DE7398",
        PortType.ANY: "#8E99AB",
    }
)

_CATEGORIES = MappingProxyType(
    {
        "code": "#4DB6AC",
        "code review": "#4DB6AC",
        "control": "#A98AE0",
        "text": "#6FBF73",
        "numbers": "#4FA3E3",
        "math": "#4FA3E3",
        "files": "#E39B4F",
        "data": "#DE7398",
        "json": "#DE7398",
        "http": "#5FA8D3",
        "network": "#5FA8D3",
        "web": "#5FA8D3",
        "state": "#C9A227",
        "report": "#6FBF73",
        "general": "#8E99AB",
        "other": "#8E99AB",
    }
)

_CATEGORY_OTHERS = ("#4DB6AC", "#A98AE0", "#6FBF73", "#4FA3E3", "#E39B4F", "#DE7398", "#C9A227", "#7C93E8")

DARK = Theme(
    name="dark",
    is_dark=True,
    canvas="#15171C",
    dots="#262A33",
    panel="#1B1E25",
    raised="#232731",
    border="#2D323D",
    node="#20242D",
    node_header="#282D38",
    text="#E7E9EE",
    text_second="#98A1B0",
    text_faint="#667085",
    accent="#5B8DEF",
    accent_fill="#3B6FD9",
    accent_hover="#4678DE",
    accent_text="#7BA5F5",
    on_accent="#FFFFFF",
    selected_row="#2A3550",
    flow_edge="#8791A3",
    shadow="#000000",
    status=_STATUS,
    status_text=MappingProxyType(
        {
            "completed": "#3BBF7D",
            "running": "#F0A020",
            "failed": "#FF7088",
            "waiting": "#62A7FF",
            "paused": "#62A7FF",
            "skipped": "#98A1B0",
            "pending": "#98A1B0",
            "cancelled": "#98A1B0",
            "warning": "#F0A020",
            "error": "#FF7088",
        }
    ),
    ports=_PORTS,
    categories=_CATEGORIES,
    category_others=_CATEGORY_OTHERS,
)

LIGHT = Theme(
    name="light",
    is_dark=False,
    canvas="#F4F5F8",
    dots="#D9DDE5",
    panel="#FFFFFF",
    raised="#F7F8FA",
    border="#DEE2E9",
    node="#FFFFFF",
    node_header="#F1F3F7",
    text="#1A1F29",
    text_second="#5A6475",
    text_faint="#8A94A6",
    accent="#2F6BE0",
    accent_fill="#2F6BE0",
    accent_hover="#2560D0",
    accent_text="#2560D0",
    on_accent="#FFFFFF",
    selected_row="#E4EDFF",
    flow_edge="#7B8597",
    shadow="#1A1F29",
    status=_STATUS,
    status_text=MappingProxyType(
        {
            "completed": "#0F7345",
            "running": "#8A5A00",
            "failed": "#C4213F",
            "waiting": "#1B62C4",
            "paused": "#1B62C4",
            "skipped": "#5A6475",
            "pending": "#5A6475",
            "cancelled": "#5A6475",
            "warning": "#8A5A00",
            "error": "#C4213F",
        }
    ),
    ports=_PORTS,
    categories=_CATEGORIES,
    category_others=_CATEGORY_OTHERS,
)

THEMES: Mapping[str, Theme] = MappingProxyType({"dark": DARK, "light": LIGHT})

STATUS_ICONS: Mapping[str, str] = MappingProxyType(
    {
        "completed": "check",
        "running": "running",
        "failed": "cross",
        "waiting": "person",
        "paused": "pause",
        "skipped": "dash",
        "pending": "ring",
        "cancelled": "cancelled",
        "warning": "warning",
        "error": "error",
    }
)
"""The sign that goes with a status; colour alone never says it."""

_CATEGORY_ICONS = MappingProxyType(
    {
        "code": "category-code",
        "code review": "category-code",
        "control": "category-control",
        "text": "category-text",
        "report": "category-text",
        "numbers": "category-numbers",
        "math": "category-numbers",
        "files": "category-files",
        "data": "category-data",
        "json": "category-data",
        "http": "category-network",
        "network": "category-network",
        "web": "category-network",
        "state": "category-state",
    }
)


def category_icon(category: str) -> str:
    """The name of a category's icon."""
    return _CATEGORY_ICONS.get(category.strip().lower(), "category-other")


# -------------------------------------------------------------------------------------------------------------- type


@cache
def load_fonts() -> tuple[str, str]:
    """The families for text and for code: ours where the files are there, the system's where not. Needs an app."""
    for entry in resources.files("resources").joinpath("fonts").iterdir():
        if entry.name.endswith((".otf", ".ttf")):
            QFontDatabase.addApplicationFontFromData(QByteArray(entry.read_bytes()))
    families = set(QFontDatabase.families())
    ui = UI_FAMILY if UI_FAMILY in families else QGuiApplication.font().family()
    fixed = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
    return ui, CODE_FAMILY if CODE_FAMILY in families else fixed


def points(pixels: float) -> float:
    """Pixels as points on the primary screen: Qt takes fractions of points only."""
    screen = QGuiApplication.primaryScreen()
    return pixels * 72.0 / (screen.logicalDotsPerInch() if screen is not None else 96.0)


@lru_cache(maxsize=128)
def _font(family: str, size: float, weight: QFont.Weight) -> QFont:
    font = QFont(family)
    font.setPointSizeF(size)
    font.setWeight(weight)
    return font


def ui_font(size: float = TEXT_SIZE, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """The text face at ``size`` pixels."""
    return _font(load_fonts()[0], points(size), weight)


def code_font(size: float = CODE_SIZE) -> QFont:
    """The code face at ``size`` pixels: expressions, JSON, times."""
    return _font(load_fonts()[1], points(size), QFont.Weight.Normal)


# ------------------------------------------------------------------------------------------------------------- icons


@cache
def _icon_source(name: str) -> str:
    return resources.files("resources").joinpath("icons", f"{name}.svg").read_text(encoding="utf-8")


def icon_names() -> list[str]:
    """Every icon there is."""
    folder = resources.files("resources").joinpath("icons")
    return sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".svg"))


@lru_cache(maxsize=512)
def icon_renderer(name: str, color: str) -> QSvgRenderer:
    """An icon as vectors in one colour. Raises FileNotFoundError for a name there is no icon of."""
    return QSvgRenderer(QByteArray(_icon_source(name).replace("currentColor", color).encode()))


@lru_cache(maxsize=1024)
def icon_pixmap(name: str, color: str, size: float = 16.0, ratio: float = 2.0) -> QPixmap:
    """An icon of ``size`` pixels, drawn with ``ratio`` device pixels each."""
    pixmap = QPixmap(QSize(round(size * ratio), round(size * ratio)))
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    icon_renderer(name, color).render(painter, QRectF(0, 0, pixmap.width(), pixmap.height()))
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


@lru_cache(maxsize=512)
def icon(name: str, color: str | None = None) -> QIcon:
    """An icon for actions and rows, in ``color`` (the current theme's text colour where left out)."""
    theme = current_theme()
    result = QIcon()
    for size in (16, 20, 24, 32, 48, 64):
        result.addPixmap(icon_pixmap(name, color or theme.text, size, 1.0), QIcon.Mode.Normal)
        result.addPixmap(icon_pixmap(name, theme.text_faint, size, 1.0), QIcon.Mode.Disabled)
    return result


def forget_pictures() -> None:
    """Let go of all icons and fonts that are kept: they must not outlive the application."""
    for kept in (icon, icon_pixmap, icon_renderer, _font, load_fonts):
        kept.cache_clear()


# ------------------------------------------------------------------------------------------------------ the program

_THEME_PROPERTY = "wfe_theme"


def current_theme() -> Theme:
    """The theme the program wears; dark before ``apply_theme``."""
    app = QGuiApplication.instance()
    return THEMES.get(str(app.property(_THEME_PROPERTY)), DARK) if app is not None else DARK


def status_color(status: RunStatus | StepStatus | str) -> QColor:
    """The current theme's colour of a status."""
    return QColor(current_theme().status_color(status))


def port_color(port_type: PortType) -> QColor:
    """The current theme's colour of a port type."""
    return QColor(current_theme().port_color(port_type))


def category_color(category: str) -> QColor:
    """The current theme's colour of a category."""
    return QColor(current_theme().category_color(category))


class _StyleImages(QObject):
    """The few pictures a style sheet can only name by file: written to a folder that goes with the program."""

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        self.setObjectName("wfe_style_images")
        self._folder = Path(tempfile.mkdtemp(prefix="wfe-style-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def file(self, name: str, color: str) -> str:
        path = self._folder / f"{name}-{color[1:]}.svg"
        if not path.exists():
            path.write_text(_icon_source(name).replace("currentColor", color), encoding="utf-8")
        return path.as_posix()

    def switch(self, theme: Theme, *, on: bool) -> str:
        path = self._folder / f"switch-{theme.name}-{on}.svg"
        if not path.exists():
            track, knob = (theme.accent_fill, theme.on_accent) if on else (theme.border, theme.text_second)
            path.write_text(
                '<svg xmlns="http://www.w3.org/2000/svg" width="34" height="18" viewBox="0 0 34 18">'
                f'<rect width="34" height="18" rx="9" fill="{track}"/>'
                f'<circle cx="{25 if on else 9}" cy="9" r="7" fill="{knob}"/></svg>',
                encoding="utf-8",
            )
        return path.as_posix()


def _palette(theme: Theme) -> QPalette:
    role = QPalette.ColorRole
    colors = {
        role.Window: theme.panel,
        role.WindowText: theme.text,
        role.Base: theme.panel,
        role.AlternateBase: theme.raised,
        role.Text: theme.text,
        role.PlaceholderText: theme.text_second,
        role.Button: theme.raised,
        role.ButtonText: theme.text,
        role.BrightText: theme.status["failed"],
        role.Light: theme.raised,
        role.Midlight: theme.raised,
        role.Mid: theme.border,
        role.Dark: theme.border,
        role.Shadow: theme.shadow,
        role.Highlight: theme.selected_row,
        role.HighlightedText: theme.text,
        role.Accent: theme.accent,
        role.Link: theme.accent_text,
        role.LinkVisited: theme.accent_text,
        role.ToolTipBase: theme.raised,
        role.ToolTipText: theme.text,
    }
    palette = QPalette()
    for where, color in colors.items():
        palette.setColor(where, QColor(color))
    for where in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(QPalette.ColorGroup.Disabled, where, QColor(theme.text_faint))
    return palette


def style_sheet(app: QApplication, theme: Theme) -> str:
    """The program's one style sheet, filled with the theme's tokens."""
    images = cast("_StyleImages | None", app.findChild(_StyleImages, "wfe_style_images"))
    if images is None:
        images = _StyleImages(app)
    ui, code = load_fonts()
    template = Template(
        resources.files("resources").joinpath("styles", "window.qss").read_text(encoding="utf-8")
    )
    tokens = {name: getattr(theme, name) for name in Theme.__dataclass_fields__}
    return template.substitute(
        {name: value for name, value in tokens.items() if isinstance(value, str)},
        failed=theme.status["failed"],
        failed_text=theme.status_text["failed"],
        warning_text=theme.status_text["running"],
        completed_text=theme.status_text["completed"],
        ui_family=ui,
        code_family=code,
        size_text=f"{points(TEXT_SIZE):.4g}pt",
        size_second=f"{points(TEXT_SECOND_SIZE):.4g}pt",
        size_dense=f"{points(TEXT_DENSE_SIZE):.4g}pt",
        size_code=f"{points(CODE_SIZE):.4g}pt",
        size_title=f"{points(TITLE_SIZE):.4g}pt",
        corner=f"{CORNER}px",
        image_down=images.file("chevron-down", theme.text_second),
        image_up=images.file("chevron-up", theme.text_second),
        image_right=images.file("chevron-right", theme.text_second),
        image_left=images.file("chevron-left", theme.text_second),
        image_check=images.file("check", theme.on_accent),
        image_dash=images.file("dash", theme.on_accent),
        image_dot=images.file("dot", theme.on_accent),
        image_menu_check=images.file("check", theme.accent_text),
        image_close=images.file("close", theme.text_second),
        image_switch_on=images.switch(theme, on=True),
        image_switch_off=images.switch(theme, on=False),
    )


def apply_theme(app: QApplication, theme: Theme) -> None:
    """Dress the whole program: style, palette, fonts and style sheet. Again with another theme, at any time."""
    app.setProperty(_THEME_PROPERTY, theme.name)
    icon.cache_clear()  # without a colour it follows the theme, and so does the look of a disabled one
    if app.property("wfe_style") is None:
        app.setStyle("Fusion")
        app.setProperty("wfe_style", "Fusion")
    app.setFont(ui_font())
    app.setPalette(_palette(theme))
    app.setStyleSheet(style_sheet(app, theme))

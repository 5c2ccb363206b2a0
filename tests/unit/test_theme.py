"""The tokens hold what the design promises of them."""

import re

import pytest

from engine.model.status import RunStatus, StepStatus
from engine.model.tool import PortType
from wfe_desktop import theme as themes
from wfe_desktop.theme import DARK, LIGHT, Theme


def luminance(color: str) -> float:
    def linear(channel: float) -> float:
        return channel / 12.92 if channel <= 0.03928 else ((channel + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(color[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, "contrast ratio"."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


BOTH = pytest.mark.parametrize("theme", [DARK, LIGHT], ids=["dark", "light"])


def backgrounds(theme: Theme) -> list[str]:
    return [theme.canvas, theme.panel, theme.raised, theme.node, theme.node_header, theme.selected_row]


@BOTH
def test_status_words_can_be_read_on_every_background(theme):
    for status, color in theme.status_text.items():
        for background in backgrounds(theme):
            assert contrast(color, background) >= 4.5, (status, color, background)


@BOTH
def test_text_second_text_and_links_can_be_read_on_every_background(theme):
    for color in (theme.text, theme.text_second, theme.accent_text):
        for background in backgrounds(theme):
            assert contrast(color, background) >= 4.5, (color, background)


@BOTH
def test_words_on_the_accent_button_can_be_read(theme):
    for fill in (theme.accent_fill,):
        assert contrast(theme.on_accent, fill) >= 4.5


@BOTH
def test_status_signs_stand_out_from_the_node(theme):
    for status, color in theme.status.items():
        needed = 3.0 if theme.is_dark else 2.0  # never alone: border, sign and words go with it
        assert contrast(color, theme.node) >= needed, status


@BOTH
def test_every_status_and_port_type_has_its_colour_and_sign(theme):
    for status in (*RunStatus, *StepStatus):
        assert re.fullmatch("#[0-9A-F]{6}", theme.status_color(status))
        assert themes.STATUS_ICONS[status.value] in themes.icon_names()
    for port_type in PortType:
        assert re.fullmatch("#[0-9A-F]{6}", theme.port_color(port_type))


@BOTH
def test_an_unknown_category_keeps_its_colour(theme):
    assert theme.category_color("Astronomy") == theme.category_color("Astronomy")
    assert theme.category_color("Code review") == "#4DB6AC"
    assert themes.category_icon("Astronomy") in themes.icon_names()


def test_the_page_for_browsers_wears_the_same_colours(project_root):
    style = (project_root / "resources" / "page" / "page.css").read_text()
    dark, light = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    tokens = {"dark": dict(re.findall(r"--([\w-]+): (#\w+);", dark))}
    tokens["light"] = tokens["dark"] | dict(re.findall(r"--([\w-]+): (#\w+);", light))
    for theme in (DARK, LIGHT):
        for name, color in tokens[theme.name].items():
            if name.removesuffix("-text") in theme.status:
                wanted = (theme.status_text if name.endswith("-text") else theme.status)[
                    name.removesuffix("-text")
                ]
            else:
                wanted = getattr(theme, name)
            assert color == wanted, (theme.name, name)
    assert not re.search(r"#[0-9A-Fa-f]{3,8}\b|rgb", style[style.index("* { box-sizing") :])

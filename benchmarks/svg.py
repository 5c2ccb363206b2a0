"""A line chart as an SVG file, without a library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 76, 170, 40, 48
COLOURS = ("#2563eb", "#ea580c", "#16a34a", "#9333ea")
INK, FAINT, PAPER = "#1f2937", "#e5e7eb", "#ffffff"

Points = Sequence[tuple[float, float]]


def draw_lines(path: Path, title: str, x_label: str, y_label: str, lines: Mapping[str, Points]) -> None:
    """Lines over a logarithmic x axis (0 stands at its left end); the y axis is linear and begins at 0."""
    xs = sorted({x for points in lines.values() for x, _ in points})
    least = min(x for x in xs if x > 0)
    most_y = _round_up(max(y for points in lines.values() for _, y in points))
    low = math.log10(least) - (1 if 0 in xs else 0)
    high = math.log10(xs[-1])

    def place_x(x: float) -> float:
        share = (math.log10(x) - low) / (high - low) if x > 0 else 0.0
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def place_y(y: float) -> float:
        return HEIGHT - BOTTOM - y / most_y * (HEIGHT - TOP - BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
        _text(LEFT, 22, title, size=14),
        _text(LEFT, HEIGHT - 10, x_label),
        _text(8, 22, y_label, size=11),
    ]
    for step in range(5):
        y = most_y * step / 4
        out.append(
            f'<path d="M{LEFT} {place_y(y):.1f}H{WIDTH - RIGHT}" stroke="{FAINT}"/>'
            + _text(LEFT - 6, place_y(y) + 4, f"{y:g}", anchor="end", size=11)
        )
    out += [
        _text(place_x(x), HEIGHT - BOTTOM + 16, _short(x), anchor="middle", size=11)
        for x in xs
        if x == 0 or x == xs[-1] or (math.log10(x).is_integer() and abs(place_x(x) - place_x(xs[-1])) > 40)
    ]
    for points, colour in zip(lines.values(), COLOURS, strict=False):
        where = [(place_x(x), place_y(y)) for x, y in points]
        path_data = "L".join(f"{x:.1f} {y:.1f}" for x, y in where)
        out.append(f'<path d="M{path_data}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in where]
    ends = {name: place_y(points[-1][1]) + 4 for name, points in lines.items()}
    bottom = -math.inf
    for name, colour in sorted(zip(lines, COLOURS, strict=False), key=lambda item: ends[item[0]]):
        bottom = max(ends[name], bottom + 15)
        out.append(_text(WIDTH - RIGHT + 8, bottom, name, colour=colour))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*out, "</svg>", ""]), encoding="utf-8")


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, colour: str = INK) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">'
        f"{escape(text)}</text>"
    )


def _short(x: float) -> str:
    if x >= 1e6:
        return f"{x / 1e6:g} M"
    return f"{x / 1e3:g} k" if x >= 1e3 else f"{x:g}"


def _round_up(y: float) -> float:
    unit = 10 ** math.floor(math.log10(y))
    return next(step * unit for step in (1, 2, 4, 5, 8, 10) if step * unit >= y)

"""Reads what a docstring says: the summary, and a text a parameter (Google, NumPy and Sphinx styles)."""

from __future__ import annotations

import inspect
import re

_GOOGLE_HEAD = re.compile(r"^(Args|Arguments|Parameters|Params|Keyword Args):\s*$")
_GOOGLE_ITEM = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")
_NUMPY_ITEM = re.compile(r"^\*{0,2}(\w+)\s*(?::.*)?$")
_SPHINX_ITEM = re.compile(r"^:param\s+(?:[^:]*\s)?\*{0,2}(\w+):\s*(.*)$")


def read_summary(docstring: str | None) -> str:
    """The first paragraph, on one line."""
    if not docstring:
        return ""
    first = inspect.cleandoc(docstring).split("\n\n", 1)[0]
    return " ".join(first.split())


def read_parameters(docstring: str | None) -> dict[str, str]:
    """The text of each parameter that the docstring describes, on one line each."""
    if not docstring:
        return {}
    lines = inspect.cleandoc(docstring).splitlines()
    found: dict[str, str] = {}
    for index, line in enumerate(lines):
        if _GOOGLE_HEAD.match(line):
            found |= _read_items(_indented(lines[index + 1 :]), _GOOGLE_ITEM)
        elif line == "Parameters" and index + 1 < len(lines) and re.fullmatch(r"-{3,}", lines[index + 1]):
            found |= _read_items(_until_numpy_section(lines[index + 2 :]), _NUMPY_ITEM)
        elif match := _SPHINX_ITEM.match(line):
            more = [text.strip() for text in _indented(lines[index + 1 :])]
            found[match[1]] = " ".join([match[2], *more]).strip()
    return found


def _indented(lines: list[str]) -> list[str]:
    """The leading lines that are indented, up to the first blank or unindented one, without that indent."""
    block: list[str] = []
    for line in lines:
        if not line.startswith((" ", "\t")):
            break
        block.append(line)
    return inspect.cleandoc("\n" + "\n".join(block)).splitlines()


def _until_numpy_section(lines: list[str]) -> list[str]:
    for index in range(1, len(lines)):
        if re.fullmatch(r"-{3,}", lines[index]):
            return lines[: index - 1]
    return lines


def _read_items(lines: list[str], head: re.Pattern[str]) -> dict[str, str]:
    """Items whose head is not indented and whose text goes on in indented lines."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in lines:
        if not line.startswith((" ", "\t")) and (match := head.match(line)):
            current = found.setdefault(match[1], [])
            current.extend(match.groups()[1:])
        elif line.strip():
            current.append(line.strip())
    return {name: " ".join(texts).strip() for name, texts in found.items()}

"""Safe improvements of Python source. Each is an edit of a few characters, found on the syntax tree.

What a program does stays as it is: an import is taken out only where nothing uses its name, comparisons are changed
only in files without libraries that give ``== None`` a meaning of their own, and texts are left alone. An import can
have effects of its own; mark such a line with ``# noqa`` and it stays.
"""

from __future__ import annotations

import ast
import io
import itertools
import re
import tokenize
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from engine.tools.builtin.code_metrics import (
    FunctionNode,
    UnusedImport,
    lines_ending_in_strings,
    own_parameters,
    parse_source,
    walk_documentable,
    walk_functions,
    walk_none_comparisons,
)

FixKind = Literal["unused_import", "none_comparison", "return_annotation", "docstring", "trailing_whitespace"]
FIX_KINDS: tuple[FixKind, ...] = get_args(FixKind)
ImportNode: TypeAlias = ast.Import | ast.ImportFrom

_OVERLOADS_EQUALITY = {"sqlalchemy", "numpy", "pandas", "polars", "peewee", "django", "sympy"}
_YIELDS = (ast.Yield, ast.YieldFrom)


@dataclass(frozen=True, slots=True)
class Fix:
    """Replace the characters from ``start`` to ``end`` by ``text``."""

    kind: FixKind
    line: int
    message: str
    start: int
    end: int
    text: str


class Source:
    """Python source with its tree, and positions of the tree as offsets into the text."""

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.tree = parse_source(text, name)
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", text)
        self._starts = list(itertools.accumulate(map(len, self.lines), initial=0))

    def offset(self, line: int, column: int) -> int:
        """The place of a line (from 1) and a column in UTF-8 bytes, as trees have it."""
        text = self.lines[line - 1]
        return self._starts[line - 1] + (column if text.isascii() else len(text.encode()[:column].decode()))

    def line_start(self, line: int) -> int:
        """The place where a line begins; the one after the last is the end of the text."""
        return self._starts[min(line - 1, len(self.lines))]

    def body(self, line: int) -> str:
        """A line without its end."""
        return self.lines[line - 1].rstrip("\r\n")


def find_fixes(text: str, name: str, unused: list[UnusedImport], kinds: Sequence[FixKind]) -> list[Fix]:
    """All fixes of these kinds, in the order of ``kinds`` and then of the file."""
    source = Source(text, name)
    finders: dict[FixKind, Callable[[], Iterator[Fix]]] = {
        "unused_import": lambda: _unused_imports(source, unused),
        "none_comparison": lambda: _none_comparisons(source),
        "return_annotation": lambda: _return_annotations(source),
        "docstring": lambda: _docstrings(source),
        "trailing_whitespace": lambda: _trailing_whitespace(source),
    }
    found = (finders[kind]() for kind in dict.fromkeys(kinds))
    return [fix for fixes in found for fix in sorted(fixes, key=lambda fix: fix.start)]


def apply_fixes(text: str, fixes: list[Fix]) -> tuple[str, list[Fix]]:
    """The text with the fixes made, and those that were: one that overlaps an earlier one is left for the next time."""
    made: list[Fix] = []
    for fix in fixes:
        if not any(fix.start < other.end and other.start < fix.end for other in made):
            made.append(fix)
    for fix in sorted(made, key=lambda fix: (fix.start, fix.end), reverse=True):
        text = text[: fix.start] + fix.text + text[fix.end :]
    return text, made


# -------------------------------------------------------------------------------------------------------- imports


def _unused_imports(source: Source, unused: list[UnusedImport]) -> Iterator[Fix]:
    wanted: dict[int, set[str]] = {}
    for one in unused:
        wanted.setdefault(one.line, set()).add(one.name)
    for block in _walk_blocks(source.tree):
        imports = [item for item in block if isinstance(item, (ast.Import, ast.ImportFrom))]
        gone = [(item, _names_in(item, wanted.get(item.lineno, set()))) for item in imports]
        gone = [(item, names) for item, names in gone if names and _is_alone(source, item)]
        whole = [item for item, names in gone if len(names) == len(item.names)]
        for item, names in gone:
            yield _remove_names(
                source, item, names, keep_block=len(whole) == len(block) and item is whole[-1]
            )


def _walk_blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """Every block of statements, but those of try statements: their imports ask what is installed."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Try, ast.TryStar, ast.ExceptHandler)):
            continue
        for name in ("body", "orelse"):
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                yield block


def _names_in(statement: ImportNode, wanted: set[str]) -> list[ast.alias]:
    return [alias for alias in statement.names if _import_name(statement, alias) in wanted]


def _import_name(statement: ImportNode, alias: ast.alias) -> str:
    """The name as pyflakes writes it in its messages."""
    if isinstance(statement, ast.Import):
        full = alias.name
        return full if alias.asname in (None, full) else f"{full} as {alias.asname}"
    module = "." * statement.level + (statement.module or "")
    full = module + alias.name if module.endswith(".") else f"{module}.{alias.name}"
    return full if alias.asname in (None, alias.name) else f"{full} as {alias.asname}"


def _is_alone(source: Source, statement: ImportNode) -> bool:
    """Whether its lines hold nothing else: no other statement and no comment."""
    end = statement.end_lineno or statement.lineno
    before = source.text[
        source.line_start(statement.lineno) : source.offset(statement.lineno, statement.col_offset)
    ]
    after = source.text[source.offset(end, statement.end_col_offset or 0) : source.line_start(end + 1)]
    inside = source.text[source.line_start(statement.lineno) : source.line_start(end + 1)]
    return not before.strip() and not after.strip() and "#" not in inside and "\\" not in inside


def _remove_names(source: Source, statement: ImportNode, gone: list[ast.alias], *, keep_block: bool) -> Fix:
    start = source.line_start(statement.lineno)
    end = source.line_start((statement.end_lineno or statement.lineno) + 1)
    indent = source.body(statement.lineno)[: statement.col_offset]
    kept = [alias for alias in statement.names if alias not in gone]
    if kept:
        text = _write_import(statement, kept, indent, source.newline)
    else:
        text = f"{indent}pass{source.newline}" if keep_block and indent else ""
    names = ", ".join(_import_name(statement, alias) for alias in gone)
    return Fix("unused_import", statement.lineno, f"Removed the unused import of {names}.", start, end, text)


def _write_import(statement: ImportNode, kept: list[ast.alias], indent: str, newline: str) -> str:
    if isinstance(statement, ast.Import):
        line = ast.unparse(ast.Import(kept))
    else:
        line = ast.unparse(ast.ImportFrom(statement.module, kept, statement.level))
        if statement.end_lineno != statement.lineno and len(indent + line) > 88:
            head = line.split(" import ", 1)[0]
            names = [f"{indent}    {ast.unparse(alias)}," for alias in kept]
            return newline.join([f"{indent}{head} import (", *names, f"{indent})"]) + newline
    return indent + line + newline


# ------------------------------------------------------------------------------------------------ other fixes


def _none_comparisons(source: Source) -> Iterator[Fix]:
    if _imported_roots(source.tree) & _OVERLOADS_EQUALITY:
        return
    for node in walk_none_comparisons(source.tree):
        left, right = node.left, node.comparators[0]
        start = source.offset(left.end_lineno or left.lineno, left.end_col_offset or 0)
        end = source.offset(right.lineno, right.col_offset)
        between = source.text[start:end]
        old, new = ("==", "is") if isinstance(node.ops[0], ast.Eq) else ("!=", "is not")
        if between.count(old) == 1 and not re.search(r"[#\\\r\n]", between):
            place = start + between.index(old)
            text = new if between.strip() != between.rstrip() or between != between.strip() else f" {new} "
            yield Fix("none_comparison", node.lineno, f'Compared with "{new} None".', place, place + 2, text)


def _imported_roots(tree: ast.AST) -> set[str]:
    roots: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            roots.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            roots.add(node.module.split(".")[0])
    return roots


def _return_annotations(source: Source) -> Iterator[Fix]:
    wanted = [(name, node) for name, node in walk_functions(source.tree) if _returns_nothing(node)]
    if not wanted:
        return
    colons = _header_colons(source)
    for name, node in wanted:
        place = colons.get(node.lineno)
        if place is not None:
            message = f"Annotated {name} as returning None."
            yield Fix("return_annotation", node.lineno, message, place, place, " -> None")


def _returns_nothing(node: FunctionNode) -> bool:
    """Whether the function has no annotated result and surely gives None: not where it only raises, or is a stub."""
    if node.returns is not None or _is_stub(node):
        return False
    inner = list(_walk_own(node))
    if any(isinstance(part, _YIELDS) for part in inner):
        return False
    return not any(isinstance(part, ast.Return) and part.value is not None for part in inner)


def _is_stub(node: FunctionNode) -> bool:
    last = node.body[-1]
    return isinstance(last, ast.Raise) or (
        isinstance(last, ast.Expr) and isinstance(last.value, ast.Constant) and last.value.value is Ellipsis
    )


def _walk_own(node: ast.AST) -> Iterator[ast.AST]:
    """What is inside a function, without what is inside functions and classes in it."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield child
            yield from _walk_own(child)


def _header_colons(source: Source) -> dict[int, int]:
    """For each line with a ``def``, the place of the colon that ends its header."""
    found: dict[int, int] = {}
    header: int | None = None
    depth = 0
    for token in tokenize.generate_tokens(io.StringIO(source.text, newline="").readline):
        if token.type == tokenize.NAME and token.string == "def" and header is None:
            header, depth = token.start[0], 0
            line = token.line.lstrip()
            header = None if not line.startswith(("def", "async")) else header
        elif header is not None and token.type == tokenize.OP:
            if token.string in "([{":
                depth += 1
            elif token.string in ")]}":
                depth -= 1
            elif token.string == ":" and depth == 0:
                found[header] = source.line_start(token.start[0]) + token.start[1]
                header = None
    return found


def _docstrings(source: Source) -> Iterator[Fix]:
    for name, node in walk_documentable(source.tree):
        if ast.get_docstring(node, clean=False) is not None:
            continue
        if isinstance(node, ast.Module):
            yield from _module_docstring(source)
            continue
        first = node.body[0]
        line = min([first.lineno, *(item.lineno for item in getattr(first, "decorator_list", []))])
        indent = source.body(line)[: first.col_offset]
        if indent.strip() or line <= node.lineno:
            continue  # on the line of its header
        text = f'{indent}"""{_sentence(node)}"""{source.newline}'
        place = source.line_start(line)
        yield Fix("docstring", node.lineno, f"Drafted a docstring for {name}.", place, place, text)


def _module_docstring(source: Source) -> Iterator[Fix]:
    """After a "#!" line and other comments at the top, before everything else."""
    line = 1
    while line <= len(source.lines) and source.body(line).startswith(("#", "\ufeff#")):
        line += 1
    place = source.line_start(line)
    if place == len(source.text) and source.text and not source.text.endswith("\n"):
        return
    names = [node.name for node in source.tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    public = [name for name in names if not name.startswith("_")]
    what = (
        f"Defines {', '.join(public[:3])}{' and more' if len(public) > 3 else ''}." if public else "Module."
    )
    yield Fix(
        "docstring", 1, "Drafted a docstring for the module.", place, place, f'"""{what}"""{source.newline}'
    )


def _sentence(node: ast.ClassDef | FunctionNode) -> str:
    """A draft: ``is_low`` becomes "Whether this is low.", ``add(item)`` "Add item."."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", node.name).replace("_", " ").split()
    text = " ".join(word if word.isupper() else word.lower() for word in words)
    if not isinstance(node, ast.ClassDef):
        if words[0] in ("is", "has", "can", "should"):
            return f"Whether this {text}."
        parameters = [parameter.arg.replace("_", " ") for parameter in own_parameters(node)]
        if len(words) == 1 and parameters:
            text += f" {parameters[0]}"
    return f"{text[:1].upper()}{text[1:]}."


def _trailing_whitespace(source: Source) -> Iterator[Fix]:
    inside = lines_ending_in_strings(source.tree)
    for number in range(1, len(source.lines) + 1):
        body = source.body(number)
        kept = body.rstrip(" \t")
        if kept != body and number not in inside and not kept.endswith("\\"):
            start = source.line_start(number)
            message = f"Removed white space at the end of line {number}."
            yield Fix("trailing_whitespace", number, message, start + len(kept), start + len(body), "")

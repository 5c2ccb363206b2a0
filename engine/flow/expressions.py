"""Conditions, bindings and exit conditions: Python's syntax, of which only what is listed is allowed.

An expression is parsed and compiled once to closures; nothing of it is ever run as Python code. It sees the names of
``Scope``. The rules in which it differs from Python:

- All values are JSON. A tuple is a list; ``items()`` and ``enumerate`` give lists of two; there are no sets or bytes.
- ``value.name`` is the field ``name`` of an object, also where the name is that of a method; ``value.name(...)`` is
  always a call of a listed method. A field that is not there is an error; ``state.get('k', default)`` allows absence.
- A condition may give any value and holds as in Python: not for ``None``, ``False``, 0, ``''``, ``[]`` and ``{}``.
- ``steps.<id>`` has ``result``, ``status``, ``error`` and ``visit``; ``'<id>' in steps`` tells whether it has started.
- The length of the text, its nesting, the work of an evaluation and the size of what it makes are bounded.

What an evaluation gives may share values with the state: it is for reading; who keeps it copies it.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from engine.errors import ExpressionError
from engine.flow.expression_compiler import Compiler
from engine.flow.expression_reading import Evaluator
from engine.flow.expression_scope import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_WORK,
    UNSET,
    Fault,
    Scope,
    Steps,
    StepView,
    weigh,
)

__all__ = [
    "UNSET",
    "CompiledExpression",
    "Scope",
    "StepView",
    "Steps",
    "check_expression",
    "compile_expression",
]

_SHOWN_LENGTH: Final = 120


@dataclass(frozen=True, slots=True, eq=False)
class CompiledExpression:
    """An expression ready to be evaluated, as often as wanted and from any thread.

    ``names`` are the scope's names that it uses. ``state_keys`` are the keys of the state it reads; of these,
    ``optional_state_keys`` may be absent (read by ``state.get('k')`` or guarded by ``'k' in state``).
    ``reads_whole_state`` says that it may read others, too. ``steps`` are the node ids it names.
    """

    text: str
    names: frozenset[str]
    state_keys: frozenset[str]
    optional_state_keys: frozenset[str]
    steps: frozenset[str]
    reads_whole_state: bool
    _run: Evaluator = field(repr=False)
    _locals: int = field(repr=False)
    _makes: bool = field(repr=False)

    def evaluate(self, scope: Scope) -> Any:
        """The value, as JSON. It may share parts with the state: read it, or copy it.

        Raises:
            ExpressionError: a field is missing, a type is wrong, or a bound is exceeded; the message quotes the
                expression and gives the reason.
        """
        scope.left = MAX_WORK
        if self._locals:
            scope.locals = [None] * self._locals
        try:
            value = self._run(scope)
            if self._makes and weigh(value, scope.left) > scope.left:
                raise Fault("the value becomes too large")
        except Fault as fault:
            raise _explain("cannot evaluate", self.text, fault) from None
        except RecursionError:
            raise _explain("cannot evaluate", self.text, Fault("a value is nested too deeply")) from None
        return value

    def holds(self, scope: Scope) -> bool:
        """Whether the value counts as true, as in Python. Raises as ``evaluate``."""
        return bool(self.evaluate(scope))


@lru_cache(maxsize=4_096)
def compile_expression(text: str) -> CompiledExpression:
    """Check an expression and make it ready.

    Raises:
        ExpressionError: it is not in the syntax, or holds what is not allowed; ``position`` says where.
    """
    try:
        tree, position = _parse(text)
        compiler = Compiler(position)
        run = compiler.compile(tree)
    except Fault as fault:
        raise _explain("cannot read", text, fault) from None
    return CompiledExpression(
        text=text,
        names=frozenset(compiler.names),
        state_keys=frozenset(compiler.required_keys | compiler.optional_keys),
        optional_state_keys=frozenset(compiler.optional_keys),
        steps=frozenset(compiler.steps),
        reads_whole_state=compiler.reads_whole_state,
        _run=run,
        _locals=compiler.local_count,
        _makes=compiler.makes_containers,
    )


def check_expression(text: str, *, item_allowed: bool = False, result_allowed: bool = True) -> None:
    """Check an expression while it is being written; ``item_allowed`` where the node has ``for_each``.

    Raises:
        ExpressionError: as ``compile_expression``, and where it names what has no value there.
    """
    names = compile_expression(text).names
    if not item_allowed and names & {"item", "index"}:
        raise _explain("cannot read", text, Fault("item and index are known only at a node with for_each"))
    if not result_allowed and "result" in names:
        raise _explain("cannot read", text, Fault("result is known only on an edge; write steps.<id>.result"))


def _explain(what: str, text: str, fault: Fault) -> ExpressionError:
    shown = " ".join(text.split())
    if len(shown) > _SHOWN_LENGTH:
        shown = shown[: _SHOWN_LENGTH - 3] + "..."
    if not shown.isprintable():
        shown = repr(shown)[1:-1]
    where = "" if fault.position is None else f" (at character {fault.position + 1})"
    return ExpressionError(
        f'{what} "{shown}": {fault.reason}{where}', expression=text, position=fault.position
    )


# ------------------------------------------------------------------------------------------------------ parsing


class _Positions:
    """From places in the tree, which are lines and bytes of UTF-8, to characters of the text."""

    def __init__(self, text: str, source: str) -> None:
        self._before = len(text) - len(text.lstrip())
        self._lines = source.split("\n")
        self._length = len(text)

    def at(self, line: int, column: int) -> int:
        """The character of a line (from 1) and a byte in it."""
        line = min(max(line, 1), len(self._lines))
        start = sum(len(before) + 1 for before in self._lines[: line - 1])
        inside = len(
            self._lines[line - 1].encode("utf-8", "replace")[: max(column, 0)].decode("utf-8", "ignore")
        )
        return min(self._before + start + inside, self._length)

    def of_error(self, error: SyntaxError) -> int:
        """Where Python's parser gave up; the end of the text where it does not say."""
        if not error.offset:
            return self._length
        line = error.lineno or 1
        before = sum(len(before) + 1 for before in self._lines[: line - 1])
        return min(self._before + before + error.offset - 1, self._length)

    def __call__(self, node: ast.expr) -> int:
        """Where a node starts; of a field, where its name does."""
        if isinstance(node, ast.Attribute):
            end = self.at(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)
            return max(end - len(node.attr), 0)
        return self.at(node.lineno, node.col_offset)


def _parse(text: str) -> tuple[ast.expr, _Positions]:
    if len(text) > MAX_LENGTH:
        raise Fault(f"it has {len(text):,} characters; at most {MAX_LENGTH:,}; let a tool compute this")
    source = text.strip().replace("\r\n", " \n").replace("\r", "\n")
    if not source:
        raise Fault("it is empty")
    bad = next(
        (place for place, char in enumerate(text) if "\ud800" <= char <= "\udfff" or char == "\0"), None
    )
    if bad is not None:
        raise Fault("it holds a character that is not text", bad)
    if "\n" in source and "#" not in source and "'''" not in source and '"""' not in source:
        source = source.replace("\n", " ")  # so that lines need no parentheses around them
    positions = _Positions(text, source)
    try:
        tree = ast.parse(source, "<expression>", "eval").body
    except SyntaxError as error:
        raise Fault(_explain_syntax(error, source), positions.of_error(error)) from None
    except (RecursionError, MemoryError, ValueError, OverflowError):
        raise Fault("it is nested too deeply") from None
    _check_depth(tree)
    return tree, positions


def _check_depth(tree: ast.expr) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise Fault(f"it is nested more than {MAX_DEPTH} levels deep; let a tool compute this")


def _explain_syntax(error: SyntaxError, source: str) -> str:
    message = error.msg or "invalid syntax"
    for sign, word in (("&&", "and"), ("||", "or"), ("===", "==")):
        if sign in source:
            return f"write {word!r} for {sign!r}"
    if source.startswith("!") or " !" in source.replace("!=", ""):
        return "write 'not' for '!'"
    if "=" in source.replace("==", "").replace("!=", "").replace("<=", "").replace(">=", ""):
        return "a value cannot be set here; to compare, write '=='"
    if message == "invalid syntax" and (not error.offset or error.offset > len(source)):
        return "it ends too early"
    return "this is not the syntax of an expression" if message == "invalid syntax" else message

"""The part of the expression compiler that reads: constants, names, fields, items and steps.

A closure takes the ``Scope`` and gives the value. Values are JSON throughout: tuples are lists from the start. Only
loops count work for what is written out in the expression; its length bounds the rest.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.flow.expression_lookup import (
    SCOPE_NAMES,
    explain_name,
    find_step,
    get_field,
    get_result,
    placed,
    show,
    show_value,
    step_as_object,
)
from engine.flow.expression_operations import (
    check_items,
    check_text,
)
from engine.flow.expression_scope import (
    MAX_INT_BITS,
    UNSET,
    Fault,
    Scope,
    StepView,
    describe_missing,
    list_names,
    name_type,
)

Evaluator = Callable[[Scope], Any]

STEP_FIELDS: Final = StepView._fields

_ABSENT: Final[Mapping[str, str]] = {
    "result": "there is no result here: it is that of the step an edge leaves",
    "item": "there is no item here: it is that of a node with for_each",
    "index": "there is no index here: it is that of a node with for_each",
}
_REFUSED: Final[Mapping[str, str]] = {
    "Await": "await is not allowed",
    "DictComp": "a comprehension that makes an object is not allowed",
    "Lambda": "lambda is not allowed",
    "NamedExpr": "':=' is not allowed; to compare, write '=='",
    "Set": "a set is not allowed; write a list: [...]",
    "SetComp": "a set is not allowed; write a list: [...]",
    "Slice": "a slice is not allowed here",
    "Starred": "'*' in front of a value is not allowed",
    "Yield": "yield is not allowed",
    "YieldFrom": "yield is not allowed",
}
_ALIASES: Final[Mapping[str, str]] = {"GeneratorExp": "ListComp", "Tuple": "List"}
REFUSED_OPERATORS: Final[Mapping[str, str]] = {
    "BitAnd": "'&' is not allowed; write 'and'",
    "BitOr": "'|' is not allowed; write 'or'",
    "BitXor": "'^' is not allowed; for a power, write '**'",
    "Invert": "'~' is not allowed; write 'not'",
    "LShift": "'<<' is not allowed",
    "MatMult": "'@' is not allowed",
    "RShift": "'>>' is not allowed",
}


_READERS: Final[Mapping[str, Evaluator]] = {
    "result": lambda scope: scope.result,
    "item": lambda scope: scope.item,
    "index": lambda scope: scope.index,
}


class Reader:
    """The part of the compiler for constants, names, fields and steps; collects what the expression reads."""

    def __init__(self, position: Callable[[ast.expr], int]) -> None:
        self._position = position
        self._locals: dict[str, int] = {}
        self.local_count = 0
        self.names: set[str] = set()
        self.steps: set[str] = set()
        self.required_keys: set[str] = set()
        self.optional_keys: set[str] = set()
        self.reads_whole_state = False
        self.makes_containers = False

    def compile(self, node: ast.expr) -> Evaluator:
        """The closure for a node; raises ``Fault`` where it holds what is not allowed."""
        kind = type(node).__name__
        method: Callable[[Any], Evaluator] | None = getattr(self, f"visit_{_ALIASES.get(kind, kind)}", None)
        if method is None:
            raise Fault(_REFUSED.get(kind, f"{kind} is not allowed"), self._position(node))
        return method(node)

    # ------------------------------------------------------------------------------------- constants and names

    def visit_Constant(self, node: ast.Constant) -> Evaluator:
        value = node.value
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Fault("the text holds half a surrogate pair", self._position(node)) from None
        elif not (value is None or isinstance(value, bool | int | float)):
            kind = "..." if value is ... else f"a {type(value).__name__}"
            raise Fault(f"{kind} is not a JSON value", self._position(node))
        elif (isinstance(value, int) and value.bit_length() > MAX_INT_BITS) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise Fault("the number is too large", self._position(node))
        return lambda _scope: value

    def visit_Name(self, node: ast.Name) -> Evaluator:
        name = node.id
        if name in self._locals:
            slot = self._locals[name]
            return lambda scope: scope.locals[slot]
        if name not in SCOPE_NAMES:
            raise Fault(explain_name(name), self._position(node))
        self.names.add(name)
        at = self._position(node)
        match name:
            case "state":
                self.reads_whole_state = True
                return lambda scope: scope.state
            case "visit":
                return lambda scope: scope.visit
            case "run":
                return lambda scope: scope.run
            case "steps":
                raise Fault("name the step: steps.<id>, or steps['<id>']", at)
        read = _READERS[name]

        def read_if_set(scope: Scope) -> Any:
            value = read(scope)
            if value is UNSET:
                raise Fault(_ABSENT[name], at)
            return value

        return read_if_set

    def _is_scope_name(self, node: ast.expr, name: str) -> bool:
        return isinstance(node, ast.Name) and node.id == name and name not in self._locals

    # ------------------------------------------------------------------------------------- fields and items

    def visit_Attribute(self, node: ast.Attribute) -> Evaluator:
        if node.attr.startswith("__"):
            raise Fault(
                f"{node.attr!r} is not allowed: names with two underscores are Python's own",
                self._position(node),
            )
        return self._field(node, node.value, node.attr)

    def visit_Subscript(self, node: ast.Subscript) -> Evaluator:
        match node.slice:
            case ast.Constant(value=str() as key):
                return self._field(node, node.value, key)
            case ast.Slice():
                return self._slice(node, node.slice)
        if self._is_scope_name(node.value, "steps"):
            return self._step_by_value(node)
        base, key_of, at = self.compile(node.value), self.compile(node.slice), self._position(node)
        owner = show(node.value)

        def item(scope: Scope) -> Any:
            value, key = base(scope), key_of(scope)
            if isinstance(value, Mapping):
                if type(key) is not str:
                    raise Fault(
                        f"{owner} is an object; its fields have names (text), not {name_type(key)}", at
                    )
                return get_field(value, key, owner, at)
            try:
                return value[key]
            except IndexError:
                raise Fault(f"{owner} has {len(value)} items; there is no item {key}", at) from None
            except TypeError:
                raise Fault(f"{owner} is {name_type(value)}; it has no item {show_value(key)}", at) from None

        return item

    def _field(self, node: ast.expr, base_node: ast.expr, key: str) -> Evaluator:
        """``base.key`` or ``base['key']``."""
        at = self._position(node)
        if self._is_scope_name(base_node, "state"):
            self.names.add("state")
            self.required_keys.add(key)

            def state_field(scope: Scope) -> Any:
                try:
                    return scope.state[key]
                except KeyError:
                    raise Fault(describe_missing(key, "state", scope.state), at) from None

            return state_field
        if self._is_scope_name(base_node, "steps"):
            return self._whole_step(key, at)
        step = self._step_named_by(base_node)
        if step is not None:
            return self._step_field(step, key, at)
        base, owner = self.compile(base_node), show(base_node)
        return lambda scope: get_field(base(scope), key, owner, at)

    def _slice(self, node: ast.Subscript, bounds: ast.Slice) -> Evaluator:
        base, at, owner = self.compile(node.value), self._position(node), show(node.value)
        parts = [self.compile(part) if part else None for part in (bounds.lower, bounds.upper, bounds.step)]
        self.makes_containers = True

        def cut(scope: Scope) -> Any:
            value = base(scope)
            where = slice(*(None if part is None else part(scope) for part in parts))
            try:
                length = len(range(*where.indices(len(value)))) if type(value) in (str, list) else 0
                (check_text if type(value) is str else check_items)(scope, length)
                return value[where]
            except Fault as fault:
                raise placed(fault, at) from None
            except (TypeError, ValueError, KeyError) as error:
                reason = str(error) if type(value) in (str, list) else f"it is {name_type(value)}"
                raise Fault(f"cannot take a part of {owner}: {reason}", at) from None

        return cut

    # ------------------------------------------------------------------------------------- steps

    def _step_named_by(self, node: ast.expr) -> str | None:
        """The id, where the node is ``steps.<id>`` or ``steps['<id>']``."""
        match node:
            case (
                ast.Attribute(value=base, attr=step)
                | ast.Subscript(value=base, slice=ast.Constant(value=str() as step))
            ):
                return step if self._is_scope_name(base, "steps") else None
        return None

    def _step_field(self, step: str, field: str, at: int) -> Evaluator:
        self.names.add("steps")
        self.steps.add(step)
        if field not in STEP_FIELDS:
            raise Fault(f"a step has no field {field!r}; it has {list_names(STEP_FIELDS, field)}", at)
        if field != "result":
            place = STEP_FIELDS.index(field)
            return lambda scope: find_step(scope, step, at)[place]
        return lambda scope: get_result(find_step(scope, step, at), step, at)

    def _whole_step(self, step: str, at: int) -> Evaluator:
        self.names.add("steps")
        self.steps.add(step)
        self.makes_containers = True
        return lambda scope: step_as_object(find_step(scope, step, at))

    def _step_by_value(self, node: ast.Subscript) -> Evaluator:
        self.names.add("steps")
        self.makes_containers = True
        key_of, at = self.compile(node.slice), self._position(node)

        def step(scope: Scope) -> Any:
            key = key_of(scope)
            if type(key) is not str:
                raise Fault(f"steps are named by text, not {name_type(key)}", at)
            return step_as_object(find_step(scope, key, at))

        return step

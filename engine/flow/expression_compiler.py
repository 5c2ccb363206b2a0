"""From the syntax tree of an expression to a closure that evaluates it. What is not listed is refused.

Only loops count work for what is written out in the expression; its length bounds the rest.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any

from engine.flow.expression_lookup import (
    explain_call,
    explain_operation,
    find_method,
    placed,
    show,
)
from engine.flow.expression_operations import (
    BINARY,
    COMPARISONS,
    FUNCTIONS,
    METHOD_NAMES,
    SCALAR_COMPARISONS,
    Operation,
    check_text,
    to_items,
)
from engine.flow.expression_reading import REFUSED_OPERATORS, Evaluator, Reader
from engine.flow.expression_scope import MAX_ITEMS, Fault, Scope, list_names, name_type

_WRONG = (ArithmeticError, LookupError, TypeError, ValueError)
_FORMAT = re.compile(r"[<>^]?0?\d{0,3},?(?:\.\d{1,2})?[defgs%]?")


class Compiler(Reader):
    """Compiles one tree: on top of reading, operators, calls, lists, objects, loops and texts with values."""

    # ------------------------------------------------------------------------------------- operators

    def visit_BinOp(self, node: ast.BinOp) -> Evaluator:
        kind = type(node.op).__name__
        if kind not in BINARY:
            raise Fault(REFUSED_OPERATORS.get(kind, f"{kind} is not allowed"), self._position(node))
        sign, operation = BINARY[kind]
        self.makes_containers = True
        return self._apply(sign, operation, node.left, node.right, self._position(node))

    def _apply(
        self, sign: str, operation: Operation, left_node: ast.expr, right_node: ast.expr, at: int
    ) -> Evaluator:
        left, right = self.compile(left_node), self.compile(right_node)

        def apply(scope: Scope) -> Any:
            first, second = left(scope), right(scope)
            try:
                return operation(scope, first, second)
            except Fault as fault:
                raise placed(fault, at) from None
            except _WRONG as error:
                raise explain_operation(error, sign, (left_node, first), (right_node, second), at) from None

        return apply

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Evaluator:
        operand, at = self.compile(node.operand), self._position(node)
        match node.op:
            case ast.Not():
                return lambda scope: not operand(scope)
            case ast.USub() | ast.UAdd():
                negate = isinstance(node.op, ast.USub)
            case _:
                raise Fault(REFUSED_OPERATORS["Invert"], at)
        sign = "-" if negate else "+"

        def apply(scope: Scope) -> Any:
            value = operand(scope)
            if not isinstance(value, int | float):
                raise Fault(f"'{sign}' takes a number; {show(node.operand)} is {name_type(value)}", at)
            return -value if negate else +value

        return apply

    def visit_BoolOp(self, node: ast.BoolOp) -> Evaluator:
        *values, last = [self.compile(value) for value in node.values]
        wanted = isinstance(node.op, ast.Or)

        def decide(scope: Scope) -> Any:
            for value in values:
                found = value(scope)
                if bool(found) is wanted:
                    return found
            return last(scope)

        return decide

    def visit_IfExp(self, node: ast.IfExp) -> Evaluator:
        test, then, otherwise = self.compile(node.test), self.compile(node.body), self.compile(node.orelse)
        return lambda scope: then(scope) if test(scope) else otherwise(scope)

    def visit_Compare(self, node: ast.Compare) -> Evaluator:
        nodes = [node.left, *node.comparators]
        pairs = [
            self._compare_pair(left, operator, right)
            for left, operator, right in zip(nodes, node.ops, nodes[1:], strict=False)
        ]
        if len(pairs) == 1:
            return pairs[0]
        # Each middle value is evaluated twice; there are no effects, so only the work differs.
        return lambda scope: all(pair(scope) for pair in pairs)

    def _compare_pair(self, left_node: ast.expr, operator: ast.cmpop, right_node: ast.expr) -> Evaluator:
        kind, at = type(operator).__name__, self._position(left_node)
        if kind in ("Is", "IsNot"):
            return self._identity(left_node, right_node, negate=kind == "IsNot")
        if kind in ("In", "NotIn"):
            if self._is_scope_name(right_node, "steps"):
                return self._is_step(left_node, negate=kind == "NotIn")
            if self._is_scope_name(right_node, "state") and isinstance(left_node, ast.Constant):
                return self._has_key(left_node, negate=kind == "NotIn")
        sign, operation = COMPARISONS[kind]
        if kind in SCALAR_COMPARISONS and isinstance(right_node, ast.Constant):
            return self._compare_scalar(kind, left_node, right_node, at)
        return self._apply(sign, operation, left_node, right_node, at)

    def _compare_scalar(self, kind: str, left_node: ast.expr, right_node: ast.Constant, at: int) -> Evaluator:
        left = self.compile(left_node)
        value = self.compile(right_node)(Scope())
        compare, sign = SCALAR_COMPARISONS[kind], COMPARISONS[kind][0]

        def run(scope: Scope) -> Any:
            first = left(scope)
            try:
                return compare(first, value)
            except TypeError as error:
                raise explain_operation(error, sign, (left_node, first), (right_node, value), at) from None

        return run

    def _identity(self, left_node: ast.expr, right_node: ast.expr, *, negate: bool) -> Evaluator:
        match right_node:
            case ast.Constant(value=None | True | False as wanted):
                left = self.compile(left_node)
                return lambda scope: (left(scope) is wanted) is not negate
        raise Fault("'is' goes with None, True and False only; write '=='", self._position(right_node))

    def _has_key(self, node: ast.Constant, *, negate: bool) -> Evaluator:
        key = self.compile(node)(Scope())
        self.names.add("state")
        if isinstance(key, str):
            self.optional_keys.add(key)
        return lambda scope: (key in scope.state) is not negate

    def _is_step(self, node: ast.expr, *, negate: bool) -> Evaluator:
        value, at = self.compile(node), self._position(node)
        self.names.add("steps")

        def has_run(scope: Scope) -> bool:
            key = value(scope)
            if type(key) is not str:
                raise Fault(f"steps are named by text, not {name_type(key)}", at)
            step = scope.steps.find_step(key)
            return (step is not None and step.visit > 0) is not negate

        return has_run

    # ------------------------------------------------------------------------------------- calls

    def visit_Call(self, node: ast.Call) -> Evaluator:
        match node.func:
            case ast.Name(id=name):
                return self._call_function(node, name)
            case ast.Attribute(value=base, attr=name):
                return self._call_method(node, base, name)
        raise Fault("only listed functions and methods can be called", self._position(node))

    def _call_function(self, node: ast.Call, name: str) -> Evaluator:
        at = self._position(node)
        if name in self._locals or name not in FUNCTIONS:
            raise Fault(f"there is no function {name!r}; there are {list_names(FUNCTIONS, name)}", at)
        function, least, most, known = FUNCTIONS[name]
        if not least <= len(node.args) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise Fault(f"{name} takes {count} value{'' if count == '1' else 's'}, not {len(node.args)}", at)
        for keyword in node.keywords:
            if keyword.arg not in known:
                raise Fault(f"{name} does not take {keyword.arg or '**'!r}", at)
        if name in ("any", "all") and isinstance(node.args[0], ast.GeneratorExp):
            return self._any_or_all(node.args[0], at, stop_at=name == "any")
        self.makes_containers = True
        return self._apply_call(node, name, lambda _value: function, None, at)

    def _any_or_all(self, node: ast.GeneratorExp, at: int, *, stop_at: bool) -> Evaluator:
        run = self._loop(node, node.generators, node.elt)
        del at

        def decide(scope: Scope) -> bool:
            for value in run(scope):
                if bool(value) is stop_at:
                    return stop_at
            return not stop_at

        return decide

    def _call_method(self, node: ast.Call, base_node: ast.expr, name: str) -> Evaluator:
        at = self._position(node.func)
        if name not in METHOD_NAMES:
            raise Fault(f"there is no method {name!r}; there are {list_names(METHOD_NAMES, name)}", at)
        if node.keywords:
            raise Fault(f"give {name} its values without names", at)
        self.makes_containers = True
        if name == "get" and self._is_scope_name(base_node, "state") and node.args:
            match node.args[0]:
                case ast.Constant(value=str() as key):
                    self.names.add("state")
                    self.optional_keys.add(key)
                    return self._apply_call(
                        node, name, find_method(name, "state", at), lambda scope: scope.state, at
                    )
        owner = show(base_node)
        return self._apply_call(node, name, find_method(name, owner, at), self.compile(base_node), at)

    def _apply_call(
        self,
        node: ast.Call,
        name: str,
        find: Callable[[Any], Callable[..., Any]],
        base: Evaluator | None,
        at: int,
    ) -> Evaluator:
        values = [self.compile(value) for value in node.args]
        named = [(keyword.arg or "", self.compile(keyword.value)) for keyword in node.keywords]

        def call(scope: Scope) -> Any:
            given = [value(scope) for value in values]
            options = {key: value(scope) for key, value in named}
            if base is None:
                function = find(None)
            else:
                owner = base(scope)
                function = find(owner)
                given.insert(0, owner)
            try:
                return function(scope, *given, **options)
            except Fault as fault:
                raise placed(fault, at) from None
            except _WRONG as error:
                raise explain_call(error, name, given[1:] if base else given, at) from None

        return call

    # ------------------------------------------------------------------------------------- displays and loops

    def visit_List(self, node: ast.List | ast.Tuple) -> Evaluator:
        items = [self.compile(item) for item in node.elts]
        self.makes_containers = True
        return lambda scope: [item(scope) for item in items]

    def visit_Dict(self, node: ast.Dict) -> Evaluator:
        self.makes_containers = True
        pairs = []
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                raise Fault("'**' is not allowed", self._position(value))
            pairs.append((self.compile(key), self.compile(value), self._position(key)))

        def make(scope: Scope) -> dict[str, Any]:
            made = {}
            for key_of, value, at in pairs:
                key = key_of(scope)
                if type(key) is not str:
                    raise Fault(f"the fields of an object have names (text), not {name_type(key)}", at)
                made[key] = value(scope)
            return made

        return make

    def visit_ListComp(self, node: ast.ListComp | ast.GeneratorExp) -> Evaluator:
        run, at = self._loop(node, node.generators, node.elt), self._position(node)
        self.makes_containers = True

        def collect(scope: Scope) -> list[Any]:
            made: list[Any] = []
            for value in run(scope):
                made.append(value)
                if len(made) > MAX_ITEMS:
                    raise Fault(f"the list becomes too long; at most {MAX_ITEMS:,} items", at)
            return made

        return collect

    def _loop(
        self, node: ast.expr, generators: list[ast.comprehension], element: ast.expr
    ) -> Callable[[Scope], Iterator[Any]]:
        """A function that runs through a comprehension's values."""
        first, *rest = generators
        at, outer = self._position(first.iter), self._locals
        if first.is_async:
            raise Fault("async is not allowed", at)
        source = self.compile(first.iter)
        self._locals = dict(outer)
        assign = self._target(first.target)
        tests = [self.compile(test) for test in first.ifs]
        cost = 1 + sum(1 for part in (*first.ifs, element) for _ in ast.walk(part))
        inner = self._loop(node, rest, element) if rest else None
        value = None if rest else self.compile(element)
        self._locals = outer

        def run(scope: Scope) -> Iterator[Any]:
            try:
                items = to_items(scope, source(scope))
                for item in items:
                    scope.spend(cost)
                    assign(scope, item)
                    if not all(test(scope) for test in tests):
                        continue
                    if inner is not None:
                        yield from inner(scope)
                    elif value is not None:
                        yield value(scope)
            except Fault as fault:
                raise placed(fault, at) from None

        return run

    def _target(self, node: ast.expr) -> Callable[[Scope, Any], None]:
        match node:
            case ast.Name(id=name):
                return self._local(node, name)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                assigns = [self._target(part) for part in parts]
                at = self._position(node)

                def assign(scope: Scope, value: Any) -> None:
                    if type(value) is not list or len(value) != len(assigns):
                        what = f"a list of {len(value)}" if type(value) is list else name_type(value)
                        raise Fault(f"cannot take {what} apart into {len(assigns)} names", at)
                    for part, item in zip(assigns, value, strict=True):
                        part(scope, item)

                return assign
        raise Fault("only plain names can stand between 'for' and 'in'", self._position(node))

    def _local(self, node: ast.expr, name: str) -> Callable[[Scope, Any], None]:
        if name in ("state", "steps", "run", "result", "visit") or name in FUNCTIONS or name.startswith("__"):
            raise Fault(
                f"{name!r} has a meaning already; take another name after 'for'", self._position(node)
            )
        slot = self.local_count
        self.local_count += 1
        self._locals[name] = slot

        def assign(scope: Scope, value: Any) -> None:
            scope.locals[slot] = value

        return assign

    # ------------------------------------------------------------------------------------- texts with values

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Evaluator:
        parts = [self._formatted_part(part) for part in node.values]
        at = self._position(node)

        def make(scope: Scope) -> str:
            texts = [part(scope) for part in parts]
            try:
                check_text(scope, sum(map(len, texts)))
            except Fault as fault:
                raise placed(fault, at) from None
            return "".join(texts)

        return make

    def _formatted_part(self, node: ast.expr) -> Evaluator:
        if not isinstance(node, ast.FormattedValue):
            return self.compile(node)
        at = self._position(node)
        if node.conversion != -1:
            raise Fault("'!' in a text with values is not allowed", at)
        specification = ""
        match node.format_spec:
            case None:
                pass
            case ast.JoinedStr(values=[ast.Constant(value=str() as specification)]):
                if not _FORMAT.fullmatch(specification):
                    raise Fault(f"the format {specification!r} is not allowed; try .2f, 5d, >20 or %", at)
            case _:
                raise Fault("a format that is itself computed is not allowed", at)
        value, to_text = self.compile(node.value), FUNCTIONS["str"][0]

        def make(scope: Scope) -> str:
            found = value(scope)
            try:
                return format(found, specification) if specification else str(to_text(scope, found))
            except Fault as fault:
                raise placed(fault, at) from None
            except _WRONG:
                reason = (
                    f"cannot write {show(node.value)} ({name_type(found)}) in the format {specification!r}"
                )
                raise Fault(reason, at) from None

        return make

"""What compiled expressions look up while they are evaluated, and how they explain what goes wrong."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any, Final

from engine.flow.expression_operations import FUNCTIONS, METHODS
from engine.flow.expression_scope import (
    Fault,
    Scope,
    StepView,
    describe_missing,
    list_names,
    name_type,
    shorten,
)

SCOPE_NAMES: Final = ("state", "result", "steps", "visit", "item", "index", "run")
_SHOWN_LENGTH = 60


def get_field(value: Any, key: str, owner: str, at: int) -> Any:
    if isinstance(value, Mapping):
        try:
            return value[key]
        except KeyError:
            reason = describe_missing(key, owner, value)
            if key in METHODS[dict]:
                reason += f"; to call the method, write {owner}.{key}()"
            raise Fault(reason, at) from None
    reason = f"no field {shorten(key)!r} in {owner}: it is {name_type(value)}, not an object"
    if key in METHODS.get(type(value), ()):
        reason += f"; to call the method, write {owner}.{key}()"
    raise Fault(reason, at)


def find_step(scope: Scope, step: str, at: int) -> StepView:
    found = scope.steps.find_step(step)
    if found is None:
        known = list_names(scope.steps.step_ids(), step)
        raise Fault(
            f"there is no step {shorten(step)!r}; " + (f"there are {known}" if known else "there are none"),
            at,
        )
    return found


def get_result(step: StepView, name: str, at: int) -> Any:
    if step.visit == 0:
        raise Fault(
            f"step {shorten(name)!r} has not run, so it has no result; its status is {step.status!r}", at
        )
    if step.status in ("running", "waiting") and step.visit == 1:
        raise Fault(f"step {shorten(name)!r} is still running, so it has no result yet", at)
    return step.result


def step_as_object(step: StepView) -> dict[str, Any]:
    fields: dict[str, Any] = {"status": step.status, "error": step.error, "visit": step.visit}
    if step.visit:
        fields["result"] = step.result
    return fields


def find_method(name: str, owner: str, at: int) -> Callable[[Any], Callable[..., Any]]:
    def find(value: Any) -> Callable[..., Any]:
        kind = dict if isinstance(value, Mapping) else type(value)
        method = METHODS.get(kind, {}).get(name)
        if method is None:
            raise Fault(f"{owner} is {name_type(value)}, which has no method {name!r}", at)
        return method

    return find


def placed(fault: Fault, at: int) -> Fault:
    if fault.position is None:
        fault.position = at
    return fault


# ------------------------------------------------------------------------------------------------ the messages


def show(node: ast.expr) -> str:
    """A part of the expression as its messages quote it."""
    text = ast.unparse(node)
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."


def show_value(value: Any) -> str:
    return repr(value) if isinstance(value, int | float) else name_type(value)


def explain_name(name: str) -> str:
    if name in ("true", "false", "null", "none"):
        return f"write {'None' if name in ('null', 'none') else name.capitalize()} for {name}"
    if name in FUNCTIONS:
        return f"{name} is a function; call it: {name}(...)"
    return f"there is no name {name!r}; for a field of the state write state.{name} (the names are {list_names(SCOPE_NAMES)})"


def explain_operation(
    error: Exception, sign: str, left: tuple[ast.expr, Any], right: tuple[ast.expr, Any], at: int
) -> Fault:
    if isinstance(error, ZeroDivisionError):
        zero = "" if isinstance(right[0], ast.Constant) else f": {show(right[0])} is 0"
        return Fault(f"division by zero{zero}", at)
    if isinstance(error, OverflowError):
        return Fault("the number becomes too large", at)
    first, second = f"{show(left[0])} ({name_type(left[1])})", f"{show(right[0])} ({name_type(right[1])})"
    if sign in ("in", "not in"):
        return Fault(f"cannot look for {first} in {second}", at)
    if sign in ("<", "<=", ">", ">="):
        return Fault(f"cannot compare {first} with {second} by {sign!r}", at)
    hint = (
        "; for text with values in it write f'...{value}...'"
        if sign == "%" and isinstance(left[1], str)
        else ""
    )
    if sign == "+" and isinstance(left[1], str) is not isinstance(right[1], str):
        hint = "; str() makes text, int() and float() make numbers"
    return Fault(f"cannot compute {first} {sign} {second}{hint}", at)


def explain_call(error: Exception, name: str, given: list[Any], at: int) -> Fault:
    if isinstance(error, OverflowError):
        return Fault(f"{name}: the number is too large", at)
    if isinstance(error, ValueError) and name in ("int", "float"):
        return Fault(f"{name} cannot read the text as a number", at)
    if isinstance(error, ValueError) and name in ("index", "rindex"):
        return Fault("the text does not have this part; find(...) gives -1 then", at)
    kinds = ", ".join(name_type(value) for value in given) or "nothing"
    return Fault(f"{name} cannot be called with {kinds}", at)

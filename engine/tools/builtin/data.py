"""Data: JSON, and tables as lists of objects (rows)."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import statistics
from collections.abc import Callable
from typing import Annotated, Any, Literal, NoReturn

from pydantic import Field

from engine.tools.decorator import tool

_CATEGORY = "Data"
_MOST_ROWS = 1_000_000
_MOST_GROUPS = 100_000
_NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_STEP = re.compile(r"\[(-?\d+)\]|\.?([^.\[\]]+)")

Row = dict[str, Any]
Comparison = Literal["==", "!=", "<", "<=", ">", ">=", "contains", "starts with", "is empty", "is not empty"]
Aggregate = Literal["count", "sum", "mean", "median", "minimum", "maximum", "list"]


@tool(name="json.parse", category=_CATEGORY, label="Parse JSON")
def parse_json(text: str) -> Any:
    """Read JSON. Strict: no NaN, no keys that are there twice.

    Args:
        text: A JSON document.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_doubles)
    except json.JSONDecodeError as error:
        near = " ".join(text[max(0, error.pos - 15) : error.pos + 15].split())
        raise ValueError(
            f"The text is not JSON: {error.msg} in line {error.lineno}, column {error.colno}, near {near!r}."
        ) from error
    except RecursionError as error:
        raise ValueError("The JSON is nested too deeply.") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"The text is not JSON: it contains {name}.")


def _refuse_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f'The key "{double}" is in one object twice.')
    return made


@tool(name="json.write", category=_CATEGORY, label="Write JSON")
def write_json(
    value: Any,
    indent: Annotated[int, Field(ge=0, le=8)] = 2,
    sort_keys: bool = False,
) -> str:
    """Write a value as JSON text.

    Args:
        value: Any value.
        indent: Spaces a level; 0 writes it all on one line.
        sort_keys: Write the keys of objects in alphabetical order.
    """
    return json.dumps(value, indent=indent or None, sort_keys=sort_keys, ensure_ascii=False, allow_nan=False)


@tool(name="json.pick", category=_CATEGORY, label="Pick from JSON")
def pick(value: Any, path: str, default: Any = None, required: bool = True) -> Any:
    """Take a part out of a value: orders[0].customer.name; [-1] is the last item.

    Args:
        value: An object or a list.
        path: Keys with dots between them, positions in brackets.
        default: The result where the part is missing and not required.
        required: Fail where the part is missing.
    """
    current, walked = value, ""
    for index, key in _read_path(path):
        part = f"[{index}]" if index is not None else key
        try:
            current = current[index] if index is not None else _get(current, key)
        except (LookupError, TypeError):
            if not required:
                return default
            raise LookupError(
                f"There is no {part} in {walked or 'the value'}: {_outline(current)}."
            ) from None
        walked += part if index is not None or not walked else f".{part}"
    return current


def _read_path(path: str) -> list[tuple[int | None, str]]:
    steps, position = [], 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError(f"The path {path!r} cannot be read at character {position + 1}.")
        steps.append((int(match[1]) if match[1] else None, match[2] or ""))
        position = match.end()
    return steps


def _get(value: Any, key: str) -> Any:
    if not isinstance(value, dict):
        raise TypeError
    return value[key]


def _outline(value: Any) -> str:
    match value:
        case dict():
            return f"it has {', '.join(list(value)[:10]) or 'no keys'}"
        case list():
            return f"it is a list of {len(value)}"
        case _:
            return "it is not an object or a list"


@tool(name="csv.parse", category=_CATEGORY, label="Parse CSV")
def parse_csv(
    text: str,
    delimiter: Annotated[str, Field(max_length=1)] = "",
    numbers: bool = True,
) -> list[Row]:
    """Read a table with a heading line: one object a row.

    Args:
        text: The table.
        delimiter: What separates columns; left empty: whichever of , ; tab | is in the heading most often.
        numbers: Make numbers of what looks like one; 007 stays text.
    """
    head = text.lstrip("\ufeff").split("\n", 1)[0]
    delimiter = delimiter or max(",;\t|", key=head.count)
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    try:
        columns = [name.strip() for name in next(reader, [])]
        if len(set(columns)) != len(columns):
            double = next(name for name in columns if columns.count(name) > 1)
            raise ValueError(f'Two columns have the heading "{double}".')
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(columns):
                raise ValueError(
                    f"Line {reader.line_num} has {len(cells)} columns; the heading has {len(columns)}."
                )
            if len(rows) == _MOST_ROWS:
                raise ValueError(f"The table has more than {_MOST_ROWS:,} rows.")
            rows.append(dict(zip(columns, map(_read_cell, cells) if numbers else cells, strict=True)))
    except csv.Error as error:
        raise ValueError(f"The table cannot be read at line {reader.line_num}: {error}.") from error
    return rows


def _read_cell(cell: str) -> Any:
    text = cell.strip()
    if not _NUMBER.fullmatch(text):
        return cell
    number = float(text)
    if not math.isfinite(number):
        return cell
    return int(text) if text.lstrip("+-").isdecimal() and abs(number) < 2**63 - 1024 else number


@tool(name="csv.write", category=_CATEGORY, label="Write CSV")
def write_csv(
    rows: list[Row],
    columns: list[str] | None = None,
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ",",
) -> str:
    """Write rows as a table with a heading line.

    Args:
        rows: One object a row.
        columns: The columns to write, in this order; left out: all, in the order in which they first come.
        delimiter: What separates columns.
    """
    names = columns or list(dict.fromkeys(key for row in rows for key in row))
    target = io.StringIO(newline="")
    writer = csv.writer(target, delimiter=delimiter, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_write_cell(row.get(name)) for name in names] for row in rows)
    return target.getvalue()


def _write_cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list | bool) else value


@tool(name="rows.filter", category=_CATEGORY, label="Filter rows")
def filter_rows(rows: list[Row], column: str, comparison: Comparison, value: Any = None) -> list[Row]:
    """Keep the rows whose column fits. Rows without the column are left out, but for "is empty".

    Args:
        rows: One object a row.
        column: Which column to look at.
        comparison: How to compare.
        value: With what.
    """
    return [row for row in rows if _fits(row.get(column), comparison, value, column)]


def _fits(cell: Any, comparison: str, value: Any, column: str) -> bool:
    match comparison:
        case "is empty":
            return cell in (None, "", [], {})
        case "is not empty":
            return cell not in (None, "", [], {})
        case "==":
            return bool(cell == value)
        case _ if cell is None:
            return False
        case "!=":
            return bool(cell != value)
        case "contains":
            return value in cell if isinstance(cell, list | dict) else str(value) in str(cell)
        case "starts with":
            return str(cell).startswith(str(value))
    try:
        match comparison:
            case "<":
                return bool(cell < value)
            case "<=":
                return bool(cell <= value)
            case ">":
                return bool(cell > value)
            case _:
                return bool(cell >= value)
    except TypeError:
        raise TypeError(
            f'Column "{column}" has {cell!r:.40}, which cannot be compared with {value!r:.40}.'
        ) from None


@tool(name="rows.sort", category=_CATEGORY, label="Sort rows")
def sort_rows(rows: list[Row], column: str, descending: bool = False) -> list[Row]:
    """Sort rows by a column: numbers before texts before the rest; rows without it come last. Equal rows keep their order.

    Args:
        rows: One object a row.
        column: Which column to sort by.
        descending: The largest first.
    """
    with_value = [row for row in rows if row.get(column) is not None]
    without = [row for row in rows if row.get(column) is None]
    return sorted(with_value, key=lambda row: _sort_key(row[column]), reverse=descending) + without


def _sort_key(value: Any) -> tuple[int, Any]:
    match value:
        case bool():
            return (2, str(value))
        case int() | float():
            return (0, value)
        case str():
            return (1, value)
        case _:
            return (3, json.dumps(value, sort_keys=True))


@tool(name="rows.aggregate", category=_CATEGORY, label="Aggregate rows")
def aggregate_rows(
    rows: list[Row], aggregate: Aggregate = "count", column: str | None = None, group_by: str | None = None
) -> list[Row]:
    """Count, sum or otherwise combine a column, for each group of rows. Rows without a value in the column do not count.

    Args:
        rows: One object a row.
        aggregate: How to combine.
        column: Which column to combine; may be left out for count.
        group_by: One result row a value of this column; left out: one for all rows.
    """
    if column is None and aggregate != "count":
        raise ValueError(f"To take the {aggregate}, name the column.")
    groups: dict[str, tuple[Any, list[Row]]] = {}
    for row in rows:
        key = row.get(group_by) if group_by is not None else None
        groups.setdefault(json.dumps(key, sort_keys=True), (key, []))[1].append(row)
        if len(groups) > _MOST_GROUPS:
            raise ValueError(f"There would be more than {_MOST_GROUPS:,} groups.")
    if group_by is None and not groups:
        groups["null"] = (None, [])
    name = aggregate if column is None else f"{aggregate}_{column}"
    return [
        ({} if group_by is None else {group_by: key}) | {name: _combine(members, aggregate, column)}
        for key, members in groups.values()
    ]


def _combine(rows: list[Row], aggregate: Aggregate, column: str | None) -> Any:
    if column is None:
        return len(rows)
    values = [row[column] for row in rows if row.get(column) is not None]
    if aggregate in ("count", "list"):
        return len(values) if aggregate == "count" else values
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f'Column "{column}" has {value!r:.40}, which is not a number.')
    match aggregate:
        case "sum":
            return sum(values)
        case _ if not values:
            return None
        case "mean":
            return statistics.fmean(values)
        case "median":
            return statistics.median(values)
        case "minimum":
            return min(values)
        case _:
            return max(values)


TOOLS: tuple[Callable[..., Any], ...] = (
    parse_json,
    write_json,
    pick,
    parse_csv,
    write_csv,
    filter_rows,
    sort_rows,
    aggregate_rows,
)

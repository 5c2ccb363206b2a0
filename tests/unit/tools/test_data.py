"""The data tools: JSON and tables."""

from typing import Any

import pytest

from engine.tools.builtin import data

ROWS = [{"a": 2, "b": "x"}, {"a": 1, "b": "y"}, {"b": "x"}, {"a": 3, "b": "x"}]


def test_json_is_read_and_written() -> None:
    assert data.parse_json('{"a": [1, null]}') == {"a": [1, None]}
    assert data.write_json({"b": 1, "a": "ü"}, indent=0, sort_keys=True) == '{"a": "ü", "b": 1}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{'a': 1}", "line 1, column 2"),
        ("[NaN]", "contains NaN"),
        ('{"a": 1, "a": 2}', '"a" is in one object twice'),
        ("[" * 99_999, "nested too deeply|not JSON"),
    ],
)
def test_bad_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.parse_json(text)


def test_parts_are_picked() -> None:
    value = {"orders": [{"id": 1}, {"id": 2}], "a b": 5}
    assert data.pick(value, "orders[-1].id") == 2
    assert data.pick(value, "orders[0]") == {"id": 1}
    assert data.pick(value, "a b") == 5
    assert data.pick([[1, 2]], "[0][1]") == 2
    assert data.pick(value, "") == value
    assert data.pick(value, "nothing.here", default=7, required=False) == 7


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("orders[5]", r"no \[5\] in orders: it is a list of 1"),
        ("x", "no x in the value: it has orders"),
        ("orders[", "cannot be read"),
    ],
)
def test_a_missing_part_says_what_is_there(path: str, message: str) -> None:
    with pytest.raises((LookupError, ValueError), match=message):
        data.pick({"orders": [1]}, path)


def test_tables_are_read() -> None:
    text = '\ufeffid;name;price;zip\r\n1;"a;b";2.5;007\r\n\r\n-2;c;1e3;1.\r\n'
    assert data.parse_csv(text) == [
        {"id": 1, "name": "a;b", "price": 2.5, "zip": "007"},
        {"id": -2, "name": "c", "price": 1000.0, "zip": "1."},
    ]
    assert data.parse_csv("a\tb\n1\t2", numbers=False) == [{"a": "1", "b": "2"}]
    assert data.parse_csv("") == []
    assert data.parse_csv("n\n99999999999999999999\n1e999\n") == [{"n": 1e20}, {"n": "1e999"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1\n", "Line 2 has 1 columns; the heading has 2"),
        ("a,a\n", 'heading "a"'),
        ('a,b\n"x', "at line 2"),
    ],
)
def test_bad_tables_are_refused_with_the_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        data.parse_csv(text)


def test_tables_are_written_and_read_back() -> None:
    rows = [{"a": 1, "b": 'x,"y"\nz'}, {"a": 2.5, "c": [1]}]
    text = data.write_csv(rows)
    assert text == 'a,b,c\n1,"x,""y""\nz",\n2.5,,[1]\n'
    assert data.parse_csv(text)[0]["b"] == 'x,"y"\nz'
    assert data.write_csv(rows, ["c", "a"], ";") == "c;a\n;1\n[1];2.5\n"


@pytest.mark.parametrize(
    ("column", "comparison", "value", "kept"),
    [
        ("a", "==", 1, [1]),
        ("a", "!=", 1, [0, 3]),
        ("a", ">", 1, [0, 3]),
        ("a", "<=", 2, [0, 1]),
        ("b", "contains", "x", [0, 2, 3]),
        ("b", "starts with", "y", [1]),
        ("a", "is empty", None, [2]),
        ("a", "is not empty", None, [0, 1, 3]),
    ],
)
def test_rows_are_filtered(column: str, comparison: Any, value: Any, kept: list[int]) -> None:
    assert data.filter_rows(ROWS, column, comparison, value) == [ROWS[index] for index in kept]


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(TypeError, match="Column \"b\" has 'x', which cannot be compared with 1"):
        data.filter_rows(ROWS, "b", ">", 1)


def test_rows_are_sorted_with_mixed_and_missing_values() -> None:
    assert [row.get("a") for row in data.sort_rows(ROWS, "a")] == [1, 2, 3, None]
    assert [row.get("a") for row in data.sort_rows(ROWS, "a", descending=True)] == [3, 2, 1, None]
    assert data.sort_rows([{"k": "b"}, {"k": [1]}, {"k": 2}, {"k": True}], "k") == [
        {"k": 2},
        {"k": "b"},
        {"k": True},
        {"k": [1]},
    ]


def test_rows_are_aggregated() -> None:
    assert data.aggregate_rows(ROWS) == [{"count": 4}]
    assert data.aggregate_rows(ROWS, "sum", "a", "b") == [{"b": "x", "sum_a": 5}, {"b": "y", "sum_a": 1}]
    assert data.aggregate_rows(ROWS, "mean", "a") == [{"mean_a": 2.0}]
    assert data.aggregate_rows(ROWS, "list", "a") == [{"list_a": [2, 1, 3]}]
    assert data.aggregate_rows([], "maximum", "a") == [{"maximum_a": None}]
    assert data.aggregate_rows([], "count", group_by="b") == []
    with pytest.raises(ValueError, match="name the column"):
        data.aggregate_rows(ROWS, "sum")
    with pytest.raises(TypeError, match="not a number"):
        data.aggregate_rows(ROWS, "sum", "b")

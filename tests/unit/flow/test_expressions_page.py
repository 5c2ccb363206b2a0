"""docs/expressions.md says what the code does."""

import re
from pathlib import Path

import pytest

from engine.flow import expression_scope
from engine.flow.expression_lookup import SCOPE_NAMES
from engine.flow.expression_operations import FUNCTIONS, METHODS
from engine.flow.expressions import compile_expression

PAGE = (Path(__file__).parents[3] / "docs" / "expressions.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Functions", FUNCTIONS),
        ("Methods of text", METHODS[str]),
        ("Methods of lists", METHODS[list]),
        ("Methods of objects", METHODS[dict]),
    ],
)
def test_the_page_lists_what_can_be_called(title, names):
    (paragraph,) = re.findall(rf"^{title}: (.*?)\n\n", PAGE, re.MULTILINE | re.DOTALL)
    assert re.findall(r"`(\w+)`", paragraph) == sorted(names)


def test_the_page_lists_the_names():
    assert set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`\w+`.*?) \|", PAGE, re.MULTILINE)))) == set(
        SCOPE_NAMES
    )


def test_the_page_tells_the_limits():
    told = [int(number.replace(",", "")) for number in re.findall(r"\| ([\d,]+) \|$", PAGE, re.MULTILINE)]
    names = ("MAX_LENGTH", "MAX_DEPTH", "MAX_WORK", "MAX_TEXT", "MAX_ITEMS", "MAX_INT_BITS")
    assert told == [getattr(expression_scope, name) for name in names]


def test_the_examples_of_the_page_compile():
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines():
        compile_expression(line)

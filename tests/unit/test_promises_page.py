"""docs/promises.md: every promise has its tests, which exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (P\d[P\d, ]*) \|.*\| (.*) \|$", PAGE, re.MULTILINE))


def numbers_in(name: str) -> set[int]:
    prefix = re.match(r"test_((?:p\d+_)+)", name)
    assert prefix, name
    return {int(number) for number in re.findall(r"\d+", prefix[1])}


def list_tests(held: str) -> list[tuple[str, str]]:
    """The file and the name of each test in a cell."""
    found = []
    for part in held.split("<br>"):
        path, *names = re.findall(r"`([^`]+)`", part)
        found += [(path, name) for name in names]
    return found


@pytest.mark.parametrize("numbers", ROWS)
def test_the_tests_of_a_promise_exist_and_bear_its_number(numbers):
    tests = list_tests(ROWS[numbers])
    assert tests
    for path, name in tests:
        assert re.search(rf"def {name}\(", (ROOT / path).read_text(encoding="utf-8")), (path, name)
        assert numbers_in(name) & {int(number) for number in re.findall(r"\d+", numbers)}, (numbers, name)


def test_no_promise_is_left_out():
    told = {int(number) for numbers in ROWS for number in re.findall(r"\d+", numbers)}
    assert told >= {*range(1, 12), *range(13, 23), 25, 28, 29, 32, 33, 35, 37, 38, 39}

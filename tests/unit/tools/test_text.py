"""The text tools."""

import time
from typing import Any

import pytest

from engine.tools.builtin import text

POEM = "It's a well-kept garden.\nIs it yours? Yes!\n\nSecond paragraph, no end"


def test_a_template_is_filled() -> None:
    values = {"name": "Ada", "person": {"cities": ["London"]}, "n": 2.0, "yes": True, "none": None}
    made = text.fill_template("{{x}} {name} {person.cities.0} {n} {yes}[{none}] {list}", values, list=[1])
    assert made == "{x} Ada London 2 true[] [1]"


@pytest.mark.parametrize("template", ["{other}", "{person.age}", "{name.__class__}", "{name[0]}"])
def test_a_template_reaches_nothing_but_the_values(template: str) -> None:
    with pytest.raises(LookupError, match="The template asks for"):
        text.fill_template(template, {"name": "Ada", "person": {"city": "x"}})


def test_a_text_is_split() -> None:
    assert text.split_text(POEM) == [
        "It's a well-kept garden.",
        "Is it yours? Yes!",
        "Second paragraph, no end",
    ]
    assert text.split_text(POEM, "sentences") == [
        "It's a well-kept garden.", "Is it yours?", "Yes!", "Second paragraph, no end",
    ]  # fmt: skip
    assert len(text.split_text(POEM, "paragraphs")) == 2
    assert text.split_text(POEM, "words")[:3] == ["It's", "a", "well-kept"]
    assert text.split_text("a, b,,c", "separator") == ["a", "b", "c"]


def test_items_are_joined() -> None:
    assert text.join_text(["a", 1, None, {"b": 1}], "|") == 'a|1||{"b": 1}'


def test_texts_are_replaced() -> None:
    assert text.replace_text("a.b.c", ".", "-") == "a-b-c"
    assert text.replace_text("Hi HI", "hi", r"\1", ignore_case=True) == r"\1 \1"
    assert text.replace_text("2026-03-31", r"(\d+)-(\d+)-(\d+)", r"\3.\2.\1", pattern=True) == "31.03.2026"


def test_matches_are_extracted() -> None:
    assert text.extract_text("a1 b22", r"\d+") == ["1", "22"]
    assert text.extract_text("a=1, b=2", r"(\w)=(\d)") == [["a", "1"], ["b", "2"]]
    assert text.extract_text("a=1, b=2", r"=(\d)", limit=1) == ["1"]


@pytest.mark.parametrize(
    ("function", "extra"), [(text.extract_text, {}), (text.replace_text, {"pattern": True})]
)
def test_a_pattern_that_would_take_for_ever_is_given_up(
    function: Any, extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "_PATTERN_TIMEOUT_S", 0.1)
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="was given up"):
        function("x" * 5_000, "(?:x+x+)+y", **extra)
    assert time.monotonic() - start < 5


def test_texts_that_would_become_too_long_are_not_made() -> None:
    long = "x" * 100_000
    for make in (
        lambda: text.replace_text(long, "x", long),
        lambda: text.replace_text(long, "X", long, ignore_case=True),
        lambda: text.replace_text(long, "x", long, pattern=True),
        lambda: text.fill_template("{a}" * 1_000, {"a": long}),
        lambda: text.join_text([long] * 1_000),
        lambda: text.join_text(["", ""] * 1_000, long),
    ):
        with pytest.raises(ValueError, match="at most 10,000,000 characters"):
            make()


def test_a_broken_pattern_is_refused_with_the_reason() -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        text.extract_text("a", "(")
    with pytest.raises(ValueError, match="does not fit the pattern"):
        text.replace_text("a", "a", r"\9", pattern=True)


def test_the_case_is_changed() -> None:
    assert [text.change_case("one TWO", case) for case in ("upper", "lower", "title", "sentence")] == [
        "ONE TWO", "one two", "One Two", "One two",
    ]  # fmt: skip


def test_statistics_of_a_text() -> None:
    found = text.describe_text(POEM)
    assert (found.characters, found.words, found.unique_words) == (len(POEM), 12, 12)
    assert (found.lines, found.sentences, found.paragraphs) == (4, 4, 2)
    assert found.average_word_length == round(sum(map(len, text.split_text(POEM, "words"))) / 12, 2)
    assert found.reading_time_s == 3.6
    assert text.describe_text("").average_word_length == 0


def test_frequent_words_are_ranked() -> None:
    found = text.find_frequent_words("beta alpha Beta gamma gamma it it it", limit=2)
    assert [(one.word, one.count) for one in found] == [("beta", 2), ("gamma", 2)]


def test_a_summary_report_is_markdown() -> None:
    sections = {
        "file": "a.txt",
        "rows": [{"a": 1, "b": "x|y"}, {"a": 2}],
        "facts": {"n": 3, "deep": [1]},
        "none": [],
    }
    assert text.write_summary("T", sections) == (
        "# T\n\n- **File**: a.txt\n\n## Rows\n\n| A | B |\n| --- | --- |\n| 1 | x\\|y |\n| 2 | none |\n\n"
        "## Facts\n\n- **N**: 3\n- **Deep**: [1]\n\n- **None**: []\n"
    )
    short = text.write_summary("T", sections | {"rows": [{"a": n} for n in range(9)]}, "short")
    assert "… and 4 more" in short
    assert "Deep" not in short

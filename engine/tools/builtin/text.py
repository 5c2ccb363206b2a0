"""Text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from engine.tools.decorator import tool

_CATEGORY = "Text"
_PATTERN_TIMEOUT_S = 2.0
_LONGEST_TEXT = 10_000_000

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{\s*([^{}]*?)\s*\}")
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_SENTENCE_END = re.compile(r"[.!?…]+(?=\s|$)")
_WORDS_PER_MINUTE = 200

Pattern = Annotated[str, Field(min_length=1, max_length=1_000)]


class TextStatistics(NamedTuple):
    """What text.statistics finds.

    Attributes:
        characters: All characters, spaces and line ends included.
        words: Runs of letters and digits; "it's" and "well-kept" are one each.
        unique_words: Different words, upper and lower case alike.
        lines: Lines; the end of the last one does not open another.
        sentences: Stretches with a word in them that end in . ! ? or with the text.
        paragraphs: Blocks between blank lines.
        average_word_length: In characters.
        reading_time_s: At 200 words a minute.
    """

    characters: int
    words: int
    unique_words: int
    lines: int
    sentences: int
    paragraphs: int
    average_word_length: float
    reading_time_s: float


@dataclass(frozen=True, slots=True)
class WordCount:
    """A word and how often it is there.

    Attributes:
        word: In lower case.
        count: How often.
    """

    word: str
    count: int


@tool(name="text.template", category=_CATEGORY, label="Fill template")
def fill_template(template: str, values: dict[str, Any] | None = None, **kwargs: Any) -> str:
    """Fill a template: {name} becomes the value of that name, {person.city} a value inside it; {{ and }} are braces.

    Args:
        template: The text with placeholders.
        values: Values by name.
        kwargs: More values by name; they win over values.
    """
    known = {**(values or {}), **kwargs}
    budget = _Budget(len(template))

    def fill(match: re.Match[str]) -> str:
        if match[0] in ("{{", "}}"):
            return match[0][0]
        return budget.spend(_as_text(_look_up(known, match[1])))

    return _PLACEHOLDER.sub(fill, template)


class _Budget:
    """Stops a text from growing too large before it is made, not after."""

    def __init__(self, length: int) -> None:
        self._length = length

    def spend(self, text: str, instead_of: int = 0) -> str:
        """Count a text that takes the place of so many characters, and give it back."""
        self.grow(len(text) - instead_of)
        return text

    def grow(self, by: int) -> None:
        self._length += by
        if self._length > _LONGEST_TEXT:
            raise ValueError(f"The text would be too long; at most {_LONGEST_TEXT:,} characters are allowed.")


def _look_up(known: Mapping[str, Any], path: str) -> Any:
    value: Any = known
    for index, part in enumerate(path.split(".")):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            where = (
                f'"{".".join(path.split(".")[:index])}" has no "{part}"'
                if index
                else f'there is no value "{part}"'
            )
            names = ", ".join(map(str, value)) if isinstance(value, Mapping) else ""
            raise LookupError(
                f"The template asks for {{{path}}}, but {where}; known here: {names or 'nothing'}."
            )
    return value


def _as_text(value: Any) -> str:
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value == int(value) and abs(value) < 1e15:
            return str(int(value))
        case dict() | list():
            import json

            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


@tool(name="text.split", category=_CATEGORY, label="Split text")
def split_text(
    text: str,
    by: Literal["lines", "words", "sentences", "paragraphs", "separator"] = "lines",
    separator: str = ",",
) -> list[str]:
    """Split a text into lines, words, sentences, paragraphs, or at a separator. Empty parts are left out.

    Args:
        text: The text to split.
        by: Where to split.
        separator: Used when splitting by separator.
    """
    match by:
        case "lines":
            parts = text.splitlines()
        case "words":
            parts = _WORD.findall(text)
        case "sentences":
            parts = _sentences(text)
        case "paragraphs":
            parts = re.split(r"\n\s*\n", text)
        case _:
            if not separator:
                raise ValueError("The separator is empty; give the text to split at.")
            parts = text.split(separator)
    return [part.strip() for part in parts if part.strip()]


def _sentences(text: str) -> list[str]:
    sentences, start = [], 0
    for end in _SENTENCE_END.finditer(text):
        sentences.append(text[start : end.end()])
        start = end.end()
    sentences.append(text[start:])
    return [" ".join(part.split()) for part in sentences if _WORD.search(part)]


@tool(name="text.join", category=_CATEGORY, label="Join texts")
def join_text(items: list[Any], separator: str = "\n") -> str:
    """Join the items of a list to one text.

    Args:
        items: Texts; other values are written as text, objects and lists as JSON.
        separator: Put between two items.
    """
    texts = [_as_text(item) for item in items]
    budget = _Budget(len(separator) * len(texts))
    return separator.join(budget.spend(text) for text in texts)


@tool(name="text.replace", category=_CATEGORY, label="Replace text")
def replace_text(
    text: str,
    find: Annotated[str, Field(min_length=1)],
    replacement: str = "",
    pattern: bool = False,
    ignore_case: bool = False,
) -> str:
    r"""Replace every occurrence of a text, or of a regular expression.

    Args:
        text: The text to change.
        find: What to look for.
        replacement: What to put there; with a pattern, \1 is its first group.
        pattern: Read find as a regular expression. It is given up after 2 s.
        ignore_case: Treat upper and lower case alike.
    """
    budget = _Budget(len(text))
    if not pattern and not ignore_case:
        budget.grow(text.count(find) * (len(replacement) - len(find)))
        return text.replace(find, replacement)
    import regex

    compiled = _compile(find if pattern else regex.escape(find), ignore_case=ignore_case)

    def fill(match: Any) -> str:
        return budget.spend(match.expand(replacement) if pattern else replacement, len(match[0]))

    try:
        return str(compiled.sub(fill, text, timeout=_PATTERN_TIMEOUT_S, concurrent=True))
    except TimeoutError as error:
        raise _too_slow(find) from error
    except (regex.error, IndexError) as error:
        raise ValueError(f"The replacement does not fit the pattern: {error}.") from error


@tool(name="text.extract", category=_CATEGORY, label="Extract text")
def extract_text(
    text: str,
    pattern: Pattern,
    limit: Annotated[int, Field(ge=1, le=100_000)] = 1_000,
    ignore_case: bool = False,
) -> list[Any]:
    """Find what matches a regular expression: the whole match, or its group; a list where there are several groups.

    Args:
        text: The text to search.
        pattern: A regular expression. It is given up after 2 s.
        limit: Stop after so many matches.
        ignore_case: Treat upper and lower case alike.
    """
    compiled = _compile(pattern, ignore_case=ignore_case)
    found: list[Any] = []
    try:
        for match in compiled.finditer(text, timeout=_PATTERN_TIMEOUT_S, concurrent=True):
            groups = match.groups()
            found.append(match[0] if not groups else groups[0] if len(groups) == 1 else list(groups))
            if len(found) == limit:
                break
    except TimeoutError as error:
        raise _too_slow(pattern) from error
    return found


def _compile(pattern: str, *, ignore_case: bool) -> Any:
    import regex  # takes a while to load, and few runs need it

    try:
        return regex.compile(pattern, regex.IGNORECASE if ignore_case else 0)
    except (regex.error, RecursionError, OverflowError, MemoryError) as error:
        raise ValueError(f"The regular expression {pattern!r:.80} cannot be read: {error}.") from error


def _too_slow(pattern: str) -> TimeoutError:
    return TimeoutError(
        f"Searching for {pattern!r:.80} took more than {_PATTERN_TIMEOUT_S:g} s and was given up; "
        "repetitions inside repetitions, such as (a+)+, are the usual cause."
    )


@tool(name="text.change_case", category=_CATEGORY)
def change_case(text: str, case: Literal["upper", "lower", "title", "sentence"]) -> str:
    """Write a text in upper case, lower case, Title Case or Sentence case.

    Args:
        text: The text to change.
        case: How to write it.
    """
    match case:
        case "upper":
            return text.upper()
        case "lower":
            return text.lower()
        case "title":
            return text.title()
        case "sentence":
            return text[:1].upper() + text[1:].lower()


@tool(name="text.statistics", category=_CATEGORY, label="Text statistics")
def describe_text(text: str) -> TextStatistics:
    """Count characters, words, lines, sentences and paragraphs, and estimate the reading time.

    Args:
        text: Any text.
    """
    words = _WORD.findall(text)
    return TextStatistics(
        characters=len(text),
        words=len(words),
        unique_words=len({word.lower() for word in words}),
        lines=len(text.splitlines()),
        sentences=len(_sentences(text)),
        paragraphs=len([block for block in re.split(r"\n\s*\n", text) if block.strip()]),
        average_word_length=round(sum(map(len, words)) / len(words), 2) if words else 0.0,
        reading_time_s=round(len(words) / _WORDS_PER_MINUTE * 60, 1),
    )


@tool(name="text.frequent_words", category=_CATEGORY)
def find_frequent_words(
    text: str,
    limit: Annotated[int, Field(ge=1, le=1_000)] = 10,
    shortest: Annotated[int, Field(ge=1, le=50)] = 4,
) -> list[WordCount]:
    """The words that are there most often, with their counts; of equally frequent ones, the first in the alphabet.

    Args:
        text: Any text.
        limit: How many words to give.
        shortest: Leave out words with fewer letters.
    """
    counts = Counter(word.lower() for word in _WORD.findall(text) if len(word) >= shortest)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [WordCount(word, count) for word, count in ranked[:limit]]


@tool(name="report.summary", category=_CATEGORY, label="Summary report")
def write_summary(
    title: str,
    sections: dict[str, Any],
    style: Literal["short", "full"] = "full",
) -> str:
    """Write a Markdown report from named values: tables for lists of objects, lists for the rest.

    Args:
        title: The heading.
        sections: Values by heading, in this order.
        style: short leaves out what is nested deeper.
    """
    lines = [f"# {title}", ""]
    for heading, value in sections.items():
        if isinstance(value, dict | list) and value:
            gap = [""] if lines[-1] else []
            lines += [*gap, f"## {_title(heading)}", "", *_write_value(value, full=style == "full"), ""]
        else:
            lines += [f"- **{_title(heading)}**: {_inline(value)}"]
    return "\n".join(lines).rstrip() + "\n"


def _title(name: str) -> str:
    words = str(name).replace("_", " ")
    return words[:1].upper() + words[1:]


def _write_value(value: dict[str, Any] | list[Any], *, full: bool) -> list[str]:
    if isinstance(value, dict):
        return [
            f"- **{_title(key)}**: {_inline(item)}"
            for key, item in value.items()
            if full or not _is_nested(item)
        ]
    if all(isinstance(item, dict) and item for item in value):
        columns = list(dict.fromkeys(key for item in value for key in item))
        rows = [[_inline(item.get(column)) for column in columns] for item in value]
        shown = rows if full else rows[:5]
        more = ["", f"… and {len(rows) - len(shown)} more"] if len(rows) > len(shown) else []
        return [
            "| " + " | ".join(map(_title, columns)) + " |",
            "|" + " --- |" * len(columns),
            *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in shown),
            *more,
        ]
    return [f"- {_inline(item)}" for item in value]


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict | list)


def _inline(value: Any) -> str:
    return " ".join(_as_text(value).split()) or "none"


TOOLS: tuple[Callable[..., Any], ...] = (
    fill_template,
    split_text,
    join_text,
    replace_text,
    extract_text,
    change_case,
    describe_text,
    find_frequent_words,
    write_summary,
)

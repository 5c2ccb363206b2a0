"""Code review: what is good and bad about a Python file, and what can be mended at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from engine.tools.builtin.code_fixes import FIX_KINDS, FixKind, apply_fixes, find_fixes
from engine.tools.builtin.code_metrics import CodeReport, FunctionMetrics, Issue, UnusedImport, review
from engine.tools.decorator import tool

_CATEGORY = "Code review"
_ADVICE = {
    "complex_function": "Split it: give each branch that does work a function of its own.",
    "long_function": "Split it into steps that have names.",
    "deep_nesting": "Return early, or move the inner blocks into functions.",
    "missing_annotation": "Add type hints; a type checker then finds mistakes before a run does.",
    "missing_docstring": "Say in one sentence what it does for its caller.",
    "unused_import": "Remove it.",
    "none_comparison": 'There is one None, so "is" asks the right question.',
    "risky": "Look at this line first.",
    "long_line": "Break the line.",
    "trailing_whitespace": "Remove it.",
}
_ORDER = list(_ADVICE)

LineLength = Annotated[int, Field(ge=40, le=500)]
ComplexityLimit = Annotated[int, Field(ge=1, le=100)]


class Analysis(NamedTuple):
    """What code.analyze finds.

    Attributes:
        report: All measures and issues.
        score: The score of the report, 0 to 100.
        source: The source as it came, for the steps after.
    """

    report: CodeReport
    score: float
    source: str


class Suggestions(NamedTuple):
    """What code.suggest makes of a file.

    Attributes:
        code: The source with the fixes made.
        applied: What was changed, a sentence each.
        suggestions: What is left for a person, a sentence each; at most as many as the limit.
        remaining: How many issues are left after the fixes.
    """

    code: str
    applied: list[str]
    suggestions: list[str]
    remaining: int


class Changes(NamedTuple):
    """What differs between two texts.

    Attributes:
        diff: As a unified diff; empty where nothing differs.
        added: How many lines were added.
        removed: How many lines were removed.
    """

    diff: str
    added: int
    removed: int


@tool(name="code.analyze", category=_CATEGORY, label="Analyze code")
def analyze_code(
    source: str,
    name: str = "source.py",
    line_length: LineLength = 100,
    complexity_limit: ComplexityLimit = 10,
) -> Analysis:
    """Measure Python source: complexity, length and nesting of functions, docstrings, type hints, unused imports and more.

    The score is 100 less deductions: up to 20 for missing docstrings, 20 for missing type hints, 20 for complex
    functions, 15 for long and deeply nested ones, 15 for risky constructs, 10 for unused imports, 10 for style.

    Args:
        source: Python source.
        name: The name of the file, for the report.
        line_length: Longer lines are issues.
        complexity_limit: Functions of a higher cyclomatic complexity are issues.
    """
    report = review(source, name, line_length=line_length, complexity_limit=complexity_limit)
    return Analysis(report, report.score, source)


@tool(name="code.complexity", category=_CATEGORY, label="Complexity")
def measure_complexity(
    source: str, at_least: Annotated[int, Field(ge=1, le=100)] = 1
) -> list[FunctionMetrics]:
    """The functions of Python source with complexity, length and nesting; the most complex first.

    Args:
        source: Python source.
        at_least: Leave out functions of a lower cyclomatic complexity.
    """
    found = [one for one in review(source, "source.py").functions if one.complexity >= at_least]
    return sorted(found, key=lambda one: (-one.complexity, one.line))


@tool(name="code.unused_imports", category=_CATEGORY, label="Unused imports")
def find_unused_imports(source: str) -> list[UnusedImport]:
    """The imported names that Python source does not use. Lines with "# noqa" are left out.

    Args:
        source: Python source.
    """
    return review(source, "source.py").unused_imports


@tool(name="code.suggest", category=_CATEGORY, label="Suggest fixes")
def suggest_fixes(
    source: str,
    limit: Annotated[int, Field(ge=1, le=1_000)] = 10,
    fixes: Sequence[FixKind] = FIX_KINDS,
    explain: bool = True,
    line_length: LineLength = 100,
) -> Suggestions:
    """Mend what can be mended safely, and say what is left for a person. Docstrings are drafts made from the names.

    Args:
        source: Python source.
        limit: Make, and suggest, at most so many changes.
        fixes: Which kinds of changes to make, the most wanted first.
        explain: Add advice to the suggestions.
        line_length: Longer lines are issues.
    """
    before = review(source, "source.py", line_length=line_length)
    found = find_fixes(source, "source.py", before.unused_imports, fixes)
    code, made = apply_fixes(source, found[:limit])
    after = review(code, "source.py", line_length=line_length)
    open_issues = sorted(after.issues, key=lambda issue: (_ORDER.index(issue.kind), issue.line))
    return Suggestions(
        code=code,
        applied=[fix.message for fix in made],
        suggestions=[_suggest(issue, explain=explain) for issue in open_issues[:limit]],
        remaining=after.issue_count,
    )


def _suggest(issue: Issue, *, explain: bool) -> str:
    text = f"Line {issue.line}: {issue.message}"
    return f"{text} {_ADVICE[issue.kind]}" if explain else text


@tool(name="code.compare", category=_CATEGORY, label="Compare texts")
def compare_texts(before: str, after: str, name: str = "source.py") -> Changes:
    """The lines that differ between two versions of a text.

    Args:
        before: The old text.
        after: The new text.
        name: The name of the file, for the diff.
    """
    old, new = before.splitlines(), after.splitlines()
    lines = list(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", lineterm=""))
    return Changes(
        diff="\n".join(lines) + "\n" if lines else "",
        added=sum(line.startswith("+") for line in lines[2:]),
        removed=sum(line.startswith("-") for line in lines[2:]),
    )


@tool(name="code.report", category=_CATEGORY, label="Review report")
def write_review(
    report: dict[str, Any],
    verdict: str = "",
    style: Literal["short", "full"] = "full",
    applied: list[str] | None = None,
    suggestions: list[str] | None = None,
    diff: str = "",
) -> str:
    """Write the report of code.analyze as Markdown.

    Args:
        report: A report of code.analyze.
        verdict: A line at the top, such as "Approved".
        style: short leaves the tables of functions and issues out.
        applied: What was mended, a sentence each.
        suggestions: What is left to do, a sentence each.
        diff: The changes, such as code.compare gives them.
    """
    try:
        lines = [f"# Code review of {report['name']}", ""]
        if verdict:
            lines += [f"**{verdict}**", ""]
        lines += [*_write_measures(report), ""]
        for heading, items in (("Mended", applied), ("To do", suggestions)):
            if items:
                lines += [f"## {heading}", "", *(f"- {item}" for item in items), ""]
        if diff:
            lines += ["## Changes", "", "```diff", diff.rstrip("\n"), "```", ""]
        if style == "full":
            lines += [*_write_functions(report), "", *_write_issues(report), ""]
    except KeyError as error:
        raise LookupError(f"This is not a report of code.analyze: it has no {error}.") from error
    return "\n".join(lines).rstrip() + "\n"


def _write_measures(report: dict[str, Any]) -> list[str]:
    unused = ", ".join(one["name"] for one in report["unused_imports"])
    return [
        "| Measure | Value |",
        "| --- | --- |",
        f"| Score | {report['score']:g} of 100 |",
        f"| Lines | {report['lines']} ({report['blank_lines']} blank, {report['comment_lines']} comments) |",
        f"| Classes and functions | {report['class_count']} and {report['function_count']} |",
        f"| Complexity | {report['average_complexity']:g} on average, {report['max_complexity']} at most |",
        f"| Too complex | {', '.join(report['too_complex']) or 'none'} |",
        f"| Documented | {report['docstring_coverage']:.0%} |",
        f"| Annotated | {report['annotation_coverage']:.0%} |",
        f"| Unused imports | {unused or 'none'} |",
        f"| Issues | {report['issue_count']} |",
    ]


def _write_functions(report: dict[str, Any]) -> list[str]:
    ranked = sorted(report["functions"], key=lambda one: (-one["complexity"], one["line"]))
    return [
        "## Functions",
        "",
        "| Function | Line | Lines | Complexity | Nesting |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {one['name']} | {one['line']} | {one['lines']} | {one['complexity']} | {one['nesting']} |"
            for one in ranked
        ),
    ]


def _write_issues(report: dict[str, Any]) -> list[str]:
    if not report["issues"]:
        return ["No issues."]
    return ["## Issues", "", *(f"- Line {issue['line']}: {issue['message']}" for issue in report["issues"])]


TOOLS: tuple[Callable[..., Any], ...] = (
    analyze_code,
    measure_complexity,
    find_unused_imports,
    suggest_fixes,
    compare_texts,
    write_review,
)

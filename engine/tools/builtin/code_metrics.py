"""Measures Python source: what the code review tools are made of.

Cyclomatic complexity is counted by radon, unused imports and other faults are found by pyflakes; the rest is counted
on the syntax tree here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import pyflakes.messages  # with radon, a quarter of what all built-in tools take to import; loaded when used

FunctionNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
IssueKind = Literal[
    "unused_import",
    "missing_docstring",
    "missing_annotation",
    "complex_function",
    "long_function",
    "deep_nesting",
    "risky",
    "none_comparison",
    "long_line",
    "trailing_whitespace",
]

LARGEST_SOURCE = 1_000_000
COMPLEXITY_LIMIT = 10
VERY_COMPLEX = 20
LENGTH_LIMIT = 50
NESTING_LIMIT = 4

_BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class FunctionMetrics:
    """A function or method.

    Attributes:
        name: With its class or outer function: Stock.add.
        line: Where its "def" is.
        lines: From "def" to its end.
        complexity: Cyclomatic complexity, as radon counts it.
        nesting: How deep blocks are inside each other.
        parameters: How many it takes, self and cls not counted.
    """

    name: str
    line: int
    lines: int
    complexity: int
    nesting: int
    parameters: int


@dataclass(frozen=True, slots=True)
class UnusedImport:
    """An imported name that nothing uses.

    Attributes:
        name: As it is imported: os, typing.List, numpy as np.
        line: Where the import statement is.
    """

    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Issue:
    """Something to improve.

    Attributes:
        line: Where it is.
        kind: What kind of issue it is.
        message: A sentence for people.
    """

    line: int
    kind: IssueKind
    message: str


@dataclass(frozen=True, slots=True)
class CodeReport:
    """What there is to say about a Python file.

    Attributes:
        name: The name of the file.
        score: 0 to 100; see score_of for the formula.
        lines: All lines.
        blank_lines: Lines of white space only.
        comment_lines: Lines that hold a comment and nothing else.
        class_count: Classes, inner ones included.
        function_count: Functions and methods, inner ones included.
        average_complexity: The mean over all functions; 0 without functions.
        max_complexity: The largest of all functions; 0 without functions.
        docstring_coverage: Documented share of the module, public classes and public functions; 0 to 1.
        annotation_coverage: Annotated share of all parameters and results; 0 to 1.
        too_complex: Names of functions above the complexity limit.
        unused_imports: Imported names that nothing uses.
        issue_count: How many issues there are.
        functions: Every function, in the order of the file.
        issues: Every issue, by line.
    """

    name: str
    score: float
    lines: int
    blank_lines: int
    comment_lines: int
    class_count: int
    function_count: int
    average_complexity: float
    max_complexity: int
    docstring_coverage: float
    annotation_coverage: float
    too_complex: list[str]
    unused_imports: list[UnusedImport]
    issue_count: int
    functions: list[FunctionMetrics] = field(repr=False)
    issues: list[Issue] = field(repr=False)


def parse_source(source: str, name: str) -> ast.Module:
    """The syntax tree; raises ``ValueError`` that says where Python cannot read the source."""
    if len(source) > LARGEST_SOURCE:
        raise ValueError(f"{name} has {len(source):,} characters; at most {LARGEST_SOURCE:,} are reviewed.")
    try:
        return ast.parse(source, filename=name)
    except SyntaxError as error:
        raise ValueError(
            f"{name} is not Python that can be read: {error.msg} in line {error.lineno}."
        ) from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"{name} is nested too deeply to be read.") from error


def split_lines(source: str) -> list[str]:
    """The lines as Python counts them, without their ends."""
    lines = _LINE_END.split(source)
    return lines[:-1] if lines[-1] == "" else lines


def review(
    source: str, name: str, *, line_length: int = 100, complexity_limit: int = COMPLEXITY_LIMIT
) -> CodeReport:
    """Measure a file. Raises ``ValueError`` where it is not Python."""
    try:
        return _review(parse_source(source, name), source, name, line_length, complexity_limit)
    except RecursionError as error:
        raise ValueError(f"{name} is nested too deeply to be reviewed.") from error


def _review(tree: ast.Module, source: str, name: str, line_length: int, complexity_limit: int) -> CodeReport:
    lines = split_lines(source)
    functions = [_measure(qualified, node) for qualified, node in walk_functions(tree)]
    faults = _find_faults(tree, name, lines)
    unused = [
        UnusedImport(str(fault.message_args[0]), fault.lineno) for fault in faults if _is_unused_import(fault)
    ]
    documented, documentable = docstring_counts(tree)
    annotated, annotatable = annotation_counts(tree)
    issues = [
        *(Issue(found.line, "unused_import", f"{found.name} is imported but not used.") for found in unused),
        *(
            Issue(fault.lineno, "risky", f"{str(fault.message % fault.message_args)[:200]}.")
            for fault in faults
            if not _is_unused_import(fault)
        ),
        *_find_risks(tree),
        *_missing_docstrings(tree),
        *_missing_annotations(tree),
        *_function_issues(functions, complexity_limit),
        *_none_comparisons(tree),
        *_line_issues(tree, lines, line_length),
    ]
    docstring_coverage = _share(documented, documentable)
    annotation_coverage = _share(annotated, annotatable)
    complexities = [function.complexity for function in functions]
    return CodeReport(
        name=name,
        score=score_of(issues, functions, docstring_coverage, annotation_coverage, complexity_limit),
        lines=len(lines),
        blank_lines=sum(not line.strip() for line in lines),
        comment_lines=sum(line.lstrip().startswith("#") for line in lines),
        class_count=sum(isinstance(node, ast.ClassDef) for node in ast.walk(tree)),
        function_count=len(functions),
        average_complexity=round(sum(complexities) / len(complexities), 2) if complexities else 0.0,
        max_complexity=max(complexities, default=0),
        docstring_coverage=docstring_coverage,
        annotation_coverage=annotation_coverage,
        too_complex=[function.name for function in functions if function.complexity > complexity_limit],
        unused_imports=unused,
        issue_count=len(issues),
        functions=functions,
        issues=sorted(issues, key=lambda issue: (issue.line, issue.kind, issue.message)),
    )


def score_of(
    issues: list[Issue],
    functions: list[FunctionMetrics],
    docstring_coverage: float,
    annotation_coverage: float,
    complexity_limit: int = COMPLEXITY_LIMIT,
) -> float:
    """The score of a file, 0 to 100.

    It is 100, less 20 times the share of missing docstrings, 20 times that of missing annotations, and

    - 5 a function above the complexity limit, 10 where it is above 20 (at most 20),
    - 3 a function of more than 50 lines (at most 9), 2 a function nested deeper than 4 (at most 6),
    - 2 an unused import (at most 10), 3 a risky construct (at most 15),
    - half a point a long line, trailing white space, or comparison with None by "==" (at most 10); never below 0.
    """

    def count(*kinds: IssueKind) -> int:
        return sum(issue.kind in kinds for issue in issues)

    complexity = sum(
        10 if function.complexity > max(VERY_COMPLEX, complexity_limit) else 5
        for function in functions
        if function.complexity > complexity_limit
    )
    deductions = (
        20 * (1 - docstring_coverage),
        20 * (1 - annotation_coverage),
        min(complexity, 20),
        min(3 * count("long_function"), 9),
        min(2 * count("deep_nesting"), 6),
        min(2 * count("unused_import"), 10),
        min(3 * count("risky"), 15),
        min(0.5 * count("long_line", "trailing_whitespace", "none_comparison"), 10),
    )
    return round(max(0.0, 100 - sum(deductions)), 1)


# ------------------------------------------------------------------------------------------------------ functions


def walk_functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, FunctionNode]]:
    """Every function with its qualified name, in the order of the file."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, _FUNCTIONS):
            yield prefix + node.name, node
            yield from walk_functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.ClassDef):
            yield from walk_functions(node, f"{prefix}{node.name}.")
        else:
            yield from walk_functions(node, prefix)


def _measure(name: str, node: FunctionNode) -> FunctionMetrics:
    from radon.visitors import ComplexityVisitor

    visitor = ComplexityVisitor()
    visitor.visit(node)
    return FunctionMetrics(
        name=name,
        line=node.lineno,
        lines=(node.end_lineno or node.lineno) - node.lineno + 1,
        complexity=visitor.functions[0].complexity,
        nesting=_nesting(node.body),
        parameters=len(own_parameters(node)),
    )


def _nesting(body: list[ast.stmt]) -> int:
    """How deep blocks lie in each other; ``elif`` is not deeper than its ``if``, an inner function counts for itself."""
    deepest = 0
    for statement in body:
        if not isinstance(statement, _BLOCKS):
            continue
        inner = 1 + max(map(_nesting, _bodies(statement)), default=0)
        deepest = max(deepest, inner)
        if (
            isinstance(statement, ast.If)
            and len(statement.orelse) == 1
            and isinstance(statement.orelse[0], ast.If)
        ):
            deepest = max(deepest, _nesting(statement.orelse))
    return deepest


def _bodies(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    yield getattr(statement, "body", [])
    otherwise = getattr(statement, "orelse", [])
    is_elif = isinstance(statement, ast.If) and len(otherwise) == 1 and isinstance(otherwise[0], ast.If)
    if not is_elif:
        yield otherwise
    yield getattr(statement, "finalbody", [])
    for part in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
        yield part.body


def own_parameters(node: FunctionNode) -> list[ast.arg]:
    """The parameters, without a method's self or cls."""
    arguments = node.args
    found = [*arguments.posonlyargs, *arguments.args]
    if found and found[0].arg in ("self", "cls"):
        found = found[1:]
    found += arguments.kwonlyargs
    return found + [extra for extra in (arguments.vararg, arguments.kwarg) if extra is not None]


def _function_issues(functions: list[FunctionMetrics], complexity_limit: int) -> Iterator[Issue]:
    for one in functions:
        if one.complexity > complexity_limit:
            text = f"{one.name} has a complexity of {one.complexity}; at most {complexity_limit} is good."
            yield Issue(one.line, "complex_function", text)
        if one.lines > LENGTH_LIMIT:
            yield Issue(
                one.line,
                "long_function",
                f"{one.name} has {one.lines} lines; at most {LENGTH_LIMIT} are good.",
            )
        if one.nesting > NESTING_LIMIT:
            text = f"{one.name} nests blocks {one.nesting} deep; at most {NESTING_LIMIT} is good."
            yield Issue(one.line, "deep_nesting", text)


# ----------------------------------------------------------------------------------------------- docs and types


def walk_documentable(tree: ast.Module) -> Iterator[tuple[str, ast.Module | ast.ClassDef | FunctionNode]]:
    """The module, its public classes, and the public functions and methods that are not inside functions."""
    yield "The module", tree
    yield from _public_definitions(tree, "")


def _public_definitions(
    parent: ast.AST, prefix: str
) -> Iterator[tuple[str, ast.Module | ast.ClassDef | FunctionNode]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, (ast.ClassDef, *_FUNCTIONS)):
            if node.name.startswith("_"):
                continue
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public_definitions(node, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.If, ast.Try)):
            yield from _public_definitions(node, prefix)


def docstring_counts(tree: ast.Module) -> tuple[int, int]:
    """How many have a docstring, of how many that should."""
    found = [ast.get_docstring(node, clean=False) is not None for _, node in walk_documentable(tree)]
    return sum(found), len(found)


def _missing_docstrings(tree: ast.Module) -> Iterator[Issue]:
    for name, node in walk_documentable(tree):
        if ast.get_docstring(node, clean=False) is None:
            yield Issue(getattr(node, "lineno", 1), "missing_docstring", f"{name} has no docstring.")


def annotation_counts(tree: ast.Module) -> tuple[int, int]:
    """How many parameters and results are annotated, of how many there are."""
    annotated = total = 0
    for _, node in walk_functions(tree):
        slots = [node.returns, *(parameter.annotation for parameter in own_parameters(node))]
        total += len(slots)
        annotated += sum(slot is not None for slot in slots)
    return annotated, total


def _missing_annotations(tree: ast.Module) -> Iterator[Issue]:
    for name, node in walk_functions(tree):
        missing = [parameter.arg for parameter in own_parameters(node) if parameter.annotation is None]
        if node.returns is None:
            missing.append("the result")
        if missing:
            yield Issue(node.lineno, "missing_annotation", f"{name} does not annotate {', '.join(missing)}.")


def _share(part: int, whole: int) -> float:
    return round(part / whole, 3) if whole else 1.0


# ---------------------------------------------------------------------------------------------------- other faults


def _find_faults(tree: ast.Module, name: str, lines: list[str]) -> list[pyflakes.messages.Message]:
    """What pyflakes says, without lines that carry "noqa"."""
    import pyflakes.checker

    found = pyflakes.checker.Checker(tree, filename=name).messages
    return [
        fault
        for fault in sorted(found, key=lambda fault: fault.lineno)
        if not _is_excused(fault.lineno, lines)
    ]


def _is_excused(line: int, lines: list[str]) -> bool:
    return 0 < line <= len(lines) and re.search(r"#\s*noqa\b", lines[line - 1], re.IGNORECASE) is not None


def _is_unused_import(fault: pyflakes.messages.Message) -> bool:
    import pyflakes.messages

    return isinstance(fault, pyflakes.messages.UnusedImport)


def _find_risks(tree: ast.Module) -> Iterator[Issue]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield Issue(node.lineno, "risky", "A bare except also catches KeyboardInterrupt and SystemExit.")
        elif isinstance(node, _FUNCTIONS):
            for default in (*node.args.defaults, *node.args.kw_defaults):
                if isinstance(default, (ast.List, ast.Dict, ast.Set)):
                    yield Issue(
                        default.lineno, "risky", f"All calls of {node.name} share this mutable default."
                    )


def walk_none_comparisons(tree: ast.AST) -> Iterator[ast.Compare]:
    """Comparisons of the form ``x == None`` and ``x != None``."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Compare)
            and len(node.ops) == 1
            and isinstance(node.ops[0], (ast.Eq, ast.NotEq))
        ):
            right = node.comparators[0]
            if isinstance(right, ast.Constant) and right.value is None:
                yield node


def _none_comparisons(tree: ast.Module) -> Iterator[Issue]:
    for node in walk_none_comparisons(tree):
        better = "is None" if isinstance(node.ops[0], ast.Eq) else "is not None"
        yield Issue(node.lineno, "none_comparison", f'Compare with "{better}".')


def lines_ending_in_strings(tree: ast.AST) -> set[int]:
    """Lines whose end lies inside a text literal, so that white space there is part of the text."""
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        ):
            inside.update(range(node.lineno, node.end_lineno or node.lineno))
    return inside


def _line_issues(tree: ast.Module, lines: list[str], line_length: int) -> Iterator[Issue]:
    inside = lines_ending_in_strings(tree)
    for number, line in enumerate(lines, 1):
        if len(line) > line_length and not _is_excused(number, lines):
            text = f"The line has {len(line)} characters; at most {line_length} are good."
            yield Issue(number, "long_line", text)
        if line != line.rstrip(" \t") and number not in inside:
            yield Issue(number, "trailing_whitespace", "There is white space at the end of the line.")

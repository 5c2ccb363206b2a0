"""The code review tools: their numbers beside numbers that were counted in other ways, and that fixes are safe."""

import ast
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from engine.flow.values import to_json
from engine.tools.builtin.code_metrics import CodeReport, review
from engine.tools.builtin.code_review import (
    analyze_code,
    compare_texts,
    find_unused_imports,
    measure_complexity,
    suggest_fixes,
    write_review,
)


@pytest.fixture(scope="module")
def sample() -> str:
    return (Path(__file__).parents[3] / "resources" / "samples" / "inventory.py").read_text()


@pytest.fixture(scope="module")
def report(sample: str) -> CodeReport:
    return review(sample, "inventory.py")


# ----------------------------------------------------------------------- the sample, counted by hand and otherwise


def test_lines_of_the_sample_are_counted(sample: str, report: CodeReport) -> None:
    assert report.lines == sample.count("\n") == 291
    assert report.blank_lines == len(re.findall(r"(?m)^[ \t]*\n", sample)) == 54
    assert report.comment_lines == 4  # three at the top, one in suggest_order
    assert (report.class_count, report.function_count) == (sample.count("\nclass "), sample.count("def "))


def test_complexities_of_the_sample_are_right(sample: str, report: CodeReport) -> None:
    found = {function.name: function.complexity for function in report.functions}
    by_hand = {
        "suggest_order": 21,
        "load_items": 9,
        "main": 7,
        "Inventory.move": 3,
        "Item.matches": 4,
        "print_help": 1,
    }
    assert {name: found[name] for name in by_hand} == by_hand
    decisions = {
        node.name: 1 + sum(map(decisions_of, ast.walk(node))) for node in functions_of(ast.parse(sample))
    }
    assert [function.complexity for function in report.functions] == list(decisions_in_order(sample))
    assert report.max_complexity == max(decisions.values()) == 21
    assert report.average_complexity == round(sum(found.values()) / 26, 2)
    assert report.too_complex == ["suggest_order"]


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def decisions_in_order(source: str) -> Iterator[int]:
    for node in sorted(functions_of(ast.parse(source)), key=lambda node: node.lineno):
        yield 1 + sum(map(decisions_of, ast.walk(node)))


def decisions_of(node: ast.AST) -> int:
    """McCabe's decisions; the sample has no functions in functions, no match, no assert and no else after a loop."""
    match node:
        case ast.If() | ast.IfExp() | ast.For() | ast.While() | ast.ExceptHandler():
            return 1
        case ast.BoolOp():
            return len(node.values) - 1
        case ast.comprehension():
            return 1 + len(node.ifs)
    return 0


def test_docstrings_of_the_sample_are_counted(report: CodeReport) -> None:
    missing = {
        issue.message.split(" has no")[0] for issue in report.issues if issue.kind == "missing_docstring"
    }
    assert missing == {
        "The module", "UnknownItem", "Item.is_low", "Inventory.add", "Inventory.find", "Inventory.move",
        "Inventory.by_supplier", "save_items", "suggest_order", "group_order", "format_money", "format_table",
        "parse_day", "print_help", "main",
    }  # fmt: skip
    assert report.docstring_coverage == round(14 / 29, 3)


def test_annotations_of_the_sample_are_counted(sample: str, report: CodeReport) -> None:
    slots = list(slots_of(import_sample()))
    assert (sum(slots), len(slots)) == (43, 58)
    assert report.annotation_coverage == round(sum(slots) / len(slots), 3)


def import_sample() -> ModuleType:
    path = Path(__file__).parents[3] / "resources" / "samples" / "inventory.py"
    spec = importlib.util.spec_from_file_location("inventory_sample", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[module.__name__]
    return module


def slots_of(module: ModuleType) -> Iterator[bool]:
    """What Python itself says of the annotations, of functions that were written down (dataclasses make more)."""
    written = Path(str(module.__file__))
    for owner in (module, *(value for value in vars(module).values() if inspect.isclass(value))):
        for value in list(vars(owner).values()):
            function = value.fget if isinstance(value, property) else value
            if not inspect.isfunction(function) or Path(function.__code__.co_filename) != written:
                continue
            if function.__module__ != module.__name__:
                continue
            names = [name for name in inspect.signature(function).parameters if name != "self"]
            yield from (name in function.__annotations__ for name in [*names, "return"])


def test_unused_imports_of_the_sample_are_found(sample: str, report: CodeReport) -> None:
    assert [(one.name, one.line) for one in report.unused_imports] == [
        ("os", 8),
        ("collections.OrderedDict", 11),
    ]
    assert find_unused_imports(sample) == report.unused_imports
    code_only = "\n".join(line for line in sample.splitlines() if "import" not in line).replace("OSError", "")
    assert "os." not in code_only
    assert "OrderedDict" not in code_only


def test_other_faults_of_the_sample_are_found(sample: str, report: CodeReport) -> None:
    lines = sample.splitlines()
    found = {kind: [issue.line for issue in report.issues if issue.kind == kind] for kind in ("long_line", "risky", "none_comparison", "trailing_whitespace")}  # fmt: skip
    assert found["long_line"] == [number for number, line in enumerate(lines, 1) if len(line) > 100]
    assert found["trailing_whitespace"] == [
        number for number, line in enumerate(lines, 1) if line.endswith(" ")
    ]
    assert [lines[number - 1].strip() for number in found["risky"]] == [
        "def apply_movements(inventory: Inventory, movements: Iterable[Movement], strict=False, skipped=[]):",
        "except:",
    ]
    assert [lines[number - 1].strip() for number in found["none_comparison"]] == [
        "if item == None:",
        "if budget != None:",
    ]


def test_the_score_of_the_sample_follows_the_formula(report: CodeReport) -> None:
    style = sum(
        issue.kind in ("long_line", "trailing_whitespace", "none_comparison") for issue in report.issues
    )
    expected = (
        100 - 20 * (1 - 14 / 29) - 20 * (1 - report.annotation_coverage) - 10 - 2 * 2 - 2 * 3 - style / 2
    )
    assert report.score == pytest.approx(expected, abs=0.06)
    assert (report.score, report.issue_count) == (57.5, len(report.issues))


def test_rounds_of_fixes_raise_the_score_of_the_sample_and_come_to_an_end(sample: str) -> None:
    scores, code = [], sample
    for _ in range(10):
        scores.append(analyze_code(code).score)
        made = suggest_fixes(code, limit=12)
        if not made.applied:
            break
        code = made.code
    assert scores == [57.5, 65.9, 74.2, 75.9]
    assert find_unused_imports(code) == []
    assert without_docs_and_hints(code) == without_docs_and_hints(sample)


def without_docs_and_hints(source: str) -> str:
    """What the program does: without docstrings, result types and imports, and with one way to compare with None."""
    tree = ast.parse(source.replace("== None", "is None").replace("!= None", "is not None"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
            node.body = [item for item in node.body if not isinstance(item, (ast.Import, ast.ImportFrom))]
    return ast.dump(tree)


# --------------------------------------------------------------------------------------------------- small sources


def code(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


def test_functions_are_named_measured_and_ranked() -> None:
    found = measure_complexity(
        code("""
        class A:
            def m(self, a, *b, c, **d):
                def inner():
                    return [x for x in a if x]
                if a:
                    for x in b:
                        with c:
                            while True:
                                try:
                                    pass
                                finally:
                                    pass
                elif b:
                    pass
                return inner

        async def f():
            match 1:
                case 1: pass
                case _: pass
        """)
    )
    by_name = {one.name: one for one in found}
    assert [one.name for one in found] == ["A.m", "A.m.inner", "f"]
    assert (by_name["A.m"].complexity, by_name["A.m"].nesting, by_name["A.m"].parameters) == (5, 5, 4)
    assert (by_name["A.m.inner"].complexity, by_name["A.m.inner"].line, by_name["A.m.inner"].lines) == (
        3,
        3,
        2,
    )
    assert (by_name["f"].complexity, by_name["f"].nesting) == (2, 1)


def test_perfect_and_empty_sources_score_full_marks() -> None:
    assert analyze_code('"""Doc."""\n\n\ndef f(x: int) -> int:\n    """Doc."""\n    return x\n').score == 100
    empty = analyze_code("").report
    assert (empty.score, empty.lines, empty.docstring_coverage, empty.annotation_coverage) == (
        80,
        0,
        0.0,
        1.0,
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [("x = (\n", "inventory.py is not Python that can be read: .* in line 1"), ("a\x00b", "is not Python|null"), ("(" * 500, "not Python|too deeply"),
        ("x = " + "+".join(["1"] * 5_000), "too deeply"), ("x" * 1_000_001, "at most 1,000,000")],
)  # fmt: skip
def test_what_is_not_python_is_refused(source: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        analyze_code(source, "inventory.py")


def fix(source: str, kind: Any) -> str:
    return suggest_fixes(code(source), limit=100, fixes=[kind]).code


def test_unused_names_are_taken_out_of_imports() -> None:
    fixed = fix(
        """
        from __future__ import annotations
        import os, sys
        import a.b
        import numpy as np
        from x import (
            one,
            two as zwei,
        )
        from . import near
        import kept  # noqa
        import commented  # why
        try:
            import maybe
        except ImportError:
            pass
        if sys:
            import inner
        def f():
            import local
            import other
        print(one)
        """,
        "unused_import",
    )
    assert fixed == code("""
        from __future__ import annotations
        import sys
        from x import one
        import kept  # noqa
        import commented  # why
        try:
            import maybe
        except ImportError:
            pass
        if sys:
            pass
        def f():
            pass
        print(one)
        """)


def test_an_import_that_does_something_else_is_left_alone() -> None:
    source = "import a; print(1)\nx = 1; import b\n__all__ = ['c']\nimport c\n"
    assert fix(source, "unused_import") == source


def test_comparisons_with_none_are_mended() -> None:
    assert fix("a = x == None\nb = (y)!=None\nc = None == x\nd = x == None == y\n", "none_comparison") == (
        "a = x is None\nb = (y) is not None\nc = None == x\nd = x == None == y\n"
    )
    alchemy = "import sqlalchemy\nq = column == None\n"
    assert fix(alchemy, "none_comparison") == alchemy


def test_functions_that_give_nothing_are_annotated() -> None:
    fixed = fix(
        """
        def a(x: dict[str, int] = {"a:b": 1}, y=lambda z: 1):  # a: b
            return
        async def b(
            x,
        ): pass
        def c(): return 1
        def d(): yield
        def e(): raise NotImplementedError
        def f(): ...
        class G:
            def __init__(self): self.x = lambda: 1
        def h():
            def inner(): return 1
        """,
        "return_annotation",
    )
    assert [line for line in fixed.splitlines() if "-> None" in line] == [
        'def a(x: dict[str, int] = {"a:b": 1}, y=lambda z: 1) -> None:  # a: b',
        ") -> None: pass",
        "    def __init__(self) -> None: self.x = lambda: 1",
        "def h() -> None:",
    ]


def test_docstrings_are_drafted_from_names() -> None:
    fixed = fix(
        """
        #!/usr/bin/env python
        import x
        class HttpServer:
            @property
            def is_open(self): return True
            def add(self, item):
                # why
                return item
            def _private(self):
                return 1
        def one_line(): return 1
        """,
        "docstring",
    )
    assert fixed.startswith('#!/usr/bin/env python\n"""Defines HttpServer, one_line."""\nimport x\n')
    assert '    """Http server."""\n    @property' in fixed
    assert '        # why\n        """Add item."""\n' in fixed
    assert fixed.count('"""') == 6


def test_white_space_in_texts_and_line_ends_are_kept() -> None:
    source = 'x = """a  \nb  \n"""  \ny = f"""{x}  \n"""\r\nz = 1\t\r\nü = "ü"  \n'
    assert (
        fix(source, "trailing_whitespace") == 'x = """a  \nb  \n"""\ny = f"""{x}  \n"""\r\nz = 1\r\nü = "ü"\n'
    )
    assert suggest_fixes("def f():\r\n    pass\r\n", fixes=["docstring"]).code.count("\r\n") == 4


def test_no_more_than_the_limit_is_done_and_the_rest_is_suggested(sample: str) -> None:
    made = suggest_fixes(sample, limit=2, explain=False)
    assert made.applied == [
        "Removed the unused import of os.",
        "Removed the unused import of collections.OrderedDict.",
    ]
    assert made.suggestions[0] == "Line 180: suggest_order has a complexity of 21; at most 10 is good."
    assert len(made.suggestions) == 2
    assert made.remaining == review(made.code, "x").issue_count == 42
    assert "Split it" in suggest_fixes(sample, limit=2).suggestions[0]


STANDARD_LIBRARY = ["argparse", "dataclasses", "decimal", "queue", "textwrap"]


@pytest.mark.parametrize("name", STANDARD_LIBRARY)
def test_fixed_modules_of_the_standard_library_still_say_the_same(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    made = suggest_fixes(source, limit=1_000)
    fewer = review(made.code, name).issue_count
    assert fewer == made.remaining <= review(source, name).issue_count
    assert imported_names(made.code) <= imported_names(source)
    ast.parse(made.code)


def imported_names(source: str) -> set[str]:
    found = (node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.Import, ast.ImportFrom)))
    return {alias.name for node in found for alias in node.names}


# ---------------------------------------------------------------------------------------------------------- report


def test_the_report_has_the_numbers(report: CodeReport) -> None:
    text = write_review(to_json(report), verdict="Approved", applied=["a"], suggestions=["b"], diff="+x\n")
    for line in (
        "# Code review of inventory.py",
        "**Approved**",
        "| Score | 57.5 of 100 |",
        "| Lines | 291 (54 blank, 4 comments) |",
        "| Classes and functions | 5 and 26 |",
        "| Too complex | suggest_order |",
        "| Documented | 48% |",
        "| Unused imports | os, collections.OrderedDict |",
        "| suggest_order | 181 | 38 | 21 | 4 |",
        "- Line 8: os is imported but not used.",
        "## Mended",
        "## To do",
        "```diff",
    ):
        assert line in text.splitlines()
    assert "## Functions" not in write_review(to_json(report), style="short")
    with pytest.raises(LookupError, match=r"not a report of code\.analyze: it has no 'name'"):
        write_review({})


def test_changes_are_counted() -> None:
    made = compare_texts("a\nb\nc\n", "a\nB\nc\nd\n", "x.txt")
    assert (made.added, made.removed) == (2, 1)
    assert made.diff.startswith("--- a/x.txt\n+++ b/x.txt\n@@")
    assert compare_texts("a\n", "a\n").diff == ""

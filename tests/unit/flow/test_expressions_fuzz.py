"""Whatever is written in an expression, it gives a JSON value or an ExpressionError, and soon."""

import copy
import json
import warnings

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ExpressionError
from engine.flow.expression_operations import FUNCTIONS, METHOD_NAMES
from engine.flow.expressions import Scope, StepView, compile_expression

STATE = {
    "n": 3,
    "f": -0.5,
    "text": "one two",
    "items": [1, "x", None, [2, 3], {"a": 1}],
    "rows": [{"score": 1, "name": "a"}, {"score": 2, "name": "b"}],
    "o": {"a": {"b": [True]}, "items": 1},
    "none": None,
    "big": "y" * 100_000,
}


class Steps:
    def find_step(self, node_id):
        return StepView({"score": 1}, "completed", None, 1) if node_id in ("a", "b") else None

    def step_ids(self):
        return ["a", "b"]


LEAVES = st.sampled_from(
    [
        *(
            "1",
            "0",
            "-7",
            "2.5",
            "1e300",
            "10**9",
            "'x'",
            "'one'",
            "''",
            "None",
            "True",
            "[]",
            "[1, 2]",
            "{}",
            "{'a': 1}",
        ),
        *(
            "(1,)",
            "state.n",
            "state.f",
            "state.text",
            "state.items",
            "state.rows",
            "state.o",
            "state.none",
            "state.big",
        ),
        *(
            "state",
            "result",
            "steps.a.result",
            "steps.b",
            "visit",
            "run",
            "x",
            "item",
            "state.rows[0]",
            "state.nope",
        ),
    ]
)


def _grow(inner):
    name, method = st.sampled_from(sorted(FUNCTIONS)), st.sampled_from(sorted(METHOD_NAMES))
    sign = st.sampled_from(
        ["+", "-", "*", "/", "//", "%", "**", "<", ">=", "==", "!=", "in", "not in", "and", "or"]
    )
    spec = st.sampled_from(["", ":.2f", ":>9", ":,", ":05d", ":%", ":x", ":999"])
    return st.one_of(
        st.tuples(inner, sign, inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(name, st.lists(inner, max_size=3)).map(lambda parts: f"{parts[0]}({', '.join(parts[1])})"),
        st.tuples(inner, method, st.lists(inner, max_size=3)).map(
            lambda parts: f"({parts[0]}).{parts[1]}({', '.join(parts[2])})"
        ),
        st.tuples(inner, inner).map(lambda parts: f"{parts[0]}[{parts[1]}]"),
        st.tuples(inner, inner, inner, inner).map(
            lambda parts: f"({parts[0]})[{parts[1]}:{parts[2]}:{parts[3]}]"
        ),
        st.tuples(inner, inner, inner).map(lambda parts: f"[{parts[0]} for x in {parts[1]} if {parts[2]}]"),
        st.tuples(inner, inner).map(lambda parts: f"any({parts[0]} for x, item in {parts[1]})"),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
        st.tuples(inner, inner).map(lambda parts: "{" + f"str({parts[0]}): {parts[1]}" + "}"),
        st.tuples(inner, spec).map(lambda parts: 'f"""{' + parts[0] + parts[1] + '}"""'),
        inner.map(lambda part: f"not {part}"),
        inner.map(lambda part: f"-({part})"),
        inner.map(lambda part: f"({part}).a"),
    )


def evaluate(text):
    names = Scope(state=copy.deepcopy(STATE), result={"score": 1}, steps=Steps(), visit=1, run={"id": "r"})
    failure = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's parser warns of some odd spellings
            value = compile_expression(text).evaluate(names)
    except ExpressionError as error:
        failure = error
    if failure is None:
        json.dumps(value, allow_nan=False)
    else:
        assert len(failure.message) < 3_000
        assert failure.position is None or 0 <= failure.position <= len(text)
    assert names.state == STATE


@settings(max_examples=400)
@given(st.recursive(LEAVES, _grow, max_leaves=8))
def test_any_expression_gives_json_or_an_expression_error(text):
    evaluate(text)


@settings(max_examples=150)
@given(st.text(max_size=60))
def test_any_text_gives_json_or_an_expression_error(text):
    evaluate(text)


TOKENS = (
    *(
        "state",
        ".",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "'",
        '"',
        "f'",
        ":",
        ",",
        "x",
        "for",
        "in",
        "if",
        "else",
        "not",
        "and",
    ),
    *("lambda", ":=", "*", "**", "@", "\n", "#", "1", "-"),
)


@settings(max_examples=150)
@given(st.lists(st.sampled_from(TOKENS)))
def test_any_row_of_tokens_gives_json_or_an_expression_error(tokens):
    evaluate(" ".join(tokens))

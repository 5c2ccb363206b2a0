import json

import pytest
from hypothesis import given

from engine.errors import ValidationError
from engine.flow.strict_json import MAX_DEPTH, MAX_PROBLEMS, parse_json
from tests.unit.json_values import json_values


def problems(body):
    with pytest.raises(ValidationError) as caught:
        parse_json(body)
    return [(problem.code, problem.field) for problem in caught.value.problems]


@given(json_values(30))
def test_plain_json_is_read_as_the_standard_library_reads_it(value):
    assert parse_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_refused(text):
    assert problems(f'{{"a": {text}}}'.encode()) == [("not-a-number", "a")]


def test_a_key_given_twice_is_refused_by_name_and_place():
    assert problems(b'{"a": {"b": 1, "b": 2, "b": 3, "c": 1, "c": 1}}') == [
        ("repeated-key", "a.b"),
        ("repeated-key", "a.c"),
    ]


@pytest.mark.parametrize("text", [str(2**63), str(-(2**63) - 1), "1" * 5_000, "1e999", "-1e999"])
def test_a_number_that_does_not_fit_is_refused(text):
    assert problems(f"[0, {text}]".encode()) == [("number-too-large", "1")]


@pytest.mark.parametrize("text", [str(2**63 - 1), str(-(2**63)), "1e308", "-0", "0.1"])
def test_a_number_that_fits_is_kept(text):
    assert parse_json(text) == json.loads(text)


def test_half_a_surrogate_pair_is_refused_in_values_and_keys():
    assert problems(rb'{"a": "\ud800", "b": ["\udc00x"], "\ud83d": 1}') == [
        ("half-surrogate", "a"),
        ("half-surrogate", "b.0"),
        ("half-surrogate", None),
    ]
    assert problems('"\ud800"') == [("half-surrogate", None)]
    assert parse_json(rb'"\ud83d\ude00"') == "\N{GRINNING FACE}"


def test_every_fault_is_found_in_one_reading():
    found = problems(rb'{"a": NaN, "b": [1e999, "\ud800"], "c": 1, "c": 99999999999999999999}')
    assert found == [
        ("repeated-key", "c"),
        ("not-a-number", "a"),
        ("number-too-large", "b.0"),
        ("half-surrogate", "b.1"),
        ("number-too-large", "c"),
    ]


def test_the_list_of_faults_has_an_end():
    assert len(problems(b"[" + b",".join([b"NaN"] * 500) + b"]")) == MAX_PROBLEMS


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_nesting_has_a_limit(opening, closing):
    within = opening * MAX_DEPTH + "1" + closing * MAX_DEPTH
    parse_json(within)
    assert problems(opening * (MAX_DEPTH + 1) + "1" + closing * (MAX_DEPTH + 1)) == [("too-deep", None)]
    assert problems(opening * 100_000 + "1" + closing * 100_000) == [("too-deep", None)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"{'a': 1}", "not-json"),
        (b'{"a": 1,}', "not-json"),
        (b"[1] [2]", "not-json"),
        (b"\xef\xbb\xbf{}", "not-json"),
        (b'"a\nb"', "not-json"),
        (b'"\xff"', "not-utf-8"),
        (b'"\xed\xa0\x80"', "not-utf-8"),
        ("{}".encode("utf-16"), "not-utf-8"),
    ],
)
def test_what_is_not_json_is_refused(body, code):
    assert problems(body) == [(code, None)]

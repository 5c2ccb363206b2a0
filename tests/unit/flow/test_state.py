"""State by difference: what a state tool is given, and what is taken from it."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ResultError
from engine.flow.state import DELETE, StateView, find_changes, reduce_value
from engine.flow.values import copy_json
from tests.unit.json_values import json_values

STATE = {"n": 1, "items": [1, 2], "deep": {"a": {"b": 1}}}


def changes_of(tool):
    before = copy_json(STATE)
    view = StateView(before)
    outcome = find_changes(before, view, tool(view))
    assert before == STATE, "the run's own values were changed"
    return outcome.changes, outcome.removed


def test_keys_changed_in_place_are_the_difference():
    def tool(state):
        state["n"] += 1
        state["items"].append(3)

    assert changes_of(tool) == ({"n": 2, "items": [1, 2, 3]}, ())


def test_looking_changes_nothing():
    def tool(state):
        list(state.values()), dict(state), json.dumps(state), state["deep"]["a"]

    assert changes_of(tool) == ({}, ())


def test_a_partial_dict_sets_all_its_keys_even_to_the_same_value():
    assert changes_of(lambda state: {"n": 1, "new": None}) == ({"n": 1, "new": None}, ())


def test_a_whole_new_dict_is_compared_key_by_key():
    assert changes_of(lambda state: {**state, "n": 5}) == ({"n": 5}, ())


def test_one_and_true_differ():
    assert changes_of(lambda state: {**state, "n": True}) == ({"n": True}, ())


def test_a_key_removed_in_place_is_removed():
    def tool(state):
        del state["items"]
        return state

    assert changes_of(tool) == ({}, ("items",))


def test_the_delete_marker_removes_a_key():
    assert changes_of(lambda state: {"items": DELETE, "unknown": DELETE}) == ({}, ("items",))


def test_a_key_left_out_of_a_new_dict_stays():
    assert changes_of(lambda state: {"items": []}) == ({"items": []}, ())


def test_a_value_the_tool_put_in_stays_its_own_object():
    def tool(state):
        mine = {"a": 1}
        state["mine"] = mine
        assert state["mine"] is mine
        mine["b"] = 2
        state["mine"]["c"] = 3

    assert changes_of(tool) == ({"mine": {"a": 1, "b": 2, "c": 3}}, ())


@pytest.mark.parametrize(
    "read",
    [
        lambda view: view["items"],
        lambda view: view.get("items"),
        lambda view: view.pop("items"),
        lambda view: view.setdefault("items", []),
        lambda view: dict(view)["items"],
        lambda view: {**view}["items"],
        lambda view: dict(view.items())["items"],
        lambda view: list(view.values())[1],
        lambda view: view.copy()["items"],
        lambda view: (view | {})["items"],
        lambda view: ({} | view)["items"],
        lambda view: copy.copy(view)["items"],
        lambda view: copy.deepcopy(view)["items"],
        lambda view: pickle.loads(pickle.dumps(view))["items"],
    ],
)
def test_no_way_of_reading_gives_the_runs_own_list(read):
    before = copy_json(STATE)
    got = read(StateView(before))
    assert got == [1, 2]
    assert got is not before["items"]


@pytest.mark.parametrize("returned", [5, "text", [1]])
def test_a_state_tool_that_returns_no_dict_fails_with_advice(returned):
    with pytest.raises(ResultError, match="must return a dict"):
        changes_of(lambda state: returned)


@given(
    st.dictionaries(st.text(), json_values(), max_size=4),
    st.dictionaries(st.text(), json_values(), max_size=4),
)
def test_applying_the_difference_gives_what_the_tool_left(before, wanted):
    view = StateView(before)

    def tool(state):
        for key in list(state):
            if key not in wanted:
                del state[key]
        state.update(copy_json(wanted))

    tool(view)
    outcome = find_changes(before, view, None)
    after = {**before, **outcome.changes}
    for key in outcome.removed:
        del after[key]
    assert after == wanted


@pytest.mark.parametrize(
    ("reducer", "old", "new", "combined"),
    [
        ("replace", 1, 2, 2),
        ("append", [1], [2], [1, [2]]),
        ("extend", [1], [2], [1, 2]),
        ("add", 1, 2, 3),
        ("merge", {"a": 1, "b": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ("min", 3, 2, 2),
        ("max", 3, 2, 3),
    ],
)
def test_reducers_combine(reducer, old, new, combined):
    assert reduce_value(reducer, "k", old, new) == combined


def test_a_reducer_that_does_not_fit_says_so():
    with pytest.raises(ResultError, match='"append" of state key "k" cannot combine text with a number'):
        reduce_value("append", "k", "text", 1)

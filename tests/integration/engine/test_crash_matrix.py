"""kill -9 at every failpoint, in every shape of graph, wherever steps run. What must hold is in ``tests/crash/checks.py``.

Each test is a row of lives of one program on one database: each lets the runs of the one before go on, starts one more, and is
killed at the next failpoint; the last one is left alone.
"""

import signal

import pytest

from tests.crash.checks import Findings, check_folder
from tests.crash.mother import Mother
from tests.crash.shapes import ISOLATIONS, SHAPES, WIDER_SHAPES, make_shape

DEADLY = (
    "accept",
    "before-commit",
    "after-commit",
    "before-tell",
    "before-answer",
    "before-tool",
    "after-tool",
)
"""Where the program itself is killed. With steps in processes the last two kill a tool's process, as do the next ones."""
IN_PROCESS = ("before-tool", "after-tool", "before-result", "after-result")
OCCURRENCES = (1, 2, 4)


def around(*commits: str) -> list[str]:
    """Before each of these commits, and after it."""
    return [f"{when}:{commit}" for commit in commits for when in ("before", "after")]


MOMENTS = {
    "child": around("ChildStarted:1", "ChildEnded:1", "ChildStarted:2", "ChildEnded:2"),
    "children": around("ChildStarted:2", "ChildEnded:1", "ChildEnded:2"),
    "kept": around("NewResult:1", "NewResult:2"),
    "tokens": around("StepQueued:1", "ResourcesGranted:2", "StepCompleted:3"),
    "fork": around("RunForked:1", "ChildStarted:2", "ChildEnded:2"),
    # The first one interrupts a step that must not be doubled; the next ones are about it. The third commit with a
    # completed step is one that was put off.
    "relaxed": ["before:StepCompleted:2", *around("StepUnsure:1", "StepDecided:1", "StepCompleted:3")],
}
"""Commits that must leave all or nothing, by what they hold (``life.DeadlyJournal``)."""


@pytest.fixture(scope="module")
def mother(project_root):
    mother = Mother(project_root)
    yield mother
    mother.close()


def list_cases(shape: str, isolation: str, *, every: bool) -> list[tuple[str, bool]]:
    """The failpoints, and whether each is deadly. By default each at one of its occurrences, another one for each shape."""
    of_process = isolation == "process"
    cases = []
    for place, name in enumerate(dict.fromkeys([*DEADLY, *(IN_PROCESS if of_process else ())])):
        deadly = not (of_process and name in IN_PROCESS)
        number = [*SHAPES, *WIDER_SHAPES].index(shape)
        turn = (place + number + ISOLATIONS.index(isolation)) % len(OCCURRENCES)
        for nth in OCCURRENCES if every else OCCURRENCES[turn : turn + 1]:
            if name in ("accept", "before-answer"):
                # A life is asked for one run, or there is a second one: a child, a fork.
                nth = 2 if shape in ("child", "children", "tokens", "fork") else 1  # noqa: PLW2901
            elif not deadly:
                nth = 2  # noqa: PLW2901 - at 1, no process would get anything done
            cases.append((f"{name}:{nth}:kill", deadly))
    return list(dict.fromkeys(cases))


def play_undisturbed(mother: Mother, folder, scenarios) -> Findings:
    mother.bear(folder, scenarios)
    assert mother.bury() == 0
    undisturbed = check_folder(folder)
    assert undisturbed.violations == []
    return undisturbed


def play_to_the_end(mother: Mother, folder, undisturbed: Findings) -> Findings:
    mother.bear(folder)
    assert mother.bury() == 0
    found = check_folder(folder, undisturbed.endings)
    assert found.violations == []
    return found


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_p1_p2_p4_p6_p8_whatever_is_killed_where_nothing_is_lost_or_doubled(
    tmp_path, mother, request, shape, isolation
):
    scenarios = [make_shape(shape, isolation)]
    undisturbed = play_undisturbed(mother, tmp_path, scenarios)
    for failpoint, deadly in list_cases(shape, isolation, every=request.config.getoption("--all-crashes")):
        mother.bear(tmp_path, scenarios, failpoint)
        assert mother.bury() == (-signal.SIGKILL if deadly else 0), failpoint
    found = play_to_the_end(mother, tmp_path, undisturbed)
    assert found.runs >= 2
    assert found.steps == found.runs * undisturbed.steps


@pytest.mark.parametrize("shape", WIDER_SHAPES)
def test_p1_p2_p3_p4_p6_p8_so_it_is_in_every_other_kind_of_run(tmp_path, mother, request, shape):
    every = request.config.getoption("--all-crashes")
    isolations = ("thread", "async")
    for isolation in isolations if every else isolations[WIDER_SHAPES.index(shape) % 2 :][:1]:
        folder = tmp_path / isolation
        folder.mkdir()
        scenarios = [make_shape(shape, isolation)]
        undisturbed = play_undisturbed(mother, folder, scenarios)
        cases = [{"moment": moment} for moment in MOMENTS[shape]]
        cases += [{"failpoint": failpoint} for failpoint, _ in list_cases(shape, isolation, every=every)]
        for case in cases:
            mother.bear(folder, scenarios, **case)
            assert mother.bury() == -signal.SIGKILL, case
            assert check_folder(folder, cut=True).violations == [], case
        found = play_to_the_end(mother, folder, undisturbed)
        assert found.runs > 2 * undisturbed.runs
        assert found.children > undisturbed.children or shape not in ("child", "children", "fork")
        assert found.forks > undisturbed.forks or shape != "fork"
        assert found.reused > undisturbed.reused or shape != "kept"
        assert (found.decided > 0 and found.lost > 0) or shape != "relaxed"


def test_p1_p2_p3_p4_p6_p8_so_it_is_with_all_kinds_at_once_and_steps_in_processes(tmp_path, mother):
    scenarios = [make_shape(shape, "process") for shape in WIDER_SHAPES]
    undisturbed = play_undisturbed(mother, tmp_path, scenarios)
    for case in (
        {"failpoint": "after-commit:20:kill"},
        {"failpoint": "before-tool:3:kill"},  # of the steps that are in no process
        {"moment": "before:ChildEnded:3"},
        {"moment": "after:ResourcesGranted:3"},
    ):
        mother.bear(tmp_path, scenarios, **case)
        assert mother.bury() == -signal.SIGKILL, case
        assert check_folder(tmp_path, cut=True).violations == [], case
    found = play_to_the_end(mother, tmp_path, undisturbed)
    assert found.runs > 2 * undisturbed.runs


@pytest.mark.parametrize("shape", ["kept", "tokens"])
def test_p15_a_process_that_dies_with_its_step_gives_its_tokens_back_and_leaves_no_result(
    tmp_path, mother, shape
):
    scenarios = [make_shape(shape, "process")]
    undisturbed = play_undisturbed(mother, tmp_path, scenarios)
    for failpoint in ("before-result:3:kill", "after-tool:3:kill"):
        mother.bear(tmp_path, scenarios, failpoint)
        assert mother.bury() == 0, failpoint
    found = play_to_the_end(mother, tmp_path, undisturbed)
    assert found.runs == 3 * undisturbed.runs

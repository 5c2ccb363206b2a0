"""kill -9 at every failpoint, in every shape of graph, wherever steps run. What must hold is in ``tests/crash/checks.py``.

Each test is a row of lives of one program on one database: each lets the runs of the one before go on, starts one more, and is
killed at the next failpoint; the last one is left alone.
"""

import signal

import pytest

from tests.crash.checks import check_folder
from tests.crash.mother import Mother
from tests.crash.shapes import ISOLATIONS, SHAPES, make_shape

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
        turn = (place + SHAPES.index(shape) + ISOLATIONS.index(isolation)) % len(OCCURRENCES)
        for nth in OCCURRENCES if every else OCCURRENCES[turn : turn + 1]:
            if name in ("accept", "before-answer"):
                nth = 1  # noqa: PLW2901 - a life is asked for one run
            elif not deadly:
                nth = 2  # noqa: PLW2901 - at 1, no process would get anything done
            cases.append((f"{name}:{nth}:kill", deadly))
    return list(dict.fromkeys(cases))


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize("shape", SHAPES)
def test_p1_p2_p4_p6_p8_whatever_is_killed_where_nothing_is_lost_or_doubled(
    tmp_path, mother, request, shape, isolation
):
    graph = make_shape(shape, isolation)
    mother.bear(tmp_path, [graph])
    assert mother.bury() == 0
    undisturbed = check_folder(tmp_path)
    assert undisturbed.violations == []
    cases = list_cases(shape, isolation, every=request.config.getoption("--all-crashes"))
    for failpoint, deadly in cases:
        mother.bear(tmp_path, [graph], failpoint)
        assert mother.bury() == (-signal.SIGKILL if deadly else 0), failpoint
    mother.bear(tmp_path)
    assert mother.bury() == 0
    found = check_folder(tmp_path, undisturbed.states)
    assert found.violations == []
    assert found.runs >= 2
    assert found.steps == found.runs * undisturbed.steps

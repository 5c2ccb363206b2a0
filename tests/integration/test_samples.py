"""The sample workflows, run for real on the files that come with them."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import AppConfig, GraphDefinition, RunSnapshot, RunStatus, Services, open_services, validate_graph
from engine.tools.builtin.code_metrics import review
from wfe_desktop.samples import SAMPLES, install_samples, load_sample

RunGraph = Callable[..., RunSnapshot]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    workspace = tmp_path / "workspace"
    install_samples(workspace)
    opened = open_services(AppConfig(database_url=f"sqlite:///{tmp_path}/runs.db", workspace=workspace))
    yield opened
    assert opened.close()


@pytest.fixture
def run(services: Services) -> RunGraph:
    def run_graph(graph: GraphDefinition, state: dict[str, Any] | None = None) -> RunSnapshot:
        run_id = services.engine.execute_workflow(services.graphs.create_graph(graph), state)
        return services.engine.wait(run_id, timeout=30)

    return run_graph


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_valid_and_runs_to_its_end_from_an_empty_state(
    name: str, services: Services, run: RunGraph
) -> None:
    graph = load_sample(name)
    assert validate_graph(graph, services.registry.list_tools()) == []
    ended = run(graph)
    assert (ended.status, ended.error_message) == (RunStatus.COMPLETED, None)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_file_is_written_with_sorted_keys_and_a_place_for_each_node(
    name: str, project_root: Path
) -> None:
    text = (project_root / "resources" / "workflows" / f"{name}.json").read_text()
    raw = json.loads(text)
    assert text == json.dumps(raw, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert set(raw["ui"]["nodes"]) == {node["id"] for node in raw["nodes"]}


@pytest.mark.parametrize("name", SAMPLES)
def test_the_nodes_of_a_sample_do_not_touch(name: str, services: Services) -> None:
    graph = load_sample(name)
    boxes = []
    for node in graph.nodes:
        shown = services.registry.get_tool(node.function_name)
        place = graph.ui["nodes"][node.id]
        rows = max(len(shown.inputs), len(shown.outputs))
        boxes.append((place["x"], place["y"], place["x"] + 200, place["y"] + 40 + 22 * rows))
    for index, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[:index]:
            apart = (
                left - other[2] >= 40
                or other[0] - right >= 40
                or top >= other[3] + 20
                or other[1] >= bottom + 20
            )
            assert apart, (name, graph.nodes[index].id)


def test_the_code_review_improves_the_file_until_it_passes(run: RunGraph, services: Services) -> None:
    ended = run(load_sample("code_review"))
    assert ended.current_state.execution_path == [
        "read", "analyze", "gate", "suggest", "analyze", "gate", "suggest", "analyze", "gate", "report",
    ]  # fmt: skip
    text = ended.current_state.data["review"]
    report = ended.results["analyze"]["report"]
    measured = review(ended.results["analyze"]["source"], "inventory.py")
    assert (report["score"], report["score"]) == (measured.score, 74.2)
    assert "**Approved after 2 rounds of fixes**" in text
    assert "| Score | 74.2 of 100 |" in text
    assert f"| Lines | {ended.results['analyze']['source'].count(chr(10))} (" in text
    assert "| Complexity | 3.92 on average, 21 at most |" in text
    assert "| Unused imports | none |" in text
    original = (services.config.workspace / "inventory.py").read_text()
    assert original == ended.results["read"]
    assert "import os\n" in original


def test_the_code_review_stops_after_three_rounds_that_were_not_enough(run: RunGraph) -> None:
    graph = load_sample("code_review")
    strict = [
        node.model_copy(update={"parameters": {"threshold": 99}}) if node.id == "gate" else node
        for node in graph.nodes
    ]
    ended = run(graph.model_copy(update={"nodes": tuple(strict)}))
    assert ended.status is RunStatus.COMPLETED
    assert ended.current_state.execution_path[1:] == ["analyze", "gate", "suggest"] * 3 + [
        "analyze",
        "gate",
        "report",
    ]
    assert "**Needs work**" in ended.current_state.data["review"]
    assert "suggest_order has a complexity of 21" in ended.current_state.data["review"]


def test_the_code_review_approves_a_good_file_at_once(run: RunGraph, services: Services) -> None:
    (services.config.workspace / "good.py").write_text(
        '"""Good."""\n\n\ndef f() -> int:\n    """One."""\n    return 1\n'
    )
    ended = run(load_sample("code_review"), {"path": "good.py"})
    assert ended.current_state.execution_path == ["read", "analyze", "gate", "report"]
    assert "# Code review of good.py\n\n**Approved**" in ended.current_state.data["review"]


def test_the_code_review_of_a_file_that_is_not_there_says_which_are(run: RunGraph) -> None:
    ended = run(load_sample("code_review"), {"path": "nothing.py"})
    assert ended.status is RunStatus.FAILED
    assert 'no file "nothing.py"' in str(ended.error_message)
    assert "inventory.py" in str(ended.error_message)


@pytest.mark.parametrize(
    ("start", "branch", "result"),
    [(12, "halve", 18.0), (11, "halve", 16.5), (10, "lift", 130), (-1, "lift", 97)],
)
def test_the_math_sample_branches_by_its_value(run: RunGraph, start: int, branch: str, result: float) -> None:
    ended = run(load_sample("math_processing"), {"start": start})
    assert ended.current_state.execution_path == ["start", "triple", branch, "round", "report"]
    assert ended.current_state.data["rounded"] == result
    assert ended.current_state.data["summary"].startswith(f"{start} became ")


def test_the_text_sample_waits_for_all_its_branches(run: RunGraph, services: Services) -> None:
    ended = run(load_sample("text_analysis"))
    path = ended.current_state.execution_path
    assert (path[0], set(path[1:4]), path[4:]) == ("read", {"statistics", "words", "questions"}, ["report"])
    text = (services.config.workspace / "garden.txt").read_text()
    report = ended.current_state.data["report"]
    assert f"- **Words**: {len(re.findall(r'[A-Za-z]+', text))}\n" in report
    assert f"- **Characters**: {len(text)}\n" in report
    assert f"| winter | {len(re.findall('(?i)winter', text))} |" in report
    assert report.count("?\n") == text.count("?") == 2


def test_installing_the_samples_leaves_the_users_files_alone(tmp_path: Path) -> None:
    (tmp_path / "garden.txt").write_text("mine")
    assert [path.name for path in install_samples(tmp_path)] == ["inventory.py"]
    assert install_samples(tmp_path) == []
    assert (tmp_path / "garden.txt").read_text() == "mine"

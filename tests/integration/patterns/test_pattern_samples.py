"""docs/patterns.md, the sample files and the tests say the same; each sample can be opened as it is."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from engine.flow.validation import validate_graph
from engine.tools.builtin import register_builtin_tools
from engine.tools.registry import ToolRegistry
from tests.integration.patterns.conftest import FOLDER
from wfe_desktop.document.files import load_graph_file

ROOT = FOLDER.parents[1]
FILES = sorted(FOLDER.iterdir())
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (?:\[(\w+)\]\((.+?)\)|(\w+)) \| (.+) \|$", re.MULTILINE)


def read_table() -> list[tuple[int, str, str, str]]:
    """Number, name, verdict and link."""
    text = (ROOT / "docs" / "patterns.md").read_text(encoding="utf-8")
    return [(int(row[0]), row[1], row[2] or row[4], row[3]) for row in ROW.findall(text)]


def test_the_table_has_a_row_for_each_of_the_43_patterns():
    table = read_table()
    assert [number for number, *_ in table] == list(range(1, 44))
    assert {verdict for *_, verdict, _ in table} == {"yes", "partly", "no"}


def test_each_supported_pattern_has_its_sample_and_each_sample_its_row():
    linked = set()
    for number, _, verdict, link in read_table():
        assert bool(link) or verdict != "yes", number
        assert not link or verdict != "no", number
        if link:
            path = (ROOT / "docs" / link).resolve()
            assert path in FILES, link
            linked.add(path)
            if verdict == "yes":
                assert path.name.startswith(f"wcp_{number:02}_")
    assert linked == set(FILES)


def test_each_sample_bears_the_name_of_its_pattern_and_is_tested():
    names = {number: name for number, name, *_ in read_table()}
    tests = Path(__file__).with_name("test_patterns.py").read_text(encoding="utf-8")
    for path in FILES:
        number = int(path.name[4:6])
        assert json.loads(path.read_text(encoding="utf-8"))["name"] == f"WCP {number}: {names[number]}"
        assert f"def test_wcp_{number:02}_" in tests
    assert max(Counter(path.name[:6] for path in FILES).values()) == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_sample_is_tidy_valid_and_nothing_in_it_touches(path: Path, tmp_path: Path):
    text = path.read_text(encoding="utf-8")
    raw = json.loads(text)
    assert text == json.dumps(raw, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    registry = ToolRegistry()
    register_builtin_tools(registry, tmp_path)
    graph = load_graph_file(path)
    assert validate_graph(graph, registry.list_tools()) == []
    assert set(raw["ui"]["nodes"]) == {node.id for node in graph.nodes}
    boxes: list[tuple[float, float, float, float]] = []
    for node in graph.nodes:
        tool, place = registry.get_tool(node.function_name), raw["ui"]["nodes"][node.id]
        height = 40 + 22 * max(len(tool.inputs), len(tool.outputs))
        box = (place["x"], place["y"], place["x"] + 240, place["y"] + height)
        assert all(
            box[0] >= other[2] + 40
            or other[0] >= box[2] + 40
            or box[1] >= other[3] + 20
            or other[1] >= box[3] + 20
            for other in boxes
        ), node.id
        boxes.append(box)

import os
import stat
import subprocess
import sys
import textwrap

import orjson
import pytest

from engine.model.graph import GraphDefinition, NodeDefinition
from tests.unit.document.helpers import make_graph
from wfe_desktop.document.clipboard import decode_fragment, encode_fragment
from wfe_desktop.document.edits import GraphEditError, copy_fragment
from wfe_desktop.document.files import (
    WorkflowFileError,
    encode_graph,
    load_graph_file,
    save_graph_file,
    write_atomically,
)

# ------------------------------------------------------------------------------------------------ reading, writing


def test_a_saved_workflow_reads_back_the_same(tmp_path):
    path = tmp_path / "a.workflow.json"
    save_graph_file(path, make_graph())
    assert load_graph_file(path) == make_graph()


def test_a_byte_order_mark_is_no_fault(tmp_path):
    path = tmp_path / "a.workflow.json"
    path.write_bytes(b"\xef\xbb\xbf" + encode_graph(make_graph()))
    assert load_graph_file(path) == make_graph()


def test_a_file_has_sorted_keys_and_a_newline_at_its_end():
    content = encode_graph(GraphDefinition(name="ü", nodes=(NodeDefinition(id="a", function_name="f"),)))
    assert content.decode() == textwrap.dedent("""\
        {
          "edges": [],
          "name": "ü",
          "nodes": [
            {
              "function_name": "f",
              "id": "a"
            }
          ]
        }
        """)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, 2**70, {"a": object()}])
def test_a_value_that_json_does_not_have_is_not_written(tmp_path, value):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    graph = GraphDefinition(
        name="x", nodes=(NodeDefinition(id="a", function_name="f", parameters={"v": value}),)
    )
    with pytest.raises(WorkflowFileError, match="holds a value that JSON does not have"):
        save_graph_file(path, graph)
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"hello", "is not a workflow file"),
        (b"[]", "cannot be opened"),
        (b'{"name": "x", "nodes": [{"id": "a"}]}', "cannot be opened"),
        (b'{"name": "x", "name": "y"}', "more than once"),
    ],
)
def test_a_file_that_holds_no_workflow_is_refused(tmp_path, content, sentence):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(WorkflowFileError, match=sentence):
        load_graph_file(path)


def test_every_problem_of_a_file_is_listed(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"name": "", "nodes": [{"id": "a"}, {"function_name": "f"}], "max_steps": 0}')
    with pytest.raises(WorkflowFileError) as refusal:
        load_graph_file(path)
    assert len(refusal.value.problems) >= 4


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(WorkflowFileError, match="There is no file"):
        load_graph_file(tmp_path / "none.json")
    with pytest.raises(WorkflowFileError, match="cannot be written"):
        save_graph_file(tmp_path / "no" / "folder.json", make_graph())


@pytest.mark.skipif(os.name != "posix", reason="modes and links are POSIX")
def test_saving_keeps_the_mode_and_the_symbolic_link(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    save_graph_file(link, make_graph())
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert load_graph_file(real) == make_graph()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["link.json", "real.json"]


def test_a_failing_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(WorkflowFileError, match="No space left on device"):
        save_graph_file(path, make_graph())
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["a.json"]


_KILLED_WHILE_SAVING = """
import os, pathlib, signal, sys
from wfe_desktop.document.files import write_atomically
steps = 0
def watched(module, name, fatal):
    real = getattr(module, name)
    def step(*arguments, **named):
        global steps
        steps += 1
        if steps == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)
    setattr(module, name, step)
for module, name in ((os, "open"), (os, "fdopen"), (os, "fsync"), (os, "close"),
                     (pathlib.Path, "chmod"), (pathlib.Path, "replace")):
    watched(module, name, int(sys.argv[2]))
write_atomically(pathlib.Path(sys.argv[1]), b"new" * 100_000)
print(steps)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
def test_p33_a_kill_at_any_step_of_a_save_leaves_the_old_file_or_the_new_one(tmp_path, project_root):
    path = tmp_path / "a.json"
    outcomes = []
    for fatal in range(1, 20):
        path.write_bytes(b"old")
        done = subprocess.run(
            [sys.executable, "-c", _KILLED_WHILE_SAVING, str(path), str(fatal)],
            cwd=project_root, capture_output=True, check=False,
        )  # fmt: skip
        outcomes.append(path.read_bytes()[:3])
        assert path.read_bytes() in (b"old", b"new" * 100_000)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
    assert outcomes[0] == b"old"
    assert outcomes[-1] == b"new"
    assert len(outcomes) >= 6


def test_a_new_file_follows_the_umask(tmp_path):
    write_atomically(tmp_path / "new", b"x")
    (tmp_path / "plain").write_bytes(b"x")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


# ------------------------------------------------------------------------------------------------ clipboard


def test_a_fragment_survives_the_clipboard():
    fragment = copy_fragment(make_graph(), ["read", "suggest"])
    assert decode_fragment(encode_fragment(fragment)) == fragment


def test_a_whole_workflow_can_be_pasted():
    assert len(decode_fragment(encode_graph(make_graph())).nodes) == 3


@pytest.mark.parametrize(
    "content",
    [
        "just text",
        "{}",
        '{"nodes": 5}',
        '{"nodes": [{"id": "a"}]}',
        '{"nodes": [{"id": "a", "function_name": "f"}, {"id": "a", "function_name": "f"}]}',
        '{"nodes": [{"id": "a", "function_name": "f", "evil": 1}]}',
        '{"nodes": [], "edges": [{"from_node": "a"}]}',
        orjson.dumps({"nodes": [{"id": str(i), "function_name": "f"} for i in range(10_001)]}),
    ],
)
def test_what_others_put_on_the_clipboard_is_refused(content):
    with pytest.raises(GraphEditError, match="clipboard"):
        decode_fragment(content)


def test_edges_and_positions_of_nodes_that_are_not_there_are_left_out():
    content = {
        "nodes": [{"id": "a", "function_name": "f"}],
        "edges": [{"from_node": "a", "to_node": "b"}, {"from_node": "a", "to_node": "a"}],
        "ui": {"nodes": {"a": {"x": "far", "y": 1}, "b": {"x": 1, "y": 1}}},
    }
    fragment = decode_fragment(orjson.dumps(content))
    assert [e.describe() for e in fragment.edges] == ["a -> a"]
    assert fragment.positions == {}

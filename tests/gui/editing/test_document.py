import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.model.graph import EdgeDefinition, GraphDefinition
from tests.unit.document.helpers import make_catalog, make_graph
from wfe_desktop.document.autosave import Autosave, find_recovery
from wfe_desktop.document.clipboard import MIME_TYPE, put_on_clipboard, take_from_clipboard
from wfe_desktop.document.document import WorkflowDocument
from wfe_desktop.document.edits import GraphEditError, same_graph
from wfe_desktop.document.files import save_graph_file

CATALOG = make_catalog()
WIRE = ("read", "suggest", "success", None, "note")
FLOW = ("suggest", "count", "success", None, None)


@pytest.fixture
def document(qapp):
    document = WorkflowDocument(make_graph(), CATALOG)
    yield document
    document.deleteLater()


# ------------------------------------------------------------------------------------------------ undo

EDITS = {
    "add": lambda d: d.add_node("code.suggest", 5, 5),
    "remove": lambda d: d.remove([d.graph.nodes[-1].id]) if d.graph.nodes else None,
    "cut": lambda d: d.remove(edge_keys=[d.graph.edges[0].key]) if d.graph.edges else None,
    "move": lambda d: d.move({d.graph.nodes[0].id: (7.5, 3)}) if d.graph.nodes else None,
    "parameter": lambda d: d.set_parameter(d.graph.nodes[0].id, "path", [1]),
    "unset": lambda d: d.unset_parameter(d.graph.nodes[0].id, "path"),
    "binding": lambda d: d.use_expression(d.graph.nodes[0].id, "path", "state.x"),
    "label": lambda d: d.set_label(d.graph.nodes[0].id, "A label"),
    "rename": lambda d: d.rename_node(d.graph.nodes[0].id, "renamed"),
    "entry": lambda d: d.set_entry(d.graph.nodes[-1].id),
    "name": lambda d: d.set_graph_field("name", "Another"),
    "reducers": lambda d: d.set_graph_field("reducers", {"a": "append"}),
    "duplicate": lambda d: d.duplicate([n.id for n in d.graph.nodes[:2]]),
    "condition": lambda d: d.set_condition(d.graph.edges[0].key, "state.ok"),
    "kind": lambda d: d.change_edge(d.graph.edges[-1].key, kind="error"),
    "connect": lambda d: d.connect_nodes(
        EdgeDefinition(from_node=d.graph.nodes[-1].id, to_node=d.graph.nodes[0].id)
    ),
}


@given(names=st.lists(st.sampled_from(sorted(EDITS)), max_size=12))
@example(names=["binding", "parameter", "unset"])  # typed and deleted again is no step
def test_undoing_everything_gives_the_original_and_redoing_the_last(qapp, names):
    document = WorkflowDocument(make_graph(), CATALOG)
    seen = []
    document.changed.connect(lambda old, new: seen.append((old, new)))
    for name in names:
        try:
            EDITS[name](document)
        except (GraphEditError, IndexError):
            continue
    last = document.graph
    while document.undo_stack.canUndo():
        document.undo_stack.undo()
    assert same_graph(document.graph, make_graph())
    assert document.is_clean
    while document.undo_stack.canRedo():
        document.undo_stack.redo()
    assert same_graph(document.graph, last)
    assert all(old is not new for old, new in seen)


def test_typing_in_one_field_is_one_step_to_undo(document):
    for text in ("b", "b.", "b.py"):
        document.set_parameter("read", "path", text)
    assert document.undo_stack.count() == 1
    document.end_typing()
    document.set_parameter("read", "path", "c.py")
    document.set_parameter("read", "mode", "r")
    assert document.undo_stack.count() == 3
    document.undo_stack.setIndex(0)
    assert document.graph.nodes[0].parameters == {"path": "a.py"}


def test_typing_after_undo_is_a_new_step(document):
    document.set_parameter("read", "path", "b")
    document.set_parameter("read", "mode", "r")
    document.undo_stack.undo()
    document.set_parameter("read", "path", "c")
    assert document.undo_stack.count() == 2
    document.undo_stack.undo()
    assert document.graph.nodes[0].parameters == {"path": "b"}


def test_typed_and_deleted_again_leaves_no_step(document):
    document.set_graph_field("description", "a")
    document.set_graph_field("description", "")
    assert document.undo_stack.count() == 0
    assert document.is_clean


def test_typing_does_not_merge_into_what_was_saved(document):
    document.set_graph_field("name", "A")
    document.mark_saved(file_path=Path("a.json"))
    document.set_graph_field("name", "AB")
    assert not document.is_clean
    document.undo_stack.undo()
    assert (document.graph.name, document.is_clean) == ("A", True)


def test_each_drag_is_a_step_of_its_own(document):
    document.move({"read": (1, 1)})
    document.move({"read": (2, 2)})
    assert document.undo_stack.count() == 2


def test_a_refused_edit_changes_nothing_and_is_told(document, qtbot):
    before = document.graph
    with qtbot.waitSignal(document.refused) as refused:
        assert not document.attempt("connect_nodes", EdgeDefinition(from_node="read", to_node="suggest"))
    assert refused.args == ['"Read file" and "Suggest fixes" are already connected.']
    assert document.graph is before
    assert document.explain_connect(EdgeDefinition(from_node="count", to_node="read")) is None


def test_the_title_and_the_clean_state_are_told(document):
    titles, clean = [], []
    document.title_changed.connect(titles.append)
    document.clean_changed.connect(clean.append)
    document.set_graph_field("name", "New")
    document.mark_saved(graph_id="g1", version=3)
    document.undo_stack.undo()
    assert titles == ["New", "Sample"]
    assert clean == [False, True, False]
    assert (document.graph_id, document.version, document.title) == ("g1", 3, "Sample")


def test_a_recovered_document_is_not_clean_until_it_is_saved(document):
    document.mark_recovered()
    assert not document.is_clean
    document.mark_saved()
    assert document.is_clean


# ------------------------------------------------------------------------------------------------ clipboard


def test_copy_and_paste_go_through_the_systems_clipboard(document, qapp):
    put_on_clipboard(document.copy(["read", "suggest"]))
    assert qapp.clipboard().mimeData().hasFormat(MIME_TYPE)
    assert document.paste(take_from_clipboard(), (500, 500)) == ["read_2", "suggest_2"]
    document.undo_stack.undo()
    assert same_graph(document.graph, make_graph())


def test_text_of_others_is_not_pasted(qapp):
    qapp.clipboard().setText("rm -rf /")
    with pytest.raises(GraphEditError, match="does not hold a part of a workflow"):
        take_from_clipboard()


# ------------------------------------------------------------------------------------------------ swap files


def test_what_is_not_saved_can_be_recovered_after_a_crash(document, tmp_path):
    autosave = Autosave(tmp_path)
    autosave.watch(document)
    document.set_graph_field("name", "Edited")
    assert autosave.flush()
    assert find_recovery(tmp_path) == []  # its owner lives
    autosave.close(keep=True)
    (found,) = find_recovery(tmp_path)
    assert (found.graph.name, found.graph_id, found.file_path) == ("Edited", None, None)
    assert same_graph(found.graph, document.graph)
    found.discard()
    assert find_recovery(tmp_path) == []
    assert list(tmp_path.glob("*/")) == [tmp_path / "home"]


def test_saving_undoing_and_closing_take_the_swap_file_away(document, tmp_path):
    autosave = Autosave(tmp_path / "swap")
    autosave.watch(document)

    def kept():
        assert autosave.flush()
        return len(list((tmp_path / "swap").glob("*/*.json")))

    document.set_graph_field("name", "Edited")
    assert kept() == 1
    document.undo_stack.undo()
    assert kept() == 0
    document.undo_stack.redo()
    assert kept() == 1
    document.mark_saved(file_path=tmp_path / "a.json")
    assert kept() == 0
    document.set_graph_field("name", "Again")
    assert kept() == 1
    autosave.forget(document)
    assert kept() == 0
    autosave.close()
    assert list((tmp_path / "swap").iterdir()) == []


def test_a_damaged_swap_file_is_left_alone_and_hides_no_other(document, tmp_path):
    autosave = Autosave(tmp_path / "swap")
    autosave.watch(document)
    document.set_graph_field("name", "Edited")
    autosave.close(keep=True)
    (session,) = (tmp_path / "swap").iterdir()
    (session / "damaged.json").write_bytes(b'{"format"')
    assert [found.graph.name for found in find_recovery(tmp_path / "swap")] == ["Edited"]
    assert (session / "damaged.json").exists()


def test_a_full_disk_is_told_once(document, tmp_path, monkeypatch):
    said = []
    autosave = Autosave(tmp_path / "swap", said.append)
    autosave.watch(document)

    def no_space(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    for name in ("A", "B"):
        document.set_graph_field("name", name)
        assert autosave.flush()
    autosave.close()
    assert len(said) == 1
    assert "No space left on device" in said[0]


_EDITING = """
import os, pathlib, signal, sys
from PySide6.QtCore import QCoreApplication
from wfe_desktop.document.autosave import Autosave
from wfe_desktop.document.document import WorkflowDocument
app = QCoreApplication([])
document = WorkflowDocument()
autosave = Autosave(pathlib.Path(sys.argv[1]))
autosave.watch(document)
for number in range(1, int(sys.argv[2]) + 1):
    autosave.flush()  # the time between two commands of a person
    document.add_node("f", number, 0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL is POSIX")
@pytest.mark.parametrize("commands", [1, 2, 7])
def test_p32_a_kill_while_editing_loses_at_most_the_last_command(tmp_path, project_root, commands):
    done = subprocess.run(
        [sys.executable, "-c", _EDITING, str(tmp_path / "swap"), str(commands)],
        cwd=project_root, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    found = find_recovery(tmp_path / "swap")
    assert len(found[0].graph.nodes if found else ()) >= commands - 1


def test_a_save_of_a_document_is_what_it_shows(document, tmp_path):
    document.add_node("count", 1, 2)
    save_graph_file(tmp_path / "a.json", document.graph)
    document.mark_saved(file_path=tmp_path / "a.json")
    assert document.file_path == tmp_path / "a.json"
    assert document.is_clean


def test_a_new_document_is_empty_and_clean(qapp):
    document = WorkflowDocument()
    assert document.graph == GraphDefinition(name="Untitled workflow")
    assert document.is_clean

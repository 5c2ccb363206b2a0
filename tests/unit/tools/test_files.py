"""The file tools, and that nothing leads out of the workspace."""

import os
import stat
from pathlib import Path

import pytest

from engine.tools.builtin import files
from engine.tools.context import ToolContext


@pytest.fixture
def context(tmp_path: Path) -> ToolContext:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    return ToolContext("run", "node", 1, 1, workspace)


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_is_written_and_read_back(context: ToolContext) -> None:
    made = files.write_text_file("a/b.txt", "Grüße\n", context)
    assert (made.path, made.size_bytes) == ("a/b.txt", 8)
    assert files.read_text_file("a/b.txt", context) == "Grüße\n"
    assert files.file_exists("a/b.txt", context)
    assert not files.file_exists("a", context)
    assert names_in(context.workspace / "a") == ["b.txt"]


def test_a_file_is_appended_to_or_only_created(context: ToolContext) -> None:
    files.write_text_file("log.txt", "one\n", context, mode="append")
    files.write_text_file("log.txt", "two\n", context, mode="append")
    assert files.read_text_file("log.txt", context) == "one\ntwo\n"
    with pytest.raises(FileExistsError, match="exists already"):
        files.write_text_file("log.txt", "three", context, mode="create")


def test_a_file_keeps_its_permissions(context: ToolContext) -> None:
    script = context.workspace / "run.sh"
    script.write_text("old")
    script.chmod(0o750)
    files.write_text_file("run.sh", "new", context)
    assert (script.read_text(), stat.S_IMODE(script.stat().st_mode)) == ("new", 0o750)
    (context.workspace / "plain").touch()
    files.write_text_file("new.txt", "x", context)
    modes = {stat.S_IMODE((context.workspace / name).stat().st_mode) for name in ("plain", "new.txt")}
    assert len(modes) == 1


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.write_text_file("a.txt", "old", context)

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left"):
        files.write_text_file("a.txt", "new", context)
    assert files.read_text_file("a.txt", context) == "old"
    assert names_in(context.workspace) == ["a.txt"]


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "a/../../secret.txt", "/etc/passwd", "link/secret.txt", "file_link", "loop", "a\x00b"],
)
def test_no_path_leads_out_of_the_workspace(context: ToolContext, path: str) -> None:
    outside = context.workspace.parent
    (context.workspace / "link").symlink_to(outside)
    (context.workspace / "file_link").symlink_to(outside / "secret.txt")
    (context.workspace / "loop").symlink_to(context.workspace / "loop")
    refused = (PermissionError, ValueError, FileNotFoundError, OSError)
    with pytest.raises(refused):
        files.read_text_file(path, context)
    with pytest.raises(refused) as caught:
        files.write_text_file(path, "overwritten", context)
    assert "secret" not in str(caught.value).replace(path, "")
    assert (outside / "secret.txt").read_text() == "secret"


def test_lists_do_not_follow_links_out_of_the_workspace(context: ToolContext) -> None:
    (context.workspace / "link").symlink_to(context.workspace.parent)
    (context.workspace / "secret").symlink_to(context.workspace.parent / "secret.txt")
    files.write_text_file("in.txt", "x", context)
    assert [entry.path for entry in files.list_files(context, recursive=True)] == ["in.txt"]
    with pytest.raises(PermissionError, match="outside the workspace"):
        files.list_files(context, folder="link")
    with pytest.raises(ValueError, match="for names, not paths"):
        files.list_files(context, pattern="../*")


def test_a_list_is_sorted_and_filtered(context: ToolContext) -> None:
    for name in ("b.txt", "a.txt", "c.md", "inner/d.txt"):
        files.write_text_file(name, name, context)
    assert [entry.path for entry in files.list_files(context, pattern="*.txt")] == ["a.txt", "b.txt"]
    found = files.list_files(context, pattern="*.txt", recursive=True)
    assert [(entry.path, entry.size_bytes) for entry in found] == [
        ("a.txt", 5),
        ("b.txt", 5),
        ("inner/d.txt", 11),
    ]
    assert found[0].modified.tzinfo is not None


def test_limits_and_mistakes_are_told_clearly(context: ToolContext) -> None:
    files.write_text_file("a.txt", "0123456789", context)
    (context.workspace / "latin.txt").write_bytes(b"Gr\xfc\xdfe")
    os.mkfifo(context.workspace / "pipe")
    with pytest.raises(ValueError, match="more than 5 bytes; raise max_bytes"):
        files.read_text_file("a.txt", context, max_bytes=5)
    with pytest.raises(ValueError, match="would have 20 bytes; at most 15"):
        files.write_text_file("a.txt", "0123456789", context, mode="append", max_bytes=15)
    with pytest.raises(ValueError, match=r"is not utf-8 text \(byte 2\)"):
        files.read_text_file("latin.txt", context)
    assert files.read_text_file("latin.txt", context, encoding="latin-1") == "Grüße"
    with pytest.raises(
        FileNotFoundError, match=r'no file "b.txt" in the workspace. The folder has: a.txt, latin.txt'
    ):
        files.read_text_file("b.txt", context)
    with pytest.raises(IsADirectoryError):
        files.read_text_file(".", context)
    with pytest.raises(PermissionError, match="a device or a pipe"):
        files.read_text_file("pipe", context)
    with pytest.raises(NotADirectoryError):
        files.write_text_file("a.txt/b.txt", "x", context)
    with pytest.raises(NotADirectoryError):
        files.list_files(context, folder="nowhere")


@pytest.mark.parametrize("path", ["loop", "loop/x", "a/loop2/x"])
def test_links_that_lead_in_a_circle_are_refused(context: ToolContext, path: str) -> None:
    (context.workspace / "a").mkdir()
    (context.workspace / "loop").symlink_to("loop")
    (context.workspace / "a" / "loop2").symlink_to("../a/loop2")
    with pytest.raises(PermissionError, match="lead in a circle"):
        files.write_text_file(path, "x", context)


def test_links_within_the_workspace_are_followed(context: ToolContext) -> None:
    (context.workspace / "real").mkdir()
    (context.workspace / "link").symlink_to("real")
    assert files.write_text_file("link/a.txt", "x", context).path == "real/a.txt"
    assert files.read_text_file("./link/../real/a.txt", context) == "x"

"""Workflow files: the graph as JSON, read strictly and written so that a crash leaves the old file or the new one.

All functions touch the disk and may be called from any thread.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

import orjson

from engine.errors import ValidationError
from engine.failpoints import failpoint
from engine.flow.strict_json import parse_json
from engine.flow.validation import parse_graph
from engine.model.graph import GraphDefinition
from engine.model.problem import Problem

SUFFIX = ".workflow.json"
MAX_FILE_BYTES = 64 * 1024 * 1024
_reach_rename = failpoint("save-file")


class WorkflowFileError(Exception):
    """A file that cannot be read or written. ``str(error)`` says why; ``problems`` has the faults of its graph."""

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


def load_graph_file(path: Path) -> GraphDefinition:
    """The graph in a file.

    Raises:
        WorkflowFileError: there is no such file, it cannot be read, or it holds no graph; every fault that keeps it
            from being a graph is in ``problems``. Faults of a graph that can be drawn are left to validation.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise WorkflowFileError(f"{path.name} is larger than {MAX_FILE_BYTES // 2**20} MiB.")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise WorkflowFileError(f"There is no file {path}.") from error
    except OSError as error:
        raise WorkflowFileError(f"{path} cannot be read: {error.strerror or error}.") from error
    return decode_graph(content, path.name)


def decode_graph(content: bytes, name: str) -> GraphDefinition:
    """The graph in the content of a file called ``name``. Raises WorkflowFileError as ``load_graph_file`` does."""
    try:
        data = parse_json(content.removeprefix(codecs.BOM_UTF8))  # some editors begin files with it
    except ValidationError as error:
        raise WorkflowFileError(f"{name} is not a workflow file: {error}.") from error
    graph, problems = parse_graph(data)
    if graph is None:
        first = problems[0].message if problems else "it does not hold a workflow."
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise WorkflowFileError(f"{name} cannot be opened: {first}{more}", problems)
    return graph


def encode_graph(graph: GraphDefinition) -> bytes:
    """The graph as a file: sorted keys, what is at its default left out, so that it reads and diffs well.

    Raises:
        WorkflowFileError: a value is none that JSON has.
    """
    data = graph.model_dump(exclude_defaults=True)
    data.setdefault("nodes", ())
    data.setdefault("edges", ())
    try:
        json.dumps(data, allow_nan=False)  # orjson would make null of NaN without a word
        return orjson.dumps(
            data, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise WorkflowFileError(f'"{graph.name}" holds a value that JSON does not have: {error}.') from error


def save_graph_file(path: Path, graph: GraphDefinition) -> None:
    """Writes the graph; whatever happens meanwhile, the file is the old one or the new one, whole.

    Raises:
        WorkflowFileError: it cannot be written; the old file is as it was.
    """
    content = encode_graph(graph)
    try:
        write_atomically(path, content)
    except OSError as error:
        raise WorkflowFileError(f"{path} cannot be written: {error.strerror or error}.") from error


def write_atomically(path: Path, content: bytes) -> None:
    """Puts ``content`` in the place of the file, durably. Keeps the file's mode; a symbolic link stays one.

    Raises OSError; then the old file is as it was.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    # Made with 0o666, so that the umask says what a new file may be read by.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            with contextlib.suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            os.fsync(file.fileno())
        _reach_rename()
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Makes the new name durable, where the system knows how."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot; the content itself is safe
        pass
    finally:
        os.close(descriptor)

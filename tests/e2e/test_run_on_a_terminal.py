"""`run` in front of a person: bars on a real terminal (a pty), lines elsewhere, Ctrl-C as it is typed."""

import fcntl
import itertools
import json
import os
import re
import struct
import subprocess
import sys
import termios
import threading
import time

import pytest

from tests.e2e.conftest import loaded_libraries, until

TOOLS = '''
import time
from pathlib import Path

from engine import ToolContext, tool


@tool(name="load")
def load(context: ToolContext, folder: str) -> str:
    """Says how far it is, and waits for a file called "go"."""
    print("loading\\x1b[2J begins")
    context.progress(30, 40, "chunks")
    (Path(folder) / "held").touch()
    while not (Path(folder) / "go").exists() and not context.cancelled:
        time.sleep(0.01)
    return "loaded"


@tool(name="hang")
def hang(folder: str) -> None:
    """Never ends, whatever it is told."""
    (Path(folder) / "held").touch()
    while True:
        time.sleep(0.01)


@tool(name="nap")
def nap(item: int, folder: str) -> int:
    """The last one waits for a file called "go"."""
    while item == 3 and not (Path(folder) / "go").exists():
        time.sleep(0.01)
    return item


@tool(name="break_down")
def break_down() -> None:
    raise ValueError("no luck\\x1b[31m today")
'''
COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|38;|9[0-7])[0-9;]*m")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """``main.py`` with its stdin and stderr on a terminal, and stdout in a pipe as in ``wfe run ... | jq``."""

    def __init__(self, root, arguments, environment, columns):
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, root / "main.py", *map(str, arguments)],
            env={**environment, "TERM": "xterm-256color"},
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - one call of the system
        )
        os.close(theirs)
        self.raw, self.out = "", ""
        self._readers = [
            threading.Thread(target=self._read_terminal),
            threading.Thread(target=self._read_out),
        ]
        for reader in self._readers:
            reader.start()

    def _read_terminal(self):
        while True:
            try:
                some = os.read(self._ours, 65_536)
            except OSError:  # the program has ended
                return
            self.raw += some.decode()

    def _read_out(self):
        with self.process.stdout as stream:
            self.out = stream.read().decode()

    @property
    def text(self):
        return ESCAPES.sub("", self.raw)

    def type(self, text):
        os.write(self._ours, text.encode())

    def wait(self, timeout_s=30):
        status = self.process.wait(timeout_s)
        for reader in self._readers:
            reader.join()
        return status

    def close(self):
        self.process.kill()
        self.wait()
        os.close(self._ours)


@pytest.fixture
def on_terminal(project_root, environment, database, tmp_path):
    """Runs a graph of these nodes on a terminal."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "test_tools.py").write_text(TOOLS)
    opened = []

    def on_terminal(nodes, edges=(), columns=90, **more):
        file = tmp_path / "work.json"
        file.write_text(
            json.dumps({"name": "Work", "nodes": nodes, "edges": list(edges), "entry_point": nodes[0]["id"]})
        )
        arguments = ["run", file, "--tools", tmp_path / "tools", "--database", database, "--input", "value=1"]
        terminal = Terminal(project_root, arguments, {**environment, **more}, columns)
        opened.append(terminal)
        return terminal

    yield on_terminal
    for terminal in opened:
        terminal.close()


def node(node_id, tool, **more):
    return {"id": node_id, "function_name": tool, **more}


def edge(source, target, **more):
    return {"from_node": source, "to_node": target, **more}


def test_bars_show_what_runs_and_how_far_it_is_and_stdout_has_the_state_alone(on_terminal, tmp_path):
    folder = {"folder": str(tmp_path)}
    terminal = on_terminal(
        [
            node("list", "pass_through", parameters={"value": [0, 1, 2, 3]}),
            node("load", "load", parameters=folder, save_as="loaded"),
            node("map", "nap", for_each="steps.list.result", bindings={"item": "item"}, parameters=folder),
            node("end", "pass_through", parameters={"value": 1}),
        ],
        [edge("list", "load"), edge("list", "map"), edge("load", "end"), edge("map", "end")],
    )
    until(lambda: "30 of 40 chunks" in terminal.text and "3 of 4" in terminal.text)
    assert "1 of 4 steps" in terminal.text
    (tmp_path / "go").touch()
    assert terminal.wait() == 0
    assert json.loads(terminal.out) == {"value": 1, "loaded": "loaded"}
    assert "Work completed: 4 steps in " in terminal.text
    assert terminal.text.count("loading begins") == 1  # what the tool printed: once, and obeyed by nobody
    assert "\x1b[2J" not in terminal.raw
    assert terminal.raw.rfind("\x1b[?25h") > terminal.raw.rfind("\x1b[?25l") >= 0  # the cursor is back
    assert COLOUR.search(terminal.raw)


def test_a_failure_is_told_with_its_node_and_its_message(on_terminal):
    terminal = on_terminal([node("broken", "break_down")], NO_COLOR="1")
    assert terminal.wait() == 1
    assert "broken failed: ValueError: no luck\\x1b[31m today" in terminal.text
    assert "Work failed: 1 step in " in terminal.text
    assert not COLOUR.search(terminal.raw)


def test_a_loop_counts_up_without_a_total(on_terminal, tmp_path):
    terminal = on_terminal(
        [
            node("add", "math_operation", parameters={"operation": "add", "value": 1}),
            node("load", "load", parameters={"folder": str(tmp_path)}),
        ],
        [edge("add", "add", condition="state.value < 5"), edge("add", "load")],
    )
    until(lambda: "load" in terminal.text and "4 steps" in terminal.text)
    assert " of 2 steps" not in terminal.text
    (tmp_path / "go").touch()
    assert terminal.wait() == 0


def test_lines_fit_a_narrow_terminal(on_terminal, tmp_path):
    terminal = on_terminal(
        [node("a_node_with_a_rather_long_name", "load", parameters={"folder": str(tmp_path)})], columns=40
    )
    until(lambda: "30 of" in terminal.text)
    (tmp_path / "go").touch()
    assert terminal.wait() == 0
    assert max(len(line) for line in re.split(r"[\r\n]+", terminal.text)) <= 40


def test_ctrl_c_cancels_the_run_and_says_so(on_terminal, tmp_path):
    terminal = on_terminal([node("load", "load", parameters={"folder": str(tmp_path)})])
    until(lambda: "30 of 40" in terminal.text)
    terminal.type("\x03")
    assert terminal.wait() == 130
    assert "Work cancelled: 1 step in " in terminal.text
    assert json.loads(terminal.out) == {"value": 1}


def test_a_second_ctrl_c_ends_at_once_and_leaves_the_terminal_in_order(on_terminal, tmp_path):
    terminal = on_terminal(
        [node("hang", "hang", parameters={"folder": str(tmp_path)})], WFE_CANCEL_GRACE_S="60"
    )
    until(lambda: (tmp_path / "held").exists() and "hang" in terminal.text)
    terminal.type("\x03")
    until(lambda: "being cancelled" in terminal.text)
    began = time.monotonic()
    terminal.type("\x03")
    assert terminal.wait() == 130
    assert time.monotonic() - began < 5
    assert terminal.raw.rfind("\x1b[?25h") > terminal.raw.rfind("\x1b[?25l")


def test_ctrl_c_while_it_loads_is_no_traceback(on_terminal, tmp_path):
    terminal = on_terminal([node("load", "load", parameters={"folder": str(tmp_path)})])
    until(lambda: "pydantic_core" in loaded_libraries(terminal))
    terminal.type("\x03")
    assert terminal.wait() == 130
    assert "Traceback" not in terminal.text


def test_elsewhere_there_is_a_line_for_each_event_and_progress_now_and_then(start, tmp_path, database):
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "test_tools.py").write_text(TOOLS)
    file = tmp_path / "work.json"
    nodes = [node("load", "load", parameters={"folder": str(tmp_path)}), node("broken", "break_down")]
    file.write_text(json.dumps({"name": "Work", "nodes": nodes, "edges": [edge("load", "broken")]}))
    (tmp_path / "go").touch()
    program = start("run", file, "--tools", tmp_path / "tools", "--database", database)
    assert program.wait() == 1
    assert json.loads("\n".join(program.out)) == {}
    said = [line.partition("  ")[2] for line in program.err]
    for expected in (
        "load started",
        "loading begins",
        "load: 30 of 40 chunks",
        "broken failed: ValueError: no luck",
    ):
        assert any(line.startswith(expected) for line in said), said
    assert "\x1b" not in "".join(itertools.chain(program.out, program.err))

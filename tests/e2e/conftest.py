"""The program as users have it: ``main.py`` as a process, driven over HTTP, WebSocket and signals."""

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

START_TIMEOUT_S = 30
TOOLS = '''
import time
from pathlib import Path

from engine import tool


@tool(name="effect")
def effect(folder: str, label: str) -> str:
    """Leaves a line behind: one for each time it ran."""
    with open(Path(folder) / "effects.txt", "a") as file:
        file.write(label + "\\n")
    return label


@tool(name="hold")
def hold(folder: str) -> str:
    """Waits until there is a file called "go"."""
    (Path(folder) / "held").touch()
    while not (Path(folder) / "go").exists():
        time.sleep(0.01)
    return "went on"
'''


class Program:
    """A started ``main.py``."""

    def __init__(self, root, arguments, environment):
        self.process = subprocess.Popen(
            [sys.executable, str(root / "main.py"), *map(str, arguments)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out, self.err = [], []
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines))
            for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream, lines):
        with stream:
            for line in stream:
                lines.append(line.rstrip("\n"))

    def wait_for_address(self):
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            for line in list(self.out):
                if found := re.fullmatch(r"Serving on (http://\S+)", line):
                    return found[1]
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        self.kill()
        pytest.fail(f"no address from the program.\nout: {self.out}\nerr: {self.err}")

    def stop(self, number=signal.SIGTERM, timeout_s=15):
        """Sends the signal; the exit status."""
        self.process.send_signal(number)
        return self.wait(timeout_s)

    def wait(self, timeout_s=30):
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the program did not end within {timeout_s} s.\nout: {self.out}\nerr: {self.err}")
        self._join()
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._join()

    def _join(self):
        for reader in self._readers:
            reader.join()


@pytest.fixture
def environment(user_home, monkeypatch):
    """The test's own home, and no display."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    return dict(os.environ)


@pytest.fixture
def start(project_root, environment):
    """Starts ``main.py`` with these arguments; ends what is still running after the test."""
    programs = []

    def start(*arguments, **more):
        program = Program(project_root, arguments, {**environment, **more})
        programs.append(program)
        return program

    yield start
    for program in programs:
        program.kill()


@pytest.fixture
def database(tmp_path):
    return tmp_path / "e2e.db"


@pytest.fixture
def tools_dir(tmp_path):
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "test_tools.py").write_text(TOOLS)
    return folder


@pytest.fixture
def start_headless(start, database, tools_dir):
    """A headless program on the test's database and a free port: (program, address)."""

    def start_headless(*arguments, **more):
        program = start(
            "--headless", "--port", 0, "--database", database, "--tools", tools_dir, *arguments, **more
        )
        return program, program.wait_for_address()

    return start_headless


def ask(address, path, body=None, method=None, headers=None):
    """One request, as curl would make it: (status, JSON)."""
    request = urllib.request.Request(
        address + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={**({} if body is None else {"Content-Type": "application/json"}), **(headers or {})},
        method=method,
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            content = answer.read()
            return answer.status, json.loads(content) if content else None
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def until(condition, timeout_s=20):
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.01)
    return value


def create(address, *nodes, name="End to end"):
    """Stores a chain of (id, tool, parameters); its id."""
    graph = {
        "name": name,
        "nodes": [
            {"id": node_id, "function_name": tool, "parameters": parameters}
            for node_id, tool, parameters in nodes
        ],
        "edges": [
            {"from_node": before[0], "to_node": after[0]} for before, after in itertools.pairwise(nodes)
        ],
        "entry_point": nodes[0][0],
    }
    status, answer = ask(address, "/graph/create", graph)
    assert (status, answer["validation_warnings"]) == (201, []), answer
    return answer["graph_id"]


@pytest.fixture
def display():
    """A screen of the test's own; its name."""
    server = shutil.which("Xvfb")
    if server is None:
        pytest.fail("Xvfb is missing; `make setup` installs it (apt-get install xvfb)", pytrace=False)
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [server, "-displayfd", str(write_end), "-screen", "0", "1600x1000x24", "-nolisten", "tcp"],
        pass_fds=[write_end],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        number = pipe.readline().strip()
    if not number:
        process.wait()
        pytest.fail("Xvfb did not start", pytrace=False)
    yield f":{number}"
    process.terminate()
    process.wait()


def loaded_libraries(program):
    """The files mapped into the process, on Linux."""
    return Path(f"/proc/{program.process.pid}/maps").read_text()

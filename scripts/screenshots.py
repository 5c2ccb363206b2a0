"""Makes the pictures in docs/images/ again: starts the real program on a screen of its own, drives it with real keys
and clicks, and photographs it.

    .venv/bin/python scripts/screenshots.py [folder]

Needs Xvfb, openbox, xdotool and ImageMagick (on Debian: apt-get install xvfb openbox xdotool imagemagick).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "resources" / "workflows"
SIZE = "1440x900"
DISPLAY = ":94"
PORT = 8000
ADDRESS = f"http://127.0.0.1:{PORT}"
OPENBOX = """<?xml version="1.0"?>
<openbox_config xmlns="http://openbox.org/3.4/rc">
  <applications><application class="*"><decor>no</decor><maximized>yes</maximized></application></applications>
</openbox_config>
"""


def ask(path: str, body: object = None) -> Any:
    """One request to the program's server."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ADDRESS + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 30.0) -> None:
    """Look again and again until it holds."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"waited in vain: {what}")


class Screen:
    """A screen with a program on it."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder, self.home = folder, home
        self.environment = {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("WFE_", "QT_", "XDG_"))
            },
            "DISPLAY": DISPLAY,
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home / "runtime"),
        }

    @contextmanager
    def switched_on(self) -> Iterator[None]:
        """An X server and a window manager that shows windows without a frame."""
        (self.home / "runtime").mkdir(mode=0o700)
        config = self.home / "openbox.xml"
        config.write_text(OPENBOX)
        server = subprocess.Popen(
            ["Xvfb", DISPLAY, "-screen", "0", f"{SIZE}x24", "-dpi", "96", "-nolisten", "tcp"],
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: self.run("xdotool", "getdisplaygeometry", quiet=True), "the X server")
            manager = subprocess.Popen(
                ["openbox", "--config-file", str(config)], env=self.environment, stderr=subprocess.DEVNULL
            )
            try:
                yield
            finally:
                manager.terminate()
                manager.wait()
        finally:
            server.terminate()
            server.wait()

    @contextmanager
    def program(self, *arguments: str) -> Iterator[None]:
        """The program, until it has closed in order."""
        command = [sys.executable, str(ROOT / "main.py"), "--port", str(PORT), *arguments]
        program = subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL)
        try:
            wait_for(lambda: ask("/health")["status"] == "healthy", "the program")
            time.sleep(1.5)
            yield
        finally:
            program.terminate()
            status = program.wait(20)
            if status:
                raise SystemExit(f"the program ended with {status}")

    def run(self, *command: str, quiet: bool = False) -> bool:
        """Run a tool on this screen."""
        done = subprocess.run(command, env=self.environment, check=not quiet, capture_output=quiet)
        return done.returncode == 0

    def keys(self, *names: str) -> None:
        """Press keys, one after the other."""
        for name in names:
            self.run("xdotool", "key", name)
            time.sleep(0.25)

    def click(self, x: int, y: int) -> None:
        """Click somewhere."""
        self.run("xdotool", "mousemove", str(x), str(y), "click", "1")
        time.sleep(0.3)
        self.run("xdotool", "mousemove", "720", "120")

    def shoot(self, name: str) -> None:
        """Take a picture."""
        time.sleep(0.6)
        self.run("import", "-window", "root", "-strip", str(self.folder / name))
        print(self.folder / name)


def load(name: str) -> dict[str, Any]:
    """A sample workflow as JSON."""
    graph: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return graph


def slow_review() -> dict[str, Any]:
    """The sample code review with a pause in its loop, so that there is something to see while it runs."""
    graph = load("code_review")
    graph["name"] = "Nightly review"
    pause = {
        "id": "pause",
        "function_name": "delay",
        "label": "Wait for the linter",
        "parameters": {"seconds": 4},
    }
    graph["nodes"].append(pause)
    for edge in graph["edges"]:
        if (edge["from_node"], edge["to_node"]) == ("suggest", "analyze"):
            edge["to_node"] = "pause"
    graph["edges"].append({"from_node": "pause", "to_node": "analyze"})
    graph["ui"]["nodes"]["pause"] = {"x": 420.0, "y": 400.0}
    return graph


def start_run(graph: dict[str, Any], state: dict[str, Any] | None = None) -> str:
    """Store and start a workflow over HTTP; waits for its end."""
    graph_id = ask("/graph/create", graph)["graph_id"]
    run_id: str = ask("/graph/run", {"graph_id": graph_id, "initial_state": state or {}})["run_id"]
    wait_for(lambda: ask(f"/graph/state/{run_id}")["status"] in {"completed", "failed"}, "the run")
    return run_id


def latest_run() -> dict[str, Any]:
    """The state of the newest run."""
    runs = ask("/history/executions", {"limit": 1})["executions"]
    if not runs:
        return {"status": "none", "current_state": {"execution_path": []}}
    state: dict[str, Any] = ask(f"/graph/state/{runs[0]['run_id']}")
    return state


def main() -> None:
    """Make all pictures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs" / "images").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for tool in ("Xvfb", "openbox", "xdotool", "import"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is missing: apt-get install xvfb openbox xdotool imagemagick")
    with tempfile.TemporaryDirectory(prefix="wfe-pictures-") as home:
        screen = Screen(folder, Path(home))
        with screen.switched_on():
            take_first_start(screen)
            take_running(screen, Path(home))


def take_first_start(screen: Screen) -> None:
    """What a newcomer sees: the sample, F5, the result."""
    with screen.program():
        screen.click(700, 560)
        screen.shoot("window-dark.png")
        screen.keys("ctrl+shift+l")
        screen.shoot("window-light.png")
        screen.keys("ctrl+shift+l", "F5")
        wait_for(lambda: latest_run()["status"] == "completed", "the code review")
        time.sleep(1.0)
        screen.click(650, 345)
        screen.click(1326, 148)
        screen.shoot("finished-dark.png")
        screen.keys("ctrl+shift+l")
        screen.shoot("finished-light.png")
        screen.keys("ctrl+shift+l")


def take_running(screen: Screen, home: Path) -> None:
    """A run under way, with a history behind it."""
    path = home / "nightly.workflow.json"
    path.write_text(json.dumps(slow_review()), encoding="utf-8")
    with screen.program("--open", str(path)):
        start_run(load("math_processing"), {"value": 12})
        start_run(load("text_analysis"))
        start_run({"name": "Import prices", "nodes": [
            {"id": "read", "function_name": "files.read", "parameters": {"path": "prices.csv"}}
        ]})  # fmt: skip
        screen.click(700, 560)
        screen.keys("F5")
        wait_for(lambda: "pause" in latest_run()["current_state"]["execution_path"], "the pause")
        time.sleep(4.4)  # into the second pass
        screen.click(650, 460)
        screen.shoot("running-dark.png")
        screen.keys("ctrl+shift+l")
        screen.shoot("running-light.png")
        screen.keys("ctrl+shift+l", "shift+F5")
        wait_for(lambda: latest_run()["status"] == "cancelled", "the stop")


if __name__ == "__main__":
    main()

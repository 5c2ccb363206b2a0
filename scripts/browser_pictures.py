"""Makes the pictures of the page for browsers in docs/images/ again, with the real program and a headless Chromium.

    .venv/bin/python scripts/browser_pictures.py [folder]

Needs Chromium (on Debian: apt-get install chromium).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.screenshots import ADDRESS, PORT, ROOT, ask, load, slow_review, start_run, wait_for
from tests.e2e.chromium import Browser, Tab, open_tab

QUESTION = '''
from engine import WaitForSignal, tool


@tool(name="ask_manager")
def ask_manager():
    """Asks whether a release may go out."""
    schema = {
        "type": "object",
        "properties": {
            "approved": {"type": "boolean", "title": "Approve it?"},
            "reason": {"type": "string", "title": "Reason", "maxLength": 200},
        },
        "required": ["approved"],
    }
    return WaitForSignal("approval", schema, "May the release go out?")
'''
RELEASE = {
    "name": "Release checklist",
    "nodes": [
        {"id": "build", "function_name": "set_state", "label": "Build", "parameters": {"version": "1.4.2"}},
        {"id": "ask", "function_name": "ask_manager", "label": "Ask the manager", "save_as": "answer"},
        {"id": "ship", "function_name": "log", "label": "Ship", "parameters": {"message": "Shipping"}},
        {"id": "stop", "function_name": "log", "label": "Stop", "parameters": {"message": "Stopped"}},
    ],
    "edges": [
        {"from_node": "build", "to_node": "ask"},
        {"from_node": "ask", "to_node": "ship", "condition": "result.approved"},
        {"from_node": "ask", "to_node": "stop", "condition": "else"},
    ],
}


@contextmanager
def program(home: Path) -> Iterator[None]:
    """The program without a window, until it has closed in order."""
    (tools := home / "tools").mkdir()
    (tools / "question.py").write_text(QUESTION)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WFE_", "XDG_"))}
    environment |= {"HOME": str(home), "WFE_WORKSPACE": str(ROOT / "resources" / "samples")}
    command = [sys.executable, str(ROOT / "main.py"), "--headless", "--port", str(PORT)]
    command += ["--database", str(home / "pictures.db"), "--tools", str(tools)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: ask("/health")["status"] == "healthy", "the program")
        yield
    finally:
        process.terminate()
        process.wait(20)


async def take(tab: Tab, folder: Path) -> None:
    """A loop under way on a large screen, and a question on a phone."""
    release = ask("/graph/run", {"graph_id": ask("/graph/create", RELEASE)["graph_id"]})["run_id"]
    review = ask("/graph/run", {"graph_id": ask("/graph/create", slow_review())["graph_id"]})["run_id"]
    await tab.send("Emulation.setScrollbarsHidden", hidden=True)
    await tab.prefer(color_scheme="dark", reduced_motion="reduce")
    await tab.open(f"{ADDRESS}/#run/{review}")
    await tab.click_button("Log")
    await tab.until_text("↻ 2", '[data-node="suggest"]')
    await tab.until("document.querySelector('[data-node=\"pause\"].running')")
    await tab.look("window.scrollTo(0, 0)")
    await tab.shoot(folder / "browser-run.png")
    await tab.prefer(color_scheme="light")
    await tab.resize(360, 800, phone=True)
    await tab.look(f"location.hash = '#run/{release}'")
    await tab.until_text("May the release go out?", ".question")
    await tab.until("document.querySelector('.node.waiting')")
    await tab.shoot(folder / "browser-phone.png")


async def main(folder: Path) -> None:
    """Makes both pictures."""
    browser = Browser()
    try:
        with tempfile.TemporaryDirectory(prefix="wfe-pictures-") as home, program(Path(home)):
            for name in ("math_processing", "text_analysis"):
                start_run(load(name))
            async with open_tab(browser) as tab:
                await take(tab, folder)
    finally:
        browser.close()


if __name__ == "__main__":
    wanted = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs" / "images").resolve()
    wanted.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(wanted))

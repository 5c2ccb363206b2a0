"""The page at ``/``, in a real browser against the real program. What the browser complains of fails the test."""

import itertools
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from tests.e2e.chromium import Browser, find_chromium, open_tab
from tests.e2e.conftest import Program, ask

pytestmark = [
    pytest.mark.plain_loop,
    pytest.mark.skipif(
        find_chromium() is None, reason="chromium is missing; `scripts/setup.sh tests` installs it"
    ),
]

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
TOOLS = '''
import time
from pathlib import Path

from engine import WaitForSignal, tool


@tool(name="hold")
def hold(folder: str) -> str:
    """Waits until there is a file called "go"."""
    while not (Path(folder) / "go").exists():
        time.sleep(0.01)
    return "went on"


@tool(name="need")
def need(folder: str) -> str:
    """Fails until there is a file called "here"."""
    if not (Path(folder) / "here").exists():
        raise FileNotFoundError("there is no file")
    return "found"


@tool(name="ask_person")
def ask_person():
    """Asks for an answer with three fields."""
    return WaitForSignal("approval", {
        "type": "object",
        "properties": {
            "approved": {"type": "boolean", "title": "Approve it?"},
            "score": {"type": "integer", "maximum": 10},
            "team": {"enum": ["red", "green"]},
            "code": {"type": "string", "pattern": "^[A-Z]+$", "maxLength": 100},
        },
        "required": ["approved", "score"],
    }, "May the release go out?")


@tool(name="ask_yes_or_no")
def ask_yes_or_no():
    """Asks for yes or no."""
    return WaitForSignal("go", {"type": "boolean"}, "Go on?")


@tool(name="say")
def say(text: str) -> str:
    """Prints and returns it."""
    print(text)
    return text


@tool(name="shout")
def shout(count: int) -> int:
    """Prints many lines."""
    for number in range(count):
        print("line", number)
    return count
'''
LONG = "A name without any end that no phone has the room for and that nobody would ever give to a graph but somebody did"
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
CONTRAST = """
(() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const [r, g, b, a] = rgba(getComputedStyle(each).backgroundColor);
      if (a === 255) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const light = (channels) => {
    const [r, g, b] = channels.map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest(".unseen, .skip, option")) continue;
    const style = getComputedStyle(element);
    const svg = element.closest("svg");
    const ground = svg ? rgba(getComputedStyle(element.parentElement.querySelector("rect:not(.ring)") ?? svg).fill) : behind(element);
    const [a, b] = [light(rgba(svg ? style.fill : style.color).slice(0, 3)), light(ground.slice(0, 3))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${node.data.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return found;
})()
"""


@pytest.fixture(scope="module")
def browser():
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def start_program(project_root, tmp_path_factory):
    """Starts a headless program on a database: (program, address). Its home is the module's."""
    home = tmp_path_factory.mktemp("home")
    (tools := home / "tools").mkdir()
    (tools / "page_tools.py").write_text(TOOLS)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("WFE_", "XDG_", "DISPLAY"))
    }
    environment |= {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    programs = []

    def start(database, port=0, **more):
        arguments = ("--headless", "--port", port, "--database", database, "--tools", tools)
        programs.append(Program(project_root, arguments, {**environment, **more}))
        return programs[-1], programs[-1].wait_for_address()

    yield start
    for program in programs:
        program.kill()


@pytest.fixture(scope="module")
def address(start_program, tmp_path_factory):
    """The program most tests share."""
    return start_program(tmp_path_factory.mktemp("database") / "page.db")[1]


@pytest.fixture
def open_page(browser):
    """Opens a page; after the block, the browser must not have complained, nor asked anybody but the server."""

    @asynccontextmanager
    async def open_page(address, fragment="", *, expected=()):
        async with open_tab(browser) as tab:
            await tab.open(f"{address}/{fragment}")
            yield tab
        surprises = [text for text in tab.complaints if not any(part in text for part in expected)]
        assert surprises == []
        own = {urlsplit(address).netloc}
        assert {urlsplit(url).netloc for url in tab.requests if not url.startswith("data:")} == own

    return open_page


def store(address, *nodes, edges=None, name="Page", **more):
    """Stores a chain of nodes, or with other edges; its id."""
    nodes = [{"id": node, "function_name": tool, **rest} for node, tool, rest in nodes]
    if edges is None:
        edges = [{"from_node": one["id"], "to_node": other["id"]} for one, other in itertools.pairwise(nodes)]
    status, answer = ask(address, "/graph/create", {"name": name, "nodes": nodes, "edges": edges, **more})
    assert status == 201, answer
    return answer["graph_id"]


def run(address, graph_id, wait_s=None, **initial_state):
    body = {"graph_id": graph_id, "initial_state": initial_state} | ({"wait_s": wait_s} if wait_s else {})
    status, answer = ask(address, "/graph/run", body)
    assert status in (200, 202), answer
    return answer["run_id"]


def with_parameters(**parameters):
    return {"parameters": parameters}


@pytest.fixture
def folder(tmp_path):
    """Where ``hold`` looks for its file."""
    return tmp_path


@pytest.fixture
def hold(folder):
    """A node that runs until ``folder`` has a file called "go"."""
    return ("hold", "hold", with_parameters(folder=str(folder)))


def node(name):
    return f'document.querySelector(`[data-node="{name}"]`)?.getAttribute("class").split(" ")[1]'


# ------------------------------------------------------------------------------------------------------- the list


async def test_the_list_follows_a_run_that_is_started_over_http(address, open_page, folder, hold):
    graph = store(address, hold, name="Followed")
    async with open_page(address) as tab:
        await tab.until_text("Live", "#connection")
        run_id = run(address, graph)
        row = f'[data-run="{run_id}"]'
        await tab.until(f"document.querySelector('{row}.running')?.innerText.includes('Followed')")
        heading = f"document.querySelector('{row}').parentElement.previousElementSibling.innerText"
        assert (await tab.look(heading)).startswith("Under way (")
        (folder / "go").touch()
        await tab.until(f"document.querySelector('{row}.completed')")
        assert (
            await tab.look(f"document.querySelector('{row} .sign path').getAttribute('d')")
            == "M3.25 8.5l3.25 3.25l6.25-7"
        )
        assert await tab.look(heading) == "Recent"
        await tab.until(f"/\\d (ms|s)$/.test(document.querySelector('{row} .times').innerText)")


async def test_the_list_is_filtered_and_paged(address, open_page):
    graph = store(address, ("a", "set_state", {}), name="Many")
    bad = store(address, ("a", "fail", with_parameters(message="no paper in the printer")), name="Printer")
    for _ in range(60):
        run(address, graph)
    run(address, bad, wait_s=10)
    rows = "document.querySelectorAll('[data-run]').length"
    async with open_page(address) as tab:
        await tab.until(f"{rows} >= 50")
        before = await tab.look(rows)
        await tab.click_button("Load more")
        await tab.until(f"{rows} > {before}")
        await tab.click("input[type=search]")
        await tab.write("no paper")
        await tab.until(f"{rows} === 1")
        await tab.until_text("no paper in the printer", ".row.failed .message")
        await tab.look("document.querySelector('.tools input').select()")
        await tab.write("nothing has this name")
        await tab.until_text("No run is like that", ".empty")
        await tab.look("document.querySelector('.tools input').select()")
        await tab.press("Backspace")
        await tab.until(f"{rows} > 1")
        await tab.look(
            "(() => { const s = document.querySelector('select'); s.value = 'failed'; s.dispatchEvent(new Event('change')); })()"
        )
        await tab.until(
            "[...document.querySelectorAll('[data-run]')].every((row) => row.matches('.failed')) && document.querySelector('[data-run]')"
        )


async def test_deleted_runs_leave_the_list_and_the_page_of_one_says_so(address, open_page):
    graph = store(address, ("a", "set_state", {}), name="Deleted")
    ended = [run(address, graph, wait_s=10) for _ in range(2)]
    rows = [f"document.querySelector('[data-run=\"{run_id}\"]')" for run_id in ended]
    async with open_page(address) as tab, open_page(address, f"#run/{ended[0]}") as shown:
        await tab.until_text("Live", "#connection")
        await shown.until_text("Live", "#connection")
        await tab.until(f"{rows[0]} && {rows[1]}")
        assert ask(address, "/history/delete", {"run_ids": [ended[0]]})[0] == 200
        await tab.until(f"!{rows[0]}")
        assert await tab.look(f"Boolean({rows[1]})")
        await shown.until_text("This run was deleted.", ".fault")
        assert await shown.look("document.querySelector('.commands, .buttons').childElementCount") == 0
        assert await shown.look("document.querySelector('.state').innerText") != ""


# -------------------------------------------------------------------------------------------------------- one run


async def test_nodes_and_edges_take_the_colour_of_what_happens(address, open_page, folder, hold):
    graph = store(
        address,
        ("first", "set_state", with_parameters(score=3)),
        hold,
        ("left", "set_state", {"label": "The other way"}),
        ("bad", "fail", with_parameters(message="enough")),
        edges=[
            {"from_node": "first", "to_node": "hold"},
            {"from_node": "hold", "to_node": "left", "condition": "state.score > 5"},
            {"from_node": "hold", "to_node": "bad", "condition": "else"},
        ],
    )
    async with open_page(address, f"#run/{run(address, graph)}") as tab:
        await tab.until(f"{node('hold')} === 'running'")
        assert await tab.look(node("first")) == "completed"
        assert await tab.look(node("left")) == "pending"
        await tab.click('[data-node="hold"]')
        await tab.until_text("running", ".node-panel")
        (folder / "go").touch()
        await tab.until(f"{node('bad')} === 'failed'")
        await tab.until_text("completed", ".node-panel")
        await tab.until_text("went on", ".node-panel")
        await tab.click_button("Close", ".node-panel")
        assert await tab.look("document.activeElement.getAttribute('data-node')") == "hold"
        assert await tab.look(node("left")) == "skipped"
        assert await tab.look(
            "[...document.querySelectorAll('path.edge')].map((each) => each.getAttribute('class'))"
        ) == ["edge taken", "edge skipped", "edge taken"]
        assert await tab.look(
            "[...document.querySelectorAll('.label title')].map((each) => each.textContent)"
        ) == ["state.score > 5", "else"]
        await tab.until_text("enough", ".message.failed")
        await tab.until_text("score: 3", ".state")
        assert "failed" in await tab.look("document.title")
        await tab.click('[data-node="bad"]')
        await tab.until_text("enough", ".node-panel")
        colours = await tab.look(
            "['completed', 'failed', 'skipped'].map((name) => getComputedStyle(document.querySelector(`.node.${name} .body`)).stroke)"
        )
        assert len(set(colours)) == 3


async def test_a_loop_is_drawn_below_its_nodes_and_counts_its_visits(address, open_page):
    graph = store(
        address,
        ("a", "pass_through", {}),
        ("b", "pass_through", {}),
        edges=[
            {"from_node": "a", "to_node": "b"},
            {"from_node": "b", "to_node": "a", "condition": "visit < 3"},
        ],
        entry_point="a",
    )
    async with open_page(address, f"#run/{run(address, graph, wait_s=10)}") as tab:
        await tab.until_text("↻ 3", '[data-node="b"] .visit')
        boxes = await tab.look(
            "[...document.querySelectorAll('.node .body, .label')].map((each) => each.getBoundingClientRect().bottom)"
        )
        assert boxes[2] > max(boxes[:2])


async def test_the_buttons_pause_step_resume_and_cancel(address, open_page, folder, hold):
    graph = store(
        address,
        hold,
        ("b", "say", with_parameters(text="hi")),
        ("c", "hold", with_parameters(folder=str(folder / "never"))),
    )
    run_id = run(address, graph)
    async with open_page(address, f"#run/{run_id}") as tab:
        await tab.until(f"{node('hold')} === 'running'")
        await tab.click_button("Pause")
        await tab.until_text("paused", ".head")
        (folder / "go").touch()
        await tab.until(f"{node('hold')} === 'completed'")
        await tab.click_button("Step")
        await tab.until(f"{node('b')} === 'completed'")
        assert await tab.look(node("c")) == "pending"
        await tab.click_button("Resume")
        await tab.until(f"{node('c')} === 'running'")
        top_of_tabs = "document.querySelector('.tabs').getBoundingClientRect().top"
        before = await tab.look(top_of_tabs)
        await tab.click_button("Cancel")
        await tab.until("/being cancelled/.test(document.querySelector('#news').textContent)")
        (folder / "never").mkdir()
        (folder / "never" / "go").touch()  # it does not look whether it was cancelled
        await tab.until_text("cancelled", ".head")
        assert await tab.look("document.querySelectorAll('.title .buttons button').length") == 0
        assert await tab.look(top_of_tabs) == before, "what is below moved under the pointer"
    assert ask(address, f"/graph/state/{run_id}")[1]["status"] == "cancelled"


async def test_a_failed_run_is_retried(address, open_page, folder):
    graph = store(address, ("a", "need", with_parameters(folder=str(folder))))
    run_id = run(address, graph, wait_s=10)
    async with open_page(address, f"#run/{run_id}") as tab:
        await tab.until_text("there is no file", ".message.failed")
        (folder / "here").touch()
        await tab.click_button("Retry")
        await tab.until(f"{node('a')} === 'completed'")
        await tab.until_text("completed", ".head")
        assert await tab.look("document.querySelector('.title .message').hidden")
        assert await tab.look("document.querySelectorAll('.title .buttons button').length") == 0


async def test_a_fork_says_what_it_took_over_and_leads_to_where_it_comes_from(address, open_page):
    graph = store(address, ("a", "set_state", {}), ("b", "set_state", {}))
    old = run(address, graph, wait_s=10)
    status, fork = ask(address, f"/graph/fork/{old}", {"node_id": "b", "wait_s": 10})
    assert status == 200, fork
    async with open_page(address, f"#run/{fork['run_id']}") as tab:
        await tab.until(f"{node('a')} === 'completed' && {node('b')} === 'completed'")
        await tab.click_button("Steps")
        await tab.until_text("taken over", ".steps tbody tr:first-child")
        assert not await tab.look(
            "document.querySelector('.steps tbody tr:last-child').textContent.includes('taken over')"
        )
        await tab.click(f'a[href="#run/{old}"]')
        await tab.until_text(old, ".title")
        await tab.until(f"!document.querySelector('a[href=\"#run/{old}\"]')")


async def test_a_waiting_step_is_answered_with_a_form(address, open_page):
    graph = store(address, ("ask", "ask_person", {"label": "Release manager", "save_as": "answer"}))
    run_id = run(address, graph)
    async with open_page(address, f"#run/{run_id}") as tab:
        await tab.until_text("May the release go out?", ".question")
        await tab.until_text("“Release manager” goes on", ".question")
        await tab.click_button("Answer")
        await tab.until_text("A value is needed here.", ".question")
        fields = await tab.look(
            "[...document.querySelectorAll('.field label')].map((label) => label.innerText)"
        )
        assert fields == ["Approve it?", "score", "team (may be left out)", "code (may be left out)"]
        await tab.look(
            "(() => { const [approved, team] = document.querySelectorAll('.field select'); approved.value = '0'; team.value = '1'; })()"
        )
        score, code = (
            "document.querySelectorAll('.field input')[0]",
            "document.querySelectorAll('.field input')[1]",
        )
        await tab.look(f"{score}.focus()")
        await tab.write("12")
        await tab.press("Enter")
        await tab.until_text("At most 10.", ".question")
        await tab.look(f"{score}.select()")
        await tab.write("9")
        await tab.look(f"{code}.focus()")
        await tab.write("small")
        await tab.press("Enter")
        await tab.until(
            "document.querySelector('.question .form > .fault')?.innerText.includes('code')"
        )  # the engine's word
        await tab.look(f"{code}.select()")
        await tab.write("LARGE")
        await tab.press("Enter")
        await tab.until_text("completed", ".head")
        await tab.until("!document.querySelector('.question')")
        tab.complaints = [text for text in tab.complaints if "400" not in text]
    data = ask(address, f"/graph/state/{run_id}")[1]["current_state"]["data"]
    assert data == {"answer": {"approved": True, "score": 9, "team": "green", "code": "LARGE"}}


async def test_a_question_of_yes_or_no_has_two_buttons(address, open_page):
    run_id = run(address, store(address, ("ask", "ask_yes_or_no", {"save_as": "answer"})))
    async with open_page(address, f"#run/{run_id}") as tab:
        await tab.click_button("No", ".question")
        await tab.until_text("completed", ".head")
        await tab.until_text("answer: false", ".state")


async def test_a_run_leads_to_those_it_started_and_back(address, open_page, folder, hold):
    inner = store(address, hold, name="Inner")
    outer = store(address, ("call", "run_workflow", with_parameters(graph=inner)), name="Outer")
    run_id = run(address, outer)
    async with open_page(address) as tab:
        await tab.until_text("Live", "#connection")
        await tab.until(f"document.querySelector('[data-run=\"{run_id}\"]')")
        assert not await tab.look(
            "document.querySelector('.rows').innerText.includes('Inner')"
        )  # a part of Outer
        await tab.look(f"location.hash = '#run/{run_id}'")
        await tab.until(f"{node('call')} === 'waiting'")
        await tab.click('[data-node="call"]')
        await tab.click(".node-panel a")
        await tab.until_text("Inner", "h1")
        (folder / "go").touch()
        await tab.until_text("completed", ".head")
        await tab.click(".head a")
        await tab.until_text("Outer", "h1")
        await tab.until_text("completed", ".head")


async def test_a_large_state_is_folded_and_says_its_size(address, open_page):
    graph = store(address, ("a", "set_state", {}))
    run_id = run(
        address, graph, wait_s=20, text="x" * 2_000_000, rows=[{"n": number} for number in range(5_000)]
    )
    async with open_page(address, f"#run/{run_id}") as tab:
        await tab.until(f"{node('a')} === 'completed'")
        await tab.until_text("2.0 MB", ".state")
        await tab.until_text("5,000 items", ".state")
        assert await tab.look("document.querySelectorAll('.state *').length") < 100
        await tab.click(".state details:not(:has(.text)) summary")
        await tab.click_button("Show 100 of 4,900 more")
        assert await tab.look("document.querySelectorAll('.state .tree .tree > li').length") == 201


async def test_the_log_is_filtered_and_follows(address, open_page, folder, hold):
    graph = store(
        address,
        ("many", "shout", with_parameters(count=300)),
        hold,
        ("last", "say", with_parameters(text="the last words")),
    )
    async with open_page(address, f"#run/{run(address, graph)}") as tab:
        await tab.until(f"{node('hold')} === 'running'")
        await tab.click_button("Log")
        await tab.until_text("line 299", ".lines")
        at_end = "(() => { const l = document.querySelector('.lines'); return l.scrollHeight - l.scrollTop - l.clientHeight < 12; })()"
        await tab.until(at_end)
        (folder / "go").touch()
        await tab.until_text("the last words", ".lines")
        await tab.until(at_end)
        await tab.look("document.querySelector('.lines').scrollTop = 0")
        await tab.until("!document.querySelector('.log input[type=checkbox]').checked")
        await tab.click(".log input[type=search]")
        await tab.write("line 42")
        await tab.until("document.querySelectorAll('.lines li').length === 1")
        await tab.click_button("Steps")
        await tab.until("document.querySelectorAll('.steps tbody tr').length === 3")


# ----------------------------------------------------------------------------------------------------- what it bears


async def test_a_lost_connection_is_said_and_taken_up_again(start_program, open_page, tmp_path, folder, hold):
    program, address = start_program(tmp_path / "restart.db")
    port = int(address.rsplit(":", 1)[1])
    unreachable = (
        "ERR_CONNECTION_REFUSED",
        "ERR_EMPTY_RESPONSE",
        "ERR_CONNECTION_RESET",
        "WebSocket connection",
    )
    async with open_page(address, expected=unreachable) as tab:
        await tab.until_text("No runs yet. Press F5 in the window", ".empty")
        await tab.look("location.hash = '#graphs'")
        await tab.until_text("No graphs stored yet.", ".empty")
        run_id = run(address, store(address, hold, ("after", "say", with_parameters(text="hello again"))))
        await tab.look(f"location.hash = '#run/{run_id}'")
        await tab.until(f"{node('hold')} === 'running'")
        program.kill()
        await tab.until_text("Connection lost. Trying again", "#connection")
        await tab.click_button("Cancel")
        await tab.until_text("The server cannot be reached. Is the program still running?", ".title .fault")
        (folder / "go").touch()
        program, _ = start_program(tmp_path / "restart.db", port)
        await tab.until_text("Live", "#connection")
        await tab.until(f"{node('after')} === 'completed'")
        await tab.click_button("Log")
        await tab.until_text("hello again", ".lines")
        await tab.until_text("Run started", ".lines")
        lines = await tab.look(
            "[...document.querySelectorAll('.lines .said')].map((each) => each.textContent)"
        )
        assert [
            lines.count(line) for line in ("Run started", "Run goes on after a restart", "hello again")
        ] == [1, 1, 1]
    program.kill()


async def test_a_connection_that_has_gone_silent_is_noticed_when_the_page_is_seen_again(
    start_program, open_page, tmp_path
):
    program, address = start_program(tmp_path / "silent.db")
    async with open_page(address) as tab:
        await tab.until_text("Live", "#connection")
        program.process.send_signal(signal.SIGSTOP)
        await tab.look("document.dispatchEvent(new Event('visibilitychange'))")
        await tab.until_text("Connection lost.", "#connection")
        program.process.send_signal(signal.SIGCONT)
        await tab.until_text("Live", "#connection")
        run_id = run(address, store(address, ("a", "set_state", {})))
        await tab.until(f"document.querySelector('[data-run=\"{run_id}\"].completed')")
    program.kill()


async def test_where_a_token_is_needed_the_page_asks_for_it(start_program, open_page, tmp_path):
    program, address = start_program(tmp_path / "token.db", WFE_API_TOKEN="open sésame")
    async with open_page(address, expected=["401"]) as tab:
        await tab.until_text("This server asks for its token", "dialog")
        await tab.write("open barley")
        await tab.press("Enter")
        await tab.until_text("This is not the token.", "dialog")
        assert not await tab.look("document.querySelector('#connection').textContent")
        await tab.write("open sésame")
        await tab.press("Enter")
        await tab.until_text("No runs yet.", ".empty")
        await tab.until_text("Live", "#connection")
        assert not await tab.look("document.querySelector('dialog')")
        assert await tab.look("document.cookie + location.href") == f"{address}/"
        await tab.open(f"{address}/#graphs")  # it stays in the tab
        await tab.until_text("No graphs stored yet.", ".empty")
        await tab.look(
            "sessionStorage.setItem('wfe-token', 'was changed meanwhile'); location.hash = '#runs'"
        )
        await tab.until_text("This is not the token.", "dialog")
    program.kill()


async def test_text_from_outside_is_never_markup(address, open_page):
    graph = store(
        address,
        (EVIL, "say", {"label": EVIL, "parameters": {"text": EVIL}, "save_as": EVIL}),
        ("__proto__", "set_state", with_parameters(constructor=EVIL)),
        (
            "constructor",
            "fail",
            {"parameters": {"message": EVIL}, "on_error": "continue", "default_result": {EVIL: [EVIL]}},
        ),
        name=EVIL,
        description=EVIL,
        edges=[
            {"from_node": EVIL, "to_node": "__proto__", "condition": f"state.get('a', '{EVIL}') != ''"},
            {"from_node": "__proto__", "to_node": "constructor"},
        ],
    )
    run_id = run(address, graph, wait_s=10)
    async with open_page(address, expected=["404"]) as tab:
        for fragment, places in (
            ("#runs", [f'[data-run="{run_id}"]']),
            ("#graphs", [".rows .name", ".rows .about"]),
            (f"#run/{run_id}", ["h1", ".state", ".node title"]),
        ):
            await tab.look(f"location.hash = {json.dumps(fragment)}")
            for place in places:
                await tab.until(
                    f"document.querySelector({json.dumps(place)})?.textContent.includes({json.dumps(EVIL)})"
                )
        assert await tab.look(
            "[...document.querySelectorAll('.node')].map((each) => each.getAttribute('class').split(' ')[1])"
        ) == ["completed", "completed", "failed"]
        for tab_name, place in (("Log", ".lines"), ("Steps", ".steps")):
            await tab.click_button(tab_name)
            await tab.until_text(EVIL, place)
        await tab.click('[data-node="constructor"]')
        await tab.until_text(EVIL, ".node-panel")
        await tab.look(f"location.hash = '#run/' + encodeURIComponent({json.dumps(EVIL)})")
        await tab.until_text("There is no run of this id.", ".fault")
        assert await tab.look("document.querySelectorAll('img, script:not([src])').length") == 0


async def test_the_browser_itself_would_refuse_markup_scripts_and_strangers(address, browser):
    """Else an empty list of complaints would prove nothing."""
    async with open_tab(browser) as tab:
        await tab.open(f"{address}/")
        await tab.until_text("Live", "#connection")
        assert tab.complaints == []
        for attempt in (
            "document.body.innerHTML = '<b>x</b>'",
            "eval('1')",
            "fetch('http://127.0.0.1:9/')",
        ):
            with pytest.raises(RuntimeError):
                await tab.look(attempt)
        await tab.look("document.body.setAttribute('style', 'color: red')")
        await tab.look(
            "document.body.append(Object.assign(document.createElement('img'), {src: 'http://127.0.0.1:9/x.png'}))"
        )
        await tab.until("document.querySelector('img').complete")
        for part in ("TrustedHTML", "connect-src", "style", "img-src"):
            assert any(part in text for text in tab.complaints), (part, tab.complaints)


async def test_the_documentation_loads_under_its_policy(address, browser):
    async with open_tab(browser) as tab:
        await tab.open(f"{address}/docs")
        await tab.until_text("/graph/{graph_id}/layout", "#docs")
        refused = [
            text for text in tab.complaints if "style" not in text.lower()
        ]  # Swagger UI tries inline styles
        assert refused == []
        assert {urlsplit(url).netloc for url in tab.requests if not url.startswith("data:")} == {
            urlsplit(address).netloc
        }


async def test_a_thousand_nodes_are_drawn_and_many_events_are_borne(address, open_page):
    nodes = [(f"n{number}", "set_state", {}) for number in range(1_000)]
    edges = [
        {"from_node": f"n{number}", "to_node": f"n{number + step}"}
        for number in range(1_000)
        for step in (1, 7)
        if number + step < 1_000
    ]
    graph = store(address, *nodes, edges=edges, name="Large")
    async with open_page(address, f"#run/{run(address, graph)}") as tab:
        await tab.until("document.querySelectorAll('.node').length === 1000", 30)
        await tab.look(
            "(() => { let last = performance.now(); window.longest = 0; const beat = (now) => { window.longest = Math.max(window.longest, now - last); last = now; requestAnimationFrame(beat); }; requestAnimationFrame(beat); })()"
        )
        await tab.until("document.querySelectorAll('.node.completed').length === 1000", 30)
        x, y = await tab.middle_of(".graph")
        before = await tab.look("document.querySelector('.graph > g').getAttribute('transform')")
        await tab.mouse("mousePressed", x, y)
        await tab.mouse("mouseMoved", x + 80, y + 40)
        await tab.mouse("mouseReleased", x + 80, y + 40)
        await tab.until(
            f"document.querySelector('.graph > g').getAttribute('transform') !== {json.dumps(before)}"
        )
        await tab.click_button("Fit")
        await tab.until("document.querySelector('.graph').classList.contains('far')")
        noisy = store(
            address,
            ("shout", "shout", {"for_each": "range(20)", "parameters": {"count": 500}, "max_parallel": 4}),
        )
        loud = run(address, noisy)
        await tab.look(f"location.hash = '#run/{loud}'")
        await tab.until_text(loud, ".head")
        await tab.click_button("Log")
        await tab.until_text("completed", ".head")
        await tab.until_text("Run completed", ".lines")
        assert await tab.look("document.querySelectorAll('.lines li').length") == 1_000
        print("longest frame:", await tab.look("Math.round(window.longest)"), "ms", file=sys.stderr)


# --------------------------------------------------------------------------------------------------- hand and eye


async def test_a_phone_shows_everything_without_scrolling_sideways(address, open_page):
    graph = store(
        address,
        (
            "a",
            "say",
            {"label": LONG, "parameters": {"text": LONG.replace(" ", "")}, "save_as": LONG.replace(" ", "_")},
        ),
        ("b", "fail", with_parameters(message=LONG.replace(" ", ""))),
        ("ask", "ask_person", {}),
        name=LONG,
        description=LONG.replace(" ", ""),
        edges=[
            {"from_node": "a", "to_node": "b", "condition": "visit == 1"},
            {"from_node": "a", "to_node": "ask"},
        ],
    )
    waiting = run(address, store(address, ("ask", "ask_person", {"label": LONG}), name=LONG))
    failed = run(address, graph)
    async with open_page(address) as tab:
        await tab.resize(360, 800, phone=True)
        for fragment in ("#runs", "#graphs", f"#run/{waiting}", f"#run/{failed}"):
            await tab.look(f"location.hash = '{fragment}'")
            await tab.until_text(LONG, "main")
            assert await tab.look(FITS), fragment
        await tab.until("document.querySelectorAll('.node').length === 3")
        # It is drawn first, and then made to fit.
        await tab.until(
            "[...document.querySelectorAll('.node .body')].map((each) => each.getBoundingClientRect()).every((box) => box.left >= 0 && box.right <= 360)"
        )
        places = await tab.look(
            "[...document.querySelectorAll('.node .body')].map((each) => each.getBoundingClientRect()).map((box) => [box.left, box.top, box.right])"
        )
        assert places[1][1] > places[0][1]  # the flow goes down
        for name in ("Log", "Steps", "State"):
            await tab.click_button(name)
            assert await tab.look(FITS), name
        assert (
            await tab.look(
                "[...document.querySelectorAll('button')].filter((b) => b.checkVisibility() && b.getBoundingClientRect().height < 32).length"
            )
            == 0
        )


async def test_fingers_move_and_pinch_the_graph(address, open_page):
    graph = store(address, *[(f"n{number}", "set_state", {}) for number in range(12)])
    async with open_page(address, f"#run/{run(address, graph, wait_s=10)}") as tab:
        await tab.resize(360, 800, phone=True)
        await tab.until("document.querySelectorAll('.node.completed').length === 12")
        view = (
            "document.querySelector('.graph > g').getAttribute('transform').match(/-?[\\d.]+/g).map(Number)"
        )
        x, y = await tab.middle_of(".graph")
        await tab.until(view)
        before = await tab.look(view)
        await tab.touch("touchStart", (x, y))
        await tab.touch("touchMove", (x, y - 60))
        await tab.touch("touchMove", (x, y - 90))
        await tab.touch("touchEnd")
        await tab.until(f"{view}[1] < {before[1] - 60}")
        scale = (await tab.look(view))[2]
        await tab.touch("touchStart", (x - 30, y), (x + 30, y))
        await tab.touch("touchMove", (x - 60, y), (x + 60, y))
        await tab.touch("touchMove", (x - 75, y), (x + 75, y))
        await tab.touch("touchEnd")
        await tab.until(f"{view}[2] > {scale * 1.5}")
        assert await tab.look("window.scrollY") == 0


async def test_a_run_is_started_and_looked_at_with_the_keyboard_alone(address, open_page):
    store(address, ("one", "set_state", {}), ("two", "set_state", {}), name="By keyboard")
    focused = "document.activeElement"

    async with open_page(address) as tab:
        await tab.until_text("Live", "#connection")

        async def tab_to(condition):
            for _ in range(40):
                if await tab.look(condition):
                    return
                await tab.press("Tab")
            raise AssertionError(f"no tab stop: {condition}")

        await tab.press("Tab")
        assert await tab.look(f"{focused}.matches('.skip')")
        await tab_to(f"{focused}.getAttribute('href') === '#graphs'")
        assert await tab.look(f"getComputedStyle({focused}).outlineStyle") == "solid"
        await tab.press("Enter")
        await tab.until_text("By keyboard", "main")
        assert await tab.look(f"{focused}.tagName") == "H1"
        await tab_to(f"{focused}.innerText === 'Run…'")
        await tab.press("Enter")
        await tab.until(f"{focused}.matches('textarea')")
        await tab_to(f"{focused}.innerText === 'Start the run'")
        await tab.press("Enter")
        await tab.until(f"{node('two')} === 'completed'")
        assert await tab.look(f"{focused}.tagName") == "H1"
        await tab_to(f"{focused}.matches('.node')")
        assert await tab.look(f"{focused}.getAttribute('data-node')") == "one"
        await tab.press("ArrowRight")
        assert await tab.look(f"{focused}.getAttribute('data-node')") == "two"
        assert (await tab.look(f"{focused}.getAttribute('aria-label')")).startswith("two, completed")
        await tab.press("Enter")
        await tab.until_text("set_state", ".node-panel")
        await tab_to(f"{focused}.matches('[role=tab]')")
        await tab.press("ArrowRight")
        assert await tab.look(f"{focused}.innerText") == "Log"
        await tab.until_text("Run completed", ".lines")


@pytest.mark.parametrize("scheme", ["dark", "light"])
async def test_every_text_stands_out_from_its_ground(address, open_page, scheme):
    graph = store(
        address,
        ("a", "say", with_parameters(text="hi")),
        ("b", "set_state", {}),
        ("c", "ask_person", {}),
        ("d", "fail", {"on_error": "continue"}),
        edges=[
            {"from_node": "a", "to_node": "b", "condition": "result == 'no'"},
            {"from_node": "a", "to_node": "c", "condition": "else"},
            {"from_node": "a", "to_node": "d"},
        ],
    )
    run_id = run(address, graph)
    async with open_page(address) as tab:
        await tab.prefer(color_scheme=scheme, reduced_motion="reduce")
        await tab.until_text("Live", "#connection")
        assert await tab.look(CONTRAST) == []
        await tab.look(f"location.hash = '#run/{run_id}'")
        await tab.until_text("May the release go out?", ".question")
        await tab.until(f"{node('b')} === 'skipped' && {node('d')} === 'failed'")
        for name in ("State", "Log", "Steps"):
            await tab.click_button(name)
            assert await tab.look(CONTRAST) == [], name
        await tab.look("location.hash = '#graphs'")
        await tab.until("document.querySelector('.rows .name')")
        assert await tab.look(CONTRAST) == []


async def test_nothing_moves_for_those_who_want_no_motion(address, open_page, folder, hold):
    async with open_page(address, f"#run/{run(address, store(address, hold))}") as tab:
        await tab.until(f"{node('hold')} === 'running'")
        moving = "getComputedStyle(document.querySelector('.node.running .progress')).animationName"
        assert await tab.look(moving) == "onward"
        await tab.prefer(reduced_motion="reduce")
        assert await tab.look(moving) == "none"
        (folder / "go").touch()
        await tab.until(f"{node('hold')} === 'completed'")

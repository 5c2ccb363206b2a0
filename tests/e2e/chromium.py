"""A headless Chromium, driven over its DevTools protocol: what the tests of the page and its pictures share."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

OPTIONS = (
    "--headless",
    "--no-sandbox",  # for root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-renderer-backgrounding",
    "--remote-debugging-port=0",
)
PATIENCE_S = 15.0
KEYS = {
    "Enter": ("\r", 13),
    "Tab": ("", 9),
    "Backspace": ("", 8),
    " ": (" ", 32),
    "ArrowRight": ("", 39),
    "ArrowLeft": ("", 37),
}


def find_chromium() -> str | None:
    """The installed browser."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """A Chromium with a profile of its own, which ends with it. ``endpoint`` is where it is driven."""

    def __init__(self) -> None:
        command = find_chromium()
        if command is None:
            raise FileNotFoundError("chromium is missing: apt-get install chromium")
        self._profile = tempfile.mkdtemp(prefix="wfe-chromium-")
        # A group of its own: it starts processes, which end with it.
        self._process = subprocess.Popen(
            [command, *OPTIONS, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if line.startswith("DevTools listening on "):
                self.endpoint = line.split()[-1]
                break
        else:
            self.close()
            raise RuntimeError("Chromium did not start")
        # What it says from here on is not read: into a file, or a full pipe would stop it.
        self._drain = subprocess.Popen(["cat"], stdin=self._process.stderr, stdout=subprocess.DEVNULL)
        self._process.stderr.close()

    def close(self) -> None:
        """Ends it and removes its profile."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if hasattr(self, "_drain"):
            self._drain.wait()
        shutil.rmtree(self._profile, ignore_errors=True)


class Tab:
    """A page in a window of its own, without what others have stored. It records whatever the page complains of."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._session = ""
        self._ids = 0
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._heard = asyncio.Event()
        self.complaints: list[str] = []
        """Errors and warnings in the console, uncaught exceptions, and what the Content-Security-Policy refused."""
        self.requests: list[str] = []
        """The address of everything that was asked for, WebSockets included."""

    async def _listen(self) -> None:
        async for message in self._socket:
            said = json.loads(message.data)
            if "id" in said:
                answer = self._answers.pop(said["id"])
                if not answer.done():
                    answer.set_result(said)
            else:
                self._hear(said["method"], said["params"])
                self._heard.set()

    def _hear(self, method: str, params: dict[str, Any]) -> None:
        match method:
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Network.webSocketCreated":
                self.requests.append(params["url"])
            case "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description", details["text"]))
            case "Runtime.consoleAPICalled" if params["type"] in {"error", "warning", "assert"}:
                self.complaints.append(str([each.get("value") for each in params["args"]]))
            case "Log.entryAdded" if params["entry"]["level"] in {"error", "warning"}:
                entry = params["entry"]
                self.complaints.append(f"{entry['source']}: {entry['text']} {entry.get('url', '')}")
            case "Audits.issueAdded" if "Security" in params["issue"]["code"]:
                self.complaints.append(json.dumps(params["issue"]))

    async def send(self, method: str, **params: Any) -> Any:
        """One command of the protocol; its result."""
        self._ids += 1
        message = {"id": self._ids, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._answers[self._ids] = answer = asyncio.get_running_loop().create_future()
        await self._socket.send_json(message)
        async with asyncio.timeout(PATIENCE_S):
            said = await answer
        if "error" in said:
            raise RuntimeError(f"{method}: {said['error']['message']}")
        return said["result"]

    async def attach(self) -> None:
        """Opens the page and begins to listen to it."""
        context = (await self.send("Target.createBrowserContext", disposeOnDetach=True))["browserContextId"]
        target = (await self.send("Target.createTarget", url="about:blank", browserContextId=context))[
            "targetId"
        ]
        session = await self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = session["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            await self.send(f"{domain}.enable")
        await self.resize(1280, 860)

    # ----------------------------------------------------------------------------------------------- looking

    async def open(self, address: str) -> None:
        """Goes there, and waits until it is loaded."""
        result = await self.send("Page.navigate", url=address)
        if "errorText" in result:
            raise RuntimeError(f"{address}: {result['errorText']}")
        await self.until("document.readyState === 'complete'")

    async def look(self, expression: str) -> Any:
        """The value of an expression of JavaScript on the page."""
        said = await self.send(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
            allowUnsafeEvalBlockedByCSP=False,
        )
        if "exceptionDetails" in said:
            raise RuntimeError(said["exceptionDetails"].get("exception", {}).get("description", expression))
        return said["result"].get("value")

    async def until(self, expression: str, patience_s: float = PATIENCE_S) -> Any:
        """Waits until an expression holds, for JavaScript: an element is there, a number is not 0. Its value."""
        nothing = (None, False, 0, "")
        looked: Any = None
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while looked in nothing:
                    with suppress(RuntimeError):  # the page was just replaced by another
                        looked = await self.look(expression)
                    if looked in nothing:
                        await asyncio.sleep(0.02)
        if looked in nothing:
            text = await self.look("document.body.innerText")
            raise AssertionError(f"never on the page: {expression}\n{text}\ncomplaints: {self.complaints}")
        return looked

    async def until_text(self, text: str, where: str = "body") -> None:
        """Waits until a text stands somewhere, and can be seen or scrolled to."""
        found = f"document.querySelector({json.dumps(where)})"
        await self.until(f"{found}?.checkVisibility() && {found}.textContent.includes({json.dumps(text)})")

    async def shoot(self, path: Path) -> None:
        """Takes a picture of what can be seen."""
        picture = await self.send("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(picture["data"]))

    # ------------------------------------------------------------------------------------------- hand and eye

    async def resize(self, width: int, height: int, *, phone: bool = False) -> None:
        """The size of the window; ``phone``: with a finger in place of a mouse."""
        await self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        await self.send("Emulation.setTouchEmulationEnabled", enabled=phone)

    async def prefer(self, **features: str) -> None:
        """What the user wants of pages: ``color_scheme="light"``."""
        wanted = [
            {"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in features.items()
        ]
        await self.send("Emulation.setEmulatedMedia", features=wanted)

    async def middle_of(self, selector: str) -> tuple[float, float]:
        """Where the middle of an element is, once it is in sight, uncovered, and stands still from frame to frame."""
        middle = f"""
            new Promise((resolve) => {{
                const found = document.querySelector({json.dumps(selector)});
                if (!found) return resolve(null);
                found.scrollIntoView({{ block: "nearest", behavior: "instant" }});
                const look = () => {{
                    const box = found.getBoundingClientRect();
                    return [box.x + box.width / 2, box.y + box.height / 2];
                }};
                const [x, y] = look();
                const later = () => {{
                    const top = document.elementFromPoint(x, y);
                    const free = found.contains(top) || top?.contains(found);
                    resolve(free && String(look()) === String([x, y]) ? [x, y] : null);
                }};
                requestAnimationFrame(() => requestAnimationFrame(later));
            }})"""
        x, y = await self.until(middle)
        return x, y

    async def click(self, selector: str) -> None:
        """With the mouse, in the middle of an element. Pressed beside it, for it was moved meanwhile: let go elsewhere, and again."""
        hit = f"document.querySelector({json.dumps(selector)})?.matches(':active, :has(:active)') ?? false"
        for _ in range(20):
            x, y = await self.middle_of(selector)
            await self.mouse("mousePressed", x, y)
            if await self.look(hit):
                return await self.mouse("mouseReleased", x, y)
            await self.mouse("mouseReleased", 0, 0)
        raise AssertionError(f"it does not stand still: {selector}")

    async def click_button(self, text: str, where: str = "body") -> None:
        """The button with this text."""
        find = f"[...document.querySelectorAll({json.dumps(where + ' button')})].find((b) => b.innerText.trim() === {json.dumps(text)} && !b.disabled)"
        await self.until(f"Boolean({find})")
        await self.look(f"{find}.setAttribute('data-wanted', '')")
        await self.click("[data-wanted]")
        await self.look("document.querySelector('[data-wanted]')?.removeAttribute('data-wanted')")

    async def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """One event of the mouse."""
        more = {"button": "left", "clickCount": 1, **more}
        await self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    async def touch(self, kind: str, *points: tuple[float, float]) -> None:
        """One event of fingers."""
        fingers = [{"x": x, "y": y, "id": at} for at, (x, y) in enumerate(points)]
        await self.send("Input.dispatchTouchEvent", type=kind, touchPoints=fingers)

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Presses a key."""
        text, code = KEYS.get(key, (key, ord(key.upper()[0])))
        about = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        await self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        await self.send("Input.dispatchKeyEvent", type="keyUp", **about)

    async def write(self, text: str) -> None:
        """Types into what has the focus, in place of what is selected there."""
        await self.send("Input.insertText", text=text)


@asynccontextmanager
async def open_tab(browser: Browser) -> AsyncIterator[Tab]:
    """A tab until the end of the block."""
    async with aiohttp.ClientSession() as http, http.ws_connect(browser.endpoint, max_msg_size=0) as socket:
        tab = Tab(socket)
        listening = asyncio.create_task(tab._listen())
        try:
            await tab.attach()
            yield tab
        finally:
            await socket.close()
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

"""What every test runs under: its own user folders, one event loop, and no surprise that passes unseen.

A test fails on what nobody expected: warnings (pyproject.toml), Qt's messages (pytest-qt), log lines at WARNING and
above, and threads left behind.
"""

import asyncio
import gc
import inspect
import logging
import os
import re
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis.database import DirectoryBasedExampleDatabase

ROOT = Path(__file__).resolve().parent.parent
ASYNC_TEST_TIMEOUT_S = 30.0
THREAD_GRACE_S = 3.0

# Before Qt is loaded: no windows on the developer's screen, and one binding whatever else is installed.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ["QT_API"] = "pyside6"
os.environ["QT_PREFERRED_BINDING"] = "PySide6"
for _name in ("QT_STYLE_OVERRIDE", "QT_QPA_PLATFORMTHEME", "QT_SCALE_FACTOR"):
    os.environ.pop(_name, None)

hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis.settings.register_profile(
    "dev", deadline=None, database=DirectoryBasedExampleDatabase(ROOT / ".cache" / "hypothesis")
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--api-examples",
        type=int,
        default=300,
        help="How many requests tests/e2e/test_schemathesis.py makes up, about; from 1000 on it is thorough.",
    )
    parser.addoption(
        "--all-crashes",
        action="store_true",
        help="Have tests/integration/engine/test_crash_matrix.py kill at every occurrence of every failpoint.",
    )
    parser.addoption(
        "--soak-rounds",
        type=int,
        default=4,
        help="How many times tests/integration/engine/test_retention.py makes and deletes 300 runs, and runs of all kinds; try 1000.",
    )


# ------------------------------------------------------------------------------------------------ user folders


@pytest.fixture(scope="session", autouse=True)
def runtime_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where sockets go. Qt wants it private and warns when it is missing."""
    folder = tmp_path_factory.mktemp("runtime")
    folder.chmod(0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    return folder


@pytest.fixture(autouse=True)
def user_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own, empty, which is also the current folder; no setting comes from outside."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith("WFE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    for name, folder in (
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_CACHE_HOME", ".cache"),
    ):
        monkeypatch.setenv(name, str(home / folder))
    monkeypatch.chdir(home)
    return home


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The checkout: where main.py is."""
    return ROOT


# ------------------------------------------------------------------------------------------- threads left behind


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Fails a test that ends with a thread more than it began with.

    Qt's pool threads are not seen here: Python knows them only while they run Python code.
    """
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + THREAD_GRACE_S
    while left := [
        thread
        for thread in threading.enumerate()
        if thread not in before and not isinstance(thread, threading._DummyThread)
    ]:
        if time.monotonic() > deadline:
            pytest.fail("threads left behind: " + ", ".join(thread.name for thread in left), pytrace=False)
        left[0].join(0.02)


# ------------------------------------------------------------------------------------------------- the log


class ExpectedLog(logging.Handler):
    """Collects log records at WARNING and above, and tells which of them the test had announced."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.records: list[logging.LogRecord] = []
        self._patterns: list[re.Pattern[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def __call__(self, pattern: str) -> None:
        """Says that at least one record whose message matches ``pattern`` (re.search) belongs to this test."""
        self._patterns.append(re.compile(pattern))

    @property
    def messages(self) -> list[str]:
        """The messages so far, oldest first."""
        return [record.getMessage() for record in self.records]

    def check(self) -> None:
        surprises = [
            f"{record.levelname} {record.name}: {record.getMessage()}"
            for record in self.records
            if not any(pattern.search(record.getMessage()) for pattern in self._patterns)
        ]
        missing = [
            pattern.pattern
            for pattern in self._patterns
            if not any(pattern.search(message) for message in self.messages)
        ]
        if surprises:
            pytest.fail(
                "logged, and not expected (fixture expect_log):\n" + "\n".join(surprises), pytrace=False
            )
        if missing:
            pytest.fail("expected in the log, and not there: " + ", ".join(missing), pytrace=False)


@pytest.fixture(autouse=True)
def expect_log() -> Iterator[ExpectedLog]:
    """``expect_log(r"could not read .*")``: a line at WARNING or above that this test must cause.

    Any other such line fails the test.
    """
    root = logging.getLogger()
    level = root.level
    handler = ExpectedLog()
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)
    handler.check()


# --------------------------------------------------------------------------------------------- async tests, Qt


def _runs_on_plain_asyncio(item: pytest.Item) -> bool:
    return item.path.is_relative_to(ROOT / "tests" / "unit") or "plain_loop" in item.keywords


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if inspect.iscoroutinefunction(getattr(item, "obj", None)) and "loop" not in item.fixturenames:
            item.fixturenames.insert(0, "loop")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a coroutine test on the loop of its ``loop`` fixture."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    test = asyncio.wait_for(pyfuncitem.obj(**arguments), ASYNC_TEST_TIMEOUT_S)
    pyfuncitem.funcargs["loop"].run_until_complete(test)
    return True


@pytest.fixture
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    """The event loop of an async test: Qt's, or a plain one in tests/unit and under the marker ``plain_loop``.

    Fixtures take it to start and stop what needs a loop: ``loop.run_until_complete(server.close())``.
    """
    is_plain = _runs_on_plain_asyncio(request.node)
    if is_plain:
        loop: asyncio.AbstractEventLoop = asyncio.new_event_loop()
    else:
        import qasync
        import shiboken6

        app = request.getfixturevalue("qapp")
        app.setQuitOnLastWindowClosed(False)
        loop = qasync.QEventLoop(app)
    asyncio.set_event_loop(loop)
    yield loop
    left = [task for task in asyncio.all_tasks(loop) if not task.done()]
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)
    if not is_plain:
        shiboken6.delete(loop._timer)  # aiohttp keeps the loops of its newest thousand applications


@pytest.fixture(scope="session")
def qapp_args() -> list[str]:
    return ["wfe"]


@pytest.fixture
def collected_on_the_gui_thread() -> Iterator[None]:
    """Keeps the cyclic collector off other threads: it would finalise graphics items there (undefined in Qt)."""
    gc.disable()
    yield
    gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Lets go of what a test of Qt has left, here on Qt's thread: a worker of a later test must not be the one that finds
    it, for it would delete widgets and running timers under Qt's feet. Until the test is over, pytest holds its fixtures.
    """
    done = yield
    fixtures = getattr(item, "fixturenames", ())
    on_qt_loop = "loop" in fixtures and not _runs_on_plain_asyncio(item)
    if on_qt_loop or "collected_on_the_gui_thread" in fixtures:
        from PySide6.QtCore import QCoreApplication, QEvent

        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        gc.collect()
    return done


def pytest_make_parametrize_id(val: Any) -> str | None:
    return val.name if isinstance(val, Path) else None

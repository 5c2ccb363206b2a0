"""The program's log: one line an event that can be relied on, whatever was logged."""

import json
import logging
import sys
import threading

import pytest

from engine.execution.secrets import keep_secret
from wfe_desktop import logs
from wfe_desktop.cli import main
from wfe_desktop.logs import LogFile, log_file, logging_to

log = logging.getLogger("wfe_desktop.test")
HOSTILE = "a\r\n2026-01-01 CRITICAL forged\x1b[2J\u2028\x85\x00"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "wfe.log"


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]


def test_an_event_is_one_line_with_its_parts(path):
    with logging_to("info", path):
        log.info("serving on %s", "http://x", extra={"reference": "abc"})
    (line,) = lines(path)
    assert line.keys() == {"time", "level", "logger", "message", "pid", "reference"}
    assert (line["level"], line["logger"], line["message"]) == (
        "info",
        "wfe_desktop.test",
        "serving on http://x",
    )
    assert line["reference"] == "abc"
    assert line["time"].endswith("+00:00")


def test_nothing_that_is_logged_forges_a_line_or_steers_a_terminal(path, capsys, expect_log):
    expect_log("forged")
    with logging_to("info", path):
        log.warning("got %s", HOSTILE)
    (line,) = lines(path)
    assert line["message"] == f"got {HOSTILE}"
    text = capsys.readouterr().err
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    assert "\\x1b[2J" in text


@pytest.mark.parametrize("formatter", [logs.JsonFormatter(), logs.PlainFormatter("%(message)s")])
def test_half_a_surrogate_and_arguments_that_do_not_fit_are_written_all_the_same(formatter):
    assert formatter.format(logging.makeLogRecord({"msg": "\ud800"})).isascii()
    assert "two %d" in formatter.format(logging.makeLogRecord({"msg": "two %d", "args": ("x",)}))


def test_a_traceback_is_in_the_line_of_its_event_and_indented_on_stderr(path, capsys, expect_log):
    expect_log("broken")
    with logging_to("info", path):
        try:
            raise ValueError("first\nsecond 2026-01-01 CRITICAL forged")
        except ValueError:
            log.exception("broken")
    (line,) = lines(path)
    assert "Traceback" in line["error"]
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.endswith("broken")
    assert all(each.startswith("    ") for each in rest)


def test_p12_the_value_of_a_secret_is_in_no_line(path, capsys, expect_log):
    keep_secret("hunter2-hunter2")
    expect_log("hunter2")  # what a handler that is not ours sees
    with logging_to("info", path):
        try:
            raise ValueError("hunter2-hunter2")
        except ValueError:
            log.exception("with %s", "hunter2-hunter2", extra={"more": "hunter2-hunter2"})
    (line,) = lines(path)
    assert line["message"] == "with •••"
    assert "hunter2" not in path.read_text() + capsys.readouterr().err


@pytest.mark.parametrize(
    ("level", "wanted"), [("debug", "diwe"), ("info", "iwe"), ("warning", "we"), ("error", "e")]
)
def test_the_file_has_what_is_as_grave_as_was_asked_for(path, level, wanted, expect_log):
    for each in ("w", "e"):
        expect_log(f"^{each}$") if each in wanted else None
    with logging_to(level, path):
        for each, number in zip("diwe", (10, 20, 30, 40), strict=True):
            log.log(number, each)
    assert "".join(line["message"] for line in lines(path)) == wanted
    assert logging.getLogger("wfe_desktop").level == logging.NOTSET


def test_libraries_say_warnings_only_so_that_they_do_not_fill_the_logs_of_runs(path):
    with logging_to("debug", path):
        logging.getLogger("some.library").info("chatter")
    assert lines(path) == []


def test_the_file_is_for_its_user_only(path):
    with logging_to("info", path):
        log.info("x")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_files_are_bounded(path, monkeypatch):
    monkeypatch.setattr(logs, "FILE_BYTES", 2_000)
    with logging_to("info", path):
        for number in range(200):
            log.info("line %d of many", number)
    files = sorted(path.parent.iterdir())
    assert [file.name for file in files] == ["wfe.log", "wfe.log.1", "wfe.log.2", "wfe.log.3"]
    assert all(file.stat().st_size <= 2_000 for file in files)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    assert lines(path)[-1]["message"] == "line 199 of many"


def test_a_file_that_another_program_moved_aside_is_left_to_it(path):
    path.parent.mkdir()
    ours, other = LogFile(path), LogFile(path)
    for handler in (ours, other):
        handler.emit(logging.makeLogRecord({"msg": "first"}))
    other.backupCount = 1
    other.doRollover()
    ours.emit(logging.makeLogRecord({"msg": "second"}))
    assert path.read_text().split() == ["second"]
    ours.close()
    other.close()


def test_a_place_that_cannot_be_written_is_said_and_does_not_stop_the_program(tmp_path, capsys, expect_log):
    (tmp_path / "file").write_text("")
    expect_log("still")
    with logging_to("info", tmp_path / "file" / "wfe.log"):
        log.warning("still here")
    said = capsys.readouterr().err
    assert "There is no log file" in said
    assert "still here" in said


def test_what_nobody_catches_is_logged(path, expect_log, capsys):
    expect_log("not caught")
    with logging_to("info", path):
        thread = threading.Thread(target=lambda: 1 / 0, name="astray")
        thread.start()
        thread.join()
        sys.excepthook(ValueError, ValueError("in a slot"), None)
    messages = lines(path)
    assert "astray" in messages[0]["message"]
    assert "ZeroDivisionError" in messages[0]["error"]
    assert "in a slot" in messages[1]["error"]


def test_lists_and_checks_write_no_log(user_home, capsys):
    assert main(["tools"]) == 0
    assert not log_file().exists()
    assert user_home in log_file().parents

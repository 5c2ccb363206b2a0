"""What a tool prints becomes lines, no more than are wanted, and the streams stay what they are."""

import contextlib
import io
import logging
import sys
import threading

import pytest

from engine.execution.attempts import output
from engine.execution.attempts.output import MAX_CHARACTERS, Capture, StepLog, clean_line


@pytest.fixture
def lines():
    return []


@pytest.fixture
def log(lines):
    return StepLog(lambda _at, level, line: lines.append((level, line)))


@pytest.fixture
def installed():
    output.install()
    yield
    output.uninstall()


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[1;31mred\x1b[0m and \x1b]0;title\x07done", "red and done"),
        ("10 %\r50 %\r100 %", "100 %"),
        ("windows\r", "windows"),
        ("a\tb\x00c\x07", "a\tbc"),
        ("half \ud83d of a pair", "half ? of a pair"),
        ("trailing   ✓  ", "trailing   ✓"),
    ],
)
def test_a_line_is_kept_as_it_would_look(raw, shown):
    assert clean_line(raw) == shown


def test_pieces_become_lines_and_streams_do_not_mix(log, lines):
    for stream, text in (
        ("stdout", "on"),
        ("stderr", "bad\n"),
        ("stdout", "e\ntwo\n\nth"),
        ("stdout", "ree"),
    ):
        log.write(stream, text)
    assert lines == [("warning", "bad"), ("info", "one"), ("info", "two")]
    log.close()
    assert lines[3:] == [("info", "three")]
    log.write("stdout", "late\n")
    log.record("error", "late")
    log.close()
    assert len(lines) == 4


def test_a_flood_is_cut_and_counted(log, lines):
    log.write("stdout", "x\n" * 1_500)
    log.write("stdout", "y\n" * 10 + "no end")
    log.write("stdout", " yet")
    log.close()
    assert len(lines) == 1_001
    assert lines[-1] == ("warning", "... 511 more lines")


def test_long_lines_are_cut_too(log, lines):
    log.write("stdout", "a" * 60_000 + "\n" + "b" * 60_000 + "\nc\n")
    log.close()
    assert [len(line) for _, line in lines[:2]] == [60_000, MAX_CHARACTERS - 60_000 + 3]
    assert lines[2:] == [("warning", "... 1 more line")]


def test_a_progress_bar_without_line_ends_takes_no_memory(log, lines):
    for number in range(20_000):
        log.write("stdout", f"\r{number} of 20000 " + "." * 50)
    assert sum(map(len, log._parts["stdout"])) < 1_000
    log.close()
    assert lines == [("info", "19999 of 20000 " + "." * 50)]


def test_only_the_step_that_prints_gets_its_lines(installed, capsys):
    got = {name: [] for name in "ab"}
    together = threading.Barrier(2)

    def step(name):
        with Capture(StepLog(lambda _at, _level, line: got[name].append(line))):
            together.wait(5)
            for number in range(100):
                print(name, number)

    threads = [threading.Thread(target=step, args=(name,)) for name in got]
    for thread in threads:
        thread.start()
    print("of nobody")
    for thread in threads:
        thread.join()
    assert got == {name: [f"{name} {number}" for number in range(100)] for name in "ab"}
    shown = capsys.readouterr().out
    assert "of nobody" in shown  # everything still reaches the real stream
    assert "a 99" in shown


def test_a_log_record_that_also_goes_to_stderr_is_kept_once(installed, log, lines, expect_log):
    expect_log("careful")
    handler = logging.StreamHandler()  # writes to the stream that stands in for stderr
    logger = logging.getLogger("test.output")
    logger.addHandler(handler)
    with Capture(log):
        logger.warning("careful %s", "now")
        try:
            raise ValueError("why")
        except ValueError:
            logger.exception("careful again")
    logger.removeHandler(handler)
    assert lines[:2] == [("warning", "careful now"), ("error", "careful again")]
    assert lines[2] == ("error", "Traceback (most recent call last):")
    assert lines[-1] == ("error", "ValueError: why")


def test_the_streams_are_put_back(capsys):
    before = sys.stdout, sys.stderr, logging.root.handlers[:]
    output.install()
    output.install()
    assert sys.stdout is not before[0]
    assert sys.stdout.encoding == before[0].encoding  # all else is the real stream's
    output.uninstall()
    assert sys.stdout is not before[0]
    output.uninstall()
    assert (sys.stdout, sys.stderr, logging.root.handlers) == before


def test_streams_that_were_exchanged_meanwhile_are_stood_in_for_again(installed, log, lines):
    with contextlib.redirect_stdout(io.StringIO()) as other:
        with Capture(log):
            print("here")
        assert other.getvalue() == "here\n"
    assert lines == [("info", "here")]


def test_a_program_without_streams_can_print(monkeypatch, log, lines):
    monkeypatch.setattr(sys, "stdout", None)
    output.install()
    with Capture(log):
        print("into the void")
        sys.stdout.flush()
    output.uninstall()
    assert sys.stdout is None
    assert lines == [("info", "into the void")]

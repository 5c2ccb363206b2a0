"""The command line: what was asked for, handed to the part that does it.

Nothing here imports Qt or the server before it is known to be needed, so that ``wfe --help`` is quick and a
headless start loads no widgets.
"""

from __future__ import annotations

import argparse
import builtins
import logging
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

import pydantic

from engine.errors import WorkflowError
from wfe_desktop.document.files import WorkflowFileError
from wfe_desktop.logs import LEVELS, log_file, log_level_of_environment, logging_to
from wfe_desktop.options import StartOptions
from wfe_desktop.terminal import complain, notice

EXIT_NOT_STARTED: Final = 1
EXIT_USAGE: Final = 2
SERVER: Final = "http://127.0.0.1:8000"

log = logging.getLogger(__name__)

Command = Callable[[argparse.Namespace, StartOptions], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit status."""
    parsed = make_parser().parse_args(arguments)
    options = options_of(parsed)
    with logging_to(
        options.log_level or log_level_of_environment(), log_file() if parsed.is_logged else None
    ):
        try:
            return _obey(parsed, options)
        except Exception:
            log.critical("the program broke off", exc_info=True)
            return EXIT_NOT_STARTED


def _obey(parsed: argparse.Namespace, options: StartOptions) -> int:
    try:
        _check_qt()
        command: Command = parsed.command
        return command(parsed, options)
    except BrokenPipeError:  # whoever read the output has had enough, as in `wfe runs | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NOT_STARTED
    except (WorkflowError, WorkflowFileError, pydantic.ValidationError) as error:
        _explain(error)
        starting = parsed.command is _start and isinstance(error, WorkflowError)
        return EXIT_NOT_STARTED if starting else EXIT_USAGE


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="wfe",
        description="Draw a workflow of Python functions, run it, watch it, and drive it over HTTP. "
        "Without a command: the window, and the server beside it.",
    )
    parser.set_defaults(command=_start, is_logged=True)
    parser.add_argument("--headless", action="store_true", help="engine and server only, no window")
    parser.add_argument("--host", help="the address to listen at (default 127.0.0.1)")
    parser.add_argument(
        "--port",
        type=_port,
        help="0: any free one; a taken port is an error (default: 8000, or the next free one)",
    )
    parser.add_argument("--open", type=Path, metavar="FILE", help="open a workflow file in the window")
    _add_common(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    run = _add_command(commands, "run", _run, "run one workflow to its end and print its final state")
    run.add_argument("file", type=Path, metavar="FILE", help="a workflow file")
    run.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="KEY=JSON",
        help="a key of the initial state, or @FILE: a JSON object with several; may be given again",
    )
    validate = _add_command(commands, "validate", _validate, "list what is wrong with a workflow file")
    validate.add_argument("file", type=Path, metavar="FILE", help="a workflow file")
    validate.add_argument("--json", action="store_true", help="print JSON")
    export = _add_command(commands, "export", _export, "draw a workflow file as a picture")
    export.add_argument("file", type=Path, metavar="FILE", help="a workflow file")
    export.add_argument("--svg", type=Path, metavar="PICTURE", help="write an SVG file")
    export.add_argument("--png", type=Path, metavar="PICTURE", help="write a PNG file")
    export.add_argument(
        "--theme", choices=("dark", "light"), default="dark", help="its colours (default dark)"
    )
    for name, command, purpose in (
        ("tools", _tools, "list the tools"),
        ("graphs", _graphs, "list the stored graphs"),
        ("runs", _runs, "list the latest runs"),
    ):
        listing = _add_command(commands, name, command, purpose)
        listing.add_argument("--json", action="store_true", help="print JSON")
        if name == "runs":
            listing.add_argument("--limit", type=_count, default=20, help="how many (default 20)")
    clear = _add_command(
        commands, "clear-cache", _clear_cache, "forget the results that are kept for use again"
    )
    clear.add_argument("--tool", metavar="NAME", help="only those of this tool")
    _add_remote(commands)
    _add_upkeep(commands)
    return parser


def _add_upkeep(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    backup = _add_command(commands, "backup", _backup, "copy the database, also while a program runs on it")
    backup.add_argument("copy", type=Path, metavar="FILE", help="where to put the copy")
    prune = _add_command(commands, "prune", _prune, "delete old runs that have ended")
    prune.add_argument("--days", type=_amount, help="those that ended more than so many days ago")
    prune.add_argument(
        "--runs",
        type=lambda text: int(_amount(text)),
        help="all but the newest so many; 0: none for their number",
    )
    prune.add_argument(
        "--run", action="append", default=[], metavar="ID", help="this one; may be given again"
    )
    _add_command(commands, "compact", _compact, "make the database's file as small as what is in it")


def options_of(parsed: argparse.Namespace) -> StartOptions:
    """The parsed arguments in the form that the window and the server take."""
    return StartOptions(
        host=parsed.host,
        port=parsed.port,
        database=parsed.database,
        tools=tuple(parsed.tools or ()),
        resources=tuple(parsed.resource or ()),
        open_file=parsed.open,
        log_level=parsed.log_level,
    )


def has_display() -> bool:
    """Whether a window can be shown."""
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def _add_common(parser: argparse.ArgumentParser, *, below: bool = False) -> None:
    """Options that may stand before and after a command; there, what is left out leaves the earlier one alone."""
    default = argparse.SUPPRESS if below else None
    parser.add_argument(
        "--database",
        metavar="URL",
        default=default,
        help="a database URL or the path of a file (default: a file in your data folder)",
    )
    parser.add_argument(
        "--tools",
        type=Path,
        action="append",
        metavar="DIR",
        default=default,
        help="a folder of tool files (.py files whose functions carry @tool); may be given again",
    )
    parser.add_argument(
        "--log-level",
        choices=LEVELS,
        default=default,
        help="what the log file has: this and what is graver (default: info)",
    )
    parser.add_argument(
        "--resource",
        action="append",
        metavar="NAME=NUMBER",
        default=default,
        help="how many tokens of a resource there are for steps to take, such as gpu=1; may be given again",
    )


def _add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, command: Command, purpose: str
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=purpose, description=f"{purpose[:1].upper()}{purpose[1:]}.")
    _add_common(parser, below=True)
    parser.set_defaults(command=command, is_logged=command is _run)
    return parser


def _add_remote(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands for a program that is running."""
    events = _add_command(commands, "events", _events, "print what has happened in a program that is running")
    events.add_argument("run", nargs="?", metavar="RUN", help="the id of a run (default: all runs)")
    events.add_argument(
        "--follow", action="store_true", help="go on with what happens, up to the end of the run"
    )
    events.add_argument("--progress", action="store_true", help="with --follow, also how far steps are")
    events.add_argument("--since", type=_seq, metavar="SEQ", help="only events after this number")
    events.add_argument("--json", action="store_true", help="print a line of JSON for each")
    cancel = _add_command(commands, "cancel", _cancel, "cancel runs of a program that is running")
    cancel.add_argument("runs", nargs="+", metavar="RUN", help="the id of a run")
    for parser in (events, cancel):
        parser.add_argument("--server", default=SERVER, metavar="URL", help=f"its address (default {SERVER})")


def _port(text: str) -> int:
    if not (text.isdecimal() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text} is not a port: a number from 0 to 65535")
    return int(text)


def _seq(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a number of an event")
    return int(text)


def _amount(text: str) -> float:
    amount = float(text)
    if not 0 <= amount <= 1e9:
        raise ValueError
    return amount


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 1_000):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1 to 1000")
    return int(text)


# ------------------------------------------------------------------------------------------------------ commands


def _start(parsed: argparse.Namespace, options: StartOptions) -> int:
    log.info("started: version %s, Python %s, %s", _version(), sys.version.split()[0], sys.platform)
    load_qt()
    if not parsed.headless and has_display():
        from wfe_desktop.bootstrap import run_window

        return run_window(options)
    if not parsed.headless:
        notice("No display was found: starting headless, with the engine and the server only.")
    if options.open_file is not None:
        notice(
            f"{options.open_file} is not opened: that takes the window. (wfe run FILE runs a workflow here.)"
        )
    from wfe_desktop.headless import serve

    return serve(options)


def _run(parsed: argparse.Namespace, options: StartOptions) -> int:
    from wfe_desktop.run_file import run_file

    return run_file(parsed.file, parsed.input, options)


def _validate(parsed: argparse.Namespace, options: StartOptions) -> int:
    from wfe_desktop.listings import validate_file

    return validate_file(parsed.file, options, as_json=parsed.json)


def _export(parsed: argparse.Namespace, options: StartOptions) -> int:
    wanted = [(name, path) for name in ("svg", "png") if (path := getattr(parsed, name)) is not None]
    if not wanted:
        raise WorkflowError("Say what to write: --svg PICTURE or --png PICTURE.")
    for name, path in wanted:
        if path.suffix.lower() != f".{name}":
            raise WorkflowError(f"--{name} {path}: the name must end in .{name}.")
    from wfe_desktop.export_file import export_file

    return export_file(parsed.file, [path for _, path in wanted], parsed.theme, options)


def _tools(parsed: argparse.Namespace, options: StartOptions) -> int:
    from wfe_desktop.listings import list_tools

    return list_tools(options, as_json=parsed.json)


def _graphs(parsed: argparse.Namespace, options: StartOptions) -> int:
    from wfe_desktop.listings import list_graphs

    return list_graphs(options, as_json=parsed.json)


def _backup(parsed: argparse.Namespace, options: StartOptions) -> int:
    from wfe_desktop.upkeep import back_up

    return back_up(options, parsed.copy)


def _prune(parsed: argparse.Namespace, options: StartOptions) -> int:
    from wfe_desktop.upkeep import prune

    return prune(options, parsed.days, parsed.runs, parsed.run)


def _compact(_parsed: argparse.Namespace, options: StartOptions) -> int:
    from wfe_desktop.upkeep import compact

    return compact(options)


def _runs(parsed: argparse.Namespace, options: StartOptions) -> int:
    from wfe_desktop.listings import list_runs

    return list_runs(options, limit=parsed.limit, as_json=parsed.json)


def _clear_cache(parsed: argparse.Namespace, options: StartOptions) -> int:
    from wfe_desktop.listings import clear_cache

    return clear_cache(options, parsed.tool)


def _events(parsed: argparse.Namespace, _options: StartOptions) -> int:
    from wfe_desktop.remote import show_events

    return show_events(
        parsed.server,
        parsed.run,
        parsed.since,
        follow=parsed.follow,
        progress=parsed.progress,
        as_json=parsed.json,
    )


def _cancel(parsed: argparse.Namespace, _options: StartOptions) -> int:
    from wfe_desktop.remote import cancel_runs

    return cancel_runs(parsed.server, parsed.runs)


# -------------------------------------------------------------------------------------------------------- errors


def _explain(error: WorkflowError | WorkflowFileError | pydantic.ValidationError) -> None:
    """What is wrong, for the user."""
    if isinstance(error, pydantic.ValidationError):
        for fault in error.errors(include_url=False, include_input=False, include_context=False):
            field, *inside = (str(part) for part in fault["loc"])
            setting = ".".join([field, *inside])
            complain(f"setting {setting} (in the environment: WFE_{field.upper()}): {fault['msg']}")
        return
    for line in str(error).splitlines():
        complain(line)
    if isinstance(error, WorkflowFileError):
        for problem in error.problems:
            notice(f"  {problem.message}")


def _version() -> str:
    try:
        return metadata.version("agent-workflow-engine")
    except metadata.PackageNotFoundError:
        return "0"


def _check_qt() -> None:
    """PySide6 6.12 drops references to None on Python 3.11 and takes the process down after a while."""
    try:
        version = metadata.version("PySide6_Essentials")
    except metadata.PackageNotFoundError:
        return
    major, minor = (int(part) for part in version.split(".")[:2])
    if sys.version_info < (3, 12) and (major, minor) >= (6, 12):
        raise WorkflowError(
            f"PySide6 {version} crashes on Python 3.11; install PySide6_Essentials==6.11.3, or use Python 3.12"
        )


def load_qt() -> None:
    """Loads Qt for Python, and takes away the hook that it puts around ``import``.

    The hook is for ``from __feature__ import ...``, which nothing here has. For this it reads the source of each module
    that is loaded after Qt, and keeps the text: 30 MB, and a quarter of a second, in a window.
    """
    plain = builtins.__import__
    import PySide6.QtCore  # noqa: F401

    builtins.__import__ = plain

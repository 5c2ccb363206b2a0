"""What holds for the whole checkout: how it is built, how it imports, how long its parts may be."""

import ast
import importlib.resources
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_MODULE_LINES = 600
MAX_FUNCTION_LINES = 60
MAX_CLASS_LINES = 400

SOURCES = sorted(path for package in ("engine", "wfe_desktop") for path in (ROOT / package).rglob("*.py"))


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked() -> dict[str, str]:
    """Name and version of every line of the lock file."""
    return dict(
        re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    )


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -------------------------------------------------------------------------------------------------- packaging


def test_every_dependency_is_in_the_lock_file_with_a_version_that_suits():
    wanted = project()["dependencies"] + project()["optional-dependencies"]["dev"]
    names = {canonical(re.match(r"[A-Za-z0-9_.-]+", line).group()) for line in wanted}
    assert names <= locked().keys()
    for name, version in re.findall(r"([A-Za-z0-9_.-]+)==([^\s;]+)", "\n".join(wanted)):
        assert locked()[canonical(name)] == version


def test_the_lock_file_names_no_host_and_has_a_hash_for_every_package():
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    packages = re.split(r"\n(?=\S)", text.strip())
    assert len(packages) == len(locked())
    assert all("--hash=sha256:" in package for package in packages)


def test_qt_is_pinned_below_the_version_that_loses_references_to_none_on_python_3_11():
    assert "PySide6_Essentials==6.11.3" in project()["dependencies"]


def test_a_second_setup_does_nothing_and_is_quick():
    stamp = ROOT / ".venv" / ".installed"
    sources = [ROOT / "pyproject.toml", ROOT / "requirements.lock"]
    if not stamp.exists() or any(path.stat().st_mtime > stamp.stat().st_mtime for path in sources):
        pytest.skip("not set up with make, or changed since")
    before = stamp.stat().st_mtime_ns
    done = subprocess.run(
        [ROOT / "scripts" / "setup.sh"], capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr, stamp.stat().st_mtime_ns) == ("", before)


def test_without_root_setup_prints_the_line_that_installs_what_is_missing(tmp_path):
    commands = {
        "dpkg-query": "echo 'installed libgl1'; echo 'installed libglib2.0-0t64'",
        "id": "echo 1000",
        "sudo": "exit 1",
    }
    for name, body in commands.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [ROOT / "scripts" / "setup.sh"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert done.returncode == 1
    line = next(line.strip() for line in done.stderr.splitlines() if "sudo apt-get install" in line)
    asked = line.removeprefix("sudo apt-get install --no-install-recommends ").split()
    assert {"libegl1", "libxcb-cursor0", "libxkbcommon0"} <= set(asked)
    assert not {"libgl1", "libglib2.0-0", "xvfb"} & set(asked)


def test_a_python_that_is_too_old_is_refused_by_name(tmp_path):
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for name in ("scripts/setup.sh", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    done = subprocess.run(
        [tmp_path / "scripts" / "setup.sh"],
        env=os.environ | {"PYTHON": str(old)},
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert done.returncode == 1
    assert f"PYTHON={old} is not a Python 3.11 or newer." in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_ci_runs_make_test_and_nothing_else():
    lines = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["set -e", 'cd "$(dirname "$0")/.."', "exec make test"]
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize("script", sorted((ROOT / "scripts").glob("*.sh")))
def test_the_shell_scripts_are_plain_posix_shell(script):
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0
    assert os.access(script, os.X_OK)


def test_the_readme_names_only_make_targets_that_exist():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`?make ([a-z]+)", (ROOT / "README.md").read_text()))
    assert {"run", "test"} <= named <= targets


PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_the_pages_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    broken = [
        target for target in targets if "://" not in target and not (page.parent / target).resolve().exists()
    ]
    assert broken == []


# ------------------------------------------------------------------------------------------------- resources


@pytest.mark.parametrize(
    ("name", "magic"),
    [
        ("Inter-Regular.otf", b"OTTO"),
        ("Inter-Medium.otf", b"OTTO"),
        ("Inter-SemiBold.otf", b"OTTO"),
        ("Inter-Bold.otf", b"OTTO"),
        ("JetBrainsMono-Regular.ttf", b"\0\1\0\0"),
        ("JetBrainsMono-Medium.ttf", b"\0\1\0\0"),
    ],
)
def test_the_fonts_are_carried_with_their_licence(name, magic):
    fonts = importlib.resources.files("resources") / "fonts"
    assert (fonts / name).read_bytes()[:4] == magic
    licence = (fonts / f"OFL-{name.split('-')[0]}.txt").read_text()
    assert "SIL OPEN FONT LICENSE" in licence
    assert "Copyright" in licence.splitlines()[0]


# --------------------------------------------------------------------------------------------------- imports


def test_importing_the_engine_loads_no_widgets_no_server_and_no_canvas_library():
    heavy = ("PySide6.QtGui", "PySide6.QtWidgets", "NodeGraphQt", "aiohttp", "qasync")
    loaded = run_python(f"import sys, engine; print([name for name in {heavy!r} if name in sys.modules])")
    assert loaded == "[]"


def test_importing_the_server_loads_no_widgets_and_no_canvas_library():
    heavy = ("PySide6.QtGui", "PySide6.QtWidgets", "NodeGraphQt", "qasync")
    loaded = run_python(
        f"import sys, wfe_desktop.server.app; print([name for name in {heavy!r} if name in sys.modules])"
    )
    assert loaded == "[]"


def test_importing_the_client_loads_neither_the_engine_nor_qt_nor_the_server():
    others = run_python(
        "import sys, wfe_desktop.client; "
        "heavy = ('engine', 'PySide6', 'shiboken6', 'NodeGraphQt', 'Qt', 'qasync', 'sqlalchemy', 'alembic', 'resources'); "
        "print([name for name in sys.modules if name.split('.')[0] in heavy or name.startswith('aiohttp.web') "
        "or name.startswith('wfe_desktop.') and not name.startswith('wfe_desktop.client')])"
    )
    assert others == "[]"


def test_an_engine_that_is_not_open_yet_has_not_loaded_qt():
    loaded = run_python("import sys, engine.execution.services; print('PySide6' in sys.modules)")
    assert loaded == "False"


def test_an_open_engine_has_loaded_nothing_that_only_some_tools_or_databases_need(tmp_path):
    others = run_python(
        "import sys\n"
        "from engine import AppConfig, open_services\n"
        f"services = open_services(AppConfig(database_url='sqlite:///{tmp_path}/a.db'))\n"
        "services.close()\n"
        "heavy = ('regex', 'jsonschema', 'alembic', 'keyring', 'sqlalchemy.orm', 'sqlalchemy.dialects.postgresql')\n"
        "print('text.extract' in services.registry.list_tools(), [name for name in heavy if name in sys.modules])"
    )
    assert others == "True []"


def test_qt_is_loaded_last_and_so_keeps_no_source_of_what_else_the_engine_loads(tmp_path):
    kept = run_python(
        "import linecache, sys\n"
        "from engine import AppConfig, open_services\n"
        f"open_services(AppConfig(database_url='sqlite:///{tmp_path}/a.db')).close()\n"
        "from engine.execution import engine\n"
        "from engine.execution.attempts import qt_pool\n"
        "kept = {path.split('site-packages')[-1] for path in linecache.cache}\n"
        "print('PySide6.QtCore' in sys.modules, [path for path in kept if 'sqlalchemy/' in path or 'pydantic/' in path])"
    )
    assert kept == "True []"


def test_a_program_that_loads_qt_imports_as_before_and_keeps_no_source_of_what_it_loads():
    kept = run_python(
        "import builtins, linecache\n"
        "from wfe_desktop.cli import load_qt\n"
        "plain = builtins.__import__\n"
        "load_qt()\n"
        "before = set(linecache.cache)\n"
        "import sqlalchemy, wfe_desktop.theme, PySide6.QtWidgets\n"
        "new = set(linecache.cache) - before\n"
        "print(builtins.__import__ is plain, [path for path in new if path.endswith('.py')])"
    )
    assert kept == "True []"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_the_threads_of_a_program_share_one_heap(tmp_path):
    heaps = run_python(
        "import threading\n"
        "from ctypes import CDLL, c_char_p, c_int, c_void_p, create_string_buffer\n"
        "from engine import AppConfig, open_services\n"
        f"services = open_services(AppConfig(database_url='sqlite:///{tmp_path}/a.db'))\n"
        "threads = [threading.Thread(target=lambda: bytes(100_000)) for _ in range(8)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "libc = CDLL(None)\n"
        "libc.fopen.restype, libc.malloc_info.argtypes = c_void_p, (c_int, c_void_p)\n"
        "libc.fclose.argtypes = (c_void_p,)\n"
        f"file = libc.fopen(b'{tmp_path}/heaps.xml', b'w')\n"
        "libc.malloc_info(0, file)\n"
        "libc.fclose(file)\n"
        "services.close()\n"
        f"print(open('{tmp_path}/heaps.xml').read().count('<heap nr='))"
    )
    assert heaps == "1"


# ------------------------------------------------------------------------------------------------------ size


def too_long(path: Path) -> Iterator[str]:
    text = path.read_text()
    where = path.relative_to(ROOT)
    if (lines := text.count("\n")) > MAX_MODULE_LINES:
        yield f"{where}: {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            limit = MAX_CLASS_LINES if isinstance(node, ast.ClassDef) else MAX_FUNCTION_LINES
            if (lines := node.end_lineno - node.lineno + 1) > limit:
                yield f"{where}:{node.lineno}: {node.name} has {lines} lines"


def test_no_module_class_or_function_is_too_long():
    assert [finding for path in SOURCES for finding in too_long(path)] == []

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from engine.errors import ValidationError
from engine.model.graph import GraphDefinition
from engine.storage.database import Database
from engine.storage.graphs import GraphManager
from wfe_desktop.cli import has_display, main, make_parser, options_of
from wfe_desktop.options import database_url
from wfe_desktop.run_file import read_inputs
from wfe_desktop.terminal import plain


def parse(*arguments):
    parsed = make_parser().parse_args(arguments)
    return parsed, options_of(parsed)


def test_what_is_not_said_is_left_to_the_configuration(monkeypatch, user_home):
    _, options = parse()
    assert (options.host, options.port, options.database, options.tools) == (None, None, None, ())
    assert not options.explicit_port
    monkeypatch.setenv("WFE_PORT", "9000")
    config = options.to_config()
    assert (config.host, config.port) == ("127.0.0.1", 9000)
    assert config.database_url.startswith(f"sqlite:///{user_home}")
    assert Path(config.database_url.removeprefix("sqlite:///")).parent.is_dir()


def test_the_command_line_comes_before_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("WFE_DATABASE_URL", "sqlite:///elsewhere.db")
    _, options = parse()
    assert options.to_config().database_url == "sqlite:///elsewhere.db"
    _, options = parse("--database", str(tmp_path / "x.db"), "--port", "0", "--host", "::1")
    config = options.to_config()
    assert config.database_url == f"sqlite:///{tmp_path}/x.db"
    assert (config.host, config.port, options.explicit_port) == ("::1", 0, True)


def test_resources_come_from_the_command_line_or_the_environment(monkeypatch, user_home):
    monkeypatch.setenv("WFE_RESOURCES", '{"gpu": 1, "db": 4}')
    assert parse()[1].to_config().resources == {"gpu": 1, "db": 4}
    monkeypatch.setenv("WFE_RESOURCES", "gpu=2, db=3")
    assert parse()[1].to_config().resources == {"gpu": 2, "db": 3}
    assert parse("--resource", "gpu=1", "run", "x.json", "--resource", "tpu=8")[1].resources == ("tpu=8",)
    assert parse("--resource", "gpu=1", "--resource", "db=2")[1].to_config().resources == {"gpu": 1, "db": 2}


def test_kept_results_are_forgotten_from_the_command_line(tmp_path, capsys):
    from engine.storage.database import Database
    from engine.storage.journal import Batch, StateManager
    from engine.storage.kept_results import NewResult

    path = tmp_path / "w.db"
    database = Database(f"sqlite:///{path}")
    results = [NewResult(f"{number}", tool, number, "run", number) for number, tool in enumerate("aab")]
    StateManager(database).append(Batch(new_results=results))
    database.close()
    for arguments, said in (
        (["--tool", "a"], "Forgot 2 kept results."),
        ([], "Forgot 1 kept result."),
        ([], "Forgot 0 kept results."),
    ):
        assert main(["--database", str(path), "clear-cache", *arguments]) == 0
        assert capsys.readouterr().out.strip() == said


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gpu", '"gpu" is no resource with its number, such as gpu=1'),
        ("gpu=x", '"gpu=x" is no resource with its number, such as gpu=1'),
        ("gpu=-1", '"gpu=-1" is no resource with its number, such as gpu=1'),
        ("gpu=1,gpu=2", 'the resource "gpu" is there twice'),
        ('{"gpu": -1}', "setting resources.gpu (in the environment: WFE_RESOURCES): Input should be greater"),
        ('{"gpu": ', "it is no JSON object"),
        ("g pu=1", "setting resources.g pu"),
    ],
)
def test_a_resource_that_is_none_is_refused_with_the_reason(monkeypatch, capsys, text, reason):
    monkeypatch.setenv("WFE_RESOURCES", text)
    assert main(["tools"]) == 2
    assert reason in capsys.readouterr().err


def test_common_options_may_stand_on_either_side_of_a_command():
    for arguments in (["--database", "x.db", "runs"], ["runs", "--database", "x.db"]):
        assert parse(*arguments)[1].database == "x.db"
    assert parse("--tools", "a", "--tools", "b")[1].tools == (Path("a"), Path("b"))


def test_a_database_is_a_url_or_a_path(user_home):
    assert database_url("postgresql://host/db") == "postgresql://host/db"
    assert database_url("my.db") == f"sqlite:///{user_home}/my.db"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--port", "x"],
        ["--port", "70000"],
        ["--port", "-1"],
        ["dance"],
        ["run"],
        ["runs", "--limit", "0"],
        ["--frobnicate"],
    ],
)
def test_bad_usage_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "usage" in said
    assert " _" not in said  # no name out of the program


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("mysql://host/db", "mysql"),
        ("nothing://host/db", "nothing"),
        ("postgresql+nothing://host/db", "agent-workflow-engine[postgres]"),
        ("://", "sqlite:///file.db"),
    ],
)
def test_a_database_that_cannot_be_used_is_named_with_what_to_do(url, advice, capsys):
    assert main(["runs", "--database", url]) == 2
    said = capsys.readouterr().err
    assert said.startswith("wfe: ")
    assert advice in said


@pytest.mark.parametrize(
    ("name", "value"), [("WFE_PORT", "many"), ("WFE_SYNCHRONOUS", "sometimes"), ("WFE_WORKERS", "0")]
)
def test_a_wrong_setting_of_the_environment_is_named(monkeypatch, capsys, name, value):
    monkeypatch.setenv(name, value)
    assert main(["tools"]) == 2
    assert name in capsys.readouterr().err


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can lack a display")
@pytest.mark.parametrize("name", ["DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"])
def test_a_display_is_what_the_environment_names(monkeypatch, name):
    for other in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(other, raising=False)
    assert not has_display()
    monkeypatch.setenv(name, "x")
    assert has_display()


def test_inputs_are_json_by_key_or_a_file_and_later_ones_win(tmp_path):
    file = tmp_path / "state.json"
    file.write_text('{"a": 1, "b": [2]}')
    assert read_inputs([f"@{file}", "a=5", 'c="x=y"']) == {"a": 5, "b": [2], "c": "x=y"}


def test_every_wrong_input_is_named(tmp_path):
    (tmp_path / "list.json").write_text("[]")
    wrong = ["a", "=5", "name=Ann", "x=NaN", "@nowhere.json", f"@{tmp_path / 'list.json'}"]
    with pytest.raises(ValidationError) as caught:
        read_inputs([*wrong, "good=1"])
    assert len(caught.value.problems) == len(wrong)
    assert "in quotes" in str(caught.value)


def test_text_for_the_terminal_cannot_command_it():
    assert plain("a\r\nb\x1b[31mc\x07\u2028d") == "a\\r\\nb\\x1b[31mc\\x07\\u2028d"
    assert plain("Grüße ✓") == "Grüße ✓"


def test_tools_are_listed_with_those_of_a_folder(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        'from engine import tool\n\n@tool(name="mine")\ndef mine(a: int) -> int:\n    """Mine."""\n    return a\n'
    )
    (tmp_path / "broken.py").write_text("import nothing_of_that_name\n")
    assert main(["tools", "--tools", str(tmp_path), "--json"]) == 0
    output = capsys.readouterr()
    tools = {tool["name"]: tool for tool in json.loads(output.out)}
    assert tools["mine"]["inputs"][0]["schema"]["type"] == "integer"
    assert "broken.py" in output.err
    assert main(["tools", "--tools", str(tmp_path)]) == 0
    assert any(line.startswith("mine ") for line in capsys.readouterr().out.splitlines())


def test_validate_tells_every_problem_and_its_place(tmp_path, capsys):
    good, bad, broken = tmp_path / "good.json", tmp_path / "bad.json", tmp_path / "broken.json"
    good.write_text('{"name": "Good", "nodes": [{"id": "a", "function_name": "pass_through"}]}')
    assert main(["validate", str(good)]) == 0
    capsys.readouterr()
    bad.write_text(
        '{"name": "Bad", "nodes": [{"id": "a", "function_name": "pass_through"}], "entry_point": "b",'
        ' "edges": [{"from_node": "a", "to_node": "c"}]}'
    )
    assert main(["validate", str(bad)]) == 2
    assert len(capsys.readouterr().out.splitlines()) >= 2
    assert main(["validate", str(bad), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert not told["is_valid"]
    assert {problem.get("field") for problem in told["errors"]} >= {"entry_point"}
    assert main(["validate", "--json", str(good)]) == 0
    assert json.loads(capsys.readouterr().out) == {"is_valid": True, "errors": [], "warnings": []}
    broken.write_text("{")
    assert main(["validate", str(broken)]) == 2
    assert "broken.json" in capsys.readouterr().err
    assert main(["validate", str(tmp_path / "nowhere.json"), "--json"]) == 2
    assert "nowhere.json" in json.loads(capsys.readouterr().out)["errors"][0]["message"]


def test_validate_looks_for_the_workflows_that_nodes_run_where_there_is_a_database(tmp_path, capsys):
    path, address = tmp_path / "parent.json", f"sqlite:///{tmp_path / 'graphs.db'}"
    node = '{"id": "call", "function_name": "run_workflow", "parameters": {"graph": "Child"}}'
    path.write_text(f'{{"name": "Parent", "nodes": [{node}]}}')
    assert main(["validate", str(path), "--database", address]) == 0
    assert capsys.readouterr().out == ""
    with closing(Database(address)) as database:
        graphs = GraphManager(database)
        assert main(["validate", str(path), "--database", address]) == 0
        told = capsys.readouterr().out
        assert told.startswith('warning: node call, parameters.graph: "call" cannot run its workflow: ')
        graphs.create_graph(GraphDefinition(name="Child"))
        assert main(["validate", str(path), "--database", address]) == 0
        assert capsys.readouterr().out == ""


def test_without_a_database_there_is_nothing_to_list(tmp_path, capsys):
    for command in ("graphs", "runs"):
        assert main([command, "--database", str(tmp_path / "none.db")]) == 2
        assert "none.db" in capsys.readouterr().err
    assert not (tmp_path / "none.db").exists()


def test_the_command_line_and_the_headless_server_load_no_window(project_root):
    code = (
        "import sys; import wfe_desktop.cli, wfe_desktop.headless, wfe_desktop.run_file, wfe_desktop.listings; "
        "print([name for name in sys.modules if name.split('.')[0] in ('NodeGraphQt', 'Qt', 'qasync') "
        "or name in ('PySide6.QtGui', 'PySide6.QtWidgets')])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=project_root, capture_output=True, text=True, check=True, timeout=30
    )
    assert found.stdout.strip() == "[]"


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    for word in ("run", "validate", "tools", "graphs", "runs", "--headless", "--database"):
        assert word in text


def test_output_that_nobody_reads_on_is_no_crash(project_root):
    command = f"{sys.executable} main.py tools --json | head -c 1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=project_root, capture_output=True, text=True, check=False, timeout=30
    )
    assert (done.stdout, done.stderr) == ("[", "")

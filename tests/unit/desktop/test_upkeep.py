"""``wfe backup``, ``prune`` and ``compact``."""

from contextlib import closing

import pytest

from engine.config import AppConfig
from engine.execution.services import open_services
from engine.model.graph import GraphDefinition, NodeDefinition
from engine.storage.database import Database
from engine.storage.journal import StateManager
from wfe_desktop.cli import main

GRAPH = GraphDefinition(
    name="Sum",
    nodes=(
        NodeDefinition(id="a", function_name="math_operation", parameters={"operation": "add", "value": 5}),
    ),
)


@pytest.fixture
def past(tmp_path):
    """A database with five runs in it, and their ids, the oldest first."""
    path = tmp_path / "w.db"
    services = open_services(AppConfig(database_url=f"sqlite:///{path}", workspace=tmp_path))
    graph_id = services.graphs.create_graph(GRAPH)
    made = []
    for number in range(5):
        made.append(
            services.engine.execute_workflow(graph_id, {"value": number, "text": str(number) * 300_000})
        )
        services.engine.wait(made[-1], 20)
    services.close()
    return path, made


def runs_in(path):
    with closing(Database(f"sqlite:///{path}", read_only=True)) as database:
        return {run.run_id for run in StateManager(database).query_runs().executions}


def test_old_runs_are_deleted_and_the_file_made_smaller(past, capsys):
    path, made = past
    assert main(["prune", "--database", str(path)]) == 0
    assert "No runs are deleted." in capsys.readouterr().err
    assert main(["prune", "--runs", "2", "--database", str(path)]) == 0
    assert "3 runs are deleted." in capsys.readouterr().err
    assert runs_in(path) == set(made[3:])
    before = path.stat().st_size
    assert main(["compact", "--database", str(path)]) == 0
    assert path.stat().st_size < before * 0.7
    assert "The database had" in capsys.readouterr().err


def test_named_runs_are_deleted_and_those_that_cannot_be_are_named(past, capsys):
    path, made = past
    assert main(["prune", "--run", made[0], "--run", "nope", "--database", str(path)]) == 1
    said = capsys.readouterr().err
    assert "1 run is deleted." in said
    assert "run nope is not deleted: there is none" in said
    assert runs_in(path) == set(made[1:])


def test_a_copy_is_made_while_the_database_is_in_use_and_can_be_used(past, tmp_path, capsys):
    path, made = past
    copy = tmp_path / "copy.db"
    with closing(Database(f"sqlite:///{path}")):
        assert main(["backup", str(copy), "--database", str(path)]) == 0
        assert main(["prune", "--runs", "1", "--database", str(path)]) == 2
    said = capsys.readouterr().err
    assert "copy.db is a whole copy (" in said
    assert "in use by another program" in said
    assert runs_in(copy) == set(made)


def test_where_there_is_no_database_none_is_made(tmp_path, capsys):
    for command in (["prune"], ["compact"], ["backup", str(tmp_path / "copy.db")]):
        assert main([*command, "--database", str(tmp_path / "none.db")]) == 2
        assert "there is no database at" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.db*"))

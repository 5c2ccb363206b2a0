"""Point 12 of the security of the server: secrets are named in graphs, and their values are nowhere."""

import json
import sys
import types
from pathlib import Path

import pytest

from engine.config import AppConfig
from engine.execution import secrets
from engine.flow.validation import validate_graph
from engine.model.status import RunStatus
from tests.integration.engine import secret_tools
from tests.integration.engine.conftest import Bench, make_graph

VALUE = "correct/horse battery+staple"
REFERENCE = "{{secret:PASSWORD}}"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WFE_SECRET_PASSWORD", VALUE)
    monkeypatch.setenv("WFE_SECRET_PIN", "135724680")
    monkeypatch.setenv("WFE_SECRET_SHORT", "abc")
    bench = Bench(AppConfig(database_url=f"sqlite:///{tmp_path}/w.db", workers=2, synchronous="normal"))
    for name in ("use", "use_async", "tell", "tell_state", "fail", "take_number"):
        bench.tools.register_tool(name, getattr(secret_tools, name), "a test's tool")
    yield bench
    bench.close()


def node(tool, isolation="auto", **parameters):
    return {"function_name": tool, "parameters": parameters, "isolation": isolation}


def everything_kept(tmp_path):
    return b"".join(path.read_bytes() for path in tmp_path.glob("w.db*"))


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_p12_a_step_is_given_the_value_and_nothing_keeps_it(bench, tmp_path, isolation):
    given = {
        "password": REFERENCE,
        "headers": {"Authorization": f"Bearer {REFERENCE}"},
        "pin": "{{secret:PIN}}",
    }
    graph = make_graph({"a": node("use", isolation, **given)})
    assert not validate_graph(graph, bench.tools.list_tools())
    run = bench.run(graph)
    assert run.status is RunStatus.COMPLETED, run.error_message
    assert run.results["a"] == {
        "length": len(VALUE),
        "reversed": VALUE[::-1],
        "header": len(f"Bearer {VALUE}"),
        "pin": 271449360,
    }
    assert VALUE.encode() not in everything_kept(tmp_path)
    assert json.dumps(REFERENCE).encode() in everything_kept(tmp_path)


def test_an_async_tool_is_given_it_too(bench):
    run = bench.run(make_graph({"a": node("use_async", password=REFERENCE)}))
    assert run.results["a"] == len(VALUE)


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize("tool", ["tell", "tell_state", "fail"])
def test_p12_what_a_careless_tool_says_of_it_is_taken_out(
    bench, tmp_path, tool, isolation, capfd, expect_log
):
    if tool == "tell" and isolation == "thread":
        expect_log("logged correct")  # pytest's own handler sees the record itself
    said = []
    bench.engine.subscribe_progress(lambda step: said.append(step.message))
    run = bench.run(make_graph({"a": node(tool, isolation, password=REFERENCE)}), {"kept": None})
    kept = everything_kept(tmp_path)
    for form in (VALUE, "correct%2Fhorse%20battery%2Bstaple", "horse battery"):
        assert form.encode() not in kept
    messages = [entry.event for entry in bench.engine.read_events(0, run.run_id, limit=None)]
    assert VALUE not in repr(messages) + repr(run)
    assert "•••" in repr(messages)
    assert VALUE not in "".join(capfd.readouterr())
    match tool:
        case "tell":
            assert run.results["a"] == {
                "as it is": "<•••>",
                "•••": ["•••"],
                "in an address": "/?key=•••",
            }
            assert said == ["with •••"]
            assert "taken out" in repr(messages)
        case "tell_state":
            assert run.current_state.data["kept"] == {"deep": ["•••"]}
        case "fail":
            assert run.status is RunStatus.FAILED
            assert "••• was refused" in run.error_message


def test_data_of_a_run_names_no_secrets(bench):
    """Or whoever supplies data could ask for them."""
    graph = make_graph({"a": {"function_name": "use", "bindings": {"password": "state.data"}}})
    assert bench.run(graph, {"data": REFERENCE}).results["a"]["reversed"] == REFERENCE[::-1]
    by_state = make_graph({"a": "use"})
    assert bench.run(by_state, {"password": REFERENCE}).results["a"]["reversed"] == REFERENCE[::-1]
    overridden = {**node("use", password=REFERENCE), "bindings": {"password": "'{{secret:PIN}}'"}}
    assert bench.run(make_graph({"a": overridden})).results["a"]["reversed"] == "{{secret:PIN}}"[::-1]


def test_a_secret_that_is_not_there_is_named_before_any_step_starts(bench, monkeypatch):
    graph = make_graph(
        {"a": node("use", password=REFERENCE), "b": node("use", password="{{secret:NOPE}}")}, ["a -> b"]
    )
    run = bench.run(graph)
    assert run.status is RunStatus.FAILED
    assert '"b": there is no secret "NOPE"' in run.error_message
    assert "WFE_SECRET_NOPE" in run.error_message
    assert run.current_state.execution_path == []
    monkeypatch.setenv("WFE_SECRET_NOPE", "found after all")
    assert bench.run(graph).status is RunStatus.COMPLETED


def test_a_secret_that_is_too_short_to_be_hidden_is_refused(bench):
    run = bench.run(make_graph({"a": node("use", password="{{secret:SHORT}}")}))
    assert run.status is RunStatus.FAILED
    assert "fewer than 6 characters" in run.error_message
    assert "abc" not in run.error_message


def test_a_value_of_the_wrong_kind_is_not_told(bench):
    run = bench.run(make_graph({"a": node("take_number", amount=REFERENCE)}))
    assert run.status is RunStatus.FAILED
    assert run.error_message == 'Step "a" failed: Parameter "amount" does not take what its secret holds'


def test_secrets_of_several_lines_are_hidden_line_by_line():
    secrets.keep_secret("-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----")
    assert secrets.hide("it has MIIEvQIBADANBg in it") == "it has ••• in it"


def test_what_holds_no_secret_is_not_even_copied():
    secrets.keep_secret("never seen here")
    value = {"a": [1, {"b": "text"}], "c": None}
    assert secrets.hide_json(value) is value


class TestTheKeyring:
    """The package is an extra, so this stands in for it; what is asked of it is what the real one takes."""

    @pytest.fixture(autouse=True)
    def keyring(self, monkeypatch):
        module, errors = types.ModuleType("keyring"), types.ModuleType("keyring.errors")
        errors.KeyringError = type("KeyringError", (Exception,), {})
        self.passwords = {("agent-workflow-engine", "DEEP"): "from the keyring"}
        self.error = None

        def get_password(service, name):
            if self.error is not None:
                raise errors.KeyringError(self.error)
            return self.passwords.get((service, name))

        module.get_password = get_password
        monkeypatch.setitem(sys.modules, "keyring", module)
        monkeypatch.setitem(sys.modules, "keyring.errors", errors)

    def test_it_has_what_the_environment_has_not(self, bench):
        run = bench.run(make_graph({"a": node("use", "thread", password="{{secret:DEEP}}")}))
        assert run.results["a"]["length"] == len("from the keyring")

    def test_without_a_desktop_it_has_nothing(self, bench):
        self.error = "no backend"
        run = bench.run(make_graph({"a": node("use", password="{{secret:DEEP}}")}))
        assert 'no secret "DEEP"' in run.error_message

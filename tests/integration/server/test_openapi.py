"""The OpenAPI document against the server: neither says anything that the other does not."""

import asyncio
import json
import re
import shutil
import sys

import pytest
from jsonschema import Draft202012Validator

from tests.integration.server.conftest import chain
from wfe_desktop.server.app import routes

pytestmark = pytest.mark.plain_loop

UNDOCUMENTED = {"/ws", "/ws/monitor", "/docs", "/docs/{name}", "/page/{name}"}


@pytest.fixture
def read_document(http):
    async def read(prefix=""):
        async with http.get(f"{prefix}/openapi.json") as answer:
            assert answer.status == 200
            return await answer.json()

    return read


def operations(document):
    return [
        (method.upper(), path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def resolve(document, part):
    while "$ref" in part:
        found = document
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


# ------------------------------------------------------------------------------------------------ the document


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_the_documented_routes_are_those_of_the_server(server, read_document, prefix):
    document = await read_document(prefix)
    served = {
        (route.method, re.sub(r":[^/]*\}", "}", route.resource.canonical.removeprefix(prefix)))
        for route in server._runner.app.router.routes()
        if route.method != "HEAD" and route.resource.canonical.startswith("/api/v1") == bool(prefix)
    }
    documented = {(method, path) for method, path, _ in operations(document)}
    assert {(method, path) for method, path in served if path not in UNDOCUMENTED} == documented


async def test_every_operation_is_described_with_its_errors_and_an_example(read_document):
    document = await read_document()
    assert not any("__" in name for name in document["components"]["schemas"]), "two models of one name"
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(names) == len(set(names))
    for _, path, operation in operations(document):
        assert operation["summary"]
        assert not operation["summary"].endswith(".")
        text, _, example = operation["description"].partition("```sh\n")
        assert text.strip()
        assert example.startswith("curl -s")
        assert {"400", "403", "413", "415", "421", "500", "503"} <= operation["responses"].keys()
        assert ("404" in operation["responses"]) or "{" not in path
        if "requestBody" in operation:
            assert operation["requestBody"]["content"]["application/json"]["example"] is not None
        for status, given in operation["responses"].items():
            response = resolve(document, given)
            assert response["description"]
            assert ("content" in response) == (status != "204")


async def test_the_document_holds_nothing_that_is_not_used_and_its_schemas_are_sound(read_document):
    document = await read_document()
    assert document["openapi"] == "3.1.0"
    text = json.dumps(document)
    for kind in ("schemas", "responses"):
        for name, part in document["components"][kind].items():
            assert f'"#/components/{kind}/{name}"' in text, name
            if kind == "schemas":
                Draft202012Validator.check_schema(part)
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', text)):
        resolve(document, {"$ref": reference})


async def test_examples_of_bodies_are_of_the_documented_form(read_document):
    document = await read_document()
    for _, _, operation in operations(document):
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            schema = {**content["schema"], "components": document["components"]}
            Draft202012Validator(schema).validate(content["example"])


@pytest.fixture
def settings(request):
    return getattr(request, "param", {})


async def test_every_example_works_when_it_is_pasted(http, run, make_graph, read_document):
    assert shutil.which("curl"), "curl is missing; install it (apt-get install curl)"
    await run("add", "add")
    document = await read_document()
    # What is deleted cannot be looked at afterwards.
    for method, path, operation in sorted(
        operations(document), key=lambda each: (each[1].endswith("/delete"), each[0] == "DELETE")
    ):
        line = operation["description"].partition("```sh\n")[2].partition("\n```")[0]
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", f"{line} -o /dev/null -w '%{{http_code}}'", stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert output.decode() in operation["responses"], (method, path)
        assert 200 <= int(output) < 300, (method, path, line)


@pytest.mark.parametrize("settings", [{"api_token": "s3cret"}], indirect=True)
async def test_with_a_token_the_document_asks_for_it_and_does_not_tell_it(http, read_document, settings):
    async with http.get("/openapi.json") as answer:
        assert answer.status == 401
    http.headers["Authorization"] = "Bearer s3cret"
    document = await read_document()
    assert document["security"] == [{"bearer": []}]
    assert document["components"]["securitySchemes"]["bearer"] == {"type": "http", "scheme": "bearer"}
    assert all("401" in operation["responses"] for _, _, operation in operations(document))
    assert "s3cret" not in json.dumps(document)


# ---------------------------------------------------------------------------------------------- and the answers


class Checked:
    """Makes requests, and holds every answer against the document."""

    def __init__(self, http, document):
        self._http = http
        self._document = document
        self.seen = set()

    async def __call__(self, method, path, status, *, names=None, **request):
        """``path`` as documented; ``names`` are its variable parts."""
        operation = self._document["paths"][path][method.lower()]
        url = path.format(**names or {})
        async with self._http.request(method, url, **request) as answer:
            content = await answer.read()
            assert answer.status == status, content
            response = resolve(self._document, operation["responses"][str(status)])
            for name in response.get("headers", {}):
                assert name in answer.headers or name == "Link", (path, name)
            self.seen.add((method, path, status))
            if "content" not in response:
                assert content == b""
                return None
            assert answer.content_type in response["content"]
            schema = response["content"][answer.content_type]["schema"]
            body = json.loads(content) if answer.content_type == "application/json" else content.decode()
        Draft202012Validator({**schema, "components": self._document["components"]}).validate(body)
        return body


async def test_every_answer_is_as_documented(http, make_graph, run, gate, read_document, server, monkeypatch):
    check = Checked(http, await read_document())
    created = await check("POST", "/graph/create", 201, json=chain("add", "no_such_tool", ui={"x": 1}))
    graph = {"graph_id": created["graph_id"]}
    await check("POST", "/graph/create", 400, json={"nodes": 5, "x": 1})
    await check("POST", "/graph/validate", 200, json=[None])
    await check("GET", "/graph/{graph_id}", 200, names=graph)
    more = [
        {"id": "n0", "function_name": "add", "retry": {"max_attempts": 2}, "parameters": {"amount": [1, {}]}},
        {"id": "m", "function_name": "add"},
    ]
    wires = [{"from_node": "n0", "to_node": "m", "to_port": "amount", "condition": "else"}]
    changed = {"name": "Changed", "nodes": more, "edges": wires, "max_steps": 7}
    await check("PUT", "/graph/{graph_id}", 200, names=graph, json=changed, headers={"If-Match": '"1"'})
    error = await check(
        "PUT", "/graph/{graph_id}", 412, names=graph, json=changed, headers={"If-Match": '"1"'}
    )
    assert error["detail"]["details"]["version"] == 2
    await check("GET", "/graph/{graph_id}/versions", 200, names=graph)
    await check("GET", "/graph/{graph_id}/layout", 200, names=graph)
    diff = await check("GET", "/graph/{graph_id}/diff", 200, names=graph)
    assert diff["fields"].keys() == {"name", "entry_point", "max_steps"}
    await check("GET", "/graphs", 200, params={"limit": 1})

    finished = await check(
        "POST", "/graph/run", 200, json={"graph": chain("add", "break_down"), "wait_s": 20}
    )
    failed = {"run_id": finished["run_id"]}
    started = await check("POST", "/graph/run", 202, json={"graph": chain("add", "gate", "add")})
    going = {"run_id": started["run_id"]}
    keyed = {"graph": chain("add"), "idempotency_key": "key"}
    await check("POST", "/graph/run", 202, json=keyed)
    await check("POST", "/graph/run", 409, json={**keyed, "initial_state": {"total": 1}})
    for names in (failed, going):
        await check("GET", "/graph/state/{run_id}", 200, names=names)
        await check("GET", "/graph/logs/{run_id}", 200, names=names)
        await check("GET", "/graph/steps/{run_id}", 200, names=names)
        for command in ("pause", "step", "resume"):
            await check("POST", f"/graph/{command}/{{run_id}}", 200, names=names)
        await check("PUT", "/graph/breakpoints/{run_id}", 200, names=names, json={"nodes": ["n0"]})
    place = {"node_id": "n0", "graph_version": "newest"}
    await check("GET", "/graph/fork/{run_id}", 200, names=failed, params=place)
    await check("POST", "/graph/fork/{run_id}", 202, names=failed, json=place)
    await check("POST", "/graph/fork/{run_id}", 200, names=failed, json={**place, "wait_s": 20})
    await check("POST", "/graph/fork/{run_id}", 409, names=failed, json={"idempotency_key": "key"})
    await check("POST", "/graph/signal/{run_id}", 200, names=going, json={"name": "go"})
    decision = {"node_id": "n1", "choice": "result", "result": [1]}
    await check("POST", "/graph/decide/{run_id}", 200, names=going, json=decision)
    await check("PUT", "/graph/breakpoints/{run_id}", 400, names=going, json={"nodes": ["nope"]})
    await check("POST", "/graph/retry/{run_id}", 200, names=failed)
    await check("POST", "/graph/signal/{run_id}", 200, names=going, json={"name": "go", "value": [1]})
    await check("POST", "/graph/signal/{run_id}", 400, names=going, json={"value": 1})
    await check("POST", "/graph/decide/{run_id}", 200, names=going, json={"node_id": "n0", "choice": "rerun"})
    await check("POST", "/graph/decide/{run_id}", 400, names=going, json={"node_id": "n0", "choice": "no"})
    await check("DELETE", "/graph/runs/{run_id}", 409, names=going)
    await check("POST", "/graph/cancel", 200, json={"run_ids": [going["run_id"], "nope"]})
    await check("POST", "/graph/cancel/{run_id}", 200, names=going)
    gate.opened.set()

    await check("POST", "/history/executions", 200, json={})
    await check("GET", "/history/statistics", 200)
    await check("GET", "/events", 200)
    await check("GET", "/tools", 200)
    await check("GET", "/tools/{name}", 200, names={"name": "add"})
    async with http.ws_connect("/ws") as socket:
        await socket.receive_json()
        await socket.send_json({"action": "subscribe", "run_id": "*"})
        await socket.receive_json()
        connections = await check("GET", "/ws/connections", 200)
        assert connections["connections"][0]["subscriptions"] == ["*"]
    await check("DELETE", "/cache", 200, params={"tool": "add"})
    for path in ("/", "/health", "/system/health", "/system/metrics", "/metrics", "/openapi.json"):
        await check("GET", path, 200)
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "prometheus_client", None)
        await check("GET", "/metrics", 501)
    await check("DELETE", "/graph/runs/{run_id}", 204, names=failed)
    await check("POST", "/history/delete", 200, json={"run_ids": [going["run_id"], "nope"]})
    await check("POST", "/history/prune", 200, json={"runs": 1})
    await check("DELETE", "/graph/{graph_id}", 204, names=graph)
    await check_the_errors(check)
    wanted = {
        (route.method, route.path, status)
        for route in routes()
        for status in (*route.answers, *route.errors, 400, 415, 421, 403)
    }
    assert wanted <= check.seen


async def check_the_errors(check):
    """Each operation with what it must refuse."""
    absent = {"graph_id": "nope", "run_id": "nope", "name": "nope"}
    for route in routes():
        body = {"json": route.notes.example} if route.body is not None else {}
        if 404 in route.errors:
            wrong = {"json": {"graph_id": "nope"}} if route.path == "/graph/run" else body
            await check(route.method, route.path, 404, names=absent, **wrong)
        await check(route.method, route.path, 400, names=absent, params={"nope": "1"}, **body)
        await check(
            route.method, route.path, 415, names=absent, data="x", headers={"Content-Type": "text/plain"}
        )
        await check(route.method, route.path, 421, names=absent, headers={"Host": "evil.example"}, **body)
        await check(route.method, route.path, 403, names=absent, headers={"Origin": "http://evil.example"})


# ---------------------------------------------------------------------------------------------------- the page


@pytest.mark.parametrize("prefix", ["", "/api/v1"])
async def test_the_page_is_made_of_the_packages_own_files_under_a_strict_policy(http, prefix):
    async with http.get(f"{prefix}/docs") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        policy = answer.headers["Content-Security-Policy"]
        page = await answer.text()
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "://" not in policy + page
    assert not re.search(r"<script>|<style| on\w+=| style=", page)
    files = re.findall(r'(?:src|href)="(docs/[^"]+)"', page)
    assert len(files) == 3
    for name in files:
        async with http.get(f"{prefix}/{name}") as answer:
            assert answer.status == 200
            assert answer.content_type in {"text/css", "text/javascript"}
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert await answer.read()
    async with http.get(f"{prefix}/docs/start.js") as answer:
        assert "validatorUrl: null" in await answer.text()


@pytest.mark.parametrize("name", ["LICENSE", "nope.js", "..%2f..%2fpyproject.toml", "%2e%2e%2f__init__.py"])
async def test_the_page_hands_out_no_other_file(http, name):
    async with http.get(f"/docs/{name}") as answer:
        assert answer.status == 404

"""The page a browser gets at the server's address: what runs here, and where to go on."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Final

_STYLE: Final = """
:root { color-scheme: dark light; --ink: #d6dae0; --quiet: #8b95a3; --ground: #16191d; --card: #1f242a; --line: #323942;
  --accent: #5aa9e6; --good: #4cbb7f; }
@media (prefers-color-scheme: light) { :root { --ink: #20262d; --quiet: #5b6673; --ground: #f4f5f7; --card: #ffffff;
  --line: #d6dbe1; --accent: #1b6fb3; --good: #1f8a51; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.55 system-ui, sans-serif; }
main { max-width: 46rem; margin: 0 auto; padding: 3rem 1.25rem; }
h1 { font-size: 1.5rem; font-weight: 600; margin: 0; }
h2 { font-size: 1rem; font-weight: 600; margin: 2.25rem 0 .75rem; }
p { margin: .5rem 0; }
.quiet { color: var(--quiet); }
.up { color: var(--good); }
table { width: 100%; border-collapse: collapse; background: var(--card); border: 1px solid var(--line); }
td { padding: .5rem .75rem; border-top: 1px solid var(--line); vertical-align: top; }
tr:first-child td { border-top: 0; }
td:first-child { white-space: nowrap; }
a { color: var(--accent); text-decoration-thickness: 1px; text-underline-offset: 2px; }
a:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
code, pre { font: 13px/1.5 ui-monospace, "JetBrains Mono", monospace; }
pre { background: var(--card); border: 1px solid var(--line); padding: .75rem; margin: .5rem 0; overflow-x: auto; }
"""

_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

PAGE_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy: no script at all, and this one style sheet."""

_ROUTES: Final = (
    ("GET", "/docs", True, "every address, to read and to try"),
    ("GET", "/graphs", True, "the stored graphs"),
    ("GET", "/tools", True, "the registered tools with their parameters"),
    ("GET", "/health", True, "whether the engine takes work"),
    ("POST", "/graph/create", False, "store a graph"),
    ("POST", "/graph/validate", False, "check a graph without storing it"),
    ("POST", "/graph/run", False, "start a run"),
    ("GET", "/graph/state/{run_id}", False, "where a run stands, and its data"),
    ("GET", "/graph/logs/{run_id}", False, "the events of a run"),
    ("POST", "/graph/cancel/{run_id}", False, "cancel a run"),
    ("POST", "/history/executions", False, "look for runs"),
    ("WS", "/ws", False, "events as they happen"),
)


def render_page(authority: str) -> str:
    """The page as HTML. ``authority`` is host and port as the browser knows them."""
    rows = "\n".join(_row(*route) for route in _ROUTES)
    where = escape(authority)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>Agent Workflow Engine</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Agent Workflow Engine</h1>
<p><span class="up">●</span> Running.</p>
<h2>Addresses</h2>
<table>
{rows}
</table>
<p class="quiet">The same addresses are also under <code>/api/v1</code>.</p>
<h2>Start a run</h2>
<pre>curl -H 'Content-Type: application/json' \\
  -d '{{"graph_id": "...", "initial_state": {{}}, "wait_s": 30}}' \\
  http://{where}/graph/run</pre>
</main>
</body>
</html>
"""


def _row(method: str, path: str, linked: bool, purpose: str) -> str:
    shown = f"<code>{escape(path)}</code>"
    address = f'<a href="{escape(path)}">{shown}</a>' if linked else shown
    return (
        f'<tr><td><code class="quiet">{method}</code></td><td>{address}</td>'
        f'<td class="quiet">{escape(purpose)}</td></tr>'
    )

"""Creates a graph, runs it, watches it to its end and prints the result: with nothing but Python's own library.

python run_plain.py                          a program at http://127.0.0.1:8000
python run_plain.py http://127.0.0.1:8123    one elsewhere
WFE_API_TOKEN=... python run_plain.py        one that wants a token
"""

import json
import os
import sys
import urllib.request

ADDRESS = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
GRAPH = {
    "name": "Sum",
    "nodes": [
        {"id": "add", "function_name": "math_operation", "parameters": {"operation": "add", "value": 5}},
        {"id": "rest", "function_name": "delay", "parameters": {"seconds": 0.5}},
        {
            "id": "triple",
            "function_name": "math_operation",
            "parameters": {"operation": "multiply", "value": 3},
        },
    ],
    "edges": [{"from_node": "add", "to_node": "rest"}, {"from_node": "rest", "to_node": "triple"}],
}


def ask(path, body=None):
    token = os.environ.get("WFE_API_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(ADDRESS + path, body, headers)) as answer:
        return json.load(answer)


graph_id = ask("/graph/create", GRAPH)["graph_id"]
run_id = ask("/graph/run", {"graph_id": graph_id, "initial_state": {"value": 9}})["run_id"]
print("run", run_id)
seen = 0
while True:
    state = ask(f"/graph/state/{run_id}?wait_s=1")  # until it has ended, or for a second
    for event in ask(f"/graph/logs/{run_id}?since={seen}"):
        print(event["seq"], event["event_type"], event["message"])
        seen = event["seq"]
    if state["status"] in {"completed", "failed", "cancelled"}:
        break
print(state["current_state"]["data"])
sys.exit(state["status"] != "completed")

"""Creates a graph, runs it, watches it to its end and prints the result: with the client that comes with the program.

python run.py                            a program at http://127.0.0.1:8000
python run.py http://127.0.0.1:8123      one elsewhere
WFE_API_TOKEN=... python run.py          one that wants a token
"""

import sys

from wfe_desktop.client import Client, ValidationError

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


def main() -> int:
    with Client(*sys.argv[1:2]) as client:
        try:
            graph_id = client.create_graph(GRAPH)
        except ValidationError as error:
            for problem in error.problems:
                print(problem["message"], file=sys.stderr)
            return 2
        run_id = client.execute_workflow(graph_id, {"value": 9})
        print("run", run_id)
        for event in client.events(run_id):
            print(event.seq, event.event_type, event.message)
        run = client.get_execution_status(run_id)
        print(run.current_state.data)
        return 0 if run.status == "completed" else 1


if __name__ == "__main__":
    sys.exit(main())

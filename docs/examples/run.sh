#!/bin/sh
# Creates a graph, runs it, watches it to its end and prints the result: with curl, grep and sed.
#
#   sh run.sh                                    a program at http://127.0.0.1:8000
#   WFE=http://127.0.0.1:8123 sh run.sh          one elsewhere
#   WFE_API_TOKEN=... sh run.sh                  one that wants a token
set -eu
WFE=${WFE:-http://127.0.0.1:8000}

# One request; what it is answered with is in $answer.
ask() {
    answer=$(curl -sS --fail-with-body ${WFE_API_TOKEN:+-H "Authorization: Bearer $WFE_API_TOKEN"} \
        -H 'Content-Type: application/json' "$@") || { printf '%s\n' "$answer" >&2; exit 1; }
}

# What stands between two texts in $answer.
between() { printf '%s' "$answer" | sed "s/.*$1\(.*\)$2.*/\1/"; }

ask "$WFE/graph/create" -d '{
  "name": "Sum",
  "nodes": [
    {"id": "add", "function_name": "math_operation", "parameters": {"operation": "add", "value": 5}},
    {"id": "rest", "function_name": "delay", "parameters": {"seconds": 0.5}},
    {"id": "triple", "function_name": "math_operation", "parameters": {"operation": "multiply", "value": 3}}
  ],
  "edges": [{"from_node": "add", "to_node": "rest"}, {"from_node": "rest", "to_node": "triple"}]
}'
graph=$(between '"graph_id":"' '","message"')

ask "$WFE/graph/run" -d "{\"graph_id\": \"$graph\", \"initial_state\": {\"value\": 9}}"
run=$(between '"run_id":"' '","message"')
echo "run $run"

seen=0
status=pending
while :; do
    ask "$WFE/graph/logs/$run?since=$seen"
    if [ "$answer" != "[]" ]; then
        printf '%s\n' "$answer" | grep -o '"event_type":"[^"]*","node_id":[^,]*,"message":"[^"]*"'
        seen=$(between '{"seq":' ',"timestamp"')
    fi
    case $status in completed | failed | cancelled) break ;; esac
    ask "$WFE/graph/state/$run?wait_s=1" # until it has ended, or for a second
    status=$(between '"status":"' '","current_state"')
    data=$(between '"current_state":{"data":' ',"execution_path"')
done
echo "$data"
[ "$status" = completed ]

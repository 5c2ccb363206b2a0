#!/bin/sh
# Everything that must hold before a change lands. All of it runs, also after a failure; the end names what failed.
set -u
cd "$(dirname "$0")/.."

failed=
check() {
    name=$1
    shift
    printf '\n== %s\n' "$name"
    "$@" || failed="$failed, $name"
}

python=.venv/bin/python
check "format" $python -m ruff format --check .
check "lint" $python -m ruff check .
check "types" $python -m mypy
check "imports" $python .venv/bin/lint-imports --no-logo --cache-dir .cache/imports

if [ "${1:-}" != lint ]; then
    # Two at a time; what starts the program as a process goes alone, so that its deadlines mean something.
    check "tests" $python -m pytest -n 2 --dist worksteal tests/unit tests/integration tests/gui
    check "tests of the program as a process" $python -m pytest tests/e2e
fi

if [ -n "$failed" ]; then
    printf '\nFAILED: %s\n' "${failed#, }"
    exit 1
fi
printf '\nAll is well.\n'

"""Makes processes quickly: everything heavy is loaded once, and each life is a fork that loads only what may be killed.

It reads one JSON object a line (``failpoint``, and the parameters of ``life.live`` or ``life.open_only``) and answers with the process's number, then with
its exit code, below 0 for a signal. The modules with failpoints are loaded in the fork, since they ask once.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

import alembic.command
import alembic.config
import alembic.ddl.sqlite
import alembic.runtime.migration  # noqa: F401
import orjson  # noqa: F401
import pysqlite3  # noqa: F401
import sqlalchemy.dialects.postgresql
import sqlalchemy.dialects.sqlite  # noqa: F401
from PySide6 import QtCore  # noqa: F401

import engine.config
import engine.execution.attempts.output
import engine.execution.snapshots
import engine.flow.decide
import engine.flow.forking
import engine.flow.presenter
import engine.flow.step_records
import engine.flow.validation
import engine.model.statistics
import engine.storage.codec
import engine.storage.tables
import engine.tools.builtin.control
import engine.tools.registry  # noqa: F401
import tests.crash.shapes  # noqa: F401

assert "engine.failpoints" not in sys.modules, "a module that has failpoints is loaded too early"


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(_be(request))
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _be(request: dict[str, object]) -> int:
    os.environ["WFE_FAILPOINT"] = str(request.pop("failpoint") or "")
    try:
        from tests.crash import life

        if "path" in request:
            life.open_only(**request)  # type: ignore[arg-type]
        else:
            life.live(Path(str(request.pop("folder"))), **request)  # type: ignore[arg-type]
    except BaseException:  # noqa: BLE001 - whatever it is, its mother is told
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main()

"""The other end of ``tests.crash.nursery``: starts lives, and may end them."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.crash.shapes import Scenario

PATIENCE_S = 120.0


class Mother:
    """A nursery, and the life that it has now. To be closed."""

    def __init__(self, root: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(root), "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "-m", "tests.crash.nursery"]
        self._process = subprocess.Popen(
            command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = 0

    def bear(
        self,
        folder: Path,
        scenarios: Sequence[Scenario] = (),
        failpoint: str = "",
        **more: Any,
    ) -> None:
        """Begin a life in this folder; ``more`` is what ``life.live`` takes."""
        plain = [scenario.model_dump(mode="json", exclude_defaults=True) for scenario in scenarios]
        self._begin({"folder": str(folder), "scenarios": plain, "failpoint": failpoint, **more})

    def open_database(self, path: Path, failpoint: str = "", file_limit: int | None = None) -> int:
        """A life that opens a database and closes it: its exit code. It dies of making a file longer than the limit."""
        self._begin({"path": str(path), "failpoint": failpoint, "file_limit": file_limit})
        return self.bury()

    def _begin(self, request: dict[str, object]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        self.pid = int(self._read())

    def kill(self) -> None:
        """kill -9."""
        os.kill(self.pid, signal.SIGKILL)

    def ended_within(self, seconds: float) -> bool:
        """Whether the life is over, at the latest after so long."""
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def bury(self) -> int:
        """Wait for the end of the life: its exit code, below 0 for a signal."""
        if not self.ended_within(PATIENCE_S):
            self.kill()
            self._read()
            raise TimeoutError(f"a life did not end within {PATIENCE_S:g} s")
        return int(self._read())

    def close(self) -> None:
        """End the nursery."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> bytes:
        """A line, unbuffered, so that ``select`` sees what is left."""
        assert self._process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._process.stdout.fileno(), 1)
            if not byte:
                raise RuntimeError("the nursery has ended")
            line += byte
        return line

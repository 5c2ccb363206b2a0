"""``wfe backup``, ``prune`` and ``compact``: looking after the database from the command line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from engine.config import AppConfig
from engine.storage.database import Database
from engine.storage.removal import RunRemover
from wfe_desktop.options import StartOptions
from wfe_desktop.terminal import complain, notice

EXIT_NOT_ALL: Final = 1
_DAY_US: Final = 86_400_000_000


def back_up(options: StartOptions, copy: Path) -> int:
    """Copies the database, whole and as of now; a program may run on it meanwhile."""
    with closing(Database(options.to_config().database_url, read_only=True)) as database:
        database.back_up(copy)
    notice(f"{copy} is a whole copy ({_megabytes(copy)}); start with --database {copy} to use it.")
    return 0


def prune(options: StartOptions, days: float | None, runs: int | None, run_ids: Sequence[str]) -> int:
    """Deletes these runs, or else the old ones by the given or configured rules; 1 where one is left that was named."""
    config = options.to_config()
    with closing(_open(config)) as database:
        remover = RunRemover(database)
        if run_ids:
            gone = remover.doom(list(dict.fromkeys(run_ids)))
            remover.remove(None, None)
            count, left = len(gone), [run_id for run_id in run_ids if run_id not in gone]
        else:
            days = config.retention_days if days is None else days
            runs = config.retention_runs if runs is None else runs
            before_us = time.time_ns() // 1_000 - int(days * _DAY_US) if days else None
            count, left = remover.remove(before_us, runs or None), []
    notice("1 run is deleted." if count == 1 else f"{count or 'No'} runs are deleted.")
    for run_id in left:
        complain(f"run {run_id} is not deleted: there is none, it has not ended, or it goes with its parent")
    return EXIT_NOT_ALL if left else 0


def compact(options: StartOptions) -> int:
    """Makes the file as small as what is in it."""
    with closing(_open(options.to_config())) as database:
        before = _megabytes(database.path)
        database.compact()
        notice(f"The database had {before} and has {_megabytes(database.path)} now.")
    return 0


def _open(config: AppConfig) -> Database:
    """The database, which must be there, to change it: no other program may have it open."""
    Database(config.database_url, read_only=True).close()
    return Database(config.database_url, config.synchronous)


def _megabytes(path: Path | None) -> str:
    return f"{(path.stat().st_size if path is not None else 0) / 1e6:.1f} MB"

"""What the command line says about how to start, in the one form the window and the headless server share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from engine.config import AppConfig

APP_DIR_NAME = "agent-workflow-engine"


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What was asked for on the command line; None where nothing was said and the configuration decides.

    ``resources`` are texts such as ``gpu=1``. ``port`` given means asked for explicitly: then a taken port is an error, else the next free one is used.
    """

    host: str | None = None
    port: int | None = None
    database: str | None = None
    tools: tuple[Path, ...] = ()
    resources: tuple[str, ...] = ()
    open_file: Path | None = None
    log_level: str | None = None

    @property
    def explicit_port(self) -> bool:
        """Whether this port and no other is wanted."""
        return self.port is not None

    def to_config(self) -> AppConfig:
        """The configuration: the command line first, then the environment (``WFE_*``), then the defaults.

        The program's default database is a file in the user's data folder, which is made when it is missing.

        Raises:
            pydantic.ValidationError: a setting of the environment is wrong.
        """
        given: dict[str, Any] = {}
        if self.host is not None:
            given["host"] = self.host
        if self.port is not None:
            given["port"] = self.port
        if self.tools:
            given["tools_dirs"] = self.tools
        if self.resources:
            given["resources"] = ",".join(self.resources)
        if self.log_level is not None:
            given["log_level"] = self.log_level
        if self.database is not None:
            given["database_url"] = database_url(self.database)
        config = AppConfig(**given)
        if "database_url" in config.model_fields_set:
            return config
        return config.model_copy(update={"database_url": default_database_url()})


def with_own_workspace(config: AppConfig, data: Path | None = None) -> AppConfig:
    """For a program that is started from anywhere: where no workspace was asked for, the one in the folder ``data``.

    ``data``: left out, the user's.
    """
    if "workspace" in config.model_fields_set:
        return config
    folder = data if data is not None else user_data_folder()
    return config.model_copy(update={"workspace": folder / "workspace"})


def default_database_url() -> str:
    """The database in the user's data folder; makes the folder."""
    return f"sqlite:///{user_data_folder() / 'workflows.db'}"


def user_data_folder() -> Path:
    """The folder of the program's data; made, where it is missing, for nobody but the user."""
    folder = platformdirs.user_data_path(APP_DIR_NAME, appauthor=False)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def database_url(text: str) -> str:
    """A database URL as it is; anything else is taken for the path of a SQLite file."""
    return text if "://" in text else f"sqlite:///{Path(text).expanduser().absolute()}"

"""What can be set: ``AppConfig``, from arguments or from the environment (``WFE_<FIELD>``)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from engine.model.graph import Durability, ResourceName

_PREFIX = "WFE_"


def _default_workers() -> int:
    return min(32, (os.cpu_count() or 1) + 4)


class AppConfig(BaseModel):
    """Settings of one engine. A field that is not given is taken from ``WFE_<FIELD>``, else from the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    app_name: str = "Agent Workflow Engine"
    debug: bool = False
    database_url: str = Field(
        default="sqlite:///workflows.db", description="An SQLAlchemy URL; a relative path counts from here."
    )
    synchronous: Literal["full", "normal"] = Field(
        default="full",
        description="full: a commit survives a power cut; normal: it survives a crash of the program.",
    )
    durability: Durability = Field(
        default="strict",
        description="strict: no step starts before what it builds on is committed; relaxed: that may come a moment later.",
    )
    workers: int = Field(
        default_factory=_default_workers, ge=1, le=1024, description="Threads that run tools."
    )
    resources: dict[ResourceName, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict,
        description='Tokens that steps take, with how many there are; in the environment "gpu=1,db=4", or JSON.',
    )
    workspace: Path = Field(default_factory=Path.cwd, description="The folder that file tools may work in.")
    tools_dirs: tuple[Path, ...] = Field(default=(), description="Folders of tool files.")
    cancel_grace_s: float = Field(
        default=5.0, ge=0, description="Time that steps have to stop when a run is cancelled."
    )
    retention_days: float = Field(
        default=0, ge=0, description="Runs that ended longer ago are deleted; 0: none is for its age."
    )
    retention_runs: int = Field(
        default=100_000,
        ge=0,
        description="So many ended runs are kept, the newest; 0: all. A run's child runs go with it.",
    )
    retention_results: int = Field(
        default=10_000,
        ge=0,
        description="So many results are kept for use again (cache), the newest; 0: all. None older than retention_days.",
    )
    max_result_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1_024,
        le=900_000_000,  # SQLite takes no row of a billion bytes
        description="So much JSON a step may give, its changes to the state included; one that gives more fails.",
    )
    max_depth: int = Field(
        default=32, ge=0, le=1_000, description="How deep runs may lie in runs whose steps run them."
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    api_token: SecretStr | None = None
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What the program's log file has: this and what is graver."
    )
    max_connections: int = Field(
        default=256,
        ge=8,
        le=10_000,
        description="Connections that the server holds, those of WebSockets included.",
    )
    max_websockets: int = Field(default=200, ge=1, le=10_000, description="WebSockets that the server holds.")
    max_requests_per_s: int = Field(
        default=5_000, ge=10, le=1_000_000, description="Requests a second from which on the server says 429."
    )

    @field_validator("resources", mode="before")
    @classmethod
    def _read_resources(cls, given: Any) -> Any:
        return read_resources(given) if isinstance(given, str) else given

    @model_validator(mode="before")
    @classmethod
    def _read_environment(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        found: dict[str, Any] = {}
        for name in cls.model_fields:
            text = os.environ.get(_PREFIX + name.upper())
            if text:
                found[name] = text.split(os.pathsep) if name == "tools_dirs" else text
        return {**found, **given}


def read_resources(text: str) -> dict[str, int]:
    """Resources and how many tokens there are of each, written as ``gpu=1,db=4`` or as a JSON object.

    Raises:
        ValueError: it is neither; says what is wrong.
    """
    if text.lstrip().startswith("{"):
        try:
            found: dict[str, int] = json.loads(text)
        except ValueError as error:
            raise ValueError(f"it is no JSON object: {error}") from error
        return found
    limits: dict[str, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals or not number.isdecimal():
            raise ValueError(f'"{part}" is no resource with its number, such as gpu=1')
        if name in limits:
            raise ValueError(f'the resource "{name}" is there twice')
        limits[name] = int(number)
    return limits

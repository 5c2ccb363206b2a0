"""A fault of a graph, shown at its node, edge or field."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How bad a problem is: an error stops the graph from being saved or run, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault.

    ``code`` is a stable name in kebab-case, ``message`` a sentence for the user. ``node_id``, ``edge`` (index into
    ``GraphDefinition.edges``) and ``field`` (such as ``parameters.limit`` or ``condition``) say where.
    """

    severity: Severity
    code: str
    message: str
    node_id: str | None = None
    edge: int | None = None
    field: str | None = None

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR

    def to_dict(self) -> dict[str, Any]:
        """The problem as JSON; places that do not apply are left out."""
        place = {"node_id": self.node_id, "edge": self.edge, "field": self.field}
        return {
            "severity": self.severity.value,
            "code": self.code,
            "message": self.message,
            **{key: value for key, value in place.items() if value is not None},
        }

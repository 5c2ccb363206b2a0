"""Graphs and their versions.

A version never changes; an update makes a new one. A deleted graph keeps its versions for the runs that used them.
"""

from __future__ import annotations

import hashlib
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import orjson
import sqlalchemy as sa

from engine.config import AppConfig
from engine.errors import ConflictError, GraphNotFound, ValidationError
from engine.flow.validation import validate_graph
from engine.flow.validation_findings import suggest
from engine.model.graph import GraphDefinition
from engine.model.run import GraphSummary, GraphVersion, to_datetime
from engine.shelf import Shelf
from engine.storage.database import Database, open_database
from engine.storage.tables import graph_versions, graphs

_ROOM = 25_000
"""So many nodes have the versions in memory in all: some 50 MB."""


class GraphChanged(NamedTuple):
    """Told to subscribers after the change is committed, in the thread that made it."""

    kind: Literal["created", "updated", "deleted"]
    graph_id: str
    version: int


class GraphManager:
    """The stored graphs. Every method may touch the database: not for a thread that must not wait."""

    def __init__(self, database: Database | AppConfig | None = None) -> None:
        """Use this database, or that of a configuration (by default of ``AppConfig()``)."""
        self.database = database if isinstance(database, Database) else open_database(database)
        self._lock = threading.Lock()
        self._versions: Shelf[tuple[str, int], GraphDefinition] = Shelf(_ROOM)
        self._summaries: dict[str, GraphSummary] = {}
        self._summaries_as_of = -1
        self._subscribers: list[Callable[[GraphChanged], None]] = []

    def create_graph(self, graph: GraphDefinition) -> str:
        """Store a new graph and return its id.

        Raises:
            ValidationError: the graph has errors; all of them are listed. Unknown tools are no error here.
        """
        _check(graph)
        graph_id, now = uuid.uuid4().hex, _now()
        row = {**_columns(graph, now), "id": graph_id, "version": 1, "created_at": now}
        with self.database.write() as connection:
            connection.execute(graphs.insert().values(row))
            connection.execute(graph_versions.insert().values(_version_row(graph_id, 1, graph, now)))
        self._remember(graph_id, 1, graph)
        self._tell(GraphChanged("created", graph_id, 1))
        return graph_id

    def keep_graph(self, graph: GraphDefinition) -> str:
        """The id of the stored graph whose version 1 is exactly this one; it is stored where there is none.

        The id follows from what the graph is, so that one that comes along with every request is stored once.

        Raises:
            ValidationError: the graph has errors; all of them are listed.
        """
        _check(graph)
        graph_id, now = hashlib.sha256(dump_graph(graph)).hexdigest()[:32], _now()
        try:
            self.get_summary(graph_id)
        except GraphNotFound:
            pass
        else:
            return graph_id
        with self.database.write() as connection:
            query = sa.select(graphs.c.version, graphs.c.deleted_at).where(graphs.c.id == graph_id)
            known = connection.execute(query).one_or_none()
            if known is None:
                row = {**_columns(graph, now), "id": graph_id, "version": 1, "created_at": now}
                connection.execute(graphs.insert().values(row))
                connection.execute(graph_versions.insert().values(_version_row(graph_id, 1, graph, now)))
            elif known.deleted_at is not None:
                connection.execute(
                    graphs.update().where(graphs.c.id == graph_id).values(deleted_at=None, updated_at=now)
                )
            else:
                return graph_id  # somebody else was quicker
        self._tell(GraphChanged("created", graph_id, 1 if known is None else known.version))
        return graph_id

    def update_graph(self, graph_id: str, graph: GraphDefinition, expected_version: int | None = None) -> int:
        """Store a new version and return its number.

        Raises:
            GraphNotFound: there is no such graph.
            ConflictError: the newest version is not ``expected_version``.
            ValidationError: the graph has errors.
        """
        _check(graph)
        now = _now()
        with self.database.write() as connection:
            found = connection.execute(sa.select(graphs.c.version).where(_is(graph_id))).scalar()
            if found is None:
                raise _not_found(graph_id)
            if expected_version not in (None, found):
                raise ConflictError(
                    f'graph "{graph_id}" is at version {found}, not {expected_version}: somebody else changed it',
                    {"graph_id": graph_id, "version": found, "expected_version": expected_version},
                )
            version = int(found) + 1
            connection.execute(
                graphs.update().where(_is(graph_id)).values({**_columns(graph, now), "version": version})
            )
            connection.execute(graph_versions.insert().values(_version_row(graph_id, version, graph, now)))
        self._remember(graph_id, version, graph)
        self._tell(GraphChanged("updated", graph_id, version))
        return version

    def delete_graph(self, graph_id: str) -> None:
        """Take a graph out of the list. Its runs stay in the history, with the versions they used.

        Raises:
            GraphNotFound: there is no such graph.
        """
        with self.database.write() as connection:
            version = connection.execute(sa.select(graphs.c.version).where(_is(graph_id))).scalar()
            if version is None:
                raise _not_found(graph_id)
            connection.execute(graphs.update().where(_is(graph_id)).values(deleted_at=_now()))
        self._tell(GraphChanged("deleted", graph_id, version))

    def get_graph(self, graph_id: str, version: int | None = None) -> GraphDefinition:
        """A graph's newest version, or the one given (also of a deleted graph).

        Raises:
            GraphNotFound: there is no such graph or version.
        """
        if version is None:
            version = self.get_summary(graph_id).version
        known = self._versions.get((graph_id, version))
        if known is not None:
            return known
        query = sa.select(graph_versions.c.definition).where(
            graph_versions.c.graph_id == graph_id, graph_versions.c.version == version
        )
        with self.database.read() as connection:
            data = connection.execute(query).scalar()
        if data is None:
            raise GraphNotFound(
                f'there is no version {version} of graph "{graph_id}"',
                {"graph_id": graph_id, "version": version},
            )
        graph = GraphDefinition.model_validate(orjson.loads(data))
        self._remember(graph_id, version, graph)
        return graph

    def get_summary(self, graph_id: str) -> GraphSummary:
        """A graph's line in the list.

        Raises:
            GraphNotFound: there is no such graph.
        """
        changes = self.database.graph_changes
        with self._lock:
            if changes != self._summaries_as_of:
                self._summaries, self._summaries_as_of = {}, changes
            known = self._summaries.get(graph_id)
        if known is not None:
            return known
        with self.database.read() as connection:
            row = connection.execute(sa.select(graphs).where(_is(graph_id))).one_or_none()
        if row is None:
            raise _not_found(graph_id)
        summary = _to_summary(row)
        with self._lock:
            if (
                self.database.is_ours_alone
                and changes == self._summaries_as_of == self.database.graph_changes
            ):
                self._summaries[graph_id] = summary
        return summary

    def find_graph(self, reference: str) -> GraphSummary:
        """The graph with this id; else the one of this name.

        Raises:
            GraphNotFound: none has it, or several have the name; the message names them, or the closest.
        """
        query = sa.select(graphs).where(
            sa.or_(graphs.c.id == reference, graphs.c.name == reference), graphs.c.deleted_at.is_(None)
        )
        with self.database.read() as connection:
            found = [_to_summary(row) for row in connection.execute(query)]
        chosen = [graph for graph in found if graph.id == reference] or found
        if len(chosen) == 1:
            return chosen[0]
        if chosen:
            ids = ", ".join(graph.id for graph in chosen[:5])
            message = f'{len(chosen)} workflows are named "{reference}"; name one by its id: {ids}'
        else:
            message = self._explain_missing(reference)
        raise GraphNotFound(message, {"graph_id": reference})

    def _explain_missing(self, reference: str) -> str:
        query = sa.select(graphs.c.name, graphs.c.deleted_at).where(
            sa.or_(graphs.c.id == reference, graphs.c.name == reference)
        )
        with self.database.read() as connection:
            deleted = connection.execute(query).first()
        if deleted is not None:
            return f'the workflow "{deleted.name}" was deleted; name one that is stored'
        known = suggest(reference, [graph.name for graph in self.list_graphs()])
        todo = known or "; store it first, or name one that is stored"
        return f'there is no workflow with the id or name "{reference}"{todo}'

    def list_graphs(self) -> list[GraphSummary]:
        """All graphs, the latest changed first."""
        query = sa.select(graphs).where(graphs.c.deleted_at.is_(None)).order_by(graphs.c.updated_at.desc())
        with self.database.read() as connection:
            return [_to_summary(row) for row in connection.execute(query)]

    def list_versions(self, graph_id: str) -> list[GraphVersion]:
        """All versions of a graph, the newest first.

        Raises:
            GraphNotFound: there is no such graph.
        """
        query = sa.select(graph_versions.c.version, graph_versions.c.created_at)
        query = query.join(graphs, graphs.c.id == graph_versions.c.graph_id).where(_is(graph_id))
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(graph_versions.c.version.desc())).all()
        if not rows:
            raise _not_found(graph_id)
        return [GraphVersion(row.version, to_datetime(row.created_at)) for row in rows]

    def subscribe(self, callback: Callable[[GraphChanged], None]) -> Callable[[], None]:
        """Be told of every change; returns a function that ends it. Called in the thread that made the change."""
        with self._lock:
            self._subscribers.append(callback)

        def unsubscribe() -> None:
            with self._lock:
                if callback in self._subscribers:
                    self._subscribers.remove(callback)

        return unsubscribe

    def _tell(self, change: GraphChanged) -> None:
        with self._lock:
            self.database.graph_changes += 1
            subscribers = tuple(self._subscribers)
        for subscriber in subscribers:
            subscriber(change)

    def _remember(self, graph_id: str, version: int, graph: GraphDefinition) -> None:
        with self._lock:
            self._versions.put((graph_id, version), graph, len(graph.nodes) + 1)


def dump_graph(graph: GraphDefinition) -> bytes:
    """The graph as compact JSON; fields that stand at their default are left out."""
    return orjson.dumps(graph.model_dump(mode="json", exclude_defaults=True), option=orjson.OPT_SORT_KEYS)


def _check(graph: GraphDefinition) -> None:
    problems = [problem for problem in validate_graph(graph) if problem.is_error]
    if problems:
        first = problems[0].message
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise ValidationError(f'the workflow "{graph.name}" cannot be stored: {first}{more}', problems)


def _is(graph_id: str) -> Any:
    return sa.and_(graphs.c.id == graph_id, graphs.c.deleted_at.is_(None))


def _not_found(graph_id: str) -> GraphNotFound:
    return GraphNotFound(f'there is no graph "{graph_id}"', {"graph_id": graph_id})


def _columns(graph: GraphDefinition, now: int) -> dict[str, Any]:
    return {
        "name": graph.name,
        "description": graph.description,
        "node_count": len(graph.nodes),
        "updated_at": now,
    }


def _version_row(graph_id: str, version: int, graph: GraphDefinition, now: int) -> dict[str, Any]:
    return {"graph_id": graph_id, "version": version, "definition": dump_graph(graph), "created_at": now}


def _now() -> int:
    return time.time_ns() // 1_000


def _to_summary(row: Any) -> GraphSummary:
    return GraphSummary(
        id=row.id,
        name=row.name,
        description=row.description,
        version=row.version,
        created_at=to_datetime(row.created_at),
        updated_at=to_datetime(row.updated_at),
        node_count=row.node_count,
    )

"""Records of a dbt catalog: tables and columns as the warehouse has them.

Source: https://schemas.getdbt.com/dbt/catalog/v1.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lineal import normalise
from lineal.errors import InvalidUri
from lineal.model import EdgeStatement, Instant, Json, Record, Statement, Uri
from lineal.sources import Refused
from lineal.sources.dbt.artifacts import Artifact, Node
from lineal.sources.dbt.projects import Project, columns_of, relation_of

_STATISTICS = {
    "rows": ("num_rows", "row_count"),
    "bytes": ("num_bytes", "bytes", "size"),
    "refreshed_at": ("last_modified",),
}


@dataclass(frozen=True, slots=True)
class _Table:
    subject: Uri
    statements: tuple[Statement, ...]
    edges: tuple[EdgeStatement, ...]


def records(
    artifact: Artifact, project: Project, observed_at: Instant
) -> Iterator[Record | Refused]:
    """Go through the records of a catalog, one per relation."""
    refused: list[Refused] = []
    for section in ("nodes", "sources"):
        for unique_id, node in artifact.section(section, refused):
            try:
                table = _table(project, unique_id, node)
            except InvalidUri as error:
                yield Refused(artifact.file, None, error.message, f"{section}.{unique_id}")
                continue
            yield Record(
                project.source,
                f"catalog:{unique_id}",
                table.subject,
                table.statements,
                table.edges,
                observed_at,
                artifact.said_at,
            )
    yield from refused


def _table(project: Project, unique_id: str, node: Node) -> _Table:
    about = normalise.mapping(node.get("metadata"))
    uri = project.data_sets.get(unique_id)
    if uri is None:
        relation = relation_of(about)
        if relation is None:
            raise InvalidUri("The relation has no name.")
        uri = project.naming.relation(relation)
    kind = (normalise.text(about.get("type")) or "").lower()
    attributes: dict[str, Json] = {
        "description": normalise.text(about.get("comment")),
        "form": "view" if "view" in kind else "table" if kind else None,
        "subtypes": [kind] if kind else [],
        "database_owner": normalise.text(about.get("owner")),
        **_statistics(node),
    }
    columns = _columns(project, uri, node)
    edges = tuple(EdgeStatement(column.uri, "column_of", uri) for column in columns)
    return _Table(uri, (Statement(uri, normalise.said(attributes)), *columns), edges)


def _statistics(node: Node) -> dict[str, Json]:
    stats = normalise.mapping(node.get("stats"))
    found: dict[str, Json] = {}
    for ours, theirs in _STATISTICS.items():
        values = (normalise.mapping(stats.get(key)).get("value") for key in theirs)
        value = next((value for value in values if value is not None), None)
        read = normalise.iso_time if ours == "refreshed_at" else normalise.number
        found[ours] = read(value)
    return found


def _columns(project: Project, uri: Uri, node: Node) -> tuple[Statement, ...]:
    def told(name: str, column: Node) -> dict[str, Json]:
        return {
            "name": name,
            "data_type": normalise.text(column.get("type")),
            "description": normalise.text(column.get("comment")),
            "position": normalise.number(column.get("index")),
        }

    return columns_of(project, uri, node, told)

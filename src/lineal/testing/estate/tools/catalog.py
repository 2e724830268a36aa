"""The data catalogue: tables, views, streams and snapshots; CamelCase, cursors, epoch seconds."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import ClassVar

from lineal.testing.estate.records import Column, Thing
from lineal.testing.estate.tools.tool import Collection, Document, Json, Reply, Request, Tool

_CODES = {
    400: "InvalidInput",
    404: "NotFound",
    405: "MethodNotAllowed",
    429: "Throttled",
    503: "Unavailable",
}


class Catalog(Tool):
    """Keeps what tables there are, of which columns, from which tables."""

    name: ClassVar[str] = "catalog"
    prefix: ClassVar[str] = "/catalog"

    def offers(self) -> Mapping[str, Collection]:
        """Return tables and snapshots."""
        return {
            "tables": Collection("table", self._table, ".".join, 2),
            "snapshots": Collection(
                "snapshot", self._snapshot, lambda parts: f"{parts[0]}.{parts[1]}@{parts[2]}", 3
            ),
        }

    def page(self, segment: str, collection: Collection, request: Request) -> Reply:
        """Return items after a cursor; of tables only their names and versions."""
        limit = request.number("Limit", 100, low=1, high=100)
        after = base64.urlsafe_b64decode(request.query.get("Cursor", "")).decode()
        ids = [ident for ident in self.ids(collection) if ident > after]
        items: list[Json] = [self._row(collection, ident) for ident in ids[:limit]]
        cursor = (
            base64.urlsafe_b64encode(ids[limit - 1].encode()).decode() if len(ids) > limit else None
        )
        return Reply.json({"Items": items, "Cursor": cursor})

    def _row(self, collection: Collection, ident: str) -> Document:
        if collection.kind != "table":
            return collection.document(ident)
        return {"Identifier": _identifier(ident), "Version": self.world.versions[("table", ident)]}

    def error(self, status: int, message: str) -> Reply:
        """Return an error with a message and a code."""
        return Reply.json(
            {"Message": message, "Code": _CODES.get(status, "InternalFailure")}, status
        )

    def notice(self, kind: str, ident: str, verb: str) -> Document:
        """Return an event that names a table, or a table and a snapshot."""
        table, _, snapshot = ident.partition("@")
        event: Document = {"Action": verb.title(), "Resource": kind.title(), "Name": table}
        return event | {"SnapshotId": snapshot} if snapshot else event

    def _table(self, ident: str) -> Document:
        table = self.world.tables[ident]
        return {
            "Identifier": _identifier(ident),
            "Kind": table.kind,
            "Description": table.description,
            "Columns": [_column(column) for column in table.columns],
            "UpstreamTables": table.upstream,
            "StorageLocation": table.storage,
            "LegacyHiveName": table.hive,
            "OwnerRef": _reference(table.owner) if table.owner else None,
            "Tags": table.tags,
            "Domain": table.domain,
            "CreatedEpoch": int(table.created.timestamp()),
            "Retired": table.retired,
        }

    def _snapshot(self, ident: str) -> Document:
        snapshot, evidence = self.world.snapshots[ident], self.world.evidence
        content = {"ContentDigest": evidence.content(ident)} if evidence else {}
        return {
            "Table": snapshot.table,
            "SnapshotId": snapshot.number,
            "WrittenByRun": snapshot.written_by,
            "CommittedEpoch": int(snapshot.committed.timestamp()),
            "RowCount": snapshot.rows,
            **content,
        }


def _reference(owner: Thing) -> str:
    return f"{'group' if owner[0] == 'team' else 'user'}:default/{owner[1]}"


def _identifier(table: str) -> Document:
    database, _, name = table.partition(".")
    return {"Database": database, "Name": name}


def _column(column: Column) -> Document:
    sources: list[Json] = [{"Table": table, "Column": name} for table, name in column.sources]
    return {"Name": column.name, "Type": column.type, "Comment": column.comment, "From": sources}

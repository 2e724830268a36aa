"""The page of the schema changes of a period: what changed, why, and whom it touches."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from lineal.model import Budget, iso
from lineal.query import SCHEMA_TYPES, Ask
from lineal.surfaces.portal.desk import Desk
from lineal.surfaces.portal.frame import Page, Seen
from lineal.surfaces.portal.links import address

#: How long it may take to compare two moments, and how much may be read for it.
LOOKED = Budget(milliseconds=10_000, rows=5_000_000)
#: How many changes are looked at for whom they touch.
LISTED = 50


class Schemas:
    """What became of schemas."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def pages(self) -> dict[str, Page]:
        """Return each page by its path."""
        return {"/schema-changes": self.changes}

    def changes(
        self,
        request: Request,
        seen: Seen,
        earlier: Annotated[str, Query(alias="from", max_length=64)] = "",
        later: Annotated[str, Query(alias="to", max_length=64)] = "",
        kind: Annotated[str, Query(alias="type", max_length=64)] = "",
    ) -> Response:
        """Show which schemas changed between two moments, why, and whom each change touches."""
        types = [self._desk.shapes.type(kind).name] if kind else None
        here = self._desk.ask.counts(seen.viewer, seen.moment)
        before, after = self._desk.moments(seen, here, earlier, later)
        told = self._desk.ask.schema_changes(
            seen.viewer, before, after, types=types, limit=LISTED, ask=Ask(LOOKED)
        )
        value = told.value
        query = {
            "from_known_at": f"t:{value.before.t}", "from_valid_at": iso(value.before.valid_at),
            "known_at": f"t:{value.after.t}", "valid_at": iso(value.after.valid_at),
            "types": kind, "limit": LISTED,
        }  # fmt: skip
        return self._desk.page(
            "schemas.html", request, seen, told, told=value, kind=kind, kinds=SCHEMA_TYPES,
            api=address("/api/v1/schema-changes", query),
            earlier=earlier.strip() or iso(value.before.known_at), later=later.strip(),
        )  # fmt: skip

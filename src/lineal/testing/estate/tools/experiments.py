"""The experimentation platform: A/B tests; numbered pages, plain dates, old table names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from lineal.testing.estate.tools.tool import Collection, Document, Json, Reply, Request, Tool

_CODES = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    429: "slow_down",
    503: "unavailable",
}


class Experiments(Tool):
    """Runs A/B tests."""

    name: ClassVar[str] = "experiments"
    prefix: ClassVar[str] = "/experiments/api/v1"

    def offers(self) -> Mapping[str, Collection]:
        """Return the tests."""
        return {"tests": Collection("test", self._test)}

    def page(self, segment: str, collection: Collection, request: Request) -> Reply:
        """Return a numbered page."""
        page = request.number("page", 1, low=1)
        size = request.number("per_page", 50, low=1, high=50)
        ids = sorted(self.ids(collection), key=int)
        results: list[Json] = [
            collection.document(ident) for ident in ids[(page - 1) * size : page * size]
        ]
        return Reply.json({"page": page, "pages": max(1, -(-len(ids) // size)), "results": results})

    def error(self, status: int, message: str) -> Reply:
        """Return a list of one error."""
        return Reply.json(
            {"errors": [{"code": _CODES.get(status, "error"), "msg": message}]}, status
        )

    def notice(self, kind: str, ident: str, verb: str) -> Document:
        """Return an event with a topic and a number."""
        return {"topic": f"{kind}.{verb}", "test": int(ident)}

    def _test(self, ident: str) -> Document:
        test = self.world.tests[ident]
        return {
            "test_id": int(test.id),
            "name": test.name,
            "status": test.status,
            "description": test.description,
            "cells": [
                {"cell_number": cell.number, "name": cell.name, "allocation": cell.allocation}
                for cell in test.cells
            ],
            "owner": self._owner(test.owner),
            "start_date": test.start,
            "end_date": test.end,
            "metric_tables": [self._table(table) for table in test.metric_tables],
        }

    def _owner(self, login: str | None) -> str | None:
        user = self.world.users.get(login or "")
        return f"{user.name} <{user.emails[0]}>" if user else None

    def _table(self, name: str) -> str:
        table = self.world.tables.get(name)
        return table.hive if table and table.hive else name

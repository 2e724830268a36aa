"""The orchestrator: pipelines, runs, schedules; offsets, milliseconds, data as addresses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import ClassVar

from lineal.testing.estate.evidence import REPOSITORY
from lineal.testing.estate.records import Thing
from lineal.testing.estate.tools.tool import Collection, Document, Json, Reply, Request, Tool

_SCHEMES = {
    "table": "lake",
    "snapshot": "lake",
    "feature_set": "featureset",
    "feature_service": "featureservice",
    "instance": "model",
    "evaluation": "evaluation",
}
_ACTIONS = {"created": "CREATE", "updated": "UPDATE", "deleted": "DELETE"}
_KINDS = {"run": "PIPELINE_RUN", "pipeline": "PIPELINE", "schedule": "SCHEDULE"}


class Orchestrator(Tool):
    """Runs pipelines and remembers most of what they did."""

    name: ClassVar[str] = "orchestrator"
    prefix: ClassVar[str] = "/orchestrator/api/v1"

    def offers(self) -> Mapping[str, Collection]:
        """Return runs, pipelines and schedules."""
        return {
            "pipeline-runs": Collection("run", self._run),
            "pipelines": Collection("pipeline", self._pipeline),
            "schedules": Collection("schedule", self._schedule),
        }

    def page(self, segment: str, collection: Collection, request: Request) -> Reply:
        """Return a slice and the total; of runs only their ids and states."""
        offset = request.number("offset", 0)
        limit = request.number("limit", 50, low=1, high=100)
        ids = self.ids(collection)
        items: list[Json] = [self._row(collection, ident) for ident in ids[offset : offset + limit]]
        return Reply.json({"items": items, "total": len(ids), "offset": offset, "limit": limit})

    def _row(self, collection: Collection, ident: str) -> Document:
        if collection.kind != "run":
            return collection.document(ident)
        return {
            "run_id": ident,
            "state": self.world.runs[ident].state,
            "version": self.world.versions[("run", ident)],
        }

    def missing(self, kind: str, ident: str) -> Reply:
        """Say that there is no such thing, or no longer."""
        if kind == "run" and ident in self.world.purged:
            return self.error(410, f'run "{ident}" was purged')
        return super().missing(kind, ident)

    def error(self, status: int, message: str) -> Reply:
        """Return an error that repeats its status."""
        return Reply.json(
            {"status": status, "title": HTTPStatus(status).phrase, "detail": message}, status
        )

    def notice(self, kind: str, ident: str, verb: str) -> Document:
        """Return an event with a kind, an action and a key."""
        return {"kind": _KINDS[kind], "action": _ACTIONS[verb], "key": ident}

    def _run(self, ident: str) -> Document:
        run, evidence = self.world.runs[ident], self.world.evidence
        return {
            "run_id": run.id,
            "pipeline": run.pipeline,
            "state": run.state,
            "started_ms": _millis(run.started),
            "finished_ms": _millis(run.finished) if run.finished else None,
            "ab_test_cells": [
                {"test_id": int(test), "cell_number": number, "cell_name": name}
                for test, number, name in (evidence.cells(run) if evidence else run.cells)
            ],
            "inputs": [self._address(thing) for thing in run.inputs],
            "outputs": [self._address(thing) for thing in run.outputs],
            "parent_run": run.parent,
            "attempts": [
                {"number": number, "state": state} for number, state in enumerate(run.attempts, 1)
            ],
        }

    def _address(self, thing: Thing) -> str:
        """Spell what a run read or wrote; a table with a legacy name by its storage."""
        kind, ident = thing
        table = self.world.tables.get(ident) if kind == "table" else None
        if table and table.hive and table.storage:
            return table.storage
        return f"{_SCHEMES[kind]}://{ident}"

    def _pipeline(self, ident: str) -> Document:
        pipeline, evidence = self.world.pipelines[ident], self.world.evidence
        file = evidence and {"repository": REPOSITORY, "path": evidence.written_in(ident)}
        schedule = self.world.schedules.get(pipeline.schedule or "")
        return {
            "name": pipeline.id,
            "description": pipeline.description,
            "schedule": schedule.cron if schedule else None,
            "schedule_id": pipeline.schedule,
            "owners": [
                f"@{owner}" if kind == "user" else f"@team/{owner}"
                for kind, owner in pipeline.owners
            ],
            "depends_on": pipeline.depends_on,
            "nodes": [{"id": node, "type": what} for node, what in pipeline.nodes],
            "repository": pipeline.repository,
            "created_ms": _millis(pipeline.created),
            **({"definition": file} if file else {}),
        }

    def _schedule(self, ident: str) -> Document:
        schedule = self.world.schedules[ident]
        return {
            "id": schedule.id,
            "pipeline": schedule.pipeline,
            "cron": schedule.cron,
            "paused": schedule.paused,
        }


def _millis(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)

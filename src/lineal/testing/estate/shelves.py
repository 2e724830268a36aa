"""Where the estate keeps its records: one shelf per kind, in the order they came.

The shelves know nothing of tools, wires or invention; they put, take and count changes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from lineal.testing.estate.records import (
    Deployment,
    Evaluation,
    FeatureService,
    FeatureSet,
    Instance,
    Model,
    Pipeline,
    Record,
    Rule,
    Run,
    Schedule,
    Service,
    Snapshot,
    Table,
    Team,
    Test,
    Thing,
    User,
)

if TYPE_CHECKING:
    from lineal.testing.estate.evidence import Evidence

#: The kind of each record type, in the order a first load would announce them.
KINDS: Mapping[type, str] = {
    User: "user",
    Team: "team",
    Table: "table",
    Snapshot: "snapshot",
    FeatureSet: "feature_set",
    FeatureService: "feature_service",
    Pipeline: "pipeline",
    Schedule: "schedule",
    Run: "run",
    Model: "model",
    Instance: "instance",
    Evaluation: "evaluation",
    Test: "test",
    Deployment: "deployment",
    Service: "service",
    Rule: "rule",
}


class Shelves:
    """All records of an estate, by kind and id."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.teams: dict[str, Team] = {}
        self.tables: dict[str, Table] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.feature_sets: dict[str, FeatureSet] = {}
        self.feature_services: dict[str, FeatureService] = {}
        self.pipelines: dict[str, Pipeline] = {}
        self.schedules: dict[str, Schedule] = {}
        self.runs: dict[str, Run] = {}
        self.models: dict[str, Model] = {}
        self.instances: dict[str, Instance] = {}
        self.evaluations: dict[str, Evaluation] = {}
        self.tests: dict[str, Test] = {}
        self.deployments: dict[str, Deployment] = {}
        self.services: dict[str, Service] = {}
        self.rules: dict[str, Rule] = {}
        #: Runs the orchestrator once had and has thrown away.
        self.purged: set[str] = set()
        #: The domain in which each thing was made.
        self.made_in: dict[Thing, str] = {}
        #: What tools tell beside the plain facts, if they were asked to.
        self.evidence: Evidence | None = None
        #: How often each thing was put in its place.
        self.versions: dict[Thing, int] = {}
        #: Held while reading several records, or changing any.
        self.lock = threading.RLock()

    def shelf(self, kind: str) -> Mapping[str, Record]:
        """Return all records of one kind, by id."""
        return cast(Mapping[str, Record], getattr(self, f"{kind}s"))

    def put(self, record: Record) -> Thing:
        """Put *record* in its place, over what was there, and say what it is called."""
        thing = (KINDS[type(record)], record.id)
        with self.lock:
            cast(dict[str, Record], self.shelf(thing[0]))[record.id] = record
            self.versions[thing] = self.versions.get(thing, 0) + 1
        return thing

    def take(self, kind: str, ident: str) -> Record:
        """Remove a record and return it; KeyError if it is not there."""
        with self.lock:
            return cast(dict[str, Record], self.shelf(kind)).pop(ident)

    def things(self) -> list[Thing]:
        """Return everything on the shelves, in the order of a first load."""
        with self.lock:
            return [(kind, ident) for kind in KINDS.values() for ident in self.shelf(kind)]

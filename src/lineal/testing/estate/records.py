"""What the estate's tools keep: one frozen value per kind of thing.

A record holds identifiers of other things, never the things. Changing one means making another and
putting it in the place of the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

#: A thing by kind and id: ``("table", "ads.clicks")``, ``("feature", "member_plays:hours")``.
Thing: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True)
class User:
    """A person, here or gone."""

    id: str
    name: str
    #: The first address is the primary one.
    emails: tuple[str, ...]
    active: bool
    title: str


@dataclass(frozen=True, slots=True)
class Team:
    """A group of people; without a parent it is one of the organisations."""

    id: str
    name: str
    members: tuple[str, ...]
    parent: str | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column; a view's columns say which columns they come from."""

    name: str
    type: str
    comment: str
    #: (table, column) pairs; empty for ordinary tables.
    sources: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table, view or stream; its id is ``db.table``."""

    id: str
    kind: str
    description: str
    columns: tuple[Column, ...]
    upstream: tuple[str, ...]
    storage: str | None
    hive: str | None
    owner: Thing | None
    tags: tuple[str, ...]
    domain: str
    created: datetime
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One committed state of a table; its id is ``db.table@number``."""

    id: str
    table: str
    number: str
    written_by: str
    committed: datetime
    rows: int


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature inside its set."""

    name: str
    type: str
    description: str
    #: (table, column), or nobody knows.
    source: tuple[str, str] | None
    deprecated: bool = False


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Features that are computed together."""

    id: str
    description: str
    owner: Thing
    domain: str
    created: datetime
    features: tuple[Feature, ...]
    tables: tuple[str, ...]
    materialized_by: str | None


@dataclass(frozen=True, slots=True)
class FeatureService:
    """Features (``set:feature``) that are fetched together."""

    id: str
    description: str
    owner: Thing
    domain: str
    created: datetime
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A job that runs again and again."""

    id: str
    description: str
    owners: tuple[Thing, ...]
    depends_on: tuple[str, ...]
    nodes: tuple[tuple[str, str], ...]
    repository: str
    created: datetime
    schedule: str | None


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a pipeline runs."""

    id: str
    pipeline: str
    cron: str
    paused: bool


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a pipeline, or a task inside one."""

    id: str
    pipeline: str
    state: str
    started: datetime
    finished: datetime | None
    inputs: tuple[Thing, ...]
    outputs: tuple[Thing, ...]
    #: (test, cell number, cell name)
    cells: tuple[tuple[str, int, str], ...] = ()
    parent: str | None = None
    attempts: tuple[str, ...] = ("SUCCEEDED",)


@dataclass(frozen=True, slots=True)
class Model:
    """A model, of which instances are trained."""

    id: str
    name: str
    description: str
    objective: str | None
    owners: tuple[str, ...]
    #: (alias, instance id)
    aliases: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    created: datetime


@dataclass(frozen=True, slots=True)
class Instance:
    """A trained version of a model."""

    id: str
    model: str
    run: str | None
    owners: tuple[str, ...]
    created: datetime
    labels: tuple[tuple[str, str], ...] = ()
    description: str = ""
    features: tuple[str, ...] = ()
    feature_service: str | None = None
    feature_set: str | None = None
    base: str | None = None
    relation: str | None = None
    #: Tables and snapshots.
    trained_on: tuple[Thing, ...] = ()
    #: Whether the long tail of files, checks and publication is on record.
    documented: bool = True


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How an instance did on a table."""

    id: str
    instance: str
    table: str
    metrics: tuple[tuple[str, float], ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm of a test."""

    number: int
    name: str
    allocation: float


@dataclass(frozen=True, slots=True)
class Test:
    """An A/B test."""

    #: Keep pytest from taking this for a test case.
    __test__ = False

    id: str
    name: str
    status: str
    description: str
    cells: tuple[Cell, ...]
    owner: str | None
    start: str | None
    end: str | None
    metric_tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """An instance behind a deployment, with its share of the traffic."""

    instance: str
    weight: int
    mode: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """Instances put to work on a service."""

    id: str
    service: str
    status: str
    targets: tuple[Target, ...]
    log_table: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Service:
    """A running program that calls others."""

    id: str
    owner: str
    calls: tuple[str, ...]
    tier: int
    requests_per_second: int


@dataclass(frozen=True, slots=True)
class Rule:
    """Which instance serves which cell, for one objective."""

    objective: str
    test: str | None
    cells: tuple[tuple[int, str], ...]
    target_objectives: tuple[str, ...]
    model_type: str
    default: str | None

    @property
    def id(self) -> str:
        """Return the objective, by which rules are known."""
        return self.objective


#: Everything a shelf of the world may hold.
Record: TypeAlias = (
    User
    | Team
    | Table
    | Snapshot
    | FeatureSet
    | FeatureService
    | Pipeline
    | Schedule
    | Run
    | Model
    | Instance
    | Evaluation
    | Test
    | Deployment
    | Service
    | Rule
)

"""Sets up the things that play in traps, with defaults for what does not matter there."""

from __future__ import annotations

from datetime import datetime, timedelta

from lineal.testing.estate.domains import NOW
from lineal.testing.estate.records import (
    Cell,
    Column,
    Deployment,
    Feature,
    FeatureService,
    FeatureSet,
    Instance,
    Model,
    Pipeline,
    Rule,
    Run,
    Schedule,
    Service,
    Table,
    Target,
    Test,
    Thing,
)
from lineal.testing.estate.shelves import Shelves

HOME = "personalization"
RANK: Thing = ("team", "rank")
ALICE = "alice@example.com"


class Stage:
    """Sets up trap things with sensible defaults, each at its own moment."""

    def __init__(self, world: Shelves) -> None:
        self.put = world.put
        self.purge = world.purged.add
        self._ticks = 0

    def moment(self, days_ago: float = 50) -> datetime:
        """Return a moment of the past that no other trap thing shares."""
        self._ticks += 1
        return NOW - timedelta(days=days_ago) + timedelta(seconds=self._ticks, milliseconds=500)

    def table(
        self,
        ident: str,
        *columns: str,
        storage: str | None = None,
        hive: str | None = None,
        owner: Thing = RANK,
    ) -> Thing:
        """Put an ordinary table on the shelf."""
        made = tuple(Column(name, "double", "") for name in ("member_id", *columns))
        domain = ident.split(".", maxsplit=1)[0]
        storage = storage or "s3://stream-lake/" + ident.replace(".", "/")
        return self.put(
            Table(
                ident,
                "TABLE",
                f"table {ident}",
                made,
                (),
                storage,
                hive,
                owner,
                ("gold",),
                domain,
                self.moment(400),
            )
        )

    def pipeline(
        self, ident: str, *after: str, owners: tuple[Thing, ...] = (("user", "alice"), RANK)
    ) -> str:
        """Put a pipeline with a schedule on the shelves."""
        schedule = f"sched-{ident}"
        self.put(
            Pipeline(
                ident,
                f"pipeline {ident}",
                owners,
                after,
                (("extract", "spark"), ("train", "gpu")),
                f"https://code.example.com/pipelines/{ident}",
                self.moment(350),
                schedule,
            )
        )
        self.put(Schedule(schedule, ident, "0 6 * * 1", False))
        return ident

    def run(
        self,
        ident: str,
        pipeline: str,
        inputs: tuple[Thing, ...],
        outputs: tuple[Thing, ...],
        *,
        cells: tuple[tuple[str, int, str], ...] = (),
        parent: str | None = None,
    ) -> str:
        """Put a run that succeeded on the shelf."""
        started = self.moment(59)
        self.put(
            Run(
                ident,
                pipeline,
                "SUCCEEDED",
                started,
                started + timedelta(minutes=30),
                inputs,
                outputs,
                cells,
                parent,
            )
        )
        return ident

    def model(
        self,
        ident: str,
        *,
        owners: tuple[str, ...] = (ALICE,),
        name: str = "",
        objective: str | None = None,
        **aliases: str,
    ) -> str:
        """Put a model on the shelf."""
        self.put(
            Model(
                ident,
                name or ident,
                f"model {ident}",
                objective,
                owners,
                tuple(aliases.items()),
                (("team", HOME),),
                self.moment(270),
            )
        )
        return ident

    def instance(
        self,
        ident: str,
        model: str,
        run: str | None = None,
        *,
        features: tuple[str, ...] = (),
        service: str | None = None,
        whole_set: str | None = None,
        base: str | None = None,
        trained_on: tuple[Thing, ...] = (),
    ) -> Thing:
        """Put an instance on the shelf."""
        return self.put(
            Instance(
                ident,
                model,
                run,
                (ALICE,),
                self.moment(58),
                (("team", HOME),),
                f"instance {ident}",
                features,
                service,
                whole_set,
                base,
                "finetune" if base else None,
                trained_on,
            )
        )

    def feature_set(
        self,
        ident: str,
        *features: tuple[str, str, str],
        builder: str | None = None,
        owner: Thing = RANK,
    ) -> Thing:
        """Put a set on the shelf whose features are (name, table, column)."""
        made = tuple(
            Feature(name, "DOUBLE", f"feature {name}", (table, column))
            for name, table, column in features
        )
        return self.put(
            FeatureSet(
                ident, f"feature set {ident}", owner, HOME, self.moment(300), made, (), builder
            )
        )

    def feature_service(self, ident: str, *features: str) -> Thing:
        """Put a feature service on the shelf."""
        return self.put(
            FeatureService(
                ident, f"feature service {ident}", RANK, HOME, self.moment(250), features
            )
        )

    def test(
        self, ident: str, name: str, status: str, *cells: str, metrics: tuple[str, ...] = ()
    ) -> Thing:
        """Put a test of alice's on the shelf."""
        made = tuple(Cell(number, cell, 1 / len(cells)) for number, cell in enumerate(cells, 1))
        return self.put(
            Test(
                ident,
                name,
                status,
                f"test {name}",
                made,
                "alice",
                None if status == "DRAFT" else "2026-01-05",
                "2026-02-01" if status == "ENDED" else None,
                metrics,
            )
        )

    def rule(self, objective: str, test: str, **cells: str) -> Thing:
        """Say what serves in the cells (``c1=…``) of a test."""
        served = tuple((int(cell[1:]), instance) for cell, instance in cells.items())
        return self.put(Rule(objective, test, served, (objective,), "ranker", served[0][1]))

    def service(self, ident: str, *calls: str) -> Thing:
        """Put a service on the shelf."""
        return self.put(Service(ident, "rank", calls, 1, 1200))

    def deployment(
        self, ident: str, service: str, *targets: Target, log: str | None = None
    ) -> Thing:
        """Put a serving deployment on the shelf."""
        return self.put(Deployment(ident, service, "SERVING", targets, log, self.moment(40)))

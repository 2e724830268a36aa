"""The ordinary part of the estate, invented from a seed: four domains of many hands.

Data flows from one layer to the next and never back, so that every question has one answer:

raw → staged → aggregate (→ view) → feature set → service → model → scores → later feature set
→ later model

Only views have column mappings; tables with snapshots are made in ``traps`` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random

from lineal.testing.estate.domains import COLUMNS, MEASURES, NOUNS, NOW, TASKS, TYPES, Domain
from lineal.testing.estate.people import TEAMS
from lineal.testing.estate.records import (
    Cell,
    Column,
    Deployment,
    Evaluation,
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


class Inventor:
    """Makes up things for a world and puts them on its shelves."""

    def __init__(self, world: Shelves, rng: Random, scale: float) -> None:
        self.world = world
        self.rng = rng
        self.scale = scale
        self._ticks = 0

    def furnish(self) -> None:
        """Fill the shelves, layer by layer, so that domains can use what others made."""
        domains = [Domain(name, self.rng) for name in TEAMS]
        for domain in domains:
            with self._made_in(domain):
                self._tables(domain)
                tables = domain.aggregates + domain.views + domain.staged
                self._feature_sets(domain, tables, "features", self.count(7))
                self._feature_services(domain)
                self._services(domain)
        for domain in domains:
            with self._made_in(domain):
                self._models(domain, self.count(9), domain.sets, "")
        for domain in domains:
            with self._made_in(domain):
                domain.scores += [self._score_table(domain, model) for model in domain.models[:2]]
                self._feature_sets(domain, domain.scores, "embeddings", 2)
        for domain in domains:
            with self._made_in(domain):
                borrowed = self.rng.choice(domains).sets[-2:]
                self._models(domain, self.count(5), domain.sets + borrowed, " next")
        for domain in domains:
            with self._made_in(domain):
                self._serving(domain)
                self._tests(domain)

    @contextmanager
    def _made_in(self, domain: Domain) -> Iterator[None]:
        """Remember of all that is put on the shelves meanwhile that this domain made it."""
        known = len(self.world.versions)
        yield
        fresh = list(self.world.versions)[known:]
        self.world.made_in.update(dict.fromkeys(fresh, domain.name))

    # -- small things ----------------------------------------------------------------------------

    def count(self, full: int) -> int:
        """Return how many of something there are at this scale."""
        return max(1, round(full * self.scale))

    def moment(self, *, days_ago: float) -> datetime:
        """Return a moment of the past that no other thing shares."""
        self._ticks += 1
        return NOW - timedelta(days=days_ago) + timedelta(seconds=self._ticks)

    def owner(self, domain: Domain) -> Thing:
        """Pick a team (mostly) or a person."""
        if self.rng.random() < 0.7:
            return ("team", domain.team())
        return ("user", self._person(domain))

    def _person(self, domain: Domain) -> str:
        return self.rng.choice(self.world.teams[domain.team()].members)

    def _address(self, domain: Domain) -> str:
        return self.world.users[self._person(domain)].emails[0]

    # -- tables and the pipelines that write them ------------------------------------------------

    def _tables(self, domain: Domain) -> None:
        nouns = NOUNS[domain.name]
        for number in range(self.count(14)):
            domain.raw.append(
                self.table(domain, f"raw_{nouns[number % 8]}_{number}", stream=number % 5 == 0)
            )
        for number in range(self.count(14)):
            domain.staged.append(self.table(domain, f"stg_{nouns[number % 8]}_{number}"))
        for number in range(self.count(12)):
            domain.aggregates.append(self.table(domain, f"agg_{nouns[number % 8]}_{number}"))
        for number in range(self.count(6)):
            domain.labels.append(self.table(domain, f"labels_{nouns[number % 8]}_{number}"))
        for table in domain.raw[::2]:
            self.build(domain, table, ())
        for table in domain.staged:
            self.build(domain, table, self.rng.sample(domain.raw, min(2, len(domain.raw))))
        for table in domain.aggregates + domain.labels:
            self.build(domain, table, self.rng.sample(domain.staged, min(3, len(domain.staged))))
        for number in range(self.count(7)):
            domain.views.append(self._view(domain, f"v_{nouns[number % 8]}_{number}"))

    def table(self, domain: Domain, name: str, *, stream: bool = False) -> str:
        """Put an ordinary table on the shelf and return its name."""
        picked = self.rng.sample(COLUMNS, self.rng.randint(4, 9))
        columns = [Column("id", "bigint", "")] + [
            Column(c, self.rng.choice(TYPES), f"the {c}") for c in picked
        ]
        ident = f"{domain.name}.{name}"
        self.world.put(
            Table(
                ident,
                "STREAM" if stream else "TABLE",
                self._description(f"{name.replace('_', ' ')} of {domain.name}"),
                tuple(columns),
                (),
                f"s3://stream-lake/{domain.name}/{name}",
                None,
                self.owner(domain) if self.rng.random() < 0.95 else None,
                tuple(tag for tag in ("pii", "tier:1", "gold") if self.rng.random() < 0.2),
                domain.name,
                self.moment(days_ago=400),
            )
        )
        return ident

    def _view(self, domain: Domain, name: str) -> str:
        """Put a view over two tables on the shelf, every column of it mapped."""
        bases = self.rng.sample(domain.aggregates + domain.staged, 2)
        columns: list[Column] = []
        for base in bases:
            for column in self.world.tables[base].columns[1:4]:
                short = f"{column.name}_{len(columns)}"
                columns.append(Column(short, column.type, "", ((base, column.name),)))
        both = tuple((base, "id") for base in bases)
        columns.append(Column("id", "bigint", "joined", both))
        ident = f"{domain.name}.{name}"
        self.world.put(
            Table(
                ident,
                "VIEW",
                self._description(f"view {name}"),
                tuple(columns),
                tuple(bases),
                None,
                None,
                self.owner(domain),
                (),
                domain.name,
                self.moment(days_ago=300),
            )
        )
        return ident

    def _description(self, text: str) -> str:
        return text if self.rng.random() < 0.9 else ""

    def pipeline(self, domain: Domain, name: str, *, after: tuple[str, ...] = ()) -> str:
        """Put a pipeline and its schedule on the shelves and return its name."""
        cron = self.rng.choice(("0 6 * * 1", "0 3 * * *", "15 * * * *"))
        owners = tuple(dict.fromkeys(self.owner(domain) for _ in range(self.rng.randint(1, 2))))
        nodes = (("extract", "spark"), ("compute", self.rng.choice(("spark", "gpu", "python"))))
        repository = f"https://code.example.com/pipelines/{name}"
        self.world.put(
            Pipeline(
                name,
                self._description(f"makes {name}"),
                owners,
                after,
                nodes,
                repository,
                self.moment(days_ago=350),
                f"sched-{name}",
            )
        )
        self.world.put(Schedule(f"sched-{name}", name, cron, self.rng.random() < 0.05))
        return name

    def run(
        self,
        pipeline: str,
        number: int,
        inputs: list[Thing],
        outputs: list[Thing],
        *,
        state: str = "SUCCEEDED",
        cells: tuple[tuple[str, int, str], ...] = (),
    ) -> str:
        """Put one execution of a pipeline on the shelf and return its id."""
        started = self.moment(days_ago=60 - 7 * number)
        finished = (
            None if state == "RUNNING" else started + timedelta(minutes=self.rng.randint(5, 90))
        )
        ident = f"{pipeline}-run-{number}"
        attempts = ("FAILED", state) if self.rng.random() < 0.15 else (state,)
        self.world.put(
            Run(
                ident,
                pipeline,
                state,
                started,
                finished,
                tuple(inputs),
                tuple(outputs),
                cells,
                None,
                attempts,
            )
        )
        return ident

    def build(self, domain: Domain, table: str, reads: list[str] | tuple[str, ...]) -> None:
        """Give *table* a pipeline whose runs read the same; a failed one writes nothing."""
        name = f"{table.replace('.', '-').replace('_', '-')}-build"
        self.pipeline(domain, name)
        self._repeat(name, [("table", read) for read in reads], [("table", table)])

    def _repeat(self, pipeline: str, inputs: list[Thing], outputs: list[Thing]) -> None:
        for number in range(1, self.rng.randint(2, 3) + 1):
            self.run(pipeline, number, inputs, outputs)
        if self.rng.random() < 0.2:
            self.run(pipeline, 4, inputs, [], state="FAILED")

    # -- features --------------------------------------------------------------------------------

    def _feature_sets(self, domain: Domain, tables: list[str], word: str, count: int) -> None:
        nouns = NOUNS[domain.name]
        for number in range(count):
            sources = self.rng.sample(tables, min(len(tables), self.rng.randint(1, 2)))
            name = f"{domain.name}_{nouns[number % 8]}_{word}_{number}"
            builder = (
                self.pipeline(domain, f"{name.replace('_', '-')}-build")
                if self.rng.random() < 0.7
                else None
            )
            if builder:
                self._repeat(
                    builder, [("table", source) for source in sources], [("feature_set", name)]
                )
            by_set = number % 4 == 3
            features = tuple(
                self._feature(sources, index, by_set) for index in range(self.rng.randint(4, 8))
            )
            self.world.put(
                FeatureSet(
                    name,
                    self._description(f"{word} about {nouns[number % 8]}"),
                    ("team", domain.team()),
                    domain.name,
                    self.moment(days_ago=300),
                    features,
                    tuple(sources) if by_set else (),
                    builder,
                )
            )
            domain.sets.append(name)

    def _feature(self, tables: list[str], index: int, by_set: bool) -> Feature:
        table = self.rng.choice(tables)
        column = self.rng.choice(self.world.tables[table].columns).name
        known = not by_set and self.rng.random() < 0.93
        return Feature(
            f"{column}_{index}",
            self.rng.choice(("DOUBLE", "INT64", "STRING")),
            f"feature from {column}",
            (table, column) if known else None,
            self.rng.random() < 0.05,
        )

    def _features_of(self, sets: list[str], most: int) -> tuple[str, ...]:
        known = [
            f"{name}:{feature.name}"
            for name in sets
            for feature in self.world.feature_sets[name].features
        ]
        return tuple(sorted(self.rng.sample(known, min(most, len(known)))))

    def _feature_services(self, domain: Domain) -> None:
        for number in range(self.count(4)):
            name = f"{domain.name}-online-{number}"
            features = self._features_of(self.rng.sample(domain.sets, min(2, len(domain.sets))), 6)
            self.world.put(
                FeatureService(
                    name,
                    f"online features {number}",
                    ("team", domain.team()),
                    domain.name,
                    self.moment(days_ago=250),
                    features,
                )
            )
            domain.services.append(name)

    # -- models ----------------------------------------------------------------------------------

    def _models(self, domain: Domain, count: int, sets: list[str], suffix: str) -> None:
        nouns = NOUNS[domain.name]
        for number in range(count):
            task = self.rng.choice(TASKS)
            title = f"{domain.name} {nouns[number % 8]} {task} {number}{suffix}"
            model = title.replace(" ", "-")
            trainer = self.pipeline(domain, f"{model}-trainer")
            instances = self._instances(domain, model, trainer, sets)
            aliases = (
                [("production", self.rng.choice(instances[-2:]))] if self.rng.random() < 0.7 else []
            )
            if self.rng.random() < 0.3:
                aliases.append(("candidate", instances[-1]))
            owners = tuple(
                dict.fromkeys(self._address(domain) for _ in range(self.rng.randint(1, 2)))
            )
            self.world.put(
                Model(
                    model,
                    title.title(),
                    self._description(f"{title} for members"),
                    title.title().replace(" ", ""),
                    owners,
                    tuple(aliases),
                    (("team", domain.name),),
                    self.moment(days_ago=200),
                )
            )
            domain.models.append(model)

    def _instances(self, domain: Domain, model: str, trainer: str, sets: list[str]) -> list[str]:
        """Train one to four instances of a model, and now and then fail to."""
        made: list[str] = []
        way = self.rng.choice(("features", "service", "set"))
        for number in range(1, self.rng.randint(1, 4) + 1):
            ident = f"{model}-v{number}"
            features = self._features_of(sets, 5) if way == "features" else ()
            service = self.rng.choice(domain.services) if way == "service" else None
            chosen = self.rng.choice(sets) if way == "set" else None
            label: Thing = ("table", self.rng.choice(domain.labels))
            inputs = [label]
            inputs += [("feature_service", service)] if service else []
            inputs += [("feature_set", chosen)] if chosen else []
            warm = made[-1] if made and self.rng.random() < 0.2 else None
            run = self.run(trainer, number, inputs, [("instance", ident)])
            self.world.put(
                Instance(
                    ident,
                    model,
                    run,
                    (self._address(domain),),
                    self.moment(days_ago=60 - 7 * number),
                    (("team", domain.name),),
                    f"version {number}",
                    features,
                    service,
                    chosen,
                    warm,
                    "warm_start" if warm else None,
                    (label,),
                )
            )
            made.append(ident)
        if self.rng.random() < 0.2:
            self.run(trainer, 6, inputs, [], state=self.rng.choice(("FAILED", "RUNNING")))
        self._evaluate(domain, made[-1])
        return made

    def _evaluate(self, domain: Domain, instance: str) -> None:
        metrics = tuple(
            (name, round(self.rng.random(), 3)) for name in self.rng.sample(MEASURES, 2)
        )
        self.world.put(
            Evaluation(
                f"eval-{instance}",
                instance,
                self.rng.choice(domain.labels),
                metrics,
                self.moment(days_ago=20),
            )
        )

    def _score_table(self, domain: Domain, model: str) -> str:
        """Let a pipeline score members with a model's newest instance into a table."""
        table = self.table(domain, f"scores_{model.replace('-', '_')}")
        instance = [i.id for i in self.world.instances.values() if i.model == model][-1]
        name = f"{model}-batch-scorer"
        self.pipeline(domain, name)
        self._repeat(
            name,
            [("instance", instance), ("table", self.rng.choice(domain.staged))],
            [("table", table)],
        )
        return table

    # -- serving and tests -----------------------------------------------------------------------

    def _services(self, domain: Domain) -> None:
        for number in range(self.count(6)):
            name = f"{domain.name}-service-{number}"
            calls = self.rng.sample(domain.apps, min(len(domain.apps), self.rng.randint(0, 2)))
            self.world.put(
                Service(
                    name,
                    domain.team(),
                    tuple(calls),
                    self.rng.randint(0, 3),
                    self.rng.randint(1, 9000),
                )
            )
            domain.apps.append(name)

    def _serving(self, domain: Domain) -> None:
        for number, model in enumerate(domain.models):
            if self.rng.random() > 0.6:
                continue
            instances = [i.id for i in self.world.instances.values() if i.model == model]
            targets = [Target(instances[-1], 100, "live")]
            if len(instances) > 1 and self.rng.random() < 0.3:
                targets = [Target(instances[-2], 90, "live"), Target(instances[-1], 10, "canary")]
            log = self.table(domain, f"log_{model.replace('-', '_')}") if number % 3 == 0 else None
            status = "SERVING" if self.rng.random() < 0.85 else "STOPPED"
            self.world.put(
                Deployment(
                    f"{model}-prod",
                    self.rng.choice(domain.apps),
                    status,
                    tuple(targets),
                    log,
                    self.moment(days_ago=15),
                )
            )

    def _tests(self, domain: Domain) -> None:
        for number in range(max(12, self.count(12))):
            ident = str(30000 + 100 * list(TEAMS).index(domain.name) + number)
            model = self.rng.choice(domain.models)
            instances = [i for i in self.world.instances.values() if i.model == model]
            cells = (Cell(1, "control", 0.5), Cell(2, f"treatment_{number}", 0.5))
            status = self.rng.choice(("ACTIVE", "ACTIVE", "ACTIVE", "ENDED", "DRAFT"))
            address = self._address(domain)
            person = next(user for user in self.world.users.values() if user.emails[0] == address)
            metric = self.rng.choice(domain.aggregates + domain.views + domain.scores)
            self.world.put(
                Test(
                    ident,
                    f"{domain.name.title()} test {number}",
                    status,
                    self._description("a test"),
                    cells,
                    person.id,
                    "2026-02-01" if status != "DRAFT" else None,
                    "2026-02-20" if status == "ENDED" else None,
                    (metric,),
                )
            )
            self._assign(ident, cells, instances, domain)

    def _assign(
        self, test: str, cells: tuple[Cell, ...], instances: list[Instance], domain: Domain
    ) -> None:
        """Say in a run for what cell it trained, and in the rules what serves where."""
        newest = instances[-1]
        run = self.world.runs[newest.run or ""]
        if not run.cells:
            marked = ((test, cells[1].number, cells[1].name),)
            self.world.put(
                Run(
                    run.id,
                    run.pipeline,
                    run.state,
                    run.started,
                    run.finished,
                    run.inputs,
                    run.outputs,
                    marked,
                    run.parent,
                    run.attempts,
                )
            )
            self.world.versions[("run", run.id)] = 1
        if self.world.tests[test].status != "ENDED" and self.rng.random() < 0.8:
            served = ((1, instances[0].id), (2, newest.id))
            self.world.put(
                Rule(
                    f"{domain.name.title()}Objective{test}",
                    test,
                    served,
                    (domain.name,),
                    "ranker",
                    instances[0].id,
                )
            )

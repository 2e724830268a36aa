"""What happens to an estate after its first day: edits, renames, deletions, moves, new work.

Every change takes effect in the world and is announced by the tool concerned, unless
``announce=False`` loses the event.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import cast

from lineal.testing.estate.domains import NOW
from lineal.testing.estate.records import (
    Deployment,
    FeatureService,
    FeatureSet,
    Instance,
    Model,
    Pipeline,
    Record,
    Rule,
    Service,
    Table,
    Test,
    Thing,
)
from lineal.testing.estate.shelves import KINDS, Shelves

_DESCRIBED = (Table, FeatureSet, FeatureService, Pipeline, Model, Instance, Test)


class Changes:
    """The changes that can be made to a world."""

    def __init__(self, world: Shelves, announce: Callable[[str, str, str], None]) -> None:
        self._world = world
        self._announce = announce
        self._additions = 0

    def put(self, record: Record, *, announce: bool = True) -> Thing:
        """Put any record in its place, new or over an old one."""
        with self._world.lock:
            known = record.id in self._world.shelf(KINDS[type(record)])
            kind, ident = self._world.put(record)
        if announce:
            self._announce(kind, ident, "updated" if known else "created")
        return kind, ident

    def describe(self, kind: str, ident: str, text: str, *, announce: bool = True) -> None:
        """Edit the description of a thing that has one."""
        record = self._world.shelf(kind)[ident]
        if not isinstance(record, _DESCRIBED):
            raise ValueError(f"a {kind} has no description")
        self.put(cast(Record, replace(record, description=text)), announce=announce)

    def delete(self, kind: str, ident: str, *, announce: bool = True) -> None:
        """Delete a thing; what refers to it goes on referring to it."""
        self._world.take(kind, ident)
        if announce:
            self._announce(kind, ident, "deleted")

    def purge(self, run: str, *, announce: bool = False) -> None:
        """Throw a run away; its id then answers 410."""
        with self._world.lock:
            self._world.purged.add(run)
            self.delete("run", run, announce=announce)

    def rename(self, kind: str, old: str, new: str, *, announce: bool = True) -> None:
        """Give a model, pipeline, service or deployment a new id; the old one answers 404.

        What refers to it follows, each with an event of its own.
        """
        with self._world.lock:
            record = self._world.shelf(kind)[old]
            if not isinstance(record, Model | Pipeline | Service | Deployment):
                raise ValueError(f"a {kind} cannot be renamed")
            self._world.take(kind, old)
            followers = self._followers(kind, old, new)
        if announce:
            self._announce(kind, old, "deleted")
        for changed in [replace(record, id=new), *followers]:
            self.put(changed, announce=announce)

    def _followers(self, kind: str, old: str, new: str) -> list[Record]:
        if kind == "model":
            return self._of_model(old, new)
        if kind == "pipeline":
            return self._of_pipeline(old, new)
        return self._of_service(old, new) if kind == "service" else []

    def _of_model(self, old: str, new: str) -> list[Record]:
        return [replace(i, model=new) for i in self._world.instances.values() if i.model == old]

    def _of_pipeline(self, old: str, new: str) -> list[Record]:
        world = self._world
        changed: list[Record] = [
            replace(r, pipeline=new) for r in world.runs.values() if r.pipeline == old
        ]
        changed += [replace(s, pipeline=new) for s in world.schedules.values() if s.pipeline == old]
        changed += [
            replace(s, materialized_by=new)
            for s in world.feature_sets.values()
            if s.materialized_by == old
        ]
        for pipeline in world.pipelines.values():
            if old in pipeline.depends_on:
                after = tuple(new if name == old else name for name in pipeline.depends_on)
                changed.append(replace(pipeline, depends_on=after))
        return changed

    def _of_service(self, old: str, new: str) -> list[Record]:
        world = self._world
        changed: list[Record] = [
            replace(d, service=new) for d in world.deployments.values() if d.service == old
        ]
        for service in world.services.values():
            if old in service.calls:
                changed.append(
                    replace(service, calls=tuple(new if c == old else c for c in service.calls))
                )
        return changed

    # -- fields that are taken back --------------------------------------------------------------

    def retract_cells(self, run: str, *, announce: bool = True) -> None:
        """Take back that a run was for any cell."""
        self.put(replace(self._world.runs[run], cells=()), announce=announce)

    def drop_feature(self, instance: str, feature: str, *, announce: bool = True) -> None:
        """Take back that an instance uses a feature."""
        found = self._world.instances[instance]
        left = tuple(name for name in found.features if name != feature)
        self.put(replace(found, features=left), announce=announce)

    # -- tests and serving -----------------------------------------------------------------------

    def start_test(self, test: str, *, announce: bool = True) -> None:
        """Let a test run."""
        self.put(
            replace(self._world.tests[test], status="ACTIVE", start="2026-03-01", end=None),
            announce=announce,
        )

    def end_test(self, test: str, *, announce: bool = True) -> None:
        """Let a test be over."""
        self.put(
            replace(self._world.tests[test], status="ENDED", end="2026-03-01"), announce=announce
        )

    def move_alias(self, model: str, alias: str, instance: str, *, announce: bool = True) -> None:
        """Point an alias of a model at another instance."""
        found = self._world.models[model]
        aliases = dict(found.aliases) | {alias: instance}
        self.put(replace(found, aliases=tuple(aliases.items())), announce=announce)

    def weigh(self, deployment: str, weights: dict[str, int], *, announce: bool = True) -> None:
        """Shift the traffic of a deployment between its instances."""
        found = self._world.deployments[deployment]
        targets = tuple(
            replace(target, weight=weights.get(target.instance, target.weight))
            for target in found.targets
        )
        self.put(replace(found, targets=targets), announce=announce)

    def stop(self, deployment: str, *, announce: bool = True) -> None:
        """Stop a deployment."""
        self.put(replace(self._world.deployments[deployment], status="STOPPED"), announce=announce)

    def serve(self, test: str, cell: int, instance: str, *, announce: bool = True) -> None:
        """Serve *instance* in a cell of a test, in every rule for that test (or a new one)."""
        rules = [rule for rule in self._world.rules.values() if rule.test == test]
        for rule in rules or [Rule(f"Objective{test}", test, (), (), "ranker", None)]:
            cells = dict(rule.cells) | {cell: instance}
            self.put(replace(rule, cells=tuple(sorted(cells.items()))), announce=announce)

    # -- work that goes on -----------------------------------------------------------------------

    def train(self, like: str, *, announce: bool = True) -> tuple[str, str]:
        """Train a model again as instance *like* was; return the new run and instance."""
        self._additions += 1
        world, number = self._world, self._additions
        old = world.instances[like]
        run = world.runs[old.run or ""]
        when = NOW + timedelta(hours=number)
        made, again = f"{like}-again-{number}", f"{run.id}-again-{number}"
        new_run = replace(
            run,
            id=again,
            started=when,
            finished=when + timedelta(minutes=20),
            cells=(),
            outputs=(("instance", made),),
        )
        self.put(new_run, announce=announce)
        self.put(
            replace(old, id=made, run=again, created=when + timedelta(minutes=21)),
            announce=announce,
        )
        return again, made

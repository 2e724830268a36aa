"""The answers to the thirteen questions, worked out from what the shelves hold.

Each answer is a list in a fixed order, so that two truths of the same world are the same text.
Things are ``[kind, id]``; where only one kind can be meant, the id alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import TypeAlias

from lineal.testing.estate import flows
from lineal.testing.estate.flows import Chart
from lineal.testing.estate.records import Instance, Thing
from lineal.testing.estate.shelves import Shelves
from lineal.testing.estate.tools.tool import Json
from lineal.testing.estate.traps import TRAPS

Question: TypeAlias = Callable[[Thing], Json]

#: Of which kinds each question is asked.
ASKED_OF: dict[str, tuple[str, ...]] = {
    "Q1": ("model", "instance"),
    "Q2": ("model", "instance"),
    "Q3": ("feature", "feature_set", "model"),
    "Q4": ("model", "instance"),
    "Q5": ("model", "instance"),
    "Q6": ("test",),
    "Q7": ("feature", "feature_set", "table"),
    "Q8": ("feature",),
    "Q9": ("model",),
    "Q10": ("pipeline",),
    "Q11": ("instance",),
    "Q12": ("model",),
    "Q13": ("team", "user"),
}


def truth(world: Shelves, *, per_kind: int | None = 60) -> dict[str, list[dict[str, Json]]]:
    """
    Return, for each question, its subjects and their answers.

    Every thing in a trap is asked about, and at most *per_kind* others of each kind (None: all of
    them), chosen by the same dice for the same things.
    """
    answers: dict[str, list[dict[str, Json]]] = {}
    with world.lock:
        sage = Sage(world)
        for question, kinds in ASKED_OF.items():
            subjects = [s for kind in kinds for s in _subjects(world, kind, question, per_kind)]
            answers[question] = [
                {"subject": list(subject), "answer": sage.answer(question, subject)}
                for subject in subjects
            ]
    return answers


def _subjects(world: Shelves, kind: str, question: str, most: int | None) -> list[Thing]:
    known = list_of(world, kind)
    if most is None or len(known) <= most:
        return known
    trapped = {thing for players in TRAPS.values() for thing in players.values()}
    others = [thing for thing in known if thing not in trapped]
    dice = Random(f"{question} {kind}")  # noqa: S311 - no secret
    return sorted(
        {thing for thing in known if thing in trapped}
        | set(dice.sample(others, min(most, len(others))))
    )


def list_of(world: Shelves, kind: str) -> list[Thing]:
    """Return all things of one kind, in order."""
    if kind == "feature":
        return sorted(
            (kind, f"{s.id}:{f.name}") for s in world.feature_sets.values() for f in s.features
        )
    return sorted((kind, ident) for ident in world.shelf(kind))


class Sage:
    """Knows the world as a whole, and answers."""

    def __init__(self, world: Shelves) -> None:
        self.world = world
        self.active = flows.active(world)
        self.logical: Chart = flows.logical(world)
        self.exact: Chart = flows.exact(world)
        self._answers: dict[str, Question] = {
            "Q1": self.features_and_tables,
            "Q2": self.generating_pipelines,
            "Q3": self.tables_behind,
            "Q4": self.lineage,
            "Q5": self.tests_of,
            "Q6": self.tested_in,
            "Q7": self.breaking_models,
            "Q8": self.consumers_and_teams,
            "Q9": self.sharing_models,
            "Q10": self.tables_behind,
            "Q11": self.tables_and_tests,
            "Q12": self.owners_of_chain,
            "Q13": self.retirable,
        }
        self._feature_tables: dict[str, set[str]] = {}
        self._consumed = {model: self._features_of(("model", model)) for model in world.models}
        self._person_of = {
            mail.lower(): user.id for user in world.users.values() for mail in user.emails
        }

    def answer(self, question: str, subject: Thing) -> Json:
        """Answer one question about one subject."""
        return self._answers[question](subject)

    # -- features and what feeds them ------------------------------------------------------------

    def features_and_tables(self, subject: Thing) -> Json:
        """Q1: the features it consumes, and the tables that feed them."""
        features = self._features_of(subject)
        return {"features": sorted(features), "tables": sorted(self._tables_of(features))}

    def tables_behind(self, subject: Thing) -> Json:
        """Q3, Q10: all tables upstream; of a model, those behind its features."""
        if subject[0] == "model":
            return sorted(self._tables_of(self._consumed[subject[1]]))
        return _ids(self.logical.upstream(subject), "table")

    def _instances_of(self, subject: Thing) -> list[Instance]:
        """Return an instance, or the active ones of a model."""
        if subject[0] == "instance":
            return [self.world.instances[subject[1]]]
        return [
            i
            for i in self.world.instances.values()
            if i.model == subject[1] and i.id in self.active
        ]

    def _features_of(self, subject: Thing) -> set[str]:
        found: set[str] = set()
        for instance in self._instances_of(subject):
            found.update(instance.features)
            if service := self.world.feature_services.get(instance.feature_service or ""):
                found.update(service.features)
            if whole := self.world.feature_sets.get(instance.feature_set or ""):
                found.update(f"{whole.id}:{feature.name}" for feature in whole.features)
        return found

    def _tables_of(self, features: Iterable[str]) -> set[str]:
        tables: set[str] = set()
        for feature in features:
            if feature not in self._feature_tables:
                self._feature_tables[feature] = set(
                    _ids(self.logical.upstream(("feature", feature)), "table")
                )
            tables |= self._feature_tables[feature]
        return tables

    # -- lineage ---------------------------------------------------------------------------------

    def _chart(self, subject: Thing) -> Chart:
        return self.exact if subject[0] == "instance" else self.logical

    def generating_pipelines(self, subject: Thing) -> Json:
        """Q2: the pipelines upstream that write a table, snapshot or feature set upstream."""
        chart = self._chart(subject)
        above = chart.upstream(subject)
        data = {thing for thing in above if thing[0] in ("table", "snapshot", "feature_set")}
        found = set()
        for kind, ident in above:
            if kind in ("run", "pipeline") and data.intersection(chart.written_by((kind, ident))):
                run = self.world.runs.get(ident) if kind == "run" else None
                found.update([run.pipeline] if run else [ident] if kind == "pipeline" else [])
        return sorted(found)

    def lineage(self, subject: Thing) -> Json:
        """Q4: everything upstream and everything downstream, columns left out."""
        chart = self._chart(subject)
        return {
            "upstream": _things(chart.upstream(subject)),
            "downstream": _things(chart.downstream(subject)),
        }

    def tables_and_tests(self, subject: Thing) -> Json:
        """Q11: tables upstream and tests downstream of an instance."""
        tables = _ids(self.exact.upstream(subject), "table")
        return {"tables": tables, "tests": _ids(self.exact.downstream(subject), "test")}

    # -- tests -----------------------------------------------------------------------------------

    def _ways(self) -> set[tuple[str, str, str]]:
        """Return (test, instance, how) for all instances in tests."""
        found = {
            (rule.test, instance, "served")
            for rule in self.world.rules.values()
            if rule.test
            for _, instance in rule.cells
        }
        for run in self.world.runs.values():
            if run.cells:
                made = {ident for kind, ident in run.outputs if kind == "instance"}
                made |= {
                    instance.id
                    for instance in self.world.instances.values()
                    if instance.run == run.id
                }
                found |= {(cell[0], instance, "trained") for cell in run.cells for instance in made}
        return found

    def tests_of(self, subject: Thing) -> Json:
        """Q5: the tests that serve it or that it was trained for, and whether they run."""
        kind, ident = subject
        mine = (
            {ident}
            if kind == "instance"
            else {i.id for i in self.world.instances.values() if i.model == ident}
        )
        ways: dict[str, set[str]] = {}
        for test, instance, how in self._ways():
            if instance in mine:
                ways.setdefault(test, set()).add(how)
        return [
            {"test": test, "how": sorted(ways[test]), "running": self._is_running(test)}
            for test in sorted(ways)
        ]

    def tested_in(self, subject: Thing) -> Json:
        """Q6: the instances served in a test's cells or trained for it."""
        ways: dict[str, set[str]] = {}
        for test, instance, how in self._ways():
            if test == subject[1]:
                ways.setdefault(instance, set()).add(how)
        return [{"instance": instance, "how": sorted(ways[instance])} for instance in sorted(ways)]

    def _is_running(self, test: str) -> bool:
        return test in self.world.tests and self.world.tests[test].status == "ACTIVE"

    # -- impact ----------------------------------------------------------------------------------

    def breaking_models(self, subject: Thing) -> Json:
        """Q7: all models downstream."""
        return _ids(self.logical.downstream(subject), "model")

    def consumers_and_teams(self, subject: Thing) -> Json:
        """Q8: the models that consume a feature, each with its owning teams."""
        consumers = [model for model, features in self._consumed.items() if subject[1] in features]
        return [
            {"model": model, "teams": self._owning_teams(("model", model))}
            for model in sorted(consumers)
        ]

    def sharing_models(self, subject: Thing) -> Json:
        """Q9: the other models that consume some of the same features."""
        mine = self._consumed[subject[1]]
        return [
            {"model": model, "features": sorted(mine & features)}
            for model, features in sorted(self._consumed.items())
            if model != subject[1] and mine & features
        ]

    # -- owners ----------------------------------------------------------------------------------

    def owners_of_chain(self, subject: Thing) -> Json:
        """Q12: the owners of everything upstream, and of the model itself."""
        chain = sorted(
            {thing for thing in self.logical.upstream(subject) if thing[0] != "column"} | {subject}
        )
        return [{"thing": list(thing), "owners": _things(self.owners(thing))} for thing in chain]

    def owners(self, thing: Thing) -> set[Thing]:
        """Return the owners of a thing as stated; a part without any has its whole's."""
        stated = self._stated_owners(*thing)
        if stated:
            return stated
        return {owner for whole in flows.wholes(self.world, thing) for owner in self.owners(whole)}

    def _stated_owners(self, kind: str, ident: str) -> set[Thing]:
        world = self.world
        if kind == "table" and ident in world.tables:
            owner = world.tables[ident].owner
            return {owner} if owner else set()
        if kind == "feature_set" and ident in world.feature_sets:
            return {world.feature_sets[ident].owner}
        if kind == "feature_service" and ident in world.feature_services:
            return {world.feature_services[ident].owner}
        if kind == "pipeline" and ident in world.pipelines:
            return set(world.pipelines[ident].owners)
        if kind == "model" and ident in world.models:
            return {self._addressee(mail) for mail in world.models[ident].owners}
        if kind == "instance" and ident in world.instances:
            return {self._addressee(mail) for mail in world.instances[ident].owners}
        if kind == "service" and ident in world.services:
            return {("team", world.services[ident].owner)}
        return set()

    def _addressee(self, mail: str) -> Thing:
        person = self._person_of.get(mail.lower())
        return ("user", person) if person else ("email", mail)

    def _owning_teams(self, thing: Thing) -> list[str]:
        teams = set()
        for kind, ident in self.owners(thing):
            if kind == "team":
                teams.add(ident)
            if kind == "user":
                teams.update(team.id for team in self.world.teams.values() if ident in team.members)
        return sorted(teams)

    # -- what nobody uses ------------------------------------------------------------------------

    def retirable(self, subject: Thing) -> Json:
        """Q13: what a person, or a team and its people, own and no live thing depends on."""
        us: set[Thing] = {subject}
        if subject[0] == "team":
            us |= {("user", member) for member in self.world.teams[subject[1]].members}
        found = []
        for kind in ("table", "feature", "feature_set", "model"):
            for thing in list_of(self.world, kind):
                if self.owners(thing) & us and not any(
                    map(self._is_live, self.logical.downstream(thing))
                ):
                    found.append(thing)
        return _things(found)

    def _is_live(self, thing: Thing) -> bool:
        kind, ident = thing
        if kind == "test":
            return self._is_running(ident)
        if kind == "deployment" and ident in self.world.deployments:
            deployment = self.world.deployments[ident]
            return deployment.status == "SERVING" and any(
                target.weight > 0 for target in deployment.targets
            )
        return False


def _ids(things: Iterable[Thing], kind: str) -> list[str]:
    return sorted(ident for each, ident in things if each == kind)


def _things(things: Iterable[Thing]) -> list[Json]:
    return [list(thing) for thing in sorted(set(things)) if thing[0] != "column"]

"""What the built-in rules should conclude of an estate: worked out from what really happened.

Nothing here asks what any tool said, or what any rule did: it reads the shelves, where the estate
was put together, and knows where it was made up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from lineal.testing.estate import flows
from lineal.testing.estate.records import Instance, Thing
from lineal.testing.estate.shelves import Shelves

#: From what to what.
Pair: TypeAlias = tuple[Thing, Thing]
#: What no tool puts into a domain.
_UNSORTED = ("pipeline", "model", "test", "deployment", "service")


def conclusions(world: Shelves) -> dict[str, set[Pair]]:
    """
    Return, for each rule, every edge that is so.

    What a deployment runs, an evaluation measured, or a run was made for is known here even where
    a tool forgot it. Of rules whose evidence the estate was not asked for, nothing is told.
    """
    with world.lock:
        found = {
            "trained_for": set(_trained(world)),
            "trained_unserved": set(_trained_unserved(world)),
            "served_untrained": set(_served_untrained(world)),
            "superseded_version": set(_superseded(world)),
            "relies_on": set(_relied_on(world)),
        }
        if world.evidence is not None:
            found |= {
                "deployed_artifact": set(_deployed(world)),
                "evaluated_state": {
                    (("evaluation", evaluation), ("snapshot", state))
                    for evaluation, state in world.evidence.measured.items()
                },
                "owner_of_code": {
                    (("pipeline", one.id), owner)
                    for one in world.pipelines.values()
                    for owner in one.owners
                },
                "domain_of_owner": {
                    (thing, ("domain", domain))
                    for thing, domain in world.made_in.items()
                    if thing[0] in _UNSORTED
                },
            }
        return found


# -- tests --------------------------------------------------------------------------------------


def _trained(world: Shelves) -> Iterator[Pair]:
    for instance in world.instances:
        for test, *_ in flows.trained_cells(world, instance):
            yield ("instance", instance), ("test", test)


def _served(world: Shelves) -> Iterator[tuple[str, str, int]]:
    for rule in world.rules.values():
        if rule.test:
            yield from ((instance, rule.test, number) for number, instance in rule.cells)


def _trained_unserved(world: Shelves) -> Iterator[Pair]:
    served = {(("instance", instance), ("test", test)) for instance, test, _ in _served(world)}
    for pair in _trained(world):
        test = world.tests.get(pair[1][1])
        if pair not in served and test is not None and test.status == "ACTIVE":
            yield pair


def _served_untrained(world: Shelves) -> Iterator[Pair]:
    trained = set(_trained(world))
    for instance, test, number in _served(world):
        if (("instance", instance), ("test", test)) not in trained:
            yield ("instance", instance), ("cell", f"{test}/{number}")


# -- versions -----------------------------------------------------------------------------------


def _deployed(world: Shelves) -> Iterator[Pair]:
    for deployment in world.deployments.values():
        for target in deployment.targets:
            yield ("deployment", deployment.id), ("instance", target.instance)


def _superseded(world: Shelves) -> Iterator[Pair]:
    """Each older version gave way to the one in production: by alias, else by what answers."""
    of_model: dict[str, list[Instance]] = defaultdict(list)
    for instance in world.instances.values():
        of_model[instance.model].append(instance)
    answering = _answering(world)
    for model, instances in of_model.items():
        aliases = dict(world.models[model].aliases) if model in world.models else {}
        chosen = aliases.get("production") or answering.get(model)
        new = world.instances.get(chosen or "")
        for old in instances if new else ():
            assert new is not None
            if old.created < new.created:
                yield ("instance", old.id), ("instance", new.id)


def _answering(world: Shelves) -> dict[str, str]:
    """Return of each model the version that gives most answers."""
    most: dict[str, tuple[int, str]] = {}
    for deployment in world.deployments.values():
        for target in deployment.targets if deployment.status == "SERVING" else ():
            instance = world.instances.get(target.instance)
            if instance is not None and target.weight > 0:
                each = (target.weight, instance.id)
                most[instance.model] = max(each, most.get(instance.model, each))
    return {model: instance for model, (_, instance) in most.items()}


# -- teams --------------------------------------------------------------------------------------


def _relied_on(world: Shelves) -> Iterator[Pair]:
    """A team relies on the pipelines whose outputs its pipelines and models take now."""
    makers = _makers(world)
    for consumer, taken in _taken(world).items():
        for team in _teams(world, consumer):
            for thing in taken:
                for pipeline in makers.get(thing, ()):
                    yield ("team", team), ("pipeline", pipeline)


def _makers(world: Shelves) -> Mapping[Thing, set[str]]:
    found: dict[Thing, set[str]] = defaultdict(set)
    for run in world.runs.values():
        for output in run.outputs:
            found[_whole(output)].add(run.pipeline)
    for one in world.feature_sets.values():
        made = found[("feature_set", one.id)]
        made |= {one.materialized_by} if one.materialized_by else set()
        for feature in one.features:
            found[("feature", f"{one.id}:{feature.name}")] |= made
    return found


def _taken(world: Shelves) -> Mapping[Thing, set[Thing]]:
    """Return what the last run of each pipeline read, and what the versions in use take."""
    last = {run.pipeline: run for run in sorted(world.runs.values(), key=lambda one: one.started)}
    found = {
        ("pipeline", name): {_whole(read) for read in run.inputs} for name, run in last.items()
    }
    used = flows.active(world)
    for instance in world.instances.values():
        if instance.id in used:
            found.setdefault(("model", instance.model), set()).update(_takes(instance))
    for taken in found.values():
        for service in [name for kind, name in taken if kind == "feature_service"]:
            if (serving := world.feature_services.get(service)) is not None:
                taken |= {("feature", name) for name in serving.features}
    return found


def _takes(instance: Instance) -> set[Thing]:
    found = {_whole(thing) for thing in instance.trained_on}
    found |= {("feature", name) for name in instance.features}
    found |= {("feature_set", instance.feature_set)} if instance.feature_set else set()
    service = instance.feature_service
    return found | ({("feature_service", service)} if service else set())


def _whole(thing: Thing) -> Thing:
    return ("table", thing[1].rsplit("@", 1)[0]) if thing[0] == "snapshot" else thing


def _teams(world: Shelves, thing: Thing) -> set[str]:
    """Return the teams that own a thing; a person owns for the teams of the thing's own domain."""
    owners: set[Thing] = set()
    if thing[0] == "pipeline" and thing[1] in world.pipelines:
        owners = set(world.pipelines[thing[1]].owners)
    if thing[0] == "model" and thing[1] in world.models:
        login = {mail.lower(): user.id for user in world.users.values() for mail in user.emails}
        mails = world.models[thing[1]].owners
        owners = {("user", login[mail.lower()]) for mail in mails if mail.lower() in login}
    here = [one for one in world.teams.values() if one.parent == world.made_in.get(thing)]
    return {ident for kind, ident in owners if kind == "team"} | {
        team.id
        for team in here
        for kind, ident in owners
        if kind == "user" and ident in team.members
    }

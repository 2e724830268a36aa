"""Two scenes compared: which things and edges are in one of them, in both, under which names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lineal.query.diff.scenes import EdgeKey, Scene, Side

#: All names of a thing, at either moment: what it is followed by from one to the other.
Names: TypeAlias = "frozenset[int]"
#: An edge by its ends, each under all its names.
Joint: TypeAlias = "tuple[Names, str, Names]"


@dataclass(frozen=True, slots=True)
class Pair:
    """A thing under the keys that stand for it at each moment; None: it is not in the scene."""

    before: int | None
    after: int | None
    #: A key that is a name of it at both moments.
    key: int
    names: Names

    @property
    def what(self) -> str:
        """``appeared``, ``vanished``, or ``stayed``."""
        if self.before is None:
            return "appeared"
        return "vanished" if self.after is None else "stayed"


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge in one of two scenes or in both, and the edges that it stands for in each."""

    joint: Joint
    before: frozenset[EdgeKey]
    after: frozenset[EdgeKey]

    @property
    def what(self) -> str:
        """``appeared``, ``vanished``, or ``stayed``."""
        if not self.before:
            return "appeared"
        return "vanished" if not self.after else "stayed"


class Aliases:
    """What was one thing at either of two moments, followed as one."""

    def __init__(self, sides: Sequence[Side]) -> None:
        self._sides = sides
        self._names: dict[int, Names] = {}
        #: What was looked at; most things never had another name.
        self._seen: set[int] = set()

    def __getitem__(self, key: int) -> Names:
        return self._names.get(key) or frozenset({key})

    def learn(self, keys: Collection[int]) -> None:
        """Join the groups of both moments, and what those are joined to, until nothing is new."""
        joined: dict[int, set[int]] = {}
        # Only what could be read is known: where time runs out, nothing is.
        read = set[int]()
        todo = set(keys) - self._seen
        while todo:
            groups = [
                group for side in self._sides for group in side.things.groups(todo).values()
                if len(group) > 1
            ]  # fmt: skip
            for group in groups:
                merged = set[int]().union(*(joined.get(key, {key}) for key in group))
                joined.update(dict.fromkeys(merged, merged))
            read |= todo
            todo = {key for group in groups for key in group} - self._seen - read
        self._seen |= read
        self._names.update((key, frozenset(names)) for key, names in joined.items())

    def things(self, keys: Collection[int]) -> list[Names]:
        """Return things once each, in the order of the keys."""
        self.learn(keys)
        return list(dict.fromkeys(self[key] for key in sorted(keys)))


def pairs(before: Scene, after: Scene, sides: Sequence[Side], aliases: Aliases) -> list[Pair]:
    """Return each thing of two scenes once: what it was, what it is."""
    befores, afters = (_by_names(scene.keys, aliases) for scene in (before, after))
    found: list[Pair] = []
    for names in dict.fromkeys([*befores, *afters]):
        found.extend(_paired(befores.get(names, []), afters.get(names, []), sides, names))
    return found


def _by_names(keys: Iterable[int], aliases: Aliases) -> dict[Names, list[int]]:
    found: dict[Names, list[int]] = defaultdict(list)
    for key in sorted(keys):
        found[aliases[key]].append(key)
    return found


def _paired(
    befores: Sequence[int], afters: Sequence[int], sides: Sequence[Side], names: Names
) -> list[Pair]:
    """Let what was one thing, and is several, go on as one of them; the others only parted."""
    if not befores or not afters:
        gone = [Pair(key, None, key, names) for key in befores]
        return gone + [Pair(None, key, key, names) for key in afters]
    was, now = (side.things.groups(names) for side in sides)
    left, found = list(befores), list[Pair]()
    for key in afters:
        same = [one for one in left if was[one] & now[key]]
        same.sort(key=lambda one: (key not in was[one], one))
        if same:
            left.remove(same[0])
            both = was[same[0]] & now[key]
            found.append(Pair(same[0], key, key if key in both else min(both), names))
    return found


def edges(before: Scene, after: Scene, aliases: Aliases) -> list[Edge]:
    """Return each edge of two scenes once, with what it stands for in each."""
    befores, afters = (joints(scene, aliases) for scene in (before, after))
    nothing = frozenset[EdgeKey]()
    return [
        Edge(joint, befores.get(joint, nothing), afters.get(joint, nothing))
        for joint in dict.fromkeys([*befores, *afters])
    ]


def joints(scene: Scene, aliases: Aliases) -> dict[Joint, frozenset[EdgeKey]]:
    """Return the edges of a scene, each end under all its names; none within one thing."""
    found: dict[Joint, frozenset[EdgeKey]] = {}
    for (start, kind, end), raw in scene.edges.items():
        joint = (aliases[start], kind, aliases[end])
        if joint[0] != joint[2]:
            found[joint] = found.get(joint, frozenset()) | raw
    return found

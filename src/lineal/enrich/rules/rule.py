"""A rule as it is kept: a path, what must hold on it, and the edge that it gives."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from lineal.enrich.rules.conditions import Condition

#: Of which layers edges are looked at, unless a rule says so: what is only suggested is no reason.
BELIEVED = frozenset({"declared", "observed", "inferred"})


@dataclass(frozen=True, slots=True)
class Leg:
    """
    What joins two neighbouring places of a path.

    Edges of some kinds and layers, gone from *least* to *most* times; or, where *values* are named,
    that the attribute of the one place is equal to that of the other.
    """

    kinds: tuple[str, ...]
    forward: bool = True
    layers: frozenset[str] = BELIEVED
    least: int = 1
    most: int = 1
    values: tuple[str, str] | None = None
    #: By which name conditions speak of the edge, and what must hold of it.
    name: str | None = None
    where: tuple[Condition, ...] = ()

    @property
    def is_single(self) -> bool:
        """Whether it is one edge."""
        return self.values is None and (self.least, self.most) == (1, 1)


@dataclass(frozen=True, slots=True)
class Path:
    """Places by name and type, and the legs between them: one more place than legs."""

    names: tuple[str | None, ...]
    types: tuple[frozenset[str], ...]
    legs: tuple[Leg, ...]

    def turned(self) -> Path:
        """Return the same path, gone from its other end."""
        legs = (
            replace(
                leg,
                forward=not leg.forward,
                values=None if leg.values is None else leg.values[::-1],
            )
            for leg in reversed(self.legs)
        )
        return Path(self.names[::-1], self.types[::-1], tuple(legs))


@dataclass(frozen=True, slots=True)
class Absent:
    """A path that there must not be: from a place of the rule's path, perhaps to another."""

    path: Path
    anchor: int
    end: int | None
    #: At which place of the rule's path that stands which the end must be another thing than.
    other: int | None = None

    def narrows(self, path: Path) -> bool:
        """Does it begin at fewer types than may stand at its place of the rule's path?"""
        return not path.types[self.anchor] <= self.path.types[0]


@dataclass(frozen=True, slots=True)
class Rule:
    """A path pattern and the edge that it gives."""

    name: str
    version: str
    path: Path
    #: What must hold of its things; what must hold of an edge stands at its leg.
    where: tuple[Condition, ...]
    unless: tuple[Absent, ...]
    gives: str
    #: The places at which the edge begins and ends: one of them is the first of the path, by the
    #: things of which the conclusions are kept.
    start: int
    end: int
    layer: str
    #: How sure it is, from above 0 to 1.
    confidence: float
    why: str
    #: What the edge means, and when it is wrong; for people.
    means: str
    wrong_when: str
    #: Whether it concludes before anybody says so.
    enabled: bool
    #: A digest of all that it says: what two databases agree on, and what a change of it shows.
    digest: bytes
    #: The text it was read from, and the name of the file.
    text: str
    file: str

    @property
    def by_start(self) -> bool:
        """Whether conclusions are kept by the things at which the given edges begin."""
        return self.start == 0

    def paths(self) -> Iterator[tuple[int, Path]]:
        """Yield its path, as 0, and those that there must not be."""
        yield 0, self.path
        for number, absent in enumerate(self.unless, 1):
            yield number, absent.path

    def may_conclude(self, knows: Callable[[Collection[str]], Collection[int]]) -> bool:
        """Tell whether there ever was an edge for each leg that needs one, as *knows* says."""
        return all(
            knows(leg.kinds) for leg in self.path.legs if leg.values is None and leg.least > 0
        )

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of all edges that it looks at."""
        return frozenset(
            kind for _, path in self.paths() for leg in path.legs for kind in leg.kinds
        )

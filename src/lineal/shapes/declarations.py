"""The declarations themselves: an attribute, an entity type, an edge kind. Frozen, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from lineal.model import Layer

#: What the value of an attribute can be.
ATTRIBUTE_TYPES = ("text", "number", "bool", "time", "list", "map", "uri", "enum")

#: Whether and how a walk takes an edge. The first four say which way data goes.
CLASSES = ("data", "serve", "feedback", "control", "level", "none", "identity")
STEP_CLASSES = ("data", "serve", "feedback", "control")

#: `event`: it happened, and stays true. `state`: it is true while it lasts.
NATURES = ("event", "state")

#: `back`: data goes from the edge's end to its start. `forth`: from its start to its end.
FLOWS = {"back": -1, "forth": 1, "none": 0}

#: `exact`: in a logical walk the thing counts as its whole.
GRAINS = ("logical", "exact")

#: In place of a list of types: every type; the same type as the start of the edge.
ANY = "any"
SAME = "same"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing that can be said of an entity or an edge."""

    name: str
    #: One of `ATTRIBUTE_TYPES`.
    type: str
    description: str
    #: The words an `enum` may hold; empty for every other type.
    values: tuple[str, ...] = ()
    #: Its text is searched.
    search: bool = False
    #: Answers are counted and filtered by it.
    facet: bool = False
    #: It tells of a person, who may ask for it to be erased.
    personal: bool = False
    #: Names it had before, still understood.
    aliases: tuple[str, ...] = ()
    #: Why it should not be used any more; empty while it should.
    deprecated: str = ""


@dataclass(frozen=True, slots=True)
class EntityType:
    """One sort of thing: what it is called and what can be said of it."""

    name: str
    plural: str
    domain: str
    title: str
    description: str
    #: Its own attributes first, then those that every type has.
    attributes: tuple[Attribute, ...] = ()
    #: The level kind that joins it to its whole, if it is a part.
    part_of_kind: str | None = None
    #: Where a walk from it begins, one of `GRAINS`.
    grain: str = "logical"
    #: There are many of it, made by the clock: most need not be held in memory.
    occurrence: bool = False
    #: How long an edge of it counts after it was last seen; None is for ever.
    window: timedelta | None = None
    #: The words of `status` under which it is in use: what depends on it can break.
    live: tuple[str, ...] = ()

    def attribute(self, name: str) -> Attribute | None:
        """Return the attribute of this name or alias, if there is one."""
        return next((a for a in self.attributes if name == a.name or name in a.aliases), None)

    @property
    def status(self) -> tuple[str, ...]:
        """The words its `status` may hold; empty if it has none."""
        attribute = self.attribute("status")
        return attribute.values if attribute else ()


@dataclass(frozen=True, slots=True)
class Join:
    """Which types an edge may start from and end at: any of these with any of those."""

    #: Type names, or `ANY` alone.
    from_types: tuple[str, ...]
    #: Type names, or `SAME` alone.
    to_types: tuple[str, ...]

    def allows(self, from_type: str, to_type: str) -> bool:
        """Tell whether an edge may go from the one type to the other."""
        if ANY not in self.from_types and from_type not in self.from_types:
            return False
        return from_type == to_type if SAME in self.to_types else to_type in self.to_types


@dataclass(frozen=True, slots=True)
class NatureRule:
    """The nature of those edges whose ends are of these types; None is any type."""

    from_type: str | None
    to_type: str | None
    nature: str

    def covers(self, from_type: str, to_type: str) -> bool:
        """Tell whether the rule is about an edge between these types."""
        return self.from_type in (None, from_type) and self.to_type in (None, to_type)


@dataclass(frozen=True, slots=True)
class EdgeKind:
    """One sort of relationship: between what, which way data goes, how it is walked."""

    name: str
    #: The other spelling, read from the end to the start.
    inverse: str
    description: str
    joins: tuple[Join, ...]
    #: One of `CLASSES`.
    class_: str
    #: The first rule that covers an edge decides; the last one covers all.
    nature_rules: tuple[NatureRule, ...]
    #: One of `FLOWS`.
    flow: str = "none"
    #: How we believe it where nobody says otherwise.
    layer: Layer = Layer.DECLARED
    attributes: tuple[Attribute, ...] = ()
    #: How many such steps in a row a walk takes unless asked for more; None is no limit.
    depth: int | None = None
    #: How long it counts after it was last seen; None leaves it to its ends.
    window: timedelta | None = None
    #: It says that something may be wrong, and is shown as such.
    finding: bool = False

    @property
    def symmetric(self) -> bool:
        """Whether it reads the same from both ends."""
        return self.inverse == self.name

    @property
    def from_types(self) -> tuple[str, ...]:
        """The types it may start from, or `ANY`."""
        return tuple(dict.fromkeys(name for join in self.joins for name in join.from_types))

    @property
    def to_types(self) -> tuple[str, ...]:
        """The types it may end at, or `SAME`."""
        return tuple(dict.fromkeys(name for join in self.joins for name in join.to_types))

    def allows(self, from_type: str, to_type: str) -> bool:
        """Tell whether it may go from the one type to the other."""
        return any(join.allows(from_type, to_type) for join in self.joins)

    def nature(self, from_type: str, to_type: str) -> str:
        """Return `event` or `state` for an edge of this kind between these types."""
        return next(rule.nature for rule in self.nature_rules if rule.covers(from_type, to_type))

    def attribute(self, name: str) -> Attribute | None:
        """Return the attribute of this name or alias, if there is one."""
        return next((a for a in self.attributes if name == a.name or name in a.aliases), None)

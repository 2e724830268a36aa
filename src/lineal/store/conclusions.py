"""What rules say to the store, and the store to rules: changes, conclusions, work that is put off.

For some starts a rule says everything anew, as a source does for a document; `following` writes the
difference.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from lineal.digests import EdgeId
from lineal.model import Instant, Json, Uri
from lineal.store.reading import Reader

#: How a support is called that is no edge: both ends have an equal value of these attributes.
EQUAL = "="

#: An edge that a derivation rests on, by the keys of its ends.
Support: TypeAlias = "tuple[int, str, int]"


@dataclass(frozen=True, slots=True)
class Change:
    """What a transaction has changed so far, for those who conclude from it."""

    #: The things whose attributes changed, or that are new.
    things: Collection[Uri]
    #: The edges that began, ended or changed; what is concluded comes to them.
    edges: Collection[EdgeId]
    #: What was said of things until now, where it was replaced or taken back.
    was: Mapping[Uri, Sequence[Mapping[str, Json]]] = field(default_factory=dict)
    #: The rules that are not in use.
    idle: Collection[str] = frozenset()


class Derivation(NamedTuple):
    """One way in which a rule concludes an edge; things are told by their keys."""

    start: int
    end: int
    #: The edges it rests on, in the order of the rule's pattern.
    supports: tuple[Support, ...]
    valid_from: Instant
    valid_to: Instant | None
    #: What its reason speaks of.
    things: tuple[int, ...] = ()


class Concluded(NamedTuple):
    """An edge as all its derivations together give it."""

    valid_from: Instant
    valid_to: Instant | None
    #: What the rule says of it beside that it is so, such as how sure it is.
    about: Mapping[str, Json] | None = None


#: Says in words why a derivation is so, given the URIs of its `Derivation.things`.
Why: TypeAlias = "Callable[[Derivation, Mapping[int, Uri]], str]"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """All that one rule concludes for some things: it replaces what it concluded before."""

    rule: str
    version: str
    #: The kind of the edges.
    kind: str
    starts: Collection[int]
    derivations: Collection[Derivation]
    #: What of some edges is to be said, by the keys of their ends; of an edge that is not told of
    #: here there is one derivation, and it is so as that is.
    told: Mapping[tuple[int, int], Concluded]
    why: Why
    layer: str = "inferred"
    #: True where *starts* are what the edges begin at, False where they end there.
    by_start: bool = True

    def edges(self) -> dict[tuple[int, int], Concluded]:
        """Return the edges as all derivations together give them, by the keys of their ends."""
        told = self.told
        found = {
            (start, end): Concluded(since, until)
            for start, end, _, since, until, _ in self.derivations
            if (start, end) not in told
        }
        found.update(told)
        return found


@dataclass(frozen=True, slots=True)
class PutOff:
    """Work of a rule that is not done in this transaction: where to go on, and with what."""

    rule: str
    #: Positions, which only the rule understands, and keys of things.
    places: tuple[tuple[int, int], ...]
    #: After which other thing to go on.
    after: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """A thing for which a rule concludes nothing, because it would be too much."""

    rule: str
    key: int
    error: str


Step: TypeAlias = "Conclusion | PutOff | Failed"


@dataclass(frozen=True, slots=True)
class Program:
    """A rule as the store keeps it up."""

    name: str
    #: Of all that it says; another digest is another rule.
    digest: bytes
    #: The types of the things by which its conclusions are kept.
    types: frozenset[str]
    version: str
    #: Whether it is in use before anybody says so.
    enabled: bool = True


class Rules(Protocol):
    """Concludes edges from edges; pure over a reader of the transaction."""

    @property
    def seeds(self) -> frozenset[str]:
        """Kinds of edges: shown every one of them as changed, what is no program concludes all."""

    @property
    def programs(self) -> tuple[Program, ...]:
        """The rules that are kept up one by one, each after those whose edges it looks at."""

    def conclude(self, change: Change, reader: Reader, most: int | None = None) -> Iterable[Step]:
        """
        Return what each rule concludes for everything that the change may touch.

        What of one rule is more than *most* things is put off.
        """

    def may_conclude(self, name: str, knows: Callable[[Collection[str]], Collection[int]]) -> bool:
        """
        Return False where one rule concludes nothing, whatever it is asked for.

        *knows* returns something for each of some kinds of which there ever was an edge.
        """

    def conclude_for(self, name: str, starts: Sequence[int], reader: Reader) -> Iterable[Step]:
        """Return what one rule concludes for these things, which are of its program's types."""

    def go_on(
        self, name: str, position: int, keys: Sequence[int], after: int, reader: Reader, most: int
    ) -> Iterable[Step]:
        """Go on with what one rule put off, a bounded piece of it."""

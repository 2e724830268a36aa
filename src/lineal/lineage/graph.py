"""What a walk needs of the graph, and a step over it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from lineal.model import Instant, Json, Uri


@dataclass(frozen=True, slots=True)
class Link:
    """One claim of an edge, as a walk needs it."""

    src: int
    kind: str
    dst: int
    layer: str
    document: int
    valid_from: Instant
    valid_to: Instant | None = None


class Graph(Protocol):
    """The graph at one moment."""

    def outward(
        self, keys: Iterable[int], kinds: Collection[str], most: int | None = None
    ) -> list[Link]:
        """
        Return the edges of these kinds that begin at these things.

        With *most*, at most so many and one more, which says that there are more.
        """

    def inward(
        self, keys: Iterable[int], kinds: Collection[str], most: int | None = None
    ) -> list[Link]:
        """Return the edges of these kinds that end at these things; *most* as for `outward`."""

    def groups(self, keys: Collection[int]) -> dict[int, frozenset[int]]:
        """Return for each thing all that are the same thing under other names, itself too."""

    def types(self, keys: Iterable[int]) -> dict[int, str]:
        """Return the types of these things."""

    def uris(self, keys: Iterable[int]) -> dict[int, Uri]:
        """Return the URIs of these things."""

    def attributes(self, keys: Iterable[int]) -> dict[int, dict[str, Json]]:
        """Return what is said of these things."""

    def fine_documents(self, documents: Iterable[int]) -> set[int]:
        """Return those documents that state edges of columns or features."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a walk, in the direction of the walk."""

    start: int
    kind: str
    end: int
    layer: str
    possible: bool
    #: The ends of the edge that the step goes over; they differ where it was lifted to a whole.
    edge: tuple[int, str, int]
    #: By law 3: where it leads is shown, and not gone on from.
    shown: bool = False

"""The things of a picture: nodes and links as given, places and routes as drawn."""

from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Node:
    """One entity to draw."""

    id: str
    title: str
    kind: str
    note: str = ""
    href: str | None = None
    #: The picture is about this node: it gets the heavy outline.
    focus: bool = False
    #: It serves traffic now.
    live: bool = False
    #: It is shown for context only.
    faded: bool = False
    #: How many further neighbours are not drawn, on each side.
    upstream_more: int = 0
    downstream_more: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """One relationship to draw, from *start* to *end* in the direction in which data flows."""

    start: str
    end: str
    label: str
    #: Why it is believed: declared, observed, inferred or suggested.
    layer: str = "declared"
    #: It leads back to an earlier step, and has no say in where things stand.
    feedback: bool = False
    #: It may hold, but need not.
    possible: bool = False


class Point(NamedTuple):
    """A point of the picture; y grows downwards."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands: its centre, its size, and its column counted from the left."""

    node: Node
    x: float
    y: float
    width: float
    height: float
    column: int

    @property
    def left(self) -> float:
        """The left side, where links arrive."""
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        """The right side, where links leave."""
        return self.x + self.width / 2

    @property
    def top(self) -> float:
        """The upper side."""
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        """The lower side."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Route:
    """How a link runs."""

    link: Link
    #: An SVG path, from the start to just before the tip.
    path: str
    tip: Point
    heading: Literal["right", "down"]
    #: It runs against the reading direction: a feedback, or the link that closes a cycle.
    back: bool
    #: Where its label and its marks are centred.
    middle: Point
    #: There is room to show the label all the time.
    labelled: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """A picture ready to be drawn; its origin is the centre of the focus."""

    #: In reading order: left to right, then top to bottom.
    places: tuple[Place, ...]
    routes: tuple[Route, ...]
    left: float
    top: float
    width: float
    height: float

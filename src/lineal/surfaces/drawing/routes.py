"""How links run between places: through the gaps between columns, or around on lanes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lineal.surfaces.drawing import text
from lineal.surfaces.drawing.things import Link, Place, Point, Route

LABEL_SIZE = 10.5
#: How long the head of an arrow is.
TIP = 7.0
LANE_GAP = 20.0
_TURN = 10.0
#: Within this distance the same label is not said again.
_ECHO = 70.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its sides."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Whether the two overlap."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def number(value: float) -> str:
    """
    Return a coordinate in its shortest form.

    >>> number(12.0), number(-0.04), number(3.26)
    ('12', '0', '3.3')
    """
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0").replace("-0.0", "0")


def through(link: Link, way: Sequence[tuple[float, float, float]], shift: float) -> Route:
    """Return a route along *way*, stations by left side, right side and height."""
    stations = [(left, right, y + shift) for left, right, y in way]
    (_, x, y), (end, _, end_y) = stations[0], stations[-1]
    parts = [f"M{number(x)} {number(y)}"]
    for left, right, height in stations[1:]:
        last = left == end
        stop = left - TIP if last else left
        half = (x + stop) / 2
        parts.append(
            f"H{number(stop)}"
            if abs(height - y) < 0.1
            else "C" + " ".join(map(number, (half, y, half, height, stop, height)))
        )
        if not last:
            parts.append(f"H{number(right)}")
        before, x, y = Point(x, y), right, height
    middle = Point((before.x + end) / 2, (before.y + end_y) / 2)
    return Route(link, "".join(parts), Point(end, end_y), "right", False, middle, False)


def loop(link: Link, place: Place, turn: int) -> Route:
    """Return the small loop of a link that ends where it starts."""
    start, end = place.right - 44 - 8 * turn, place.right - 18
    high = place.top - 20
    curve = (start, high, end, high, end, place.top - TIP)
    path = f"M{number(start)} {number(place.top)}C" + " ".join(map(number, curve))
    middle = Point((start + end) / 2, place.top - 14)
    return Route(link, path, Point(end, place.top), "down", True, middle, False)


@dataclass(slots=True)
class Lanes:
    """The ways around: each lane lies clear of all columns it passes, and of other lanes."""

    #: The top and the bottom of what stands in each column.
    extents: list[tuple[float, float]]
    taken: list[Box] = field(default_factory=list)

    def around(self, link: Link, start: Place, end: Place, *, back: bool) -> Route:
        """Return a route over or under everything, whichever is nearer."""
        first, last = sorted((start.column, end.column))
        top = min(extent[0] for extent in self.extents[first : last + 1])
        bottom = max(extent[1] for extent in self.extents[first : last + 1])
        under = 2 * bottom - start.y - end.y <= start.y + end.y - 2 * top
        lane, rank = self._free(start, end, bottom if under else top, 1 if under else -1)
        port = 10.0 if under else -10.0
        out = start.right + 14 + 5 * min(rank, 4)
        back_in = end.left - TIP - 14 - 5 * min(rank, 4)
        tip = Point(end.left, end.y + port)
        path = _bracket(Point(start.right, start.y + port), lane, out, back_in, tip)
        middle = Point((out + back_in) / 2, lane)
        return Route(link, path, tip, "right", back, middle, bool(link.label))

    def _free(self, start: Place, end: Place, edge: float, side: int) -> tuple[float, int]:
        left = min(start.right, end.left) - 40
        right = max(start.right, end.left) + 40
        lane, half = edge + side * 26, LANE_GAP / 2
        besides = [box for box in self.taken if box.left < right and left < box.right]
        for box in sorted(besides, key=lambda box: side * box.top):
            if box.top < lane + half and lane - half < box.bottom:
                lane = (box.top + box.bottom) / 2 + side * LANE_GAP
        self.taken.append(Box(left, lane - half, right, lane + half))
        return lane, round(abs(lane - edge) / LANE_GAP) - 1


def _bracket(start: Point, lane: float, out: float, back_in: float, tip: Point) -> str:
    """Return the path that leaves to the right, runs along *lane*, and enters from the left."""
    corners = [
        start,
        Point(out, start.y),
        Point(out, lane),
        Point(back_in, lane),
        Point(back_in, tip.y),
        Point(tip.x - TIP, tip.y),
    ]
    parts = [f"M{number(start.x)} {number(start.y)}"]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        near, far = _towards(corner, before), _towards(corner, after)
        parts.append(f"L{number(near.x)} {number(near.y)}")
        parts.append("Q" + " ".join(map(number, (*corner, *far))))
    return "".join(parts) + f"H{number(tip.x - TIP)}"


def _towards(corner: Point, other: Point) -> Point:
    """Return the point where the rounding of *corner* ends on the way to *other*."""
    x, y = other.x - corner.x, other.y - corner.y
    length = abs(x) + abs(y)
    share = min(_TURN / length, 0.5) if length else 0
    return Point(corner.x + x * share, corner.y + y * share)


def label_width(link: Link) -> float:
    """Return how wide the label of *link* is drawn, with its mark."""
    words = text.width(text.clean(link.label), LABEL_SIZE) + 6
    return words + (16 if link.possible or link.feedback else 0)


def with_labels(routes: Sequence[Route], gaps: Sequence[float], columns: Sequence[int]) -> set[int]:
    """Return which routes can show their label: it fits its gap, is clear of others, says more."""
    starts = Counter((route.link.start, route.link.label) for route in routes)
    ends = Counter((route.link.end, route.link.label) for route in routes)
    said: set[tuple[str, str, str]] = set()
    shown: set[int] = set()
    taken: dict[tuple[int, str], list[Box]] = {}
    for index in _by_prominence(routes):
        link, column = routes[index].link, columns[index]
        groups = [("from", link.start, starts), ("to", link.end, ends)]
        keys = {(way, id_, link.label) for way, id_, n in groups if n[id_, link.label] > 2}
        box = _label_box(routes[index])
        fits = box.right - box.left <= gaps[column] - TIP
        near = [other for other in taken.get((column, link.label), ()) if box.meets(other)]
        if keys & said or not fits or near or any(map(box.meets, taken.get((column, ""), ()))):
            continue
        shown.add(index)
        said |= keys
        taken.setdefault((column, ""), []).append(box)
        wide = Box(box.left - 99, box.top - _ECHO, box.right + 99, box.bottom + _ECHO)
        taken.setdefault((column, link.label), []).append(wide)
    return shown


def _by_prominence(routes: Sequence[Route]) -> Iterable[int]:
    """Return the routes through the grid that have a label, the most level first."""
    through_ = [n for n, r in enumerate(routes) if r.link.label and not r.labelled and not r.back]
    return sorted(through_, key=lambda n: (abs(routes[n].tip.y - routes[n].middle.y), n))


def _label_box(route: Route) -> Box:
    half = label_width(route.link) / 2
    x, y = route.middle
    return Box(x - half, y - 8, x + half, y + 8)

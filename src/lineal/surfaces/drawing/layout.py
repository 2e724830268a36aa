"""Where the things of a lineage stand: columns from left to right, the focus at the origin.

Pure, and the same for the same things whatever order they come in.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil

from lineal.surfaces.drawing import text
from lineal.surfaces.drawing.columns import Arc, Grid, arrange
from lineal.surfaces.drawing.routes import Lanes, label_width, loop, through, with_labels
from lineal.surfaces.drawing.rows import HEIGHT, settle, untangle
from lineal.surfaces.drawing.things import Layout, Link, Node, Place, Route

TITLE_SIZE, NOTE_SIZE = 13.0, 11.0
#: Where the words begin, and how much stays free behind them.
TEXT_LEFT, TEXT_RIGHT = 46.0, 14.0
#: How wide the mark of a live node is.
LIVE_WIDTH = 40.0
_NARROWEST, _WIDEST = 136.0, 272.0
_GAP, _WIDEST_GAP = 64.0, 150.0
#: A gap in which links turn towards their lanes.
_AROUND_GAP = 96.0
_MARGIN = 24.0


@dataclass(frozen=True, slots=True)
class _Frame:
    """The columns as drawn: left sides and widths, and the free gap after each."""

    lefts: list[float]
    widths: list[float]
    gaps: list[float]


def layout(nodes: Iterable[Node], links: Iterable[Link], *, focus: str | None) -> Layout:
    """
    Return where *nodes* stand and how *links* run, with *focus* at the origin.

    A link one of whose ends is not among the nodes is left out; so is a repeated one.

    >>> picture = layout(
    ...     [Node("d", "plays", "dataset"), Node("m", "ranker", "model")],
    ...     [Link("d", "m", "trains")],
    ...     focus="m",
    ... )
    >>> [(place.node.title, place.column) for place in picture.places]
    [('plays', 0), ('ranker', 1)]
    """
    known = _sorted_nodes(nodes)
    index = {node.id: place for place, node in enumerate(known)}
    chosen = _sorted_links(links, index)
    arcs = [_arc(link, index) for link in chosen]
    grid = arrange(len(known), arcs)
    centre = index.get(focus) if focus is not None else None
    heights = settle(grid, untangle(grid), centre)
    level = heights[centre] if centre is not None else 0.0
    heights = [float(round(height - level)) for height in heights]
    frame = _frame(grid, known, chosen, arcs, heights, centre)
    places = _places(grid, known, frame, heights)
    return _assemble(places, _Drawing(grid, frame, heights, places, chosen, arcs).routes())


def _sorted_nodes(nodes: Iterable[Node]) -> list[Node]:
    ordered = sorted(nodes, key=lambda node: (node.id, repr(node)), reverse=True)
    return [node for _, node in sorted({node.id: node for node in ordered}.items())]


def _sorted_links(links: Iterable[Link], index: dict[str, int]) -> list[Link]:
    inside = {link for link in links if link.start in index and link.end in index}
    return sorted(
        inside,
        key=lambda link: (
            *(link.start, link.end, link.label, link.layer),
            *(link.feedback, link.possible),
        ),
    )


def _arc(link: Link, index: dict[str, int]) -> Arc:
    bundle = (link.layer, link.possible)
    return Arc(index[link.start], index[link.end], bundle, link.feedback)


def subtitle(node: Node) -> str:
    """Return the second line of *node*: its kind, and its note."""
    return " · ".join(filter(None, (text.spoken(node.kind), text.clean(node.note))))


def _node_width(node: Node) -> float:
    under = text.width(subtitle(node), NOTE_SIZE) + (LIVE_WIDTH if node.live else 0)
    words = max(text.width(text.clean(node.title), TITLE_SIZE), under)
    return min(max(TEXT_LEFT + words + TEXT_RIGHT, _NARROWEST), _WIDEST)


def _frame(
    grid: Grid,
    nodes: list[Node],
    links: list[Link],
    arcs: list[Arc],
    heights: list[float],
    centre: int | None,
) -> _Frame:
    widths = _widths(grid, nodes)
    gaps = _gaps(grid, links, arcs, heights)
    lefts, at = [], 0.0
    for width, gap in zip(widths, gaps, strict=True):
        lefts.append(at)
        at += width + gap
    middle = grid.column_of[centre] if centre is not None else -1
    origin = lefts[middle] + widths[middle] / 2 if centre is not None else 0.0
    return _Frame([left - origin for left in lefts], widths, gaps)


def _widths(grid: Grid, nodes: list[Node]) -> list[float]:
    return [
        2.0 * ceil(max((_node_width(nodes[n]) for n in column if n < grid.nodes), default=60) / 2)
        for column in grid.columns
    ]


def _gaps(grid: Grid, links: list[Link], arcs: list[Arc], heights: list[float]) -> list[float]:
    """Return the free space after each column: wide enough for labels and steep links."""
    gaps = [_GAP for _ in grid.columns]
    for item, column in enumerate(grid.column_of):
        steepest = max((abs(heights[item] - heights[end]) for end in grid.downs[item]), default=0)
        gaps[column] = max(gaps[column], min(_GAP + steepest / 9, _WIDEST_GAP))
    for number, arc in enumerate(arcs):
        before, after = grid.column_of[arc.end] - 1, grid.column_of[arc.start]
        if number in grid.bends:
            gaps[before] = max(gaps[before], min(label_width(links[number]) + 32, _WIDEST_GAP))
        elif arc.start != arc.end:
            # Before the first column is the gap after the last: nobody sees either.
            gaps[after] = max(gaps[after], _AROUND_GAP)
            gaps[before] = max(gaps[before], _AROUND_GAP)
    return [float(round(gap)) for gap in gaps]


def _places(grid: Grid, nodes: list[Node], frame: _Frame, heights: list[float]) -> list[Place]:
    places = []
    for number, node in enumerate(nodes):
        column = grid.column_of[number]
        width = frame.widths[column]
        x = frame.lefts[column] + width / 2
        places.append(Place(node, x, heights[number], width, HEIGHT, column))
    return places


@dataclass(frozen=True, slots=True)
class _Drawing:
    """All that is known once the nodes stand."""

    grid: Grid
    frame: _Frame
    heights: list[float]
    places: list[Place]
    links: list[Link]
    arcs: list[Arc]

    def routes(self) -> list[Route]:
        """Return the route of every link."""
        lanes, routes = Lanes(self._extents()), dict[int, Route]()
        shifts = self._shifts()
        for number, bends in self.grid.bends.items():
            routes[number] = self._through(number, bends, shifts[number])
        rest = [number for number in range(len(self.links)) if number not in routes]
        for number in sorted(rest, key=lambda n: (abs(self._span(n)), n)):
            routes[number] = self._besides(number, lanes, shifts[number])
        return self._labelled([route for _, route in sorted(routes.items())])

    def _through(self, number: int, bends: list[int], shift: float) -> Route:
        arc = self.arcs[number]
        way = []
        for item in (arc.start, *bends, arc.end):
            column = self.grid.column_of[item]
            left = self.frame.lefts[column]
            way.append((left, left + self.frame.widths[column], self.heights[item]))
        return through(self.links[number], way, shift)

    def _besides(self, number: int, lanes: Lanes, shift: float) -> Route:
        arc, link, span = self.arcs[number], self.links[number], self._span(number)
        start, end = self.places[arc.start], self.places[arc.end]
        if arc.start == arc.end:
            return loop(link, start, int(shift))
        if span == 1:
            return self._through(number, [], shift)
        return lanes.around(link, start, end, back=link.feedback or span < 1)

    def _span(self, number: int) -> int:
        arc = self.arcs[number]
        return self.places[arc.end].column - self.places[arc.start].column

    def _shifts(self) -> list[float]:
        """Return how far each link must step aside for others between the same two nodes."""
        totals = Counter((arc.start, arc.end) for arc in self.arcs)
        seen: Counter[tuple[int, int]] = Counter()
        shifts = []
        for arc in self.arcs:
            pair = (arc.start, arc.end)
            step = min(16.0, 36.0 / totals[pair])
            shifts.append((seen[pair] - (totals[pair] - 1) / 2) * step)
            seen[pair] += 1
        return shifts

    def _extents(self) -> list[tuple[float, float]]:
        rows: dict[int, list[float]] = defaultdict(list)
        for item, column in enumerate(self.grid.column_of):
            rows[column].append(self.heights[item])
        half = HEIGHT / 2
        return [(min(rows[n]) - half, max(rows[n]) + half) for n in range(len(rows))]

    def _labelled(self, routes: Sequence[Route]) -> list[Route]:
        gaps = [self.places[arc.end].column - 1 for arc in self.arcs]
        shown = with_labels(routes, self.frame.gaps, gaps)
        return [
            replace(route, labelled=route.labelled or number in shown)
            for number, route in enumerate(routes)
        ]


def _assemble(places: list[Place], routes: list[Route]) -> Layout:
    ordered = sorted(places, key=lambda place: (place.column, place.y, place.node.id))
    xs, ys = [0.0], [0.0]
    if places:
        xs = [side for place in places for side in (place.left, place.right)]
        ys = [side for place in places for side in (place.top, place.bottom)]
    for route in routes:
        ys += [route.middle.y - 14, route.middle.y + 14]
        xs += [route.middle.x, *_outermost(route)]
    left, top = min(xs) - _MARGIN, min(ys) - _MARGIN
    width, height = max(xs) + _MARGIN - left, max(ys) + _MARGIN - top
    return Layout(tuple(ordered), tuple(routes), left, top, width, height)


def _outermost(route: Route) -> tuple[float, float]:
    """Return how far left and right a way around may reach beside its ends."""
    wide = 40.0 if route.back and route.heading == "right" else 0.0
    start = 2 * route.middle.x - route.tip.x
    return min(route.tip.x, start) - wide, max(route.tip.x, start) + wide

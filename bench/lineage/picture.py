"""A log-log picture: seconds against size, a line for each engine, readable in light and dark.

Self-contained SVG. Lines differ by colour and by mark, and each is named where it ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 640
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 190, 64, 56
#: How far apart the names of two lines are at least.
_LINE = 17
_COLOURS = {
    "limit": ("#4a5568", "#a8b4c6"),
    "ours": ("#b4235a", "#ff8ab4"),
    "library": ("#1f5fa8", "#8cbcf5"),
    "stored": ("#2c6e31", "#8fd394"),
}
_SORTS = {
    "limit": "the limit in C", "ours": "Lineal", "library": "libraries in memory",
    "stored": "stored",
}  # fmt: skip
_MARKS = "ostdx"
_FONT = '"Segoe UI", Roboto, "Helvetica Neue", Arial, "Liberation Sans", sans-serif'

Curve = Sequence[tuple[int, float]]


def draw(curves: Mapping[str, Curve], sorts: Mapping[str, str], title: str) -> str:
    """Return the picture of curves, sizes and seconds for each engine; *sorts* says what it is."""
    lines = {name: _smoothed(curve) for name, curve in curves.items() if curve}
    points = [point for curve in lines.values() for point in curve] or [(1.0, 1e-6), (10.0, 1e-3)]
    plane = _Plane(points)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
        f" aria-labelledby=\"t d\" font-family='{_FONT}'>",
        f'<title id="t">Cost of a closure against its size: {escape(title)}</title>',
        f'<desc id="d">{escape(_told(lines))}</desc>',
        f"<style>{_style()}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>',
        f'<text class="title" x="{_LEFT}" y="26">Downstream closure: time against things'
        f" reached, {escape(title)}</text>",
        *_key(),
        *plane.axes(),
    ]
    counts: dict[str, int] = {}
    ends: list[tuple[float, str, str]] = []
    for name, curve in lines.items():
        sort = sorts[name.removesuffix(", ids only")]
        mark = _MARKS[counts.get(sort, 0) % len(_MARKS)]
        counts[sort] = counts.get(sort, 0) + 1
        places = [plane.at(*point) for point in curve]
        parts.append(f'<g class="{sort}"><title>{escape(name)}</title>')
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{joined}"/>')
        parts += [_mark(mark, x, y) for x, y in places]
        parts.append("</g>")
        ends.append((places[-1][1], name, f"{sort} {places[-1][0]:.1f} {mark}"))
    parts += _names(ends)
    return "\n".join([*parts, "</svg>", ""])


def _smoothed(curve: Curve) -> list[tuple[float, float]]:
    """Join points of nearly the same size to their median: starts of one size differ in shape."""
    bins: dict[int, list[tuple[int, float]]] = {}
    for size, seconds in sorted(curve):
        bins.setdefault(int(3 * math.log10(max(1, size))), []).append((size, seconds))
    found = []
    for some in bins.values():
        sizes, times = sorted(n for n, _ in some), sorted(s for _, s in some)
        found.append((float(max(1, sizes[len(sizes) // 2])), times[len(times) // 2]))
    return found


class _Plane:
    """The area of the drawing, and how sizes and times lie in it."""

    def __init__(self, points: Sequence[tuple[float, float]]) -> None:
        sizes, times = zip(*points, strict=True)
        self.low_x = math.floor(math.log10(min(sizes)))
        self.high_x = math.ceil(math.log10(max(sizes)) - 0.02)
        self.low_y = math.floor(math.log10(min(times)))
        self.high_y = math.ceil(math.log10(max(times)) - 0.02)
        self.high_x = max(self.high_x, self.low_x + 1)
        self.high_y = max(self.high_y, self.low_y + 1)

    def at(self, size: float, seconds: float) -> tuple[float, float]:
        """Return where a point lies."""
        x = (math.log10(size) - self.low_x) / (self.high_x - self.low_x)
        y = (math.log10(seconds) - self.low_y) / (self.high_y - self.low_y)
        return (
            _LEFT + x * (WIDTH - _LEFT - _RIGHT),
            HEIGHT - _BOTTOM - y * (HEIGHT - _TOP - _BOTTOM),
        )

    def axes(self) -> Iterator[str]:
        """Yield grid, scales and what they measure."""
        left, right = _LEFT, WIDTH - _RIGHT
        for power in range(self.low_y, self.high_y + 1):
            _, y = self.at(10.0**self.low_x, 10.0**power)
            yield f'<path class="grid" d="M{left} {y:.1f}H{right}"/>'
            yield (
                f'<text class="scale" x="{left - 8}" y="{y + 4:.1f}"'
                f' text-anchor="end">{_power(power)}</text>'
            )
        for power in range(self.low_x, self.high_x + 1):
            x, _ = self.at(10.0**power, 10.0**self.low_y)
            yield f'<path class="grid" d="M{x:.1f} {_TOP}V{HEIGHT - _BOTTOM}"/>'
            yield (
                f'<text class="scale" x="{x:.1f}" y="{HEIGHT - _BOTTOM + 18}"'
                f' text-anchor="middle">{10**power:,}</text>'
            )
        middle = (left + right) / 2
        yield (
            f'<text class="scale" x="{middle:.0f}" y="{HEIGHT - 14}"'
            ' text-anchor="middle">things reached</text>'
        )


def _power(power: int) -> str:
    for unit, least in (("s", 0), ("ms", -3), ("µs", -6), ("ns", -9)):
        if power >= least:
            return f"{10 ** (power - least)} {unit}"
    return f"1e{power} s"


def _names(ends: Sequence[tuple[float, str, str]]) -> Iterator[str]:
    """Yield the name of each line beside where it ends, moved apart where two would meet."""
    taken: list[float] = []
    ordered = sorted(ends)
    room = HEIGHT - _BOTTOM - _LINE * len(ordered)
    for at, (y, name, about) in enumerate(ordered):
        sort, x, mark = about.split()
        lowest = taken[-1] + _LINE if taken else _TOP
        place = min(max(y, lowest), room + _LINE * (at + 1))
        taken.append(place)
        label = WIDTH - _RIGHT + 34
        yield f'<g class="{sort}">'
        yield f'<path class="lead" d="M{float(x) + 5:.1f} {y:.1f}L{label - 20} {place:.1f}"/>'
        yield _mark(mark, label - 12, place)
        yield f'<text class="name" x="{label}" y="{place + 4:.1f}">{escape(name)}</text></g>'


def _mark(mark: str, x: float, y: float) -> str:
    match mark:
        case "o":
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
        case "s":
            return f'<path d="M{x - 3:.1f} {y - 3:.1f}h6v6h-6z"/>'
        case "t":
            return f'<path d="M{x:.1f} {y - 4:.1f}l4 7h-8z"/>'
        case "d":
            return f'<path d="M{x:.1f} {y - 4:.1f}l4 4l-4 4l-4 -4z"/>'
        case _:
            return (
                f'<path d="M{x - 3:.1f} {y - 4:.1f}l3 3l3 -3l1 1l-3 3l3 3l-1 1l-3 -3l-3 3'
                f'l-1 -1l3 -3l-3 -3z"/>'
            )


def _key() -> Iterator[str]:
    x = float(_LEFT)
    for sort, label in _SORTS.items():
        yield f'<g class="{sort}"><path class="swatch" d="M{x:.0f} 45h22"/>'
        yield f'<text class="name" x="{x + 28:.0f}" y="49">{label}</text></g>'
        x += 62 + 7 * len(label)


def _told(lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """Say in words what the picture shows."""
    parts = [
        f"{name}: {curve[0][1]:.2g} s at {curve[0][0]:,.0f} reached, {curve[-1][1]:.2g} s at"
        f" {curve[-1][0]:,.0f}"
        for name, curve in lines.items()
    ]
    return "; ".join(parts) + "."


def _style() -> str:
    light = " ".join(f"--{sort}: {one};" for sort, (one, _) in _COLOURS.items())
    dark = " ".join(f"--{sort}: {two};" for sort, (_, two) in _COLOURS.items())
    rules = "\n".join(
        f".{sort} polyline {{ stroke: var(--{sort}); }} .{sort} circle, .{sort} path"
        f" {{ fill: var(--{sort}); }} .{sort} .name {{ fill: var(--{sort}); }}"
        f" .{sort} .lead, .{sort} .swatch {{ stroke: var(--{sort}); fill: none; }}"
        for sort in _COLOURS
    )
    return f"""
:root {{ --paper: #fafbfc; --ink: #1b2534; --soft: #556176; --grid: #dde3ec; {light} }}
@media (prefers-color-scheme: dark) {{
:root {{ --paper: #10151e; --ink: #e7ecf4; --soft: #a8b4c6; --grid: #2a3546; {dark} }}
}}
.paper {{ fill: var(--paper); }}
.title {{ fill: var(--ink); font-size: 16px; font-weight: 600; }}
.scale {{ fill: var(--soft); font-size: 12px; }}
.name {{ font-size: 12.5px; font-weight: 600; }}
.grid {{ stroke: var(--grid); fill: none; }}
polyline {{ fill: none; stroke-width: 1.8; stroke-linejoin: round; }}
.ours polyline {{ stroke-width: 3; }}
.limit polyline {{ stroke-dasharray: 6 4; }}
.lead {{ stroke-width: 0.8; opacity: 0.5; }}
.swatch {{ stroke-width: 3; }}
{rules}
"""

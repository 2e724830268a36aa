"""The picture as SVG: accessible, safe for any text, and in the colours of the reader.

Nothing here carries a style attribute, so that a page with a strict content policy may hold it.
"""

from collections import defaultdict

from lineal.surfaces.drawing import text
from lineal.surfaces.drawing.badges import badge
from lineal.surfaces.drawing.layout import (
    LIVE_WIDTH,
    NOTE_SIZE,
    TEXT_LEFT,
    TEXT_RIGHT,
    TITLE_SIZE,
    subtitle,
)
from lineal.surfaces.drawing.routes import label_width, number
from lineal.surfaces.drawing.style import STYLE
from lineal.surfaces.drawing.text import xml
from lineal.surfaces.drawing.things import Layout, Link, Node, Place, Route

LAYERS = ("declared", "observed", "inferred", "suggested")
#: Small angles that point to where more is.
_BEFORE, _AFTER = "\u2039", "\u203a"
_NAMED_NEIGHBOURS = 5


def svg_inline(layout: Layout, *, title: str, description: str) -> str:
    """Return the picture for a page that serves `STYLE`."""
    return _svg(layout, title, description, "")


def svg_file(layout: Layout, *, title: str, description: str) -> str:
    """Return the picture as a file that carries its own stylesheet and paper."""
    frame = _frame(layout.left, layout.top, layout.width, layout.height)
    paper = f'<style>{STYLE}</style>\n<rect class="lg-paper" {frame}/>\n'
    return _svg(layout, title, description, paper)


def _frame(x: float, y: float, width: float, height: float) -> str:
    values = zip(("x", "y", "width", "height"), (x, y, width, height), strict=True)
    return " ".join(f'{name}="{number(value)}"' for name, value in values)


def _svg(layout: Layout, title: str, description: str, before: str) -> str:
    box = " ".join(map(number, (layout.left, layout.top, layout.width, layout.height)))
    size = f'width="{number(layout.width)}" height="{number(layout.height)}"'
    linked = any(text.address(place.node.href) for place in layout.places)
    role = "graphics-document document" if linked else "img"
    links = "\n".join(_link(route, _is_faded(layout)) for route in layout.routes)
    near = _neighbours(layout)
    rings = "".join(_ring(place) for place in layout.places if place.node.focus)
    nodes = "\n".join(_node(place, near[place.node.id]) for place in layout.places)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="lg" role="{role}" '
        f'aria-label="{xml(title)}" viewBox="{box}" {size}>\n'
        f"<title>{xml(title)}</title>\n<desc>{xml(description)}</desc>\n{before}{rings}"
        f'<g class="lg-links" aria-hidden="true">\n{links}\n</g>\n'
        f'<g class="lg-nodes">\n{nodes}\n</g>\n</svg>\n'
    )


def _is_faded(layout: Layout) -> frozenset[str]:
    return frozenset(place.node.id for place in layout.places if place.node.faded)


def _neighbours(layout: Layout) -> dict[str, str]:
    """Return for each node, in words, what it comes from and what it leads to."""
    titles = {place.node.id: text.clean(place.node.title) for place in layout.places}
    ups: dict[str, dict[str, None]] = defaultdict(dict)
    downs: dict[str, dict[str, None]] = defaultdict(dict)
    for route in layout.routes:
        downs[route.link.start][titles[route.link.end]] = None
        ups[route.link.end][titles[route.link.start]] = None
    sides = (("From", ups), ("Leads to", downs))
    return {
        node: " ".join(f"{word} {_listed(list(side[node]))}." for word, side in sides if side[node])
        for node in titles
    }


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED_NEIGHBOURS
    return ", ".join(names[:_NAMED_NEIGHBOURS]) + (f" and {more} more" if more > 0 else "")


def _node(place: Place, near: str) -> str:
    node, href = place.node, text.address(place.node.href)
    flags = [name for name in ("focus", "live", "faded") if getattr(node, name)]
    classes = " ".join(["lg-node", *(f"lg-{flag}" for flag in flags)])
    tag, extra = ("a", f' href="{xml(href)}"') if href else ("g", ' role="img"')
    current = ' aria-current="true"' if node.focus and href else ""
    return (
        f'<{tag} class="{classes}"{extra}{current} aria-label="{xml(_spoken_name(node))}" '
        f'data-id="{xml(node.id)}" transform="translate({number(place.left)} {number(place.top)})">'
        f"<title>{xml(node.title)}</title><desc>{xml(near)}</desc>"
        f"{_box(place)}{_words(place)}{_more(place)}</{tag}>"
    )


def _spoken_name(node: Node) -> str:
    """
    Return how a screen reader announces *node*.

    >>> _spoken_name(Node("m", "ranker", "model-version", "v5", live=True))
    'model version ranker, v5, live'
    """
    parts = [f"{text.spoken(node.kind)} {node.title}", node.note, "live" if node.live else ""]
    if node.upstream_more:
        parts.append(f"{node.upstream_more} more upstream")
    if node.downstream_more:
        parts.append(f"{node.downstream_more} more downstream")
    return text.clean(", ".join(filter(None, parts)))


def _ring(place: Place) -> str:
    """Draw the glow of the focus, which lies under the links."""
    frame = _frame(place.left - 5, place.top - 5, place.width + 10, place.height + 10)
    return f'<rect class="lg-ring" {frame} rx="14"/>'


def _box(place: Place) -> str:
    width, height = place.width, place.height
    return (
        f'<rect class="lg-box" width="{number(width)}" height="{number(height)}" rx="10"/>'
        f'<g transform="translate(10 10)">{badge(place.node.kind)}</g>'
    )


def _words(place: Place) -> str:
    node, room = place.node, place.width - TEXT_LEFT - TEXT_RIGHT
    title = text.squeeze(text.clean(node.title), TITLE_SIZE, room)
    note_room = room - (LIVE_WIDTH if node.live else 0)
    note = text.shorten(subtitle(node), NOTE_SIZE, note_room)
    words = (
        f'<text class="lg-title" x="{number(TEXT_LEFT)}" y="21">{xml(title)}</text>'
        f'<text class="lg-note" x="{number(TEXT_LEFT)}" y="37">{xml(note)}</text>'
    )
    if not node.live:
        return words
    at = place.width - TEXT_RIGHT - LIVE_WIDTH
    dot = f'<circle class="lg-live-dot" cx="{number(at + 14)}" cy="33" r="3.5"/>'
    return f'{words}{dot}<text class="lg-live-word" x="{number(at + 21)}" y="37">live</text>'


def _more(place: Place) -> str:
    """Draw how many neighbours are not drawn, on the side on which they would be."""
    upstream, downstream = place.node.upstream_more, place.node.downstream_more
    left = _pill(f"{_BEFORE} +{upstream}", 10, place.height, "upstream") if upstream else ""
    if not downstream:
        return left
    words = f"+{downstream} {_AFTER}"
    at = place.width - 10 - _pill_width(words)
    return left + _pill(words, at, place.height, "downstream")


def _pill_width(words: str) -> float:
    return round(text.width(words, 10.5)) + 14


def _pill(words: str, x: float, y: float, side: str) -> str:
    width = _pill_width(words)
    return (
        f'<g data-more="{side}"><rect class="lg-more" {_frame(x, y - 8, width, 16)} rx="8"/>'
        f'<text class="lg-more-word" x="{number(x + width / 2)}" y="{number(y + 3.8)}">'
        f"{xml(words)}</text></g>"
    )


def _link(route: Route, faded: frozenset[str]) -> str:
    link = route.link
    data = f'data-start="{xml(link.start)}" data-end="{xml(link.end)}"'
    pale = " lg-faded" if {link.start, link.end} & faded else ""
    return (
        f'<g class="{_link_classes(link)}{pale}" {data}><title>{xml(_sentence(link))}</title>'
        f'<path class="lg-reach" d="{route.path}"/><path class="lg-line" d="{route.path}"/>'
        f"{_tip(route)}{_label(route)}</g>"
    )


def _link_classes(link: Link) -> str:
    """Return the classes of *link*; a layer we do not know looks observed."""
    layer = link.layer if link.layer in LAYERS else "observed"
    flags = [name for name in ("feedback", "possible") if getattr(link, name)]
    return " ".join(["lg-link", f"lg-{layer}", *(f"lg-{flag}" for flag in flags)])


def _sentence(link: Link) -> str:
    flags = [name for name in ("feedback", "possible") if getattr(link, name)]
    return ", ".join(filter(None, (link.label, link.layer, *flags)))


def _tip(route: Route) -> str:
    x, y = route.tip
    back = (-8, -4.2, -8, 4.2) if route.heading == "right" else (-4.2, -8, 4.2, -8)
    a, b, c, d = (number(v + (y if i % 2 else x)) for i, v in enumerate(back))
    return f'<path class="lg-tip" d="M{a} {b}L{number(x)} {number(y)}L{c} {d}z"/>'


def _label(route: Route) -> str:
    """Draw the label of a link around its middle, marks first."""
    link, (x, y) = route.link, route.middle
    marks = [mark for mark, has in ((_LOOP, link.feedback), (_QUESTION, link.possible)) if has]
    words = text.clean(link.label) if route.heading == "right" else ""
    start = x - (label_width(link) / 2 if words and route.labelled else 8.0 * len(marks))
    drawn = "".join(
        f'<g transform="translate({number(start + 8 + 17 * place)} {number(y)})">{mark}</g>'
        for place, mark in enumerate(marks)
    )
    if not words:
        return drawn
    at = x + 8.5 * len(marks) if route.labelled else x + 17 * len(marks)
    quiet = "" if route.labelled else " lg-quiet"
    label = f'<text class="lg-label{quiet}" x="{number(at)}" y="{number(y + 3.6)}">'
    return f"{drawn}{label}{xml(words)}</text>"


_LOOP = (
    '<circle class="lg-mark" r="7.5"/>'
    '<path class="lg-mark-line" d="M3.4-1.2A3.6 3.6 0 1 0 3.2 1.7M3.9-3.9L3.5-1L.7-1.5"/>'
)
_QUESTION = '<circle class="lg-mark" r="7"/><text class="lg-mark-word" y="3.6">?</text>'


def legend() -> str:
    """Return what lines and marks mean, as an HTML list that uses `STYLE`."""
    links = [(layer, Link("", "", "", layer)) for layer in LAYERS]
    links.append(("feedback", Link("", "", "", feedback=True)))
    links.append(("possible", Link("", "", "", "observed", possible=True)))
    items = [(name, _sample(link)) for name, link in links]
    box = _frame(12, 2, 24, 12)
    items += [
        ("in focus", f'<g class="lg-focus"><rect class="lg-box" {box} rx="4"/></g>'),
        ("live", '<circle class="lg-live-dot" cx="24" cy="8" r="3.5"/>'),
        ("neighbours not drawn", _pill(f"+N {_AFTER}", 8, 8, "")),
    ]
    return '<ul class="lg-legend">' + "".join(_item(*item) for item in items) + "</ul>"


def _sample(link: Link) -> str:
    from_to = "M2 8H40"
    mark = _LOOP if link.feedback else _QUESTION if link.possible else ""
    return (
        f'<g class="{_link_classes(link)}"><path class="lg-line" d="{from_to}"/>'
        f'<path class="lg-tip" d="M39 3.8L47 8L39 12.2z"/>'
        f'<g transform="translate(20 8)">{mark}</g></g>'
    )


def _item(name: str, shapes: str) -> str:
    drawing = f'<svg width="48" height="16" viewBox="0 0 48 16" aria-hidden="true">{shapes}</svg>'
    return f"<li>{drawing}{name}</li>"

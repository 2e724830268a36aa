"""A lineage as a picture: SVG, Mermaid or DOT, drawn from the answer wherever that came from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from lineal.model import Uri
from lineal.surfaces.drawing import Link, Node, dot, layout, mermaid, svg_file

if TYPE_CHECKING:
    from lineal.client.answers import Json, Lineage
    from lineal.client.answers import Node as Stop


def draw(form: str, lineage: Lineage, shapes: dict[str, Json]) -> str:
    """Return the picture of a lineage in the form ``svg``, ``mermaid`` or ``dot``."""
    words = _words(shapes)
    starts = {thing["uri"] for thing in lineage["starts"]}
    nodes = [_node(stop, stop["uri"] in starts) for stop in lineage["nodes"]]
    links = [
        Link(
            arrow["start"], arrow["end"], words.get(arrow["kind"], arrow["kind"]).replace("_", " "),
            arrow["layer"], feedback=arrow["feedback"], possible=arrow["possible"],
        )
        for arrow in lineage["arrows"]
    ]  # fmt: skip
    nodes += _beyond(links, {node.id for node in nodes})
    return _FORMS[form](nodes, links, min(starts, default=None))


def _words(shapes: Mapping[str, Json]) -> dict[str, str]:
    """Return how each kind reads in the direction in which data goes."""
    declared = shapes.get("value")
    kinds = declared.get("kinds") if isinstance(declared, dict) else None
    return {
        str(kind["name"]): str(kind["inverse"] if kind["flow"] == "back" else kind["name"])
        for kind in (kinds if isinstance(kinds, list) else ())
        if isinstance(kind, dict)
    }


def _node(stop: Stop, focus: bool) -> Node:
    plain = stop["state"] == "hydrated"
    notes = (
        stop["status"],
        None if plain else stop["state"],
        "approximate" if stop["approximate"] else None,
    )
    return Node(
        stop["uri"],
        stop["name"],
        stop["type"],
        ", ".join(filter(None, notes)),
        focus=focus,
        live=stop["live"],
        faded=stop["state"] in ("deleted", "missing", "forgotten", "not_observed"),
    )


def _beyond(links: Iterable[Link], known: set[str]) -> list[Node]:
    """Return the ends of feedback loops that no walk entered."""
    ends = {end for link in links if link.feedback for end in (link.start, link.end)}
    return [Node(end, Uri(end).name, Uri(end).type, faded=True) for end in sorted(ends - known)]


def _svg(nodes: list[Node], links: list[Link], focus: str | None) -> str:
    named = next((node.title for node in nodes if node.id == focus), "nothing")
    return svg_file(
        layout(nodes, links, focus=focus),
        title=f"Lineage of {named}",
        description=f"{len(nodes)} things and {len(links)} steps between them.",
    )


_FORMS: dict[str, Callable[[list[Node], list[Link], str | None], str]] = {
    "svg": _svg,
    "mermaid": lambda nodes, links, focus: mermaid(nodes, links),
    "dot": lambda nodes, links, focus: dot(nodes, links),
}

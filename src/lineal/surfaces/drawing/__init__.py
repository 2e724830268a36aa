"""Where the things of a lineage stand, and the SVG of it.

Pure: it knows nodes and links only as they are given, and opens nothing.
"""

from lineal.surfaces.drawing.exports import dot, mermaid
from lineal.surfaces.drawing.layout import layout
from lineal.surfaces.drawing.style import STYLE
from lineal.surfaces.drawing.svg import legend, svg_file, svg_inline
from lineal.surfaces.drawing.things import Layout, Link, Node, Place, Point, Route

__all__ = [
    "STYLE",
    "Layout",
    "Link",
    "Node",
    "Place",
    "Point",
    "Route",
    "dot",
    "layout",
    "legend",
    "mermaid",
    "svg_file",
    "svg_inline",
]

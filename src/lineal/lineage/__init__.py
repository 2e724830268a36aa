"""The graph and its walks: what a thing was made from, and what is made from it.

Pure. Nothing here opens a store: a walk asks a `Graph` for the neighbours of a whole frontier at a
time. Keys are the graph's own numbers for things.
"""

from __future__ import annotations

from lineal.lineage.active import active_versions, newest
from lineal.lineage.cycles import Ring, components, rings
from lineal.lineage.graph import Graph, Link, Step
from lineal.lineage.paths import Ways
from lineal.lineage.reach import leading, reachable
from lineal.lineage.same import IDENTITY, NOT_SAME, SAME, Joints, joining, pair
from lineal.lineage.walked import Label, Mode, Reached, Walk, Way
from lineal.lineage.walking import walk

__all__ = [
    "IDENTITY",
    "NOT_SAME",
    "SAME",
    "Graph",
    "Joints",
    "Label",
    "Link",
    "Mode",
    "Reached",
    "Ring",
    "Step",
    "Walk",
    "Way",
    "Ways",
    "active_versions",
    "components",
    "joining",
    "leading",
    "newest",
    "pair",
    "reachable",
    "rings",
    "walk",
]

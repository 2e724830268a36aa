"""What kinds of things and of relationships there are, declared as data.

`Shapes.builtin()` is what Lineal ships, in `builtin/*.yaml`; `Shapes.load(*paths)` adds what users
declare in files of the same form. Everything else asks here: which way data goes over an edge,
whether it is walked, what belongs to what, which attribute can be searched.
"""

from lineal.shapes.catalogue import Shapes
from lineal.shapes.declarations import Attribute, EdgeKind, EntityType, Join

__all__ = ["Attribute", "EdgeKind", "EntityType", "Join", "Shapes"]

"""How a walk is asked for, as text and numbers: brought to what a question takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from lineal.errors import InvalidQuery
from lineal.model import Budget
from lineal.query import BELIEVED, SWEEP, Ask, Change
from lineal.shapes import Shapes
from lineal.surfaces import asked

if TYPE_CHECKING:
    from lineal.client.answers import Walk

#: How a walk is asked for of which nothing is said.
USUAL = Ask()


def walk(shapes: Shapes, way: Walk | None = None, usual: Ask = USUAL) -> Ask:
    """
    Return a walk as a question takes it; what is not said is as in *usual*.

    Raises:
        InvalidQuery: there is no such layer, type or grain.
        ShapeError: there is no such kind.
    """
    said = way or {}
    grain = said.get("grain") or None
    if grain not in (None, "logical", "exact"):
        raise InvalidQuery(f"There is no grain {grain!r}.", fix="Grains are logical and exact.")
    kinds = {shapes.kind_of(name)[0].name for name in sorted(_words(said.get("kinds")))}
    return Ask(
        _budget(said, usual.budget),
        grain or usual.grain,
        frozenset(kinds) or usual.kinds,
        asked.layers(list(said.get("layers") or ())) or usual.layers,
        bool(said.get("columns")) or usual.columns,
        types_of(shapes, said.get("types")) or usual.types,
    )


def over(layers: frozenset[str]) -> Ask:
    """Return how all that is used is looked over, by edges of these layers."""
    return replace(SWEEP, layers=layers)


def believed(layers: Sequence[str]) -> frozenset[str]:
    """Return of which layers edges are looked at, where some are said or none."""
    return asked.layers(list(layers)) or BELIEVED


def _words(values: Sequence[str] | None) -> frozenset[str]:
    return asked.words(list(values or ()))


def types_of(shapes: Shapes, values: Sequence[str] | None) -> frozenset[str] | None:
    """Return the names of types, None where none is said; a plural is understood too."""
    plurals = {found.plural: name for name, found in shapes.types.items()}
    found = {shapes.type(plurals.get(name, name)).name for name in sorted(_words(values))}
    return frozenset(found) or None


def asked_change(what: str | None, to: str | None) -> Change | None:
    """Return what is done to things; raises `InvalidQuery` where only its end is said."""
    if what is None and to is not None:
        raise InvalidQuery("It is said what comes, not what changes.", fix="Say the change too.")
    return None if what is None else Change(what, to)


def _budget(said: Walk, usual: Budget) -> Budget:
    def number(value: int | None, otherwise: int) -> int:
        return otherwise if value is None else value

    return Budget(
        number(said.get("depth"), usual.depth),
        number(said.get("nodes"), usual.nodes),
        number(said.get("edges"), usual.edges),
        number(said.get("ms"), usual.milliseconds),
        number(said.get("rows"), usual.rows),
    )

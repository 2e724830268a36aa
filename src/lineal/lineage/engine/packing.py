"""The engine's parts as named arrays and small facts, and back: what a file of them holds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from lineal.lineage.engine.adjacency import Code, Ints, Rows
from lineal.lineage.engine.claims import Claims, Folded, Groups, Numbers, Past, Picture, Relation
from lineal.lineage.engine.compiling import Layout
from lineal.lineage.engine.held import Shelves
from lineal.lineage.engine.traits import Traits
from lineal.lineage.engine.walkgraph import WalkGraph
from lineal.shapes import Shapes

Arrays = dict[str, NDArray[Any]]

_CLAIMS = (
    "sources", "kinds", "targets", "layers", "documents", "since", "begun", "until",
)  # fmt: skip
_PAST = ("gone", "stayed", "named")
_ORDERS = ("inward", "out_first", "in_first", "stands")
_FLAGS = ("partial", "vague")
_ROWS = ("rest", "unsure", "targets", "codes")
_LAYOUT = ("narrow", "shown", "shown_whole", "thing_of", "is_narrow", "copied")


def pack_shelves(shelves: Shelves) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays of shelves, and their small facts."""
    picture = shelves.picture
    arrays: Arrays = {f"claims.{name}": getattr(picture.claims, name) for name in _CLAIMS}
    folded, keys = picture.folded, picture.numbers.keys
    if folded is not None and keys is not None:
        arrays |= {f"folded.{name}": getattr(folded.claims, name) for name in _CLAIMS}
        arrays |= {"last": folded.last, "counts": folded.counts, "keys": keys}
        arrays |= {name: getattr(picture, name) for name in _FLAGS}
    past = picture.past
    if past is not None:
        arrays |= {f"past.{name}": getattr(past.claims, name) for name in _CLAIMS}
        arrays |= {name: getattr(past, name) for name in _PAST}
    arrays |= {f"shelves.{name}": getattr(shelves, name) for name in _ORDERS}
    arrays |= {f"names.{name}": column for name, column in shelves.members.columns.items()}
    arrays |= {"types": picture.types, "same": picture.same}
    facts = {
        "things": picture.things, "types": picture.type_names, "kinds": picture.kind_names,
        "layers": picture.layer_names, "past": None if past is None else (past.t, past.at),
    }  # fmt: skip
    return arrays, facts


def unpack_shelves(arrays: Mapping[str, NDArray[Any]], facts: Mapping[str, Any]) -> Shelves:
    """Return the shelves of which these are the arrays and facts."""
    things, folded, past = facts["things"], None, None
    if facts["past"] is not None:
        t, at = facts["past"]
        past = Past(t, at, _claims(arrays, "past"), *(arrays[name] for name in _PAST))
    if "keys" in arrays:
        folded = Folded(_claims(arrays, "folded"), arrays["last"], arrays["counts"])
    picture = Picture(
        things, arrays["types"], tuple(facts["types"]), _claims(arrays, "claims"),
        tuple(facts["kinds"]), tuple(facts["layers"]), arrays["same"], _nothing_to_compile,
        Numbers(things, arrays.get("keys")), folded, arrays.get("partial"),
        arrays.get("vague"), past,
    )  # fmt: skip
    orders = {name: arrays[f"shelves.{name}"] for name in _ORDERS}
    return Shelves.again(picture, orders, Groups.again(_under(arrays, "names")))


def pack_traits(traits: Traits) -> tuple[Arrays, Sequence[str]]:
    """Return the arrays of traits, and the names of the stages."""
    return {"stages": traits.stages, "live": traits.live}, traits.stage_names


def unpack_traits(arrays: Mapping[str, NDArray[Any]], names: Sequence[str]) -> Traits:
    """Return the traits of which these are the arrays, and the names of the stages."""
    return Traits(arrays["stages"], tuple(names), arrays["live"])


def _claims(arrays: Mapping[str, NDArray[Any]], name: str) -> Claims:
    return Claims(*(arrays[f"{name}.{part}"] for part in _CLAIMS))


def _nothing_to_compile(models: Mapping[int, Collection[int]]) -> Mapping[int, int]:
    raise ValueError("A picture from a file is compiled already.")


def pack_graph(graph: WalkGraph, name: str) -> tuple[Arrays, dict[str, Any]]:
    """Return the arrays of a compiled graph under a name, and its small facts."""
    arrays: Arrays = {f"{name}.{part}": getattr(graph.layout, part) for part in _LAYOUT}
    for side, rows in (("down", graph.down), ("up", graph.up)):
        assert rows.first.base is not None, "Rows as they were compiled lie one after another."
        arrays[f"{name}.{side}.bounds"] = rows.first.base
        parts = {part: getattr(rows, part) for part in _ROWS}
        # What is the same lies there once.
        same = rows.unsure is rows.rest
        arrays |= {
            f"{name}.{side}.{part}": array for part, array in parts.items()
            if array is not None and not (same and part == "unsure")
        }  # fmt: skip
    arrays[f"{name}.rowless"] = graph.rowless
    if graph.vague is not None:
        arrays[f"{name}.vague"] = graph.vague
    for relation in ("wholes", "parts"):
        columns = getattr(graph, relation).columns
        arrays |= {f"{name}.{relation}.{part}": column for part, column in columns.items()}
    layout = graph.layout
    facts = {
        "things": layout.things, "copies": layout.copies, "first_copy": layout.first_copy,
        "logical": graph.logical,
    }  # fmt: skip
    return arrays, facts


def pack_legend(legend: Sequence[Code]) -> list[tuple[str, str, bool, bool, bool]]:
    """Return what the codes of both grains stand for, which hangs on no grain."""
    return [
        (code.kind, code.layer, code.possible, code.approximate, code.default) for code in legend
    ]


def unpack_legend(legend: Sequence[tuple[str, str, bool, bool, bool]]) -> tuple[Code, ...]:
    """Return the legend of which this was packed."""
    return tuple(Code(*code) for code in legend)


def unpack_graph(
    arrays: Mapping[str, NDArray[Any]],
    facts: Mapping[str, Any],
    name: str,
    shapes: Shapes,
    numbers: Numbers,
    stands: Ints,
    legend: tuple[Code, ...],
) -> WalkGraph:
    """Return the compiled graph of which these are the arrays and facts."""
    part: Callable[[str], NDArray[Any]] = lambda of: arrays[f"{name}.{of}"]  # noqa: E731  # short
    layout = Layout(
        things=facts["things"], narrow=part("narrow"), shown=part("shown"),
        shown_whole=part("shown_whole"), thing_of=part("thing_of"), is_narrow=part("is_narrow"),
        copied=part("copied"), copies=facts["copies"], first_copy=facts["first_copy"],
    )  # fmt: skip
    down, up = (_rows(arrays, f"{name}.{side}") for side in ("down", "up"))
    wholes, parts = (
        Relation.again(facts["things"], _under(arrays, f"{name}.{relation}"))
        for relation in ("wholes", "parts")
    )
    return WalkGraph(
        layout, legend, down, up, stands, wholes, parts, part("rowless"),
        facts["logical"], numbers, arrays.get(f"{name}.vague"), shapes,
        # What is read a little at a time is not for the compiled loops.
        "numpy" if down.unread else None,
    )  # fmt: skip


def _under(arrays: Mapping[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of which the names begin so, by the rest of the name."""
    begin = f"{name}."
    return {of[len(begin) :]: one for of, one in arrays.items() if of.startswith(begin)}


def _rows(arrays: Mapping[str, NDArray[Any]], name: str) -> Rows:
    bounds, rest = arrays[f"{name}.bounds"], arrays.get(f"{name}.rest")
    unsure = arrays.get(f"{name}.unsure", rest)
    targets, codes = arrays[f"{name}.targets"], arrays[f"{name}.codes"]
    return Rows(bounds[:-1], bounds[1:], rest, unsure, targets, codes)

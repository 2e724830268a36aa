"""What of a record does not fit the shapes: values, attributes and edges. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from lineal.model import Json, Record
from lineal.shapes.catalogue import Shapes
from lineal.shapes.declarations import Attribute, EdgeKind, EntityType

#: Attributes that no shape declares and Lineal itself adds: the environment of a source.
OURS = frozenset({"environment"})
#: What a finding may be about, as source files call it.
SORTS = ("values", "attributes", "edges", "fields")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something in a document that does not fit. It tells no value: that may be personal."""

    #: One of `SORTS`.
    sort: str
    #: What it is about: ``dataset.rows``, ``dataset -reads-> run``, or a field of the document.
    name: str
    text: str


class Examiner:
    """Examines records by some shapes."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        #: The attributes of types and kinds by their names and aliases, as they are met.
        self._known: dict[str, Mapping[str, Attribute]] = {}

    def examine(self, record: Record) -> tuple[Finding, ...]:
        """Return everything in a record that does not fit the shapes, in order, each once."""
        found: set[Finding] = set()
        for statement in record.statements:
            name = statement.uri.type
            declared = self._shapes.types.get(name)
            if declared is None:
                found.add(Finding("attributes", name, f"No shape declares the type {name}."))
            else:
                found.update(self._attributes(declared, statement.attributes))
        for edge in record.edges:
            kind = self._shapes.kinds.get(edge.kind)
            start, end = edge.start.type, edge.end.type
            if kind is None or not kind.allows(start, end):
                name = f"{start} -{edge.kind}-> {end}"
                found.add(Finding("edges", name, "No shape allows this edge."))
            elif edge.attributes:
                found.update(self._attributes(kind, edge.attributes))
        return tuple(sorted(found))

    def _attributes(
        self, declared: EntityType | EdgeKind, attributes: Mapping[str, Json]
    ) -> Iterable[Finding]:
        known = self._known.get(declared.name)
        if known is None:
            known = {name: one for one in declared.attributes for name in (one.name, *one.aliases)}
            self._known[declared.name] = known
        for name, value in attributes.items():
            attribute = known.get(name)
            of = f"{declared.name}.{name}"
            if attribute is None and name in OURS:
                continue
            if attribute is None:
                yield Finding("attributes", of, f"No shape of {declared.name} knows it.")
            elif value is not None and not self._fits(declared, attribute, value):
                yield Finding("values", of, f"It is {_sort(value)}, not {_wanted(attribute)}.")

    @staticmethod
    def _fits(declared: EntityType | EdgeKind, attribute: Attribute, value: Json) -> bool:
        """Tell whether a value fits; what a document says twice of one edge stands in a list."""
        if isinstance(declared, EdgeKind) and isinstance(value, list) and attribute.type != "list":
            return bool(value) and all(fits(attribute, one) for one in value)
        return fits(attribute, value)


def fits(attribute: Attribute, value: Json) -> bool:
    """
    Return whether a value is of an attribute's type.

    >>> fits(Attribute("rows", "number", ""), 3), fits(Attribute("rows", "number", ""), "3")
    (True, False)
    """
    if attribute.type == "enum":
        return value in attribute.values
    return _FITS[attribute.type](value)


def _is_number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_time(value: Json) -> bool:
    try:
        return isinstance(value, str) and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


#: A URI of any scheme, absolute as RFC 3986 (4.3) has it.
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?=/*[^/])[^\s<>\"]+")


def _is_uri(value: Json) -> bool:
    return isinstance(value, str) and _URI.fullmatch(value) is not None


_FITS: dict[str, Callable[[Json], bool]] = {
    "text": lambda value: isinstance(value, str),
    "number": _is_number,
    "bool": lambda value: isinstance(value, bool),
    "time": _is_time,
    "list": lambda value: isinstance(value, list),
    "map": lambda value: isinstance(value, dict),
    "uri": _is_uri,
}

_SORTS: dict[type, str] = {
    str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list",
    dict: "a map",
}  # fmt: skip
_WANTED = {
    "text": "a text", "number": "a number", "bool": "true or false", "time": "a time",
    "list": "a list", "map": "a map", "uri": "a URI",
}  # fmt: skip


def _sort(value: Json) -> str:
    return _SORTS[type(value)]


def _wanted(attribute: Attribute) -> str:
    if attribute.type == "enum":
        return f"one of {', '.join(attribute.values)}"
    return _WANTED[attribute.type]

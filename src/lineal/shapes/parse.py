"""One YAML file into declarations, each checked by itself.

An entry that says only what an addition may say (attributes; from, to, joins) adds to a type or
kind declared elsewhere. Whether that exists, and whether declarations agree, is `gather`'s.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lineal.model import Layer
from lineal.shapes.declarations import (
    ANY,
    ATTRIBUTE_TYPES,
    CLASSES,
    FLOWS,
    GRAINS,
    NATURES,
    SAME,
    STEP_CLASSES,
    Attribute,
    EdgeKind,
    EntityType,
    Join,
    NatureRule,
)
from lineal.shapes.nodes import Node, read

_TYPE_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
_KIND_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
#: Words with a meaning of their own where a type is named.
_RESERVED = (ANY, SAME, "edge", "else")

_ATTRIBUTE_REQUIRED = ("type", "description")
_ATTRIBUTE_FLAGS = ("search", "facet", "personal")
#: What everything is filtered by already, in another sense than an attribute's.
_FILTERS = ("owner", "platform", "source", "type")
_ATTRIBUTE_KEYS = (*_ATTRIBUTE_REQUIRED, *_ATTRIBUTE_FLAGS, "values", "aliases", "deprecated")

TYPE_ADDITION_KEYS = ("attributes",)
_TYPE_REQUIRED = ("title", "plural", "domain", "description")
_TYPE_OPTIONAL = ("part_of_kind", "grain", "occurrence", "window", "live")
_TYPE_KEYS = (*_TYPE_REQUIRED, *_TYPE_OPTIONAL, *TYPE_ADDITION_KEYS)

KIND_ADDITION_KEYS = ("from", "to", "joins", "attributes")
_KIND_REQUIRED = ("inverse", "description", "class", "nature")
_KIND_OPTIONAL = ("flow", "layer", "depth", "window", "finding")
_KIND_KEYS = (*_KIND_REQUIRED, *_KIND_OPTIONAL, *KIND_ADDITION_KEYS)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class TypeAddition:
    """More attributes for a type declared elsewhere."""

    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class KindAddition:
    """More ends and attributes for a kind declared elsewhere."""

    from_types: tuple[str, ...]
    to_types: tuple[str, ...]
    joins: tuple[Join, ...]
    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class Entry(Generic[Value]):
    """What a file says under one name, and where it says so."""

    name: str
    value: Value
    node: Node
    #: Where it names types that must exist.
    mentions: tuple[tuple[str, Node], ...] = ()

    def at(self, key: str) -> Node:
        """Return where it says *key*, or else where it begins."""
        return self.node.entries().get(key, self.node)


@dataclass(frozen=True, slots=True)
class Parsed:
    """What files declare and add, in their order."""

    types: list[Entry[EntityType]] = field(default_factory=list)
    type_additions: list[Entry[TypeAddition]] = field(default_factory=list)
    kinds: list[Entry[EdgeKind]] = field(default_factory=list)
    kind_additions: list[Entry[KindAddition]] = field(default_factory=list)

    def copy(self) -> Parsed:
        """Return the same again, to be added to."""
        return Parsed(
            list(self.types),
            list(self.type_additions),
            list(self.kinds),
            list(self.kind_additions),
        )

    def add(self, text: str, file: str) -> None:
        """Parse the *text* of a *file* and add what it says."""
        fields = read(text, file).fields(allowed=("types", "kinds"))
        for name, node in _entries(fields.get("types")):
            if set(node.entries()) <= set(TYPE_ADDITION_KEYS):
                self.type_additions.append(_type_addition(name, node))
            else:
                self.types.append(_type(name, node))
        for name, node in _entries(fields.get("kinds")):
            if set(node.entries()) <= set(KIND_ADDITION_KEYS):
                self.kind_additions.append(_kind_addition(name, node))
            else:
                self.kinds.append(_kind(name, node))


def _entries(node: Node | None) -> Iterator[tuple[str, Node]]:
    return iter(node.entries().items() if node else ())


# ── Types ────────────────────────────────────────────────────────────────────────────────────────


def _type(name: str, node: Node) -> Entry[EntityType]:
    fields = node.fields(allowed=_TYPE_KEYS, required=_TYPE_REQUIRED)
    _check_name(name, node, _TYPE_NAME, "type", "hyphens")
    if name in _RESERVED:
        raise node.error(f"{name!r} is a word of the language.", "Give the type another name.")
    for key in ("plural", "domain"):
        _check_name(fields[key].text(), fields[key], _TYPE_NAME, key, "hyphens")
    found = EntityType(
        name=name,
        plural=fields["plural"].text(),
        domain=fields["domain"].text(),
        title=fields["title"].text(),
        description=fields["description"].text(),
        attributes=_attributes(fields.get("attributes")),
        part_of_kind=fields["part_of_kind"].text() if "part_of_kind" in fields else None,
        grain=fields["grain"].word(GRAINS, "grain") if "grain" in fields else "logical",
        occurrence="occurrence" in fields and fields["occurrence"].flag(),
        window=fields["window"].days() if "window" in fields else None,
        live=fields["live"].texts() if "live" in fields else (),
    )
    _check_type(found, node, fields)
    return Entry(name, found, node)


def _check_type(found: EntityType, node: Node, fields: dict[str, Node]) -> None:
    for word in found.live:
        if word not in found.status:
            raise fields["live"].error(
                f"{word!r} is no status of {found.name!r}.",
                "Add it to the values of the attribute status, an enum.",
            )
    if found.grain == "exact" and not found.part_of_kind:
        raise fields["grain"].error(
            f"{found.name!r} has no whole to count as.", "Add part_of_kind, or leave grain out."
        )


def _type_addition(name: str, node: Node) -> Entry[TypeAddition]:
    fields = node.fields(allowed=TYPE_ADDITION_KEYS, required=TYPE_ADDITION_KEYS)
    return Entry(name, TypeAddition(_attributes(fields["attributes"])), node)


# ── Kinds ────────────────────────────────────────────────────────────────────────────────────────


def _kind(name: str, node: Node) -> Entry[EdgeKind]:
    fields = node.fields(allowed=_KIND_KEYS, required=_KIND_REQUIRED)
    _check_name(name, node, _KIND_NAME, "kind", "underscores")
    inverse = fields["inverse"].text()
    _check_name(inverse, fields["inverse"], _KIND_NAME, "inverse", "underscores")
    rules, about = _nature(fields["nature"])
    found = EdgeKind(
        name=name,
        inverse=inverse,
        description=fields["description"].text(),
        joins=_joins(fields, node),
        class_=fields["class"].word(CLASSES, "class"),
        nature_rules=rules,
        flow=fields["flow"].word(FLOWS, "flow") if "flow" in fields else "none",
        layer=Layer(fields["layer"].word(list(Layer), "layer"))
        if "layer" in fields
        else Layer.DECLARED,
        attributes=_edge_attributes(fields.get("attributes")),
        depth=fields["depth"].count() if "depth" in fields else None,
        window=fields["window"].days() if "window" in fields else None,
        finding=fields["finding"].flag() if "finding" in fields else False,
    )
    _check_flow(found, fields.get("flow", node))
    _check_symmetry(found, fields["inverse"])
    return Entry(name, found, node, (*_mentions(fields), *about))


def _check_flow(kind: EdgeKind, node: Node) -> None:
    steps = kind.class_ in STEP_CLASSES
    if steps and kind.flow == "none":
        raise node.error(
            f"{kind.name!r} is of class {kind.class_!r} and does not say which way data goes.",
            "Add flow: back (from its end to its start) or flow: forth.",
        )
    if not steps and kind.flow != "none":
        raise node.error(
            f"{kind.name!r} is of class {kind.class_!r}, over which no data goes.",
            "Leave flow out, or choose another class.",
        )


def _check_symmetry(kind: EdgeKind, node: Node) -> None:
    if kind.symmetric and (kind.flow != "none" or kind.to_types != (SAME,)):
        raise node.error(
            f"The inverse of {kind.name!r} is its own name.",
            "Give the inverse another name; only a kind with to: same and no flow has none.",
        )


def _kind_addition(name: str, node: Node) -> Entry[KindAddition]:
    fields = node.fields(allowed=KIND_ADDITION_KEYS)
    if not fields:
        raise node.error(f"{name!r} adds nothing.", "Give from, to, joins or attributes.")
    found = KindAddition(
        from_types=fields["from"].texts() if "from" in fields else (),
        to_types=fields["to"].texts() if "to" in fields else (),
        joins=_join_list(fields["joins"]) if "joins" in fields else (),
        attributes=_edge_attributes(fields.get("attributes")),
    )
    return Entry(name, found, node, tuple(_mentions(fields)))


def _joins(fields: dict[str, Node], node: Node) -> tuple[Join, ...]:
    if "joins" in fields:
        for key in ("from", "to"):
            if key in fields:
                raise fields[key].error(f"{key} and joins exclude each other.", "Keep one.")
        return _join_list(fields["joins"])
    for key in ("from", "to"):
        if key not in fields:
            raise node.error(f"{key!r} is missing.", f"Add a line {key}: …, or joins.")
    return (Join(_ends(fields["from"], ANY), _ends(fields["to"], SAME)),)


def _join_list(node: Node) -> tuple[Join, ...]:
    joins = []
    for item in node.items():
        fields = item.fields(allowed=("from", "to"), required=("from", "to"))
        joins.append(Join(_ends(fields["from"], ANY), _ends(fields["to"], SAME)))
    if not joins:
        raise node.error("This list is empty.", "Write [{from: [a], to: [b]}].")
    return tuple(joins)


def _ends(node: Node, whole: str) -> tuple[str, ...]:
    """Return the types of one end: a list, or the one word *whole*."""
    if node.sort == "text":
        if node.text() != whole:
            raise node.error(
                f"A list of types is expected here, or the word {whole}.",
                f"Write [{node.text()}].",
            )
        return (whole,)
    return node.texts()


def _mentions(fields: dict[str, Node]) -> Iterator[tuple[str, Node]]:
    """Yield every type that the ends name, with its place."""
    for key in ("from", "to"):
        if key in fields and fields[key].sort == "a list":
            yield from ((item.text(), item) for item in fields[key].items())
    if "joins" in fields:
        for item in fields["joins"].items():
            yield from _mentions(item.entries())


def _nature(node: Node) -> tuple[tuple[NatureRule, ...], tuple[tuple[str, Node], ...]]:
    """Return the rules, most particular first, and the types they name."""
    if node.sort == "text":
        return (NatureRule(None, None, node.word(NATURES, "nature")),), ()
    pairs: list[NatureRule] = []
    single: list[NatureRule] = []
    about: list[tuple[str, Node]] = []
    fields = node.entries()
    if "else" not in fields:
        raise node.error("'else' is missing.", "Add else: state, or else: event.")
    rest = NatureRule(None, None, fields.pop("else").word(NATURES, "nature"))
    for key, value in fields.items():
        nature = value.word(NATURES, "nature")
        names = [name.strip() for name in key.split("->")]
        about.extend((name, value) for name in names)
        if len(names) == 2:
            pairs.append(NatureRule(names[0], names[1], nature))
        else:
            single += [NatureRule(key, None, nature), NatureRule(None, key, nature)]
    return (*pairs, *single, rest), tuple(about)


# ── Attributes ───────────────────────────────────────────────────────────────────────────────────


def _attributes(node: Node | None) -> tuple[Attribute, ...]:
    found: list[Attribute] = []
    taken: set[str] = set()
    for name, child in _entries(node):
        attribute = _attribute(name, child)
        for word in (name, *attribute.aliases):
            if word in taken:
                raise child.error(
                    f"{word!r} is a duplicate: another attribute has this name or alias.",
                    "Give one of them another name.",
                )
            taken.add(word)
        found.append(attribute)
    if node and not found:
        raise node.error("There are no attributes here.", "Name one, or leave the key out.")
    return tuple(found)


def _edge_attributes(node: Node | None) -> tuple[Attribute, ...]:
    found = _attributes(node)
    for attribute, (_, child) in zip(found, _entries(node), strict=True):
        if attribute.search or attribute.facet:
            raise child.error(
                f"{attribute.name!r} is said of an edge, and only things are searched.",
                "Leave search and facet out.",
            )
    return found


def _attribute(name: str, node: Node) -> Attribute:
    fields = node.fields(allowed=_ATTRIBUTE_KEYS, required=_ATTRIBUTE_REQUIRED)
    _check_name(name, node, _KIND_NAME, "attribute", "underscores")
    kind = fields["type"].word(ATTRIBUTE_TYPES, "attribute type")
    if (kind == "enum") != ("values" in fields):
        raise fields.get("values", node).error(
            f"{name!r} is of type {kind!r}; values belong to an enum, and an enum needs them.",
            "Add values: [a, b] with type: enum, or leave both out.",
        )
    found = Attribute(
        name=name,
        type=kind,
        description=fields["description"].text(),
        values=fields["values"].texts() if "values" in fields else (),
        aliases=fields["aliases"].texts() if "aliases" in fields else (),
        deprecated=fields["deprecated"].text() if "deprecated" in fields else "",
        **{flag: flag in fields and fields[flag].flag() for flag in _ATTRIBUTE_FLAGS},
    )
    check_marks(found, node)
    return found


def check_marks(found: Attribute, node: Node) -> None:
    """Refuse to mark as found what could not be found, or could not be forgotten."""
    if found.search and found.type == "bool":
        raise node.error(
            f"{found.name!r} is true or false and has no text to search.",
            "Mark it facet: true, and leave search out.",
        )
    if found.facet and found.type == "map":
        raise node.error(
            f"{found.name!r} is a map and has no value to filter by.",
            "Leave facet out, or declare what to filter by as an attribute of its own.",
        )
    if found.facet and found.name in _FILTERS:
        raise node.error(
            f"{found.name}: is a filter of everything already, and asks for something else.",
            "Give the attribute another name, or leave facet out.",
        )
    if found.facet and found.personal:
        raise node.error(
            f"{found.name!r} tells of a person: a list of values to filter by would outlive its "
            "erasure.",
            "Leave facet or personal out; by search it is found too.",
        )


def _check_name(name: str, node: Node, pattern: re.Pattern[str], what: str, joined: str) -> None:
    if not pattern.fullmatch(name):
        raise node.error(
            f"{name!r} is not a valid {what} name.",
            f"Use lower case letters, digits and {joined}, and begin with a letter.",
        )

"""Declarations of many files into one set: additions applied, agreement checked.

Nothing is ever taken away: an entry that would replace or narrow a declaration is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import TypeVar

from lineal.shapes.declarations import ANY, SAME, Attribute, EdgeKind, EntityType, Join
from lineal.shapes.nodes import Node, nearest
from lineal.shapes.parse import (
    KIND_ADDITION_KEYS,
    TYPE_ADDITION_KEYS,
    Entry,
    KindAddition,
    Parsed,
    TypeAddition,
    check_marks,
)

Declared = TypeVar("Declared", EntityType, EdgeKind)


def gather(parsed: Parsed) -> tuple[dict[str, EntityType], dict[str, EdgeKind]]:
    """Return all types and kinds that the files *parsed* declare together."""
    types = _gather_types(parsed)
    kinds = _gather_kinds(parsed, types)
    _check_inverses(parsed.kinds)
    _check_wholes(parsed.types, kinds)
    return types, kinds


# ── Types ────────────────────────────────────────────────────────────────────────────────────────


def _gather_types(parsed: Parsed) -> dict[str, EntityType]:
    _check_unique(parsed.types, "type", TYPE_ADDITION_KEYS)
    plurals: dict[str, str] = {}
    types: dict[str, EntityType] = {}
    for entry in parsed.types:
        types[entry.name] = entry.value
        other = plurals.setdefault(entry.value.plural, entry.name)
        if other != entry.name:
            raise entry.at("plural").error(
                f"{entry.value.plural!r} is already the plural of {other!r}.",
                "Choose another plural.",
            )
    common = EntityType(ANY, "", "", "", "")
    places: dict[tuple[str, str], Node] = {}
    for addition in parsed.type_additions:
        if addition.name == ANY:
            common = _with_attributes(common, addition)
        elif addition.name in types:
            types[addition.name] = _with_attributes(types[addition.name], addition)
        else:
            raise _unknown(addition, "type", (*types, ANY), "title, plural, domain, description")
        for name, node in addition.at("attributes").entries().items():
            places[addition.name, name] = node
    for entry in parsed.types:
        types[entry.name] = _with_common(types[entry.name], common, entry.node, places)
    return types


def _with_common(
    own: EntityType, common: EntityType, declared: Node, places: dict[tuple[str, str], Node]
) -> EntityType:
    """Return *own* with the attributes of every type, save those it words itself."""
    for shared, mine in _clashes(common, own):
        # What Lineal ships agrees, so that the first place in a user's file is to blame.
        blamed = (places.get((own.name, mine.name)), places.get((ANY, shared.name)))
        node = next((node for node in blamed if node and not node.shipped), declared)
        raise node.error(
            f"{mine.name!r} of {own.name!r} clashes with {shared.name!r} of every type, "
            f"which is of type {shared.type!r}.",
            "Give the attribute another name.",
        )
    names = {attribute.name for attribute in own.attributes}
    rest = (attribute for attribute in common.attributes if attribute.name not in names)
    return replace(own, attributes=(*own.attributes, *rest))


def _clashes(common: EntityType, own: EntityType) -> Iterator[tuple[Attribute, Attribute]]:
    """Yield the attributes that share a word and are not the same attribute, worded anew."""
    for shared, mine in product(common.attributes, own.attributes):
        same = (shared.name, shared.type) == (mine.name, mine.type)
        if not same and _words(shared) & _words(mine):
            yield shared, mine


# ── Kinds ────────────────────────────────────────────────────────────────────────────────────────


def _gather_kinds(parsed: Parsed, types: dict[str, EntityType]) -> dict[str, EdgeKind]:
    _check_unique(parsed.kinds, "kind", KIND_ADDITION_KEYS)
    mentions = [m for declared in parsed.kinds for m in declared.mentions]
    mentions += [m for added in parsed.kind_additions for m in added.mentions]
    for name, node in mentions:
        if name not in types:
            raise node.error(f"There is no type {name!r}.", nearest(name, types))
    declared = {entry.name: entry.value for entry in parsed.kinds}
    kinds = dict(declared)
    for addition in parsed.kind_additions:
        if addition.name not in kinds:
            raise _unknown(addition, "kind", kinds, "inverse, description, class, nature, from, to")
        _check_widens(addition, declared[addition.name])
        kinds[addition.name] = _with_ends(
            _with_attributes(kinds[addition.name], addition), addition
        )
    return kinds


def _check_widens(addition: Entry[KindAddition], declared: EdgeKind) -> None:
    """Refuse ends that are all there already: their author wanted to narrow the kind."""
    value = addition.value
    for key, listed, there in (
        ("from", value.from_types, declared.from_types),
        ("to", value.to_types, declared.to_types),
    ):
        if not listed:
            continue
        if len(declared.joins) > 1 or there in ((ANY,), (SAME,)):
            raise addition.at(key).error(
                f"{addition.name!r} does not take any start with any end.",
                "Write the pairs that you add: joins: [{from: [a], to: [b]}].",
            )
        if set(listed) <= set(there):
            raise addition.at(key).error(
                f"{addition.name!r} has these types already; a list adds to them and cannot "
                "narrow them.",
                f"Remove {key}, or name the types to add.",
            )
    if value.joins and all(join in declared.joins for join in value.joins):
        raise addition.at("joins").error(
            f"{addition.name!r} has these pairs already; a list adds to them and cannot "
            "narrow them.",
            "Remove joins, or name the pairs to add.",
        )


def _with_ends(kind: EdgeKind, addition: Entry[KindAddition]) -> EdgeKind:
    value = addition.value
    first, *rest = kind.joins
    first = Join(_union(first.from_types, value.from_types), _union(first.to_types, value.to_types))
    return replace(kind, joins=_union((first, *rest), value.joins))


# ── Both ─────────────────────────────────────────────────────────────────────────────────────────


def _with_attributes(
    shape: Declared, addition: Entry[TypeAddition] | Entry[KindAddition]
) -> Declared:
    found = {attribute.name: attribute for attribute in shape.attributes}
    for new in addition.value.attributes:
        node = addition.at("attributes").entries()[new.name]
        for old in shape.attributes:
            if old.name != new.name and _words(old) & _words(new):
                raise node.error(
                    f"{new.name!r} clashes with the attribute {old.name!r} of {shape.name!r}.",
                    "Give it another name, or drop the alias.",
                )
        found[new.name] = _widened(found[new.name], new, node) if new.name in found else new
    return replace(shape, attributes=tuple(found.values()))


def _widened(old: Attribute, new: Attribute, node: Node) -> Attribute:
    """Return *old* with what *new* adds to it: values, aliases, uses."""
    if old.type != new.type:
        raise node.error(
            f"{old.name!r} is of type {old.type!r} and cannot become {new.type!r}: what is "
            "stored would no longer fit.",
            "Give the new attribute another name.",
        )
    wide = replace(
        old,
        values=_union(old.values, new.values),
        aliases=_union(old.aliases, new.aliases),
        search=old.search or new.search,
        facet=old.facet or new.facet,
        personal=old.personal or new.personal,
        deprecated=new.deprecated or old.deprecated,
    )
    if wide == old:
        raise node.error(
            f"{old.name!r} is declared already; this adds nothing and cannot narrow it.",
            "Remove it, or name the values to add.",
        )
    check_marks(wide, node)
    return wide


def _check_unique(
    entries: Sequence[Entry[EntityType]] | Sequence[Entry[EdgeKind]],
    what: str,
    may_add: Sequence[str],
) -> None:
    places: dict[str, Node] = {}
    for entry in entries:
        first = places.setdefault(entry.name, entry.node)
        if first is not entry.node:
            raise entry.node.error(
                f"The {what} {entry.name!r} clashes with the one declared in "
                f"{first.file}:{first.line}.",
                f"Choose another name; to add to that one, give only {', '.join(may_add)}.",
            )


def _check_inverses(entries: Iterable[Entry[EdgeKind]]) -> None:
    """Refuse a spelling that is taken, at the later of the two that want it."""
    taken: dict[str, str] = {}
    for entry in entries:
        names = ((entry.name, entry.node), (entry.value.inverse, entry.at("inverse")))
        for spelling, node in names:
            if spelling in taken:
                raise node.error(
                    f"{spelling!r} is already {taken[spelling]}.", "Choose another name."
                )
        taken[entry.value.inverse] = f"the inverse of {entry.name!r}"
        taken[entry.name] = "the name of another kind"


def _check_wholes(entries: Iterable[Entry[EntityType]], kinds: dict[str, EdgeKind]) -> None:
    for entry in entries:
        name = entry.value.part_of_kind
        if name is None:
            continue
        levels = {kind.name: kind for kind in kinds.values() if kind.class_ == "level"}
        if name not in levels:
            raise entry.at("part_of_kind").error(
                f"There is no kind {name!r} of class 'level'.", nearest(name, levels)
            )
        if entry.name not in levels[name].from_types:
            raise entry.at("part_of_kind").error(
                f"{name!r} does not start from {entry.name!r}.",
                f"Under kinds, add {name}: {{joins: [{{from: [{entry.name}], to: [its whole]}}]}}.",
            )


def _unknown(
    entry: Entry[TypeAddition] | Entry[KindAddition], what: str, names: Iterable[str], needs: str
) -> Exception:
    return entry.node.error(
        f"There is no {what} {entry.name!r} to add to.",
        f"{nearest(entry.name, list(names))} To declare it, give {needs}.",
    )


def _words(attribute: Attribute) -> set[str]:
    return {attribute.name, *attribute.aliases}


Item = TypeVar("Item")


def _union(first: Iterable[Item], second: Iterable[Item]) -> tuple[Item, ...]:
    return tuple(dict.fromkeys((*first, *second)))

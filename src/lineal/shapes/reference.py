"""The reference page of all types and kinds, written from the shapes themselves.

What stands between the two markers of the page is written by hand and kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from lineal.shapes.catalogue import Shapes
from lineal.shapes.declarations import ANY, SAME, Attribute, EdgeKind, EntityType

BEGIN = "<!-- written by hand: begin -->"
END = "<!-- written by hand: end -->"

_HEAD = """\
# Types and kinds

What kinds of things and of relationships Lineal knows. This page is written from the shapes by
`python -m lineal.shapes.reference docs/reference/types.md`; only the part between the two markers
is written by hand. Words are explained in the [glossary](../glossary.md).

Attributes marked *search* are found by the text in them, *facet* can be filtered by (`name:value`,
`tag:` of `tags`) and counted where one type is searched, *personal* tell of a person and can be
erased. Every name may be given by one of its aliases. [Searching](search.md) says more: how long a
text or a value may be, and what a mark of your own does."""

_ARROWS = {"back": "←", "forth": "→", "none": ""}


def markdown(shapes: Shapes | None = None, *, kept: str = "") -> str:
    """Return the page about *shapes*, by default what Lineal ships; *kept* is its written part."""
    shapes = shapes or Shapes.builtin()
    parts = [
        _HEAD,
        _common(shapes),
        *(_domain(shapes, domain) for domain in shapes.domains),
        _kinds(shapes),
        _kind_attributes(shapes),
        f"{BEGIN}\n{kept}{END}",
    ]
    return "\n\n".join(parts) + "\n"


def written(page: str) -> str:
    """Return what stands between the markers of a *page*; empty if it has none."""
    _, begin, rest = page.partition(BEGIN + "\n")
    text, end, _ = rest.partition(END)
    return text if begin and end else ""


def _table(head: str, rows: Iterable[Iterable[str]]) -> str:
    columns = head.count("|") + 1
    lines = [f"| {head} |", "| " + " | ".join(["---"] * columns) + " |"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def _common(shapes: Shapes) -> str:
    table = _attributes(_shared(shapes))
    return f"## Every type\n\nEach type has these attributes, besides its own.\n\n{table}"


def _shared(shapes: Shapes) -> list[Attribute]:
    """Return the attributes that every type has, as the first one words them."""
    every = set.intersection(*({a.name for a in t.attributes} for t in shapes.types.values()))
    first = next(iter(shapes.types.values()))
    return [attribute for attribute in first.attributes if attribute.name in every]


def _domain(shapes: Shapes, domain: str) -> str:
    types = [shapes.types[name] for name in shapes.domains[domain]]
    shared = _shared(shapes)
    return "\n\n".join([f"## Domain: {domain}", *(_type(t, shared) for t in types)])


def _type(found: EntityType, shared: list[Attribute]) -> str:
    own = [attribute for attribute in found.attributes if attribute not in shared]
    parts = [f"### `{found.name}`", f"{found.title} (plural `{found.plural}`). {found.description}"]
    notes = _notes(found)
    if notes:
        parts.append(notes)
    if own:
        parts.append(_attributes(own))
    return "\n\n".join(parts)


def _notes(found: EntityType) -> str:
    notes = []
    if found.part_of_kind:
        notes.append(f"Part of a whole by `{found.part_of_kind}`.")
    if found.grain == "exact":
        notes.append("Counts as its whole in a logical walk.")
    if found.occurrence:
        notes.append("An occurrence: most are kept on disk only.")
    if found.window:
        notes.append(f"Freshness window: {found.window.days} days.")
    if found.live:
        notes.append(f"Live while its status is {_names(found.live)}.")
    return " ".join(notes)


def _attributes(attributes: Iterable[Attribute]) -> str:
    rows = (
        (f"`{a.name}`", _attribute_type(a), _uses(a), f"{a.description}{_former(a)}")
        for a in attributes
    )
    return _table("attribute | type | use | meaning", rows)


def _attribute_type(attribute: Attribute) -> str:
    return f"enum: {_names(attribute.values)}" if attribute.values else attribute.type


def _uses(attribute: Attribute) -> str:
    uses = ("search", "facet", "personal")
    return ", ".join(use for use in uses if getattr(attribute, use))


def _former(attribute: Attribute) -> str:
    aliases = f" Also {_names(attribute.aliases)}." if attribute.aliases else ""
    return aliases + (f" Deprecated: {attribute.deprecated}" if attribute.deprecated else "")


def _kinds(shapes: Shapes) -> str:
    head = "kind (inverse) | from → to | data goes | class | nature | layer | meaning"
    table = _table(head, (_kind_row(kind) for kind in shapes.kinds.values()))
    return f"## Edge kinds\n\n{_KIND_NOTE}\n\n{table}"


_KIND_NOTE = """\
An edge is stored under its kind; the inverse is another spelling of the same edge. *Data goes* ←
from the edge's end to its start, → from its start to its end. Walks take `data` and `serve`;
`feedback` is one step, entered on request; `control` is walked on request; `level` joins a part to
its whole and is no step; `none` is never walked; `identity` makes two names one thing."""


def _kind_row(kind: EdgeKind) -> tuple[str, ...]:
    ends = "; ".join(f"{_ends(join.from_types)} → {_ends(join.to_types)}" for join in kind.joins)
    notes = f" At most {kind.depth} such steps in a row unless asked." if kind.depth else ""
    if kind.window:
        notes += f" Freshness window: {kind.window.days} days."
    return (
        f"`{kind.name}` (`{kind.inverse}`)",
        ends,
        _ARROWS[kind.flow],
        kind.class_,
        _nature(kind),
        str(kind.layer),
        f"{kind.description}{notes}",
    )


def _ends(names: tuple[str, ...]) -> str:
    words = {ANY: "any", SAME: "the same type"}
    return ", ".join(words.get(name, f"`{name}`") for name in names)


def _nature(kind: EdgeKind) -> str:
    *rules, rest = kind.nature_rules
    said: dict[str, None] = {}
    for rule in rules:
        both = rule.from_type and rule.to_type
        about = f"`{rule.from_type}` → `{rule.to_type}`" if both else None
        said[f"{rule.nature} of {about or f'a `{rule.from_type or rule.to_type}`'}"] = None
    return ", ".join([*said, f"else {rest.nature}" if said else rest.nature])


def _kind_attributes(shapes: Shapes) -> str:
    rows = [
        (f"`{kind.name}`", f"`{a.name}`", _attribute_type(a), f"{a.description}{_former(a)}")
        for kind in shapes.kinds.values()
        for a in kind.attributes
    ]
    return f"## Attributes of edges\n\n{_table('kind | attribute | type | meaning', rows)}"


def _names(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


if __name__ == "__main__":
    page = Path(sys.argv[1])
    before = page.read_text("utf-8") if page.exists() else ""
    page.write_text(markdown(kept=written(before)), "utf-8")

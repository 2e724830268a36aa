"""The fields of files that people write, as tables and as JSON Schema: written from the code.

``python -m lineal.sources.reference docs/reference`` brings `source-files.md` and
`source.schema.json` up to date; what stands outside of the markers is written by hand and kept.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from lineal.model import Json
from lineal.sources import spec

BEGIN = "<!-- written from the code: begin -->"
END = "<!-- written from the code: end -->"

#: What stands above the table of a part; a part that is not here is called by its own name.
HEADINGS: dict[str, str] = {
    "SourceFile": "The file",
    "Auth": "`auth`",
    "Basic": "`auth.basic`",
    "Header": "`auth.header`",
    "Limits": "`limits`",
    "Gone": "`gone`",
    "Unfit": "`unfit`",
    "EventRule": "`events`",
    "Resource": "A resource",
    "Subject": "`subject`",
    "Fetch": "`fetch`",
    "Together": "`batch`",
    "Listing": "`list`",
    "Paging": "`list.paging`",
    "Value": "A value: `map` and `attributes`",
    "EdgeRule": "`edges`",
    "Target": "A target: `to`, `from`, `as`",
    "DatasetName": "`dataset` of a target",
    "CodeName": "`code` of a target",
    "PartRule": "`parts`",
    "FileRule": "`files`",
    "Reviewers": "`codeowners`",
}


def tables(parts: tuple[type[Struct], ...], headings: Mapping[str, str]) -> str:
    """Return a table of fields for each part, under its heading."""
    return "\n\n".join(_part(part, headings) for part in parts)


def _part(part: type[Struct], headings: Mapping[str, str]) -> str:
    heading = headings.get(part.__name__, f"`{part.__name__.lower()}`")
    lines = [f"### {heading}", "", " ".join((part.__doc__ or "").split()), ""]
    lines += ["| field | default | meaning |", "| --- | --- | --- |"]
    hints = get_type_hints(part, include_extras=True)
    for item in msgspec.structs.fields(part):
        words = " ".join(_descriptions(hints[item.name])).replace("|", "\\|")
        lines.append(f"| `{item.encode_name}` | {_default(item)} | {words} |")
    return "\n".join(lines)


def _descriptions(hint: object) -> Iterator[str]:
    """Yield what is said of a field itself, not of what it holds."""
    if get_origin(hint) is Annotated:
        inner, *notes = get_args(hint)
        own = [note.description for note in notes if isinstance(note, Meta) and note.description]
        yield from own or _descriptions(inner)
    elif get_origin(hint) in (Union, UnionType):
        for one in get_args(hint):
            yield from _descriptions(one)


def _default(item: msgspec.structs.FieldInfo) -> str:
    if item.required:
        return "required"
    value = item.default
    if item.default_factory is not msgspec.NODEFAULT:
        value = item.default_factory() or None
    if value is msgspec.NODEFAULT or value is None or value == "" or isinstance(value, Struct):
        return ""
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def page(text: str, tables: str) -> str:
    """Return a page with *tables* between its markers."""
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no markers")
    return f"{head}{BEGIN}\n\n{tables}\n\n{END}{tail}"


def schema_text(schema: Mapping[str, Json]) -> str:
    """Return a JSON Schema as it stands in a file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main(folder: Path) -> None:
    """Bring the page and the schema in *folder* up to date."""
    place = folder / "source-files.md"
    place.write_text(page(place.read_text("utf-8"), tables(spec.PARTS, HEADINGS)), "utf-8")
    (folder / "source.schema.json").write_text(schema_text(spec.json_schema()), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

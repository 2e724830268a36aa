"""Files of metadata change proposals: found, and each proposal checked by itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lineal import normalise
from lineal.model import Instant, Json
from lineal.sources import Refused
from lineal.sources.readers import Item, form
from lineal.sources.readers import read as read_file

#: What a proposal may ask for. What deletes or patches cannot be read without what was before.
_CHANGES = ("UPSERT", "CREATE", "CREATE_ENTITY", "UPDATE", "RESTATE")
_ENDINGS = ("*.json", "*.jsonl", "*.ndjson", "*.json.gz", "*.jsonl.gz")


@dataclass(frozen=True, slots=True)
class Proposal:
    """One aspect of one thing, as DataHub holds it."""

    file: str
    index: int
    kind: str
    urn: str
    aspect: str
    value: dict[str, Json]
    said_at: Instant | None

    @property
    def name(self) -> tuple[str, str]:
        """What is proposed: the thing and its aspect."""
        return self.urn, self.aspect


def proposals(paths: Iterable[Path]) -> Iterator[Proposal | Refused]:
    """
    Go through the proposals in files and folders, in the order of the names of the files.

    A file that is named must hold proposals; in folders, files without any are passed over.
    """
    for path in paths:
        if not path.is_dir():
            yield from _read(path)
            continue
        found = {file for ending in _ENDINGS for file in path.rglob(ending) if file.is_file()}
        for file in sorted(found):
            items = list(_read(file))
            if any(isinstance(item, Proposal) for item in items):
                yield from items


def _read(path: Path) -> Iterator[Proposal | Refused]:
    lines = form(path) == "jsonl"
    for item in read_file(path, str(path), "jsonl" if lines else "json"):
        if isinstance(item, Refused):
            yield item
        elif lines or not isinstance(item.value, list):
            yield _proposal(item)
        else:
            for index, value in enumerate(item.value):
                yield _proposal(Item(item.file, index, value))


def _proposal(item: Item) -> Proposal | Refused:
    def refused(reason: str, path: str = "") -> Refused:
        return Refused(item.file, item.index, reason, path)

    said = item.value
    if not isinstance(said, dict):
        return refused("an object is needed")
    if "proposedSnapshot" in said:
        return refused("an event of the old form; proposals are read, one aspect each")
    words = {
        name: normalise.text(said.get(name)) for name in ("entityType", "entityUrn", "aspectName")
    }
    if missing := next((name for name, word in words.items() if word is None), None):
        return refused("missing", missing)
    change = normalise.text(said.get("changeType")) or "UPSERT"
    if change not in _CHANGES:
        return refused(f"{change} is not read; {', '.join(_CHANGES)} are", "changeType")
    value = _aspect(said.get("aspect"))
    if value is None:
        return refused("neither an object in `json` nor one as text in `value`", "aspect")
    seen = normalise.number(normalise.mapping(said.get("systemMetadata")).get("lastObserved"))
    kind, urn, aspect = (str(word) for word in words.values())
    said_at = int(seen * 1_000) if seen and 0 < seen < 1e14 else None
    return Proposal(item.file, item.index, kind, urn, aspect, value, said_at)


def _aspect(said: Json) -> dict[str, Json] | None:
    """Return an aspect that stands as an object, or as JSON inside a text."""
    aspect = normalise.mapping(said)
    value = aspect.get("json")
    if value is None and isinstance(text := aspect.get("value"), str):
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return None
    return value if isinstance(value, dict) else None

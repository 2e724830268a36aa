"""dbt artifacts as files: found, recognised by what they say they are, and parsed.

Nodes are kept as raw JSON until they are read, so that one broken node is refused alone, and
``macros`` and ``docs`` (the larger part of a manifest) are never parsed.
Source: https://schemas.getdbt.com, artifacts ``manifest``, ``catalog``, ``run-results``.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from lineal import normalise
from lineal.errors import Invalid
from lineal.model import Instant, Json
from lineal.sources import Refused

#: The newest version of each artifact that is known here.
NEWEST = {"manifest": 12, "catalog": 1, "run-results": 6, "sources": 3}

Kind: TypeAlias = Literal["manifest", "catalog", "run-results", "sources"]
Node: TypeAlias = dict[str, Json]
Raw: TypeAlias = dict[str, msgspec.Raw]

_SCHEMA = re.compile(r"/dbt/([a-z-]+)/v(\d+)\.json$")


class Metadata(msgspec.Struct, frozen=True):
    """What an artifact says of itself."""

    dbt_schema_version: str
    generated_at: str | None = None
    invocation_id: str | None = None
    project_name: str | None = None
    project_id: str | None = None
    adapter_type: str | None = None
    dbt_version: str | None = None


class _Body(msgspec.Struct, frozen=True):
    metadata: Metadata
    nodes: Raw = {}
    sources: Raw = {}
    exposures: Raw = {}
    metrics: Raw = {}
    semantic_models: Raw = {}
    groups: Raw = {}
    results: list[msgspec.Raw] = []
    args: msgspec.Raw = msgspec.Raw(b"null")


class _Head(msgspec.Struct, frozen=True):
    metadata: Metadata


class Artifact(msgspec.Struct, frozen=True):
    """One artifact, its nodes still raw."""

    file: str
    kind: Kind
    version: int
    metadata: Metadata
    said_at: Instant | None
    body: _Body

    def section(self, name: str, refused: list[Refused]) -> Iterator[tuple[str, Node]]:
        """Go through the nodes of a section by unique id; a broken one is *refused*."""
        raw: Raw = getattr(self.body, name)
        for unique_id, content in raw.items():
            node = self._node(content, f"{name}.{unique_id}", None, refused)
            if node is not None:
                yield unique_id, node

    def results(self, refused: list[Refused]) -> Iterator[Node]:
        """Go through the results; a broken one is *refused*."""
        for index, content in enumerate(self.body.results):
            node = self._node(content, f"results[{index}]", index, refused)
            if node is not None:
                yield node

    def unique_ids(self) -> list[str]:
        """Return the unique ids that a catalog or results speak of."""
        ids = [normalise.text(result.get("unique_id")) for result in self.results([])]
        return [*self.body.nodes, *self.body.sources, *(name for name in ids if name)]

    def arguments(self) -> Node:
        """Return the arguments that dbt was called with."""
        parsed = _parsed(self.body.args)
        return parsed if isinstance(parsed, dict) else {}

    def _node(
        self, content: msgspec.Raw, path: str, index: int | None, refused: list[Refused]
    ) -> Node | None:
        parsed = _parsed(content)
        if isinstance(parsed, dict):
            return parsed
        reason = "an object is needed" if parsed is not None else "nothing or not JSON"
        refused.append(Refused(self.file, index, reason, path))
        return None


def _parsed(content: msgspec.Raw) -> Json:
    try:
        value: Json = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value


def find(paths: Iterable[Path]) -> Iterator[Artifact | Refused]:
    """
    Find the artifacts in files and folders, in the order of their names.

    A file that is named must be an artifact. In folders, JSON files that do not say that they
    are one are passed over.
    """
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*.json*")):
                if file.is_file():
                    yield from _load(file, named=False)
        else:
            yield from _load(path, named=True)


def _load(path: Path, *, named: bool) -> Iterator[Artifact | Refused]:
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        yield Refused(str(path), None, f"cannot be read: {error}")
        return
    if not named and b'"dbt_schema_version"' not in content:
        return
    found = _artifact(str(path), content)
    if named or isinstance(found, Artifact) or found.path != "metadata":
        yield found


def _artifact(file: str, content: bytes) -> Artifact | Refused:
    try:
        metadata = msgspec.json.decode(content, type=_Head).metadata
    except msgspec.ValidationError as error:
        return Refused(file, None, f"not a dbt artifact: {error}", "metadata")
    except (msgspec.DecodeError, RecursionError) as error:
        return Refused(file, None, f"not JSON: {error}")
    found = _SCHEMA.search(metadata.dbt_schema_version)
    if found is None or found.group(1) not in NEWEST:
        reason = f"{metadata.dbt_schema_version!r} is no artifact that is read here"
        return Refused(file, None, reason, "metadata.dbt_schema_version")
    kind, version = found.group(1), int(found.group(2))
    if not 1 <= version <= NEWEST[kind]:
        reason = f"{kind} v{version} is not known; v1 to v{NEWEST[kind]} are"
        return Refused(file, None, reason, "metadata.dbt_schema_version")
    return _whole(file, content, kind, version)


def _whole(file: str, content: bytes, kind: str, version: int) -> Artifact | Refused:
    try:
        body = msgspec.json.decode(content, type=_Body)
        said_at = normalise.time(body.metadata.generated_at)
    except (msgspec.DecodeError, RecursionError) as error:
        return Refused(file, None, f"not a {kind}: {error}")
    except Invalid as error:
        return Refused(file, None, error.message, "metadata.generated_at")
    return Artifact(file, _KINDS[kind], version, body.metadata, said_at, body)


_KINDS: dict[str, Kind] = {
    "manifest": "manifest",
    "catalog": "catalog",
    "run-results": "run-results",
    "sources": "sources",
}

"""The record of one data set (or model), folded from all events that name it.

What it is derived from in a run is stated by the run, and in a design by the job; here only what
a DatasetEvent says of itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lineal import normalise
from lineal.model import Instant, Json, Uri
from lineal.sources.openlineage import facets as faceted
from lineal.sources.openlineage import lineage
from lineal.sources.openlineage.draft import Draft
from lineal.sources.openlineage.events import Entry
from lineal.sources.openlineage.facets import NOTHING, Facet
from lineal.sources.openlineage.jobs import owners
from lineal.sources.openlineage.lineage import Target
from lineal.sources.openlineage.naming import Names, as_model

_KNOWN = frozenset(
    {
        "schema",
        "columnLineage",
        "lineage",
        "symlinks",
        "catalog",
        "datasetType",
        "hierarchy",
        "storage",
        "dataSource",
        "version",
        "lifecycleStateChange",
        "ownership",
        "tags",
        "documentation",
        "dataQualityMetrics",
        "dataQualityAssertions",
        "inputStatistics",
        "outputStatistics",
    }
)
_FORMS = {
    "TABLE": "table",
    "TEMPORARY": "table",
    "VIEW": "view",
    "FILE": "file",
    "TOPIC": "topic",
    "STREAM": "stream",
}


@dataclass(frozen=True, slots=True)
class Mention:
    """One place of an event that names the data set."""

    at: Instant
    reference: Mapping[str, Json]
    #: A DatasetEvent: the data set's own word.
    own: bool


def mentions(names: Names, entries: Sequence[Entry], subject: Uri) -> list[Mention]:
    """Return where *entries*, in order, name *subject*."""
    return [
        Mention(entry.at, reference, own)
        for entry in entries
        for _, reference, own in named(entry)
        if names.thing(reference) == subject
    ]


def named(entry: Entry) -> Iterator[tuple[str, Mapping[str, Json], bool]]:
    """Go through the data sets that an event names: where, and if it is about that one alone."""
    if entry.run or entry.job:
        for side in ("inputs", "outputs"):
            for index, reference in enumerate(entry.data_sets(side)):
                yield f"{side}[{index}]", reference, False
    elif reference := normalise.mapping(entry.body.get("dataset")):
        yield "dataset", reference, True


def draft_data_set(draft: Draft, found: Sequence[Mention]) -> None:
    """Say what all that was *found* of a data set, in order, tells of it."""
    folded = faceted.fold(
        (mention.at, mention.reference.get(key))
        for mention in found
        for key in ("facets", "inputFacets", "outputFacets")
    )
    since = faceted.since(_lasting(folded), found[0].at)
    reference = found[-1].reference
    draft.state(draft.subject, _attributes(draft.subject, reference, folded), since=since)
    for owner, role in owners(draft, folded.get("ownership", NOTHING)):
        draft.join(draft.subject, "owned_by", owner, {"role": role}, since=since)
    if draft.subject.type == "dataset":
        _columns(draft, reference, folded)
    _join_location(draft, reference, folded)
    _join_aliases(draft, folded.get("symlinks", NOTHING))
    _join_renamed(draft, found)
    _own_lineage(draft, [mention for mention in found if mention.own])


def _lasting(folded: Mapping[str, Facet]) -> dict[str, Facet]:
    """Leave out what is of a run rather than of the data set."""
    passing = ("columnLineage", "lineage", "inputStatistics", "outputStatistics", "version")
    return {name: facet for name, facet in folded.items() if name not in passing}


def _attributes(
    subject: Uri, reference: Mapping[str, Json], folded: Mapping[str, Facet]
) -> dict[str, Json]:
    kind = folded.get("datasetType", NOTHING)
    words = (kind.text("datasetType"), kind.text("subType"))
    return {
        "name": subject.name,
        "namespace": normalise.canonical_namespace(str(reference.get("namespace"))),
        "description": folded.get("documentation", NOTHING).text("description"),
        "subtypes": [word.lower() for word in words if word],
        **(_of_data(folded) if subject.type == "dataset" else {}),
        "tags": list[Json](faceted.tags(folded.get("tags", NOTHING))),
        "facets": faceted.kept(folded, _KNOWN),
    }


def _of_data(folded: Mapping[str, Facet]) -> dict[str, Json]:
    """Return what is said of data alone, never of a model: how it is kept, and how it is now."""
    kind = folded.get("datasetType", NOTHING).text("datasetType")
    source = folded.get("dataSource", NOTHING).text("uri")
    storage = folded.get("storage", NOTHING)
    return {
        "form": _FORMS.get((kind or "").upper()),
        "data_source": normalise.without_password(source) if source else None,
        "format": storage.text("fileFormat"),
        "storage_layer": storage.text("storageLayer"),
        "catalog": _catalog(folded.get("catalog", NOTHING)),
        "hierarchy": _hierarchy(folded.get("hierarchy", NOTHING)),
        "last_operation": faceted.operation(folded),
        **_quality(folded),
    }


def _catalog(facet: Facet) -> dict[str, Json]:
    kept: dict[str, Json] = {
        key: facet.text(key) for key in ("framework", "type", "name", "source")
    }
    for key in ("metadataUri", "warehouseUri"):
        url = facet.text(key)
        kept[key] = normalise.without_password(url) if url else None
    return normalise.said(kept)


def _hierarchy(facet: Facet) -> list[Json]:
    levels = normalise.mappings(facet.value.get("hierarchy"))
    return [f"{level.get('type')}::{level.get('name')}" for level in levels]


def _quality(folded: Mapping[str, Facet]) -> dict[str, Json]:
    metrics = folded.get("dataQualityMetrics", NOTHING).value
    checks: dict[str, Json] = {}
    assertions = folded.get("dataQualityAssertions", NOTHING).value.get("assertions")
    for item in normalise.mappings(assertions):
        name, column = normalise.text(item.get("assertion")), normalise.text(item.get("column"))
        if name is not None:
            checks[f"{name}({column})" if column else name] = (
                "passed" if item.get("success") is True else "failed"
            )
    return {
        "rows": normalise.number(metrics.get("rowCount")),
        "bytes": normalise.number(metrics.get("bytes")),
        "files": normalise.number(metrics.get("fileCount")),
        "refreshed_at": normalise.iso_time(metrics.get("lastUpdated")),
        "quality": checks,
    }


# ── Columns ──────────────────────────────────────────────────────────────────────────────────────


def _columns(draft: Draft, reference: Mapping[str, Json], folded: Mapping[str, Facet]) -> None:
    schema = folded.get("schema", NOTHING)
    labels = folded.get("tags", NOTHING)
    measured = folded.get("dataQualityMetrics", NOTHING).value.get("columnMetrics")
    for position, (name, field) in enumerate(_flat(schema.value.get("fields")), start=1):
        with draft.reading(f"schema.fields[{position - 1}]"):
            column = draft.names.column(reference, name)
            attributes: dict[str, Json] = {
                "name": name,
                "data_type": normalise.text(field.get("type")),
                "description": normalise.text(field.get("description")),
                "position": normalise.number(field.get("ordinal_position")) or position,
                "tags": list[Json](faceted.tags(labels, name)),
                "statistics": dict(normalise.mapping(normalise.mapping(measured).get(name))),
            }
            draft.state(column, attributes, since=schema.since)
            draft.join(column, "column_of", draft.subject, since=schema.since)


def _flat(fields: Json, inside: str = "") -> Iterator[tuple[str, Mapping[str, Json]]]:
    """Go through fields and the fields inside them, whose names are joined by dots."""
    for field in normalise.mappings(fields):
        name = normalise.text(field.get("name"))
        if name is not None:
            yield inside + name, field
            yield from _flat(field.get("fields"), f"{inside}{name}.")


# ── Other names ──────────────────────────────────────────────────────────────────────────────────


def _join_location(
    draft: Draft, reference: Mapping[str, Json], folded: Mapping[str, Facet]
) -> None:
    """Say where a table's files lie, if its storage or its catalog tells."""
    storage, catalog = folded.get("storage", NOTHING), folded.get("catalog", NOTHING)
    table = normalise.text(reference.get("name")) or ""
    for facet, place, path in (
        (storage, storage.text("location") or storage.text("uri"), "storage"),
        (catalog, normalise.in_warehouse(catalog.value, table), "catalog.warehouseUri"),
    ):
        if place is not None:
            with draft.reading(path):
                uri = normalise.location(place, draft.names.platforms)
                same = as_model(uri) if draft.subject.type == "model" else uri
                evidence: dict[str, Json] = {"evidence": "location", "read_in": path}
                draft.join(draft.subject, "same_as", same, evidence, since=facet.since)


def _join_aliases(draft: Draft, facet: Facet) -> None:
    for index, item in enumerate(normalise.mappings(facet.value.get("identifiers"))):
        with draft.reading(f"symlinks.identifiers[{index}]"):
            evidence: dict[str, Json] = {
                "evidence": "symlink",
                "read_in": f"symlinks.identifiers[{index}]",
                "identifier_type": normalise.text(item.get("type")),
            }
            draft.join(draft.subject, "same_as", _alike(draft, item), evidence, since=facet.since)


def _join_renamed(draft: Draft, found: Sequence[Mention]) -> None:
    """Every renaming counts, not the last alone: each happened."""
    for mention in found:
        facets = normalise.mapping(mention.reference.get("facets"))
        change = normalise.mapping(facets.get("lifecycleStateChange"))
        if before := normalise.mapping(change.get("previousIdentifier")):
            with draft.reading("lifecycleStateChange.previousIdentifier"):
                draft.join(
                    draft.subject,
                    "same_as",
                    _alike(draft, before),
                    {"evidence": "rename", "read_in": "lifecycleStateChange.previousIdentifier"},
                    since=mention.at,
                )


def _alike(draft: Draft, identifier: Mapping[str, Json]) -> Uri:
    whole = draft.names.data_set(identifier)
    return as_model(whole) if draft.subject.type == "model" else whole


def _own_lineage(draft: Draft, own: Sequence[Mention]) -> None:
    folded = faceted.fold((mention.at, mention.reference.get("facets")) for mention in own)
    if folded:
        lineage.of_data_set(draft, folded, Target(own[-1].reference, draft.subject), None)

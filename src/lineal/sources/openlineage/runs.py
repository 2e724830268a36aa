"""The record of one run, folded from all its events.

Events of a run add up: inputs and outputs are the union, unless the job says that each event is
a complete snapshot. A run that has ended stays ended, whatever arrives late.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lineal import normalise
from lineal.model import Instant, Json, Uri, iso
from lineal.sources.openlineage import facets as faceted
from lineal.sources.openlineage import lineage
from lineal.sources.openlineage.draft import Draft
from lineal.sources.openlineage.events import Entry
from lineal.sources.openlineage.facets import NOTHING, Facet
from lineal.sources.openlineage.lineage import Target, Worker
from lineal.sources.openlineage.naming import Names, as_model, is_model

ENDED = ("COMPLETE", "ABORT", "FAIL")
#: The longest text of an error or stack trace that is kept.
TEXT_LIMIT = 10_000
#: How many partitions and files of one data set are kept of a run.
PARTS_LIMIT = 100
SIDES = ("inputs", "outputs")

_KNOWN = frozenset(
    {
        "parent",
        "parentRun",
        "nominalTime",
        "processing_engine",
        "errorMessage",
        "executionParameters",
        "externalQuery",
        "jobDependencies",
        "tags",
        "test",
    }
)


@dataclass(frozen=True, slots=True)
class Touched:
    """A data set that a run read or wrote: its facets, and those of the reading or writing."""

    reference: Mapping[str, Json]
    whole: Uri
    facets: Mapping[str, Facet]
    io: Mapping[str, Facet]
    #: The partitions and files of it that were named.
    parts: Sequence[str] = ()


def draft_run(draft: Draft, entries: Sequence[Entry]) -> None:
    """Say what *entries*, all of one run and in order, tell of it."""
    folded = faceted.fold((entry.at, entry.run.get("facets")) for entry in entries)
    began = _began(entries)
    job = entries[-1].job
    worker = Worker(job, draft.names.pipeline(job), draft.subject)
    draft.state(draft.subject, _attributes(draft.subject, entries, folded), since=began)
    for pipeline in {draft.names.pipeline(entry.job) for entry in entries}:
        draft.join(draft.subject, "run_of", pipeline, since=began)
    _join_parents(draft, entries, began)
    if "jobDependencies" in folded:
        lineage.dependencies(draft, folded["jobDependencies"], worker)
    _data_sets(draft, entries, worker, began)
    said = faceted.fold((entry.at, entry.job.get("facets")) for entry in entries)
    if "lineage" in said:
        lineage.of_job(draft, said["lineage"], worker)


def _began(entries: Sequence[Entry]) -> Instant:
    starts = [entry.at for entry in entries if entry.state == "START"]
    return min(starts, default=entries[0].at)


# ── The run itself ───────────────────────────────────────────────────────────────────────────────


def _attributes(run: Uri, entries: Sequence[Entry], folded: Mapping[str, Facet]) -> dict[str, Json]:
    job = entries[-1].job
    nominal = folded.get("nominalTime", NOTHING)
    engine = folded.get("processing_engine", NOTHING)
    query = folded.get("externalQuery", NOTHING)
    return {
        "name": f"{normalise.text(job.get('name'))} {run.name[:8]}",
        **_standing(entries),
        "scheduled_for": normalise.iso_time(nominal.value.get("nominalStartTime")),
        "scheduled_until": normalise.iso_time(nominal.value.get("nominalEndTime")),
        "engine": engine.text("name"),
        "engine_version": engine.text("version"),
        **_error(folded.get("errorMessage", NOTHING)),
        "parameters": _parameters(folded.get("executionParameters", NOTHING)),
        "external_query": query.text("externalQueryId"),
        "external_system": query.text("source"),
        "tests": _tests(folded.get("test", NOTHING)),
        "tags": list[Json](faceted.tags(folded.get("tags", NOTHING))),
        "producer": normalise.text(entries[-1].body.get("producer")),
        "facets": faceted.kept(folded, _KNOWN),
    }


def _standing(entries: Sequence[Entry]) -> dict[str, Json]:
    """Return status, start and end: an end once told is never taken back."""
    known = [entry for entry in entries if entry.state and entry.state != "OTHER"]
    ends = [entry for entry in known if entry.state in ENDED]
    starts = [entry for entry in known if entry.state == "START"]
    word = next((entry.state for entry in reversed(ends or known)), None)
    return {
        "status": normalise.run_status(word) if word else None,
        "started_at": iso(starts[0].at) if starts else None,
        "ended_at": iso(ends[-1].at) if ends else None,
    }


def _error(facet: Facet) -> dict[str, Json]:
    return {
        "error": faceted.clipped(facet.text("message"), TEXT_LIMIT),
        "stack_trace": faceted.clipped(facet.text("stackTrace"), TEXT_LIMIT),
    }


def _parameters(facet: Facet) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for item in normalise.mappings(facet.value.get("parameters")):
        if (key := normalise.text(item.get("key"))) is not None:
            found[key] = item.get("value")
    return faceted.masked(found)


def _tests(facet: Facet) -> list[Json]:
    return [faceted.masked(item) for item in normalise.mappings(facet.value.get("tests"))]


# ── What it belongs to ───────────────────────────────────────────────────────────────────────────


def parents(entries: Iterable[Entry]) -> Iterable[tuple[Entry, Mapping[str, Json]]]:
    """Go through the parent facets of the events, with the event that each is in."""
    for entry in entries:
        facets = normalise.mapping(entry.run.get("facets"))
        for name in ("parent", "parentRun"):
            if parent := normalise.mapping(facets.get(name)):
                yield entry, parent


def _join_parents(draft: Draft, entries: Sequence[Entry], began: Instant) -> None:
    """Join the run to its parents, each parent to its pipeline, and both to their root."""
    for _, facet in parents(entries):
        child = draft.subject
        for level, item in (
            ("parent", facet),
            ("parent.root", normalise.mapping(facet.get("root"))),
        ):
            if not item:
                continue
            with draft.reading(level):
                above = lineage.worker_of(draft.names, item)
                if above.run is not None:
                    draft.join(child, "part_of", above.run, since=began)
                    draft.join(above.run, "run_of", above.pipeline, since=began)
                    child = above.run


# ── What it read and wrote ───────────────────────────────────────────────────────────────────────


def _data_sets(draft: Draft, entries: Sequence[Entry], worker: Worker, began: Instant) -> None:
    counted = _counted(entries)
    sides = {side: touched(draft.names, counted, side) for side in SIDES}
    models = {
        item.whole
        for side in SIDES
        for item in sides[side]
        if is_model(item.facets.get("datasetType", NOTHING).value)
    }
    for item in sides["inputs"]:
        with draft.reading(f"inputs.{item.whole.name}"):
            thing = _read(draft, item, models, began)
            volume = {**_volume(item, "inputStatistics"), "parts": list[Json](item.parts)}
            draft.join(draft.subject, "reads", thing, volume, since=began)
    for item in sides["outputs"]:
        with draft.reading(f"outputs.{item.whole.name}"):
            thing = _written(draft, item, models, began)
            volume = {
                **_volume(item, "outputStatistics"),
                "operation": faceted.operation(item.facets),
                "parts": list[Json](item.parts),
            }
            draft.join(thing, "produced_by", draft.subject, volume, since=began)
            target = Target(item.reference, thing if item.whole in models else item.whole)
            lineage.of_data_set(draft, item.facets, target, worker)


def _counted(entries: Sequence[Entry]) -> list[Entry]:
    """Return the events whose data sets count: all, or the last of each window of snapshots."""
    pattern = _pattern(entries)
    if not _says_snapshots(pattern):
        return list(entries)
    seconds = normalise.number(pattern.get("windowDuration"))
    width = int(seconds * 1_000_000_000) if seconds and seconds > 0 else None
    windows: dict[int, Entry] = {}
    for entry in entries:
        if any(entry.states(side) for side in SIDES):
            windows[entry.time // width if width else 0] = entry
    return sorted(windows.values(), key=lambda entry: (entry.time, entry.hash))


def has_snapshots(entries: Sequence[Entry]) -> bool:
    """Say whether the job of these events says that each is a complete snapshot."""
    return _says_snapshots(_pattern(entries))


def _pattern(entries: Sequence[Entry]) -> Mapping[str, Json]:
    facets = faceted.fold((entry.at, entry.job.get("facets")) for entry in entries)
    return normalise.mapping(facets.get("jobType", NOTHING).value.get("emissionPattern"))


def _says_snapshots(pattern: Mapping[str, Json]) -> bool:
    return normalise.text(pattern.get("eventContentMode")) == "COMPLETE_SNAPSHOT"


def touched(names: Names, entries: Sequence[Entry], side: str) -> list[Touched]:
    """Return the data sets of one side of *entries*, each with its facets folded."""
    said: dict[Uri, list[tuple[Instant, Mapping[str, Json]]]] = {}
    for entry in entries:
        for reference in entry.data_sets(side):
            said.setdefault(names.data_set(reference), []).append((entry.at, reference))
    return [
        Touched(
            references[-1][1],
            whole,
            faceted.fold((at, reference.get("facets")) for at, reference in references),
            faceted.fold((at, reference.get(f"{side[:-1]}Facets")) for at, reference in references),
            _parts(reference for _, reference in references),
        )
        for whole, references in said.items()
    ]


def _parts(references: Iterable[Mapping[str, Json]]) -> list[str]:
    """Return which partitions and files of a data set were named, in the place of the whole."""
    found = {member(reference) for reference in references}
    return sorted(part for part in found if part is not None)[:PARTS_LIMIT]


def member(reference: Mapping[str, Json]) -> str | None:
    """Return which partition or file of its data set is named in the place of the whole."""
    return normalise.member(str(reference["namespace"]), str(reference["name"]))


def _read(draft: Draft, item: Touched, models: set[Uri], began: Instant) -> Uri:
    whole = as_model(item.whole) if item.whole in models else item.whole
    return _version(draft, whole, _said_version(item), began)


def _written(draft: Draft, item: Touched, models: set[Uri], began: Instant) -> Uri:
    """Return what was written. A model without version gets one, named by the run that made it."""
    if item.whole not in models:
        return _version(draft, item.whole, _said_version(item), began)
    version = _said_version(item) or draft.subject.name
    return _version(draft, as_model(item.whole), version, began)


def _said_version(item: Touched) -> str | None:
    return item.facets.get("version", NOTHING).text("datasetVersion")


def _version(draft: Draft, whole: Uri, version: str | None, began: Instant) -> Uri:
    """State and return a version of *whole*; the whole itself where none can be named."""
    part = whole
    if version is not None:
        with draft.reading("version.datasetVersion"):
            part = whole.part(f"{whole.type}-version", version)
            attributes: dict[str, Json] = {"name": f"{whole.name} {version}", "version": version}
            draft.state(part, attributes, since=began)
            draft.join(part, "version_of", whole, since=began)
    return part


def _volume(item: Touched, facet: str) -> dict[str, Json]:
    counts = item.io.get(facet, NOTHING).value
    return {
        "rows": normalise.number(counts.get("rowCount")),
        "bytes": normalise.number(counts.get("size")),
        "files": normalise.number(counts.get("fileCount")),
    }

"""Lineage that facets spell out: column lineage, explicit lineage, dependencies of jobs.

Sources: https://openlineage.io/spec/facets/1-2-0/ColumnLineageDatasetFacet.json,
https://openlineage.io/spec/facets/1-0-0/LineageFacet.json,
https://openlineage.io/spec/facets/1-0-1/JobDependenciesRunFacet.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lineal import normalise
from lineal.model import Instant, Json, Uri
from lineal.sources.openlineage.draft import Draft
from lineal.sources.openlineage.facets import Facet
from lineal.sources.openlineage.naming import Names

_PASSED_ON = ("type", "subtype", "description", "masking")
_DEPENDENCY = ("dependency_type", "sequence_trigger_rule", "status_trigger_rule")


@dataclass(frozen=True, slots=True)
class Worker:
    """What does the work: a pipeline, and the run of it where one is meant."""

    job: Mapping[str, Json]
    pipeline: Uri
    run: Uri | None = None

    @property
    def uri(self) -> Uri:
        """The run, else the pipeline."""
        return self.run or self.pipeline


@dataclass(frozen=True, slots=True)
class Target:
    """What the lineage leads to, as named in the event, and what it is here."""

    reference: Mapping[str, Json]
    uri: Uri

    @property
    def modelled(self) -> bool:
        """True for a model, which has no columns."""
        return self.uri.type in ("model", "model-version")


def of_data_set(
    draft: Draft, facets: Mapping[str, Facet], target: Target, worker: Worker | None
) -> None:
    """State what the facets of *target* say it was made from, by *worker* if any."""
    if "columnLineage" in facets:
        facet = facets["columnLineage"]
        _Inflow(draft, target, worker, facet.since).columns(facet.value)
    if "lineage" in facets:
        facet = facets["lineage"]
        _Inflow(draft, target, worker, facet.since).entry(facet.value)


def of_job(draft: Draft, facet: Facet, worker: Worker) -> None:
    """State the ``lineage`` facet of a job: entries, each with a target of its own."""
    for index, entry in enumerate(normalise.mappings(facet.value.get("entries"))):
        with draft.reading(f"lineage.entries[{index}]"):
            if entry.get("type") == "JOB":
                _into_job(draft, entry, worker, facet.since)
            else:
                target = Target(entry, draft.names.thing(entry))
                _Inflow(draft, target, worker, facet.since).entry(entry)


# ── Into a data set ──────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Inflow:
    """What flows into one target. A model has no columns: its run reads what it learns from."""

    draft: Draft
    target: Target
    worker: Worker | None
    since: Instant
    _gathered: dict[tuple[Uri, Uri], list[Json]] = field(default_factory=dict)

    def columns(self, facet: Mapping[str, Json]) -> None:
        """State a ``columnLineage`` facet: of columns, and of what affects all of them."""
        names = self.draft.names
        for name, value in normalise.mapping(facet.get("fields")).items():
            entry = normalise.mapping(value)
            old = _old_transformations(entry)
            for item in normalise.mappings(entry.get("inputFields")):
                with self.draft.reading(f"columnLineage.fields.{name}"):
                    given = list(_transformations(item)) or old
                    self._add(self._field(name), names.column(item, item.get("field")), given)
        for item in normalise.mappings(facet.get("dataset")):
            with self.draft.reading("columnLineage.dataset"):
                source = names.column(item, item.get("field"))
                self._add(self.target.uri, source, _transformations(item))
        self._tell()

    def entry(self, entry: Mapping[str, Json]) -> None:
        """State an entry of explicit lineage: inputs of the whole and of its fields."""
        for item in normalise.mappings(entry.get("inputs")):
            with self.draft.reading("lineage.inputs"):
                self._input(self.target.uri, item)
        for name, inside in normalise.mapping(entry.get("fields")).items():
            for item in normalise.mappings(normalise.mapping(inside).get("inputs")):
                with self.draft.reading(f"lineage.fields.{name}"):
                    self._input(self._field(name), item)
        self._tell()

    def _input(self, start: Uri, item: Mapping[str, Json]) -> None:
        if item.get("type") != "JOB":
            self._add(start, _source(self.draft.names, item), _transformations(item))
            return
        by = _worker(self.draft.names, item, self.worker)
        if by is not None and self.target.uri.type != "model":
            self.draft.join(self.target.uri, "produced_by", by.uri, since=self.since)

    def _field(self, name: str) -> Uri:
        if self.target.modelled:
            return self.target.uri
        return self.draft.names.column(self.target.reference, name)

    def _add(self, start: Uri, source: Uri, transformations: Iterable[Json]) -> None:
        if not self.target.modelled:
            known = self._gathered.setdefault((start, source), [])
            known.extend(item for item in transformations if item not in known)
        elif self.worker is not None:
            self.draft.join(self.worker.uri, "reads", source, since=self.since)
        elif source.type in ("column", "dataset"):
            whole = source if source.type == "dataset" else _whole(source)
            self.draft.join(start, "trained_on", whole, since=self.since)

    def _tell(self) -> None:
        for (start, end), transformations in self._gathered.items():
            said = _described(transformations)
            self.draft.join(start, "derived_from", end, said, since=self.since)


def _whole(column: Uri) -> Uri:
    return Uri.of("dataset", column.platform, *column.segments[:-1])


def _described(transformations: list[Json]) -> dict[str, Json]:
    steps = list(normalise.mappings(transformations))
    words = {
        normalise.text(step.get("subtype")) or normalise.text(step.get("type")) for step in steps
    }
    return {
        "transformation": ", ".join(sorted({word.lower() for word in words if word})),
        "transformations": transformations,
        "masking": any(step.get("masking") is True for step in steps) or None,
    }


def _transformations(item: Mapping[str, Json]) -> Iterator[Json]:
    for given in normalise.mappings(item.get("transformations")):
        yield normalise.said({key: given.get(key) for key in _PASSED_ON})


def _old_transformations(entry: Mapping[str, Json]) -> list[Json]:
    """Read the two fields that version 1-2-0 deprecates."""
    word = normalise.text(entry.get("transformationType"))
    if word is None:
        return []
    told = normalise.text(entry.get("transformationDescription"))
    masking = word.upper() == "MASKED" or None
    given = {"type": "DIRECT", "subtype": word, "description": told, "masking": masking}
    return [normalise.said(given)]


# ── Into and between jobs ────────────────────────────────────────────────────────────────────────


def _into_job(draft: Draft, entry: Mapping[str, Json], own: Worker, since: Instant) -> None:
    target = _worker(draft.names, entry, own) or own
    for item in normalise.mappings(entry.get("inputs")):
        with draft.reading("lineage.inputs"):
            if item.get("type") != "JOB":
                draft.join(target.uri, "reads", _source(draft.names, item), since=since)
            else:
                source = _worker(draft.names, item, own) or own
                _depend(draft, target, source, {"passes": "data"}, since)


def dependencies(draft: Draft, facet: Facet, worker: Worker) -> None:
    """State a ``jobDependencies`` facet: what must end before, and what starts after."""
    for side in ("upstream", "downstream"):
        for index, item in enumerate(normalise.mappings(facet.value.get(side))):
            with draft.reading(f"jobDependencies.{side}[{index}]"):
                other = worker_of(draft.names, item)
                said = {key: normalise.text(item.get(key)) for key in _DEPENDENCY}
                later, earlier = (worker, other) if side == "upstream" else (other, worker)
                _depend(draft, later, earlier, said, facet.since)


def _depend(
    draft: Draft, later: Worker, earlier: Worker, said: Mapping[str, Json], since: Instant
) -> None:
    """Join two runs if both are known, else their pipelines."""
    if later.run and earlier.run:
        draft.join(later.run, "depends_on", earlier.run, said, since=since)
    else:
        draft.join(later.pipeline, "depends_on", earlier.pipeline, said, since=since)


def worker_of(names: Names, item: Mapping[str, Json]) -> Worker:
    """Return what a ``{job, run}`` means, as in the facets of parents and dependencies."""
    job = normalise.mapping(item.get("job"))
    run_id = normalise.mapping(item.get("run")).get("runId")
    run = names.run(job, run_id) if run_id is not None else None
    return Worker(job, names.pipeline(job), run)


def _worker(names: Names, item: Mapping[str, Json], own: Worker | None) -> Worker | None:
    """Return the job that *item* names; without a name it is the event's own."""
    run_id = item.get("runId")
    if item.get("name") is not None:
        run = names.run(item, run_id) if run_id is not None else None
        return Worker(item, names.pipeline(item), run)
    if own is not None and run_id is not None:
        return Worker(own.job, own.pipeline, names.run(own.job, run_id))
    return own


def _source(names: Names, item: Mapping[str, Json]) -> Uri:
    if item.get("field") is not None:
        return names.column(item, item.get("field"))
    return names.thing(item)

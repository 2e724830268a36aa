"""Lineage that facets spell out: column lineage, explicit lineage, dependencies of jobs.

Sources: https://openlineage.io/spec/facets/1-2-0/ColumnLineageDatasetFacet.json,
https://openlineage.io/spec/facets/1-0-0/LineageFacet.json,
https://openlineage.io/spec/facets/1-0-1/JobDependenciesRunFacet.json.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lineal import normalise
from lineal.model import Instant, Json, Uri
from lineal.sources.openlineage.draft import Draft
from lineal.sources.openlineage.facets import Facet
from lineal.sources.openlineage.naming import Names, as_model

_PASSED_ON = ("type", "subtype", "description", "masking")


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


class Gathered:
    """Derivations with all transformations that were given for each."""

    def __init__(self) -> None:
        self._ends: dict[tuple[Uri, Uri], list[Json]] = {}

    def add(self, start: Uri, end: Uri, transformations: Iterable[Json]) -> None:
        """Note that *start* is derived from *end*."""
        known = self._ends.setdefault((start, end), [])
        known.extend(item for item in transformations if item not in known)

    def tell(self, draft: Draft, since: Instant) -> None:
        """State all of them."""
        for (start, end), transformations in self._ends.items():
            draft.join(start, "derived_from", end, _described(transformations), since=since)


def _described(transformations: list[Json]) -> dict[str, Json]:
    words = {
        word.lower()
        for item in normalise.mappings(transformations)
        if (word := normalise.text(item.get("subtype")) or normalise.text(item.get("type")))
    }
    hidden = any(item.get("masking") is True for item in normalise.mappings(transformations))
    return {
        "transformation": ", ".join(sorted(words)),
        "transformations": transformations,
        "masking": hidden or None,
    }


def _transformations(item: Mapping[str, Json]) -> Iterator[Json]:
    for given in normalise.mappings(item.get("transformations")):
        yield normalise.said({key: given.get(key) for key in _PASSED_ON})


def column_lineage(draft: Draft, facet: Facet, target: Target, worker: Worker | None) -> None:
    """
    State a ``columnLineage`` facet: column from column, and data set from the columns that
    affect all of it. What a model is made from is read by its *worker*.
    """
    gathered = Gathered()
    for field, entry in normalise.mapping(facet.value.get("fields")).items():
        old = _old_transformation(normalise.mapping(entry))
        for item in normalise.mappings(normalise.mapping(entry).get("inputFields")):
            with draft.reading(f"columnLineage.fields.{field}"):
                source = draft.names.column(item, item.get("field"))
                if target.modelled:
                    _learnt(draft, target, worker, source, item, facet.since)
                else:
                    start = draft.names.column(target.reference, field)
                    gathered.add(start, source, list(_transformations(item)) or old)
    for item in normalise.mappings(facet.value.get("dataset")):
        with draft.reading("columnLineage.dataset"):
            source = draft.names.column(item, item.get("field"))
            if target.modelled:
                _learnt(draft, target, worker, source, item, facet.since)
            else:
                gathered.add(target.uri, source, _transformations(item))
    gathered.tell(draft, facet.since)


def _old_transformation(entry: Mapping[str, Json]) -> list[Json]:
    """Read the two fields that version 1-2-0 deprecates."""
    word = normalise.text(entry.get("transformationType"))
    told = normalise.text(entry.get("transformationDescription"))
    if word is None:
        return []
    masked = word.upper() == "MASKED" or None
    given = {"type": "DIRECT", "subtype": word, "description": told, "masking": masked}
    return [normalise.said(given)]


def _learnt(
    draft: Draft,
    target: Target,
    worker: Worker | None,
    source: Uri,
    item: Mapping[str, Json],
    since: Instant,
) -> None:
    if worker is not None:
        draft.join(worker.uri, "reads", source, since=since)
    elif target.modelled:
        draft.join(target.uri, "trained_on", draft.names.data_set(item), since=since)


def explicit(draft: Draft, facet: Facet, target: Target, worker: Worker | None) -> None:
    """State the ``lineage`` facet of a data set."""
    _entry(draft, facet.value, target, worker, facet.since)


def explicit_of_job(draft: Draft, facet: Facet, worker: Worker) -> None:
    """State the ``lineage`` facet of a job: entries with a target each."""
    for index, entry in enumerate(normalise.mappings(facet.value.get("entries"))):
        with draft.reading(f"lineage.entries[{index}]"):
            if entry.get("type") == "JOB":
                _into_job(draft, entry, _worker(draft.names, entry, worker), worker, facet.since)
            else:
                target = Target(entry, draft.names.thing(entry))
                _entry(draft, entry, target, worker, facet.since)


def _entry(
    draft: Draft,
    entry: Mapping[str, Json],
    target: Target,
    worker: Worker | None,
    since: Instant,
) -> None:
    gathered = Gathered()
    for item in normalise.mappings(entry.get("inputs")):
        with draft.reading("lineage.inputs"):
            _into_data_set(draft, gathered, target, target.uri, item, worker, since)
    for field, inside in normalise.mapping(entry.get("fields")).items():
        for item in normalise.mappings(normalise.mapping(inside).get("inputs")):
            with draft.reading(f"lineage.fields.{field}"):
                start = target.uri
                if not target.modelled:
                    start = draft.names.column(target.reference, field)
                _into_data_set(draft, gathered, target, start, item, worker, since)
    gathered.tell(draft, since)


def _into_data_set(
    draft: Draft,
    gathered: Gathered,
    target: Target,
    start: Uri,
    item: Mapping[str, Json],
    worker: Worker | None,
    since: Instant,
) -> None:
    """Say that one input feeds *start*, which is the target or a column of it."""
    if item.get("type") == "JOB":
        by = _worker(draft.names, item, worker)
        if by is not None and target.uri.type != "model":
            draft.join(target.uri, "produced_by", by.uri, since=since)
    elif target.modelled:
        _learnt(draft, target, worker, _source(draft.names, item), item, since)
    else:
        gathered.add(start, _source(draft.names, item), _transformations(item))


def _into_job(
    draft: Draft,
    entry: Mapping[str, Json],
    target: Worker | None,
    own: Worker,
    since: Instant,
) -> None:
    for item in normalise.mappings(entry.get("inputs")):
        with draft.reading("lineage.inputs"):
            if target is None:
                continue
            if item.get("type") != "JOB":
                draft.join(target.uri, "reads", _source(draft.names, item), since=since)
            elif (source := _worker(draft.names, item, own)) is not None:
                _depend(draft, target, source, {"passes": "data"}, since)


def _depend(
    draft: Draft,
    later: Worker,
    earlier: Worker,
    attributes: Mapping[str, Json],
    since: Instant,
) -> None:
    """Join two runs if both are known, else their pipelines."""
    if later.run and earlier.run:
        draft.join(later.run, "depends_on", earlier.run, attributes, since=since)
    else:
        draft.join(later.pipeline, "depends_on", earlier.pipeline, attributes, since=since)


def _source(names: Names, item: Mapping[str, Json]) -> Uri:
    if item.get("field") is not None:
        return names.column(item, item.get("field"))
    return names.thing(item)


def _worker(names: Names, item: Mapping[str, Json], own: Worker | None) -> Worker | None:
    """Return the job that *item* names; without a name it is the event's own."""
    run_id = item.get("runId")
    if item.get("name") is not None:
        run = names.run(item, run_id) if run_id is not None else None
        return Worker(item, names.pipeline(item), run)
    if own is not None and run_id is not None:
        return Worker(own.job, own.pipeline, names.run(own.job, run_id))
    return own


def dependencies(draft: Draft, facet: Facet, worker: Worker) -> None:
    """State a ``jobDependencies`` facet: what must end before, and what starts after."""
    for side in ("upstream", "downstream"):
        for index, item in enumerate(normalise.mappings(facet.value.get(side))):
            with draft.reading(f"jobDependencies.{side}[{index}]"):
                other = worker_of(draft.names, item)
                said = {key: item.get(key) for key in _DEPENDENCY}
                later, earlier = (worker, other) if side == "upstream" else (other, worker)
                _depend(draft, later, earlier, said, facet.since)


_DEPENDENCY = ("dependency_type", "sequence_trigger_rule", "status_trigger_rule")


def worker_of(names: Names, item: Mapping[str, Json]) -> Worker:
    """Return what a ``{job, run}`` means, as in the facets of parents and dependencies."""
    job = normalise.mapping(item.get("job"))
    run_id = normalise.mapping(item.get("run")).get("runId")
    run = names.run(job, run_id) if run_id is not None else None
    return Worker(job, names.pipeline(job), run)


def target_of(names: Names, reference: Mapping[str, Json], *, model: bool) -> Target:
    """Return the target that *reference* means, being a model or not."""
    whole = names.data_set(reference)
    return Target(reference, as_model(whole) if model else whole)

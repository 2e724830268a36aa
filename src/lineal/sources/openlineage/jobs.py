"""The record of one job, folded from the events of its runs and its own design-time events.

What runs read and wrote stays with the runs; only what a JobEvent declares is stated here, and
a later JobEvent replaces what an earlier one declared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lineal import normalise
from lineal.model import Instant, Json, Uri
from lineal.sources.openlineage import facets as faceted
from lineal.sources.openlineage import lineage
from lineal.sources.openlineage.draft import Draft
from lineal.sources.openlineage.events import Entry
from lineal.sources.openlineage.facets import NOTHING, Facet
from lineal.sources.openlineage.lineage import Target, Worker
from lineal.sources.openlineage.runs import SIDES, Touched, parents, touched

#: The longest query that is kept, in characters.
QUERY_LIMIT = 10_000

_KNOWN = frozenset(
    {"documentation", "jobType", "sql", "sourceCodeLocation", "ownership", "tags", "lineage"}
)
_FORMS = {
    "DAG": "workflow",
    "WORKFLOW": "workflow",
    "APPLICATION": "workflow",
    "TASK": "task",
    "JOB": "task",
    "COMMAND": "task",
    "MODEL": "task",
    "QUERY": "query",
    "SQL_JOB": "query",
    "NOTEBOOK": "notebook",
    "SCRIPT": "script",
}
_PROCESSING = {"BATCH": "batch", "STREAMING": "streaming", "SERVICE": "service"}


def draft_job(draft: Draft, entries: Sequence[Entry]) -> None:
    """Say what *entries*, all of one job and in order, tell of it."""
    folded = faceted.fold((entry.at, entry.job.get("facets")) for entry in entries)
    since = faceted.since(folded, entries[0].at)
    draft.state(draft.subject, _attributes(entries[-1].job, folded), since=since)
    for owner, role in owners(draft, folded.get("ownership", NOTHING)):
        draft.join(draft.subject, "owned_by", owner, {"role": role}, since=since)
    with draft.reading("sourceCodeLocation"):
        if (code := _defined_in(folded.get("sourceCodeLocation", NOTHING))) is not None:
            draft.join(draft.subject, "defined_in", code, since=since)
    for entry, parent in parents(entries):
        with draft.reading("parent"):
            above = lineage.worker_of(draft.names, parent)
            draft.join(draft.subject, "part_of", above.pipeline, since=entry.at)
    _declare(draft, [entry for entry in entries if not entry.run])


def _attributes(job: Mapping[str, Json], folded: Mapping[str, Facet]) -> dict[str, Json]:
    kind = folded.get("jobType", NOTHING)
    word = kind.text("jobType")
    return {
        "name": normalise.text(job.get("name")),
        "namespace": normalise.canonical_namespace(str(job.get("namespace"))),
        "description": folded.get("documentation", NOTHING).text("description"),
        "form": _FORMS.get((word or "").upper()),
        "subtypes": [word.lower()] if word else [],
        "processing": _PROCESSING.get((kind.text("processingType") or "").upper()),
        "engine": (kind.text("integration") or "").lower(),
        **_query(folded.get("sql", NOTHING)),
        **_code(folded),
        "tags": list[Json](faceted.tags(folded.get("tags", NOTHING))),
        "facets": faceted.kept(folded, _KNOWN),
    }


def _query(facet: Facet) -> dict[str, Json]:
    query = facet.text("query")
    return {
        "query": faceted.clipped(query, QUERY_LIMIT),
        "query_cut": True if query and len(query) > QUERY_LIMIT else None,
        "query_dialect": facet.text("dialect"),
    }


def _code(folded: Mapping[str, Facet]) -> dict[str, Json]:
    place = folded.get("sourceCodeLocation", NOTHING)
    url, home = place.text("url"), place.text("repoUrl")
    return {
        "repository": normalise.repository(home) if home else None,
        "link": normalise.without_password(url) if url else None,
        "entry_point": place.text("path"),
        "revision": place.text("version") or place.text("tag"),
        "branch": place.text("branch"),
        "code_language": folded.get("sourceCode", NOTHING).text("language"),
    }


def _defined_in(place: Facet) -> Uri | None:
    """Return the file that a job is written in; where only a page is named, what that shows."""
    home, url, path = place.text("repoUrl"), place.text("url"), place.text("path")
    if (place.text("type") or "git").lower() != "git":
        return None
    address = home if home and (path or not url) else url
    revision = place.text("branch") or place.text("tag") or place.text("version")
    return normalise.code(address, path or "", revision=revision) if address else None


def owners(draft: Draft, facet: Facet) -> Iterator[tuple[Uri, str | None]]:
    """Go through the owners in an ownership facet, with their role."""
    for index, item in enumerate(normalise.mappings(facet.value.get("owners"))):
        with draft.reading(f"ownership.owners[{index}]"):
            if (owner := draft.names.owner(item.get("name"))) is not None:
                yield owner, normalise.text(item.get("type"))


# ── What JobEvents declare ───────────────────────────────────────────────────────────────────────


def _declare(draft: Draft, designs: Sequence[Entry]) -> None:
    if not designs:
        return
    names = draft.names
    worker = Worker(designs[-1].job, draft.subject)
    said = faceted.fold((entry.at, entry.job.get("facets")) for entry in designs)
    if "lineage" in said:
        lineage.of_job(draft, said["lineage"], worker)
    for side in SIDES:
        latest = [entry for entry in designs if entry.states(side)][-1:]
        times = _times(draft, designs, side)
        for item in touched(names, latest, side):
            _touch(draft, item, side, worker, times[item.whole])


def _times(draft: Draft, designs: Sequence[Entry], side: str) -> dict[Uri, Instant]:
    """Return since when each data set of the latest design has been named without a break."""
    since: dict[Uri, Instant] = {}
    for entry in designs:
        if entry.states(side):
            named = [draft.names.data_set(item) for item in entry.data_sets(side)]
            since = {uri: since.get(uri, entry.at) for uri in named}
    return since


def _touch(draft: Draft, item: Touched, side: str, worker: Worker, since: Instant) -> None:
    target = Target(item.reference, draft.names.thing(item.reference))
    if side == "inputs":
        draft.join(draft.subject, "reads", target.uri, since=since)
        return
    # A design names a model, never the version that a run of it will make.
    if not target.modelled:
        draft.join(target.uri, "produced_by", draft.subject, since=since)
    lineage.of_data_set(draft, item.facets, target, worker)

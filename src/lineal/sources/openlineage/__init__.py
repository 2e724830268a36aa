"""OpenLineage: events that are themselves the truth, folded into records.

An event speaks of a run, its job and its data sets; the record of each is folded from all kept
events that speak of it, as a pure function of their set. Pure: only `read_paths` and
`read_events` open files.
Source: https://openlineage.io/spec/2-0-2/OpenLineage.json and the facets beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

from lineal import __version__, normalise
from lineal.errors import InvalidUri
from lineal.model import Instant, Json, Layer, Record, Uri
from lineal.sources import Key, Marked
from lineal.sources.openlineage import lasting
from lineal.sources.openlineage.data_sets import draft_data_set, mentions, named
from lineal.sources.openlineage.draft import Draft
from lineal.sources.openlineage.events import Entry, Fault, check, hash_of, ordered, time_of
from lineal.sources.openlineage.files import read_events, read_paths
from lineal.sources.openlineage.jobs import draft_job
from lineal.sources.openlineage.naming import Names, key_of, subject_of
from lineal.sources.openlineage.runs import draft_run, has_snapshots
from lineal.sources.rewriting import with_rewrites


class OpenLineage:
    """
    OpenLineage as a log source (`lineal.sources.LogSource`).

    *platforms* are the aliases of namespaces, *environment* is noted on everything it states,
    *directory* is the platform of people and teams without an e-mail address.
    """

    def __init__(
        self,
        name: str = "openlineage",
        platforms: normalise.Platforms = normalise.NO_ALIASES,
        environment: str | None = None,
        *,
        directory: str = "directory",
    ) -> None:
        self._name = name
        self._names = Names(platforms, directory)
        self._environment = environment

    @property
    def name(self) -> str:
        """The source's name, unique in an installation."""
        return self._name

    def understand(self, body: Mapping[str, Json]) -> tuple[Marked, ...]:
        """
        Return the documents that an event speaks of: its run, its job, its data sets.

        Data sets that only a facet refers to have no document for that.

        Raises:
            InvalidEvent: the event is not valid; the message begins with the path to the fault.
        """
        check(body)
        entry = Entry(0, "", body)
        subjects: set[Uri] = set()
        if entry.job:
            subjects.add(_named("job", self._names.pipeline, entry.job))
        if entry.run:
            run_id = entry.run.get("runId")
            subjects.add(_named("run", lambda job: self._names.run(job, run_id), entry.job))
        for path, reference, _ in named(entry):
            subjects.add(_named(path, self._names.thing, reference))
        return tuple(Marked(key_of(subject)) for subject in sorted(subjects))

    def entry_hash(self, body: Mapping[str, Json]) -> str:
        """Return the SHA-256 of the event's canonical JSON."""
        return hash_of(body)

    def subject(self, key: Key) -> Uri:
        """Return what the document is about; raises `InvalidUri` for a key of another source."""
        return subject_of(key)

    def fold(
        self, key: Key, entries: Sequence[Mapping[str, Json]], *, observed_at: Instant
    ) -> Record | None:
        """
        Fold the kept events that speak of *key* into one record; None if none does.

        A pure function of the set of events: neither order nor repetition matters.
        """
        subject = subject_of(key)
        layer = Layer.OBSERVED if key.resource == "run" else Layer.DECLARED
        draft = Draft(subject, self._names, layer, self._environment)
        last = self._fill(draft, key.resource, ordered(entries))
        if last is None:
            return None
        record = draft.record(self._name, key.document, observed_at=observed_at, said_at=last)
        return with_rewrites(record, self._names.platforms)

    # ── What still matters ───────────────────────────────────────────────────────────────────

    @property
    def way(self) -> str:
        """How events are folded: by this version, with names that have these aliases."""
        text = repr((__version__, sorted(self._names.platforms.aliases.items())))
        return hashlib.sha256(text.encode()).hexdigest()

    def order(self, entry: Mapping[str, Json]) -> tuple[int, str]:
        """Return what orders an event: its own time in nanoseconds, then its hash."""
        return time_of(entry), hash_of(entry)

    def lasting(self, key: Key, entries: Sequence[Mapping[str, Json]]) -> set[int]:
        """Return the places of those events that still matter; see `openlineage.lasting`."""
        places = {hash_of(body): place for place, body in enumerate(entries)}
        subject = subject_of(key)
        known = self._speaking(key.resource, subject, ordered(entries))
        if key.resource == "run":
            found = lasting.of_run(self._names, known)
        elif key.resource == "job":
            found = lasting.of_job(self._names, known)
        else:
            found = lasting.of_data_set(self._names, known, subject)
        return {places[known[place].hash] for place in found}

    def needs_all(self, key: Key, entries: Sequence[Mapping[str, Json]]) -> bool:
        """Say whether it is a run whose job tells snapshots: a later one may end any window."""
        return key.resource == "run" and has_snapshots(ordered(entries))

    # ── Writing ──────────────────────────────────────────────────────────────────────────────

    def _fill(self, draft: Draft, resource: str, entries: list[Entry]) -> Instant | None:
        """Fill the draft from the entries that speak of it; return the time of the last."""
        known = self._speaking(resource, draft.subject, entries)
        if resource in ("dataset", "model"):
            found = mentions(self._names, known, draft.subject)
            if found:
                draft_data_set(draft, found)
            return found[-1].at if found else None
        if known:
            (draft_run if resource == "run" else draft_job)(draft, known)
        return known[-1].at if known else None

    def _speaking(self, resource: str, subject: Uri, entries: list[Entry]) -> list[Entry]:
        """Leave out the entries of other runs and jobs."""
        if resource == "run":
            return [entry for entry in entries if self._run(entry) == subject]
        if resource == "job":
            return [entry for entry in entries if self._job(entry) == subject]
        return entries

    def _run(self, entry: Entry) -> Uri | None:
        return self._names.run(entry.job, entry.run.get("runId")) if entry.run else None

    def _job(self, entry: Entry) -> Uri | None:
        return self._names.pipeline(entry.job) if entry.job else None


def _named(path: str, name: Callable[[Mapping[str, Json]], Uri], item: Mapping[str, Json]) -> Uri:
    try:
        return name(item)
    except InvalidUri as error:
        raise Fault(path, error.message) from error


__all__ = ["Fault", "OpenLineage", "read_events", "read_paths"]

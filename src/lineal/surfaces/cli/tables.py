"""Answers as tables: for each kind of answer, what a person wants to see of it first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from rich.console import RenderableType

from lineal.surfaces.cli.listed import THING, counted, names, row_of
from lineal.surfaces.cli.showing import cell, line, table
from lineal.surfaces.cli.tables_walks import lineage

if TYPE_CHECKING:
    from pathlib import Path

    from lineal.app import Drained, Imported
    from lineal.client.answers import (
        Because,
        Change,
        Differences,
        EdgeChange,
        Entity,
        Found,
        Happening,
        Json,
        Lineage,
        Neighbour,
        Recent,
        Sent,
        Thing,
        ThingChange,
    )
    from lineal.ingest import Swept
    from lineal.store.copies import Copied, Restored, Standing

Parts = Iterator[RenderableType]

# ── One thing ────────────────────────────────────────────────────────────────────────────────────


def entity(value: Entity) -> Parts:
    """Show what is said of a thing, and by whom."""
    status = f", {value['status']}" if value["status"] else ""
    yield line(f"{value['name']}: {value['type']}, {value['state']}{status}")
    yield line(value["uri"])
    for uri in value["also"]:
        yield line(f"also {uri}")
    for one in value["findings"]:
        edge = f"{one['start']['name']} {one['kind']} {one['end']['name']}"
        yield line(f"finding: {edge}. {' '.join(one['why']) or one['meaning']}")
    yield table(("attribute", "value"), value["attributes"].items())
    yield table(
        ("source", "document", "since", "until", "answered by"),
        [(*_saying(one), _url(one.get("response"))) for one in value["said"]],
    )


def _saying(one: Mapping[str, object]) -> tuple[Json, ...]:
    names = ("source", "document", "valid_from", "valid_to")
    return tuple(cast("Json", one[name]) for name in names)


def _url(response: Mapping[str, object] | None) -> str | None:
    return None if response is None else str(response["url"])


def neighbours(value: list[Neighbour]) -> Parts:
    """Show what a thing is joined to."""
    rows = [(one["relation"], *row_of(one["other"]), one["edge"]["layer"]) for one in value]
    yield table(("relation", *THING, "layer"), rows)


def history(value: list[Happening]) -> Parts:
    """Show what happened to a thing, newest first."""
    rows = [
        (one["t"], one["at"], one["what"], one["source"], _details(one), one["cause"])
        for one in value
    ]
    yield table(("t", "at", "what", "source", "details", "cause"), rows)


def recent(value: list[Recent]) -> Parts:
    """Show what the last transactions changed."""
    rows = [
        (one["t"], one["at"], one["changed"], names(one["things"]), one["actor"], one["cause"])
        for one in value
    ]
    yield table(("t", "at", "changed", "of them", "actor", "cause"), rows)


def _details(one: Happening) -> str:
    """Return what an event changed, in words."""
    if one["other"] is not None:
        return ", ".join(f"{name} {one['other']['name']}" for name in one["details"])
    return "; ".join(_change(name, change) for name, change in one["details"].items())


def _change(name: str, change: Change) -> str:
    before, after = cell(change["before"]), cell(change["after"])
    return f"{name}: {before} → {after}" if before else f"{name}: {after}"


# ── What differs ─────────────────────────────────────────────────────────────────────────────────


def differences(value: Differences) -> Parts:
    """Show what differs between two moments: things, their attributes, edges and names."""
    before, after = value["before"], value["after"]
    yield line(
        f"From transaction {before['t']}, as it was so at {before['valid_at']}, "
        f"to transaction {after['t']}, as it was so at {after['valid_at']}."
    )
    for what, counts in value["counts"].items():
        some = {name: many for name, many in counts.items() if many}
        yield line(f"{what.capitalize()}: {_told(some)}.")
    if value["names"]:
        names = [
            (one["what"], one["name"], one["thing"]["name"], *_why(one["because"]))
            for one in value["names"]
        ]
        yield table(("name", "uri", "of", *_WHY), names)
    if value["things"]:
        yield table(("thing", "name", "type", "attribute", "before", "after", *_WHY),
                    [row for one in value["things"] for row in _thing_rows(one)])  # fmt: skip
    if value["edges"]:
        edges = [
            (one["what"], one["start"]["name"], one["kind"], one["end"]["name"],
             _claims(one), *_why(one["because"]))
            for one in value["edges"]
        ]  # fmt: skip
        yield table(("edge", "start", "kind", "end", "claims", *_WHY), edges)


_WHY = ("t", "at", "actor", "cause")


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{many} {name}" for name, many in counts.items()) or "none found to differ"


def _why(because: Because) -> tuple[Json, ...]:
    told = {"valid_time": "it was so at another time", "not_sought": "not sought"}
    if because["how"] in told:
        return (None, None, None, told[because["how"]])
    return because["t"], because["at"], because["actor"], because["cause"]


def _thing_rows(one: ThingChange) -> list[tuple[Json, ...]]:
    """Return a thing in a row, or in one for each attribute that changed."""
    about = (one["what"], one["thing"]["name"], one["thing"]["type"])
    rows: list[tuple[Json, ...]] = [
        (*about, change["name"], change["before"], change["after"], *_why(change["because"]))
        for change in one["changes"]
    ]
    if not rows or one["before"] != one["after"]:
        states = (one["before"] or "unknown", one["after"] or "unknown")
        rows.insert(0, (*about, "(state)", *states, *_why(one["because"])))
    return rows


def _claims(one: EdgeChange) -> str:
    """Return what became of the claims of an edge, in words."""
    told = []
    for claim in one["claims"]:
        changes = ", ".join(_change(name, it) for name, it in claim["attributes"].items())
        layer = claim["after"] or claim["before"]
        told.append(
            f"{claim['what']}: {claim['source']}, {layer}{': ' if changes else ''}{changes}"
        )
    return "; ".join(told)


# ── Finding ──────────────────────────────────────────────────────────────────────────────────────


def found(value: Found) -> Parts:
    """Show what a search found, and of which types it is."""
    yield from things(value["hits"])
    types = value["facets"].get("type", {})
    if len(types) > 1:
        yield line(f"By type: {counted(types)}.")


def things(value: Sequence[Thing]) -> Parts:
    """Show things, each in one line."""
    if value:
        yield table(THING, [row_of(thing) for thing in value])
    else:
        yield line("Nothing found.")


def counts(value: Mapping[str, int]) -> Parts:
    """Show how many things of each type there are."""
    yield table(("type", "things"), list(value.items()))


# ── The thirteen ─────────────────────────────────────────────────────────────────────────────────


def answered(question: str, value: Json) -> Parts:
    """Show the answer to one of the thirteen questions, by its form."""
    if question == "q4":
        yield from lineage(cast("Lineage", value))
    elif isinstance(value, dict):
        for name, some in value.items():
            yield line(f"{name.replace('_', ' ').capitalize()}:")
            yield from things(cast("list[Thing]", some))
    elif isinstance(value, list):
        yield from _listed(value)


def _listed(value: Sequence[Json]) -> Parts:
    """Show a list of things, or of things with what belongs to each."""
    rows = [row for row in value if isinstance(row, dict)]
    if not rows or "uri" in rows[0]:
        yield from things(cast("list[Thing]", rows))
        return
    alone = [name for name, part in rows[0].items() if isinstance(part, dict)]
    columns = (*rows[0], *("uri" if len(alone) == 1 else f"{name} uri" for name in alone))
    yield table(columns, [_spread(row, alone) for row in rows])


def _spread(row: Mapping[str, Json], alone: Sequence[str]) -> tuple[Json, ...]:
    """Return every part by its names, then the URIs of those that are one thing."""
    uris = (cast("Thing", row[name])["uri"] for name in alone)
    return (*(_called(part) for part in row.values()), *uris)


def _called(part: Json) -> Json:
    if isinstance(part, dict):
        return part.get("name")
    if isinstance(part, list):
        return names(cast("list[Thing]", part))
    return part


# ── The installation ─────────────────────────────────────────────────────────────────────────────


def types(value: Json) -> Parts:
    """Show the types of things and the kinds of edges."""
    declared = value if isinstance(value, dict) else {}
    yield table(
        ("type", "domain", "part by", "meaning"),
        _columns(declared.get("types"), "name", "domain", "part_of_kind", "description"),
    )
    yield table(
        ("kind", "inverse", "class", "data goes", "meaning"),
        _columns(declared.get("kinds"), "name", "inverse", "class", "flow", "description"),
    )


def _columns(rows: Json, *names: str) -> list[tuple[Json, ...]]:
    every: Iterable[Json] = rows if isinstance(rows, list) else ()
    return [tuple(row.get(name) for name in names) for row in every if isinstance(row, dict)]


# ── What came in ─────────────────────────────────────────────────────────────────────────────────

#: How many refusals are listed; the rest is counted.
REFUSED = 20


def imported(value: Imported) -> Parts:
    """Show what an import read, what it changed, and what was refused."""
    changed = value.begun or value.ended or set(value.documents) - {"same", "superseded"}
    yield line(f"Read {value.read}: {counted(value.documents) if changed else 'nothing changed'}.")
    if changed:
        yield line(f"{value.begun} facts begun, {value.ended} ended.")
        yield table(("type", "things now"), list(value.things.items()))
    if value.refused:
        rows = [(one.reason, one.file, one.index, one.path) for one in value.refused]
        yield from _refused(("reason", "file", "index", "path"), rows)


def sent(value: Sent) -> Parts:
    """Show what became of events that were sent."""
    yield line(f"The server keeps {value['accepted']} events.")
    if value["refused"]:
        rows = [(one["reason"], one["index"]) for one in value["refused"]]
        yield from _refused(("reason", "index"), rows)


def _refused(columns: Sequence[str], rows: Sequence[Sequence[Json]]) -> Parts:
    yield table(columns, rows[:REFUSED], title=f"{len(rows)} refused")
    if len(rows) > REFUSED:
        yield line(f"… and {len(rows) - REFUSED} more.")


def swept(value: Swept, drained: Drained) -> Parts:
    """Show what a sweep found, and what was done about it."""
    yield line(
        f"{value.source} listed {value.listed} documents: {value.marked} differ, "
        f"{value.absent} are absent."
    )
    if value.held:
        yield line("So much is absent that nothing was removed; look at the source first.")
    yield line(f"Fetched: {counted(drained.documents)}.")
    if not drained.complete:
        yield line("The time ran out before all of it was fetched; a server will go on.")


def questions(asked: Mapping[str, tuple[str, str]]) -> Parts:
    """Show the thirteen questions in words."""
    rows = [(name, words, of) for name, (words, of) in asked.items()]
    yield table(("question", "what it asks", "asked of"), rows)


def sources(described: Mapping[str, Sequence[str]]) -> Parts:
    """Show the declared sources, and what each describes."""
    if described:
        yield table(("source", "describes"), [(name, list(of)) for name, of in described.items()])
    else:
        yield line("No source is declared. Name its file by --source, or set LINEAL_SOURCES.")


def database(name: str, schema: str | None, t: int, counted: Mapping[str, int]) -> Parts:
    """Show what a database is, and how much it holds."""
    yield line(f"{name}: sound, schema {schema}, {t} transactions.")
    yield line(f"{sum(counted.values())} things.")
    yield from counts(counted)


def copied(made: Copied) -> Parts:
    """Show which copy was made, and of when it is."""
    yield line(f"{made.path}: {made.size:,} bytes, {standing(made.standing)}; read back and sound.")


def standing(value: Standing) -> str:
    """Return in words how a database stands."""
    seal = f", sealed {value.hash[:16]}" if value.hash else ""
    return f"schema {value.schema}, transaction {value.t}{seal}"


def restored(value: Restored, database: Path) -> Parts:
    """Show what was put in its place, and where the other lies."""
    yield line(f"{database}: {standing(value.standing)}.")
    if value.aside is not None:
        yield line(f"What was there before is {value.aside}.")


def upgraded(path: Path, before: Standing, after: Standing, kept: Path | None) -> Parts:
    """Show how far a database was brought."""
    if before == after:
        yield line(f"{path}: schema {after.schema} can be used as it is; nothing was done.")
        return
    yield line(f"{path}: from schema {before.schema} to {after.schema}, {after.t} transactions.")
    if kept is not None:
        yield line(f"As it was before: {kept}.")


def compacted(path: Path, before: int, after: int) -> Parts:
    """Show how much smaller a database became."""
    yield line(f"{path}: {after / 1e6:,.1f} MB, {before / 1e6:,.1f} MB before.")


def exported(path: Path, t: int) -> Parts:
    """Show where an export lies, and of when it is."""
    yield line(f"{path}: everything up to transaction {t}.")


def filled(name: str, t: int) -> Parts:
    """Show what was filled from an export."""
    yield line(f"{name}: filled up to transaction {t}; every seal holds.")

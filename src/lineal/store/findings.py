"""Findings: what of documents does not fit the shapes or their source's file, until it fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from lineal.digests import canonical
from lineal.model import Instant, Uri
from lineal.shapes.examining import Finding
from lineal.store import schema
from lineal.store.driver import Driver
from lineal.store.ledger import Ledger

#: The source and name of a document.
Name: TypeAlias = "tuple[str, str]"


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found of a document, and what therefore became of it."""

    subject: Uri
    findings: tuple[Finding, ...] = ()
    #: ``store``, ``quarantine`` or ``reject``.
    policy: str = "store"
    #: False where nothing is known of fields that nothing maps: then what was known of them stays.
    fields: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of one document."""

    source: str
    document: str
    policy: str
    at: Instant
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """In how many documents of a source something was found, and in which for example."""

    finding: Finding
    policy: str
    count: int
    example: str


def note_findings(ledger: Ledger, examined: Mapping[Name, Examined], at: Instant) -> None:
    """Keep what was found of documents, in place of what was found before."""
    names: dict[str, list[str]] = {}
    for source, document in examined:
        names.setdefault(source, []).append(document)
    ledger.hold_marks()
    for source, documents in sorted(names.items()):
        rows = ledger.find_among(
            schema.finding, "source = ? AND document {among}", documents, source
        )
        known = {row[1]: row for row in rows}
        new, gone, changed = [], [], []
        for document in documents:
            row, one = known.get(document), examined[(source, document)]
            findings = one.findings
            if row is not None and not one.fields:
                findings = (*findings, *(old for old in _read(row[5]) if old.sort == "fields"))
            if not findings:
                gone += [] if row is None else [row]
                continue
            said = canonical([[each.sort, each.name, each.text] for each in findings])
            if row is None:
                new.append((source, document, one.subject, one.policy, at, said))
            elif (row[3], row[5]) != (one.policy, said):
                changed.append((row, (*row[:2], one.subject, one.policy, at, said)))
        ledger.insert(schema.finding, new)
        ledger.delete(schema.finding, gone)
        ledger.replace(schema.finding, changed)


def _read(said: str) -> tuple[Finding, ...]:
    rows = msgspec.json.decode(said, type=list[tuple[str, str, str]])
    return tuple(Finding(*row) for row in rows)


def findings_about(
    driver: Driver, subjects: Iterable[Uri], documents: Iterable[Name]
) -> list[Found]:
    """What was found of the documents about these things, and of these documents?"""
    columns = "SELECT source, document, policy, at, said FROM finding WHERE"
    rows = driver.among(f"{columns} subject {{among}}", set(subjects))
    wanted: dict[str, set[str]] = {}
    for source, document in documents:
        wanted.setdefault(source, set()).add(document)
    for source, some in wanted.items():
        rows += driver.among(f"{columns} source = ? AND document {{among}}", some, source)
    return [
        Found(source, document, policy, at, _read(said))
        for source, document, policy, at, said in sorted(set(rows))
    ]


def count_findings(driver: Driver, source: str) -> list[Counted]:
    """What was found of a source's documents, and in how many of them, the most frequent first?"""
    rows = driver.rows(
        "SELECT said, policy, count(*), min(document) FROM finding WHERE source = ?"
        " GROUP BY said, policy",
        source,
    )
    sums: dict[tuple[Finding, str], tuple[int, str]] = {}
    for said, policy, count, example in rows:
        for finding in _read(said):
            before, first = sums.get((finding, policy), (0, example))
            sums[(finding, policy)] = (before + int(count), min(first, example))
    found = [Counted(*name, *what) for name, what in sums.items()]
    return sorted(found, key=lambda one: (-one.count, one.finding, one.policy))


def count_unfit(driver: Driver) -> dict[str, int]:
    """Of how many documents of each source was anything found?"""
    rows = driver.rows("SELECT source, count(*) FROM finding GROUP BY source")
    return {row[0]: int(row[1]) for row in rows}

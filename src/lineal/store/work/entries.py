"""Log entries: events that are themselves the truth, kept under every document they speak of.

A document of many entries has a checkpoint: which of those before it still matter, and which came
since. It holds no values, follows from the entries, and may be thrown away at any time: then all
of them are read again. So it is not exported, and a Lineal that does not know it loses nothing;
what such a one kept is missed by the count of what was told. It bears its own seal, since that
Lineal would take what the ledger says of a table unknown to it for damage.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from lineal.digests import canonical
from lineal.model import Instant, Json
from lineal.store import schema
from lineal.store.driver import Driver, Row
from lineal.store.ledger import Ledger
from lineal.store.seals import row_seal

_MASK = (1 << 63) - 1


class Kept(NamedTuple):
    """A kept entry: its name in the store, when it came, and what it says."""

    digest: str
    came: Instant
    body: Mapping[str, Json]


class Checkpoint(NamedTuple):
    """Up to where a document was folded: by which way, after how many notices."""

    way: str
    told: int
    #: The names of the entries before it that still matter, as JSON.
    lasting: str
    #: The sum of the seals of the rest of this row, and of what came since.
    seal: int


@dataclass(frozen=True, slots=True)
class Reading:
    """What a fold reads of a document."""

    #: All entries, or those since the checkpoint.
    since: list[Kept]
    #: Of those before it the ones that still matter.
    lasting: list[Kept]
    checkpoint: Checkpoint | None

    @property
    def bodies(self) -> list[Mapping[str, Json]]:
        """What all of them say."""
        return [one.body for one in (*self.lasting, *self.since)]


@dataclass(frozen=True, slots=True)
class Settled:
    """A new checkpoint of a document, to be written if nobody wrote another meanwhile."""

    source: str
    document: str
    way: str
    #: Where the reading went on from, and what it read since.
    before: Checkpoint | None
    read: frozenset[str]
    #: Which entries still matter of those before the new checkpoint, and which are after it.
    lasting: tuple[str, ...]
    since: frozenset[str]


def keep(
    ledger: Ledger,
    source: str,
    digest: str,
    body: Mapping[str, Json],
    documents: Iterable[str],
    now: Instant,
) -> bool:
    """Keep a log entry under every document that it speaks of; False if it was there."""
    ledger.hold_marks()
    name = hashlib.sha256(f"{source}\n{digest}".encode()).hexdigest()
    if not ledger.insert_new(schema.log_body, (name, source, now, canonical(body))):
        return False
    names = sorted(set(documents))
    ledger.insert(schema.log_entry, [(source, document, name) for document in names])
    known = ledger.driver.among(_CHECKPOINTED, names, source)
    for document, seal in known:
        row = (source, document, name)
        ledger.driver.insert(schema.log_since, [row])
        ledger.driver.run(_SEAL, (seal + row_seal(row)) & _MASK, source, document)
    return True


def entries(driver: Driver, source: str, document: str) -> Reading:
    """Which kept entries speak of a document?"""
    return Reading(_kept(driver.rows(_ALL_ENTRIES, source, document)), [], None)


def recent(driver: Driver, source: str, document: str, way: str) -> Reading | None:
    """
    Which entries matter to the next fold of a document, by its checkpoint?

    None: there is no checkpoint of this way of folding that accounts for every entry.
    """
    checkpoint = _checkpoint(driver, source, document)
    if checkpoint is None or checkpoint.way != way:
        return None
    since = _since(driver, source, document)
    if checkpoint.seal != _sealed((source, document), checkpoint, since):
        return None
    # A Lineal that does not know of checkpoints counts what it keeps, and puts it nowhere else.
    if _told(driver, source, document) != checkpoint.told + len(since):
        return None
    lasting = set(msgspec.json.decode(checkpoint.lasting, type=list[str]))
    found = _kept(driver.among(_SOME_ENTRIES, lasting | since, source, document))
    if len(found) != len(lasting) + len(since):
        return None
    return Reading(
        [one for one in found if one.digest in since],
        [one for one in found if one.digest in lasting],
        checkpoint,
    )


def settle(ledger: Ledger, new: Settled) -> None:
    """Write a checkpoint, unless another was written since the entries were read."""
    ledger.hold_marks()
    driver, name = ledger.driver, (new.source, new.document)
    if new.before is None:
        there = {row[0] for row in driver.rows(_DIGESTS, *name)}
    else:
        known = _checkpoint(driver, *name)
        if known is None or known[:3] != new.before[:3]:
            return
        there = _since(driver, *name)
    since = new.since | (there - new.read)
    if new.before is None:
        told = _told(driver, *name) - len(since)
    else:
        told = new.before.told + len(new.read) - len(new.since)
    unsettle(driver, *name)
    made = Checkpoint(new.way, told, msgspec.json.encode(new.lasting).decode(), 0)
    made = made._replace(seal=_sealed(name, made, since))
    driver.insert(schema.log_checkpoint, [(*name, *made)])
    driver.insert(schema.log_since, [(*name, digest) for digest in sorted(since)])


def unsettle(driver: Driver, source: str, document: str) -> None:
    """Throw the checkpoint of a document away: its next fold reads all of its entries."""
    for table in ("log_checkpoint", "log_since"):
        driver.run(f"DELETE FROM {table} WHERE source = ? AND document = ?", source, document)


def unsettle_all(ledger: Ledger, source: str) -> None:
    """Throw the checkpoints of a source away."""
    ledger.hold_marks()
    for table in ("log_checkpoint", "log_since"):
        ledger.driver.run(f"DELETE FROM {table} WHERE source = ?", source)


def damaged(driver: Driver) -> Iterator[tuple[str, str]]:
    """Which documents have a checkpoint that is not as it was written, with what came since?"""
    sums = Counter[tuple[str, str]]()
    for row in driver.each("SELECT source, document, digest FROM log_since"):
        sums[row[:2]] += row_seal(row)
    for source, document, *said, seal in driver.each(
        "SELECT source, document, way, told, lasting, seal FROM log_checkpoint"
    ):
        own = row_seal((source, document, *said))
        if (own + sums.pop((source, document), 0)) & _MASK != seal:
            yield source, document
    yield from sums


def _sealed(name: tuple[str, str], checkpoint: Checkpoint, since: Iterable[str]) -> int:
    rows = [(*name, *checkpoint[:3]), *((*name, digest) for digest in since)]
    return sum(map(row_seal, rows)) & _MASK


def _kept(rows: Iterable[Row]) -> list[Kept]:
    return [Kept(digest, came, msgspec.json.decode(body)) for digest, came, body in rows]


def _checkpoint(driver: Driver, source: str, document: str) -> Checkpoint | None:
    row = driver.row(_CHECKPOINT, source, document)
    return None if row is None else Checkpoint(*row)


def _since(driver: Driver, source: str, document: str) -> set[str]:
    return {row[0] for row in driver.rows(_SINCE, source, document)}


def _told(driver: Driver, source: str, document: str) -> int:
    """Count the notices of a document: each entry that was kept under it is one."""
    row = driver.row("SELECT told FROM watch WHERE source = ? AND document = ?", source, document)
    return 0 if row is None else int(row[0])


_ENTRIES = """
    SELECT log_body.digest, log_body.received_at, log_body.body
    FROM log_entry JOIN log_body ON log_body.digest = log_entry.digest
    WHERE log_entry.source = ? AND log_entry.document = ?
"""
_ALL_ENTRIES = f"{_ENTRIES} ORDER BY log_body.digest"
_SOME_ENTRIES = f"{_ENTRIES} AND log_entry.digest {{among}}"
#: Which entries does a document have, by name?
_DIGESTS = "SELECT digest FROM log_entry WHERE source = ? AND document = ?"
#: Which of these documents have a checkpoint?
_CHECKPOINTED = "SELECT document, seal FROM log_checkpoint WHERE source = ? AND document {among}"
_CHECKPOINT = """
    SELECT way, told, lasting, seal FROM log_checkpoint WHERE source = ? AND document = ?
"""
_SEAL = "UPDATE log_checkpoint SET seal = ? WHERE source = ? AND document = ?"
#: Which entries came since the checkpoint of a document?
_SINCE = "SELECT digest FROM log_since WHERE source = ? AND document = ?"

"""What documents were worded from, kept so that they can be worded anew without asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from lineal.digests import canonical
from lineal.model import Instant, Json
from lineal.store import schema
from lineal.store.driver import Driver
from lineal.store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Raw:
    """The mapped fields of a document, as its source answered them."""

    document: str
    at: Instant
    body: Mapping[str, Json]


def keep_raws(
    ledger: Ledger,
    source: str,
    documents: Mapping[str, Mapping[str, Json] | None],
    at: Instant,
) -> None:
    """Keep what documents' new words were worded from; None: nothing of it."""
    keys = ledger.driver.keys(documents.keys())
    known = {
        row[1]: row
        for row in ledger.find(schema.raw, "source = ? AND document {among}", source, keys)
    }
    bodies = {name: canonical(raw) for name, raw in documents.items() if raw is not None}
    ledger.delete(schema.raw, [row for name, row in known.items() if name not in bodies])
    ledger.insert(
        schema.raw,
        [(source, name, at, body) for name, body in bodies.items() if name not in known],
    )
    changed = [(known[name], body) for name, body in bodies.items() if name in known]
    ledger.change(
        schema.raw, [(row, {"at": at, "body": body}) for row, body in changed if row[3] != body]
    )


def kept_raws(driver: Driver, source: str, after: str, limit: int) -> list[Raw]:
    """What is kept of a source's documents, by name, after a name?"""
    rows = driver.rows(
        "SELECT document, at, body FROM raw WHERE source = ? AND document > ?"
        " ORDER BY document LIMIT ?",
        *(source, after, limit),
    )
    return [Raw(document, at, msgspec.json.decode(body)) for document, at, body in rows]

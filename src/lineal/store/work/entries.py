"""Log entries: events that are themselves the truth, kept under every document they speak of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from lineal.model import Instant, Json
from lineal.store import schema
from lineal.store.driver import Driver
from lineal.store.facts import canonical
from lineal.store.ledger import Ledger


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
    rows = [(source, document, name) for document in sorted(set(documents))]
    ledger.insert(schema.log_entry, rows)
    return True


def entries(driver: Driver, source: str, document: str) -> list[Mapping[str, Json]]:
    """Which kept entries speak of a document?"""
    rows = driver.rows(
        "SELECT log_body.body FROM log_entry JOIN log_body ON log_body.digest = log_entry.digest"
        " WHERE log_entry.source = ? AND log_entry.document = ? ORDER BY log_body.digest",
        source, document,
    )  # fmt: skip
    return [msgspec.json.decode(row[0]) for row in rows]

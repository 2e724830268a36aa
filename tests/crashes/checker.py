"""Looks into a database that was left by a kill, by SQL of its own, and only reads.

It knows the tables and nothing of the code that writes them, so that the two share no mistake.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg


class Cursor(Protocol):
    """What both drivers can do."""

    def fetchall(self) -> list[Any]:
        """Return all rows."""


class Asked(Protocol):
    """A connection of either driver."""

    def execute(self, query: str, /) -> Cursor:
        """Run a query."""


@dataclass
class Seen:
    """What a database holds of the things of one source, and of a log."""

    #: The version of each thing that is known now; None: it is known to be gone.
    versions: dict[str, int | None] = field(default_factory=dict)
    #: Things of which an event waits, or whose document is still to be asked for.
    pending: set[str] = field(default_factory=set)
    #: Things that lie among the dead letters.
    dead: set[str] = field(default_factory=set)
    #: Entries of the log that are kept.
    entries: set[str] = field(default_factory=set)
    #: By source, how many notices nobody can account for.
    missing: dict[str, int] = field(default_factory=dict)
    #: Facts that stand twice.
    double: int = 0
    t: int = 0


#: Of one source: what came, what became of it, and what lies where.
_MISSING = """
    SELECT source, sum(n) FROM (
        SELECT source, count AS n FROM flow WHERE what = 'accepted'
        UNION ALL SELECT source, -count FROM flow
            WHERE what IN ('applied', 'superseded', 'purged')
        UNION ALL SELECT source, -notices FROM inbox
        UNION ALL SELECT source, -notices FROM dead_letter
        UNION ALL SELECT source, settled - told FROM watch WHERE dirty_at IS NOT NULL
    ) AS every GROUP BY source
"""
_DOUBLE = """
    SELECT coalesce(sum(n), 0) FROM (
        SELECT count(*) - 1 AS n FROM record WHERE t_to IS NULL GROUP BY key, document
        UNION ALL SELECT count(*) - 1 FROM edge_out WHERE t_to IS NULL
            GROUP BY src, kind, dst, document
        UNION ALL SELECT count(*) - 1 FROM edge_in WHERE t_to IS NULL
            GROUP BY dst, kind, src, document
    ) AS every
"""
_KNOWN = """
    SELECT entity.uri, record.body FROM record JOIN entity ON entity.key = record.key
    JOIN document ON document.id = record.document
    WHERE record.t_to IS NULL AND document.source = 'faulty'
"""


def look(place: Path | str) -> Seen:
    """Return what a database holds; a file is copied first, with its log, and left as it was."""
    if isinstance(place, str):
        with psycopg.connect(place) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            return _seen(connection)
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        for ending in ("", "-wal"):
            beside = place.with_name(place.name + ending)
            if beside.exists():
                shutil.copy(beside, folder)
        with closing(sqlite3.connect(Path(folder) / place.name)) as copy:
            faults = [row[0] for row in copy.execute("PRAGMA integrity_check").fetchall()]
            assert faults == ["ok"], faults
            return _seen(copy)


def _seen(asked: Asked) -> Seen:
    seen = Seen()
    for uri, body in asked.execute(_KNOWN).fetchall():
        said = json.loads(body)
        seen.versions[uri.rpartition("/")[2]] = None if said is None else int(said["rows"])
    bodies = asked.execute("SELECT body FROM inbox WHERE source = 'faulty'").fetchall()
    seen.pending = {json.loads(body)["id"] for (body,) in bodies}
    dirty = "SELECT document FROM watch WHERE source = 'faulty' AND dirty_at IS NOT NULL"
    seen.pending |= {name.partition(":")[2] for (name,) in asked.execute(dirty).fetchall()}
    letters = "SELECT document, body FROM dead_letter WHERE source = 'faulty'"
    for document, body in asked.execute(letters).fetchall():
        seen.dead.add(document.partition(":")[2] if document else json.loads(body)["id"])
    for (body,) in asked.execute("SELECT body FROM log_body").fetchall():
        seen.entries.add(json.loads(body)["dataset"]["name"])
    missing = Counter({source: int(count) for source, count in asked.execute(_MISSING).fetchall()})
    seen.missing = {source: count for source, count in missing.items() if count}
    ((seen.double,),) = asked.execute(_DOUBLE).fetchall()
    ((seen.t,),) = asked.execute("SELECT published FROM clock").fetchall()
    return seen

"""What a database alone takes: the edges of a rule read, and its rows written, by plain SQLite.

No rule, no reason, no seal and no search: whoever keeps these rows in such a file and does this in
one process cannot be quicker.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

#: What a file is read and written with: as the store does.
_READ = ("cache_size=-65536",)
_WRITE = ("cache_size=-524288", "synchronous=FULL", "wal_autocheckpoint=20000")
_STEP = "SELECT dst FROM edge_out WHERE kind = ? AND t_to IS NULL AND src IN {among}"
_AMONG = "(SELECT value FROM json_each(?))"
#: Where the rows of each table are read from: the other copy of an edge lies by its other end.
_TABLES = {"derivation": "derivation", "edge_in": "edge_out", "edge_out": "edge_out"}


def read(path: Path, starts: Sequence[int], steps: Sequence[str], size: int) -> float:
    """
    Return how many seconds it takes to read the edges of some kinds, one kind after the other.

    Each kind is read of what the one before led to, of *size* starts at a time.
    """
    text = _STEP.replace("{among}", _AMONG)
    with closing(_opened(path, _READ)) as file:
        numbers = dict(file.execute("SELECT text, id FROM term"))
        began = time.perf_counter()
        for at in range(0, len(starts), size):
            keys = sorted(starts[at : at + size])
            for kind in steps:
                found = file.execute(text, (numbers[kind], json.dumps(keys))).fetchall()
                keys = sorted({key for (key,) in found})
        return time.perf_counter() - began


def written(path: Path, source: str, size: int) -> float:
    """
    Return how many seconds it takes to write what a rule concluded once more, and nothing else.

    To a copy of the file, beside the rows that stand: of *size* starts in one durable transaction,
    each table in the order of its key, and the log moved into the file after each.
    """
    copy = path.with_name("alone.db")
    shutil.copyfile(path, copy)
    try:
        with closing(_opened(copy, _WRITE)) as file:
            parts = list(_parts(file, source, size))
            began = time.perf_counter()
            for part in parts:
                file.execute("BEGIN IMMEDIATE")
                for name, rows in part.items():
                    marks = ", ".join("?" * len(rows[0]))
                    file.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
                file.execute("COMMIT")
                file.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            return time.perf_counter() - began
    finally:
        for ending in ("", "-wal", "-shm"):
            copy.with_name(copy.name + ending).unlink(missing_ok=True)


def _opened(path: Path, settings: Sequence[str]) -> sqlite3.Connection:
    file = sqlite3.connect(path, isolation_level=None)
    for one in settings:
        file.execute(f"PRAGMA {one}")
    return file


def _parts(
    file: sqlite3.Connection, source: str, size: int
) -> Iterator[dict[str, list[tuple[Any, ...]]]]:
    """Yield the rows of a rule that stand as if they began a transaction later, by starts."""
    (document,) = file.execute(
        "SELECT document FROM derivation JOIN document ON document.id = document"
        " WHERE document.source = ? AND t_to IS NULL LIMIT 1", (source,),
    ).fetchone()  # fmt: skip
    (later,) = file.execute("SELECT t + 1 FROM clock").fetchone()
    starts = [
        key for (key,) in file.execute(
            "SELECT DISTINCT src FROM derivation WHERE document = ? AND t_to IS NULL", (document,)
        )
    ]  # fmt: skip
    for at in range(0, len(starts), size):
        keys, part = json.dumps(starts[at : at + size]), {}
        for name, table in _TABLES.items():
            names = [row[1] for row in file.execute(f"PRAGMA table_info({name})")]
            shown = ", ".join(f"{later}" if one == "t_from" else one for one in names)
            rows = file.execute(
                f"SELECT {shown} FROM {table}"
                f" WHERE document = ? AND t_to IS NULL AND src IN {_AMONG}",
                (document, keys),
            )
            part[name] = sorted(rows, key=lambda row: row[:5])
        yield part

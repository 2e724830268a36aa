"""Makes the stored database of an earlier schema, by the very code that wrote such databases.

    python -m tests.schemas.make 7269b30 0001

takes the sources of that commit out of git and runs them in a process of its own: it tells them
the graph of ``tests/past.py``, and keeps the database file and what they answer about it, beside
this script. Done once for each schema, by the last commit that had it; `tests/test_migrations.py`
says which schemas need one.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path

from lineal.app import Lineal
from lineal.config import Config
from tests import past, world

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def main(commit: str, schema: str) -> None:
    """Check out *commit*, and let it write a database of *schema*."""
    sources = subprocess.run(
        ["git", "archive", commit, "src"], cwd=ROOT, check=True, capture_output=True
    ).stdout
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(sources)) as archive:
            archive.extractall(folder, filter="data")
        environment = {**os.environ, "PYTHONPATH": f"{folder}/src:{ROOT}"}
        subprocess.run(
            [sys.executable, "-m", "tests.schemas.make", schema], env=environment, check=True,
            cwd=folder,
        )  # fmt: skip


def fill(schema: str) -> None:
    """Write the database and its answers by the code that is on the path."""
    path, clock = Path("lineal.db"), world.Clock(world.FIRST)
    with Lineal.open(Config(db=path), clock=clock) as lineal:
        past.tell(lineal, clock)
        told = {"digest": lineal.store.digest(), "at": clock.at, "answers": past.answers(lineal)}
    with closing(sqlite3.connect(path)) as file:
        found = file.execute("SELECT version_num FROM alembic_version").fetchone()[0]
        file.execute("PRAGMA journal_mode=DELETE")
        file.execute("VACUUM")
    assert found == schema, f"this code writes schema {found}"
    keep(HERE / f"{schema}.db.gz", path.read_bytes())
    keep(HERE / f"{schema}.json.gz", json.dumps(told, sort_keys=True, indent=1).encode())


def keep(path: Path, data: bytes) -> None:
    """Write a packed file: the same bytes for the same data."""
    path.write_bytes(gzip.compress(data, mtime=0))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        main(*sys.argv[1:])
    else:
        fill(sys.argv[1])

"""Who may write an SQLite file: one process at a time, under a lock that names its holder."""

from __future__ import annotations

import fcntl
import itertools
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from lineal.errors import Busy, ReadOnly


def own(path: Path) -> IO[str]:
    """
    Take the right to write the database at *path*; it is given up when what is returned is closed.

    Raises:
        Busy: another process has it; the message names that process, and since when it runs.
        ReadOnly: the folder may not be written.
    """
    lock_path = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        owner = lock_path.open("a+", encoding="utf-8")
    except OSError as error:
        raise ReadOnly(
            f"{path} may not be written: {error.strerror}.",
            fix="Make its folder writable, or name another database by --db.",
        ) from error
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner.seek(0)
        holder = owner.read().strip() or "another process"
        owner.close()
        raise Busy(
            f"{path} is being written by {holder}.",
            fix="Stop that one, send your question to it by --server, or use another file.",
        ) from error
    owner.truncate(0)
    owner.write(_myself())
    owner.flush()
    return owner


def _myself() -> str:
    """Name this process: its command, without options, which may hold secrets; id; since when."""
    name = Path(sys.argv[0]).stem if sys.argv else ""
    command = {"__main__": "lineal", "": "python", "-c": "python"}.get(name, name)
    words = itertools.takewhile(lambda word: not word.startswith("-"), sys.argv[1:])
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{' '.join([command, *words])} (process {os.getpid()}, since {since})"

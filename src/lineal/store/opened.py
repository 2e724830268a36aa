"""Whether the file of a database is still the one that was opened, and whole.

Who replaces or removes a file does nothing to those who have it open: they go on writing, and all
of it is gone when they end. Who cuts it short takes pages from under those who have it mapped.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from lineal.errors import Damaged


class OpenedFile:
    """The file at *path*, which is open."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        found = path.stat()
        self._file, self._size = (found.st_dev, found.st_ino), found.st_size
        #: How long it is at least once it was written anew without its gaps; None: it was not.
        self._least: int | None = None

    def may_shrink_to(self, size: int) -> None:
        """Know that the file becomes shorter once, as soon as nobody reads what lies behind."""
        self._least = size

    def see(self) -> None:
        """
        See that the file is still there, and whole; this takes three microseconds.

        Raises:
            Damaged: it is another one, or none, or shorter than it was.
        """
        # One after another: what somebody saw before another looked is old.
        with self._lock:
            self._see()

    def _see(self) -> None:
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            raise self._wrong("was removed") from None
        if (found.st_dev, found.st_ino) != self._file:
            raise self._wrong("was replaced by another file")
        if found.st_size < self._size:
            # It must not be opened to see what it says of itself: who closes a file lets go of all
            # that the process has locked of it, which is SQLite's too.
            if self._least is None or found.st_size < self._least:
                raise self._wrong("was cut short")
            self._least = None
        self._size = found.st_size

    def _wrong(self, what: str) -> Damaged:
        return Damaged(
            f"{self._path} {what} while it was in use: nothing more is written to it.",
            fix="Put the file back that was there, or stop Lineal and restore a backup.",
        )

"""Whether the file of a database is still the one that was opened, and whole.

Who replaces or removes a file does nothing to those who have it open: they go on writing, and all
of it is gone when they end. Who cuts it short takes pages from under those who have it mapped.
"""

from __future__ import annotations

import os
from pathlib import Path

from lineal.errors import Damaged

#: How long the head of an SQLite file is, and where it says how long a page is and how many there
#: are. Source: https://www.sqlite.org/fileformat2.html#the_database_header.
_HEAD, _PAGE, _PAGES = 100, slice(16, 18), slice(28, 32)


class OpenedFile:
    """The file at *path*, which is open."""

    def __init__(self, path: Path) -> None:
        self._path = path
        found = path.stat()
        self._file, self._size = (found.st_dev, found.st_ino), found.st_size

    def see(self) -> None:
        """
        See that the file is still there, and whole; this takes three microseconds.

        Raises:
            Damaged: it is another one, or none, or shorter than it says of itself.
        """
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            raise self._wrong("was removed") from None
        if (found.st_dev, found.st_ino) != self._file:
            raise self._wrong("was replaced by another file")
        # It gets shorter too where it is written anew without its gaps.
        if found.st_size < self._size and found.st_size < self._length():
            raise self._wrong("was cut short")
        self._size = found.st_size

    def _length(self) -> int:
        """Return how long the file says that it is, in bytes."""
        with self._path.open("rb") as file:
            head = file.read(_HEAD)
        if len(head) < _HEAD:
            return self._size
        page = int.from_bytes(head[_PAGE], "big")
        return (65_536 if page == 1 else page) * int.from_bytes(head[_PAGES], "big")

    def _wrong(self, what: str) -> Damaged:
        return Damaged(
            f"{self._path} {what} while it was in use: nothing more is written to it.",
            fix="Put the file back that was there, or stop Lineal and restore a backup.",
        )

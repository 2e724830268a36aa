"""What a disk may hold after a loss of power, by the record of what was written and synced.

What a sync has confirmed is there. Of everything after it each sector of 512 bytes is there as it
was at that sync, or as some later write left it, independently of all others: so writes are lost,
torn and reordered. A file may have any of the sizes that it had since.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
_HEAD = struct.Struct("=cIQQ")


@dataclass(frozen=True)
class Entry:
    """One thing that was done."""

    #: n: a file has this name, w: write, t: truncate, s: sync, u: unlink, a: acknowledged.
    what: str
    file: int
    at: int
    data: bytes


def read(path: Path) -> list[Entry]:
    """Read a record."""
    whole, found, at = path.read_bytes(), list[Entry](), 0
    while at < len(whole):
        what, file, offset, length = _HEAD.unpack_from(whole, at)
        at += _HEAD.size
        found.append(Entry(what.decode(), file, offset, whole[at : at + length]))
        at += length
    return found


@dataclass
class File:
    """One file: what is synced, and what was done to it since."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[Entry] = field(default_factory=list)
    #: Whether it is certain that it is there, and whether it was removed since.
    is_there: bool = False

    def do(self, entry: Entry) -> None:
        """Take up what was done."""
        if entry.what == "s":
            self.synced, self.since, self.is_there = bytearray(self.now()), [], True
        else:
            self.since.append(entry)

    def now(self) -> bytes:
        """Return what whoever reads it sees, as long as there is power."""
        whole = bytearray(self.synced)
        for entry in self.since:
            _apply(whole, entry)
        return bytes(whole)

    def after_a_loss(self, dice: random.Random) -> bytes | None:
        """Return what may be there after a loss of power; None: no file."""
        if not self.is_there and dice.random() < 0.5:
            return None
        if any(entry.what == "u" for entry in self.since) and dice.random() < 0.5:
            return None
        sizes, whole = [len(self.synced)], bytearray(self.synced)
        versions: dict[int, list[bytes]] = {}
        for entry in self.since:
            _apply(whole, entry)
            sizes.append(len(whole))
            if entry.what == "w":
                first, last = entry.at // SECTOR, -(-(entry.at + len(entry.data)) // SECTOR)
                for sector in range(first, last):
                    part = bytes(whole[sector * SECTOR : (sector + 1) * SECTOR])
                    versions.setdefault(sector, []).append(part)
        size = dice.choice((sizes[0], sizes[-1], dice.choice(sizes)))
        image = bytearray(self.synced.ljust(size, b"\0")[:size])
        share = dice.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        for sector, some in versions.items():
            if dice.random() < share:
                part = dice.choice(some)
                image[sector * SECTOR : sector * SECTOR + len(part)] = part
        return bytes(image[:size])


def _apply(whole: bytearray, entry: Entry) -> None:
    if entry.what == "t":
        del whole[entry.at :]
        whole.extend(bytes(entry.at - len(whole)))
    elif entry.what == "w":
        if len(whole) < entry.at:
            whole.extend(bytes(entry.at - len(whole)))
        whole[entry.at : entry.at + len(entry.data)] = entry.data


@dataclass(frozen=True)
class Crash:
    """A loss of power: what files there are, and how many events were acknowledged before it."""

    after: int
    acknowledged: int
    files: dict[str, bytes]


def crashes(
    record: list[Entry], count: int, dice: random.Random, *, syncs: bool = True
) -> Iterator[Crash]:
    """Lose power at so many places; without *syncs* the disk ignores every sync after the first."""
    first = next(at for at, entry in enumerate(record) if entry.what == "a")
    places = sorted(dice.randrange(first, len(record)) for _ in range(count))
    files, names = dict[int, File](), dict[int, str]()
    acknowledged = at = 0
    for place in places:
        for entry in record[at : place + 1]:
            if entry.what == "n":
                names[entry.file] = entry.data.decode()
            elif entry.what == "a":
                acknowledged = entry.at + 1
            elif syncs or entry.what != "s" or acknowledged == 0:
                files.setdefault(entry.file, File()).do(entry)
        at = place + 1
        images = {names[number]: file.after_a_loss(dice) for number, file in files.items()}
        there = {Path(name).name: image for name, image in images.items() if image is not None}
        yield Crash(place, acknowledged, there)


def whole(record: list[Entry]) -> dict[str, bytes]:
    """Return the files as they are at the end, with all that was written."""
    files, names = dict[int, File](), dict[int, str]()
    for entry in record:
        if entry.what == "n":
            names[entry.file] = entry.data.decode()
        elif entry.what != "a":
            files.setdefault(entry.file, File()).do(entry)
    return {names[number]: file.now() for number, file in files.items()}

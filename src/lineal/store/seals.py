"""Digests that show whether what was written is still what was written.

Each transaction has a *root*: the digest of all rows that it began and ended, and of the things
that it named first. Its *hash* joins the root, its cause and the hash of the transaction before,
so that nothing can be changed, dropped or added later without breaking the chain. Digests speak
URIs, names and words, never keys, so that two databases that hold the same history agree.

A root is salted: whoever forgets a value forgets the salt with it, and the digest that stays in
the chain tells nothing any more. Pure.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import TypeAlias

#: Whose rows: the source and name of a document.
Owner: TypeAlias = "tuple[str, str]"

SALT_BYTES = 16
_WIDTH = (1 << 256) - 1
#: The hash before the first transaction.
GENESIS = bytes(32)


def new_salt() -> bytes:
    """Return a salt that nobody can guess."""
    return os.urandom(SALT_BYTES)


# ── Rows ─────────────────────────────────────────────────────────────────────────────────────────


def record_line(uri: str, valid_from: int, valid_to: int | None, said: int, body: str) -> str:
    """Return what is sealed of a statement that began."""
    return "\n".join(("+r", uri, str(valid_from), str(valid_to), "1" if said else "0", body))


def edge_line(
    start: str,
    kind: str,
    end: str,
    valid_from: int,
    valid_to: int | None,
    said: int,
    layer: str,
    attributes: str | None,
) -> str:
    """Return what is sealed of a claim that began."""
    # Joined, not formatted: to format a URI takes several times as long.
    return "\n".join((
        "+e", start, kind, end, edge_tail(valid_from, valid_to, said, layer, attributes),
    ))  # fmt: skip


def edge_tail(
    valid_from: int, valid_to: int | None, said: int, layer: str, attributes: str | None
) -> str:
    """Return what is alike in the lines of most edges of a document."""
    return "\n".join((
        str(valid_from), str(valid_to), "1" if said else "0", layer, attributes or "",
    ))  # fmt: skip


def derivation_line(
    edge: tuple[str, str, str],
    digest: bytes,
    valid_from: int,
    valid_to: int | None,
    supports: Iterable[tuple[str, str, str]],
    why: str,
) -> str:
    """Return what is sealed of a derivation that began."""
    rests = [" ".join(support) for support in supports]
    return "\n".join((
        "+d", *edge, digest.hex(), str(valid_from), str(valid_to), *(rests or ("",)), why,
    ))  # fmt: skip


def ended_line(what: str, name: str, t_from: int, ended_at: int, reason: str) -> str:
    """Return what is sealed of a row that ended; *what* is r, e or d."""
    return f"-{what}\n{name}\n{t_from}\n{ended_at}\n{reason}"


def response_line(owner: Owner, body: str) -> str:
    """Return what is sealed of the answer that a document's new rows were read from."""
    return "\n".join((*owner, body))


def forgotten_line(uri: str, how: str, reason: str) -> str:
    """Return what is sealed of a thing that was forgotten."""
    return f"forgotten\n{uri}\n{how}\n{reason}"


def resealed_line(t: int, root: bytes) -> str:
    """Return what is sealed of a transaction that was sealed anew."""
    return f"resealed\n{t}\n{root.hex()}"


def feed_line(changed: Iterable[str]) -> str:
    """Return what is sealed of the feed: the URIs of what a transaction changed."""
    return blake2b("\n".join(sorted(changed)).encode(), digest_size=16).hexdigest()


class Leaves:
    """The digests of one transaction's rows, added up for each document: their order is nothing."""

    def __init__(self, salt: bytes) -> None:
        self.salt = salt
        self._salted = blake2b(digest_size=32, salt=salt)
        self._sums: dict[Owner, int] = {}
        #: What is still to be added up: many rows at once cost less than each by itself.
        self._lines: dict[Owner, list[str]] = {}

    def add(self, owner: Owner, line: str) -> None:
        """Add one row."""
        lines = self._lines.get(owner)
        if lines is None:
            lines = self._lines[owner] = []
        lines.append(line)
        if len(lines) >= _TOGETHER:
            self.add_all(owner, lines)
            lines.clear()

    def add_all(self, owner: Owner, lines: Iterable[str]) -> None:
        """Add some rows of one document."""
        total, copied = self._sums.get(owner, 0), self._salted.copy
        for line in lines:
            digest = copied()
            digest.update(line.encode())
            total += int.from_bytes(digest.digest(), "little")
        self._sums[owner] = total & _WIDTH

    def sums(self) -> Mapping[Owner, int]:
        """Return the sum of each document."""
        for owner, lines in self._lines.items():
            self.add_all(owner, lines)
        self._lines.clear()
        return self._sums


#: How many rows of a document are held until they are added up.
_TOGETHER = 1_000


def root(
    salt: bytes, sums: Mapping[Owner, int], named: Iterable[str], others: Iterable[str] = ()
) -> bytes:
    """
    Return the digest of a transaction.

    *sums* are its `Leaves`, *named* the URIs that it was the first to name, *others* anything
    else that it wrote, as text.
    """
    total = blake2b(digest_size=32, salt=salt)
    for source, name in sorted(sums):
        total.update(f"{source}\n{name}\n{sums[(source, name)]:x}\n".encode())
    for uri in sorted(named):
        total.update(f"{uri}\n".encode())
    for other in sorted(others):
        total.update(f"{other}\n".encode())
    return total.digest()


def chained(
    before: bytes, t: int, instant: int, actor: str, cause: str, token: str | None, root: bytes
) -> bytes:
    """Return the hash of a transaction, which holds that of the one before."""
    head = f"{t}\n{instant}\n{actor}\n{cause}\n{token or ''}\n".encode()
    return blake2b(before + head + root, digest_size=32).digest()


# ── Rows that change in place ────────────────────────────────────────────────────────────────────


def row_seal(values: Iterable[object]) -> int:
    """Return a number that changes when one of a row's values does, of 63 bits."""
    text = "\x1f".join([
        value if type(value) is str else "\x00" if value is None
        else str(value) if type(value) is int else _plain(value)
        for value in values
    ])  # fmt: skip
    # Copied, not made: that takes two thirds of the time.
    digest = _ROW.copy()
    digest.update(text.encode())
    return int.from_bytes(digest.digest(), "little") >> 1


_ROW = blake2b(digest_size=8)


def _plain(value: object) -> str:
    """Write a value alike on every database, which differ in how they give truth and bytes."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    return str(value)

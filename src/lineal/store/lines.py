"""The lines of an export: one JSON object each, of a few kinds, in one order.

The first line says what follows, the last how much there was and the digest of all of it, so that
a file that was cut or changed is noticed. No key leaves a database: things are called by their
URIs, documents by their source and name. The page `docs/reference/export-format.md` says it for
people. Pure but for the file that is read or written.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from typing import IO, Annotated, Any, Literal, TypeAlias, cast

import msgspec

from lineal.errors import FileRefused

#: The form of the file. A reader refuses one that it does not know.
FORMAT = 1
#: The longest line that is read: a transaction names all that changed in it.
LONGEST = 1 << 28

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Hex: TypeAlias = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2})*$")]
Reason: TypeAlias = Literal["changed", "removed", "corrected", "deleted"]
Layer: TypeAlias = Literal["declared", "observed", "inferred", "suggested"]

_NOTHING = msgspec.Raw(b"")


class _Line(
    msgspec.Struct, tag_field="is", omit_defaults=True, forbid_unknown_fields=True, frozen=True
):
    """What all lines have in common."""


class Header(_Line, frozen=True, tag="lineal-export"):
    """The first line."""

    format: int
    schema: str
    #: The last transaction that is in the file.
    t: Number
    #: The kinds of edges in the order in which the database came to know them.
    kinds: list[str]
    #: How many lines of which kind follow, for those that can be known beforehand.
    counts: dict[str, int]


class Entity(_Line, frozen=True, tag="entity"):
    """A thing, and the transaction that was the first to name it."""

    uri: str
    t: Number


class Document(_Line, frozen=True, tag="document"):
    """A document as it last was."""

    source: str
    name: str
    subject: str | None
    digest: Hex
    said_at: Number | None
    live: bool
    fine: bool
    #: Where its edges begin and what it speaks of, where that is more than its subject.
    touched: list[str] | None = None


class Resealed(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What a transaction is sealed with since something of it was forgotten."""

    at: Number
    salt: Hex
    root: Hex


class Forgot(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A thing of which a transaction forgot something, how, and why."""

    uri: str
    how: str
    reason: str


class Transaction(_Line, frozen=True, tag="tx"):
    """A transaction; the lines up to the next one are what it wrote."""

    t: Number
    instant: Number
    actor: str
    cause: str
    changed: list[str]
    salt: Hex
    root: Hex
    hash: Hex
    token: str | None = None
    resealed: list[Resealed] = []
    #: What it forgot on purpose, and the new roots of those transactions that lost rows by it.
    forgot: list[Forgot] = []
    anew: list[tuple[Number, Hex]] = []


class Says(_Line, frozen=True, tag="says"):
    """The document whose rows follow."""

    source: str
    name: str


class RecordEnded(_Line, frozen=True, tag="record_ended"):
    """A statement that ended: which one, until when it was so, and why."""

    uri: str
    t: Number
    at: Number
    reason: Reason


class EdgeEnded(_Line, frozen=True, tag="edge_ended"):
    """A claim that ended."""

    start: str
    kind: str
    end: str
    t: Number
    at: Number
    reason: Reason


class DerivationEnded(_Line, frozen=True, tag="derivation_ended"):
    """A derivation that ended."""

    start: str
    kind: str
    end: str
    digest: Hex
    t: Number
    at: Number
    reason: Reason


class RecordBegun(_Line, frozen=True, tag="record"):
    """A statement that began."""

    uri: str
    valid_from: Number
    said: bool
    body: msgspec.Raw


class EdgeBegun(_Line, frozen=True, tag="edge"):
    """A claim that began."""

    start: str
    kind: str
    end: str
    valid_from: Number
    said: bool
    layer: Layer
    valid_to: Number | None = None
    attributes: msgspec.Raw = _NOTHING


class DerivationBegun(_Line, frozen=True, tag="derivation"):
    """A derivation that began."""

    start: str
    kind: str
    end: str
    digest: Hex
    valid_from: Number
    supports: list[tuple[str, str, str]]
    why: str
    valid_to: Number | None = None


class Answered(_Line, frozen=True, tag="response"):
    """The answer of the source that the document's new rows were read from."""

    body: msgspec.Raw


class Row(_Line, frozen=True, tag="row"):
    """A row of a table of work, which is no fact."""

    table: str
    values: dict[str, str | Number | bool | None]


class End(_Line, frozen=True, tag="end"):
    """The last line: how many lines of which kind there were, and the digest of all before."""

    counts: dict[str, int]
    digest: Hex


Begun: TypeAlias = RecordBegun | EdgeBegun | DerivationBegun
Ended: TypeAlias = RecordEnded | EdgeEnded | DerivationEnded
#: What stands below a document.
Said: TypeAlias = Begun | Ended | Answered
Line: TypeAlias = (
    Header
    | Entity
    | Document
    | Transaction
    | Says
    | RecordBegun
    | EdgeBegun
    | DerivationBegun
    | RecordEnded
    | EdgeEnded
    | DerivationEnded
    | Answered
    | Row
    | End
)


def raw(text: str | None) -> msgspec.Raw:
    """Return JSON, or nothing, to be kept as it is."""
    return msgspec.Raw(text.encode()) if text else _NOTHING


def text_of(kept: msgspec.Raw) -> str:
    r"""
    Return JSON that was kept as it is.

    >>> text_of(raw('{"rows":1.0}'))
    '{"rows":1.0}'
    """
    return bytes(kept).decode()


def tag_of(line: Line | type[Line]) -> str:
    """
    Return what a line says that it is.

    >>> tag_of(Says("registry", "model/x"))
    'says'
    """
    return str(line.__struct_config__.tag)


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────


class Writer:
    """Writes lines, and at the end how many there were and their digest."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out, self._encoder = out, msgspec.json.Encoder()
        self._total = blake2b(digest_size=32)
        self.counts: Counter[str] = Counter()

    def write(self, line: Line) -> None:
        """Write one line."""
        text = self._encoder.encode(line) + b"\n"
        self._total.update(text)
        self._out.write(text)
        self.counts[tag_of(line)] += 1

    def end(self) -> None:
        """Write the last line."""
        last = End(dict(sorted(self.counts.items())), self._total.hexdigest())
        self._out.write(self._encoder.encode(last) + b"\n")


@contextlib.contextmanager
def packed(out: IO[bytes]) -> Iterator[IO[bytes]]:
    """Open a file that packs what is written into *out*: the same bytes for the same text."""
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, compresslevel=6, mtime=0) as file:
        yield cast("IO[bytes]", file)


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────


class Lines:
    """
    The lines of a file, packed or not, after its header.

    Raises:
        FileRefused: the file is no export, is of a form that is not known here, was cut, or was
            changed; the message names the line.
    """

    def __init__(self, file: IO[bytes], name: str) -> None:
        self.name = name
        #: The number of the line that was read last.
        self.number = 0
        self._decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
        self._total = blake2b(digest_size=32)
        self._file = _unpacked(file)
        self.counts: Counter[str] = Counter()
        first = self._read()
        if not isinstance(first, Header):
            raise self.refused("This is no export of Lineal: its first line is not the header.")
        if first.format != FORMAT:
            raise self.refused(
                f"This export has form {first.format}; this Lineal reads form {FORMAT}.",
                fix="Use the Lineal that wrote it, or a newer one.",
            )
        self.header = first

    def refused(self, message: str, *, fix: str = "Export it anew; nothing was kept.") -> Exception:
        """Return the error that says what is wrong with the last line that was read."""
        return FileRefused(message, file=self.name, line=self.number, fix=fix)

    def __iter__(self) -> Iterator[Line]:
        while not isinstance(line := self._read(), End):
            yield line
        self._ended(line)

    def _read(self) -> Line:
        text = self._text()
        self.number += 1
        if not text.endswith(b"\n"):
            raise self.refused(
                "The file ends before its last line: it was cut, or is still being written."
            )
        try:
            line = self._decoder.decode(text)
        except msgspec.DecodeError as error:
            raise self.refused(f"This is no line of an export: {error}.") from error
        if not isinstance(line, End):
            self._total.update(text)
            self.counts[tag_of(line)] += 1
        return line

    def _text(self) -> bytes:
        try:
            return self._file.readline(LONGEST)
        except (OSError, EOFError, zlib.error) as error:
            raise self.refused(f"The file cannot be unpacked any further: {error}.") from error

    def _ended(self, last: End) -> None:
        if last.digest != self._total.hexdigest() or last.counts != dict(self.counts):
            raise self.refused("The file is not as it was written: its digest differs.")
        expected = self.header.counts
        if any(self.counts[tag] != count for tag, count in expected.items()):
            raise self.refused("The file does not hold what its header says.")
        if self._text():
            raise self.refused("Something follows the last line.")


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    """Return *file*, unpacked if it begins as a packed one does."""
    looked = file if isinstance(file, io.BufferedReader) else io.BufferedReader(_Bare(file))
    if looked.peek(2)[:2] == b"\x1f\x8b":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=looked, mode="rb"))
    return looked


class _Bare(io.RawIOBase):
    """A file of any kind, which is left open when nobody reads it any more."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read some bytes into *buffer*."""
        found = self._file.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

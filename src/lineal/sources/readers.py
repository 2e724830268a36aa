"""Files of data as items: JSON, JSON lines, YAML, TOML, packed with gzip or not.

Lines are read one by one, so that a file may be larger than memory. An item that cannot be read is
refused with its place and reason, and the rest goes on.
"""

from __future__ import annotations

import gzip
import json
import tomllib
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import msgspec
import yaml

from lineal.errors import SourceSpecError
from lineal.model import Json
from lineal.sources import Refused
from lineal.sources.written import documents

#: The longest line, and the largest file that is not read by lines, in bytes.
LINE_LIMIT = 16_000_000
FILE_LIMIT = 512_000_000

#: Told the file, how many of its bytes have been read, and how many it has.
Progress: TypeAlias = Callable[[str, int, int], None]
_EVERY = 1_000
_ENDINGS = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".toml": "toml",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One document found in a file."""

    file: str
    #: Its position in the file, counted from 0.
    index: int
    value: Json


def form(path: Path) -> str | None:
    """Return the format that the ending of *path* tells, None if it tells none."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return _ENDINGS.get(suffixes[-1]) if suffixes else None


def stem(path: Path) -> str:
    """Return the name of a file without its folder and endings."""
    name = path.name.removesuffix(".gz")
    for ending in _ENDINGS:
        name = name.removesuffix(ending)
    return name


def read(
    path: Path, name: str, format: str, progress: Progress | None = None
) -> Iterator[Item | Refused]:
    """Yield the documents of a file, which is called *name* in messages."""
    try:
        with ExitStack() as stack:
            plain = stack.enter_context(path.open("rb"))
            size = path.stat().st_size
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            stream = stack.enter_context(gzip.open(plain)) if packed else plain
            told = _told(progress, name, plain, size)
            if format == "jsonl":
                yield from _lines(cast("BinaryIO", stream), name, told)
            else:
                yield from _whole(cast("BinaryIO", stream), name, format)
            told()
    except (OSError, EOFError, zlib.error) as error:
        yield Refused(name, None, f"The file cannot be read: {error}.")


def _told(progress: Progress | None, name: str, plain: BinaryIO, size: int) -> Callable[[], None]:
    def tell() -> None:
        if progress is not None:
            progress(name, min(plain.tell(), size), size)

    return tell


def _lines(stream: BinaryIO, name: str, told: Callable[[], None]) -> Iterator[Item | Refused]:
    decode = msgspec.json.Decoder().decode
    index = 0
    while line := stream.readline(LINE_LIMIT + 1):
        if len(line) > LINE_LIMIT:
            _skip_line(stream)
            yield Refused(name, index, f"The line has more than {LINE_LIMIT:,} bytes.")
        elif line.strip():
            try:
                yield Item(name, index, _decoded(line, decode))
            except (ValueError, RecursionError) as error:
                yield Refused(name, index, f"This is not JSON: {str(error)[:200]}.")
        else:
            continue
        index += 1
        if index % _EVERY == 0:
            told()


def _decoded(data: bytes, decode: Callable[[bytes], Json]) -> Json:
    """Return the JSON in *data*; NaN and Infinity, which Python writes, are null."""
    try:
        return decode(data)
    except msgspec.DecodeError:
        if b"NaN" not in data and b"Infinity" not in data:
            raise
        return _sound(json.loads(data, parse_constant=lambda name: None))


def _sound(value: object) -> Json:
    """Return *value* as JSON has it: times as text, no half characters."""
    return cast("Json", msgspec.json.decode(msgspec.json.encode(value)))


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(LINE_LIMIT)) and not rest.endswith(b"\n"):
        pass


def _whole(stream: BinaryIO, name: str, format: str) -> Iterator[Item | Refused]:
    data = stream.read(FILE_LIMIT + 1)
    if len(data) > FILE_LIMIT:
        yield Refused(name, None, f"The file has more than {FILE_LIMIT:,} bytes.")
        return
    index = -1
    try:
        for index, value in enumerate(_PARSERS[format](data)):
            yield Item(name, index, value)
    except (ValueError, RecursionError, yaml.YAMLError, SourceSpecError) as error:
        reason = " ".join(str(error).split())[:200]
        yield Refused(name, index + 1 if index >= 0 else None, f"This is not {format}: {reason}.")


def _json(data: bytes) -> Iterator[Json]:
    yield _decoded(data, msgspec.json.decode)


def _yaml(data: bytes) -> Iterator[Json]:
    for value in documents(data.decode("utf-8")):
        if value is not None:
            yield _sound(value)


def _toml(data: bytes) -> Iterator[Json]:
    yield _sound(tomllib.loads(data.decode("utf-8")))


_PARSERS: dict[str, Callable[[bytes], Iterator[Json]]] = {
    "json": _json,
    "yaml": _yaml,
    "toml": _toml,
}

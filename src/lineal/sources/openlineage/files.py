"""Files of OpenLineage events: one JSON object, a JSON array, or JSON lines; gzip or plain.

What cannot be read is refused with its reason, and the rest goes on.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from lineal.model import Json
from lineal.sources import Refused
from lineal.sources.openlineage.events import Fault, check

SUFFIXES = (".json", ".jsonl", ".ndjson")


def read_paths(
    paths: Iterable[Path],
) -> Iterator[tuple[Path, int, Mapping[str, Json]] | Refused]:
    """
    Read events from files and folders, each event with its file and its position in it.

    A file that is named is always read. Of a folder, all files below it whose names end in
    ``.json``, ``.jsonl`` or ``.ndjson``, with or without ``.gz``, are read in order.
    """
    for path in paths:
        for file in _inside(path) if path.is_dir() else (path,):
            for found in read_events(file):
                yield found if isinstance(found, Refused) else (file, *found)


def _inside(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.name.lower().removesuffix(".gz").endswith(SUFFIXES) and path.is_file()
    )


def read_events(path: Path) -> Iterator[tuple[int, Mapping[str, Json]] | Refused]:
    """Read the events of one file, each with its position counted from 0, or what is wrong."""
    try:
        text = _text(path)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        yield Refused(str(path), None, f"cannot be read: {error}")
        return
    for index, item in enumerate(_items(text)):
        if isinstance(item, ValueError):
            yield Refused(str(path), index, f"not JSON: {item}")
            continue
        try:
            yield index, check(item)
        except Fault as fault:
            yield Refused(str(path), index, fault.reason, fault.path)


def _text(path: Path) -> str:
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    return content.decode("utf-8-sig")


def _items(text: str) -> Iterator[Json | ValueError]:
    """Go through the items of a text: the whole of it is one value, or each line is."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [line for line in text.split("\n") if line.strip()]
        if len(lines) < 2 or not (_is_json(lines[0]) or _is_json(lines[-1])):
            yield ValueError(str(error))
            return
        for line in lines:
            yield _parsed(line)
    else:
        yield from whole if isinstance(whole, list) else (whole,)


def _parsed(line: str) -> Json | ValueError:
    try:
        value: Json = json.loads(line)
    except (ValueError, RecursionError) as error:
        return ValueError(str(error))
    return value


def _is_json(line: str) -> bool:
    return not isinstance(_parsed(line), ValueError)

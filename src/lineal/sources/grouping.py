"""Items that belong together brought together, wherever in the files they stand.

Few items are sorted in memory, many in pieces on disk that are merged: the need for memory does
not grow with the files.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import groupby
from tempfile import TemporaryFile
from typing import IO, TypeAlias

import msgspec

from lineal.errors import Invalid, LinealError
from lineal.model import Json
from lineal.sources import Refused
from lineal.sources.expressions import Expression
from lineal.sources.mapping import word
from lineal.sources.readers import Item

#: How many items are held in memory, and how many one group may have.
HELD = 50_000
GROUP = 100_000

#: Group, place of the first sight, file, index, value.
_Row: TypeAlias = tuple[str, int, str, int, Json]


class Overflow(LinealError):
    """A group has more items than one document can have."""


def grouped(
    items: Iterable[Item | Refused], by: Expression, *, held: int = HELD
) -> Iterator[Item | Refused]:
    """
    Yield one item ``{key: …, items: […]}`` for each value of *by*, in the order of the values.

    Within a group the items keep their order. What cannot be grouped is refused, at once.
    """
    with ExitStack() as stack:
        pieces: list[Iterable[_Row]] = []
        rows: list[_Row] = []
        for place, item in enumerate(items):
            row = _row(item, by, place)
            if isinstance(row, Refused):
                yield row
                continue
            rows.append(row)
            if len(rows) >= held:
                pieces.append(_written(sorted(rows, key=_order), stack))
                rows = []
        pieces.append(sorted(rows, key=_order))
        for key, group in groupby(heapq.merge(*pieces, key=_order), key=lambda row: row[0]):
            yield _joined(key, group)


def _order(row: _Row) -> tuple[str, int]:
    return row[0], row[1]


def _row(item: Item | Refused, by: Expression, place: int) -> _Row | Refused:
    if isinstance(item, Refused):
        return item
    try:
        key = word(by(item.value, item.value), by.text)
    except Invalid as error:
        return Refused(item.file, item.index, str(error))
    if key is None:
        return Refused(item.file, item.index, "There is nothing to group it by.", by.text)
    return key, place, item.file, item.index, item.value


def _joined(key: str, group: Iterable[_Row]) -> Item:
    values: list[Json] = []
    file, index = "", 0
    for row in group:
        if not values:
            file, index = row[2], row[3]
        values.append(row[4])
        if len(values) > GROUP:
            raise Overflow(f"More than {GROUP:,} items have {key[:80]!r}.")
    return Item(file, index, {"key": key, "items": values})


def _written(rows: Iterable[_Row], stack: ExitStack) -> Iterator[_Row]:
    file = stack.enter_context(TemporaryFile())  # noqa: SIM115 - the stack closes it
    encode = msgspec.json.Encoder().encode
    file.writelines(encode(row) + b"\n" for row in rows)
    file.seek(0)
    return _reread(file)


def _reread(file: IO[bytes]) -> Iterator[_Row]:
    decode = msgspec.json.Decoder().decode
    for line in file:
        key, place, name, index, value = decode(line)
        yield key, place, name, index, value

"""Arrays of which what is read is looked at first: as NumPy reads them, and never unseen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.lineage.engine.columns import BLOCK, Column, Unsound
from lineal.store import derived

MANY = 5 * BLOCK // 4


def _saved(folder: Path) -> tuple[Path, np.ndarray]:
    numbers = np.sort(np.random.default_rng(3).integers(0, 1 << 30, MANY)).astype(np.int32)
    path = folder / "x.index"
    derived.save(path, {"few": np.arange(3), "many": numbers}, {"of": "a test"})
    return path, numbers


def _column(path: Path) -> Column:
    mapped = derived.load(path)
    assert mapped is not None
    column = mapped.columns()["many"]
    assert isinstance(column, Column)
    return column


def _damaged(path: Path, at: int) -> Column:
    """Return the column with one bit changed at a place."""
    column, whole = _column(path), bytearray(path.read_bytes())
    begin = len(whole) - column._blocks.body.size - 8 * column._blocks._sums.size
    whole[begin + column._begin + at] ^= 16
    path.write_bytes(whole)
    return _column(path)


@given(st.data())
def test_it_is_read_as_the_array_it_holds(tmp_path_factory, data: st.DataObject) -> None:
    path, numbers = _saved(tmp_path_factory.mktemp("columns"))
    column = _column(path)
    places = data.draw(st.lists(st.integers(0, MANY - 1), max_size=9))
    first, last = sorted(data.draw(st.tuples(st.integers(0, MANY), st.integers(0, MANY))))
    values = data.draw(st.lists(st.integers(-5, (1 << 30) + 5), max_size=9))
    values += numbers[places].tolist()
    some = np.array(places, np.int64)

    assert np.array_equal(column[some], numbers[some])
    assert np.array_equal(column.take(some), numbers.take(some))
    part = column[first:last]
    assert isinstance(part, Column)
    assert (len(part), part.nbytes) == (last - first, 4 * (last - first))
    assert np.array_equal(np.asarray(part), numbers[first:last])
    for side in ("left", "right"):
        found = np.searchsorted(column, np.array(values, np.int64), side)
        assert np.array_equal(found, np.searchsorted(numbers, np.array(values, np.int64), side))
    for at in places:
        assert column[at] == numbers[at]
    assert column.max() == numbers.max()
    assert np.array_equal(column[numbers > 1 << 29], numbers[numbers > 1 << 29])


def test_only_the_blocks_that_are_read_are_looked_at(tmp_path: Path) -> None:
    path, numbers = _saved(tmp_path)
    column = _damaged(path, 3 * BLOCK)
    early = np.arange(0, BLOCK // 4)

    assert np.array_equal(column[early], numbers[early])
    assert column[5] == numbers[5]
    seen = column._blocks._known.sum()
    assert 0 < seen < 4


FAR = 3 * BLOCK // 4 + 7
#: Ways to read what lies at a place, by what they do.
READ: dict[str, Callable[[Column], object]] = {
    "one": lambda column: column[FAR],
    "some": lambda column: column[np.array([0, FAR])],
    "taken": lambda column: column.take(np.arange(MANY)),
    "a part": lambda column: np.asarray(column[FAR:]),
    "as an array": np.asarray,
    "a sum": lambda column: column.sum(),
    "its memory": lambda column: column.data,
    "its address": lambda column: column.ctypes.data,
    "joined": lambda column: np.concatenate([column, column]),
    "required": lambda column: np.require(column, np.int32, ["C_CONTIGUOUS"]),
    "those of yes": lambda column: column[np.arange(MANY) % 2 == 0],
    "one by one": list,
    "sorted": lambda column: np.lexsort((column,)),
}


@pytest.mark.parametrize("how", READ)
def test_what_is_damaged_is_never_read(tmp_path: Path, how: str) -> None:
    path, _ = _saved(tmp_path)
    column = _damaged(path, 4 * FAR)

    with pytest.raises(Unsound):
        READ[how](column)


def test_a_number_that_is_not_there_is_not_read(tmp_path: Path) -> None:
    column = _column(_saved(tmp_path)[0])

    for wrong in (np.array([MANY]), np.array([-1]), np.array([0, 1 << 40])):
        with pytest.raises(IndexError):
            column[wrong]
    with pytest.raises(TypeError):
        column <= 3  # type: ignore[operator]  # noqa: B015  # nobody says how that is read

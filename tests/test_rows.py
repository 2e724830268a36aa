"""Rows as they are written: how keys are packed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.errors import Damaged
from lineal.store.rows import pack_feed, unpack_feed

KEYS = st.integers(min_value=1, max_value=2**62)


@given(st.sets(KEYS, max_size=100))
def test_a_feed_is_read_as_it_was_packed(keys: set[int]) -> None:
    assert unpack_feed(pack_feed(keys)) == tuple(sorted(keys))


@pytest.mark.parametrize(
    "packed", [b"", b"\x00abc", b"\x01abc", b"\x02", pack_feed(range(99))[:-3]]
)
def test_a_feed_that_was_changed_is_not_read(packed: bytes) -> None:
    with pytest.raises(Damaged, match="feed"):
        unpack_feed(packed)


def test_many_keys_take_little_room() -> None:
    assert len(pack_feed(range(10_000, 20_000))) < 1_000

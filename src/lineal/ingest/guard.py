"""The guard against mass removal: where so much is gone at once, a fault is likelier."""

from __future__ import annotations

#: Of a source's living documents, at most this share, and this many, go unasked; a few always may.
HELD_SHARE, HELD_COUNT, HELD_FLOOR = 0.10, 1_000, 10


def too_many(absent: int, living: int) -> bool:
    """
    Return whether so much is absent that a fault is likelier than a removal.

    >>> too_many(10, 50), too_many(11, 50), too_many(100, 1_000), too_many(101, 1_000)
    (False, True, False, True)
    """
    return absent > max(HELD_FLOOR, min(HELD_COUNT, int(living * HELD_SHARE)))

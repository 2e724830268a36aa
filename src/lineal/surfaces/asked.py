"""What was asked for, as text: brought to the values that a question takes, or refused in words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lineal.errors import Invalid, InvalidQuery
from lineal.model import NOW, Instant, Layer, Moment
from lineal.normalise import time

_TRANSACTION = re.compile(r"t:([0-9]{1,15})")
_FIX = "Write a time as 2026-11-23T06:40Z, or a transaction as t:123."


def moment(known_at: str | None = None, valid_at: str | None = None, *, before: str = "") -> Moment:
    """
    Return the two times of a question; what is empty is now.

    *before* is what the names of the arguments begin with.

    >>> moment("t:7")
    Moment(known_t=7, known_at=None, valid_at=None, pinned=False)

    Raises:
        InvalidQuery: a time cannot be read.
    """
    known, valid = (known_at or "").strip(), (valid_at or "").strip()
    if not known and not valid:
        return NOW
    transaction = _TRANSACTION.fullmatch(known)
    at = _instant(f"{before}valid_at", valid)
    if transaction:
        return Moment(known_t=int(transaction[1]), valid_at=at)
    return Moment(known_at=_instant(f"{before}known_at", known), valid_at=at)


def _instant(name: str, text: str) -> Instant | None:
    if not text:
        return None
    try:
        # In a URL, the + of a zone arrives as a space.
        found = time(re.sub(r" (?=\d\d:?\d\d$)", "+", text))
    except (Invalid, ValueError, OverflowError) as error:
        raise InvalidQuery(f"{name} is {text[:80]!r}, which is no time.", fix=_FIX) from error
    if found is None:
        raise InvalidQuery(f"{name} is {text[:80]!r}, which is no time.", fix=_FIX)
    return found


def words(values: list[str] | None) -> frozenset[str]:
    """
    Return what was given once or several times, each perhaps several with commas between.

    >>> sorted(words(["a,b", "c"]))
    ['a', 'b', 'c']
    """
    return frozenset(
        part.strip() for value in values or () for part in value.split(",") if part.strip()
    )


def see_one_choice(ids: Sequence[int] | None, source: str | None, every: bool) -> None:
    """Raise `Invalid` unless dead letters are chosen in just one of three ways."""
    if sum((ids is not None, source is not None, every)) != 1:
        raise Invalid(
            "It is not clear which dead letters are meant.",
            fix="Give ids, a source, or all, and one of them only.",
        )


def layers(values: list[str] | None) -> frozenset[str]:
    """Return the names of layers; raises `InvalidQuery` where there is no such layer."""
    found = words(values)
    unknown = sorted(found - set(Layer))
    if unknown:
        raise InvalidQuery(
            f"There is no layer {unknown[0]!r}.", fix=f"Layers are {', '.join(Layer)}."
        )
    return found

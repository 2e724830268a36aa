"""Times in any usual spelling as instants, and as ISO 8601 in UTC."""

from __future__ import annotations

import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache

from lineal.errors import Invalid
from lineal.model import Instant, Json, instant, iso

#: The first and the last instant that ISO 8601 has a year for.
EARLIEST, LATEST = instant(datetime.min), instant(datetime.max)
_LONG_FRACTION = re.compile(r"(\.\d{6})\d+")
_BEYOND_MICROS = re.compile(r"[.,]\d{6}(\d+)")


def time(value: Json) -> Instant | None:
    """
    Return the instant that *value* names, None where it names none.

    Known are ISO 8601 (a date; a time with or without zone, without meaning UTC; fractions are
    kept to the microsecond), RFC 2822, and numbers since 1970: seconds below 10^11, milliseconds
    below 10^14, microseconds below 10^17, nanoseconds above.

    Raises:
        Invalid: *value* is something else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Invalid(f"{value!r} is not a time.", fix="Use ISO 8601 or a number since 1970.")
    if isinstance(value, str) and not re.fullmatch(r"-?\d+(\.\d+)?", value.strip()):
        return _from_text(value.strip())
    return _sayable(_from_number(float(value) if "." in str(value) else int(value)))


def _sayable(at: Instant) -> Instant:
    """Raise `Invalid` for what ISO 8601 has no year for: nobody could be told of it."""
    if EARLIEST <= at <= LATEST:
        return at
    raise Invalid("This time is not in the years 1 to 9999.", fix="See whether it is a time.")


def iso_time(value: Json) -> str | None:
    """Return the time that *value* names as ISO 8601 in UTC, None where none can be read."""
    try:
        at = time(value)
        return None if at is None else iso(at)
    except (Invalid, OverflowError, ValueError):
        return None


def nanoseconds(value: str) -> int:
    """
    Return the time in *value* in nanoseconds since 1970: what orders events of one source.

    Raises:
        Invalid: *value* is not a time.
    """
    whole = time(value)
    if whole is None:
        raise Invalid("There is no time.", fix="Use ISO 8601, such as 2026-03-01T12:00:00Z.")
    beyond = _BEYOND_MICROS.search(value)
    return whole * 1_000 + (int(beyond.group(1).ljust(3, "0")[:3]) if beyond else 0)


def _from_number(number: float) -> Instant:
    if not abs(number) < 1e20:
        raise Invalid(f"{number!r} is not a time.", fix="Use ISO 8601 or a number since 1970.")
    for limit, factor in ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1)):
        if abs(number) < limit:
            return int(number * factor)
    return int(number // 1_000)


@lru_cache(maxsize=4_096)
def _from_text(text: str) -> Instant:
    trimmed = _LONG_FRACTION.sub(r"\1", text)
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return _sayable(instant(parse(trimmed)))
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    raise Invalid(
        f"{text[:60]!r} is not a time.", fix="Use ISO 8601, such as 2026-03-01T12:00:00Z."
    )

"""What the command line says when something fails, and the exit code it ends with."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from lineal.surfaces.drawing.text import clean

OK, FOUND, USAGE, NOT_FOUND, FORBIDDEN, UNREACHABLE, STORE, FAULT = 0, 1, 2, 3, 4, 5, 6, 70

#: Exit codes by the codes of errors, both ours and those that a server answers with.
EXITS = {
    "invalid": USAGE,
    "invalid_uri": USAGE,
    "invalid_event": USAGE,
    "invalid_query": USAGE,
    "malformed": USAGE,
    "too_large": USAGE,
    "unsupported": USAGE,
    "shape": USAGE,
    "unfit": USAGE,
    "rule": USAGE,
    "source_spec": USAGE,
    "config": USAGE,
    "file": FOUND,
    "not_found": NOT_FOUND,
    "not_observed": NOT_FOUND,
    "forbidden": FORBIDDEN,
    "wrong_host": FORBIDDEN,
    "source": UNREACHABLE,
    "source_down": UNREACHABLE,
    "source_gone": UNREACHABLE,
    "source_garbled": UNREACHABLE,
    "door_down": UNREACHABLE,
    "source_moved": UNREACHABLE,
    "unreachable": UNREACHABLE,
    "timeout": UNREACHABLE,
    "broken": UNREACHABLE,
    "garbled": UNREACHABLE,
    "unauthorized": UNREACHABLE,
    "overloaded": UNREACHABLE,
    "promise_broken": FOUND,
    "store": STORE,
    "busy": STORE,
    "out_of_time": STORE,
    "store_unreachable": UNREACHABLE,
    "read_only": STORE,
    "storage_full": STORE,
    "unstorable": STORE,
    "newer_schema": STORE,
    "damaged": STORE,
}


#: From which HTTP status on an error is a fault of the server, and not of what was asked.
_FAULTY = 500


@runtime_checkable
class Named(Protocol):
    """An error that says what happened, why, and what to do: `LinealError`, `ClientError`."""

    code: str
    message: str
    fix: str


def exit_code(error: Exception) -> int:
    """
    Return the exit code for an error.

    >>> from lineal.errors import Busy
    >>> exit_code(Busy("Another process writes.")), exit_code(ZeroDivisionError())
    (6, 70)
    """
    if isinstance(error, Named):
        return EXITS.get(error.code, FAULT)
    return FAULT


def sentence(error: Exception) -> str:
    """
    Return what to tell the operator, on one line.

    >>> from lineal.errors import NotFound
    >>> sentence(NotFound("Nothing is known as a.", nearest=("b",)))
    'Nothing is known as a. Did you mean b?'
    """
    if not isinstance(error, Named):
        kind = type(error).__name__
        return clean(f"A fault in Lineal: {kind}: {error}. Run it again with --debug for details.")
    # Only what is the server's own fault is in its log.
    faulty = (getattr(error, "status", None) or 0) >= _FAULTY
    request = getattr(error, "request_id", None) if faulty else None
    log = f"The server's log has it as {request}." if request else ""
    return clean(" ".join(part for part in (error.message, _hint(error), log) if part))


def _hint(error: Named) -> str:
    """Return the fix, with the nearest names where it does not tell them yet."""
    nearest = [name for name in getattr(error, "nearest", ()) if name not in error.fix]
    meant = f"Did you mean {', '.join(nearest)}?" if nearest else ""
    return " ".join(part for part in (meant, error.fix) if part)

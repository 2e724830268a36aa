"""Carries events to whoever listens: over HTTP, on this machine only, with bounded patience."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from itertools import groupby
from urllib.parse import quote, urlsplit

from lineal.testing.estate.tools.tool import Document

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_AGAIN = (429, 500, 502, 503, 504)


class Undelivered(Exception):
    """The sink would not take an event."""


def deliver(
    events: Sequence[tuple[str, Document]],
    sink: str,
    *,
    batch: int = 1,
    attempts: int = 5,
    pause: float = 0.05,
) -> int:
    """
    POST *events* to *sink*, in order, and return how many went out.

    With *batch* above one, neighbouring events of one tool travel as one JSON array. A sink that is
    not on this machine is refused.
    """
    if urlsplit(sink).scheme != "http" or urlsplit(sink).hostname not in _LOOPBACK:
        raise ValueError(f"the estate speaks to this machine only, not to {sink}")
    sent = 0
    for tool, group in groupby(events, key=lambda event: event[0]):
        waiting = [document for _, document in group]
        while waiting:
            load, waiting = waiting[:batch], waiting[batch:]
            body = json.dumps(load if batch > 1 else load[0], ensure_ascii=False).encode()
            _post(f"{sink}{'&' if '?' in sink else '?'}source={quote(tool)}", body, attempts, pause)
            sent += len(load)
    return sent


def _post(address: str, body: bytes, attempts: int, pause: float) -> None:
    """POST once, and again with growing pauses while the sink is busy or away."""
    reason = "no attempt allowed"
    for attempt in range(attempts):
        if attempt:
            time.sleep(min(pause * 2**attempt, 2.0))
        # The address was checked to be HTTP on this machine.
        request = urllib.request.Request(  # noqa: S310
            address, body, {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                answer.read()
                return
        except urllib.error.HTTPError as error:
            with error:
                reason = f"status {error.code}: {error.read(500).decode(errors='replace')}"
            if error.code not in _AGAIN:
                break
        except OSError as error:
            reason = str(error)
    raise Undelivered(f"{address}: {reason}")

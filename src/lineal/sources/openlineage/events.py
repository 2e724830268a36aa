"""OpenLineage events: what makes one valid, and what orders them.

The type of an event is told by its content, not by its ``schemaURL``, which producers get wrong.
A missing ``producer`` or ``schemaURL`` is tolerated, as Marquez does.
Source: https://openlineage.io/spec/2-0-2/OpenLineage.json.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lineal import normalise
from lineal.errors import Invalid, InvalidEvent
from lineal.model import Instant, Json

STATES = ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")


class Fault(InvalidEvent):
    """What is wrong with an event, and where in it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One event with what orders it: its own time in nanoseconds, then its hash."""

    time: int
    hash: str
    body: Mapping[str, Json]

    @property
    def at(self) -> Instant:
        """The event's time."""
        return self.time // 1_000

    @property
    def run(self) -> Mapping[str, Json]:
        """The run it is about, empty if it is about none."""
        return normalise.mapping(self.body.get("run"))

    @property
    def job(self) -> Mapping[str, Json]:
        """The job it is about, empty if it is about none."""
        return normalise.mapping(self.body.get("job"))

    @property
    def state(self) -> str | None:
        """The transition of the run, in capitals."""
        return (normalise.text(self.body.get("eventType")) or "").upper() or None

    def data_sets(self, side: str) -> Iterator[Mapping[str, Json]]:
        """Go through ``inputs`` or ``outputs``."""
        return normalise.mappings(self.body.get(side))

    def states(self, side: str) -> bool:
        """Say whether the event speaks of this side at all, be it to say that it is empty."""
        return isinstance(self.body.get(side), list)


def hash_of(body: Mapping[str, Json]) -> str:
    """Return the SHA-256 of the event's canonical JSON: sorted keys, no space, ASCII."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def ordered(bodies: Iterable[Mapping[str, Json]]) -> list[Entry]:
    """Return the set of entries in their one order: by event time, then hash, each once."""
    entries = {hash_of(body): body for body in bodies}
    return sorted(
        (Entry(time_of(body), digest, body) for digest, body in entries.items()),
        key=lambda entry: (entry.time, entry.hash),
    )


def check(body: Json | Mapping[str, Json]) -> Mapping[str, Json]:
    """
    Check one event and return it.

    Raises:
        Fault: it is not valid; says where and why.
    """
    if not isinstance(body, Mapping):
        raise Fault("", f"an event is an object, not {_kind(body)}")
    time_of(body)
    if body.get("run") is not None:
        _check_run(body)
    elif body.get("job") is None and body.get("dataset") is None:
        raise Fault("", "neither run, job nor dataset: this is no OpenLineage event")
    if body.get("run") is not None or body.get("job") is not None:
        _check_named(body.get("job"), "job")
        for side in ("inputs", "outputs"):
            _check_side(body.get(side), side)
    else:
        _check_named(body.get("dataset"), "dataset")
    return body


def _check_run(body: Mapping[str, Json]) -> None:
    run = body["run"]
    if not isinstance(run, Mapping):
        raise Fault("run", f"an object is needed, not {_kind(run)}")
    _check_text(run, "runId", "run")
    _check_facets(run, "run", ("facets",))
    state = body.get("eventType")
    if state is not None and (not isinstance(state, str) or state.upper() not in STATES):
        raise Fault("eventType", f"{state!r} is none of {', '.join(STATES)}")


def _check_side(side: Json, path: str) -> None:
    if side is None:
        return
    if not isinstance(side, list):
        raise Fault(path, f"a list is needed, not {_kind(side)}")
    for index, item in enumerate(side):
        _check_named(item, f"{path}[{index}]")


def _check_named(item: Json, path: str) -> None:
    if item is None:
        raise Fault(path, "missing")
    if not isinstance(item, Mapping):
        raise Fault(path, f"an object is needed, not {_kind(item)}")
    _check_text(item, "namespace", path)
    _check_text(item, "name", path)
    _check_facets(item, path, ("facets", "inputFacets", "outputFacets"))


def _check_text(item: Mapping[str, Json], key: str, path: str) -> None:
    value = item.get(key)
    if value is None:
        raise Fault(f"{path}.{key}", "missing")
    if not isinstance(value, str):
        raise Fault(f"{path}.{key}", f"text is needed, not {_kind(value)}")
    if not value.strip():
        raise Fault(f"{path}.{key}", "empty")


def _check_facets(item: Mapping[str, Json], path: str, keys: Iterable[str]) -> None:
    for key in keys:
        facets = item.get(key)
        if facets is not None and not isinstance(facets, Mapping):
            raise Fault(f"{path}.{key}", f"an object is needed, not {_kind(facets)}")


def time_of(body: Mapping[str, Json]) -> int:
    """Return when an event happened, in nanoseconds since 1970; raises `Fault`."""
    when = body.get("eventTime")
    if when is None:
        raise Fault("eventTime", "missing")
    if not isinstance(when, str):
        raise Fault("eventTime", f"text is needed, not {_kind(when)}")
    try:
        return normalise.nanoseconds(when)
    except Invalid as error:
        raise Fault("eventTime", error.message) from error


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a truth value"}
    return "nothing" if value is None else names.get(type(value), "a number")

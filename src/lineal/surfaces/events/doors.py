"""Keeps the doors of buses open: a thread for each, begun again with backoff when its bus fails.

A door hands over what its bus brings, and acknowledges it only then. While nothing more can be
kept (the inbox, the dead letters or the disk are full, the database is away) the door pauses and
offers the same again: `Inbox.offer` is the one place that knows of it.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog
from prometheus_client import Counter, Gauge

from lineal.app.taking import Taken, Told, Unread
from lineal.errors import ConfigError, LinealError

log = structlog.get_logger("lineal.doors")

_MESSAGES = Counter("lineal_door_events", "Events that came through a door.", ["door", "outcome"])
_RESTARTS = Counter("lineal_door_restarts", "How often a door had to be opened again.", ["door"])
_UP = Gauge("lineal_door_up", "1 while a door is open, 0 while its bus fails.", ["door"])
_PAUSED = Gauge("lineal_door_paused", "1 while a door waits for room.", ["door"])

#: How long a door waits for room before it offers again, in seconds: at first, and at most.
_SOON, _LATER = 0.2, 5.0


class Takes(Protocol):
    """Whoever keeps what a door brings; a `Lineal` does."""

    def take(self, door: str, items: Sequence[Told | Unread]) -> Taken:
        """Keep all, durably; raises `LinealError` where nothing more can be kept for now."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a door stands."""

    name: str
    bus: str
    #: `opening`, `open`, `paused` (no room for more), `down` (its bus fails), `closed`.
    state: str
    kept: int = 0
    dead: int = 0
    restarts: int = 0
    #: Why it is paused or down.
    reason: str = ""


class Inbox:
    """What one door sees of us: where to put what it brings."""

    def __init__(self, door: Door, takes: Takes) -> None:
        self._name, self._takes = door.name, takes
        self._lock, self._standing = threading.Lock(), Standing(door.name, door.bus, "opening")
        self._wait = _SOON

    @property
    def standing(self) -> Standing:
        """How the door stands now."""
        return self._standing

    def offer(self, items: Sequence[Told | Unread]) -> float | None:
        """
        Keep *items*: None once they are durable, and may be acknowledged.

        Otherwise nothing more can be kept for now: pause, and offer the same again after so many
        seconds.
        """
        try:
            taken = self._takes.take(self._name, items)
        except ConfigError:
            raise
        except LinealError as error:
            asked = getattr(error, "retry_after", None)
            wait = float(asked) if asked else self._wait
            self._wait = min(self._wait * 2, _LATER)
            self._pause(str(error))
            return min(wait, _LATER)
        self._wait = _SOON
        _MESSAGES.labels(self._name, "kept").inc(taken.kept)
        _MESSAGES.labels(self._name, "dead").inc(taken.dead)
        now = self._standing
        self._set("open", kept=now.kept + taken.kept, dead=now.dead + taken.dead, reason="")
        return None

    def opened(self) -> None:
        """Say that the bus answers."""
        if self._standing.state != "paused":
            self._set("open", reason="")

    def _pause(self, reason: str) -> None:
        if self._standing.state != "paused":
            log.warning("door paused", door=self._name, reason=reason)
        self._set("paused", reason=reason)

    def down(self, reason: str) -> None:
        """Say that the bus fails."""
        self._set("down", restarts=self._standing.restarts + 1, reason=reason)
        _RESTARTS.labels(self._name).inc()

    def closed(self) -> None:
        """Say that the door is not listening any more."""
        self._set("closed", reason="")

    def _set(self, state: str, **changed: int | str) -> None:
        with self._lock:
            self._standing = replace(self._standing, state=state, **changed)  # type: ignore[arg-type]  # fields of Standing, each of its type
        _UP.labels(self._name).set(state in ("open", "paused"))
        _PAUSED.labels(self._name).set(state == "paused")


class Door(Protocol):
    """A way in for what one bus brings."""

    @property
    def name(self) -> str:
        """The door's name, unique."""

    @property
    def bus(self) -> str:
        """Which bus it listens to: `kafka`, `sqs`, `nats`."""

    def listen(self, inbox: Inbox, stopping: threading.Event) -> None:
        """Hand over what comes until *stopping*; raises whatever the bus raises."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a door that failed rests before it is opened again, in seconds."""

    first: float = 0.5
    longest: float = 60.0
    #: A door that was open for so long begins again with the first rest.
    steady: float = 60.0

    def rest(self, failures: int, chance: float) -> float:
        """
        Return the rest after so many failures; *chance* (0 to 1) keeps doors apart.

        >>> Backoff().rest(1, 1.0), Backoff().rest(3, 0.0), Backoff().rest(99, 1.0)
        (0.5, 1.0, 60.0)
        """
        most = min(self.first * 2.0 ** min(failures - 1, 30), self.longest)
        return most * (0.5 + chance / 2)


class Doors:
    """All doors of an installation, from `start` to `stop`."""

    def __init__(
        self, doors: Sequence[Door], takes: Takes, *, backoff: Backoff | None = None
    ) -> None:
        self._doors = {door.name: door for door in doors}
        self._inboxes = {door.name: Inbox(door, takes) for door in doors}
        self._backoff = backoff or Backoff()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def standing(self) -> list[Standing]:
        """Return how each door stands."""
        return [inbox.standing for inbox in self._inboxes.values()]

    def start(self) -> None:
        """Begin to listen."""
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._keep_open,
                args=(door, self._inboxes[name], self._stopping),
                name=f"door {name}",
                daemon=True,
            )
            for name, door in self._doors.items()
        ]
        for thread in self._threads:
            thread.start()

    def stop(self, *, patience: float = 10.0) -> None:
        """Stop listening; what was not acknowledged by then comes again later."""
        self._stopping.set()
        until = time.monotonic() + patience
        for thread in self._threads:
            thread.join(timeout=max(0.0, until - time.monotonic()))
        self._threads = []

    def _keep_open(self, door: Door, inbox: Inbox, stopping: threading.Event) -> None:
        failures = 0
        while not stopping.is_set():
            began = time.monotonic()
            try:
                door.listen(inbox, stopping)
                continue
            except Exception as error:  # whatever a client raises, the door is opened again
                reason = f"{type(error).__name__}: {error}"
            if stopping.is_set():
                break
            failures = 1 if time.monotonic() - began > self._backoff.steady else failures + 1
            rest = self._backoff.rest(failures, random.random())  # noqa: S311  # nothing secret
            inbox.down(reason)
            log.warning("door failed", door=door.name, bus=door.bus, reason=reason, again_in=rest)
            stopping.wait(rest)
        inbox.closed()


def hold(
    inbox: Inbox,
    items: Sequence[Told | Unread],
    stopping: threading.Event,
    between: Callable[[float], None] | None = None,
) -> bool:
    """
    Offer *items* until they are kept; False where the door is to stop before that.

    *between* is done instead of merely waiting: what a bus needs to know that we still live.
    """
    while not stopping.is_set():
        wait = inbox.offer(items)
        if wait is None:
            return True
        if between is None:
            stopping.wait(wait)
        else:
            between(wait)
    return False


def missing(door: str, package: str, extra: str) -> ConfigError:
    """Return the error that the client of a bus is not installed."""
    return ConfigError(
        f"The door {door!r} needs the package {package}, which is not installed.",
        fix=f"Install it with: pip install 'lineal[{extra}]'",
    )


def looked_up(secrets: Mapping[str, str], secret: Callable[[str], str]) -> dict[str, str]:
    """Return settings with the values that their references lead to."""
    return {name: secret(reference) for name, reference in secrets.items()}

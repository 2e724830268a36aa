"""A source, its bus and its time, simulated in one thread: what happens is decided by the test.

The source is a `FetchedSource` like any other; the graph behind it is a real one. Nothing waits:
`Here` carries a question at once, `Held` when the test says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from lineal.errors import InvalidEvent, SourceError, SourceGarbled, SourceGone
from lineal.ingest import Ingest
from lineal.model import EdgeStatement, Instant, Json, Record, Statement, Uri
from lineal.shapes import Shapes
from lineal.sources import Fetched, FetchedSource, Habits, Key, Listed, Marked
from lineal.store import Store, work
from lineal.store.work import Account

SECOND = 1_000_000
PLATFORM = "sim"


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self, at: Instant = 1_770_000_000 * SECOND) -> None:
        self.at = at

    def __call__(self) -> Instant:
        return self.at

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.at += int(seconds * SECOND)


def uri(ident: str) -> Uri:
    """Return the URI of a simulated thing."""
    return Uri.of("dataset", PLATFORM, ident)


@dataclass(frozen=True)
class Thing:
    """A thing at the source: its version, a value, and what it was made from."""

    version: int
    value: int
    made_from: tuple[str, ...] = ()


@dataclass
class Tool:
    """A source whose things change, and which may lag, fail, or forget how its list goes on."""

    name: str = "tool"
    habits: Habits = field(default_factory=lambda: Habits(looks=(), sweep=None))
    things: dict[str, Thing] = field(default_factory=dict)
    #: Answers are of this state instead of the real one: a replica that lags.
    replica: Mapping[str, Thing] | None = None
    #: What the next questions raise, in order; None: nothing.
    faults: list[SourceError | None] = field(default_factory=list)
    #: What it raises until further notice.
    fault: SourceError | None = None
    says_versions: bool = False
    lists_versions: bool = True
    #: Lists hold whole documents, and are asked for at the time of this clock.
    lists_whole: Clock | None = None
    #: Happens while a document of such a list is worded.
    while_worded: Callable[[str], None] = lambda ident: None
    #: After so many lines a list raises this, once.
    broken_list: tuple[int, SourceError] | None = None
    asked: list[tuple[str, ...]] = field(default_factory=list)
    versions: int = 0
    #: Values that cannot be worded anew.
    unfit: tuple[int, ...] = ()

    platforms = frozenset({("dataset", PLATFORM)})

    # ── Its side ──

    def put(self, ident: str, value: int, *made_from: str) -> None:
        """Change a thing, or make it."""
        self.versions += 1
        self.things[ident] = Thing(self.versions, value, made_from)

    def event(self, ident: str) -> dict[str, Json]:
        """Return the event that tells of the present state of a thing."""
        known = self.things.get(ident)
        event: dict[str, Json] = {"id": ident, "gone": known is None}
        if self.says_versions and known is not None:
            event["version"] = known.version
        return event

    # ── As a source ──

    def understand(self, body: Mapping[str, Json]) -> tuple[Marked, ...]:
        """Return what an event marks."""
        idents = body.get("ids", [body.get("id")])
        if not isinstance(idents, list) or not all(isinstance(one, str) for one in idents):
            raise InvalidEvent(f"No such event: {body}.")
        version = body.get("version")
        assert version is None or isinstance(version, int)
        return tuple(
            Marked(Key("thing", str(one)), body.get("gone") is True, version) for one in idents
        )

    def key_of(self, uri: Uri) -> Key | None:
        """Return the document of a thing."""
        return Key("thing", uri.name)

    def subject(self, key: Key) -> Uri:
        """Return what a document is about."""
        return uri(key.id)

    def fetch(self, key: Key, etag: str | None = None) -> Fetched:
        """Answer what is so, or what was."""
        self.asked.append((key.id,))
        self._fail()
        state = self.things if self.replica is None else self.replica
        if key.id not in state:
            raise SourceGone(f"no {key.id}")
        return self._answer(key, state[key.id], etag)

    def fetch_many(self, keys: Sequence[Key]) -> dict[Key, Fetched | SourceGarbled]:
        """Answer for several at once; what is not there is left out."""
        self.asked.append(tuple(key.id for key in keys))
        self._fail()
        return {
            key: self._answer(key, self.things[key.id], None)
            for key in keys
            if key.id in self.things
        }

    def _fail(self) -> None:
        fault = self.faults.pop(0) if self.faults else self.fault
        if fault is not None:
            raise fault

    def _answer(self, key: Key, thing: Thing, etag: str | None) -> Fetched:
        tag = f"v{thing.version}"
        version = thing.version if self.says_versions else None
        if etag == tag:
            return Fetched(key, None, tag, version)
        about = uri(key.id)
        edges = tuple(EdgeStatement(about, "derived_from", uri(one)) for one in thing.made_from)
        said = Statement(about, {"name": key.id, "rows": thing.value})
        raw: dict[str, Json] = {"value": thing.value, "made_from": list(thing.made_from)}
        record = Record(self.name, key.document, about, (said,), edges, observed_at=0, raw=raw)
        return Fetched(key, record, tag, version)

    def reword(self, key: Key, raw: Mapping[str, Json], at: Instant) -> Record:
        """Word a document anew: by now, values are doubled."""
        value = raw["value"]
        assert isinstance(value, int)
        if value in self.unfit:
            raise SourceGarbled("It does not fit any more.")
        said = Statement(uri(key.id), {"name": key.id, "rows": 2 * value})
        return Record(self.name, key.document, uri(key.id), (said,), (), at, raw=raw)

    def list(self) -> Iterator[Listed]:
        """List everything."""
        self._fail()
        for at, (ident, thing) in enumerate(sorted(self.things.items())):
            if self.broken_list is not None and at >= self.broken_list[0]:
                error, self.broken_list = self.broken_list[1], None
                raise error
            version = f"v{thing.version}" if self.lists_versions else None
            key = Key("thing", ident)
            if self.lists_whole is None:
                yield Listed(key, version)
            else:
                yield Listed(key, version, partial(self._whole, key, thing), self.lists_whole())

    def _whole(self, key: Key, thing: Thing) -> Fetched:
        self.while_worded(key.id)
        if thing.value in self.unfit:
            raise SourceGarbled("It cannot be read in a list.")
        return replace(self._answer(key, thing, None), etag=None)

    def close(self) -> None:
        """Nothing is open."""


class Here(Executor):
    """Carries a question at once, in the thread that asks."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do it."""
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


class Held(Executor):
    """Keeps questions until the test lets them go, in any order."""

    def __init__(self) -> None:
        self.questions: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Keep it."""
        future: Future[Any] = Future()
        self.questions.append((future, lambda: fn(*args, **kwargs)))
        return future

    def carry(self, at: int = 0) -> None:
        """Carry one of the questions that are kept."""
        future, task = self.questions.pop(at)
        future.set_result(task())

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Forget what is kept."""
        for future, _ in self.questions:
            future.cancel()
            future.set_running_or_notify_cancel()


def opened(place: Path | str, clock: Clock) -> Store:
    """Open a graph."""
    return Store(place, shapes=Shapes.builtin(), now=clock)


class Rig:
    """A graph that listens to simulated sources, on one clock."""

    def __init__(
        self,
        place: Path | str | Store,
        *tools: Tool,
        clock: Clock | None = None,
        chance: Callable[[], float] = lambda: 0.0,
        executor: Callable[[], Executor] = Here,
        **options: Any,
    ) -> None:
        self.clock = clock or Clock()
        self.tools = {tool.name: tool for tool in tools or (Tool(),)}
        self.store = place if isinstance(place, Store) else opened(place, self.clock)
        fetched: Mapping[str, FetchedSource] = self.tools
        self.ingest = Ingest(
            self.store,
            fetched,
            {},
            chance=chance,
            workers=lambda *_: executor(),
            gather=0,
            **options,
        )

    @property
    def tool(self) -> Tool:
        """The only tool, or the first."""
        return next(iter(self.tools.values()))

    def tell(self, *idents: str, tool: Tool | None = None) -> None:
        """Send the events of these things."""
        of = tool or self.tool
        self.ingest.receive(of.name, [of.event(ident) for ident in idents])

    def work(self) -> int:
        """Work until nothing is due, as of the clock; return how many turns it took."""
        turns = 0
        while self.ingest.turn() or self.ingest.is_busy:
            turns += 1
            assert turns < 1_000, "it never comes to an end"
        return turns

    def wait_and_work(self, seconds: float) -> None:
        """Let time go by, and do what is due then."""
        self.clock.wait(seconds)
        self.work()

    def accounts(self) -> dict[str, Account]:
        """Return what became of all notices; the law holds whenever it is asked."""
        with self.store.looking() as driver:
            found = work.accounts(driver)
        assert {name: one.missing for name, one in found.items()} == dict.fromkeys(found, 0)
        return found

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Look into the database itself."""
        with self.store.looking() as driver:
            return driver.rows(query, *values)

    def value(self, ident: str) -> Json:
        """Return what is known of a thing now: its value, or None where nothing is said of it."""
        found = self.rows(
            "SELECT body FROM record JOIN entity ON entity.key = record.key"
            " WHERE entity.uri = ? AND t_to IS NULL AND body <> 'null'",
            uri(ident),
        )
        return msgspec.json.decode(found[0][0])["rows"] if found else None

    def known(self) -> dict[str, Json]:
        """Return the values of all things that are known."""
        names = self.rows("SELECT uri FROM entity")
        idents = [Uri(row[0]).name for row in names]
        return {ident: value for ident in idents if (value := self.value(ident)) is not None}

    def close(self) -> None:
        """Close the graph."""
        self.ingest.close()
        self.store.close()

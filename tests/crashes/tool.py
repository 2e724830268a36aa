"""A source that changes all the time, and senders that tell of it and remember each answer."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field

import httpx2

from lineal.model import Json
from lineal.testing.faults import FaultSource
from tests.crashes.checker import Seen

SPEC = """
source: faulty
platform: faulty
base_url: ${FAULTY_URL}
allow_private: true
limits: {requests_per_second: 100000, concurrency: 4, timeout: 20, connect_timeout: 5}
gone: {when: "code == 'NOT_FOUND'"}
second_look: []
events:
  - {match: {event_type: changed}, resource: thing, key: id}
  - {match: {event_type: removed}, resource: thing, key: id, deleted: true}
resources:
  thing:
    subject: {type: dataset}
    fetch: {path: "/things/{id}"}
    list:
      path: /things
      items: items
      version: version
      paging: {style: page, param: page, total: pages}
    map: {name: name, rows: version}
    edges:
      - {kind: derived_from, each: from, to: {type: dataset, id: "@"}}
"""
#: A thing that cannot be worded until it is healed.
BAD = "bad"
#: How many lines a page of the list has.
PAGE = 50


class Tool(FaultSource):
    """Things with versions that only grow; one of them is never as the file promises."""

    def __init__(self, count: int = 24) -> None:
        super().__init__(count)
        self.lock = threading.RLock()
        self.versions = count
        #: At which version a thing was removed last.
        self.removed: dict[str, int] = {}
        self.things[BAD] = {"id": "something else", "version": 0}
        #: How long each answer takes, in seconds.
        self.delay = 0.0

    def page(self, number: int) -> dict[str, object]:
        """Return one page of the list: a list that is asked for often need not be long."""
        names = sorted(self.things)[(number - 1) * PAGE : number * PAGE]
        items = [{"id": name, "version": self.things[name]["version"]} for name in names]
        return {"items": items, "page": number, "pages": -(-len(self.things) // PAGE)}

    def said(self, target: str) -> tuple[int, dict[str, object]]:
        """Answer, after a while."""
        if self.delay:
            time.sleep(self.delay)
        with self.lock:
            return super().said(target)

    def change(self, ident: str, made_from: list[str]) -> int:
        """Change a thing, or make it; returns its version."""
        with self.lock:
            self.versions += 1
            self.things[ident] = {
                "id": ident, "name": f"{ident} as of {self.versions}", "version": self.versions,
                "from": made_from,
            }  # fmt: skip
            return self.versions

    def remove(self, ident: str) -> int:
        """Remove a thing."""
        with self.lock:
            self.versions += 1
            self.things.pop(ident, None)
            self.removed[ident] = self.versions
            return self.versions

    def heal(self) -> None:
        """From now on all is as promised."""
        self.change(BAD, [])


@dataclass
class Acknowledged:
    """What was acknowledged: by thing the newest version that was told of, and if it was gone."""

    told: dict[str, tuple[int, bool]] = field(default_factory=dict)
    entries: set[str] = field(default_factory=set)
    events: int = 0

    def lost(self, seen: Seen, tool: Tool) -> list[str]:
        """Return what was acknowledged and is not in a database: neither taken in nor waiting."""
        found = [
            f"{ident} {version}{' gone' if gone else ''}, known as {seen.versions.get(ident)}"
            for ident, (version, gone) in list(self.told.items())
            if not (ident in seen.pending or ident in seen.dead)
            and not _is_in(seen, tool, ident, version, gone)
        ]
        return found + sorted(self.entries.copy() - seen.entries)


def _is_in(seen: Seen, tool: Tool, ident: str, version: int, gone: bool) -> bool:
    known = seen.versions.get(ident)
    if gone:
        return known is None or known > version
    if known is None:
        return tool.removed.get(ident, 0) > version
    return known >= version


class Senders:
    """Threads that change a tool and tell a Lineal, wherever it answers just now."""

    def __init__(self, tool: Tool, seed: int, *, count: int = 3, pause: float = 0.002) -> None:
        self.tool, self.acknowledged = tool, Acknowledged()
        self._lock, self._over = threading.Lock(), threading.Event()
        #: Where Lineal answers; None while it is known not to.
        self.url: str | None = None
        #: Whether a person has thrown away what cannot be worded: it need not be anywhere then.
        self._is_thrown_away = False
        #: Requests that were refused, and that broke off.
        self.refused = self.broken = 0
        self._pause, self._entry = pause, 0
        tasks = [(self._tell, random.Random(f"{seed}-{number}")) for number in range(count)]
        tasks.append((self._log, random.Random(f"{seed}-log")))
        self._threads = [threading.Thread(target=task, args=(dice,)) for task, dice in tasks]
        for thread in self._threads:
            thread.start()

    def throw_away(self) -> None:
        """From now on a person throws dead letters away: nobody misses what cannot be worded."""
        with self._lock:
            self._is_thrown_away = True
            self.acknowledged.told.pop(BAD, None)

    def close(self) -> None:
        """Stop sending."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _tell(self, dice: random.Random) -> None:
        with httpx2.Client(timeout=10, trust_env=False) as http:
            while not self._over.wait(self._pause):
                if (url := self.url) is not None:
                    ident, version, event = self._happens(dice)
                    if self._post(http, f"{url}/api/v1/events?source=faulty", event):
                        self._note(ident, version, event["event_type"] == "removed")

    def _happens(self, dice: random.Random) -> tuple[str, int, dict[str, str]]:
        """Let something happen at the tool; return what, and the event that tells of it."""
        chance = dice.random()
        if chance < 0.08:
            return BAD, 0, {"event_type": "changed", "id": BAD}
        if chance < 0.2:
            ident = f"r{dice.randrange(8)}"
            if chance < 0.14:
                version = self.tool.remove(ident)
                return ident, version, {"event_type": "removed", "id": ident}
        elif chance < 0.3:
            ident = f"n{dice.randrange(10_000)}"
        else:
            ident = f"t{dice.randrange(24)}"
        others = [f"t{dice.randrange(24)}", f"u{dice.randrange(10_000)}"]
        version = self.tool.change(ident, [one for one in others if one != ident])
        return ident, version, {"event_type": "changed", "id": ident}

    def _note(self, ident: str, version: int, gone: bool) -> None:
        with self._lock:
            self.acknowledged.events += 1
            if self._is_thrown_away and ident == BAD:
                return
            if version >= self.acknowledged.told.get(ident, (-1, False))[0]:
                self.acknowledged.told[ident] = (version, gone)

    def _log(self, dice: random.Random) -> None:
        """Send entries of a log, each again and again until it is acknowledged, as senders do."""
        with httpx2.Client(timeout=10, trust_env=False) as http:
            while not self._over.wait(4 * self._pause):
                name = f"entry-{self._entry}"
                if (url := self.url) is not None and self._post(
                    http, f"{url}/api/v1/lineage", entry(name)
                ):
                    self.acknowledged.entries.add(name)
                    self._entry += 1

    @property
    def sent_entries(self) -> list[str]:
        """The names of all entries that may be in, by now or later."""
        return [f"entry-{number}" for number in range(self._entry + 1)]

    def _post(self, http: httpx2.Client, url: str, body: object) -> bool:
        try:
            answer = http.post(url, json=body)
        except httpx2.HTTPError:
            self.broken += 1
            return False
        if answer.status_code == 503:
            self.refused += 1
            return False
        assert answer.status_code in (201, 202), (answer.status_code, answer.text)
        return True


def entry(name: str) -> dict[str, Json]:
    """Return an entry of a log, the same for a name."""
    return {
        "eventTime": "2026-01-01T00:00:00Z", "producer": "https://sender.example/1",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/DatasetEvent",
        "dataset": {"namespace": "s3://bucket", "name": name},
    }  # fmt: skip

"""The tool and the server, each in a process of its own, and what an observer sees of them.

Nothing of what is measured runs in the process that measures: events go in through the server's
own door, and what became visible is read from the database as any reader would.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httpx2

ROOT = Path(__file__).parents[2]
#: The server says where it answers on a line like this.
_ANSWERS = re.compile(r"answers at (http://\S+) from")
#: Which notices have come to their end?
_SETTLED = "SELECT coalesce(sum(count), 0) FROM flow WHERE what IN ('applied', 'superseded')"


class Failed(Exception):
    """What was to be measured did not do what it should."""


#: What the tool has: name of the resource, and of its path.
KINDS = {"test": "tests", "run": "runs", "version": "versions", "table": "tables"}


def spec(
    address: str,
    *,
    batches: bool,
    places: int,
    looks: Sequence[float] = (),
    kinds: Collection[str] = frozenset(KINDS),
) -> str:
    """Return the source file of the tool at *address*, with these of its resources."""
    text = (Path(__file__).parent / "registry.yaml").read_text(encoding="utf-8")
    for kind in KINDS.keys() - set(kinds):
        text = re.sub(rf"  {kind}:\n(    .*\n)+", "", text)
        text = re.sub(rf"  - match: {{event: {kind}_changed}}\n(    .*\n)+", "", text)
    if not batches:
        text = re.sub(r" *# batch: begin.*?# batch: end\n", "", text, flags=re.DOTALL)
    shown = ", ".join(str(one) for one in looks)
    return text.replace("@URL@", address).replace("@PLACES@", str(places)).replace("@LOOKS@", shown)


class Tool:
    """The tool at work. Leaving the ``with`` block ends it."""

    def __init__(self, things: int, *, etags: bool = True) -> None:
        self.things = things
        options = [] if etags else ["--no-etags"]
        self._process = python("-m", "bench.ingest.tool", str(things), *options)
        assert self._process.stdout is not None
        self.address = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self._http = httpx2.Client(base_url=self.address, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._http.close()
        _ended(self._process)

    def change(self, kind: str, idents: Sequence[str]) -> None:
        """Change things: each is of a later revision afterwards."""
        self._http.post(f"/{kind}", json=list(idents))

    def reads(self) -> dict[str, int]:
        """Return how often it was asked, and how many documents it gave, or said unchanged."""
        found: dict[str, int] = self._http.get("/reads").json()
        return found

    @property
    def cpu(self) -> float:
        """Return how many seconds of a processor it has used."""
        return cpu_of(self._process.pid)


class Server:
    """A server of Lineal at work over one file. Leaving the ``with`` block ends it."""

    def __init__(self, db: Path, source: str = "") -> None:
        """*source* is what its file says of the tool; without it there is none."""
        self.db = db
        file = db.with_name("registry.yaml")
        file.write_text(source, encoding="utf-8")
        of = ("--source", str(file)) if source else ()
        self._log = db.with_name("server.log")
        self._said = self._log.open("w", encoding="utf-8")
        self._process = python(
            "-m", "lineal.surfaces.cli", "serve", "--db", str(db), "--port", "0", *of,
            said=self._said,
        )  # fmt: skip
        self.http = httpx2.Client(base_url=self._answering(), timeout=60, trust_env=False)

    def _answering(self) -> str:
        until = time.monotonic() + 60
        while time.monotonic() < until and self._process.poll() is None:
            if found := _ANSWERS.search(self._log.read_text(encoding="utf-8")):
                address = found[1]
                with contextlib.suppress(httpx2.HTTPError):
                    httpx2.get(f"{address}/healthz", trust_env=False)
                    return address
            time.sleep(0.05)
        raise Failed(f"The server did not start: {self._log.read_text(encoding='utf-8')[-2_000:]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.http.close()
        _ended(self._process, ask=True)
        self._said.close()

    @property
    def pid(self) -> int:
        """Return the number of its process."""
        return self._process.pid

    @property
    def cpu(self) -> float:
        """Return how many seconds of a processor it has used."""
        return cpu_of(self._process.pid)

    def send(self, kind: str, idents: Sequence[str]) -> None:
        """Send an event for each of these, in one request; again where it has no room for now."""
        body = [{"event": f"{kind}_changed", "id": ident} for ident in idents]
        while True:
            answer = self.http.post("/api/v1/events", json=body)
            if answer.status_code == 202:
                return
            if answer.status_code != 503:
                raise Failed(f"An event was refused: {answer.text}")
            time.sleep(0.05)

    def sweep(self) -> None:
        """Have the tool listed in the background."""
        self.http.post("/api/v1/sources/registry/sweep").raise_for_status()


def python(*words: str, said: IO[str] | None = None) -> subprocess.Popen[str]:
    """Begin a process of this checkout's code; *said* takes what it writes to standard error."""
    paths = [str(ROOT), str(ROOT / "src")]
    return subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        stderr=said or None, env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip


def _ended(process: subprocess.Popen[str], *, ask: bool = False) -> None:
    if ask:
        process.terminate()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def cpu_of(pid: int) -> float:
    """Return the seconds of a processor that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ── Looking ──────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Observer:
    """Looks at the clock of a database every millisecond, as any reader could."""

    db: Path
    #: Which transaction was seen first when, in seconds of the monotonic clock.
    seen: list[tuple[int, float]] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def looking(self) -> Iterator[Self]:
        """Look during the block."""
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            thread.join()

    def _look(self) -> None:
        with contextlib.closing(reader(self.db)) as connection:
            last = 0
            while not self._stopping.is_set():
                ((t,),) = connection.execute("SELECT published FROM clock")
                if t > last:
                    self.seen.append((t, time.monotonic()))
                    last = t
                time.sleep(0.001)

    def visible(self, t: int) -> float:
        """Return when a transaction was seen."""
        at = bisect_left(self.seen, (t, 0.0))
        if at == len(self.seen):
            raise Failed(f"Transaction {t} was never seen.")
        return self.seen[at][1]


def reader(db: Path) -> sqlite3.Connection:
    """Open a database to look into it."""
    return sqlite3.connect(f"{db.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)


def settled(connection: sqlite3.Connection) -> int:
    """Return how many notices were applied or superseded so far."""
    ((count,),) = connection.execute(_SETTLED)
    return int(count)


def waited(connection: sqlite3.Connection, wanted: int, *, limit: float = 300.0) -> None:
    """Wait until so many notices came to their end; raises `Failed`."""
    until = time.monotonic() + limit
    while settled(connection) < wanted:
        if time.monotonic() > until:
            raise Failed(f"{wanted - settled(connection):,} notices are left after {limit:g} s.")
        time.sleep(0.005)


def rows(connection: sqlite3.Connection, text: str, *values: object) -> list[tuple[Any, ...]]:
    """Return what a query finds."""
    return connection.execute(text, values).fetchall()


def attributes(body: str) -> dict[str, Any]:
    """Return the attributes in a row of `record`."""
    found: dict[str, Any] = json.loads(body)
    return found

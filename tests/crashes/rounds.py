"""The crash runner: begins a Lineal, lets it work under load, kills it, and looks what is left.

The parent knows nothing but what was acknowledged. A round ends at a named point, at a moment, or
by a polite request; after each, what was acknowledged must be in the database or waiting there.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx2

from lineal.app import Lineal
from lineal.config import Config
from lineal.model import Json
from lineal.shapes import Shapes
from lineal.store import Store, work
from tests.crashes.checker import look
from tests.crashes.child import Counts, Errand, Strike, context, run
from tests.crashes.tool import SPEC, Senders, Tool, entry

#: How long a point may take to be reached, and a process to end that was asked to, in seconds.
PATIENCE = 20.0
#: A promise: this long after SIGTERM, in seconds, a server has ended.
DRAINED = 10.0


@dataclass
class Told:
    """What a series of rounds found."""

    rounds: int = 0
    struck: list[str] = field(default_factory=list)
    #: Points that were aimed at and not reached in time.
    missed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    #: Accounts that did not add up, and facts that stood twice.
    wrong: list[str] = field(default_factory=list)
    drained: list[float] = field(default_factory=list)


class Running:
    """One Lineal at work, as a child process."""

    def __init__(self, runner: Runner, strike: Strike | None) -> None:
        self._log = runner.folder / f"log-{runner.told.rounds}"
        source = str(runner.folder / "faulty.yaml")
        whole = ("serve", "--db", str(runner.place), "--port", "0", "--source", source)
        little = (str(runner.place), source)
        errand = Errand(
            whole if runner.whole else little, runner.folder / "counts", self._log, strike,
            runner.environment, "" if runner.whole else runner.little,
        )  # fmt: skip
        self.process: BaseProcess = context().Process(target=run, args=(errand,))
        self.process.start()
        self.url = self._answering()

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.process.is_alive()

    def _answering(self) -> str | None:
        """Return where it answers, once it does; None if it dies before that."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.is_alive:
            said = self.said
            if " answers at " in said:
                return said.partition(" answers at ")[2].split()[0]
            time.sleep(0.005)
        assert not self.is_alive, f"it does not begin: {self.said}"
        return None

    @property
    def said(self) -> str:
        """What it has written."""
        return self._log.read_text("utf-8") if self._log.exists() else ""

    def ended_within(self, seconds: float) -> bool:
        """Wait for its end, at most so long."""
        self.process.join(seconds)
        return not self.is_alive

    def end(self, how: signal.Signals) -> float:
        """Send a signal, and wait for the end; returns how long that took, in seconds."""
        began = time.monotonic()
        if self.process.pid is not None and self.is_alive:
            os.kill(self.process.pid, how)
        assert self.ended_within(6 * DRAINED), f"it does not end: {self.said}"
        return time.monotonic() - began


class Runner:
    """A database, a tool, senders, and one Lineal after the other."""

    def __init__(self, folder: Path, place: Path | str, seed: int, *, whole: bool) -> None:
        """Begin with an empty *place*; *whole* lets `lineal serve` work, else its `doors` alone."""
        self.folder, self.place, self.whole, self.told = folder, place, whole, Told()
        self.dice, self.tool = random.Random(seed), Tool()
        #: What stands in for `lineal serve`.
        self.little = "tests.crashes.doors:serve"
        self.environment: Mapping[str, str]
        self.senders = Senders(self.tool, seed)
        (folder / "faulty.yaml").write_text(SPEC, "utf-8")

    @contextmanager
    def open(self) -> Iterator[Runner]:
        """Let the tool answer, until the end of the block."""
        with self.tool:
            self.environment = {"FAULTY_URL": self.tool.url, "LINEAL_INDEX": "off"}
            try:
                yield self
            finally:
                self.senders.url = None
                self.senders.close()

    @property
    def counts(self) -> dict[str, int]:
        """How often each point was passed, in all rounds."""
        return Counts(self.folder / "counts").read()

    # ── Rounds ───────────────────────────────────────────────────────────────────────────────

    def strike(self, strike: Strike) -> None:
        """Let one work until it kills itself at a point."""
        running = self.begun(strike)
        until = time.monotonic() + PATIENCE
        while running.is_alive and time.monotonic() < until:
            self._operate(running, strike.point)
            running.ended_within(0.1)
        was_struck = not running.is_alive and running.process.exitcode == -signal.SIGKILL
        if not was_struck:
            self.told.missed.append(f"{strike.point} {strike.nth}")
        running.end(signal.SIGKILL)
        self.told.struck.append(strike.point)
        self.look()

    def kill(self) -> None:
        """Let one work for a random time, and kill it."""
        running = self.begun(None)
        running.ended_within(self.dice.uniform(0.0, 0.6))
        self._operate(running, "")
        running.end(signal.SIGKILL)
        self.look()

    def stop(self) -> None:
        """Let one work for a random time, and ask it to end."""
        running = self.begun(None)
        running.ended_within(self.dice.uniform(0.1, 0.6))
        self.told.drained.append(running.end(signal.SIGTERM))
        if running.process.exitcode != 0:
            self.told.wrong.append(f"it ended with {running.process.exitcode}: {running.said}")
        self.look()

    def begun(self, strike: Strike | None) -> Running:
        """Begin a round."""
        self.told.rounds += 1
        if strike is not None and isinstance(self.place, str):
            # Else most of what there is to do is held by the dead.
            self._let_time_go_by()
        running = Running(self, strike)
        self.senders.url = running.url
        return running

    def _operate(self, running: Running, point: str) -> None:
        """Do what people do: have the tool listed, take up letters again, or throw them away."""
        deeds: list[tuple[str, dict[str, object]]] = [("/sources/faulty/sweep", {})]
        if point == "letters-purged":
            self.senders.throw_away()
            deeds.append(("/dead-letters/purge", {"all": True, "reason": "tried"}))
        elif point == "letters-replayed" or self.dice.random() < 0.2:
            deeds.append(("/dead-letters/replay", {"all": True}))
        try:
            with httpx2.Client(timeout=5, trust_env=False) as http:
                for path, body in deeds:
                    http.post(f"{running.url}/api/v1{path}", json=body)
        except httpx2.HTTPError:
            pass

    def look(self) -> None:
        """Look at what is left by a process that has ended."""
        self.senders.url = None
        acknowledged = self.senders.acknowledged
        # An answer may be on its way to a sender; what is not noted yet is looked at next time.
        seen = look(self.place)
        self.told.lost += acknowledged.lost(seen, self.tool)
        if seen.missing:
            self.told.wrong.append(f"round {self.told.rounds}: unaccounted for {seen.missing}")
        if seen.double:
            self.told.wrong.append(f"round {self.told.rounds}: {seen.double} facts stand twice")

    def _let_time_go_by(self) -> None:
        """Let the leases of the dead run out, as they do after minutes, by the server's clock."""
        with (
            closing(Store(self.place, shapes=Shapes.builtin())) as store,
            store.working() as ledger,
        ):
            held = "SELECT DISTINCT leased_by FROM watch WHERE leased_by IS NOT NULL"
            for (holder,) in ledger.driver.rows(held):
                work.free(ledger, holder, but=())
            work.stand(ledger, "faulty", leased_by=None, leased_until=None)

    # ── The end ──────────────────────────────────────────────────────────────────────────────

    def settle(self) -> str:
        """Heal everything and work it off; return the digest, once the database is proved sound."""
        self.senders.close()
        self.tool.heal()
        self._let_time_go_by()
        with self.opened() as lineal:
            for name in self.senders.sent_entries:
                lineal.receive_log([entry(name)])
            lineal.replay(actor="ada")
            _work_off(lineal, self.tool)
            verdict = lineal.store.verify()
            assert verdict.sound, verdict.disagreements
            assert lineal.dead_letters() == []
        seen = look(self.place)
        assert (seen.missing, seen.pending, seen.double) == ({}, set(), 0)
        assert self.senders.acknowledged.lost(seen, self.tool) == []
        return verdict.digest

    def from_scratch(self) -> str:
        """Return the digest of a graph that only ever saw what is so now."""
        with Lineal.open(self.config(self.folder / "scratch.db")) as lineal:
            for name in self.senders.sent_entries:
                lineal.receive_log([entry(name)])
            _work_off(lineal, self.tool)
            return lineal.store.digest()

    def opened(self) -> AbstractContextManager[Lineal]:
        """Open the database here, with nobody else at it."""
        return Lineal.open(self.config(self.place))

    def config(self, place: Path | str) -> Config:
        """Return what a Lineal of these rounds is opened with."""
        return Config(
            db=place, sources=(self.folder / "faulty.yaml",), variables=self.environment
        )  # fmt: skip


def _work_off(lineal: Lineal, tool: Tool) -> None:
    """List the tool, tell of what it has no more, and do all that is to be done."""
    gone = [{"event_type": "removed", "id": one} for one in tool.removed if one not in tool.things]
    for _ in range(4):
        lineal.sweep("faulty")
        lineal.receive("faulty", [dict[str, Json](event) for event in gone])
        assert lineal.drain(timeout=120).complete
        (health,) = [one for one in lineal.health() if one.source == "faulty"]
        if health.dirty == 0:
            return
        time.sleep(1.0)
    raise AssertionError(f"it does not come to rest: {health}")

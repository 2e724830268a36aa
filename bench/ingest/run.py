"""One run of the write path: everything that is published of it."""

from __future__ import annotations

import itertools
import tempfile
from datetime import date
from pathlib import Path
from random import Random

from bench.ingest import files, live, reads, report
from bench.ingest.live import Delays, Progress, Rate
from bench.ingest.report import Found
from bench.ingest.running import Server, Tool, spec
from bench.ingest.tool import TESTS

#: Events and records a second, with and without batch reads, and of whole lists.
TOGETHER, ALONE, LISTED = 1_500, 600, 6_000
#: Files hold so many times as many things of each of two sorts.
FILED = 3
#: Milliseconds until an event is visible at half that load, and until what follows from it is.
MIDDLE, SLOW, INFERRED = 50.0, 300.0, 1_000.0
#: So many events in a request where delays are measured, and so many at once, each in a request
#: of its own.
FEW, CROWD = 10, 32


def run(
    *,
    things: int,
    seconds: float,
    folder: Path,
    seed: int,
    day: date,
    progress: Progress,
    bursts: int = reads.BURSTS,
) -> Path:
    """Measure everything and write the report; return the page."""
    found = Found(things, seconds, seed)
    with tempfile.TemporaryDirectory() as place:
        db = Path(place) / "lineal.db"
        with Tool(things) as tool:
            _listed(found, tool, db, progress)
            _live(found, tool, db, progress)
        _files(found, Path(place), progress)
    for coalescing, conditional in itertools.product((True, False), repeat=2):
        progress(f"reads, coalescing {coalescing}, conditional {conditional}")
        with tempfile.TemporaryDirectory() as place:
            found.reads.append(
                reads.reads(
                    Path(place),
                    coalescing=coalescing,
                    conditional=conditional,
                    seed=seed,
                    bursts=bursts,
                )
            )
    return report.write(folder, found, day)


def _listed(found: Found, tool: Tool, db: Path, progress: Progress) -> None:
    progress("listing tables")
    source = spec(tool.address, batches=True, places=live.PLACES, kinds=["table"])
    with Server(db, source) as server:
        rate = live.bulk(server, tool, db, found.things)
    what = "lists of whole documents"
    found.rates.add(what, rate.per_second, "records/s", LISTED, at_most=False)
    _cost(found, what, rate)


def _files(found: Found, folder: Path, progress: Progress) -> None:
    """Import files into an empty file, and into that again."""
    things = FILED * found.things
    progress(f"importing {2 * things:,} documents")
    source, root = files.write(folder, things)
    db = folder / "files.db"
    for what, target in (("a first load", LISTED), ("the same again", None)):
        rate = 2 * things / files.imported(source, root, db)
        found.rates.add(f"files imported, {what}", rate, "records/s", target, at_most=False)


def _live(found: Found, tool: Tool, db: Path, progress: Progress) -> None:
    dice = Random(found.seed)
    with Server(db, spec(tool.address, batches=True, places=live.PLACES)) as server:
        progress("listing the rest")
        rate = live.bulk(server, tool, db, 3 * found.things + TESTS)
        what = "lists of whole documents from which edges are inferred"
        found.rates.add(what, rate.per_second, "records/s")
        progress("live, batch reads")
        rate = live.sustained(server, tool, db, seconds=found.seconds, dice=dice)
        _rate(found, "live, batch reads", rate, TOGETHER)
        progress("delays, batch reads")
        _delays(found, server, tool, db, TOGETHER / 2, dice, "batch reads")
        progress("live, one event in a request")
        rate = live.sustained(
            server, tool, db, seconds=found.seconds, dice=dice, array=1, senders=CROWD
        )
        what = "live, batch reads, one event in a request"
        found.rates.add(what, rate.per_second, "events/s")
    with Server(db, spec(tool.address, batches=False, places=live.SINGLE_PLACES)) as server:
        progress("live, single reads")
        rate = live.sustained(server, tool, db, seconds=found.seconds, dice=dice)
        _rate(found, "live, single reads", rate, ALONE)
        each = reads.cost()
        share = each.asking / (rate.server / rate.count * 1e6)
        found.rates.add("live, single reads: processor, in the HTTP client", 100 * share, "%")
        progress("delays, single reads")
        _delays(found, server, tool, db, ALONE / 2, dice, "single reads")


def _rate(found: Found, what: str, rate: Rate, target: float) -> None:
    found.rates.add(what, rate.per_second, "events/s", target, at_most=False)
    _cost(found, what, rate)


def _cost(found: Found, what: str, rate: Rate) -> None:
    found.rates.add(f"{what}: processor", rate.server / rate.count * 1e6, "µs each")


def _delays(
    found: Found, server: Server, tool: Tool, db: Path, rate: float, dice: Random, what: str
) -> None:
    seconds = min(found.seconds, tool.things / rate)
    told, followed = live.delays(server, tool, db, rate=rate, seconds=seconds, dice=dice, array=FEW)
    name = f"event to visible, {what}, {rate:,.0f} events/s"
    _spread(found, name, told, MIDDLE, SLOW)
    found.rates.add(f"inferred edge visible, {what}, p99", followed.at(0.99), "ms", INFERRED)


def _spread(found: Found, name: str, told: Delays, middle: float, slow: float) -> None:
    found.rates.add(f"{name}, p50", told.median, "ms", middle)
    found.rates.add(f"{name}, p99", told.at(0.99), "ms", slow)

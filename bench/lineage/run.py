"""A run of the benchmark of walks: draw the graph, measure group after group, write the report."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from bench.lineage import product, report
from bench.lineage.asked import Asked
from bench.lineage.graph import SIZES, estate
from bench.lineage.measure import ALONE, Found, Pace, group
from bench.lineage.peers import Player, pythons
from bench.lineage.rebuild import rebuilt
from bench.reports import machine

#: The most things that are written to a store: a million take minutes, and the rate is the same.
_STORED = 50_000


def run(
    size: str,
    peers: Sequence[Player],
    *,
    folder: Path,
    cache: Path,
    alone: bool = True,
    store: bool = True,
    seed: int = 7,
    day: date | None = None,
    pace: Pace | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Path, Found]:
    """
    Measure Lineal (if *alone*), how it is filled from a store (if *store*), and some peers.

    Return the report and all that was found.

    What a run of the same *day* (today) has found of other groups of the same graph stays in the
    report, so that a run can be made in parts.
    """
    pace = pace or Pace()
    progress("drawing the graph")
    with tempfile.TemporaryDirectory(prefix="lineal-bench-") as work:
        asked = Asked(estate(SIZES[size], seed=seed), Path(work))
        found_pythons, problems = pythons({peer.lock for peer in peers}, cache, progress=progress)
        day = day or date.today()
        about = report.about(_graph(asked), machine(), (pace.seconds, pace.blocks, pace.most))
        found = report.load(report.paths(folder, size, day)[1], about)
        for peer in [*([None] if alone else []), *peers]:
            fresh = group(asked, peer, found_pythons, pace, progress)
            if peer is not None and peer.lock in problems:
                fresh.problems.append(f"{peer.name}: not all installed: {problems[peer.lock]}")
            found.take_in(fresh, ALONE if peer is None else peer.name)
            # Written after each group: what a run that is broken off has found is not lost.
            report.write(folder, size, day, about, found)
        if store:
            filled = estate(min(SIZES[size], _STORED), seed=seed)
            found.facts |= rebuilt(filled, progress=progress)
        page = report.write(folder, size, day, about, found)
    return page, found


def _graph(asked: Asked) -> dict[str, Any]:
    estate_, walked = asked.estate, asked.walked
    return {
        "seed": estate_.seed,
        "things": len(estate_),
        "walked": len(walked),
        "current": len(estate_.current),
        "ended": len(estate_.ended),
        "widest": int(np.bincount(walked.starts).max()),
        "measured": dict(asked.seeds.measured),
    }


def run_product(
    size: str,
    *,
    folder: Path,
    db: Path,
    parts: Sequence[str] = product.PARTS,
    kernels: Sequence[str] = product.KERNELS,
    pages: int = product.PAGES,
    seed: int = 7,
    day: date | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[Path, Found]:
    """
    Measure the product over a database, and put that into the report of the same day.

    *db*: where the database is kept; it is made if it is not there. Without a report of that day
    one is begun. *parts*: what is measured; the figures of other parts stay.
    *pages*: how often each page is asked for over HTTP.
    """
    day = day or date.today()
    known = report.known_graph(report.paths(folder, size, day)[1], seed)
    if known is None:
        progress("drawing the graph")
        with tempfile.TemporaryDirectory(prefix="lineal-bench-") as work:
            asked = Asked(estate(SIZES[size], seed=seed), Path(work))
            pace = Pace()
            known = report.about(_graph(asked), machine(), (pace.seconds, pace.blocks, pace.most))
    found = report.load(report.paths(folder, size, day)[1], known)
    product.filled(db, size, seed=seed, progress=progress)
    page = report.write(folder, size, day, known, found)
    for part, lines, profiles in product.measured(
        db, size, seed=seed, parts=parts, kernels=kernels, pages=pages, progress=progress
    ):
        found.product[part] = lines
        measured = tuple(f"{line.what}: " for line in lines)
        others = {
            what: some for what, some in found.profiles.items() if not what.startswith(measured)
        }
        found.profiles = others | profiles
        report.write(folder, size, day, known, found)
    return page, found

"""The report of the write path: for people as a page, for programs as JSON."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path

from bench.ingest import live, reads
from bench.reports import machine, table_line
from bench.store import Measured, Row


@dataclass
class Found:
    """What one run found."""

    things: int
    seconds: float
    seed: int
    rates: Measured = field(default_factory=lambda: Measured("SQLite"))
    reads: list[reads.Reads] = field(default_factory=list)


def write(folder: Path, found: Found, day: date) -> Path:
    """Write the report for people and, beside it, one for programs; return the first."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"ingest-{day.isoformat()}.md"
    about = {
        **machine(),
        **{name: version(name) for name in ("SQLAlchemy", "httpx2", "fastapi", "uvicorn")},
        "SQLite": sqlite3.sqlite_version,
    }
    path.write_text(_page(found, about, day), encoding="utf-8")
    whole = {
        "machine": about, "things": found.things, "seconds": found.seconds, "seed": found.seed,
        "figures": [asdict(row) for row in found.rates.rows],
        "reads": [asdict(one) for one in found.reads],
    }  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return path


def _page(found: Found, about: Mapping[str, str], day: date) -> str:
    return "\n".join([
        "# The write path: from an event to a committed fact",
        "",
        f"Made by `python -m bench ingest --things {found.things}` on {day.isoformat()}, "
        f"seed {found.seed}.",
        "",
        "; ".join(f"{name}: {value}" for name, value in about.items()) + ".",
        "",
        "The server, the tool that it asks and the sender are three processes on one machine; the"
        " sender looks into the database as any reader would. Everything is durable"
        " (`synchronous=FULL`); facts, both copies of edges, search rows, rules, seals, feed and"
        f" what was kept of the answer are in every commit. Events come in by HTTP, {live.ARRAY} in"
        f" a request, from {live.SENDERS} senders at once; each is of another thing that has really"
        " changed: a number every time, its stage and one of its edges every fourth time."
        f" {found.things:,} things of each sort;"
        f" each rate is over {found.seconds:g} s, after a fifth to warm up.",
        "",
        *_table(found.rates.rows),
        "",
        "*Processor* is what the server used for each of them, of all its threads.",
        "",
        "## What the tool is asked",
        "",
        f"Requests for 1,000 events in bursts of {reads.BURST} about {reads.ABOUT} things;"
        f" {reads.CHANGED:.0%} of the events follow a real change. What an event told is looked at"
        f" again after {reads.LOOK:g} s. Without coalescing each event is worked on before the next"
        " comes.",
        "",
        "| coalescing | conditional reads | requests | whole documents | unchanged |",
        "| --- | --- | ---: | ---: | ---: |",
        *(
            f"| {_word(one.coalescing)} | {_word(one.conditional)} | {one.requests:,.0f} |"
            f" {one.documents:,.0f} | {one.unchanged:,.0f} |"
            for one in found.reads
        ),
        "",
    ])  # fmt: skip


def _table(rows: Sequence[Row]) -> list[str]:
    head = ["| what | figure | target | met |", "| --- | ---: | ---: | --- |"]
    return [*head, *("|".join(table_line(row).split("|")[:5]) + "|" for row in rows)]


def _word(on: bool) -> str:
    return "on" if on else "off"

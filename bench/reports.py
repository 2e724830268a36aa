"""Reports: every published figure with the machine, the versions and the method it was made by."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from pathlib import Path

from bench.store import BATCH, WARM_UP, Measured, Row

FOLDER = Path(__file__).parent / "reports"


def write(
    folder: Path, size: str, things: int, edges: int, seed: int, every: Sequence[Measured]
) -> Path:
    """Write a report for people and, beside it, one for programs; return the first."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"store-{size}-{date.today().isoformat()}"
    about = _about()
    path = folder / f"{stem}.md"
    path.write_text(_page(size, things, edges, seed, about, every), encoding="utf-8")
    figures = {one.engine: [asdict(row) for row in one.rows] for one in every}
    whole = {"size": size, "things": things, "edges": edges, "seed": seed, "machine": about}
    tables = {one.engine: one.tables for one in every}
    text = json.dumps({**whole, "figures": figures, "bytes": tables}, indent=1)
    (folder / f"{stem}.json").write_text(text + "\n", encoding="utf-8")
    return path


def machine() -> dict[str, str]:
    """Return what a reader must know of the machine; never what it is called."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "processor": _processor(),
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "Python": platform.python_version(),
    }


def _about() -> dict[str, str]:
    return {
        **machine(),
        "SQLite": sqlite3.sqlite_version,
        "SQLAlchemy": version("sqlalchemy"),
        "psycopg": version("psycopg"),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _page(
    size: str,
    things: int,
    edges: int,
    seed: int,
    about: Mapping[str, str],
    every: Sequence[Measured],
) -> str:
    lines = [
        f"# The store at {size}: {things:,} things, {edges:,} lineage edges",
        "",
        f"Made by `python -m bench store --size {size}` on {date.today().isoformat()},"
        f" seed {seed}.",
        "",
        "; ".join(f"{name}: {value}" for name, value in about.items()) + ".",
        "",
        "Everything is durable (`synchronous=FULL`, `synchronous_commit=on`), search rows, rules,"
        f" seals and feed included; batches of {BATCH} after {WARM_UP} to warm up, each with the"
        " upkeep that follows it. The peer is a plain SQLite file of the same things and edges with"
        " an index each way: no history, search or reasons. A ratio is Lineal's figure over the"
        " peer's in this run.",
        "",
    ]
    for one in every:
        lines += [f"## {one.engine}", "", "| what | figure | target | met | plain | ratio |"]
        lines += [
            "| --- | ---: | ---: | --- | ---: | ---: |",
            *(table_line(row) for row in one.rows),
            "",
        ]
        if one.tables:
            lines += ["Bytes a thing, by table and index:", ""]
            ordered = sorted(one.tables.items(), key=lambda item: -item[1])
            lines += [", ".join(f"{name} {size_:.1f}" for name, size_ in ordered if size_ >= 0.5)]
            lines += [""]
    return "\n".join(lines)


def table_line(row: Row) -> str:
    """Return a figure as a line of a table: what, how much, the target, and the peer's."""
    met = {True: "yes", False: "**no**", None: ""}[row.met]
    peer = "" if row.peer is None else _number(row.peer)
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    figure = f"{_number(row.value)} {row.unit}"
    return f"| {row.what} | {figure} | {row.target} | {met} | {peer} | {ratio} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"

"""What others take to deduce the same: views of two databases, and two Datalog engines.

Each is given the same edges, as pairs of numbers, and says how many conclusions it comes to; who
comes to another number is no peer. None of them keeps a conclusion up, says why it is so, or since
when: a change costs the whole again.
"""

from __future__ import annotations

import csv
import json
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.lineage import peers

_KINDS = ("produced_by", "part_of", "executed_for", "cell_of")

#: The conclusion as a view says it: a run and what it is a part of, up to three steps.
_VIEW = """
    WITH RECURSIVE whole(run, part, step) AS (
        SELECT dst, dst, 0 FROM produced_by
        UNION SELECT whole.run, part_of.dst, step + 1
        FROM whole JOIN part_of ON part_of.src = whole.part WHERE step < 3
    )
    SELECT count(*) FROM (
        SELECT DISTINCT produced_by.src, cell_of.dst
        FROM produced_by JOIN whole ON whole.run = produced_by.dst
        JOIN executed_for ON executed_for.src = whole.part
        JOIN cell_of ON cell_of.src = executed_for.dst
    ) AS concluded
"""
#: As Datalog says it, in CozoScript; and as it is stored, with what it rests on.
_COZO = """
    whole[run, part, step] := *produced_by[_, run], part = run, step = 0
    whole[run, part, step] := whole[run, over, before], before < 3, *part_of[over, part],
        step = before + 1
    concluded[version, test, run, part, cell] := *produced_by[version, run], whole[run, part, _],
        *executed_for[part, cell], *cell_of[cell, test]
"""
_COUNTED = """
    edge[version, test] := concluded[version, test, _, _, _]
    ?[count(version)] := edge[version, test]
"""
_STORED = """
    ?[version, test, run, part, cell] := concluded[version, test, run, part, cell]
    :put trained_for {version, test, run, part, cell}
"""
#: As clingo is told it.
_CLINGO = """
    whole(R, R, 0) :- produced_by(_, R).
    whole(R, P, S + 1) :- whole(R, Q, S), part_of(Q, P), S < 3.
    concluded(V, T) :- produced_by(V, R), whole(R, P, _), executed_for(P, C), cell_of(C, T).
"""

#: What runs in the environments of the peers: reads the edges, answers, and says what it took.
_READ = (
    f"KINDS = {_KINDS!r}"
    + """
import csv, json, sys, time
folder, *texts = sys.argv[1:]
def rows(kind):
    with open(f"{folder}/{kind}.csv", newline="") as file:
        return [[int(one) for one in row] for row in csv.reader(file)]
def timed(do):
    began = time.perf_counter()
    found = do()
    return found, time.perf_counter() - began
"""
)
_IN_DUCKDB = """
import duckdb
db = duckdb.connect()
db.execute("SET threads = 2")
for kind in KINDS:
    db.execute(f"CREATE TABLE {kind} AS SELECT * FROM read_csv('{folder}/{kind}.csv',"
               " columns={'src': 'BIGINT', 'dst': 'BIGINT'}, header=false, auto_detect=false)")
tries = [timed(lambda: db.execute(texts[0]).fetchone()[0]) for _ in range(5)]
print(json.dumps({"count": tries[0][0], "seconds": min(one for _, one in tries),
                  "version": duckdb.__version__}))
"""
_IN_COZO = """
from importlib.metadata import version
from cozo_embedded import CozoDbPy
def filled(engine, path):
    db = CozoDbPy(engine, path, "{}")
    for kind in KINDS:
        db.run_script(f":create {kind} {{src: Int, dst: Int}}", {}, False)
        pairs = rows(kind)
        for at in range(0, len(pairs), 50_000):
            some = {"rows": pairs[at : at + 50_000]}
            db.run_script(f"?[src, dst] <- $rows :put {kind} {{src, dst}}", some, False)
    return db
rules, counted, stored = texts
memory = filled("mem", "")
tries = [timed(lambda: memory.run_script(rules + counted, {}, True)) for _ in range(3)]
file = filled("sqlite", f"{folder}/cozo.db")
file.run_script(":create trained_for {version: Int, test: Int, run: Int, part: Int, cell: Int}",
                {}, False)
_, storing = timed(lambda: file.run_script(rules + stored, {}, False))
print(json.dumps({"count": tries[0][0]["rows"][0][0], "seconds": min(one for _, one in tries),
                  "storing": storing, "version": version("cozo_embedded")}))
"""
_IN_CLINGO = """
import clingo
control = clingo.Control(["--warn=none"])
facts = "".join(f"{kind}({src},{dst})." for kind in KINDS for src, dst in rows(kind))
control.add("base", [], facts)
control.ground([("base", [])])
control.add("rules", [], texts[0])
_, seconds = timed(lambda: control.ground([("rules", [])]))
count = sum(1 for _ in control.symbolic_atoms.by_signature("concluded", 2))
print(json.dumps({"count": count, "seconds": seconds, "version": clingo.__version__}))
"""


@dataclass(frozen=True, slots=True)
class Deduced:
    """How many conclusions somebody came to, and in how many seconds."""

    name: str
    count: int
    #: To compute all of them.
    seconds: float
    #: To compute them and store them with what they rest on; None where it stores nothing.
    storing: float | None = None


def deduced(
    path: Path, folder: Path, cache: Path, progress: Callable[[str], None]
) -> Iterator[Deduced | str]:
    """Yield what each peer takes for the edges of a database; of one that cannot, why."""
    _write_edges(path, folder)
    yield _by_sqlite(folder)
    pythons, problems = peers.pythons({"peers", "datalog"}, cache, progress=progress)
    for name, lock, program, texts in (
        ("DuckDB", "peers", _IN_DUCKDB, (_VIEW,)),
        ("CozoDB", "datalog", _IN_COZO, (_COZO, _COUNTED, _STORED)),
        ("clingo", "datalog", _IN_CLINGO, (_CLINGO,)),
    ):
        if lock in problems:
            yield f"{name} could not be installed: {problems[lock]}"
            continue
        progress(name)
        done = subprocess.run(
            [pythons[lock], "-c", _READ + program, str(folder), *texts],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            yield f"{name} failed: {done.stderr.strip().splitlines()[-1]}"
            continue
        told = json.loads(done.stdout)
        called = f"{name} {told['version']}"
        yield Deduced(called, told["count"], told["seconds"], told.get("storing"))


def _write_edges(path: Path, folder: Path) -> None:
    """Write the edges of each kind that stand, once each, as pairs of keys."""
    with closing(sqlite3.connect(path)) as file:
        numbers = dict(file.execute("SELECT text, id FROM term"))
        for kind in _KINDS:
            rows = file.execute(
                "SELECT DISTINCT src, dst FROM edge_out WHERE t_to IS NULL AND kind = ?",
                (numbers.get(kind, -1),),
            )
            with (folder / f"{kind}.csv").open("w", newline="") as out:
                csv.writer(out).writerows(rows)


def _by_sqlite(folder: Path) -> Deduced:
    with closing(sqlite3.connect(folder / "plain.db")) as plain:
        for kind in _KINDS:
            with (folder / f"{kind}.csv").open(newline="") as file:
                pairs = [(int(src), int(dst)) for src, dst in csv.reader(file)]
            plain.execute(f"CREATE TABLE {kind} (src INTEGER, dst INTEGER)")
            plain.executemany(f"INSERT INTO {kind} VALUES (?, ?)", pairs)
            plain.execute(f"CREATE INDEX {kind}_src ON {kind} (src, dst)")
        plain.commit()
        times = []
        for _ in range(3):
            began = time.perf_counter()
            (count,) = plain.execute(_VIEW).fetchone()
            times.append(time.perf_counter() - began)
    return Deduced(f"SQLite {sqlite3.sqlite_version}", count, min(times))

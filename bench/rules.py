"""Are rules quick enough to conclude in the commit? Changes, a hub, everything anew, the truth.

The estate is that of `bench.graph`, whose model versions come out of runs for cells of tests;
beside it a test of ten cells and ten thousand runs is made. Peers are given the same edges and
asked for the same conclusion (`bench.deduced`).
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from random import Random

from bench import alone, deduced
from bench.graph import Graph
from bench.reports import machine, table_line
from bench.store import Row, part
from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.enrich.rules import RuleBook
from lineal.model import EdgeStatement, Record, Uri
from lineal.store import Batch, Conclusion, Reader, uncollected

#: How many changes of one support are timed, how many of them are checked, and how many warm up:
#: until the log has grown to the length that it keeps, each commit makes it longer.
CHANGES, CHECKED, WARM_UP = 3_000, 50, 500
#: Of so many starts at a time all is computed, and stored.
COMPUTED, STORED = 2_000, 20_000
#: The hub: cells of one test, and runs of each.
CELLS, RUNS = 10, 1_000

Progress = Callable[[str], None]

#: The head of the last part of a report, which is held against the truth.
_TRUTH = "## Against the truth"


@dataclass
class Measured:
    """All figures of one size."""

    size: str
    things: int
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        what: str,
        value: float,
        unit: str,
        target: float | None = None,
        *,
        at_most: bool = True,
        peer: float | None = None,
    ) -> None:
        """Keep a figure, and whether it is as good as it is to be."""
        met = None if target is None else (value <= target if at_most else value >= target)
        told = "" if target is None else f"{'≤' if at_most else '≥'} {target:g}"
        self.rows.append(Row(what, value, unit, told, met, peer))


def measure(size: str, things: int, *, seed: int, cache: Path, progress: Progress) -> Measured:
    """Take all figures at one size, on a database of its own."""
    found = Measured(size, things)
    graph = Graph(things, seed=seed)
    with (
        tempfile.TemporaryDirectory() as folder,
        Lineal.open(Config(db=Path(folder) / "rules.db")) as lineal,
    ):
        progress("loading")
        lineal.store.load(graph.records(), actor="bench", cause="bulk load")
        _changes(found, lineal, graph, progress)
        _hub(found, lineal, progress)
        _anew(found, lineal, progress)
        _peers(found, lineal, Path(folder), cache, progress)
    return found


# ── Changes ──────────────────────────────────────────────────────────────────────────────────────


def _changes(found: Measured, lineal: Lineal, graph: Graph, progress: Progress) -> None:
    """Let runs be for other cells, one commit each; what follows must be there when it returns."""
    progress("changes of one support")
    dice = Random(graph.seed + 5)
    runs = [thing for thing in range(len(graph)) if graph.type(thing) == "run"]
    cells = [thing for thing in range(len(graph)) if graph.type(thing) == "ab-cell"]
    chosen = dice.sample(runs, min(len(runs), WARM_UP + CHANGES))
    records = [graph.record(run, version=1, moved=dice.choice(cells)) for run in chosen]
    times: list[float] = []
    for record in records:
        began = time.perf_counter()
        lineal.store.commit(Batch([record], "bench", "a change"))
        times.append(time.perf_counter() - began)
    del times[:WARM_UP]
    for record in dice.sample(records, min(CHECKED, len(records))):
        _check(lineal, record)
    found.add("one support changed, in its commit, p50", statistics.median(times) * 1e3, "ms", 1.0)
    found.add("one support changed, in its commit, p99", part(times, 0.99) * 1e3, "ms", 20.0)


def _check(lineal: Lineal, record: Record) -> None:
    """See that the versions of a run are concluded to be for just the tests of its cells."""
    run = record.subject
    with lineal.store.read(LOCAL) as reader:
        (key,) = reader.keys([run]).values()
        versions = [one[0] for one in _ends(reader, "produced_by", [key], outward=False)]
        for version in versions:
            runs = [one[1] for one in _ends(reader, "produced_by", [version])]
            cells = [one[1] for one in _ends(reader, "executed_for", runs)]
            tests = {one[1] for one in _ends(reader, "cell_of", cells)}
            concluded = {one[1] for one in _ends(reader, "trained_for", [version])}
            if concluded != tests:
                raise AssertionError(f"{run}: concluded {concluded}, not {tests}")


def _ends(
    reader: Reader, kind: str, keys: list[int], *, outward: bool = True
) -> list[tuple[int, int]]:
    layers = ("declared", "observed", "inferred")
    claimed = reader.claimed(kind, keys, outward=outward, layers=layers)
    return [(src, dst) for src, dst, _, _ in claimed]


# ── A hub ────────────────────────────────────────────────────────────────────────────────────────


def _hub(found: Measured, lineal: Lineal, progress: Progress) -> None:
    """Move ten cells of a thousand runs each to another test, at once."""
    progress("a hub")
    store = lineal.store
    store.load(_hub_records(), actor="bench", cause="a hub")
    lineal.ruling.follow()
    began = time.perf_counter()
    store.commit(Batch([_cells_of("hub-2")], "bench", "the cells move"))
    commit = time.perf_counter() - began
    slices: list[float] = []
    more = True
    while more:
        one = time.perf_counter()
        more = store.follow_rules()
        slices.append(time.perf_counter() - one)
    whole = time.perf_counter() - began
    with store.read(LOCAL) as reader:
        (test,) = reader.keys([Uri.of("ab-test", "bench", "hub-2")]).values()
        concluded = len(_ends(reader, "trained_for", [test], outward=False))
    if concluded != CELLS * RUNS:
        raise AssertionError(f"{concluded} conclusions of the hub, not {CELLS * RUNS}")
    found.add(f"hub of {CELLS * RUNS:,} starts, complete", whole * 1e3, "ms", 1_000)
    found.add("hub: the commit of the change", commit * 1e3, "ms", 25)
    found.add("hub: longest slice", max(slices) * 1e3, "ms", 25)
    found.add("hub: slices", len(slices), "")


def _hub_records() -> Iterator[Record]:
    yield _cells_of("hub-1")
    for number in range(CELLS * RUNS):
        run = Uri.of("run", "bench", "hub", f"r{number}")
        version = Uri.of("model-version", "bench", "hub", f"v{number}")
        cell = Uri.of("ab-cell", "bench", "hub", f"c{number % CELLS}")
        edges = (
            EdgeStatement(version, "produced_by", run),
            EdgeStatement(run, "executed_for", cell),
        )
        yield Record("bench", f"hub/{number}", version, (), edges, 1_767_657_600_000_000)


def _cells_of(test: str) -> Record:
    uri = Uri.of("ab-test", "bench", test)
    edges = tuple(
        EdgeStatement(Uri.of("ab-cell", "bench", "hub", f"c{number}"), "cell_of", uri)
        for number in range(CELLS)
    )
    return Record("bench", "hub/cells", uri, (), edges, 1_767_657_700_000_000)


# ── Everything ───────────────────────────────────────────────────────────────────────────────────


def _anew(found: Measured, lineal: Lineal, progress: Progress) -> None:
    """Compute all conclusions of one rule, and write them all again."""
    progress("everything anew")
    rule = lineal.ruling.rule("trained_for")
    book = RuleBook([rule], lineal.shapes)
    with lineal.store.read(LOCAL) as reader:
        starts = reader.of_types(rule.path.types[0])
        began, count = time.perf_counter(), 0
        # As in the product: whoever lets rules conclude keeps the collector off.
        with uncollected():
            for at in range(0, len(starts), COMPUTED):
                for step in book.conclude_for(rule.name, starts[at : at + COMPUTED], reader):
                    assert isinstance(step, Conclusion)
                    count += len(step.derivations)
        computed = time.perf_counter() - began
    path = lineal.store.path
    reading = alone.read(path, starts, ("produced_by", "executed_for", "cell_of"), COMPUTED)
    found.add(
        "derivations computed", count / computed, "/s", 200_000, at_most=False, peer=count / reading
    )
    for enabled, what in ((False, "withdrawn"), (True, "stored with supports")):
        lineal.ruling.switch("trained_for", enabled=enabled, actor="bench")
        began = time.perf_counter()
        while lineal.store.follow_rules(STORED):
            pass
        seconds = time.perf_counter() - began
        least, peer = None, None
        if enabled:
            lineal.store.tidy()
            least, peer = 60_000.0, count / alone.written(path, "rule:trained_for", STORED)
        found.add(f"derivations {what}", count / seconds, "/s", least, at_most=False, peer=peer)
    found.notes.append(
        f"{count:,} derivations; what other rules conclude from them goes and comes with them."
        " *Plain* is SQLite alone: the edges of the rule read from the same file, each leg after"
        " the other, and the rows of its conclusions written to a copy of it, as durable, of as"
        " many things in one transaction. Who keeps them there can do no more in one process."
    )


# ── Peers ────────────────────────────────────────────────────────────────────────────────────────


def _peers(found: Measured, lineal: Lineal, folder: Path, cache: Path, progress: Progress) -> None:
    """Let others deduce the same: there is nothing they keep up, so each computes it whole."""
    change = next(row for row in found.rows if row.what.endswith("p50")).value
    with lineal.store.read(LOCAL) as reader:
        edges = reader.count_concluded(reader.documents_of("rule:trained_for"))
    for one in deduced.deduced(lineal.store.path, folder, cache, progress):
        if isinstance(one, str):
            found.notes.append(one)
            continue
        if one.count != edges:
            raise AssertionError(f"{one.name} comes to {one.count:,} edges, not {edges:,}.")
        found.add(f"{one.name}: computed whole", one.seconds * 1e3, "ms")
        if one.storing is not None:
            rate = one.count / one.storing
            found.add(f"{one.name}: computed, and stored with supports", rate, "/s")
        times = one.seconds * 1e3 / change
        found.notes.append(
            f"{one.name} computes {one.count:,} edges; a change costs it the whole again:"
            f" {times:,.0f} times Lineal's commit."
        )


# ── The truth ────────────────────────────────────────────────────────────────────────────────────


def _flat(report: list[str], every: list[Measured]) -> None:
    """Say how the cost of one change grows with the estate."""
    if len(every) < 2:
        return
    p50 = [next(r.value for r in one.rows if r.what.endswith("p50")) for one in every]
    ratio = p50[-1] / p50[0]
    met = "yes" if ratio <= 2 else "**no**"
    report += [
        f"One change at {every[-1].size} costs {ratio:.2f} times what it costs at {every[0].size}"
        f" (target: ≤ 2, met: {met}).",
        "",
    ]


def write(folder: Path, every: list[Measured], accuracy: list[str], seed: int) -> Path:
    """Write the report; return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    largest = every[-1]
    path = folder / f"rules-{largest.size}-{date.today().isoformat()}.md"
    about = machine()
    lines = [
        f"# Rules at {largest.size}: {largest.things:,} things",
        "",
        f"Made by `python -m bench rules --size {largest.size}` on {date.today().isoformat()},"
        f" seed {seed}.",
        "",
        "; ".join(f"{name}: {value}" for name, value in about.items()) + ".",
        "",
        "A change is one commit of one record, durable, with search rows, seals, feed and all"
        " built-in rules; what follows from it is compared with the edges right after it.",
        "",
        "Others are given the same edges as pairs of numbers: views of SQLite and DuckDB (on two"
        " threads), and the Datalog engines CozoDB (computed in memory, and stored in its SQLite"
        " store) and clingo (computed in memory). They have no history, no reasons in words, no"
        " seals and no search, and what they computed they do not keep up.",
        "",
    ]
    for one in every:
        lines += [f"## {one.size}: {one.things:,} things", ""]
        lines += ["| what | figure | target | met | plain | ratio |"]
        lines += ["| --- | ---: | ---: | --- | ---: | ---: |"]
        lines += [*map(table_line, one.rows), "", *one.notes, ""]
    _flat(lines, every)
    lines += [f"{_TRUTH}\n", *accuracy, ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    figures = {one.size: [vars_of(row) for row in one.rows] for one in every}
    whole = {"seed": seed, "machine": about, "figures": figures}
    path.with_suffix(".json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    return path


def write_truth(folder: Path, accuracy: list[str]) -> Path | None:
    """Put what is held against the truth in the newest report; None where there is none."""
    path = max(folder.glob("rules-*.md"), default=None, key=lambda one: one.stem[-10:])
    if path is None:
        return None
    before, _, _ = path.read_text(encoding="utf-8").partition(f"{_TRUTH}\n")
    made = f"Made anew by `python -m bench accuracy` on {date.today().isoformat()}."
    section = "\n".join([f"{_TRUTH}\n", made, "", *accuracy, ""])
    path.write_text(before + section, encoding="utf-8")
    return path


def vars_of(row: Row) -> dict[str, object]:
    """Return a figure as JSON holds it."""
    return {"what": row.what, "value": row.value, "unit": row.unit, "met": row.met}

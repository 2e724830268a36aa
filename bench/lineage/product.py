"""The targets of the product as its user meets it: a database of M on disk, a server, processes.

The store is filled once by a bulk load of `bench.graph`; each measurement has a copy of it, and a
process of its own (`inside`), or asks a real ``lineal serve`` over loopback.
"""

from __future__ import annotations

import http.client
import json
import os
import pickle
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

from bench.graph import SIZES, Graph
from bench.lineage.inside import PASTS, Differs, child, opened, step_by_step
from bench.lineage.measure import Line
from bench.lineage.processes import ROOT
from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.lineage.engine.kernels import compiled_is_there
from lineal.model import Record, Uri
from lineal.query.index import Index
from lineal.store import Batch

Progress = Callable[[str], None]
KERNELS = ("numba", "numpy")
#: What is measured, in this order.
PARTS = ("http", "size", "past", "upserts", "overlay")
#: How many edges are moved.
FRESH = 1_000
#: How often a page is asked for over HTTP of each start, and how many changes another process sees.
PAGES, SEEN = 10, 30
#: By the beginning of a figure that may miss its target: what is measured to say why.
_PROFILED = {
    "over HTTP: closure of a typical": "answers",
    "one upsert, until ": "shown",
    f"{FRESH:,} moved edges, hub, over rows": "over moved",
}
#: For what is profiled, functions and the share of the time that each takes.
Profiles = dict[str, list[tuple[str, float]]]
#: How many processes begin cold.
COLD = 3
#: How long (s) a server has for reading the kernel before it is asked.
_WARM = 5.0


def measured(
    db: Path,
    size: str,
    *,
    seed: int,
    parts: Sequence[str] = PARTS,
    kernels: Sequence[str] = KERNELS,
    pages: int = PAGES,
    progress: Progress,
) -> Iterator[tuple[str, list[Line], Profiles]]:
    """
    Yield the figures of a database that `filled` made, part by part; it is not changed.

    With them comes where the time goes, where a target is missed.

    Raises:
        Differs: an answer is not what the same question finds another way.
    """
    with tempfile.TemporaryDirectory(prefix="lineal-bench-") as folder:
        work, about = Path(folder) / "m.db", Path(folder) / "about"
        progress("choosing whom to ask about")
        _copy(db, work)
        graph = Graph(SIZES[size], seed=seed)
        kernels = kernels if compiled_is_there() else KERNELS[1:]
        tell = {"tables": _tables(graph), "hub": max(len(graph) // 10, 200), "moved": _moved(graph)}
        about.write_bytes(pickle.dumps(tell))
        chosen = tell["chosen"] = _inside("choose", work, kernels[0], about)
        about.write_bytes(pickle.dumps(tell))
        for part in parts:
            progress(part)
            if part == "http":
                lines = _over_http(work, chosen, pages, warm=KERNELS[0] in kernels)
                lines.append(_without_http(_inside("answers", work, kernels[0], about)))
            else:
                lines = _part(part, db, work, about, chosen, kernels)
            _copy(db, work)
            yield part, lines, _profiles(part, lines, work, kernels[0], about)
            _copy(db, work)


def _without_http(told: dict[str, Any]) -> Line:
    return Line("without HTTP: closure of a typical, counts and a page of 100, p50", "",
                told["seconds"] * 1e3, "ms")  # fmt: skip


def _profiles(part: str, lines: Sequence[Line], db: Path, kernel: str, about: Path) -> Profiles:
    """Say where the time goes of a part of which a target is missed."""
    missed = [line for line in lines if line.target is not None and line.value > line.target]
    found: Profiles = {}
    for line in missed:
        for begin, what in _PROFILED.items():
            if line.what.startswith(begin):
                told = _inside(what, db, kernel, about)
                found |= {
                    f"{line.what}: {name}": shares for name, shares in told.items()
                    if name != "seconds"
                }  # fmt: skip
    return found


def _part(
    part: str,
    db: Path,
    work: Path,
    about: Path,
    chosen: dict[str, list[str]],
    kernels: Sequence[str],
) -> list[Line]:
    if part == "size":
        lines = _sizes(_inside("size", work, "numpy", about))
        return lines + _cold(work, kernels, about)
    if part == "upserts":
        lines = _upserts(_inside("upserts", work, kernels[0], about), kernels[0])
        return lines + _elsewhere(work, about, Uri(chosen["typical"][1]), kernels[0])
    lines = []
    for kernel in kernels:
        told = _inside(part, work, kernel, about)
        lines += (_past if part == "past" else _overlay)(told, kernel)
        _copy(db, work)
    return lines


def _tables(graph: Graph) -> list[str]:
    """Return tables from among which is chosen: the oldest, and others by chance."""
    tables = [at for at in range(len(graph)) if graph.type(at) == "dataset"]
    some = Random(graph.seed).sample(tables, min(2_000, len(tables)))
    return [str(graph.uri(at)) for at in dict.fromkeys((*tables[:300], *some))]


def _moved(graph: Graph) -> list[Record]:
    """Return what is said of things of which one edge goes to another thing of its type by now."""
    dice, records = Random(graph.seed), list[Record]()
    by_type: dict[str, list[int]] = {}
    for at in dice.sample(range(len(graph)), min(len(graph), 50_000)):
        by_type.setdefault(graph.type(at), []).append(at)
    wanted = min(FRESH, len(graph) // 20)
    for at in dice.sample(range(len(graph)), min(len(graph), 20 * FRESH)):
        parents = graph.parents(at)
        if len(records) == wanted or not parents:
            continue
        others = by_type.get(graph.type(parents[-1]), [])
        older = [one for one in dice.sample(others, min(20, len(others))) if one < at]
        if older and older[0] not in parents:
            records.append(graph.record(at, moved=older[0]))
    return records


def filled(db: Path, size: str, *, seed: int, progress: Progress) -> None:
    """Make a database of this size with its index beside it, unless it is there already."""
    if db.exists():
        return
    progress("filling a database")
    db.parent.mkdir(parents=True, exist_ok=True)
    made = db.with_name(f"{db.name}.new")
    with Lineal.open(Config(db=made)) as lineal:
        lineal.store.load(Graph(SIZES[size], seed=seed).records(), actor="bench", cause="bulk load")
        progress("building its index")
        Index(lineal.store, file=db.with_name(f"{db.name}.index")).build()
    for end in ("", ".lock"):
        made.with_name(f"{made.name}{end}").replace(db.with_name(f"{db.name}{end}"))


def _copy(db: Path, work: Path) -> None:
    for old in work.parent.glob(f"{work.name}*"):
        old.unlink()
    for end in ("", ".index"):
        shutil.copyfile(db.with_name(f"{db.name}{end}"), work.with_name(f"{work.name}{end}"))


def _inside(what: str, db: Path, kernel: str, about: Path) -> Any:
    """Measure one thing in a process of its own and return its figures."""
    ended = subprocess.run(
        _program(what, db, kernel, about), env=_environment(), stdout=subprocess.PIPE, check=False
    )
    if ended.returncode:
        raise Differs(f"{what} with {kernel} ended with {ended.returncode}; see what it said.")
    return json.loads(ended.stdout)


def _program(what: str, db: Path, kernel: str, about: Path) -> list[str]:
    program = [sys.executable, "-m", "bench.lineage.inside"]
    return [*program, what, str(db), kernel, str(about)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}


# ── What the figures say ─────────────────────────────────────────────────────────────────────────


def _overlay(told: dict[str, Any], kernel: str) -> list[Line]:
    bound = {"numba": 1.05, "numpy": 1.1}[kernel]
    moved = told["edges moved"]
    lines = [
        Line(f"brought to the basis of {moved:,} moved edges", kernel,
             told["brought to the basis, s"] * 1e3, "ms")
    ]  # fmt: skip
    for name in ("typical", "hub"):
        for how in ("untouched", "over rows made anew", "step by step"):
            some = [one for one in told[name] if one["how"] == how]
            if not some:
                continue
            ratio = statistics.median(one["after"] / one["before"] for one in some)
            share = f"{len(some)} of {len(told[name])}"
            lines.append(
                Line(f"{moved:,} moved edges, {name}, {how} ({share})", kernel, ratio, "×", bound,
                     f"merged {_ms(some, 'before')}, so {_ms(some, 'after')},"
                     f" the first time {_ms(some, 'first')}")
            )  # fmt: skip
    return lines


def _past(told: dict[str, Any], kernel: str) -> list[Line]:
    lines = []
    for name, bound in zip(PASTS, (1.6, 2.5), strict=True):
        for sort in ("typical", "hub"):
            if some := told[name][sort]:
                ratio = statistics.median(one["then"] / one["lean"] for one in some)
                reached = statistics.median(one["reached"] for one in some)
                lines.append(
                    Line(f"as of a past that {name} ({told[name]['lacks']:.1%}), {sort},"
                         f" {reached:,.0f} reached", kernel, ratio, "×", bound,
                         f"{_ms(some, 'then')}; a lean walk {_ms(some, 'lean')}")
                )  # fmt: skip
        lines += [
            Line(f"the first question about a past that {name}, claim by claim", kernel,
                 told[name]["first"] * 1e3, "ms"),
            Line("the second, for which its rows are compiled where no server runs", kernel,
                 told[name]["second"], "s"),
        ]  # fmt: skip
    return lines


def _ms(some: list[dict[str, Any]], name: str) -> str:
    return f"{statistics.median(one[name] for one in some) * 1e3:.3g} ms"


def _sizes(told: dict[str, Any]) -> list[Line]:
    rows = told["compiled rows, logical, both ways"]
    columns, source = (told[name] for name in (
        "claims in two orders, with t and source times", "of these, source times",
    ))  # fmt: skip
    exact = told["compiled rows, exact, both ways"]
    return [
        Line("bytes a claim: logical rows both ways, and claims in two orders with t", "",
             rows + columns - source, "B", 32.0, f"rows {rows:.1f}, claims {columns - source:.1f}"),
        Line("the same with source times", "", rows + columns, "B", 40.0,
             f"source times {source:.1f}"),
        Line("all that is held: the exact grain, nodes, parts and wholes too", "",
             told["all"], "B", None, f"exact rows {exact:.1f}; file {told['file']:.1f}"),
    ]  # fmt: skip


def _cold(db: Path, kernels: Sequence[str], about: Path) -> list[Line]:
    lines = []
    for kernel in reversed(kernels):
        told = [_inside("cold", db, kernel, about) for _ in range(COLD)]
        mapped, first, again = (
            statistics.median(one[name] for one in told) * 1e3
            for name in ("mapped", "first", "again")
        )
        lines.append(
            Line("file mapped and first answer, after imports", kernel, mapped + first, "ms", 5.0,
                 f"mapped {mapped:.3g} ms, first answer {first:.3g} ms, again {again:.3g} ms")
        )  # fmt: skip
    return lines


def _upserts(told: dict[str, float], kernel: str) -> list[Line]:
    commit, basis, shown = (told[name] * 1e3 for name in ("commit", "basis", "shown"))
    return [
        Line("one upsert, until the engine that wrote it stands at its commit", kernel, basis, "ms",
             1.0, f"the commit itself {commit:.3g} ms"),
        Line("one upsert, until a typical walk shows it there", kernel, shown, "ms", 1.0,
             "its rows are made anew"),
    ]  # fmt: skip


def _elsewhere(db: Path, about: Path, start: Uri, kernel: str) -> list[Line]:
    """Write here, and ask a process that only reads, at once."""
    took, inside = [], []
    with opened(db) as (lineal, _):
        reading = subprocess.Popen(
            _program("watch", db, kernel, about), env=_environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with reading:
            assert reading.stdin is not None
            assert reading.stdout is not None
            reading.stdout.readline()
            for number in range(SEEN):
                record = child(start, f"there-{number}")
                lineal.store.commit(Batch([record], actor="bench", cause="one"))
                began = time.perf_counter()
                reading.stdin.write(f"{start} {record.subject}\n")
                reading.stdin.flush()
                its, shown = json.loads(reading.stdout.readline())
                took.append(time.perf_counter() - began)
                inside.append(its)
                if not shown:
                    raise Differs("Another process does not show what was just committed.")
    return [
        Line("one upsert, shown by another process that is asked at once", kernel,
             statistics.median(took) * 1e3, "ms", 200.0,
             f"shown by its first answer, {SEEN} of {SEEN} times;"
             f" of it there {statistics.median(inside) * 1e3:.3g} ms")
    ]  # fmt: skip


# ── Over HTTP ────────────────────────────────────────────────────────────────────────────────────


def _over_http(
    db: Path, chosen: dict[str, list[str]], times_each: int, *, warm: bool
) -> list[Line]:
    lines = []
    right = _right(db, chosen["typical"])
    with _serving(db, warm=warm) as connection:
        pages = (
            ("closure", "typical", {"limit": 100}, "counts and a page of 100", 3.0),
            ("closure", "hub", {"limit": 100}, "counts of all and a page of 100", 40.0),
            ("lineage", "typical", {"up": 0}, "all things and steps at once", None),
            ("impact", "typical", {"limit": 100}, "ways in words, a page of 100", None),
            ("impact", "hub", {"limit": 100}, "counts of all, ways to a page of 100", None),
        )  # fmt: skip
        for path, sort, how, words, bound in pages:
            times, told = [], []
            for uri in chosen[sort]:
                url = f"/api/v1/{path}?{urlencode({'uri': uri, **how})}"
                found = _get(connection, url)
                if sort == "typical":
                    _check(path, found, right[uri])
                told.append(found)
                for _ in range(times_each if sort == "typical" else 2):
                    began = time.perf_counter()
                    _get(connection, url)
                    times.append(time.perf_counter() - began)
            lines.append(
                Line(f"over HTTP: {path} of a {sort}, {words}, p50", "",
                     statistics.median(times) * 1e3, "ms", bound, _about(path, told))
            )  # fmt: skip
        lines += [_page(connection, url, words) for url, words in _pages(chosen)]
    return lines


def _pages(chosen: dict[str, list[str]]) -> Iterator[tuple[str, str]]:
    """Yield what else is asked for over and over, or in haste: addresses, and what they are."""
    typical, hub = (urlencode({"uri": chosen[sort][0]}) for sort in ("typical", "hub"))
    yield "/healthz", "the least that can be asked"
    yield "/", "the first page of the portal"
    yield "/metrics", "what Prometheus asks for"
    yield "/api/v1/counts", "how many things there are of each type"
    yield f"/api/v1/questions/q7?{hub}", "Q7 of a hub, all models downstream"
    yield f"/api/v1/questions/q2?{typical}", "Q2 of a typical, pipelines upstream"
    yield "/api/v1/shared", "what most live consumers rest on"
    yield "/api/v1/search?q=model", "a search for a frequent word"


def _page(connection: http.client.HTTPConnection, url: str, words: str) -> Line:
    _read(connection, url)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        body = _read(connection, url)
        times.append(time.perf_counter() - began)
    about = f"{len(body):,} bytes"
    return Line(f"over HTTP: {words}, p50", "", statistics.median(times) * 1e3, "ms", None, about)


def _right(db: Path, uris: Sequence[str]) -> dict[str, set[str]]:
    """Return by the store alone what each of these leads to."""
    with Lineal.open(Config(db=db), writable=False) as lineal, lineal.store.read(LOCAL) as reader:
        right = {}
        for uri, key in reader.keys([Uri(one) for one in uris]).items():
            found = step_by_step(reader, lineal, key)
            right[str(uri)] = {str(one) for one in reader.uris(found).values()} - {str(uri)}
    return right


def _check(path: str, found: dict[str, Any], right: set[str]) -> None:
    value = found["value"]
    if path == "lineage":
        told = {node["uri"] for node in value["nodes"] if node["depth"]}
        fine = told == right
    else:
        told = {hit["uri"] for hit in value["things" if path == "closure" else "hits"]}
        fine = told <= right and sum(value["by_type"].values()) == len(right)
    if not fine:
        raise Differs(f"{path} over HTTP tells of {len(told)}; {len(right)} are reached.")


def _about(path: str, told: list[dict[str, Any]]) -> str:
    counts = [
        len(one["value"]["nodes"]) - 1 if path == "lineage"
        else sum(one["value"]["by_type"].values())
        for one in told
    ]  # fmt: skip
    cut = sorted({why for one in told for why in one["why"] if not why.startswith("list")})
    words = f"{statistics.median(counts):,.0f} counted"
    return f"{words}; cut: {cut[0]}" if cut else words


@contextmanager
def _serving(db: Path, *, warm: bool) -> Iterator[http.client.HTTPConnection]:
    """Start ``lineal serve`` on a free port, wait until it is ready, and end it afterwards."""
    program = "import sys; from lineal.surfaces.cli import main; sys.exit(main())"
    server = subprocess.Popen(
        [sys.executable, "-c", program, "serve", "--db", str(db), "--port", "0"],
        env=_environment(), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert server.stderr is not None
        port = next(
            int(found[1])
            for line in server.stderr
            if (found := re.search(r"http://\S+:(\d+)", line))
        )
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                _get(connection, "/readyz")
                break
            except (OSError, http.client.HTTPException):
                connection.close()
                time.sleep(0.1)
        # The kernel is read in the background; a connection that is idle so long is closed.
        connection.close()
        time.sleep(_WARM if warm else 0.0)
        yield connection
        connection.close()
    finally:
        server.terminate()
        server.wait(30)
        assert server.stderr is not None
        server.stderr.close()


def _get(connection: http.client.HTTPConnection, url: str) -> Any:
    return json.loads(_read(connection, url))


def _read(connection: http.client.HTTPConnection, url: str) -> bytes:
    connection.request("GET", url)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise Differs(f"{url} was answered with {answer.status}: {body[:300]!r}")
    return body

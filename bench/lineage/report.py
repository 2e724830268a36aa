"""The report of a run: for people as a page with a picture, for programs as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from bench.lineage import picture, targets
from bench.lineage.asked import EVERYONE, OURS, Question
from bench.lineage.graph import AIMS
from bench.lineage.measure import ALONE, Figure, Found, Line
from bench.lineage.peers import BITS, LIMIT, NUMBA, NUMPY, PEERS

_KERNELS = (NUMBA.name, NUMPY.name)
_PLAYERS = (LIMIT, BITS, NUMPY, NUMBA, *PEERS)


def paths(folder: Path, size: str, day: date) -> tuple[Path, Path, Path]:
    """Return where the page, the figures and the picture of a run go."""
    stem = f"lineage-{size}-{day.isoformat()}"
    return folder / f"{stem}.md", folder / f"{stem}.json", folder / f"{stem}.svg"


def load(path: Path, about: Mapping[str, Any]) -> Found:
    """Return what an earlier part of the same run found; nothing if there was none."""
    if not path.exists():
        return Found()
    known = json.loads(path.read_text("utf-8"))
    if known["graph"] != json.loads(json.dumps(about["graph"])):
        return Found()
    return Found(
        [Figure(**one) for one in known["figures"]],
        {name: [(int(n), float(s)) for n, s in curve] for name, curve in known["curves"].items()},
        known["loads"],
        {
            what: [(str(n), float(s)) for n, s in some]
            for what, some in known.get("profiles", {}).items()
        },
        known.get("facts", {}),
        known["problems"],
        {part: [Line(**one) for one in some] for part, some in known.get("product", {}).items()},
    )


def known_graph(path: Path, seed: int) -> dict[str, Any] | None:
    """Return what a report says of its run, if there is one of a graph of this seed."""
    if not path.exists():
        return None
    known = json.loads(path.read_text("utf-8"))
    if known["graph"]["seed"] != seed:
        return None
    return {name: known[name] for name in ("graph", "machine", "pace")}


def write(folder: Path, size: str, day: date, about: Mapping[str, Any], found: Found) -> Path:
    """Write figures, picture and page; return the page."""
    folder.mkdir(parents=True, exist_ok=True)
    page, figures, drawing = paths(folder, size, day)
    whole = {**about, **asdict(found)}
    figures.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")
    things = about["graph"]["things"]
    drawing.write_text(picture.draw(found.curves, _sorts(), f"{things:,} things"), "utf-8")
    page.write_text("\n".join(_page(size, day, about, found, drawing.name)) + "\n", "utf-8")
    return page


def _sorts() -> dict[str, str]:
    return {one.name: one.sort for one in _PLAYERS}


def _page(
    size: str, day: date, about: Mapping[str, Any], found: Found, drawing: str
) -> Iterable[str]:
    graph = about["graph"]
    yield f"# Walks at {size}: {graph['things']:,} things, {graph['walked']:,} edges"
    yield ""
    yield (
        f"Made by `python -m bench lineage --size {size}` on {day.isoformat()},"
        f" seed {graph['seed']}."
    )
    yield ""
    yield "; ".join(f"{name}: {value}" for name, value in about["machine"].items()) + "."
    yield ""
    versions = {name: load.get("version") for name, load in found.loads.items()}
    yield "; ".join(f"{name} {value}" for name, value in versions.items() if value) + "."
    yield ""
    yield from _METHOD
    yield from _graph(size, graph)
    yield from _summary(found, graph)
    yield from _lean(found)
    yield from _product(found)
    yield from _every(found)
    yield from _loads(found, graph)
    yield "## Cost against size"
    yield ""
    yield f"![Seconds for a closure against how much it reaches, each engine a line]({drawing})"
    yield ""
    yield from _profiles(found)
    if found.problems:
        yield "## What did not run, or not as asked"
        yield ""
        yield from (f"* {problem}" for problem in found.problems)


_METHOD = (
    "Wall time around one call that ends with its answer in Python, in each engine's own process:"
    " ids and depths, or ids only where that is said. Each peer is measured in a group with the"
    " limit and Lineal, in turns, so that what happens to the machine happens to all; a turn asks"
    " about everyone once without counting. Figures are medians over all calls. Ratios are made"
    " within a group; the limit's and Lineal's own figures are of the group in which they are"
    " alone. Every answer was first checked against a plain walk that shares no code with any"
    " engine, as set and, where told, by depth; a path by its edges and length. C is a plain loop"
    " with a stamp for each thing, called through ctypes, results copied; *C, bits* the same with"
    " one bit a thing and rows fetched ahead; paths in C are two-sided. Peers hold only the edges"
    " that the default walk follows; Lineal holds those that it must leave out as well. A call of"
    " more than 2 s is made once.",
    "",
)


def _graph(size: str, graph: Mapping[str, Any]) -> Iterable[str]:
    aims = AIMS.get(size, {})
    yield "## The graph"
    yield ""
    yield (
        "| | edges | mean out | widest | typical: reached, scanned | hub | mega"
        " | upstream of a model | three hops |"
    )
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    parts = [f"{reached:,}, {scanned:,}" for reached, scanned in graph["measured"].values()]
    mean = graph["walked"] / graph["things"]
    yield _row("here", f"{graph['walked']:,}", f"{mean:.2f}", f"{graph['widest']:,}", *parts)
    if aims:
        edges, *rest = (f"{value:,}" for value in aims.values())
        yield _row("aimed at", edges, f"{aims['edges'] / graph['things']:.2f}", "", *rest)
    yield ""
    yield (
        f"Beside these, {graph['current'] - graph['walked']:,} edges that the default walk leaves"
        f" out, and {graph['ended']:,} that have ended."
    )
    yield ""


def _of(found: Found, group: str, player: str, letter: str) -> Figure | None:
    """Return the figure of an engine for a question in a group, the quicker of its forms."""
    mine = [
        one for one in found.figures
        if (one.group, one.player, one.letter) == (group, player, letter)
    ]  # fmt: skip
    return min(mine, key=lambda one: one.seconds, default=None)


def _ratio(found: Found, group: str, player: str, other: str, letter: str) -> float | None:
    """Return how many times the time of *other* an engine takes, in the same group."""
    one, two = _of(found, group, player, letter), _of(found, group, other, letter)
    return None if one is None or two is None else one.seconds / two.seconds


def _best(found: Found, sort: str, letter: str) -> tuple[str, float] | None:
    """Return the best peer of a sort, and how many times its time is of Lineal's best kernel."""
    names = {one.player for one in found.figures if one.sort == sort}
    times = []
    for name in names:
        for kernel in _KERNELS:
            if ratio := _ratio(found, name, name, kernel, letter):
                times.append((ratio, name))
                break
    ratio, name = min(times, default=(0.0, ""))
    if not name:
        return None
    figure = _of(found, name, name, letter)
    assert figure is not None
    return f"{name}{', ids only' if figure.ids_only else ''}", ratio


def _summary(found: Found, graph: Mapping[str, Any]) -> Iterable[str]:
    yield "## Lineal, the limit and the best peers"
    yield ""
    yield "The targets are set for M; beside other sizes they only say how far that is from here."
    yield ""
    yield (
        "| | reached | C | numba | to C | target | NumPy | to C | target"
        " | best library | times quicker | best stored peer | times quicker | target |"
    )
    yield "| --- " + "| ---: " * 8 + "| --- | ---: | --- | ---: | ---: |"
    for question in (*EVERYONE, *(one for one in OURS if one.query == "masked")):
        limit = _of(found, ALONE, LIMIT.name, question.letter)
        cells = [f"{question.letter} {question.text}", _reached(question, graph), _time(limit)]
        for kernel in _KERNELS:
            figure = _of(found, ALONE, kernel, question.letter)
            ratio = _ratio(found, ALONE, kernel, LIMIT.name, question.letter)
            target = targets.to_limit(kernel, question.letter)
            cells += [_time(figure), _times(ratio), _judged(target, ratio)]
        library, stored = (_best(found, sort, question.letter) for sort in ("library", "stored"))
        cells += [library[0], _times(library[1])] if library else ["", ""]
        cells += [stored[0], _times(stored[1])] if stored else ["", ""]
        cells.append(_judged(targets.to_stored(question.letter), stored[1] if stored else None))
        yield _row(*cells)
    yield ""
    yield (
        "*Times quicker* is the peer's time over that of Lineal's quicker kernel, in the peer's"
        " group. The default walk (D) is measured against the loop that looks up the class and"
        " layer of each of all edges; Q3 against the loop over the walked edges alone."
    )
    yield ""
    yield from _with_depths(found)


def _with_depths(found: Found) -> Iterable[str]:
    """Say how Lineal stands to those stored peers that tell depths as it does."""
    told = []
    for letter in targets.TO_STORED:
        peers = [
            (one.seconds / mine.seconds, one.seconds / limit.seconds, one.player)
            for one in found.figures
            if (one.sort, one.letter, one.ids_only) == ("stored", letter, False)
            and (limit := _of(found, one.group, LIMIT.name, letter)) is not None
            and (mine := _quicker(found, one.group, letter)) is not None
        ]
        if peers:
            ratio, of_limit, name = min(peers)
            told.append(f"{letter} {name} {_times(ratio)} ({_times(of_limit)} of C's)")
    if told:
        yield (
            "Targets beside stored peers are of peers that tell depths, as Lineal does; the best"
            " above may tell ids only. Of those that tell depths, in times of Lineal's:"
            f" {'; '.join(told)}. Where that misses too, the peer takes fewer times of C's than"
            " that by which the target was set: SQLite 156 for a typical table and 78 for three"
            " hops, Kùzu 37 for a hub, 20 for the widest and 31 for Q7."
        )
        yield ""


def _quicker(found: Found, group: str, letter: str) -> Figure | None:
    """Return the figure of Lineal's quicker kernel that was in a group."""
    mine = [one for kernel in _KERNELS if (one := _of(found, group, kernel, letter)) is not None]
    return min(mine, key=lambda one: one.seconds, default=None)


def _reached(question: Question, graph: Mapping[str, Any]) -> str:
    names = {
        "typical": "typical", "hub": "hub", "mega": "mega", "models": "up",
    }  # fmt: skip
    if question.query == "path":
        return ""
    name = "hops" if question.query == "hops" else names[question.about]
    return f"{graph['measured'][name][0]:,}"


def _lean(found: Found) -> Iterable[str]:
    yield "## Masks, fresh changes and the past"
    yield ""
    yield "Each beside Lineal's own lean walk over exactly the edges of the same answer."
    yield ""
    yield "| | kernel | time | lean walk | ratio | target | C over the same edges |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | ---: |"
    for question in OURS:
        if question.query == "masked":
            continue
        for kernel in _KERNELS:
            figure = _of(found, ALONE, kernel, question.letter)
            lean = _of(found, ALONE, kernel, f"L{question.letter}")
            limit = _of(found, ALONE, LIMIT.name, question.letter)
            ratio = figure.seconds / lean.seconds if figure and lean else None
            target = targets.to_lean(kernel, question.letter)
            yield _row(
                f"{question.letter} {question.text}", kernel.removeprefix("Lineal, "),
                _time(figure) if figure else "not measured", _time(lean), _times(ratio),
                _judged(target, ratio), _time(limit),
            )  # fmt: skip
    yield ""
    yield (
        "What is not measured here is not asked of rows alone: rows are made anew, or compiled for"
        " a moment, from the claims beside them, as is measured below, over a database."
    )
    yield ""


def _product(found: Found) -> Iterable[str]:
    if not found.product:
        return
    yield "## The product, over a database"
    yield ""
    yield from _PRODUCT
    yield "| | kernel | figure | target | beside |"
    yield "| --- | --- | ---: | ---: | --- |"
    for line in (line for some in found.product.values() for line in some):
        target = None if line.target is None else targets.Target(line.target)
        figure = f"{line.value:,.0f}" if line.value >= 1_000 else f"{line.value:.3g}"
        yield _row(
            line.what, line.kernel, f"{figure} {line.unit}", _judged(target, line.value),
            line.beside,
        )  # fmt: skip
    yield ""


_PRODUCT = (
    "Lineal as one meets it: an SQLite file of another estate of the same size (`bench/graph.py`),"
    " filled by a bulk load of 200 transactions, with its index beside it. Each measurement has a"
    " process and a copy of the file of its own; HTTP is a real `lineal serve` over loopback, asked"
    " by a client that keeps its connection and reads the JSON. Answers were first compared with"
    " the same walk over rows compiled for that moment, or hop by hop through the store. A"
    " ratio is the median over all that were asked about of the time of each over its own.",
    "",
)


def _every(found: Found) -> Iterable[str]:
    yield "## Every engine: time (times of C)"
    yield ""
    yield "| engine | " + " | ".join(question.letter for question in EVERYONE) + " |"
    yield "| --- " + "| ---: " * len(EVERYONE) + "|"
    lines: list[tuple[float, str]] = []
    for name, sort in _sorts().items():
        group = name if sort in ("library", "stored") else ALONE
        for ids_only in (False, True):
            cells, first = [], None
            for question in EVERYONE:
                mine = [
                    one for one in found.figures
                    if (one.group, one.player, one.letter, one.ids_only)
                    == (group, name, question.letter, ids_only)
                ]  # fmt: skip
                limit = _of(found, group, LIMIT.name, question.letter)
                if not mine:
                    cells.append("")
                    continue
                if question.letter == "Q3b":
                    first = mine[0].seconds
                ratio = f" ({_times(mine[0].seconds / limit.seconds)})" if limit else ""
                cells.append(f"{_time(mine[0])}{ratio}")
            if any(cells):
                label = f"{name}, ids only" if ids_only else name
                lines.append((first or 1e9, _row(label, *cells)))
    yield from (line for _, line in sorted(lines))
    yield ""


def _loads(found: Found, graph: Mapping[str, Any]) -> Iterable[str]:
    yield "## Load and memory"
    yield ""
    yield "| engine | load | bytes an edge, by its own account | grown by, MiB |"
    yield "| --- | ---: | ---: | ---: |"
    for name, load in sorted(found.loads.items(), key=lambda item: item[1]["seconds"]):
        held = graph["current"] if name in _KERNELS else graph["walked"]
        size = f"{load['bytes'] / held:.1f}" if load.get("bytes") else ""
        yield _row(name, f"{load['seconds']:.2f} s", size, f"{load['resident'] / 2**20:,.0f}")
    yield ""
    facts = [
        (what, name.removeprefix("Lineal, "), value)
        for name in _KERNELS
        for what, value in found.loads.get(name, {}).get("facts", {}).items()
    ]
    facts += [(what, "", value) for what, value in found.facts.items()]
    if facts:
        yield "| of Lineal | kernel | figure | target |"
        yield "| --- | --- | ---: | ---: |"
        for what, name, value in facts:
            bound = targets.FACTS.get(what)
            target = None if bound is None else targets.Target(bound)
            figure = f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"
            yield _row(what, name, figure, _judged(target, value))
        yield ""
        yield (
            "An edge takes five bytes each way. A thing takes four each way for where its row"
            " begins, and one, two or four for how much of it is not walked by default."
        )
        yield ""


def _profiles(found: Found) -> Iterable[str]:
    if not found.profiles:
        return
    yield "## Where Lineal's time goes, where it misses a target"
    yield ""
    yield (
        "Shares of each function's own time under the standard library's profiler, which makes"
        " many small calls look dearer than they are. What compiled code takes, and the way into"
        " it, counts for the function that calls it."
    )
    yield ""
    for part, why in _WHY.items():
        if any(part in what for what in found.profiles):
            yield why
            yield ""
    for what, shares in sorted(found.profiles.items()):
        yield f"* {what}: " + ", ".join(f"{_plain(name)} {share:.0%}" for name, share in shares)
    yield ""


#: Why a target is missed, by a part of what is measured.
_WHY = {
    "a mask of kinds": (
        "*A mask of kinds* looks up the kind of each edge of a row, also of those that do not"
        " count; the lean walk beside it goes over rows that hold nothing but the edges of the"
        " answer."
    ),
    "moved edges, hub": (
        "*A hub over rows made anew* lies in two arrays: at each step the walk looks whether a row"
        " was made anew, and puts what it reached together from both in one order."
    ),
    "until a typical walk shows it": (
        "*Until a walk shows an upsert*: the engine stands at the commit in half a millisecond. The"
        " walk that comes to the changed rows first has them made anew, for which the database is"
        " asked what is said now; later walks find them made."
    ),
    "closure of a typical": (
        "*A closure over HTTP*: three quarters are the answer itself. Its page tells of a hundred"
        " things what is said of them, from the database, with names, owners and stages; the walk"
        " and its counts are a small part. The way in and out through the web framework is what the"
        " least that can be asked takes."
    ),
}


def _plain(name: str) -> str:
    return f"`{name.strip('<>')}`"


def _judged(target: targets.Target | None, value: float | None) -> str:
    if target is None:
        return ""
    return str(target) if value is None else f"{target} {target.verdict(value)}"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


def _times(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"


def _time(figure: Figure | None) -> str:
    if figure is None:
        return ""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if figure.seconds >= scale:
            return f"{figure.seconds / scale:.3g} {unit}"
    return f"{figure.seconds / 1e-6:.3g} µs"


def about(
    graph: Mapping[str, Any], machine: Mapping[str, str], pace: Sequence[float]
) -> dict[str, Any]:
    """Return what a report says of a run beside its figures."""
    return {"graph": dict(graph), "machine": dict(machine), "pace": list(pace)}

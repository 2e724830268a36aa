"""Lineal's walks as one process of it answers them: with fresh changes, in the past, from a file.

Run as a program, so that each kernel, and each cold start, has a process of its own:
``python -m bench.lineage.inside WHAT DATABASE KERNEL FILE``. Prints figures as JSON. Every answer
is compared with what the same walk finds over rows compiled for that very moment, before it is
timed; where little is reached, also with what it finds hop by hop in the store.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import json
import pickle
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from starlette.types import ASGIApp, Message

from bench.lineage.worker import profiled, shares_of

# What is measured as "after imports": all that is imported for it is imported here.
from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.lineage import Way
from lineal.lineage.engine.closure import ENDLESS
from lineal.lineage.engine.kernels import kernel_of
from lineal.lineage.engine.walkgraph import WalkGraph
from lineal.lineage.walking import walk
from lineal.model import Budget, EdgeStatement, Moment, Record, Statement, Uri
from lineal.query.index import Index
from lineal.store import Batch, Reader, bulk  # noqa: F401  # what it imports when it is first asked
from lineal.surfaces import formats_walks, server
from lineal.surfaces.rest import PREFIX, json_response

DOWN = Way(upstream=False, logical=True)
#: How many single changes are made one after another.
SINGLES = 30
#: How far back the two pasts lie: which share of all claims had been made by then.
PASTS = {"lacks 2 %": 0.98, "lacks half": 0.5}
#: What is asked about: how much a typical table reaches; how many of those, and how many hubs.
TYPICAL = 376
STARTS, HUBS = 15, 1
#: What reaches less is compared with the store itself, and walked to its end step by step.
SMALL = 2_000
#: How many things of a closure are told.
PAGE = 100
#: How often a call is repeated, and the most seconds that its repetitions take.
TIMES, SECONDS = 30, 0.5

Figures = dict[str, Any]


class Differs(ValueError):
    """Two ways to find an answer do not find the same."""


# ── What all of them need ────────────────────────────────────────────────────────────────────────


@contextmanager
def opened(db: Path, *, writable: bool = True) -> Iterator[tuple[Lineal, Index]]:
    """Open a database with its index, from the file beside it or built anew."""
    with Lineal.open(Config(db=db), writable=writable) as lineal:
        index = Index(lineal.store, file=db.with_name(f"{db.name}.index"))
        if not (index.recall() and index.settle()) and not index.build():
            raise ValueError("The index does not fit into its memory.")
        yield lineal, index


def reached(index: Index, reader: Reader, key: int) -> dict[int, int] | None:
    """Return what the compiled rows say is reached, and how far it is; None where they cannot."""
    found = index.reach(reader, [key], DOWN, ENDLESS)
    if found is None:
        return None
    things = found[0].things.tolist()
    return dict(zip(things, found[0].depths.tolist(), strict=True))


def step_by_step(graph: Any, lineal: Lineal, key: int) -> dict[int, int]:
    """Return what a walk over claims reaches, and how far it is."""
    found = walk(graph, lineal.shapes, [key], DOWN, ENDLESS)
    return {thing: at.depth for thing, at in found.reached.items()}


def usual(graph: Any, lineal: Lineal, key: int) -> float:
    """Return the seconds of a walk over claims within the budget that a question usually has."""
    began = time.perf_counter()
    walk(graph, lineal.shapes, [key], DOWN, Budget())
    return time.perf_counter() - began


def same(one: dict[int, int] | None, other: dict[int, int], what: str) -> None:
    """Raise `Differs` where two answers are not the same."""
    if one != other:
        some = "nothing" if one is None else f"{len(one):,} things"
        raise Differs(f"{what}: {some} instead of {len(other):,}, or at other depths.")


def median(call: Callable[[], object], *, times: int = TIMES) -> float:
    """Return the median seconds of a call that was made before."""
    taken: list[float] = []
    while not taken or (len(taken) < times and sum(taken) < SECONDS):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def alternately(
    one: Callable[[], object], other: Callable[[], object], *, times: int = TIMES
) -> tuple[float, float]:
    """Return the median seconds of two calls that were made before, each after the other."""
    taken: tuple[list[float], list[float]] = [], []
    while not taken[0] or (len(taken[0]) < times and sum(taken[0]) < SECONDS):
        for call, some in zip((one, other), taken, strict=True):
            began = time.perf_counter()
            call()
            some.append(time.perf_counter() - began)
    return statistics.median(taken[0]), statistics.median(taken[1])


def choose(db: Path, tables: Sequence[str], hub: int) -> dict[str, list[str]]:
    """Return whom to ask about: tables of a typical reach, and of one nearest to *hub*."""
    counts = {}
    with opened(db) as (lineal, index), lineal.store.read(LOCAL) as reader:
        for uri, key in reader.keys([Uri(one) for one in tables]).items():
            found = index.reach(reader, [key], DOWN, ENDLESS)
            counts[str(uri)] = 0 if found is None else len(found[0])
    wanted = (("typical", TYPICAL, STARTS), ("hub", hub, HUBS))
    return {
        name: sorted(counts, key=lambda uri: (abs(counts[uri] - much), uri))[:many]
        for name, much, many in wanted
    }


def keys_of(lineal: Lineal, uris: Sequence[str]) -> list[int]:
    """Return the keys of things."""
    wanted = [Uri(one) for one in uris]
    with lineal.store.read(LOCAL) as reader:
        keys = reader.keys(wanted)
    return [keys[uri] for uri in wanted]


# ── Fresh changes ────────────────────────────────────────────────────────────────────────────────


def overlay(db: Path, chosen: dict[str, list[str]], moved: Sequence[Record]) -> Figures:
    """Time walks after an edge of each of many things was moved, beside an index built anew."""
    figures: Figures = {"edges moved": len(moved)}
    with opened(db) as (lineal, index):
        keys = {name: keys_of(lineal, some) for name, some in chosen.items()}
        with lineal.store.read(LOCAL) as reader:
            for key in (key for some in keys.values() for key in some):
                index.reach(reader, [key], DOWN, ENDLESS)
        for first in range(0, len(moved), 500):
            lineal.store.commit(Batch(moved[first : first + 500], actor="bench", cause="moved"))
        merged = Index(lineal.store)
        merged.build()
        with lineal.store.read(LOCAL) as reader:
            began = time.perf_counter()
            index.graph(reader)
            figures["brought to the basis, s"] = time.perf_counter() - began
            for name, some in keys.items():
                figures[name] = [_after(lineal, index, merged, reader, key) for key in some]
    return figures


def _after(lineal: Lineal, index: Index, merged: Index, reader: Reader, key: int) -> Figures:
    began = time.perf_counter()
    found = reached(index, reader, key)
    told: Figures = {"first": time.perf_counter() - began}
    right = reached(merged, reader, key)
    if found is None or right is None:
        # The product goes step by step then, within its budget: that is what its user waits for.
        before = median(partial(merged.reach, reader, [key], DOWN, ENDLESS))
        after = usual(index.graph(reader), lineal, key)
        return told | {"before": before, "after": after, "how": "step by step"}
    same(found, right, "with fresh changes")
    if len(found) < SMALL:
        same(found, step_by_step(reader, lineal, key), "with fresh changes, by the store")
    standing = index._standing  # nobody else asks which things it came to
    assert standing is not None
    things = [key for key in found if key < standing.spoiled[0].flags.size]
    touched = len(things) < len(found) or bool(standing.spoiled[0].flags[things].any())
    before, after = alternately(
        partial(merged.reach, reader, [key], DOWN, ENDLESS),
        partial(index.reach, reader, [key], DOWN, ENDLESS),
    )
    how = "over rows made anew" if touched else "untouched"
    return told | {"before": before, "after": after, "how": how}


def _rows(graph: WalkGraph, key: int, kernel: str) -> dict[int, int]:
    found = graph.walk([key], DOWN, ENDLESS, kernel=kernel)
    return dict(zip(found.things.tolist(), found.depths.tolist(), strict=True))


# ── The past ─────────────────────────────────────────────────────────────────────────────────────


def past(db: Path, chosen: dict[str, list[str]], kernel: str) -> Figures:
    """Time walks as of two pasts, beside compiled rows of the graph as it was then."""
    figures: Figures = {}
    with opened(db) as (lineal, index):
        with lineal.store.read(LOCAL) as reader:
            claims = reader.picture(lineal.shapes, timed=True).claims
        now, made = len(claims), np.sort(claims.begun)
        for name, share in PASTS.items():
            moment = Moment(known_t=max(1, int(made[int((now - 1) * share)]) - 1))
            with lineal.store.read(LOCAL, moment) as reader:
                picture = reader.picture(lineal.shapes, timed=True)
                lean = WalkGraph.of(picture, lineal.shapes, logical=True)
                told: Figures = {"lacks": 1 - len(picture.claims) / now}
                told |= _first_then(lineal, index, reader, chosen["typical"])
                told |= {
                    sort: [_then(lineal, index, reader, lean, Uri(uri), kernel) for uri in uris]
                    for sort, uris in chosen.items()
                }
            figures[name] = {
                sort: [one for one in some if one] if isinstance(some, list) else some
                for sort, some in told.items()
            }
    return figures


def _first_then(lineal: Lineal, index: Index, reader: Reader, uris: Sequence[str]) -> Figures:
    """Time the first question about a moment, and the one for which its rows are compiled."""
    keys = reader.keys([Uri(one) for one in uris])
    key = next(key for key in keys.values() if reader.known([key]))
    began = time.perf_counter()
    # Whose rows are not there is answered claim by claim, as the first question is.
    if index.reach(reader, [key], DOWN, ENDLESS) is None:
        step_by_step(index.graph(reader), lineal, key)
    first = time.perf_counter() - began
    began = time.perf_counter()
    index.reach(reader, [key], DOWN, ENDLESS)
    return {"first": first, "second": time.perf_counter() - began}


def _then(
    lineal: Lineal, index: Index, reader: Reader, lean: WalkGraph, uri: Uri, kernel: str
) -> Figures | None:
    key = reader.keys([uri]).get(uri)
    if key is None or not reader.known([key]) or not lean.knows([key]):
        return None
    plain, back = _rows(lean, key, kernel), index.back
    same(reached(index, reader, key), plain, "as of then")
    if index.back == back:
        raise Differs("The index does not know this past.")
    if len(plain) < SMALL:
        same(plain, step_by_step(index.graph(reader), lineal, key), "as of then, by claims")
        same(plain, step_by_step(reader, lineal, key), "as of then, by the store")
    quick, then = alternately(
        lambda: lean.walk([key], DOWN, ENDLESS, kernel=kernel),
        lambda: index.reach(reader, [key], DOWN, ENDLESS),
    )
    return {"lean": quick, "then": then, "reached": len(plain)}


# ── Size, and a cold start ───────────────────────────────────────────────────────────────────────


def size(db: Path) -> Figures:
    """Tell how many bytes a claim takes, of each part of what is held."""
    with opened(db) as (_, index):
        standing = index._standing  # what it holds is nobody else's business
        assert standing is not None
        shelves, claims = standing.shelves, len(standing.shelves.picture.claims)
        timed = shelves.picture.claims
        return {
            "claims": claims,
            "compiled rows, logical, both ways": _rows_of(standing.graphs[0]) / claims,
            "compiled rows, exact, both ways": _rows_of(standing.graphs[1]) / claims,
            "all": standing.nbytes / claims,
            "claims in two orders, with t and source times": shelves.nbytes / claims,
            "of these, source times": (timed.since.nbytes + timed.until.nbytes) / claims,
            "file": db.with_name(f"{db.name}.index").stat().st_size / claims,
        }


def _rows_of(graph: WalkGraph) -> int:
    return graph.down.nbytes + graph.up.nbytes


def cold(db: Path, uri: Uri) -> Figures:
    """Map the file and give a first answer, with all imports made."""
    kernel_of("numpy")
    with Lineal.open(Config(db=db), writable=False) as lineal:
        with lineal.store.read(LOCAL) as reader:
            key = reader.keys([uri])[uri]
        # As a server does when it starts: what was imported is not looked through again.
        gc.collect()
        gc.freeze()
        began = time.perf_counter()
        index = Index(lineal.store, file=db.with_name(f"{db.name}.index"))
        if not index.recall():
            raise Differs("The file of the index is not taken.")
        mapped = time.perf_counter()
        with lineal.store.read(LOCAL) as reader:
            first = reached(index, reader, key)
            ended = time.perf_counter()
            reached(index, reader, key)
            again = time.perf_counter() - ended
            same(first, step_by_step(reader, lineal, key), "the first answer")
        return {
            "mapped": mapped - began, "first": ended - mapped, "again": again,
            "reached": len(first or ()),
        }  # fmt: skip


# ── One change, seen at once ─────────────────────────────────────────────────────────────────────


def upserts(db: Path, start: Uri) -> Figures:
    """Add something made from *start* again and again; time until a walk shows it, here."""
    told: dict[str, list[float]] = {"commit": [], "basis": [], "shown": []}
    with opened(db) as (lineal, index):
        (key,) = keys_of(lineal, [start])
        with lineal.store.read(LOCAL) as reader:
            index.reach(reader, [key], DOWN, ENDLESS)
        for number in range(SINGLES):
            record = child(start, f"here-{number}")
            began = time.perf_counter()
            lineal.store.commit(Batch([record], actor="bench", cause="one"))
            committed = time.perf_counter()
            with lineal.store.read(LOCAL) as reader:
                index.graph(reader)
                brought = time.perf_counter()
                found = reached(index, reader, key)
                shown = time.perf_counter()
                new = reader.keys([record.subject])[record.subject]
                if not number:
                    same(found, step_by_step(reader, lineal, key), "after one change")
            if found is None or new not in found:
                raise Differs("What was just stated is not shown.")
            told["commit"].append(committed - began)
            told["basis"].append(brought - committed)
            told["shown"].append(shown - committed)
    return {name: statistics.median(some) for name, some in told.items()}


def child(of: Uri, name: str) -> Record:
    """Return what a source says of a table that is made from another."""
    uri = Uri.of("dataset", "bench", name)
    said = (Statement(uri, {"name": name}),)
    return Record("bench", name, uri, said, (EdgeStatement(uri, "derived_from", of),), 1)


# ── Where the time goes ──────────────────────────────────────────────────────────────────────────


def answers(db: Path, uris: Sequence[str]) -> Figures:
    """Answer closures as a server does, without HTTP; say how long it takes, and what takes it."""
    with opened(db) as (lineal, index):
        lineal.ask.index = index

        def answer(uri: str) -> bytes:
            found = lineal.ask.closure(LOCAL, [Uri(uri)], limit=PAGE)
            return bytes(json_response(formats_walks.closure(found)).body)

        taken = []
        for uri in uris:
            answer(uri)
            taken.append(median(partial(answer, uri)))
        return {
            "seconds": statistics.median(taken),
            "the answer": profiled(answer, [(uri,) for uri in uris], SECONDS),
            "the way to it and back": _way_of(server.create(lineal), uris),
        }


def _way_of(app: ASGIApp, uris: Sequence[str]) -> list[tuple[str, float]]:
    """Return where the time of the thread goes that parses requests and sends answers."""
    profile = cProfile.Profile()

    async def asked() -> None:
        for uri in uris:
            await _asked(app, uri)
        profile.enable()
        for _ in range(TIMES):
            for uri in uris:
                await _asked(app, uri)
        profile.disable()

    asyncio.run(asked())
    # It waits there for the thread that answers.
    return shares_of(profile, without="poll")


async def _asked(app: ASGIApp, uri: str) -> None:
    path, query = f"{PREFIX}/closure", urlencode({"uri": uri, "limit": PAGE})
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": query.encode(), "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    sent: list[Message] = []
    requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        for request in requests:
            return request
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if sent[0]["status"] != 200:
        raise Differs(f"{path} answers with {sent[0]['status']}.")


def shown(db: Path, start: Uri) -> Figures:
    """Add something made from *start* again and again; say what takes the time until it is seen."""
    profile = cProfile.Profile()
    with opened(db) as (lineal, index):
        (key,) = keys_of(lineal, [start])
        for number in range(2 * SINGLES):
            lineal.store.commit(Batch([child(start, f"seen-{number}")], actor="bench", cause="one"))
            if number >= SINGLES:
                profile.enable()
            with lineal.store.read(LOCAL) as reader:
                reached(index, reader, key)
            profile.disable()
    return {"until it is seen": shares_of(profile)}


def over_moved(db: Path, hubs: Sequence[str], moved: Sequence[Record]) -> Figures:
    """Say what takes the time of a walk from hubs after edges were moved."""
    with opened(db) as (lineal, index):
        keys = keys_of(lineal, hubs)
        for first in range(0, len(moved), 500):
            lineal.store.commit(Batch(moved[first : first + 500], actor="bench", cause="moved"))
        with lineal.store.read(LOCAL) as reader:
            for key in keys:
                reached(index, reader, key)

            def walked(key: int) -> None:
                index.reach(reader, [key], DOWN, ENDLESS)

            return {"the walk": profiled(walked, [(key,) for key in keys], SECONDS)}


def watch(db: Path) -> None:
    """For each line ``START NEW``, say whether the one leads to the other by now."""
    with opened(db, writable=False) as (lineal, index):
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            start, new = (Uri(one) for one in line.split())
            began = time.perf_counter()
            with lineal.store.read(LOCAL) as reader:
                keys = reader.keys([start, new])
                found = reached(index, reader, keys[start])
            taken = time.perf_counter() - began
            print(json.dumps([taken, found is not None and keys[new] in found]), flush=True)


def main(what: str, db: str, kernel: str, more: str) -> None:
    """Measure one of these with one kernel and print it; *more* is a file of what it needs."""
    if kernel == "numpy":
        # As where the extra `fast` is not installed.
        sys.modules["numba"] = None  # type: ignore[assignment]
    place, about = Path(db), pickle.loads(Path(more).read_bytes())  # our own
    measures: dict[str, Callable[[], object]] = {
        "choose": lambda: choose(place, about["tables"], about["hub"]),
        "size": lambda: size(place),
        "cold": lambda: cold(place, Uri(about["chosen"]["typical"][0])),
        "past": lambda: past(place, about["chosen"], kernel),
        "upserts": lambda: upserts(place, Uri(about["chosen"]["typical"][0])),
        "answers": lambda: answers(place, about["chosen"]["typical"]),
        "over moved": lambda: over_moved(place, about["chosen"]["hub"], about["moved"]),
        "shown": lambda: shown(place, Uri(about["chosen"]["typical"][0])),
        "overlay": lambda: overlay(place, about["chosen"], about["moved"]),
        "watch": lambda: watch(place),
    }
    if (found := measures[what]()) is not None:
        print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])

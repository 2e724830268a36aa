"""One run: each engine beside the limit and Lineal, in turns, checked before it is timed.

A peer is measured in a group of its own with the limit and Lineal, block by block in turn, so
that whatever happens to the machine happens to all of them. A block asks about everyone in turn,
first without counting. Ratios are made within a group.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.lineage import targets
from bench.lineage.asked import CURVE, EVERYONE, LEAN, OURS, Asked, Question
from bench.lineage.peers import BITS, LIMIT, NUMBA, NUMPY, Player
from bench.lineage.processes import Failed, Running

Progress = Callable[[str], None]
#: The group in which Lineal is alone with the limit.
ALONE = "Lineal"
#: The part of a run in which the engine is filled from a store.
STORE = "store"
#: The part in which the product is measured over a database of its own.
PRODUCT = "product"
#: A call that takes longer (s) is made once, to be checked, and not again.
SLOW = 2.0
#: The most that one call, and the turn that warms up, may take (s).
_MOST, _FIRST = 60.0, 1.0
#: Where an engine answers a query without depth only, or quicker without.
IDS = "_ids"


@dataclass(frozen=True, slots=True)
class Figure:
    """The time of one engine for one question: median and quartiles over all calls, in seconds."""

    group: str
    player: str
    sort: str
    letter: str
    ids_only: bool
    seconds: float
    low: float
    high: float
    calls: int


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of the product, and what it is to be; *beside* says what else there is to know."""

    what: str
    kernel: str
    value: float
    unit: str
    target: float | None = None
    beside: str = ""


@dataclass
class Found:
    """All that a run found out."""

    figures: list[Figure] = field(default_factory=list)
    #: For each engine and form: how many are reached, and the seconds.
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    loads: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: Where Lineal's time goes: for each kernel and question that misses a target, shares.
    profiles: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    #: What is not the time of a question: how long the engine takes to be filled.
    facts: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    #: Figures of the product, by the part of its measurements.
    product: dict[str, list[Line]] = field(default_factory=dict)

    def take_in(self, other: Found, group: str) -> None:
        """Put what was found of a group in the place of what was known of it."""
        names = {figure.player for figure in other.figures}
        self.figures = [one for one in self.figures if one.group != group] + other.figures
        self.curves |= other.curves
        self.loads |= other.loads
        self.profiles |= other.profiles
        self.facts |= other.facts
        mine = tuple(f"{name}:" for name in names | {group})
        self.problems = [one for one in self.problems if not one.startswith(mine)]
        self.problems += [one for one in other.problems if one not in self.problems]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long is measured: seconds of a block, blocks, and the most that one call may take."""

    seconds: float = 0.25
    blocks: int = 3
    most: float = 1.0


def group(
    asked: Asked, peer: Player | None, pythons: Mapping[str, Path], pace: Pace, progress: Progress
) -> Found:
    """Measure one peer beside the limit and Lineal; with no peer, Lineal beside the limit."""
    name = ALONE if peer is None else peer.name
    players = [LIMIT, NUMPY, NUMBA] + ([BITS] if peer is None else [peer])
    found = Found()
    with ExitStack() as stack:
        running = []
        for player in players:
            progress(f"{name}: {player.name} loads")
            if one := _started(stack, player, pythons, asked, found):
                running.append(one)
        for question in EVERYONE + ((*OURS, *LEAN) if peer is None else ()):
            progress(f"{name}: {question.text}")
            _question(asked, question, name, running, pace, found)
        if peer is None:
            progress(f"{name}: where the time goes")
            _profile(asked, running, pace, found)
        progress(f"{name}: {CURVE.text}")
        for one in running:
            if peer is None or one.player is peer:
                _curve(asked, one, pace, found)
    return found


def _started(
    stack: ExitStack, player: Player, pythons: Mapping[str, Path], asked: Asked, found: Found
) -> Running | None:
    """Start an engine and let it load; if it cannot, note why."""
    try:
        running = stack.enter_context(Running(player, pythons[player.lock], asked.arrays.folder))
        found.loads[player.name] = running.ask("load")
    except (Failed, OSError, KeyError) as problem:
        found.problems.append(f"{player.name}: does not run: {problem}")
        return None
    return running


def _forms(running: Running, question: Question, found: Found) -> Iterator[str]:
    """Yield the queries with which an engine answers a question: with depth, and ids only."""
    known = found.loads[running.player.name]["queries"]
    yield from (name for name in (question.query, question.query + IDS) if name in known)


def _question(
    asked: Asked,
    question: Question,
    name: str,
    running: Sequence[Running],
    pace: Pace,
    found: Found,
) -> None:
    """Check all engines that answer a question, then time them in turns."""
    of = asked.of(question)
    ready: list[tuple[Running, str]] = []
    times: dict[tuple[str, str], list[float]] = {}
    for one in running:
        for query in _forms(one, question, found):
            key = (one.player.name, query)
            seconds, problem = _checked(asked, one, query, question.query, of)
            if problem:
                found.problems.append(f"{one.player.name}: {question.text}: {problem}")
            elif max(seconds) > SLOW:
                times[key] = seconds
            else:
                ready.append((one, query))
    for _ in range(pace.blocks):
        for one, query in ready:
            block = one.times(query, of, seconds=pace.seconds, most=_MOST, first=_FIRST)
            times.setdefault((one.player.name, query), []).extend(t for some in block for t in some)
    for one in running:
        for query in _forms(one, question, found):
            if taken := times.get((one.player.name, query)):
                found.figures.append(_figure(name, one.player, question, query, taken))


def _figure(
    name: str, player: Player, question: Question, query: str, taken: list[float]
) -> Figure:
    low, middle, high = (float(value) for value in np.quantile(taken, (0.25, 0.5, 0.75)))
    return Figure(
        name, player.name, player.sort, question.letter, query.endswith(IDS), middle, low, high,
        len(taken),
    )  # fmt: skip


def _checked(
    asked: Asked, one: Running, query: str, meant: str, of: Sequence[Sequence[int]]
) -> tuple[list[float], str]:
    """Ask about everyone once; return the seconds, and what is wrong with the first bad answer."""
    into = asked.arrays.folder / "answer"
    taken: list[float] = []
    for whom in of:
        try:
            reply = one.ask("answer", query=query, of=whom, into=str(into))
            if not taken and reply["seconds"] > SLOW:
                # What is made once, at the first question, is not what each of them takes.
                reply = one.ask("answer", query=query, of=whom, into=str(into))
        except Failed as problem:
            return taken, str(problem)
        taken.append(reply["seconds"])
        ids = np.load(f"{into}.ids.npy")
        depths = np.load(f"{into}.depths.npy") if reply["depths"] else None
        if wrong := asked.wrong(meant, whom, ids, depths):
            return taken, f"another answer: {wrong}"
        if sum(taken) > 2 * SLOW:
            break
    return taken, "" if taken else "nobody to ask about"


def _profile(asked: Asked, running: Sequence[Running], pace: Pace, found: Found) -> None:
    """Take a profile of every question of which Lineal misses its target."""
    medians = {(one.player, one.letter): one.seconds for one in found.figures}
    for one in running:
        name = one.player.name
        for question in EVERYONE + OURS:
            mine, letter = medians.get((name, question.letter)), question.letter
            # The default walk is the walk of Q3: one profile of it is enough.
            if mine is None or question.query == "masked":
                continue
            beside = (
                (targets.to_limit(name, letter), medians.get((LIMIT.name, letter))),
                (targets.to_lean(name, letter), medians.get((name, f"L{letter}"))),
            )
            if any(bound and other and not bound.met(mine / other) for bound, other in beside):
                reply = one.ask(
                    "profile", query=question.query, of=asked.of(question), seconds=pace.seconds
                )
                shares = [(str(what), float(share)) for what, share in reply["shares"]]
                found.profiles[f"{name}: {letter} {question.text}"] = shares


def _curve(asked: Asked, one: Running, pace: Pace, found: Found) -> None:
    """Time an engine on closures of all sizes, small ones first, until a call takes too long."""
    known = found.loads[one.player.name]["queries"]
    query = next((name for name in ("down", "down_ids") if name in known), None)
    if query is None:
        return
    of = asked.of(CURVE)
    try:
        times = one.times(query, of, seconds=4 * pace.seconds, most=pace.most, first=600.0)
    except Failed as problem:
        found.problems.append(f"{one.player.name}: {CURVE.text}: {problem}")
        return
    form = ", ids only" if query.endswith(IDS) else ""
    found.curves[one.player.name + form] = [
        (len(asked.right("down", whom[0])), statistics.median(taken))
        for whom, taken in zip(of, times, strict=True)
        if taken
    ]

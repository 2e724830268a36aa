"""What is asked, of whom, and what the right answer is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.lineage.arrays import Arrays
from bench.lineage.graph import Edges, Estate, default_mask, kinds_mask
from bench.lineage.seeds import Reached, Reference, Seeds, choose, services

#: How many edges the overlay holds.
FRESH = 1_000
#: Which share of the edges of now a past lacks, for each past that is asked about.
PASTS = {"then_recent": 0.02, "then_old": 0.5}


@dataclass(frozen=True, slots=True)
class Question:
    """One line of a table: its letter, what it says, the query of the engines, whom it is about."""

    letter: str
    text: str
    query: str
    about: str


#: What every engine is asked that can answer it.
EVERYONE = (
    Question("Q3a", "downstream of a typical table", "down", "typical"),
    Question("Q3b", "downstream of a hub", "down", "hub"),
    Question("Q3c", "downstream of the widest hub", "down", "mega"),
    Question("Q4", "upstream of a model version", "up", "models"),
    Question("Q5", "three hops", "hops", "typical"),
    Question("Q6a", "a shortest path, from a typical table", "path", "paths"),
    Question("Q6b", "a shortest path, from a hub", "path", "hub_paths"),
    Question("Q7", "production services downstream of a hub", "services", "hub"),
)
#: What only Lineal and the limit are asked: each is compared with a lean walk of the same answer.
OURS = tuple(
    Question(f"{letter}{at}", f"{text}, {name}", query, about)
    for letter, text, query in (
        ("D", "the default walk over all edges", "masked"),
        ("K", "a mask of kinds", "kinds"),
        ("O", f"with an overlay of {FRESH:,} edges", "overlay"),
        ("P", "as of a past that lacks 2 % of the edges", "then_recent"),
        ("H", "as of a past that lacks half of the edges", "then_old"),
    )
    for at, name, about in (("a", "typical", "typical"), ("b", "hub", "hub"))
)
#: Lineal's own lean walks over exactly the edges of the same answers.
LEAN = tuple(
    Question(f"L{one.letter}", f"{one.text}: lean", f"lean_{one.query}", one.about)
    for one in OURS
    if one.query != "masked"
)
CURVE = Question("", "cost by size", "down", "sizes")


class Asked:
    """An estate, whom it is asked about, and the right answers, found by the reference."""

    def __init__(self, estate: Estate, folder: Path) -> None:
        self.estate, self.arrays = estate, Arrays(folder)
        self.seeds: Seeds = choose(estate)
        self.fresh = estate.fresh(FRESH, [*self.seeds.hub, *self.seeds.mega])
        self.moments = {name: estate.younger(share) for name, share in PASTS.items()}
        self.arrays.save(estate, moments=self.moments)
        walked = self.walked = estate.walked()
        self._save("fresh", self.fresh)
        more = Edges(*(
            np.concatenate((getattr(walked, part), getattr(self.fresh, part)))
            for part in ("starts", "ends", "codes", "since")
        ))  # fmt: skip
        kinds = estate.current.of(kinds_mask()[estate.current.codes])
        self._save("kinds", kinds)
        self._edges: dict[str, Callable[[], Edges]] = {
            "down": lambda: walked, "overlay": lambda: more, "kinds": lambda: kinds,
        }  # fmt: skip
        self._save("overlay", more)
        allowed = default_mask()
        for name, moment in self.moments.items():
            then = estate.at(moment)
            then = then.of(allowed[then.codes])
            self._save(name, then)
            self._edges[name] = lambda then=then: then  # type: ignore[misc]  # bound now
        self._references: dict[str, Reference] = {}
        self._known: dict[tuple[str, int], Reached] = {}

    def _save(self, name: str, edges: Edges) -> None:
        for part in ("starts", "ends", "codes", "since"):
            np.save(self.arrays.folder / f"{name}.{part}.npy", getattr(edges, part))

    def of(self, question: Question) -> list[list[int]]:
        """Return whom a question is about: the arguments of each call."""
        found = getattr(self.seeds, question.about)
        whom = [list(one) if isinstance(one, tuple) else [one] for one in found]
        moment = self.moments.get(question.query.removeprefix("lean_"))
        return whom if moment is None else [one for one in whom if one[0] <= moment]

    def _reference(self, query: str) -> Reference:
        name = {"hops": "down", "services": "down", "path": "down", "masked": "down"}.get(
            query, query
        )
        if name not in self._references:
            things = len(self.estate)
            made = Reference.up(self.walked, things) if name == "up" else None
            self._references[name] = made or Reference.down(self._edges[name](), things)
        return self._references[name]

    def right(self, query: str, start: int) -> Reached:
        """Return what a query must reach from *start*."""
        query = query.removeprefix("lean_")
        name = "down" if query in ("masked", "services", "path") else query
        key = (name, start)
        if key not in self._known:
            hops = 3 if query == "hops" else 1 << 30
            self._known[key] = self._reference(query).reached(start, hops=hops)
        return self._known[key]

    def wrong(self, query: str, of: Sequence[int], ids: Any, depths: Any) -> str:
        """Say what is wrong with an answer; nothing if it is right."""
        if query == "path":
            return self._wrong_path(of[0], of[1], ids)
        right = self.right(query, of[0])
        wanted = np.sort(services(self.estate, right.ids)) if query == "services" else right.ids
        order = np.argsort(ids, kind="stable")
        if not np.array_equal(ids[order], wanted):
            return f"{len(ids):,} reached from {of[0]} instead of {len(wanted):,}"
        if (
            depths is not None
            and query != "services"
            and not np.array_equal(depths[order], right.depths)
        ):
            return f"other depths from {of[0]}"
        return ""

    def _wrong_path(self, start: int, end: int, path: Any) -> str:
        right = self.right("path", start)
        steps = int(right.depths[np.searchsorted(right.ids, end)])
        walk = self._reference("path")
        there = all(
            int(after) in walk.others[walk.rows(np.array([before]))]
            for before, after in pairwise(path)
        )
        if not there or not len(path) or (path[0], path[-1]) != (start, end):
            return f"no path from {start} to {end}"
        if len(path) != steps + 1:
            return f"a path of {len(path) - 1} steps from {start} to {end} instead of {steps}"
        return ""

"""What a walk reaches, worked out in plain Python straight from the rows: slow, and easy to check.

Implements ``docs/explanation/questions.md`` and ``grain.md`` on claims and their times. It shares
no code with `lineal.lineage`: where the two disagree, one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

#: kind: which way data goes (1: from start to end), and class; levels and the rest have no way.
STEPS = {
    "reads": (-1, "data"), "produced_by": (-1, "data"), "derived_from": (-1, "data"),
    "trained_on": (-1, "data"), "consumes": (-1, "data"), "tuned_from": (-1, "data"),
    "evaluates": (-1, "data"), "evaluated_on": (-1, "data"), "measured_by": (-1, "data"),
    "serves": (-1, "data"), "deploys": (-1, "serve"), "deployed_on": (1, "serve"),
    "served_in": (1, "serve"), "trained_for": (1, "serve"), "calls": (-1, "serve"),
    "logs_to": (1, "feedback"), "depends_on": (-1, "control"), "triggered_by": (-1, "control"),
}  # fmt: skip
LEVELS = frozenset({
    "column_of", "in_set", "cell_of", "version_of", "run_of", "part_of",
})  # fmt: skip
#: A run counts for its pipeline, a version for its model, a snapshot for its table.
COUNTS_FOR = {"run": "run_of", "model-version": "version_of", "dataset-version": "version_of"}
#: What is finer than a table or a set of features.
FINE = frozenset({"column", "feature", "ab-cell", "pipeline"})
IN_A_ROW = {"calls": 2}


class Row(NamedTuple):
    """A claim as it lies in the table."""

    src: int
    kind: str
    dst: int
    document: int
    layer: str
    t_from: int
    t_to: int | None
    valid_from: int
    valid_to: int | None
    ended_at: int | None
    reason: str | None

    def held(self, t: int) -> bool:
        """Was it held at a transaction?"""
        return self.t_from <= t and (self.t_to is None or self.t_to > t)

    def so(self, t: int, at: int) -> bool:
        """Was it so at an instant, as known by a transaction?"""
        if self.t_from > t or self.valid_from > at:
            return False
        if self.valid_to is not None and self.valid_to <= at:
            return False
        if self.held(t):
            return True
        return self.reason != "corrected" and self.ended_at is not None and self.ended_at > at


@dataclass(frozen=True)
class State:
    """How one way came to a thing."""

    thing: int
    #: "itself"; "whole" of a part; "shown" only.
    how: str
    possible: bool = False
    approximate: bool = False
    calls: int = 0


@dataclass
class Answer:
    """What is known of a thing that was reached: the nearest, and sure if one way is."""

    depth: int
    possible: bool
    approximate: bool


@dataclass
class Reference:
    """The graph at one moment."""

    rows: Sequence[Row]
    types: Mapping[int, str]
    #: What a newest version is chosen by.
    age: Mapping[int, tuple[str, str]]
    t: int
    at: int
    seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = [row for row in self.rows if row.so(self.t, self.at)]
        #: What joins parts and wholes, makes active, and is given way to: no mere suggestion.
        self.believed = [row for row in self.now if row.layer != "suggested"]
        self.names = cache(self._names)  # type: ignore[method-assign]  # once for each thing

    # ── The parts of the meaning ─────────────────────────────────────────────────────────────

    def names(self, thing: int) -> frozenset[int]:
        """All names of a thing; replaced by a remembering one."""
        return self._names(thing)

    def _names(self, thing: int) -> frozenset[int]:
        held = [row for row in self.rows if row.held(self.t)]
        parted = {frozenset((row.src, row.dst)) for row in held if row.kind == "not_same_as"}
        found, more = {thing}, True
        while more:
            near = {
                end
                for row in held
                if row.kind == "same_as" and frozenset((row.src, row.dst)) not in parted
                for end in (row.src, row.dst)
                if found & {row.src, row.dst}
            }
            more = not near <= found
            found |= near
        return frozenset(found)

    def wholes(self, thing: int) -> set[int]:
        """What is it a part of?"""
        return {row.dst for row in self.believed if row.kind in LEVELS and row.src == thing}

    def active(self, model: int) -> set[int]:
        """The versions of a model that count."""
        every = {
            row.src
            for row in self.believed
            if row.kind == "version_of"
            and row.dst == model
            and self.types[row.src] == "model-version"
        }
        used = {row.dst for row in self.believed if row.kind in ("points_to", "deploys")}
        used |= {row.src for row in self.believed if row.kind == "served_in"}
        return every & used or set(sorted(every, key=lambda one: self.age[one])[-1:])

    def counts(self, row: Row, *, logical: bool) -> bool:
        """Does a part count for its whole? A version that is not active does not."""
        if not logical or row.kind != "version_of" or self.types[row.src] != "model-version":
            return True
        return row.src in self.active(row.dst)

    def lifts(self, row: Row) -> bool:
        """Does this part count as its whole in a logical walk?"""
        return COUNTS_FOR.get(self.types[row.src]) == row.kind

    def covered(self, whole: int, *, logical: bool) -> set[tuple[int, bool]]:
        """Whose statements are followed from a whole, besides its own, and surely?"""
        found: set[tuple[int, bool]] = set()
        todo = [(whole, True)]
        while todo:
            above, sure = todo.pop()
            for row in self.believed:
                if row.kind not in LEVELS or row.dst != above or row.src == whole:
                    continue
                if not self.counts(row, logical=logical):
                    self.count("idle version")
                    continue
                entry = (row.src, sure and logical and self.lifts(row))
                if entry not in found:
                    found.add(entry)
                    todo.append(entry)
        return found

    def ends(self, row: Row, end: int, *, logical: bool) -> set[tuple[int, bool]]:
        """Where does a statement that names this lead to, and is that exact?"""
        if logical:
            lifting = [one for one in self.believed if one.src == end and one.kind in LEVELS]
            lifting = [one for one in lifting if self.lifts(one)]
            if not lifting:
                return {(end, True)}
            self.count("lifted")
            return {(one.dst, True) for one in lifting if self.counts(one, logical=True)}
        if self.types[end] not in ("dataset", "model", "pipeline"):
            return {(end, True)}
        versions = [
            (one.valid_from, one.src)
            for one in self.believed
            if one.kind == "version_of" and one.dst == end and one.valid_from <= row.valid_from
        ]
        if versions:
            self.count("current snapshot")
        return {(max(versions)[1], True)} if versions else {(end, False)}

    def gives_way(self, row: Row) -> bool:
        """Did its document state columns of the output (law 3)?"""
        if row.kind not in ("produced_by", "derived_from") or self.types[row.src] in FINE:
            return False
        holders = {row.src} | {
            one.dst for one in self.believed if one.kind == "version_of" and one.src == row.src
        }
        parts = {one.src for one in self.believed if one.kind in LEVELS and one.dst in holders}
        return any(
            one.kind == "derived_from"
            and one.document == row.document
            and one.src in parts
            and self.types[one.src] in FINE
            and self.types[one.dst] in FINE
            for one in self.believed
        )

    def count(self, what: str) -> None:
        """Remember that something occurred."""
        self.seen[what] = self.seen.get(what, 0) + 1

    # ── The walk ─────────────────────────────────────────────────────────────────────────────

    def beside(self, state: State) -> Iterator[tuple[State, bool]]:
        """What stands at no cost beside what was come to, and whether only possibly."""
        for name in self.names(state.thing) - {state.thing}:
            self.count("merged")
            yield (
                State(name, state.how, state.possible, state.approximate, state.calls),
                (state.possible),
            )
        for whole in self.wholes(state.thing):
            how = "whole" if state.how == "itself" else state.how
            yield State(whole, how, True, state.approximate, state.calls), state.possible

    def onward(
        self, state: State, *, upstream: bool, logical: bool, classes: Collection[str],
        layers: Collection[str], kinds: Collection[str] | None,
    ) -> Iterator[State]:  # fmt: skip
        """One step from here."""
        if state.how == "shown":
            return
        speakers = {(state.thing, True)}
        if state.how == "itself":
            speakers |= self.covered(state.thing, logical=logical)
        for row in self.now:
            way, class_ = STEPS.get(row.kind, (0, "none"))
            if class_ not in classes or row.layer not in layers:
                continue
            if kinds is not None and row.kind not in kinds:
                continue
            near, far = (row.src, row.dst) if (way < 0) == upstream else (row.dst, row.src)
            for speaker, sure in speakers:
                if near != speaker:
                    continue
                how = "itself"
                if self.gives_way(row):
                    self.count("law three")
                    if row.kind == "derived_from" or not upstream:
                        continue
                    how = "shown"
                calls = state.calls + 1 if row.kind in IN_A_ROW else 0
                if calls > IN_A_ROW.get(row.kind, 0):
                    self.count("too many calls")
                    continue
                for end, exact in self.ends(row, far, logical=logical):
                    if end in self.names(state.thing):
                        self.count("between names")
                        continue
                    yield State(
                        end, how, state.possible or not sure, state.approximate or not exact, calls
                    )

    def walk(
        self, start: int, *, upstream: bool, logical: bool, depth: int = 1_000,
        classes: Collection[str] = ("data", "serve"),
        layers: Collection[str] = ("declared", "observed", "inferred"),
        kinds: Collection[str] | None = None,
    ) -> dict[int, Answer]:  # fmt: skip
        """Return what is reached, by the smallest key of each group of names."""
        here = self.names(start)
        notes: list[tuple[int, int, bool, bool]] = [(name, 0, False, False) for name in here]
        known: set[State] = set()
        level = [State(start, "itself")]
        steps = 0
        while level:
            fresh: list[State] = []
            todo = list(level)
            while todo:
                state = todo.pop()
                if state in known or any(_better(one, state) for one in known):
                    continue
                known.add(state)
                fresh.append(state)
                for other, possible in self.beside(state):
                    notes.append((other.thing, steps, possible, other.approximate))
                    todo.append(other)
            if steps == depth:
                break
            steps += 1
            level = [
                onward
                for state in fresh
                for onward in self.onward(
                    state, upstream=upstream, logical=logical, classes=classes, layers=layers,
                    kinds=kinds,
                )
            ]  # fmt: skip
            notes += [(one.thing, steps, one.possible, one.approximate) for one in level]
        return self._together(notes, here)

    def _together(
        self, notes: Sequence[tuple[int, int, bool, bool]], here: frozenset[int]
    ) -> dict[int, Answer]:
        found: dict[int, Answer] = {}
        for thing in {min(self.names(note[0])) for note in notes}:
            group = self.names(thing)
            mine = [note for note in notes if note[0] in group]
            if group == here:
                found[thing] = Answer(0, False, False)
                continue
            # A whole of the start counts as near as its other parts are, if it has any.
            farther = [note for note in mine if note[1] > 0]
            mine = farther or mine
            found[thing] = Answer(
                min(note[1] for note in mine),
                all(note[2] for note in mine),
                all(note[3] for note in mine),
            )
        return found


def _better(one: State, other: State) -> bool:
    """Is nothing gained by *other* where *one* is known?"""
    order = ("shown", "whole", "itself")
    return (
        one.thing == other.thing
        and order.index(one.how) >= order.index(other.how)
        and one.possible <= other.possible
        and one.approximate <= other.approximate
        and one.calls <= other.calls
    )

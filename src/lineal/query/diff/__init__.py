"""What differs between two moments: of what is around a thing, of a lineage, of all of a type.

Two scenes are compared. What appeared, vanished or changed is told with the transaction that made
the difference, or that it differs only because another time is asked about.

    two moments ─▶ a scene at each ─▶ things, edges under all their names ─▶ what differs ─▶ why
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from lineal.errors import InvalidQuery, NotFound, NotObserved, OutOfTime
from lineal.model import Answer, Cut, Uri, iso
from lineal.query.diff.causes import NOT_SOUGHT, Because, Causes
from lineal.query.diff.comparing import Aliases, Names, edges, pairs
from lineal.query.diff.differences import (
    AttributeChange,
    ClaimChange,
    Differences,
    EdgeChange,
    NameChange,
    ThingChange,
)
from lineal.query.diff.scenes import Look, Scene, Side, along, around, of_type
from lineal.query.diff.telling import EdgeFound, NameFound, Telling, ThingFound
from lineal.query.things import Things, answer
from lineal.query.walks import Ask
from lineal.shapes import Shapes
from lineal.store import Between

_F = TypeVar("_F")
_T = TypeVar("_T")

__all__ = [
    "AttributeChange",
    "Because",
    "ClaimChange",
    "Differences",
    "EdgeChange",
    "NameChange",
    "ThingChange",
    "everything",
    "lineage",
    "neighbourhood",
]

#: How many things of a type are compared at a time.
SLICE = 400
#: The part of the time to find things in which it is found out which of them may differ.
PART = 0.5
#: How often a lineage is looked at again to find causes.
LOOKS = 40


def neighbourhood(
    between: Between, shapes: Shapes, uri: Uri, *, ask: Ask, limit: int
) -> Answer[Differences]:
    """Return what differs of a thing and of what it is joined to."""
    compared = _Compared(between, shapes, ask)
    (key,) = compared.keys([uri])
    hit = compared.add(around(key), own=[key])
    if hit:
        compared.stop(Cut(hit, "around", total=compared.joined(key)))
    return compared.answer(limit)


def lineage(
    between: Between,
    shapes: Shapes,
    uris: Sequence[Uri],
    *,
    up: int,
    down: int,
    ask: Ask,
    limit: int,
) -> Answer[Differences]:
    """Return what differs of the lineage of things."""
    compared = _Compared(between, shapes, ask)
    look = along(compared.keys(uris), up=up, down=down, ask=ask)
    hit = compared.add(look)
    if hit:
        compared.stop(Cut(hit, "around"))
    return compared.answer(limit, look)


def everything(
    between: Between, shapes: Shapes, kind: str, *, ask: Ask, limit: int, share: float = 1.0
) -> Answer[Differences]:
    """
    Return what differs of all things of a type, and of the edges at them.

    Of what the budget has left to find things, at most *share* is used.
    """
    if kind not in shapes.types and not between.after.of_types([kind]):
        raise InvalidQuery(f"There is no type {kind!r}.", fix="See the list of types.")
    compared = _Compared(between, shapes, ask, share)
    candidates = compared.candidates(kind, share * PART)
    for at in range(0, len(candidates), SLICE):
        some = {key for names in candidates[at : at + SLICE] for key in names}
        hit = compared.spent() or compared.add(of_type(kind, some), own=some)
        if hit:
            compared.stop(Cut(hit, "differing", done=at, total=len(candidates)))
            break
    return compared.answer(limit)


class _Compared:
    """Two sides, what was looked at on both, and what differs of it."""

    def __init__(self, between: Between, shapes: Shapes, ask: Ask, share: float = 1.0) -> None:
        self._between, self._shapes, self._ask = between, shapes, ask
        self._sides = (
            Side(Things(between.before, shapes)),
            Side(Things(between.after, shapes)),
        )
        #: By which limit no more is to be compared; empty: by none.
        self.spent = self._sides[1].things.out_of_share(share)
        self.aliases = Aliases(self._sides)
        self._telling = Telling(between, self._sides, self.aliases)
        self._things: list[ThingFound] = []
        self._edges: list[EdgeFound] = []
        self._names: list[NameFound] = []
        self._why: list[Cut] = []
        self._stopped = False

    def keys(self, uris: Sequence[Uri]) -> list[int]:
        """Return the keys of things that were known by the second moment at least."""
        reader = self._between.after
        found = reader.keys(uris)
        for uri in uris:
            if uri not in found:
                raise NotFound(f"Nothing is known as {uri}.", nearest=reader.alike(uri))
            if not self._sides[1].known([found[uri]]):
                raise NotObserved(f"Nothing had been observed of {uri} at either moment.")
        return [found[uri] for uri in uris]

    def candidates(self, kind: str, share: float) -> list[Names]:
        """Return the things of a type that may differ, as many as a share of the time finds."""
        found: dict[Names, None] = {}
        try:
            with self._sides[1].things.finding(share):
                for some in self._between.changed(kind):
                    found.update(dict.fromkeys(self.aliases.things(some)))
        except OutOfTime:
            self.stop(Cut("time", "candidates"))
        return list(found)

    def joined(self, key: int) -> int | None:
        """Return how many relations a thing has at the second moment, if there is time to count."""
        things = self._sides[1].things
        kinds = frozenset(self._shapes.kinds) - self._shapes.kinds_in(("identity",))
        with contextlib.suppress(OutOfTime), things.finding():
            return things.reader.count_at(sorted(things.groups([key])[key]), kinds, kinds)
        return None

    def stop(self, why: Cut) -> None:
        """Say that not everything was compared."""
        self._why.append(why)
        self._stopped = True

    def add(self, look: Look, own: Collection[int] = ()) -> str:
        """
        Look at both sides, and keep what differs; *own* are there by themselves.

        Where either side could not be read whole, all would seem to differ that was not read: then
        nothing is kept, and the limit is returned that was in the way.
        """
        found = None
        with self._sides[1].things.trying() as trial:
            found = self._differing(look, own)
        if trial.limit or found is None:
            self._look_anew()
            return trial.limit
        self._things += found.things
        self._edges += found.edges
        self._names += found.names
        self._why += found.why
        return ""

    def _look_anew(self) -> None:
        """Forget what was read in part."""
        self._sides = (
            Side(Things(self._between.before, self._shapes)),
            Side(Things(self._between.after, self._shapes)),
        )
        self._telling = Telling(self._between, self._sides, self.aliases)

    def _differing(self, look: Look, own: Collection[int]) -> _Part:
        """Return what differs of what is looked at."""
        before, after = (look(side) for side in self._sides)
        why = [cut.of("before") for cut in before.why] + [cut.of("after") for cut in after.why]
        self.aliases.learn(before.ends | after.ends)
        every = pairs(before, after, self._sides, self.aliases)
        joined = edges(before, after, self.aliases)
        things = self._telling.things(every, joined, frozenset(own))
        found, left = self._telling.edges(joined, self._ask.budget.edges)
        if left:
            why.append(Cut("edges", "claims not compared", total=left))
        unsure = _unsure(before, after)
        kept = [one for one in things if one.what not in unsure]
        sure = [one for one in found if one.what not in unsure]
        left_out = len(things) + len(found) - len(kept) - len(sure)
        if left_out:
            why.append(Cut("sides", total=left_out))
        return _Part(kept, sure, self._telling.names(every), why)

    def _is_late(self) -> bool:
        """Whether it is time to end, or no more may be read."""
        things = self._sides[1].things
        return things.must_end() or things.cut

    def _whole(self, read: Callable[[], Sequence[_T]]) -> Sequence[_T] | None:
        """Return what is read, or None where there is no time or there are no rows for it."""
        found = None
        with contextlib.suppress(OutOfTime), self._sides[1].things.telling():
            found = None if self._is_late() else read()
        return None if self._sides[1].things.cut else found

    def _with_claims(self, found: Sequence[EdgeFound]) -> list[EdgeFound]:
        """Return edges with what is said of them, a slice at a time while there is time."""
        read: list[EdgeFound] = []
        for at in range(0, len(found), SLICE):
            some = self._whole(partial(self._telling.with_claims, found[at : at + SLICE]))
            if some is None:
                hit = "rows" if self._sides[1].things.cut else "time"
                self._why.append(Cut(hit, "told of", done=at, total=len(found)))
                break
            read.extend(some)
        return read

    def _told(
        self,
        found: Sequence[_F],
        tell: Callable[[Sequence[_F]], Sequence[_T]],
        only: Callable[[Sequence[_F]], Sequence[_T]],
    ) -> tuple[_T, ...]:
        """Tell of what was found and why, a slice at a time while there is time; then *only* it."""
        told: list[_T] = []
        for at in range(0, len(found), SLICE):
            some = found[at : at + SLICE]
            told.extend(self._whole(partial(tell, some)) or only(some))
        return tuple(told)

    def answer(self, limit: int, look: Look | None = None) -> Answer[Differences]:
        """Return what differs, the first *limit* of each with their causes, and counts of all."""
        things = sorted(self._things, key=lambda one: (_PLACE[one.what], one.brief))
        ends = sorted(self._edges, key=lambda one: (_PLACE[one.what], one.name))
        names = sorted(self._names, key=lambda one: (one.what, one.thing, one.name))
        causes = Causes(self._between, self._shapes, self._is_late)
        told = self._telling
        # What differs is told before it is sought why.
        said = self._with_claims(ends[:limit])
        value = Differences(
            self._between.before.basis,
            self._between.after.basis,
            _along(self._between),
            self._told(
                things[:limit],
                lambda some: told.told_things(some, causes, look, LOOKS),
                told.only_things,
            ),
            self._told(
                said, lambda some: told.told_edges(some, causes, look, LOOKS), told.only_edges
            ),
            self._told(names[:limit], lambda some: told.told_names(some, causes), told.only_names),
            {
                "things": _counted(("appeared", "vanished", "changed"), things),
                "edges": _counted(("appeared", "vanished", "changed"), ends),
                "names": _counted(("joined", "parted"), names),
            },
        )
        for what, every in (("things", things), ("edges", ends), ("names", names)):
            if len(every) > limit:
                self._why.append(Cut("list", f"{what} counted", done=limit, total=len(every)))
        total = None if self._stopped else len(things) + len(ends) + len(names)
        notes = [*_noted(value), *_unsought(value)]
        return answer(
            self._between.after, value, why=dict.fromkeys(self._why), total=total, notes=notes
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """What differs of one look at both sides."""

    things: list[ThingFound]
    edges: list[EdgeFound]
    names: list[NameFound]
    why: list[Cut]


def _unsure(before: Scene, after: Scene) -> set[str]:
    """
    Return what may only seem so, because one side was not seen whole.

    That a side is only so many steps deep is what was asked for, and the same on both.
    """
    return {
        what
        for what, scene in (("appeared", before), ("vanished", after))
        if any(cut.limit != "depth" for cut in scene.why)
    }


_PLACE = {"appeared": 0, "vanished": 1, "changed": 2}


class _Found(Protocol):
    @property
    def what(self) -> str: ...


def _counted(whats: Iterable[str], found: Sequence[_Found]) -> dict[str, int]:
    counts = Counter(one.what for one in found)
    return {what: counts[what] for what in whats}


def _along(between: Between) -> str:
    before, after = between.before.basis, between.after.basis
    known, valid = before.t != after.t, before.valid_at != after.valid_at
    if known and valid:
        return "both"
    return "known" if known else "valid" if valid else "neither"


def _noted(value: Differences) -> list[str]:
    """Say how the two moments stand to each other, where that explains the answer."""
    if value.along == "neither":
        return ["Both moments are the same: nothing can differ."]
    before, after = value.before.valid_at, value.after.valid_at
    notes = []
    if before > after:
        notes.append(
            f"The first moment is the later one ({iso(before)}, then {iso(after)}): what came to "
            "be so between them is told as vanished, and what ceased to be so as appeared."
        )
    if value.along == "valid":
        notes.append(
            f"At both moments the same was known (transaction {value.after.t}); what differs, "
            "differs by when it was so."
        )
    return notes


def _unsought(value: Differences) -> list[str]:
    causes = [one.because for one in value.things]
    causes += [one.because for one in value.edges] + [one.because for one in value.names]
    many = sum(cause is NOT_SOUGHT for cause in causes)
    return (
        [f"The causes of {many} differences were not sought: that cost too much."] if many else []
    )

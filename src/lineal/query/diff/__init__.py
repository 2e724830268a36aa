"""What differs between two moments: of what is around a thing, of a lineage, of all of a type.

Two scenes are compared. What appeared, vanished or changed is told with the transaction that made
the difference, or that it differs only because another time is asked about.

    two moments ─▶ a scene at each ─▶ things, edges under all their names ─▶ what differs ─▶ why
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from lineal.errors import InvalidQuery, NotFound, NotObserved
from lineal.model import Answer, Cut, Uri
from lineal.query.diff.causes import NOT_SOUGHT, Because, Causes
from lineal.query.diff.comparing import Aliases, edges, pairs
from lineal.query.diff.differences import (
    AttributeChange,
    ClaimChange,
    Differences,
    EdgeChange,
    NameChange,
    ThingChange,
)
from lineal.query.diff.scenes import Look, Side, along, around, of_type
from lineal.query.diff.telling import EdgeFound, NameFound, Telling, ThingFound
from lineal.query.things import Things, answer
from lineal.query.walks import Ask
from lineal.shapes import Shapes
from lineal.store import Between

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
#: How often a lineage is looked at again to find causes.
LOOKS = 40


def neighbourhood(between: Between, shapes: Shapes, uri: Uri, *, limit: int) -> Answer[Differences]:
    """Return what differs of a thing and of what it is joined to."""
    compared = _Compared(between, shapes, Ask())
    (key,) = compared.keys([uri])
    compared.add(around(key), own=[key])
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
    compared.add(look)
    return compared.answer(limit, look)


def everything(
    between: Between, shapes: Shapes, kind: str, *, ask: Ask, limit: int
) -> Answer[Differences]:
    """Return what differs of all things of a type, and of the edges at them."""
    if kind not in shapes.types and not between.after.of_types([kind]):
        raise InvalidQuery(f"There is no type {kind!r}.", fix="See the list of types.")
    compared = _Compared(between, shapes, ask)
    candidates = compared.aliases.things(between.changed(kind))
    for at in range(0, len(candidates), SLICE):
        if compared.out_of_time():
            most = ask.budget.milliseconds
            compared.stop(Cut("time", "differing", done=at, most=most, total=len(candidates)))
            break
        some = {key for names in candidates[at : at + SLICE] for key in names}
        compared.add(of_type(kind, some), own=some)
    return compared.answer(limit)


class _Compared:
    """Two sides, what was looked at on both, and what differs of it."""

    def __init__(self, between: Between, shapes: Shapes, ask: Ask) -> None:
        self._between, self._shapes, self._ask = between, shapes, ask
        self._sides = (
            Side(Things(between.before, shapes)),
            Side(Things(between.after, shapes)),
        )
        self.out_of_time = self._sides[1].things.out_of_time(ask.budget)
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

    def stop(self, why: Cut) -> None:
        """Say that not everything was compared."""
        self._why.append(why)
        self._stopped = True

    def add(self, look: Look, own: Collection[int] = ()) -> None:
        """Look at both sides, and keep what differs; *own* are there by themselves."""
        before, after = (look(side) for side in self._sides)
        for side, scene in (("before", before), ("after", after)):
            self._why.extend(cut.of(side) for cut in scene.why)
        self.aliases.learn(before.ends | after.ends)
        every = pairs(before, after, self._sides, self.aliases)
        joined = edges(before, after, self.aliases)
        self._things += self._telling.things(every, joined, frozenset(own))
        self._names += self._telling.names(every)
        found, left = self._telling.edges(joined, self._ask.budget.edges)
        self._edges += found
        if left:
            self._why.append(Cut("edges", "claims not compared", total=left))

    def answer(self, limit: int, look: Look | None = None) -> Answer[Differences]:
        """Return what differs, the first *limit* of each with their causes, and counts of all."""
        causes = Causes(self._between, self._shapes, self.out_of_time)
        things = sorted(self._things, key=lambda one: (_PLACE[one.what], one.brief))
        ends = sorted(self._edges, key=lambda one: (_PLACE[one.what], one.name))
        names = sorted(self._names, key=lambda one: (one.what, one.thing, one.name))
        value = Differences(
            self._between.before.basis,
            self._between.after.basis,
            _along(self._between),
            self._telling.told_things(things[:limit], causes, look, LOOKS),
            self._telling.told_edges(ends[:limit], causes, look, LOOKS),
            self._telling.told_names(names[:limit], causes),
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
    if value.along == "valid":
        return [
            f"At both moments the same was known (transaction {value.after.t}); what differs, "
            "differs by when it was so."
        ]
    return []


def _unsought(value: Differences) -> list[str]:
    causes = [one.because for one in value.things]
    causes += [one.because for one in value.edges] + [one.because for one in value.names]
    many = sum(cause is NOT_SOUGHT for cause in causes)
    return (
        [f"The causes of {many} differences were not sought: that cost too much."] if many else []
    )

"""Which events of a document still matter, once any later ones come.

A record is folded from *matters*: a facet, a data set that was read, a parent, that it ended. Three
events tell all there is to tell of a matter: the last that spoke of it, the first of those that say
without a break what it says, and the one before these, which said something else. A fold of these
gives the same as a fold of all, and so it does with whatever is later. What has but one word, such
as that a data set was read at all, has its very first event by that.
Whatever `runs`, `jobs` and `data_sets` look at must be a matter here.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from lineal import normalise
from lineal.errors import InvalidUri
from lineal.model import Json, Uri
from lineal.sources.openlineage import facets, lineage
from lineal.sources.openlineage.data_sets import named
from lineal.sources.openlineage.events import Entry, hash_of
from lineal.sources.openlineage.naming import Names
from lineal.sources.openlineage.runs import ENDED, PARTS_LIMIT, SIDES, member, parents

#: The word of a matter that is over: until it is spoken of again, nothing of it counts.
_OVER = object()


@dataclass(slots=True)
class _Matter:
    word: object
    since: int
    last: int
    before: int | None = None


class Matters:
    """What was spoken of, in order, and by which events, told apart by their places."""

    def __init__(self) -> None:
        self._found: dict[Hashable, _Matter] = {}

    def say(self, place: int, matter: Hashable, word: object = True) -> None:
        """Note that the event at this place, not before any noted yet, says this of a matter."""
        known = self._found.get(matter)
        if known is None:
            self._found[matter] = _Matter(word, place, place)
            return
        if known.word != word:
            known.word, known.before, known.since = word, known.last, place
        known.last = place

    def say_facets(self, place: int, of: Hashable, said: Json) -> None:
        """Note each facet that the event says of something."""
        for name, word in facets.words(said):
            self.say(place, (of, name), word)

    @property
    def lasting(self) -> set[int]:
        """The places of the events that still matter."""
        return {
            place
            for one in self._found.values()
            if one.word is not _OVER
            for place in (one.before, one.since, one.last)
            if place is not None
        }


def of_run(names: Names, entries: Sequence[Entry]) -> set[int]:
    """Return which of *entries*, all of one run and in order, still matter."""
    matters, parts = Matters(), dict[tuple[str, Uri], dict[str, int]]()
    for place, entry in enumerate(entries):
        _common(matters, place, entry)
        matters.say(place, ("pipeline", names.pipeline(entry.job)))
        matters.say_facets(place, "run", entry.run.get("facets"))
        for word in _standing(entry.state):
            matters.say(place, ("state", word))
        for _, parent in parents([entry]):
            matters.say(place, ("parent", hash_of(parent)))
        for side in SIDES:
            for reference in entry.data_sets(side):
                touched = side, names.data_set(reference)
                matters.say(place, touched)
                matters.say_facets(place, (*touched, "facets"), reference.get("facets"))
                matters.say_facets(place, (*touched, "io"), reference.get(f"{side[:-1]}Facets"))
                if part := member(reference):
                    parts.setdefault(touched, {}).setdefault(part, place)
    told = {found[part] for found in parts.values() for part in sorted(found)[:PARTS_LIMIT]}
    return matters.lasting | told


def _standing(state: str | None) -> list[str]:
    """Return as what an event counts by the state that it tells."""
    if not state or state == "OTHER":
        return []
    return ["known", "ended" if state in ENDED else state]


def of_job(names: Names, entries: Sequence[Entry]) -> set[int]:
    """Return which of *entries*, all of one job and in order, still matter."""
    matters = Matters()
    stated: dict[str, set[Uri]] = {side: set() for side in SIDES}
    for place, entry in enumerate(entries):
        _common(matters, place, entry)
        for _, parent in parents([entry]):
            matters.say(place, ("parent", _above(names, parent)))
        if not entry.run:
            matters.say(place, "design")
            matters.say_facets(place, "design", entry.job.get("facets"))
            for side in SIDES:
                if entry.states(side):
                    now = {names.data_set(item) for item in entry.data_sets(side)}
                    matters.say(place, ("stated", side))
                    for uri in now | stated[side]:
                        matters.say(place, (side, uri), uri in now or _OVER)
                    stated[side] = now
    return matters.lasting


def _above(names: Names, parent: Mapping[str, Json]) -> str:
    """Return what a job learns from a parent: its pipeline, or why that cannot be named."""
    try:
        return lineage.worker_of(names, parent).pipeline
    except InvalidUri as error:
        return f"unread: {error.message}"


def of_data_set(names: Names, entries: Sequence[Entry], subject: Uri) -> set[int]:
    """Return which of *entries*, in order, still matter to a data set or model."""
    matters = Matters()
    for place, entry in enumerate(entries):
        for _, reference, own in named(entry):
            if names.thing(reference) != subject:
                continue
            matters.say(place, "mention")
            for key in ("facets", "inputFacets", "outputFacets"):
                matters.say_facets(place, "all", reference.get(key))
            said = normalise.mapping(reference.get("facets"))
            change = normalise.mapping(said.get("lifecycleStateChange"))
            if before := normalise.mapping(change.get("previousIdentifier")):
                matters.say(place, ("renamed", hash_of(before)))
            if own:
                matters.say(place, "own")
                matters.say_facets(place, "own", reference.get("facets"))
    return matters.lasting


def _common(matters: Matters, place: int, entry: Entry) -> None:
    """Note what counts of every event of a run or a job."""
    matters.say(place, "event")
    matters.say_facets(place, "job", entry.job.get("facets"))

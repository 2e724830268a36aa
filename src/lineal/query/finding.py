"""Search: the query language answered, best match first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lineal.model import Answer, State, Uri
from lineal.query.things import Brief, Things, answer
from lineal.search import Query
from lineal.store import Wanted, text

#: The facets that are counted beside the hits.
FACETS = ("type", "status", "domain", "platform", "tag", "environment")


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found."""

    hits: tuple[Brief, ...]
    #: How many of the hits have which value of which facet, most frequent first.
    facets: dict[str, dict[str, int]]


def search(things: Things, query: Query, *, limit: int, offset: int) -> Answer[Found]:
    """Return what fits a query: exact names, then beginnings of names, then words anywhere."""
    reader = things.reader
    wanted = _wanted(things, query)
    candidates = reader.candidates(wanted)
    direct = _by_uri(things, query.text)
    known = reader.known([key for key, _ in candidates])
    ranked = [(key, rank) for key, rank in candidates if key in known]
    one = things.one([key for key, _ in ranked])
    best: dict[int, int] = dict.fromkeys(direct, -1)
    for key, rank in ranked:
        best[one[key]] = min(best.get(one[key], rank), rank)
    page = _page(things, best, limit=limit, offset=offset)
    why = []
    if len(candidates) > text.CANDIDATES:
        why.append(
            f"candidates: more than {text.CANDIDATES} things fit; the best of them are ranked"
        )
    counts = reader.facet_counts(sorted(best), FACETS)
    notes = (
        ()
        if reader.basis.is_now
        else ("Search text is of now; what was not yet known is left out.",)
    )
    value = Found(page, {name: _frequent(values) for name, values in counts.items()})
    total = None if why else len(best)
    return answer(reader, value, why=why, total=total, notes=notes)


def _frequent(values: dict[str, int]) -> dict[str, int]:
    return dict(sorted(values.items(), key=lambda item: (-item[1], item[0])))


def _page(things: Things, best: dict[int, int], *, limit: int, offset: int) -> tuple[Brief, ...]:
    """Order by class of match, living before deleted, shorter names first."""
    briefs = things.briefs(best)
    ordered = sorted(
        best,
        key=lambda key: (
            best[key],
            briefs[key].state in (State.DELETED, State.NOT_OBSERVED),
            len(briefs[key].name),
            briefs[key].name.casefold(),
            briefs[key].uri,
        ),
    )
    return tuple(briefs[key] for key in ordered[offset : offset + limit])


def _by_uri(things: Things, asked: str) -> list[int]:
    if not asked.startswith("mlg://"):
        return []
    uri = Uri(asked)
    found = things.reader.known(things.reader.keys([uri]).values())
    return list(things.one(found).values())


def _wanted(things: Things, query: Query) -> Wanted:
    """Turn a query into rows to look for; owners are found by their own names first."""
    facets = {name: values for name, values in query.wanted.items() if name not in _JOINED}
    without = {name: values for name, values in query.unwanted.items() if name not in _JOINED}
    among: frozenset[int] | None = None
    for name in _JOINED & query.wanted.keys():
        keys = frozenset(_joined(things, name, query.wanted[name]))
        among = keys if among is None else among & keys
    left_out: set[int] = set()
    for name in _JOINED & query.unwanted.keys():
        left_out |= _joined(things, name, query.unwanted[name])
    whole = query.rest.casefold()
    words = () if query.text.startswith("mlg://") else query.words
    return Wanted(words, whole, facets, without, among, frozenset(left_out))


_JOINED = frozenset({"owner", "source"})


def _joined(things: Things, name: str, values: Collection[str]) -> set[int]:
    """Which things are owned by (or described by) one of these?"""
    reader = things.reader
    if name == "source":
        return reader.described_by(values)
    owners: set[int] = set()
    for value in values:
        owners |= reader.people_called(value)
    group = {key for some in things.groups(owners).values() for key in some}
    return {link.src for link in reader.inward(group, ("owned_by",))}

"""Search: the query language answered, best match first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lineal.model import Answer, Cut, State, Uri
from lineal.query.things import Brief, Things, answer
from lineal.search import Query, describing, facets_of
from lineal.store import SearchRow, Wanted, matching, text

#: The facets that are counted beside the hits, whatever they are.
FACETS = ("type", "status", "domain", "platform", "tag", "environment")
#: Of a facet that only the type searched for has, so many values are told: the most frequent.
VALUES = 20


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
    then = None if reader.basis.is_now else _Then(things)
    ranked = [(key, rank) for key, rank in candidates if key in known]
    if then is not None:
        fitting = then.fitting(query, [key for key, _ in ranked])
        ranked = [(key, rank) for key, rank in ranked if key in fitting]
    one = things.one([key for key, _ in ranked])
    best: dict[int, int] = dict.fromkeys(direct, -1)
    for key, rank in ranked:
        best[one[key]] = min(best.get(one[key], rank), rank)
    page = _page(things, best, limit=limit, offset=offset)
    why: list[Cut] = []
    if len(candidates) > matching.CANDIDATES:
        why.append(Cut("candidates", done=matching.CANDIDATES))
    keys, names = sorted(best), _counted(things, query)
    counts = reader.facet_counts(keys, names) if then is None else then.counts(keys, names)
    facets = {
        name: _frequent(values, None if name in FACETS else VALUES)
        for name, values in counts.items()
    }
    total = None if why else len(best)
    notes = () if then is None else (_TEXT_OF_NOW,)
    return answer(reader, Found(page, facets), why=why, total=total, notes=notes)


def _counted(things: Things, query: Query) -> tuple[str, ...]:
    """Return the facets to count: the usual ones, then those of the one type searched for."""
    types = query.wanted.get("type", frozenset())
    of_types = [facets_of(things.shapes[name]) for name in types if name in things.shapes]
    own = of_types[0] if len(types) == 1 and of_types else ()
    return tuple(dict.fromkeys((*FACETS, *own)))


_TEXT_OF_NOW = (
    "Search text is of now: what fits today and did not then is left out; what fitted then and "
    "does not today is not found."
)


class _Then:
    """What could be found of things at a moment that is not now."""

    def __init__(self, things: Things) -> None:
        self._things = things

    def _rows(self, keys: Collection[int]) -> dict[int, SearchRow]:
        entities = self._things.entities(keys)
        gone = [key for key in keys if entities[key].state is State.DELETED]
        last = self._things.reader.last_words(gone)
        describe = describing(self._things.shapes)
        return {
            key: describe(one.uri, last.get(key, one.attributes), key in last)
            for key, one in entities.items()
        }

    def fitting(self, query: Query, keys: Collection[int]) -> set[int]:
        """Return those that fitted then."""
        return {key for key, row in self._rows(keys).items() if _fits(query, row)}

    def counts(self, keys: Collection[int], names: Sequence[str]) -> dict[str, dict[str, int]]:
        """Count the values that these facets of the things had then."""
        found: dict[str, dict[str, int]] = {name: defaultdict(int) for name in names}
        for row in self._rows(keys).values():
            for name in names:
                for value in sorted(row.facets.get(name, ())):
                    found[name][value] += 1
        return found


def _fits(query: Query, row: SearchRow) -> bool:
    """Does a row hold every word, and the facets that are asked for?"""
    if not query.text.startswith("mlg://"):
        texts = text.texts_of(row)
        phrases = [" ".join(text.tokens(word)) for word in query.words]
        if not all(any(_begins(phrase, told) for told in texts) for phrase in phrases if phrase):
            return False
    wanted = all(
        row.facets.get(name, frozenset()) & set(map(text.held, values))
        for name, values in query.wanted.items()
        if name not in _JOINED
    )
    return wanted and not any(
        row.facets.get(name, frozenset()) & set(map(text.held, values))
        for name, values in query.unwanted.items()
        if name not in _JOINED
    )


def _begins(phrase: str, told: str) -> bool:
    """Do the tokens of a phrase follow each other in a text, the last one at least begun?"""
    return f" {told}".find(f" {phrase}") >= 0


def _frequent(values: dict[str, int], most: int | None) -> dict[str, int]:
    """Order values by how many have them; return at most so many."""
    return dict(sorted(values.items(), key=lambda item: (-item[1], item[0]))[:most])


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
    among = _owned(things, query.wanted["owner"]) if "owner" in query.wanted else None
    left_out = _owned(things, query.unwanted.get("owner", ()))
    whole = query.rest.casefold()
    words = () if query.text.startswith("mlg://") else query.words
    of, not_of = (asked.get("source", frozenset()) for asked in (query.wanted, query.unwanted))
    return Wanted(words, whole, facets, without, among, left_out, of, not_of)


_JOINED = frozenset({"owner", "source"})


def _owned(things: Things, people: Collection[str]) -> frozenset[int]:
    """Which things are owned by one of these?"""
    reader = things.reader
    owners = {key for name in people for key in reader.people_called(name)}
    group = {key for some in things.groups(owners).values() for key in some}
    return frozenset(link.src for link in reader.inward(group, ("owned_by",)))

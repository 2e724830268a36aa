"""The first page, and the page of a search."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query, Request
from starlette.responses import Response

from lineal.model import Answer, Uri
from lineal.search import filters_of, parse
from lineal.search.language import FILTERS
from lineal.surfaces.portal import finding
from lineal.surfaces.portal.desk import PAGE, Desk, times
from lineal.surfaces.portal.frame import Page, Seen, Sight
from lineal.surfaces.portal.links import address

#: How many transactions the first page tells of.
LATELY = 6
#: So many values of a facet are listed.
LISTED = 12


class Searching:
    """What there is, and what fits a text."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def pages(self) -> dict[str, Page]:
        """Return each page by its path."""
        return {"/": self.home, "/search": self.search}

    def home(self, request: Request, seen: Seen) -> Response:
        """Show what there is, and how fresh it is."""
        counts = self._desk.ask.counts(seen.viewer, seen.moment)
        domains = [
            (name, [(kind, counts.value[kind]) for kind in kinds if counts.value.get(kind)])
            for name, kinds in self._desk.shapes.domains.items()
        ]
        known = {kind for _, kinds in domains for kind, _ in kinds}
        other = [(kind, many) for kind, many in counts.value.items() if kind not in known]
        return self._desk.page(
            "home.html", request, seen, counts,
            api=address("/api/v1/counts", times(seen)),
            domains=[(name, kinds) for name, kinds in (*domains, ("other", other)) if kinds],
            total=sum(counts.value.values()),
            sources=self._desk.lineal.standings().sources,
            lately=self._desk.ask.recent(seen.viewer, seen.pinned(counts), limit=LATELY).value,
            base=str(request.base_url).rstrip("/"),
        )  # fmt: skip

    def search(
        self,
        request: Request,
        seen: Seen,
        q: Annotated[str, Query(max_length=1_000)] = "",
        page: Annotated[int, Query(ge=1, le=5_000)] = 1,
        uri: Annotated[list[str] | None, Query(max_length=20)] = None,
    ) -> Response:
        """Show what fits a text, and what was chosen so far to be asked of together."""
        chosen = list(dict.fromkeys(Uri(one) for one in uri or ()))
        text = q.strip()
        first = (page - 1) * PAGE
        found = self._desk.ask.search(seen.viewer, text, seen.moment, limit=PAGE, offset=first)
        query = parse(text, self._desk.shapes)
        empty = not found.value.hits and page == 1
        return self._desk.page(
            "search.html", request, seen, found,
            api=address(
                "/api/v1/search",
                {"q": text, "limit": PAGE, "offset": first or None, **times(seen)},
            ),
            text=text, page=page, first=first, size=PAGE, listed=LISTED,
            active=finding.filters(query),
            facets=_facets(text, found.value.facets, query.wanted),
            help=finding.helped(text, query, self._searcher(seen)) if empty and text else None,
            adding=finding.adding, without=finding.without, filters=FILTERS, chosen=chosen,
            own=filters_of(self._desk.shapes).keys() - FILTERS.keys(),
            here_are={hit.uri for hit in found.value.hits},
            to=lambda text, **query: seen.links.search(text, **{"uri": chosen, **query}),
        )  # fmt: skip

    def _searcher(self, seen: Sight) -> finding.Search:
        def search(text: str, limit: int) -> Answer[Any]:
            return self._desk.ask.search(seen.viewer, text, seen.moment, limit=limit)

        return search


def _facets(
    text: str, facets: dict[str, dict[str, int]], wanted: Any
) -> list[tuple[str, list[tuple[str, int, bool, str]], bool]]:
    """Return each facet's values, their counts and the search that a click leads to; any more?"""
    found = []
    for name, values in facets.items():
        chosen = wanted.get(name, frozenset())
        lines = [
            (
                value, many, value in chosen,
                finding.without(text, name, value)
                if value in chosen else finding.adding(text, name, value),
            )
            for value, many in list(values.items())[:LISTED]
        ]  # fmt: skip
        if lines:
            found.append((name, lines, len(values) > LISTED))
    return found

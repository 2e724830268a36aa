"""Addresses of pages: every link of a page leads to the moment that the page is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from lineal.model import Uri


@dataclass(frozen=True, slots=True)
class Links:
    """
    The addresses of pages at one moment.

    >>> Links("t:7").entity(Uri("mlg://model/registry/ranking"))
    '/entity?uri=mlg://model/registry/ranking&known_at=t:7'
    """

    #: The two times as they were asked for; empty is now.
    known_at: str = ""
    valid_at: str = ""

    def then(self, t: int) -> Links:
        """Return the links of pages as they were recorded by a transaction."""
        return Links(f"t:{t}", self.valid_at)

    def to(self, page: str, /, **query: object) -> str:
        """Return the address of a page; what is None or empty is left out."""
        return address(page, {**query, "known_at": self.known_at, "valid_at": self.valid_at})

    def entity(self, uri: Uri | str) -> str:
        """Return the address of a thing's page."""
        return self.to("/entity", uri=uri)

    def edge(self, start: str, kind: str, end: str) -> str:
        """Return the address of the page that explains an edge."""
        return self.to("/edge", **{"from": start, "kind": kind, "to": end})

    def search(self, text: str, **query: object) -> str:
        """Return the address of a search."""
        return self.to("/search", q=text, **query)


def address(page: str, query: Mapping[str, object]) -> str:
    """Return a path with a query, without what is None or empty."""
    kept = {name: value for name, value in query.items() if value is not None and value != ""}
    if not kept:
        return page
    return f"{page}?{urlencode(kept, doseq=True, quote_via=quote, safe='/:,')}"

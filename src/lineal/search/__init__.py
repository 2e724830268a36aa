"""Finding things: the query language, and what of a thing can be found."""

from __future__ import annotations

from lineal.search.language import Query, filters_of, parse
from lineal.search.rows import describing, facets_of

__all__ = ["Query", "describing", "facets_of", "filters_of", "parse"]

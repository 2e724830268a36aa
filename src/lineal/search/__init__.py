"""Finding things: the query language, and what of a thing can be found."""

from __future__ import annotations

from lineal.search.language import Query, parse
from lineal.search.rows import describe

__all__ = ["Query", "describe", "parse"]

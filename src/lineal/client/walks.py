"""The walks that a server is asked for, each by its path and what was said of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias, Unpack, cast

from lineal.client.answers import (
    Alike,
    Among,
    Answer,
    Asset,
    Closure,
    Common,
    Cost,
    Impact,
    Lineage,
    Path,
    SchemaChanges,
    Times,
    Unused,
    Value,
    Walk,
    Wanted,
)

#: What goes into a query; several values are said one after the other.
Parameter: TypeAlias = "str | int | Sequence[str] | None"


class Walks(ABC):
    """The questions that walk."""

    @abstractmethod
    def _ask(self, path: str, **parameters: Parameter) -> Answer[Value]:
        """Ask the server, and return its answer."""

    def lineage(
        self,
        uris: str | Sequence[str],
        *,
        up: int | None = None,
        down: int | None = None,
        grain: str | None = None,
        way: Walk | None = None,
        **times: Unpack[Times],
    ) -> Answer[Lineage]:
        """Return what things were made from, *up* steps far, and what they feed, *down*."""
        said = {**_said(way), **({} if grain is None else {"grain": grain})}
        return self._ask("/lineage", uri=_each(uris), up=up, down=down, **said, **times)

    def paths(
        self,
        start: str,
        end: str,
        *,
        k: int | None = None,
        way: Walk | None = None,
        **times: Unpack[Times],
    ) -> Answer[list[Path]]:
        """Return up to *k* shortest ways by which one of two things feeds the other."""
        ends: dict[str, Parameter] = {"from": start, "to": end}
        return self._ask("/paths", **ends, k=k, **_said(way), **times)

    def between(
        self, start: str, end: str, *, way: Walk | None = None, **times: Unpack[Times]
    ) -> Answer[Lineage]:
        """Return all that lies on any way by which one of two things feeds the other."""
        ends: dict[str, Parameter] = {"from": start, "to": end}
        return self._ask("/between", **ends, **_said(way), **times)

    def common(
        self,
        uris: Sequence[str],
        *,
        side: str | None = None,
        limit: int | None = None,
        way: Walk | None = None,
        **times: Unpack[Times],
    ) -> Answer[Common]:
        """Return what several things have in common: ``upstream`` or ``downstream``."""
        return self._ask("/common", uri=_each(uris), side=side, limit=limit, **_said(way), **times)

    def closure(
        self,
        uris: str | Sequence[str],
        *,
        side: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
        among: Among | None = None,
        way: Walk | None = None,
        **times: Unpack[Times],
    ) -> Answer[Closure]:
        """
        Return all that is made from things (``downstream``), or that they were made from.

        Counted as a whole, by type, stage, owner, domain and distance, and told page by page; with
        *among* only what fits that.
        """
        said: dict[str, Parameter] = {"side": side, "limit": limit, "offset": offset}
        for name, value in cast("dict[str, str | int]", among or {}).items():
            said[name] = str(value).lower() if isinstance(value, bool) else value
        return self._ask("/closure", uri=_each(uris), **said, **_said(way), **times)

    def impact(
        self,
        uris: str | Sequence[str],
        *,
        change: str | None = None,
        to: str | None = None,
        limit: int | None = None,
        way: Walk | None = None,
        **times: Unpack[Times],
    ) -> Answer[Impact]:
        """
        Return what a change of things would touch, worst first, and who must be told.

        *change* is ``dropped``, ``renamed``, ``retyped``, ``redefined`` or ``rolled_back``, and
        *to* the new name or type, or the version that comes back.
        """
        said: dict[str, Parameter] = {"change": change, "to": to, "limit": limit}
        return self._ask("/impact", uri=_each(uris), **said, **_said(way), **times)

    def schema_changes(
        self,
        before: Times,
        *,
        types: Sequence[str] = (),
        limit: int | None = None,
        cost: Cost | None = None,
        **times: Unpack[Times],
    ) -> Answer[SchemaChanges]:
        """Return the schema changes from *before* to *times*, and whom each touches."""
        said: dict[str, Parameter] = {
            **_types(types),
            "limit": limit,
            "rows": (cost or {}).get("rows"),
            "ms": (cost or {}).get("ms"),
            "from_known_at": before.get("known_at"),
            "from_valid_at": before.get("valid_at"),
        }
        return self._ask("/schema-changes", **said, **times)

    # ── Use ──────────────────────────────────────────────────────────────────────────────────

    def shared(
        self,
        *,
        types: Sequence[str] = (),
        limit: int | None = None,
        layers: Sequence[str] = (),
        **times: Unpack[Times],
    ) -> Answer[list[Asset]]:
        """Return the assets that most live consumers rest on, of the most teams."""
        said = {**_types(types), **said_layers(layers)}
        return self._ask("/shared", limit=limit, **said, **times)

    def unused(
        self,
        uri: str | None = None,
        *,
        types: Sequence[str] = (),
        days: int | None = None,
        limit: int | None = None,
        layers: Sequence[str] = (),
        **times: Unpack[Times],
    ) -> Answer[list[Unused]]:
        """Return what of an owner, or of all, nothing live or recent is made from, since when."""
        said = {**_types(types), **said_layers(layers)}
        return self._ask("/unused", uri=uri, days=days, limit=limit, **said, **times)

    def wanted(
        self,
        uri: str,
        *,
        limit: int | None = None,
        layers: Sequence[str] = (),
        **times: Unpack[Times],
    ) -> Answer[list[Wanted]]:
        """Return the features that models alike consume and a model, or a pipeline's, do not."""
        return self._ask("/wanted-features", uri=uri, limit=limit, **said_layers(layers), **times)

    def similar(
        self,
        uri: str,
        *,
        limit: int | None = None,
        layers: Sequence[str] = (),
        **times: Unpack[Times],
    ) -> Answer[list[Alike]]:
        """Return the models, or features, that are like one, the most alike first."""
        return self._ask("/similar", uri=uri, limit=limit, **said_layers(layers), **times)


def said_layers(layers: Sequence[str]) -> dict[str, Parameter]:
    """Return the layers of edges that are looked at, as a query says them."""
    return {"layers": ",".join(layers)} if layers else {}


def _types(types: Sequence[str]) -> dict[str, Parameter]:
    return {"types": ",".join(types)} if types else {}


def _each(uris: str | Sequence[str]) -> Sequence[str]:
    return [uris] if isinstance(uris, str) else list(uris)


def _said(way: Walk | None) -> dict[str, Parameter]:
    """
    Return how a walk is gone, as a query says it.

    >>> _said({"kinds": ["reads", "writes"], "columns": True, "ms": 500})
    {'kinds': 'reads,writes', 'columns': 'true', 'ms': 500}
    """
    said: dict[str, Parameter] = {}
    for name, value in (way or {}).items():
        if isinstance(value, bool):
            said[name] = "true" if value else None
        elif isinstance(value, str | int) or value is None:
            said[name] = value
        elif isinstance(value, Sequence) and value:
            said[name] = ",".join(map(str, value))
    return {name: value for name, value in said.items() if value is not None}

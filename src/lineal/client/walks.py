"""The walks that a server is asked for, each by its path and what was said of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeAlias, Unpack

from lineal.client.answers import Answer, Common, Impact, Lineage, Path, Times, Value, Walk

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

    def impact(
        self,
        uris: str | Sequence[str],
        *,
        limit: int | None = None,
        way: Walk | None = None,
        **times: Unpack[Times],
    ) -> Answer[Impact]:
        """Return what a change of things would touch, worst first, and who must be told."""
        return self._ask("/impact", uri=_each(uris), limit=limit, **_said(way), **times)


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

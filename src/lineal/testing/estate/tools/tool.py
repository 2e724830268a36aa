"""What the tools have in common: a prefix, collections of things, and answers made of bytes.

Dialects belong to the tools. Here is only how a path becomes a collection and an id.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from lineal.testing.estate.shelves import Shelves

#: Anything JSON can say.
Json: TypeAlias = bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
Document: TypeAlias = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, below the tool's prefix."""

    #: Decoded path segments.
    path: tuple[str, ...]
    query: Mapping[str, str]
    #: The ETags that the caller already has.
    etag: str | None = None

    def number(self, name: str, default: int, *, low: int = 0, high: int = 1_000_000) -> int:
        """Return a numeric query argument, inside its bounds; ValueError if it is no number."""
        return max(low, min(high, int(self.query.get(name, default))))


@dataclass(frozen=True, slots=True)
class Reply:
    """What is sent back."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(
        cls, document: Json, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Return a reply with a JSON body."""
        body = json.dumps(document, ensure_ascii=False).encode()
        return cls(
            status, body, {"Content-Type": "application/json; charset=utf-8"} | dict(headers or {})
        )


@dataclass(frozen=True, slots=True)
class Collection:
    """One kind of thing under one path."""

    kind: str
    document: Callable[[str], Document]
    #: How an id is spread over path segments, and put together again.
    join: Callable[[tuple[str, ...]], str] = lambda segments: segments[0]
    segments: int = 1


class Tool(ABC):
    """One of the seven tools."""

    name: ClassVar[str]
    prefix: ClassVar[str]

    def __init__(self, world: Shelves) -> None:
        self.world = world
        self.collections = self.offers()

    @abstractmethod
    def offers(self) -> Mapping[str, Collection]:
        """Return the collections by their path segment."""

    @abstractmethod
    def page(self, segment: str, collection: Collection, request: Request) -> Reply:
        """Return one page of a collection."""

    @abstractmethod
    def error(self, status: int, message: str) -> Reply:
        """Return an error in the tool's own form."""

    @abstractmethod
    def notice(self, kind: str, ident: str, verb: str) -> Document:
        """Return the event that says a thing was ``created``, ``updated`` or ``deleted``."""

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        segment, *rest = request.path or ("",)
        collection = self.collections.get(segment)
        if collection is None:
            return self.error(404, f"no such resource: {'/'.join(request.path)}")
        with self.world.lock:
            if not rest:
                return self._listed(segment, collection, request)
            if len(rest) != collection.segments:
                return self.error(404, f"no such resource: {'/'.join(request.path)}")
            return self.show(collection, collection.join(tuple(rest)), request)

    def _listed(self, segment: str, collection: Collection, request: Request) -> Reply:
        try:
            return self.page(segment, collection, request)
        except (ValueError, UnicodeError):
            return self.error(400, "malformed paging arguments")

    def show(self, collection: Collection, ident: str, request: Request) -> Reply:
        """Return one thing, or say that there is none."""
        if ident not in self.world.shelf(collection.kind):
            return self.missing(collection.kind, ident)
        return Reply.json(collection.document(ident))

    def missing(self, kind: str, ident: str) -> Reply:
        """Say that there is no such thing."""
        return self.error(404, f'{kind.replace("_", " ")} "{ident}" not found')

    def ids(self, collection: Collection) -> list[str]:
        """Return the ids of a collection, in the order in which they are listed."""
        return sorted(self.world.shelf(collection.kind))

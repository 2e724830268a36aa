"""What a comparison of two moments answers: things, edges and names that differ, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lineal.model import Json, State, Uri
from lineal.query.diff.causes import Because
from lineal.query.things import Brief
from lineal.store import Basis


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """One attribute before and after; None where it was not said."""

    name: str
    before: Json
    after: Json
    because: Because


@dataclass(frozen=True, slots=True)
class ThingChange:
    """A thing that ``appeared``, ``vanished`` or ``changed``."""

    what: str
    thing: Brief
    #: How far it was known at each moment, also where the question does not reach it; None: it
    #: was not known.
    before: State | None
    after: State | None
    changes: tuple[AttributeChange, ...]
    because: Because


@dataclass(frozen=True, slots=True)
class ClaimChange:
    """One document's word on an edge that ``appeared``, ``vanished`` or ``changed``."""

    what: str
    source: str
    document: str
    #: Its layer at each moment; None: it was not said.
    before: str | None
    after: str | None
    #: Attribute to (before, after).
    attributes: Mapping[str, tuple[Json, Json]]
    because: Because


@dataclass(frozen=True, slots=True)
class EdgeChange:
    """An edge that ``appeared``, ``vanished`` or ``changed``, told claim by claim."""

    what: str
    start: Brief
    kind: str
    end: Brief
    claims: tuple[ClaimChange, ...]
    because: Because


@dataclass(frozen=True, slots=True)
class NameChange:
    """A name that ``joined`` the names of a thing, or ``parted`` from them."""

    what: str
    thing: Brief
    name: Uri
    because: Because


@dataclass(frozen=True, slots=True)
class Differences:
    """All that differs between two moments."""

    before: Basis
    after: Basis
    #: In which of the two times the moments differ: ``known``, ``valid``, ``both``, ``neither``.
    along: str
    things: tuple[ThingChange, ...]
    edges: tuple[EdgeChange, ...]
    names: tuple[NameChange, ...]
    #: Of ``things``, ``edges`` and ``names``: how many of each, also of those not listed.
    counts: dict[str, dict[str, int]]

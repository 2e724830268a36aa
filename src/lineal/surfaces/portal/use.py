"""The pages of use: what most live consumers share, what nothing uses, and what is like a thing."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from lineal.errors import InvalidQuery
from lineal.query import ASSETS, COMPARABLE, RECENT, RETIRABLE, SWEEP, WANTING
from lineal.surfaces.portal.desk import Desk, UriParam, times
from lineal.surfaces.portal.frame import Page, Seen, Sight
from lineal.surfaces.portal.links import address

#: How many are listed.
LISTED = 100
#: Nobody waits for a page as long as for an answer over the API, which has ten seconds.
QUICK = replace(SWEEP, budget=replace(SWEEP.budget, milliseconds=3_000))
#: How many features are suggested.
SUGGESTED = 10

TypeParam = Annotated[str, Query(alias="type", max_length=64)]


class Use:
    """Which things are used most, which not at all, and which alike."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def pages(self) -> dict[str, Page]:
        """Return each page by its path."""
        return {"/shared": self.shared, "/unused": self.unused, "/alike": self.alike}

    def shared(self, request: Request, seen: Seen, kind: TypeParam = "") -> Response:
        """Show on which assets most live consumers rest, of the most teams."""
        types = self._types(kind)
        told = self._desk.ask.shared(seen.viewer, seen.moment, types=types, limit=LISTED)
        return self._desk.page(
            "shared.html", request, seen, told,
            api=address("/api/v1/shared", {"types": kind, "limit": LISTED, **times(seen)}),
            told=told.value, kind=kind, kinds=ASSETS, live_types=self._live_types(seen),
            other=lambda name: seen.links.to("/shared", type=name),
        )  # fmt: skip

    def unused(
        self,
        request: Request,
        seen: Seen,
        kind: TypeParam = "",
        owner: Annotated[str, Query(max_length=2_100)] = "",
        days: Annotated[str, Query(max_length=6)] = "",
    ) -> Response:
        """Show what of an owner, or of all, nothing live or recent is made from."""
        types, since = self._types(kind), _days(days)
        uri, hits = self._desk.meant(seen, owner, seen.moment)
        told = self._desk.ask.unused(
            seen.viewer, uri, seen.moment, types=types, days=since, ask=QUICK, limit=LISTED
        )
        query = {"uri": uri, "types": kind, "days": since, "limit": LISTED}
        return self._desk.page(
            "unused.html", request, seen, told,
            api=address("/api/v1/unused", {**query, **times(seen)}),
            told=told.value, kind=kind, kinds=RETIRABLE, owner=owner, days=since,
            asked=owner.strip() and uri is None, hits=hits, live_types=self._live_types(seen),
            owned_by=lambda one: seen.links.to("/unused", owner=one, type=kind, days=days),
        )  # fmt: skip

    def alike(self, request: Request, seen: Seen, uri: UriParam) -> Response:
        """Show what is like a model or feature, and which features a model may want, and why."""
        answer, head = self._desk.head(seen, uri)
        thing, pinned, ask = answer.value.uri, seen.pinned(answer), self._desk.ask
        told = wanted = None
        if thing.type not in WANTING or thing.type in COMPARABLE:
            told = ask.similar(seen.viewer, thing, pinned, limit=LISTED)
        if thing.type in WANTING:
            wanted = ask.wanted(seen.viewer, thing, pinned, limit=SUGGESTED)
        page, limit = ("similar", LISTED) if told else ("wanted-features", SUGGESTED)
        return self._desk.page(
            "alike.html", request, seen, told or wanted or answer, **head,
            api=address(f"/api/v1/{page}", {"uri": thing, "limit": limit, **times(seen)}),
            told=told, wanted=wanted,
            common_with=lambda one: seen.links.to("/common", uri=[thing, one]),
        )  # fmt: skip

    def _types(self, kind: str) -> list[str] | None:
        return [self._desk.shapes.type(kind).name] if kind else None

    def _live_types(self, seen: Sight) -> list[str]:
        """Return the types of what can be in use by itself, if nothing of any is known."""
        counts = self._desk.ask.counts(seen.viewer, seen.moment).value
        types = [name for name, shape in self._desk.shapes.types.items() if shape.live]
        return [] if any(counts.get(name) for name in types) else types


def _days(text: str) -> int:
    """Return how long ago something must have been used last."""
    if not text.strip():
        return RECENT
    if not text.strip().isdecimal():
        raise InvalidQuery(f"days is {text!r}.", fix="Give a number of days.")
    return int(text)

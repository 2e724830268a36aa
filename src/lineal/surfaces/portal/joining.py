"""The pages of several things: what lies between two, and what all have in common."""

from __future__ import annotations

from itertools import combinations
from typing import Annotated, Literal

from fastapi import Query, Request
from starlette.responses import Response

from lineal.errors import InvalidQuery
from lineal.model import Uri
from lineal.query import Ask
from lineal.surfaces.picture import label
from lineal.surfaces.portal.desk import DRAWN, Desk, times
from lineal.surfaces.portal.frame import Page, Seen, Sight
from lineal.surfaces.portal.links import address
from lineal.surfaces.portal.walks import WALKED

#: How many ways between two things are told.
WAYS = 5


class Joining:
    """What joins things that were chosen."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def pages(self) -> dict[str, Page]:
        """Return each page by its path."""
        return {"/between": self.between, "/common": self.common}

    def between(
        self,
        request: Request,
        seen: Seen,
        start: Annotated[str, Query(alias="from", max_length=2_100)] = "",
        end: Annotated[str, Query(alias="to", max_length=2_100)] = "",
        several: Annotated[list[str] | None, Query(alias="uri", max_length=20)] = None,
    ) -> Response:
        """Show by which ways one of two things feeds the other, and all that lies on them."""
        if not start:
            chosen = _chosen(several)
            if len(chosen) > 2:
                return self._which(request, seen, chosen)
            start, end = chosen[0], end or (chosen[1] if len(chosen) == 2 else "")
        first, _ = self._desk.head(seen, start)
        moment, uri = seen.pinned(first), first.value.uri
        other, hits = self._desk.meant(seen, end, moment)
        ways = lying = None
        if other is not None:
            ways = self._desk.ask.paths(seen.viewer, uri, other, moment, k=WAYS)
            lying = self._desk.ask.between(seen.viewer, uri, other, moment, ask=Ask(WALKED))
        drawn = None
        if lying is not None and lying.value.arrows:
            only = {node.thing.uri for node in lying.value.nodes[:DRAWN]}
            drawn = self._desk.drawn(lying.value, seen.links, only, "What lies between")
        labels = {} if ways is None else {
            arrow: label(arrow, self._desk.shapes) for way in ways.value for arrow in way.arrows
        }  # fmt: skip
        return self._desk.page(
            "between.html", request, seen, first if lying is None else lying,
            api=None if other is None else address(
                "/api/v1/between", {"from": uri, "to": other, **times(seen)}
            ),
            focus=first.value, text=end, hits=hits, ways=ways, lying=lying, picture=drawn,
            labels=labels, limit=DRAWN,
            between_to=lambda to: seen.links.to("/between", **{"from": uri, "to": to}),
            briefs={} if lying is None else {n.thing.uri: n.thing for n in lying.value.nodes},
        )  # fmt: skip

    def _which(self, request: Request, seen: Sight, chosen: list[Uri]) -> Response:
        """Ask between which two of several."""
        desk = self._desk
        first = desk.ask.get(seen.viewer, chosen[0], seen.moment)
        moment = seen.pinned(first)
        names = {one: desk.ask.get(seen.viewer, one, moment).value for one in chosen}
        pairs = [
            (one, other, seen.links.to("/between", **{"from": one.uri, "to": other.uri}))
            for one, other in combinations(names.values(), 2)
        ]
        common = seen.links.to("/common", uri=chosen)
        return desk.page("which.html", request, seen, first, api=None, pairs=pairs, common=common)

    def common(
        self,
        request: Request,
        seen: Seen,
        uri: Annotated[list[str] | None, Query(max_length=20)] = None,
        end: Annotated[str, Query(alias="to", max_length=2_100)] = "",
        side: Annotated[Literal["upstream", "downstream", ""], Query()] = "",
    ) -> Response:
        """Show what several things have in common."""
        chosen = _chosen(uri)
        first, _ = self._desk.head(seen, chosen[0])
        moment = seen.pinned(first)
        other, hits = self._desk.meant(seen, end, moment)
        starts = chosen + ([] if other is None else [other])
        starts = list(dict.fromkeys(starts))
        told = None
        if len(starts) > 1:
            told = self._desk.ask.common(
                seen.viewer, starts, moment, upstream=side != "downstream", ask=Ask(WALKED)
            )
        query: dict[str, object] = {"uri": starts, "side": side or "upstream"}
        return self._desk.page(
            "common.html", request, seen, first if told is None else told,
            api=None if told is None else address("/api/v1/common", {**query, **times(seen)}),
            focus=first.value, text=end if other is None else "", hits=hits, told=told,
            starts=starts, side=side or "upstream",
            common_to=lambda one: seen.links.to("/common", **{**query, "uri": [*starts, one]}),
            to=lambda **changes: seen.links.to("/common", **{**query, **changes}),
        )  # fmt: skip


def _chosen(uris: list[str] | None) -> list[Uri]:
    """Return what was chosen; raises `InvalidQuery` where nothing was."""
    if not uris:
        raise InvalidQuery(
            "Nothing was chosen.", fix="Go back, tick two things or more, and ask again."
        )
    return list(dict.fromkeys(Uri(one) for one in uris))

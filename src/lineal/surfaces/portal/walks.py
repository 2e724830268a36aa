"""The pages that walk: the lineage of a thing, and what a change of it would touch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query, Request
from starlette.responses import Response

from lineal.errors import InvalidQuery
from lineal.model import Answer, Budget, Entity, Uri
from lineal.query import OF, Ask, Lineage
from lineal.surfaces.picture import label
from lineal.surfaces.portal import views
from lineal.surfaces.portal.desk import DRAWN, Desk, UriParam, times
from lineal.surfaces.portal.frame import Page, Seen, Sight
from lineal.surfaces.portal.links import address
from lineal.surfaces.walking import asked_change

#: How far a lineage is walked to count what is beyond the picture.
WALKED = Budget(nodes=1_000, milliseconds=1_500)
#: Of how many owners it is shown what of theirs would be touched; of the others only how much.
OWNERS = 20
_WORDS = ("upstream", "downstream")


class Walks:
    """What a thing was made from, what is made from it, and what a change would touch."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def pages(self) -> dict[str, Page]:
        """Return each page by its path."""
        return {"/lineage": self.lineage, "/impact": self.impact}

    def lineage(
        self,
        request: Request,
        seen: Seen,
        uri: UriParam,
        up: Annotated[str, Query(max_length=3)] = "1",
        down: Annotated[str, Query(max_length=3)] = "1",
        grain: Annotated[Literal["logical", "exact", ""], Query()] = "",
        view: Annotated[Literal["graph", "list", ""], Query()] = "",
        columns: Annotated[bool, Query()] = False,
        fit: Annotated[bool, Query()] = False,
    ) -> Response:
        """Show what a thing was made from and what is made from it."""
        answer, head = self._desk.head(seen, uri)
        ask = Ask(WALKED, grain or None, columns=columns)
        told = self._desk.ask.lineage(seen.viewer, [answer.value.uri], seen.pinned(answer), ask=ask)
        steps = _steps("up", up), _steps("down", down)
        inside = views.within(told.value, *steps)
        chosen: dict[str, object] = {"up": up, "down": down, "grain": grain, "view": view}
        chosen |= {"columns": int(columns) or None, "fit": int(fit) or None}
        return self._desk.page(
            "lineage.html", request, seen, told, **head,
            api=address(
                "/api/v1/lineage", {
                    "columns": "true" if columns else None,
                    **_walk_api(answer.value.uri, steps, grain, seen),
                },
            ),
            sides=[
                views.side(told.value, name, far, cut=_is_cut(told, word))
                for name, far, word in zip(("up", "down"), steps, _WORDS, strict=True)
            ],
            inside=inside, drawn=inside[:DRAWN], limit=DRAWN,
            lineage=told.value, view=view or "graph", columns=columns, fit=fit,
            grain=grain,
            **self._shape_of(told, inside, view, seen, head["entity"]),
            other=lambda **changes: seen.links.to(
                "/lineage", uri=answer.value.uri, **{**chosen, **changes}
            ),
        )  # fmt: skip

    def _shape_of(
        self, told: Answer[Lineage], inside: list[Any], view: str, seen: Sight, entity: Entity
    ) -> dict[str, Any]:
        """Return the list of a lineage or its picture, whichever is looked at."""
        if view == "list":
            labels = {arrow: label(arrow, self._desk.shapes) for arrow in told.value.arrows}
            return {"rows": views.rows(told.value, inside, labels), "picture": None}
        only = {node.thing.uri for node in inside[:DRAWN]}
        title = f"Lineage of {entity.name}"
        return {"rows": (), "picture": self._desk.drawn(told.value, seen.links, only, title)}

    def impact(
        self,
        request: Request,
        seen: Seen,
        uri: UriParam,
        change: Annotated[str, Query(max_length=20)] = "",
    ) -> Response:
        """Show what a change would touch, and who must be told."""
        answer, head = self._desk.head(seen, uri)
        uri = answer.value.uri
        meant = asked_change(change or None, None)
        told = self._desk.ask.impact(seen.viewer, [Uri(uri)], seen.pinned(answer), change=meant)
        return self._desk.page(
            "impact.html", request, seen, told, **head,
            api=address("/api/v1/impact", {"uri": uri, "change": change, **times(seen)}),
            impact=told.value, change=change, few=OWNERS,
            changes=[what for what, of in OF.items() if answer.value.type in of],
            live={hit.thing for hit in told.value.hits if hit.live},
            other=lambda what: seen.links.to("/impact", uri=uri, change=what),
        )  # fmt: skip


def _walk_api(uri: Uri, steps: tuple[int, int], grain: str, seen: Sight) -> dict[str, object]:
    return {"uri": uri, "up": steps[0], "down": steps[1], "grain": grain, **times(seen)}


def _steps(name: str, text: str) -> int:
    """Return how many steps one side is shown."""
    if text == "all":
        return WALKED.depth
    if not text.isdecimal():
        raise InvalidQuery(f"{name} is {text!r}.", fix="Give a number of steps, or all.")
    return min(int(text), WALKED.depth)


def _is_cut(answer: Answer[Any], word: str) -> bool:
    return any(word in cut.part for cut in answer.why)

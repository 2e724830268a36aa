"""The pages about the installation: how a source stands, and what could not be taken in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from lineal.errors import Invalid, NotFound
from lineal.surfaces import bodies
from lineal.surfaces.asked import see_one_choice
from lineal.surfaces.bodies import Body
from lineal.surfaces.portal.forms import actor, fields
from lineal.surfaces.portal.frame import Frame
from lineal.surfaces.portal.links import Links, address

if TYPE_CHECKING:
    from lineal.app import Lineal

Sent = Annotated[Body, Depends(bodies.read)]
#: How many dead letters one page lists.
LISTED = 100
#: How many digits the number of a dead letter has at most.
_DIGITS = 18


class StandingPages:
    """The pages over one installation; they are of now, whatever time is asked for elsewhere."""

    def __init__(self, lineal: Lineal, frame: Frame) -> None:
        self._lineal, self._frame = lineal, frame

    def add_to(self, router: APIRouter) -> None:
        """Add these pages."""
        router.add_api_route("/source", self.source, methods=["GET", "HEAD"])
        router.add_api_route("/source", self.order, methods=["POST"])
        router.add_api_route("/dead-letters", self.letters, methods=["GET", "HEAD"])
        router.add_api_route("/dead-letters", self.decide, methods=["POST"])

    def source(self, request: Request, name: Annotated[str, Query(max_length=200)]) -> Response:
        """Show how a source stands."""
        stand = self._lineal.standings()
        known = {one.health.source: one for one in stand.sources}
        if name not in known:
            raise NotFound(f"There is no source {name!r}.", fix=_among(known))
        return self._frame.page(
            "source.html", request, Links(), answer=None, now=stand.at, query="",
            api="/api/v1/health", one=known[name],
            broken=[one for one in stand.broken if one.source == name],
            letters=self._lineal.dead_letters(5, source=name),
            findings=self._lineal.findings(name),
            deeds=[one for one in self._lineal.deeds() if one.source == name][:10],
        )  # fmt: skip

    def order(self, sent: Sent) -> Response:
        """Sweep a source, or let go what is held back of it."""
        said = fields(sent)
        name = said.get("name", "")
        if said.get("do") == "sweep":
            self._lineal.sweep_soon(name)
        elif said.get("do") == "release":
            self._lineal.release(name, actor=actor(said), reason=said.get("reason", ""))
        else:
            raise Invalid("Nothing was asked for.", fix="Use the buttons of the page.")
        return RedirectResponse(address("/source", {"name": name}), 303)

    def letters(
        self, request: Request, source: Annotated[str, Query(max_length=200)] = ""
    ) -> Response:
        """Show what could not be taken in."""
        found = self._lineal.dead_letters(LISTED + 1, source=source or None)
        query = {"source": source, "limit": LISTED}
        return self._frame.page(
            "letters.html", request, Links(), answer=None, now=self._lineal.store.now(), query="",
            api=address("/api/v1/dead-letters", query), source=source,
            letters=found[:LISTED], more=len(found) > LISTED,
        )  # fmt: skip

    def decide(self, sent: Sent) -> Response:
        """Take dead letters up again, or throw them away."""
        said = fields(sent)
        number, source = said.get("id", ""), said.get("source") or None
        ids = [_number(number)] if number else None
        see_one_choice(ids, source, said.get("all") == "yes")
        if said.get("do") == "replay":
            self._lineal.replay(ids=ids, source=source, actor=actor(said))
        elif said.get("do") == "purge":
            reason = said.get("reason", "")
            self._lineal.purge(ids=ids, source=source, actor=actor(said), reason=reason)
        else:
            raise Invalid("Nothing was asked for.", fix="Use the buttons of the page.")
        back = {"source": said.get("page", "")}
        return RedirectResponse(address("/dead-letters", back), 303)


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > _DIGITS:
        raise Invalid(f"{text[:40]!r} is the number of no dead letter.")
    return int(text)


def _among(names: Iterable[str]) -> str:
    return f"Sources are {', '.join(sorted(names)) or 'none'}."

"""The portal: puts the pages of all subjects together, with their files and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from lineal.errors import LinealError, NotFound
from lineal.model import Uri
from lineal.surfaces.crowding import FewAtOnce
from lineal.surfaces.errors_http import request_id, status_of
from lineal.surfaces.portal.counting import Counting
from lineal.surfaces.portal.desk import Desk
from lineal.surfaces.portal.frame import links_of
from lineal.surfaces.portal.joining import Joining
from lineal.surfaces.portal.rules import RulePages
from lineal.surfaces.portal.schemas import Schemas
from lineal.surfaces.portal.searching import Searching
from lineal.surfaces.portal.standing import StandingPages
from lineal.surfaces.portal.thing import Thing
from lineal.surfaces.portal.use import Use
from lineal.surfaces.portal.walks import Walks

if TYPE_CHECKING:
    from lineal.app import Lineal

#: The pages, by what they are of.
SUBJECTS = (Searching, Thing, Walks, Counting, Joining, Use, Schemas, RulePages)
#: Those that walk as far as it goes.
WALKING = (Walks, Counting, Joining, Use, Schemas)


class Portal:
    """The pages over one installation."""

    def __init__(self, lineal: Lineal, few: FewAtOnce) -> None:
        """Of the pages that walk, *few* are made at once."""
        self.lineal, self._few = lineal, few
        self._desk = desk = Desk(lineal)
        self._frame = desk.frame
        self._subjects = [subject(desk) for subject in SUBJECTS]

    def router(self) -> APIRouter:
        """Return every page."""
        router = APIRouter(include_in_schema=False)
        for subject in self._subjects:
            for path, page in subject.pages().items():
                few = [Depends(self._few, scope="function")] if isinstance(subject, WALKING) else []
                router.add_api_route(path, page, methods=["GET", "HEAD"], dependencies=few)
        StandingPages(self.lineal, self._frame).add_to(router)
        RulePages(self._desk).add_to(router)
        router.add_api_route("/static/{name}", self.static, methods=["GET", "HEAD"])
        router.add_api_route("/favicon.ico", self.icon, methods=["GET", "HEAD"])
        return router

    def static(self, name: str) -> Response:
        """Return a stylesheet, the script or the icon."""
        found = self._frame.file(name)
        if found is None:
            raise NotFound("There is no such file.")
        return found

    def icon(self) -> Response:
        """Return the icon to a browser that asks without having read the page."""
        return self.static("favicon.svg")

    def error(self, error: LinealError, request: Request) -> Response:
        """Show what went wrong, why, and what to do."""
        return self._frame.page(
            "error.html", request, links_of(request), status_of(error),
            error=error, status=status_of(error), request_id=request_id(request), api=None,
            nearest=[Uri(text) for text in getattr(error, "nearest", ())],
            answer=None, query=request.query_params.get("q", ""),
        )  # fmt: skip

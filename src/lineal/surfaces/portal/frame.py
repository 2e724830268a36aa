"""What all pages share: the templates, the files beside them, who looks and when."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated

import msgspec
from fastapi import Depends, Query
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lineal.access import visitor
from lineal.errors import InvalidQuery
from lineal.model import Answer, Json, Moment, Viewer, iso
from lineal.query import COMPARABLE, WANTING
from lineal.surfaces import asked
from lineal.surfaces.cuts import worded
from lineal.surfaces.drawing import STYLE, legend
from lineal.surfaces.portal import words
from lineal.surfaces.portal.links import Links, address

if TYPE_CHECKING:
    from lineal.shapes import Shapes

#: The pages of the whole graph, in every header.
WHOLE = (
    ("/shared", "Shared most"),
    ("/unused", "Unused"),
    ("/schema-changes", "Schema changes"),
    ("/rules", "Rules"),
)
_TYPES = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_SHIPPED = ("portal.css", "portal.js", "favicon.svg")


@dataclass(frozen=True, slots=True)
class Sight:
    """Who looks, at which moment, and where the links of the page lead."""

    viewer: Viewer
    moment: Moment
    links: Links

    def pinned(self, answer: Answer[object]) -> Moment:
        """Return the moment of an answer, so that the rest of the page is of the same."""
        now = self.moment.is_now
        if self.moment.known_at is not None:
            return Moment(known_at=answer.known_at, valid_at=answer.valid_at)
        return Moment(known_t=answer.basis_t, valid_at=answer.valid_at, pinned=now)


async def sight(
    known_at: Annotated[str, Query(max_length=64)] = "",
    valid_at: Annotated[str, Query(max_length=64)] = "",
) -> Sight:
    """Return who looks, at which moment."""
    moment = asked.moment(known_at, valid_at)
    return Sight(visitor(), moment, Links(known_at.strip(), valid_at.strip()))


Seen = Annotated[Sight, Depends(sight)]
#: Shows a page.
Page = Callable[..., Response]


class Frame:
    """Renders templates, and serves the files that pages refer to."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._files = _read()
        versions = {
            name: hashlib.sha256(content).hexdigest()[:12] for name, content in self._files.items()
        }
        self._templates = Environment(
            loader=PackageLoader("lineal.surfaces.portal"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            cut=worded,
            moment=words.moment,
            day=words.day,
            clock=words.clock,
            number=words.number,
            spoken=words.spoken,
            time=words.time,
        )
        self._templates.globals.update(
            ago=words.ago,
            count=words.count,
            sign=words.sign,
            states=words.STATES,
            title=self.title,
            plural=self.plural,
            legend=Markup(legend()),  # noqa: S704  # made by our own drawing
            local=local,
            pretty=pretty,
            comparable=frozenset({*COMPARABLE, *WANTING}),
            whole=WHOLE,
            static=lambda name: f"/static/{name}?v={versions[name]}",
        )

    def title(self, name: str) -> str:
        """Return what a type is called."""
        found = self._shapes.types.get(name)
        return found.title if found else words.spoken(name).capitalize()

    def plural(self, name: str) -> str:
        """Return what several of a type are called."""
        found = self._shapes.types.get(name)
        if name == "user":
            return "People"
        if found is None or found.plural == f"{name}s":
            return f"{self.title(name)}s"
        return words.spoken(found.plural).capitalize()

    def page(
        self, template: str, request: Request, links: Links, code: int = 200, **values: object
    ) -> Response:
        """Return a page."""
        names = [name for name in request.query_params if name not in ("known_at", "valid_at")]
        rest = {name: request.query_params.getlist(name) for name in names}
        path = request.scope["path"]
        html = self._templates.get_template(template).render(
            links=links, path=path, rest=rest, here=address(path, rest), **values
        )
        return HTMLResponse(html, code)

    def file(self, name: str) -> Response | None:
        """Return a file that pages refer to by its version, so that it may be kept for good."""
        content = self._files.get(name)
        if content is None:
            return None
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(content, 200, headers, _TYPES[name.rpartition(".")[2]])


def _read() -> dict[str, bytes]:
    folder = files("lineal.surfaces.portal") / "static"
    found = {name: (folder / name).read_bytes() for name in _SHIPPED}
    return {**found, "drawing.css": STYLE.encode()}


def links_of(request: Request) -> Links:
    """Return the links of a page that went wrong: its times only if they can be read."""
    known, valid = (request.query_params.get(name, "") for name in ("known_at", "valid_at"))
    try:
        asked.moment(known, valid)
    except InvalidQuery:
        return Links()
    return Links(known, valid)


def local(text: str) -> str:
    """
    Return a time as the field of a form takes it, to the second; what is no time stays as it is.

    >>> local("2026-11-23T06:40:00.25Z"), local("t:7")
    ('2026-11-23T06:40:00', 't:7')
    """
    try:
        known = asked.moment(text).known_at
    except InvalidQuery:
        return text
    return text if known is None else iso(known)[:19]


def pretty(value: Json) -> str:
    """Return a value as JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()

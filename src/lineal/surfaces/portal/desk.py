"""What every page works with: the questions, the frame, the head of a thing, its picture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from fastapi import Query, Request
from markupsafe import Markup
from starlette.responses import Response

from lineal.model import SCHEME, Answer, Entity, Instant, Layer, Moment, State, Uri
from lineal.normalise import EARLIEST
from lineal.query import Brief, Described, Lineage, Neighbour
from lineal.surfaces import asked
from lineal.surfaces.drawing import layout, svg_inline
from lineal.surfaces.picture import shown
from lineal.surfaces.portal import views
from lineal.surfaces.portal.frame import Frame, Sight
from lineal.surfaces.portal.links import Links
from lineal.surfaces.portal.words import count, markdown

if TYPE_CHECKING:
    from lineal.app import Lineal

#: How many hits a page of results holds.
PAGE = 20
#: The most things that are drawn; more are listed.
DRAWN = 300
#: How many relations of a thing are read; without all of them nobody says that it has no owner.
RELATIONS = 2_000
#: From when on what changed is shown unless another time is asked for.
WEEK = 7 * 86_400_000_000
#: What need not be owned.
UNOWNED = ("user", "team", "domain", "source")
#: Up to which width a picture is made smaller to fit a page, and how much at most.
_SIZES = ((1_000, "size-s"), (1_500, "size-m"), (1_900, "size-l"))

UriParam = Annotated[str, Query()]


class Picture(NamedTuple):
    """A picture, and the class that says how it fits the page."""

    svg: Markup
    size: str


class Desk:
    """What the pages of every subject share."""

    def __init__(self, lineal: Lineal) -> None:
        self.lineal = lineal
        self.ask, self.shapes = lineal.ask, lineal.shapes
        self.frame = Frame(lineal.shapes)

    def page(
        self, template: str, request: Request, seen: Sight, answer: Answer[Any], **values: Any
    ) -> Response:
        """Return a page that shows an answer."""
        return self.frame.page(
            template, request, seen.links, answer=answer, now=answer.known_at,
            query=request.query_params.get("q", ""), **values,
        )  # fmt: skip

    def head(self, seen: Sight, uri: str) -> tuple[Answer[Described], dict[str, Any]]:
        """Ask what the head of every page of a thing shows."""
        answer = self.ask.get(seen.viewer, Uri(uri), seen.moment)
        pinned = seen.pinned(answer)
        entity = answer.value
        # A page shows suggestions too, marked as what they are.
        neighbours = self.ask.neighbours(
            seen.viewer, entity.uri, pinned, limit=RELATIONS, layers=frozenset(Layer)
        )
        owners = views.joined(neighbours.value, "owned_by")
        inherited = None
        if not owners:
            inherited, owners = self._owners_of_wholes(seen, pinned, neighbours.value, entity)
        description = entity.attributes.get("description")
        head = {
            "entity": entity,
            "owners": owners,
            "inherited": inherited,
            "unowned": not owners and neighbours.complete and _should_be_owned(entity),
            "domains": views.joined(neighbours.value, "in_domain"),
            "tags": _texts(entity.attributes.get("tags")),
            "description": markdown(description) if isinstance(description, str) else None,
            "neighbours": neighbours,
        }
        return answer, head

    def _owners_of_wholes(
        self, seen: Sight, moment: Moment, neighbours: tuple[Neighbour, ...], entity: Entity
    ) -> tuple[Brief | None, list[Neighbour]]:
        """A part without owners has its whole's."""
        for whole in views.wholes(neighbours, entity, self.shapes):
            found = self.ask.neighbours(seen.viewer, whole, moment)
            owners = views.joined(found.value, "owned_by")
            if owners:
                brief = next(one.other for one in neighbours if one.other.uri == whole)
                return brief, owners
        return None, []

    def drawn(self, lineage: Lineage, links: Links, only: set[Uri], title: str) -> Picture:
        """Draw some things of a lineage, each leading to its page."""
        drawn = shown(lineage, self.shapes, only=only, href=links.entity)
        picture = layout(drawn.nodes, drawn.links, focus=drawn.focus)
        description = (
            f"{count(len(picture.places), 'thing')} and {count(len(picture.routes), 'relation')}, "
            "from left to right in the direction in which data goes."
        )
        svg = svg_inline(picture, title=title, description=description)
        size = next((name for width, name in _SIZES if picture.width <= width), "size-own")
        return Picture(Markup(svg), size)  # noqa: S704  # the drawing escapes

    def meant(self, seen: Sight, text: str, moment: Moment) -> tuple[Uri | None, tuple[Brief, ...]]:
        """Return what a text means: a URI, or what alone is called so; else what it may mean."""
        text = text.strip()
        if not text:
            return None, ()
        if text.startswith(SCHEME):
            return Uri(text), ()
        quoted = text.replace('"', " ")
        hits = self.ask.search(seen.viewer, f'"{quoted}"', moment, limit=PAGE).value.hits
        named = [hit for hit in hits if hit.name == text]
        if len(named) == 1 or len(hits) == 1:
            return (named or hits)[0].uri, ()
        return None, hits

    def moments(
        self, seen: Sight, answer: Answer[Any], earlier: str, later: str, along: str = "known"
    ) -> tuple[Moment, Moment]:
        """
        Return two moments: of two states of knowledge, or of two times as known by one.

        Where it is not said, the second is that of *answer*, the first a week before the second.
        """
        here = seen.pinned(answer)
        if along == "valid":
            last = self._instant(seen, later) if later.strip() else answer.valid_at
            first = self._instant(seen, earlier) if earlier.strip() else _week_before(last)
            after = replace(here, valid_at=last, pinned=False) if later.strip() else here
            return replace(here, valid_at=first, pinned=False), after
        valid_at = seen.links.valid_at
        after = asked.moment(later, valid_at) if later.strip() else here
        if earlier.strip():
            return asked.moment(earlier, valid_at), after
        known_at = self._known_at(seen, after) if later.strip() else answer.known_at
        return replace(asked.moment("", valid_at), known_at=_week_before(known_at)), after

    def _instant(self, seen: Sight, text: str) -> Instant:
        """Return the instant that a text names, by itself or as that of a transaction."""
        if text.strip().startswith("t:"):
            return self._known_at(seen, asked.moment(text))
        at = asked.moment(valid_at=text).valid_at
        assert at is not None
        return at

    def _known_at(self, seen: Sight, moment: Moment) -> Instant:
        """Return the instant by which something was recorded."""
        if moment.known_at is not None:
            return moment.known_at
        return self.ask.recent(seen.viewer, moment, limit=1).known_at


def times(seen: Sight) -> dict[str, str]:
    """Return the two times of a page as its API takes them."""
    return {"known_at": seen.links.known_at, "valid_at": seen.links.valid_at}


def _week_before(at: Instant) -> Instant:
    return max(EARLIEST, at - WEEK)


def _should_be_owned(entity: Entity) -> bool:
    gone = entity.state in (
        State.DELETED, State.MISSING, State.FORGOTTEN, State.NOT_OBSERVED,
    )  # fmt: skip
    return not gone and entity.type not in UNOWNED


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []

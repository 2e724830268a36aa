"""The pages: each asks what it shows and hands it to its template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Depends, Query, Request
from markupsafe import Markup
from starlette.responses import Response

from lineal.errors import InvalidQuery, LinealError, NotFound
from lineal.model import SCHEME, Answer, Budget, Entity, Moment, State, Uri, iso
from lineal.query import OF, Ask, Brief, Differences, Lineage, Neighbour
from lineal.search import parse
from lineal.search.language import FILTERS
from lineal.surfaces import asked, formats
from lineal.surfaces.drawing import layout, svg_inline
from lineal.surfaces.errors_http import request_id, status_of
from lineal.surfaces.picture import label, shown
from lineal.surfaces.portal import finding, views
from lineal.surfaces.portal.frame import Frame, Sight, links_of, sight
from lineal.surfaces.portal.links import Links, address
from lineal.surfaces.portal.standing import StandingPages
from lineal.surfaces.portal.words import count, markdown
from lineal.surfaces.walking import asked_change

if TYPE_CHECKING:
    from lineal.app import Lineal

#: The most things that are drawn; more are listed.
DRAWN = 300
#: How far a lineage is walked to count what is beyond the picture.
WALKED = Budget(nodes=1_000, milliseconds=1_500)
#: The little picture on a thing's own page.
GLANCED = Budget(depth=1, nodes=500, edges=2_000, milliseconds=500)
GLANCED_EACH = 5
PAGE = 20
#: How many ways between two things are told.
WAYS = 5
#: From when on the changes of a thing are shown unless another time is asked for.
WEEK = 7 * 86_400_000_000
#: How many relations of a thing are read; without all of them nobody says that it has no owner.
RELATIONS = 2_000
#: What need not be owned.
UNOWNED = ("user", "team", "domain", "source")

Seen = Annotated[Sight, Depends(sight)]
UriParam = Annotated[str, Query()]


#: Up to which width a picture is made smaller to fit a page, and how much at most.
_SIZES = ((1_000, "size-s"), (1_500, "size-m"), (1_900, "size-l"))


class Picture(NamedTuple):
    """A picture, and the class that says how it fits the page."""

    svg: Markup
    size: str


class Portal:
    """The pages over one installation."""

    def __init__(self, lineal: Lineal) -> None:
        self.lineal = lineal
        self._ask, self._shapes = lineal.ask, lineal.shapes
        self._frame = Frame(lineal.shapes)

    def router(self) -> APIRouter:
        """Return every page."""
        router = APIRouter(include_in_schema=False)
        pages: dict[str, Callable[..., Response]] = {
            "/": self.home,
            "/search": self.search,
            "/entity": self.entity,
            "/lineage": self.lineage,
            "/impact": self.impact,
            "/between": self.between,
            "/common": self.common,
            "/history": self.history,
            "/changes": self.changes,
            "/facts": self.facts,
            "/edge": self.edge,
            "/static/{name}": self.static,
            "/favicon.ico": self.icon,
        }
        for path, page in pages.items():
            router.add_api_route(path, page, methods=["GET", "HEAD"])
        StandingPages(self.lineal, self._frame).add_to(router)
        return router

    # ── Home and search ──────────────────────────────────────────────────────────────────────

    def home(self, request: Request, seen: Seen) -> Response:
        """Show what there is, and how fresh it is."""
        counts = self._ask.counts(seen.viewer, seen.moment)
        domains = [
            (name, [(kind, counts.value[kind]) for kind in kinds if counts.value.get(kind)])
            for name, kinds in self._shapes.domains.items()
        ]
        known = {kind for _, kinds in domains for kind, _ in kinds}
        other = [(kind, many) for kind, many in counts.value.items() if kind not in known]
        return self._page(
            "home.html", request, seen, counts,
            api=address("/api/v1/counts", _times(seen)),
            domains=[(name, kinds) for name, kinds in (*domains, ("other", other)) if kinds],
            total=sum(counts.value.values()),
            sources=self.lineal.standings().sources,
            base=str(request.base_url).rstrip("/"),
        )  # fmt: skip

    def search(
        self,
        request: Request,
        seen: Seen,
        q: Annotated[str, Query(max_length=1_000)] = "",
        page: Annotated[int, Query(ge=1, le=5_000)] = 1,
    ) -> Response:
        """Show what fits a text."""
        text = q.strip()
        first = (page - 1) * PAGE
        found = self._ask.search(seen.viewer, text, seen.moment, limit=PAGE, offset=first)
        query = parse(text)
        empty = not found.value.hits and page == 1
        return self._page(
            "search.html", request, seen, found,
            api=address("/api/v1/search", {"q": text, "limit": PAGE, **_times(seen)}),
            text=text, page=page, first=first, size=PAGE,
            active=finding.filters(query),
            facets=_facets(text, found.value.facets, query.wanted),
            help=finding.helped(text, query, self._searcher(seen)) if empty and text else None,
            adding=finding.adding, without=finding.without, filters=FILTERS,
        )  # fmt: skip

    def _searcher(self, seen: Sight) -> finding.Search:
        def search(text: str, limit: int) -> Answer[Any]:
            return self._ask.search(seen.viewer, text, seen.moment, limit=limit)

        return search

    # ── One thing ────────────────────────────────────────────────────────────────────────────

    def entity(self, request: Request, seen: Seen, uri: UriParam) -> Response:
        """Show a thing: what it is, who owns it, what it is joined to."""
        answer, head = self._head(seen, uri)
        pinned = seen.pinned(answer)
        around = self._ask.lineage(
            seen.viewer, [answer.value.uri], pinned, up=1, down=1, ask=Ask(GLANCED)
        )
        neighbours = head.pop("neighbours")
        relations = [
            one for one in views.relations(neighbours.value, self._shapes)
            if one.name not in views.ELSEWHERE
        ]  # fmt: skip
        return self._page(
            "entity.html", request, seen, answer, **head,
            api=address("/api/v1/entities", {"uri": answer.value.uri, **_times(seen)}),
            facts=views.facts(answer.value, self._shapes),
            glance=self._glance(around, seen.links),
            relations=relations, related_count=sum(len(one.neighbours) for one in relations),
            neighbours=neighbours,
            names=self._ask.names(seen.viewer, answer.value.uri, pinned).value,
        )  # fmt: skip

    def _head(self, seen: Sight, uri: str) -> tuple[Answer[Entity], dict[str, Any]]:
        """Ask what the head of every page of a thing shows."""
        answer = self._ask.get(seen.viewer, Uri(uri), seen.moment)
        pinned = seen.pinned(answer)
        entity = answer.value
        neighbours = self._ask.neighbours(seen.viewer, entity.uri, pinned, limit=RELATIONS)
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
        for whole in views.wholes(neighbours, entity, self._shapes):
            found = self._ask.neighbours(seen.viewer, whole, moment)
            owners = views.joined(found.value, "owned_by")
            if owners:
                brief = next(one.other for one in neighbours if one.other.uri == whole)
                return brief, owners
        return None, []

    def _glance(self, around: Answer[Lineage], links: Links) -> Picture | None:
        """Return the little picture, if there is anything beside the thing itself."""
        if len(around.value.nodes) < 2:
            return None
        only = views.nearest(around.value, GLANCED_EACH)
        return self._drawn(around.value, links, only, "Nearest lineage")

    def _drawn(self, lineage: Lineage, links: Links, only: set[Uri], title: str) -> Picture:
        drawn = shown(lineage, self._shapes, only=only, href=links.entity)
        picture = layout(drawn.nodes, drawn.links, focus=drawn.focus)
        description = (
            f"{count(len(picture.places), 'thing')} and {count(len(picture.routes), 'relation')}, "
            "from left to right in the direction in which data goes."
        )
        svg = svg_inline(picture, title=title, description=description)
        size = next((name for width, name in _SIZES if picture.width <= width), "size-own")
        return Picture(Markup(svg), size)  # noqa: S704  # the drawing escapes

    def facts(self, request: Request, seen: Seen, uri: UriParam) -> Response:
        """Show each source's own word on a thing."""
        answer, head = self._head(seen, uri)
        api = address("/api/v1/entities", {"uri": answer.value.uri, **_times(seen)})
        told = formats.entity(answer)["value"]
        return self._page("facts.html", request, seen, answer, **head, api=api, told=told)

    def history(self, request: Request, seen: Seen, uri: UriParam) -> Response:
        """Show what happened to a thing."""
        answer, head = self._head(seen, uri)
        told = self._ask.history(seen.viewer, answer.value.uri, seen.pinned(answer))
        return self._page(
            "history.html", request, seen, told, **head,
            api=address("/api/v1/history", {"uri": answer.value.uri, **_times(seen)}),
            turns=views.turns(told.value),
        )  # fmt: skip

    def changes(
        self,
        request: Request,
        seen: Seen,
        uri: UriParam,
        earlier: Annotated[str, Query(alias="from", max_length=64)] = "",
        later: Annotated[str, Query(alias="to", max_length=64)] = "",
        along: Annotated[Literal["known", "valid", ""], Query()] = "",
    ) -> Response:
        """Show what differs of a thing, and of what it is joined to, between two moments."""
        answer, head = self._head(seen, uri)
        before, after = _moments(seen.pinned(answer), answer, earlier, later, along)
        told = self._ask.diff(seen.viewer, answer.value.uri, before, after)
        first = told.value.before
        return self._page(
            "changes.html", request, seen, told, **head,
            api=_difference_api(answer.value.uri, told),
            told=told.value, causes=views.causes(told.value), along=along or "known",
            earlier=earlier.strip() or iso(first.valid_at if along == "valid" else first.known_at),
            later=later.strip(),
        )  # fmt: skip

    # ── Walks ────────────────────────────────────────────────────────────────────────────────

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
        answer, head = self._head(seen, uri)
        ask = Ask(WALKED, grain or None, columns=columns)
        told = self._ask.lineage(seen.viewer, [answer.value.uri], seen.pinned(answer), ask=ask)
        steps = _steps("up", up), _steps("down", down)
        inside = views.within(told.value, *steps)
        chosen: dict[str, object] = {"up": up, "down": down, "grain": grain, "view": view}
        chosen |= {"columns": int(columns) or None, "fit": int(fit) or None}
        return self._page(
            "lineage.html", request, seen, told, **head,
            api=address("/api/v1/lineage", _walk_api(answer.value.uri, steps, grain, seen)),
            sides=[
                views.side(told.value, name, far, cut=_is_cut(told, word))
                for name, far, word in zip(("up", "down"), steps, _WORDS, strict=True)
            ],
            inside=inside, drawn=inside[:DRAWN], limit=DRAWN,
            lineage=told.value, view=view or "graph", columns=columns, fit=fit,
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
            labels = {arrow: label(arrow, self._shapes) for arrow in told.value.arrows}
            return {"rows": views.rows(told.value, inside, labels), "picture": None}
        only = {node.thing.uri for node in inside[:DRAWN]}
        title = f"Lineage of {entity.name}"
        return {"rows": (), "picture": self._drawn(told.value, seen.links, only, title)}

    def impact(
        self,
        request: Request,
        seen: Seen,
        uri: UriParam,
        change: Annotated[str, Query(max_length=20)] = "",
    ) -> Response:
        """Show what a change would touch, and who must be told."""
        answer, head = self._head(seen, uri)
        uri = answer.value.uri
        meant = asked_change(change or None, None)
        told = self._ask.impact(seen.viewer, [Uri(uri)], seen.pinned(answer), change=meant)
        return self._page(
            "impact.html", request, seen, told, **head,
            api=address("/api/v1/impact", {"uri": uri, "change": change, **_times(seen)}),
            impact=told.value, change=change,
            changes=[what for what, of in OF.items() if answer.value.type in of],
            live={hit.thing for hit in told.value.hits if hit.live},
            other=lambda what: seen.links.to("/impact", uri=uri, change=what),
        )  # fmt: skip

    def between(
        self,
        request: Request,
        seen: Seen,
        start: Annotated[str, Query(alias="from")],
        end: Annotated[str, Query(alias="to", max_length=2_100)] = "",
    ) -> Response:
        """Show by which ways one of two things feeds the other, and all that lies on them."""
        first, _ = self._head(seen, start)
        moment, uri = seen.pinned(first), first.value.uri
        other, hits = self._meant(seen, end, moment)
        ways = lying = None
        if other is not None:
            ways = self._ask.paths(seen.viewer, uri, other, moment, k=WAYS)
            lying = self._ask.between(seen.viewer, uri, other, moment, ask=Ask(WALKED))
        drawn = None
        if lying is not None and lying.value.arrows:
            only = {node.thing.uri for node in lying.value.nodes[:DRAWN]}
            drawn = self._drawn(lying.value, seen.links, only, "What lies between")
        labels = {} if ways is None else {
            arrow: label(arrow, self._shapes) for way in ways.value for arrow in way.arrows
        }  # fmt: skip
        return self._page(
            "between.html", request, seen, first if lying is None else lying,
            api=None if other is None else address(
                "/api/v1/between", {"from": uri, "to": other, **_times(seen)}
            ),
            focus=first.value, text=end, hits=hits, ways=ways, lying=lying, picture=drawn,
            labels=labels, limit=DRAWN,
            between_to=lambda to: seen.links.to("/between", **{"from": uri, "to": to}),
            briefs={} if lying is None else {n.thing.uri: n.thing for n in lying.value.nodes},
        )  # fmt: skip

    def common(
        self,
        request: Request,
        seen: Seen,
        uri: Annotated[list[str], Query(max_length=20)],
        end: Annotated[str, Query(alias="to", max_length=2_100)] = "",
        side: Annotated[Literal["upstream", "downstream", ""], Query()] = "",
    ) -> Response:
        """Show what several things have in common."""
        first, _ = self._head(seen, uri[0])
        moment = seen.pinned(first)
        other, hits = self._meant(seen, end, moment)
        starts = [Uri(one) for one in uri] + ([] if other is None else [other])
        starts = list(dict.fromkeys(starts))
        told = None
        if len(starts) > 1:
            told = self._ask.common(
                seen.viewer, starts, moment, upstream=side != "downstream", ask=Ask(WALKED)
            )
        query: dict[str, object] = {"uri": starts, "side": side or "upstream"}
        return self._page(
            "common.html", request, seen, first if told is None else told,
            api=None if told is None else address("/api/v1/common", {**query, **_times(seen)}),
            focus=first.value, text=end if other is None else "", hits=hits, told=told,
            starts=starts, side=side or "upstream",
            common_to=lambda one: seen.links.to("/common", **{**query, "uri": [*starts, one]}),
            to=lambda **changes: seen.links.to("/common", **{**query, **changes}),
        )  # fmt: skip

    def _meant(
        self, seen: Sight, text: str, moment: Moment
    ) -> tuple[Uri | None, tuple[Brief, ...]]:
        """Return what a text means: a URI, or what alone is called so; else what it may mean."""
        text = text.strip()
        if not text:
            return None, ()
        if text.startswith(SCHEME):
            return Uri(text), ()
        quoted = text.replace('"', " ")
        hits = self._ask.search(seen.viewer, f'"{quoted}"', moment, limit=PAGE).value.hits
        named = [hit for hit in hits if hit.name == text]
        if len(named) == 1 or len(hits) == 1:
            return (named or hits)[0].uri, ()
        return None, hits

    def edge(
        self,
        request: Request,
        seen: Seen,
        start: Annotated[str, Query(alias="from")],
        kind: Annotated[str, Query(max_length=64)],
        end: Annotated[str, Query(alias="to")],
    ) -> Response:
        """Show why an edge is believed."""
        told = self._ask.explain(seen.viewer, Uri(start), kind, Uri(end), seen.moment)
        query = {"from": start, "kind": kind, "to": end, **_times(seen)}
        return self._page(
            "edge.html", request, seen, told,
            api=address("/api/v1/edges/explain", query), told=told.value,
            kind=self._shapes.kinds[told.value.edge.kind],
        )  # fmt: skip

    # ── Files and errors ─────────────────────────────────────────────────────────────────────

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

    def _page(
        self, template: str, request: Request, seen: Sight, answer: Answer[Any], **values: Any
    ) -> Response:
        return self._frame.page(
            template, request, seen.links, answer=answer, now=answer.known_at,
            query=request.query_params.get("q", ""), **values,
        )  # fmt: skip


_WORDS = ("upstream", "downstream")


def _times(seen: Sight) -> dict[str, str]:
    return {"known_at": seen.links.known_at, "valid_at": seen.links.valid_at}


def _moments(
    here: Moment, answer: Answer[Any], earlier: str, later: str, along: str
) -> tuple[Moment, Moment]:
    """Return two moments: of two states of knowledge, or of two times as known by one."""
    if along == "valid":
        first = asked.moment(valid_at=earlier).valid_at
        last = asked.moment(valid_at=later).valid_at
        first = answer.valid_at - WEEK if first is None else first
        return replace(here, valid_at=first, pinned=False), here if last is None else replace(
            here, valid_at=last, pinned=False
        )
    after = asked.moment(later) if later.strip() else here
    if earlier.strip():
        return asked.moment(earlier), after
    return Moment(known_at=(after.known_at or answer.known_at) - WEEK), after


def _difference_api(uri: Uri, told: Answer[Differences]) -> str:
    before, after = told.value.before, told.value.after
    query = {
        "uri": uri,
        "from_known_at": f"t:{before.t}", "from_valid_at": iso(before.valid_at),
        "known_at": f"t:{after.t}", "valid_at": iso(after.valid_at),
    }  # fmt: skip
    return address("/api/v1/diff", query)


def _walk_api(uri: Uri, steps: tuple[int, int], grain: str, seen: Sight) -> dict[str, object]:
    return {"uri": uri, "up": steps[0], "down": steps[1], "grain": grain, **_times(seen)}


def _steps(name: str, text: str) -> int:
    """Return how many steps one side is shown."""
    if text == "all":
        return WALKED.depth
    if not text.isdecimal():
        raise InvalidQuery(f"{name} is {text!r}.", fix="Give a number of steps, or all.")
    return min(int(text), WALKED.depth)


def _should_be_owned(entity: Entity) -> bool:
    gone = entity.state in (
        State.DELETED, State.MISSING, State.FORGOTTEN, State.NOT_OBSERVED,
    )  # fmt: skip
    return not gone and entity.type not in UNOWNED


def _is_cut(answer: Answer[Any], word: str) -> bool:
    return any(reason.startswith(word) for reason in answer.why)


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _facets(
    text: str, facets: dict[str, dict[str, int]], wanted: Any
) -> list[tuple[str, list[tuple[str, int, bool, str]]]]:
    """Return each facet's values with their counts, and the search that a click leads to."""
    found = []
    for name, values in facets.items():
        chosen = wanted.get(name, frozenset())
        lines = [
            (
                value, many, value in chosen,
                finding.without(text, name, value)
                if value in chosen else finding.adding(text, name, value),
            )
            for value, many in list(values.items())[:12]
        ]  # fmt: skip
        if lines:
            found.append((name, lines))
    return found

"""The REST API: each endpoint parses a request, asks one question and formats its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from lineal.access import visitor
from lineal.errors import InvalidQuery
from lineal.model import Answer, Budget, Moment, Uri, Viewer
from lineal.query import Ask, Lineage, Questions
from lineal.surfaces import asked, differing, formats
from lineal.surfaces import rest_models as models
from lineal.surfaces.drawing import layout as arranged
from lineal.surfaces.picture import shown
from lineal.surfaces.rest_differences import Differences

if TYPE_CHECKING:
    from lineal.app import Lineal

PREFIX = "/api/v1"
_MOST = Budget()

_URI = "A URI such as `mlg://model/registry/ranking`."
UriParam = Annotated[str, Query(description=_URI)]
From = Annotated[str, Query(alias="from", description=_URI)]
To = Annotated[str, Query(alias="to", description=_URI)]
Limit = Annotated[int, Query(ge=0, le=500, description="At most so many.")]


def json_response(value: object, status: int = 200) -> Response:
    """Return a value as a JSON answer."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return how OpenAPI describes the errors that an endpoint may answer with."""
    schema = {"$ref": "#/components/schemas/Problem"}
    content = {"application/problem+json": {"schema": schema}}
    texts = {
        400: "The body cannot be read.",
        404: "Nothing has this URI.",
        413: "The body is above a limit.",
        415: "The body is of a type or encoding that is not read.",
        422: "An argument is not well formed.",
        500: "The database is damaged.",
        503: "The database cannot be used for now.",
        507: "There is no room left for the database.",
    }
    return {code: {"description": texts[code], "content": content} for code in codes}


# ── What every read takes ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Reading:
    """Who asks, about when."""

    viewer: Viewer
    moment: Moment


def reading(
    known_at: Annotated[
        str | None,
        Query(description="As recorded by then: ISO 8601, or a transaction as `t:123`."),
    ] = None,
    valid_at: Annotated[
        str | None, Query(description="As it was so at that time: ISO 8601.")
    ] = None,
) -> Reading:
    """Return who asks, about when."""
    return Reading(visitor(), asked.moment(known_at, valid_at))


Read = Annotated[Reading, Depends(reading)]


def earlier(
    from_known_at: Annotated[
        str | None,
        Query(description="The first moment, as recorded by then: ISO 8601, or `t:123`."),
    ] = None,
    from_valid_at: Annotated[
        str | None, Query(description="The first moment, as it was so at that time: ISO 8601.")
    ] = None,
) -> Moment:
    """Return the first of two moments; the second is that of every read."""
    if not from_known_at and not from_valid_at:
        raise InvalidQuery(
            "It is not said from when on.", fix="Give from_known_at, from_valid_at, or both."
        )
    return asked.moment(from_known_at, from_valid_at)


Earlier = Annotated[Moment, Depends(earlier)]


def way(
    request: Request,
    grain: Annotated[
        Literal["logical", "exact"] | None,
        Query(description="How fine; unless given, as fits the start."),
    ] = None,
    layers: Annotated[
        list[str] | None,
        Query(description="Only edges of these layers; several, or parted by commas."),
    ] = None,
    kinds: Annotated[
        list[str] | None,
        Query(description="Only edges of these kinds; several, or parted by commas."),
    ] = None,
    columns: Annotated[bool, Query(description="Show columns, not their data sets.")] = False,
    depth: Annotated[int, Query(ge=0, le=_MOST.depth)] = _MOST.depth,
    nodes: Annotated[int, Query(ge=1, le=_MOST.nodes)] = _MOST.nodes,
    edges: Annotated[int, Query(ge=1, le=_MOST.edges)] = _MOST.edges,
    ms: Annotated[int, Query(ge=1, le=_MOST.milliseconds)] = _MOST.milliseconds,
) -> Ask:
    """Return how a walk is asked for."""
    lineal: Lineal = request.app.state.lineal
    names = [lineal.shapes.kind_of(name)[0].name for name in sorted(asked.words(kinds))]
    chosen = asked.layers(layers)
    return Ask(
        Budget(depth, nodes, edges, ms),
        grain,
        frozenset(names) or None,
        chosen or Ask().layers,
        columns,
    )


Way = Annotated[Ask, Depends(way)]


# ── The endpoints ────────────────────────────────────────────────────────────────────────────────


def router(lineal: Lineal) -> APIRouter:
    """Return every endpoint that reads."""
    api = APIRouter(prefix=PREFIX)
    _add_things(api, lineal.ask)
    _add_finding(api, lineal)
    _add_walks(api, lineal)
    _add_differences(api, lineal.ask)
    _add_thirteen(api, lineal.ask)
    _add_standing(api, lineal)
    return api


def _answered(model: type[models._Model], *codes: int) -> dict[str, Any]:
    """Return what OpenAPI says of an endpoint's answers."""
    return {"response_model": model, "responses": problems(*codes, 422, 503)}


def _add_things(api: APIRouter, ask: Questions) -> None:
    @api.get("/entities", tags=["things"], **_answered(models.Answered[models.Entity], 404))
    def entity(uri: UriParam, read: Read) -> Response:
        """Return a thing as all its sources together say, and each source's own word."""
        return json_response(formats.entity(ask.get(read.viewer, Uri(uri), read.moment)))

    @api.get(
        "/entities/neighbours",
        tags=["things"],
        **_answered(models.Answered[list[models.Neighbour]], 404),
    )
    def neighbours(uri: UriParam, read: Read, limit: Limit = 500) -> Response:
        """Return what a thing is joined to, by which relation, and who says so."""
        answer = ask.neighbours(read.viewer, Uri(uri), read.moment, limit=limit)
        return json_response(formats.neighbours(answer))

    @api.get(
        "/edges/explain", tags=["things"], **_answered(models.Answered[models.Explanation], 404)
    )
    def explain(
        start: From,
        kind: str,
        end: To,
        read: Read,
    ) -> Response:
        """Return why an edge is believed; a kind may be given by its inverse."""
        answer = ask.explain(read.viewer, Uri(start), kind, Uri(end), read.moment)
        return json_response(formats.explanation(answer))

    @api.get("/history", tags=["things"], **_answered(models.Answered[list[models.Happening]], 404))
    def history(uri: UriParam, read: Read, limit: Limit = 200) -> Response:
        """Return what happened to a thing, newest first."""
        answer = ask.history(read.viewer, Uri(uri), read.moment, limit=limit)
        return json_response(formats.history(answer))


def _add_finding(api: APIRouter, lineal: Lineal) -> None:
    ask = lineal.ask

    @api.get("/search", tags=["finding"], **_answered(models.Answered[models.Found]))
    def search(
        read: Read,
        q: Annotated[
            str,
            Query(description='Such as `type:model owner:team-rank "weekly ranking" -tag:old`.'),
        ] = "",
        limit: Limit = 50,
        offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
    ) -> Response:
        """Return what fits a text, best match first, and counts of its facets."""
        answer = ask.search(read.viewer, q, read.moment, limit=limit, offset=offset)
        return json_response(formats.found(answer))

    @api.get("/counts", tags=["finding"], **_answered(models.Answered[dict[str, int]]))
    def counts(read: Read) -> Response:
        """Return how many things of each type are known."""
        return json_response(formats.counts(ask.counts(read.viewer, read.moment)))

    @api.get("/types", tags=["finding"], response_model=models.Types)
    def types() -> Response:
        """Return every type and every kind of edge, as declared."""
        return json_response(formats.shapes(lineal.shapes))


def _add_walks(api: APIRouter, lineal: Lineal) -> None:
    ask = lineal.ask

    @api.get("/lineage", tags=["walks"], **_answered(models.Answered[models.Lineage], 404))
    def lineage(
        uri: Annotated[list[str], Query(description="One start, or several.", max_length=100)],
        read: Read,
        way: Way,
        up: Annotated[int, Query(ge=0, le=20, description="Steps upstream.")] = 20,
        down: Annotated[int, Query(ge=0, le=20, description="Steps downstream.")] = 20,
        layout: Annotated[bool, Query(description="Say where each thing stands.")] = False,
    ) -> Response:
        """Return what things were made from and what is made from them."""
        starts = [Uri(one) for one in uri]
        answer = ask.lineage(read.viewer, starts, read.moment, up=up, down=down, ask=way)
        return json_response(formats.lineage(answer, _places(lineal, answer) if layout else None))

    @api.get("/paths", tags=["walks"], **_answered(models.Answered[list[models.Path]], 404))
    def paths(
        start: From,
        end: To,
        read: Read,
        way: Way,
        k: Annotated[int, Query(ge=1, le=20)] = 3,
    ) -> Response:
        """Return the shortest ways by which one of two things feeds the other."""
        answer = ask.paths(read.viewer, Uri(start), Uri(end), read.moment, k=k, ask=way)
        return json_response(formats.paths(answer))

    @api.get("/impact", tags=["walks"], **_answered(models.Answered[models.Impact], 404))
    def impact(
        uri: Annotated[list[str], Query(description="One thing, or several.", max_length=100)],
        read: Read,
        way: Way,
        limit: Limit = 500,
    ) -> Response:
        """Return what a change would touch, worst first, and who must be told."""
        things = [Uri(one) for one in uri]
        answer = ask.impact(read.viewer, things, read.moment, ask=way, limit=limit)
        return json_response(formats.impact(answer))


def _add_differences(api: APIRouter, ask: Questions) -> None:
    answered = models.Answered[Differences]

    @api.get("/diff", tags=["differences"], **_answered(answered, 404))
    def diff(uri: UriParam, earlier: Earlier, read: Read, limit: Limit = 500) -> Response:
        """Return what differs of a thing and what it is joined to, between two moments."""
        told = ask.diff(read.viewer, Uri(uri), earlier, read.moment, limit=limit)
        return json_response(differing.differences(told))

    @api.get("/diff/lineage", tags=["differences"], **_answered(answered, 404))
    def diff_lineage(
        uri: Annotated[list[str], Query(description="One start, or several.", max_length=100)],
        earlier: Earlier,
        read: Read,
        way: Way,
        up: Annotated[int, Query(ge=0, le=20, description="Steps upstream.")] = 20,
        down: Annotated[int, Query(ge=0, le=20, description="Steps downstream.")] = 20,
        limit: Limit = 500,
    ) -> Response:
        """Return what differs of a lineage, between two moments."""
        starts = [Uri(one) for one in uri]
        told = ask.diff_lineage(
            read.viewer, starts, earlier, read.moment, up=up, down=down, ask=way, limit=limit
        )
        return json_response(differing.differences(told))

    @api.get("/diff/type", tags=["differences"], **_answered(answered))
    def diff_type(
        name: Annotated[str, Query(alias="type", description="A type such as `dataset`.")],
        earlier: Earlier,
        read: Read,
        limit: Limit = 500,
    ) -> Response:
        """Return what differs of all things of a type and their edges, between two moments."""
        told = ask.diff_type(read.viewer, name, earlier, read.moment, limit=limit)
        return json_response(differing.differences(told))


def _places(lineal: Lineal, answer: Answer[Lineage]) -> dict[str, tuple[float, float]]:
    """Return where each thing of a lineage stands when it is drawn."""
    drawn = shown(answer.value, lineal.shapes)
    picture = arranged(drawn.nodes, drawn.links, focus=drawn.focus)
    return {place.node.id: (place.x, place.y) for place in picture.places}


def _add_thirteen(api: APIRouter, ask: Questions) -> None:
    """Add the thirteen questions, each with an answer of its own form."""
    thing = models.Answered[list[models.Thing]]
    testing = models.Answered[list[models.Trial]]
    _question(api, "q1", ask.feeds, formats.feeds, models.Answered[models.Feeds])
    _question(api, "q2", ask.data_pipelines, formats.listed, thing)
    _question(api, "q3", ask.data_behind, formats.listed, thing)
    _question(api, "q4", ask.complete_lineage, formats.lineage, models.Answered[models.Lineage])
    _question(api, "q5", ask.tests_of, formats.testings, testing)
    _question(api, "q6", ask.versions_in, formats.testings, testing)
    _question(api, "q7", ask.models_downstream, formats.listed, thing)
    _question(api, "q8", ask.consumers, formats.consumers, models.Answered[list[models.Consumer]])
    _question(api, "q9", ask.sharers, formats.sharers, models.Answered[list[models.Sharer]])
    _question(api, "q10", ask.data_under, formats.listed, thing)
    _question(api, "q11", ask.around, formats.around, models.Answered[models.Around])
    _question(api, "q12", ask.owners_of_chain, formats.owned, models.Answered[list[models.Owned]])
    _question(api, "q13", ask.unused, formats.listed, thing)


def _question(
    api: APIRouter,
    name: str,
    put: Callable[[Viewer, Uri, Moment], Answer[Any]],
    told: Callable[[Answer[Any]], formats.Object],
    model: type[models._Model],
) -> None:
    def question(uri: UriParam, read: Read) -> Response:
        return json_response(told(put(read.viewer, Uri(uri), read.moment)))

    api.add_api_route(
        f"/questions/{name}",
        question,
        name=name,
        tags=["questions"],
        description=(put.__doc__ or "").strip(),
        **_answered(model, 404),
    )


def _add_standing(api: APIRouter, lineal: Lineal) -> None:
    @api.get("/health", tags=["standing"], **_answered(models.Sources))
    def health() -> Response:
        """Return how each source stands."""
        return json_response(formats.health(lineal.health()))

    @api.get("/dead-letters", tags=["standing"], **_answered(models.DeadLetters))
    def dead_letters(limit: Limit = 100) -> Response:
        """Return what could not be taken in, newest first."""
        return json_response(formats.dead_letters(lineal.dead_letters(limit)))

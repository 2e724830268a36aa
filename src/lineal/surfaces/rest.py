"""The REST API: each endpoint parses a request, asks one question and formats its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from lineal.access import visitor
from lineal.model import Answer, Moment, Uri, Viewer
from lineal.query import BELIEVED, Questions
from lineal.surfaces import asked, formats, formats_walks
from lineal.surfaces import rest_models as models
from lineal.surfaces.rest_walk_models import Lineage

if TYPE_CHECKING:
    from lineal.app import Lineal

PREFIX = "/api/v1"

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


async def reading(
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


async def layered(
    layers: Annotated[
        list[str] | None,
        Query(
            description="Only edges of these layers; several, or parted by commas. All that are "
            "not only suggested where none is said."
        ),
    ] = None,
) -> frozenset[str]:
    """Return of which layers edges are looked at."""
    return asked.layers(layers) or BELIEVED


Layered = Annotated[frozenset[str], Depends(layered)]


# ── The endpoints ────────────────────────────────────────────────────────────────────────────────


def router(lineal: Lineal) -> APIRouter:
    """Return every endpoint that reads."""
    api = APIRouter(prefix=PREFIX)
    _add_things(api, lineal.ask)
    _add_finding(api, lineal)
    _add_thirteen(api, lineal.ask)
    return api


def answered(model: type[models._Model], *codes: int) -> dict[str, Any]:
    """Return what OpenAPI says of an endpoint's answers."""
    return {"response_model": model, "responses": problems(*codes, 422, 503)}


def _add_things(api: APIRouter, ask: Questions) -> None:
    @api.get("/entities", tags=["things"], **answered(models.Answered[models.Entity], 404))
    def entity(uri: UriParam, read: Read) -> Response:
        """Return a thing as all its sources together say, and each source's own word."""
        return json_response(formats.entity(ask.get(read.viewer, Uri(uri), read.moment)))

    @api.get(
        "/entities/neighbours",
        tags=["things"],
        **answered(models.Answered[list[models.Neighbour]], 404),
    )
    def neighbours(uri: UriParam, read: Read, layers: Layered, limit: Limit = 500) -> Response:
        """Return what a thing is joined to, by which relation, and who says so."""
        answer = ask.neighbours(read.viewer, Uri(uri), read.moment, limit=limit, layers=layers)
        return json_response(formats.neighbours(answer))

    @api.get(
        "/edges/explain", tags=["things"], **answered(models.Answered[models.Explanation], 404)
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

    @api.get("/history", tags=["things"], **answered(models.Answered[list[models.Happening]], 404))
    def history(uri: UriParam, read: Read, limit: Limit = 200) -> Response:
        """Return what happened to a thing, newest first."""
        answer = ask.history(read.viewer, Uri(uri), read.moment, limit=limit)
        return json_response(formats.history(answer))


def _add_finding(api: APIRouter, lineal: Lineal) -> None:
    ask = lineal.ask

    @api.get("/search", tags=["finding"], **answered(models.Answered[models.Found]))
    def search(
        read: Read,
        layers: Layered,
        q: Annotated[
            str,
            Query(
                description='Such as `type:model framework:xgboost "weekly ranking" -tag:old`. '
                "Filters are those of everything (`type`, `owner`, `tag`, …) and every attribute "
                "that `/api/v1/types` marks `facet`."
            ),
        ] = "",
        limit: Limit = 50,
        offset: Annotated[int, Query(ge=0, le=100_000)] = 0,
    ) -> Response:
        """
        Return what fits a text, best match first, and counts of its facets.

        A search of one type is counted by the facets of that type too, each by its 20 most
        frequent values.
        """
        answer = ask.search(read.viewer, q, read.moment, limit=limit, offset=offset, layers=layers)
        return json_response(formats.found(answer))

    @api.get("/counts", tags=["finding"], **answered(models.Answered[dict[str, int]]))
    def counts(read: Read) -> Response:
        """Return how many things of each type are known."""
        return json_response(formats.counts(ask.counts(read.viewer, read.moment)))

    @api.get("/recent", tags=["finding"], **answered(models.Answered[list[models.Recent]]))
    def recent(read: Read, limit: Limit = 20) -> Response:
        """Return what the last transactions changed, newest first, by whom and why."""
        return json_response(formats.recent(ask.recent(read.viewer, read.moment, limit=limit)))

    @api.get("/types", tags=["finding"], response_model=models.Types)
    def types() -> Response:
        """Return every type and every kind of edge, as declared."""
        return json_response(formats.shapes(lineal.shapes))


def _add_thirteen(api: APIRouter, ask: Questions) -> None:
    """Add the thirteen questions, each with an answer of its own form."""
    thing = models.Answered[list[models.Thing]]
    testing = models.Answered[list[models.Trial]]
    _question(api, "q1", ask.feeds, formats.feeds, models.Answered[models.Feeds])
    _question(api, "q2", ask.data_pipelines, formats.listed, thing)
    _question(api, "q3", ask.data_behind, formats.listed, thing)
    _question(api, "q4", ask.complete_lineage, formats_walks.lineage, models.Answered[Lineage])
    _question(api, "q5", ask.tests_of, formats.testings, testing)
    _question(api, "q6", ask.versions_in, formats.testings, testing)
    _question(api, "q7", ask.models_downstream, formats.listed, thing)
    _question(api, "q8", ask.consumers, formats.consumers, models.Answered[list[models.Consumer]])
    _question(api, "q9", ask.sharers, formats.sharers, models.Answered[list[models.Sharer]])
    _question(api, "q10", ask.data_under, formats.listed, thing)
    _question(api, "q11", ask.around, formats.around, models.Answered[models.Around])
    _question(api, "q12", ask.owners_of_chain, formats.owned, models.Answered[list[models.Owned]])
    _question(api, "q13", ask.retirable, formats.listed, thing)


def _question(
    api: APIRouter,
    name: str,
    put: Callable[..., Answer[Any]],
    told: Callable[[Answer[Any]], formats.Object],
    model: type[models._Model],
) -> None:
    def question(uri: UriParam, read: Read, layers: Layered) -> Response:
        return json_response(told(put(read.viewer, Uri(uri), read.moment, layers=layers)))

    api.add_api_route(
        f"/questions/{name}",
        question,
        name=name,
        tags=["questions"],
        description=(put.__doc__ or "").strip(),
        **answered(model, 404),
    )

"""The REST API of walks, and of what differs between two moments: parse, ask, format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from lineal.errors import InvalidQuery
from lineal.model import Answer, Budget, Moment, Uri
from lineal.query import RECENT, WHOLE, Among, Ask, Lineage
from lineal.surfaces import asked, differing
from lineal.surfaces import formats_walks as formats
from lineal.surfaces import rest_walk_models as models
from lineal.surfaces.crowding import FewAtOnce
from lineal.surfaces.drawing import layout as arranged
from lineal.surfaces.picture import shown
from lineal.surfaces.rest import (
    PREFIX,
    From,
    Layered,
    Limit,
    Read,
    To,
    UriParam,
    answered,
    json_response,
)
from lineal.surfaces.rest_differences import Differences
from lineal.surfaces.rest_models import Answered
from lineal.surfaces.walking import asked_change, over, types_of, walk

if TYPE_CHECKING:
    from lineal.app import Lineal
    from lineal.client.answers import Walk

_MOST = Budget()


async def earlier(
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
    return asked.moment(from_known_at, from_valid_at, before="from_")


Earlier = Annotated[Moment, Depends(earlier)]


Grain = Annotated[
    Literal["logical", "exact"] | None,
    Query(description="How fine; unless given, as fits the start."),
]
Layers = Annotated[
    list[str] | None,
    Query(description="Only edges of these layers; several, or parted by commas."),
]
Kinds = Annotated[
    list[str] | None,
    Query(description="Only edges of these kinds; several, or parted by commas."),
]
Types = Annotated[
    list[str] | None,
    Query(description="Only things of these types; several, or parted by commas."),
]
Columns = Annotated[bool, Query(description="Show columns, not their data sets.")]


async def way(
    request: Request,
    grain: Grain = None,
    layers: Layers = None,
    kinds: Kinds = None,
    types: Types = None,
    columns: Columns = False,
    depth: Annotated[int, Query(ge=0, le=_MOST.depth)] = _MOST.depth,
    nodes: Annotated[int, Query(ge=1, le=_MOST.nodes)] = _MOST.nodes,
    edges: Annotated[int, Query(ge=1, le=_MOST.edges)] = _MOST.edges,
    rows: Annotated[int, Query(ge=1, le=_MOST.rows)] = _MOST.rows,
    ms: Annotated[int, Query(ge=1, le=_MOST.milliseconds)] = _MOST.milliseconds,
) -> Ask:
    """Return how a walk is asked for."""
    lineal: Lineal = request.app.state.lineal
    return walk(
        lineal.shapes,
        {
            "grain": grain,
            "kinds": kinds or (),
            "layers": layers or (),
            "types": types or (),
            "columns": columns,
            "depth": depth,
            "nodes": nodes,
            "edges": edges,
            "rows": rows,
            "ms": ms,
        },
    )


async def whole(
    request: Request,
    grain: Grain = None,
    layers: Layers = None,
    kinds: Kinds = None,
    types: Types = None,
    columns: Columns = False,
    depth: Annotated[int, Query(ge=0, le=WHOLE.budget.depth)] = WHOLE.budget.depth,
    nodes: Annotated[int, Query(ge=1, le=WHOLE.budget.nodes)] = WHOLE.budget.nodes,
    edges: Annotated[int, Query(ge=1, le=WHOLE.budget.edges)] = WHOLE.budget.edges,
    rows: Annotated[int, Query(ge=1, le=_MOST.rows)] = WHOLE.budget.rows,
    ms: Annotated[int, Query(ge=1, le=_MOST.milliseconds)] = _MOST.milliseconds,
) -> Ask:
    """Return how a walk is asked for of which all is counted."""
    lineal: Lineal = request.app.state.lineal
    said: Walk = {
        "grain": grain, "kinds": kinds or (), "layers": layers or (), "types": types or (),
        "columns": columns, "depth": depth, "nodes": nodes, "edges": edges, "rows": rows, "ms": ms,
    }  # fmt: skip
    return walk(lineal.shapes, said, WHOLE)


async def among(
    stage: Annotated[str | None, Query(max_length=200, description="Only of this stage.")] = None,
    owner: Annotated[
        str | None, Query(max_length=2_100, description="Only of this person or team.")
    ] = None,
    domain: Annotated[
        str | None, Query(max_length=2_100, description="Only of this domain.")
    ] = None,
    distance: Annotated[
        int | None, Query(ge=0, description="Only so many steps from the nearest start.")
    ] = None,
    live: Annotated[
        bool | None, Query(description="Only what is live by itself, or what is not.")
    ] = None,
) -> Among:
    """Return which of a closure is counted; ``-`` is what has no stage, owner or domain."""
    return Among(stage or None, owner or None, domain or None, distance, live)


async def cost(
    edges: Annotated[int, Query(ge=1, le=_MOST.edges)] = _MOST.edges,
    rows: Annotated[int, Query(ge=1, le=_MOST.rows)] = _MOST.rows,
    ms: Annotated[int, Query(ge=1, le=_MOST.milliseconds)] = _MOST.milliseconds,
) -> Ask:
    """Return what a comparison may cost."""
    return Ask(Budget(edges=edges, rows=rows, milliseconds=ms))


Way = Annotated[Ask, Depends(way)]
Whole = Annotated[Ask, Depends(whole)]
Some = Annotated[Among, Depends(among)]
Cost = Annotated[Ask, Depends(cost)]


# ── The endpoints ───────────────────────────────────────────────────────────────────────────────


def router(lineal: Lineal, few: FewAtOnce) -> APIRouter:
    """Return every endpoint that walks, or compares two moments; *few* are answered at once."""
    api = APIRouter(prefix=PREFIX, dependencies=[Depends(few, scope="function")])
    _add_walks(api, lineal)
    _add_reached(api, lineal)
    _add_use(api, lineal)
    _add_differences(api, lineal)
    return api


def _add_walks(api: APIRouter, lineal: Lineal) -> None:
    ask = lineal.ask

    @api.get("/lineage", tags=["walks"], **answered(Answered[models.Lineage], 404))
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

    @api.get("/paths", tags=["walks"], **answered(Answered[list[models.Path]], 404))
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

    @api.get("/between", tags=["walks"], **answered(Answered[models.Lineage], 404))
    def between(start: From, end: To, read: Read, way: Way) -> Response:
        """Return all that lies on any way by which one of two things feeds the other."""
        answer = ask.between(read.viewer, Uri(start), Uri(end), read.moment, ask=way)
        return json_response(formats.lineage(answer))


def _add_reached(api: APIRouter, lineal: Lineal) -> None:
    ask = lineal.ask

    @api.get("/common", tags=["walks"], **answered(Answered[models.Common], 404))
    def common(
        uri: Annotated[list[str], Query(description="Two things or more.", max_length=100)],
        read: Read,
        way: Way,
        side: Annotated[
            Literal["upstream", "downstream"], Query(description="On which side.")
        ] = "upstream",
        limit: Limit = 500,
    ) -> Response:
        """Return what several things were all made from, or what all of them feed."""
        starts = [Uri(one) for one in uri]
        answer = ask.common(
            read.viewer, starts, read.moment, upstream=side == "upstream", ask=way, limit=limit
        )
        return json_response(formats.common(answer))

    @api.get("/closure", tags=["walks"], **answered(Answered[models.Closure], 404))
    def closure(
        uri: Annotated[list[str], Query(description="One start, or several.", max_length=100)],
        read: Read,
        way: Whole,
        some: Some,
        side: Annotated[
            Literal["upstream", "downstream"], Query(description="To which side.")
        ] = "downstream",
        limit: Limit = 100,
        offset: Annotated[int, Query(ge=0, description="How many to pass over.")] = 0,
    ) -> Response:
        """Return all that things were made from, or that is made from them: counts, and a page."""
        starts = [Uri(one) for one in uri]
        answer = ask.closure(
            read.viewer, starts, read.moment,
            upstream=side == "upstream", ask=way, among=some, limit=limit, offset=offset,
        )  # fmt: skip
        return json_response(formats.closure(answer))

    @api.get("/impact", tags=["walks"], **answered(Answered[models.Impact], 404))
    def impact(
        uri: Annotated[list[str], Query(description="One thing, or several.", max_length=100)],
        read: Read,
        way: Way,
        change: Annotated[
            Literal["dropped", "renamed", "retyped", "redefined", "rolled_back"] | None,
            Query(description="What is done to them."),
        ] = None,
        to: Annotated[
            str | None, Query(description="The new name or type, or the version that comes back.")
        ] = None,
        limit: Limit = 500,
    ) -> Response:
        """Return what a change would touch, worst first, and who must be told."""
        things = [Uri(one) for one in uri]
        meant = asked_change(change, to)
        answer = ask.impact(read.viewer, things, read.moment, change=meant, ask=way, limit=limit)
        return json_response(formats.impact(answer))


def _add_use(api: APIRouter, lineal: Lineal) -> None:
    ask = lineal.ask

    @api.get("/shared", tags=["use"], **answered(Answered[list[models.Asset]]))
    def shared(read: Read, layers: Layered, types: Types = None, limit: Limit = 50) -> Response:
        """Return the assets that most live consumers rest on, of the most teams."""
        chosen = types_of(lineal.shapes, types)
        answer = ask.shared(read.viewer, read.moment, types=chosen, ask=over(layers), limit=limit)
        return json_response(formats.shared(answer))

    @api.get("/unused", tags=["use"], **answered(Answered[list[models.Unused]], 404))
    def unused(
        read: Read,
        layers: Layered,
        uri: Annotated[str | None, Query(description="Only of this person or team.")] = None,
        types: Types = None,
        days: Annotated[
            int, Query(ge=0, le=36_500, description="How long ago something must have been used.")
        ] = RECENT,
        limit: Limit = 500,
    ) -> Response:
        """Return what nothing live or recent is made from, and since when."""
        answer = ask.unused(
            read.viewer, None if uri is None else Uri(uri), read.moment,
            types=types_of(lineal.shapes, types), days=days, ask=over(layers), limit=limit,
        )  # fmt: skip
        return json_response(formats.unused(answer))

    @api.get("/wanted-features", tags=["use"], **answered(Answered[list[models.Wanted]], 404))
    def wanted(uri: UriParam, read: Read, layers: Layered, limit: Limit = 20) -> Response:
        """Features that a model, or those a pipeline trains, do not consume and models alike do."""
        answer = ask.wanted(read.viewer, Uri(uri), read.moment, limit=limit, layers=layers)
        return json_response(formats.wanted(answer))

    @api.get("/similar", tags=["use"], **answered(Answered[list[models.Alike]], 404))
    def similar(uri: UriParam, read: Read, layers: Layered, limit: Limit = 20) -> Response:
        """Return what is like a model or feature, with a score and a reason."""
        answer = ask.similar(read.viewer, Uri(uri), read.moment, limit=limit, layers=layers)
        return json_response(formats.similar(answer))


def _add_differences(api: APIRouter, lineal: Lineal) -> None:
    ask = lineal.ask
    compared = Answered[Differences]

    @api.get("/schema-changes", tags=["differences"], **answered(Answered[models.SchemaChanges]))
    def schema_changes(
        earlier: Earlier, read: Read, cost: Cost, types: Types = None, limit: Limit = 50
    ) -> Response:
        """Return the schema changes between two moments, why, and whom each touches."""
        told = ask.schema_changes(
            read.viewer, earlier, read.moment,
            types=types_of(lineal.shapes, types), ask=cost, limit=limit,
        )  # fmt: skip
        return json_response(formats.schema_changes(told))

    @api.get("/diff", tags=["differences"], **answered(compared, 404))
    def diff(
        uri: UriParam, earlier: Earlier, read: Read, cost: Cost, limit: Limit = 500
    ) -> Response:
        """Return what differs of a thing and what it is joined to, between two moments."""
        told = ask.diff(read.viewer, Uri(uri), earlier, read.moment, ask=cost, limit=limit)
        return json_response(differing.differences(told))

    @api.get("/diff/lineage", tags=["differences"], **answered(compared, 404))
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

    @api.get("/diff/type", tags=["differences"], **answered(compared))
    def diff_type(
        name: Annotated[str, Query(alias="type", description="A type such as `dataset`.")],
        earlier: Earlier,
        read: Read,
        cost: Cost,
        limit: Limit = 500,
    ) -> Response:
        """Return what differs of all things of a type and their edges, between two moments."""
        told = ask.diff_type(read.viewer, name, earlier, read.moment, ask=cost, limit=limit)
        return json_response(differing.differences(told))


def _places(lineal: Lineal, answer: Answer[Lineage]) -> dict[str, tuple[float, float]]:
    """Return where each thing of a lineage stands when it is drawn."""
    drawn = shown(answer.value, lineal.shapes)
    picture = arranged(drawn.nodes, drawn.links, focus=drawn.focus)
    return {place.node.id: (place.x, place.y) for place in picture.places}

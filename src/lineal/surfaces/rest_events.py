"""The REST API's way in: events, answered once they are kept and before they are worked on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from lineal.errors import InvalidEvent
from lineal.model import Json
from lineal.points import reached
from lineal.surfaces import bodies
from lineal.surfaces import rest_models as models
from lineal.surfaces.bodies import Body
from lineal.surfaces.events import envelopes
from lineal.surfaces.rest import PREFIX, json_response, problems

if TYPE_CHECKING:
    from lineal.app import Lineal, Receipt

Sent = Annotated[Body, Depends(bodies.read)]

_EVENT = {"type": "object", "additionalProperties": True}
_ONE_OR_MANY = {"oneOf": [_EVENT, {"type": "array", "items": _EVENT, "maxItems": 1_000}]}


def router(lineal: Lineal) -> APIRouter:
    """Return every endpoint that takes events."""
    api = APIRouter(prefix=PREFIX, tags=["events"])
    _add_events(api, lineal)
    _add_lineage(api, lineal)
    return api


def _add_events(api: APIRouter, lineal: Lineal) -> None:
    content = {
        "application/json": {"schema": _ONE_OR_MANY},
        envelopes.CLOUDEVENT: {"schema": _EVENT},
        envelopes.CLOUDEVENT_BATCH: {"schema": {"type": "array", "items": _EVENT}},
    }

    @api.post(
        "/events",
        status_code=202,
        response_model=models.Accepted,
        responses={
            **problems(400, 413, 415, 422, 503),
            207: {"model": models.PartlyAccepted, "description": "Some of a batch were refused."},
        },
        openapi_extra={"requestBody": {"required": True, "content": content}},
    )
    def receive(
        body: Sent,
        source: Annotated[
            str | None, Query(description="Whose events they are, if they do not say it.")
        ] = None,
    ) -> Response:
        """
        Keep events that something changed: one object, or an array of them, all or none.

        The answer comes once they are on disk. CloudEvents are taken in their structured,
        binary (`ce-` headers) and batch forms. A batch may hold events of several sources; it is
        taken event by event, and the answer says what became of those that were refused.
        """
        if not source and (items := bodies.batch(body)) is not None:
            return _each(lineal.receive_each(items), len(items))
        name, told = bodies.events(body, lineal.listened, source or None)
        events = lineal.worded(name, told)
        count = lineal.receive(name, events)
        reached("acknowledging")
        return json_response({"accepted": count}, 202)


def _each(receipt: Receipt, count: int) -> Response:
    """Say what became of each event of a batch."""
    if not receipt.refused:
        return json_response({"accepted": receipt.accepted}, 202)
    if not receipt.accepted:
        place, reason = receipt.refused[0]
        raise InvalidEvent(f"None of {count} events can be taken; event {place}: {reason}")
    refused: list[Json] = [{"index": place, "reason": reason} for place, reason in receipt.refused]
    return json_response({"accepted": receipt.accepted, "refused": refused}, 207)


def _add_lineage(api: APIRouter, lineal: Lineal) -> None:
    @api.post(
        "/lineage",
        status_code=201,
        response_model=models.Accepted,
        responses=problems(400, 413, 415, 422, 503),
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": _EVENT}}}
        },
    )
    def lineage_event(body: Sent) -> Response:
        """Keep one OpenLineage event."""
        value = bodies.parsed(body)
        if isinstance(value, list):
            raise InvalidEvent("This takes one event.", fix="Send a list to /api/v1/lineage/batch.")
        receipt = lineal.receive_log(bodies.objects(value))
        if receipt.refused:
            raise InvalidEvent(receipt.refused[0][1])
        reached("acknowledging")
        return json_response({"accepted": receipt.accepted}, 201)

    @api.post(
        "/lineage/batch",
        status_code=204,
        response_model=None,
        responses={
            **problems(400, 413, 415, 422, 503),
            200: {"model": models.BatchOutcome, "description": "Some were refused."},
            204: {"description": "All are kept."},
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"type": "array", "items": _EVENT}}},
            }
        },
    )
    def lineage_batch(body: Sent) -> Response:
        """Keep OpenLineage events; those that are invalid are refused one by one."""
        value = bodies.parsed(body)
        if not isinstance(value, list):
            raise InvalidEvent("This takes a list of events.", fix="Send one to /api/v1/lineage.")
        outcome = _taken(lineal, value)
        reached("acknowledging")
        return json_response(outcome) if outcome else Response(status_code=204)


def _taken(lineal: Lineal, items: list[Json]) -> dict[str, Json] | None:
    """Keep what can be kept; return what OpenLineage says of the rest, if there is any."""
    places = [place for place, item in enumerate(items) if isinstance(item, dict)]
    receipt: Receipt = lineal.receive_log([item for item in items if isinstance(item, dict)])
    failed = dict.fromkeys(set(range(len(items))) - set(places), "An event is an object.")
    failed |= {places[index]: reason for index, reason in receipt.refused}
    if not failed:
        return None
    return {
        "status": "partial_success",
        "summary": {
            "received": len(items),
            "successful": receipt.accepted,
            "failed": len(failed),
            "retriable": 0,
            "non_retriable": len(failed),
        },
        "failed_events": [
            {"index": place, "reason": reason, "retriable": False}
            for place, reason in sorted(failed.items())
        ],
    }

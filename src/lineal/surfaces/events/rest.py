"""The REST API's word on the doors: which there are, and how each stands."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from starlette.responses import Response

from lineal.surfaces import rest_models as models
from lineal.surfaces.events.doors import Doors
from lineal.surfaces.rest import PREFIX, json_response


def router(doors: Doors) -> APIRouter:
    """Return the endpoint that tells of the doors."""
    api = APIRouter(prefix=PREFIX, tags=["standing"])

    @api.get("/doors", response_model=models.DoorList)
    def standing() -> Response:
        """Return each bus that is listened to, and how its door stands."""
        return json_response({"doors": [asdict(one) for one in doors.standing()]})

    return api

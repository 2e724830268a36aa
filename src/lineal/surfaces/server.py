"""The web server's application: the REST API, the portal, what guards both, how it is served."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from lineal.errors import DoorDown, LinealError, PromiseBroken
from lineal.surfaces import (
    metrics,
    portal,
    rest,
    rest_events,
    rest_identity,
    rest_rules,
    rest_walks,
    rest_work,
)
from lineal.surfaces import rest_models as models
from lineal.surfaces.arguments import Known
from lineal.surfaces.crowding import FewAtOnce
from lineal.surfaces.errors_http import problem_response, translated
from lineal.surfaces.events import rest as rest_doors
from lineal.surfaces.events.doors import Doors
from lineal.surfaces.guard import Guard, Refuse, hosts

if TYPE_CHECKING:
    from lineal.app import Lineal

_ABOUT = (
    "What feeds a model, what a model feeds, and why we believe it. Every answer says whether it "
    "is complete and at which moment it holds; every error says what to do."
)


def create(lineal: Lineal, doors: Doors | None = None) -> FastAPI:
    """
    Return the application over an installation and the doors of its buses.

    It neither starts nor closes them: whoever opened them does.
    """
    doors = doors or Doors([], lineal)
    app = FastAPI(
        title="Lineal",
        description=_ABOUT,
        version=_version(),
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{rest.PREFIX}/openapi.json",
        redirect_slashes=False,
    )
    app.state.lineal = lineal
    few = FewAtOnce()
    questions = (
        rest.router(lineal),
        rest_walks.router(lineal, few),
        rest_doors.router(doors),
        rest_identity.router(lineal),
        rest_rules.router(lineal),
        rest_work.router(lineal),
    )
    known = Depends(Known())
    for router in questions:
        app.include_router(router, dependencies=[known])
    # Whoever sends events may have to add arguments of its own.
    app.include_router(rest_events.router(lineal))
    pages = portal.Portal(lineal, few)
    app.include_router(pages.router())
    _add_probes(app, lineal, doors)
    _add_errors(app, pages)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]  # FastAPI's own way
    return app


def answering(app: FastAPI, *, log_level: str, finishing: int | None = None) -> uvicorn.Config:
    """
    Return how an application is answered for over HTTP.

    *finishing*: for how long (s) requests may go on once it is told to end; None is without end.
    """
    return uvicorn.Config(
        app,
        # It stops reading at 64 KiB of headers. The other parser, which would be chosen if it
        # happened to be installed, takes in headers without end.
        http="h11",
        log_level=log_level,
        access_log=False,
        timeout_graceful_shutdown=finishing,
    )


def _version() -> str:
    try:
        return version("lineal")
    except PackageNotFoundError:
        return "0"


def _add_probes(app: FastAPI, lineal: Lineal, doors: Doors) -> None:
    @app.get("/healthz", tags=["standing"], response_model=models.Status)
    def alive() -> Response:
        """Return whether the server answers at all."""
        return rest.json_response({"status": "ok"})

    @app.get(
        "/readyz",
        tags=["standing"],
        response_model=models.Status,
        responses=rest.problems(500, 503, 507),
    )
    def ready() -> Response:
        """
        Return whether the server keeps its promises, and every bus is listened to.

        If not, the error says why.
        """
        broken = lineal.broken_promises()
        lineal.store.raise_if_troubled()
        if broken:
            raise PromiseBroken(" ".join(one.what for one in broken[:5]), fix="See /api/v1/health.")
        _see_open(doors)
        return rest.json_response({"status": "ok"})

    @app.get("/metrics", include_in_schema=False)
    def numbers() -> Response:
        """Return how the installation stands in numbers, as Prometheus reads them."""
        return Response(metrics.text(lineal), media_type=metrics.MEDIA_TYPE)


def _see_open(doors: Doors) -> None:
    """Raise `DoorDown` where a bus does not answer."""
    if down := [one for one in doors.standing() if one.state == "down"]:
        names = ", ".join(f"{one.name} ({one.bus}: {one.reason})" for one in down)
        raise DoorDown(
            f"Not every door is open: {names}.",
            fix="What waits there is late, not lost. Check the bus; it is tried again by itself.",
        )


def _add_errors(app: FastAPI, pages: portal.Portal) -> None:
    refuse = _refuse(pages)

    def handle(request: Request, error: Exception) -> Response:
        return refuse(translated(error), request)

    for sort in (LinealError, RequestValidationError, HTTPException):
        app.add_exception_handler(sort, handle)
    app.add_middleware(Guard, allowed=hosts(pages.lineal.config.host), refuse=refuse)


def _refuse(pages: portal.Portal) -> Refuse:
    """People get a page, programs a problem document."""

    def refuse(error: LinealError, request: Request) -> Response:
        path = request.scope["path"]
        if path.startswith("/api/") or path in ("/healthz", "/readyz", "/metrics"):
            return problem_response(error, request)
        return pages.error(error, request)

    return refuse


def _described(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with the one form of every error in it."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        schemas = document["components"]["schemas"]
        schemas["Problem"] = models.Problem.model_json_schema()
        app.openapi_schema = document
    return app.openapi_schema

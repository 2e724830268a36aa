"""The REST API about names: who says that they are one, what a merge would do, what may be one.

It reads only: a merge or a split is made by the command line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from lineal.errors import Invalid
from lineal.model import Uri
from lineal.surfaces import formats_identity as formats
from lineal.surfaces.rest import PREFIX, Limit, Read, UriParam, json_response, problems
from lineal.surfaces.rest_models import Answered, Claim, EdgeName, Thing

if TYPE_CHECKING:
    from lineal.app import Lineal


class Evidence(BaseModel):
    """One claim that two names are one thing, or that they are not."""

    start: Thing
    kind: Literal["same_as", "not_same_as"]
    end: Thing
    joins: bool = Field(description="False where a veto stands between, and for the veto itself.")
    at: str = Field(description="When it was recorded.", json_schema_extra={"format": "date-time"})
    actor: str
    cause: str
    claim: Claim
    why: list[str] = Field(description="Of what a rule concluded: its reasons in words.")


class Named(BaseModel):
    """A thing under all its names, the one that stands for it first."""

    thing: Thing
    names: list[Thing]


class Names(Named):
    """All names of a thing, and every claim that joins or parts them."""

    evidence: list[Evidence]


class Decision(BaseModel):
    """What is written about two names; `kind` null: nothing is said of them any more."""

    one: str
    other: str
    kind: Literal["same_as", "not_same_as"] | None


class Word(BaseModel):
    """What one name says."""

    uri: str
    value: Any


class Disagreement(BaseModel):
    """A single value that names of one thing would have differently."""

    attribute: str
    values: list[Word]


class Preview(BaseModel):
    """What would be so after a merge or a split."""

    before: list[Named]
    after: list[Named]
    decisions: list[Decision]
    parts: list[list[str]] = Field(description="Names of parts that would be joined, or parted.")
    disagreements: list[Disagreement]
    inner: list[EdgeName] = Field(description="Edges between what is joined or parted.")
    appear: list[EdgeName] = Field(description="What rules would conclude.")
    vanish: list[EdgeName] = Field(description="What they would not conclude any more.")
    warnings: list[str]
    refusals: list[str]


class Suggestion(BaseModel):
    """Two things that may be one."""

    one: Thing
    other: Thing
    score: float
    reasons: list[str]


def _answered(model: type[BaseModel]) -> dict[str, Any]:
    return {"response_model": model, "responses": problems(404, 422, 503)}


def router(lineal: Lineal) -> APIRouter:
    """Return every endpoint about names."""
    api, ask = APIRouter(prefix=PREFIX, tags=["names"]), lineal.ask

    @api.get("/identity", **_answered(Answered[Names]))
    def names(uri: UriParam, read: Read) -> Response:
        """Return all names of a thing, and who says that they are one."""
        return json_response(formats.names(ask.names(read.viewer, Uri(uri), read.moment)))

    @api.get("/identity/preview", **_answered(Answered[Preview]))
    def preview(
        one: UriParam,
        read: Read,
        other: Annotated[
            str | None, Query(description="The other name; a split of all needs none.")
        ] = None,
        deed: Annotated[Literal["merge", "split"], Query(description="What to look at.")] = "merge",
        across_environments: Annotated[
            bool, Query(description="Whether two environments are meant.")
        ] = False,
    ) -> Response:
        """Return what would be so after a merge or a split; nothing is written."""
        second = None if other is None else Uri(other)
        if deed == "split":
            return json_response(
                formats.preview(ask.preview_split(read.viewer, Uri(one), second, read.moment))
            )
        if second is None:
            raise Invalid("A merge needs two names.", fix="Give other as well.")
        told = ask.preview_merge(
            read.viewer, Uri(one), second, read.moment, across_environments=across_environments
        )
        return json_response(formats.preview(told))

    @api.get("/identity/suggestions", **_answered(Answered[list[Suggestion]]))
    def suggestions(
        read: Read,
        uri: Annotated[str | None, Query(description="Only what may be this thing.")] = None,
        limit: Limit = 50,
    ) -> Response:
        """Return which things may be one, likeliest first; none is ever merged by that."""
        about = None if uri is None else Uri(uri)
        told = ask.suggestions(read.viewer, about, read.moment, limit=limit)
        return json_response(formats.suggestions(told))

    return api

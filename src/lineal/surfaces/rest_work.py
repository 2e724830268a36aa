"""The REST API about the installation: how its sources stand, dead letters, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from lineal.surfaces import formats_work as formats
from lineal.surfaces.asked import see_one_choice
from lineal.surfaces.rest import PREFIX, Limit, answered, json_response, problems
from lineal.surfaces.rest_models import Sent, _Model, _time

if TYPE_CHECKING:
    from lineal.app import Lineal


#: The number of a dead letter.
Number: TypeAlias = Annotated[int, Field(ge=0, lt=2**63)]


class Notices(BaseModel):
    """What became of notices: accepted = applied + superseded + dead + purged + pending."""

    events: int
    accepted: int
    applied: int
    superseded: int
    dead: int
    purged: int
    pending: int


class Breaker(BaseModel):
    """Whether a source may be asked."""

    state: Literal["closed", "open", "half-open"]
    failures: int
    down_since: str | None = _time("Since when it is down.")
    closed_until: str | None = _time("When it is asked again.")
    reason: str | None


class Sweep(BaseModel):
    """The newest sweep of a source, and the next."""

    planned: str | None = Field(description="A cron expression in UTC.")
    began_at: str | None = _time("When the newest first began.")
    ended_at: str | None = _time("When it ended; null while it is going on.")
    whole_at: str | None = _time("When the last one began that came to its end.")
    next_at: str | None = _time("When the next one is planned.")
    late_since: str | None = _time("Since when two planned ones were missed.")
    listed: int
    marked: int
    error: str | None


class Source(_Model):
    """How a source stands."""

    source: str
    documents: int
    waiting: int = Field(description="Events that lie in the inbox.")
    dirty: int = Field(description="Documents that are to be fetched.")
    failing: int
    dead: int
    unfit: int = Field(description="Documents of which something does not fit; see findings.")
    lag: float = Field(description="For how many seconds the longest waits.")
    oldest: str | None = Field(description="The document that waits longest.")
    oldest_dirty: str | None = _time("Since when it waits.")
    heard_at: str | None = _time("When its last event came.")
    applied_at: str | None = _time("When an event was last answered.")
    confirmed_at: str | None = _time("When it last answered.")
    breaker: Breaker
    sweep: Sweep
    held: int = Field(description="How many removals are held back.")
    held_at: str | None = _time("Since when.")
    notices: Notices


class Broken(BaseModel):
    """A promise that is not kept just now."""

    promise: Literal["accounting", "progress", "freshness"]
    source: str | None
    what: str


class Inbox(BaseModel):
    """How full the inbox is."""

    events: int
    bytes: int
    most_events: int
    most_bytes: int


class RulesWaiting(_Model):
    """How much rules have still to do."""

    pieces: int
    rules: list[str]
    since_t: int | None = Field(description="Since which transaction the oldest waits.")
    since: str | None = _time("Since when.")
    failed: int = Field(description="For how many things rules conclude nothing.")


class Sources(_Model):
    """How each source stands, and which promises are broken."""

    value: list[Source]
    broken: list[Broken]
    inbox: Inbox
    rules: RulesWaiting


class Finding(_Model):
    """Something in documents of a source that does not fit."""

    sort: Literal["values", "attributes", "edges", "fields"]
    name: str = Field(description="What it is about, such as `dataset.rows`, or a field.")
    text: str
    policy: Literal["store", "quarantine", "reject"] = Field(description="What became of them.")
    documents: int = Field(description="Of how many documents it was found.")
    example: str = Field(description="One of them.")


class Findings(_Model):
    """What of a source's documents does not fit, the most frequent first."""

    source: str
    value: list[Finding]


class DeadLetter(_Model):
    """Something that could not be taken in."""

    id: int
    source: str
    stage: str
    document: str | None
    body: str
    error: str
    reason: str
    attempts: int
    first_at: str = _time("When it first failed.")
    last_at: str = _time("When it last failed.")
    notices: int


class DeadLetters(_Model):
    """What could not be taken in, newest first."""

    value: list[DeadLetter]


class Deed(_Model):
    """What a person did."""

    at: str = _time("When.")
    actor: str
    what: Literal["release", "replay", "purge", "enable rule", "disable rule"]
    source: str = Field(description="The source; or the rule.")
    reason: str
    count: int


class Deeds(_Model):
    """What people did, newest first."""

    value: list[Deed]


class Chosen(Sent):
    """Which dead letters are meant, in one of three ways."""

    ids: list[Number] | None = Field(None, min_length=1, max_length=1_000, description="These.")
    source: str | None = Field(None, description="All of a source.")
    all: bool = Field(False, description="All that there are.")
    actor: str = Field("visitor", min_length=1, max_length=200)


class Purge(Chosen):
    """Which dead letters are thrown away, and why."""

    reason: str = Field(min_length=1, max_length=2_000)


class Release(Sent):
    """Why removals that are held back are let go, and who says so."""

    reason: str = Field(min_length=1, max_length=2_000)
    actor: str = Field("visitor", min_length=1, max_length=200)


class Replayed(BaseModel):
    """What came of a replay."""

    replayed: int
    left: int = Field(description="How many still make no sense.")


class Counted(BaseModel):
    """How many it was."""

    count: int


class Planned(BaseModel):
    """What is done as soon as can be."""

    source: str


def router(lineal: Lineal) -> APIRouter:
    """Return every endpoint about the installation."""
    api = APIRouter(prefix=PREFIX, tags=["standing"])
    _add_reads(api, lineal)
    _add_letters(api, lineal)
    _add_sources(api, lineal)
    return api


def _add_reads(api: APIRouter, lineal: Lineal) -> None:
    @api.get("/health", **answered(Sources))
    def health() -> Response:
        """Return how each source stands, and which promises are broken."""
        return json_response(formats.health(lineal.standings()))

    @api.get("/dead-letters", **answered(DeadLetters))
    def dead_letters(
        source: Annotated[str | None, Query(description="Of this source only.")] = None,
        limit: Limit = 100,
    ) -> Response:
        """Return what could not be taken in, newest first."""
        return json_response(formats.dead_letters(lineal.dead_letters(limit, source=source)))

    @api.get("/dead-letters/{number}", **answered(DeadLetter, 404))
    def dead_letter(number: Number) -> Response:
        """Return one thing that could not be taken in."""
        return json_response(formats.dead_letter(lineal.dead_letter(number)))

    @api.get("/sources/{name}/findings", **answered(Findings))
    def findings(name: str) -> Response:
        """Return what of a source's documents does not fit, and in how many of them."""
        return json_response(formats.findings(name, lineal.findings(name)))

    @api.get("/deeds", **answered(Deeds))
    def deeds(limit: Limit = 100) -> Response:
        """Return what people did about sources and dead letters, newest first."""
        return json_response(formats.deeds(lineal.deeds(limit)))


def _add_letters(api: APIRouter, lineal: Lineal) -> None:
    @api.post("/dead-letters/replay", response_model=Replayed, responses=problems(422, 503))
    def replay(chosen: Chosen) -> Response:
        """Take up dead letters again, as they are."""
        see_one_choice(chosen.ids, chosen.source, chosen.all)
        done = lineal.replay(ids=chosen.ids, source=chosen.source, actor=chosen.actor)
        return json_response(formats.replayed(done))

    @api.post("/dead-letters/purge", response_model=Counted, responses=problems(422, 503))
    def purge(chosen: Purge) -> Response:
        """Throw dead letters away for good."""
        see_one_choice(chosen.ids, chosen.source, chosen.all)
        count = lineal.purge(
            ids=chosen.ids, source=chosen.source, actor=chosen.actor, reason=chosen.reason
        )
        return json_response({"count": count})


def _add_sources(api: APIRouter, lineal: Lineal) -> None:
    @api.post("/sources/{name}/release", response_model=Counted, responses=problems(404, 422, 503))
    def release(name: str, said: Release) -> Response:
        """Let the removals go that are held back of a source; each is asked for once more."""
        count = lineal.release(name, actor=said.actor, reason=said.reason)
        return json_response({"count": count})

    @api.post(
        "/sources/{name}/sweep",
        status_code=202,
        response_model=Planned,
        responses=problems(404, 422, 503),
    )
    def sweep(name: str) -> Response:
        """List a source as soon as can be."""
        lineal.sweep_soon(name)
        return json_response({"source": name}, 202)

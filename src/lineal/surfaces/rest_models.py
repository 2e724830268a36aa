"""The answers of the REST API as OpenAPI describes them.

Descriptions only: answers are made by `lineal.surfaces.formats`, and a test holds the two
together.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Value = TypeVar("Value")

State = Literal[
    "referenced", "hydrated", "stale", "missing", "deleted", "forgotten", "not_observed"
]


def _time(description: str) -> Any:
    return Field(description=description, json_schema_extra={"format": "date-time"})


class _Model(BaseModel):
    # Names such as model_version are ours to use.
    model_config = ConfigDict(protected_namespaces=())


class Sent(BaseModel):
    """What is sent to have something done: a field that nobody knows is refused."""

    model_config = ConfigDict(extra="forbid")


class Cut(_Model):
    """One reason for which an answer is not complete: a limit, and its numbers."""

    limit: str = Field(description="`depth`, `nodes`, `edges`, `rows`, `time`, `list` or another.")
    what: str = Field(description="What was being done; empty: walking, reading or listing.")
    part: list[str] = Field(description="Of which part: a side, one of two moments, a type.")
    done: int | None = Field(description="How far it came.")
    most: int | None = Field(description="How far it might.")
    total: int | None = Field(description="How many there are in all, where that is known.")


class Answered(_Model, Generic[Value]):
    """An answer that says what it is worth."""

    value: Value
    complete: bool = Field(description="False where something was cut; `why` says what.")
    why: list[str] = Field(description="What was cut and by which limit, in words.")
    cuts: list[Cut] = Field(description="The same as values.")
    total: int | None = Field(description="How many there are in all, where that is known.")
    basis_t: int = Field(description="The transaction at which it was computed.")
    known_at: str = _time("As we had recorded it by then.")
    valid_at: str = _time("As it was so at that time.")
    fresh_at: str | None = _time("When the least recently heard source was last heard.")
    notes: list[str]
    inferred_t: int | None = Field(
        description="While rules have still to conclude: the transaction through which what is "
        "inferred is complete. Null: all is concluded, or the answer is about the past."
    )
    pending: int = Field(description="How many pieces of work of rules wait.")


class Thing(_Model):
    """Anything with a URI, in one line."""

    uri: str
    type: str
    name: str
    state: State
    status: str | None


class SourceResponse(_Model):
    """The answer of a source that a record was made from."""

    url: str
    sha256: str
    at: str = _time("When the source answered.")
    etag: str | None


class _Life(_Model):
    t_from: int
    t_to: int | None
    valid_from: str = _time("Since when it is so.")
    valid_to: str | None = _time("Until when it was so.")
    valid_said: bool = Field(description="True where the source gave the time itself.")
    ended: str | None = Field(description="Why it ended: changed, removed, corrected, deleted.")


class Said(_Life):
    """What one document of one source says of a thing."""

    source: str
    document: str
    attributes: dict[str, Any]
    response: SourceResponse | None


class Finding(_Model):
    """Something that may be wrong, as an edge says it of both its ends."""

    start: Thing
    kind: str
    end: Thing
    meaning: str = Field(description="What edges of this kind say.")
    why: list[str] = Field(description="The reasons of the rules that concluded it.")


class Entity(Thing):
    """A thing as all its sources together say."""

    attributes: dict[str, Any]
    said: list[Said]
    also: list[str] = Field(description="Other URIs of the same thing.")
    findings: list[Finding] = Field(description="What may be wrong with it.")
    confirmed_at: str | None = _time(
        "When a source last confirmed it; about the past, when its word was last recorded."
    )


class Claim(_Life):
    """Who says that an edge is so, in which document, and since when."""

    source: str
    document: str
    layer: Literal["declared", "observed", "inferred", "suggested"]
    attributes: dict[str, Any]


class _Observed(_Model):
    response: SourceResponse | None = Field(description="The answer of the source that said so.")
    observed_at: str = _time("When it was first observed.")
    confirmed_at: str | None = _time(
        "When its document was last confirmed; null about the past, or where nobody asks for it."
    )


class Stated(_Observed, Claim):
    """A claim, with the answer of the source that made it, and when it was observed."""


class EdgeName(_Model):
    """An edge by its ends and kind."""

    start: str
    kind: str
    end: str


class Edge(EdgeName):
    """One relationship, and who says so."""

    uri: str
    layer: Literal["declared", "observed", "inferred", "suggested"]
    attributes: dict[str, Any]
    claims: list[Claim]


class Neighbour(_Model):
    """Something that a thing is joined to."""

    relation: str = Field(description="As read from the thing: the kind, or its inverse.")
    other: Thing
    edge: Edge


class Valued(_Observed):
    """A document's word on a value that two things have alike."""

    thing: Thing
    attribute: str
    value: Any
    source: str
    document: str


class Support(_Model):
    """One edge that a conclusion rests on, or an equal value of two things."""

    start: Thing
    kind: str = Field(
        description="`=a=b`: the value of `a` of the one is that of `b` of the other."
    )
    end: Thing
    stated: list[Stated]
    values: list[Valued] = Field(description="Of an equal value: who says it of either.")
    reasons: list[Reason] = Field(description="Of what rules concluded: from what.")


class Skew(_Model):
    """What a conclusion rests on was not known to be true at one moment."""

    seconds: float
    words: str


class Reason(_Model):
    """One way in which a rule concluded an edge."""

    rule: str
    version: str
    why: str
    confidence: float = Field(description="How sure the rule is, above 0 to 1.")
    skew: Skew | None = Field(description="Null where there was such a moment, or nearly.")
    supports: list[Support]


class Explanation(_Model):
    """Why an edge is believed, down to the answers of sources."""

    edge: Edge
    start: Thing
    end: Thing
    words: str
    stated: list[Stated]
    reasons: list[Reason]
    derivations: int = Field(description="In how many ways rules conclude it; not all are kept.")


class Detail(_Model):
    """A value before and after a change."""

    before: Any
    after: Any


class Happening(_Model):
    """One change in the life of a thing."""

    t: int
    at: str = _time("When it was recorded.")
    actor: str
    cause: str
    what: Literal[
        "said", "changed", "removed", "corrected", "deleted", "joined", "parted", "forgotten"
    ]
    source: str
    details: dict[str, Detail]
    other: Thing | None


class Recent(_Model):
    """One transaction, and what it changed."""

    t: int
    at: str = _time("When it was recorded.")
    actor: str
    cause: str
    changed: int = Field(description="How many things it changed.")
    things: list[Thing] = Field(description="The newest of them, at most three.")


class Found(_Model):
    """What a search found."""

    hits: list[Thing]
    facets: dict[str, dict[str, int]]


class Feeds(_Model):
    """Features, and the data sets that can feed them."""

    features: list[Thing]
    data_sets: list[Thing]


class Trial(_Model):
    """An A/B test and a model version, and how they are joined."""

    test: Thing
    version: Thing
    how: Literal["served", "trained"]
    running: bool


class Consumer(_Model):
    """A model that consumes a feature, and the teams that own it."""

    model: Thing
    teams: list[Thing]


class Sharer(_Model):
    """A model that shares features with another."""

    model: Thing
    features: list[Thing]


class Around(_Model):
    """The data sets upstream and the A/B tests downstream of a version."""

    data_sets: list[Thing]
    tests: list[Thing]


class Owned(_Model):
    """A thing and who owns it."""

    thing: Thing
    owners: list[Thing]


class Attribute(_Model):
    """One thing that can be said of an entity or an edge."""

    name: str
    type: Literal["text", "number", "bool", "time", "list", "map", "uri", "enum"]
    description: str
    values: list[str]
    search: bool
    facet: bool
    personal: bool
    deprecated: str | None


class Type(_Model):
    """One sort of thing."""

    name: str
    title: str
    plural: str
    domain: str
    description: str
    grain: Literal["logical", "exact"]
    part_of_kind: str | None
    live: list[str]
    attributes: list[Attribute]


class Kind(_Model):
    """One sort of relationship."""

    name: str
    inverse: str
    description: str
    class_: str = Field(alias="class")
    flow: Literal["back", "forth", "none"]
    layer: str
    from_types: list[str]
    to_types: list[str]
    attributes: list[Attribute]


class Shapes(_Model):
    """Every type and every kind."""

    version: str
    types: list[Type]
    kinds: list[Kind]


class Types(_Model):
    """The shapes of this installation."""

    value: Shapes


class Accepted(_Model):
    """How many events are kept."""

    accepted: int


class RefusedEvent(_Model):
    """An event of a batch that is not kept: which, counted from 0, and why."""

    index: int
    reason: str


class PartlyAccepted(_Model):
    """How many events of a batch are kept, and which were refused."""

    accepted: int
    refused: list[RefusedEvent]


class DoorStanding(_Model):
    """How the door of a bus stands."""

    name: str
    bus: str = Field(description="`kafka`, `sqs` or `nats`.")
    state: str = Field(
        description="`opening`, `open`, `paused` (no room for more), `down` (the bus fails) or "
        "`closed`."
    )
    kept: int = Field(description="Events that were kept since the server started.")
    dead: int = Field(description="Events among the dead letters since then.")
    restarts: int = Field(description="How often the door had to be opened again.")
    reason: str = Field(description="Why it is paused or down.")


class DoorList(_Model):
    """The buses that are listened to."""

    doors: list[DoorStanding]


class FailedEvent(_Model):
    """An event of a batch that was refused."""

    index: int
    reason: str
    retriable: bool


class BatchSummary(_Model):
    """What became of a batch, in numbers."""

    received: int
    successful: int
    failed: int
    retriable: int
    non_retriable: int


class BatchOutcome(_Model):
    """What became of a batch that was not taken whole."""

    status: Literal["partial_success"]
    summary: BatchSummary
    failed_events: list[FailedEvent]


class Status(_Model):
    """Whether the server answers."""

    status: Literal["ok"]


class Problem(_Model):
    """What went wrong, why, and what to do (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    fix: str | None
    nearest: list[str] = Field(description="URIs that look like the one asked for.")
    request_id: str

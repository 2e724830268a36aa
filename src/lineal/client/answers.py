"""What a server is asked and what comes back: plain dictionaries, by name and type.

The forms are those of the REST interface; nothing here does anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NotRequired, TypeAlias, TypedDict, TypeVar

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

Value = TypeVar("Value")


class Times(TypedDict, total=False):
    """The two times of a question."""

    #: As it was recorded by then: an ISO time, or ``t:`` and the number of a transaction.
    known_at: str | None
    #: As it was so at that ISO time.
    valid_at: str | None


class Walk(TypedDict, total=False):
    """How a walk is gone; what is not said is as fits the question."""

    #: ``logical`` (pipelines and wholes) or ``exact`` (runs and versions).
    grain: str | None
    #: Only over edges of these kinds, or of these layers.
    kinds: Sequence[str]
    layers: Sequence[str]
    #: Only things of these types are told.
    types: Sequence[str]
    #: Columns themselves, not their data sets.
    columns: bool
    #: The budget: steps, things, edges that are looked at, rows that are read, milliseconds.
    depth: int | None
    nodes: int | None
    edges: int | None
    rows: int | None
    ms: int | None


class Cost(TypedDict, total=False):
    """What a comparison may cost: edges whose claims are compared, rows read, milliseconds."""

    edges: int | None
    rows: int | None
    ms: int | None


class Cut(TypedDict):
    """One reason for which an answer is not complete: a limit, and its numbers."""

    #: ``depth``, ``nodes``, ``edges``, ``rows``, ``time``, ``list`` or another.
    limit: str
    what: str
    part: list[str]
    done: int | None
    most: int | None
    total: int | None


class Answer(TypedDict, Generic[Value]):
    """An answer that says what it is worth. Times are ISO 8601 in UTC."""

    value: Value
    #: False where something was cut; *why* says what in words, *cuts* as values.
    complete: bool
    why: list[str]
    cuts: list[Cut]
    #: How many there are in all, where that is known.
    total: int | None
    #: The transaction at which it was computed.
    basis_t: int
    known_at: str
    valid_at: str
    #: When the sources that this rests on were last heard.
    fresh_at: str | None
    notes: list[str]
    #: While rules have still to conclude: through which transaction the inferred is complete, and
    #: how many pieces of work wait.
    inferred_t: int | None
    pending: int


class Thing(TypedDict):
    """A thing in one line."""

    uri: str
    type: str
    name: str
    state: str
    status: str | None


class Response(TypedDict):
    """The answer of a source that something rests on."""

    url: str
    sha256: str
    at: str
    etag: str | None


class Said(TypedDict):
    """What one document of one source says, and for how long."""

    source: str
    document: str
    attributes: dict[str, Json]
    t_from: int
    t_to: int | None
    valid_from: str
    valid_to: str | None
    valid_said: bool
    ended: str | None
    response: NotRequired[Response | None]


class Claim(Said):
    """What one document says of an edge, and how it came to believe that."""

    layer: str


class Finding(TypedDict):
    """Something that may be wrong, as an edge says it of both its ends."""

    start: Thing
    kind: str
    end: Thing
    meaning: str
    #: The reasons of the rules that concluded it; none where a source states it.
    why: list[str]


class Entity(Thing):
    """A thing as all its sources together say."""

    attributes: dict[str, Json]
    said: list[Said]
    also: list[str]
    findings: list[Finding]
    confirmed_at: str | None


class Edge(TypedDict):
    """One relationship, and the claims it rests on."""

    uri: str
    start: str
    kind: str
    end: str
    layer: str
    attributes: dict[str, Json]
    claims: list[Claim]


class EdgeName(TypedDict):
    """A relationship by its ends and kind."""

    start: str
    kind: str
    end: str


class Evidence(TypedDict):
    """One claim that two names are one thing (``same_as``), or that they are not."""

    start: Thing
    kind: str
    end: Thing
    #: False where a veto stands between the two, and for the veto itself.
    joins: bool
    at: str
    actor: str
    cause: str
    claim: Claim
    #: Of what a rule concluded: its reasons in words.
    why: list[str]


class Named(TypedDict):
    """A thing under all its names, the one that stands for it first."""

    thing: Thing
    names: list[Thing]


class Names(Named):
    """All names of a thing, and every claim that joins or parts them."""

    evidence: list[Evidence]


class Decision(TypedDict):
    """What is written about two names; *kind* None: nothing is said of them any more."""

    one: str
    other: str
    kind: str | None


class Word(TypedDict):
    """What one name says."""

    uri: str
    value: Json


class Disagreement(TypedDict):
    """A single value that names of one thing would have differently."""

    attribute: str
    values: list[Word]


class Preview(TypedDict):
    """What would be so after a merge or a split."""

    before: list[Named]
    after: list[Named]
    decisions: list[Decision]
    #: Names of parts that would be joined, or parted.
    parts: list[list[str]]
    disagreements: list[Disagreement]
    #: Edges between what is joined or parted.
    inner: list[EdgeName]
    #: What rules would conclude, and would not conclude any more.
    appear: list[EdgeName]
    vanish: list[EdgeName]
    warnings: list[str]
    refusals: list[str]


class Suggestion(TypedDict):
    """Two things that may be one."""

    one: Thing
    other: Thing
    score: float
    reasons: list[str]


class Neighbour(TypedDict):
    """Something that a thing is joined to."""

    relation: str
    other: Thing
    edge: Edge


class Stated(Claim):
    """A claim, and when it was observed; *confirmed_at* is known of now only."""

    observed_at: str
    confirmed_at: str | None


class Valued(TypedDict):
    """A document's word on a value that two things have alike."""

    thing: Thing
    attribute: str
    value: Json
    source: str
    document: str
    response: Response | None
    observed_at: str
    confirmed_at: str | None


class Support(TypedDict):
    """
    One edge that a conclusion rests on, or an equal value of two things.

    *kind* is then ``=a=b``: *values* tells who says it of either. Of an edge that rules concluded
    *reasons* tells from what.
    """

    start: Thing
    kind: str
    end: Thing
    stated: list[Stated]
    values: list[Valued]
    reasons: list[Reason]


class Skew(TypedDict):
    """What a conclusion rests on was not known to be true at one moment."""

    seconds: float
    words: str


class Reason(TypedDict):
    """One way in which a rule concluded an edge."""

    rule: str
    version: str
    why: str
    confidence: float
    skew: Skew | None
    supports: list[Support]


class Explanation(TypedDict):
    """Why an edge is believed."""

    edge: Edge
    start: Thing
    end: Thing
    words: str
    stated: list[Stated]
    reasons: list[Reason]
    derivations: int


class RuleEdge(TypedDict):
    """An edge that stands by a rule, and one of the reasons for it."""

    start: Thing
    kind: str
    end: Thing
    why: str


class Change(TypedDict):
    """What an attribute was, and what it became."""

    before: Json
    after: Json


class Happening(TypedDict):
    """One change in the life of a thing."""

    t: int
    at: str
    actor: str
    cause: str
    what: str
    source: str
    details: dict[str, Change]
    other: Thing | None


class Recent(TypedDict):
    """One transaction, and what it changed."""

    t: int
    at: str
    actor: str
    cause: str
    #: How many things, of which the newest are named.
    changed: int
    things: list[Thing]


class At(TypedDict):
    """A moment: what was known, and of when it is asked."""

    t: int
    known_at: str
    valid_at: str


class Because(TypedDict):
    """
    Why something differs between two moments.

    *how* is ``recorded`` (transaction *t* made the difference), ``valid_time`` (the same is known
    at both, and another time is asked about) or ``not_sought`` (finding out cost too much).
    """

    how: str
    t: int | None
    at: str | None
    actor: str
    cause: str


class AttributeChange(Change):
    """One attribute before and after."""

    name: str
    because: Because


class ThingChange(TypedDict):
    """A thing that ``appeared``, ``vanished`` or ``changed``; *before* and *after* are states."""

    what: str
    thing: Thing
    before: str | None
    after: str | None
    changes: list[AttributeChange]
    because: Because


class ClaimChange(TypedDict):
    """One document's word on an edge, which differs; *before* and *after* are layers."""

    what: str
    source: str
    document: str
    before: str | None
    after: str | None
    attributes: dict[str, Change]
    because: Because


class EdgeChange(TypedDict):
    """An edge that ``appeared``, ``vanished`` or ``changed``."""

    what: str
    start: Thing
    kind: str
    end: Thing
    claims: list[ClaimChange]
    because: Because


class NameChange(TypedDict):
    """A name that ``joined`` the names of a thing, or ``parted`` from them."""

    what: str
    thing: Thing
    name: str
    because: Because


class Differences(TypedDict):
    """What differs between two moments; *counts* are of all, also of what is not listed."""

    before: At
    after: At
    along: str
    counts: dict[str, dict[str, int]]
    things: list[ThingChange]
    edges: list[EdgeChange]
    names: list[NameChange]


class Found(TypedDict):
    """What a search found, and how many of it have which value of which facet."""

    hits: list[Thing]
    facets: dict[str, dict[str, int]]


class Node(Thing):
    """
    A thing in a lineage; *depth* is negative upstream.

    Where a cycle puts it on both sides, *other_depth* counts the steps on the farther one.
    """

    depth: int
    other_depth: int | None
    possible: bool
    approximate: bool
    live: bool


class Arrow(TypedDict):
    """A step, in the direction in which data goes."""

    start: str
    kind: str
    end: str
    layer: str
    possible: bool
    feedback: bool


class Lineage(TypedDict):
    """What a thing was made from and what is made from it."""

    starts: list[Thing]
    grain: str
    nodes: list[Node]
    arrows: list[Arrow]
    upstream: dict[str, int]
    downstream: dict[str, int]
    cycles: list[Cycle]


class Cycle(TypedDict):
    """Things that feed each other: a shortest way round, of *size* things in all."""

    things: list[Thing]
    words: str
    size: int
    feedback: bool


class Path(TypedDict):
    """One way from a thing to another."""

    words: str
    weakest: str
    weakest_link: Arrow | None
    arrows: list[Arrow]


class Shared(Thing):
    """Something that several things have in common; *depths* in the order of the starts."""

    depths: list[int]
    possible: bool
    live: bool
    nearest: bool


class Common(TypedDict):
    """What several things have in common on one side, nearest first."""

    starts: list[Thing]
    upstream: bool
    things: list[Shared]
    by_type: dict[str, int]


class Member(Thing):
    """A thing of a closure, with all that its sources together say of it."""

    attributes: dict[str, Json]
    also: list[str]
    confirmed_at: str | None
    depth: int
    possible: bool
    approximate: bool
    live: bool


class Owning(TypedDict):
    """How many things somebody owns; None stands for nobody."""

    owner: Thing | None
    count: int


class Holding(TypedDict):
    """How many things a domain holds; None stands for none."""

    domain: Thing | None
    count: int


class Among(TypedDict, total=False):
    """Which of a closure is counted and told; "-" is what has no stage, owner or domain."""

    stage: str
    #: URIs.
    owner: str
    domain: str
    #: In steps from the nearest start.
    distance: int
    #: Whether it is live by itself.
    live: bool


class Closure(TypedDict):
    """All that things were made from, or that is made from them; counts are not of the page."""

    starts: list[Thing]
    upstream: bool
    grain: str
    things: list[Member]
    by_type: dict[str, int]
    by_stage: dict[str, int]
    by_depth: dict[str, int]
    by_owner: list[Owning]
    owners: int
    by_domain: list[Holding]
    domains: int
    live: int


class Hit(Thing):
    """Something that a change would touch; *effect* and *why* where it is said what changes."""

    depth: int
    layer: str
    live: bool
    in_use: bool
    possible: bool
    owners: list[Thing]
    path: str
    effect: str
    why: str


class Told(TypedDict):
    """An owner who must be told, and of what; None stands for nobody. Counts are of all."""

    owner: Thing | None
    contacts: list[str]
    count: int
    live: int
    by_type: dict[str, int]
    things: list[Thing]


class Meant(TypedDict):
    """A change that is meant to be made."""

    what: str
    to: str | None


class Impact(TypedDict):
    """What a change would touch, worst first."""

    starts: list[Thing]
    change: Meant | None
    live: int
    in_use: int
    by_type: dict[str, int]
    by_effect: dict[str, int]
    by_owner: list[Told]
    hits: list[Hit]


class SchemaChange(TypedDict):
    """One change of a schema, why it is so, and whom it touches."""

    what: str
    thing: Thing
    attribute: str
    before: Json
    after: Json
    because: Because
    touched: int
    live: int
    by_owner: list[Told]
    hits: list[Hit]


class SchemaChanges(TypedDict):
    """The schema changes of a period, those that touch what is live first."""

    before: At
    after: At
    by_what: dict[str, int]
    changes: list[SchemaChange]


class Asset(Thing):
    """Something that live consumers rest on: how many, and of how many teams."""

    consumers: int
    teams: int
    consumed_by: list[Thing]
    of_teams: list[Thing]


class Unused(Thing):
    """Something that nothing live is made from, and that nothing took from of late."""

    since: str
    last_used_at: str | None
    last_used_by: Thing | None
    owners: list[Thing]


class Wanted(TypedDict):
    """A feature that a model does not consume and that models like it do."""

    thing: Thing
    score: float
    by: list[Thing]
    reason: str


class Alike(TypedDict):
    """A model or feature that is like another, with its score and a reason."""

    thing: Thing
    score: float
    shared: list[Thing]
    only_this: int
    only_other: int
    reason: str


class Refusal(TypedDict):
    """An event that was not taken: its place among those sent, from 0, and why."""

    index: int
    reason: str


class Sent(TypedDict):
    """What became of events that were sent."""

    accepted: int
    refused: list[Refusal]

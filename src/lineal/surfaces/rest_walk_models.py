"""The answers of walks as OpenAPI describes them: see `rest_models`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from lineal.surfaces.rest_differences import At, Because
from lineal.surfaces.rest_models import EdgeName, Thing, _Model, _time


class Node(Thing):
    """A thing in a lineage."""

    depth: int = Field(description="Steps from the start, negative upstream; 0 is a start.")
    other_depth: int | None = Field(
        description="Where a cycle puts it on both sides: the steps on the farther side."
    )
    possible: bool = Field(description="It holds for some part only, perhaps another one.")
    approximate: bool = Field(description="Reached over a whole instead of its very part.")
    live: bool = Field(description="In use at the moment asked about.")
    x: float | None = Field(None, description="With `layout=1`: where its centre stands.")
    y: float | None = Field(None, description="With `layout=1`: where its centre stands.")


class Arrow(EdgeName):
    """A step, in the direction in which data goes."""

    layer: Literal["declared", "observed", "inferred", "suggested"]
    possible: bool
    feedback: bool = Field(description="A loop that is shown but was not entered.")
    edge: EdgeName | None = Field(description="The edge itself, as it is stored.")


class Lineage(_Model):
    """What a thing was made from and what is made from it."""

    starts: list[Thing]
    grain: Literal["logical", "exact"]
    nodes: list[Node]
    arrows: list[Arrow]
    upstream: dict[str, int]
    downstream: dict[str, int]
    cycles: list[Cycle] = Field(description="Where data goes round; each was walked once.")


class Cycle(_Model):
    """Things that feed each other."""

    things: list[Thing] = Field(description="A shortest way round; the last feeds the first.")
    words: str
    size: int = Field(description="How many things feed each other here.")
    feedback: bool = Field(description="Only a feedback loop closes it.")


class Path(_Model):
    """One way from a thing to another, also in words."""

    words: str
    weakest: str = Field(description="The weakest layer on the way.")
    weakest_link: Arrow | None = Field(description="The arrow that is believed least.")
    arrows: list[Arrow]


class Shared(Thing):
    """Something that several things have in common."""

    depths: list[int] = Field(description="Steps from each start, in the order of the starts.")
    possible: bool
    live: bool
    nearest: bool = Field(description="No other common thing lies between it and the starts.")


class Common(_Model):
    """What several things have in common on one side, nearest first."""

    starts: list[Thing]
    upstream: bool
    things: list[Shared]
    by_type: dict[str, int]


class Member(Thing):
    """A thing of a closure, with all that its sources together say of it."""

    attributes: dict[str, Any]
    also: list[str] = Field(description="Other URIs of the same thing.")
    confirmed_at: str | None = _time("When a source last confirmed it.")
    depth: int
    possible: bool
    approximate: bool
    live: bool


class Owning(_Model):
    """How many things somebody owns; null stands for nobody."""

    owner: Thing | None
    count: int


class Holding(_Model):
    """How many things a domain holds; null stands for none."""

    domain: Thing | None
    count: int


class Closure(_Model):
    """All that things were made from, or that is made from them: counts, and a page of it."""

    starts: list[Thing]
    upstream: bool
    grain: Literal["logical", "exact"]
    things: list[Member] = Field(description="The page: nearest first.")
    by_type: dict[str, int] = Field(description="Counts of all, not of the page.")
    by_stage: dict[str, int] = Field(description='What has no stage is counted under "".')
    by_depth: dict[str, int]
    by_owner: list[Owning] = Field(description="Those who own most first; the first 20.")
    owners: int = Field(description="How many owners there are.")
    by_domain: list[Holding] = Field(description="Those that hold most first; the first 20.")
    domains: int = Field(description="How many domains there are.")
    live: int = Field(description="How many are live by themselves.")


class Hit(Thing):
    """Something that a change would touch."""

    depth: int
    layer: str = Field(description="The weakest layer on the way to it.")
    live: bool = Field(description="Something live depends on it, or it is live itself.")
    in_use: bool = Field(description="A deployment with traffic, or a running A/B test.")
    possible: bool
    owners: list[Thing]
    path: str = Field(description="The way to it in words.")
    effect: Literal["breaks", "may break", "changes", ""] = Field(
        description="What the change does to it; empty where it is not said what changes."
    )
    why: str = Field(description="Why it does that, in words.")


class Touched(_Model):
    """What of an owner's would be touched; the counts are of all, the things the first of them."""

    owner: Thing | None
    contacts: list[str] = Field(description="Where the owner can be reached.")
    count: int
    live: int
    by_type: dict[str, int]
    things: list[Thing]


class Change(_Model):
    """What is done to the things that are asked about."""

    what: Literal["dropped", "renamed", "retyped", "redefined", "rolled_back"]
    to: str | None = Field(description="The new name or type, or the version that comes back.")


class Impact(_Model):
    """What a change would touch, worst first, and who must be told."""

    starts: list[Thing]
    change: Change | None
    live: int
    in_use: int
    by_type: dict[str, int]
    by_effect: dict[str, int]
    by_owner: list[Touched]
    hits: list[Hit]


class SchemaChange(_Model):
    """One change of a schema, why it is so, and whom it touches."""

    what: Literal["added", "dropped", "renamed", "retyped", "redefined", "rolled_back"]
    thing: Thing
    attribute: str
    before: Any
    after: Any
    because: Because
    touched: int
    live: int
    by_owner: list[Touched]
    hits: list[Hit] = Field(description="The worst of those that are touched.")


class SchemaChanges(_Model):
    """The schema changes of a period, those that touch what is live first."""

    before: At
    after: At
    by_what: dict[str, int] = Field(description="Of all, also of what is not listed.")
    changes: list[SchemaChange]


class Asset(Thing):
    """Something that live consumers rest on."""

    consumers: int = Field(description="Deployments with traffic and running A/B tests.")
    teams: int = Field(description="Of how many teams these are.")
    consumed_by: list[Thing] = Field(description="The first ten of them.")
    of_teams: list[Thing]


class Unused(Thing):
    """Something from which nothing live is made, and nothing was taken of late."""

    since: str = _time("When something last took from it, or it was first recorded.")
    last_used_at: str | None = _time("When something last took from it; null: never.")
    last_used_by: Thing | None
    owners: list[Thing]


class Wanted(_Model):
    """A feature that a model does not consume, and that models like it do."""

    thing: Thing
    score: float = Field(description="The share of all likeness that votes for it, 0 to 1.")
    by: list[Thing] = Field(description="Models that consume it, the most alike first.")
    reason: str


class Alike(_Model):
    """A model that consumes like features, or a feature that like models consume."""

    thing: Thing
    score: float = Field(description="The weighted Jaccard index, 0 to 1.")
    shared: list[Thing] = Field(
        description="What both consume, or what consumes both, the rarest first."
    )
    only_this: int
    only_other: int
    reason: str

"""The answers of walks as OpenAPI describes them: see `rest_models`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lineal.surfaces.rest_models import EdgeName, Thing, _Model


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


class Hit(Thing):
    """Something that a change would touch."""

    depth: int
    layer: str = Field(description="The weakest layer on the way to it.")
    live: bool = Field(description="Something live depends on it, or it is live itself.")
    possible: bool
    owners: list[Thing]
    path: str = Field(description="The way to it in words.")


class Touched(_Model):
    """What of an owner's would be touched."""

    owner: Thing | None
    things: list[Thing]


class Impact(_Model):
    """What a change would touch, worst first, and who must be told."""

    starts: list[Thing]
    live: int
    by_type: dict[str, int]
    by_owner: list[Touched]
    hits: list[Hit]

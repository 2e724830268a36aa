"""What differs between two moments, as OpenAPI describes it: see `rest_models`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lineal.surfaces.rest_models import Detail, State, Thing, _Model, _time


class At(_Model):
    """A moment: what was known, and of when it is asked."""

    t: int
    known_at: str = _time("As we had recorded it by then.")
    valid_at: str = _time("As it was so at that time.")


class Because(_Model):
    """Why something differs between two moments."""

    how: Literal["recorded", "valid_time", "not_sought"] = Field(
        description="A transaction made the difference; or the same is known at both moments and "
        "another time is asked about; or finding out cost too much."
    )
    t: int | None = Field(description="The transaction that made the difference.")
    at: str | None = _time("When it was recorded.")
    actor: str
    cause: str


class AttributeChange(Detail):
    """One attribute before and after; null where it was not said."""

    name: str
    because: Because


class ThingChange(_Model):
    """A thing that differs."""

    what: Literal["appeared", "vanished", "changed"]
    thing: Thing
    before: State | None = Field(description="How far it was known; null: not at all.")
    after: State | None
    changes: list[AttributeChange]
    because: Because


class ClaimChange(_Model):
    """One document's word on an edge, which differs."""

    what: Literal["appeared", "vanished", "changed"]
    source: str
    document: str
    before: Literal["declared", "observed", "inferred", "suggested"] | None = Field(
        description="Its layer at the first moment; null: it was not said."
    )
    after: Literal["declared", "observed", "inferred", "suggested"] | None
    attributes: dict[str, Detail]
    because: Because


class EdgeChange(_Model):
    """An edge that differs, told claim by claim."""

    what: Literal["appeared", "vanished", "changed"]
    start: Thing
    kind: str
    end: Thing
    claims: list[ClaimChange]
    because: Because


class NameChange(_Model):
    """A name that joined the names of a thing, or parted from them."""

    what: Literal["joined", "parted"]
    thing: Thing
    name: str
    because: Because


class Differences(_Model):
    """What differs between two moments."""

    before: At
    after: At
    along: Literal["known", "valid", "both", "neither"] = Field(
        description="In which of the two times the moments differ."
    )
    counts: dict[str, dict[str, int]] = Field(description="Of all, also of what is not listed.")
    things: list[ThingChange]
    edges: list[EdgeChange]
    names: list[NameChange]

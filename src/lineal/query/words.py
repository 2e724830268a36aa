"""Ways in words: each step as one says it, and which of them is the weakest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from lineal.lineage import Step
from lineal.model import Uri
from lineal.query.things import Brief, Things, spoken
from lineal.shapes import Shapes

#: Layers from the strongest to the weakest.
STRENGTH = ("declared", "observed", "inferred", "suggested")


class Believed(Protocol):
    """A step or an arrow: how we came to believe it."""

    @property
    def layer(self) -> str:
        """The layer."""

    @property
    def possible(self) -> bool:
        """Whether it holds for some part only."""


class Drawn(Protocol):
    """An arrow: from where, by which kind, to where."""

    @property
    def start(self) -> Uri:
        """Where it begins."""

    @property
    def kind(self) -> str:
        """Of which kind it is."""

    @property
    def end(self) -> Uri:
        """Where it ends."""


def in_words(things: Things, steps: Sequence[Step], *, upstream: bool) -> str:
    """Tell a way as a sentence, each step in the words of its kind."""
    if not steps:
        return ""
    briefs = things.briefs([key for step in steps for key in (step.start, step.end)])
    told = [called(briefs[steps[0].start])]
    for step in steps:
        word = _word(things.shapes, step.kind, upstream=upstream)
        told.append(f"{word} {called(briefs[step.end])}")
    return _sentence(told)


def along(shapes: Shapes, briefs: Mapping[Uri, Brief], arrows: Sequence[Drawn]) -> str:
    """Tell arrows that follow each other, in the direction of the data, as a sentence."""
    told = [called(briefs[arrows[0].start])]
    for arrow in arrows:
        told.append(f"{_word(shapes, arrow.kind, upstream=False)} {called(briefs[arrow.end])}")
    return _sentence(told)


def _word(shapes: Shapes, kind: str, *, upstream: bool) -> str:
    """Return how a kind is said when it is gone over in this direction."""
    found = shapes.kinds[kind]
    forward = (shapes.flows(kind) > 0) != upstream
    if found.class_ == "level":
        forward = True
    return spoken(found.name if forward else found.inverse)


def _sentence(told: Sequence[str]) -> str:
    return ", ".join([" ".join(told[:2]), *(f"which {part}" for part in told[2:])])


def called(thing: Brief) -> str:
    """Return what a thing is, and what it is called."""
    return f"{thing.type.replace('-', ' ')} {thing.name}"


def weakest(steps: Iterable[Step]) -> str:
    """Return the weakest layer among steps."""
    return max((step.layer for step in steps), key=STRENGTH.index, default="declared")


def weakest_link(links: Sequence[Believed]) -> int | None:
    """Return the place of what is believed least: by layer, then what is only possible."""
    if not links:
        return None
    return max(
        range(len(links)),
        key=lambda at: (STRENGTH.index(links[at].layer), links[at].possible, -at),
    )

"""A walk as it is asked for, and as it was gone: what was reached, how far and how surely."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from lineal.lineage.graph import Step
from lineal.lineage.laws import BELIEVED
from lineal.model import Cut


class Mode(IntEnum):
    """How a thing was reached, and so how far a walk goes on from it."""

    #: Shown only: what goes through it is followed by column.
    SHOWN = 0
    #: As the whole of a part: only statements that name the whole itself are followed.
    NARROW = 1
    #: As itself: its own statements and those of its parts.
    FULL = 2


@dataclass(frozen=True, slots=True)
class Label:
    """What is known of one way to a thing. Several that do not outdo each other are kept."""

    mode: Mode
    #: Some step on the way went between a part and its whole.
    possible: bool = False
    #: Some step on the way left the exact part for the whole.
    approximate: bool = False
    #: How many steps of a kind that is followed only so deep came last, in a row.
    run: int = 0

    def outdoes(self, other: Label) -> bool:
        """Return whether nothing is gained by *other* where this is known."""
        return (
            self.mode >= other.mode
            and self.possible <= other.possible
            and self.approximate <= other.approximate
            and self.run <= other.run
        )


@dataclass(slots=True)
class Reached:
    """A thing that a walk came to."""

    key: int
    #: How many steps from the start.
    depth: int
    possible: bool
    approximate: bool
    #: The step by which it was first reached; None for a start. Containment costs no step.
    step: Step | None
    #: The part through which this whole is shown, where it is.
    through: int | None = None


@dataclass(slots=True)
class Walk:
    """What was reached from some starts in one direction, and how."""

    reached: dict[int, Reached] = field(default_factory=dict)
    steps: dict[tuple[int, str, int], Step] = field(default_factory=dict)
    #: Feedback: loops that are shown as one step and not entered.
    feedback: list[Step] = field(default_factory=list)
    #: Part and whole, where both were reached through each other.
    contained: set[tuple[int, str, int]] = field(default_factory=set)
    #: What was cut and why; empty if nothing was.
    why: list[Cut] = field(default_factory=list)
    scanned: int = 0

    def way_to(self, key: int) -> list[Step]:
        """
        Return the steps from a start to *key*, in order: one of the shortest ways.

        Each leads nearer to the start. A whole of the start that a cycle leads back to is far as
        itself, and the start of the steps that leave it.
        """
        steps: list[Step] = []
        here: int | None = key
        depth = self.reached[key].depth + 1
        while here is not None:
            at = self.reached[here]
            if at.depth >= depth:
                break
            if at.through is not None and at.step is None:
                here = at.through
                continue
            if at.step is None:
                break
            steps.append(at.step)
            here, depth = at.step.start, at.depth
        return steps[::-1]


@dataclass(frozen=True, slots=True)
class Way:
    """Which edges a walk goes over, and at which grain."""

    #: True: towards what a thing was made from.
    upstream: bool
    #: True: over pipelines, models and data sets; False: over runs and versions.
    logical: bool
    classes: frozenset[str] = frozenset({"data", "serve"})
    layers: frozenset[str] = BELIEVED
    kinds: frozenset[str] | None = None
    #: What is asked for: a thing of a type from which no such thing can be reached, by what the
    #: shapes declare, is not gone on from. What is reached of these types is the same as without.
    towards: frozenset[str] | None = None

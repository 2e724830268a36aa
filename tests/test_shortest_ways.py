"""The shortest ways of a walk, held against all ways that there are."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.lineage import Step, Walk, Ways
from lineal.lineage.walked import Mode
from lineal.shapes import Shapes

SHAPES = Shapes.builtin()
Steps = list[Step]


@st.composite
def walks(draw: st.DrawFn) -> tuple[Walk, int]:
    """Return a walk over few things: with wholes, statements of parts, kinds of a depth."""
    things = draw(st.integers(2, 7))
    thing = st.integers(0, things - 1)
    kinds = st.sampled_from(["derived_from", "derived_from", "calls"])
    walked = Walk()
    for start, kind, end, own in draw(
        st.lists(st.tuples(thing, kinds, thing, st.booleans()), min_size=1, max_size=18)
    ):
        edge = (end, kind, start if own else things)
        walked.steps[start, kind, end] = Step(start, kind, end, "declared", not own, edge)
    for part, whole in draw(st.lists(st.tuples(thing, thing), max_size=4)):
        if part != whole:
            walked.contained.add((part, "column_of", whole))
    return walked, things


def every_way(ways: Ways, end: int) -> list[Steps]:
    """Return all ways from 0 that go through no thing twice, found by trying all."""
    found: list[Steps] = []
    told = set[tuple[tuple[int, str, int], ...]]()
    waiting: list[tuple[tuple[int, int, int], frozenset[int], Steps]] = [
        ((0, Mode.FULL, 0), frozenset({0}), [])
    ]
    while waiting:
        place, been, way = waiting.pop()
        if place[0] == end and way:
            mark = tuple((step.start, step.kind, step.end) for step in way)
            if mark not in told:
                told.add(mark)
                found.append(way)
            continue
        for hop in ways.onward(place):
            if hop.end[0] not in been:
                waiting.append((hop.end, been | {hop.end[0]}, [*way, hop.step]))
    return found


def length(way: Steps) -> tuple[int, int]:
    """Return how many steps, then how many of all are between a part and its whole."""
    within = sum(step.kind == "column_of" for step in way)
    return len(way) - within, within


def test_no_way_is_shorter_than_those_found_and_none_is_missing() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=300)
    @given(walks(), st.integers(1, 8))
    def agree(drawn: tuple[Walk, int], k: int) -> None:
        walked, things = drawn
        ways = Ways(walked, SHAPES, upstream=False)
        every = every_way(ways, things - 1)

        found, complete = ways.shortest(0, things - 1, k)

        assert complete
        assert [length(way) for way in found] == sorted(map(length, every))[:k]
        assert all(way in every for way in found)
        seen["several"] += len(found) > 1
        seen["none"] += not found
        seen["cut"] += len(every) > k
        seen["within"] += any(length(way)[1] for way in found)

    agree()
    assert all(seen[name] for name in ("several", "none", "cut", "within")), seen


def test_what_does_not_lead_to_the_end_is_not_looked_at() -> None:
    """Beside one way of three steps there are a thousand things that lead elsewhere."""
    walked = Walk()
    for start, end in [(0, 1), (1, 2), (2, 3), *((0, at) for at in range(4, 1_004))]:
        edge = (end, "derived_from", start)
        walked.steps[start, "derived_from", end] = Step(
            start, "derived_from", end, "declared", False, edge
        )
    ways = Counting(walked, SHAPES, upstream=False)

    found, complete = ways.shortest(0, 3, 5)

    assert complete
    assert [[step.end for step in way] for way in islice(found, 2)] == [[1, 2, 3]]
    assert ways.asked < 10


class Counting(Ways):
    """Ways that count from how many places it is asked how to go on."""

    asked = 0

    def onward(self, place):
        self.asked += 1
        return super().onward(place)

"""Which transaction made a difference: found by asking again as of those that lie between.

The answer at the second moment is compared with what the answer would have been one transaction
earlier, about the same time; the transaction after which it stayed as it is now is the cause.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from lineal.model import Instant
from lineal.query.diff.scenes import EdgeKey, Look, Scene, Side
from lineal.query.things import Things
from lineal.shapes import Shapes
from lineal.store import Between


@dataclass(frozen=True, slots=True)
class Because:
    """Why something differs between two moments."""

    #: ``recorded``: a transaction made the difference. ``valid_time``: at both moments the same
    #: is known, and another time is asked about. ``not_sought``: finding out cost too much.
    how: str
    t: int | None = None
    at: Instant | None = None
    actor: str = ""
    cause: str = ""


VALID_TIME, NOT_SOUGHT = Because("valid_time"), Because("not_sought")


@dataclass(slots=True)
class Sought:
    """Something whose cause is sought: how it is at the second moment, and since when perhaps."""

    #: Whether it is, at another side, as it is at the second moment.
    holds: Callable[[Side], bool]
    #: The transactions in which it may have come about.
    ts: Collection[int]
    #: What has to be read to say so.
    keys: Collection[int] = ()
    edges: Collection[EdgeKey] = field(default_factory=tuple)


class Causes:
    """The sides between two moments, each read once."""

    def __init__(
        self, between: Between, shapes: Shapes, out_of_time: Callable[[], bool] = lambda: False
    ) -> None:
        self._between, self._shapes, self._out_of_time = between, shapes, out_of_time
        self._sides: dict[int, Side] = {}
        self._scenes: dict[int, Scene | None] = {}

    def _side(self, t: int) -> Side:
        """Return what was known by *t* about the time of the second moment."""
        if t not in self._sides:
            self._sides[t] = Side(Things(self._between.known_by(t), self._shapes))
        return self._sides[t]

    def of(self, differences: Sequence[Sought]) -> list[Because]:
        """Return the cause of each, asking backwards from the second moment."""
        if self._between.in_valid_time:
            return [VALID_TIME] * len(differences)
        found: dict[int, int | None] = {}
        open_ends = {at: sorted(one.ts) for at, one in enumerate(differences)}
        while open_ends and not self._out_of_time():
            rounds: dict[int, list[int]] = defaultdict(list)
            for at, ts in list(open_ends.items()):
                if ts:
                    rounds[ts.pop()].append(at)
                else:
                    found[at] = None
                    del open_ends[at]
            for t, some in rounds.items():
                side = self._read(t - 1, [differences[at] for at in some])
                if self._out_of_time():
                    # It may not have been read whole: nothing is concluded from it.
                    break
                for at in some:
                    if not differences[at].holds(side):
                        found[at] = t
                        del open_ends[at]
        told = self._told({t for t in found.values() if t is not None})
        return [self._because(found, at, told) for at in range(len(differences))]

    def _read(self, t: int, differences: Sequence[Sought]) -> Side:
        side = self._side(t)
        side.learn_things({key for one in differences for key in one.keys})
        side.learn_claims({edge for one in differences for edge in one.edges})
        return side

    def _because(self, found: dict[int, int | None], at: int, told: dict[int, Because]) -> Because:
        if at not in found:
            return NOT_SOUGHT
        t = found[at]
        return VALID_TIME if t is None else told.get(t, NOT_SOUGHT)

    def _told(self, ts: Iterable[int]) -> dict[int, Because]:
        when = self._between.after.transactions(ts)
        return {t: Because("recorded", t, *when[t]) for t in when}

    # ── By looking again ─────────────────────────────────────────────────────────────────────

    def of_presence(
        self, look: Look, differences: Sequence[Callable[[Scene], bool]], most: int
    ) -> list[Because]:
        """
        Return the cause of each by halving: where the whole question has to be asked again.

        Each says whether, in a scene, it is as it is at the second moment. At most *most* scenes
        are looked at. Where something came and went several times, one of those times is found.
        """
        if self._between.in_valid_time:
            return [VALID_TIME] * len(differences)
        found = [self._halved(look, holds, most) for holds in differences]
        told = self._told({t for t in found if t})
        return [NOT_SOUGHT if t is None else told[t] if t else VALID_TIME for t in found]

    def _halved(self, look: Look, holds: Callable[[Scene], bool], most: int) -> int | None:
        """Return the transaction, 0 where it is so whatever was known, None where given up."""
        low, high = self._between.before.basis.t, self._between.after.basis.t
        scene = self._scene(look, low, most)
        if scene is not None and holds(scene):
            return 0
        while scene is not None and high - low > 1:
            middle = (low + high) // 2
            scene = self._scene(look, middle, most)
            if scene is not None:
                low, high = (low, middle) if holds(scene) else (middle, high)
        return None if scene is None else high

    def _scene(self, look: Look, t: int, most: int) -> Scene | None:
        if t not in self._scenes:
            if len(self._scenes) >= most or self._out_of_time():
                return None
            scene = look(self._side(t))
            # Of what was not seen whole nothing is concluded.
            whole = all(cut.limit == "depth" for cut in scene.why)
            self._scenes[t] = scene if whole else None
        return self._scenes[t]

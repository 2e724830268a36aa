"""What Lineal's walks are to reach, and by how much a figure reaches or misses it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on a figure; *at_least* for figures of which more is better."""

    bound: float
    at_least: bool = False

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:g}"

    def met(self, value: float) -> bool:
        """Tell whether the figure reaches it."""
        return value >= self.bound if self.at_least else value <= self.bound

    def verdict(self, value: float) -> str:
        """Say whether the figure reaches it, and if not by how much it misses."""
        if self.met(value):
            return "met"
        over = self.bound / value if self.at_least else value / self.bound
        return f"**missed {over:.2f}×**"


#: Times of the limit in C, by question: with the compiled kernel, and with NumPy. They hold at M.
TO_LIMIT = {
    "Lineal, numba": {
        "Q3a": 1.5, "Q3b": 1.2, "Q4": 1.5, "Q5": 2.0, "Q6a": 3.0, "Da": 1.5, "Db": 1.2,
    },
    "Lineal, NumPy": {"Q3a": 25.0, "Q3b": 4.0, "Da": 25.0, "Db": 4.0},
}  # fmt: skip
#: How many times quicker than the best stored peer.
TO_STORED = {
    "Q3a": 150.0, "Q3b": 75.0, "Q3c": 37.0, "Q4": 80.0, "Q5": 35.0, "Q6a": 60.0, "Q6b": 5_000.0,
    "Q7": 55.0,
}  # fmt: skip
#: Times of the lean walk of the same answer.
TO_LEAN = {
    "Lineal, numba": {
        "Ka": 1.3, "Kb": 1.3, "Oa": 1.05, "Ob": 1.05, "Pa": 1.6, "Pb": 1.6, "Ha": 2.5, "Hb": 2.5,
    },
    "Lineal, NumPy": {
        "Ka": 1.3, "Kb": 1.3, "Oa": 1.1, "Ob": 1.1, "Pa": 1.6, "Pb": 1.6, "Ha": 2.5, "Hb": 2.5,
    },
}  # fmt: skip
#: Of what an engine tells of itself: bytes an edge both ways, and the milliseconds of a cold start.
FACTS = {
    "bytes an edge, no times": 14.0,
    "bytes an edge, with t": 32.0,
    "bytes an edge, with t and source times": 40.0,
    "snapshot mapped and first answer, ms": 5.0,
}


def to_limit(player: str, letter: str) -> Target | None:
    """Return the most times of the limit that a question may take."""
    bound = TO_LIMIT.get(player, {}).get(letter)
    return None if bound is None else Target(bound)


def to_stored(letter: str) -> Target | None:
    """Return how many times quicker than the best stored peer a question is to be."""
    bound = TO_STORED.get(letter)
    return None if bound is None else Target(bound, at_least=True)


def to_lean(player: str, letter: str) -> Target | None:
    """Return the most times of the lean walk that a question may take."""
    bound = TO_LEAN.get(player, {}).get(letter)
    return None if bound is None else Target(bound)

"""The example estate's whole content: the same seed always gives the same world."""

from __future__ import annotations

from random import Random

from lineal.testing.estate import people, stories
from lineal.testing.estate.invent import Inventor
from lineal.testing.estate.shelves import Shelves


class World(Shelves):
    """
    Everything the seven tools know.

    >>> World(seed=7, scale=0.1).tests["12345"].name
    'Ranking Model v5 vs v4'
    """

    def __init__(self, seed: int = 7, scale: float = 1.0) -> None:
        super().__init__()
        self.seed = seed
        self.scale = scale
        rng = Random(seed)  # noqa: S311 - no secret
        people.hire(self, rng, people=max(30, round(147 * scale)))
        stories.lay(self)
        Inventor(self, rng, scale).furnish()

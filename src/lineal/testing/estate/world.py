"""The example estate's whole content: the same seed always gives the same world."""

from __future__ import annotations

from random import Random

from lineal.testing.estate import people, stories
from lineal.testing.estate.evidence import Evidence
from lineal.testing.estate.invent import Inventor
from lineal.testing.estate.shelves import Shelves
from lineal.testing.estate.stage import HOME


class World(Shelves):
    """
    Everything the seven tools know.

    >>> World(seed=7, scale=0.1).tests["12345"].name
    'Ranking Model v5 vs v4'
    """

    def __init__(self, seed: int = 7, scale: float = 1.0, *, slips: float | None = None) -> None:
        """
        Make a world up.

        With *slips* tools give evidence too (`evidence`), and are wrong about that share of it.
        """
        super().__init__()
        self.seed = seed
        self.scale = scale
        rng = Random(seed)  # noqa: S311 - no secret
        people.hire(self, rng, people=max(30, round(147 * scale)))
        staff = set(self.things())
        stories.lay(self)
        self.made_in = {thing: HOME for thing in self.things() if thing not in staff}
        Inventor(self, rng, scale).furnish()
        if slips is not None:
            self.evidence = Evidence(self, seed=seed, slips=slips)

"""What things are counted by beside their type: small columns by number, read with the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: The code of a stage that nobody said, and of one that must be asked of the store.
UNSAID, ASK = 0, 255


@dataclass(frozen=True, slots=True)
class Traits:
    """The stage of each thing, and whether it is live by itself; things by their numbers."""

    #: Places in the names; `UNSAID` and `ASK` stand for themselves.
    stages: NDArray[Any]
    stage_names: tuple[str, ...]
    live: NDArray[Any]

    @property
    def nbytes(self) -> int:
        """How much memory the columns take."""
        return int(self.stages.nbytes + self.live.nbytes)

    @classmethod
    def of(cls, stages: dict[int, str], ask: set[int], live: set[int], things: int) -> Traits:
        """Take what is known by number; *things* is above all numbers."""
        names = sorted(set(stages.values()))
        # More names than codes: of what has no code the store is asked.
        codes = {name: code for code, name in enumerate(names[: ASK - 1], UNSAID + 1)}
        column, alive = np.zeros(things, np.uint8), np.zeros(things, np.bool_)
        places = np.fromiter(stages, np.int64, len(stages))
        column[places] = [codes.get(name, ASK) for name in stages.values()]
        column[sorted(ask)] = ASK
        alive[sorted(live)] = True
        return cls(column, ("", *codes), alive)

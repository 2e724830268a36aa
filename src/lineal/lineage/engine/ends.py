"""Where edges lead of which most things have at most one: a column by number.

Owners, domains and wholes are such. To look into a column costs a tenth of going through all that
is claimed of a thing; of the few that have several the claims are asked.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lineal.lineage.engine.adjacency import Ints

#: In the place of an end: there is none, or not the same one in every claim.
NONE, SEVERAL = -1, -2


class Ends(NamedTuple):
    """By the number of a thing, the one end, and in which layer it is claimed."""

    ends: Ints
    layers: NDArray[np.uint8]

    @classmethod
    def of(
        cls, sources: NDArray[np.integer], targets: Ints, layers: NDArray[np.uint8], things: int
    ) -> Ends:
        """Take all claims of some kinds, by the numbers of the things that they join."""
        ends, codes = np.full(things, NONE, np.int32), np.zeros(things, np.uint8)
        ends[sources], codes[sources] = targets, layers
        # Whatever came last stands there now; where a claim says something else, there are several.
        others = (ends[sources] != targets) | (codes[sources] != layers)
        ends[sources[others]] = SEVERAL
        return cls(ends, codes)

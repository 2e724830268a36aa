"""Things that are the same under several names: which of the names stands for all.

The grouping itself is read from ``same_as`` edges; nothing is re-keyed.
"""

from __future__ import annotations

from collections.abc import Collection

from lineal.model import Entity, State, Uri


def representative(members: Collection[Entity]) -> Uri:
    """
    Return the URI that stands for a group: a described thing before a mentioned one, then by URI.

    A pure function of the members, never of the order in which they came.
    """
    return min(
        members,
        key=lambda one: (one.state not in (State.HYDRATED, State.STALE), not one.said, one.uri),
    ).uri

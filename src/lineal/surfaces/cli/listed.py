"""Things in the tables of the command line: a row, a list of names, counts in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lineal.client.answers import Thing

#: The columns that a thing has in every table.
THING = ("name", "type", "state", "status", "uri")


def row_of(thing: Thing) -> tuple[str | None, ...]:
    """Return a thing as it stands in a table, below `THING`."""
    return thing["name"], thing["type"], thing["state"], thing["status"], thing["uri"]


def names(things: Sequence[Thing]) -> str:
    """Return the names of things in one line."""
    return ", ".join(thing["name"] for thing in things)


def counted(counts: Mapping[str, int]) -> str:
    """
    Return counts in words.

    >>> counted({"model": 2, "run": 1}), counted({})
    ('2 model, 1 run', 'nothing')
    """
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"

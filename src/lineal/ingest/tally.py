"""What came of some work, as it is told to whoever asked for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from lineal.sources import Refused
from lineal.store import Committed, Loaded

#: Told how much is done, of how much (None: nobody knows), of what.
Progress: TypeAlias = Callable[[int, "int | None", str], None]


@dataclass(slots=True)
class Tally:
    """What came of some work, added up."""

    read: int = 0
    documents: Counter[str] = field(default_factory=Counter)
    begun: int = 0
    ended: int = 0
    refused: list[Refused] = field(default_factory=list)
    #: How many documents a snapshot lacked, but too many at once to believe it.
    held: int = 0

    def add(self, committed: Committed | Loaded) -> None:
        """Add what a commit, or many, did."""
        self.documents.update(committed.documents)
        self.begun += committed.begun
        self.ended += committed.ended


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep found: how much a source listed, what was marked, what was held back."""

    source: str
    listed: int
    marked: int
    absent: int
    #: True where so much was absent that nothing is removed until an operator says so.
    held: bool


@dataclass(frozen=True, slots=True)
class Room:
    """How much more may be taken in now; where nothing, *wait* says for how many seconds."""

    events: int
    wait: float = 0.0

    def __bool__(self) -> bool:
        return self.events > 0

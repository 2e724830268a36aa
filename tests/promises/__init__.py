"""What Lineal promises, by how much it is tried, and what tests record of having tried it."""

from __future__ import annotations

from dataclasses import dataclass, field

from lineal.points import POINTS


@dataclass(frozen=True)
class Promise:
    """A promise: what it says, and how much must have been tried for it to count as kept."""

    says: str
    #: What is counted, and how much of it makes a full trial.
    figures: dict[str, int] = field(default_factory=dict)


PROMISES: dict[str, Promise] = {
    "P1": Promise(
        "An acknowledged event is never lost, whatever is killed and when",
        {
            "kills on SQLite": 1_000, "kills on PostgreSQL": 300, "points struck": len(POINTS),
            "kills of a PostgreSQL server": 20, "buses": 3,
        },
    ),
    "P2": Promise("A loss of power corrupts nothing and loses nothing acknowledged",
                  {"power cuts": 5_000}),
    "P3": Promise("Order, repetition, delay and loss of events change nothing in the end",
                  {"histories": 10_000, "steps of each history": 80}),
    "P4": Promise("A stale answer never replaces a newer one",
                  {"orders of two fetches": 924, "random runs": 5_000}),
    "P5": Promise("A lost event costs at most one sweep", {"minutes in which all is lost": 60}),
    "P6": Promise("Search, facts and both directions of an edge never disagree",
                  {"things compared": 1_000_000}),
    "P7": Promise("The index in memory is the database at its transaction",
                  {"comparisons": 1_000, "gaps noticed": 100}),
    "P8": Promise("Answers about the past never change", {"answers asked again": 10_000}),
    "P9": Promise("What is inferred converges, and goes when its reasons go",
                  {"random sequences": 10_000}),
    "P10": Promise("An outage of a source only delays", {"kinds of fault": 25}),
    "P11": Promise("Poison is put aside, and nothing disappears",
                   {"kinds of poison": 30, "checks of the accounts": 1_000}),
    "P12": Promise("Overload slows and does not kill",
                   {"seconds of overload": 600, "clients that ask meanwhile": 100,
                    "times what it can take": 10}),
    "P13": Promise("No question is unbounded, and an answer that was cut says so",
                   {"edges at one hub": 1_000_000, "length of a chain": 10_000,
                    "things all joined to each other": 1_000}),
    "P14": Promise("A full disk refuses clearly, and work goes on when there is room",
                   {"fillings": 200}),
    "P15": Promise("Damage is noticed and never served", {"bits flipped": 1_000}),
    "P16": Promise("Backups restore", {"backups under load": 100}),
    "P17": Promise("An upgrade loses nothing",
                   {"kills of a migration": 100, "facts migrated while asked": 1_000_000,
                    "versions gone back": 2}),
    "P18": Promise("Many writers are safe; a second one of a file is refused",
                   {"writers at once": 8, "kills of a writer": 10}),
    "P19": Promise("A commit whose answer was lost is found out", {"cuts around COMMIT": 1_000}),
    "P20": Promise("Clocks may lie", {"ways of a clock": 8}),
    "P21": Promise("A restart is quick and clean", {"restarts under load": 100}),
    "P22": Promise("How fresh we are can be seen", {"states made and seen": 3}),
}  # fmt: skip

#: Figures that say how large something was: of several tests the largest counts, not their sum.
SIZES_OF_ONE = {
    "steps of each history", "seconds of overload", "clients that ask meanwhile",
    "times what it can take", "facts migrated while asked", "edges at one hub", "length of a chain",
    "things all joined to each other", "writers at once",
}  # fmt: skip

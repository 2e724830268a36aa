"""Words that many writers tell at once, in any order: documents that say more and more.

Every document has several versions, each dated later than the one before, so that whatever order
they are told in, the last one counts. They speak of the same few things, and a rule follows.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from lineal.enrich.rules import RuleBook, builtin_rules
from lineal.model import Record, Removal, Uri
from lineal.search import describing
from lineal.shapes import Shapes
from lineal.store import Batch, Store
from tests.graphs import gone, said

TABLES = [Uri(f"mlg://dataset/lake/t{number}") for number in range(12)]
RUNS = [Uri(f"mlg://run/orc/r{number}") for number in range(6)]
VERSIONS = [Uri(f"mlg://model-version/registry/m{number}") for number in range(6)]
CELLS = [Uri(f"mlg://ab-cell/exp/x/{number}") for number in range(3)]
TEST = Uri("mlg://ab-test/exp/x")
TEAMS = [Uri(f"mlg://team/people/p{number}") for number in range(3)]
#: Of whom which source speaks.
DOCUMENTS = [
    (thing, source)
    for thing in [*TABLES, *RUNS, *VERSIONS, *CELLS]
    for source in (["catalog", "lake"] if thing in TABLES else ["tool"])
]
THINGS = [*TABLES, *RUNS, *VERSIONS, *CELLS, TEST, *TEAMS]

Word: TypeAlias = Record | Removal
#: The batches of one writer.
Hand: TypeAlias = "list[list[Word]]"


def opened(place: Path | str, *, writable: bool = True) -> Store:
    """Open a store with all that belongs to a commit: rules, search rows, the real clock."""
    shapes = Shapes.builtin()
    rules = [RuleBook(builtin_rules())]
    return Store(place, shapes=shapes, writable=writable, rules=rules, describe=describing(shapes))


def words(chance: random.Random, *, versions: int) -> list[list[Word]]:
    """Return for each document what it says one after the other."""
    return [
        [word(chance, thing, source, at) for at in range(1, versions + 1)]
        for thing, source in DOCUMENTS
    ]


def word(chance: random.Random, thing: Uri, source: str, version: int) -> Word:
    """Return what a document says in one of its versions."""
    at = version * 1_000
    edges = {
        "dataset": [
            (thing, "owned_by", chance.choice(TEAMS)),
            (thing, "derived_from", chance.choice(TABLES)),
        ],
        "run": [
            (thing, "reads", chance.choice(TABLES)),
            (thing, "executed_for", chance.choice(CELLS)),
        ],
        "model-version": [(thing, "produced_by", chance.choice(RUNS))],
        "ab-cell": [(thing, "cell_of", TEST)],
    }[thing.type]
    told = [edge for edge in edges if edge[0] != edge[2] and chance.random() < 0.8]
    record = said(
        thing, told, source=source, document=f"{source}:{thing}", at=50_000, said_at=at,
        name=f"{thing.name} {chance.choice('abcdef')}", tags=chance.sample("uvwxyz", 2),
        version=version,
    )  # fmt: skip
    # What happened outlives its document, so a deleted run would tell what was heard before.
    happens = thing.type in ("run", "model-version")
    return gone(record, at=60_000, said_at=at) if not happens and chance.random() < 0.1 else record


def dealt(
    chance: random.Random, documents: Sequence[Sequence[Word]], *, writers: int
) -> list[Hand]:
    """Deal all words to the writers, in random order and batches; a quarter is told by two."""
    everything = [one for document in documents for one in document]
    everything += chance.sample(everything, len(everything) // 4)
    chance.shuffle(everything)
    hands = [everything[number::writers] for number in range(writers)]
    return [_batches(chance, hand) for hand in hands]


def _batches(chance: random.Random, hand: list[Word]) -> Hand:
    found = []
    while hand:
        size = chance.randint(1, 4)
        found.append(hand[:size])
        hand = hand[size:]
    return found


def history(seed: int, *, versions: int, writers: int) -> tuple[list[list[Word]], list[Hand]]:
    """Return documents, and the batches of each writer: the same for a seed in every process."""
    chance = random.Random(seed)
    documents = words(chance, versions=versions)
    return documents, dealt(chance, documents, writers=writers)


def main(url: str, seed: int, versions: int, writers: int, number: int) -> None:
    """
    Be one of several writer processes: commit this writer's batches, and say so after each.

    Started again after it was killed, it commits all of them again, under the same tokens.
    """
    hand = history(seed, versions=versions, writers=writers)[1][number]
    order = random.Random(os.getpid()).sample(range(len(hand)), len(hand))
    with closing(opened(url)) as store:
        for at in order:
            done = store.commit(Batch(hand[at], f"writer-{number}", "crowd", f"{number}-{at}"))
            print(f"{number}-{at}", done.t, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *(int(word) for word in sys.argv[2:]))

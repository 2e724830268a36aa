"""Facts, both copies of every edge and the search rows agree at every moment, while others write.

The checker has a connection of its own and SQL of its own: it shares no code with the writer.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lineal.store import Batch
from tests import crowd
from tests.databases import ENGINES, fresh
from tests.promises.recording import SOAK, found, ran

#: How many things are looked at, all together, on each database; and in one that was made anew.
CHECKS, TOGETHER = 500_000 if SOAK else 20_000, 20_000

Ask = Callable[[str], list[tuple[Any, ...]]]


@contextlib.contextmanager
def snapshot(place: Path | str) -> Iterator[Ask]:
    """Yield a way to ask one moment of a database, by the plain driver."""
    if isinstance(place, Path):
        with closing(sqlite3.connect(f"file:{place}?mode=ro", uri=True)) as connection:
            connection.isolation_level = None
            connection.execute("BEGIN")
            yield lambda text: connection.execute(text).fetchall()
        return
    with psycopg.connect(place) as server:
        server.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        yield lambda text: server.execute(text).fetchall()


#: In one copy of the edges and not in the other.
ONE_WAY = """
    SELECT src, kind, dst, document, t_from, t_to, valid_from, valid_to, ended_at, reason, layer
    FROM {one} EXCEPT
    SELECT src, kind, dst, document, t_from, t_to, valid_from, valid_to, ended_at, reason, layer
    FROM {other}
"""
SAID = """
    SELECT entity.uri, record.body FROM record JOIN entity ON entity.key = record.key
    WHERE record.t_to IS NULL AND record.body <> 'null'
"""
NAMED = """
    SELECT entity.uri, search_name.folded, search_name.deleted FROM entity
    LEFT JOIN search_name ON search_name.key = entity.key
"""
#: What the facets of each thing are, one a row, as they lie beside its words.
_FACETS = {
    "sqlite": """
        SELECT search.rowid AS key, each.value AS facet FROM search
        JOIN json_each('[' || replace(search.facets, ' ', ',') || ']') AS each
    """,
    "postgres": "SELECT key, unnest(facets) AS facet FROM search",
}
TAGGED = """
    SELECT entity.uri, facet_value.value FROM ({facets}) AS had
    JOIN facet_value ON facet_value.id = had.facet JOIN entity ON entity.key = had.key
    WHERE facet_value.name = 'tag'
"""


#: The words by which each thing is found, by name and id.
FOUND_BY = {
    "sqlite": "SELECT uri, name || ' ' || words FROM search JOIN entity ON key = search.rowid",
    "postgres": """
        SELECT uri, array_to_string(tsvector_to_array(tokens), ' ')
        FROM search JOIN entity ON entity.key = search.key
    """,
}


def check(ask: Ask, engine: str) -> int:
    """Compare all there is at one moment; return how many things were looked at."""
    for one, other in (("edge_out", "edge_in"), ("edge_in", "edge_out")):
        assert ask(ONE_WAY.format(one=one, other=other)) == []
    said: dict[str, list[dict[str, Any]]] = {}
    for uri, body in ask(SAID):
        said.setdefault(uri, []).append(json.loads(body))
    tags: dict[str, set[str]] = {}
    for uri, value in ask(TAGGED.format(facets=_FACETS[engine])):
        tags.setdefault(uri, set()).add(value)
    words = {uri: set(text.split()) for uri, text in ask(FOUND_BY[engine])}
    named = ask(NAMED)
    for uri, folded, deleted in named:
        bodies = said.get(uri, [])
        if deleted:
            # It is found by what was last said of it, and marked.
            assert bodies == [], uri
            continue
        assert tags.get(uri, set()) == {tag for one in bodies for tag in one["tags"]}, uri
        # Two sources may name it; the text follows the one whose name stands.
        assert folded in ({one["name"] for one in bodies} or {uri.rpartition("/")[2]}), uri
        assert set(folded.split()) <= words.get(uri, set()), uri
    assert len(named) == len({uri for uri, *_ in named}) == len(words)
    assert ask("SELECT count(*) FROM clock WHERE t = published") == [(1,)]
    return len(named)


def _watched(engine: str, folder: Path) -> tuple[int, int]:
    """Let four write to a database, and look at many moments; return of how many things, when."""
    with fresh(engine, folder) as place, closing(crowd.opened(place)) as store:
        versions, over = itertools.count(1), threading.Event()

        def write(seed: int) -> None:
            chance = random.Random(seed)
            while not over.is_set():
                some = [crowd.word(chance, *chance.choice(crowd.DOCUMENTS), next(versions))
                        for _ in range(chance.randint(1, 3))]  # fmt: skip
                store.commit(Batch(some, f"writer-{seed}", "crowd"))

        with ThreadPoolExecutor(4) as pool:
            writing = [pool.submit(write, seed) for seed in range(4)]
            try:
                looked_at, moments = 0, set[int]()
                for round_ in itertools.count():
                    with snapshot(place) as ask:
                        moments.add(ask("SELECT published FROM clock")[0][0])
                        looked_at += check(ask, engine)
                    if round_ % 200 == 0:
                        verdict = store.verify()
                        assert verdict.sound, verdict.disagreements
                    # How often the writers come in between is the machine's affair.
                    enough = looked_at >= TOGETHER and len(moments) > 100
                    if enough or any(one.done() for one in writing):
                        break
            finally:
                over.set()
        for one in writing:
            one.result()
        assert looked_at >= TOGETHER
        assert len(moments) > 100
    return looked_at, len(moments)


@pytest.mark.promise("P6")
@pytest.mark.timeout(0 if SOAK else 300)
@pytest.mark.parametrize("engine", ENGINES)
def test_no_moment_shows_copies_that_disagree(engine: str, tmp_path: Path) -> None:
    """P6: things looked at in single snapshots between the commits of four writers."""
    looked_at = moments = 0
    for turn in itertools.count():
        # Each turn anew: else each look goes through a longer history.
        folder = tmp_path / str(turn)
        folder.mkdir()
        things, seen = _watched(engine, folder)
        looked_at, moments = looked_at + things, moments + seen
        if looked_at >= CHECKS:
            break
    ran("P6", "things compared", looked_at)
    found(moments=moments)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM edge_in",
        "UPDATE edge_out SET layer = 1 WHERE src = (SELECT max(src) FROM edge_out)",
        "UPDATE search SET facets = (SELECT facets FROM search WHERE {key} = 1)",
        "UPDATE search_name SET folded = 'else' WHERE key = 1",
        "UPDATE record SET t_to = 1 WHERE key = (SELECT min(key) FROM record)",
        "DELETE FROM search",
    ],
)
def test_the_checker_sees_what_disagrees(engine: str, damage: str, tmp_path: Path) -> None:
    documents = crowd.words(random.Random(6), versions=1)
    with fresh(engine, tmp_path) as place, closing(crowd.opened(place)) as store:
        store.commit(Batch([one for words in documents for one in words], "test", "all"))
        with snapshot(place) as ask:
            assert check(ask, engine) > 20

        with store.working() as ledger:
            ledger.driver.run(damage.format(key="rowid" if engine == "sqlite" else "key"))

        with snapshot(place) as ask, pytest.raises(AssertionError):
            check(ask, engine)

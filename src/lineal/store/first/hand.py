"""The second process of a first load: writes a database file that nobody else has open.

``python -m lineal.store.first.hand`` reads frames (`frames`) from its input, and says at the end
on its output what went wrong: the name of an error, its message and what to do, or nothing.

The file has no journal: until all is written it is worth nothing, and whoever ordered it throws
it away where anything fails. What is cheaper in one sorted pass waits for the end: indexes, the
edges by their other end, the names, and the one merge of the full text.
"""

from __future__ import annotations

import gc
import marshal
import sqlite3
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from lineal.errors import LinealError
from lineal.model import Uri
from lineal.store import schema, seals, text
from lineal.store.driver import Driver
from lineal.store.first.frames import EDGE, LENGTH, Begin, Told
from lineal.store.ledger import Ledger
from lineal.store.schema import LAYERS
from lineal.store.sqlite import translated
from lineal.store.turns import Turn

_SETTINGS = (
    "PRAGMA journal_mode=OFF",
    "PRAGMA synchronous=OFF",
    "PRAGMA locking_mode=EXCLUSIVE",
    "PRAGMA cache_size=-524288",
    "PRAGMA temp_store=MEMORY",
    # Sorting may use the core that the first process has left.
    "PRAGMA threads=2",
)
#: Runs that go to a file are sorted by a second thread, in half the time: in memory all is one run.
_SORTING = ("PRAGMA temp_store=FILE", "PRAGMA cache_size=-8192")
#: How much text FTS5 gathers before it writes a segment, in bytes; and its own default.
_GATHERED, _DEFAULT = 16 << 20, 1 << 20


class Hand:
    """Writes what is told to one file."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._raw = sqlite3.connect(begin.path, isolation_level=None)
        for setting in _SETTINGS:
            self._raw.execute(setting).fetchall()
        engine = sa.create_engine(
            "sqlite://",
            creator=lambda: self._raw,
            poolclass=sa.StaticPool,
            pool_reset_on_return=None,
        )
        self._driver = Driver(engine.connect())
        self._ledger = Ledger(self._driver)
        #: By key, by number, by number: nothing has the first place of any.
        self._uris, self._kinds = [Uri.of("none", "none", "none")], [""]
        self._owners: list[seals.Owner] = [("", "")]
        self._facets = 0
        self._indexes = self._put_off_indexes()
        self._gather(_GATHERED)
        # One for all: a page that is met again and again is written once.
        self._raw.execute("BEGIN")

    def _put_off_indexes(self) -> list[str]:
        found = self._raw.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in found:
            self._raw.execute(f'DROP INDEX "{name}"')
        return [sql for _, sql in found]

    def _gather(self, size: int) -> None:
        self._raw.execute("INSERT INTO search (search, rank) VALUES ('hashsize', ?)", (size,))

    # ── One transaction ──────────────────────────────────────────────────────────────────────

    def take(self, told: Told) -> None:
        """Write what the records of one transaction say."""
        turn = Turn(self._driver, lambda: told.instant)
        named, keys = self._name(told.named, turn)
        self._remember(told, turn)
        leaves, lines = seals.Leaves(seals.new_salt()), defaultdict[int, list[str]](list)
        touched = self._say(told, turn.t, lines) | self._join(told, turn.t, lines)
        for document, some in lines.items():
            leaves.add_all(self._owners[document], some)
        touched.update(keys, map(_SUBJECT, told.documents))
        self._driver.insert(schema.search_name, told.names)
        self._driver.many(
            text.INSERT_TEXT,
            [
                (key, facets, *text.told(name, words, description))
                for key, facets, name, words, description in told.texts
            ],
        )
        turn.publish(
            actor=self._begin.actor,
            cause=self._begin.cause,
            token=None,
            leaves=leaves,
            changed={self._uris[key]: key for key in touched},
            named=named,
            others=[seals.response_line(self._owners[id_], body) for id_, body in told.responses],
        )

    def _name(self, uris: Sequence[str], turn: Turn) -> tuple[list[Uri], range]:
        """Write the things that are named first; return them and their keys."""
        named = [str.__new__(Uri, uri) for uri in uris]
        keys = range(turn.next_key, turn.next_key + len(named))
        turn.next_key = keys.stop
        self._uris += named
        rows = [(key, uri, uri.type, turn.t) for key, uri in zip(keys, named, strict=True)]
        self._driver.many(_ENTITY, rows)
        return named, keys

    def _remember(self, told: Told, turn: Turn) -> None:
        """Write documents and their answers, and what got a number."""
        turn.next_document += len(told.documents)
        self._owners += [(row[1], row[2]) for row in told.documents]
        self._ledger.insert(schema.document, told.documents)
        self._driver.many(_RESPONSE, [(id_, turn.t, body) for id_, body in told.responses])
        raws = [(source, name, turn.instant, body) for source, name, body in told.raws]
        self._ledger.insert(schema.raw, raws)
        self._ledger.insert(schema.term, list(enumerate(told.kinds, len(self._kinds))))
        self._kinds += told.kinds
        facets = enumerate(told.facets, self._facets + 1)
        self._ledger.insert(schema.facet_value, [(number, *pair) for number, pair in facets])
        self._facets += len(told.facets)

    def _say(self, told: Told, t: int, lines: dict[int, list[str]]) -> set[int]:
        """Write statements; return of which things. *lines* are what is sealed, by document."""
        uris, line = self._uris, seals.record_line
        for key, document, at, said, body in told.statements:
            lines[document].append(line(uris[key], at, None, said, body))
        rows = sorted(told.statements)
        self._driver.many(_RECORD.format(t=t), rows)
        return set(map(itemgetter(0), rows))

    def _join(self, told: Told, t: int, lines: dict[int, list[str]]) -> set[int]:
        """Write edges, of which the other copy is made at the end; return between which things."""
        numbers = memoryview(told.edges).cast("q").tolist()
        edges: list[tuple[int, int, int, int, int, int]]
        edges = [*zip(*[iter(numbers)] * EDGE, strict=True)]
        uris, kinds, line = self._uris, self._kinds, seals.edge_line
        tails: dict[tuple[int, int], str] = {}
        for a, kind, b, document, at, said in edges:
            tail = tails.get((at, said))
            if tail is None:
                tail = seals.edge_tail(at, None, said & 1, LAYERS[said >> 1], None)
                tails[at, said] = tail
            lines[document].append("\n".join(("+e", uris[a], kinds[kind], uris[b], tail)))
        for a, kind, b, document, at, said, end, body in told.others:
            told_so = line(
                uris[a], kinds[kind], uris[b], at, end, said & 1, LAYERS[said >> 1], body
            )
            lines[document].append(told_so)
        self._driver.many(_EDGE.format(t=t), sorted(edges))
        self._driver.many(_OTHER.format(t=t), sorted(told.others, key=itemgetter(0, 1, 2, 3)))
        return {
            *numbers[::EDGE],
            *numbers[2::EDGE],
            *(key for row in told.others for key in row[:3:2]),
        }

    # ── The end ──────────────────────────────────────────────────────────────────────────────

    def finish(self) -> None:
        """Make what was put off. Whoever ordered the file sees it to the disk."""
        self._gather(_DEFAULT)
        # What it frees is used by what is made after it.
        self._raw.execute("INSERT INTO search (search) VALUES ('optimize')")
        self._raw.execute("COMMIT")
        for setting in _SORTING:
            self._raw.execute(setting).fetchall()
        self._raw.execute(_OTHER_WAY)
        self._raw.execute("INSERT INTO uri (uri, key) SELECT uri, key FROM entity ORDER BY uri")
        for sql in self._indexes:
            self._raw.execute(sql)
        self._ledger.write()
        self._driver.connection.close()
        self._raw.close()


#: Where the subject lies in the row of a document.
_SUBJECT = itemgetter(3)

_ENTITY = "INSERT INTO entity (key, uri, type, t_from) VALUES (?, ?, ?, ?)"
_RESPONSE = "INSERT INTO response (document, t, body) VALUES (?, ?, ?)"
_RECORD = (
    "INSERT INTO record (key, document, valid_from, valid_said, body, t_from)"
    " VALUES (?, ?, ?, ?, ?, {t})"
)
_EDGE = (
    "INSERT INTO edge_out (src, kind, dst, document, valid_from, valid_said, layer, t_from)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6 & 1, ?6 >> 1, {t})"
)
_OTHER = (
    "INSERT INTO edge_out (src, kind, dst, document, valid_from, valid_said, layer, valid_to,"
    " attributes, t_from) VALUES (?1, ?2, ?3, ?4, ?5, ?6 & 1, ?6 >> 1, ?7, ?8, {t})"
)
_OTHER_WAY = """
    INSERT INTO edge_in (dst, kind, src, document, t_from, valid_from, valid_to, valid_said, layer)
    SELECT dst, kind, src, document, t_from, valid_from, valid_to, valid_said, layer
    FROM edge_out ORDER BY dst, kind, src, document, t_from
"""


def _frames(stream: IO[bytes]) -> Iterator[bytes]:
    """
    Yield frames until an empty one, which says that all is told.

    Raises:
        EOFError: the other process is gone.
    """
    while True:
        head = stream.read(LENGTH.size)
        (length,) = LENGTH.unpack(head) if len(head) == LENGTH.size else (-1,)
        if length == 0:
            return
        frame = stream.read(max(length, 0))
        if len(frame) != length:
            raise EOFError
        yield frame


def main() -> None:
    """Write the file that the frames tell of."""
    # Millions of values are made, and no cycle.
    gc.disable()
    frames = _frames(sys.stdin.buffer)
    begin = Begin(*marshal.loads(next(frames)))  # noqa: S302 (of our own parent)
    said = ("", "", "")
    try:
        with translated(Path(begin.path)):
            hand = Hand(begin)
            for frame in frames:
                hand.take(Told(*marshal.loads(frame)))  # noqa: S302 (of our own parent)
            hand.finish()
    except EOFError:
        # Nobody is left who would throw it away.
        Path(begin.path).unlink(missing_ok=True)
        return
    except LinealError as error:
        said = (type(error).__name__, error.message, error.fix)
    except Exception as error:
        said = ("StoreError", f"{begin.path}: {error!r}.", "Please report this.")
    sys.stdout.buffer.write(marshal.dumps(said))


if __name__ == "__main__":
    main()

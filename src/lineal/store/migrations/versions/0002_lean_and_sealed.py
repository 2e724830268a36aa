"""Rows a third as large, and sealed: kinds, layers and reasons as numbers, answers of sources once.

What stood in each row of an edge, though it is the same for all rows of a document (the answer of
the source), moves to a table of its own; every transaction gets a salt, a root and a hash.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from hashlib import blake2b

import sqlalchemy as sa
from alembic import op

from lineal.store import seals
from lineal.store.rows import pack_feed

revision = "0002"
down_revision = "0001"

_LAYER = (
    "CASE layer WHEN 'declared' THEN 0 WHEN 'observed' THEN 1 WHEN 'inferred' THEN 2 ELSE 3 END"
)
_REASON = (
    "CASE reason WHEN 'changed' THEN 0 WHEN 'removed' THEN 1 WHEN 'corrected' THEN 2"
    " WHEN 'deleted' THEN 3 END"
)
_LIFE = f"t_from, t_to, valid_from, valid_to, valid_said, ended_at, {_REASON}"
_LAYERS = ("declared", "observed", "inferred", "suggested")
_REASONS = ("changed", "removed", "corrected", "deleted")
_IN_PLACE = {
    "term": "id, text",
    "facet_value": "id, name, value",
    "projection": "name, version, next_key",
    "document": "id, source, name, subject, digest, said_at, live, fine, touched",
    "registered": "type, platform, source",
    "forgotten": "key, t, how, reason",
    "resealed": "t, at, salt, root",
    "watch": "source, document, dirty_seq, clean_seq, deleted, due_at, attempts, gone_since,"
    " confirmed_at, etag, version, error, generation",
    "inbox": "id, source, received_at, body",
    "log_entry": "source, document, digest",
    "log_body": "digest, source, received_at, body",
    "dead_letter": "id, source, stage, document, body, error, reason, attempts, first_at, last_at",
}
_MOVED = ("record", "edge_out", "edge_in", "derivation", "document", "tx")


def upgrade() -> None:
    """Copy every row into the lean tables, and seal every transaction."""
    op.drop_index("tx_by_instant", table_name="tx")
    for name in _MOVED:
        _set_aside(name)
    _create()
    _copy()
    _search()
    for name in _MOVED:
        op.drop_table(f"old_{name}")
    op.create_index("tx_by_instant", "tx", ["instant", "t"])
    _seal(op.get_bind())
    _count(op.get_bind())
    _compare_bytes()


def _search() -> None:
    """Make the search tables anew, empty: they are filled from the facts when the store opens."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.drop_table("facet")
    op.create_table(
        "facet_value",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.UniqueConstraint("name", "value", name="facet_value_pair"),
    )
    op.create_table(
        "projection",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("next_key", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute("DELETE FROM search_name")
    op.execute("DROP TABLE IF EXISTS search")
    if sqlite:
        op.execute(
            "CREATE VIRTUAL TABLE search USING fts5(facets, name, words, description,"
            ' columnsize=0, tokenize="unicode61 remove_diacritics 2")'
        )
        op.execute("INSERT INTO search (search, rank) VALUES ('automerge', 0)")
        op.execute("INSERT INTO search (search, rank) VALUES ('crisismerge', 64)")
        return
    op.execute(
        "CREATE TABLE search (key BIGINT PRIMARY KEY, tokens tsvector NOT NULL,"
        " facets INTEGER[] NOT NULL)"
    )
    op.execute("CREATE INDEX search_by_token ON search USING gin (tokens)")
    op.execute("CREATE INDEX search_by_facet ON search USING gin (facets)")


def _compare_bytes() -> None:
    """On PostgreSQL, compare texts as SQLite does: byte by byte, whatever the locale."""
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        return
    columns = connection.execute(
        sa.text(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND data_type = 'text'"
        )
    ).all()
    for table, column in columns:
        op.execute(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE text COLLATE "C"')


def _set_aside(name: str) -> None:
    op.rename_table(name, f"old_{name}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f'ALTER INDEX "{name}_pkey" RENAME TO "old_{name}_pkey"')
        for table, unique in (("document", "document_name"), ("tx", "tx_token")):
            if table == name:
                op.execute(f'ALTER INDEX "{unique}" RENAME TO "old_{unique}"')


def _key(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False)


def _kind() -> sa.Column[object]:
    return sa.Column("kind", sa.SmallInteger, primary_key=True, autoincrement=False)


def _layer() -> sa.Column[object]:
    return sa.Column("layer", sa.SmallInteger, nullable=False)


def _life() -> list[sa.Column[object]]:
    return [
        sa.Column("t_to", sa.BigInteger),
        sa.Column("valid_from", sa.BigInteger, nullable=False),
        sa.Column("valid_to", sa.BigInteger),
        sa.Column("valid_said", sa.Boolean, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("reason", sa.SmallInteger),
    ]


def _create() -> None:
    _create_facts()
    _create_work()


def _create_facts() -> None:
    op.create_table(
        "record",
        *(_key(name) for name in ("key", "document", "t_from")),
        *_life(),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "edge_out",
        _key("src"), _kind(), *(_key(name) for name in ("dst", "document", "t_from")),
        *_life(), _layer(), sa.Column("attributes", sa.Text),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_table(
        "edge_in",
        _key("dst"), _kind(), *(_key(name) for name in ("src", "document", "t_from")),
        *_life(), _layer(),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_table(
        "derivation",
        _key("src"), _kind(), *(_key(name) for name in ("dst", "document")),
        sa.Column("digest", sa.LargeBinary, primary_key=True), _key("t_from"),
        *_life(),
        sa.Column("supports", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )  # fmt: skip


def _create_work() -> None:
    single = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "term",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.UniqueConstraint("text", name="term_text"),
    )
    op.create_table(
        "tx",
        sa.Column("t", single, primary_key=True, autoincrement=False),
        sa.Column("instant", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("changed", sa.LargeBinary, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("token", name="tx_token"),
    )
    op.create_table(
        "document",
        sa.Column("id", single, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("subject", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("said_at", sa.BigInteger),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("fine", sa.Boolean, nullable=False),
        sa.Column("touched", sa.LargeBinary),
        sa.UniqueConstraint("source", "name", name="document_name"),
    )
    op.create_table(
        "response",
        _key("document"), _key("t"), sa.Column("body", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_table(
        "forgotten",
        _key("key"), _key("t"),
        sa.Column("how", sa.Text, nullable=False), sa.Column("reason", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )  # fmt: skip
    op.create_table(
        "resealed",
        _key("t"), _key("at"), sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )  # fmt: skip

    op.create_table(
        "ledger",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("seal", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )


def _copy() -> None:
    op.execute(
        "INSERT INTO term (id, text) SELECT row_number() OVER (ORDER BY kind), kind FROM"
        " (SELECT kind FROM old_edge_out UNION SELECT kind FROM old_derivation) AS kinds"
    )
    op.execute(f"INSERT INTO record SELECT key, document, {_LIFE}, body FROM old_record")
    op.execute(
        f"INSERT INTO edge_out SELECT src, term.id, dst, document, {_LIFE}, {_LAYER},"
        " nullif(attributes, '{}') FROM old_edge_out JOIN term ON term.text = kind"
    )
    op.execute(
        f"INSERT INTO edge_in SELECT dst, term.id, src, document, {_LIFE}, {_LAYER}"
        " FROM old_edge_in JOIN term ON term.text = kind"
    )
    op.execute(
        "INSERT INTO response SELECT document, t_from, max(response) FROM"
        " (SELECT document, t_from, response FROM old_record"
        "  UNION ALL SELECT document, t_from, response FROM old_edge_out) AS answers"
        " WHERE response IS NOT NULL GROUP BY document, t_from"
    )
    connection = op.get_bind()
    # The digest of a document is made otherwise now: the same word again is seen as no difference.
    documents = sa.text(
        "INSERT INTO document SELECT id, source, name, subject, :none, said_at, live, fine,"
        " CASE WHEN length(touched) = 8 THEN NULL ELSE touched END FROM old_document"
    )
    connection.execute(documents.bindparams(sa.bindparam("none", b"", sa.LargeBinary)))
    _copy_derivations(connection)
    transactions = sa.text(
        "INSERT INTO tx SELECT t, instant, actor, cause, token, changed, :none, :none, :none"
        " FROM old_tx"
    )
    connection.execute(transactions.bindparams(sa.bindparam("none", b"", sa.LargeBinary)))


def _uris(connection: sa.Connection) -> dict[int, str]:
    return {row[0]: row[1] for row in connection.execute(sa.text("SELECT key, uri FROM entity"))}


def _copy_derivations(connection: sa.Connection) -> None:
    """A derivation is told apart by a digest of its supports' URIs, not of their hash's text."""
    uris = _uris(connection)
    numbers = {row[1]: row[0] for row in connection.execute(sa.text("SELECT id, text FROM term"))}
    columns = f"src, kind, dst, document, {_LIFE} AS reason_number, supports, why"
    table = sa.table(
        "derivation",
        *(sa.column(name) for name in (
            "src", "kind", "dst", "document", "digest", "t_from", "t_to", "valid_from", "valid_to",
            "valid_said", "ended_at", "reason", "supports", "why",
        )),
    )  # fmt: skip
    rows = []
    for row in connection.execute(sa.text(f"SELECT {columns} FROM old_derivation")):
        named = [(uris[start], kind, uris[end]) for start, kind, end in json.loads(row.supports)]
        text = "\n".join("\n".join(support) for support in named)
        digest = blake2b(text.encode(), digest_size=16).digest()
        values = (
            row.src, numbers[row.kind], row.dst, row.document, digest, row.t_from, row.t_to,
            row.valid_from, row.valid_to, bool(row.valid_said), row.ended_at, row.reason_number,
            row.supports, row.why,
        )  # fmt: skip
        rows.append(dict(zip((column.name for column in table.columns), values, strict=True)))
    if rows:
        connection.execute(sa.insert(table), rows)


def _count(connection: sa.Connection) -> None:
    """Write down how many rows each table that changes in place has, and the sum of their seals."""
    for name, columns in _IN_PLACE.items():
        rows = connection.execute(sa.text(f"SELECT {columns} FROM {name}")).all()
        seal = sum(seals.row_seal(row) for row in rows) & ((1 << 63) - 1)
        connection.execute(
            sa.text("INSERT INTO ledger VALUES (:name, :rows, :seal)"),
            {"name": name, "rows": len(rows), "seal": seal},
        )


# ── Seals ────────────────────────────────────────────────────────────────────────────────────────


def _seal(connection: sa.Connection) -> None:
    """Seal what there is: from here on nothing of it can change unnoticed."""
    heads = connection.execute(
        sa.text("SELECT t, instant, actor, cause, token FROM tx ORDER BY t")
    ).all()
    if not heads:
        return
    leaves = {head[0]: seals.Leaves(seals.new_salt()) for head in heads}
    for t, owner, line in _lines(connection):
        leaves[t].add(owner, line)
    named: dict[int, list[str]] = {}
    for uri, t in connection.execute(sa.text("SELECT uri, t_from FROM entity")):
        named.setdefault(t, []).append(uri)
    owners, uris = _owners(connection), _uris(connection)
    answers: dict[int, list[str]] = {}
    feeds: dict[int, bytes] = {}
    for document, t, body in connection.execute(sa.text("SELECT document, t, body FROM response")):
        answers.setdefault(t, []).append(seals.response_line(owners[document], body))
    for t, changed in connection.execute(sa.text("SELECT t, changed FROM tx")):
        keys = struct.unpack(f"<{len(changed) // 8}q", bytes(changed))
        answers.setdefault(t, []).append(seals.feed_line(uris[key] for key in keys))
        feeds[t] = pack_feed(keys)
    before = seals.GENESIS
    for t, instant, actor, cause, token in heads:
        leaf = leaves[t]
        root = seals.root(leaf.salt, leaf.sums(), named.get(t, ()), answers.get(t, ()))
        before = seals.chained(before, t, instant, actor, cause, token, root)
        connection.execute(
            sa.text(
                "UPDATE tx SET changed = :feed, salt = :salt, root = :root, hash = :hash"
                " WHERE t = :t"
            ),
            {"feed": feeds[t], "salt": leaf.salt, "root": root, "hash": before, "t": t},
        )


def _owners(connection: sa.Connection) -> dict[int, seals.Owner]:
    query = sa.text("SELECT id, source, name FROM document")
    return {row[0]: (row[1], row[2]) for row in connection.execute(query)}


def _lines(connection: sa.Connection) -> Iterator[tuple[int, seals.Owner, str]]:
    uris, owners = _uris(connection), _owners(connection)
    words = {row[0]: row[1] for row in connection.execute(sa.text("SELECT id, text FROM term"))}
    for row in connection.execute(sa.text("SELECT * FROM record")):
        owner, uri = owners[row.document], uris[row.key]
        times = (row.valid_from, row.valid_to, row.valid_said)
        yield row.t_from, owner, seals.record_line(uri, *times, row.body)
        if row.t_to is not None:
            yield row.t_to, owner, _ended("r", uri, row)
    for row in connection.execute(sa.text("SELECT * FROM edge_out")):
        owner, edge = owners[row.document], (uris[row.src], words[row.kind], uris[row.dst])
        times = (row.valid_from, row.valid_to, row.valid_said)
        line = seals.edge_line(*edge, *times, _LAYERS[row.layer], row.attributes)
        yield row.t_from, owner, line
        if row.t_to is not None:
            yield row.t_to, owner, _ended("e", "\n".join(edge), row)
    for row in connection.execute(sa.text("SELECT * FROM derivation")):
        owner, edge = owners[row.document], (uris[row.src], words[row.kind], uris[row.dst])
        supports = [(uris[one], kind, uris[two]) for one, kind, two in json.loads(row.supports)]
        digest = bytes(row.digest)
        yield (
            row.t_from,
            owner,
            seals.derivation_line(edge, digest, row.valid_from, row.valid_to, supports, row.why),
        )
        if row.t_to is not None:
            yield row.t_to, owner, _ended("d", "\n".join((*edge, digest.hex())), row)


def _ended(what: str, name: str, row: sa.Row[tuple[object, ...]]) -> str:
    return seals.ended_line(what, name, row.t_from, row.ended_at, _REASONS[row.reason])

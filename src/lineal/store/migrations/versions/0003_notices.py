"""Every notice is accounted for: leases, second looks, counts of what came and went, standings.

What waits by now is counted as it lies there; of what went before nothing is known, and nothing is
made up.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from lineal.store import seals

revision = "0003"
down_revision = "0002"

_WATCH = (
    "source, document, dirty_seq, clean_seq, deleted, due_at, dirty_at, attempts, gone_since,"
    " confirmed_at, etag, version, error, generation, told, settled, looks, wanted, seen, buried,"
    " leased_by, leased_until"
)
#: The tables whose rows are other ones now, or new, and their columns.
_CHANGED = {
    "watch": _WATCH,
    "inbox": "id, source, received_at, notices, body",
    "dead_letter": "id, source, stage, document, body, error, reason, attempts, first_at, last_at,"
    " notices",
    "raw": "source, document, at, body",
    "flow": "source, what, count, at",
    "standing": "source, failures, down_since, closed_until, reason, generation, began_at,"
    " ended_at, listed, marked, sweep_error, whole_at, held_at, held, leased_by, leased_until",
    "deed": "id, at, actor, what, source, reason, count",
}


def upgrade() -> None:
    """Copy the work that is left into tables that say more of it."""
    for name in ("watch", "inbox", "dead_letter"):
        _set_aside(name)
    _create_watch()
    _create_others()
    _copy()
    for name in ("watch", "inbox", "dead_letter"):
        op.drop_table(f"old_{name}")
    _create_indexes()
    _compare_bytes()
    _count(op.get_bind())


def _set_aside(name: str) -> None:
    if name == "watch":
        op.drop_index("watch_by_due", table_name="watch")
    op.rename_table(name, f"old_{name}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f'ALTER INDEX "{name}_pkey" RENAME TO "old_{name}_pkey"')
        if name != "watch":
            op.execute(f'ALTER SEQUENCE "{name}_id_seq" RENAME TO "old_{name}_id_seq"')


def _big(*names: str) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger) for name in names]


def _there(kind: type[sa.types.TypeEngine[Any]], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _create_watch() -> None:
    op.create_table(
        "watch",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, primary_key=True),
        *_there(sa.BigInteger, "dirty_seq", "clean_seq"),
        *_there(sa.Boolean, "deleted"),
        *_big("due_at", "dirty_at"),
        *_there(sa.Integer, "attempts"),
        *_big("gone_since", "confirmed_at"),
        *(sa.Column(name, sa.Text) for name in ("etag", "version", "error")),
        *_there(sa.BigInteger, "generation", "told", "settled"),
        sa.Column("looks", sa.Integer),
        *_big("wanted", "seen"),
        *_there(sa.Boolean, "buried"),
        sa.Column("leased_by", sa.Text),
        *_big("leased_until"),
    )


def _create_others() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", sa.Integer, primary_key=True),
        *_there(sa.Text, "source"),
        *_there(sa.BigInteger, "received_at"),
        *_there(sa.Integer, "notices"),
        *_there(sa.Text, "body"),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.Integer, primary_key=True),
        *_there(sa.Text, "source", "stage"),
        sa.Column("document", sa.Text),
        *_there(sa.Text, "body", "error", "reason"),
        *_there(sa.Integer, "attempts"),
        *_there(sa.BigInteger, "first_at", "last_at", "notices"),
    )
    op.create_table(
        "raw",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, primary_key=True),
        *_there(sa.BigInteger, "at"),
        *_there(sa.Text, "body"),
    )
    op.create_table(
        "flow",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("what", sa.Text, primary_key=True),
        *_there(sa.BigInteger, "count"),
        *_big("at"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "standing",
        sa.Column("source", sa.Text, primary_key=True),
        *_there(sa.Integer, "failures"),
        *_big("down_since", "closed_until"),
        sa.Column("reason", sa.Text),
        *_there(sa.BigInteger, "generation"),
        *_big("began_at", "ended_at"),
        *_there(sa.BigInteger, "listed", "marked"),
        sa.Column("sweep_error", sa.Text),
        *_big("whole_at", "held_at"),
        *_there(sa.BigInteger, "held"),
        sa.Column("leased_by", sa.Text),
        *_big("leased_until"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "deed",
        sa.Column("id", sa.Integer, primary_key=True),
        *_there(sa.BigInteger, "at"),
        *_there(sa.Text, "actor", "what", "source", "reason"),
        *_there(sa.BigInteger, "count"),
    )


def _copy() -> None:
    open_ = "dirty_seq > clean_seq"
    buried = (
        "EXISTS (SELECT 1 FROM old_dead_letter AS letter WHERE letter.source = old_watch.source"
        " AND letter.document = old_watch.document)"
    )
    op.execute(
        f"INSERT INTO watch ({_WATCH}) SELECT source, document, dirty_seq, clean_seq, deleted,"
        f" CASE WHEN {open_} THEN due_at END, CASE WHEN {open_} THEN due_at END, attempts,"
        " gone_since, confirmed_at, etag, version, error, generation, 0, 0, NULL, NULL, NULL,"
        f" {buried}, NULL, NULL FROM old_watch"
    )
    op.execute(
        "INSERT INTO inbox (id, source, received_at, notices, body)"
        " SELECT id, source, received_at, 1, body FROM old_inbox ORDER BY id"
    )
    op.execute(
        "INSERT INTO dead_letter SELECT id, source, stage, document, body, error, reason, attempts,"
        " first_at, last_at, CASE WHEN document IS NULL THEN 1 ELSE 0 END"
        " FROM old_dead_letter ORDER BY id"
    )
    # Numbers that the database hands out go on after the highest there is.
    if op.get_bind().dialect.name == "postgresql":
        for name in ("inbox", "dead_letter"):
            op.execute(
                f"SELECT setval('{name}_id_seq',"
                f" (SELECT coalesce(max(id), 0) + 1 FROM {name}), false)"
            )
    op.execute(
        "INSERT INTO flow SELECT source, 'accepted', sum(notices), max(at) FROM"
        " (SELECT source, notices, received_at AS at FROM inbox"
        "  UNION ALL SELECT source, notices, last_at FROM dead_letter) AS waiting"
        " GROUP BY source"
    )
    op.execute(
        "INSERT INTO flow SELECT source, 'events', count(*), max(received_at) FROM inbox"
        " GROUP BY source"
    )
    op.execute(
        "INSERT INTO flow SELECT source, 'bytes', sum(length(body)), NULL FROM inbox"
        " GROUP BY source"
    )
    op.execute(
        "INSERT INTO standing SELECT source, 0, NULL, NULL, NULL, max(generation), NULL, NULL, 0,"
        " 0, NULL, NULL, NULL, 0, NULL, NULL FROM watch GROUP BY source HAVING max(generation) > 0"
    )


def _create_indexes() -> None:
    for name, column in (("watch_by_due", "due_at"), ("watch_by_dirt", "dirty_at")):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            name, "watch", ["source", column], sqlite_where=there, postgresql_where=there
        )
    op.create_index("dead_letter_by_document", "dead_letter", ["source", "document"])


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
        if table in _CHANGED:
            op.execute(f'ALTER TABLE "{table}" ALTER COLUMN "{column}" TYPE text COLLATE "C"')


def _count(connection: sa.Connection) -> None:
    """Write down how many rows each of these tables has, and the sum of their seals."""
    for name, columns in _CHANGED.items():
        rows = connection.execute(sa.text(f"SELECT {columns} FROM {name}")).all()
        seal = sum(seals.row_seal(row) for row in rows) & ((1 << 63) - 1)
        connection.execute(sa.text("DELETE FROM ledger WHERE name = :name"), {"name": name})
        connection.execute(
            sa.text("INSERT INTO ledger VALUES (:name, :rows, :seal)"),
            {"name": name, "rows": len(rows), "seal": seal},
        )

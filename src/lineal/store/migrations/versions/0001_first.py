"""The first schema: facts with two times, their projections, and the work tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

#: A single-column key that SQLite may use as its rowid.
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _life() -> list[sa.Column[object]]:
    return [
        sa.Column("t_to", sa.BigInteger),
        sa.Column("valid_from", sa.BigInteger, nullable=False),
        sa.Column("valid_to", sa.BigInteger),
        sa.Column("valid_said", sa.Boolean, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("reason", sa.Text),
    ]


def upgrade() -> None:
    """Create every table of the first release."""
    _facts()
    _projections()
    _work()
    op.execute(
        "INSERT INTO clock (id, t, published, instant, next_key, next_document)"
        " VALUES (1, 0, 0, 0, 1, 1)"
    )


def _facts() -> None:
    op.create_table(
        "uri",
        sa.Column("uri", sa.Text, primary_key=True),
        sa.Column("key", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "entity",
        sa.Column("key", _KEY, primary_key=True, autoincrement=False),
        sa.Column("uri", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("t_from", sa.BigInteger, nullable=False),
    )
    op.create_index("entity_by_type", "entity", ["type", "key"])
    op.create_table(
        "record",
        sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("document", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("t_from", sa.BigInteger, primary_key=True, autoincrement=False),
        *_life(),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("response", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "edge_out",
        sa.Column("src", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("dst", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("document", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("t_from", sa.BigInteger, primary_key=True, autoincrement=False),
        *_life(),
        sa.Column("layer", sa.Text, nullable=False),
        sa.Column("attributes", sa.Text, nullable=False),
        sa.Column("response", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "edge_in",
        sa.Column("dst", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("src", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("document", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("t_from", sa.BigInteger, primary_key=True, autoincrement=False),
        *_life(),
        sa.Column("layer", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "derivation",
        sa.Column("src", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("dst", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("document", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("t_from", sa.BigInteger, primary_key=True, autoincrement=False),
        *_life(),
        sa.Column("supports", sa.Text, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )


def _projections() -> None:
    op.create_table(
        "search_name",
        sa.Column("key", _KEY, primary_key=True, autoincrement=False),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
    )
    op.create_index("search_name_by_folded", "search_name", ["folded", "key"])
    op.create_table(
        "facet",
        sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("facet_by_value", "facet", ["name", "value", "key"])
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE VIRTUAL TABLE search USING fts5(name, words, description, prefix='2 3', "
            'tokenize="unicode61 remove_diacritics 2")'
        )
        op.execute("INSERT INTO search (search, rank) VALUES ('automerge', 0)")
        op.execute("INSERT INTO search (search, rank) VALUES ('crisismerge', 64)")


def _work() -> None:
    op.create_table(
        "clock",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("t", sa.BigInteger, nullable=False),
        sa.Column("published", sa.BigInteger, nullable=False),
        sa.Column("instant", sa.BigInteger, nullable=False),
        sa.Column("next_key", sa.BigInteger, nullable=False),
        sa.Column("next_document", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "tx",
        sa.Column("t", _KEY, primary_key=True, autoincrement=False),
        sa.Column("instant", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("changed", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("token", name="tx_token"),
    )
    op.create_index("tx_by_instant", "tx", ["instant", "t"])
    op.create_table(
        "document",
        sa.Column("id", _KEY, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("subject", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("said_at", sa.BigInteger),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("fine", sa.Boolean, nullable=False),
        sa.Column("touched", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("source", "name", name="document_name"),
    )
    op.create_table(
        "registered",
        sa.Column("type", sa.Text, primary_key=True),
        sa.Column("platform", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
    )
    op.create_table(
        "watch",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, primary_key=True),
        sa.Column("dirty_seq", sa.BigInteger, nullable=False),
        sa.Column("clean_seq", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("gone_since", sa.BigInteger),
        sa.Column("confirmed_at", sa.BigInteger),
        sa.Column("etag", sa.Text),
        sa.Column("version", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("generation", sa.BigInteger, nullable=False),
    )
    op.create_index("watch_by_due", "watch", ["due_at"])
    op.create_table(
        "inbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "log_entry",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
    )
    op.create_table(
        "log_body",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "dead_letter",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("document", sa.Text),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
    )

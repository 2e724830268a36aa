"""In a file, a commit writes two index entries less: by instant, and of a token that it has not.

The instants of transactions ascend with their numbers, so that the last one by an instant is found
without an index (`lineal.store.basis.last_by`). What was a constraint is an index now, which a
first load can make at its end. Whoever knows the schema before finds all that it needs.

A PostgreSQL server keeps both as they are: they cost it little, and to drop them a step would have
to wait until nobody writes, and let everybody wait meanwhile.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_0006"
down_revision = "0006_0005"

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MOVED = ("tx", "document")


def upgrade() -> None:
    """Move the rows of a file to tables without constraints, which SQLite cannot drop."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.drop_index("tx_by_instant", table_name="tx")
    for name in _MOVED:
        op.rename_table(name, f"old_{name}")
    op.create_table(
        "tx",
        sa.Column("t", _KEY, primary_key=True, autoincrement=False),
        sa.Column("instant", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("cause", sa.Text, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("changed", sa.LargeBinary, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("root", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "document",
        sa.Column("id", _KEY, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("subject", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("said_at", sa.BigInteger),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("fine", sa.Boolean, nullable=False),
        sa.Column("touched", sa.LargeBinary),
    )
    for name in _MOVED:
        op.execute(f"INSERT INTO {name} SELECT * FROM old_{name} ORDER BY 1")
        op.drop_table(f"old_{name}")
    op.create_index(
        "tx_token", "tx", ["token"], unique=True, sqlite_where=sa.text("token IS NOT NULL")
    )
    op.create_index("document_name", "document", ["source", "name"], unique=True)

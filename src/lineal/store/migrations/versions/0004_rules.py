"""Rules are kept up one by one: which of them conclude, and what they have still to do.

The rules of earlier versions are there under a digest that no rule has, so that what they concluded
is concluded anew.
"""

import sqlalchemy as sa
from alembic import op

from lineal.store import seals

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the two tables, and write down of which rules there are conclusions."""
    op.create_table(
        "rule",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rule_work",
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("after", sa.BigInteger, nullable=False),
        sa.Column("t", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("error", sa.Text),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        # Texts are compared as SQLite does: byte by byte, whatever the locale.
        for table, columns in (("rule", ("name", "version")), ("rule_work", ("rule", "error"))):
            for column in columns:
                op.execute(f'ALTER TABLE {table} ALTER COLUMN {column} TYPE text COLLATE "C"')
    found = connection.execute(
        sa.text("SELECT source, name FROM document WHERE source LIKE 'rule:%' ORDER BY id")
    ).all()
    rules = {
        source.removeprefix("rule:"): name.removeprefix("version:")
        for source, name in found
        if source != "rule:identity"
    }
    rows = [(name, version, b"", True) for name, version in rules.items()]
    for name, version, digest, enabled in rows:
        connection.execute(
            sa.text("INSERT INTO rule VALUES (:name, :version, :digest, :enabled)"),
            {"name": name, "version": version, "digest": digest, "enabled": enabled},
        )
    total = sum(seals.row_seal(row) for row in rows) & ((1 << 63) - 1)
    connection.execute(
        sa.text("INSERT INTO ledger VALUES ('rule', :rows, :seal)"),
        {"rows": len(rows), "seal": total},
    )

"""Logs have checkpoints: a fold reads which entries still matter, and those since."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_0005"
down_revision = "0005"


def upgrade() -> None:
    """Add two empty tables: each document gets its checkpoint when it is folded next."""
    op.create_table(
        "log_checkpoint",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, primary_key=True),
        sa.Column("way", sa.Text, nullable=False),
        sa.Column("told", sa.BigInteger, nullable=False),
        sa.Column("lasting", sa.Text, nullable=False),
        sa.Column("seal", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log_since",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, primary_key=True),
        sa.Column("digest", sa.Text, primary_key=True),
        sqlite_with_rowid=False,
    )

"""What of a document does not fit is remembered, and shown until it fits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add an empty table: what is there already is examined when it is next fetched."""
    op.create_table(
        "finding",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("document", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("policy", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("finding_by_subject", "finding", ["subject"])

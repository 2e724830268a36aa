"""
How the schema came about, one step a file, and how to bring a database to the newest.

A step that only adds says so in its name: ``0007_0005`` is the seventh, and whoever knows the fifth
may go on with the database (docs/decisions/0019). A name without a second number ends that: only
who knows the step itself may open what it made.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from lineal.errors import NewerSchema

#: A step waits so long for what others hold, since whoever comes later waits behind it.
LOCK_TIMEOUT = "2s"
#: Under which number a migration of a PostgreSQL database is locked.
_LOCK = 0x4C696E65616C
#: The name of a step: its number, and that of the oldest schema whose Lineal may still open it.
_NAME = re.compile(r"(\d{4})_(\d{4})")


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@cache
def _steps() -> tuple[str, frozenset[str]]:
    """Return the newest revision, and all: to read the scripts takes longer than all else."""
    scripts = ScriptDirectory.from_config(_config())
    head = scripts.get_current_head()
    assert head is not None
    return head, frozenset(script.revision for script in scripts.walk_revisions())


def newest() -> str:
    """Return the revision that this version of Lineal writes."""
    return _steps()[0]


def current(connection: Connection) -> str | None:
    """Return the revision of the database, None for an empty one; raises `NewerSchema`."""
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is not None and revision not in _steps()[1] and not opens(revision):
        raise NewerSchema(
            f"This database has schema {revision}; this Lineal knows up to {newest()}.",
            fix="Use the newer Lineal that wrote it, or another database file.",
        )
    return revision


def opens(revision: str | None) -> bool:
    """
    Return whether a database of this revision can be used as it is.

    It is the newest, or a newer one to which, since ours, only such was added as we need not know.

    >>> opens(newest()), opens(None), opens("9999")
    (True, False, False)
    >>> opens(f"9999_{newest()}"), opens("9999_9998")
    (True, False)
    """
    if revision is None or revision in _steps()[1]:
        return revision == newest()
    named = _NAME.fullmatch(revision)
    return named is not None and named[2] <= newest()[:4] < named[1]


def upgrade(connection: Connection) -> None:
    """
    Bring the database of *connection* to the newest schema, unless it can be used as it is.

    Raises:
        NewerSchema: a newer Lineal wrote it.
        Busy: others hold what a step must change; nothing is changed, and it may be tried again.
    """
    if opens(current(connection)):
        return
    if connection.dialect.name == "postgresql":
        # Two processes may start at once: the second waits here, and finds it done. However long
        # that takes: only what others would have to wait for is given up soon.
        for setting in ("lock_timeout = 0", "statement_timeout = 0"):
            connection.execute(text(f"SET LOCAL {setting}"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        if opens(current(connection)):
            return
    command.upgrade(_config(connection), "head")

"""Code of other schemas, in processes of its own: of the one before the newest, and of the next.

That of before is out of git: that schema's last commit is looked for in the history of this
checkout. Where there is none (a shallow clone, a source archive), whatever needs it is skipped, and
the summary counts it. That of the next is the present code and one step more.
"""

from __future__ import annotations

import atexit
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import pytest

from lineal.store import migrations

ROOT = Path(__file__).parent.parent
_STEPS = "src/lineal/store/migrations/versions/"
#: So many commits are looked through.
_FAR = 2_000


@cache
def sources() -> Path:
    """Return a folder with the code of then; skip where git does not have it."""
    commit = _last_of(f"{int(migrations.newest()[:4]) - 1:04}")
    archive = _git("archive", commit, "src") if commit else None
    if archive is None:
        pytest.skip("git does not have the code of the schema before")
    folder = Path(tempfile.mkdtemp(prefix="lineal-earlier-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
        packed.extractall(folder, filter="data")
    return folder / "src"


def present() -> Path:
    """Return the folder with the code of now."""
    return ROOT / "src"


#: A step of the sort that comes most often: columns that may be empty, a table, an index of both.
_NEXT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = {revision!r}, {before!r}


def upgrade() -> None:
    op.add_column("document", sa.Column("hue", sa.Text))
    op.create_index("document_by_hue", "document", ["hue"])
    op.create_table("shade", sa.Column("name", sa.Text, primary_key=True))
    op.execute("INSERT INTO shade VALUES ('dusk')")
"""


def following(folder: Path, *, opened_by: str | None) -> Path:
    """
    Return a folder with code of the next schema, made in *folder*.

    *opened_by*: the oldest schema whose Lineal may open it, None for none but itself.
    """
    revision = f"{int(migrations.newest()[:4]) + 1:04}"
    if opened_by is not None:
        revision = f"{revision}_{opened_by[:4]}"
    code = folder / f"code-{revision}"
    shutil.copytree(present(), code, ignore=shutil.ignore_patterns("__pycache__"))
    step = code / Path(_STEPS).relative_to("src") / f"{revision}_shades.py"
    step.write_text(_NEXT.format(revision=revision, before=migrations.newest()), "utf-8")
    return code


def environment(code: Path) -> dict[str, str]:
    """Return the environment of a process that runs the code of then, or of now."""
    return {**os.environ, "PYTHONPATH": str(code)}


def command(code: Path, *words: str) -> None:
    """Run Python on that code to its end."""
    done = subprocess.run(
        [sys.executable, *words], env=environment(code), check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def _last_of(schema: str) -> str | None:
    """Return the newest commit that wrote this schema; of side branches their numbers may lie."""
    listed = _git("rev-list", "--first-parent", f"--max-count={_FAR}", "HEAD")
    for commit in (listed or b"").decode().split():
        steps = (_git("ls-tree", "--name-only", commit, _STEPS) or b"").decode().split()
        numbers = [one.removeprefix(_STEPS)[:4] for one in steps if one[len(_STEPS)].isdigit()]
        if max(numbers, default="") == schema:
            return commit
    return None


def _git(*words: str) -> bytes | None:
    done = subprocess.run(["git", *words], cwd=ROOT, check=False, capture_output=True)
    return done.stdout if done.returncode == 0 else None

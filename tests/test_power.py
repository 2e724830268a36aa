"""A loss of power corrupts nothing, and loses nothing that was acknowledged (P2).

A Lineal works on an SQLite file while a library that is loaded before the C library records what
is written and synced. Power is then lost at places of that record: of what was not synced, writes
are dropped, torn and reordered. What is left must be sound and hold every acknowledged event.
What this cannot show is a disk that lies about its syncs.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lineal.app import Lineal
from lineal.config import Config
from tests.conftest import ROOT
from tests.crashes.checker import Seen, look
from tests.crashes.tool import SPEC, Acknowledged, Tool
from tests.power.images import Crash, Entry, crashes, read, whole
from tests.promises.recording import SOAK, found, ran
from tests.test_crashes import SHM, seed_of

#: Events of the run that is recorded, losses of power, and how many of them are proved whole.
EVENTS, LOSSES, PROVED = (1_500, 5_000, 50) if SOAK else (200, 200, 4)


@dataclass
class Recorded:
    """What one run wrote, and what each event told of."""

    record: list[Entry]
    told: list[tuple[str, int]]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Yield a folder on a disk in memory, where there is one."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def recorded(folder: Path) -> Recorded:
    """Let a Lineal work, and record it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no C compiler on a Linux: what a process writes cannot be recorded")
    library = folder / "recorder.so"
    source = ROOT / "tests/power/recorder.c"
    subprocess.run([compiler, "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                    "-o", library, source, "-ldl", "-lpthread"], check=True)  # fmt: skip
    spec, db, record = folder / "faulty.yaml", folder / "graph.db", folder / "record"
    spec.write_text(SPEC, "utf-8")
    environment = {
        **os.environ, "LD_PRELOAD": str(library), "RECORD_OF": str(db), "RECORD_TO": str(record),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "tests.power.child", db, spec, str(EVENTS), str(EVENTS)],
        env=environment, capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [line.split() for line in done.stdout.splitlines()]
    return Recorded(read(record), [(ident, int(version)) for ident, version in told])


def left(folder: Path, crash: Crash) -> Path:
    """Put on disk what a loss of power left."""
    for old in folder.glob("left.db*"):
        old.unlink()
    for name, image in crash.files.items():
        (folder / name.replace("graph.db", "left.db")).write_bytes(image)
    return folder / "left.db"


def lost(recorded: Recorded, crash: Crash, seen: Seen) -> list[str]:
    """Return which of the events that were acknowledged before are not in what is left."""
    newest = Acknowledged()
    for ident, version in recorded.told[: crash.acknowledged]:
        newest.told[ident] = (version, False)
    return newest.lost(seen, Tool(0))


@pytest.mark.promise("P2")
@pytest.mark.timeout(0 if SOAK else 240)
def test_a_loss_of_power_corrupts_and_loses_nothing(folder: Path, recorded: Recorded) -> None:
    seed = seed_of("losses of power")
    dice, moved = random.Random(seed), set[int]()
    for number, crash in enumerate(crashes(recorded.record, LOSSES, dice)):
        path = left(folder, crash)
        seen = look(path)
        assert lost(recorded, crash, seen) == [], f"after entry {crash.after}"
        assert (seen.missing, seen.double) == ({}, 0), f"after entry {crash.after}"
        moved.add(seen.t)
        if number % (LOSSES // PROVED) == 0:
            with Lineal.open(Config(db=path)) as lineal:
                verdict = lineal.store.verify()
                assert verdict.sound, verdict.disagreements

    assert len(moved) > 20, "they are not all at one place"
    checkpoints = sum(entry.what == "s" and entry.file == 0 for entry in recorded.record)
    assert checkpoints > 3, "the log was never moved into the file"
    ran("P2", "power cuts", LOSSES)
    found(entries=len(recorded.record), events=len(recorded.told))


@pytest.mark.promise("P2")
def test_a_disk_that_ignores_syncs_is_found_out(folder: Path, recorded: Recorded) -> None:
    """The rig sees what is lost and what is torn, where a disk does not do what it is told."""
    corrupt = missing = 0
    for crash in crashes(recorded.record, 60, random.Random(1), syncs=False):
        path = left(folder, crash)
        try:
            missing += bool(lost(recorded, crash, look(path)))
        except (sqlite3.DatabaseError, AssertionError, FileNotFoundError):
            corrupt += 1
    assert corrupt > 0
    assert missing > 0


def test_the_record_misses_nothing(recorded: Recorded) -> None:
    """Played to its end, it is what lies on disk."""
    played = whole(recorded.record)
    (database,) = [Path(name) for name in played if name.endswith("graph.db")]

    assert played[str(database)] == database.read_bytes()

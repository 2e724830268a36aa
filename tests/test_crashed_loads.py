"""Whatever loads, rewords or forgets is killed where it hurts, and begun again (P1, P16).

A server under load does not come to these points; `test_crashes` strikes at all others. After the
kill the database is sound, and as it was or as it should be; the errand done again ends as if
nobody had been killed.
"""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lineal.shapes import Shapes
from lineal.store import Store
from tests.crashes.child import Counts, Errand, Strike, context, run
from tests.crashes.rounds import PATIENCE, Runner
from tests.promises.recording import ran
from tests.test_crashes import ELSEWHERE, SHM

BOX = """
source: box
platform: box
files:
  - {path: "*.jsonl", resource: thing}
resources:
  thing:
    subject: {type: dataset}
    map: {name: name}
    edges:
      - {kind: derived_from, each: items, to: {type: dataset, id: "@"}}
"""
#: More than are committed together.
THINGS = 600


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder on a disk in memory, where there is one."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name:
        yield Path(name)


@dataclass
class Tried:
    """A child's errand in a folder, done by one that is killed and by one that is not."""

    folder: Path
    arguments: Sequence[str]
    function: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How often each point was passed."""
        return Counts(self.folder / "counts").read()

    def done(self, strike: Strike | None = None) -> int | None:
        """Do it; returns the exit code."""
        process = context().Process(
            target=run,
            args=(Errand(self.arguments, self.folder / "counts", self.folder / "log", strike,
                         self.environment, self.function),),
        )  # fmt: skip
        process.start()
        process.join(3 * PATIENCE)
        return process.exitcode

    def dies_at(self, point: str, nth: int = 1) -> None:
        """Do it, and be killed at a point."""
        assert self.done(Strike(point, nth)) == -signal.SIGKILL, (self.folder / "log").read_text()
        assert self.counts[point] >= 1


def sound(db: Path) -> str:
    """Return the digest of a database, and see that it is sound."""
    with closing(Store(db, shapes=Shapes.builtin())) as store:
        verdict = store.verify()
    assert verdict.sound, verdict.disagreements
    return verdict.digest


def boxed(folder: Path, things: int, db: str = "graph.db") -> Tried:
    """Return the import of a file of so many things."""
    root = folder / "box"
    root.mkdir(exist_ok=True)
    (folder / "box.yaml").write_text(BOX, "utf-8")
    lines = [
        json.dumps({"id": f"t{number}", "name": f"Thing {number}", "items": [f"t{number // 2}"]})
        for number in range(1, things + 1)
    ]
    (root / "all.jsonl").write_text("\n".join(lines), "utf-8")
    words = ("import", "files", str(folder / "box.yaml"), str(root), "--remove-absent")
    return Tried(folder, (*words, "--db", str(folder / db)))


def snapshot(folder: Path) -> tuple[Tried, Callable[[], str]]:
    """A file that says less than the one before: some of it is gone."""
    assert boxed(folder, THINGS).done() == 0
    tried = boxed(folder, THINGS - 80)

    def undisturbed() -> str:
        """The same two files, by processes that nobody kills."""
        assert boxed(folder, THINGS, "other.db").done() == 0
        assert boxed(folder, THINGS - 80, "other.db").done() == 0
        return sound(folder / "other.db")

    return tried, undisturbed


def reworded(folder: Path) -> tuple[Tried, Callable[[], str]]:
    """What a source has said is worded anew."""
    runner = Runner(folder, folder / "graph.db", 1, whole=False)
    with runner.open():
        runner.kill()
        before = runner.settle()
    words = ("source", "rebuild", "faulty", "--source", str(folder / "faulty.yaml"))
    return (
        Tried(folder, (*words, "--db", str(folder / "graph.db")), environment=runner.environment),
        lambda: before,
    )  # fmt: skip


def excised(folder: Path) -> tuple[Tried, Callable[[], str]]:
    """The values of a thing are forgotten on purpose."""
    for db in ("graph.db", "other.db"):
        assert boxed(folder, 30, db).done() == 0
    words = ("forget", "excise", "mlg://dataset/box/t7", "--reason", "asked for", "--yes", "--db")

    def undisturbed() -> str:
        assert Tried(folder, (*words, str(folder / "other.db"))).done() == 0
        return sound(folder / "other.db")

    return Tried(folder, (*words, str(folder / "graph.db"))), undisturbed


def loaded(folder: Path) -> tuple[Tried, Callable[[], str]]:
    """Very much is loaded into a file of which nothing is known."""

    def undisturbed() -> str:
        load = "tests.crashes.loads:first_load"
        assert Tried(folder, (str(folder / "other.db"),), load).done() == 0
        return sound(folder / "other.db")

    load = "tests.crashes.loads:first_load"
    return Tried(folder, (str(folder / "graph.db"),), load), undisturbed


def indexed(folder: Path) -> tuple[Tried, Callable[[], str]]:
    """The lineage index is built, and kept in a file beside the database."""
    assert boxed(folder, 30).done() == 0
    before = sound(folder / "graph.db")
    build = "tests.crashes.loads:build_index"
    return Tried(folder, (str(folder / "graph.db"),), build), lambda: before


#: What is killed, and at the how-manieth time of which points, one after the other.
ERRANDS = {
    "snapshot": (snapshot, [("snapshot-part-committed", 2), ("snapshot-committed", 1)]),
    "rebuild": (reworded, [("rewording", 1)]),
    "excision": (excised, [("forgotten", 1)]),
    "first load": (loaded, [("file-ready", 1), ("file-replaced", 1)]),
    "index": (indexed, [("arrays-written", 1)]),
}


@pytest.mark.promise("P1")
@pytest.mark.parametrize("errand", ERRANDS)
def test_what_is_killed_is_begun_again_and_ends_the_same(errand: str, folder: Path) -> None:
    maker, strikes = ERRANDS[errand]
    tried, undisturbed = maker(folder)
    for point, nth in strikes:
        tried.dies_at(point, nth)
        sound(folder / "graph.db")
    assert tried.done() == 0, (folder / "log").read_text()

    assert sound(folder / "graph.db") == undisturbed()
    ran("P1", "kills on SQLite", len(strikes))
    ran("P1", "points struck", len(strikes))


@pytest.mark.promise("P1", "P21")
def test_a_kill_while_it_ends_leaves_what_it_was_asking_for_to_the_next(folder: Path) -> None:
    """It was asked to end, gives back what its slow source did not answer, and is killed there."""
    runner = Runner(folder, folder / "graph.db", 1, whole=False)
    with runner.open():
        runner.tool.delay = 0.3
        running = runner.begun(Strike("handed-back"))
        running.ended_within(1.0)
        running.end(signal.SIGTERM)
        runner.look()
        assert running.process.exitcode == -signal.SIGKILL
        runner.tool.delay = 0.0
        assert runner.settle() == runner.from_scratch()
    assert (runner.told.lost, runner.told.wrong) == ([], [])
    assert runner.counts["handed-back"] == 1
    ran("P1", "kills on SQLite", 1)
    ran("P1", "points struck", 1)


def test_every_point_is_struck_somewhere() -> None:
    struck = {point for _, strikes in ERRANDS.values() for point, _ in strikes}
    assert {*struck, "handed-back"} == ELSEWHERE

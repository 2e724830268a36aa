"""Proof and forgetting by command; what a snapshot may remove; search rows after a registration."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.app.background import Pace
from lineal.config import Config
from lineal.errors import ConfigError, Invalid
from lineal.ingest import Snapshot, Tally
from lineal.model import Record, State, Statement, Uri
from lineal.store import Batch
from lineal.surfaces.cli import main
from tests import world

DAY = 24 * 3_600_000_000


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with world.told(tmp_path) as lineal:
        return lineal.store.path


# ── Proof ────────────────────────────────────────────────────────────────────────────────────────


def test_a_sound_database_is_proved_and_its_hash_can_be_held_against_it(path: Path) -> None:
    first = run("verify", "--db", str(path), "--format", "json")
    told = json.loads(first.stdout)

    again = run("verify", "--db", str(path), "--expect", f"{told['t']}:{told['hash']}")

    assert (first.exit_code, told["sound"], told["t"]) == (0, True, 2)
    assert again.exit_code == 0
    assert f"{told['t']}:{told['hash']}" in again.stdout


def test_what_was_changed_by_hand_is_named(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE record SET body = replace(body, '81220', '81221')")
        connection.commit()

    done = run("verify", "--db", str(path))

    assert done.exit_code == 1
    assert "transaction 1" in done.stdout
    assert "1 disagreements" in done.stdout


def test_a_history_that_was_written_anew_as_a_whole_is_found_by_a_kept_hash(
    path: Path, tmp_path: Path
) -> None:
    told = json.loads(run("verify", "--db", str(path), "--format", "json").stdout)
    (tmp_path / "other").mkdir()
    with world.told(tmp_path / "other") as lineal:
        other = lineal.store.path

    assert run("verify", "--db", str(other)).exit_code == 0
    forged = run("verify", "--db", str(other), "--expect", f"{told['t']}:{told['hash']}")

    assert forged.exit_code == 1
    assert "not what it was" in " ".join(forged.stdout.split())
    assert run("verify", "--db", str(path), "--expect", "two").exit_code == 2


# ── Forgetting ───────────────────────────────────────────────────────────────────────────────────


def test_an_excision_is_shown_first_and_written_when_confirmed(path: Path) -> None:
    words = ["forget", "excise", world.ALICE, "--reason", "asked for it", "--db", str(path)]
    shown = run(*words)
    written = run(*words, "--yes", "--actor", "dpo")
    told = run("get", world.ALICE, "--db", str(path))

    assert (shown.exit_code, written.exit_code) == (1, 0)
    assert "Nothing is written" in shown.output
    assert "transaction 3" in written.stdout
    assert "Osei" not in told.stdout
    assert "by dpo: asked for it" in " ".join(told.output.split())
    assert run("verify", "--db", str(path)).exit_code == 0


def test_events_that_speak_of_other_things_too_are_told_of(path: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.json"
    job = {"namespace": "etl", "name": "load"}
    plays = {"namespace": "lake", "name": "plays"}
    said = {"eventTime": "2026-03-01T00:00:00Z", "job": job, "inputs": [plays]}
    events.write_text(json.dumps(said))
    loaded = run("import", "openlineage", str(events), "--db", str(path))
    words = ["forget", "excise", "--reason", "asked", "--yes", "--db", str(path)]

    shared = run(*words, "mlg://pipeline/etl/load")
    alone = run(*words, world.ALICE)

    assert loaded.exit_code == 0, loaded.output
    assert "1 kept events speak of other things too" in shared.stderr
    assert "kept events" not in alone.stderr


def test_what_was_forgotten_is_in_no_part_of_a_compacted_file(path: Path) -> None:
    """Also not in pages that are free, nor as a token in a part of the search index."""
    run("forget", "excise", world.ALICE, "--reason", "asked", "--yes", "--db", str(path))
    compacted = run("db", "compact", "--db", str(path))
    held = path.read_bytes().lower()

    assert compacted.exit_code == 0, compacted.output
    assert "MB" in compacted.stdout
    assert b"osei" not in held
    assert run("verify", "--db", str(path)).exit_code == 0


def test_what_is_not_there_is_not_compacted(tmp_path: Path) -> None:
    result = run("db", "compact", "--db", str(tmp_path / "none.db"))

    assert result.exit_code == 2
    assert "There is no database" in result.stderr
    assert not (tmp_path / "none.db").exists()


def test_an_excision_stands_in_the_history_of_the_thing(path: Path) -> None:
    run("forget", "excise", world.ALICE, "--reason", "asked", "--yes", "--db", str(path))

    answer = json.loads(run("history", world.ALICE, "--db", str(path), "--format", "json").stdout)

    newest = answer["value"][0]
    assert (newest["what"], newest["t"]) == ("forgotten", 3)


def test_an_excision_needs_a_reason(tmp_path: Path) -> None:
    with world.told(tmp_path) as lineal, pytest.raises(Invalid, match="reason"):
        lineal.excise([world.ALICE], reason=" ", actor="dpo")


def test_old_runs_are_counted_first_and_dropped_when_confirmed(tmp_path: Path) -> None:
    lone = Uri("mlg://run/orchestrator/weekly-ranking-trainer/forgotten-run")
    with world.told(tmp_path) as lineal:
        said = [Record("orchestrator", "run/lone", lone, (Statement(lone, {}),), (), world.FIRST)]
        lineal.store.commit(Batch(said, "sweep", "one more run"))
        path = lineal.store.path
    words = ["forget", "old", "--type", "run", "--older-than", "1h", "--keep", "0"]

    shown = run(*words, "--db", str(path))
    dropped = run(*words, "--db", str(path), "--yes")

    assert "1 would go; 1 are as old and stay" in shown.output
    assert (shown.exit_code, dropped.exit_code) == (1, 0)
    assert "Dropped 1 things" in dropped.stdout
    told = run("get", lone, "--db", str(path))
    assert "nothing kept refers to it" in " ".join(told.output.split())
    assert run("get", world.RUN, "--db", str(path)).exit_code == 0
    assert run(*words[:4], "--older-than", "soon", "--db", str(path)).exit_code == 2


def test_a_retention_is_configured_in_one_line() -> None:
    found = Config.from_environment({"LINEAL_RETENTION": "run=90d/10, evaluation=2w/0"}).retention

    assert found == {"run": (90 * DAY, 10), "evaluation": (14 * DAY, 0)}
    with pytest.raises(ConfigError, match="run=ever"):
        Config.from_environment({"LINEAL_RETENTION": "run=ever"})


def test_a_configured_retention_is_applied_in_the_background(tmp_path: Path) -> None:
    lone = Uri("mlg://run/orchestrator/weekly-ranking-trainer/forgotten-run")
    with world.told(tmp_path) as lineal:
        said = [Record("orchestrator", "run/lone", lone, (Statement(lone, {}),), (), world.FIRST)]
        lineal.store.commit(Batch(said, "sweep", "one more run"))
        path = lineal.store.path
    config = Config.from_environment({"LINEAL_DB": str(path), "LINEAL_RETENTION": "run=1h/0"})

    with Lineal.open(config, pace=Pace(idle=0.01, retention=0.01)) as lineal:
        lineal.start()
        until = time.monotonic() + 30
        while (
            lineal.ask.get(LOCAL, lone).value.state is not State.FORGOTTEN
            and time.monotonic() < until
        ):
            time.sleep(0.01)
        lineal.stop()

        assert lineal.ask.get(LOCAL, lone).value.state is State.FORGOTTEN
        assert lineal.ask.get(LOCAL, world.RUN).value.state is not State.FORGOTTEN


# ── What a snapshot may remove ───────────────────────────────────────────────────────────────────


def documents(count: int) -> list[Record]:
    uris = [Uri.of("dataset", "lake", f"table-{number}") for number in range(count)]
    return [Record("dump", uri.name, uri, (Statement(uri, {}),), (), world.NOW) for uri in uris]


def read(lineal: Lineal, count: int, *, removing: bool = False) -> Tally:
    tally = Tally()
    dump = Snapshot("dump", documents(count), cause="a dump", scope="")
    lineal.ingest.snapshot(dump, tally, removing=removing)
    return tally


def living(lineal: Lineal) -> int:
    things = [Uri.of("dataset", "lake", f"table-{number}") for number in range(100)]
    return sum(lineal.ask.get(LOCAL, uri).value.state is State.HYDRATED for uri in things)


@pytest.mark.parametrize(("left", "held"), [(0, 100), (50, 50), (89, 11)])
def test_a_snapshot_that_lacks_too_much_removes_nothing_and_says_so(
    tmp_path: Path, left: int, held: int
) -> None:
    with world.empty(tmp_path) as lineal:
        read(lineal, 100)

        tally = read(lineal, left)

        assert (tally.held, tally.documents["removed"], living(lineal)) == (held, 0, 100)


def test_a_snapshot_that_lacks_a_little_removes_it(tmp_path: Path) -> None:
    with world.empty(tmp_path) as lineal:
        read(lineal, 100)

        assert (read(lineal, 90).held, living(lineal)) == (0, 90)


def test_what_is_really_gone_is_removed_when_that_is_said(tmp_path: Path) -> None:
    with world.empty(tmp_path) as lineal:
        read(lineal, 100)

        assert (read(lineal, 10, removing=True).held, living(lineal)) == (0, 10)


# ── Who counts first ─────────────────────────────────────────────────────────────────────────────


def test_search_follows_when_another_sources_word_counts_first(tmp_path: Path) -> None:
    with world.empty(tmp_path) as lineal:
        plays = Uri.of("dataset", "lake", "plays")
        said = [
            Record(source, "d", plays, (Statement(plays, {"name": name}),), (), world.NOW)
            for source, name in (("a", "Watched"), ("b", "Listened"))
        ]
        lineal.store.commit(Batch(said, "test", "two sources"))

        lineal.store.register({("dataset", "lake"): "b"})

        assert [hit.uri for hit in lineal.ask.search(LOCAL, "listened").value.hits] == [plays]
        assert lineal.store.verify().sound
        lineal.store.register({("dataset", "lake"): "a"})
        assert [hit.uri for hit in lineal.ask.search(LOCAL, "watched").value.hits] == [plays]
        assert lineal.store.verify().sound

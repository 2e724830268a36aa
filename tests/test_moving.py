"""Exports: everything, byte for byte the same, from any store into any store, or refused."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.errors import ConfigError, Damaged, FileRefused
from lineal.model import EdgeStatement, Record, Uri
from lineal.store import Batch, exporting, moving, schema, work
from lineal.store.forgetting import Policy
from lineal.surfaces.cli import failing, main
from tests import past, world
from tests.databases import ENGINES, lasting

ROOT = Path(__file__).parent.parent

#: Makes an empty database of each store: a new kind of store is one line here.
FACTORIES: dict[str, Callable[[Path], Config]] = {
    "sqlite": lambda folder: Config(db=folder / "lineal.db"),
    "postgres": lambda folder: Config(db=lasting(folder)),
}
PAIRS = [(one, other) for one in FACTORIES for other in FACTORIES]


@contextmanager
def opened(kind: str, folder: Path, clock: world.Clock | None = None) -> Iterator[Lineal]:
    folder.mkdir(exist_ok=True)
    with Lineal.open(FACTORIES[kind](folder), clock=clock or world.Clock(world.NOW)) as lineal:
        yield lineal


def exported(lineal: Lineal) -> bytes:
    out = io.BytesIO()
    lineal.store.export(out)
    return out.getvalue()


def fill(lineal: Lineal, file: bytes) -> int:
    return lineal.store.fill(io.BytesIO(file), "a.jsonl")


class Whole:
    """A graph with a past, its export, and what was answered by it."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.clock = world.Clock(world.FIRST)
        with opened(kind, folder, self.clock) as lineal:
            past.tell(lineal, self.clock)
            self.file = exported(lineal)
            self.answers = past.answers(lineal)
            self.digest = lineal.store.digest()
            self.rest = rest(lineal)


@pytest.fixture(scope="module", params=sorted(FACTORIES))
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return Whole(request.param, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    with opened("sqlite", tmp_path_factory.mktemp("file"), clock := world.Clock(0)) as lineal:
        past.tell(lineal, clock)
        return exported(lineal)


def rest(lineal: Lineal) -> dict[str, object]:
    """Return what a graph answers beside its past: search, and the work that is left."""
    with lineal.store.working() as ledger:
        waits = [one.event for one in work.waiting(ledger, 10)]
    with lineal.store.looking() as at_work:
        left = {
            "due": work.due(at_work, world.NOW * 2, 10),
            "dead": work.dead_letters(at_work),
            "health": work.health(at_work),
            "log": work.entries(at_work, "openlineage", "run:1"),
        }
    found = {
        text: [hit.uri for hit in lineal.ask.search(LOCAL, text).value.hits]
        for text in ("ranking", "type:dataset", "tag:gold", "unicode", "plays_2019", "owner:alice")
    }
    return {"waits": waits, "found": found, **left}


# ── There and back ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("other", sorted(FACTORIES))
def test_nothing_is_lost_by_a_move_into_another_database_and_back(
    whole: Whole, other: str, tmp_path: Path
) -> None:
    """P8 and P16: the digest, every answer about the past, and the bytes of the next export."""
    with opened(other, tmp_path / "there", whole.clock) as there:
        fill(there, whole.file)
        moved = exported(there)
        assert there.store.digest() == whole.digest
        assert past.answers(there) == whole.answers
        assert rest(there) == whole.rest
        assert there.store.verify().disagreements == ()
    with opened("sqlite", tmp_path / "back", whole.clock) as back:
        fill(back, moved)
        assert back.store.digest() == whole.digest
        assert exported(back) == whole.file

    assert moved == whole.file


@pytest.mark.parametrize("engine", sorted(FACTORIES))
@pytest.mark.parametrize("other", sorted(FACTORIES))
def test_what_was_forgotten_stays_forgotten_and_the_seals_hold(
    engine: str, other: str, tmp_path: Path
) -> None:
    """Values excised twice, a run dropped: the later seals move too, and `verify` agrees."""
    clock = world.Clock(world.FIRST)
    with opened(engine, tmp_path / "here", clock) as here:
        past.tell(here, clock)
        clock.at += past.DAY
        here.store.excise([world.V5, world.TITLES], reason="a person asked", actor="dpo")
        lone = Uri("mlg://run/orchestrator/nightly/1")
        told = world.record(
            "orchestrator", lone, {"name": "1"}, [world.edge(lone, "reads", world.PLAYS)]
        )
        here.store.commit(Batch([told], "someone", "a run"))
        policy = Policy(frozenset({"run"}), before=clock.at, keep=0)
        assert here.store.drop(policy, actor="retention").things == (lone,)
        late = world.record("notes", world.TITLES, {"name": "t", "rows": 1})
        here.store.commit(Batch([late], "someone", "said again"))
        here.store.excise([world.TITLES, world.PLAYS], reason="and again", actor="dpo")
        assert here.store.verify().sound
        file, digest = exported(here), here.store.digest()
    with opened(other, tmp_path / "there", clock) as there:
        fill(there, file)
        verdict = there.store.verify()

        assert (verdict.sound, verdict.disagreements) == (True, ())
        assert there.store.digest() == digest
        assert exported(there) == file
    assert b"90000" not in file
    assert file.count(b'"forgot":') == 3


def test_two_exports_of_one_database_are_the_same_bytes(whole: Whole, tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as lineal:
        fill(lineal, whole.file)
        for name in ("one.gz", "two.gz", "plain"):
            moving.export_file(lineal.store, tmp_path / name)

    assert (tmp_path / "one.gz").read_bytes() == (tmp_path / "two.gz").read_bytes()
    assert (tmp_path / "one.gz").stat().st_size < len(whole.file) / 4
    assert (tmp_path / "plain").read_bytes() == whole.file


def test_a_packed_export_is_read_whatever_its_name(whole: Whole, tmp_path: Path) -> None:
    with opened("sqlite", tmp_path / "one") as one:
        fill(one, whole.file)
        moving.export_file(one.store, tmp_path / "a.gz")
    (tmp_path / "a.gz").rename(tmp_path / "a.jsonl")
    with opened("sqlite", tmp_path / "two") as two:
        moving.import_file(two.store, tmp_path / "a.jsonl")

        assert two.store.digest() == whole.digest


def test_an_import_goes_on_where_the_export_ended(whole: Whole, tmp_path: Path) -> None:
    """The next transaction is the next one, and saying the same again begins no rows."""
    same = world.record(
        "notes", world.V5, {"name": "ranking v5", "description": "ünïcode ☃ \u2028 'x'"}
    )
    new = world.record(
        "notes", world.V4, {"name": "old"}, [world.edge(world.V4, "owned_by", world.TEAM)]
    )
    with opened("sqlite", tmp_path, world.Clock(whole.clock.at + past.DAY)) as lineal:
        last = fill(lineal, whole.file)
        said = lineal.store.commit(Batch([same], "test", "again"))
        again = lineal.store.commit(Batch([same], "someone", "x", token="step 3"))
        told = lineal.store.commit(Batch([new], "test", "something new"))

        assert (said.t, said.begun) == (None, 0)
        assert again.t == 5
        assert told.t == last + 1
        assert [one.source for one in lineal.ask.get(LOCAL, world.V4).value.said] == [
            "notes",
            "registry",
        ]
        with opened("sqlite", tmp_path / "next") as following:
            assert fill(following, exported(lineal)) == last + 1


def test_an_empty_database_can_be_moved_too(tmp_path: Path) -> None:
    with opened("sqlite", tmp_path / "one") as one, opened("sqlite", tmp_path / "two") as two:
        assert fill(two, exported(one)) == 0
        assert two.store.commit(Batch(world.models(), "test", "first")).t == 1


def test_an_export_is_of_one_moment(tmp_path: Path) -> None:
    """Whoever writes goes on; the export has none of it, and its seals hold."""
    clock = world.Clock(world.FIRST)
    with opened("sqlite", tmp_path / "one", clock) as lineal:
        past.tell(lineal, clock)
        done = threading.Event()

        def write() -> None:
            rows = 0
            while not done.is_set():
                rows += 1
                clock.at += 1
                said = world.record("lake", world.TITLES, {"rows": rows})
                lineal.store.commit(Batch([said], "writer", "load"))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            files = [exported(lineal) for _ in range(5)]
        finally:
            done.set()
            writer.join()
    ts = []
    for number, one in enumerate(files):
        with opened("sqlite", tmp_path / f"copy{number}") as copy:
            ts.append(fill(copy, one))

    assert ts == sorted(ts)
    assert len(set(ts)) > 1


def test_progress_is_told_while_a_file_is_written_and_read(whole: Whole, tmp_path: Path) -> None:
    told: list[tuple[int, int | None, str]] = []
    with opened("sqlite", tmp_path) as lineal:
        lineal.store.fill(io.BytesIO(whole.file), "a.jsonl", progress=lambda *one: told.append(one))

    assert {what for _, _, what in told} == {"lines", "search rows"}
    assert all(total is not None and done <= total for done, total, _ in told)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_rule_that_was_switched_stays_so(
    engine: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def switches(lineal: Lineal) -> dict[str, bool]:
        return {name: rule.enabled for name, rule in lineal.store.kept_rules().items()}

    version, run = Uri.of("model-version", "r", "m", "1"), Uri.of("run", "r", "1")
    cell, test = Uri.of("ab-cell", "x", "t", "1"), Uri.of("ab-test", "x", "t")
    edges = (
        EdgeStatement(version, "produced_by", run),
        EdgeStatement(run, "executed_for", cell),
        EdgeStatement(cell, "cell_of", test),
        EdgeStatement(version, "served_in", cell),
    )
    with opened("sqlite", tmp_path) as lineal:
        lineal.store.commit(Batch([Record("r", "all", version, (), edges, 1_000)], "a", "b"))
        lineal.ruling.switch("trained_for", enabled=False, actor="me")
        lineal.ruling.switch("relies_on", enabled=True, actor="me")
        lineal.ruling.follow()
        switched, digest, file = switches(lineal), lineal.store.digest(), exported(lineal)
    assert not switched["trained_for"]
    assert switched["relies_on"]

    with opened(engine, tmp_path_factory.mktemp("there")) as lineal:
        fill(lineal, file)
        assert exported(lineal) == file
        lineal.ruling.follow()
        assert switches(lineal) == switched
        assert lineal.store.digest() == digest
        assert exported(lineal) == file
        assert lineal.store.verify().disagreements == ()


def test_every_table_is_moved_or_follows_from_what_is() -> None:
    """A new table must be put here, and into the export if it holds what nothing else does."""
    told = {"entity", "document", "tx", "record", "edge_out", "derivation", "response"}
    told |= {"resealed", "forgotten", "term"} | {table.name for table in exporting.WORK}
    follows = {"uri", "edge_in", "clock", "search_name", "facet_value"}
    told.add("rule")
    # Rules that are in use go through everything anew in the new place; so do the folds of logs.
    follows |= {"projection", "ledger", "rule_work", "log_checkpoint", "log_since"}

    assert told | follows == set(schema.metadata.tables)
    assert not told & follows


def test_no_key_leaves_the_database(file: bytes) -> None:
    """The same told to a database that handed out other keys before gives the same lines."""
    numbers = {"t", "instant", "valid_from", "valid_to", "at", "said_at", "format"}
    for line in file.splitlines():
        said = json.loads(line)
        if said["is"] not in ("row", "end", "lineal-export"):
            body = said.pop("body", None), said.pop("attributes", None)
            assert body is not None
            found = {name for name, value in said.items() if type(value) is int}
            assert found <= numbers


# ── What is refused ──────────────────────────────────────────────────────────────────────────────


def refused(file: bytes, folder: Path) -> FileRefused:
    """Import a file that is wrong; return the error, once the database was seen to be empty."""
    with opened("sqlite", folder) as lineal:
        with pytest.raises(FileRefused) as caught:
            fill(lineal, file)
        assert exported(lineal).count(b"\n") == 2
    return caught.value


def test_a_file_that_was_cut_is_refused_wherever(file: bytes, tmp_path: Path) -> None:
    rows = file.splitlines(keepends=True)
    chance = random.Random(7)
    ends = {0, 1, len(file) - 1, len(file) - len(rows[-1]), len(rows[0]), len(rows[0]) - 1}
    ends |= {chance.randrange(len(file)) for _ in range(40)}
    for end in sorted(ends):
        told = str(refused(file[:end], tmp_path))
        assert "cut" in told or "not the header" in told, end


def test_a_packed_file_that_was_cut_is_refused(file: bytes, tmp_path: Path) -> None:
    with opened("sqlite", tmp_path / "one") as one:
        fill(one, file)
        moving.export_file(one.store, tmp_path / "a.gz")
    packed = (tmp_path / "a.gz").read_bytes()
    for end in (3, 20, len(packed) // 2, len(packed) - 9, len(packed) - 1):
        refused(packed[:end], tmp_path / "two")
    garbled = packed[:200] + bytes([packed[200] ^ 1]) + packed[201:]
    refused(garbled, tmp_path / "two")


def test_a_line_lost_doubled_moved_or_changed_is_refused(file: bytes, tmp_path: Path) -> None:
    rows = file.splitlines(keepends=True)
    chance = random.Random(11)
    for _ in range(60):
        at = chance.randrange(len(rows) - 1)
        place = chance.randrange(len(rows[at]) - 1)
        changed = bytes([rows[at][place] ^ 1 << chance.randrange(7)])
        wrong = {
            "lost": [*rows[:at], *rows[at + 1 :]],
            "doubled": [*rows[: at + 1], *rows[at:]],
            "moved": [*rows[:at], rows[at + 1], rows[at], *rows[at + 2 :]],
            "changed": [
                *rows[:at],
                rows[at][:place] + changed + rows[at][place + 1 :],
                *rows[at + 1 :],
            ],
        }
        how = chance.choice(sorted(wrong))
        refused(b"".join(wrong[how]), tmp_path)


def test_something_after_the_last_line_is_refused(file: bytes, tmp_path: Path) -> None:
    assert "follows" in str(refused(file + b"\n", tmp_path))


def forged(file: bytes, change: Callable[[list[dict[str, Any]]], None]) -> bytes:
    """Change lines, and make the last line right again, as somebody would who knows the form."""
    said = [json.loads(line) for line in file.splitlines()]
    change(said)
    *lines, last = said
    counts: dict[str, int] = {}
    for line in lines:
        counts[line["is"]] = counts.get(line["is"], 0) + 1
    lines[0]["counts"] = {name: counts.get(name, 0) for name in lines[0]["counts"]}
    last["counts"] = dict(sorted(counts.items()))
    texts = [json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n" for line in lines]
    last["digest"] = blake2b("".join(texts).encode(), digest_size=32).hexdigest()
    return ("".join(texts) + json.dumps(last) + "\n").encode()


def test_a_forged_file_that_forges_nothing_is_taken(file: bytes, tmp_path: Path) -> None:
    """So that what is refused below is refused for what was changed in it."""
    with opened("sqlite", tmp_path) as lineal:
        assert fill(lineal, forged(file, lambda said: None)) == 14


def _first(said: list[dict[str, Any]], sort: str) -> int:
    return next(at for at, line in enumerate(said) if line["is"] == sort)


def _change(sort: str, name: str, value: object) -> Callable[[list[dict[str, Any]]], None]:
    def change(said: list[dict[str, Any]]) -> None:
        said[_first(said, sort)][name] = value

    return change


def _drop(sort: str) -> Callable[[list[dict[str, Any]]], None]:
    return lambda said: said.__delitem__(_first(said, sort))


FORGED = {
    "a value": _change("record", "body", {"name": "another"}),
    "a time": _change("edge", "valid_from", 1),
    "who says": _change("record", "said", True),
    "a layer": _change("edge", "layer", "suggested"),
    "an attribute": _change("edge", "attributes", {"weight": 1}),
    "a reason": _change("derivation", "why", "because"),
    "a support": _change("derivation", "supports", []),
    "an end": _change("record_ended", "at", 1),
    "why it ended": _change("edge_ended", "reason", "deleted"),
    "a conclusion's end": _change("derivation_ended", "at", 1),
    "an answer": _change("response", "body", {"url": "x", "sha256": "ab", "at": 1, "etag": None}),
    "the actor": _change("tx", "actor", "nobody"),
    "the cause": _change("tx", "cause", "nothing"),
    "the time": _change("tx", "instant", 1),
    "the token": _change("tx", "token", "another"),
    "the feed": _change("tx", "changed", []),
    "the salt": _change("tx", "salt", "00" * 16),
    "the root": _change("tx", "root", "00" * 32),
    "the hash": _change("tx", "hash", "00" * 32),
    "when it was named": _change("entity", "t", 2),
    **{f"no {sort}": _drop(sort) for sort in (
        "entity", "document", "says", "record", "edge", "derivation", "response",
        "record_ended", "edge_ended", "derivation_ended", "tx",
    )},
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(FORGED))
def test_a_forged_past_does_not_hold_against_its_seal(
    what: str, file: bytes, tmp_path: Path
) -> None:
    refused(forged(file, FORGED[what]), tmp_path)


def test_the_transaction_that_does_not_hold_is_named(file: bytes, tmp_path: Path) -> None:
    told = str(refused(forged(file, FORGED["a value"]), tmp_path))

    assert "What transaction 1 wrote is not as it was sealed" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "cut"),
        (b"hello\n", "no line of an export"),
        (b'{"is":"end","counts":{},"digest":""}\n', "not the header"),
        (b"\x1f\x8bno gzip at all", "cannot be unpacked"),
        (b"\x00" * 5_000, "cut"),
        (
            b'{"is":"lineal-export","format":2,"schema":"9","t":0,"kinds":[],"counts":{}}\n',
            "form 2",
        ),
    ],
)
def test_what_is_no_export_is_refused(text: bytes, told: str, tmp_path: Path) -> None:
    assert told in str(refused(text, tmp_path))


def test_rows_of_a_table_that_is_not_known_are_refused(file: bytes, tmp_path: Path) -> None:
    for change in (
        _change("row", "table", "alembic_version"),
        _change("row", "values", {"version_num": "9999"}),
    ):
        assert "knows no such rows" in str(refused(forged(file, change), tmp_path))


def test_a_database_in_use_is_not_filled(file: bytes, tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as lineal:
        lineal.store.commit(Batch(world.models(), "test", "first"))
        before = exported(lineal)

        with pytest.raises(ConfigError, match="empty"):
            fill(lineal, file)

        assert exported(lineal) == before


def test_an_import_that_failed_can_be_done_again(file: bytes, tmp_path: Path) -> None:
    refused(file[: len(file) // 2], tmp_path)
    with opened("sqlite", tmp_path) as lineal:
        assert fill(lineal, file) == 14
        assert exported(lineal) == file


def test_an_import_that_is_killed_leaves_an_empty_database(file: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(file)
    program = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from lineal.app import Lineal\nfrom lineal.config import Config\n"
        "from lineal.store import moving\n"
        "def die(done, total, what):\n"
        "    if what == 'search rows': os.kill(os.getpid(), signal.SIGKILL)\n"
        "with Lineal.open(Config(db=Path('lineal.db'))) as lineal:\n"
        "    moving.import_file(lineal.store, Path('a.jsonl'), progress=die)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip

    assert ran.returncode == -signal.SIGKILL
    with opened("sqlite", tmp_path) as lineal:
        assert lineal.ask.counts(LOCAL).value == {}
        assert fill(lineal, file) == 14


CHANGES = {
    "record": "UPDATE record SET body = replace(body, 'ranking', 'banking')",
    "edge_out": "UPDATE edge_out SET valid_from = valid_from + 1",
    "derivation": "DELETE FROM derivation WHERE t_to IS NULL",
    "response": "UPDATE response SET body = replace(body, 'ab', 'ba')",
    "entity": "UPDATE entity SET t_from = 2 WHERE key = 3",
    "tx": "UPDATE tx SET actor = 'nobody' WHERE t = 4",
    "feed": "UPDATE tx SET changed = x'' WHERE t = 4",
    "term": "UPDATE term SET text = 'hated_by' WHERE text = 'owned_by'",
}


@pytest.mark.parametrize("what", sorted(CHANGES))
def test_a_database_that_was_changed_by_hand_is_not_exported(
    what: str, file: bytes, tmp_path: Path
) -> None:
    """So that no export is made that nobody could read."""
    with opened("sqlite", tmp_path) as lineal:
        fill(lineal, file)
    with closing(sqlite3.connect(tmp_path / "lineal.db")) as database:
        assert database.execute(CHANGES[what]).rowcount
        database.commit()
    with opened("sqlite", tmp_path) as lineal, pytest.raises(Damaged, match="ransaction"):
        exported(lineal)


# ── By command ───────────────────────────────────────────────────────────────────────────────────


def run(*arguments: object, given: bytes | None = None) -> Result:
    result = CliRunner().invoke(main, [str(one) for one in arguments], given, prog_name="lineal")
    assert "Traceback" not in result.output
    return result


def test_the_commands_move_a_database(file: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(file)
    one, two, three = (tmp_path / f"{name}.db" for name in ("one", "two", "three"))

    came = run("db", "import", tmp_path / "a.jsonl", "--db", one)
    went = run("db", "export", tmp_path / "b.jsonl.gz", "--db", one)
    again = run("db", "export", tmp_path / "b.jsonl.gz", "--db", one)
    forced = run("db", "export", tmp_path / "b.jsonl.gz", "--db", one, "--force")
    run("db", "import", tmp_path / "b.jsonl.gz", "--db", two)
    piped = run(
        "db", "import", "-", "--db", three, given=run("db", "export", "--db", two).stdout_bytes
    )
    twice = run("db", "import", tmp_path / "a.jsonl", "--db", one)

    assert [one.exit_code for one in (came, went, forced, piped)] == [0, 0, 0, 0]
    assert "transaction 14" in came.stdout
    assert "every seal holds" in piped.stdout
    assert (again.exit_code, twice.exit_code) == (failing.USAGE, failing.USAGE)
    assert "--force" in again.stderr
    assert "in use" in twice.stderr
    assert run("db", "export", "--db", three).stdout_bytes == file


def test_an_export_that_fails_leaves_no_file(file: bytes, tmp_path: Path) -> None:
    with opened("sqlite", tmp_path) as lineal:
        fill(lineal, file)
    with closing(sqlite3.connect(tmp_path / "lineal.db")) as database:
        database.execute(CHANGES["record"])
        database.commit()

    result = run("db", "export", tmp_path / "a.jsonl", "--db", tmp_path / "lineal.db")

    assert result.exit_code == failing.STORE
    assert not list(tmp_path.glob("a.jsonl*"))


def test_the_form_is_in_the_docs(file: bytes) -> None:
    """Every kind of line, and every part of it, is explained."""
    page = (ROOT / "docs/reference/export-format.md").read_text("utf-8")
    for line in file.splitlines():
        said = json.loads(line)
        section = page[page.index(f"### `{said['is']}`") :].split("\n### ")[0]
        assert all(f"`{name}`" in section for name in said if name != "is"), said["is"]


def test_the_example_of_the_docs_is_an_export(tmp_path: Path) -> None:
    page = (ROOT / "docs/reference/export-format.md").read_text("utf-8")
    text = page.split("```jsonl\n")[1].split("```")[0]
    with opened("sqlite", tmp_path) as lineal:
        assert fill(lineal, text.encode()) == 1
        assert lineal.ask.counts(LOCAL).value == {"model": 1, "team": 1}

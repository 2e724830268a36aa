"""The rules that let the schema grow (scale C4) and keep the file sound (promises A6).

They cost nothing on one node and a rewrite later, so they hold from the first table on. Each is
held against the tables as declared and against the tables of a migrated file.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from unittest import mock

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

import lineal.store
from lineal import errors
from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.model import Moment, Uri
from lineal.query import Questions
from lineal.store import driver, schema
from lineal.store.sqlite import SqliteDatabase
from tests import world

STORE = Path(lineal.store.__file__).parent

#: The column by which each table of facts is spread.
SPREAD_BY = {
    "uri": "uri",
    "entity": "key",
    "record": "key",
    "edge_out": "src",
    "edge_in": "dst",
    "derivation": "src",
    "search_name": "key",
}
#: The tables with two times, of which each query must name a basis.
TIMED = {table.name for table in schema.FACTS}
#: What is of all times or of now on purpose: what was forgotten, and what rules look at.
TIMELESS = ("FROM forgotten", "WHERE record.t_to IS NULL")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineal]:
    with world.told(tmp_path_factory.mktemp("schema")) as graph:
        yield graph


@pytest.fixture
def file(told: Lineal) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{told.store.path}?mode=ro", uri=True)) as connection:
        yield connection


# ── The tables ───────────────────────────────────────────────────────────────────────────────────


def test_the_migrated_file_is_what_the_schema_declares(told: Lineal) -> None:
    """Alembic finds nothing to change, but for what it cannot know: full text and itself."""
    own = re.compile(r"search(_(data|idx|content|docsize|config))?")
    engine = sa.create_engine(f"sqlite:///{told.store.path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: (
                    kind != "table" or not own.fullmatch(name or "")
                ),
            },
        )
        differences = compare_metadata(context, schema.metadata)
    engine.dispose()

    assert differences == []


def test_the_keys_of_the_file_are_those_of_the_schema(file: sqlite3.Connection) -> None:
    """Alembic does not compare primary keys; their order matters too."""
    for table in schema.metadata.sorted_tables:
        rows = file.execute(f'PRAGMA table_info("{table.name}")').fetchall()
        found = [name for _, name, *_, at in sorted(rows, key=lambda row: row[5]) if at]
        assert found == [column.name for column in table.primary_key], table.name


def test_every_table_is_a_fact_a_projection_or_work() -> None:
    """A new table must be put in one of the families here, and then obeys its rules."""
    work = {
        *("clock", "tx", "document", "registered", "watch", "inbox"),
        *("log_entry", "log_body", "dead_letter", "raw", "flow", "standing", "deed"),
        *("log_checkpoint", "log_since"),
        *("term", "facet_value", "response", "forgotten", "resealed", "ledger", "projection"),
        *("rule", "rule_work", "finding"),
    }

    assert set(schema.metadata.tables) - set(SPREAD_BY) == work
    assert {"record", "edge_out", "edge_in", "derivation"} == TIMED


@pytest.mark.parametrize("name", sorted(SPREAD_BY))
def test_every_unique_key_begins_with_the_key_the_table_is_spread_by(
    name: str, file: sqlite3.Connection
) -> None:
    table = schema.metadata.tables[name]
    declared = [[column.name for column in table.primary_key]]
    declared += [
        [column.name for column in one.columns]
        for one in table.constraints
        if isinstance(one, sa.UniqueConstraint)
    ]
    declared += [[column.name for column in one.columns] for one in table.indexes if one.unique]
    stored = [
        [row[2] for row in file.execute(f'PRAGMA index_info("{index[1]}")')]
        for index in file.execute(f'PRAGMA index_list("{name}")').fetchall()
        if index[2]
    ]

    assert declared[0]
    assert all(key[0] == SPREAD_BY[name] for key in [*declared, *stored])


@pytest.mark.parametrize("name", sorted(TIMED))
def test_a_fact_is_told_apart_by_the_transaction_it_began_in(name: str) -> None:
    """So that nothing is overwritten: the same word said again later is another row."""
    assert [column.name for column in schema.metadata.tables[name].primary_key][-1] == "t_from"


def test_both_copies_of_an_edge_have_the_same_keys() -> None:
    out, inward = (
        [column.name for column in schema.metadata.tables[name].primary_key]
        for name in ("edge_out", "edge_in")
    )

    assert sorted(out) == sorted(inward)
    assert (out[0], inward[0]) == ("src", "dst")


def test_there_are_no_foreign_keys_triggers_views_or_sequences(file: sqlite3.Connection) -> None:
    assert not [key for table in schema.metadata.sorted_tables for key in table.foreign_keys]
    for table in schema.metadata.sorted_tables:
        assert not file.execute(f'PRAGMA foreign_key_list("{table.name}")').fetchall()
    kinds = {row[0] for row in file.execute("SELECT type FROM sqlite_master")}
    texts = [row[0] for row in file.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL")]
    assert kinds == {"table", "index"}
    assert not [text for text in texts if "autoincrement" in text.lower()]


def test_no_key_of_a_fact_is_handed_out_by_the_database() -> None:
    """Keys come from the clock row; a number the database makes up would differ on each node."""
    for name in SPREAD_BY:
        assert schema.metadata.tables[name].autoincrement_column is None, name


def test_every_row_of_an_edge_lies_in_both_copies(file: sqlite3.Connection) -> None:
    shared = "src, kind, dst, document, t_from, t_to, valid_from, valid_to, ended_at, reason, layer"
    out, inward = (
        file.execute(f"SELECT {shared} FROM {name} ORDER BY {shared}").fetchall()
        for name in ("edge_out", "edge_in")
    )

    assert out == inward
    assert out


# ── The queries ──────────────────────────────────────────────────────────────────────────────────


def test_no_sql_of_ours_recurses_or_locks_what_cannot_be_spread() -> None:
    refused = re.compile(
        r"with\s+recursive|recursive\s*=\s*True|create\s+(trigger|view|sequence)|"
        r"tablesample|grouping\s+sets|advisory_lock|foreign\s*key\s*\(|ForeignKey\(",
        re.IGNORECASE,
    )
    for path in sorted(STORE.rglob("*.py")):
        assert not refused.search(path.read_text("utf-8")), path


#: Every reading question, asked of the world's things.
QUESTIONS: dict[str, Callable[[Questions, Moment], object]] = {
    "get": lambda ask, at: ask.get(LOCAL, world.MODEL, at),
    "neighbours": lambda ask, at: ask.neighbours(LOCAL, world.V5, at),
    "explain": lambda ask, at: ask.explain(LOCAL, world.V5, "trained_for", world.TEST, at),
    "history": lambda ask, at: ask.history(LOCAL, world.V5, at),
    "names": lambda ask, at: ask.names(LOCAL, world.PLAYS, at),
    "preview_merge": lambda ask, at: ask.preview_merge(LOCAL, world.PLAYS, world.TITLES, at),
    "preview_split": lambda ask, at: ask.preview_split(LOCAL, world.PLAYS, None, at),
    "suggestions": lambda ask, at: ask.suggestions(LOCAL, None, at),
    "search": lambda ask, at: ask.search(
        LOCAL, "type:model owner:personalization source:registry rank", at
    ),
    "counts": lambda ask, at: ask.counts(LOCAL, at),
    "lineage": lambda ask, at: ask.lineage(LOCAL, [world.MODEL, world.V5], at),
    "paths": lambda ask, at: ask.paths(LOCAL, world.PLAYS, world.MODEL, at),
    "impact": lambda ask, at: ask.impact(LOCAL, [world.PLAYS], at),
    "diff": lambda ask, at: ask.diff(LOCAL, world.V5, Moment(known_t=0), at),
    "diff_lineage": lambda ask, at: ask.diff_lineage(LOCAL, [world.MODEL], Moment(known_t=0), at),
    "diff_type": lambda ask, at: ask.diff_type(LOCAL, "dataset", Moment(known_t=0), at),
    "feeds": lambda ask, at: ask.feeds(LOCAL, world.MODEL, at),
    "data_pipelines": lambda ask, at: ask.data_pipelines(LOCAL, world.V5, at),
    "data_behind": lambda ask, at: ask.data_behind(LOCAL, world.HOURS, at),
    "complete_lineage": lambda ask, at: ask.complete_lineage(LOCAL, world.MODEL, at),
    "tests_of": lambda ask, at: ask.tests_of(LOCAL, world.MODEL, at),
    "versions_in": lambda ask, at: ask.versions_in(LOCAL, world.TEST, at),
    "models_downstream": lambda ask, at: ask.models_downstream(LOCAL, world.HOURS, at),
    "consumers": lambda ask, at: ask.consumers(LOCAL, world.HOURS, at),
    "sharers": lambda ask, at: ask.sharers(LOCAL, world.MODEL, at),
    "data_under": lambda ask, at: ask.data_under(LOCAL, world.PIPELINE, at),
    "around": lambda ask, at: ask.around(LOCAL, world.V5, at),
    "owners_of_chain": lambda ask, at: ask.owners_of_chain(LOCAL, world.MODEL, at),
    "retirable": lambda ask, at: ask.retirable(LOCAL, world.DATA_TEAM, at),
    "between": lambda ask, at: ask.between(LOCAL, world.PLAYS, world.MODEL, at),
    "closure": lambda ask, at: ask.closure(LOCAL, [world.PLAYS], at),
    "common": lambda ask, at: ask.common(LOCAL, [world.V4, world.V5], at),
    "recent": lambda ask, at: ask.recent(LOCAL, at),
    "schema_changes": lambda ask, at: ask.schema_changes(LOCAL, Moment(known_t=0), at),
    "shared": lambda ask, at: ask.shared(LOCAL, at),
    "unused": lambda ask, at: ask.unused(LOCAL, world.DATA_TEAM, at),
    "wanted": lambda ask, at: ask.wanted(LOCAL, world.MODEL, at),
    "concluded": lambda ask, at: ask.concluded(LOCAL, "trained_for", at),
    "similar": lambda ask, at: ask.similar(LOCAL, world.MODEL, at),
}


def test_every_question_is_listed_here() -> None:
    public = {name for name in vars(Questions) if not name.startswith("_")}

    assert public == set(QUESTIONS)


def statements(ask: Callable[[], object]) -> list[str]:
    """Return the SQL that is executed while something is asked, by SQLAlchemy or past it."""
    seen: list[str] = []
    worded = driver._text

    def plain(text: str, is_sqlite: bool) -> str:
        seen.append(text)
        return worded(text, is_sqlite)

    def note(
        connection: sa.Connection,
        cursor: object,
        statement: str,
        parameters: Sequence[object],
        context: object,
        executemany: bool,
    ) -> None:
        seen.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        with mock.patch.object(driver, "_text", plain):
            ask()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    return seen


@pytest.mark.parametrize("name", sorted(QUESTIONS))
@pytest.mark.parametrize("moment", [Moment(), Moment(known_t=1)], ids=["now", "then"])
def test_every_query_of_facts_names_its_basis(told: Lineal, name: str, moment: Moment) -> None:
    """A reader never sees what was committed after its basis, whatever the engine isolates."""
    seen = statements(lambda: QUESTIONS[name](told.ask, moment))
    of_facts = [
        text
        for text in seen
        if re.search(rf"\b(from|join)\s+\"?({'|'.join(sorted(TIMED))})\b", text, re.IGNORECASE)
        and not any(words in text for words in TIMELESS)
    ]

    assert seen
    if name != "counts":
        assert of_facts
    for text in of_facts:
        tables = set(re.findall(rf"\b({'|'.join(sorted(TIMED))})\.", text))
        for table in tables:
            assert re.search(rf"\b{table}\.(t_from|t_to) <= ", text), text
        assert "RECURSIVE" not in text.upper()


def test_a_basis_that_is_not_there_yet_is_refused(told: Lineal) -> None:
    with pytest.raises(Exception, match="no transaction 99"):
        told.ask.get(LOCAL, world.MODEL, Moment(known_t=99))
    with pytest.raises(Exception, match="no transaction -1"):
        told.ask.get(LOCAL, world.MODEL, Moment(known_t=-1))


def test_nothing_is_read_without_a_viewer(told: Lineal) -> None:
    with pytest.raises(TypeError, match="viewer"):
        told.ask.get(None, Uri(world.MODEL))  # type: ignore[arg-type]  # that is the point


# ── The file ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    opened = SqliteDatabase(tmp_path / "plain.db")
    yield opened
    opened.close()


def _setting(connection: sa.Connection, name: str) -> object:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


SETTINGS = [("foreign_keys", 1), ("trusted_schema", 0), ("cell_size_check", 1)]


@pytest.mark.parametrize(
    ("name", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("query_only", 0), *SETTINGS]
)
def test_the_writer_is_set_as_promised(database: SqliteDatabase, name: str, value: object) -> None:
    with database.writing() as connection:
        assert _setting(connection, name) == value


@pytest.mark.parametrize(
    ("name", "value"), [("journal_mode", "wal"), ("query_only", 1), *SETTINGS[1:]]
)
def test_a_reader_is_set_as_promised(database: SqliteDatabase, name: str, value: object) -> None:
    with database.reading() as connection:
        assert _setting(connection, name) == value


def test_both_wait_for_each_other_rather_than_fail(database: SqliteDatabase) -> None:
    with database.writing() as writer, database.reading() as reader:
        assert isinstance(waits := _setting(writer, "busy_timeout"), int)
        assert waits >= 1_000
        assert _setting(reader, "busy_timeout") == waits


def test_a_reader_cannot_write(database: SqliteDatabase) -> None:
    with (
        pytest.raises(errors.ReadOnly),
        database.reading() as connection,
    ):
        connection.exec_driver_sql("CREATE TABLE intruder (x)")

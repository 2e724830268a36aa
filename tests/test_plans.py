"""No question and no commit reads a whole table: what it costs must not grow with the graph."""

from __future__ import annotations

import inspect
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.model import Moment, Record, Statement, Uri
from lineal.query import Change, Questions
from lineal.store import Batch
from tests import world

#: What may be read whole, and why.
WHOLE = {
    # A parameter: the keys that are asked about.
    "json_each",
    # As many rows as there are words, sources and rules that the installation declares.
    "term",
    "registered",
    "rule",
    # One row.
    "clock",
    # Empty unless rules have still to conclude.
    "rule_work",
}

#: Those that read whole types or rules, are about nothing but names, or are made of others.
UNASKED = {
    *(
        "concluded",
        "counts",
        "suggestions",
        "preview_merge",
        "preview_split",
        "diff_lineage",
        "diff_type",
    ),
    *("feeds", "data_pipelines", "data_behind", "complete_lineage", "tests_of", "versions_in"),
    *("models_downstream", "consumers", "sharers", "data_under", "around", "retirable"),
}

#: The text index's own statements, which the text index plans.
OF_THE_INDEX = "'main'.'search_"


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Hear every statement on SQLite, with its values in it."""
    heard: list[str] = []

    def listen(connection: Any, *_: object) -> None:
        connection.set_trace_callback(heard.append)

    sa.event.listen(sa.pool.Pool, "checkout", listen)
    try:
        yield heard
    finally:
        sa.event.remove(sa.pool.Pool, "checkout", listen)


def scanned(path: Path, heard: list[str]) -> dict[str, str]:
    """Which tables does the planner read from end to end, and in which statement?"""
    found: dict[str, str] = {}
    with closing(sqlite3.connect(path)) as connection:
        for statement in dict.fromkeys(heard):
            asks = re.match(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b", statement)
            if not asks or OF_THE_INDEX in statement:
                continue
            for *_, step in connection.execute(f"EXPLAIN QUERY PLAN {statement}"):
                table = re.match(r"SCAN (\w+)\b(?! VIRTUAL TABLE INDEX \d+:[M=])", step)
                if table and table[1] not in WHOLE:
                    found[table[1]] = statement
    return found


def ask_everything(lineal: Lineal, moment: Moment) -> None:
    """Ask each question of one thing, of some things, and of the names of things."""
    ask = lineal.ask
    for uri in (world.V5, world.RUN, world.PLAYS, world.ALICE):
        ask.get(LOCAL, uri, moment)
        ask.neighbours(LOCAL, uri, moment=moment)
        ask.history(LOCAL, uri, moment=moment)
        ask.names(LOCAL, uri, moment)
        ask.lineage(LOCAL, [uri], moment=moment)
        ask.impact(LOCAL, [uri], moment)
        ask.diff(LOCAL, uri, Moment(known_t=1), moment)
        ask.owners_of_chain(LOCAL, uri, moment)
    ask.explain(LOCAL, world.V5, "trained_for", world.TEST, moment)
    ask.paths(LOCAL, world.PLAYS, world.V5, moment=moment)
    ask.between(LOCAL, world.PLAYS, world.V5, moment=moment)
    ask.common(LOCAL, [world.V4, world.V5], moment=moment)
    ask.closure(LOCAL, [world.PLAYS], moment)
    ask.impact(LOCAL, [world.V5], moment, change=Change("rolled_back"))
    ask.schema_changes(LOCAL, Moment(known_t=1), moment)
    ask.shared(LOCAL, moment)
    ask.recent(LOCAL, moment)
    ask.unused(LOCAL, world.DATA_TEAM, moment)
    ask.unused(LOCAL, moment=moment)
    ask.similar(LOCAL, world.MODEL, moment)
    ask.wanted(LOCAL, world.MODEL, moment)
    ask.search(LOCAL, "ranking", moment=moment)
    ask.search(LOCAL, "type:dataset plays", moment=moment)


def test_every_question_that_walks_is_asked() -> None:
    """A question that is added is put here too."""
    asked = inspect.getsource(ask_everything)
    unasked = {
        name for name, _ in inspect.getmembers(Questions, inspect.isfunction)
        if not name.startswith("_") and f"ask.{name}(" not in asked
    }  # fmt: skip

    assert unasked == UNASKED


def test_no_question_reads_a_whole_table(tmp_path: Path) -> None:
    with overheard() as heard, world.told(tmp_path) as lineal:
        for moment in (Moment(), Moment(known_t=1)):
            heard.clear()
            ask_everything(lineal, moment)

            assert len(heard) > 100
            assert scanned(lineal.store.path, heard) == {}


def test_no_commit_reads_a_whole_table(tmp_path: Path) -> None:
    uri = Uri("mlg://dataset/warehouse/prod/new/table")
    said = [Record("warehouse", "new", uri, (Statement(uri, {"rows": 1}),), (), world.NOW)]
    with overheard() as heard, world.told(tmp_path) as lineal:
        heard.clear()
        lineal.store.commit(Batch(said, "sweep", "a table more"))

        assert len(heard) > 10
        assert scanned(lineal.store.path, heard) == {}


def test_what_is_forgotten_is_found_and_sealed_without_reading_all(tmp_path: Path) -> None:
    """But for the documents about it: what they are about has no index."""
    with overheard() as heard, world.told(tmp_path) as lineal:
        heard.clear()
        lineal.store.excise([world.ALICE], reason="asked for it", actor="dpo")

        assert len(heard) > 10
        assert scanned(lineal.store.path, heard).keys() <= {"document"}


def test_a_whole_read_is_heard(tmp_path: Path) -> None:
    with overheard() as heard, world.told(tmp_path) as lineal:
        heard.clear()
        with lineal.store.looking() as driver:
            driver.row("SELECT count(*) FROM document WHERE subject = 1")

        assert set(scanned(lineal.store.path, heard)) == {"document"}

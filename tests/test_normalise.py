"""Sources' words brought to ours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal import normalise
from lineal.errors import Invalid, InvalidUri
from lineal.model import Uri
from lineal.normalise import Platforms

# ── Times ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:01", 1_000_000_000),
        ("1970-01-01T10:00:01.001+10:00", 1_001_000_000),
        ("1970-01-01T00:00:00.123456789Z", 123_456_789),
        ("1970-01-01T00:00:00.1234567Z", 123_456_700),
    ],
)
def test_nanoseconds_keep_every_digit_and_take_no_zone_as_utc(text, nanoseconds):
    assert normalise.nanoseconds(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z", "${json-unit.any-string}"])
def test_what_is_no_time_is_said_to_be_none(text):
    with pytest.raises(Invalid):
        normalise.nanoseconds(text)
    assert normalise.iso_time(text) is None


def test_iso_time_is_in_utc():
    assert normalise.iso_time("2026-03-01T12:00:00+02:00") == "2026-03-01T10:00:00Z"


# ── Namespaces and data sets ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("s3a://Bucket", "s3://Bucket"),
        ("postgresql://DB", "postgres://db:5432"),
        ("postgres://db:5432/", "postgres://db:5432"),
        ("postgres://user:secret@db?password=x", "postgres://db:5432"),
        ("kafka://b:9092,a:9092", "kafka://a:9092,b:9092"),
        ("file:///tmp", "file"),
        ("file:/tmp", "file"),
        ("file", "file"),
        ("postgres://[::1]", "postgres://[::1]:5432"),
        ("arn:aws:glue:eu-west-1:123", "arn:aws:glue:eu-west-1:123"),
    ],
)
def test_a_namespace_has_one_spelling(spelling, canonical):
    assert normalise.canonical_namespace(spelling) == canonical


@given(st.text(min_size=1, max_size=30), st.sampled_from(["", "s3://", "postgres://", "file:/"]))
def test_the_one_spelling_is_its_own_spelling(text, scheme):
    once = normalise.canonical_namespace(scheme + text)

    assert normalise.canonical_namespace(once) == once


@pytest.mark.parametrize(
    ("namespace", "name", "uri"),
    [
        ("s3a://b", "/w//t/", "mlg://dataset/s3/b/w%2Ft"),
        ("s3://b/w", "t", "mlg://dataset/s3/b/w%2Ft"),
        ("s3://b", "w/t/day=1/part-0", "mlg://dataset/s3/b/w%2Ft"),
        ("gs://b", "t/_delta_log", "mlg://dataset/gs/b/t"),
        ("file", "/tmp/x", "mlg://dataset/file/%2Ftmp%2Fx"),
        ("file:/tmp", "default.t", "mlg://dataset/file/%2Ftmp%2Fdefault.t"),
        ("file:///tmp", "x", "mlg://dataset/file/%2Ftmp%2Fx"),
        ("bigquery", "P.d.T", "mlg://dataset/bigquery/P.d.T"),
        ("snowflake://o-a", "db.s.t", "mlg://dataset/snowflake:%2F%2Fo-a/DB.S.T"),
    ],
)
def test_a_data_set_has_one_uri_however_it_is_spelled(namespace, name, uri):
    assert normalise.data_set(namespace, name) == uri


def test_tables_of_two_local_warehouses_are_not_mixed_up():
    """Spark names the same ``default.t`` in each warehouse folder."""
    one = normalise.data_set("file:/tmp/one", "default.t")

    assert one != normalise.data_set("file:/tmp/two", "default.t")


@pytest.mark.parametrize("spelling", ["postgres://db:5432", "postgresql://DB", "postgres://u@db"])
def test_an_alias_holds_for_every_spelling(spelling):
    platforms = Platforms({"postgresql://db": "warehouse"})

    assert normalise.data_set(spelling, "d.s.T", platforms) == "mlg://dataset/warehouse/d.s.t"


def test_columns_fold_as_their_relation_does():
    table = Uri("mlg://dataset/wh/db.s.t")

    assert normalise.column(table, "ID", "postgres") == "mlg://column/wh/db.s.t/id"
    assert normalise.column(table, "id", "snowflake") == "mlg://column/wh/db.s.t/ID"
    assert normalise.column(table, "Id") == "mlg://column/wh/db.s.t/Id"
    with pytest.raises(InvalidUri):
        normalise.column(table, " ")


# ── Repositories, status words, loose values ─────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "spelling",
    [
        "git@github.com:org/models.git",
        "ssh://git@github.com/org/models.git",
        "https://user:token@GitHub.com/org/models/",
        "git+https://github.com/org/models.git",
    ],
)
def test_a_repository_has_one_spelling_without_secrets(spelling):
    assert normalise.repository(spelling) == "https://github.com/org/models"


@pytest.mark.parametrize(
    ("word", "ours"),
    [("COMPLETE", "succeeded"), ("ABORT", "cancelled"), ("FAIL", "failed"), ("START", "running")],
)
def test_status_words_have_one_vocabulary(word, ours):
    assert normalise.run_status(word) == ours


def test_an_unknown_status_word_is_none():
    assert normalise.run_status("pondering") is None


@given(st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()))
def test_loose_values_never_raise(value):
    assert isinstance(normalise.text(value), str | None)
    assert not normalise.mapping(value)
    assert list(normalise.mappings(value)) == []
    assert len(normalise.sequence(value)) == (len(value) if isinstance(value, list) else 0)


def test_said_keeps_false_and_zero():
    assert normalise.said({"a": None, "b": "", "c": [], "d": False, "e": 0}) == {"d": False, "e": 0}

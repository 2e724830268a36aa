"""Sources that are read from files."""

import gzip
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.errors import ConfigError, FileRefused
from lineal.model import Record, Uri
from lineal.shapes import Shapes
from lineal.sources import Key, Refused
from lineal.sources.compiling import load, parse
from lineal.sources.expressions import Expression
from lineal.sources.files import FileSource
from lineal.sources.grouping import grouped
from lineal.sources.readers import Item

EXAMPLES = Path(__file__).parent.parent / "examples"

Counts = Counter[Any]

SPEC = """
source: box
platform: box
files:
  - {path: "%s", resource: thing%s}
resources:
  thing:
    subject: {type: dataset}
    map: {name: name}
    edges:
      - {kind: derived_from, each: items, to: {type: dataset, id: from}}
"""


def source(path: str = "*.*", more: str = "") -> FileSource:
    return FileSource(parse(SPEC % (path, more)), clock=lambda: 7)


def taken(folder: Path, **options: str) -> tuple[list[str], list[Refused]]:
    found = list(source(**options).snapshot(folder))
    records = [record for record in found if isinstance(record, Record)]
    return [record.subject.name for record in records], [r for r in found if isinstance(r, Refused)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'{"id": "x"}'),
        ("a.jsonl", b'{"id": "x"}\n\n'),
        ("a.jsonl.gz", gzip.compress(b'{"id": "x"}\n')),
        ("a.json.gz", gzip.compress(b'{"id": "x"}')),
        ("a.yaml", b"id: x\n---\n"),
        ("a.yml", b"---\nid: x\n"),
        ("a.toml", b'id = "x"\nwhen = 2026-01-01\n'),
        ("a.jsonl", b'{"id": "x", "score": NaN, "other": [-Infinity]}'),
    ],
    ids=["json", "jsonl", "jsonl.gz", "json.gz", "yaml", "yml", "toml", "nan"],
)
def test_every_format_is_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)

    assert taken(tmp_path) == (["x"], [])


def test_a_list_inside_a_document_is_opened(tmp_path):
    (tmp_path / "a.json").write_text('{"rows": [{"id": 1}, {"id": 2}]}')

    assert taken(tmp_path, more=", items: rows") == (["1", "2"], [])


def test_the_name_of_the_file_can_be_the_id(tmp_path):
    (tmp_path / "my-test.toml").write_text('name = "x"')

    assert taken(tmp_path, more=", name_as: id") == (["my-test"], [])


def test_the_path_of_the_file_can_be_in_the_id(tmp_path):
    """Files of one name in two folders are two documents."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.json").write_text('{"name": "x"}')

    assert taken(tmp_path, path="**/*.json", more=", path_as: id") == (
        ["a/same.json", "b/same.json"],
        [],
    )


def test_a_broken_line_is_refused_and_the_rest_goes_on(tmp_path):
    lines = ['{"id": "a"}', "{broken", "[]", '{"id": ["b"]}', '{"id": "a"}', "{}", '{"id": "z"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))

    names, refused = taken(tmp_path)

    assert names == ["a", "z"]
    assert [(r.file, r.index) for r in refused] == [("a.jsonl", n) for n in (1, 2, 3, 4, 5)]
    reasons = " ".join(r.reason for r in refused)
    for word in ("not JSON", "not a mapping", "'id'", "occurs twice", "missing"):
        assert word in reasons


@pytest.mark.parametrize(
    ("name", "content", "index"),
    [
        ("a.json", b"{", None),
        ("a.yaml", b"a: [", None),
        ("a.yaml", b"id: x\n---\na: [", 1),
        ("a.toml", b"=", None),
        ("a.jsonl.gz", gzip.compress(b'{"id": "x"}\n' * 9)[:-12], None),
        ("a.bin", b"x", None),
        ("a.json", b"\xff", None),
    ],
    ids=["json", "yaml", "later-yaml", "toml", "cut-gzip", "unknown", "not-utf8"],
)
def test_a_broken_file_is_refused_with_its_reason(tmp_path, name, content, index):
    (tmp_path / name).write_bytes(content)

    _, refused = taken(tmp_path)

    assert refused[-1].file == name
    assert refused[-1].index == index
    assert refused[-1].reason


def test_a_missing_file_is_said_and_not_taken_for_an_empty_one(tmp_path):
    assert taken(tmp_path, path="none.json")[1] == [
        Refused("none.json", None, "There is no such file.")
    ]


def test_a_link_does_not_lead_out_of_the_folder(tmp_path):
    (tmp_path / "secret.json").write_text('{"id": "secret"}')
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "a.json").symlink_to(tmp_path / "secret.json")

    assert taken(inside)[0] == []


def test_the_folder_must_be_there_and_the_source_one_of_files(tmp_path):
    with pytest.raises(FileRefused):
        list(source().snapshot(tmp_path / "none"))
    with pytest.raises(ConfigError):
        FileSource(
            parse(
                "source: a\nplatform: a\nbase_url: http://a\nresources:\n"
                "  b: {subject: {type: x}, fetch: {path: '/{id}'}}"
            )
        )


def test_rows_of_one_thing_are_one_document_wherever_they_stand(tmp_path):
    rows = [("a", 1), ("b", 2), ("a", 3)]
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"to": to, "from": start}) + "\n" for to, start in rows) + '{"x": 1}\n'
    )
    spec = (SPEC % ("a.jsonl", ", group_by: to")).replace(
        "{type: dataset}\n", "{type: dataset}\n    key: key\n"
    )

    found = list(FileSource(parse(spec)).snapshot(tmp_path))

    assert [[e.end.name for e in r.edges] for r in found if isinstance(r, Record)] == [
        ["1", "3"],
        ["2"],
    ]
    assert [r.index for r in found if isinstance(r, Refused)] == [3]


@given(st.lists(st.sampled_from("abcdé"), max_size=40), st.integers(1, 9))
def test_grouping_on_disk_gives_what_grouping_in_memory_gives(keys, held):
    items = [Item("f", at, {"k": key, "n": at}) for at, key in enumerate(keys)]

    small = list(grouped(items, Expression("k"), held=held))

    assert small == list(grouped(items, Expression("k")))
    values: list[Any] = [item.value for item in small if isinstance(item, Item)]
    assert [value["key"] for value in values] == sorted(set(keys))
    assert sorted(i["n"] for value in values for i in value["items"]) == list(range(len(keys)))


def test_progress_ends_with_the_whole_file(tmp_path):
    (tmp_path / "a.jsonl").write_text("".join(f'{{"id": {n}}}\n' for n in range(2500)))
    told = []

    list(source().snapshot(tmp_path, lambda *step: told.append(step)))

    assert told[-1][1] == told[-1][2] == (tmp_path / "a.jsonl").stat().st_size
    assert len(told) == 3


# ── Real data ────────────────────────────────────────────────────────────────────────────────────


def counted(name: str, folder: Path) -> tuple[Counts, Counts, Counts, list[Refused]]:
    plan = load(EXAMPLES / f"{name}.yaml", shapes=Shapes.builtin())
    documents: Counts = Counter()
    things: Counts = Counter()
    edges: Counts = Counter()
    refused = []
    began = time.perf_counter()
    for found in FileSource(plan).snapshot(folder):
        if isinstance(found, Refused):
            refused.append(found)
            continue
        documents[found.document.partition(":")[0]] += 1
        things.update(statement.uri.type for statement in found.statements)
        edges.update((edge.kind, edge.end.type) for edge in found.edges)
    print(f"{name}: {sum(documents.values()) / (time.perf_counter() - began):,.0f} documents/s")
    return documents, things, edges, refused


@pytest.mark.data
def test_mozillas_warehouse(shared_data):
    documents, things, edges, refused = counted("mozilla", shared_data / "mozilla")

    assert refused == []
    assert documents == {"table": 2003, "lineage": 1486, "dag": 157}
    assert things["column"] == 25_129
    assert things["pipeline"] == 157
    assert edges[("derived_from", "dataset")] == 2_288
    assert edges[("column_of", "dataset")] == 25_129
    assert edges[("produced_by", "pipeline")] == 817


@pytest.mark.data
def test_mtebs_models_tasks_and_results(shared_data):
    documents, things, edges, refused = counted("mteb", shared_data / "mteb")

    assert refused == []
    assert documents == {"model": 465, "version": 610, "task": 1_860, "result": 74_067}
    assert things["evaluation"] == 74_067
    assert edges[("evaluates", "model-version")] == 74_067
    assert edges[("evaluated_on", "dataset")] == 74_067
    assert edges[("tuned_from", "model")] == 178
    assert edges[("trained_on", "dataset")] > 3_900


@pytest.mark.data
def test_a_thing_of_real_data_leads_back_to_its_document(shared_data):
    source = FileSource(load(EXAMPLES / "mozilla.yaml"))
    table = "moz-fx-data-shared-prod.telemetry.main"

    key = source.key_of(Uri.of("column", "bigquery", table, "client_id"))

    assert key == Key("table", table)

"""DataHub's proposals: what they say, what is refused, and that pieces make one whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.model import Record, Uri
from lineal.normalise import Platforms, rewrites
from lineal.sources import Refused, datahub
from lineal.store.reading import Reader
from lineal.surfaces.cli import main

ORDERS = "urn:li:dataset:(urn:li:dataPlatform:snowflake,db.s.orders,PROD)"
ORDERS_DBT = "urn:li:dataset:(urn:li:dataPlatform:dbt,db.s.orders,PROD)"
RAW = "urn:li:dataset:(urn:li:dataPlatform:postgres,db.s.RAW,PROD)"
ANN = "urn:li:corpuser:ann"
JOB = "urn:li:dataJob:(urn:li:dataFlow:(airflow,etl,prod),load)"

SNOW = Uri("mlg://dataset/snowflake/DB.S.ORDERS")
DBT = Uri("mlg://dataset/dbt/db.s.orders")


def proposal(urn: str, aspect: str, value: Any, **more: Any) -> dict[str, Any]:
    return {
        "entityType": urn.split(":")[2],
        "entityUrn": urn,
        "changeType": "UPSERT",
        "aspectName": aspect,
        "aspect": {"json": value},
        **more,
    }


PROPOSALS = [
    proposal(ORDERS, "datasetKey", {"name": "db.s.orders", "origin": "PROD"}),
    proposal(ORDERS, "datasetProperties", {"name": "ORDERS", "created": {"time": 1747714827950}}),
    proposal(ORDERS, "subTypes", {"typeNames": ["View"]}),
    proposal(
        ORDERS,
        "schemaMetadata",
        {
            "fields": [
                {
                    "fieldPath": "id",
                    "nativeDataType": "NUMBER",
                    "nullable": False,
                    "isPartOfKey": True,
                },
                {"fieldPath": "[version=2.0].[type=struct].at.[type=string].city"},
            ]
        },
    ),
    proposal(
        ORDERS,
        "upstreamLineage",
        {
            "upstreams": [
                {"dataset": RAW, "type": "TRANSFORMED"},
                {"dataset": ORDERS, "type": "COPY"},
            ],
            "fineGrainedLineages": [
                {
                    "downstreams": [f"urn:li:schemaField:({ORDERS},id)"],
                    "upstreams": [f"urn:li:schemaField:({RAW},ID)"],
                    "confidenceScore": 0.5,
                }
            ],
        },
    ),
    proposal(ORDERS, "siblings", {"siblings": [ORDERS_DBT], "primary": False}),
    proposal(ORDERS_DBT, "siblings", {"siblings": [ORDERS], "primary": True}),
    proposal(
        ORDERS,
        "ownership",
        {
            "owners": [
                {"owner": ANN, "type": "DATAOWNER"},
                {"owner": "urn:li:corpGroup:Data Team", "type": "NONE",
                 "typeUrn": "urn:li:ownershipType:__system__technical_owner"},
            ]
        },
    ),
    proposal(ORDERS, "globalTags", {"tags": [{"tag": "urn:li:tag:pii"}]}),
    proposal(ORDERS, "domains", {"domains": ["urn:li:domain:sales"]}),
    proposal(ORDERS, "status", {"removed": True}),
    proposal(ANN, "corpUserInfo", {"displayName": "Ann", "email": "Ann@Shop.example"}),
    proposal(ANN, "groupMembership", {"groups": ["urn:li:corpGroup:Data Team"]}),
    proposal("urn:li:corpGroup:Data Team", "corpGroupInfo", {"displayName": "Data Team"}),
    proposal(JOB, "dataJobInputOutput",
             {"inputDatasets": [RAW], "outputDatasetEdges": [{"destinationUrn": ORDERS}]}),
    proposal(ORDERS, "usageFeatures", {"anything": 1}),
]  # fmt: skip


def written(folder: Path, items: Any, name: str = "mcps.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(items), encoding="utf-8")
    return path


def taken(*paths: Path, platforms: Platforms | None = None) -> tuple[list[Record], list[Refused]]:
    found = list(datahub.read(paths, platforms=platforms or Platforms(), observed_at=7))
    records = [item for item in found if isinstance(item, Record)]
    return records, [item for item in found if isinstance(item, Refused)]


def test_a_file_says_what_datahub_knows(tmp_path: Path) -> None:
    records, refused = taken(written(tmp_path, PROPOSALS))
    edges = {(e.start, e.kind, e.end): dict(e.attributes) for r in records for e in r.edges}
    said: dict[Uri, dict[str, Any]] = {}
    for record in records:
        for statement in record.statements:
            said.setdefault(statement.uri, {}).update(statement.attributes)
    column, city = SNOW.part("column", "ID"), SNOW.part("column", "AT.CITY")
    raw, ann = Uri("mlg://dataset/postgres/db.s.raw"), Uri("mlg://user/datahub/ann")
    team, job = Uri("mlg://team/datahub/data-team"), Uri("mlg://pipeline/airflow/etl/load")

    assert refused == []
    assert len(records) == len(PROPOSALS) - 1, "the aspect that is not read is passed over"
    assert edges == {
        (column, "column_of", SNOW): {},
        (city, "column_of", SNOW): {},
        (SNOW, "derived_from", raw): {"transformation": "transformed"},
        (column, "derived_from", raw.part("column", "id")): {"confidence": 0.5},
        (DBT, "same_as", SNOW): {"evidence": "sibling", "read_in": "siblings"},
        (SNOW, "owned_by", ann): {"role": "dataowner"},
        (SNOW, "owned_by", team): {"role": "technical_owner"},
        (SNOW, "in_domain", Uri("mlg://domain/datahub/sales")): {},
        (ann, "same_as", Uri("mlg://user/email/ann@shop.example")): {
            "evidence": "declared",
            "read_in": "corpUserInfo.email",
        },
        (ann, "member_of", team): {},
        (job, "reads", raw): {},
        (SNOW, "produced_by", job): {},
    }
    assert said[SNOW] == {
        "name": "ORDERS",
        "created_at": "2025-05-20T04:20:27.950000Z",
        "subtypes": ["view"],
        "form": "view",
        "tags": ["pii"],
        "stage": "retired",
        "environment": "prod",
    }
    assert said[column] == {
        "name": "id",
        "data_type": "NUMBER",
        "position": 1,
        "nullable": False,
        "primary_key": True,
    }
    assert said[city]["name"] == "city"
    assert said[ann]["email"] == "ann@shop.example"


def test_both_words_of_siblings_are_of_one_edge(tmp_path: Path) -> None:
    records, _ = taken(written(tmp_path, PROPOSALS))
    who = [r.subject for r in records for e in r.edges if e.kind == "same_as" and e.end == SNOW]

    assert sorted(who) == [DBT, SNOW]


def test_an_aspect_may_be_json_inside_a_text(tmp_path: Path) -> None:
    plain = proposal(ORDERS, "siblings", {"siblings": [ORDERS_DBT]})
    text = {**plain, "aspect": {"value": json.dumps(plain["aspect"]["json"]),
                                "contentType": "application/json"}}  # fmt: skip

    assert taken(written(tmp_path, [plain])) == taken(written(tmp_path, [text], "b.json"))


GOOD = proposal(ORDERS, "status", {"removed": False})


@pytest.mark.parametrize(
    ("broken", "path", "reason"),
    [
        ([], "", "an object is needed"),
        ({"proposedSnapshot": {}}, "", "old form"),
        ({**GOOD, "entityUrn": None}, "entityUrn", "missing"),
        ({**GOOD, "aspectName": ""}, "aspectName", "missing"),
        ({**GOOD, "aspect": None}, "aspect", "neither"),
        ({**GOOD, "aspect": {"json": [1]}}, "aspect", "neither"),
        ({**GOOD, "aspect": {"value": "{"}}, "aspect", "neither"),
        ({**GOOD, "changeType": "DELETE"}, "changeType", "DELETE is not read"),
        ({**GOOD, "entityUrn": "urn:li:dataset:(a,b"}, "status", "brackets"),
        ({**GOOD, "entityUrn": ANN}, "status", "is no dataset"),
        (proposal(ORDERS, "siblings", {"siblings": ["x"]}), "siblings", "is no urn"),
        (proposal(ORDERS, "schemaMetadata", {"fields": [{}]}), "schemaMetadata", "has no path"),
    ],
)
def test_a_broken_item_is_refused_alone_with_index_and_reason(
    tmp_path: Path, broken: Any, path: str, reason: str
) -> None:
    file = written(tmp_path, [proposal(ORDERS, "datasetKey", {}), broken, GOOD])
    records, (refused,) = taken(file)

    assert {record.subject for record in records} == {SNOW}
    assert (refused.file, refused.index, refused.path) == (str(file), 1, path)
    assert reason in refused.reason


def test_files_that_hold_no_proposals_are_passed_over_unless_they_are_named(tmp_path: Path) -> None:
    written(tmp_path, PROPOSALS)
    index = written(tmp_path, {"version": "4"}, "index.json")
    (tmp_path / "notes.txt").write_text("none")

    assert taken(tmp_path)[1] == []
    assert [item.reason for item in taken(index)[1]] == ["missing"]


def test_lines_are_read_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "mcps.jsonl"
    path.write_text("\n".join([json.dumps(GOOD), "{", json.dumps(PROPOSALS[0])]))
    records, (refused,) = taken(path)

    assert len(records) == 2
    assert refused.index == 1


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_an_aspect_told_twice_the_later_counts(tmp_path: Path, order: tuple[int, int]) -> None:
    told = [
        proposal(ORDERS, "datasetProperties", {"name": name}, systemMetadata={"lastObserved": at})
        for name, at in (("old", 1_700_000_000_000), ("new", 1_800_000_000_000))
    ]
    (record,), _ = taken(written(tmp_path, [told[at] for at in order]))

    assert record.statements[0].attributes["name"] == "new"
    assert record.said_at == 1_800_000_000_000_000


def test_aliases_and_rewrites_hold_for_datahub_too(tmp_path: Path) -> None:
    platforms = Platforms({"snowflake": "wh"}, rewrites({"wh DB.*": "wh PROD.*"}))
    records, _ = taken(written(tmp_path, [GOOD]), platforms=platforms)
    (same,) = records[0].edges

    assert records[0].subject == "mlg://dataset/wh/DB.S.ORDERS"
    assert (same.end, same.attributes["evidence"]) == ("mlg://dataset/wh/PROD.S.ORDERS", "rewrite")


# ── Real data ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def lineal(tmp_path: Path) -> Iterator[Lineal]:
    with Lineal.open(Config(db=tmp_path / "graph.db")) as lineal:
        yield lineal


def showcase(shared_data: Path) -> list[dict[str, Any]]:
    folder = shared_data / "datahub" / "showcase-ecommerce"
    return [item for n in ("01-definitions", "02-data", "03-context")
            for item in json.loads((folder / f"{n}.json").read_text())]  # fmt: skip


def aspects(items: list[dict[str, Any]], kind: str, name: str) -> Iterator[tuple[str, Any]]:
    for item in items:
        if (item["entityType"], item["aspectName"]) == (kind, name):
            yield item["entityUrn"], item["aspect"]["json"]


def edges(reader: Reader, keys: list[int], kind: str) -> set[tuple[int, int]]:
    """Return the edges that begin at *keys*, each once however many documents state it."""
    return {(link.src, link.dst) for link in reader.outward(keys, [kind])}


@pytest.mark.data
def test_a_real_catalogue_comes_in_and_twice_is_once(lineal: Lineal, shared_data: Path) -> None:
    items = showcase(shared_data)
    pairs = {
        frozenset((urn, other))
        for urn, value in aspects(items, "dataset", "siblings")
        for other in value["siblings"]
    }
    upstream = {
        (urn, each["dataset"])
        for urn, value in aspects(items, "dataset", "upstreamLineage")
        for each in value["upstreams"]
        if each["dataset"] != urn
    }
    fields = {
        f"urn:li:schemaField:({urn},{item['fieldPath']})"
        for urn, value in aspects(items, "dataset", "schemaMetadata")
        for item in value["fields"]
    }
    keys = {urn for urn, _ in aspects(items, "schemaField", "schemaFieldKey")}
    made = {
        urn
        for _, value in [*aspects(items, "dataset", "upstreamLineage"),
                         *aspects(items, "dataJob", "dataJobInputOutput")]
        for each in value.get("fineGrainedLineages") or ()
        if each.get("upstreams") and each.get("downstreams")
        for urn in [*each["upstreams"], *each["downstreams"]]
        if urn.startswith("urn:li:schemaField:")
    }  # fmt: skip
    owned = sum(len({o["owner"] for o in value["owners"]})
                for _, value in aspects(items, "dataset", "ownership"))  # fmt: skip
    folder = shared_data / "datahub" / "showcase-ecommerce"

    first = lineal.import_datahub([folder])
    second = lineal.import_datahub([folder])

    assert first.refused == ()
    assert (len(pairs), first.things["dataset"], first.things["pipeline"]) == (13, 67, 23)
    assert (len(fields), len(keys)) == (816, 873)
    assert first.things["column"] == len({_folded(urn) for urn in fields | keys | made})
    with lineal.store.read(LOCAL) as reader:
        tables = reader.of_types(["dataset"])
        assert len(edges(reader, tables, "same_as")) == 13
        assert len(edges(reader, tables, "derived_from")) == len(upstream)
        assert len(edges(reader, tables, "owned_by")) == owned
    assert (second.begun, second.ended, dict(second.documents)) == (0, 0, {"same": first.read})


def _folded(urn: str) -> str:
    """Fold a column's urn as its platform does, by plain text alone."""
    if "dataPlatform:snowflake" in urn:
        return urn.upper()
    return urn.lower() if re.search("dataPlatform:(postgres|hive|redshift)", urn) else urn


@pytest.mark.data
def test_thirteen_pairs_of_siblings_are_dbt_and_snowflake(shared_data: Path) -> None:
    records, refused = taken(shared_data / "datahub" / "showcase-ecommerce")
    pairs = [
        (edge.start.platform, edge.end.platform, edge.start.name.upper() == edge.end.name)
        for edge in {(e.start, e.end): e for r in records for e in r.edges if e.kind == "same_as"
                     and e.start.type == "dataset"}.values()
    ]  # fmt: skip

    assert refused == []
    assert pairs == [("dbt", "snowflake", True)] * 13


@pytest.mark.data
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32), parts=st.integers(2, 5))
def test_any_order_and_split_of_a_real_catalogue_give_one_digest(
    shared_data: Path, tmp_path_factory: pytest.TempPathFactory, seed: int, parts: int
) -> None:
    items = showcase(shared_data)
    whole = _digest(tmp_path_factory, [items])
    Random(seed).shuffle(items)

    assert _digest(tmp_path_factory, [items[part::parts] for part in range(parts)]) == whole


def _digest(factory: pytest.TempPathFactory, files: list[list[dict[str, Any]]]) -> str:
    folder = factory.mktemp("split")
    with Lineal.open(Config(db=folder / "graph.db")) as lineal:
        for index, items in enumerate(files):
            assert lineal.import_datahub([written(folder, items, f"{index}.json")]).refused == ()
        return lineal.store.digest()


@pytest.mark.data
def test_events_of_the_old_form_are_refused_one_by_one(shared_data: Path) -> None:
    file = shared_data / "datahub" / "bootstrap_mce.json"
    records, refused = taken(file)

    assert records == []
    old = [at for at, item in enumerate(json.loads(file.read_text())) if "proposedSnapshot" in item]
    assert [item.index for item in refused] == old


def test_the_command_line_imports_and_says_what_was_refused(tmp_path: Path) -> None:
    file = written(tmp_path, [GOOD, {}])
    db = str(tmp_path / "graph.db")

    result = CliRunner().invoke(main, ["import", "datahub", str(file), "--db", db])

    assert result.exit_code == 1
    assert "entityType" in result.output

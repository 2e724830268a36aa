"""The rules of names: every spelling of a thing leads to one URI, and a URI is its own spelling."""

import contextlib
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal import normalise
from lineal.errors import Invalid, InvalidUri
from lineal.model import Uri
from lineal.normalise import ModelName, Place, Platforms, Rewrite, Urn

SHA = "c5f3a1b2" * 5
DIGEST = f"sha256:{'ab' * 32}"
LOGGED = "m-" + "0a" * 16

# ── Namespaces ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        # Schemes.
        ("s3n://b", "s3://b"),
        ("S3A://b", "s3://b"),
        ("gcs://b", "gs://b"),
        ("abfs://C@Acc.dfs.core.windows.net", "abfss://c@acc.dfs.core.windows.net"),
        ("wasb://c@acc.blob.core.windows.net", "wasbs://c@acc.dfs.core.windows.net"),
        ("thrift://MS", "hive://ms:9083"),
        ("jdbc:postgresql://db/shop?user=x", "postgres://db:5432/shop"),
        ("jdbc:sqlserver://db;databaseName=x", "sqlserver://db:1433"),
        ("dbfs:/mnt", "dbfs"),
        ("dbfs://Workspace", "dbfs://workspace"),
        ("hdfs:///user", "hdfs"),
        ("hdfs://NN", "hdfs://nn:8020"),
        ("file://Host", "file://host"),
        ("/tmp/warehouse", "file"),
        # Ports.
        ("mysql://h", "mysql://h:3306"),
        ("mssql://h", "mssql://h:1433"),
        ("oracle://h", "oracle://h:1521"),
        ("trino://h", "trino://h:8080"),
        ("cassandra://h", "cassandra://h:9042"),
        ("milvus://h", "milvus://h:19530"),
        ("crate://h", "crate://h:5432"),
        ("db2://h", "db2://h:50000"),
        ("teradata://h", "teradata://h:1025"),
        ("oceanbase://h", "oceanbase://h:2881"),
        ("unitycatalog://UC.example.com:443", "unitycatalog://uc.example.com"),
        # Clouds.
        ("redshift://c.x1y2z3.eu-west-1.redshift.amazonaws.com", "redshift://c.eu-west-1:5439"),
        (
            "redshift://wg.123.eu-west-1.redshift-serverless.amazonaws.com:5439",
            "redshift://wg.eu-west-1:5439",
        ),
        ("redshift://c.eu-west-1:5439", "redshift://c.eu-west-1:5439"),
        ("snowflake://ORG-ACC.snowflakecomputing.com:443", "snowflake://org-acc"),
        ("snowflake://ab123.eu-west-1", "snowflake://ab123.eu-west-1.aws"),
        ("snowflake://ab123.eu-west-1.aws", "snowflake://ab123.eu-west-1.aws"),
        ("bigquery://", "bigquery"),
        ("pubsub://", "pubsub"),
        ("inmemory://", "inmemory"),
        ("spanner://proj/inst", "spanner://proj:inst"),
        (
            "azurecosmos://ACC.documents.azure.com/dbs/Shop",
            "azurecosmos://acc.documents.azure.com/dbs/Shop",
        ),
        ("azurekusto://Adx.kusto.windows.net", "azurekusto://adx.kusto.windows.net"),
        (
            "awsathena://athena.eu-west-1.amazonaws.com",
            "awsathena://athena.eu-west-1.amazonaws.com",
        ),
        ("kafka://c:9092,a,b:9093,a:9092", "kafka://a:9092,b:9093,c:9092"),
        # What is no address stays.
        ("food_delivery", "food_delivery"),
        ("arn:aws:glue:eu-west-1:123", "arn:aws:glue:eu-west-1:123"),
    ],
)
def test_a_namespace_has_one_spelling(spelling, canonical):
    assert normalise.canonical_namespace(spelling) == canonical
    assert normalise.canonical_namespace(canonical) == canonical


SCHEMES = [
    *normalise.DEFAULT_PORTS,
    "s3",
    "s3a",
    "gs",
    "gcs",
    "wasb",
    "abfss",
    "dbfs",
    "file",
    "snowflake",
    "spanner",
    "azurecosmos",
    "unitycatalog",
    "jdbc:postgresql",
    "bigquery",
    "pubsub",
    "thrift",
]
ODD = st.text(st.sampled_from('abXY019 :/@?#;,.-_%=[]"`\\~é'), max_size=30)


@given(
    st.sampled_from(SCHEMES),
    st.sampled_from([":", ":/", "://", ":///"]),
    ODD | st.text(max_size=20),
)
def test_a_spelled_namespace_is_its_own_spelling(scheme, mark, rest):
    once = normalise.canonical_namespace(scheme + mark + rest)

    assert normalise.canonical_namespace(once) == once


# ── Data sets: the table of OpenLineage's naming specification, row by row ───────────────────────


@pytest.mark.parametrize(
    ("namespace", "name", "uri"),
    [
        (
            "postgres://db:5432",
            '"Shop"."Public"."Orders"',
            "postgres:%2F%2Fdb:5432/shop.public.orders",
        ),
        ("redshift://c.eu-west-1:5439", "DB.S.T", "redshift:%2F%2Fc.eu-west-1:5439/db.s.t"),
        ("crate://h:5432", "DB.S.T", "crate:%2F%2Fh:5432/db.s.t"),
        ("db2://h:50000", "db.s.t", "db2:%2F%2Fh:50000/DB.S.T"),
        ("mssql://h:1433", "[Db].[dbo].[T]", "mssql:%2F%2Fh:1433/Db.dbo.T"),
        ("sqlserver://h:1433", "dbo.T", "sqlserver:%2F%2Fh:1433/dbo.T"),
        ("mysql://h:3306", "`Db`.`T`", "mysql:%2F%2Fh:3306/Db.T"),
        ("hive://ms:9083", "DB.T", "hive:%2F%2Fms:9083/db.t"),
        ("teradata://h:1025", "Db.T", "teradata:%2F%2Fh:1025/Db.T"),
        ("oceanbase://h:2881", "Db.T", "oceanbase:%2F%2Fh:2881/Db.T"),
        ("oracle://h:1521", "orcl.s.t", "oracle:%2F%2Fh:1521/ORCL.S.T"),
        ("snowflake://org-acc", 'db."s".t', "snowflake:%2F%2Forg-acc/DB.S.T"),
        ("bigquery", "`p.D.t`", "bigquery/p.D.t"),
        ("bigquery://", "p.D.t", "bigquery/p.D.t"),
        ("trino://h:8080", "C.S.T", "trino:%2F%2Fh:8080/c.s.t"),
        (
            "awsathena://athena.eu-west-1.amazonaws.com",
            "AwsDataCatalog.Db.T",
            "awsathena:%2F%2Fathena.eu-west-1.amazonaws.com/awsdatacatalog.db.t",
        ),
        ("unitycatalog://uc", "Main.S.T", "unitycatalog:%2F%2Fuc/main.s.t"),
        ("arn:aws:glue:eu-west-1:123", "table/Db/T", "arn:aws:glue:eu-west-1:123/table%2Fdb%2Ft"),
        ("s3://b", "Key/x", "s3/b/Key%2Fx"),
        ("gs://b", "Key/x", "gs/b/Key%2Fx"),
        ("abfss://c@a.dfs.core.windows.net", "/P/x", "abfss:%2F%2Fc@a.dfs.core.windows.net/P%2Fx"),
        ("wasbs://c@a.dfs.core.windows.net", "P/x", "wasbs:%2F%2Fc@a.dfs.core.windows.net/P%2Fx"),
        ("hdfs://nn:8020", "/User/x", "hdfs:%2F%2Fnn:8020/%2FUser%2Fx"),
        ("hdfs://nn:8020", "User/x", "hdfs:%2F%2Fnn:8020/%2FUser%2Fx"),
        ("hdfs://nn/user/hive", "default.t", "hdfs:%2F%2Fnn:8020/%2Fuser%2Fhive%2Fdefault.t"),
        ("file", "/Tmp/x", "file/%2FTmp%2Fx"),
        ("file://host", "/Tmp/x", "file:%2F%2Fhost/%2FTmp%2Fx"),
        ("/tmp/alter", "default.t", "file/%2Ftmp%2Falter%2Fdefault.t"),
        ("dbfs:/mnt", "lake/t", "dbfs/%2Fmnt%2Flake%2Ft"),
        ("dbfs", "/mnt/lake/t", "dbfs/%2Fmnt%2Flake%2Ft"),
        ("kafka://b:9092", "Topic", "kafka:%2F%2Fb:9092/Topic"),
        ("pubsub", "topic:p:Id", "pubsub/topic:p:Id"),
        ("cassandra://h:9042", "ks.T", "cassandra:%2F%2Fh:9042/ks.T"),
        ("azurecosmos://h/dbs/Shop", "colls/T", "azurecosmos:%2F%2Fh%2Fdbs%2FShop/colls%2FT"),
        ("azurekusto://h.kusto.windows.net", "Db/T", "azurekusto:%2F%2Fh.kusto.windows.net/Db%2FT"),
        ("spanner://p:i", "db.s.T", "spanner:%2F%2Fp:i/db.s.T"),
        ("milvus://h:19530", "default.docs", "milvus:%2F%2Fh:19530/default.docs"),
        ("inmemory://", "tmp-1", "inmemory/tmp-1"),
    ],
)
def test_every_store_has_its_names(namespace, name, uri):
    assert normalise.data_set(namespace, name) == f"mlg://dataset/{uri}"


@pytest.mark.parametrize(
    ("name", "root", "member"),
    [
        ("w/t", "w/t", None),
        ("/w//t//", "w/t", None),
        ("w/t/_delta_log", "w/t", "_delta_log"),
        ("w/t/_delta_log/00000.json", "w/t", "_delta_log/00000.json"),
        ("w/t/part-00000-abc.snappy.parquet", "w/t", "part-00000-abc.snappy.parquet"),
        ("w/t/day=2026-01-01/hour=3/", "w/t", "day=2026-01-01/hour=3"),
        ("w/t/day=1/part-0", "w/t", "day=1/part-0"),
        # A partition in the middle is a folder that somebody chose: what is below is no part of it.
        ("w/region=eu/t", "w/region=eu/t", None),
        ("w/party", "w/party", None),
    ],
)
def test_what_is_a_part_of_a_data_set_names_its_root_and_is_kept(name, root, member):
    assert normalise.canonical("s3://b", name) == Place("s3://b", root, member)
    assert normalise.member("s3://b", name) == member


def test_what_is_encoded_is_decoded_once():
    assert normalise.data_set("s3://b", "a%20b").name == "a b"
    assert normalise.data_set("s3://b", "a%2520b").name == "a%20b"
    assert normalise.location("gs://b/a%2520b").name == "a%20b"
    assert normalise.data_set("bigquery", "p.d.a%20b").name == "p.d.a%20b"


NAMESPACES = [
    "s3://b",
    "s3a://b/folder",
    "gs://b",
    "hdfs://nn/x",
    "file",
    "file:/tmp",
    "file://host",
    "dbfs:/mnt",
    "abfss://c@a.dfs.core.windows.net",
    "postgres://db",
    "snowflake://o-a",
    "bigquery",
    "kafka://b,a",
    "arn:aws:glue:eu-west-1:123",
    "hive://ms",
    "/tmp/w",
    "azurecosmos://h/dbs/d",
    "etl",
]


@given(st.sampled_from(NAMESPACES), ODD | st.text(max_size=20))
def test_a_canonical_name_is_its_own_canonical_name(namespace, name):
    once = normalise.canonical(namespace, name)
    again = normalise.canonical(once.namespace, once.name)

    assert (again.namespace, again.name, again.member) == (once.namespace, once.name, None)


@pytest.mark.parametrize(
    "spellings",
    [
        ["file:/tmp/x", "file:///tmp/x", "/tmp/x", "FILE:/tmp/x/"],
        ["s3://b/t", "s3a://b/t/", "S3N://b//t", "arn:aws:s3:::b/t", "s3://b/t/day=1/part-0"],
        ["dbfs:/mnt/t", "dbfs:///mnt/t"],
        ["hdfs://NN/user/t", "hdfs://nn:8020/user/t"],
        ["postgres://db/shop.public.T", "postgresql://DB:5432/shop.public.t"],
        ["hf://datasets/org/Name", "https://huggingface.co/datasets/org/Name/tree/main"],
    ],
    ids=lambda spellings: spellings[0],
)
def test_spellings_of_one_place_are_one_data_set(spellings):
    assert len({normalise.location(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("url", "namespace", "name"),
    [
        ("file:/x/y", "file", "/x/y"),
        ("arn:aws:glue:eu-west-1:123:table/db/t", "arn:aws:glue:eu-west-1:123", "table/db/t"),
        ("azurecosmos://h/dbs/d/colls/t", "azurecosmos://h/dbs/d", "colls/t"),
        ("s3://b/k", "s3a://b", "k"),
    ],
)
def test_an_address_is_the_name_in_the_namespace(url, namespace, name):
    assert normalise.location(url) == normalise.data_set(namespace, name)


@pytest.mark.parametrize("url", ["", "tables", "s3://bucket", "arn:aws:s3:::bucket"])
def test_what_is_no_address_is_refused(url):
    with pytest.raises(InvalidUri):
        normalise.location(url)


@pytest.mark.parametrize(
    ("source", "form", "uri"),
    [
        ({"uri": "s3a://b/t/day=1"}, "s3", "mlg://dataset/s3/b/t"),
        ({"uri": "file:///tmp/x"}, "local", "mlg://dataset/file/%2Ftmp%2Fx"),
        ({"path": "dbfs:/mnt/t"}, "spark", "mlg://dataset/dbfs/%2Fmnt%2Ft"),
        (
            {"path": "org/Name", "revision": "1"},
            "hugging_face",
            "mlg://dataset/huggingface/org%2FName",
        ),
        (
            {"delta_table_name": "Main.s.t", "path": None},
            "delta_table",
            "mlg://dataset/unitycatalog/main.s.t",
        ),
        ({"url": "https://h/a.csv"}, "http", "mlg://dataset/https:%2F%2Fh/a.csv"),
        ({"tags": {"mlflow.source.name": "train.py"}}, "code", None),
        ({"uri": "train.csv"}, "local", None),
    ],
)
def test_the_source_of_an_mlflow_data_set_names_it(source, form, uri):
    assert normalise.mlflow_source(json.dumps(source), form) == uri


@pytest.mark.parametrize("source", ["", "no json", "[]", "{" * 10_000])
def test_a_source_that_says_nothing_names_nothing(source):
    assert normalise.mlflow_source(source) is None


def test_only_a_catalog_of_files_says_where_its_tables_lie():
    files = {"framework": "iceberg", "type": "hadoop", "warehouseUri": "/tmp/iceberg/"}

    assert normalise.in_warehouse(files, "default.target") == "/tmp/iceberg/default/target"
    assert normalise.in_warehouse(files, "target") is None
    assert normalise.in_warehouse({**files, "type": "glue"}, "default.target") is None
    assert normalise.in_warehouse({**files, "warehouseUri": None}, "default.target") is None


# ── Platforms ────────────────────────────────────────────────────────────────────────────────────


def test_a_cluster_has_the_alias_of_any_of_its_brokers():
    platforms = Platforms({"kafka://b": "events", "kafka://x": "other"})

    assert platforms.named("kafka://c,b") == "events"
    assert platforms.named("kafka://c") == "kafka://c:9092"
    assert platforms.named("kafka://b,x") == "kafka://b:9092,x:9092"


def test_an_account_of_snowflake_by_its_old_name_is_aliased():
    """Nothing in the two names tells that they are one: a person has to say it."""
    platforms = Platforms({"snowflake://ab1.eu-west-1": "snow", "snowflake://org-acc": "snow"})

    old = normalise.data_set("snowflake://AB1.eu-west-1.aws", "d.s.t", platforms)
    assert old == normalise.data_set("snowflake://org-acc", "d.s.t", platforms)
    assert old == "mlg://dataset/snow/D.S.T"


@pytest.mark.parametrize(
    ("old", "new", "namespace", "name", "other"),
    [
        (
            "bigquery mozdata.*",
            "bigquery prod.*",
            "bigquery",
            "mozdata.a.b",
            "mlg://dataset/bigquery/prod.a.b",
        ),
        ("bigquery mozdata.*", "bigquery prod.*", "bigquery", "mozdata2.a.b", None),
        ("bigquery mozdata.*", "bigquery prod.*", "postgres://h", "mozdata.a.b", None),
        ("bigquery a.b.c", "bigquery x.y.z", "bigquery", "a.b.c", "mlg://dataset/bigquery/x.y.z"),
        ("bigquery a.b.c", "bigquery x.y.z", "bigquery", "a.b.cc", None),
        (
            "snowflake://old",
            "snowflake://new",
            "snowflake://OLD",
            "d.s.t",
            "mlg://dataset/snowflake:%2F%2Fnew/D.S.T",
        ),
        (
            "snowflake://o dev.*",
            "snowflake://o prod.*",
            "snowflake://o",
            "dev.s.t",
            "mlg://dataset/snowflake:%2F%2Fo/PROD.S.T",
        ),
        ("dbfs /mnt/lake/*", "s3://lake *", "dbfs:/mnt", "lake/t/day=1", "mlg://dataset/s3/lake/t"),
        ("s3://old *", "s3://new *", "s3a://old", "t", "mlg://dataset/s3/new/t"),
    ],
)
def test_a_rewrite_says_what_else_a_name_is(old, new, namespace, name, other):
    rule = Rewrite.of(old, new)
    platforms = Platforms(rewrites=(rule,))
    named = normalise.data_set(namespace, name, platforms)

    assert list(normalise.rewritten(named, platforms)) == ([] if other is None else [(other, rule)])
    assert named == normalise.data_set(namespace, name), "the name itself stays"


def test_a_rewrite_holds_for_an_aliased_platform():
    platforms = Platforms({"bigquery": "wh"}, normalise.rewrites({"bigquery a.*": "bigquery b.*"}))

    (other, rule), *more = normalise.rewritten(Uri("mlg://dataset/wh/a.x.y"), platforms)

    assert (other, more) == ("mlg://dataset/wh/b.x.y", [])
    assert str(rule) == "bigquery a.* = bigquery b.*"


@pytest.mark.parametrize(
    ("old", "new"), [("", "bigquery b.*"), ("bigquery a.*", "bigquery b"), ("bigquery *.a", "b c")]
)
def test_a_rewrite_that_cannot_be_is_refused(old, new):
    with pytest.raises(Invalid):
        Rewrite.of(old, new)


# ── Models ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("reference", "uri", "alias"),
    [
        ("models:/ranking/3", "mlg://model-version/mlflow/ranking/3", None),
        ("models:/ranking/03", "mlg://model-version/mlflow/ranking/3", None),
        ("models:/a%20b/3", "mlg://model-version/mlflow/a%20b/3", None),
        ("models:/ranking@champion", "mlg://model/mlflow/ranking", "champion"),
        ("models:/ranking/Production", "mlg://model/mlflow/ranking", "Production"),
        ("models:/ranking", "mlg://model/mlflow/ranking", None),
        (LOGGED, f"mlg://model-version/mlflow/{LOGGED}", None),
        (f"models:/{LOGGED}", f"mlg://model-version/mlflow/{LOGGED}", None),
        ("runs:/0a1b/model/", "mlg://model-version/mlflow/runs:%2F0a1b%2Fmodel", None),
        (f"hf://org/Name@{SHA}", f"mlg://model-version/huggingface/org%2FName@{SHA}", None),
        (f"hf://org/Name:{SHA.upper()}", f"mlg://model-version/huggingface/org%2FName@{SHA}", None),
        (
            f"https://huggingface.co/org/Name/tree/{SHA}",
            f"mlg://model-version/huggingface/org%2FName@{SHA}",
            None,
        ),
        ("hf://org/Name", "mlg://model/huggingface/org%2FName", None),
        ("hf://org/Name@main", "mlg://model/huggingface/org%2FName", "main"),
        ("s3a://b/models/m/", "mlg://model-version/s3/b/models%2Fm", None),
        ("s3://mnist", "mlg://model-version/s3/mnist/%2F", None),
        ("gs://b/m", "mlg://model-version/gs/b/m", None),
        ("https://h/m.joblib?raw=true", "mlg://model-version/https:%2F%2Fh/m.joblib", None),
        ("file:/models/m", "mlg://model-version/file/%2Fmodels%2Fm", None),
        ("pvc://claim/a//b/", "mlg://model-version/pvc/claim/a%2Fb", None),
        ("pvc://claim", "mlg://model-version/pvc/claim", None),
        ("wandb-artifact:///e/p/n:v3", "mlg://model-version/wandb/e/p/n/v3", None),
        ("wandb-artifact:///e/p/n:latest", "mlg://model/wandb/e/p/n", "latest"),
        (
            f"oci://ghcr.io/Org/M@{DIGEST}",
            f"mlg://model-version/oci/ghcr.io/org%2Fm@{DIGEST}",
            None,
        ),
        ("oci+native://ghcr.io/org/m:v1", "mlg://model/oci/ghcr.io/org%2Fm", "v1"),
    ],
)
def test_a_model_is_named_in_many_ways(reference, uri, alias):
    assert normalise.model(reference) == ModelName(Uri(uri), alias)


@pytest.mark.parametrize("reference", ["", "ranking", "models:/", "hf://org", "runs:/"])
def test_what_names_no_model_is_refused(reference):
    with pytest.raises(InvalidUri):
        normalise.model(reference)


def test_a_registry_and_a_cluster_tell_names_apart():
    assert normalise.model("models:/m/1", registry="prod").uri.platform == "prod"
    assert normalise.model("pvc://c/m", scope="team-a").uri == "mlg://model-version/pvc/team-a/c/m"


@pytest.mark.parametrize(
    ("text", "uri", "tag"),
    [
        ("python", "mlg://model/oci/docker.io/library%2Fpython", "latest"),
        ("org/m:1", "mlg://model/oci/docker.io/org%2Fm", "1"),
        ("index.docker.io/org/m:1", "mlg://model/oci/docker.io/org%2Fm", "1"),
        ("localhost:5000/m", "mlg://model/oci/localhost:5000/m", "latest"),
        (f"GHCR.io/o/m:v1@{DIGEST}", f"mlg://model-version/oci/ghcr.io/o%2Fm@{DIGEST}", None),
    ],
)
def test_an_image_is_known_by_its_digest(text, uri, tag):
    assert normalise.image(text) == ModelName(Uri(uri), tag)


def test_an_artifact_of_wandb_has_three_names_and_a_version():
    assert normalise.wandb_artifact("e/p/n:v3").uri == "mlg://model-version/wandb/e/p/n/v3"
    assert normalise.wandb_artifact("e/p/n") == ModelName(Uri("mlg://model/wandb/e/p/n"))
    with pytest.raises(InvalidUri):
        normalise.wandb_artifact("n:v3")


@given(ODD)
def test_any_text_names_a_model_or_is_refused(text):
    with contextlib.suppress(InvalidUri):
        assert normalise.model(text).uri.type in ("model", "model-version")


RUN = "6f2c1f3a-1111-4222-8333-444455556666"


@pytest.mark.parametrize(
    ("spelling", "run"),
    [(RUN.upper(), RUN), (f"urn:uuid:{RUN}", RUN), (f" {{{RUN}}}", RUN), ("0A1B", "0A1B")],
)
def test_a_run_has_one_id(spelling, run):
    assert normalise.run_id(spelling) == run
    assert normalise.run_id(run) == run


# ── People and teams ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("spellings", "uri"),
    [
        (
            [
                "team:Growth",
                "@org/growth",
                "group:default/growth",
                "group:growth",
                "team/Growth",
                "Growth",
            ],
            "mlg://team/dir/growth",
        ),
        (
            ["Data  Platform", "team:data platform", "@org/data-platform"],
            "mlg://team/dir/data-platform",
        ),
        (["@Jane", "user:default/jane", "user:Jane"], "mlg://user/dir/jane"),
        (["Jane@Example.com", "Jane Doe <jane@example.COM>"], "mlg://user/email/jane@example.com"),
    ],
)
def test_owners_are_equal_by_rule(spellings, uri):
    assert {normalise.owner(spelling, directory="dir") for spelling in spellings} == {Uri(uri)}


def test_a_blank_is_nobody():
    assert normalise.owner("  ", directory="dir") is None


@given(st.text(max_size=30))
def test_a_slug_is_its_own_slug(text):
    assert normalise.slug(normalise.slug(text)) == normalise.slug(text)


# ── Repositories ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "spelling",
    [
        "git@h:o/r.git",
        "ssh://git@h:22/o/r.git",
        "git://h/o/r/",
        "https://u:p@H/o/r.git/",
        "git+ssh://git@h/o/r",
    ],
)
def test_a_repository_has_one_address(spelling):
    assert normalise.repository(spelling) == "https://h/o/r"


@given(st.sampled_from(["git@h:", "ssh://git@h/", "https://u@h/", "git+https://h/", ""]), ODD)
def test_an_address_of_a_repository_is_its_own(start, rest):
    once = normalise.repository(start + rest)

    assert normalise.repository(once) == once


TRAIN = Uri("mlg://code/github.com/acme/ml/dags/train.py")


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("https://github.com/acme/ml.git", "dags/train.py"),
        ("https://user:token@GitHub.com/Acme/ML/", "/dags/train.py"),
        ("git@github.com:acme/ml.git", "./dags//train.py"),
        ("ssh://git@github.com:22/acme/ml.git", "dags\\train.py"),
        ("git+https://github.com:443/acme/ml#egg=ml", "dags/old/../train.py"),
        ("https://github.com/acme/ml/blob/main/dags/train.py", ""),
        ("https://github.com/acme/ml/blob/main/dags/train.py?plain=1#L10-L20", ""),
        ("https://github.com/acme/ml/blob/feature/x/dags/train.py", ""),
        ("https://github.com/acme/ml/tree/main/dags", "dags/train.py"),
        ("https://github.com/acme/ml/blob/main/dags/%74rain.py", ""),
    ],
)
def test_code_has_one_name_however_its_repository_is_written(address, path):
    assert normalise.code(address, path, revision="feature/x") == TRAIN


@pytest.mark.parametrize(
    ("address", "uri"),
    [
        ("https://gitlab.com/acme/core/ml/-/blob/main/a.py", "gitlab.com/acme/core/ml/a.py"),
        ("https://git.acme.example/acme/ML/-/tree/v1", "git.acme.example/acme/ML"),
        ("https://git.acme.example:8443/acme/ml", "git.acme.example:8443/acme/ml"),
        ("ssh://git@git.acme.example:2222/acme/ml", "git.acme.example/acme/ml"),
        ("https://github.com/tree/blob/blob/main/a.py", "github.com/tree/blob/a.py"),
        ("git@h:o/r.git", "h/o/r"),
    ],
)
def test_a_repository_may_lie_deep_elsewhere_and_be_meant_as_a_whole(address, uri):
    assert normalise.code(address) == f"mlg://code/{uri}"


@pytest.mark.parametrize(
    ("address", "path"),
    [
        *(("", "a.py"), ("/home/me/ml", "a.py"), ("file:///home/me/ml", ""), ("ml", "a.py")),
        *(("C:\\work\\ml", ""), ("C:/work/ml", "a.py"), ("https://github.com", "a.py")),
        ("https://github.com/acme/ml", "../other/a.py"),
    ],
)
def test_what_lies_on_this_machine_or_outside_of_its_repository_is_no_code(address, path):
    assert normalise.code(address, path) is None


@given(st.sampled_from(["git@h:", "https://h/", "https://github.com/a/b/blob/", ""]), ODD, ODD)
def test_any_address_of_code_is_one_or_none(start, rest, path):
    with contextlib.suppress(InvalidUri):
        found = normalise.code(start + rest, path)

        assert found is None or found.type == "code"


# ── DataHub's urns ───────────────────────────────────────────────────────────────────────────────


def urn(platform: str, name: str, fabric: str = "PROD") -> str:
    return f"urn:li:dataset:(urn:li:dataPlatform:{platform},{name},{fabric})"


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        (urn("snowflake", "db.s.t"), "mlg://dataset/snowflake/DB.S.T"),
        (urn("dbt", "DB.s.t"), "mlg://dataset/dbt/DB.s.t"),
        (urn("postgres", "DB.s.t"), "mlg://dataset/postgres/db.s.t"),
        (urn("hive", "db.T"), "mlg://dataset/hive/db.t"),
        (urn("s3", "bucket/a/b"), "mlg://dataset/s3/bucket/a%2Fb"),
        (urn("gcs", "bucket/a"), "mlg://dataset/gs/bucket/a"),
        (urn("s3", "bucket"), "mlg://dataset/s3/bucket/%2F"),
        (urn("glue", "Db.T"), "mlg://dataset/glue/table%2Fdb%2Ft"),
        (urn("kafka", "Topic%2CA"), "mlg://dataset/kafka/Topic,A"),
        (urn("looker", "a.(b)"), "mlg://dataset/looker/a.%28b%29"),
        (urn("snowflake", "db.s.t", "DEV"), "mlg://dataset/snowflake:dev/DB.S.T"),
    ],
)
def test_a_urn_of_datahub_is_a_data_set(text, uri):
    assert normalise.datahub_data_set(text) == uri


def test_datahubs_platforms_have_aliases():
    platforms = Platforms({"snowflake": "wh", "glue": "arn:aws:glue:eu-west-1:123"})

    assert (
        normalise.datahub_data_set(urn("snowflake", "d.s.t"), platforms) == "mlg://dataset/wh/D.S.T"
    )
    assert normalise.datahub_data_set(urn("glue", "db.t"), platforms) == normalise.location(
        "arn:aws:glue:eu-west-1:123:table/db/t"
    )


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("order_id", "order_id"),
        ("[version=2.0].[type=struct].address.[type=string].city", "address.city"),
        ("a.b", "a.b"),
    ],
)
def test_a_path_of_datahub_is_a_column(field, name):
    assert normalise.datahub_column(urn("dbt", "t"), field) == f"mlg://column/dbt/t/{name}"


def test_columns_of_datahub_fold_as_their_platform_does():
    assert normalise.datahub_column(urn("snowflake", "t"), "id").name == "ID"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "jane",
        "urn:li:dataset:(a",
        "urn:li:dataset:(a,b))",
        "urn:li:dataset:(a,b)",
        urn("s3", ""),
    ],
)
def test_what_is_no_urn_of_a_data_set_is_refused(text):
    with pytest.raises(InvalidUri):
        normalise.datahub_data_set(text)


def test_a_urn_may_hold_urns():
    field = Urn.of(f"urn:li:schemaField:({urn('dbt', 'a,b')},x)".replace("a,b", "a%2Cb"))

    assert field == Urn("schemaField", (urn("dbt", "a%2Cb"), "x"))


# ── The page ─────────────────────────────────────────────────────────────────────────────────────


def test_the_page_names_every_port_that_is_written_out():
    page = (Path(__file__).parent.parent / "docs/reference/naming.md").read_text(encoding="utf-8")
    (row,) = [line for line in page.splitlines() if line.startswith("| ports |")]
    told = re.findall(r"((?:`\w+`(?: and )?)+) (\d+)", row)

    assert {name: port for names, port in told for name in re.findall(r"\w+(?=`)", names)} == (
        normalise.DEFAULT_PORTS
    )

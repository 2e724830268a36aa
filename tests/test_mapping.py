"""Declared sources without any I/O: the file, its expressions, and the record of a document."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.errors import Invalid, SourceGarbled, SourceSpecError
from lineal.model import Layer, Record, Uri
from lineal.shapes import Shapes
from lineal.sources import Key
from lineal.sources.compiling import load, parse
from lineal.sources.expressions import Expression
from lineal.sources.mapping import record
from lineal.sources.spec import PARTS, json_schema
from lineal.sources.written import read

ROOT = Path(__file__).parent.parent
SHIPPED = sorted((ROOT / "src/lineal/testing/estate/sources").glob("*.yaml"))
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))

WHOLE = """
source: registry
environment: prod
platform: registry
base_url: http://registry.example.com
resources:
  instance:
    subject: {type: model-version}
    fetch: {path: "/instances/{id}"}
    map:
      name: name
      tags: {path: labels, as: tags}
      created_at: {path: created, as: time}
      status: {path: state, values: {OK: ready}, as: status}
    said_at: updated
    edges:
      - {kind: produced_by, to: {type: run, platform: jobs, id: run}}
      - {kind: owned_by, each: owners, to: {email: "@"}}
      - {kind: owned_by, to: {owner: team, directory: people}}
      - {kind: trained_on, to: {location: data}}
      - {kind: trained_on, to: {dataset: {namespace: data_space, name: data_name}}}
      - {kind: tuned_from, to: {uri: base}, attributes: {relation: "'finetune'"}, layer: observed}
      - {kind: defined_in, to: {code: {repository: repo, path: script}}}
      - {kind: defined_in, to: {code: {repository: page}}}
"""


def said(
    text: str, document: Any, resource: str = "instance", key: str = "m1", **options: Any
) -> Record:
    plan = parse(text, "s.yaml", **options)
    return record(plan, Key(resource, key), document, observed_at=5)


def ends(found: Record, kind: str) -> list[Uri]:
    return [edge.end for edge in found.edges if edge.kind == kind]


# ── Records ──────────────────────────────────────────────────────────────────────────────────────


def test_a_document_becomes_attributes_and_edges():
    found = said(
        WHOLE,
        {
            "name": "Ranker",
            "labels": [{"key": "team", "value": "rank"}],
            "created": 1_767_247_200_000,
            "state": "OK",
            "updated": "2026-01-01T00:00:00Z",
            "run": "r/1",
            "owners": ["Alice <Alice@Example.com>", "b@example.com"],
            "team": "@team/rank",
            "data": "s3://lake/plays",
            "data_space": "postgres://db",
            "data_name": "S.T",
            "base": "mlg://model/hf/base",
            "repo": "git@github.com:acme/ml.git",
            "script": "train/rank.py",
            "page": "https://github.com/acme/ml/blob/main/card.md",
        },
    )

    assert found.subject == "mlg://model-version/registry/m1"
    assert found.document == "instance:m1"
    assert found.statements[0].attributes == {
        "name": "Ranker",
        "tags": ["team::rank"],
        "created_at": "2026-01-01T06:00:00Z",
        "status": "ready",
        "environment": "prod",
    }
    assert found.said_at == 1_767_225_600_000_000
    assert ends(found, "produced_by") == ["mlg://run/jobs/r%2F1"]
    assert ends(found, "owned_by") == [
        "mlg://user/email/alice@example.com",
        "mlg://user/email/b@example.com",
        "mlg://team/people/rank",
    ]
    assert ends(found, "trained_on") == [
        "mlg://dataset/s3/lake/plays",
        Uri.of("dataset", "postgres://db:5432", "s.t"),
    ]
    assert ends(found, "defined_in") == [
        "mlg://code/github.com/acme/ml/train/rank.py",
        "mlg://code/github.com/acme/ml/card.md",
    ]
    (tuned,) = [edge for edge in found.edges if edge.kind == "tuned_from"]
    assert tuned.layer is Layer.OBSERVED
    assert tuned.attributes == {"relation": "finetune"}


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"run": None, "owners": None, "data": None},
        {"run": "", "owners": [None, ""]},
        {"repo": "git@github.com:acme/ml.git"},
        {"repo": "/home/ann/ml", "script": "a.py"},
    ],
)
def test_what_is_missing_states_nothing(document):
    found = said(WHOLE, document)

    assert found.edges == ()
    assert found.statements[0].attributes == {"environment": "prod"}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"run": {"id": 1}}, "'run'"),
        ({"run": True}, "'run'"),
        ({"run": 1.5}, "'run'"),
        ({"owners": "alice@example.com"}, "'owners'"),
        ({"owners": [["x"]]}, "'@'"),
        ({"created": "soon"}, "'created'"),
        ({"created": [1]}, "'created'"),
        ({"labels": 7}, "'labels'"),
        ({"updated": {}}, "'updated'"),
        ({"data": "nowhere"}, "nowhere"),
        ({"base": "urn:x"}, "mlg://"),
    ],
)
def test_what_is_there_and_cannot_be_is_garbled_and_says_where(document, path):
    with pytest.raises(SourceGarbled, match="instance:m1") as caught:
        said(WHOLE, document)

    assert path in str(caught.value)


TABLE = """
source: catalog
platform: lake
base_url: http://catalog.example.com
resources:
  table:
    subject: {type: dataset, id: "{db}.{name}"}
    key: {db: Id.Db, name: Id.Name}
    fetch: {path: "/tables/{db}/{name}"}
    edges:
      - {kind: derived_from, each: from, to: {type: dataset, id: table}, attributes: {via: via}}
    parts:
      - each: columns
        as: {part: column, id: name}
        map: {name: name, owner: $.owner}
        edges:
          - {kind: column_of, to: subject}
          - {kind: derived_from, each: from, to: {type: column, id: [table, column]}}
"""


def test_parts_are_described_with_their_whole_and_see_it():
    found = said(
        TABLE,
        {
            "owner": "o",
            "columns": [{"name": "a/b", "from": [{"table": "d.u", "column": "c"}]}, {"name": "é"}],
        },
        "table",
        "d/t",
    )

    assert [s.uri for s in found.statements] == [
        "mlg://dataset/lake/d.t",
        "mlg://column/lake/d.t/a%2Fb",
        "mlg://column/lake/d.t/%C3%A9",
    ]
    assert found.statements[1].attributes == {"name": "a/b", "owner": "o"}
    assert ends(found, "column_of") == ["mlg://dataset/lake/d.t"] * 2
    assert ends(found, "derived_from") == ["mlg://column/lake/d.u/c"]


def test_a_part_without_an_id_is_garbled():
    with pytest.raises(SourceGarbled, match="A column has no id at 'name'"):
        said(TABLE, {"columns": [{}]}, "table", "d/t")


def test_two_words_on_one_edge_stand_side_by_side():
    rows = [{"table": "d.u", "via": "a"}, {"table": "d.u", "via": "b"}, {"table": "d.u"}]
    found = said(TABLE, {"from": rows}, "table", "d/t")

    assert [edge.attributes for edge in found.edges] == [{"via": ["a", "b"]}]


def test_an_inverse_spelling_is_turned_round():
    text = WHOLE.replace("kind: produced_by, to", "kind: writes, to").replace(
        "type: model-version", "type: run"
    )
    text = text.replace("type: run, platform: jobs", "type: model-version, platform: jobs")
    text = text[: text.index("      - {kind: trained_on")]
    (edge,) = said(text, {"run": "m"}, shapes=Shapes.builtin()).edges

    assert (edge.start, edge.kind, edge.end) == (
        "mlg://model-version/jobs/m",
        "produced_by",
        "mlg://run/registry/m1",
    )


def test_the_same_document_gives_the_same_record():
    document = {"run": 7, "owners": ["a@b.cd"]}

    assert said(WHOLE, document) == said(WHOLE, dict(reversed(document.items())))


# ── Keys ─────────────────────────────────────────────────────────────────────────────────────────

PART = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="."), min_size=1, max_size=12
).filter(str.strip)


@given(PART, PART)
def test_a_key_of_several_parts_survives_being_one_text(first, second):
    plan = parse(TABLE)
    key = Key("table", plan.resources["table"].key.text([first, second]))

    uri = plan.subject(Key.of(key.document))

    assert uri.segments == (f"{first}.{second}",)
    assert plan.key_of(uri) == key
    assert plan.key_of(uri.part("column", "c/d")) == key


def test_a_key_that_cannot_be_read_back_is_refused():
    with pytest.raises(Invalid, match="read back"):
        parse(TABLE).subject(Key("table", "a.b/c"))


@pytest.mark.parametrize(
    "uri",
    ["mlg://dataset/other/d.t", "mlg://dataset/lake/plain", "mlg://dataset/lake/d.t/x",
     "mlg://column/lake/d.t", "mlg://model/lake/d.t"],
)  # fmt: skip
def test_a_thing_of_another_form_has_no_document(uri):
    assert parse(TABLE).key_of(Uri(uri)) is None


# ── Expressions ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("a.b", {"a": {"b": 1}}, 1),
        ("a[1]", {"a": [1, 2]}, 2),
        ("a || b", {"a": "", "b": 3}, 3),
        ("$.host", {}, "h"),
        ("'$'", {}, "$"),
        ("a[?b == $.host].c", {"a": [{"b": "h", "c": 1}, {"b": "i", "c": 2}]}, [1]),
        ("split(@, '/')", "a/b", ["a", "b"]),
        ("before(@, ':')", "a:b:c", "a"),
        ("after(@, ':')", "a:b:c", "b:c"),
        ("before_last(@, ':')", "a:b:c", "a:b"),
        ("after_last(@, ':')", "a:b:c", "c"),
        ("after(@, ':')", "abc", None),
        ("strip_prefix(@, 'x-')", "x-a", "a"),
        ("strip_suffix(@, '-x')", "a-x", "a"),
        ("lower(@)", "ÀB", "àb"),
        ("upper(@)", "ab", "AB"),
        ("trim(@)", " a ", "a"),
        ("replace(@, '/', '.')", "a/b", "a.b"),
        ("match(@, '^v([0-9]+)$')", "v12", "12"),
        ("match(@, 'v')", "x", None),
        ("if(a, 'y', 'n')", {"a": False}, "n"),
        ("concat(a, '-', b)", {"a": "x", "b": 1}, "x-1"),
        ("concat(a, '-', b)", {"a": "x"}, None),
        ("entries(a)", {"a": {"x": 1}}, [{"key": "x", "value": 1}]),
        ("divide(a, `100`)", {"a": 95}, 0.95),
        ("divide(a, `0`)", {"a": 95}, None),
        ("multiply(a, `2`)", {"a": 2}, 4),
        ("to_string(a)", {}, None),
        ("hash(@) == hash(@)", {"a": 1}, True),
        ("", {"a": 1}, {"a": 1}),
    ],
)
def test_expressions(text, value, expected):
    assert Expression(text)(value, {"host": "h"}) == expected


@pytest.mark.parametrize(
    "call",
    ["split(a, 'x')", "before(a, 'x')", "lower(a)", "replace(a, 'x', 'y')", "match(a, 'x')",
     "entries(a)", "concat('n-', a)", "divide(a, `2`)", "trim(a)", "strip_prefix(a, 'x')"],
)  # fmt: skip
def test_null_never_becomes_a_text(call):
    assert Expression(call)({}) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("splt(a, 'b')", "Did you mean split()"),
        ("lower(a, b)", "takes 1 arguments"),
        ("a..b", "not a JMESPath expression"),
        ("match(a, '(')", "not a regular expression"),
    ],
)
def test_a_wrong_expression_is_refused_before_it_is_used(text, message):
    with pytest.raises(Invalid) as caught:
        Expression(text)

    assert message in str(caught.value)


# ── The file ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("map:", "mapp:", 10, "Did you mean 'map'?"),
        ("email:", "emial:", 18, "Did you mean 'email'?"),
        ("name: name", "name: nme(", 11, "not a JMESPath"),
        ("type: model-version", "type: model-versoin", 8, "Did you mean 'model-version'?"),
        ("kind: tuned_from", "kind: tuned_form", 22, "Did you mean 'tuned_from'?"),
        ("kind: produced_by", "kind: column_of", 17, "does not go from model-version to run"),
        ("{id}", "{key}", 9, "{key} is no part of the key"),
        ("{id}", "x", 9, "lacks the key's part 'id'"),
        ("layer: observed", "layer: seen", 22, "Invalid enum value 'seen'"),
        ("platform: registry\n", "", 8, "The platform is missing"),
        ("http://registry.example.com", "registry", 5, "is not an address"),
        ("http://registry.example.com", "http://u:p@registry", 5, "is not an address"),
        ("http://registry.example.com", "${NOWHERE}", 5, "NOWHERE is not set"),
        ("source: registry", "source: registry\nsource: b", 3, "stands here twice"),
        ("location: data", "location: data, uri: x", 20, "Give exactly one of"),
        ("to: {uri: base}", "to: itself", 22, "no end of an edge"),
        ("as: tags", "as: tag", 12, "Invalid enum value 'tag'"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_a_fix(old, new, line, message):
    text = WHOLE.replace(old, new, 1)

    with pytest.raises(SourceSpecError) as caught:
        parse(text, "my.yaml", shapes=Shapes.builtin())

    assert f"my.yaml:{line - (old == 'platform: registry' + chr(10))}: " in str(caught.value)
    assert message in str(caught.value)


def test_variables_fill_the_file_and_may_have_a_default():
    text = WHOLE.replace("http://registry.example.com", "${HOST:-http://a}/${PATH}")

    assert parse(text, variables={"PATH": "x"}).written.base_url == "http://a/x"


def test_scalars_are_read_as_json_reads_them():
    text = WHOLE.replace("{OK: ready}", "{no: 2026-01-01, on: 012, off: 1:30}")
    plan = parse(text)

    (status,) = [v for v in plan.resources["instance"].map if v.name == "status"]
    assert status.values == {"no": "2026-01-01", "on": "012", "off": "1:30"}


@pytest.mark.parametrize("path", [*SHIPPED, *EXAMPLES], ids=lambda path: path.stem)
def test_every_file_we_ship_fits_the_shapes_and_the_schema(path):
    jsonschema = pytest.importorskip("jsonschema")
    plan = load(path, variables={"ESTATE_URL": "http://localhost"}, shapes=Shapes.builtin())
    document = read(path.read_text(), path.name, {"ESTATE_URL": "http://localhost"}).value

    jsonschema.validate(document, json_schema())
    assert plan.described


def test_there_are_seven_sources_of_the_estate():
    assert len(SHIPPED) == 7


def test_the_reference_names_every_field():
    text = (ROOT / "docs/reference/source-files.md").read_text()

    for part in PARTS:
        for name in part.__struct_encode_fields__:
            assert f"`{name}`" in text, f"{part.__name__}.{name}"
    for name in ("split", "before_last", "strip_prefix", "entries", "divide", "hash", "match"):
        assert f"`{name}(" in text


def test_the_example_of_the_guide_is_a_source():
    text = (ROOT / "docs/how-to/join-your-own-tool.md").read_text()
    block = text.split("```yaml\n")[1].split("```")[0]

    plan = parse(block, "guide.yaml", shapes=Shapes.builtin())

    assert len([line for line in block.splitlines() if line.strip()]) <= 40
    assert plan.described == {("ab-test", "lab"), ("ab-cell", "lab")}


# ── Other names ──────────────────────────────────────────────────────────────────────────────────

SERVING = """
source: serving
platform: serving
base_url: http://serving.example.com
rewrites: {"bigquery old.*": "bigquery new.*"}
resources:
  service:
    subject: {type: deployment}
    fetch: {path: "/services/{id}"}
    edges:
      - {kind: deploys, to: {model: model, platform: registry, scope: cluster}}
      - {kind: logs_to, each: tables, to: {dataset: {namespace: "'bigquery'", name: "@"}}}
"""


@pytest.mark.parametrize(
    ("document", "model"),
    [
        ({"model": "models:/ranker/3"}, "mlg://model-version/registry/ranker/3"),
        ({"model": "s3a://b/m/"}, "mlg://model-version/s3/b/m"),
        ({"model": "pvc://claim/m"}, "mlg://model-version/pvc/claim/m"),
        ({"model": "pvc://claim/m", "cluster": "eu"}, "mlg://model-version/pvc/eu/claim/m"),
    ],
)
def test_a_model_is_known_by_any_usual_address(document, model):
    assert ends(said(SERVING, document, "service"), "deploys") == [model]


def test_an_address_of_no_model_is_garbled_and_a_missing_one_states_nothing():
    with pytest.raises(SourceGarbled):
        said(SERVING, {"model": "ranker"}, "service")
    assert said(SERVING, {"cluster": "eu"}, "service").edges == ()


def test_a_document_states_what_a_rewrite_says_of_the_names_in_it():
    found = said(SERVING, {"tables": ["old.a.b", "other.a.b"]}, "service", shapes=Shapes.builtin())
    old, new = "mlg://dataset/bigquery/old.a.b", "mlg://dataset/bigquery/new.a.b"

    assert ends(found, "logs_to") == [old, "mlg://dataset/bigquery/other.a.b"]
    assert [
        (edge.start, edge.end, dict(edge.attributes))
        for edge in found.edges
        if edge.kind == "same_as"
    ] == [(old, new, {"evidence": "rewrite", "read_in": "bigquery old.* = bigquery new.*"})]


def test_a_rewrite_that_cannot_be_is_named_with_its_line():
    with pytest.raises(SourceSpecError) as caught:
        parse(SERVING.replace("bigquery new.*", "bigquery new"), "s.yaml")

    assert caught.value.line == 5


def test_scope_goes_with_a_model():
    with pytest.raises(SourceSpecError):
        parse(SERVING.replace("model: model, platform: registry", "uri: model"), "s.yaml")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from `a.b` join c.d, a.b", ["a.b", "c.d"]),
        ("nothing", []),
        (None, None),
        ("a.b " * 5_000, None),
    ],
)
def test_all_that_a_pattern_finds_is_found_once(text, found):
    assert Expression("match_all(t, '[a-z][.][a-z]')")({"t": text}) == found


def test_of_a_pattern_with_a_group_the_group_is_found():
    assert Expression("match_all(@, '(.)=')")("a=1 b=2") == ["a", "b"]
    with pytest.raises(Invalid):
        Expression("match_all(@, '(')")

"""Shapes: what is built in, what users may add, and how a wrong file is answered."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import suppress
from datetime import timedelta
from importlib.resources import files
from itertools import permutations, product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lineal.shapes
from lineal.errors import LinealError, ShapeError
from lineal.model import Layer, Uri
from lineal.shapes import Attribute, EdgeKind, EntityType, Shapes
from lineal.shapes.catalogue import BUILTIN
from lineal.shapes.declarations import CLASSES, NATURES, STEP_CLASSES
from lineal.shapes.reference import BEGIN, END, markdown, written

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reference/types.md"
SHAPES = Shapes.builtin()

DATASETS = "dataset dataset-version"
MODELS = "model model-version"
FEATURES = "feature feature-set"

#: kind, inverse, from, to, flow, class, nature; the types of generative AI are apart.
KINDS = [
    (
        "reads", "read_by", "run pipeline service dashboard",
        f"{DATASETS} column {FEATURES} feature-service {MODELS} metric", -1, "data", "run",
    ),
    (
        "produced_by", "writes", f"{DATASETS} {FEATURES} model-version evaluation metric",
        "run pipeline", -1, "data", "run",
    ),
    (
        "derived_from", "feeds", f"{DATASETS} column {FEATURES} metric",
        f"{DATASETS} column {FEATURES} metric", -1, "data", "between versions",
    ),
    ("trained_on", "trains", MODELS, DATASETS, -1, "data", "event"),
    (
        "consumes", "consumed_by", f"{MODELS} deployment", f"{FEATURES} feature-service",
        -1, "data", "model-version",
    ),
    ("serves", "served_by", "feature-service", FEATURES, -1, "data", "state"),
    ("tuned_from", "tuned_into", MODELS, MODELS, -1, "data", "event"),
    (
        "evaluates", "evaluated_by", "evaluation", f"{MODELS} {DATASETS} {FEATURES} deployment",
        -1, "data", "event",
    ),
    ("evaluated_on", "evaluation_data_of", "evaluation", DATASETS, -1, "data", "event"),
    ("measured_by", "measures", "ab-test", "metric dataset", -1, "data", "state"),
    ("deploys", "deployed_by", "deployment", MODELS, -1, "serve", "state"),
    ("deployed_on", "hosts", "deployment", "service", 1, "serve", "state"),
    ("served_in", "serves_version", "model-version", "ab-cell", 1, "serve", "state"),
    ("trained_for", "trains_candidate", "model-version", "ab-test", 1, "serve", "event"),
    ("calls", "called_by", "service", "service", -1, "serve", "state"),
    ("logs_to", "logged_by", "deployment service", "dataset", 1, "feedback", "state"),
    ("column_of", "has_column", "column", "dataset", 0, "level", "state"),
    ("in_set", "has_feature", "feature", "feature-set", 0, "level", "state"),
    ("cell_of", "has_cell", "ab-cell", "ab-test", 0, "level", "state"),
    ("run_of", "has_run", "run", "pipeline", 0, "level", "event"),
    ("points_to", "pointed_to_by", "model", "model-version", 0, "none", "state"),
    ("executed_for", "has_execution", "run", "ab-cell", 0, "none", "event"),
    ("member_of", "has_member", "user team", "team", 0, "none", "state"),
    ("relies_on", "relied_on_by", "team", "pipeline", 0, "none", "state"),
    (
        "defined_in", "defines", f"pipeline run dataset dashboard {FEATURES} feature-service "
        f"{MODELS} metric deployment service", "code", 0, "none", "state",
    ),
    ("reviewed_by", "reviews", "code", "user team", 0, "none", "state"),
    ("trained_unserved", "has_unserved", "model-version", "ab-test", 0, "none", "state"),
    ("served_untrained", "has_untrained", "model-version", "ab-cell", 0, "none", "state"),
]  # fmt: skip

#: Kinds whose ends come in pairs: kind, inverse, pairs, flow, class, nature.
PAIRED = [
    ("depends_on", "required_by", "pipeline>pipeline run>run", -1, "control", "run"),
    (
        "triggered_by", "triggers", "pipeline>pipeline run>run pipeline>schedule run>schedule",
        -1, "control", "run",
    ),
    ("version_of", "has_version", "dataset-version>dataset model-version>model", 0, "level",
     "event"),
    ("part_of", "has_part", "run>run pipeline>pipeline", 0, "level", "event"),
]  # fmt: skip

#: Kinds that start anywhere: kind, inverse, to, class.
ANYWHERE = [
    ("owned_by", "owns", "user team", "none"),
    ("in_domain", "contains", "domain", "none"),
    ("superseded_by", "supersedes", "same", "none"),
    ("same_as", "same_as", "same", "identity"),
    ("not_same_as", "not_same_as", "same", "none"),
]

DOMAINS = {
    "data": "dataset dataset-version column dashboard",
    "features": "feature feature-set feature-service",
    "pipelines": "pipeline run schedule code",
    "models": "model model-version",
    "evaluation": "evaluation metric",
    "experiments": "ab-test ab-cell",
    "serving": "deployment routing-rule service",
    "generative": "prompt agent index",
    "people": "user team",
    "structure": "domain source",
}
GENERATIVE = set(DOMAINS["generative"].split())


def load(tmp_path: Path, *texts: str) -> Shapes:
    """Load the built-in shapes and files of these texts."""
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"shapes{number}.yaml")
        paths[-1].write_text(text, "utf-8")
    return Shapes.load(*paths)


def refusal(tmp_path: Path, *texts: str) -> ShapeError:
    """Return the error that these texts cause."""
    with pytest.raises(ShapeError) as caught:
        load(tmp_path, *texts)
    assert caught.value.fix, "an error names its fix"
    return caught.value


def type_text(name: str = "robot", more: str = "") -> str:
    """Return a file that declares one type."""
    return (
        f"types:\n  {name}:\n    title: Robot\n    plural: robots\n    domain: machines\n"
        f"    description: A machine that acts.\n{more}"
    )


def kind_text(name: str = "steers", inverse: str = "steered_by", more: str = "") -> str:
    """Return a file that declares one kind from deployments to services."""
    return (
        f"kinds:\n  {name}:\n    inverse: {inverse}\n    description: It steers.\n"
        f"    from: [deployment]\n    to: [service]\n{more}"
    )


STEERS = "    class: none\n    nature: state\n"


# ── What is built in ─────────────────────────────────────────────────────────────────────────────


def test_public_names_are_exact():
    assert lineal.shapes.__all__ == ["Attribute", "EdgeKind", "EntityType", "Join", "Shapes"]


def test_the_files_of_the_package_are_those_that_are_read():
    folder = files("lineal.shapes") / "builtin"

    assert {item.name for item in folder.iterdir()} == {f"{name}.yaml" for name in BUILTIN}


def test_every_type_is_in_its_domain():
    assert {name: " ".join(types) for name, types in SHAPES.domains.items()} == DOMAINS


@pytest.mark.parametrize("row", KINDS, ids=lambda row: row[0])
def test_a_kind_is_as_designed(row):
    name, inverse, starts, ends, flow, class_, nature = row
    kind = SHAPES.kind(name)

    assert kind.inverse == inverse
    assert set(kind.from_types) - GENERATIVE == set(starts.split())
    assert set(kind.to_types) - GENERATIVE == set(ends.split())
    assert SHAPES.flows(name) == flow
    assert kind.class_ == class_
    for start, end in product(starts.split(), ends.split()):
        assert SHAPES.allows(name, start, end)
        assert SHAPES.nature(name, start, end) == expected_nature(nature, start, end)


def expected_nature(rule: str, start: str, end: str) -> str:
    """Return the nature that the word of the table means for these ends."""
    if rule in NATURES:
        return rule
    if rule == "between versions":
        return "event" if start == end == "dataset-version" else "state"
    return "event" if rule in (start, end) else "state"


@pytest.mark.parametrize("row", PAIRED, ids=lambda row: row[0])
def test_a_kind_joins_only_its_pairs(row):
    name, inverse, pairs, flow, class_, nature = row
    expected = {tuple(pair.split(">")) for pair in pairs.split()}
    allowed = {pair for pair in product(SHAPES, repeat=2) if SHAPES.allows(name, *pair)}

    assert allowed == expected
    assert (SHAPES.kind(name).inverse, SHAPES.flows(name)) == (inverse, flow)
    assert SHAPES.kind(name).class_ == class_
    for start, end in expected:
        assert SHAPES.nature(name, start, end) == expected_nature(nature, start, end)


@pytest.mark.parametrize("row", ANYWHERE, ids=lambda row: row[0])
def test_a_kind_starts_anywhere(row):
    name, inverse, ends, class_ = row
    kind = SHAPES.kind(name)

    assert (kind.inverse, kind.class_, kind.flow) == (inverse, class_, "none")
    for start, end in product(SHAPES, repeat=2):
        allowed = start == end if ends == "same" else end in ends.split()
        assert SHAPES.allows(name, start, end) == allowed
        assert SHAPES.nature(name, start) == "state"


def test_there_are_no_other_kinds():
    designed = {str(row[0]) for row in (*KINDS, *PAIRED, *ANYWHERE)}

    assert set(SHAPES.kinds) == designed


def test_only_what_no_tool_states_is_inferred_by_default():
    inferred = {kind.name for kind in SHAPES.kinds.values() if kind.layer is not Layer.DECLARED}

    assert inferred == {"trained_for", "relies_on", "trained_unserved", "served_untrained"}
    assert {SHAPES.kind(name).layer for name in inferred} == {Layer.INFERRED}


def test_a_kind_may_say_that_something_may_be_wrong_and_then_is_never_walked():
    findings = {kind.name for kind in SHAPES.kinds.values() if kind.finding}

    assert findings == {"trained_unserved", "served_untrained"}
    assert {SHAPES.kind(name).class_ for name in findings} == {"none"}


def test_edges_have_the_attributes_of_the_design():
    assert [a.name for a in SHAPES.kind("deploys").attributes] == [
        "weight", "role", "alias", "address", "component",
    ]  # fmt: skip
    role = SHAPES.kind("deploys").attribute("role")
    assert role is not None
    assert role.values == ("live", "canary", "shadow")
    assert SHAPES.kind("tuned_from").attribute("relation")
    assert SHAPES.kind("points_to").attribute("alias")
    assert SHAPES.kind("points_to").attribute("nothing") is None


def test_calls_are_walked_two_deep():
    assert {k.name: k.depth for k in SHAPES.kinds.values() if k.depth} == {"calls": 2}


def test_runs_evaluations_and_snapshots_are_occurrences():
    occurrences = {found.name for found in SHAPES.types.values() if found.occurrence}

    assert occurrences == {"run", "evaluation", "dataset-version"}
    assert all(SHAPES.type(name).window for name in occurrences)
    assert SHAPES.type("run").window == timedelta(days=90)


def test_runs_and_versions_are_exact():
    exact = {found.name for found in SHAPES.types.values() if found.grain == "exact"}

    assert exact == {"run", "dataset-version", "model-version"}


def test_deployments_and_tests_can_be_live():
    live = {found.name: found.live for found in SHAPES.types.values() if found.live}

    assert live == {"deployment": ("serving",), "ab-test": ("running",)}


def test_a_status_has_its_words():
    assert SHAPES.type("ab-test").status == ("draft", "running", "ended")
    assert {"running", "succeeded", "failed", "cancelled"} <= set(SHAPES.type("run").status)
    assert SHAPES.type("feature").status == ()


@pytest.mark.parametrize(
    ("part", "kind", "kinds", "wholes"),
    [
        ("column", "column_of", ("column_of",), ("dataset",)),
        ("feature", "in_set", ("in_set",), ("feature-set",)),
        ("ab-cell", "cell_of", ("cell_of",), ("ab-test",)),
        ("dataset-version", "version_of", ("version_of",), ("dataset",)),
        ("model-version", "version_of", ("version_of",), ("model",)),
        ("run", "run_of", ("run_of", "part_of"), ("pipeline",)),
        ("pipeline", None, ("part_of",), ()),
        ("dataset", None, (), ()),
    ],
)
def test_a_part_knows_its_whole(part, kind, kinds, wholes):
    assert SHAPES.whole_kind(part) == kind
    assert SHAPES.whole_kinds(part) == kinds
    assert SHAPES.wholes(part) == wholes


def test_every_type_has_the_common_attributes():
    for found in SHAPES.types.values():
        for name in ("name", "description", "tags", "stage", "created_at", "updated_at"):
            assert found.attribute(name), f"{found.name} has no {name}"


def test_what_tells_of_a_person_is_marked():
    personal = {
        f"{found.name}.{attribute.name}"
        for found in SHAPES.types.values()
        for attribute in found.attributes
        if attribute.personal
    }

    assert {"user.name", "user.email", "run.requested_by"} <= personal
    assert "model.name" not in personal


def test_an_attribute_is_found_by_its_alias():
    found = SHAPES.type("ab-test").attribute("start")

    assert found is not None
    assert found.name == "started_at"


def test_every_declaration_is_a_sentence():
    said: list[EntityType | EdgeKind] = [*SHAPES.types.values(), *SHAPES.kinds.values()]
    attributes = [a for shape in said for a in shape.attributes]

    for found in (*said, *attributes):
        assert re.fullmatch(r"[A-Z].*[.]", found.description), found.name


def test_every_type_name_can_stand_in_a_uri():
    for name in SHAPES:
        assert Uri.of(name, "platform", "id").type == name


def test_plurals_and_inverses_are_unambiguous():
    plurals = [found.plural for found in SHAPES.types.values()]
    spellings = [*SHAPES.kinds, *(k.inverse for k in SHAPES.kinds.values() if not k.symmetric)]

    assert len(set(plurals)) == len(plurals)
    assert len(set(spellings)) == len(spellings)


def test_data_goes_over_steps_only():
    for kind in SHAPES.kinds.values():
        assert (SHAPES.flows(kind.name) != 0) == (kind.class_ in STEP_CLASSES)


# ── Asking ───────────────────────────────────────────────────────────────────────────────────────


def test_shapes_are_a_mapping_of_types():
    assert SHAPES["model"] is SHAPES.type("model")
    assert "model" in SHAPES
    assert "modell" not in SHAPES
    assert SHAPES.get("modell") is None
    assert len(SHAPES) == len(list(SHAPES)) == sum(len(n.split()) for n in DOMAINS.values())


def test_shapes_are_frozen():
    with pytest.raises(AttributeError):
        SHAPES.version = "1"  # type: ignore[misc]  # what is tested
    with pytest.raises(TypeError):
        SHAPES.types["x"] = SHAPES["model"]  # type: ignore[index]  # what is tested
    with pytest.raises(TypeError):
        SHAPES.classes["data"] = ()  # type: ignore[index]  # what is tested


def test_builtin_shapes_are_read_once():
    assert Shapes.builtin() is Shapes.builtin() is Shapes.load()


def test_a_kind_is_found_under_both_spellings():
    kind = SHAPES.kind("produced_by")

    assert SHAPES.kind_of("produced_by") == (kind, False)
    assert SHAPES.kind_of("writes") == (kind, True)
    assert SHAPES.kind_of("same_as") == (SHAPES.kind("same_as"), False)


@given(st.sampled_from(sorted(SHAPES.kinds)), st.data())
def test_an_inverse_is_the_same_edge_read_backwards(name, data):
    kind = SHAPES.kind(name)
    start, end = (data.draw(st.sampled_from(sorted(SHAPES))) for _ in range(2))

    assert SHAPES.flows(kind.inverse) == -SHAPES.flows(name)
    assert SHAPES.allows(kind.inverse, end, start) == SHAPES.allows(name, start, end)
    assert SHAPES.nature(kind.inverse, end, start) == SHAPES.nature(name, start, end)


def test_unknown_names_are_answered_with_the_nearest():
    for ask, near in (
        (lambda: SHAPES.type("modle"), "'model'"),
        (lambda: SHAPES.kind("consume"), "'consumes'"),
        (lambda: SHAPES.kind_of("consumed_b"), "'consumed_by'"),
        (lambda: SHAPES.kind("writes"), "'produced_by'"),
        (lambda: SHAPES.kinds_in(["dat"]), "'data'"),
        (lambda: SHAPES.flows("reeds"), "'reads'"),
        (lambda: SHAPES.whole_kind("colum"), "'column'"),
    ):
        with pytest.raises(ShapeError) as caught:
            ask()
        assert near in caught.value.fix


def test_errors_are_ours():
    assert issubclass(ShapeError, LinealError)
    assert ShapeError.code == "shape"


def test_nature_without_the_other_end_is_answered_only_if_it_is_plain():
    assert SHAPES.nature("reads", "run") == "event"
    assert SHAPES.nature("reads", "pipeline") == "state"
    assert SHAPES.nature("produced_by", "dataset", "run") == "event"
    assert SHAPES.nature("writes", "run", "dataset") == "event"
    with pytest.raises(ShapeError, match="depends on its other end"):
        SHAPES.nature("produced_by", "dataset")


def test_an_unknown_type_is_allowed_nowhere():
    assert not SHAPES.allows("owned_by", "robot", "team")
    assert not SHAPES.allows("same_as", "robot", "robot")


def test_ends_are_the_types_a_kind_reaches():
    assert SHAPES.ends("consumes", "model") == ("feature", "feature-set", "feature-service")
    assert SHAPES.ends("consumed_by", "feature") == ("model", "model-version", "deployment")
    assert SHAPES.ends("consumes", "user") == ()


def test_kinds_are_found_by_class():
    assert set(SHAPES.classes) == set(CLASSES)
    assert SHAPES.kinds_in(["feedback", "identity"]) == {"logs_to", "same_as"}
    assert SHAPES.kinds_in(CLASSES) == set(SHAPES.kinds)
    assert SHAPES.kinds_in([]) == frozenset()
    levels = {"column_of", "in_set", "cell_of", "version_of", "run_of", "part_of"}
    assert set(SHAPES.level_kinds) == SHAPES.kinds_in({"level"}) == levels


def test_shapes_show_themselves_shortly():
    assert re.fullmatch(r"<Shapes [0-9a-f]{16}: 27 types, 37 kinds>", repr(SHAPES))


# ── Adding ───────────────────────────────────────────────────────────────────────────────────────


def test_a_user_adds_a_type_a_kind_and_their_attributes(tmp_path):
    shapes = load(
        tmp_path,
        type_text(more="    attributes:\n      arms: {type: number, description: How many.}\n")
        + "kinds:\n  picks_with:\n    inverse: picked_by\n    description: It picks with it.\n"
        "    from: [robot]\n    to: [model-version]\n    class: serve\n    nature: state\n"
        "    flow: back\n    layer: observed\n    depth: 3\n    window: P7D\n",
    )

    assert [a.name for a in shapes["robot"].attributes][:2] == ["arms", "name"]
    assert shapes.domains["machines"] == ("robot",)
    kind = shapes.kind("picks_with")
    assert (kind.layer, kind.depth, kind.window) == (Layer.OBSERVED, 3, timedelta(days=7))
    assert shapes.allows("picked_by", "model-version", "robot")
    assert shapes.allows("owned_by", "robot", "team")
    assert shapes.allows("same_as", "robot", "robot")
    assert "picks_with" in shapes.classes["serve"]


def test_a_user_adds_attributes_to_a_type_and_to_all(tmp_path):
    shapes = load(
        tmp_path,
        "types:\n"
        "  model: {attributes: {car: {type: text, description: A.}}}\n"
        "  any: {attributes: {cost_centre: {type: text, facet: true, description: B.}}}\n",
    )

    assert shapes["model"].attribute("car") == Attribute("car", "text", "A.")
    assert shapes["run"].attribute("car") is None
    assert all(found.attribute("cost_centre") for found in shapes.values())


def test_a_user_adds_values_aliases_and_uses_to_an_attribute(tmp_path):
    shapes = load(
        tmp_path,
        "types:\n  run:\n    attributes:\n      status: {type: enum, values: [resting, running], "
        "aliases: [outcome], search: true, description: x}\n"
        "kinds:\n  deploys:\n    attributes:\n"
        "      role: {type: enum, values: [mirror], description: x}\n",
    )

    status = shapes["run"].attribute("outcome")
    assert status is not None
    assert status.values == (*SHAPES["run"].status, "resting")
    assert status.search
    assert status.facet
    assert status.description == "How it stands or how it ended."
    role = shapes.kind("deploys").attribute("role")
    assert role is not None
    assert role.values == ("live", "canary", "shadow", "mirror")


def test_a_user_opens_a_kind_to_more_ends(tmp_path):
    shapes = load(
        tmp_path,
        type_text() + "kinds:\n"
        "  reads: {from: [robot]}\n"
        "  deploys: {from: [robot], to: [feature]}\n"
        "  part_of: {joins: [{from: [robot], to: [service]}]}\n"
        "  measured_by: {from: [robot, ab-test]}\n",
    )

    assert shapes.allows("reads", "robot", "dataset")
    assert shapes.allows("deploys", "robot", "feature")
    assert shapes.allows("measured_by", "robot", "metric")
    assert shapes.ends("part_of", "robot") == ("service",)
    assert not shapes.allows("part_of", "run", "service")
    assert shapes.allows("part_of", "run", "run")


def test_a_user_adds_a_part_with_its_whole(tmp_path):
    shapes = load(
        tmp_path,
        "types:\n  prompt-version:\n    title: Prompt version\n    plural: prompt-versions\n"
        "    domain: generative\n    description: One text of a prompt.\n"
        "    part_of_kind: version_of\n    grain: exact\n    occurrence: true\n    window: P30D\n"
        "kinds:\n  version_of: {joins: [{from: [prompt-version], to: [prompt]}]}\n",
    )

    assert shapes.wholes("prompt-version") == ("prompt",)
    assert not shapes.allows("version_of", "prompt-version", "model")
    assert shapes["prompt-version"].occurrence


def test_a_file_may_add_to_what_a_later_file_declares(tmp_path):
    addition = "types: {robot: {attributes: {arms: {type: number, description: x}}}}"

    assert load(tmp_path, addition, type_text())["robot"].attribute("arms")


def test_a_type_may_word_a_common_attribute_itself(tmp_path):
    own = "    attributes:\n      name: {type: text, personal: true, description: Its name.}\n"
    shapes = load(tmp_path, type_text(more=own))

    assert [a.personal for a in shapes["robot"].attributes if a.name == "name"] == [True]


def test_a_symmetric_kind_is_its_own_inverse(tmp_path):
    text = (
        "kinds:\n  resembles:\n    inverse: resembles\n    description: It looks alike.\n"
        "    from: any\n    to: same\n    class: none\n    nature: state\n    layer: suggested\n"
    )

    assert load(tmp_path, text).kind("resembles").symmetric


def test_additions_take_nothing_away(tmp_path):
    text = type_text() + "kinds: {reads: {from: [robot]}, produced_by: {to: [robot]}}"
    shapes = load(tmp_path, text)

    assert set(SHAPES) < set(shapes)
    for name, start, end in product(SHAPES.kinds, SHAPES, SHAPES):
        if SHAPES.allows(name, start, end):
            assert shapes.allows(name, start, end)


def test_the_version_tells_contents_apart_and_nothing_else(tmp_path):
    texts = (
        type_text(),
        kind_text(more=STEERS),
        "# a comment\ntypes: {model: {attributes: {car: {type: text, description: x}}}}",
        "kinds: {reads: {from: [team, user]}}",
    )
    versions = {load(tmp_path, *order).version for order in permutations(texts)}

    assert len(versions) == 1
    assert versions != {SHAPES.version}
    assert load(tmp_path, texts[0]) == load(tmp_path, "# again\n" + texts[0])
    assert hash(load(tmp_path, texts[0])) == hash(load(tmp_path, texts[0]))
    assert load(tmp_path, texts[0]) != SHAPES
    assert SHAPES != "shapes"


# ── Refusing ─────────────────────────────────────────────────────────────────────────────────────

ATTRIBUTE = "types:\n  model:\n    attributes:\n      car: "
REFUSED = {
    "empty file": ("", 1, "empty", "types:"),
    "not a mapping": ("- a\n- b\n", 1, "mapping is expected here, not a list", "key: value"),
    "text only": ("types", 1, "mapping is expected here, not text", "key: value"),
    "not YAML": ("types:\n  a: [1\nkinds: {}\n", 3, "This is not YAML", "bracket"),
    "a control character": ("types: \x07", None, "This is not YAML", "quote"),
    "two documents": ("types: {}\n---\nkinds: {}\n", 2, "another document", "line"),
    "too deep": ("[" * 5000, None, "too deep", "bracket"),
    "unknown key at the top": ("types: {}\nkindz: {}\n", 2, "'kindz'", "'kinds'"),
    "unknown key of a type": (type_text(more="    windo: P9D\n"), 7, "'windo'", "'window'"),
    "unknown key of a kind": (kind_text(more=STEERS + "    flows: back\n"), 9, "'flows'", "'flow'"),
    "unknown key of an attribute": (
        ATTRIBUTE + "{type: text, description: x, serch: true}", 4, "'serch'", "'search'",
    ),
    "key far from all": ("zzz: 1\n", 1, "'zzz'", "Choose from 'kinds', 'types'"),
    "a key that is no text": ("types:\n  1: {}\n", 2, "not a number", "quotes"),
    "a merge key": ("types:\n  <<: {}\n", 2, "Text is expected", "quotes"),
    "a type that is nothing": ("types:\n  robot:\n", 2, "mapping is expected here, not nothing",
                               "key"),
    "a type that adds nothing": ("types:\n  model: {}\n", 2, "'attributes' is missing", "Add"),
    "a kind that adds nothing": ("kinds:\n  reads: {}\n", 2, "adds nothing", "from"),
    "no attributes": ("types:\n  model:\n    attributes: {}\n", 3, "no attributes", "leave"),
    "missing field of a type": (
        "types:\n  robot:\n    title: Robot\n", 2, "'plural', 'domain', 'description' are missing",
        "Add a line plural",
    ),
    "missing field of a kind": (kind_text(more="    class: none\n"), 2, "'nature' is missing",
                                "Add a line nature"),
    "missing field of an attribute": (ATTRIBUTE + "{type: text}", 4, "'description' is missing",
                                      "Add"),
    "missing end of a kind": (
        "kinds:\n  steers:\n    inverse: steered_by\n    description: x\n    from: [run]\n"
        "    class: none\n    nature: state\n", 2, "'to' is missing", "joins",
    ),
    "unknown class": (kind_text(more="    class: dta\n    nature: state\n"), 7, "class 'dta'",
                      "'data'"),
    "unknown nature": (kind_text(more="    class: none\n    nature: stat\n"), 8, "nature 'stat'",
                       "'state'"),
    "unknown flow": (kind_text(more=STEERS + "    flow: bak\n"), 9, "flow 'bak'", "'back'"),
    "unknown layer": (kind_text(more=STEERS + "    layer: infered\n"), 9, "layer 'infered'",
                      "'inferred'"),
    "unknown grain": (type_text(more="    grain: exakt\n"), 7, "grain 'exakt'", "'exact'"),
    "unknown attribute type": (ATTRIBUTE + "{type: txt, description: x}", 4, "'txt'", "'text'"),
    "unknown type at an end": (
        "kinds:\n  reads:\n    from:\n      - team\n      - modle\n", 5, "type 'modle'", "'model'",
    ),
    "unknown type in joins": (
        "kinds:\n  part_of:\n    joins:\n      - {from: [tem], to: [team]}\n", 4, "type 'tem'",
        "'team'",
    ),
    "unknown type in a nature": (
        kind_text(more="    class: none\n    nature:\n      runn: event\n      else: state\n"), 9,
        "type 'runn'", "'run'",
    ),
    "nature without else": (
        kind_text(more="    class: none\n    nature: {run: event}\n"), 8, "'else' is missing",
        "else: state",
    ),
    "any in a list": ("kinds:\n  reads: {from: [any]}\n", 2, "type 'any'", "Choose from"),
    "an end without brackets": (
        kind_text().replace("[service]", "service") + STEERS, 6, "list of types", "[service]",
    ),
    "an unknown type to add to": (
        "types:\n  modle: {attributes: {car: {type: text, description: x}}}\n", 2,
        "no type 'modle' to add to", "'model'",
    ),
    "an unknown kind to add to": (
        "kinds:\n  reeds: {from: [team]}\n", 2, "no kind 'reeds' to add to", "'reads'",
    ),
    "the same type twice": ("types:\n  a: {}\n  a: {}\n", 3, "stands already in line 2", "Join"),
    "a built-in type again": (type_text("model"), 2, "clashes with the one declared in builtin/",
                              "give only attributes"),
    "a built-in kind again": (
        kind_text("reads", "reed_by", STEERS), 2, "clashes with the one declared in builtin/",
        "give only from, to",
    ),
    "a plural twice": (type_text().replace("robots", "models"), 4, "plural of 'model'", "another"),
    "inverse is a kind": (kind_text(inverse="reads", more=STEERS), 3, "the name of another kind",
                          "another name"),
    "inverse taken": (kind_text(inverse="writes", more=STEERS), 3, "inverse of 'produced_by'",
                      "another name"),
    "kind named as an inverse": (kind_text("writes", "wrote", STEERS), 2,
                                 "inverse of 'produced_by'", "another name"),
    "inverse of itself": (kind_text(inverse="steers", more=STEERS), 3, "its own name", "another"),
    "a step without flow": (
        kind_text(more="    class: data\n    nature: state\n"), 2, "which way data goes",
        "flow: back",
    ),
    "flow without a step": (kind_text(more=STEERS + "    flow: forth\n"), 9, "no data goes",
                            "Leave flow out"),
    "from and joins": (
        kind_text(more=STEERS + "    joins: [{from: [run], to: [run]}]\n"), 5, "exclude", "Keep",
    ),
    "no joins": ("kinds:\n  part_of: {joins: []}\n", 2, "empty", "from"),
    "half a join": ("kinds:\n  part_of: {joins: [{from: [run]}]}\n", 2, "'to' is missing", "to"),
    "ends for a kind of pairs": ("kinds:\n  part_of: {from: [team]}\n", 2, "any start with any end",
                                 "joins:"),
    "ends for a kind of any": ("kinds:\n  owned_by: {from: [team]}\n", 2, "any start with any end",
                               "joins:"),
    "narrowed start": ("kinds:\n  reads: {from: [run]}\n", 2, "cannot narrow", "Remove from"),
    "narrowed end": ("kinds:\n  reads: {to: [dataset]}\n", 2, "cannot narrow", "Remove to"),
    "narrowed pairs": (
        "kinds:\n  part_of:\n    joins: [{from: [run], to: [run]}]\n", 3, "cannot narrow",
        "Remove joins",
    ),
    "narrowed values": (
        "types:\n  run:\n    attributes:\n"
        "      status: {type: enum, values: [running], description: x}\n",
        4, "cannot narrow", "Remove it",
    ),
    "another attribute type": (
        "types:\n  run:\n    attributes:\n      metrics: {type: text, description: x}\n", 4,
        "'map' and cannot become 'text'", "another name",
    ),
    "an attribute named as an alias": (
        "types:\n  run:\n    attributes:\n      start: {type: time, description: x}\n", 4,
        "clashes with the attribute 'started_at'", "another name",
    ),
    "an alias twice": (
        ATTRIBUTE + "{type: text, description: x, aliases: [a]}\n"
        "      a: {type: text, description: x}\n", 5, "'a' is a duplicate", "another name",
    ),
    "a clash with what all have": (
        type_text(more="    attributes:\n      tags: {type: text, description: x}\n"), 2,
        "clashes with 'tags' of every type", "another name",
    ),
    "a common attribute that clashes with a type": (
        "types:\n  any:\n    attributes:\n      rows: {type: text, description: x}\n", 4,
        "'rows' of 'dataset' clashes with 'rows' of every type", "another name",
    ),
    "an added attribute that clashes with what all have": (
        "types:\n  model:\n    attributes:\n      tags: {type: text, description: x}\n", 4,
        "'tags' of 'model' clashes with 'tags' of every type", "another name",
    ),
    "values without enum": (ATTRIBUTE + "{type: text, description: x, values: [a]}", 4,
                            "values belong to an enum", "type: enum"),
    "enum without values": (ATTRIBUTE + "{type: enum, description: x}", 4, "an enum needs them",
                            "values:"),
    "a value twice": (ATTRIBUTE + "{type: enum, description: x, values: [a, a]}", 4, "twice",
                      "Remove"),
    "a value that is no text": (ATTRIBUTE + "{type: enum, description: x, values: [no]}", 4,
                                "not true or false", "quotes"),
    "a truth whose text is searched": (
        ATTRIBUTE + "{type: bool, description: x, search: true}", 4, "no text to search", "facet"
    ),
    "a map as a facet": (ATTRIBUTE + "{type: map, description: x, facet: true}", 4,
                         "no value to filter by", "Leave facet out"),
    "a facet that is another filter": (
        "types:\n  model:\n    attributes:\n      owner: {type: text, description: x, facet: true}",
        4, "a filter of everything already", "another name",
    ),
    "a personal facet": (ATTRIBUTE + "{type: text, description: x, facet: true, personal: true}",
                         4, "outlive its erasure", "Leave facet or personal out"),
    "a facet that becomes personal": (
        "types:\n  team:\n    attributes:\n      form: {type: enum, values: [team], "
        "description: x, personal: true}\n",
        4, "outlive its erasure", "Leave facet or personal out",
    ),
    "an edge that is searched": (
        "kinds:\n  reads:\n    attributes:\n      why: {type: text, description: x, search: true}",
        4, "only things are searched", "Leave search and facet out",
    ),
    "an empty list": (ATTRIBUTE + "{type: enum, description: x, values: []}", 4, "empty", "Name"),
    "a flag that is text": (ATTRIBUTE + "{type: text, description: x, search: ja}", 4,
                            "true or false is expected", "true"),
    "an empty text": (ATTRIBUTE + '{type: text, description: " "}', 4, "text is empty", "leave"),
    "a list that is text": (type_text(more="    live: a\n"), 7, "list is expected here, not text",
                            "brackets"),
    "a window that is a number": (type_text(more="    window: 90\n"), 7, "not a number", "quotes"),
    "a window in hours": (type_text(more="    window: PT5H\n"), 7, "span in days", "P90D"),
    "a depth of nought": (kind_text(more=STEERS + "    depth: 0\n"), 9, "above zero", "2"),
    "a depth that is text": (kind_text(more=STEERS + "    depth: two\n"), 9, "above zero", "2"),
    "a tag of Python": ("types: !!python/object:os.system {}\n", 1, "not something else",
                        "key: value"),
    "a bad type name": (type_text("Robot_1"), 2, "not a valid type name", "hyphens"),
    "a long type name": (type_text("r" * 65), 2, "not a valid type name", "lower case"),
    "a reserved type name": (type_text("same"), 2, "a word of the language", "another name"),
    "a bad kind name": (kind_text("steers-it", more=STEERS), 2, "not a valid kind name",
                        "underscores"),
    "a bad inverse": (kind_text(inverse="Steered", more=STEERS), 3, "not a valid inverse name",
                      "underscores"),
    "a bad attribute name": ("types:\n  model:\n    attributes:\n      9a: {type: text, "
                             "description: x}\n", 4, "not a valid attribute name", "begin"),
    "an unknown whole": (type_text(more="    part_of_kind: colum_of\n"), 7, "class 'level'",
                         "'column_of'"),
    "a whole that is no level": (type_text(more="    part_of_kind: reads\n"), 7, "class 'level'",
                                 "Choose"),
    "a whole that does not take it": (
        type_text(more="    part_of_kind: version_of\n"), 7, "does not start from 'robot'",
        "version_of: {joins:",
    ),
    "exact without whole": (type_text(more="    grain: exact\n"), 7, "no whole", "part_of_kind"),
    "live without status": (type_text(more="    live: [on-line]\n"), 7, "no status", "enum"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_wrong_file_is_refused_with_its_line_and_fix(tmp_path, case):
    text, line, message, fix = REFUSED[case]
    error = refusal(tmp_path, text)

    assert message in error.message
    assert fix in error.fix
    if line is not None:
        assert (error.file, error.line) == (str(tmp_path / "shapes0.yaml"), line)


def test_two_files_may_not_declare_the_same(tmp_path):
    error = refusal(tmp_path, type_text(), type_text())

    assert error.file == str(tmp_path / "shapes1.yaml")
    assert f"{tmp_path / 'shapes0.yaml'}:2" in error.message


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ShapeError, match="cannot be read") as caught:
        Shapes.load(tmp_path / "none.yaml")
    assert caught.value.file == str(tmp_path / "none.yaml")


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"types:\n  # caf\xe9\n")

    with pytest.raises(ShapeError, match="UTF-8") as caught:
        Shapes.load(path)
    assert caught.value.line == 2


@given(st.text(alphabet=st.sampled_from("typeskinds: \n-[]{}'\"#&*!|>ab0,"), max_size=60))
def test_any_text_is_read_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, "utf-8")
    with suppress(ShapeError):
        Shapes.load(path)


def test_a_value_that_holds_itself_is_refused(tmp_path):
    error = refusal(tmp_path, "types: &a\n  robot: *a\n")

    assert error.line == 2


# ── The pages ────────────────────────────────────────────────────────────────────────────────────


def test_the_reference_page_is_what_the_shapes_say():
    page = PAGE.read_text("utf-8")

    assert page == markdown(kept=written(page)), (
        "run python -m lineal.shapes.reference docs/reference/types.md"
    )


def test_the_written_part_is_kept_when_the_page_is_made_anew(tmp_path):
    page = tmp_path / "types.md"
    page.write_text(f"old\n{BEGIN}\nBy hand.\n{END}\nold\n", "utf-8")

    subprocess.run([sys.executable, "-m", "lineal.shapes.reference", page], check=True)

    assert page.read_text("utf-8") == markdown(kept="By hand.\n")
    assert written("no markers") == ""


def test_the_reference_names_every_type_attribute_and_kind():
    page = PAGE.read_text("utf-8")

    for found in SHAPES.types.values():
        section = page.partition(f"### `{found.name}`\n")[2].partition("\n#")[0]
        common = page.partition("## Every type\n")[2].partition("\n#")[0]
        for attribute in found.attributes:
            assert f"| `{attribute.name}` |" in section + common
    for kind in SHAPES.kinds.values():
        assert f"| `{kind.name}` (`{kind.inverse}`) |" in page


def test_the_reference_shows_what_users_added(tmp_path):
    old = "    attributes:\n      arms: {type: number, description: X., deprecated: Use legs.}\n"
    page = markdown(load(tmp_path, type_text(more=old)))

    assert "## Domain: machines" in page
    assert "| `arms` | number |  | X. Deprecated: Use legs. |" in page


def vocabulary() -> dict[str, list[str]]:
    """Return the rows of the table by published term."""
    rows = re.findall(r"^\| ([^|]+) \| (.+) \|$", written(PAGE.read_text("utf-8")), re.M)
    return {
        term: cells.split(", ")
        for term, cells in rows
        if not term.startswith(("---", "published "))
    }


def stands_for_something(name: str) -> bool:
    """Tell whether *name* is a type, an attribute of one, or a kind."""
    thing, _, attribute = name.partition(".")
    if attribute:
        return thing in SHAPES and attribute in {a.name for a in SHAPES[thing].attributes}
    return thing in SHAPES or thing in SHAPES.kinds


PUBLISHED = [
    *("Model", "ModelInstance", "Pipeline", "Pipeline run, execution", "Schedule", "Request"),
    *("Node definition", "Job attempt", "Feature, feature version", "Dataset, dataset version"),
    *("Data source behind a feature", "A/B test", "A/B test cell", "User"),
    *("Group, team, organization", "Deployment, deployed model", "Evaluation"),
    *("Production service", "Workflow", "Objective", "Serving cluster", "Calling service"),
    *("Parent model", "Found by model name, owner, feature name"),
    *("Model instance with its pipeline and run", "Jars and model files"),
    *("Publication information", "Alerting configuration"),
    *("Validation configuration and results", "Transforms and encoders", "Link to source code"),
    *("Consumers: app clusters", "Consumers: parent models", "Unused models", "Alerted models"),
    "Load validation before publication",
]


@pytest.mark.parametrize("term", PUBLISHED)
def test_a_published_term_has_its_place(term):
    assert term in vocabulary()


def test_every_place_of_the_published_vocabulary_exists():
    for term, cells in vocabulary().items():
        for cell in cells:
            assert re.fullmatch(r"`[a-z_.-]+`", cell), f"{term}: {cell}"
            assert stands_for_something(cell.strip("`")), f"{term}: {cell}"


def test_the_glossary_explains_the_words_of_the_shapes():
    entries = re.findall(r"^(\*\*.+)\n:   ", (ROOT / "docs/glossary.md").read_text("utf-8"), re.M)
    words = {word.strip("`") for entry in entries for word in re.findall(r"\*\*(.+?)\*\*", entry)}

    expected = "URI entity edge shape source event record layer t viewer claim stub basis grain "
    expected += "whole part possible approximate live platform domain environment type kind flow "
    expected += "class nature attribute facet alias group scope tombstone occurrence valid_at "
    expected += "known_at hydration finding sweep impact budget rule status stage"
    assert set(expected.split()) <= words


def test_declarations_are_values():
    one = EntityType("a", "as", "d", "A", "An a.")

    assert one == EntityType("a", "as", "d", "A", "An a.")
    assert {type(kind) for kind in SHAPES.kinds.values()} == {EdgeKind}
    assert len({*SHAPES.types.values(), *SHAPES.kinds.values()}) == 64

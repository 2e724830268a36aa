"""Search: what may be written, what is found by it, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal.access import LOCAL
from lineal.errors import Invalid, InvalidQuery, InvalidUri
from lineal.model import (
    NOW,
    Answer,
    Cut,
    EdgeStatement,
    Json,
    Moment,
    Record,
    Removal,
    State,
    Statement,
    Uri,
)
from lineal.query import Found, Questions
from lineal.query.finding import FACETS, VALUES
from lineal.search import describing, filters_of, parse
from lineal.search.language import FILTERS
from lineal.search.rows import LONGEST_FACET, LONGEST_TEXT
from lineal.shapes import Attribute, Shapes
from lineal.store import Batch, Store
from lineal.store.first import LOADED
from tests.databases import ENGINES, fresh

SHAPES = Shapes.builtin()

# ── The language ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("   ", ()),
        ("weekly ranking", ("weekly", "ranking")),
        ("  weekly\t ranking \n", ("weekly", "ranking")),
        ("ranking-v5", ("ranking", "v5")),
        ("hours_watched_7d", ("hours_watched_7d",)),
        ("db.schema/table", ("db", "schema", "table")),
        ('"weekly ranking" v5', ("weekly ranking", "v5")),
        ('""', ()),
        ("-", ()),
        ("key::value", ("key", "value")),
        ("https://example.com/x", ("https", "example", "com", "x")),
        ("Größe 日本", ("Größe", "日本")),
        ("C++ *", ("C",)),
        ("type", ("type",)),
        ("type:", ("type",)),
        ("12:30", ("12", "30")),
        ("Type:x", ("Type", "x")),
        ("sha256:0a1b", ("sha256", "0a1b")),
        ("dbfs:/models/rank", ("dbfs", "models", "rank")),
        ('"framwork:x"', ("framwork x",)),
    ],
)
def test_plain_text_is_words(text: str, words: tuple[str, ...]) -> None:
    query = parse(text, SHAPES)

    assert (query.words, query.wanted, query.unwanted) == (words, {}, {})


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("type:model", {"type": {"model"}}, {}),
        ("type:model type:dataset", {"type": {"model", "dataset"}}, {}),
        ("tag:team::rank", {"tag": {"team::rank"}}, {}),
        ('owner:"Alice Osei"', {"owner": {"Alice Osei"}}, {}),
        ("-tag:deprecated", {}, {"tag": {"deprecated"}}),
        ('-owner:"Data Platform" type:model', {"type": {"model"}}, {"owner": {"Data Platform"}}),
        ("image_digest:sha256:0a1b", {"image_digest": {"sha256:0a1b"}}, {}),
        ('-model_type:"gradient boosting"', {}, {"model_type": {"gradient boosting"}}),
        ("artifact_uri:/x", {"artifact_uri": {"/x"}}, {}),
        ("owner:mlg://team/people/rank", {"owner": {"mlg://team/people/rank"}}, {}),
        ("owner:alice@example.com", {"owner": {"alice@example.com"}}, {}),
        ('tag:"7"" disk" -tag:""""', {"tag": {'7" disk'}}, {"tag": {'"'}}),
        ('tag:""', {"tag": {""}}, {}),
    ],
)
def test_filters_are_understood(
    text: str, wanted: dict[str, set[str]], unwanted: dict[str, set[str]]
) -> None:
    query = parse(text, SHAPES)

    assert query.words == ()
    assert {name: set(values) for name, values in query.wanted.items()} == wanted
    assert {name: set(values) for name, values in query.unwanted.items()} == unwanted


def test_words_and_filters_may_be_mixed() -> None:
    query = parse('type:model-version owner:team-rank -tag:deprecated "weekly ranking" v5', SHAPES)

    assert query.words == ("weekly ranking", "v5")
    assert query.rest == "weekly ranking v5"
    assert set(query.wanted) == {"type", "owner"}
    assert set(query.unwanted) == {"tag"}


@pytest.mark.parametrize("text", ['"', 'weekly "ranking', 'owner:"Alice', '"a" "b', 'a"b'])
def test_a_quotation_that_is_not_closed_is_an_error(text: str) -> None:
    with pytest.raises(InvalidQuery, match="not closed"):
        parse(text, SHAPES)


def test_an_unknown_filter_is_an_error_that_names_the_filters() -> None:
    with pytest.raises(InvalidQuery, match="no filter 'colour'") as wrong:
        parse("colour:red", SHAPES)

    assert all(name in str(wrong.value) for name in FILTERS)


@pytest.mark.parametrize("text", ["-deprecated", '-"two words"', "--x"])
def test_a_word_cannot_be_excluded(text: str) -> None:
    with pytest.raises(InvalidQuery, match="only filters can be excluded"):
        parse(text, SHAPES)


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        query = parse(text, SHAPES)
    except InvalidQuery:
        return
    assert all(word.strip() == word and word for word in query.words)


# ── Finding ──────────────────────────────────────────────────────────────────────────────────────


class Graph:
    """A store, told in short words and searched."""

    def __init__(self, path: Path | str, shapes: Shapes = SHAPES) -> None:
        self.store = Store(path, shapes=shapes, describe=describing(shapes), now=lambda: 10_000)
        self.ask = Questions(self.store)

    def say(self, *words: Record | Removal) -> None:
        self.store.commit(Batch(words, "test", "test"))

    def things(self, *names: str, kind: str = "dataset") -> None:
        self.say(*(thing(f"{kind} {at}", name=name) for at, name in enumerate(names)))

    def find(self, text: str, moment: Moment = NOW, *, limit: int = 20) -> Answer[Found]:
        return self.ask.search(LOCAL, text, moment, limit=limit)

    def names(self, text: str) -> list[str]:
        return [hit.name for hit in self.find(text).value.hits]


def uri(text: str) -> Uri:
    kind, name = text.split(maxsplit=1)
    return Uri.of(kind, "here", name)


def thing(
    text: str, /, *, source: str = "tool", owners: Sequence[str] = (), **attributes: Json
) -> Record:
    subject = uri(text)
    edges = tuple(EdgeStatement(subject, "owned_by", uri(owner)) for owner in owners)
    return Record(source, text, subject, (Statement(subject, attributes),), edges, 1_000)


def gone(text: str) -> Removal:
    return Removal("tool", text, uri(text), 2_000)


@pytest.fixture(params=ENGINES)
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Graph]:
    with fresh(request.param, tmp_path) as place:
        one = Graph(place)
        yield one
        one.store.close()


def test_the_exact_name_comes_first_then_beginnings_then_words(graph: Graph) -> None:
    graph.things("old plays", "plays per day", "plays", "replays", "plays_7d")
    graph.say(thing("dataset d", name="titles", description="joined with plays"))

    assert graph.names("plays") == ["plays", "plays_7d", "plays per day", "old plays", "titles"]
    assert graph.names("PLAYS")[0] == "plays"


def test_the_exact_name_comes_first_beside_a_filter_too(graph: Graph) -> None:
    graph.things("model.ranking", "ranking-model")

    assert graph.names("ranking-model")[0] == "ranking-model"
    assert graph.names("type:dataset ranking-model")[0] == "ranking-model"


def test_all_words_must_occur_each_as_a_beginning(graph: Graph) -> None:
    graph.things("weekly ranking trainer", "weekly plays", "ranking")

    assert graph.names("rank week") == ["weekly ranking trainer"]
    assert set(graph.names("weekly")) == {"weekly ranking trainer", "weekly plays"}
    assert graph.names("eekly") == []
    assert graph.names("weekly nothing") == []


def test_quoted_words_must_stand_together(graph: Graph) -> None:
    graph.things("weekly ranking trainer", "ranking of weekly plays")

    assert graph.names('"weekly ranking"') == ["weekly ranking trainer"]
    assert set(graph.names("weekly ranking")) == {
        "weekly ranking trainer",
        "ranking of weekly plays",
    }


@pytest.mark.parametrize(
    "text", ["day", "7d", "plays", "per day", "hours_watched", "watched", "HOURS"]
)
def test_names_are_found_by_their_pieces(graph: Graph, text: str) -> None:
    """An underscore and a capital part words, as a space does."""
    graph.things("playsPerDay_7d") if text in ("day", "7d", "plays", "per day") else graph.things(
        "hours_watched_7d"
    )

    assert len(graph.names(text)) == 1


def test_accents_and_case_do_not_matter(graph: Graph) -> None:
    graph.things("Größe der Tabelle", "café")

    assert graph.names("cafe") == ["café"]
    assert graph.names("CAFÉ") == ["café"]
    assert graph.names("größe") == ["Größe der Tabelle"]


@pytest.mark.parametrize(
    "text", ["AND", "OR NOT", "NEAR", "a*", "(x", "x)", "name:", "^x", "'", ";--"]
)
def test_what_means_something_to_the_database_is_only_text(graph: Graph, text: str) -> None:
    graph.things("ranking")

    assert graph.find(text).value.hits == () or parse(text, SHAPES).words == ()


def test_a_thing_is_found_by_its_id(graph: Graph) -> None:
    graph.say(thing("model ranking-v5", name="The homepage model"))

    assert graph.names("ranking v5") == ["The homepage model"]


def test_filters_keep_what_they_name(graph: Graph) -> None:
    graph.say(
        thing("dataset a", name="a", tags=["gold", "tier::1"], status="active", environment="prod"),
        thing("dataset b", name="b", tags=["tier::2"], stage="production"),
        thing("model c", name="c", tags=["gold"], domain="ads", source="other"),
    )

    assert graph.names("type:dataset") == ["a", "b"]
    assert graph.names("type:dataset type:model") == ["a", "b", "c"]
    assert graph.names("-type:dataset") == ["c"]
    assert graph.names("tag:gold") == ["a", "c"]
    assert graph.names("tag:tier") == ["a", "b"]
    assert graph.names("tag:tier::2") == ["b"]
    assert graph.names("tag:tier -tag:gold") == ["b"]
    assert graph.names("status:active") == ["a"]
    assert graph.names("stage:production") == ["b"]
    assert graph.names("domain:ads") == ["c"]
    assert graph.names("environment:prod") == ["a"]
    assert graph.names("platform:here -type:model") == ["a", "b"]
    assert graph.names("platform:there") == []
    assert graph.names("source:other") == ["c"]
    assert graph.names("-source:other") == ["a", "b"]
    assert graph.names("type:dataset a") == ["a"]


def test_owners_are_found_by_name_id_and_address(graph: Graph) -> None:
    graph.say(
        thing("team rank", name="Ranking Team"),
        thing("user alice", name="Alice Osei", email="alice@example.com"),
        thing("dataset a", name="a", owners=["team rank"]),
        thing("dataset b", name="b", owners=["user alice"]),
        thing("dataset c", name="c"),
    )

    for text in ("rank", "team-rank", '"Ranking Team"', "mlg://team/here/rank"):
        assert graph.names(f"owner:{text}") == ["a"], text
    assert graph.names('owner:"alice osei"') == ["b"]
    assert graph.names("owner:rank owner:alice") == ["a", "b"]
    assert graph.names("type:dataset -owner:rank -owner:alice") == ["c"]
    assert graph.names("owner:nobody") == []


def test_an_owner_is_found_by_an_address_that_is_known_to_be_hers(graph: Graph) -> None:
    address = Uri("mlg://user/email/alice@example.com")
    same = EdgeStatement(uri("user alice"), "same_as", address)
    graph.say(
        Record("people", "alice", uri("user alice"), (), (same,), 1_000),
        thing("dataset a", name="a", owners=["user alice"]),
    )

    assert graph.names("owner:alice@example.com") == ["a"]


def test_what_is_deleted_comes_last_and_says_so(graph: Graph) -> None:
    graph.say(*(thing(f"dataset {name}", name=name) for name in ("plays", "plays now", "plays_x")))
    graph.say(gone("dataset plays_x"))

    hits = graph.find("plays").value.hits

    assert [(hit.name, hit.state) for hit in hits] == [
        ("plays", State.HYDRATED),
        ("plays now", State.HYDRATED),
        ("plays_x", State.DELETED),
    ]


def test_a_thing_is_found_by_its_uri_however_it_is_spelled(graph: Graph) -> None:
    graph.say(thing("dataset a b", name="Plays"))

    for text in ("mlg://dataset/here/a%20b", "mlg://dataset/here/%61%20b"):
        assert [hit.uri for hit in graph.find(text).value.hits] == [uri("dataset a b")]
    assert graph.find("mlg://dataset/here/other").value.hits == ()
    with pytest.raises(InvalidUri):
        graph.find("mlg://dataset")


def test_a_name_of_a_thing_finds_the_name_that_stands_for_it(graph: Graph) -> None:
    graph.say(thing("dataset plays", name="plays"))
    same = EdgeStatement(uri("dataset plays"), "same_as", uri("dataset s3-path"))
    graph.say(Record("tool", "same", uri("dataset plays"), (), (same,), 1_000))

    assert [hit.uri for hit in graph.find("s3 path").value.hits] == [uri("dataset plays")]
    assert [hit.uri for hit in graph.find("mlg://dataset/here/s3-path").value.hits] == [
        uri("dataset plays")
    ]
    assert graph.find("type:dataset").total == 1


def test_what_was_not_known_then_is_not_found_then(graph: Graph) -> None:
    graph.say(thing("dataset a", name="plays one"))
    graph.say(thing("dataset b", name="plays two"))

    then = graph.find("plays", Moment(known_t=1))

    assert [hit.name for hit in then.value.hits] == ["plays one"]
    assert any("of now" in note for note in then.notes)
    assert graph.find("plays").notes == ()


def test_what_did_not_fit_then_is_not_found_then(graph: Graph) -> None:
    """Its name, its tag and its status are held against what was known then; so are the counts."""
    graph.say(thing("dataset a", name="plays", status="active", tags=["gold"]))
    graph.say(thing("dataset b", name="clicks", status="stopped"))
    graph.say(thing("dataset b", name="plays", status="active", tags=["gold"]))

    then, now = Moment(known_t=2), NOW

    assert graph.find("plays", then).value.hits == graph.find("mlg://dataset/here/a").value.hits
    assert graph.find("tag:gold", then).total == 1
    assert graph.find("status:active", then).value.facets["status"] == {"active": 1}
    assert [graph.find(text, now).total for text in ("plays", "tag:gold")] == [2, 2]
    assert graph.find("clicks", then).total == 0


def test_a_phrase_fits_then_as_it_does_now(graph: Graph) -> None:
    """Whatever parts its words, and whatever accents they bear."""
    graph.say(thing("dataset a", name="Café-plays_per day v5"))

    for text in ('"cafe plays per"', "café day", "PLAYS v5", "plays_per"):
        assert graph.find(text, Moment(known_t=1)).total == graph.find(text).total == 1, text


def test_the_note_of_a_search_of_the_past_says_what_it_misses(graph: Graph) -> None:
    graph.say(thing("dataset b"))
    then = Moment(known_t=1)

    assert "what fitted then and does not today is not found" in graph.find("b", then).notes[0]


def test_what_was_not_known_then_is_not_found_by_its_uri_either(graph: Graph) -> None:
    graph.say(thing("dataset a", name="plays one"))
    graph.say(thing("dataset b", name="plays two"))

    assert graph.find("mlg://dataset/here/b", Moment(known_t=1)).value.hits == ()


def test_pages_follow_each_other_and_the_total_is_of_all(graph: Graph) -> None:
    graph.things(*(f"plays {at:02}" for at in range(25)))

    first, rest = (graph.ask.search(LOCAL, "plays", limit=20, offset=offset) for offset in (0, 20))

    assert (first.total, len(first.value.hits), len(rest.value.hits)) == (25, 20, 5)
    names = [hit.name for hit in (*first.value.hits, *rest.value.hits)]
    assert names == sorted(names)
    with pytest.raises(Invalid):
        graph.ask.search(LOCAL, "plays", limit=-1)


def test_more_than_a_thousand_candidates_are_said_to_be_more(graph: Graph) -> None:
    graph.things(*(f"plays {at}" for at in range(1_100)))

    found = graph.find("plays")

    assert len(found.value.hits) == 20
    assert (found.truncated, found.total) == (True, None)
    assert found.why == (Cut("candidates", done=1000),)


def test_a_thousand_are_all(graph: Graph) -> None:
    graph.things(*(f"plays {at}" for at in range(1_000)))

    found = graph.find("plays")

    assert (found.complete, found.total) == (True, 1_000)


def test_candidates_of_several_classes_are_counted_together(graph: Graph) -> None:
    """600 of the very name and 600 that begin with it are more than a thousand."""
    graph.things(*["plays"] * 600, *(f"plays {at}" for at in range(600)))

    found = graph.find("plays")

    assert found.truncated
    assert found.total is None


def test_facets_count_the_hits_of_all_pages(graph: Graph) -> None:
    graph.things(*(f"plays {at}" for at in range(30)))
    graph.say(thing("model m", name="plays model", tags=["gold"]))

    facets = graph.find("plays").value.facets

    assert facets["type"] == {"dataset": 30, "model": 1}
    assert facets["tag"] == {"gold": 1}


def test_nothing_asked_for_lists_everything(graph: Graph) -> None:
    graph.things("b", "a")

    assert graph.names("") == ["a", "b"]


# ── What the shapes mark ─────────────────────────────────────────────────────────────────────────

MARKED = [
    (found.name, one) for found in SHAPES.types.values() for one in found.attributes
    if one.search or one.facet
]  # fmt: skip


def value_of(attribute: Attribute, number: int) -> tuple[Json, str]:
    """Return a value that an attribute may have, and how one asks for it."""
    word = f"zq{number:03}z"
    by_type: dict[str, tuple[Json, str]] = {
        "enum": (attribute.values[0] if attribute.values else "", "".join(attribute.values[:1])),
        "bool": (False, "false"),
        "number": (1_000_000 + number, str(1_000_000 + number)),
        "list": (["other", word], word),
        "map": ({"z": [{"y": word, "a": 1.0}], "b": {"z": True, "c": ["x", 2]}}, word),
        "uri": (f"s3://bucket/{word}/part", f"s3://bucket/{word}/part"),
    }
    return by_type.get(attribute.type, (f"about {word}", f"about {word}"))


def saying(marked: Sequence[tuple[str, Attribute]]) -> list[tuple[Record, Attribute, str]]:
    """Return a document for each marked attribute of a type, and how one asks for its value."""
    made = []
    for number, (kind, attribute) in enumerate(marked):
        value, text = value_of(attribute, number)
        subject = uri(f"{kind} n{number}")
        said = Statement(subject, {attribute.name: value})
        made.append((Record("tool", f"n{number}", subject, (said,), (), 1_000), attribute, text))
    return made


def found_by_marks(graph: Graph, made: Sequence[tuple[Record, Attribute, str]]) -> None:
    """Find each thing by its marked attribute, now and in the past, and no other thing by it."""
    for record, attribute, text in made:
        name = "tag" if attribute.name == "tags" else attribute.name
        searches = [f'"{text}"'] * attribute.search
        searches += [f'type:{record.subject.type} {name}:"{text}"'] * attribute.facet
        for search in searches:
            for moment in (NOW, Moment(known_t=1)):
                hits = graph.ask.search(LOCAL, search, moment, limit=1_000).value.hits
                assert record.subject in {hit.uri for hit in hits}, (search, moment)
                assert len(hits) == 1 or attribute.type in ("enum", "bool"), search
    assert graph.store.verify().sound


def test_every_attribute_that_a_shape_marks_is_found(graph: Graph) -> None:
    """A mark that has no effect fails here."""
    made = saying(MARKED)
    graph.say(*(record for record, _, _ in made))

    found_by_marks(graph, made)


def test_every_marked_attribute_is_found_after_a_first_load_too(tmp_path: Path) -> None:
    graph, made = Graph(tmp_path / "a.db"), saying(MARKED)
    others = (thing(f"dataset other {at}") for at in range(LOADED))
    graph.store.load((*(record for record, _, _ in made), *others), actor="test", cause="test")

    found_by_marks(graph, made)
    graph.store.close()


OWN = """
types:
  any:
    attributes:
      tags: {type: list, search: true, description: "Labels."}
      cost_centre: {type: text, search: true, facet: true, description: "Who pays."}
  gadget:
    title: Gadget
    plural: gadgets
    domain: data
    description: A thing of one's own.
    attributes:
      area2: {type: text, facet: true, description: "Where."}
      serial: {type: number, search: true, facet: true, description: "Its number."}
      installed_at: {type: time, search: true, facet: true, description: "Since when."}
      maker: {type: uri, search: true, facet: true, aliases: [made_by], description: "By whom."}
      manual: {type: map, search: true, description: "How to use it."}
  model:
    attributes:
      organization: {type: text, search: true, facet: true, description: "Who made it."}
"""


@pytest.fixture
def own(tmp_path: Path) -> Shapes:
    path = tmp_path / "own.yaml"
    path.write_text(OWN, "utf-8")
    return Shapes.load(path)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_attribute_that_shapes_of_ones_own_mark_is_found(
    engine: str, own: Shapes, tmp_path: Path
) -> None:
    marked = [
        (found.name, one)
        for found in (own["gadget"], own["model"])
        for one in found.attributes
        if one.search or one.facet
    ]
    with fresh(engine, tmp_path) as place:
        graph, made = Graph(place, own), saying(marked)
        graph.say(*(record for record, _, _ in made))
        found_by_marks(graph, made)
        graph.store.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_a_database_is_searched_anew_when_its_shapes_mark_something_else(
    engine: str, own: Shapes, tmp_path: Path
) -> None:
    with fresh(engine, tmp_path) as place:
        graph = Graph(place)
        graph.say(thing("model m", name="m", organization="Acme Labs"))
        assert graph.names("acme") == []
        graph.store.close()
        graph = Graph(place, own)
        assert graph.names("acme") == graph.names('organization:"Acme Labs"') == ["m"]
        assert graph.store.verify().sound
        graph.store.close()
        # What only reads makes nothing anew, and says so rather than call all of it wrong.
        shapes = SHAPES
        other = Store(place, shapes=shapes, describe=describing(shapes), writable=False)
        (told,) = other.verify().disagreements
        assert (told.table, "other shapes" in told.what) == ("search", True)
        other.close()
        graph = Graph(place)
        assert graph.names("acme") == []
        graph.store.close()


def test_a_thing_is_found_by_what_an_engineer_has_in_hand(graph: Graph) -> None:
    digest = "sha256:" + "0a1b" * 16
    graph.say(
        thing(
            "model-version v", name="v", image_digest=digest, artifact_uri="dbfs:/models/rank/5",
            framework="xgboost", revision="4f2d9c1",
        ),
        thing("user u", name="Alice", email="alice.osei@example.com"),
        thing("pipeline p", name="p", repository="https://git.example.com/team/nightly.git"),
        thing("model-version w", name="w", framework="torch", image_digest="sha256:" + "ff" * 32),
    )  # fmt: skip

    for text in (
        digest, digest[:20], digest[7:], f"image_digest:{digest}", "dbfs:/models/rank/5",
        "artifact_uri:dbfs:/models/rank/5", "4f2d9c1", "framework:xgboost", "-framework:torch rank",
        "type:model-version -framework:torch",
    ):  # fmt: skip
        assert graph.names(text) == ["v"], text
    assert graph.names("alice.osei@example.com") == ["Alice"]
    assert graph.names("https://git.example.com/team/nightly.git") == ["p"]


def test_a_name_counts_more_than_an_attribute(graph: Graph) -> None:
    graph.say(
        thing("model a", name="a", task="ranking"), thing("model ranking of plays", task="plays")
    )

    assert graph.names("ranking") == ["ranking of plays", "a"]


def test_a_former_name_of_an_attribute_is_found_under_its_name(graph: Graph) -> None:
    graph.say(thing("model a", name="a", lifecycle_stage="production"))

    assert graph.names("stage:production") == ["a"]


def test_a_long_value_is_no_facet_and_its_words_are_found(graph: Graph) -> None:
    long = "rank " * 30
    graph.say(thing("model a", name="a", task=long), thing("model b", name="b", task="rank"))

    assert graph.find("type:model").value.facets["task"] == {"rank": 1}
    assert graph.names("rank") == ["a", "b"]
    assert graph.store.verify().sound


def test_a_text_is_searched_up_to_its_bound_whatever_is_in_it(graph: Graph) -> None:
    """PostgreSQL takes no word of more than 2,046 bytes."""
    text = "begin " + "ü" * 3_000 + " middle " + "word " * 3_000 + "end"
    graph.say(
        thing("prompt p", name="p", text=text), thing("agent a", name="a", tools=["x" * 3_000])
    )

    assert graph.names("begin middle") == graph.names("ü" * 3_000) == ["p"]
    assert graph.names("end") == []
    assert graph.names("x" * 3_000) == ["a"]
    assert graph.store.verify().sound


def test_a_text_may_lie_very_deep(graph: Graph) -> None:
    tools: Json = ["deepest"]
    for _ in range(400):
        tools = [tools]
    graph.say(thing("agent a", name="a", tools=tools))

    assert graph.names("deepest") == ["a"]


def test_a_value_with_a_key_is_found_by_the_key_now_and_then(graph: Graph) -> None:
    graph.say(thing("service s", name="s", cluster="eu::west"))

    for moment in (NOW, Moment(known_t=1)):
        for text in ("cluster:eu", "cluster:eu::west"):
            assert graph.find(text, moment).total == 1, text


def test_the_facets_of_a_type_are_counted_where_only_it_is_searched(graph: Graph) -> None:
    graph.say(
        thing("model a", framework="xgboost", stage="production"),
        thing("model b", framework="xgboost"),
        thing("model c", framework="torch"),
        *(thing(f"dataset {at}", form="table", format=f"f{at % 25}") for at in range(30)),
    )

    assert set(graph.find("").value.facets) == set(FACETS)
    assert set(graph.find("type:model type:dataset").value.facets) == set(FACETS)
    for moment in (NOW, Moment(known_t=1)):
        facets = graph.find("type:model", moment).value.facets
        assert facets["framework"] == {"xgboost": 2, "torch": 1}
        assert facets["stage"] == {"production": 1}
        assert "form" not in facets
        of_data = graph.find("type:dataset", moment).value.facets
        assert of_data["form"] == {"table": 30}
        assert len(of_data["format"]) == VALUES
        assert list(of_data["format"])[:6] == ["f0", "f1", "f2", "f3", "f4", "f10"]


def test_every_facet_of_every_type_is_a_filter(own: Shapes) -> None:
    for shapes in (SHAPES, own):
        filters = filters_of(shapes)
        for found in shapes.types.values():
            for one in found.attributes:
                if one.facet:
                    name = "tag" if one.name == "tags" else one.name
                    assert name in filters
                    assert set(parse(f"{name}:x", shapes).wanted) == {name}


def test_the_page_about_searching_tells_every_filter_and_bound() -> None:
    page = (Path(__file__).parent.parent / "docs/reference/search.md").read_text("utf-8")

    for name, meaning in FILTERS.items():
        assert f"| `{name}:` | {meaning} |" in page
    for bound in (f"{LONGEST_TEXT:,}", str(LONGEST_FACET), f"{VALUES} most frequent"):
        assert bound in page


@pytest.mark.parametrize(
    ("text", "meant"),
    [("framwork:x", "framework"), ("lifecycle_stge:x", "stage"), ("model_typ:x", "model_type")],
)
def test_an_unknown_filter_is_told_which_one_may_be_meant(text: str, meant: str) -> None:
    with pytest.raises(InvalidQuery) as wrong:
        parse(text, SHAPES)

    assert meant in str(wrong.value)
    assert f'"{text}"' in str(wrong.value)

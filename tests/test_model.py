"""The nouns: one spelling a URI, times that come back, values that stay as they are."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineal import model
from lineal.errors import Invalid, InvalidUri
from lineal.model import (
    URI_LIMIT,
    Answer,
    Budget,
    Claim,
    Cut,
    Edge,
    Entity,
    Layer,
    Moment,
    State,
    Statement,
    Uri,
    edge_uri,
    instant,
    iso,
)

PLAYS = Uri("mlg://dataset/warehouse/plays")
RANKER = Uri("mlg://model/registry/ranker")


def _possible(text: str) -> bool:
    return bool(text.strip()) and text not in (".", "..")


#: Any text that may be a part: no control characters, no lone surrogates, not blank.
SEGMENTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=40).filter(
    _possible
)
TYPES = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
URIS = st.builds(
    lambda kind, parts: Uri.of(kind, *parts), TYPES, st.lists(SEGMENTS, min_size=2, max_size=4)
)

# ── URIs ─────────────────────────────────────────────────────────────────────────────────────────


@given(URIS)
def test_a_uri_reads_back_as_itself(uri: Uri) -> None:
    assert Uri(str(uri)) == uri
    assert Uri.of(*uri.parts) == uri
    assert uri.isascii()


@given(TYPES, st.lists(SEGMENTS, min_size=2, max_size=4))
def test_the_parts_of_a_uri_are_what_it_was_made_of(kind: str, parts: list[str]) -> None:
    uri = Uri.of(kind, *parts)

    assert uri.parts == (kind, *parts)
    assert uri.type == kind
    assert uri.platform == parts[0]
    assert uri.segments == tuple(parts[1:])
    assert uri.name == parts[-1]


@given(URIS, st.sampled_from([str.upper, str.lower]))
def test_escapes_in_capitals_or_not_are_one_spelling(uri: Uri, case: object) -> None:
    assert callable(case)
    pieces = str(uri).split("%")
    respelled = "%".join([pieces[0], *(case(piece[:2]) + piece[2:] for piece in pieces[1:])])

    assert Uri(respelled) == uri


@given(URIS)
def test_needless_escapes_are_one_spelling(uri: Uri) -> None:
    """Every byte of every part escaped is the same URI as the sparing spelling."""
    escaped = "/".join("".join(f"%{byte:02X}" for byte in part.encode()) for part in uri.parts[1:])

    assert Uri(f"mlg://{uri.type}/{escaped}") == uri


@given(URIS, URIS)
def test_two_uris_are_one_only_if_their_parts_are(one: Uri, other: Uri) -> None:
    assert (one == other) == (one.parts == other.parts)


@pytest.mark.parametrize("char", list("!*'()$&;?# \"<>[]{}|\\^`é✓日😀/%"))
def test_a_character_that_may_be_misread_is_escaped(char: str) -> None:
    uri = Uri.of("dataset", "lake", f"a{char}b")

    assert str(uri) == f"mlg://dataset/lake/a{quote(char, safe='')}b"
    assert Uri(f"mlg://dataset/lake/a{quote(char, safe='')}b") == uri


def test_letters_keep_their_case_and_their_composition() -> None:
    """Folding is the platform's matter: é and e plus accent are two names."""
    assert Uri("mlg://dataset/lake/Plays") != Uri("mlg://dataset/lake/plays")
    assert Uri.of("dataset", "lake", "\u00e9") != Uri.of("dataset", "lake", "e\u0301")


@pytest.mark.parametrize("name", ["null", "None", "nan", "0", "-", "~", "...", "a.b", "%", "mlg:"])
def test_ordinary_names_that_look_odd_are_kept(name: str) -> None:
    assert Uri.of("dataset", "lake", name).name == name


@pytest.mark.parametrize(
    "value", [None, 1, 1.5, True, b"mlg://dataset/lake/x", ["mlg://dataset/lake/x"], object()]
)
def test_what_is_no_text_is_refused_by_its_type(value: object) -> None:
    with pytest.raises(InvalidUri, match=type(value).__name__):
        Uri(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "does not begin with mlg://"),
        (" ", "does not begin"),
        ("plays", "does not begin"),
        ("null", "does not begin"),
        ("http://dataset/lake/x", "does not begin"),
        ("MLG://dataset/lake/x", "does not begin"),
        (" mlg://dataset/lake/x", "does not begin"),
        ("mlg://", "lacks a platform or an id"),
        ("mlg://dataset", "lacks a platform or an id"),
        ("mlg://dataset/lake", "lacks a platform or an id"),
        ("mlg://dataset/lake/", "empty or blank"),
        ("mlg://dataset//x", "empty or blank"),
        ("mlg://dataset/lake/x/", "empty or blank"),
        ("mlg://dataset/lake/%20", "empty or blank"),
        ("mlg://dataset/lake/%E2%80%83", "empty or blank"),
        ("mlg:///lake/x", "not a type name"),
        ("mlg://Dataset/lake/x", "not a type name"),
        ("mlg://data_set/lake/x", "not a type name"),
        ("mlg://data%73et/lake/x", "not a type name"),
        ("mlg://1dataset/lake/x", "not a type name"),
        ("mlg://dataset\n/lake/x", "not a type name"),
        ("mlg://" + "d" * 65 + "/lake/x", "not a type name"),
        ("mlg://dataset/lake/.", "cannot be a part"),
        ("mlg://dataset/lake/..", "cannot be a part"),
        ("mlg://dataset/lake/%2E%2e", "cannot be a part"),
        ("mlg://dataset/../x", "cannot be a part"),
        ("mlg://dataset/lake/a\x00b", "control character"),
        ("mlg://dataset/lake/a%00b", "control character"),
        ("mlg://dataset/lake/a\nb", "control character"),
        ("mlg://dataset/lake/a%7Fb", "control character"),
        ("mlg://dataset/lake/a\x85b", "control character"),
        ("mlg://dataset/lake/100%", "no escape"),
        ("mlg://dataset/lake/%2", "no escape"),
        ("mlg://dataset/lake/%GG", "no escape"),
        ("mlg://dataset/lake/%%32", "no escape"),
        ("mlg://dataset/lake/%FF", "not UTF-8"),
        ("mlg://dataset/lake/%C0%AF", "not UTF-8"),
        ("mlg://dataset/lake/%ED%A0%80", "not UTF-8"),
        ("mlg://dataset/lake/%E9", "not UTF-8"),
    ],
)
def test_a_text_that_is_no_uri_is_refused_with_its_reason(text: str, says: str) -> None:
    with pytest.raises(InvalidUri, match=says) as refused:
        Uri(text)

    assert refused.value.code == "invalid_uri"


def test_a_lone_surrogate_is_refused_wherever_it_comes_from() -> None:
    with pytest.raises(InvalidUri):
        Uri("mlg://dataset/lake/a\ud800b")
    with pytest.raises(InvalidUri, match="surrogate"):
        Uri.of("dataset", "lake", "\udfff")


def test_a_megabyte_is_refused_without_being_repeated() -> None:
    """The error must not carry the megabyte on."""
    for text in ("mlg://dataset/lake/" + "x" * 1_000_000, "x" * 1_000_000):
        with pytest.raises(InvalidUri) as refused:
            Uri(text)
        assert len(str(refused.value)) < 400
    much = 1_000_000
    for kind, name in (("dataset", "x" * much), ("x" * much, "x"), ("dataset", "\x00" * much)):
        with pytest.raises(InvalidUri) as refused:
            Uri.of(kind, "lake", name)
        assert len(str(refused.value)) < 400


@pytest.mark.parametrize("char", ["x", "é", "/"])
def test_the_limit_is_of_the_encoded_form_and_exact(char: str) -> None:
    wide = len(quote(char, safe=""))
    room = URI_LIMIT - len("mlg://dataset/lake/")
    many, rest = divmod(room, wide)
    longest = Uri.of("dataset", "lake", char * many + "x" * rest)

    assert len(longest) == URI_LIMIT == 2048
    assert Uri(str(longest)) == longest
    with pytest.raises(InvalidUri, match="2048"):
        Uri.of("dataset", "lake", char * many + "x" * (rest + 1))
    with pytest.raises(InvalidUri, match="2048"):
        Uri(str(longest) + "x")


@pytest.mark.parametrize("parts", [("lake",), ("lake", ""), ("lake", "x", " "), ("", "x")])
def test_a_uri_of_too_few_or_blank_parts_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidUri):
        Uri.of("dataset", *parts)


def test_a_part_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidUri, match="NoneType"):
        Uri.of("dataset", "lake", None)  # type: ignore[arg-type]  # what a careless caller does


def test_a_part_appends_to_its_whole() -> None:
    table = Uri.of("dataset", "wh", "db.s.t")

    assert table.part("column", "a/b") == Uri("mlg://column/wh/db.s.t/a%2Fb")


def test_an_edge_has_one_uri_and_its_direction_counts() -> None:
    there, back = edge_uri(PLAYS, "feeds", RANKER), edge_uri(RANKER, "feeds", PLAYS)

    assert there == edge_uri(Uri(str(PLAYS)), "feeds", Uri(str(RANKER)))
    assert there.type == "edge"
    assert there.platform == "feeds"
    assert len({there, back, edge_uri(PLAYS, "trains", RANKER)}) == 3
    assert len(there.name) == 32


@given(URIS, URIS)
def test_the_uri_of_an_edge_is_a_function_of_its_ends(one: Uri, other: Uri) -> None:
    assert edge_uri(one, "feeds", other) == edge_uri(Uri.of(*one.parts), "feeds", other)


# ── Times ────────────────────────────────────────────────────────────────────────────────────────


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_an_instant_is_told_and_read_back(when: datetime) -> None:
    assert datetime.fromisoformat(iso(instant(when))) == when
    assert instant(datetime.fromisoformat(iso(instant(when)))) == instant(when)


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    st.integers(min_value=-23, max_value=23),
)
def test_the_zone_of_a_time_does_not_matter(when: datetime, hours: int) -> None:
    zone = timezone(timedelta(hours=hours))

    assert instant(when.replace(tzinfo=UTC).astimezone(zone)) == instant(when)


@given(st.integers(min_value=-(10**16), max_value=10**17))
def test_texts_of_instants_are_in_utc(when: int) -> None:
    assert iso(when).endswith("Z")
    assert instant(datetime.fromisoformat(iso(when))) == when


def test_an_instant_counts_microseconds_since_1970() -> None:
    assert instant(datetime(1970, 1, 1)) == 0
    assert instant(datetime(1969, 12, 31, 23, 59, 59, 999_999)) == -1
    assert iso(1) == "1970-01-01T00:00:00.000001Z"
    assert iso(-1) == "1969-12-31T23:59:59.999999Z"
    assert iso(instant(datetime(2026, 11, 23, 6, 40))) == "2026-11-23T06:40:00Z"
    assert iso(instant(datetime(2038, 1, 19, 3, 14, 8))) == "2038-01-19T03:14:08Z"


# ── Values ───────────────────────────────────────────────────────────────────────────────────────

NOUNS = [
    found
    for found in vars(model).values()
    if isinstance(found, type)
    and (is_dataclass(found) or issubclass(found, tuple))
    and found.__module__ == model.__name__
]


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.__name__)
def test_a_noun_is_frozen_and_holds_nothing_else(noun: type) -> None:
    """Frozen: an attribute cannot be set; slotted: nor can another be added."""
    if is_dataclass(noun):
        value, names = object.__new__(noun), [field.name for field in fields(noun)]
    else:
        names = list(noun.__annotations__)
        value = noun(*[None] * len(names))
    for name in names:
        with pytest.raises(AttributeError):
            setattr(value, name, None)
    assert not hasattr(value, "__dict__")


def test_there_are_nouns() -> None:
    assert {"Statement", "Record", "Removal", "Claim", "Entity", "Answer"} <= {
        noun.__name__ for noun in NOUNS
    }


def test_a_uri_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        PLAYS.other = 1  # type: ignore[attr-defined]  # that is the point


def test_equal_words_are_equal_values() -> None:
    assert Statement(PLAYS, {"rows": 1}) == Statement(Uri(str(PLAYS)), {"rows": 1})


@pytest.mark.parametrize("limit", ["depth", "nodes", "edges", "milliseconds", "rows"])
def test_a_budget_cannot_be_negative(limit: str) -> None:
    with pytest.raises(Invalid, match=limit):
        Budget(**{limit: -1})
    assert getattr(Budget(**{limit: 0}), limit) == 0


def test_what_was_known_is_asked_by_transaction_or_by_time_not_both() -> None:
    with pytest.raises(Invalid, match="not both"):
        Moment(known_t=1, known_at=1)
    assert Moment(known_t=0, valid_at=5).known_at is None
    assert Moment() == model.NOW


def test_an_answer_is_complete_or_says_what_was_cut() -> None:
    whole = Answer((1, 2), basis_t=3, known_at=0, valid_at=0)
    cut = Answer((1,), basis_t=3, known_at=0, valid_at=0, why=(Cut("nodes", done=1),), total=2)

    assert (whole.complete, whole.truncated) == (True, False)
    assert (cut.complete, cut.truncated) == (False, True)


def _claim(layer: Layer, **attributes: int) -> Claim:
    return Claim("tool", layer.value, layer, 1, None, 0, None, False, dict(attributes))


def test_an_edge_is_of_its_strongest_layer_and_keeps_its_first_word() -> None:
    claims = (_claim(Layer.INFERRED, weight=1), _claim(Layer.OBSERVED, weight=2, rows=3))
    edge = Edge(PLAYS, "feeds", RANKER, claims)

    assert edge.layer is Layer.OBSERVED
    assert edge.attributes == {"weight": 1, "rows": 3}
    assert edge.uri == edge_uri(PLAYS, "feeds", RANKER)


@pytest.mark.parametrize(
    ("said", "called"),
    [({"name": "Plays"}, "Plays"), ({"name": ""}, "plays"), ({}, "plays"), ({"name": 3}, "plays")],
)
def test_a_thing_is_called_by_its_name_else_by_its_id(said: dict[str, str], called: str) -> None:
    thing = Entity(PLAYS, State.HYDRATED, said)

    assert (thing.name, thing.type) == (called, "dataset")

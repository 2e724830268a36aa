"""One value that is very long, or holds what a database does not, keeps nothing else waiting."""

from __future__ import annotations

import random
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lineal.access import LOCAL
from lineal.errors import SourceGarbled, StoreError, Unreachable, Unstorable
from lineal.model import Json, Moment, Record
from lineal.query import Questions
from lineal.search import describing
from lineal.shapes import Shapes
from lineal.sources import Fetched, Key, Listed
from lineal.store import Store, schema, work
from tests.databases import fresh
from tests.graphs import PLAYS, TITLES, Graph, said
from tests.simulated import Clock, Rig, Thing, Tool, uri

#: Nothing packs it, so that an index of PostgreSQL has to hold all of it.
LONG = random.Random(7).randbytes(3_000).hex()
#: Some 3 MB of words, none twice.
WORDS = " ".join(f"w{number}" for number in range(400_000))
#: A sign that stands for six letters, so often that they are one very long word; and these.
KILOMETRES = "\u3316" * 200
SPELLED = unicodedata.normalize("NFKC", KILOMETRES)


@dataclass
class Teller(Tool):
    """A source of which each thing may say something odd."""

    said: dict[str, dict[str, Json]] = field(default_factory=dict)
    about_edges: dict[str, Json] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)
    #: Comes after each version in a list.
    mark: str = ""

    def list(self) -> Iterator[Listed]:
        """List everything."""
        for one in super().list():
            yield replace(one, version=f"{one.version}{self.mark}")

    def _answer(self, key: Key, thing: Thing, etag: str | None) -> Fetched:
        fetched = super()._answer(key, thing, etag)
        if fetched.record is None:
            return fetched
        (statement,) = fetched.record.statements
        told = {**statement.attributes, **self.said.get(key.id, {})}
        statement = statement._replace(attributes=told, valid_from=self.since.get(key.id))
        edges = tuple(one._replace(attributes=self.about_edges) for one in fetched.record.edges)
        record: Record = replace(fetched.record, statements=(statement,), edges=edges, raw=told)
        return replace(fetched, record=record)


class Telling(Rig):
    """A graph that listens to a teller, and can be searched."""

    def __init__(self, place: Path | str) -> None:
        shapes, clock = Shapes.builtin(), Clock()
        store = Store(place, shapes=shapes, describe=describing(shapes), now=clock)
        super().__init__(store, Teller(), clock=clock)
        self.ask = Questions(store)

    def say(self, ident: str, **attributes: Json) -> None:
        """Let a thing say something, of which an event tells."""
        assert isinstance(self.tool, Teller)
        self.tool.said[ident] = attributes
        self.tool.put(ident, 1, "other")
        self.tell(ident)

    def hits(self, text: str, moment: Moment | None = None) -> list[str]:
        found = self.ask.search(LOCAL, text, moment or Moment())
        return [hit.uri.name for hit in found.value.hits]


@pytest.fixture
def rig(engine: str) -> Iterator[Telling]:
    with tempfile.TemporaryDirectory() as folder, fresh(engine, Path(folder)) as place:
        one = Telling(place)
        yield one
        one.close()


ODD: dict[str, tuple[dict[str, Json], str]] = {
    "a tag of 6,000 characters": ({"tags": [f"k::{LONG}"]}, f"tag:k::{LONG}"),
    "a tag of which the key is long": ({"tags": [f"{LONG}::v", "a"]}, f"tag:{LONG}::v"),
    "a name of 6,000 characters": ({"name": LONG}, LONG),
    "an address of 6,000 characters": ({"artifact_uri": LONG}, f"artifact_uri:{LONG}"),
    "a NUL in a tag": ({"tags": ["k::a\0b"]}, 'tag:"k::a\0b"'),
    "a NUL in a name": ({"name": "plays\0a day"}, "plays\0a day"),
    "a NUL in a status": ({"status": "half\0done"}, 'status:"half\0done"'),
    "a NUL in what is not searched": ({"note\0s": {"a\0b": ["\0"]}}, "odd"),
    "a description of 3 MB": ({"description": WORDS}, '"w0 w1 w2"'),
    "a name of 3 MB": ({"name": WORDS}, "w1"),
    "signs that stand for several letters": ({"description": KILOMETRES}, SPELLED),
}


@pytest.mark.parametrize("told", ODD.values(), ids=ODD)
def test_an_odd_value_is_kept_and_found_and_so_is_what_came_with_it(
    rig: Telling, told: tuple[dict[str, Json], str]
) -> None:
    attributes, query = told
    rig.say("good", name="plays", tags=["k::v"])
    rig.say("odd", **attributes)

    rig.work()
    rig.say("later")
    rig.work()

    assert rig.hits("tag:k::v") == ["good"]
    assert rig.hits(query) == ["odd"]
    assert rig.hits(query, Moment(known_t=1)) == ["odd"]
    known = rig.ask.get(LOCAL, uri("odd")).value.attributes
    assert {name: known[name] for name in attributes} == attributes
    assert rig.accounts()["tool"].pending == 0
    verdict = rig.store.verify()
    assert verdict.sound, verdict.disagreements


def test_what_is_said_of_an_edge_may_hold_a_nul(rig: Telling) -> None:
    assert isinstance(rig.tool, Teller)
    rig.tool.about_edges = {"no\0te": "a\0b"}
    rig.say("odd")

    rig.work()

    (link,) = rig.ask.neighbours(LOCAL, uri("odd"), Moment()).value
    assert link.edge.claims[0].attributes == {"no\0te": "a\0b"}


def test_a_key_finds_what_is_tagged_by_it_however_long_the_rest_is(rig: Telling) -> None:
    rig.say("odd", tags=[f"k::{LONG}"])
    rig.say("other", tags=[f"k::{LONG}x"])
    rig.work()

    assert sorted(rig.hits("tag:k")) == ["odd", "other"]
    assert rig.hits(f"tag:k::{LONG}x") == ["other"]
    (held,) = (value for value in rig.ask.search(LOCAL, "odd").value.facets["tag"] if value != "k")
    assert rig.hits(f'tag:"{held}"') == ["odd"], "as it is counted it can be asked for"


def test_what_no_database_holds_is_put_aside_with_its_reason(rig: Telling) -> None:
    assert isinstance(rig.tool, Teller)
    for ident in ("a", "odd", "b", "c"):
        rig.say(ident)
    rig.tool.since["odd"] = -(1 << 70)

    rig.work()

    assert rig.known() == dict.fromkeys(("a", "b", "c"), 1)
    with rig.store.looking() as driver:
        (letter,) = work.dead_letters(driver)
    assert (letter.document, letter.stage) == ("thing:odd", "commit")
    assert letter.reason
    assert rig.accounts()["tool"].pending == 0
    assert rig.store.verify().sound


def test_a_list_with_such_a_document_is_taken_in_but_for_that(rig: Telling) -> None:
    assert isinstance(rig.tool, Teller)
    rig.tool.lists_whole = rig.clock
    rig.tool.since["odd"] = -(1 << 70)
    for ident in ("a", "b", "odd", "z"):
        rig.tool.put(ident, 1)

    rig.ingest.sweep("tool")
    rig.work()

    assert rig.known() == dict.fromkeys(("a", "b", "z"), 1)
    with rig.store.looking() as driver:
        assert [one.document for one in work.dead_letters(driver)] == ["thing:odd"]


def test_a_fault_and_a_version_may_hold_a_nul(rig: Telling) -> None:
    assert isinstance(rig.tool, Teller)
    rig.tool.faults = [SourceGarbled("so\0so")]
    rig.tool.mark = "\0"
    rig.say("odd")
    rig.work()
    rig.wait_and_work(3_600)
    rig.tool.put("listed", 2)

    rig.ingest.sweep("tool")
    rig.work()
    rig.tool.asked.clear()
    rig.ingest.sweep("tool")
    rig.work()

    assert rig.known() == {"odd": 1, "listed": 2}
    assert ("odd",) not in rig.tool.asked, "it is of the version that was listed before"


#: What PostgreSQL says of values, and of itself, and what each of it means.
_SAID: dict[str, type[StoreError]] = {
    "54000": Unstorable, "22021": Unstorable, "22003": Unstorable,
    "08006": Unreachable, "57P01": Unreachable, "58030": StoreError, "53200": StoreError,
}  # fmt: skip


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
@pytest.mark.parametrize(("code", "meaning"), _SAID.items())
def test_a_server_that_refuses_a_value_is_not_taken_for_one_that_is_away(
    graph: Graph, code: str, meaning: type[StoreError]
) -> None:
    raising = f"DO $$ BEGIN RAISE EXCEPTION 'so' USING ERRCODE = '{code}'; END $$"
    with pytest.raises(meaning) as raised, graph.store.working() as ledger:
        ledger.driver.run(raising)

    assert isinstance(raised.value, Unreachable) == (meaning is Unreachable)


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
def test_a_value_that_an_index_cannot_hold_is_said_to_be_that(graph: Graph) -> None:
    for value in (LONG, "a\0b"):
        with pytest.raises(Unstorable), graph.store.working() as ledger:
            ledger.insert(schema.facet_value, [(1, "tag", value)])


def test_a_stage_is_read_beside_a_nul(graph: Graph) -> None:
    graph.say(said(PLAYS, stage="production", note="a\0b"), said(TITLES, stage="sta\0ging"))

    with graph.store.read(LOCAL) as reader:
        keys: Any = reader.keys([PLAYS, TITLES])
        stages, _ = reader.stages()
    assert stages == {keys[PLAYS]: "production", keys[TITLES]: "sta\0ging"}

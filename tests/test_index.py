"""The lineage index (P7): always the store's answers, whatever happens to it or to the feed."""

from __future__ import annotations

import os
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings

from lineal import query
from lineal.access import LOCAL
from lineal.config import Config
from lineal.errors import ConfigError
from lineal.lineage import Graph, Link, Way, walk
from lineal.lineage.engine.held import Held
from lineal.model import Budget, EdgeStatement, Record, Removal, Statement, Uri
from lineal.query import Questions
from lineal.query.index import Index
from lineal.query.walks import Ask
from lineal.shapes import Shapes
from lineal.store import Batch, Reader, Store
from tests import world
from tests.databases import fresh
from tests.test_engine_walks import PHASES, WIDE, Told, _word, by_hops, histories
from tests.test_lineage import DAY, SHAPES, documents, empty, graph, name, uri

FOLLOWED = int(os.environ.get("LINEAL_WALK_EXAMPLES", "20"))
#: What walks go over or look at.
KINDS = (
    *SHAPES.kinds_in(("data", "serve", "feedback", "control", "level")), "points_to",
)  # fmt: skip


def _opened(folder: Path) -> Store:
    path = folder / "x.db"
    path.write_bytes(empty())
    return Store(path, shapes=SHAPES, now=lambda: 20 * DAY)


def _same(index: Index, reader: Reader, seen: Counter[str]) -> None:
    """Hold every edge and every walk of the index against the store's."""
    keys = [key for key in range(1, 60) if key in reader.known([key])]
    held = index.graph(reader)
    seen["from memory"] += held is not reader

    def rows(links: list[Link], end: str) -> list[tuple[object, ...]]:
        return [
            (getattr(link, end), link.src, link.kind, link.dst, link.layer, link.document,
             link.valid_from)
            for link in links
        ]  # fmt: skip

    assert rows(held.outward(keys, KINDS), "src") == rows(reader.outward(keys, KINDS), "src")
    assert rows(held.inward(keys, KINDS), "dst") == rows(reader.inward(keys, KINDS), "dst")
    assert held.groups(keys) == reader.groups(keys)
    assert held.types(keys) == reader.types(keys)
    for key in keys:
        for upstream in (True, False):
            for logical in (True, False):
                way = Way(upstream, logical)
                there, here = (
                    walk(one, SHAPES, [key], way, WIDE) for one in (reader, held)
                )  # fmt: skip
                assert (here.reached, here.steps, here.contained, here.feedback) == (
                    there.reached, there.steps, there.contained, there.feedback,
                )  # fmt: skip
                found = index.reach(reader, [key], way, WIDE)
                if found is None:
                    seen["left to the store"] += 1
                    continue
                seen["on rows"] += 1
                reach, names = found
                columns = (reach.things, reach.depths, reach.possible, reach.approximate)
                answer = {
                    min(names(thing)): tuple(rest)
                    for thing, *rest in zip(*(one.tolist() for one in columns), strict=True)
                }
                assert answer == by_hops(reader, key, way, WIDE)[0], (key, way)


def test_after_every_commit_the_index_answers_as_the_store_does(tmp_path_factory) -> None:
    """Identity, aliases, snapshots, columns, removals: whatever changes spoils enough rows."""
    seen: Counter[str] = Counter()

    @settings(max_examples=FOLLOWED, suppress_health_check=list(HealthCheck), phases=PHASES)
    @given(histories())
    def follows(told: Told) -> None:
        with closing(_opened(tmp_path_factory.mktemp("follow"))) as store:
            index = Index(store)
            for day, words in enumerate(told.commits, 10):
                store.commit(Batch([_word(*one, day) for one in words.items()], "t", "t"))
                if day == 10:
                    assert index.build()
                with store.read(LOCAL) as reader:
                    _same(index, reader, seen)
            seen["kept up"] += len(told.commits) > 1 and index.builds == 1
            seen["over changed rows"] += index.over

    follows()
    for feature in (
        "from memory", "left to the store", "on rows", "kept up", "over changed rows",
    ):  # fmt: skip
        assert seen[feature] > 0, f"{feature} never occurred: {dict(seen)}"


def test_what_a_small_commit_does_not_touch_is_still_walked_on_rows(tmp_path: Path) -> None:
    told = [f"x{at}: d.{at + 1} derived_from d.{at}" for at in range(20)]
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(told, 10), "test", "test"))
        index = Index(store)
        index.build()
        store.commit(Batch(documents(["y: d.30 derived_from d.20"], 11), "test", "test"))
        with store.read(LOCAL) as reader:
            keys = reader.keys([uri("d.5"), uri("d.19"), uri("d.30")])
            up, down = Way(upstream=True, logical=True), Way(upstream=False, logical=True)

            assert index.reach(reader, [keys[uri("d.5")]], up, WIDE) is not None
            assert index.over == 0
            over = index.reach(reader, [keys[uri("d.5")]], down, WIDE)
            assert over is not None
            assert len(over[0]) == 17
            assert index.over == 1
            over = index.reach(reader, [keys[uri("d.30")]], up, WIDE)
            assert over is not None
            assert len(over[0]) == 22
            found = walk(index.graph(reader), SHAPES, [keys[uri("d.19")]], down, WIDE)
            names = {name(of) for of in reader.uris(found.reached).values()}

    assert names == {"d.19", "d.20", "d.30"}


def test_a_job_is_walked_again_once_its_columns_are_no_more_stated(tmp_path: Path) -> None:
    """The run of a version outlives the document whose columns it was hidden behind."""
    from_columns = [
        "x: s.1 produced_by r.1",
        "x: c.0 column_of d.0",
        "x: c.0 derived_from c.1",
        "y: s.1 version_of d.0",
    ]
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(from_columns, 10), "test", "test"))
        index = Index(store)
        index.build()
        (word,) = documents([from_columns[0]], 11)
        store.commit(Batch([word], "test", "test"))
        with store.read(LOCAL) as reader:
            seen: Counter[str] = Counter()
            (run,) = reader.keys([uri("r.1")]).values()
            reached = walk(reader, SHAPES, [run], Way(upstream=False, logical=True), WIDE).reached
            _same(index, reader, seen)

    assert len(reached) > 1


@pytest.mark.parametrize("lost", [2, 3, 4])
def test_a_gap_in_the_feed_is_noticed_and_not_served(tmp_path: Path, lost: int) -> None:
    with closing(_opened(tmp_path)) as store:
        for at in range(4):
            if at == 1:
                index = Index(store)
                index.build()
            word = documents([f"x{at}: d.{at + 1} derived_from d.{at}"], 10)
            store.commit(Batch(word, "test", "test"))
        with sqlite3.connect(store.path) as connection:
            connection.execute("DELETE FROM tx WHERE t = ?", (lost,))
        with store.read(LOCAL) as reader:
            assert index.graph(reader) is reader
            assert index.gaps == 1
            (key,) = reader.keys([uri("d.4")]).values()
            assert index.reach(reader, [key], Way(upstream=True, logical=True), WIDE) is None
        # Built anew it stands after the gap.
        assert index.build()
        with store.read(LOCAL) as reader:
            _same(index, reader, Counter())
            assert index.graph(reader) is not reader


def test_an_older_snapshot_is_answered_at_its_own_basis(tmp_path: Path) -> None:
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(["x: d.b derived_from d.a"], 10), "test", "test"))
        index = Index(store)
        index.build()
        with store.read(LOCAL) as older:
            store.commit(Batch(documents(["y: d.c derived_from d.b"], 11), "test", "test"))
            with store.read(LOCAL) as newer:
                for reader, reached in ((newer, 3), (older, 2), (newer, 3)):
                    graph, (key,) = index.graph(reader), reader.keys([uri("d.a")]).values()
                    way = Way(upstream=False, logical=True)
                    assert graph is not reader
                    assert len(walk(graph, SHAPES, [key], way, WIDE).reached) == reached
        assert index.then == 1


def test_a_claim_that_ends_by_itself_is_not_walked_after_its_end(tmp_path: Path) -> None:
    """Nobody says anything then: only the time goes on."""
    clock = [20 * DAY]
    path = tmp_path / "x.db"
    path.write_bytes(empty())
    with closing(Store(path, shapes=SHAPES, now=lambda: clock[0])) as store:
        told = Told([{"a": []}])
        (word,) = documents(["x: m.a points_to v.1", "y: d.b derived_from d.a"][1:], 10)
        ending = word.edges[0].__class__(uri("d.b"), "derived_from", uri("d.a"), valid_to=30 * DAY)
        assert told.commits
        store.commit(
            Batch([Record("tool", "y", word.subject, (), (ending,), 10 * DAY)], "test", "test")
        )
        index = Index(store)
        index.build()
        for clock[0], reached in ((29 * DAY, 2), (31 * DAY, 1)):
            with store.read(LOCAL) as reader:
                (key,) = reader.keys([uri("d.b")]).values()
                way = Way(upstream=True, logical=True)
                assert index.graph(reader) is not reader
                assert len(walk(index.graph(reader), SHAPES, [key], way, WIDE).reached) == reached
                found = index.reach(reader, [key], way, WIDE)
                assert found is None or len(found[0]) == reached
        assert index.builds == 1


def test_what_is_said_after_it_was_built_begins_and_ends_by_itself_too(tmp_path: Path) -> None:
    """Rows that were made anew are not kept beyond the time for which they are so."""
    clock = [20 * DAY]
    path = tmp_path / "x.db"
    path.write_bytes(empty())
    with closing(Store(path, shapes=SHAPES, now=lambda: clock[0])) as store:
        store.commit(Batch(documents(["x: d.1 derived_from d.0"], 10), "test", "test"))
        index = Index(store)
        index.build()
        for document, name_, until in (("y", "d.2", 30), ("w", "d.3", None)):
            edge = EdgeStatement(
                uri(name_), "derived_from", uri("d.1"), valid_to=until and until * DAY
            )
            said = Record("tool", document, uri(name_), (), (edge,), 20 * DAY)
            store.commit(Batch([said], "test", "test"))
        reached = {}
        for day in (21, 29, 31):
            clock[0] = day * DAY
            with store.read(LOCAL) as reader:
                (key,) = reader.keys([uri("d.0")]).values()
                found = index.reach(reader, [key], Way(upstream=False, logical=True), WIDE)
                assert found is not None
                reached[day] = len(found[0])

    assert reached == {21: 4, 29: 4, 31: 3}
    assert index.builds == 1


def test_an_index_that_may_take_no_memory_leaves_all_to_the_store(tmp_path: Path) -> None:
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(["x: d.b derived_from d.a"], 10), "test", "test"))
        index = Index(store, memory=10)

        assert not index.build()
        with store.read(LOCAL) as reader:
            assert index.graph(reader) is reader
            _same(index, reader, Counter())


def test_dropped_runs_are_not_walked_from_memory(tmp_path: Path) -> None:
    """Retention names what it drops, not what that was joined to: all is read again."""
    from lineal.store import Policy  # noqa: PLC0415

    told = [f"x{at}: r.{at} reads d.a" for at in range(3)]
    said = [
        Record("tool", f"r{at}", run, (Statement(run, {"status": "done"}),), (), 10 * DAY)
        for at in range(3) for run in (uri(f"r.{at}"),)
    ]  # fmt: skip
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch([*documents(told, 10), *said], "test", "test"))
        index = Index(store)
        index.build()
        policy = Policy(frozenset({"run"}), 25 * DAY, keep=0)
        assert store.drop(policy, actor="test").things
        with store.read(LOCAL) as reader:
            _same(index, reader, Counter())


def test_questions_answer_alike_with_and_without_the_index() -> None:
    told = [
        "etl: r.one run_of p.etl", "etl: r.one reads d.raw", "etl: d.out produced_by r.one",
        "f.hours derived_from d.out", "f.hours in_set fs.watched", "v.v1 consumes f.hours",
        "v.v2 consumes fs.watched", "v.v1 version_of m.ranker", "v.v2 version_of m.ranker",
        "m.ranker points_to v.v1", "dep.home deploys v.v1", "dep.home deployed_on svc.home",
        "v.v1 served_in x.one", "x.one cell_of t.12345", "dep.home logs_to d.log",
        "d.out same_as d.path", "c.sum column_of d.out", "c.sum derived_from c.id",
    ]  # fmt: skip
    with graph(told) as store:
        index = Index(store)
        plain, fast = Questions(store), Questions(store, index=index)
        index.build()
        for later in ([], ["x: v.v3 version_of m.ranker", "y: m.ranker points_to v.v3"]):
            if later:
                store.commit(Batch(documents(later, 12), "test", "test"))
            for at in _everything(plain):
                for question in _ASKED:
                    assert _answer(fast, question, at) == _answer(plain, question, at), (
                        question, at,
                    )  # fmt: skip
        assert index.builds == 1


_ASKED = (
    "lineage", "impact", "feeds", "data_pipelines", "data_behind", "complete_lineage", "tests_of",
    "models_downstream", "sharers", "data_under", "around", "owners_of_chain", "closure",
    "similar", "wanted",
)  # fmt: skip


def _everything(ask: Questions) -> list[Uri]:
    with ask._store.read(LOCAL) as reader:
        return sorted(reader.uris(reader.of_types(list(SHAPES.types))).values())


def _answer(ask: Questions, question: str, at: Uri) -> object:
    from lineal.errors import LinealError  # noqa: PLC0415

    asked = [at] if question in ("lineage", "impact", "closure") else at
    try:
        return getattr(ask, question)(LOCAL, asked)
    except LinealError as error:
        return error.code


def test_what_breaks_by_a_hub_is_told_whole_where_there_is_an_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step by step it is cut at the question's budget, and says so."""
    monkeypatch.setattr(query, "_WIDE", Ask(Budget(nodes=40, edges=100)))
    told = [f"f{at}: f.{at} derived_from d.hub" for at in range(150)]
    told += [f"v{at}: v.{at} consumes f.{at}" for at in range(150)]
    told += [f"m{at}: v.{at} version_of m.{at}" for at in range(150)]
    told += ["n: m.3 same_as m.alias"]
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(told, 10), "test", "test"))
        cut = Questions(store).models_downstream(LOCAL, uri("d.hub"))
        assert not cut.complete
        assert len(cut.value) < 150
        index = Index(store)
        index.build()
        ask = Questions(store, index=index)
        whole = ask.models_downstream(LOCAL, uri("d.hub"))
        assert whole.complete
        assert len(whole.value) == 150
        lineage = ask.lineage(LOCAL, [uri("d.hub")], ask=Ask(Budget(nodes=40)))
        # The hub, its features, and the models that stand for their versions.
        assert [(one.limit, one.what, one.total) for one in lineage.why] == [
            ("nodes", "of all", 301)
        ]
        store.commit(Batch(documents(["x: m.new points_to v.3", "f9: f.9 in_set fs.1"], 11), "t",
                           "t"))  # fmt: skip
        # More than is usual is counted whole; but no farther than was asked.
        monkeypatch.setattr(query.walks, "Budget", lambda: Budget(depth=5, nodes=20, edges=200))
        some = ask.impact(LOCAL, [uri("d.hub")], ask=Ask(Budget(nodes=20, edges=2_000)))
        near = ask.impact(LOCAL, [uri("d.hub")], ask=Ask(Budget(depth=1, nodes=200, edges=2_000)))
        wide = Ask(Budget(nodes=50_000, edges=500_000))
        by_walk = Questions(store).impact(LOCAL, [uri("d.hub")], ask=wide)
        assert by_walk.complete
        assert (some.total, some.value.by_type) == (by_walk.total, by_walk.value.by_type)
        # The document of the ninth feature says something else by now.
        assert near.value.by_type == {"feature": 149}
        assert {hit.depth for hit in near.value.hits} == {1}
        told_now = ask.models_downstream(LOCAL, uri("d.hub"))
        monkeypatch.undo()
        assert told_now == Questions(store).models_downstream(LOCAL, uri("d.hub"))


def test_whose_things_are_is_told_from_memory_for_all_that_is_touched(tmp_path: Path) -> None:
    """Owners of more things than one slice, of wholes and under other names; then one changes."""
    many = [f"x{at}: d.{at} derived_from d.a" for at in range(250)]
    many += ["c: c.1 column_of d.3", "f: f.1 derived_from c.1", "f: f.1 in_set fs.1"]
    many += ["n: d.4 same_as d.path"]
    teams = [Uri.of("team", "people", str(at)) for at in range(3)]

    def owned(start: str, team: int, day: int) -> Record:
        return Record("tool", f"own {start}", uri(start), (), (
            EdgeStatement(uri(start), "owned_by", teams[team]),
        ), day * DAY)  # fmt: skip

    with closing(_opened(tmp_path)) as store:
        own = [owned(f"d.{at}", at % 3, 10) for at in range(0, 250, 2)]
        own += [owned("fs.1", 1, 10), owned("d.path", 2, 10)]
        store.commit(Batch([*documents(many, 10), *own], "test", "test"))
        index = Index(store)
        index.build()
        plain, fast = Questions(store), Questions(store, index=index)
        for later in ([], [owned("d.2", 0, 12), owned("fs.1", 2, 12)]):
            if later:
                store.commit(Batch(later, "test", "test"))
            answer = fast.impact(LOCAL, [uri("d.a")])
            assert answer.value == plain.impact(LOCAL, [uri("d.a")]).value
            assert len(answer.value.by_owner) == 4
        with store.read(LOCAL) as reader:
            assert index._standing is not None
            nowhere = Held(
                index._standing.shelves, cast("Graph", _Nothing()), index._standing.changed
            )
            keys = reader.keys([uri("d.4"), uri("d.path"), uri("fs.1")])
            links = nowhere.outward([keys[uri("d.4")], keys[uri("d.path")]], ("owned_by",))
            assert len(links) == 2
            with pytest.raises(AttributeError):
                nowhere.outward([keys[uri("fs.1")]], ("owned_by",))


class _Nothing:
    """No graph: whoever asks it fails."""


def test_removed_documents_leave_the_index_too(tmp_path: Path) -> None:
    with closing(_opened(tmp_path)) as store:
        (word,) = documents(["x: d.b derived_from d.a"], 10)
        store.commit(Batch([word], "test", "test"))
        index = Index(store)
        index.build()
        store.commit(Batch([Removal("tool", word.document, word.subject, 12 * DAY)], "t", "t"))
        with store.read(LOCAL) as reader:
            _same(index, reader, Counter())


def test_an_index_of_a_postgresql_database_is_the_same(tmp_path: Path) -> None:
    """Read by a binary copy there, by whole numbers from SQLite; followed by the same feed."""
    told = [
        "etl: r.one run_of p.etl", "etl: r.one reads d.raw", "etl: d.out produced_by r.one",
        "f.hours derived_from d.out", "v.v1 consumes f.hours", "v.v1 version_of m.ranker",
        "v.v2 version_of m.ranker", "d.out same_as d.path", "view: c.sum column_of d.out",
        "view: c.sum derived_from c.id", "view: d.out derived_from d.other",
    ]  # fmt: skip
    with (
        fresh("postgres", tmp_path) as place,
        closing(Store(place, shapes=SHAPES, now=lambda: 20 * DAY)) as store,
    ):
        store.commit(Batch(documents(told, 10), "test", "test"))
        index, seen = Index(store), Counter[str]()
        assert index.build()
        with store.read(LOCAL) as reader:
            _same(index, reader, seen)
        later = ["x: v.v3 version_of m.ranker", "y: m.ranker points_to v.v3"]
        store.commit(Batch(documents(later, 12), "test", "test"))
        with store.read(LOCAL) as reader:
            _same(index, reader, seen)
    assert seen["on rows"] > 0 < seen["from memory"]


# ── The file ─────────────────────────────────────────────────────────────────────────────────────


def _kept(folder: Path) -> tuple[Path, Path]:
    """Return a database that was told something, and the file of its index."""
    told = [
        "etl: r.one run_of p.etl", "etl: r.one reads d.raw", "etl: d.out produced_by r.one",
        "v.v1 consumes f.hours", "v.v1 version_of m.ranker", "v.v2 version_of m.ranker",
        "f.hours derived_from d.out", "d.out same_as d.path", "svc.a calls svc.b",
        "dep.home deploys v.v1", "dep.home deployed_on svc.b",
    ]  # fmt: skip
    with closing(_opened(folder)) as store:
        store.commit(Batch(documents(told, 10), "test", "test"))
        file = folder / "x.index"
        assert Index(store, file=file).build()
        return store.path, file


def test_a_cold_process_maps_the_file_and_follows_the_feed_from_there(tmp_path: Path) -> None:
    path, file = _kept(tmp_path)
    with closing(Store(path, shapes=SHAPES, now=lambda: 20 * DAY)) as store:
        store.commit(Batch(documents(["x: m.ranker points_to v.v1"], 12), "test", "test"))
        index, seen = Index(store, file=file), Counter[str]()

        assert index.recall()
        with store.read(LOCAL) as reader:
            _same(index, reader, seen)
        assert index.builds == 0
        assert seen["on rows"] > 0 < seen["from memory"]


def test_a_damaged_file_is_no_file(tmp_path: Path) -> None:
    """Cut anywhere, or one bit of it changed: it costs time, never an answer."""
    path, file = _kept(tmp_path)
    whole = file.read_bytes()
    with closing(Store(path, shapes=SHAPES, now=lambda: 20 * DAY)) as store:
        index = Index(store, file=file)
        starts = _everything(Questions(store))[:6]
        for number, at in enumerate(range(0, len(whole), max(1, len(whole) // 60))):
            file.write_bytes(whole[:at])
            assert not index.recall(), f"cut at {at}"
            flipped = bytearray(whole)
            flipped[at] ^= 4
            file.write_bytes(flipped)
            damaged, seen = Index(store, file=file), Counter[str]()
            if number % 3 == 0 and damaged.recall():
                # Each block is looked at when it is read: what it holds is never told.
                with store.read(LOCAL) as reader:
                    _same(damaged, reader, seen)
            if number % 3 == 1 and damaged.recall():
                for start in starts:
                    found = _answer(Questions(store, index=damaged), "closure", start)
                    assert found == _answer(Questions(store), "closure", start), f"a bit at {at}"
            again = Index(store, file=file)
            assert not (again.recall() and again.settle()), f"a bit at {at}"
        file.unlink()
        assert not index.recall()
        with store.read(LOCAL) as reader:
            assert index.graph(reader) is reader
        assert index.build()
        assert file.exists()


def test_a_file_of_another_history_or_of_other_shapes_is_of_no_use(tmp_path: Path) -> None:
    _, file = _kept(tmp_path)
    more = tmp_path / "more.yaml"
    more.write_text(
        "types:\n  note:\n    title: Note\n    plural: notes\n    domain: data\n"
        "    description: A note.\n",
        encoding="utf-8",
    )
    other = tmp_path / "other"
    other.mkdir()
    with closing(_opened(other)) as store:
        store.commit(Batch(documents(["x: d.b derived_from d.a"], 10), "test", "test"))
        assert not Index(store, file=file).recall()
    shapes = Shapes.load(more)
    with closing(Store(tmp_path / "x.db", shapes=shapes, now=lambda: 20 * DAY)) as store:
        assert not Index(store, file=file).recall()
    with closing(Store(tmp_path / "x.db", shapes=SHAPES, now=lambda: 20 * DAY)) as store:
        assert Index(store, file=file).recall()


def test_a_server_keeps_an_index_and_leaves_its_file_to_the_next(tmp_path: Path) -> None:
    """Nothing waits for it: until it is built the store answers."""
    with world.told(tmp_path) as lineal:
        asked = [world.V5, world.PLAYS, world.MODEL]
        before = [lineal.ask.lineage(LOCAL, [at]).value for at in asked]
        used = (lineal.ask.shared(LOCAL).value, lineal.ask.unused(LOCAL, days=0).value)
        assert used[0]
        lineal.start()
        index = lineal.ask.index
        assert index is not None
        for _ in range(300):
            with lineal.store.read(LOCAL) as reader:
                if index.graph(reader) is not reader:
                    break
            time.sleep(0.1)
        else:
            pytest.fail("It was never built.")
        assert [lineal.ask.lineage(LOCAL, [at]).value for at in asked] == before
        assert (lineal.ask.shared(LOCAL).value, lineal.ask.unused(LOCAL, days=0).value) == used
        lineal.stop()
        assert lineal.ask.index is None
    assert (tmp_path / "lineal.db.index").exists()


def test_an_installation_may_do_without_it() -> None:
    assert Config.from_environment({}).index
    assert not Config.from_environment({"LINEAL_INDEX": "off"}).index
    with pytest.raises(ConfigError):
        Config.from_environment({"LINEAL_INDEX": "perhaps"})

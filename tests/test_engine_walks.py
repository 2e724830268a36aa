"""Walks on compiled rows, by both kernels, hop by hop, and by a reference: they agree."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lineal.access import LOCAL
from lineal.lineage import Way, walk
from lineal.lineage.engine import compiled_is_there
from lineal.lineage.engine.walkgraph import WalkGraph
from lineal.model import Budget, EdgeStatement, Layer, Moment, Record, Removal, Statement, Uri
from lineal.store import Batch, Reader, Store
from lineal.store.schema import LAYERS
from tests.lineage_reference import Reference, Row
from tests.test_lineage import DAY, SHAPES, empty, examples, graph, name, uri

#: Without shrinking: one example is a thousand walks, and the message names what differs.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
KERNELS = ["numpy", *(["numba"] if compiled_is_there() else [])]
EXAMPLES = int(os.environ.get("LINEAL_WALK_EXAMPLES", "50"))
WIDE = Budget(1_000, 1_000_000, 10_000_000, 600_000)
ALL = frozenset(LAYERS)

#: What may be said: a kind between two letters; levels are drawn more often than others.
LEVEL = (
    "c column_of d", "c column_of d", "s version_of d", "v version_of m", "v version_of m",
    "r run_of p", "r run_of p", "f in_set fs", "x cell_of t", "p part_of p", "r part_of r",
)  # fmt: skip
STEP = (
    "c derived_from c", "c derived_from c", "d derived_from d", "s derived_from s",
    "f derived_from d", "f derived_from c", "fs derived_from d", "d produced_by p",
    "d produced_by r", "s produced_by r", "v produced_by r", "fs produced_by p", "r reads d",
    "r reads s", "r reads fs", "p reads d", "p reads v", "svc reads d", "v consumes f",
    "v consumes fs", "m consumes f", "v trained_on d", "v trained_on s", "v tuned_from v",
    "m tuned_from m", "dep deploys v", "dep deploys m", "dep deployed_on svc", "svc calls svc",
    "svc calls svc", "v served_in x", "t measured_by d", "dep logs_to d", "p depends_on p",
)  # fmt: skip
OTHER = (
    "d same_as d", "d same_as d", "m same_as m", "c same_as c", "d not_same_as d",
    "m points_to v", "m points_to v",
)  # fmt: skip
NUMBER = {"d": 3, "c": 4, "svc": 4, "v": 3, "s": 3, "r": 3}


def _said(*lines: str) -> list[EdgeStatement]:
    parts = [line.split() for line in lines]
    return [EdgeStatement(uri(start), kind, uri(end)) for start, kind, end in parts]


#: What only tells something together: law 3, versions of one model, snapshots of one table, loops.
TOGETHER = (
    _said(
        "c.0 column_of d.0",
        "c.0 derived_from c.1",
        "d.0 derived_from d.1",
        "d.0 produced_by r.0",
        "r.0 run_of p.0",
        "c.1 column_of d.2",
    ),
    _said(
        "v.0 version_of m.0",
        "v.1 version_of m.0",
        "v.0 consumes f.0",
        "v.1 consumes f.1",
        "m.0 points_to v.1",
        "r.1 reads m.0",
    ),
    _said(
        "s.0 version_of d.0",
        "s.1 version_of d.0",
        "s.1 produced_by r.1",
        "r.2 reads d.0",
        "c.2 column_of d.0",
        "c.2 derived_from c.3",
        "s.1 derived_from s.2",
    ),
    _said(
        "c.2 column_of d.1",
        "c.3 column_of d.1",
        "c.3 derived_from c.2",
        "c.2 derived_from c.3",
        "d.1 same_as d.2",
    ),
    _said(
        "svc.0 calls svc.1",
        "svc.1 calls svc.2",
        "svc.2 calls svc.3",
        "svc.3 reads d.0",
        "dep.0 deployed_on svc.3",
        "dep.0 deploys v.0",
    ),
)


#: What chance may not bring together: an edge that names the whole beside one that names a part of
#: it, a whole of the start that a cycle leads back to, rows that ended and that never were so.
ALWAYS: tuple[dict[str, list[EdgeStatement] | None], ...] = (
    {
        "a": _said(
            "r.1 reads d.0",
            "r.2 reads s.1",
            "s.1 version_of d.0",
            "r.2 run_of p.0",
            "d.2 derived_from d.2",
        ),
        "b": _said("c.0 column_of d.0", "d.1 derived_from d.0", "d.0 derived_from d.1"),
        "c": _said("r.0 reads d.1", "d.2 derived_from d.1"),
        # Idle as a version of one name of the model, active as the only one of the other.
        "e": _said(
            "v.0 version_of m.0",
            "v.1 version_of m.0",
            "m.0 points_to v.1",
            "v.0 version_of m.1",
            "v.0 consumes f.0",
            "m.1 same_as m.0",
        ),
    },
    {"c": _said("r.1 run_of p.0")},
)


@dataclass
class Told:
    """What is told, a commit at a time: documents with their statements, or None for removed."""

    commits: list[dict[str, list[EdgeStatement] | None]] = field(default_factory=list)


def _edge(draw: st.DrawFn, template: str, day: int) -> EdgeStatement:
    start, kind, end = template.split()
    a = draw(st.integers(0, NUMBER.get(start, 2) - 1))
    b = draw(st.integers(0, NUMBER.get(end, 2) - 1))
    layer = draw(st.sampled_from([Layer.DECLARED] * 5 + [Layer.OBSERVED, Layer.SUGGESTED]))
    since = draw(st.sampled_from([None, None, None, 1, day]))
    until = draw(st.sampled_from([None] * 7 + [15, 40]))
    return EdgeStatement(
        uri(f"{start}.{a}"), kind, uri(f"{end}.{b}"),
        layer=layer,
        valid_from=None if since is None else since * DAY,
        valid_to=None if until is None else until * DAY,
    )  # fmt: skip


@st.composite
def histories(draw: st.DrawFn) -> Told:
    """Return some commits about few things, so that much meets."""
    told = Told()
    for day in range(10, 10 + draw(st.integers(1, 3))):
        documents: dict[str, list[EdgeStatement] | None] = {}
        for document in draw(
            st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True)
        ):
            if day > 10 and draw(st.integers(0, 5)) == 0:
                documents[document] = None
                continue
            chosen = draw(
                st.lists(
                    st.one_of(
                        st.sampled_from(LEVEL), st.sampled_from(STEP), st.sampled_from(STEP),
                        st.sampled_from(OTHER),
                    ),
                    min_size=4, max_size=22,
                )
            )  # fmt: skip
            also = draw(st.sampled_from(TOGETHER)) if draw(st.booleans()) else []
            documents[document] = [*(_edge(draw, template, day) for template in chosen), *also]
        told.commits.append(documents)
    return told


@contextmanager
def kept(told: Told) -> Iterator[tuple[Store, Path]]:
    """Open a store that was told a history; its clock stands at day 20."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.db"
        path.write_bytes(empty())
        with closing(Store(path, shapes=SHAPES, now=lambda: 20 * DAY)) as store:
            for day, documents in enumerate(told.commits, 10):
                store.commit(Batch([_word(*one, day) for one in documents.items()], "t", "t"))
            yield store, path


def _word(name: str, edges: list[EdgeStatement] | None, day: int) -> Record | Removal:
    subject = Uri.of("source", "here", name)
    if edges is None:
        return Removal("tool", name, subject, day * DAY)
    ages = tuple(Statement(uri(f"v.{at}"), {"created_at": f"2026-01-0{5 - at}"}) for at in range(2))
    return Record("tool", name, subject, ages if name == "a" else (), tuple(edges), day * DAY)


def reference(reader: Reader) -> Reference:
    """Read the rows as they lie."""
    rows = [
        Row(src, kind, dst, document, LAYERS[layer], t_from, t_to, valid_from, valid_to, ended,
            None if reason is None else ("changed", "removed", "corrected", "deleted")[reason])
        for src, kind, dst, document, layer, t_from, t_to, valid_from, valid_to, ended, reason
        in reader._driver.rows(
            "SELECT src, text, dst, document, layer, t_from, t_to, valid_from, valid_to, ended_at,"
            " reason FROM edge_out JOIN term ON term.id = kind"
        )
    ]  # fmt: skip
    uris = {key: Uri(text) for key, text in reader._driver.rows("SELECT key, uri FROM entity")}
    said = reader.attributes(uris)
    age = {key: (str(said[key].get("created_at", "")), str(of)) for key, of in uris.items()}
    basis = reader.basis
    return Reference(rows, {key: of.type for key, of in uris.items()}, age, basis.t, basis.valid_at)


Found = dict[int, tuple[int, bool, bool]]


def by_hops(reader: Reader, key: int, way: Way, budget: Budget) -> tuple[Found, list[str]]:
    """Walk through the store; names of one thing together, as answers show them."""
    walked = walk(reader, SHAPES, [key], way, budget)
    groups = reader.groups(list(walked.reached))
    found: dict[int, list[tuple[bool, int, bool, bool]]] = {}
    for at, one in walked.reached.items():
        entry = (one.depth == 0, one.depth, one.possible, one.approximate)
        found.setdefault(min(groups[at]), []).append(entry)
    return {
        at: (min(some)[1], all(one[2] for one in some), all(one[3] for one in some))
        for at, some in found.items()
    }, [cut.limit for cut in walked.why]


def on_rows(
    compiled: WalkGraph, key: int, way: Way, budget: Budget, kernel: str
) -> tuple[Found, list[str]]:
    """Walk on compiled rows."""
    reached = compiled.walk([key], way, budget, kernel=kernel)
    columns = (reached.things, reached.depths, reached.possible, reached.approximate)
    found = {
        int(thing): (int(depth), bool(possible), bool(approximate))
        for thing, depth, possible, approximate in zip(*columns, strict=True)
    }
    assert len(found) == len(reached)
    assert (reached.depths[1:] >= reached.depths[:-1]).all()
    return found, list(reached.why)


#: Ways to choose edges: classes, layers, kinds.
CHOICES: tuple[tuple[frozenset[str], frozenset[str], frozenset[str] | None], ...] = (
    (frozenset({"data", "serve"}), ALL - {"suggested"}, None),
    (frozenset({"data", "serve"}), ALL - {"suggested"}, None),
    (frozenset({"data", "serve", "feedback", "control"}), ALL, None),
    (frozenset({"data"}), frozenset({"declared", "suggested"}), None),
    (frozenset({"data", "serve"}), ALL,
     frozenset({"derived_from", "reads", "produced_by", "calls", "consumes"})),
)  # fmt: skip
MOMENTS = (Moment(), Moment(known_t=1), Moment(valid_at=12 * DAY), Moment(known_t=2, valid_at=DAY))


def _moment(reader_t: int, moment: Moment) -> Moment:
    """Return the moment, or now where there was no such transaction."""
    return Moment() if moment.known_t is not None and moment.known_t > reader_t else moment


def test_reference_rows_and_hops_agree_on_whatever_was_told() -> None:
    """The contract: the same things, as far, and as sure; of now and of the past."""
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=PHASES)
    @given(histories(), st.sampled_from(MOMENTS), st.sampled_from(CHOICES), st.integers(0, 4))
    def agree(told: Told, moment: Moment, choice, depth: int) -> None:
        budget = Budget(depth if depth else WIDE.depth, WIDE.nodes, WIDE.edges, WIDE.milliseconds)
        with kept(told) as (store, _):
            with store.read(LOCAL) as reader:
                last = reader.basis.t
            with store.read(LOCAL, _moment(last, moment)) as reader:
                _agree_at(reader, choice, budget, seen)

    agree()
    for moment, depth in ((Moment(), 20), (Moment(), 1), (Moment(known_t=1), 20)):
        with kept(Told(list(ALWAYS))) as (store, _), store.read(LOCAL, moment) as reader:
            budget = Budget(depth, WIDE.nodes, WIDE.edges, WIDE.milliseconds)
            _agree_at(reader, CHOICES[0], budget, seen)
    for example in examples():
        with graph(example.statements) as store, store.read(LOCAL) as reader:
            _agree_at(reader, CHOICES[0], WIDE, seen)
    for feature in (
        "merged", "lifted", "idle version", "law three", "too many calls", "between names",
        "current snapshot", "corrected row", "ended row", "sibling parts", "mixed grains",
        "cycle", "self-loop", "possible", "approximate", "cut", "shown", "past",
        "whole of the start", "merged wholes", "without rows",
    ):  # fmt: skip
        assert seen[feature] > 0, f"{feature} never occurred: {dict(seen)}"


def test_very_many_runs_add_nothing_to_the_rows_of_few_assets() -> None:
    """Occurrences enter as edges of their wholes: a walk, and its rows, are as without them."""
    work = [f"d.{at + 1} produced_by p.{at}" for at in range(8)]
    work += [f"p.{at} reads d.{at}" for at in range(8)]
    runs = []
    for at in range(8):
        for number in range(40):
            run = f"r.{at}x{number}"
            runs += [f"job: {run} run_of p.{at}", f"job: {run} reads d.{at}"]
            runs.append(f"job: d.{at + 1} produced_by {run}")
    way = Way(upstream=False, logical=True)
    found, sizes = [], []
    for told in (work, [*work, *runs], runs):
        with graph(told) as store, store.read(LOCAL) as reader:
            compiled = WalkGraph.of(reader.picture(SHAPES), SHAPES, logical=True)
            (key,) = reader.keys([uri("d.0")]).values()
            reached = compiled.walk([key], way, WIDE)
            names = reader.uris(reached.things.tolist())
            found.append({
                (name(names[thing]), depth)
                for thing, depth in zip(
                    reached.things.tolist(), reached.depths.tolist(), strict=True
                )
            })  # fmt: skip
            sizes.append(compiled.down.targets.size)

    assert len(found[0]) == 17
    assert found[1] == found[0] == found[2]
    # Eight more where a pipeline may stand as the whole of a part; nothing for 320 runs.
    assert sizes == [16, 24, 16]


def _agree_at(reader: Reader, choice, budget: Budget, seen: Counter[str]) -> None:
    plain = reference(reader)
    _count(plain, seen, reader)
    classes, layers, kinds = choice
    keys = sorted(plain.types)
    for logical in (True, False):
        compiled = WalkGraph.of(reader.picture(SHAPES, timed=True), SHAPES, logical=logical)
        for upstream in (True, False):
            way = Way(upstream, logical, classes, layers, kinds)
            for key in keys:
                if plain.types[key] == "source":
                    continue
                expected = {
                    thing: (one.depth, one.possible, one.approximate)
                    for thing, one in plain.walk(
                        key, upstream=upstream, logical=logical, depth=budget.depth,
                        classes=classes, layers=layers, kinds=kinds,
                    ).items()
                }  # fmt: skip
                hops = by_hops(reader, key, way, budget)
                context = (reader.uris([key])[key], way)
                assert hops[0] == expected, context
                seen["without rows"] += not compiled.knows([key])
                for kernel in KERNELS if compiled.knows([key]) else ():
                    found = on_rows(compiled, key, way, budget, kernel)
                    assert found == hops, "\n".join(
                        [f"{kernel} {context} {found} {hops}", *_so(plain, reader)]
                    )
                _count_found(plain, key, expected, hops[1], seen)
    seen.update(plain.seen)


def _so(plain: Reference, reader: Reader) -> list[str]:
    """Tell what was so, for whoever looks into a difference."""
    uris = reader.uris(plain.types)
    return [
        f"{row.src} {name(uris[row.src])} {row.kind} {row.dst} {name(uris[row.dst])} {row.document}"
        f" {row.layer}"
        for row in plain.now
    ]


def _count(plain: Reference, seen: Counter[str], reader: Reader) -> None:
    """Count what the contract is about."""
    reasons = Counter(row.reason for row in plain.rows)
    seen["corrected row"] += reasons["corrected"]
    seen["ended row"] += reasons["changed"] + reasons["removed"] + reasons["deleted"]
    seen["self-loop"] += sum(row.src == row.dst for row in plain.now)
    wholes = Counter((row.kind, row.dst) for row in plain.now if row.kind == "column_of")
    seen["sibling parts"] += sum(count > 1 for count in wholes.values())
    ends = {(row.kind, plain.types[row.dst]) for row in plain.now}
    seen["mixed grains"] += {("reads", "dataset"), ("reads", "dataset-version")} <= ends
    seen["past"] += not reader.basis.is_now
    seen["merged wholes"] += sum(
        len(plain.names(row.dst)) > 1
        for row in plain.now
        if row.kind in ("column_of", "version_of")
    )


def _count_found(
    plain: Reference, key: int, found: Found, why: Sequence[str], seen: Counter[str]
) -> None:
    seen["possible"] += any(one[1] for one in found.values())
    seen["approximate"] += any(one[2] for one in found.values())
    seen["cut"] += "depth" in why
    above = {min(plain.names(whole)) for whole in plain.wholes(key)} - {min(plain.names(key))}
    seen["whole of the start"] += any(found[whole][0] > 0 for whole in above if whole in found)
    seen["cycle"] += any(
        row.dst == key and min(plain.names(row.src)) in found and row.src != key
        for row in plain.now
        if row.kind == "derived_from"
    )
    seen["shown"] += plain.seen.get("law three", 0) > 0

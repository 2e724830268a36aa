"""P9: whatever happens, in whatever order, what stands is what follows from what stands.

Histories of commits over some fifty things: documents are replaced, corrected and withdrawn, names
are joined and parted, rules come, change, go and come in another order, and what is wide is put off
and done later, between other commits. Now and then everything is compared with what another
program, which shares nothing with the rules, works out from the rows.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineal.access import LOCAL
from lineal.enrich.identity import PartsFollow, decision
from lineal.enrich.rules import Rule, RuleBook, book, builtin_rules, columns, read_rule
from lineal.enrich.rules.matching import Matching
from lineal.model import EdgeStatement, Json, Layer, Record, Removal, Statement, Uri
from lineal.search import describing
from lineal.shapes import Shapes
from lineal.store import Batch, Reader, Store, arrows, concluding
from tests.databases import ENGINES, fresh
from tests.promises.recording import SOAK, ran
from tests.rules_reference import (
    Absent,
    Found,
    Hop,
    Pattern,
    Reference,
    Rows,
    read_rows,
)

SHAPES = Shapes.builtin()

#: How many histories, of how many steps each, and in how many tests, which run side by side.
HISTORIES = int(os.environ.get("LINEAL_HISTORIES", "10000" if SOAK else "1000"))
STEPS, PARTS = 30, 8

TYPES = {
    "model-version": 10,
    "run": 8,
    "ab-cell": 5,
    "ab-test": 3,
    "pipeline": 4,
    "dataset": 7,
    "model": 4,
    "team": 3,
    "user": 3,
    "domain": 2,
    "deployment": 4,
}
THINGS = {kind: [Uri.of(kind, "here", f"{kind[0]}{n}") for n in range(count)]
          for kind, count in TYPES.items()}  # fmt: skip
EVERY = [uri for some in THINGS.values() for uri in some]
#: What may be stated, more often what rules look at.
STATED = [
    *4 * [("model-version", "produced_by", "run")],
    *2 * [("run", "part_of", "run")],
    *4 * [("run", "executed_for", "ab-cell")],
    *4 * [("ab-cell", "cell_of", "ab-test")],
    *5 * [("model-version", "served_in", "ab-cell")],
    ("dataset", "produced_by", "pipeline"),
    ("dataset", "derived_from", "dataset"),
    ("model", "trained_on", "dataset"),
    ("model", "owned_by", "team"),
    ("dataset", "owned_by", "user"),
    ("user", "member_of", "team"),
    ("team", "member_of", "team"),
    ("team", "in_domain", "domain"),
    ("dataset", "in_domain", "domain"),
    *3 * [("model-version", "version_of", "model")],
    ("model", "points_to", "model-version"),
]

#: Rules of tests beside those that come with Lineal.
TESTED_FOR = """
name: tested_for
version: 1
match: (m:model-version)-[:served_in]->(c:ab-cell)-[:cell_of]->(t:ab-test)
gives: (m)-[:trained_for]->(t)
why: "{m} is served in {t}."
"""
RIVALS = """
name: rivals
version: {version}
match: (a:model-version)-[:trained_for]->(t:ab-test)<-[:trained_for]-(b:model-version)
where: a.id {sign} b.id
gives: (a)-[:superseded_by]->(b)
why: "{{a}} and {{b}} were trained for {{t}}."
"""

#: What there must not be begins at fewer types than the rule does, and may be gone in no step.
BARE = """
name: bare
version: 1
match: (x:model|dataset)-[:owned_by]->(o:team|user)
unless: "(x:dataset)-[:derived_from*0..1]->(:dataset)"
gives: (x)-[:owned_by]->(o)
why: "{x}, {o}."
"""


#: A condition on an edge that is gone from its end, and on one that there must not be.
IN_SHADOW = """
name: in_shadow
version: 1
match: (t:ab-test)<-[:cell_of]-(c:ab-cell)<-[s:served_in]-(m:model-version)
where: [s.role == 'shadow', "p.alias == 'champion'"]
unless: "(m)<-[p:points_to]-(:model)"
gives: (m)-[:trained_unserved]->(t)
by: t
why: "{m} is only in the shadow in {c}."
"""

#: A value from which is gone on, and a condition on the first place alone: of things of several
#: names, the value, the edge and what the condition asks for may each be of another.
PACKED = """
name: packed
version: 1
match: (d:deployment), (v:model-version)-[:version_of]->(m:model)
where: d.image_digest == v.image_digest
gives: (d)-[:deploys]->(m)
why: "{d} runs the image of {v}."
"""
EARLY = """
name: early
version: 1
match: (v:model-version)-[:version_of]->(m:model)
where: has(v.created_at) && v.created_at < '2026-01-06'
gives: (v)-[:tuned_from]->(m)
why: "{v} of {m} is an early one."
"""


#: A thing at the end of what there must not be that is another than one of the path.
SOLE = """
name: sole
version: 1
match: (m:model-version)-[:served_in]->(c:ab-cell)-[:cell_of]->(t:ab-test)
unless: "(m)-[:served_in]->(:ab-cell)-[:cell_of]->(o:ab-test)"
where: o != t
gives: (m)-[:served_untrained]->(c)
why: "{m} is served in {t} alone, by {c}."
"""


def rival_rule(version: int) -> Rule:
    """Return a rule that says the opposite in its second version."""
    text = RIVALS.format(version=version, sign="<" if version == 1 else ">")
    return read_rule(text, file="rivals.yaml", shapes=SHAPES)


RULES = {rule.name: replace(rule, enabled=True) for rule in builtin_rules()}
RULES["in_shadow"] = read_rule(IN_SHADOW, file="in_shadow.yaml", shapes=SHAPES)
RULES["packed"] = read_rule(PACKED, file="packed.yaml", shapes=SHAPES)
RULES["early"] = read_rule(EARLY, file="early.yaml", shapes=SHAPES)
RULES["sole"] = read_rule(SOLE, file="sole.yaml", shapes=SHAPES)
RULES["tested_for"] = read_rule(TESTED_FOR, file="tested_for.yaml", shapes=SHAPES)
RULES["rivals"] = rival_rule(1)

#: Whether a rule's edges are kept by their end, and how it is worded here.
MADE = ("dataset", "feature", "feature-set")
DOMAINED = (
    *("dataset", "dashboard", "feature-set", "feature-service", "pipeline", "model", "metric"),
    *("ab-test", "deployment", "service"),
)
PATTERNS = {
    pattern.name: pattern
    for pattern in (
        Pattern(
            "trained_for", ("model-version",),
            (
                Hop(("produced_by",), True, ("run",)),
                Hop(("part_of",), True, ("run",), 0, 3),
                Hop(("executed_for",), True, ("ab-cell",)),
                Hop(("cell_of",), True, ("ab-test",)),
            ),
            "trained_for", (0, 4),
        ),
        Pattern(
            "tested_for", ("model-version",),
            (Hop(("served_in",), True, ("ab-cell",)), Hop(("cell_of",), True, ("ab-test",))),
            "trained_for", (0, 2),
        ),
        Pattern(
            "relies_on", ("team",),
            (
                Hop(("member_of",), False, ("user", "team"), 0, 1),
                Hop(("owned_by",), False, ("pipeline", "model", "service", "dashboard")),
                Hop(("reads", "trained_on", "consumes"), True, MADE),
                Hop(("produced_by",), True, ("pipeline",)),
            ),
            "relies_on", (0, 4),
            unless=(
                Absent(1, (Hop(("member_of",), True, ("team",)),), other=0, types=("user",)),
            ),
        ),
        Pattern(
            "domain_of_owner", DOMAINED,
            (
                Hop(("owned_by",), True, ("user", "team")),
                Hop(("member_of",), True, ("team",), 0, 2),
                Hop(("in_domain",), True, ("domain",), layers=("declared",)),
            ),
            "in_domain", (0, 3),
            unless=(
                Absent(0, (Hop(("in_domain",), True, ("domain",), layers=("declared",)),)),
                Absent(
                    0,
                    (
                        Hop(("owned_by",), True, ("user", "team")),
                        Hop(("member_of",), True, ("team",), 0, 2),
                        Hop(("in_domain",), True, ("domain",), layers=("declared",)),
                    ),
                    other=3,
                ),
            ),
        ),
        Pattern(
            "deployed_artifact", ("deployment",),
            (Hop((), True, ("model-version",), equal=("image_digest", "image_digest")),),
            "deploys", (0, 1),
        ),
        Pattern(
            "packed", ("deployment",),
            (
                Hop((), True, ("model-version",), equal=("image_digest", "image_digest")),
                Hop(("version_of",), True, ("model",)),
            ),
            "deploys", (0, 2),
        ),
        Pattern(
            "early", ("model-version",),
            (Hop(("version_of",), True, ("model",)),),
            "tuned_from", (0, 1),
            where=lambda things, said: said[things[0]].get("created_at", "9") < "2026-01-06",
        ),
        Pattern(
            "trained_unserved", ("model-version",),
            (Hop(("trained_for",), True, ("ab-test",)),),
            "trained_unserved", (0, 1),
            where=lambda things, said: said[things[1]].get("status") == "running",
            unless=(
                Absent(
                    0,
                    (
                        Hop(("served_in",), True, ("ab-cell",)),
                        Hop(("cell_of",), True, ("ab-test",)),
                    ),
                    end=1,
                ),
            ),
        ),
        Pattern(
            "served_untrained", ("model-version",),
            (Hop(("served_in",), True, ("ab-cell",)), Hop(("cell_of",), True, ("ab-test",))),
            "served_untrained", (0, 1),
            unless=(Absent(0, (Hop(("trained_for",), True, ("ab-test",)),), end=2),),
        ),
        Pattern(
            "in_shadow", ("ab-test",),
            (
                Hop(("cell_of",), False, ("ab-cell",)),
                Hop(
                    ("served_in",), False, ("model-version",),
                    fits=lambda said: said.get("role") == "shadow",
                ),
            ),
            "trained_unserved", (2, 0),
            unless=(
                Absent(
                    2,
                    (
                        Hop(
                            ("points_to",), False, ("model",),
                            fits=lambda said: said.get("alias") == "champion",
                        ),
                    ),
                ),
            ),
        ),
        Pattern(
            "sole", ("model-version",),
            (Hop(("served_in",), True, ("ab-cell",)), Hop(("cell_of",), True, ("ab-test",))),
            "served_untrained", (0, 1),
            unless=(
                Absent(
                    0,
                    (
                        Hop(("served_in",), True, ("ab-cell",)),
                        Hop(("cell_of",), True, ("ab-test",)),
                    ),
                    other=2,
                ),
            ),
        ),
        Pattern(
            "superseded_version", ("model-version",),
            (
                Hop(("version_of",), True, ("model",)),
                Hop(
                    ("points_to",), True, ("model-version",),
                    fits=lambda said: said.get("alias") != "candidate",
                ),
            ),
            "superseded_by", (0, 2),
            where=lambda things, said: (
                "created_at" in said[things[0]]
                and "created_at" in said[things[2]]
                and said[things[0]]["created_at"] < said[things[2]]["created_at"]
            ),
        ),
    )
}  # fmt: skip
#: In an order in which each comes after those whose edges it looks at.
ORDER = (
    *("trained_for", "tested_for", "relies_on", "domain_of_owner", "deployed_artifact"),
    *("trained_unserved", "served_untrained", "in_shadow", "rivals", "superseded_version"),
    *("packed", "early", "sole"),
)


def rivals_pattern(version: int) -> Pattern:
    def fits(things: Sequence[str], said: Mapping[str, Mapping[str, Any]]) -> bool:
        one, other = (things[at].rsplit("/", 1)[1] for at in (0, 2))
        return one < other if version == 1 else one > other

    hops = (
        Hop(("trained_for",), True, ("ab-test",)),
        Hop(("trained_for",), False, ("model-version",)),
    )
    return Pattern("rivals", ("model-version",), hops, "superseded_by", (0, 2), where=fits)


@dataclass
class History:
    """One run of steps on one database, and what was met on the way."""

    engine: str
    place: Any
    seed: int
    seen: Counter[str] = field(default_factory=Counter)
    now: int = 1_000
    in_use: dict[str, int] = field(default_factory=dict)
    #: What is thrown; None: by the seed.
    dice: random.Random | None = None

    def __post_init__(self) -> None:
        self.chance = self.dice or random.Random(self.seed)
        names = [*PATTERNS, "rivals"]
        self.in_use = dict.fromkeys(self.chance.sample(names, self.chance.randint(11, 12)), 1)
        self.documents: set[str] = set()

    # ── Steps ────────────────────────────────────────────────────────────────────────────────

    def run(self) -> None:
        store = self.opened()
        try:
            for step in range(STEPS):
                self.now += self.chance.randint(1, 2_000)
                deed = self.chance.choices(
                    (self.say, self.describe, self.drop, self.join, self.part, self.follow),
                    (10, 6, 1, 4, 2, 2),
                )[0]
                deed(store)
                if self.chance.random() < 0.1:
                    store.close()
                    self.change_rules()
                    store = self.opened()
                if self.chance.random() < 0.12 or step == STEPS - 1:
                    self.check(store)
            verified = store.verify()
            assert verified.sound, (self.seed, verified)
        finally:
            store.close()

    def opened(self) -> Store:
        rules = [
            rival_rule(version) if name == "rivals" else RULES[name]
            for name, version in self.in_use.items()
        ]
        self.chance.shuffle(rules)
        return Store(
            self.place, shapes=SHAPES, describe=describing(SHAPES), now=lambda: self.now,
            rules=[PartsFollow(SHAPES.level_kinds), RuleBook(rules, SHAPES)],
        )  # fmt: skip

    def commit(self, store: Store, *words: Record | Removal) -> None:
        committed = store.commit(Batch(words, "test", "test"))
        self.seen["put off"] += committed.t is not None and store.pending_rules().pieces > 0

    def say(self, store: Store) -> None:
        """Replace a document by other edges, of any times; more of them now and then."""
        count = self.chance.choice((0, 2, 3, 4, 8, 16))
        edges = []
        for start, kind, end in self.chance.choices(STATED, k=count):
            since = self.chance.choice((None, None, self.now - self.chance.randint(0, 900)))
            until = since + 400 if since is not None and self.chance.random() < 0.2 else None
            one, other = self.chance.choice(THINGS[start]), self.chance.choice(THINGS[end])
            layer = self.chance.choice((Layer.DECLARED, Layer.OBSERVED))
            said = self.said_of(kind)
            edges.append(EdgeStatement(one, kind, other, said, layer, since, until))
        name = f"d{self.chance.randint(0, 9)}"
        self.seen["corrections"] += name in self.documents
        self.documents.add(name)
        record = Record("tool", name, EVERY[0], (), tuple(edges), self.now)
        self.commit(store, record, *([record] if self.chance.random() < 0.1 else []))

    def said_of(self, kind: str) -> dict[str, Json]:
        """Return what is said of an edge: of some kinds something that rules ask for."""
        said = {
            "points_to": {"alias": self.chance.choice(("candidate", "champion"))},
            "served_in": {"role": self.chance.choice(("serving", "shadow"))},
        }
        return dict(said.get(kind, {})) if self.chance.random() < 0.8 else {}

    def describe(self, store: Store) -> None:
        """Say something else of a thing that rules ask about."""
        kind = self.chance.choice((*2 * ("model-version", "deployment"), "ab-test"))
        thing = self.chance.choice(THINGS[kind][:6])
        said: dict[str, Json] = {"created_at": f"2026-01-0{self.chance.randint(1, 9)}"}
        if kind == "ab-test":
            said["status"] = self.chance.choice(("running", "ended"))
        elif self.chance.random() < 0.8:
            said["image_digest"] = f"sha256:{self.chance.choice((0, 0, 1))}"
        statement = Statement(thing, said)
        self.commit(store, Record("tool", f"of {thing}", thing, (statement,), (), self.now))

    def drop(self, store: Store) -> None:
        if self.documents:
            name = self.chance.choice(sorted(self.documents))
            self.commit(store, Removal("tool", name, EVERY[0], self.now))

    def join(self, store: Store) -> None:
        """Join two names, most often of versions, and of few, so that three come together."""
        kinds = [k for k in THINGS if k not in ("domain", "user")]
        kind = self.chance.choice([*kinds, *8 * ["model-version"]])
        one, other = self.chance.sample(THINGS[kind][:4], 2)
        self.seen["merges"] += 1
        self.commit(store, self.decided(one, other, "same_as"))

    def part(self, store: Store) -> None:
        with store.read(LOCAL) as reader:
            keys = reader.of_types(SHAPES.types)
            joined = [link for link in reader.held(keys, ("same_as",)) if link.layer == "declared"]
            uris = reader.uris({end for link in joined for end in (link.src, link.dst)})
        if joined:
            link = self.chance.choice(joined)
            self.seen["splits"] += 1
            beside = [one for one in joined if {one.src, one.dst} & {link.src, link.dst}]
            is_version = uris[link.src].type == "model-version"
            self.seen["split of three"] += is_version and len(beside) > 1
            kind = self.chance.choice((None, "not_same_as"))
            self.commit(store, self.decided(uris[link.src], uris[link.dst], kind))

    def decided(self, one: Uri, other: Uri, kind: str | None) -> Record:
        return decision(one, other, kind, reason="test", actor="test", at=self.now)

    def follow(self, store: Store) -> None:
        """Do some of what was put off, not all."""
        for _ in range(self.chance.randint(1, 4)):
            self.seen["pieces"] += store.follow_rules(self.chance.randint(1, 3))

    def change_rules(self) -> None:
        names = [*PATTERNS, "rivals"]
        name = self.chance.choice([*names, *(one for one in names if one not in self.in_use)])
        if "rivals" in self.in_use and self.chance.random() < 0.4:
            name = "rivals"
            self.in_use[name] = 3 - self.in_use[name]
            self.seen["rule changed"] += 1
        elif name in self.in_use:
            del self.in_use[name]
            self.seen["rule removed"] += 1
        else:
            self.in_use[name] = 1
            self.seen["rule added"] += 1

    # ── Looking ──────────────────────────────────────────────────────────────────────────────

    def check(self, store: Store) -> None:
        while store.follow_rules(3):
            self.seen["pieces"] += 1
        with store.looking() as driver:
            rows = read_rows(driver)
        stands, expected = self.standing(rows), self.expected(rows)
        for name in stands.keys() | expected.keys():
            assert stands.get(name) == expected.get(name), (self.seed, name)
        before = self.digest(store)
        self.commit(store, Record("tool", "nothing", EVERY[0], (), (), self.now))
        assert self.digest(store) == before
        self.seen["checks"] += 1
        self.note(expected, rows)

    @staticmethod
    def digest(store: Store) -> int:
        with store.looking() as driver:
            row = driver.row("SELECT count(*) FROM derivation")
        assert row is not None
        return int(row[0])

    def standing(self, rows: Rows) -> dict[str, Found]:
        found: dict[str, Found] = {}
        for edge, claims in rows.held.items():
            for since, until, _, source, _ in claims:
                if source.startswith("rule:") and source != "rule:identity":
                    count = rows.derivations[source, edge]
                    found.setdefault(source[5:], {})[edge] = ((since, until), count)
        return found

    def expected(self, rows: Rows) -> dict[str, Found]:
        reference = Reference(rows, SHAPES.nature)
        found: dict[str, Found] = {}
        for name in ORDER:
            if name in self.in_use:
                pattern = rivals_pattern(self.in_use[name]) if name == "rivals" else PATTERNS[name]
                found[name] = reference.conclude(pattern)
                reference.add(found[name])
        return {
            name: {edge: (span, min(count, 20)) for edge, (span, count) in some.items()}
            for name, some in found.items()
            if some
        }

    def note(self, expected: Mapping[str, Found], rows: Rows) -> None:
        """Count what this history had in it when it was compared."""
        held = [edge for edge, claims in rows.held.items() if claims]
        self.seen["edges"] += sum(len(some) for some in expected.values())
        self.seen["negation"] += bool({"trained_unserved", "served_untrained"} & set(expected))
        parts = {edge[0] for edge in held if edge[1] == "part_of"}
        produced = {edge[2] for edge in held if edge[1] == "produced_by"}
        self.seen["repetition"] += "relies_on" in expected or bool(parts & produced)
        shared = expected.get("trained_for", {}).keys() & expected.get("tested_for", {}).keys()
        self.seen["two rules"] += bool(shared)
        self.seen["values"] += "deployed_artifact" in expected
        self.seen["value by another name"] += _is_by_another_name(expected.get("packed", {}), rows)
        self.seen["of edges"] += "in_shadow" in expected
        self.seen["joined"] += any(edge[1] == "same_as" for edge in held)
        self.seen["things"] = max(self.seen["things"], len(rows.heard))


def _is_by_another_name(packed: Found, rows: Rows) -> bool:
    """Is anything given of which no one name has both the value and the edge to go on by?"""

    def digest(thing: str) -> object:
        return rows.said.get(thing, {}).get("image_digest")

    of = [
        (edge[0], edge[2]) for edge, some in rows.held.items() if edge[1] == "version_of" and some
    ]
    plain = {(digest(version), model) for version, model in of}
    return any((digest(start), end) not in plain for start, _, end in packed)


#: What must be in at least a tenth of all histories.
OFTEN = (
    *("negation", "repetition", "two rules", "merges", "splits", "corrections", "put off"),
    *("rule added", "rule removed", "rule changed", "values", "of edges", "joined"),
)

#: What must be in at least a thirtieth: it takes three names of one thing, or two and a value.
SELDOM = ("split of three", "value by another name")


def histories(engine: str, folder: Path, seeds: Sequence[int]) -> Iterator[Counter[str]]:
    for seed in seeds:
        with fresh(engine, folder / str(seed)) as place:
            history = History(engine, place, seed)
            history.run()
        yield history.seen


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a commit put off what is more than a few things, so that it happens on small graphs."""
    monkeypatch.setattr(concluding, "MOST", 1)


@pytest.mark.promise("P9")
@pytest.mark.timeout(0 if SOAK else 600)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.usefixtures("narrow")
def test_what_stands_is_what_follows_from_what_stands(
    part: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if part % 2:
        # Half of them in columns, which else are for many starts.
        monkeypatch.setattr(book, "WIDE", 1)
        monkeypatch.setattr(arrows, "_MANY", 1)
    seeds = range(part, HISTORIES, PARTS)
    met: Counter[str] = Counter()
    for seen in histories("sqlite", tmp_path, seeds):
        met.update({name: 1 for name, count in seen.items() if count})
        met["edges"] += seen["edges"]

    assert met["edges"] > 10 * len(seeds)
    wanted = {**dict.fromkeys(OFTEN, 10), **dict.fromkeys(SELDOM, 30)}
    rare = {name: met[name] for name, of in wanted.items() if met[name] < len(seeds) / of}
    assert not rare, met
    ran("P9", "random sequences", len(seeds))


@pytest.mark.promise("P9")
@pytest.mark.timeout(0 if SOAK else 600)
@pytest.mark.usefixtures("narrow")
def test_a_history_that_does_not_converge_would_be_shown_at_its_shortest(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """
    Hypothesis throws, so that it can take away whatever a failure does not need.

    It likes small numbers: that all there is comes up is for the histories by seeds to see.
    """

    @settings(
        max_examples=1_000 if SOAK else 40,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.randoms(use_true_random=False))
    def converges(dice: random.Random) -> None:
        with fresh("sqlite", tmp_path_factory.mktemp("history")) as place:
            History("sqlite", place, 0, dice=dice).run()
        ran("P9", "random sequences", 1)

    converges()


@pytest.mark.parametrize("engine", [one for one in ENGINES if one != "sqlite"])
@pytest.mark.usefixtures("narrow")
def test_it_is_so_on_every_database(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book, "WIDE", 1)
    assert all(seen["checks"] for seen in histories(engine, tmp_path, range(5_000, 5_010)))


@pytest.mark.parametrize("engine", ENGINES)
def test_many_starts_are_followed_as_each_of_them(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As few as there are here are taken for many, of which types are read in their order.
    monkeypatch.setattr(arrows, "_MANY", 3)
    met: Counter[str] = Counter()
    bare = read_rule(BARE, file="bare.yaml", shapes=SHAPES)
    for seed in range(7_000, 7_040 if engine == "sqlite" else 7_010):
        with fresh(engine, tmp_path / str(seed)) as place:
            history = History(engine, place, seed)
            history.run()
            store = history.opened()
            with store.read(LOCAL) as reader:
                for rule in (*RULES.values(), bare):
                    met.update(_compared(rule, reader))
            store.close()
    assert met["ways"] > 60
    assert met["given up"] > 20
    assert met["several edges"] > 10
    assert met["edges of one way"] > 20
    assert met["edges of several ways"] > 10


def _compared(rule: Rule, reader: Reader) -> Counter[str]:
    """Follow a rule from all its starts, in columns and way by way."""
    if not columns.is_plain(rule, reader):
        return Counter()
    starts = reader.of_types(rule.path.types[0])
    laid, left = columns.Columns(rule, reader, SHAPES, 1_000_000).laid(starts)
    ways = laid.ways()
    told = Matching(rule, reader, SHAPES, 1_000_000).ways(set(starts) - set(left))
    assert Counter(ways) == Counter(told)
    alone, others = laid.proper().parted()
    given = Counter((one.start, one.end) for one in laid if one.start != one.end)
    assert Counter((*alone, *others)) == Counter(one for one in laid if one.start != one.end)
    assert all(one in alone for one in alone)
    assert not any(one in alone for one in others)
    assert {(one.start, one.end) for one in alone} == {one for one in given if given[one] == 1}
    assert len(others) == sum(many for many in given.values() if many > 1)
    return Counter({
        "edges of one way": len(alone),
        "edges of several ways": len(others),
        "ways": len(ways),
        "given up": len(left),
        "several edges": sum(len(way[2]) > 2 for way in ways),
    })  # fmt: skip

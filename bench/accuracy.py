"""How right rules and suggestions are: of the example estate, held against its own truth.

The estate knows what really happened. Its tools tell it wholly, and then once more with slips: of
that share of what a rule builds on, one is left out or says something else.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lineal.testing.estate as package
from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.enrich.rules import builtin_rules
from lineal.model import Uri
from lineal.testing.estate.conclusions import Pair, conclusions
from lineal.testing.estate.evidence import REPOSITORY
from lineal.testing.estate.records import Thing
from lineal.testing.estate.server import Estate
from lineal.testing.estate.truth import Sage

#: What share of the evidence is wrong, in turn.
SLIPS = (0.0, 0.1)
#: Among how many suggestions a hidden feature is looked for, and how many of a model are hidden.
FIRST, HIDDEN = 10, 5
SOURCES = Path(package.__file__).parent / "sources"
#: Types in the estate's words, and how their ids are written there.
_WORDS = {
    "model-version": ("instance", ""), "ab-test": ("test", ""), "ab-cell": ("cell", "/"),
    "dataset-version": ("snapshot", "@"), "dataset": ("table", ""), "feature": ("feature", ":"),
}  # fmt: skip
#: What is wrong or missed though all evidence is right.
_WHY = (
    "What is wrong or missed though all evidence is right:",
    "",
    "* `deployed_artifact`: a deployment tells one image, so that of those which part their traffic"
    " the lesser targets are missed.",
    "* `domain_of_owner`: where owners are in teams of two organisations, it says nothing; a"
    " deployment has no owner, so nothing says its domain.",
    "* `relies_on`: the estate's tools say what runs read and wrote, and the rule asks what"
    " pipelines, models and their versions do. Owners in several teams count for none, and versions"
    " that are no longer in use count.",
    "* `superseded_version`: what answers without any alias is not known to the rule.",
)


def measure(*, seed: int = 7, scale: float = 1.0) -> list[str]:
    """Join the estate once for each share of slips; return the lines of the report."""
    lines: list[str] = []
    suggested: list[str] = []
    for slips in SLIPS:
        with _joined(seed, scale, slips) as (estate, lineal):
            told = f"{slips:.0%} of the evidence is wrong" if slips else "all evidence is right"
            lines += [f"The example estate at seed {seed}, scale {scale:g}; {told}.", ""]
            lines += _compared(conclusions(estate.world), _concluded(lineal))
            lines.append("")
            suggested = suggested or [_alike(estate, lineal), "", *_suggested(lineal)]
    return [*lines, *_WHY, "", *suggested]


@contextmanager
def _joined(seed: int, scale: float, slips: float) -> Iterator[tuple[Estate, Lineal]]:
    """Open an estate, and a Lineal that has heard all of it and follows every rule."""
    with (
        Estate(seed=seed, scale=scale, slips=slips) as estate,
        tempfile.TemporaryDirectory() as name,
    ):
        folder, evidence = Path(name), estate.world.evidence
        assert evidence is not None
        (folder / "CODEOWNERS").write_text(evidence.code_owners(), encoding="utf-8")
        (folder / "code.yaml").write_text(
            f'source: code\ncodeowners: {{repository: "{REPOSITORY}", file: CODEOWNERS,'
            " directory: identity}\n",
            encoding="utf-8",
        )
        config = Config(
            db=folder / "estate.db",
            sources=(SOURCES, folder / "code.yaml"),
            variables={"ESTATE_URL": estate.url},
        )
        with Lineal.open(config) as lineal:
            estate.announce()
            events: list[tuple[str, Any]] = estate.drain()
            for tool, event in events:
                lineal.receive(tool, [event])
            drained = lineal.drain(timeout=900)
            assert drained.complete
            for rule in builtin_rules():
                if not rule.enabled:
                    lineal.ruling.switch(rule.name, enabled=True, actor="bench")
            lineal.ruling.follow()
            yield estate, lineal


# ── Rules ────────────────────────────────────────────────────────────────────────────────────────


def _compared(true: dict[str, set[Pair]], concluded: dict[str, set[Pair]]) -> list[str]:
    """Return a table with a line for each rule."""
    lines = [
        "| rule | true | concluded | both | precision | recall |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for rule in builtin_rules():
        ours, theirs = concluded[rule.name], true[rule.name]
        right = len(ours & theirs)
        precision = f"{right / len(ours):.3f}" if ours else "no case"
        recall = f"{right / len(theirs):.3f}" if theirs else "no case"
        counts = f"{len(theirs):,} | {len(ours):,} | {right:,}"
        lines.append(f"| {rule.name} | {counts} | {precision} | {recall} |")
    return lines


def _concluded(lineal: Lineal) -> dict[str, set[Pair]]:
    """Return what each rule concluded, in the estate's words."""
    found: dict[str, set[Pair]] = {}
    with lineal.store.read(LOCAL) as reader:
        keys = reader.of_types(lineal.shapes.types)
        for rule in builtin_rules():
            own = reader.documents_of(f"rule:{rule.name}")
            links = [one for one in reader.held(keys, (rule.gives,)) if one.document in own]
            uris = reader.uris({end for one in links for end in (one.src, one.dst)})
            found[rule.name] = {(_thing(uris[one.src]), _thing(uris[one.dst])) for one in links}
    return found


def _thing(uri: Uri) -> Thing:
    word, between = _WORDS.get(uri.type, (uri.type.replace("-", "_"), "/"))
    return word, between.join(uri.segments)


# ── Suggestions ──────────────────────────────────────────────────────────────────────────────────


def _alike(estate: Estate, lineal: Lineal) -> str:
    """Hold the models that are said to be alike, and by which features, against the truth."""
    true: dict[Pair, set[str]] = {}
    with estate.world.lock:
        sage = Sage(estate.world)
        for model in sorted(estate.world.models):
            others: Any = sage.sharing_models(("model", model))
            for other in others:
                true[("model", model), ("model", other["model"])] = set(other["features"])
    told: dict[Pair, set[str]] = {}
    for uri in _models(lineal):
        for one in lineal.ask.similar(LOCAL, uri, limit=len(estate.world.models)).value:
            shared = {_thing(feature.uri)[1] for feature in one.shared}
            told[_thing(uri), _thing(one.thing.uri)] = shared
    right = told.keys() & true.keys()
    same = sum(told[pair] == true[pair] for pair in right)
    return (
        f"Models with the same features (`similar`): {len(true):,} pairs are so, {len(told):,} are"
        f" suggested, {len(right):,} are both: precision {len(right) / len(told):.3f}, recall"
        f" {len(right) / len(true):.3f}. For {same:,} just those features are named that both have."
    )


def _models(lineal: Lineal) -> list[Uri]:
    with lineal.store.read(LOCAL) as reader:
        return sorted(reader.uris(reader.of_types(("model",))).values())


def _suggested(lineal: Lineal) -> list[str]:
    """Hide features of each model, one at a time; is it among the first that are suggested?"""
    with lineal.store.read(LOCAL) as reader:
        features = len(reader.of_types(("feature",)))
    consumed = {model: _consumed(lineal, model) for model in _models(lineal)}
    many = Counter(one for some in consumed.values() for one in some)
    tried = first = among = popular = 0
    by_chance = 0.0
    for model, own in consumed.items():
        if len(own) < 2:
            continue
        for hidden in own[:HIDDEN]:
            found = lineal.ask.wanted(LOCAL, model, limit=FIRST, without=[hidden]).value
            uris = [one.thing.uri for one in found]
            # The hidden feature has one consumer fewer, and may be suggested like any other.
            counts = {one: many[one] - (one == hidden) for one in many if one not in own}
            counts[hidden] = many[hidden] - 1
            ranked = sorted(counts, key=lambda one: (-counts[one], one))
            tried += 1
            first += uris[:1] == [hidden]
            among += hidden in uris
            popular += hidden in ranked[:FIRST]
            by_chance += min(1, FIRST / (features - len(own) + 1))
    if not tried:
        return ["No model of the estate consumes two features, so no suggestion could be tried."]
    return [
        f"Features suggested (`wanted`): {tried:,} links held out one at a time, at most {HIDDEN}"
        f" of a model. Recall@{FIRST} is {among / tried:.3f}, and {first / tried:.3f} come first,"
        " which is precision@1 if nothing but what was hidden is right."
        f" The {FIRST} features that most models consume hold {popular / tried:.3f} of the hidden,"
        f" {FIRST} drawn by lot {by_chance / tried:.3f}."
    ]


def _consumed(lineal: Lineal, model: Uri) -> list[Uri]:
    """Return the features that a model consumes, in sets and services too, in a mixed order."""
    found = {one.uri for one in lineal.ask.feeds(LOCAL, model).value.features}
    return sorted(found, key=lambda one: (one.segments[-1], one))

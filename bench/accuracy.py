"""How right rules are: what they conclude of the example estate, held against its own truth."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lineal.testing.estate as package
from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.enrich.rules import builtin_rules
from lineal.model import Uri
from lineal.testing.estate.server import Estate
from lineal.testing.estate.truth import truth

Pairs = set[tuple[str, str]]

#: Among how many suggestions a hidden feature is looked for.
FIRST = 5
SOURCES = Path(package.__file__).parent / "sources"


def measure(*, seed: int = 7, scale: float = 1.0) -> list[str]:
    """Join the estate and compare; return the lines of a table."""
    with (
        Estate(seed=seed, scale=scale) as estate,
        tempfile.TemporaryDirectory() as folder,
    ):
        config = Config(
            db=Path(folder) / "estate.db",
            sources=(SOURCES,),
            variables={"ESTATE_URL": estate.url},
        )
        with Lineal.open(config) as lineal:
            estate.announce()
            for tool, event in estate.drain():
                lineal.receive(tool, [event])
            drained = lineal.drain(timeout=900)
            assert drained.complete
            lineal.ruling.follow()
            concluded = _concluded(lineal)
            suggested = _suggested(lineal)
        expected = _expected(truth(estate.world, per_kind=None))
    lines = [
        f"The example estate at seed {seed}, scale {scale:g}; model versions and tests.",
        "",
        "| rule | true | concluded | precision | recall |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for rule in builtin_rules():
        if rule.name not in expected:
            count = len(concluded.get(rule.name, ()))
            lines.append(f"| {rule.name} | not told | {count:,} | | |")
            continue
        ours, theirs = concluded.get(rule.name, set()), expected[rule.name]
        right = len(ours & theirs)
        precision = f"{right / len(ours):.3f}" if ours else "no case"
        recall = f"{right / len(theirs):.3f}" if theirs else "no case"
        lines.append(f"| {rule.name} | {len(theirs):,} | {len(ours):,} | {precision} | {recall} |")
    return [*lines, "", *suggested]


def _suggested(lineal: Lineal) -> list[str]:
    """Hide one feature of each model in turn; is it among the first that are suggested?"""
    tried = first = among = 0
    by_chance = 0.0
    with lineal.store.read(LOCAL) as reader:
        models = list(reader.uris(reader.of_types(("model",))).values())
        features = len(reader.of_types(("feature",)))
    for model in sorted(models):
        edges = lineal.ask.neighbours(LOCAL, model, limit=500).value
        consumed = sorted(
            one.other.uri
            for one in edges
            if one.relation == "consumes" and one.other.uri.type == "feature"
        )
        if len(consumed) < 2:
            continue
        for hidden in consumed[:3]:
            found = lineal.ask.wanted(LOCAL, model, limit=FIRST, without=[hidden]).value
            uris = [one.thing.uri for one in found]
            tried += 1
            first += uris[:1] == [hidden]
            among += hidden in uris
            by_chance += FIRST / max(1, features - len(consumed) + 1)
    if not tried:
        return ["No model of the estate names features, so no suggestion could be tried."]
    return [
        f"Features suggested (`wanted`), of {tried:,} links held out one at a time: the hidden"
        f" feature comes first in {first / tried:.3f}, is among the first {FIRST} in"
        f" {among / tried:.3f}; by chance it would be in {by_chance / tried:.3f}."
    ]


def _expected(answers: Mapping[str, list[dict[str, Any]]]) -> dict[str, Pairs]:
    """Return what the estate says of versions and tests, by the rule that is to find it."""
    found: dict[str, Pairs] = {
        "trained_for": set(), "trained_unserved": set(), "served_untrained": set()
    }  # fmt: skip
    for line in answers["Q5"]:
        kind, version = line["subject"]
        if kind != "instance":
            continue
        for one in line["answer"]:
            pair, how = (str(version), str(one["test"])), set(one["how"])
            if "trained" in how:
                found["trained_for"].add(pair)
            if how == {"trained"} and one["running"]:
                found["trained_unserved"].add(pair)
            if how == {"served"}:
                found["served_untrained"].add(pair)
    return found


def _concluded(lineal: Lineal) -> dict[str, Pairs]:
    """Return what each rule concluded, by the ids of the two ends; a cell is told as its test."""
    found: dict[str, Pairs] = {}
    with lineal.store.read(LOCAL) as reader:
        keys = reader.of_types(lineal.shapes.types)
        for rule in builtin_rules():
            own = reader.documents_of(f"rule:{rule.name}")
            links = [one for one in reader.held(keys, (rule.gives,)) if one.document in own]
            uris = reader.uris({end for one in links for end in (one.src, one.dst)})
            found[rule.name] = {(_id(uris[one.src]), _id(uris[one.dst])) for one in links}
    return found


def _id(uri: Uri) -> str:
    return uri.segments[0]

"""Five of the thirteen questions, asked of the demonstration and told in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lineal.access import LOCAL
from lineal.model import Uri
from lineal.query import Brief, Questions

VERSION = Uri("mlg://model-version/registry/ranking-model-v5-20XX0101")
MODEL = Uri("mlg://model/registry/ranking-v5")
FEATURE = Uri("mlg://feature/features/member_plays/hours_7d")
TEST = Uri("mlg://ab-test/exp/12345")


@dataclass(frozen=True, slots=True)
class Told:
    """A question, its answer in words, and the command that asks it."""

    title: str
    answer: str
    command: str


def told(ask: Questions) -> Iterator[Told]:
    """Ask five questions and tell their answers."""
    yield _where_from(ask)
    yield _which_tests(ask)
    yield _why(ask)
    yield _what_breaks(ask)
    yield _who_owns(ask)


def _where_from(ask: Questions) -> Told:
    lineage = ask.lineage(LOCAL, [VERSION], down=0).value
    counts = _counted(lineage.upstream)
    data = sorted(node.thing.name for node in lineage.nodes if node.thing.type == "dataset")
    answer = f"From {counts}. Its data: {_some(data)}."
    return Told(f"Where did {VERSION.name} come from?", answer, f"lineage {VERSION} --down 0")


def _which_tests(ask: Questions) -> Told:
    tests = ask.tests_of(LOCAL, MODEL).value
    said = sorted(
        f"{one.test.name} ({'running' if one.running else 'not running'}) {_how(one.how)} "
        f"{one.version.name}"
        for one in tests
    )
    return Told(
        f"Which A/B tests are running {MODEL.name}? (Q5)",
        f"{_some(said, '; ')}.",
        f"ask q5 {MODEL}",
    )


def _how(how: str) -> str:
    return "serves" if how == "served" else "is what they trained"


def _why(ask: Questions) -> Told:
    explained = ask.explain(LOCAL, VERSION, "trained_for", TEST).value
    answers = {
        one.response.url.split("/", 3)[-1]: None
        for reason in explained.reasons
        for support in reason.supports
        for one in support.claims
        if one.response is not None
    }
    answer = f"{explained.words} It rests on the answers of {', '.join(answers)}."
    return Told(
        f"Why do we believe that {VERSION.name} was trained for test {TEST.name}?",
        answer,
        f"explain {VERSION} trained_for {TEST}",
    )


def _what_breaks(ask: Questions) -> Told:
    impact = ask.impact(LOCAL, [FEATURE]).value
    owners = [one.owner.name for one in impact.by_owner if one.owner is not None]
    first = impact.hits[0] if impact.hits else None
    nearest = f" First of all {first.thing.name}: {first.path}." if first else ""
    answer = (
        f"{_counted(impact.by_type)}; something live depends on {impact.live} of them."
        f"{nearest} To be told: {_some(owners)}."
    )
    return Told(f"What breaks if feature {FEATURE.name} changes?", answer, f"impact {FEATURE}")


def _who_owns(ask: Questions) -> Told:
    owned = ask.owners_of_chain(LOCAL, MODEL).value
    by_owner: dict[Brief, int] = {}
    for one in owned:
        for owner in one.owners:
            by_owner[owner] = by_owner.get(owner, 0) + 1
    ranked = sorted(by_owner.items(), key=lambda item: (-item[1], item[0]))
    said = [f"{owner.name} ({count})" for owner, count in ranked]
    orphans = sum(not one.owners for one in owned)
    answer = f"{len(owned)} things: {_some(said)}; {orphans} have no owner."
    return Told(
        f"Who owns each piece of the chain of {MODEL.name}? (Q12)", answer, f"ask q12 {MODEL}"
    )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(
        f"{count} {name.replace('-', ' ')}{'' if count == 1 else 's'}"
        for name, count in sorted(counts.items(), key=lambda item: -item[1])
    )


def _some(items: Iterable[str], separator: str = ", ", most: int = 5) -> str:
    listed = list(items)
    shown = separator.join(listed[:most])
    return f"{shown} and {len(listed) - most} more" if len(listed) > most else shown or "none"

"""Rules in an order in which each follows those whose edges it looks at."""

from __future__ import annotations

from collections.abc import Iterable

from lineal.enrich.rules.rule import Rule
from lineal.errors import RuleError


def in_order(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """
    Return rules so that each comes after those whose edges it looks at.

    So what a rule must not find is complete when it looks, and every rule is asked once.

    Raises:
        RuleError: two have one name, or some look in a circle at what they give.
    """
    by_name: dict[str, Rule] = {}
    for rule in rules:
        if rule.name in by_name:
            raise RuleError(
                f"There are two rules {rule.name!r}.",
                file=rule.file,
                fix=f"Give one of them another name; the other is in {by_name[rule.name].file}.",
            )
        by_name[rule.name] = rule
    needs = {
        name: [other for other, given in sorted(by_name.items()) if _looks_at(rule, given)]
        for name, rule in sorted(by_name.items())
    }
    ordered: list[Rule] = []
    placed: set[str] = set()

    def place(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            circle = " → ".join((*above[above.index(name) :], name))
            raise RuleError(
                f"Rules look in a circle at what they give: {circle}.",
                file=by_name[name].file,
                fix="Let one of them ask for edges of other layers, such as "
                "-[:kind {layer: 'declared'}]->, or repeat an arrow with *1..n.",
            )
        if name not in placed:
            for other in needs[name]:
                place(other, (*above, name))
            placed.add(name)
            ordered.append(by_name[name])

    for name in needs:
        place(name, ())
    return tuple(ordered)


def _looks_at(rule: Rule, given: Rule) -> bool:
    """Tell whether a rule may meet edges that another gives."""
    ends = (given.path.types[given.start], given.path.types[given.end])
    for _, path in rule.paths():
        for at, leg in enumerate(path.legs):
            if given.gives not in leg.kinds or given.layer not in leg.layers:
                continue
            if not leg.is_single:
                return True
            sides = (path.types[at], path.types[at + 1])
            near = sides if leg.forward else sides[::-1]
            if ends[0] & near[0] and ends[1] & near[1]:
                return True
    return False

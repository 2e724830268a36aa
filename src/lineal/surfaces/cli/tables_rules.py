"""Rules as tables and lines: how they stand, what they give, what came of their fixtures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

from rich.console import RenderableType

from lineal.model import Json
from lineal.surfaces.cli.showing import line, note, table

if TYPE_CHECKING:
    from lineal.client.answers import Answer, RuleEdge

Parts: TypeAlias = Iterator[RenderableType]
_Object: TypeAlias = Mapping[str, Json]


def _rows(value: Json) -> list[_Object]:
    return [cast("_Object", one) for one in value] if isinstance(value, list) else []


def rules(answer: _Object) -> Parts:
    """Show every rule: what it gives, from what, and how it stands."""
    rows = [
        (
            *(one["name"], one["version"], one["layer"], _sure(one)),
            *(state(one), one["gives"], one["words"]),
        )
        for one in _rows(answer.get("value"))
    ]
    yield table(("rule", "version", "layer", "sure", "state", "gives", "when"), rows)
    yield from waits(answer.get("pending"))


def state(one: _Object) -> str:
    """Return in a few words how a rule stands, the worst first."""
    if not one["enabled"]:
        return "disabled, being withdrawn" if one["pending"] else "disabled"
    if one["failed"]:
        return f"fails for {one['failed']}"
    return "pending" if one["pending"] else "up to date"


def _sure(one: _Object) -> str:
    return "" if one["confidence"] == 1 else f"{one['confidence']}"


def waits(pending: Json) -> Parts:
    """Say how much rules have still to do, if there is anything."""
    if not isinstance(pending, dict):
        return
    if pending["pieces"]:
        names = pending["rules"] if isinstance(pending["rules"], list) else []
        yield line(
            f"{pending['pieces']} pieces of work of rules wait "
            f"({', '.join(map(str, names))}), since transaction {pending['since_t']}, "
            f"{pending['since']}."
        )
    if pending["failed"]:
        yield line(f"For {pending['failed']} things there are too many ways to conclude anything.")


def say_what_waits(pending: Json) -> None:
    """Say apart from the answer how much rules have still to do."""
    for text in waits(pending):
        note(str(text))


def rule(one: _Object, edges: Answer[list[RuleEdge]]) -> Parts:
    """Show one rule, and edges that stand by it."""
    yield line(f"{one['name']}, version {one['version']}: {state(one)}")
    yield line(f"means: {one['means']}")
    yield line(f"wrong when: {one['wrong_when']}")
    said: list[tuple[str, Json]] = [
        ("when", one["words"]),
        ("match", one["match"]),
        *(("where", text) for text in _texts(one["where"])),
        *(("unless", text) for text in _texts(one["unless"])),
        ("gives", one["gives"]),
        ("why", one["why"]),
        ("layer", one["layer"]),
        ("confidence", one["confidence"]),
        ("comes", "with Lineal" if one["builtin"] else "from this installation"),
    ]
    yield table(("", ""), said)
    total, found = edges["total"], edges["value"]
    many = "Many edges stand" if total is None else f"{total} edges stand"
    yield line(f"{many} by it{'.' if not found else ':'}")
    if found:
        rows = [
            (row["start"]["name"], row["kind"], row["end"]["name"], row["why"]) for row in found
        ]
        yield table(("start", "kind", "end", "why"), rows)
    failures = [(row["uri"], row["error"]) for row in _rows(one["failures"])]
    if failures:
        yield table(("thing", "too many ways"), failures, title=f"{one['failed']} fail")


def _texts(value: Json) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def dry_run(done: _Object) -> Parts:
    """Show what a rule would do."""
    yield line(
        f"{done['name']}, version {done['version']}, would give {done['gives']} edges, from "
        f"{done['looked_at']} things it was looked for at: {done['appear']} would appear, "
        f"{done['vanish']} vanish. Nothing is written."
    )
    for name, many in (("appearing", "appear"), ("vanishing", "vanish")):
        rows = [(row["start"], row["kind"], row["end"]) for row in _rows(done[name])]
        if rows:
            title = f"would {many}: {len(rows)} of {done[many]}"
            yield table(("start", "kind", "end"), rows, title=title)
    for error in _texts(done["failed"]):
        yield line(f"fails: {error}")


def tried(found: Sequence[_Object]) -> Parts:
    """Show what came of fixtures: each case, and what was not as expected."""
    for one in found:
        for case in _rows(one["value"]):
            yield line(f"{'holds' if case['holds'] else 'FAILS'}  {one['name']}: {case['says']}")
            for name, words in (("missing", "does not follow"), ("surplus", "follows too")):
                for edge in _rows(case[name]):
                    yield line(f"       {words}: {edge['start']} {edge['kind']} {edge['end']}")
    cases = [case for one in found for case in _rows(one["value"])]
    held = sum(case["holds"] is True for case in cases)
    yield line(f"{held} of {len(cases)} cases of {len(found)} rules hold.")


def all_hold(found: Sequence[_Object]) -> bool:
    """Tell whether every case of every fixture holds."""
    return all(case["holds"] is True for one in found for case in _rows(one["value"]))

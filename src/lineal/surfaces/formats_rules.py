"""Rules as plain values: what each says, how it stands, what it gives and what it would give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from lineal.enrich.rules.telling import in_words, written
from lineal.model import Answer, Json, Uri
from lineal.surfaces.formats import Object, envelope, thing
from lineal.surfaces.formats_work import waits

if TYPE_CHECKING:
    from lineal.app.ruling import DryRun, Failure, RuleStanding
    from lineal.enrich.rules import Rule
    from lineal.enrich.rules.fixtures import Tried
    from lineal.query import Concluded
    from lineal.shapes import Shapes
    from lineal.store import Pending


def rules(standing: Sequence[RuleStanding], pending: Pending, shapes: Shapes) -> Object:
    """Return every rule and how it stands, and how much they have still to do."""
    value: list[Json] = [rule(one, shapes) for one in standing]
    return {"value": value, "pending": waits(pending)}


def rule(stand: RuleStanding, shapes: Shapes) -> Object:
    """Return what a rule says, and how it stands."""
    one = stand.rule
    text = written(one)
    return {
        "name": one.name,
        "version": one.version,
        "kind": one.gives,
        "match": text.match,
        "where": list(text.where),
        "unless": list(text.unless),
        "gives": text.gives,
        "words": in_words(one, shapes),
        "layer": one.layer,
        "confidence": one.confidence,
        "why": one.why,
        "means": one.means,
        "wrong_when": one.wrong_when,
        "builtin": is_builtin(one),
        "enabled": stand.enabled,
        "pending": stand.pending,
        "failed": stand.failed,
    }


def is_builtin(one: Rule) -> bool:
    """Tell whether a rule came with Lineal, not out of a folder of the installation's own."""
    return "/" not in one.file and "\\" not in one.file


def shown(stand: RuleStanding, failures: Iterable[Failure], shapes: Shapes) -> Object:
    """Return one rule, how it stands, and for which things it concludes nothing."""
    failed: list[Json] = [{"uri": str(one.uri), "error": one.error} for one in failures]
    return {**rule(stand, shapes), "failures": failed}


def concluded(answer: Answer[tuple[Concluded, ...]]) -> Object:
    """Return the edges that stand by a rule, each with a reason."""
    value: list[Json] = [
        {"start": thing(one.start), "kind": one.kind, "end": thing(one.end), "why": one.why}
        for one in answer.value
    ]
    return envelope(answer, value)


def dry_run(done: DryRun) -> Object:
    """Return what a rule would do if it were in use."""
    return {
        "name": done.rule.name,
        "version": done.rule.version,
        "complete": done.complete,
        "looked_at": done.looked_at,
        "of": done.of,
        "gives": done.gives,
        "appear": done.appear,
        "vanish": done.vanish,
        "appearing": [_edge(one) for one in done.appearing],
        "vanishing": [_edge(one) for one in done.vanishing],
        "failed": list(done.failed),
    }


def tried(name: str, cases: Iterable[Tried]) -> Object:
    """Return what came of a rule's fixture."""
    value: list[Json] = [
        {
            "says": one.case.says,
            "holds": one.holds,
            "missing": [_edge(edge) for edge in sorted(one.missing)],
            "surplus": [_edge(edge) for edge in sorted(one.surplus)],
        }
        for one in cases
    ]
    return {"name": name, "value": value}


def _edge(edge: tuple[Uri, str, Uri]) -> Object:
    return {"start": str(edge[0]), "kind": edge[1], "end": str(edge[2])}

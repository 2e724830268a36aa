"""Why an edge is believed, as tables and lines: who states it, and what a rule rested on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from rich.console import RenderableType

from lineal.model import Json
from lineal.surfaces.cli.showing import cell, line, table

if TYPE_CHECKING:
    from lineal.client.answers import Explanation, Reason, Response, Stated, Support, Valued

Parts: TypeAlias = Iterator[RenderableType]

_CLAIM = (
    *("layer", "source", "document", "says", "since", "until", "observed", "confirmed"),
    *("answered by", "sha256"),
)


def explanation(value: Explanation) -> Parts:
    """Show why an edge is believed: who stated it, and what a rule rested on."""
    yield line(value["words"])
    if value["derivations"] > len(value["reasons"]):
        yield line(f"{value['derivations']} ways to conclude it, of which not all are kept.")
    yield table(_CLAIM, [_claim(claim) for claim in value["stated"]])
    for reason in value["reasons"]:
        yield from _reason(reason, "")


def _reason(reason: Reason, of: str) -> Parts:
    """Show what a conclusion rests on, and then what that rests on where it is one too."""
    rows = [row for support in reason["supports"] for row in _rows(support)]
    head = f"rule {reason['rule']}, version {reason['version']}, rests on"
    title = f"{of}: {head}" if of else head
    yield table(("start", "kind", "end", *_CLAIM), rows, title=title)
    for support in reason["supports"]:
        named = f"{support['start']['name']} {support['kind']} {support['end']['name']}"
        for below in support["reasons"]:
            yield from _reason(below, named)


def _rows(support: Support) -> list[tuple[Json, ...]]:
    edge = (support["start"]["name"], support["kind"], support["end"]["name"])
    if support["values"]:
        return [_value(one) for one in support["values"]]
    return [(*edge, *_claim(claim)) for claim in support["stated"]]


def _value(one: Valued) -> tuple[Json, ...]:
    said = (one["thing"]["name"], f"{one['attribute']} =", cell(one["value"]))
    when = (one["observed_at"], one["confirmed_at"])
    return (*said, "", one["source"], one["document"], "", "", "", *when, *_answer(one["response"]))


def _claim(claim: Stated) -> tuple[Json, ...]:
    return (
        *(claim["layer"], claim["source"], claim["document"], cell(claim["attributes"])),
        *(claim["valid_from"], claim["valid_to"], claim["observed_at"], claim["confirmed_at"]),
        *_answer(claim.get("response")),
    )


def _answer(response: Response | None) -> tuple[Json, ...]:
    return (None, None) if response is None else (response["url"], response["sha256"][:12])

"""The page of a closure: all that a thing feeds or was made from, counted, narrowed and paged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from fastapi import Query, Request
from starlette.responses import Response

from lineal.errors import InvalidQuery
from lineal.model import Answer, Uri
from lineal.query import ALL, WHOLE, WITHOUT, Among, Ask, Brief, Closure
from lineal.surfaces.portal.desk import Desk, UriParam, times
from lineal.surfaces.portal.frame import Page, Seen
from lineal.surfaces.portal.links import address
from lineal.surfaces.portal.words import count

#: How many things a page of them holds, and how many lines of a facet are open.
SIZE = 50
OPEN = 8
#: How long a page may count, in milliseconds.
PATIENCE = 3_000

Side = Literal["upstream", "downstream", ""]
Text = Annotated[str, Query(max_length=2_100)]


@dataclass(frozen=True, slots=True)
class Line:
    """A value of a facet: how many there are of it, and the page of these, or without it."""

    words: str
    count: int
    #: Of the largest of the facet, from 0 to 100.
    share: int
    to: str
    chosen: bool
    #: The type whose sign stands before it.
    type: str = ""


@dataclass(frozen=True, slots=True)
class Facet:
    """By what a closure is counted: its lines, and in words what of it has none."""

    name: str
    lines: tuple[Line, ...]
    more: str = ""


class Counting:
    """How much hangs on a thing, or a thing on how much."""

    def __init__(self, desk: Desk, *, patience: int = PATIENCE) -> None:
        """Count for at most so many milliseconds."""
        self._desk, self._patience = desk, patience

    def pages(self) -> dict[str, Page]:
        """Return each page by its path."""
        return {"/closure": self.closure}

    def closure(
        self,
        request: Request,
        seen: Seen,
        uri: UriParam,
        side: Annotated[Side, Query()] = "",
        grain: Annotated[Literal["logical", "exact", ""], Query()] = "",
        kind: Annotated[str, Query(alias="type", max_length=64)] = "",
        stage: Annotated[str, Query(max_length=200)] = "",
        owner: Text = "",
        domain: Text = "",
        distance: Annotated[str, Query(max_length=6)] = "",
        live: Annotated[Literal["true", "false", ""], Query()] = "",
        page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    ) -> Response:
        """Show all that is made from a thing, or that it was made from: counts, and a page."""
        answer, head = self._desk.head(seen, uri)
        among = Among(stage or None, owner or None, domain or None, _steps(distance),
                      None if not live else live == "true")  # fmt: skip
        types = frozenset({self._desk.shapes.type(kind).name}) if kind else None
        ask = Ask(replace(WHOLE.budget, milliseconds=self._patience), grain or None, types=types)
        first = (page - 1) * SIZE
        told = self._desk.ask.closure(
            seen.viewer, [answer.value.uri], seen.pinned(answer),
            upstream=side == "upstream", ask=ask, among=among, limit=SIZE, offset=first,
        )  # fmt: skip
        chosen = {"type": kind, "stage": stage, "owner": owner, "domain": domain,
                  "distance": distance, "live": live}  # fmt: skip
        where = {"uri": answer.value.uri, "side": side, "grain": grain}

        def to(**changes: object) -> str:
            return seen.links.to("/closure", **{**where, **chosen, **changes})

        api = {**where, **chosen, "types": kind, "type": "", "limit": SIZE, "offset": first}
        facets = _facets(told.value, chosen, to, self._desk.frame.plural)
        # What the page does not list is counted all the same.
        counted = replace(told, why=tuple(cut for cut in told.why if cut.what != "counted"))
        return self._desk.page(
            "closure.html", request, seen, counted, **head,
            api=address("/api/v1/closure", {**api, **times(seen)}),
            found=told.value, upstream=told.value.upstream, facets=facets, page=page, first=first,
            size=SIZE, open=OPEN, every=sum(told.value.by_type.values()), to=to,
            narrowed=among != ALL or types is not None,
            active=_active(told, chosen, to, self._desk.frame.plural),
            bare=to(**dict.fromkeys(chosen)),
        )  # fmt: skip


def _steps(text: str) -> int | None:
    """Return a distance; raises `InvalidQuery` if it is no number."""
    if not text.strip():
        return None
    if not text.strip().isdecimal():
        raise InvalidQuery(f"distance is {text!r}.", fix="Give a number of steps.")
    return int(text)


def _facets(
    found: Closure, chosen: dict[str, str], to: Callable[..., str], plural: Callable[[str], str]
) -> list[Facet]:
    """Return by what it is counted, each value with the page that it leads to."""
    every = sum(found.by_type.values())
    by_type = sorted(found.by_type.items(), key=lambda one: (-one[1], one[0]))
    use = [("true", "live", found.live), ("false", "not live", every - found.live)]
    staged = [(name or WITHOUT, name or "no stage", many) for name, many in found.by_stage.items()]
    steps = [(str(at), count(at, "step"), many) for at, many in found.by_depth.items()]
    rows: list[tuple[str, str, list[tuple[str, str, int]], str]] = [
        ("type", "Type", [(name, plural(name), many) for name, many in by_type], ""),
        ("live", "Use", use if found.live or chosen["live"] else [], ""),
        ("distance", "Distance", steps, ""),
        ("stage", "Stage", _unless_bare(sorted(staged, key=lambda one: -one[2])), ""),
        ("owner", "Owner", *_of(found.by_owner, found.owners, "nobody", "owner")),
        ("domain", "Domain", *_of(found.by_domain, found.domains, "no domain", "domain")),
    ]
    facets = []
    for name, title, values, more in rows:
        most = max((many for _, _, many in values), default=0)
        lines = tuple(
            Line(
                words, many, max(1, round(100 * many / most)),
                to(**{name: "" if chosen[name] == value else value}), chosen[name] == value,
                value if name == "type" else "",
            )
            for value, words, many in values if many
        )  # fmt: skip
        if lines:
            facets.append(Facet(title, lines, more))
    return facets


def _unless_bare(values: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """Return the values, or nothing where no thing has any."""
    return values if any(value != WITHOUT for value, _, _ in values) else []


def _of(
    counts: Iterable[tuple[Brief | None, int]], every: int, nobody: str, one: str
) -> tuple[list[tuple[str, str, int]], str]:
    """Return the values of those who own or hold things, and how many are not among them."""
    values = [
        (
            WITHOUT if brief is None else str(brief.uri),
            nobody if brief is None else brief.name,
            many,
        )
        for brief, many in counts
    ]
    beyond = every - sum(value != WITHOUT for value, _, _ in values)
    more = f"and {count(beyond, f'more {one}')}" if beyond > 0 else ""
    return _unless_bare(values), more


def _active(
    told: Answer[Closure],
    chosen: dict[str, str],
    to: Callable[..., str],
    plural: Callable[[str], str],
) -> list[tuple[str, str]]:
    """Return each filter in words, and the page without it."""
    found = told.value
    names = {
        str(one.uri): one.name
        for one, _ in (*found.by_owner, *found.by_domain) if one is not None
    }  # fmt: skip

    def end(value: str) -> str:
        return names.get(value) or Uri(value).name

    words: dict[str, Callable[[str], str]] = {
        "type": plural,
        "stage": lambda value: "no stage" if value == WITHOUT else f"stage {value}",
        "owner": lambda value: "owned by nobody" if value == WITHOUT else f"owned by {end(value)}",
        "domain": lambda value: "in no domain" if value == WITHOUT else f"in domain {end(value)}",
        "distance": lambda value: f"{count(int(value), 'step')} away",
        "live": lambda value: "live" if value == "true" else "not live",
    }
    return [(words[name](value), to(**{name: ""})) for name, value in chosen.items() if value]

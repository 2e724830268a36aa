"""A list that comes in pages: where it goes on, and when it ends.

A list that does not end, or comes back to where it was, is garbled; half a list is never taken
for a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import msgspec
import stamina

from lineal.errors import Invalid, SourceDown, SourceGarbled
from lineal.model import Json
from lineal.sources.asking import Answer, Client
from lineal.sources.expressions import Expression
from lineal.sources.mapping import word
from lineal.sources.plan import ListPlan, PagingPlan

#: No list has more pages.
PAGES = 100_000
#: A page is asked for so often, so long as the source is down only for a moment.
ATTEMPTS = 3
PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in a list we are: what to ask for."""

    #: With the arguments that a link gave it.
    path: str
    params: Mapping[str, str]
    #: What is sent by POST; None: it is asked for by GET.
    body: Mapping[str, Json] | None = None
    #: How many pages and items came before.
    page: int = 0
    items: int = 0

    @property
    def name(self) -> tuple[object, ...]:
        sent = None if self.body is None else msgspec.json.encode(self.body, order="sorted")
        return self.path, tuple(sorted(self.params.items())), sent

    def with_args(self, given: Mapping[str, str | int]) -> _Place:
        """Return the place with what a page adds: in the body, if there is one."""
        if self.body is not None:
            return replace(self, body={**self.body, **given})
        texts = {name: str(value) for name, value in given.items()}
        return replace(self, params={**self.params, **texts})


def pages(client: Client, source: str, plan: ListPlan) -> Iterator[tuple[list[Json], Answer]]:
    """Yield the items of each page, and the answer; raises `SourceDown`, `SourceGarbled`."""
    first = _Place(plan.path, plan.params, plan.body)
    place: _Place | None = first.with_args(_start(plan.paging))
    seen = set()
    before = ""
    while place is not None:
        answer = _asked(client, place)
        items = _items(source, plan, answer)
        if place.name in seen or (items and answer.response.sha256 == before):
            raise _garbled(source, plan, f"page {place.page + 1} is one that came before")
        if place.page >= PAGES:
            raise _garbled(source, plan, f"it has more than {PAGES:,} pages")
        seen.add(place.name)
        before = answer.response.sha256
        yield items, answer
        place = _following(client, source, plan, place, answer, items)


def _asked(client: Client, place: _Place) -> Answer:
    """Ask for a page, and again if the source is down for a moment: a list is long."""

    def moment(error: Exception) -> bool | float:
        if not isinstance(error, SourceDown):
            return False
        wait = error.retry_after
        return True if wait is None else wait if wait <= PATIENCE else False

    for attempt in stamina.retry_context(
        on=moment, attempts=ATTEMPTS, timeout=None, wait_initial=0.2, wait_max=2.0
    ):
        with attempt:
            return client.ask(place.path, place.params, body=place.body)
    raise AssertionError("an attempt either answers or raises")


def _start(paging: PagingPlan | None) -> dict[str, int]:
    if paging is None:
        return {}
    given = {paging.size_param: paging.size} if paging.size_param else {}
    if paging.style in ("page", "offset"):
        given[paging.param] = paging.first
    return given


def _items(source: str, plan: ListPlan, answer: Answer) -> list[Json]:
    found = _evaluated(source, plan, plan.items, answer.document)
    if not isinstance(found, list):
        raise _garbled(source, plan, f"{plan.items.text!r} is no list")
    return found


def _following(
    client: Client, source: str, plan: ListPlan, place: _Place, answer: Answer, items: list[Json]
) -> _Place | None:
    paging = plan.paging
    if paging is None:
        return None
    count = place.items + len(items)
    if paging.more is not None:
        more = _evaluated(source, plan, paging.more, answer.document)
        if not isinstance(more, bool):
            raise _garbled(source, plan, f"{paging.more.text!r} is neither true nor false")
        if not more:
            return None
    if paging.style == "link":
        return _linked(client, source, plan, place, answer, count)
    token: str | int | None
    if paging.style in ("cursor", "after"):
        token = _token(source, plan, answer, items)
    else:
        token = _counted(source, plan, place, answer, items)
    if token is None:
        return None
    onward = replace(place, page=place.page + 1, items=count)
    return onward.with_args({paging.param: token})


def _linked(
    client: Client, source: str, plan: ListPlan, place: _Place, answer: Answer, count: int
) -> _Place | None:
    assert plan.paging is not None
    if plan.paging.next is None:
        address: str | None = answer.links.get("next")
    else:
        found = _evaluated(source, plan, plan.paging.next, answer.document)
        address = _word(source, plan, plan.paging.next, found)
    if address is None:
        return None
    onward = client.below(address, place.path)
    return _Place(onward, {}, place.body, place.page + 1, count)


def _token(source: str, plan: ListPlan, answer: Answer, items: list[Json]) -> str | None:
    paging = plan.paging
    assert paging is not None
    assert paging.next is not None
    if paging.style == "cursor":
        return _word(
            source, plan, paging.next, _evaluated(source, plan, paging.next, answer.document)
        )
    if not items:
        if paging.more is not None:
            raise _garbled(source, plan, "there is more, and yet the page is empty")
        return None
    found = _word(source, plan, paging.next, _evaluated(source, plan, paging.next, items[-1]))
    if found is None:
        raise _garbled(source, plan, f"the last item has nothing at {paging.next.text!r}")
    return found


def _counted(
    source: str, plan: ListPlan, place: _Place, answer: Answer, items: list[Json]
) -> int | None:
    paging = plan.paging
    assert paging is not None
    count, done = place.items + len(items), place.page + 1
    so_far = done if paging.style == "page" else count
    if paging.total is not None:
        total = _evaluated(source, plan, paging.total, answer.document)
        if not isinstance(total, int) or isinstance(total, bool) or total < 0:
            raise _garbled(source, plan, f"{paging.total.text!r} is not a count")
        if so_far >= total:
            return None
        if not items:
            raise _garbled(source, plan, f"it ends after {so_far} of {total}")
    elif not items and paging.more is None:
        return None
    return paging.first + so_far


def _evaluated(source: str, plan: ListPlan, path: Expression, document: Json) -> Json:
    try:
        return path(document, document)
    except Invalid as error:
        raise _garbled(source, plan, error.message) from error


def _word(source: str, plan: ListPlan, path: Expression, value: Json) -> str | None:
    try:
        return word(value, path.text)
    except Invalid as error:
        raise _garbled(source, plan, error.message) from error


def _garbled(source: str, plan: ListPlan, reason: str) -> SourceGarbled:
    return SourceGarbled(
        f"{source}: the list at {plan.path} is not as expected: {reason}.",
        fix="Nothing was changed. Check the source, and `list` in its file.",
    )

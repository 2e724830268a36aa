"""The pages of one thing: what it is, what is said of it, what became of it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request
from starlette.responses import Response

from lineal.model import Answer, Budget, Uri, iso
from lineal.query import Ask, Differences, Lineage
from lineal.surfaces import formats
from lineal.surfaces.portal import views
from lineal.surfaces.portal.desk import Desk, Picture, UriParam, times
from lineal.surfaces.portal.frame import Page, Seen
from lineal.surfaces.portal.links import Links, address

#: The little picture on a thing's own page.
GLANCED = Budget(depth=1, nodes=500, edges=2_000, milliseconds=500)
GLANCED_EACH = 5


class Thing:
    """A thing, its facts, its history, and why an edge of it is believed."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def pages(self) -> dict[str, Page]:
        """Return each page by its path."""
        return {
            "/entity": self.entity,
            "/history": self.history,
            "/changes": self.changes,
            "/facts": self.facts,
            "/edge": self.edge,
        }

    def entity(self, request: Request, seen: Seen, uri: UriParam) -> Response:
        """Show a thing: what it is, who owns it, what it is joined to."""
        answer, head = self._desk.head(seen, uri)
        pinned = seen.pinned(answer)
        around = self._desk.ask.lineage(
            seen.viewer, [answer.value.uri], pinned, up=1, down=1, ask=Ask(GLANCED)
        )
        neighbours = head.pop("neighbours")
        relations = [
            one for one in views.relations(neighbours.value, self._desk.shapes)
            if one.name not in views.ELSEWHERE
            and not self._desk.shapes.kind_of(one.name)[0].finding
        ]  # fmt: skip
        return self._desk.page(
            "entity.html", request, seen, answer, **head,
            api=address("/api/v1/entities", {"uri": answer.value.uri, **times(seen)}),
            facts=views.facts(answer.value, self._desk.shapes),
            glance=self._glance(around, seen.links),
            relations=relations, related_count=sum(len(one.neighbours) for one in relations),
            neighbours=neighbours,
            names=self._desk.ask.names(seen.viewer, answer.value.uri, pinned).value,
        )  # fmt: skip

    def _glance(self, around: Answer[Lineage], links: Links) -> Picture | None:
        """Return the little picture, if there is anything beside the thing itself."""
        if len(around.value.nodes) < 2:
            return None
        only = views.nearest(around.value, GLANCED_EACH)
        return self._desk.drawn(around.value, links, only, "Nearest lineage")

    def facts(self, request: Request, seen: Seen, uri: UriParam) -> Response:
        """Show each source's own word on a thing."""
        answer, head = self._desk.head(seen, uri)
        api = address("/api/v1/entities", {"uri": answer.value.uri, **times(seen)})
        told = formats.entity(answer)["value"]
        return self._desk.page("facts.html", request, seen, answer, **head, api=api, told=told)

    def history(self, request: Request, seen: Seen, uri: UriParam) -> Response:
        """Show what happened to a thing."""
        answer, head = self._desk.head(seen, uri)
        told = self._desk.ask.history(seen.viewer, answer.value.uri, seen.pinned(answer))
        return self._desk.page(
            "history.html", request, seen, told, **head,
            api=address("/api/v1/history", {"uri": answer.value.uri, **times(seen)}),
            turns=views.turns(told.value),
        )  # fmt: skip

    def changes(
        self,
        request: Request,
        seen: Seen,
        uri: UriParam,
        earlier: Annotated[str, Query(alias="from", max_length=64)] = "",
        later: Annotated[str, Query(alias="to", max_length=64)] = "",
        along: Annotated[Literal["known", "valid", ""], Query()] = "",
    ) -> Response:
        """Show what differs of a thing, and of what it is joined to, between two moments."""
        answer, head = self._desk.head(seen, uri)
        before, after = self._desk.moments(seen, answer, earlier, later, along)
        told = self._desk.ask.diff(seen.viewer, answer.value.uri, before, after)
        first = told.value.before
        return self._desk.page(
            "changes.html", request, seen, told, **head,
            api=_difference_api(answer.value.uri, told),
            told=told.value, causes=views.causes(told.value), along=along or "known",
            earlier=earlier.strip() or iso(first.valid_at if along == "valid" else first.known_at),
            later=later.strip(),
        )  # fmt: skip

    def edge(
        self,
        request: Request,
        seen: Seen,
        start: Annotated[str, Query(alias="from")],
        kind: Annotated[str, Query(max_length=64)],
        end: Annotated[str, Query(alias="to")],
    ) -> Response:
        """Show why an edge is believed."""
        told = self._desk.ask.explain(seen.viewer, Uri(start), kind, Uri(end), seen.moment)
        query = {"from": start, "kind": kind, "to": end, **times(seen)}
        return self._desk.page(
            "edge.html", request, seen, told,
            api=address("/api/v1/edges/explain", query), told=told.value,
            kind=self._desk.shapes.kinds[told.value.edge.kind],
            rules={rule.name for rule in self._desk.lineal.ruling.rules},
        )  # fmt: skip


def _difference_api(uri: Uri, told: Answer[Differences]) -> str:
    before, after = told.value.before, told.value.after
    query = {
        "uri": uri,
        "from_known_at": f"t:{before.t}", "from_valid_at": iso(before.valid_at),
        "known_at": f"t:{after.t}", "valid_at": iso(after.valid_at),
    }  # fmt: skip
    return address("/api/v1/diff", query)

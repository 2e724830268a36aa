"""The answers of a database file, in the very words in which a server gives them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, Unpack, cast

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.errors import InvalidQuery
from lineal.model import Json, Moment, Uri
from lineal.query import WHOLE, Among, Ask
from lineal.surfaces import (
    asked,
    differing,
    formats,
    formats_identity,
    formats_rules,
    formats_walks,
    formats_work,
    walking,
)
from lineal.surfaces.asked import see_one_choice
from lineal.surfaces.cli.importing import bar

if TYPE_CHECKING:
    from lineal.client.answers import (
        Alike,
        Answer,
        Asset,
        Closure,
        Common,
        Cost,
        Differences,
        Entity,
        Explanation,
        Found,
        Happening,
        Impact,
        Lineage,
        Names,
        Neighbour,
        Path,
        Preview,
        Recent,
        RuleEdge,
        SchemaChanges,
        Suggestion,
        Times,
        Unused,
        Walk,
        Wanted,
    )
    from lineal.client.answers import Among as Said

Value = TypeVar("Value")


class Local:
    """A database that was opened: asked like `lineal.client.Client`."""

    def __init__(self, lineal: Lineal) -> None:
        self._lineal, self._ask = lineal, lineal.ask

    def get(self, uri: str, **times: Unpack[Times]) -> Answer[Entity]:
        """Return what all sources together say of a thing."""
        return _as(formats.entity(self._ask.get(LOCAL, Uri(uri), _moment(times))))

    def neighbours(
        self, uri: str, *, limit: int, layers: Sequence[str] = (), **times: Unpack[Times]
    ) -> Answer[list[Neighbour]]:
        """Return what a thing is joined to, by which relation."""
        chosen = walking.believed(layers)
        found = self._ask.neighbours(LOCAL, Uri(uri), _moment(times), limit=limit, layers=chosen)
        return _as(formats.neighbours(found))

    def explain(
        self, start: str, kind: str, end: str, **times: Unpack[Times]
    ) -> Answer[Explanation]:
        """Return why an edge is believed, down to the answers of sources."""
        found = self._ask.explain(LOCAL, Uri(start), kind, Uri(end), _moment(times))
        return _as(formats.explanation(found))

    def history(self, uri: str, *, limit: int, **times: Unpack[Times]) -> Answer[list[Happening]]:
        """Return what happened to a thing, newest first, and who caused it."""
        found = self._ask.history(LOCAL, Uri(uri), _moment(times), limit=limit)
        return _as(formats.history(found))

    def recent(self, *, limit: int, **times: Unpack[Times]) -> Answer[list[Recent]]:
        """Return what the last transactions changed, newest first, by whom and why."""
        return _as(formats.recent(self._ask.recent(LOCAL, _moment(times), limit=limit)))

    def names(self, uri: str, **times: Unpack[Times]) -> Answer[Names]:
        """Return all names of a thing, and who says that they are one."""
        return _as(formats_identity.names(self._ask.names(LOCAL, Uri(uri), _moment(times))))

    def preview_merge(
        self, one: str, other: str, *, across_environments: bool = False, **times: Unpack[Times]
    ) -> Answer[Preview]:
        """Return what would be so if two names were one thing."""
        told = self._ask.preview_merge(
            LOCAL,
            Uri(one),
            Uri(other),
            _moment(times),
            across_environments=across_environments,
        )
        return _as(formats_identity.preview(told))

    def preview_split(
        self, one: str, other: str | None = None, **times: Unpack[Times]
    ) -> Answer[Preview]:
        """Return what would be so if a name were parted from another, or from all."""
        second = None if other is None else Uri(other)
        told = self._ask.preview_split(LOCAL, Uri(one), second, _moment(times))
        return _as(formats_identity.preview(told))

    def suggestions(
        self, uri: str | None = None, *, limit: int, **times: Unpack[Times]
    ) -> Answer[list[Suggestion]]:
        """Return which things may be one."""
        about = None if uri is None else Uri(uri)
        told = self._ask.suggestions(LOCAL, about, _moment(times), limit=limit)
        return _as(formats_identity.suggestions(told))

    def diff(
        self,
        uri: str,
        before: Times,
        *,
        limit: int,
        cost: Cost | None = None,
        **times: Unpack[Times],
    ) -> Answer[Differences]:
        """Return what differs of a thing and what is around it, between two moments."""
        moments = _moment(before), _moment(times)
        found = self._ask.diff(LOCAL, Uri(uri), *moments, limit=limit, ask=self._cost(cost))
        return _as(differing.differences(found))

    def _cost(self, cost: Cost | None) -> Ask:
        said = cost or {}
        return walking.walk(
            self._lineal.shapes,
            {"edges": said.get("edges"), "rows": said.get("rows"), "ms": said.get("ms")},
        )

    def diff_lineage(
        self,
        uri: str,
        before: Times,
        *,
        up: int,
        down: int,
        limit: int,
        cost: Cost | None = None,
        **times: Unpack[Times],
    ) -> Answer[Differences]:
        """Return what differs of the lineage of a thing, between two moments."""
        moments, ask = (_moment(before), _moment(times)), self._cost(cost)
        found = self._ask.diff_lineage(
            LOCAL, [Uri(uri)], *moments, up=up, down=down, ask=ask, limit=limit
        )
        return _as(differing.differences(found))

    def diff_type(
        self,
        kind: str,
        before: Times,
        *,
        limit: int,
        cost: Cost | None = None,
        **times: Unpack[Times],
    ) -> Answer[Differences]:
        """Return what differs of all things of a type, between two moments."""
        moments, ask = (_moment(before), _moment(times)), self._cost(cost)
        found = self._ask.diff_type(LOCAL, kind, *moments, ask=ask, limit=limit)
        return _as(differing.differences(found))

    def search(
        self,
        text: str,
        *,
        limit: int,
        offset: int,
        layers: Sequence[str] = (),
        **times: Unpack[Times],
    ) -> Answer[Found]:
        """Return what fits a search text."""
        found = self._ask.search(
            LOCAL, text, _moment(times), limit=limit, offset=offset,
            layers=walking.believed(layers),
        )  # fmt: skip
        return _as(formats.found(found))

    def counts(self, **times: Unpack[Times]) -> Answer[dict[str, int]]:
        """Return how many things of each type are known."""
        return _as(formats.counts(self._ask.counts(LOCAL, _moment(times))))

    def types(self) -> dict[str, Json]:
        """Return the types of things and the kinds of edges."""
        return formats.shapes(self._lineal.shapes)

    def health(self) -> dict[str, Json]:
        """Return how each source stands, and which promises are broken."""
        return formats_work.health(self._lineal.standings())

    def findings(self, source: str) -> dict[str, Json]:
        """Return what of a source's documents does not fit, and in how many of them."""
        return formats_work.findings(source, self._lineal.findings(source))

    def dead_letters(self, *, source: str | None = None, limit: int = 100) -> dict[str, Json]:
        """Return what could not be taken in, newest first."""
        return formats_work.dead_letters(self._lineal.dead_letters(limit, source=source))

    def dead_letter(self, number: int) -> dict[str, Json]:
        """Return one thing that could not be taken in."""
        return formats_work.dead_letter(self._lineal.dead_letter(number))

    def deeds(self, *, limit: int = 100) -> dict[str, Json]:
        """Return who released, replayed or purged what, newest first."""
        return formats_work.deeds(self._lineal.deeds(limit))

    def replay(
        self,
        ids: Sequence[int] | None = None,
        *,
        source: str | None = None,
        every: bool = False,
        actor: str,
    ) -> dict[str, Json]:
        """Take up dead letters again, as they are: these, all of a source, or *every* one."""
        see_one_choice(ids, source, every)
        done = self._lineal.replay(ids=ids, source=source, actor=actor)
        return formats_work.replayed(done)

    def purge(
        self,
        ids: Sequence[int] | None = None,
        *,
        source: str | None = None,
        every: bool = False,
        actor: str,
        reason: str,
    ) -> dict[str, Json]:
        """Throw dead letters away for good: these, all of a source, or *every* one."""
        see_one_choice(ids, source, every)
        count = self._lineal.purge(ids=ids, source=source, actor=actor, reason=reason)
        return {"count": count}

    def release(self, source: str, *, actor: str, reason: str) -> dict[str, Json]:
        """Let the removals go that are held back of a source; each is asked for once more."""
        return {"count": self._lineal.release(source, actor=actor, reason=reason)}

    def rules(self) -> dict[str, Json]:
        """Return every rule, how it stands, and how much they have still to do."""
        ruling = self._lineal.ruling
        return formats_rules.rules(ruling.standing(), ruling.pending(), self._lineal.shapes)

    def rule(self, name: str) -> dict[str, Json]:
        """Return one rule: what it says, how it stands, and where it fails."""
        ruling = self._lineal.ruling
        return formats_rules.shown(ruling.stands(name), ruling.failures(name), self._lineal.shapes)

    def rule_edges(
        self, name: str, *, limit: int, **times: Unpack[Times]
    ) -> Answer[list[RuleEdge]]:
        """Return edges that stand by a rule, each with a reason."""
        self._lineal.ruling.rule(name)
        found = self._ask.concluded(LOCAL, name, _moment(times), limit=limit)
        return _as(formats_rules.concluded(found))

    def dry_run(
        self, name: str | None = None, *, text: str | None = None, file: str | None = None
    ) -> dict[str, Json]:
        """Return what a rule would give over all that is known now; nothing is written."""
        ruling = self._lineal.ruling
        rule = ruling.rule(name or "") if text is None else ruling.read(text, file or "rule.yaml")
        with bar() as progress:
            done = ruling.dry_run(
                rule, None if progress is None else lambda at, of: progress(at, of, "looked at")
            )
        return formats_rules.dry_run(done)

    def switch_rule(
        self, name: str, *, enabled: bool, actor: str, reason: str = ""
    ) -> dict[str, Json]:
        """Let a rule conclude, or have all that it concluded withdrawn; all of that is done."""
        changed = self._lineal.switch_rule(name, enabled=enabled, actor=actor, reason=reason)
        with bar() as progress:
            self._lineal.ruling.follow(
                None if progress is None else lambda done, of: progress(done, of, "pieces")
            )
        return {"name": name, "enabled": enabled, "changed": changed}

    def lineage(
        self,
        uris: str | Sequence[str],
        *,
        up: int,
        down: int,
        grain: str | None = None,
        way: Walk | None = None,
        **times: Unpack[Times],
    ) -> Answer[Lineage]:
        """Return what things were made from and what is made from them."""
        ask = self._walk(way)
        ask = ask if grain is None else replace(ask, grain=grain)
        found = self._ask.lineage(LOCAL, _each(uris), _moment(times), up=up, down=down, ask=ask)
        return _as(formats_walks.lineage(found))

    def paths(
        self, start: str, end: str, *, k: int, way: Walk | None = None, **times: Unpack[Times]
    ) -> Answer[list[Path]]:
        """Return the shortest ways by which one of two things feeds the other."""
        ends = Uri(start), Uri(end)
        found = self._ask.paths(LOCAL, *ends, _moment(times), k=k, ask=self._walk(way))
        return _as(formats_walks.paths(found))

    def between(
        self, start: str, end: str, *, way: Walk | None = None, **times: Unpack[Times]
    ) -> Answer[Lineage]:
        """Return all that lies on any way by which one of two things feeds the other."""
        ends = Uri(start), Uri(end)
        found = self._ask.between(LOCAL, *ends, _moment(times), ask=self._walk(way))
        return _as(formats_walks.lineage(found))

    def closure(
        self,
        uris: str | Sequence[str],
        *,
        side: str,
        limit: int,
        offset: int,
        among: Said,
        way: Walk | None = None,
        **times: Unpack[Times],
    ) -> Answer[Closure]:
        """Return all that is made from things, or that they were made from: counts, and a page."""
        found = self._ask.closure(
            LOCAL,
            _each(uris),
            _moment(times),
            upstream=side == "upstream",
            ask=self._walk(way, WHOLE),
            among=Among(**among),
            limit=limit,
            offset=offset,
        )
        return _as(formats_walks.closure(found))

    def common(
        self,
        uris: Sequence[str],
        *,
        side: str,
        limit: int,
        way: Walk | None = None,
        **times: Unpack[Times],
    ) -> Answer[Common]:
        """Return what several things have in common, upstream or downstream."""
        found = self._ask.common(
            LOCAL,
            _each(uris),
            _moment(times),
            upstream=side == "upstream",
            ask=self._walk(way),
            limit=limit,
        )
        return _as(formats_walks.common(found))

    def impact(
        self,
        uris: str | Sequence[str],
        *,
        change: str | None = None,
        to: str | None = None,
        limit: int,
        way: Walk | None = None,
        **times: Unpack[Times],
    ) -> Answer[Impact]:
        """Return what a change of things would touch, worst first."""
        meant, ask = walking.asked_change(change, to), self._walk(way)
        found = self._ask.impact(
            LOCAL, _each(uris), _moment(times), change=meant, ask=ask, limit=limit
        )
        return _as(formats_walks.impact(found))

    def schema_changes(
        self,
        before: Times,
        *,
        types: Sequence[str] = (),
        limit: int,
        cost: Cost | None = None,
        **times: Unpack[Times],
    ) -> Answer[SchemaChanges]:
        """Return the schema changes between two moments, and whom each touches."""
        found = self._ask.schema_changes(
            LOCAL, _moment(before), _moment(times),
            types=self._types(types), ask=self._cost(cost), limit=limit,
        )  # fmt: skip
        return _as(formats_walks.schema_changes(found))

    def shared(
        self,
        *,
        types: Sequence[str] = (),
        limit: int,
        layers: Sequence[str] = (),
        **times: Unpack[Times],
    ) -> Answer[list[Asset]]:
        """Return the assets that most live consumers rest on, of the most teams."""
        found = self._ask.shared(
            LOCAL, _moment(times), types=self._types(types),
            ask=walking.over(walking.believed(layers)), limit=limit,
        )  # fmt: skip
        return _as(formats_walks.shared(found))

    def unused(
        self,
        uri: str | None = None,
        *,
        types: Sequence[str] = (),
        days: int,
        limit: int,
        layers: Sequence[str] = (),
        **times: Unpack[Times],
    ) -> Answer[list[Unused]]:
        """Return what of an owner, or of all, nothing live or recent is made from."""
        owner = None if uri is None else Uri(uri)
        found = self._ask.unused(
            LOCAL, owner, _moment(times), types=self._types(types), days=days,
            ask=walking.over(walking.believed(layers)), limit=limit,
        )  # fmt: skip
        return _as(formats_walks.unused(found))

    def wanted(
        self, uri: str, *, limit: int, layers: Sequence[str] = (), **times: Unpack[Times]
    ) -> Answer[list[Wanted]]:
        """Return the features that models like one consume and it does not."""
        chosen = walking.believed(layers)
        found = self._ask.wanted(LOCAL, Uri(uri), _moment(times), limit=limit, layers=chosen)
        return _as(formats_walks.wanted(found))

    def similar(
        self, uri: str, *, limit: int, layers: Sequence[str] = (), **times: Unpack[Times]
    ) -> Answer[list[Alike]]:
        """Return the models that consume like features as one."""
        chosen = walking.believed(layers)
        found = self._ask.similar(LOCAL, Uri(uri), _moment(times), limit=limit, layers=chosen)
        return _as(formats_walks.similar(found))

    def _types(self, types: Sequence[str]) -> frozenset[str] | None:
        return walking.types_of(self._lineal.shapes, types)

    def _walk(self, way: Walk | None, usual: Ask = walking.USUAL) -> Ask:
        return walking.walk(self._lineal.shapes, way, usual)

    def ask(
        self, question: str, uri: str, *, layers: Sequence[str] = (), **times: Unpack[Times]
    ) -> Answer[Json]:
        """Return the answer to one of the thirteen questions about a thing."""
        thing, at, ask, of = Uri(uri), _moment(times), self._ask, walking.believed(layers)
        told: dict[str, Callable[[], formats.Object]] = {
            "q1": lambda: formats.feeds(ask.feeds(LOCAL, thing, at, layers=of)),
            "q2": lambda: formats.listed(ask.data_pipelines(LOCAL, thing, at, layers=of)),
            "q3": lambda: formats.listed(ask.data_behind(LOCAL, thing, at, layers=of)),
            "q4": lambda: formats_walks.lineage(ask.complete_lineage(LOCAL, thing, at, layers=of)),
            "q5": lambda: formats.testings(ask.tests_of(LOCAL, thing, at, layers=of)),
            "q6": lambda: formats.testings(ask.versions_in(LOCAL, thing, at, layers=of)),
            "q7": lambda: formats.listed(ask.models_downstream(LOCAL, thing, at, layers=of)),
            "q8": lambda: formats.consumers(ask.consumers(LOCAL, thing, at, layers=of)),
            "q9": lambda: formats.sharers(ask.sharers(LOCAL, thing, at, layers=of)),
            "q10": lambda: formats.listed(ask.data_under(LOCAL, thing, at, layers=of)),
            "q11": lambda: formats.around(ask.around(LOCAL, thing, at, layers=of)),
            "q12": lambda: formats.owned(ask.owners_of_chain(LOCAL, thing, at, layers=of)),
            "q13": lambda: formats.listed(ask.retirable(LOCAL, thing, at, layers=of)),
        }
        if question not in told:
            raise InvalidQuery(f"There is no question {question!r}.", fix="Ask q1 to q13.")
        return _as(told[question]())


def _moment(times: Times) -> Moment:
    return asked.moment(times.get("known_at"), times.get("valid_at"))


def _each(uris: str | Sequence[str]) -> list[Uri]:
    return [Uri(uris)] if isinstance(uris, str) else [Uri(uri) for uri in uris]


def _as(answer: formats.Object) -> Answer[Value]:
    """Return an answer under the name of what is in it; `formats` and the client agree on that."""
    return cast("Answer[Value]", answer)

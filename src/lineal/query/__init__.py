"""THE READ PATH: every question that a surface may ask.

Each question takes a `Viewer` and a `Moment`, is answered from one snapshot at one basis, and
says in its `Answer` whether it is complete, what was cut and why.

    question ─▶ reader at a basis (store) ─▶ keys ─▶ walk or look up ─▶ one name a thing ─▶ Answer
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from lineal.errors import Invalid
from lineal.lineage.laws import BELIEVED
from lineal.model import NOW, Answer, Budget, Instant, Moment, Uri, Viewer
from lineal.query import (
    alike,
    closures,
    concluded,
    diff,
    explaining,
    finding,
    identity,
    impact,
    pages,
    recent,
    schema,
    use,
    walks,
    ways,
)
from lineal.query.alike import COMPARABLE, WANTING, Alike, Wanted
from lineal.query.changing import OF, Change
from lineal.query.closures import ALL, WITHOUT, Among, Closure, Member
from lineal.query.concluded import Concluded
from lineal.query.diff import Differences
from lineal.query.explaining import SKEW, Explanation
from lineal.query.finding import Found
from lineal.query.findings import Described, Finding
from lineal.query.identity import Evidence, Names, Preview, Previewing, Suggestion
from lineal.query.impact import Hit, Impact, Touched
from lineal.query.pages import Happening, Neighbour
from lineal.query.recent import Recent
from lineal.query.schema import TYPES as SCHEMA_TYPES
from lineal.query.schema import SchemaChange, SchemaChanges
from lineal.query.things import Brief, Things, answer
from lineal.query.thirteen import RETIRABLE, Consumer, Feeds, Owned, Sharer, Thirteen, Trial
from lineal.query.use import ASSETS, RECENT, Asset, Unused
from lineal.query.walks import Arrow, Ask, Cycle, Lineage, Node
from lineal.query.ways import Common, Path, Shared
from lineal.search import parse
from lineal.store import Store

__all__ = [
    "ALL",
    "ASSETS",
    "BELIEVED",
    "COMPARABLE",
    "OF",
    "RECENT",
    "RETIRABLE",
    "SCHEMA_TYPES",
    "SWEEP",
    "WANTING",
    "WHOLE",
    "WITHOUT",
    "Alike",
    "Among",
    "Arrow",
    "Ask",
    "Asset",
    "Brief",
    "Change",
    "Closure",
    "Common",
    "Concluded",
    "Consumer",
    "Cycle",
    "Described",
    "Differences",
    "Evidence",
    "Explanation",
    "Feeds",
    "Finding",
    "Found",
    "Happening",
    "Hit",
    "Impact",
    "Lineage",
    "Member",
    "Names",
    "Neighbour",
    "Node",
    "Owned",
    "Path",
    "Preview",
    "Questions",
    "Recent",
    "SchemaChange",
    "SchemaChanges",
    "Shared",
    "Sharer",
    "Suggestion",
    "Touched",
    "Trial",
    "Unused",
    "Wanted",
]

if TYPE_CHECKING:
    from lineal.query.index import Index

#: The layers of edges that are looked at.
Layers: TypeAlias = "frozenset[str]"

_ASK = Ask()
#: What a question may cost that is asked without a budget of its own.
_USUAL = Budget()
#: A closure is counted whole.
WHOLE = Ask(closures.WHOLE)
#: The thirteen walk from many things at once.
_WIDE = Ask(Budget(nodes=50_000, edges=200_000))
#: What looks over all that is used walks from everything that is live.
SWEEP = Ask(Budget(nodes=1_000_000, edges=2_000_000, milliseconds=10_000, rows=5_000_000))


class Questions:
    """Every question, over one store."""

    def __init__(
        self,
        store: Store,
        *,
        platforms: Sequence[str] = (),
        index: Index | None = None,
        skew: Instant = SKEW,
    ) -> None:
        """
        Take the store, and which platforms' names stand first for things of several names.

        With an *index*, walks of now are answered from memory; without, by the store, alike. What
        a conclusion rests on is told to lie apart if it does by more than *skew*.
        """
        self._store, self._platforms, self.index = store, tuple(platforms), index
        self._skew = skew

    @contextlib.contextmanager
    def _things(
        self,
        viewer: Viewer,
        moment: Moment,
        budget: Budget = _USUAL,
        layers: frozenset[str] | None = None,
    ) -> Iterator[Things]:
        with self._store.read(viewer, moment, budget) as reader:
            reader.layers = layers
            yield Things(reader, self._store.shapes, self._platforms, index=self.index)

    def _walking(
        self, viewer: Viewer, moment: Moment, ask: Ask
    ) -> contextlib.AbstractContextManager[Things]:
        """What is asked beside a walk, such as owners, is believed, whatever is walked over."""
        return self._things(viewer, moment, ask.budget, ask.layers | BELIEVED)

    # ── One thing ────────────────────────────────────────────────────────────────────────────

    def get(self, viewer: Viewer, uri: Uri, moment: Moment = NOW) -> Answer[Described]:
        """What is this, as all its sources together say, and what may be wrong with it?"""
        with self._things(viewer, moment) as things:
            return pages.entity(things, things.key(uri))

    def neighbours(
        self,
        viewer: Viewer,
        uri: Uri,
        moment: Moment = NOW,
        *,
        limit: int = 500,
        layers: Layers = BELIEVED,
    ) -> Answer[tuple[Neighbour, ...]]:
        """What is this joined to, by which relation?"""
        with self._things(viewer, moment, layers=layers) as things:
            return pages.neighbours(things, things.key(uri), limit=limit)

    def explain(
        self, viewer: Viewer, start: Uri, kind: str, end: Uri, moment: Moment = NOW
    ) -> Answer[Explanation]:
        """Why do we believe that these two are so related? An inverse kind is turned round."""
        found, inverted = self._store.shapes.kind_of(kind)
        if inverted:
            start, end = end, start
        with self._things(viewer, moment) as things:
            return explaining.explain(
                things, things.key(start), found.name, things.key(end), bound=self._skew
            )

    def concluded(
        self, viewer: Viewer, rule: str, moment: Moment = NOW, *, limit: int = 50
    ) -> Answer[tuple[Concluded, ...]]:
        """Which edges stand by this rule?"""
        if limit < 0:
            raise Invalid("limit cannot be negative.")
        with self._things(viewer, moment) as things:
            return concluded.concluded(things, rule, limit=limit)

    def history(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, limit: int = 200
    ) -> Answer[tuple[Happening, ...]]:
        """What happened to this, newest first, and who caused it?"""
        with self._things(viewer, moment) as things:
            return pages.history(things, things.key(uri), limit=limit)

    # ── One thing under many names ───────────────────────────────────────────────────────────

    def names(self, viewer: Viewer, uri: Uri, moment: Moment = NOW) -> Answer[Names]:
        """Under which names is this known, and who says that they are one?"""
        with self._things(viewer, moment) as things:
            return identity.evidence(things, things.key(uri))

    def preview_merge(
        self,
        viewer: Viewer,
        one: Uri,
        other: Uri,
        moment: Moment = NOW,
        *,
        across_environments: bool = False,
    ) -> Answer[Preview]:
        """What would be so if these two were one thing?"""
        if one == other:
            raise Invalid(f"{one} is one name, not two.", fix="Give two names.")
        with self._things(viewer, moment) as things:
            previewing = Previewing(things, self._store.rules)
            keys = things.key(one), things.key(other)
            return previewing.merge(*keys, across=across_environments)

    def preview_split(
        self, viewer: Viewer, one: Uri, other: Uri | None = None, moment: Moment = NOW
    ) -> Answer[Preview]:
        """What would be so if this name were parted from the other, or from all it is joined to?"""
        with self._things(viewer, moment) as things:
            previewing = Previewing(things, self._store.rules)
            return previewing.split(things.key(one), None if other is None else things.key(other))

    def suggestions(
        self, viewer: Viewer, uri: Uri | None = None, moment: Moment = NOW, *, limit: int = 50
    ) -> Answer[tuple[Suggestion, ...]]:
        """Which things may be one, though nobody says so?"""
        if limit < 0:
            raise Invalid("limit cannot be negative.")
        with self._things(viewer, moment) as things:
            key = None if uri is None else things.key(uri)
            return identity.suggestions(things, key, limit=limit)

    # ── Finding ──────────────────────────────────────────────────────────────────────────────

    def search(
        self,
        viewer: Viewer,
        text: str,
        moment: Moment = NOW,
        *,
        limit: int = 20,
        offset: int = 0,
        layers: Layers = BELIEVED,
    ) -> Answer[Found]:
        """What fits this text? See `lineal.search.language` for what may be written."""
        if limit < 0 or offset < 0:
            raise Invalid("limit and offset cannot be negative.")
        query = parse(text, self._store.shapes)
        with self._things(viewer, moment, layers=layers) as things:
            return finding.search(things, query, limit=limit, offset=offset)

    def counts(self, viewer: Viewer, moment: Moment = NOW) -> Answer[dict[str, int]]:
        """How many things of each type are known?"""
        with self._things(viewer, moment) as things:
            counts = dict(sorted(things.reader.counts().items()))
            return answer(things.reader, counts, inferred=False)

    def recent(
        self, viewer: Viewer, moment: Moment = NOW, *, limit: int = 20
    ) -> Answer[tuple[Recent, ...]]:
        """What changed lately, newest first, by whom and why?"""
        with self._things(viewer, moment) as things:
            return recent.recent(things, limit=limit)

    # ── Walks ────────────────────────────────────────────────────────────────────────────────

    def lineage(
        self,
        viewer: Viewer,
        uris: Sequence[Uri],
        moment: Moment = NOW,
        *,
        up: int = 20,
        down: int = 20,
        ask: Ask = _ASK,
    ) -> Answer[Lineage]:
        """What was this made from, and what is made from it?"""
        with self._walking(viewer, moment, ask) as things:
            keys = [things.key(uri) for uri in _several(uris)]
            return walks.lineage(things, keys, up=up, down=down, ask=ask)

    def paths(
        self,
        viewer: Viewer,
        start: Uri,
        end: Uri,
        moment: Moment = NOW,
        *,
        k: int = 3,
        ask: Ask = _ASK,
    ) -> Answer[tuple[Path, ...]]:
        """By which shortest ways does one of these feed the other?"""
        with self._walking(viewer, moment, ask) as things:
            return ways.paths(things, things.key(start), things.key(end), k=k, ask=ask)

    def between(
        self, viewer: Viewer, start: Uri, end: Uri, moment: Moment = NOW, *, ask: Ask = _ASK
    ) -> Answer[Lineage]:
        """What lies on any way by which one of these feeds the other?"""
        with self._walking(viewer, moment, ask) as things:
            return ways.between(things, things.key(start), things.key(end), ask=ask)

    def common(
        self,
        viewer: Viewer,
        uris: Sequence[Uri],
        moment: Moment = NOW,
        *,
        upstream: bool = True,
        ask: Ask = _ASK,
        limit: int = 500,
    ) -> Answer[Common]:
        """What have all of these in common, upstream or downstream?"""
        if len(set(uris)) < 2:
            raise Invalid("One thing alone has nothing in common.", fix="Name two or more.")
        with self._walking(viewer, moment, ask) as things:
            keys = [things.key(uri) for uri in uris]
            return ways.common(things, keys, upstream=upstream, ask=ask, limit=limit)

    def closure(
        self,
        viewer: Viewer,
        uris: Sequence[Uri],
        moment: Moment = NOW,
        *,
        upstream: bool = False,
        ask: Ask = WHOLE,
        among: Among = ALL,
        limit: int = 100,
        offset: int = 0,
    ) -> Answer[Closure]:
        """
        All of what these were made from, or what is made from them: counts, and a page of it?

        With *among* the counts and the page are of what fits.
        """
        if limit < 0 or offset < 0:
            raise Invalid("limit and offset cannot be negative.")
        with self._walking(viewer, moment, ask) as things:
            keys = [things.key(uri) for uri in _several(uris)]
            return closures.closure(
                things, keys, upstream=upstream, ask=ask, among=among, limit=limit, offset=offset
            )

    def impact(
        self,
        viewer: Viewer,
        uris: Sequence[Uri],
        moment: Moment = NOW,
        *,
        change: Change | None = None,
        ask: Ask = _ASK,
        limit: int = 500,
    ) -> Answer[Impact]:
        """What would a change of these touch, why, is any of it live, and who must be told?"""
        with self._walking(viewer, moment, ask) as things:
            keys = [things.key(uri) for uri in _several(uris)]
            return impact.impact(things, keys, ask=ask, limit=limit, change=change)

    def schema_changes(
        self,
        viewer: Viewer,
        before: Moment,
        after: Moment = NOW,
        *,
        types: Collection[str] | None = None,
        ask: Ask = _ASK,
        limit: int = 50,
    ) -> Answer[SchemaChanges]:
        """Which schemas changed between two moments, why, and whom does each change touch?"""
        with self._store.between(viewer, before, after, ask.budget) as between:
            return schema.schema_changes(
                between, self._store.shapes, self._platforms, types=types, ask=ask, limit=limit
            )

    # ── Use ──────────────────────────────────────────────────────────────────────────────────

    def shared(
        self,
        viewer: Viewer,
        moment: Moment = NOW,
        *,
        types: Collection[str] | None = None,
        ask: Ask = SWEEP,
        limit: int = 50,
    ) -> Answer[tuple[Asset, ...]]:
        """On which assets do most live consumers rest, of the most teams?"""
        with self._walking(viewer, moment, ask) as things:
            return use.shared(things, types=types, ask=ask, limit=limit)

    def unused(
        self,
        viewer: Viewer,
        uri: Uri | None = None,
        moment: Moment = NOW,
        *,
        types: Collection[str] | None = None,
        days: int = RECENT,
        ask: Ask = SWEEP,
        limit: int = 500,
    ) -> Answer[tuple[Unused, ...]]:
        """What of this owner, or of all, has nothing live or recent downstream, since when?"""
        if days < 0:
            raise Invalid("days cannot be negative.")
        with self._walking(viewer, moment, ask) as things:
            owner = None if uri is None else things.key(uri)
            return use.unused(things, owner, types=types, days=days, ask=ask, limit=limit)

    def similar(
        self,
        viewer: Viewer,
        uri: Uri,
        moment: Moment = NOW,
        *,
        limit: int = 20,
        layers: Layers = BELIEVED,
    ) -> Answer[tuple[Alike, ...]]:
        """Which models consume like features, or which features do like models consume?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return alike.similar(things, asked, key, limit=limit)

    def wanted(
        self,
        viewer: Viewer,
        uri: Uri,
        moment: Moment = NOW,
        *,
        limit: int = 20,
        without: Collection[Uri] = (),
        layers: Layers = BELIEVED,
    ) -> Answer[tuple[Wanted, ...]]:
        """
        Which features does a model not consume that models like it do?

        Of a pipeline, the models that it trains are asked for as if they were one.
        *without* are features that count as not consumed, so that what is suggested can be tried
        against what is known.
        """
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            kept = things.reader.keys(without).values()
            return alike.wanted(things, asked, key, limit=limit, without=kept)

    # ── What differs ─────────────────────────────────────────────────────────────────────────

    def diff(
        self,
        viewer: Viewer,
        uri: Uri,
        before: Moment,
        after: Moment = NOW,
        *,
        ask: Ask = _ASK,
        limit: int = 500,
    ) -> Answer[Differences]:
        """What differs of this, and of what it is joined to, between two moments, and why?"""
        with self._store.between(viewer, before, after, ask.budget) as between:
            return diff.neighbourhood(between, self._store.shapes, uri, ask=ask, limit=limit)

    def diff_lineage(
        self,
        viewer: Viewer,
        uris: Sequence[Uri],
        before: Moment,
        after: Moment = NOW,
        *,
        up: int = 20,
        down: int = 20,
        ask: Ask = _ASK,
        limit: int = 500,
    ) -> Answer[Differences]:
        """What differs of the lineage of these between two moments, and why?"""
        with self._store.between(viewer, before, after, ask.budget) as between:
            return diff.lineage(
                between, self._store.shapes, uris, up=up, down=down, ask=ask, limit=limit
            )

    def diff_type(
        self,
        viewer: Viewer,
        kind: str,
        before: Moment,
        after: Moment = NOW,
        *,
        ask: Ask = _ASK,
        limit: int = 500,
    ) -> Answer[Differences]:
        """What differs of all things of a type, and of their edges, between two moments?"""
        with self._store.between(viewer, before, after, ask.budget) as between:
            return diff.everything(between, self._store.shapes, kind, ask=ask, limit=limit)

    # ── The thirteen ─────────────────────────────────────────────────────────────────────────

    def feeds(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[Feeds]:
        """Q1. Which features does this model use, and what data can feed them?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return answer(things.reader, asked.feeds(key), why=asked.why)

    def data_pipelines(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[tuple[Brief, ...]]:
        """Q2. Which pipelines generate data for this model?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return answer(things.reader, asked.data_pipelines(key), why=asked.why)

    def data_behind(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[tuple[Brief, ...]]:
        """Q3. Which data sources feed this feature, or this model's features?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return answer(things.reader, asked.data_behind(key), why=asked.why)

    def complete_lineage(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[Lineage]:
        """Q4. What is the complete lineage of this model, from data to experiments?"""
        return self.lineage(viewer, [uri], moment, ask=Ask(layers=layers))

    def tests_of(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[tuple[Trial, ...]]:
        """Q5. Which A/B tests are running this model?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return answer(things.reader, asked.tests_of(key), why=asked.why)

    def versions_in(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[tuple[Trial, ...]]:
        """Q6. Which models are being tested in this A/B test?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return answer(things.reader, asked.versions_in(key), why=asked.why)

    def models_downstream(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[tuple[Brief, ...]]:
        """Q7. Which models break if this changes?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return answer(things.reader, asked.models_downstream(key), why=asked.why)

    def consumers(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[tuple[Consumer, ...]]:
        """Q8. Which models consume this feature, and which teams own them?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return answer(things.reader, asked.consumers(key), why=asked.why)

    def sharers(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[tuple[Sharer, ...]]:
        """Q9. Which models share features with this one?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return answer(things.reader, asked.sharers(key), why=asked.why)

    def data_under(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[tuple[Brief, ...]]:
        """Q10. Which data sources does this pipeline depend on, transitively?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return answer(things.reader, asked.data_under(key), why=asked.why)

    def around(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[tuple[tuple[Brief, ...], tuple[Brief, ...]]]:
        """Q11. Which data sets are upstream of this version, which experiments downstream?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return answer(things.reader, asked.around(key), why=asked.why)

    def owners_of_chain(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[tuple[Owned, ...]]:
        """Q12. Who owns each piece of this chain?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return answer(things.reader, asked.owners_of_chain(key), why=asked.why)

    def retirable(
        self, viewer: Viewer, uri: Uri, moment: Moment = NOW, *, layers: Layers = BELIEVED
    ) -> Answer[tuple[Brief, ...]]:
        """Q13. Which of this team's things does nothing live depend on?"""
        with self._thirteen(viewer, uri, moment, layers) as (asked, key, things):
            return answer(things.reader, asked.retirable(key), why=asked.why)

    @contextlib.contextmanager
    def _thirteen(
        self, viewer: Viewer, uri: Uri, moment: Moment, layers: Layers
    ) -> Iterator[tuple[Thirteen, int, Things]]:
        ask = replace(_WIDE, layers=layers)
        with self._things(viewer, moment, ask.budget, layers) as things:
            yield Thirteen(things, ask), things.key(uri), things


def _several(uris: Sequence[Uri]) -> Sequence[Uri]:
    """Return the starts of a question; raises `Invalid` where there is none."""
    if not uris:
        raise Invalid("It is not said of what is asked.", fix="Name one thing, or several.")
    return uris

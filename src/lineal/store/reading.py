"""Everything that can be read, at one basis and one moment, in one snapshot.

Each query is named for what it answers. A row is read when we held it at the asked ``t`` (or had
ended it without calling it wrong) and it was so at the asked instant; every query says so. What a
thing is called stands in `snapshots`, what joins it to others in `links`; here is what is said of
it, and how it is found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import sqlalchemy as sa

from lineal.model import (
    Entity,
    Instant,
    Json,
    Said,
    State,
    Uri,
)
from lineal.store import matching, observed, recent, schema, text
from lineal.store.facts import TOMBSTONE, response_of, together
from lineal.store.findings import Found, findings_about
from lineal.store.links import Links
from lineal.store.matching import Wanted
from lineal.store.recent import Turned
from lineal.store.slices import slices
from lineal.store.snapshots import alive_text, until

if TYPE_CHECKING:
    from lineal.lineage.engine.claims import Picture
    from lineal.lineage.engine.thinning import Rule
    from lineal.shapes import Shapes
    from lineal.store.bulk import Changes


class Reader(Links):
    """What was so at one moment, as we knew it at another."""

    # ── All at once ──────────────────────────────────────────────────────────────────────────

    def picture(
        self,
        shapes: Shapes,
        *,
        timed: bool = False,
        rule: Rule | None = None,
        since: Instant | None = None,
    ) -> Picture:
        """What do walks at this moment need to know, as columns? See `lineal.store.bulk`."""
        # NumPy is imported where the engine is used, and not with every store.
        from lineal.store import bulk  # noqa: PLC0415

        return bulk.picture(self, self._driver, shapes, timed=timed, rule=rule, since=since)

    def recent(self, most: int) -> list[Turned]:
        """What did the last transactions change, newest first?"""
        return recent.recent(self._driver, self.basis.t, most)

    def stages(self) -> tuple[dict[int, str], set[int]]:
        """What is the stage of each thing, and of which may it change by itself?"""
        from lineal.store import stages  # noqa: PLC0415

        return stages.stages(self, self._driver)

    def changes(self, after: int) -> Changes | None:
        """What did the transactions after this one change? None: that cannot be told."""
        from lineal.store import bulk  # noqa: PLC0415

        return bulk.changes(self, self._driver, after)

    def forgot(self, after: int) -> tuple[int, bool]:
        """Up to which transaction is all published, and was anything old dropped after that one?"""
        from lineal.store import bulk  # noqa: PLC0415

        return bulk.forgot(self._driver, after)

    def chained(self, t: int) -> str:
        """What is the hash of a transaction, which no other history has?"""
        from lineal.store import bulk  # noqa: PLC0415

        return bulk.chained(self._driver, t)

    def turns(self, things: Collection[int] | None = None) -> list[tuple[int, int, str, int]]:
        """When will a claim (that begins at one of these) begin or end to be so, and which?"""
        from lineal.store import bulk  # noqa: PLC0415

        return bulk.turns(self, self._driver, things)

    def unfit(self, subjects: Iterable[Uri], documents: Iterable[tuple[str, str]]) -> list[Found]:
        """What of the documents about these things, and of these documents, does not fit now?"""
        return findings_about(self._driver, subjects, documents)

    # ── Search ───────────────────────────────────────────────────────────────────────────────

    def candidates(self, wanted: Wanted) -> list[tuple[int, int]]:
        """What fits a search, and how well? Text is of now."""
        return matching.candidates(self._connection, wanted, self._alive(schema.record))

    def facet_counts(self, keys: Sequence[int], names: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many of these have which value of these facets? Of now."""
        return matching.facet_counts(self._connection, keys, names)

    def people_called(self, name: str) -> set[int]:
        """Which people and teams have this name, id or e-mail address?"""
        table, entity = schema.search_name, schema.entity
        folded = name.casefold().removeprefix("team-")
        called = text.held(name.casefold()), text.held(folded)
        named = sa.select(table.c.key).where(table.c.folded.in_(called))
        query = sa.select(entity.c.key, entity.c.uri).where(entity.c.type.in_(("user", "team")))
        found = set(
            self._connection.scalars(
                sa.select(entity.c.key).where(
                    entity.c.key.in_(named), entity.c.type.in_(("user", "team"))
                )
            )
        )
        for suffix in {name, folded}:
            ends = query.where(entity.c.uri.endswith("/" + suffix, autoescape=True))
            found |= {row.key for row in self._connection.execute(ends)}
        if name.startswith("mlg://"):
            found |= set(self.keys([Uri(name)]).values())
        return found

    # ── What rules look at ───────────────────────────────────────────────────────────────────

    def may_hold(self, attribute: str) -> bool:
        """Return False where `holding` finds nothing, whatever values it is asked for."""
        row = "SELECT 1 FROM facet_value WHERE name = ? LIMIT 1"
        return bool(self.unindexed) or self._driver.row(row, attribute) is not None

    def holding(
        self, types: Collection[str], attribute: str, values: Collection[str]
    ) -> dict[str, set[int]]:
        """
        Which things of these types have which of these values of an attribute, as is said now?

        They are found by their facets, so the attribute must be one of their types (their shapes
        say so, `lineal.search` of some); what the transaction changed has no new ones yet and is
        looked at itself.
        """
        if not values:
            return {}
        found = matching.having(self._driver, attribute, values)
        fresh = self.keys(uri for uri in self.unindexed if uri.type in types)
        wanted = {*found, *fresh.values()}
        uris = self.uris(wanted)
        wanted = {key for key in wanted if uris[key].type in types}
        held: dict[str, set[int]] = defaultdict(set)
        for key, said in self.told(wanted).items():
            value = said.get(attribute)
            for one in value if isinstance(value, list) else [value]:
                if one is not None and str(one) in values:
                    held[str(one)].add(key)
        return held

    def told(self, keys: Iterable[int]) -> dict[int, dict[str, Json]]:
        """
        What do all sources together say of these things now, the strongest word first?

        As `attributes` does of now, in one statement; for those who ask at every commit.
        """
        wanted = set(keys)
        rows = self._driver.among(_TOLD, wanted) if wanted else []
        if not rows:
            return {key: {} for key in wanted}
        uris = self.uris(wanted)
        found: dict[int, list[tuple[tuple[bool, int, str, str, int], str]]] = defaultdict(list)
        for key, body, source, name, since, t_from in rows:
            first = self._registered_for(uris[key])
            found[key].append(((source != first, -since, source, name, -t_from), body))
        return {
            key: together(msgspec.json.decode(body) for _, body in sorted(found.get(key, ())))
            for key in wanted
        }

    def first_heard(self, keys: Iterable[int]) -> dict[int, Instant]:
        """When did we first hear of these things? Of those new in this transaction: now."""
        wanted = set(keys)
        rows = self._driver.among(_FIRST_HEARD, wanted) if wanted else []
        heard: dict[int, Instant] = dict(rows)
        return {key: heard.get(key, self.basis.known_at) for key in wanted}

    # ── What is said ─────────────────────────────────────────────────────────────────────────

    def said(self, keys: Iterable[int]) -> dict[int, list[Said]]:
        """What does each document say of these things?"""
        found: dict[int, list[Said]] = defaultdict(list)
        for some in slices(keys):
            for key, *row in self._driver.some(_SAID, some, *self._when):
                found[key].append(_said(_Line(*row), self.basis.t))
        return found

    def attributes(self, keys: Iterable[int]) -> dict[int, dict[str, Json]]:
        """What do all sources together say of these things, the strongest word first?"""
        wanted = list(keys)
        uris, said = self.uris(wanted), self.said(wanted)
        return {
            key: together(one.attributes for one in self._ranked(uris[key], said.get(key, ())))
            for key in wanted
        }

    def _ranked(self, uri: Uri, said: Sequence[Said]) -> list[Said]:
        """
        Order words by strength: registered source, later valid time, then the source's name.

        The last is of two words of one document that overlap: the later recorded counts.
        """
        if len(said) < 2:
            return list(said)
        first = self._registered_for(uri)
        return sorted(
            said,
            key=lambda one: (
                one.source != first,
                -one.valid_from,
                one.source,
                one.document,
                -one.t_from,
            ),
        )

    def registered(self) -> Mapping[tuple[str, str], str]:
        """Which source is registered to describe which type on which platform?"""
        if self._registered is None:
            rows = self._driver.rows("SELECT type, platform, source FROM registered")
            self._registered = {(kind, name): source for kind, name, source in rows}
        return self._registered

    def _registered_for(self, uri: Uri) -> str | None:
        """Which source is registered to describe a thing?"""
        registered = self.registered()
        return registered.get((uri.type, uri.platform)) if registered else None

    def entities(self, keys: Iterable[int]) -> dict[int, Entity]:
        """What are these things, as all their sources together say?"""
        wanted = sorted(set(keys))
        uris, said = self.uris(wanted), self.said(wanted)
        confirmed = self._confirmed(wanted)
        ranks = bool(self.registered())
        absent = self._absent(
            [
                key for key in wanted
                if key not in said or (ranks and self._registered_for(uris[key]) is not None)
            ]
        )  # fmt: skip
        forgotten = self.forgotten(wanted)
        silent = [key for key in wanted if key not in said and key not in absent]
        unobserved = observed.unobserved(self._connection, self.basis, silent)
        found: dict[int, Entity] = {}
        for key in wanted:
            ranked: Sequence[Said] = said.get(key, ())
            if len(ranked) > 1:
                ranked = self._ranked(uris[key], ranked)
            state = State.HYDRATED if ranked else absent.get(key, State.REFERENCED)
            if ranks and self._withdrawn(uris[key], ranked, absent.get(key)):
                state = State.DELETED
            if key in unobserved:
                state = State.NOT_OBSERVED
            at, failing = confirmed.get(key, (None, False))
            if state is State.HYDRATED and failing:
                state = State.STALE
            if key in forgotten:
                state = State.FORGOTTEN
            if len(ranked) == 1:
                attributes = dict(ranked[0].attributes)
            else:
                attributes = together([one.attributes for one in ranked])
            found[key] = Entity(uris[key], state, attributes, tuple(ranked), (), at)
        return found

    def _withdrawn(self, uri: Uri, ranked: Sequence[Said], absent: State | None) -> bool:
        """The source registered for a platform has the last word on what exists there."""
        first = self._registered_for(uri) if absent is State.DELETED else None
        if first is None:
            return False
        return all(one.source != first for one in ranked)

    def _absent(self, keys: Collection[int]) -> dict[int, State]:
        """Which of these did a source withdraw (deleted), or never have (missing)?"""
        found: dict[int, State] = {}
        t, valid_at = self.basis.t, self.basis.valid_at
        for some in slices(keys):
            stones = self._driver.among(_STONES, some, *self._when)
            found.update((key, State.MISSING) for (key,) in stones)
            ended = self._driver.among(_WITHDRAWN, some, t, valid_at)
            found.update((key, State.DELETED) for (key,) in ended)
        return found

    def forgotten(self, keys: Iterable[int]) -> dict[int, tuple[int, str, str]]:
        """Which of these were forgotten on purpose: in which transaction, how, and why?"""
        rows = self._driver.among(_FORGOTTEN, set(keys))
        return {key: (t, how, reason) for key, t, how, reason in rows}

    def last_words(self, keys: Iterable[int]) -> dict[int, dict[str, Json]]:
        """What was last said of things that are gone?"""
        table, found = schema.record, dict[int, dict[str, Json]]()
        for some in slices(keys):
            query = (
                sa.select(table.c.key, table.c.body)
                .where(table.c.key.in_(some), table.c.body != TOMBSTONE)
                .where(table.c.t_from <= self.basis.t, table.c.reason != "corrected")
                .order_by(table.c.t_to, table.c.document)
            )
            for key, body in self._found(query):
                found[key] = msgspec.json.decode(body)
        return found

    def _confirmed(self, keys: Collection[int]) -> dict[int, tuple[Instant | None, bool]]:
        """
        When did a source last confirm these, and is asking it failing now?

        What is confirmed and what fails is of now. About the past: when their words, as known by
        then, were last recorded; that never changes.
        """
        if not self.basis.is_now:
            recorded = observed.last_recorded(self._connection, keys, self._alive(schema.record))
            return {key: (at, False) for key, at in recorded.items()}
        found: dict[int, tuple[Instant | None, bool]] = {}
        for some in slices(keys):
            rows = self._driver.some(_CONFIRMED, some, *self._when)
            # What is still so comes last, and counts; then by the names of its documents.
            for key, _, _, _, at, error in sorted(rows, key=itemgetter(0, 1, 2, 3)):
                found[key] = (at, error is not None)
        return found

    def last_confirmed(
        self, documents: Iterable[tuple[str, str]]
    ) -> dict[tuple[str, str], Instant]:
        """When did sources last confirm these of their documents? Of now."""
        by_source: dict[str, set[str]] = defaultdict(set)
        for source, name in documents:
            by_source[source].add(name)
        return {
            (source, name): at
            for source, names in by_source.items()
            for name, at in self._driver.among(_LAST_CONFIRMED, names, source)
        }

    def record_history(self, key: int) -> list[Said]:
        """What did each document ever say of this thing, as known by then, oldest first?"""
        rows = self._driver.some(_EVER_SAID, [key], self.basis.t)
        return [_said(_Line(*row), self.basis.t) for _, *row in rows]


#: What is said of these things now, and by whom?
_TOLD = """
    SELECT record.key, record.body, document.source, document.name, record.valid_from,
        record.t_from
    FROM record JOIN document ON document.id = record.document
    WHERE record.t_to IS NULL AND record.body <> 'null' AND record.key {among}
"""
assert TOMBSTONE == "null"


class _Line(NamedTuple):
    """A row of `schema.record`, with its document, and the answer that it was read from."""

    source: str
    name: str
    body: str
    t_from: int
    t_to: int | None
    valid_from: Instant
    valid_to: Instant | None
    valid_said: bool
    ended_at: Instant | None
    reason: int | None
    response: str | None


_WITH_DOCUMENT = """
    SELECT record.key, document.source, document.name, record.body, record.t_from, record.t_to,
        record.valid_from, record.valid_to, record.valid_said, record.ended_at, record.reason,
        response.body
    FROM record JOIN document ON document.id = record.document
    LEFT JOIN response ON response.document = record.document AND response.t = record.t_from
"""
#: What was said of these things at the moment?
_SAID = (
    f"{_WITH_DOCUMENT} WHERE {alive_text('record')} AND record.body <> 'null'"
    " AND record.key {among}"
)
#: What was ever said of a thing, by then? The oldest first: where that is cut, it is the start.
_EVER_SAID = (
    f"{_WITH_DOCUMENT} WHERE record.t_from <= ? AND record.body <> 'null' AND record.key {{among}}"
    " ORDER BY record.t_from, document.source, document.name"
)
#: Of which things does a source say that there is none?
_STONES = f"SELECT key FROM record WHERE {alive_text('record')} AND body = 'null' AND key {{among}}"
#: Which words were taken back by a transaction and an instant?
_WITHDRAWN = f"""
    SELECT key FROM record WHERE t_to <= ? AND ended_at <= ? AND body <> 'null' AND reason
    IN ({schema.REASONS.index("deleted")}, {schema.REASONS.index("removed")}) AND key {{among}}
"""
#: When were the documents that speak of these confirmed, and what fails? Also those about them
#: that say nothing any more.
_CONFIRMED = f"""
    SELECT key, lives, source, name, confirmed_at, error FROM (
        SELECT record.key AS key, CASE WHEN {alive_text("record")} THEN 1 ELSE 0 END AS lives,
            document.subject AS subject, document.source AS source, document.name AS name,
            watch.confirmed_at AS confirmed_at, watch.error AS error
        FROM record JOIN document ON document.id = record.document
        JOIN watch ON watch.source = document.source AND watch.document = document.name
    ) AS words WHERE (lives = 1 OR subject = key) AND key {{among}}
"""
#: When were these documents of a source last confirmed?
_LAST_CONFIRMED = """
    SELECT document, confirmed_at FROM watch
    WHERE source = ? AND confirmed_at IS NOT NULL AND document {among}
"""
#: When were these things first spoken of?
_FIRST_HEARD = """
    SELECT entity.key, tx.instant FROM entity JOIN tx ON tx.t = entity.t_from
    WHERE entity.key {among}
"""
#: What was forgotten of these, the last time last? An old run that is said again is there again.
_FORGOTTEN = """
    SELECT key, t, how, reason FROM forgotten
    WHERE (how = 'excised' OR NOT EXISTS (SELECT 1 FROM record WHERE record.key = forgotten.key))
    AND key {among} ORDER BY t
"""


def _said(line: _Line, t: int) -> Said:
    known = line.t_to is not None and line.t_to <= t
    return Said(
        line.source,
        line.name,
        msgspec.json.decode(line.body),
        line.t_from,
        line.t_to if known else None,
        line.valid_from,
        until(line, known),
        bool(line.valid_said),
        response_of(line.response),
        schema.REASONS[line.reason] if known and line.reason is not None else None,
    )

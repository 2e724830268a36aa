"""Why an edge is believed: who states it, what rules concluded it from, down to what was observed.

What a rule rests on is explained in turn where a rule concluded it too. Each observation says when
it was first made and, of now, when its document was last confirmed; where these lie so that there
was no moment at which all of them were known to be true together, that is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from lineal.errors import NotFound
from lineal.model import Answer, Claim, Cut, Edge, Instant, Json, Response, Said
from lineal.query.things import Brief, Things, answer, spoken
from lineal.store import EQUAL, Derived

#: How many conclusions deep an explanation goes, how many supports it tells in all, and how many
#: ways to conclude a support.
DEEP, SUPPORTS, WAYS = 4, 200, 3
#: From which gap on (microseconds) it is told that a conclusion was put together from different
#: moments, unless the configuration says otherwise.
SKEW = 24 * 3_600_000_000

_Edge = tuple[int, str, int]
#: When something was first observed, and when it was last known to be so.
_Span = tuple[Instant, Instant]


@dataclass(frozen=True, slots=True)
class Stated:
    """A claim, the answer that it came with, and when it was observed."""

    claim: Claim
    response: Response | None
    observed_at: Instant
    #: When its document was last confirmed; None about the past, and where nobody asks for it.
    confirmed_at: Instant | None


@dataclass(frozen=True, slots=True)
class Valued:
    """A document's word on a value that two things have alike."""

    thing: Brief
    attribute: str
    value: Json
    source: str
    document: str
    response: Response | None
    observed_at: Instant
    confirmed_at: Instant | None


@dataclass(frozen=True, slots=True)
class Support:
    """One edge that a conclusion rests on, or an equal value of two things."""

    start: Brief
    kind: str
    end: Brief
    claims: tuple[Stated, ...]
    #: Of an equal value: who says it of either.
    values: tuple[Valued, ...] = ()
    #: Of what rules concluded: from what.
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Skew:
    """What a conclusion rests on was not known to be true at one moment."""

    #: From when one was last confirmed until another was first observed, in microseconds.
    gap: Instant
    #: What was observed too late, and what was confirmed too early, in words.
    late: str
    early: str

    @property
    def words(self) -> str:
        """The gap as a sentence."""
        hours = self.gap / 3_600_000_000
        span = f"{hours / 24:,.1f} days" if hours >= 48 else f"{hours:,.1f} hours"
        return (
            f"It was first observed {self.late} {span} after it was last confirmed {self.early}: "
            "there was no moment at which all of it was known to be true together."
        )


@dataclass(frozen=True, slots=True)
class Reason:
    """One way in which a rule concluded an edge."""

    rule: str
    version: str
    why: str
    supports: tuple[Support, ...]
    #: How sure the rule is, above 0 to 1.
    confidence: float = 1.0
    #: None where there was such a moment, or the gap is within the bound.
    skew: Skew | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why we believe an edge, down to the answers of sources."""

    edge: Edge
    start: Brief
    end: Brief
    stated: tuple[Stated, ...]
    reasons: tuple[Reason, ...]
    words: str
    #: In how many ways rules conclude it; of very many, not all are kept.
    derivations: int = 0


def explain(
    things: Things, start: int, kind: str, end: int, *, bound: Instant = SKEW
) -> Answer[Explanation]:
    """Return why we believe an edge; raises `NotFound` where it is not so at the moment."""
    edge, uris = (start, kind, end), things.reader.uris([start, end])
    explaining = Explaining(things, bound)
    stated = explaining.stated(edge)
    if not stated:
        raise NotFound(
            f"There is no edge {kind} from {uris[start]} to {uris[end]} at this moment.",
            fix="Ask for another time, or look at the thing's history.",
        )
    reasons = explaining.reasons(edge, stated)
    every = max(len(reasons), _every(stated))
    if every > len(reasons):
        explaining.why.append(Cut("list", "derivations", len(reasons), total=every))
    briefs = things.briefs([start, end])
    value = Explanation(
        Edge(uris[start], kind, uris[end], tuple(one.claim for one in stated)),
        briefs[start],
        briefs[end],
        stated,
        reasons,
        _told(briefs[start], kind, briefs[end], stated, reasons),
        every,
    )
    return answer(things.reader, value, why=explaining.why, total=len(stated))


def _every(stated: Sequence[Stated]) -> int:
    """Return how many derivations claims speak of that have more than are kept."""
    counts = [one.claim.attributes.get("derivations") for one in stated if _is_rule(one.claim)]
    return sum(many if isinstance(many, int) else 1 for many in counts)


def _is_rule(claim: Claim) -> bool:
    return claim.source.startswith("rule:")


class Explaining:
    """Gathers what one explanation tells, within its limits."""

    def __init__(self, things: Things, bound: Instant) -> None:
        self._things, self._reader, self._bound = things, things.reader, bound
        self._left = SUPPORTS
        #: What was left out, and why.
        self.why: list[Cut] = []

    # ── Who states it ────────────────────────────────────────────────────────────────────────

    def stated(self, edge: _Edge) -> tuple[Stated, ...]:
        """Return who states an edge, and when that was observed."""
        found = self._reader.responses(edge)
        when = self._reader.transactions({claim.t_from for claim, _ in found})
        confirmed = self._confirmed({(claim.source, claim.document) for claim, _ in found})
        return tuple(
            Stated(
                claim, response, when[claim.t_from][0],
                confirmed.get((claim.source, claim.document)),
            )
            for claim, response in found
        )  # fmt: skip

    def _confirmed(self, documents: set[tuple[str, str]]) -> dict[tuple[str, str], Instant]:
        """Return when documents were last confirmed; about the past nobody knows that any more."""
        return self._reader.last_confirmed(documents) if self._reader.basis.is_now else {}

    # ── What rules concluded it from ─────────────────────────────────────────────────────────

    def reasons(self, edge: _Edge, stated: Sequence[Stated], deep: int = 0) -> tuple[Reason, ...]:
        """Return in which ways rules concluded an edge, and what each rests on."""
        derived = self._reader.derivations(edge)
        if deep and len(derived) > WAYS:
            self._cut(Cut("list", "ways", WAYS))
            derived = derived[:WAYS]
        found = []
        for one in derived:
            if self._left < len(one.supports):
                self._cut(Cut("list", "supports", SUPPORTS))
                break
            self._left -= len(one.supports)
            found.append(self._reason(one, stated, deep))
        return tuple(found)

    def _cut(self, why: Cut) -> None:
        if why not in self.why:
            self.why.append(why)

    def _reason(self, derived: Derived, stated: Sequence[Stated], deep: int) -> Reason:
        ends = {key for start, _, end in derived.supports for key in (start, end)}
        briefs = self._things.briefs(ends)
        supports = tuple(self._support(one, briefs, deep) for one in derived.supports)
        sure = [
            one.claim.attributes.get("confidence", 1.0)
            for one in stated
            if (one.claim.source, one.claim.document) == (derived.source, derived.version)
        ]
        confidence = sure[0] if sure and isinstance(sure[0], int | float) else 1.0
        skew = self._skew(supports) if self._reader.basis.is_now else None
        return Reason(
            derived.source.removeprefix("rule:"),
            derived.version.removeprefix("version:"),
            derived.why,
            supports,
            float(confidence),
            skew if skew is not None and skew.gap > self._bound else None,
        )

    def _support(self, edge: _Edge, briefs: dict[int, Brief], deep: int) -> Support:
        start, kind, end = edge
        support = Support(briefs[start], kind, briefs[end], ())
        if kind.startswith(EQUAL):
            mine, other = kind.removeprefix(EQUAL).split(EQUAL)
            return replace(support, values=self._values((start, mine), (end, other), briefs))
        stated = self.stated(edge)
        reasons: tuple[Reason, ...] = ()
        if any(_is_rule(one.claim) for one in stated):
            if deep + 1 < DEEP:
                reasons = self.reasons(edge, stated, deep + 1)
            else:
                self._cut(Cut("depth", "reasons", DEEP))
        return replace(support, claims=stated, reasons=reasons)

    # ── Equal values ─────────────────────────────────────────────────────────────────────────

    def _values(
        self, one: tuple[int, str], other: tuple[int, str], briefs: dict[int, Brief]
    ) -> tuple[Valued, ...]:
        """Return who says the value that two things have alike, of the one and of the other."""
        said = self._reader.said({one[0], other[0]})
        texts = [
            {_text(value) for row in said.get(key, ()) for value in _each(row, name)}
            for key, name in (one, other)
        ]
        alike = texts[0] & texts[1]
        rows = [
            (key, name, row, value)
            for key, name in (one, other)
            for row in said.get(key, ())
            for value in _each(row, name)
            if _text(value) in alike
        ]
        begun = {key: self._reader.record_history(key) for key in {key for key, *_ in rows}}
        since = [_since(begun[key], row, name, value) for key, name, row, value in rows]
        when = self._reader.transactions(since)
        confirmed = self._confirmed({(row.source, row.document) for _, _, row, _ in rows})
        return tuple(
            Valued(
                briefs[key], name, value, row.source, row.document, row.response, when[t][0],
                confirmed.get((row.source, row.document)),
            )
            for (key, name, row, value), t in zip(rows, since, strict=True)
        )  # fmt: skip

    # ── Known at one moment ──────────────────────────────────────────────────────────────────

    def _skew(self, supports: Sequence[Support]) -> Skew | None:
        """
        Return the gap in what supports were known together, if there is one.

        Each is known from when it was first observed until it was last confirmed; what happened
        once (`event`) stays true, and is known from then on.
        """
        spans = [(span, one) for one in supports if (span := self._span(one)) is not None]
        if not spans:
            return None
        (late, _), later = max(spans, key=lambda one: one[0][0])
        (_, early), earlier = min(spans, key=lambda one: one[0][1])
        return None if late <= early else Skew(late - early, _named(later), _named(earlier))

    def _span(self, support: Support) -> _Span | None:
        """Return when a support was first observed, and last known to be so."""
        if support.values:
            sides = [
                _over([one for one in support.values if one.thing.uri == uri])
                for uri in {one.thing.uri for one in support.values}
            ]
            return max(first for first, _ in sides), min(last for _, last in sides)
        observed = [one for one in support.claims if not _is_rule(one.claim)]
        if observed:
            first, last = _over(observed)
            return first, self._reader.basis.known_at if self._happened(support) else last
        through = []
        for reason in support.reasons:
            spans = [span for one in reason.supports if (span := self._span(one)) is not None]
            if spans:
                through.append((max(first for first, _ in spans), min(last for _, last in spans)))
        return min(through, key=lambda span: span[0] - span[1], default=None)

    def _happened(self, support: Support) -> bool:
        ends = support.start.type, support.end.type
        return self._things.shapes.nature(support.kind, *ends) == "event"


def _each(row: Said, name: str) -> list[Json]:
    """Return the values that a document says of an attribute."""
    value = row.attributes.get(name)
    return list(value) if isinstance(value, list) else [] if value is None else [value]


def _text(value: Json) -> str:
    return str(value)


def _since(history: Sequence[Said], row: Said, name: str, value: Json) -> int:
    """Return the transaction since which a document has said a value without a break."""
    t = row.t_from
    for before in reversed(history):
        same = (before.source, before.document) == (row.source, row.document)
        if same and before.t_to == t and value in _each(before, name):
            t = before.t_from
    return t


def _over(observed: Sequence[Stated | Valued]) -> _Span:
    """Return the time over which any of several observations held."""
    first = min(one.observed_at for one in observed)
    return first, max(one.confirmed_at or one.observed_at for one in observed)


def _named(support: Support) -> str:
    if support.values:
        one = support.values[0]
        return f"that {support.start.name} and {support.end.name} have the same {one.attribute}"
    return f"that {support.start.name} {spoken(support.kind)} {support.end.name}"


# ── In words ─────────────────────────────────────────────────────────────────────────────────────


def _told(
    start: Brief, kind: str, end: Brief, stated: Sequence[Stated], reasons: Sequence[Reason]
) -> str:
    said = sorted({one.claim.source for one in stated if not _is_rule(one.claim)})
    by = f"stated by {', '.join(said)}" if said else "no source states it"
    parts = [f"{start.name} {spoken(kind)} {end.name}: {by}."]
    for one in reasons:
        sure = "" if one.confidence == 1 else f", confidence {one.confidence:g}"
        parts.append(f"Rule {one.rule} (version {one.version}{sure}) concluded it: {one.why}")
        if one.skew is not None:
            parts.append(one.skew.words)
    return " ".join(parts)

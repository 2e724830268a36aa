"""The nouns: what Lineal talks about, as frozen values without any I/O.

Two families live here. What goes in: `Event` (something changed), `Record` (what one source said,
whole, at one observation). What comes out: `Entity`, `Edge`, `Answer`. Both speak `Uri`.

Times are `Instant`: whole microseconds since 1970-01-01 UTC.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Generic, NamedTuple, Self, TypeAlias, TypeVar
from urllib.parse import quote, unquote_to_bytes

from lineal.errors import Invalid, InvalidUri

Instant: TypeAlias = int
Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

#: The longest URI, in characters of its encoded form.
URI_LIMIT = 2048
SCHEME = "mlg://"
_AFTER_SCHEME = len(SCHEME)

_TYPE = re.compile(r"[a-z][a-z0-9-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SAFE = "-._~:@+=,"
#: What stands in a URI as it is.
_UNRESERVED = re.compile(r"[A-Za-z0-9._~:@+=,-]+")
#: A URI of which nothing is encoded, and no part is of dots alone.
_PLAIN = re.compile(SCHEME + r"[a-z][a-z0-9-]{0,63}(?:/(?!\.+(?:/|\Z))[A-Za-z0-9._~:@+=,-]+){2,}")


class Uri(str):
    """
    The name of anything: ``mlg://<type>/<platform>/<id>``.

    *type* is lower case letters, digits and hyphens. *platform* is one segment, *id* one or more.
    A segment is any text that is not blank, not ``.`` or ``..``, and holds no control character
    and no lone surrogate; it is written in UTF-8 with everything percent-encoded but
    ``A-Z a-z 0-9 - . _ ~ : @ + = ,``, so that a ``/`` inside a name is ``%2F``. There is exactly
    one spelling of a URI; `Uri(text)` brings other spellings to it.

    >>> Uri("mlg://model-version/registry/ranking-v5").platform
    'registry'
    >>> Uri.of("dataset", "s3", "bucket", "a/b")
    Uri('mlg://dataset/s3/bucket/a%2Fb')

    Raises:
        InvalidUri: the text is not a URI of ours; the message says which part.
    """

    __slots__ = ()

    def __new__(cls, text: object) -> Self:
        """Check *text* and bring it to the one canonical spelling."""
        if type(text) is cls:
            return text
        if not isinstance(text, str):
            raise InvalidUri(f"A URI is text, not {type(text).__name__}.", fix=_URI_FIX)
        if len(text) > 3 * URI_LIMIT:
            raise InvalidUri(f"This URI has {len(text)} characters; the limit is {URI_LIMIT}.")
        if not text.startswith(SCHEME):
            raise InvalidUri(f"{_shown(text)} does not begin with {SCHEME}.", fix=_URI_FIX)
        kind, *segments = text[len(SCHEME) :].split("/")
        if len(segments) < 2:
            raise InvalidUri(f"{_shown(text)} lacks a platform or an id.", fix=_URI_FIX)
        return cls.of(kind, *(_decoded(segment, text) for segment in segments))

    @classmethod
    def of(cls, kind: str, platform: str, *segments: str) -> Self:
        """Make a URI from its decoded parts; raises `InvalidUri` where a part is not possible."""
        try:
            # Nearly all are plain: then all parts are looked at at once.
            text = "/".join((SCHEME + kind, platform, *segments))
        except TypeError:
            text = ""
        if (
            text.count("/") == len(segments) + 3
            and len(text) <= URI_LIMIT
            and _PLAIN.fullmatch(text)
        ):
            return str.__new__(cls, text)
        if not _TYPE.fullmatch(kind):
            raise InvalidUri(f"{_shown(kind)} is not a type name.", fix=_URI_FIX)
        if not segments:
            raise InvalidUri(f"A URI of type {kind} on {_shown(platform)} needs an id.")
        text = "/".join([SCHEME + kind, *(_encoded(part) for part in (platform, *segments))])
        if len(text) > URI_LIMIT:
            raise InvalidUri(
                f"The URI of this {kind} would have {len(text)} characters; "
                f"the limit is {URI_LIMIT}."
            )
        return str.__new__(cls, text)

    def __repr__(self) -> str:
        return f"Uri({str.__repr__(self)})"

    @property
    def type(self) -> str:
        """The type of the thing, such as ``model-version``."""
        return self[_AFTER_SCHEME:].partition("/")[0]

    @property
    def platform(self) -> str:
        """The system that gives the thing its name, decoded."""
        return self.parts[1]

    @property
    def segments(self) -> tuple[str, ...]:
        """The decoded segments of the id."""
        return self.parts[2:]

    @property
    def name(self) -> str:
        """The last segment, decoded: what to call the thing if nobody said a better name."""
        return _plain(self[self.rindex("/") + 1 :])

    @property
    def parts(self) -> tuple[str, ...]:
        """Type, platform and the segments of the id, decoded: ``Uri.of(*uri.parts) == uri``."""
        pieces = self[_AFTER_SCHEME:].split("/")
        if "%" not in self:
            return tuple(pieces)
        return (pieces[0], *(_plain(piece) for piece in pieces[1:]))

    def part(self, kind: str, *segments: str) -> Uri:
        """Return the URI of a part: this id with *segments* appended, of type *kind*."""
        return Uri.of(kind, *self.parts[1:], *segments)


def _plain(piece: str) -> str:
    """Decode a piece of a URI that is known to be well formed."""
    return unquote_to_bytes(piece).decode() if "%" in piece else piece


_URI_FIX = "Write mlg://<type>/<platform>/<id>, for example mlg://model/registry/ranking."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _encoded(segment: object) -> str:
    if type(segment) is str and _UNRESERVED.fullmatch(segment) and segment.strip("."):
        return segment
    if not isinstance(segment, str):
        raise InvalidUri(f"A part of a URI is text, not {type(segment).__name__}.")
    if not segment.strip():
        raise InvalidUri("A part of a URI is empty or blank.", fix=_URI_FIX)
    if segment in (".", ".."):
        raise InvalidUri(f"{segment!r} cannot be a part of a URI.")
    if _CONTROL.search(segment):
        raise InvalidUri(f"{_shown(segment)} holds a control character.")
    try:
        return quote(segment, safe=_SAFE)
    except UnicodeEncodeError as error:
        raise InvalidUri(f"{_shown(segment)} holds a lone surrogate.") from error


def _decoded(segment: str, text: str) -> str:
    if _BAD_ESCAPE.search(segment):
        raise InvalidUri(f"{_shown(text)} has a % that is no escape.", fix="Write %25 for a %.")
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeError as error:
        raise InvalidUri(f"{_shown(text)} is not UTF-8 once decoded.") from error


def edge_uri(start: Uri, kind: str, end: Uri) -> Uri:
    """Return the URI of an edge: its kind and a hash of its two ends."""
    digest = hashlib.sha256(f"{start}\n{end}".encode()).hexdigest()[:32]
    return Uri.of("edge", kind, digest)


# ── Time ─────────────────────────────────────────────────────────────────────────────────────────


def instant(when: datetime) -> Instant:
    """Return *when* in microseconds since 1970 UTC; a time without zone is taken as UTC."""
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    delta = aware - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def iso(when: Instant) -> str:
    """Return *when* as ISO 8601 in UTC, such as ``2026-11-23T06:40:00Z``."""
    at = datetime(1970, 1, 1) + timedelta(microseconds=when)
    return f"{at.isoformat()}Z"


class Layer(StrEnum):
    """How we came to believe an edge, strongest first."""

    DECLARED = "declared"
    OBSERVED = "observed"
    INFERRED = "inferred"
    SUGGESTED = "suggested"


class State(StrEnum):
    """How far we know an entity."""

    REFERENCED = "referenced"
    HYDRATED = "hydrated"
    STALE = "stale"
    MISSING = "missing"
    DELETED = "deleted"
    #: Its values were removed on purpose, or it was old and nothing needed it.
    FORGOTTEN = "forgotten"
    #: Nothing was observed of it at the asked moment, and something was of a later one.
    NOT_OBSERVED = "not_observed"


# ── What goes in ─────────────────────────────────────────────────────────────────────────────────


#: What is said of nothing; not to be changed.
_NOTHING: Mapping[str, Json] = {}


# Of statements there are millions: as named tuples they are made in a quarter of the time.
class Statement(NamedTuple):
    """What a record says of one entity: its attributes, whole."""

    uri: Uri
    attributes: Mapping[str, Json] = _NOTHING
    #: The source's own word on since when this is so; None: since it was observed.
    valid_from: Instant | None = None


class EdgeStatement(NamedTuple):
    """What a record says of one relationship, in the kind's own direction."""

    start: Uri
    kind: str
    end: Uri
    attributes: Mapping[str, Json] = _NOTHING
    layer: Layer = Layer.DECLARED
    valid_from: Instant | None = None
    valid_to: Instant | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """The answer of a source that a record was made from."""

    url: str
    #: SHA-256 of the body, hexadecimal.
    sha256: str
    at: Instant
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """
    What one source said in one document, whole, at one observation.

    A document is the source's own unit, such as one table with its columns; *document* is its
    name there. A new record of a document replaces the one before and touches nothing else.
    """

    source: str
    document: str
    subject: Uri
    statements: tuple[Statement, ...]
    edges: tuple[EdgeStatement, ...]
    observed_at: Instant
    #: The source's own time of the whole document, where it gives one: an older never replaces
    #: a newer.
    said_at: Instant | None = None
    response: Response | None = None
    #: What it was worded from: the fields of the source's document that are mapped.
    raw: Mapping[str, Json] | None = field(default=None, compare=False, repr=False)
    #: The digest of what it says, where somebody made it already (`lineal.digests`). A record that
    #: is made from this one by `dataclasses.replace` says something else, and has none.
    digest: bytes | None = field(init=False, default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Removal:
    """A source's word that a document of it exists no longer: a tombstone."""

    source: str
    document: str
    subject: Uri
    observed_at: Instant
    said_at: Instant | None = None
    response: Response | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """
    Something changed at a source, as it arrived.

    A *notice* carries identifiers only; a *log entry* (OpenLineage) is itself the truth.
    """

    source: str
    body: Mapping[str, Json]
    received_at: Instant


# ── Who asks, about when, at what cost ───────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks. Nothing is read without one; `lineal.access` makes them."""

    name: str


@dataclass(frozen=True, slots=True)
class Moment:
    """
    The two times of a question.

    ``known_at``: as we had recorded it by then, as a transaction number or an instant; None is
    now. ``valid_at``: as it was so at that instant; None is the instant of ``known_at``.
    """

    known_t: int | None = None
    known_at: Instant | None = None
    valid_at: Instant | None = None
    #: True for one part of a question about now that is asked in several parts: its times are
    #: those of the first part, and what a source confirms now is still told.
    pinned: bool = False

    def __post_init__(self) -> None:
        if self.known_t is not None and self.known_at is not None:
            raise Invalid("Give known_at as a transaction or as a time, not both.")

    @property
    def is_now(self) -> bool:
        """True where no past was asked for; the answer may be another one tomorrow."""
        return self.pinned or (self.known_t, self.known_at, self.valid_at) == (None, None, None)


NOW = Moment()


@dataclass(frozen=True, slots=True)
class Budget:
    """
    How far one question may go. Each limit that is hit is named in the answer.

    It is of the whole question, however many walks that takes; no limit is exceeded by more than a
    tenth (time by no less than 100 ms, in which an answer is told).
    """

    #: Steps of a walk.
    depth: int = 20
    #: Things that are reached, and edges that are looked at to reach them.
    nodes: int = 5_000
    edges: int = 20_000
    milliseconds: int = 5_000
    #: Rows of the database that are read for it, of whatever sort.
    rows: int = 500_000

    def __post_init__(self) -> None:
        for name in ("depth", "nodes", "edges", "milliseconds", "rows"):
            if getattr(self, name) < 0:
                raise Invalid(f"A budget cannot be negative: {name} is {getattr(self, name)}.")


# ── What comes out ───────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Cut:
    """One reason for which an answer is not complete; `lineal.surfaces.cuts` puts it in words."""

    #: ``depth``, ``nodes``, ``edges``, ``rows``, ``time``, ``list``, or what else was cut.
    limit: str
    #: What was being done: empty for walking and listing, else a word such as ``owners``.
    what: str = ""
    #: How far it came, how far it might, and how many there are in all, as far as is known.
    done: int | None = None
    most: int | None = None
    total: int | None = None
    #: Of which part: ``upstream``, ``downstream``, ``before``, ``after``, or a type.
    part: tuple[str, ...] = ()

    def of(self, part: str) -> Cut:
        """Return it as that of a part of the answer."""
        return replace(self, part=(part, *self.part))


@dataclass(frozen=True, slots=True)
class Claim:
    """Who says that an edge is so, in which document, and since when."""

    source: str
    document: str
    layer: Layer
    t_from: int
    t_to: int | None
    valid_from: Instant
    valid_to: Instant | None
    #: True where the source said the time of the fact itself; False where it is that of its
    #: document, or of our observation.
    valid_said: bool
    attributes: Mapping[str, Json] = field(default_factory=dict)
    #: Why the claim ended: changed, removed, corrected, deleted. None while it lives.
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """One relationship, and why we believe it."""

    start: Uri
    kind: str
    end: Uri
    #: Who says so: documents of sources, derivations of rules. Never empty.
    claims: tuple[Claim, ...]

    @property
    def uri(self) -> Uri:
        """The edge's own URI."""
        return edge_uri(self.start, self.kind, self.end)

    @property
    def layer(self) -> Layer:
        """The strongest layer among the claims."""
        order = list(Layer)
        return min((claim.layer for claim in self.claims), key=order.index)

    @property
    def attributes(self) -> dict[str, Json]:
        """The claims' attributes read together; the first claim's word counts."""
        merged: dict[str, Json] = {}
        for claim in reversed(self.claims):
            merged.update(claim.attributes)
        return merged


@dataclass(frozen=True, slots=True)
class Said:
    """What one document of one source says of an entity."""

    source: str
    document: str
    attributes: Mapping[str, Json]
    t_from: int
    t_to: int | None
    valid_from: Instant
    valid_to: Instant | None
    valid_said: bool
    response: Response | None = None
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class Entity:
    """Anything with a URI, as all its sources together say."""

    uri: Uri
    state: State
    #: All sources read together: lists are united, of single values the strongest source's counts.
    attributes: Mapping[str, Json] = field(default_factory=dict)
    #: Every source's own word.
    said: tuple[Said, ...] = ()
    #: The other URIs of the same thing.
    also: tuple[Uri, ...] = ()
    #: When a source last confirmed it; asked about the past, when its word was last recorded.
    confirmed_at: Instant | None = None

    @property
    def type(self) -> str:
        """The entity's type."""
        return self.uri.type

    @property
    def name(self) -> str:
        """What to call it."""
        name = self.attributes.get("name")
        return name if isinstance(name, str) and name else self.uri.name


Value_co = TypeVar("Value_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Answer(Generic[Value_co]):
    """An answer that says what it is worth."""

    value: Value_co
    #: The transaction at which it was computed.
    basis_t: int
    known_at: Instant
    valid_at: Instant
    #: What was cut and why; empty means that the answer is complete.
    why: tuple[Cut, ...] = ()
    #: How many there are in all, where that is known.
    total: int | None = None
    #: When the sources that this rests on were last heard, oldest first; None: never.
    fresh_at: Instant | None = None
    notes: tuple[str, ...] = ()
    #: While rules have still to conclude: through which transaction the inferred is complete, and
    #: how many pieces of work wait.
    inferred_t: int | None = None
    pending: int = 0

    @property
    def complete(self) -> bool:
        """True when nothing was cut."""
        return not self.why

    @property
    def truncated(self) -> bool:
        """True when something was cut; *why* says what."""
        return bool(self.why)

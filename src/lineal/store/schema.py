"""The tables: what each remembers, and under which rules.

Four families, told apart because they may be spread over machines differently one day:

* **facts** (``entity``, ``uri``, ``record``, ``edge_out``, ``edge_in``, ``derivation``) are rows
  that are only ever inserted, and ended once. Every key begins with the key of the thing the row
  belongs to, so that one thing's facts lie together;
* **projections** (``search_name``, and ``search``, full text and facets) follow the facts
  in the same commit and can be made again from them;
* **references** (``term``, ``facet_value``) are small and joined by everything;
* **work** (``clock``, ``tx``, ``document``, ``response``, ``watch``, ``inbox``, ``log_entry``,
  ``log_checkpoint``, ``log_since``, ``dead_letter``, ``raw``, ``flow``, ``standing``, ``deed``,
  ``registered``, ``rule``, ``rule_work``) needs one order or row locks, and stays in one place.

Times are microseconds since 1970 UTC. ``t`` is the number of a transaction. Every fact row has
``[t_from, t_to)``, when we held it, and ``[valid_from, valid_to)``, when it was so; a row that
ended says until when it was so (``ended_at``) and why (``reason``).

What stands in millions of rows is small: layers and reasons are numbers fixed here, kinds of
edges are numbers that the database hands out (``term``).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)

metadata = MetaData()

#: A single-column key that SQLite may use as its rowid.
_KEY = BigInteger().with_variant(Integer, "sqlite")


#: Layers and reasons by the number under which they lie in a row.
LAYERS = ("declared", "observed", "inferred", "suggested")
REASONS = ("changed", "removed", "corrected", "deleted")
#: Until when what is not over is so, where that must be a number: in a row it is NULL.
NEVER = (1 << 63) - 1


class Coded(TypeDecorator[str]):
    """One of a few words, fixed for ever, as its number."""

    impl = SmallInteger
    cache_ok = True

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: str | None, dialect: Dialect) -> int | None:
        """Return the number of a word."""
        return None if value is None else self.words.index(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        """Return the word of a number."""
        return None if value is None else self.words[value]


def _life() -> list[Column[Any]]:
    """The columns of every row that has two times."""
    return [
        Column("t_to", BigInteger),
        Column("valid_from", BigInteger, nullable=False),
        Column("valid_to", BigInteger),
        Column("valid_said", Boolean, nullable=False),
        Column("ended_at", BigInteger),
        Column("reason", Coded(REASONS)),
    ]


# ── Facts ────────────────────────────────────────────────────────────────────────────────────────

uri = Table(
    "uri",
    metadata,
    Column("uri", Text, primary_key=True),
    Column("key", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

entity = Table(
    "entity",
    metadata,
    Column("key", _KEY, primary_key=True, autoincrement=False),
    Column("uri", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("t_from", BigInteger, nullable=False),
    Index("entity_by_type", "type", "key"),
)

record = Table(
    "record",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("document", BigInteger, primary_key=True, autoincrement=False),
    Column("t_from", BigInteger, primary_key=True, autoincrement=False),
    *_life(),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

edge_out = Table(
    "edge_out",
    metadata,
    Column("src", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("dst", BigInteger, primary_key=True, autoincrement=False),
    Column("document", BigInteger, primary_key=True, autoincrement=False),
    Column("t_from", BigInteger, primary_key=True, autoincrement=False),
    *_life(),
    Column("layer", Coded(LAYERS), nullable=False),
    #: JSON; NULL where the claim has none.
    Column("attributes", Text),
    sqlite_with_rowid=False,
)

edge_in = Table(
    "edge_in",
    metadata,
    Column("dst", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("src", BigInteger, primary_key=True, autoincrement=False),
    Column("document", BigInteger, primary_key=True, autoincrement=False),
    Column("t_from", BigInteger, primary_key=True, autoincrement=False),
    *_life(),
    Column("layer", Coded(LAYERS), nullable=False),
    sqlite_with_rowid=False,
)

derivation = Table(
    "derivation",
    metadata,
    Column("src", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("dst", BigInteger, primary_key=True, autoincrement=False),
    Column("document", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", LargeBinary, primary_key=True),
    Column("t_from", BigInteger, primary_key=True, autoincrement=False),
    *_life(),
    #: JSON: the supporting edges as [src, kind, dst] keys, in the order of the rule's pattern.
    Column("supports", Text, nullable=False),
    Column("why", Text, nullable=False),
    sqlite_with_rowid=False,
)

# ── Projections ──────────────────────────────────────────────────────────────────────────────────

search_name = Table(
    "search_name",
    metadata,
    Column("key", _KEY, primary_key=True, autoincrement=False),
    Column("folded", Text, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Index("search_name_by_folded", "folded", "key"),
)

#: How far the search rows were made by which way of making them.
projection = Table(
    "projection",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("next_key", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# ── References ───────────────────────────────────────────────────────────────────────────────────

#: Words that stand in many rows as a number: the kinds of edges.
term = Table(
    "term",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    UniqueConstraint("text", name="term_text"),
)

#: The facets that things may have: a name and a value each.
facet_value = Table(
    "facet_value",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    UniqueConstraint("name", "value", name="facet_value_pair"),
)

# ── Work ─────────────────────────────────────────────────────────────────────────────────────────

clock = Table(
    "clock",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("t", BigInteger, nullable=False),
    Column("published", BigInteger, nullable=False),
    Column("instant", BigInteger, nullable=False),
    Column("next_key", BigInteger, nullable=False),
    Column("next_document", BigInteger, nullable=False),
)

tx = Table(
    "tx",
    metadata,
    Column("t", _KEY, primary_key=True, autoincrement=False),
    Column("instant", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("token", Text),
    #: The feed: the keys of what this transaction changed, packed (`lineal.store.rows`).
    Column("changed", LargeBinary, nullable=False),
    #: What makes the digests of this transaction's rows unguessable; see `lineal.store.seals`.
    Column("salt", LargeBinary, nullable=False),
    #: The digest of all that this transaction wrote.
    Column("root", LargeBinary, nullable=False),
    #: The digest of this row and of the transaction before: the chain.
    Column("hash", LargeBinary, nullable=False),
    # In a file most have none, and write no entry.
    Index("tx_token", "token", unique=True, sqlite_where=text("token IS NOT NULL")),
)

document = Table(
    "document",
    metadata,
    Column("id", _KEY, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("subject", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("said_at", BigInteger),
    Column("live", Boolean, nullable=False),
    #: True where the document states edges of columns or features, so that a walk follows those.
    Column("fine", Boolean, nullable=False),
    #: The keys of the things it states, as packed 64-bit integers; NULL: its subject alone.
    Column("touched", LargeBinary),
    # No constraint: a first load makes the index at its end.
    Index("document_name", "source", "name", unique=True),
)

#: The answers of sources that documents were read from: of the rows that began at *t*.
response = Table(
    "response",
    metadata,
    Column("document", BigInteger, primary_key=True, autoincrement=False),
    Column("t", BigInteger, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)

#: What was forgotten on purpose: the one exception to "history never changes".
forgotten = Table(
    "forgotten",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("t", BigInteger, primary_key=True, autoincrement=False),
    #: ``excised`` (its values were removed) or ``retention`` (it was old, and nothing needs it).
    Column("how", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)

#: The digests of transactions of which something was forgotten, over what is left.
resealed = Table(
    "resealed",
    metadata,
    Column("t", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary, nullable=False),
    Column("root", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

registered = Table(
    "registered",
    metadata,
    Column("type", Text, primary_key=True),
    Column("platform", Text, primary_key=True),
    Column("source", Text, nullable=False),
)

#: One row for each document that was ever asked for, or is to be.
watch = Table(
    "watch",
    metadata,
    Column("source", Text, primary_key=True),
    Column("document", Text, primary_key=True),
    #: The number of the last mark, and of the last mark that an answer cleared.
    Column("dirty_seq", BigInteger, nullable=False),
    Column("clean_seq", BigInteger, nullable=False),
    #: True where the last mark came from an event that says the document is gone.
    Column("deleted", Boolean, nullable=False),
    #: When it is to be asked for; NULL: not before it is marked again.
    Column("due_at", BigInteger),
    #: Since when it has had a mark that is not cleared.
    Column("dirty_at", BigInteger),
    Column("attempts", Integer, nullable=False),
    Column("gone_since", BigInteger),
    Column("confirmed_at", BigInteger),
    Column("etag", Text),
    Column("version", Text),
    Column("error", Text),
    Column("generation", BigInteger, nullable=False),
    #: How many notices (an event's word on this document) it ever got, and how many of them
    #: were answered or put aside.
    Column("told", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    #: Which second look comes next; NULL: none.
    Column("looks", Integer),
    #: How new an answer must be by what events said, and how new the last one was.
    Column("wanted", BigInteger),
    Column("seen", BigInteger),
    #: True where a dead letter tells of it.
    Column("buried", Boolean, nullable=False),
    #: Who is asking for it just now, and until when that is believed, by the database's clock.
    Column("leased_by", Text),
    Column("leased_until", BigInteger),
    Index(
        "watch_by_due",
        "source",
        "due_at",
        sqlite_where=text("due_at IS NOT NULL"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index(
        "watch_by_dirt",
        "source",
        "dirty_at",
        sqlite_where=text("dirty_at IS NOT NULL"),
        postgresql_where=text("dirty_at IS NOT NULL"),
    ),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    #: How many notices it counts for.
    Column("notices", Integer, nullable=False),
    Column("body", Text, nullable=False),
)

log_entry = Table(
    "log_entry",
    metadata,
    Column("source", Text, primary_key=True),
    Column("document", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
)

log_body = Table(
    "log_body",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

#: Up to where a document of a log was folded: by which way, after how many of its notices, and
#: which of those entries still matter, as JSON. It follows from them; see `store.work.entries`.
log_checkpoint = Table(
    "log_checkpoint",
    metadata,
    Column("source", Text, primary_key=True),
    Column("document", Text, primary_key=True),
    Column("way", Text, nullable=False),
    Column("told", BigInteger, nullable=False),
    Column("lasting", Text, nullable=False),
    #: The sum of the seals of this row and of those in `log_since`.
    Column("seal", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

#: Which entries of a document came since its checkpoint.
log_since = Table(
    "log_since",
    metadata,
    Column("source", Text, primary_key=True),
    Column("document", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    sqlite_with_rowid=False,
)

dead_letter = Table(
    "dead_letter",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("document", Text),
    Column("body", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False),
    #: How many notices were put aside with it.
    Column("notices", BigInteger, nullable=False),
    Index("dead_letter_by_document", "source", "document"),
)

#: What the last word of a fetched document was worded from.
raw = Table(
    "raw",
    metadata,
    Column("source", Text, primary_key=True),
    Column("document", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
)

#: What came in and what became of it, counted in the commits in which it happened.
flow = Table(
    "flow",
    metadata,
    Column("source", Text, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    #: When it last grew.
    Column("at", BigInteger),
    sqlite_with_rowid=False,
)

#: How each source stands: whether it may be asked, its last sweep, and what is held back.
standing = Table(
    "standing",
    metadata,
    Column("source", Text, primary_key=True),
    #: How often in a row it was down, and why; it is not asked before *closed_until*.
    Column("failures", Integer, nullable=False),
    Column("down_since", BigInteger),
    Column("closed_until", BigInteger),
    Column("reason", Text),
    #: The newest sweep: its generation, when it began and ended, and what it found.
    Column("generation", BigInteger, nullable=False),
    Column("began_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("listed", BigInteger, nullable=False),
    Column("marked", BigInteger, nullable=False),
    Column("sweep_error", Text),
    #: When the last sweep that came to its end had begun: all that was so then is known.
    Column("whole_at", BigInteger),
    #: Since when removals are held back, and how many.
    Column("held_at", BigInteger),
    Column("held", BigInteger, nullable=False),
    #: Who is listing it just now, and until when that is believed, by the database's clock.
    Column("leased_by", Text),
    Column("leased_until", BigInteger),
    sqlite_with_rowid=False,
)

#: What people did about sources and dead letters, by whom and why.
deed = Table(
    "deed",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
)

#: What of a document does not fit: one row for each of which something does not.
finding = Table(
    "finding",
    metadata,
    Column("source", Text, primary_key=True),
    Column("document", Text, primary_key=True),
    #: The URI of what the document is about, known or not.
    Column("subject", Text, nullable=False),
    #: What became of it: ``store``, ``quarantine`` or ``reject``.
    Column("policy", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    #: The findings as JSON, the same text for the same findings.
    Column("said", Text, nullable=False),
    Index("finding_by_subject", "subject"),
    sqlite_with_rowid=False,
)

#: The rules of which conclusions stand, and which of them are in use.
rule = Table(
    "rule",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, nullable=False),
    #: Of all that the rule says: another digest is another rule.
    Column("digest", LargeBinary, nullable=False),
    Column("enabled", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

#: What rules have still to do; see `lineal.store.pending`.
rule_work = Table(
    "rule_work",
    metadata,
    Column("rule", Text, primary_key=True),
    #: Where in the rule one stands, in the rule's own numbers.
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    #: After which other thing to go on.
    Column("after", BigInteger, nullable=False),
    #: Since which transaction it waits, and since when.
    Column("t", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    #: Why nothing can be concluded; NULL: it has yet to be tried.
    Column("error", Text),
    sqlite_with_rowid=False,
)

#: How many rows each table that changes in place has, and the sum of their seals.
ledger = Table(
    "ledger",
    metadata,
    Column("name", Text, primary_key=True),
    Column("rows", BigInteger, nullable=False),
    Column("seal", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

FACTS = (record, edge_out, edge_in, derivation)

#: The tables whose rows are changed or deleted; `lineal.store.ledger` counts them.
IN_PLACE = (
    *(term, facet_value, projection, document, registered, forgotten, resealed),
    *(watch, inbox, log_entry, log_body, dead_letter, raw, flow, standing, deed, finding),
    *(rule, rule_work),
)

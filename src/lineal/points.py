"""The named points of the write path: what has just happened there, or is about to.

Whoever tries what a kill or a cut does to us listens here, and strikes exactly there. In operation
nobody listens, and to pass a point costs one comparison. Nothing may depend on who listens.
"""

from __future__ import annotations

from collections.abc import Callable

#: Every point with what is so at it, in the order in which an event meets them.
POINTS: dict[str, str] = {
    # ── Any transaction ──
    "transaction-begun": "A write transaction is open, and nothing is written in it.",
    "transaction-written": "All of a write transaction is written; COMMIT was not said.",
    "transaction-committed": "The database says that it is committed; nobody was told.",
    # ── The doors ──
    "event-addressed": "Events make sense to a source; nothing of them is kept.",
    "inbox-written": "Events lie in the inbox, in a transaction that is not committed.",
    "inbox-committed": "Events are durable; nobody was told.",
    "acknowledging": "The answer that acknowledges events is about to be sent.",
    "entry-kept": "An entry of a log is kept, in a transaction that is not committed.",
    # ── From the inbox to a mark ──
    "events-marked": "Events have become marks and left the inbox; not committed.",
    "letter-written": "A dead letter is written, in a transaction that is not committed.",
    "stubs-marked": "What is only referred to is marked to be asked for; not committed.",
    # ── Asking ──
    "lease-written": "Documents are taken under a lease; not committed.",
    "lease-committed": "Documents are taken; their source was not asked.",
    "asking": "A source is about to be asked.",
    "fetched": "A source has answered; its answer was not read.",
    "answered": "An answer is worded; it was not judged.",
    "judged": "Answers are judged; nothing of them is written.",
    # ── The commit ──
    "clock-held": "The number of a transaction is drawn, under the clock's lock.",
    "fences-passed": "Marks are answered, and old answers left out; no fact is written.",
    "things-named": "New things have keys; nothing is said of them.",
    "facts-written": "What documents say has replaced what they said.",
    "raws-kept": "What documents were worded from is kept.",
    "rules-concluded": "What follows is written: rules, and parts that follow their wholes.",
    "search-written": "The search rows of what changed are written.",
    "published": "Feed, cause, seal and clock are written; COMMIT was not said.",
    "batch-committed": "A batch is committed; what is remembered of it was not told.",
    "rules-followed": "A piece of what rules had put off is concluded; not committed.",
    "answers-noted": "What failed is put off or put aside; not committed.",
    "handed-back": "Leases of what was not asked are given back; not committed.",
    # ── Sweeps ──
    "sweep-begun": "A sweep has its generation; nothing is listed.",
    "sweep-page-taken": "A part of a list is noted and what differs is marked; not committed.",
    "sweep-listed": "A list is noted to its end; what is absent was not looked for.",
    "absence-counted": "What was absent is marked, and the sweep is ended; not committed.",
    # ── People ──
    "letters-replayed": "Dead letters are taken up again; not committed.",
    "letters-purged": "Dead letters are thrown away, and by whom is noted; not committed.",
    # ── Loads and upkeep ──
    "snapshot-part-committed": "A part of a snapshot is committed; more of it comes.",
    "snapshot-committed": "All that a snapshot says is committed; what it lacks is not removed.",
    "rewording": "Documents are taken to be worded anew; nothing is written.",
    "forgotten": "What retention or an excision takes is deleted; not committed.",
    "projected": "Some search rows are made anew, and how far is noted; not committed.",
    "migrated": "The schema is the newest; not committed.",
    "text-merged": "Upkeep has merged a piece of the full text.",
    "log-moved": "Upkeep has moved the write-ahead log into the file.",
    "file-ready": "A first load is whole in a file of its own; the old one is in its place.",
    "file-replaced": "The file of a first load has taken the place of the old one.",
    "arrays-written": "The file of the index is written under another name.",
}

_listener: Callable[[str], None] | None = None


def reached(point: str) -> None:
    """Say that a point of `POINTS` is reached."""
    if _listener is not None:
        _listener(point)


def listen(listener: Callable[[str], None] | None) -> None:
    """
    Call *listener* at every point from now on, in whichever thread reaches it; None: nobody.

    Whatever it raises is raised at the point.
    """
    global _listener  # noqa: PLW0603  # one process, one listener: none of it is state of ours
    _listener = listener

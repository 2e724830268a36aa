"""What can go wrong, in our words.

Every error says what happened, why, and what to do; it carries a ``code`` that each surface
translates into its own language by one table.

    LinealError
    ├── Invalid             what was given is not well formed
    │   ├── InvalidUri      not a URI of ours
    │   ├── InvalidEvent    an event that no source can make sense of
    │   └── InvalidQuery    a search text or an argument that cannot be answered
    ├── ShapeError          a type or kind declaration is wrong (file, line, fix)
    ├── RuleError           a rule is wrong (file, position, fix)
    ├── SourceSpecError     a source specification is wrong (file, fix)
    ├── ConfigError         a setting is wrong or missing
    ├── NotFound            nothing has this URI
    │   └── NotObserved     something has it, and nothing was observed of it by then
    ├── Forbidden           the viewer may not do this
    ├── FileRefused         a file that cannot be read as what it claims to be
    ├── SourceError         a source did not give a usable answer
    │   ├── SourceDown      not reachable, or answering 5xx, 408, 429: try again later
    │   ├── SourceGone      404 or 410 from a source that is otherwise well
    │   ├── SourceGarbled   an answer that is not what the source promised
    │   └── SourceMoved     a list that cannot be gone on with: begin it again
    ├── DoorDown            a bus that events come by does not answer
    ├── PromiseBroken       something that we promise is not so just now
    ├── Overloaded          too much waits to be taken in: send again later
    └── StoreError          the database
        ├── Busy            another process writes to it
        │   ├── Undone      another transaction was in the way, and this one was undone
        │   └── OutOfTime   a question took longer than it may
        ├── ReadOnly        the file or disk may not be written
        ├── StorageFull     no room left
        ├── NewerSchema     written by a newer version of Lineal
        ├── Unreachable     the database server does not answer
        ├── Unstorable      a value that the database cannot hold
        └── Damaged         the file is not a sound database
"""

from __future__ import annotations


class LinealError(Exception):
    """Something went wrong that Lineal can name; *fix* says what to do about it."""

    code = "error"

    def __init__(self, message: str, *, fix: str = "") -> None:
        # It may tell what a source answered, and is kept and shown as text, which has no NUL.
        self.message = message.replace("\0", "\N{SYMBOL FOR NULL}")
        super().__init__(self.message)
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} {self.fix}".strip() if self.fix else self.message


class Invalid(LinealError):
    """What was given is not well formed."""

    code = "invalid"


class InvalidUri(Invalid):
    """Not a URI of ours."""

    code = "invalid_uri"


class InvalidEvent(Invalid):
    """An event that no source can make sense of."""

    code = "invalid_event"


class InvalidQuery(Invalid):
    """A search text or an argument that cannot be answered."""

    code = "invalid_query"


class Unfit(LinealError):
    """A document does not fit the shapes or its source's file, and may not be taken in so."""

    code = "unfit"


class _InFile(LinealError):
    """An error in a file that a person wrote: where it is and how to mend it."""

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, fix: str = ""
    ) -> None:
        where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
        super().__init__(f"{where}{message}", fix=fix)
        self.file = file
        self.line = line


class ShapeError(_InFile):
    """A declaration of a type or kind is wrong."""

    code = "shape"


class RuleError(_InFile):
    """A rule is wrong."""

    code = "rule"


class SourceSpecError(_InFile):
    """A source specification is wrong."""

    code = "source_spec"


class ConfigError(LinealError):
    """A setting is wrong or missing."""

    code = "config"


class NotFound(LinealError):
    """Nothing has this URI; *nearest* holds URIs that look alike."""

    code = "not_found"

    def __init__(self, message: str, *, nearest: tuple[str, ...] = (), fix: str = "") -> None:
        hint = f"Did you mean {', '.join(nearest)}?" if nearest else ""
        super().__init__(message, fix=" ".join(part for part in (hint, fix) if part))
        self.nearest = nearest


class NotObserved(NotFound):
    """Something has this URI, and by the asked time nothing had been observed of it."""

    code = "not_observed"


class Forbidden(LinealError):
    """The viewer may not do this."""

    code = "forbidden"


class FileRefused(_InFile):
    """A file, or one item of it, that cannot be read as what it claims to be."""

    code = "file"


class SourceError(LinealError):
    """A source did not give a usable answer; *status* is that of HTTP, where there was one."""

    code = "source"
    status: int | None = None


class SourceDown(SourceError):
    """The source is not reachable or refuses for now; *retry_after* is in seconds."""

    code = "source_down"
    #: So long it may ask to be left alone, at most. Who asks for more means something else, such
    #: as the moment itself, and would never be asked again.
    LONGEST = 86_400.0

    def __init__(self, message: str, *, retry_after: float | None = None, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        if retry_after is not None:
            # In this order, what is no number becomes 0.
            retry_after = min(max(0.0, retry_after), self.LONGEST)
        self.retry_after = retry_after


class SourceGone(SourceError):
    """The source says that the thing does not exist (404) or exists no longer (410)."""

    code = "source_gone"


class SourceGarbled(SourceError):
    """The source answered, but not with what it promised."""

    code = "source_garbled"


class DoorDown(LinealError):
    """A bus that events come by does not answer: what waits there is not lost, but late."""

    code = "door_down"


class SourceMoved(SourceError):
    """A list changed while it was read, and its next page is not known any more: begin again."""

    code = "source_moved"


class PromiseBroken(LinealError):
    """Something that we promise is not so just now."""

    code = "promise_broken"


class Overloaded(LinealError):
    """So much waits to be taken in that nothing more is kept now; *retry_after* is in seconds."""

    code = "overloaded"

    def __init__(self, message: str, *, retry_after: float, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.retry_after = retry_after


class StoreError(LinealError):
    """The database could not do what was asked."""

    code = "store"


class Busy(StoreError):
    """Another process writes to this database."""

    code = "busy"


class Undone(Busy):
    """Another transaction was in the way, so the database undid this one; it may be done again."""


class OutOfTime(Busy):
    """A question took longer than it may, and was stopped in the database."""

    code = "out_of_time"


class ReadOnly(StoreError):
    """The database may not be written: the file, its folder or the disk is read-only."""

    code = "read_only"


class StorageFull(StoreError):
    """No room left where the database lies."""

    code = "storage_full"


class NewerSchema(StoreError):
    """The database was written by a newer version of Lineal."""

    code = "newer_schema"


class Unreachable(StoreError):
    """The server of the database does not answer, or the connection to it broke."""

    code = "store_unreachable"


class Unstorable(StoreError):
    """The database cannot hold a value that it was given; what holds it can be left out."""

    code = "unstorable"


class Damaged(StoreError):
    """The file is not a sound database."""

    code = "damaged"

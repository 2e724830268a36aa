"""CODEOWNERS files: who must approve a change of a file or folder of a repository.

A fetched source. Its documents are the paths that others mention: nobody can list them all, so it
lists the repository alone, and every path that is known is asked for anew by each sweep. A file
that cannot be read, or names nobody, is an answer that did not come: it never removes anything.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import httpx2
import msgspec
from msgspec import Struct, structs

from lineal import normalise
from lineal.errors import (
    ConfigError,
    InvalidEvent,
    InvalidUri,
    SourceDown,
    SourceGarbled,
    SourceGone,
)
from lineal.model import EdgeStatement, Instant, Json, Record, Response, Statement, Uri
from lineal.sources import Fetched, Habits, Key, Listed, Marked, schedule
from lineal.sources.asking import Client
from lineal.sources.codeowners import CodeOwners, Line
from lineal.sources.http import no_secrets, now
from lineal.sources.plan import SourcePlan

RESOURCE = "code"
#: So many paths are looked up in one reading of the file.
TOGETHER = 200


class _Kept(Struct, frozen=True):
    """What of an answer is kept: the lines that fit."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class _Book:
    """The file as it was read."""

    text: str
    owners: CodeOwners
    at: Instant
    response: Response | None = None


class CodeOwnersSource:
    """A `FetchedSource` of one repository's CODEOWNERS file. Use from any thread."""

    def __init__(
        self,
        plan: SourcePlan,
        *,
        secret: Callable[[str], str] = no_secrets,
        clock: Callable[[], Instant] = now,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Read nothing yet; see `HttpSource` for the arguments."""
        if plan.reviewers is None:
            raise ConfigError(f"The source {plan.name} has no CODEOWNERS file.")
        self._plan, self._clock, self._where = plan, clock, plan.reviewers
        self._root = plan.reviewers.root.parts[1:]
        self._client = (
            Client(plan, secret=secret, clock=clock, sleep=sleep, transport=transport)
            if self._where.file is None
            else None
        )
        #: What was read last: what is the same again need not be understood again.
        self._last: _Book | None = None

    @property
    def name(self) -> str:
        """The source's name, unique in an installation."""
        return self._plan.name

    @property
    def plan(self) -> SourcePlan:
        """What the source's file says."""
        return self._plan

    @property
    def root(self) -> Uri:
        """The repository: of the platforms below, this source describes nothing else."""
        return self._where.root

    @property
    def platforms(self) -> frozenset[tuple[str, str]]:
        """The (type, platform) pairs whose things this source is registered to describe."""
        return self._plan.described

    @property
    def habits(self) -> Habits:
        """How the source wants to be asked."""
        spec = self._plan.written
        sweep = spec.sweep or schedule.nightly(self.name)
        return Habits(
            places=spec.limits.concurrency,
            batches={RESOURCE: TOGETHER},
            timeout=spec.limits.timeout + spec.limits.concurrency / spec.limits.requests_per_second,
            looks=(),
            sweep=None if sweep == schedule.NEVER else sweep,
            unfit=structs.asdict(spec.unfit),
        )

    def understand(self, body: Mapping[str, Json]) -> tuple[Marked, ...]:
        """Refuse an event: there are none; raises `InvalidEvent`."""
        raise InvalidEvent(
            f"{self.name} is a CODEOWNERS file and has no events.",
            fix=f"After a change of it: `lineal source sweep {self.name}`.",
        )

    def key_of(self, uri: Uri) -> Key | None:
        """Return the document that describes *uri*, None if it is not of this repository."""
        kind, *steps = uri.parts
        is_here = kind == RESOURCE and tuple(steps[: len(self._root)]) == self._root
        # A step that holds a slash is no name of a file.
        if not is_here or any("/" in step for step in steps):
            return None
        return Key(RESOURCE, "/".join(steps))

    def subject(self, key: Key) -> Uri:
        """Return the URI of the thing that the document is about; raises `InvalidUri`."""
        host, _, rest = key.id.partition("/")
        return Uri.of(RESOURCE, host, *rest.split("/"))

    def fetch(self, key: Key, etag: str | None = None) -> Fetched:
        """
        Look up one path, or whether what is said of it changed since *etag*.

        Raises:
            SourceGone: it is not of this repository.
            SourceDown: the file cannot be read.
        """
        if not self._is_ours(key):
            raise SourceGone(f"{key.id[:200]!r} is not of the repository of {self.name}.")
        fetched = self._fetched(key, self._read())
        return Fetched(key, None, etag) if fetched.etag == etag else fetched

    def fetch_many(self, keys: Sequence[Key]) -> Mapping[Key, Fetched | SourceGarbled]:
        """Look up several paths in one reading of the file; raises `SourceDown`."""
        book = self._read()
        return {key: self._fetched(key, book) for key in keys if self._is_ours(key)}

    def reword(self, key: Key, raw: Mapping[str, Json], at: Instant) -> Record:
        """Word a document anew from the lines that were kept; raises `SourceGarbled`."""
        try:
            kept = msgspec.convert(raw, _Kept)
        except msgspec.ValidationError as error:
            raise SourceGarbled(f"{self.name} {key.document}: {error}.") from error
        return self._record(key, kept, at, None)

    def list(self) -> Iterator[Listed]:
        """List the repository: what lies in it is asked for again; raises `SourceDown`."""
        book = self._read()
        version = hashlib.sha256(book.text.encode()).hexdigest()
        yield Listed(Key(RESOURCE, "/".join(self._root)), version)

    def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            self._client.close()

    # ── Words ──

    def _is_ours(self, key: Key) -> bool:
        try:
            return self.key_of(self.subject(key)) == key
        except InvalidUri:
            return False

    def _fetched(self, key: Key, book: _Book) -> Fetched:
        kept = _Kept(book.owners.of("/".join(key.id.split("/")[len(self._root) :])))
        tag = hashlib.sha256(msgspec.json.encode(kept)).hexdigest()
        return Fetched(key, self._record(key, kept, book.at, book.response), tag)

    def _record(self, key: Key, kept: _Kept, at: Instant, response: Response | None) -> Record:
        subject, directory = self.subject(key), self._where.directory
        steps = subject.parts[1:]
        home, path = steps[: len(self._root)], steps[len(self._root) :]
        said: dict[str, Json] = {
            "name": path[-1] if path else "/".join(home[1:]),
            "path": "/".join(path),
            "repository": f"https://{'/'.join(home)}",
            "environment": self._plan.written.environment,
        }
        edges: dict[Uri, EdgeStatement] = {}
        for line in kept.lines:
            for text in line.owners:
                owner = normalise.owner(text, directory=directory)
                if owner is not None and owner not in edges:
                    edges[owner] = EdgeStatement(subject, "reviewed_by", owner, _attributes(line))
        return Record(
            self.name,
            key.document,
            subject,
            (Statement(subject, normalise.said(said)),),
            tuple(edges[owner] for owner in sorted(edges)),
            at,
            response=response,
            raw=msgspec.to_builtins(kept),
        )

    # ── The file ──

    def _read(self) -> _Book:
        """Return the file as it is now; raises `SourceDown`."""
        at, last = self._clock(), self._last
        response = None
        if self._client is None:
            text = self._on_disk()
        else:
            text, response = self._asked(self._client, last)
        if last is not None and last.text == text:
            book = _Book(text, last.owners, at, response)
        else:
            book = _Book(text, self._understood(text), at, response)
        self._last = book
        return book

    def _on_disk(self) -> str:
        assert self._where.file is not None
        limit = int(self._plan.written.limits.megabytes * 1_000_000)
        try:
            with self._where.file.open("rb") as file:
                content = file.read(limit + 1)
            text = content.decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._unreadable(str(error)) from error
        if len(content) > limit:
            raise self._unreadable(f"it has more than {limit:,} bytes")
        return text

    def _asked(self, client: Client, last: _Book | None) -> tuple[str, Response | None]:
        etag = last.response.etag if last is not None and last.response is not None else None
        try:
            answer = client.text(self._where.path, self._where.params, etag=etag)
        except (SourceGone, SourceGarbled) as error:
            raise self._unreadable(error.message) from error
        if not answer.changed:
            assert last is not None
            return last.text, last.response
        return str(answer.document), answer.response

    def _understood(self, text: str) -> CodeOwners:
        owners = CodeOwners.read(text, self._where.dialect)
        if not owners:
            raise self._unreadable("it names nobody")
        return owners

    def _unreadable(self, reason: str) -> SourceDown:
        return SourceDown(
            f"The CODEOWNERS file of {self.name} cannot be used: {reason}.",
            fix="What was known of its reviewers stays. Check `codeowners` in its file.",
        )


def _attributes(line: Line) -> dict[str, Json]:
    return normalise.said({
        "pattern": line.pattern,
        "line": line.number,
        "section": line.section,
        "optional": line.optional or None,
    })  # fmt: skip


__all__ = ["CodeOwnersSource"]

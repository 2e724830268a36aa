"""A record in the making: statements and edges gathered one by one, then put in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from lineal import normalise
from lineal.errors import InvalidUri
from lineal.model import EdgeStatement, Instant, Json, Layer, Record, Statement, Uri
from lineal.sources.openlineage.naming import Names


@dataclass(slots=True)
class Draft:
    """What one document is going to say."""

    subject: Uri
    names: Names
    layer: Layer
    environment: str | None = None
    _statements: dict[Uri, Statement] = field(default_factory=dict)
    _edges: dict[tuple[Uri, str, Uri], EdgeStatement] = field(default_factory=dict)
    _unread: list[str] = field(default_factory=list)

    def state(
        self, uri: Uri, attributes: Mapping[str, Json], *, since: Instant | None = None
    ) -> None:
        """Say what is so of *uri*; saying more of the same adds to it."""
        before = self._statements.get(uri)
        merged = {**(before.attributes if before else {}), **normalise.said(attributes)}
        if self.environment:
            merged["environment"] = self.environment
        self._statements[uri] = Statement(uri, merged, since)

    def join(
        self,
        start: Uri,
        kind: str,
        end: Uri,
        attributes: Mapping[str, Json] | None = None,
        *,
        since: Instant | None,
    ) -> None:
        """Say that an edge is so; said twice, it is so since the first. No edge joins itself."""
        if start == end:
            return
        before = self._edges.get((start, kind, end))
        merged = {**(before.attributes if before else {}), **normalise.said(attributes or {})}
        first = before.valid_from if before else None
        times = [at for at in (first, since) if at is not None]
        self._edges[start, kind, end] = EdgeStatement(
            start, kind, end, merged, self.layer, min(times, default=None)
        )

    @contextmanager
    def reading(self, path: str) -> Iterator[None]:
        """Read one part; a name in it that cannot be a URI is noted, and the rest goes on."""
        try:
            yield
        except InvalidUri as error:
            self._unread.append(f"{path}: {error.message}")

    def record(
        self, source: str, document: str, *, observed_at: Instant, said_at: Instant
    ) -> Record:
        """Return the record, everything in it in order."""
        if self._unread:
            since = self._statements[self.subject].valid_from
            unread = list[Json](sorted(set(self._unread)))
            self.state(self.subject, {"unread": unread}, since=since)
        return Record(
            source,
            document,
            self.subject,
            tuple(self._statements[uri] for uri in sorted(self._statements)),
            tuple(self._edges[key] for key in sorted(self._edges)),
            observed_at,
            said_at,
        )

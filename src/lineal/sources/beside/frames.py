"""What the two processes that word a list say to each other: plain values, one frame a page."""

from __future__ import annotations

import copyreg
import io
import marshal
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from lineal.digests import digest_of, tell_digest
from lineal.errors import SourceGarbled
from lineal.model import EdgeStatement, Json, Layer, Record, Response, Statement, Uri
from lineal.shapes.examining import Examiner, Finding
from lineal.sources import Fetched, Key, Listed
from lineal.sources.plan import SourcePlan

#: The message of an error, and what to do.
_Failed: TypeAlias = "tuple[str, str]"
#: The id of a document, the list's version of it, its words, or why there are none.
_Line: TypeAlias = "tuple[str, str | None, tuple[Any, ...] | None, _Failed | None]"

_LAYERS = {layer.value: layer for layer in Layer}


class Page(NamedTuple):
    """A page of a list that is to be worded."""

    resource: str
    items: Sequence[Json]
    #: The answer that it came with, without its ETag.
    response: Response


class _Whole(NamedTuple):
    """The words of a document that came whole; things are numbers in the list of their names."""

    subject: int
    #: thing, attributes, valid_from.
    statements: list[tuple[Any, ...]]
    #: start, kind, end, attributes, layer, valid_from, valid_to.
    edges: list[tuple[Any, ...]]
    said_at: int | None
    raw: dict[str, Json] | None
    version: int | None
    unmapped: tuple[str, ...] | None
    #: What of it does not fit the shapes: sort, name and text; None where nobody knows shapes.
    findings: list[tuple[str, str, str]] | None
    #: The digest of what it says.
    digest: bytes


# ── The first process: it asks, and reads the answer ─────────────────────────────────────────────


def beginning(plan: SourcePlan) -> bytes:
    """Return the first frame: the plan by which documents are worded, and its shapes."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    pickler.dispatch_table = {**copyreg.dispatch_table, MappingProxyType: _opened}
    pickler.dump(replace(plan, _met={}))
    return file.getvalue()


def _opened(shut: MappingProxyType[Any, Any]) -> tuple[Callable[..., object], tuple[Any]]:
    return _shut, (dict(shut),)


def _shut(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


def question(page: Page) -> bytes:
    """Return the frame that asks for the words of a page."""
    answer = page.response
    asked = (page.resource, list(page.items), (answer.url, answer.sha256, answer.at))
    return marshal.dumps(asked)


def listed(frame: bytes, page: Page, source: str) -> Iterator[Listed]:
    """Yield what the answer says of a page of a source; raises what wording raised."""
    named, told, failed = marshal.loads(frame)  # noqa: S302 (of our own child)
    # That they are URIs was found where they were made: to look again would cost as much.
    uris = [str.__new__(Uri, name) for name in named]
    for ident, version, whole, reason in told:
        key, said = Key(page.resource, ident), None
        if whole is not None:
            said = partial(_fetched, source, key, whole, uris, page.response)
        elif reason is not None:
            said = partial(_fail, reason)
        yield Listed(key, version, said, page.response.at)
    if failed is not None:
        _fail(failed)


def _fail(failed: _Failed) -> Fetched:
    message, fix = failed
    raise SourceGarbled(message, fix=fix)


def _fetched(
    source: str, key: Key, told: tuple[Any, ...], uris: Sequence[Uri], response: Response
) -> Fetched:
    whole = _Whole(*told)
    record = Record(
        source, key.document, uris[whole.subject],
        tuple([Statement(uris[thing], said, since) for thing, said, since in whole.statements]),
        tuple([
            EdgeStatement(uris[start], kind, uris[end], said, _LAYERS[layer], since, until)
            for start, kind, end, said, layer, since, until in whole.edges
        ]),
        response.at, whole.said_at, response, whole.raw,
    )  # fmt: skip
    tell_digest(record, whole.digest)
    findings = whole.findings
    found = None if findings is None else tuple([Finding(*one) for one in findings])
    return Fetched(key, record, None, whole.version, whole.unmapped, found)


# ── The second process: it reads the question, and answers ───────────────────────────────────────


def plan(frame: bytes) -> SourcePlan:
    """Return the plan of the first frame."""
    found: SourcePlan = pickle.loads(frame)  # noqa: S301 (of our own parent)
    return found


def page(frame: bytes) -> Page:
    """Return the page that a question is about."""
    resource, items, answer = marshal.loads(frame)  # noqa: S302 (of our own parent)
    return Page(resource, items, Response(*answer))


def answer(lines: Iterable[Listed], examiner: Examiner | None) -> bytes:
    """Return the frame that tells the words of a page."""
    names = _Names()
    told: list[_Line] = []
    failed: _Failed | None = None
    try:
        for line in lines:
            told.append(_line(line, names, examiner))
    except SourceGarbled as error:
        failed = error.message, error.fix
    return marshal.dumps(([str(uri) for uri in names], told, failed))


class _Names(dict[Uri, int]):
    """The numbers of the things that a page names, in the order in which they are met."""

    def __missing__(self, uri: Uri) -> int:
        self[uri] = number = len(self)
        return number


def _line(line: Listed, names: _Names, examiner: Examiner | None) -> _Line:
    if line.whole is None:
        return line.key.id, line.version, None, None
    try:
        fetched = line.whole()
    except SourceGarbled as error:
        return line.key.id, line.version, None, (error.message, error.fix)
    record = fetched.record
    assert record is not None
    whole = _Whole(
        names[record.subject],
        [(names[one.uri], one.attributes, one.valid_from) for one in record.statements],
        [(names[one.start], one.kind, names[one.end], *_rest(one)) for one in record.edges],
        record.said_at, None if record.raw is None else dict(record.raw), fetched.version,
        fetched.unmapped, None if examiner is None else _found(examiner, record),
        digest_of(record),
    )  # fmt: skip
    return line.key.id, line.version, tuple(whole), None


def _found(examiner: Examiner, record: Record) -> list[tuple[str, str, str]]:
    return [(one.sort, one.name, one.text) for one in examiner.examine(record)]


def _rest(edge: EdgeStatement) -> tuple[Any, ...]:
    return edge.attributes, edge.layer.value, edge.valid_from, edge.valid_to

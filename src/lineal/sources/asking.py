"""One question to a source's API and its answer: what came back, or what is wrong, in our words.

Every failure is one of three: the source is down (ask again later), the thing is gone (the source
says so in its own form), or the answer is garbled. Only the second may ever retract anything.
"""

from __future__ import annotations

import base64
import hashlib
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlencode, urlsplit

import httpcore2
import httpx2
import msgspec

from lineal.errors import (
    Invalid,
    SourceDown,
    SourceError,
    SourceGarbled,
    SourceGone,
    SourceSpecError,
)
from lineal.model import Instant, Json, Response
from lineal.sources.expressions import DEPTH, too_deep, truth
from lineal.sources.guard import GuardedTransport, Pace, within
from lineal.sources.plan import SourcePlan

#: An answer may grow so much when it is unpacked.
RATIO = 100
#: Answers of an error are read only so far.
ERROR_BYTES = 100_000
_TEXT_TYPES = frozenset({"text/plain", "text/html"})
_UNREACHABLE = (
    *(httpx2.HTTPError, httpcore2.TimeoutException, httpcore2.NetworkError),
    *(httpcore2.ProtocolError, OSError, zlib.error, httpx2.InvalidURL),
)
_DOWN = frozenset({401, 403, 407, 408, 421, 423, 425, 429})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a source answered; *document* is None when nothing changed since the ETag given."""

    document: Json
    response: Response
    #: The addresses of the header Link, by their relation.
    links: Mapping[str, str]
    changed: bool = True


class Client:
    """Asks one source: paced, guarded and signed. Use from any thread."""

    def __init__(
        self,
        plan: SourcePlan,
        *,
        secret: Callable[[str], str],
        clock: Callable[[], Instant],
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        spec = plan.written
        assert spec.base_url is not None
        self._plan, self._clock = plan, clock
        self._base = spec.base_url.rstrip("/")
        self._timeout = spec.limits.timeout
        self._bytes = int(spec.limits.megabytes * 1_000_000)
        self._pace = Pace(
            requests_per_second=spec.limits.requests_per_second,
            concurrency=spec.limits.concurrency,
            clock=lambda: clock() / 1_000_000,
            sleep=sleep,
        )
        connect = min(spec.limits.connect_timeout, self._timeout)
        self._http = httpx2.Client(
            transport=transport
            or GuardedTransport(
                allow_private=spec.allow_private, connections=spec.limits.concurrency
            ),
            headers={
                "accept": spec.content_type,
                "accept-encoding": "gzip",
                "user-agent": "lineal",
                **spec.headers,
                **credentials(plan, secret),
            },
            timeout=httpx2.Timeout(self._timeout, connect=connect),
            trust_env=False,
            follow_redirects=False,
        )

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def ask(
        self,
        path: str,
        params: Mapping[str, str | Sequence[str]],
        *,
        etag: str | None = None,
        body: Mapping[str, Json] | None = None,
    ) -> Answer:
        """
        Return the answer at *path*, already encoded, below the base address.

        With a *body* it is sent as JSON, by POST.

        Raises:
            SourceDown: no answer, or one that says: not now.
            SourceGone: the source says that there is no such thing.
            SourceGarbled: any other answer.
        """
        content = None if body is None else msgspec.json.encode(body)
        return self._asked(path, params, etag, content, self._json)

    def text(
        self, path: str, params: Mapping[str, str | Sequence[str]], *, etag: str | None = None
    ) -> Answer:
        """Return the answer at *path* as the text that it is; else as `ask`."""
        return self._asked(path, params, etag, None, self._text)

    def _asked(
        self,
        path: str,
        params: Mapping[str, str | Sequence[str]],
        etag: str | None,
        content: bytes | None,
        read: Callable[[bytes, str], Json],
    ) -> Answer:
        url = self._base + path + (f"?{urlencode(params, doseq=True)}" if params else "")
        headers = {"if-none-match": etag} if etag else {}
        if content is not None:
            headers["content-type"] = "application/json"
        method = "GET" if content is None else "POST"
        at = self._clock()
        with self._pace.turn(), within(self._timeout):
            try:
                with self._http.stream(method, url, headers=headers, content=content) as response:
                    return self._understood(response, url, at, etag, read)
            except _UNREACHABLE as error:
                raise self._translated(error, url) from error

    def below(self, address: str, around: str) -> str:
        """
        Return what follows the base address in an *address* found in an answer to *around*.

        With its arguments as they are written there: they may be repeated.

        Raises:
            SourceGarbled: it is no address, or leads away from the base address.
        """
        # A person spelled the base address: both are compared as they are asked for.
        base = str(httpx2.URL(self._base))
        try:
            url = httpx2.URL(self._base + around).join(address).copy_with(fragment=None)
        except (httpx2.InvalidURL, ValueError) as error:
            raise self._garbled(
                self._base + around, f"the list goes on at {address[:200]!r}, which is no address"
            ) from error
        # Whoever answers may take dots for a step up however they are written.
        if not str(url).startswith(base + "/") or ".." in unquote(url.path).split("/"):
            raise SourceGarbled(
                f"{self._plan.name}: the list goes on at {address[:200]!r}, elsewhere than it "
                "began.",
                fix="Check the base_url; a list is followed only below it.",
            )
        return str(url)[len(base) :]

    # ── The answer ──

    def _understood(
        self,
        response: httpx2.Response,
        url: str,
        at: Instant,
        etag: str | None,
        read: Callable[[bytes, str], Json],
    ) -> Answer:
        status = response.status_code
        if status == 304 and etag:
            kept = Response(url, "", at, etag)
            return Answer(None, kept, {}, changed=False)
        if status != 200:
            failure = self._failure(response, url)
            failure.status = status
            raise failure
        content_type = self._plan.written.content_type
        if not is_type(response.headers.get("content-type"), content_type):
            raise self._garbled(url, f"its content type is {_type(response)}, not {content_type}")
        body = self._body(response, url, self._bytes)
        return Answer(
            document=read(body, url),
            response=Response(url, hashlib.sha256(body).hexdigest(), at, _etag(response)),
            links={
                str(name): link["url"] for name, link in response.links.items() if "url" in link
            },
        )

    def _failure(self, response: httpx2.Response, url: str) -> SourceError:
        status = response.status_code
        if status in (404, 410):
            return self._absence(response, url)
        if status in _DOWN or status >= 500:
            what = "refuses us" if status in (401, 403, 407) else "cannot answer now"
            fix = "Check the credentials." if status in (401, 403, 407) else "It is asked again."
            after = retry_after(response.headers.get("retry-after"), time.time())
            return SourceDown(
                f"{self._plan.name} {what}: {_path(url)} gives {status}.",
                retry_after=after,
                fix=fix,
            )
        if 300 <= status < 400:
            return self._garbled(url, f"it redirects ({status}), which is not followed")
        return self._garbled(url, f"its status is {status}")

    def _absence(self, response: httpx2.Response, url: str) -> SourceError:
        """Tell a thing that is gone from an address where nobody knows of it."""
        spec, status = self._plan.written, response.status_code
        expected = spec.gone.content_type or spec.content_type
        if not is_type(response.headers.get("content-type"), expected):
            return self._garbled(url, f"its {status} is {_type(response)}, not {expected}")
        try:
            body = self._body(response, url, ERROR_BYTES)
            text = expected in _TEXT_TYPES
            document = body.decode("utf-8") if text else self._json(body, url)
            condition = self._plan.gone
            genuine = truth(condition(document, document)) if condition else truth(document)
        except (SourceGarbled, Invalid, UnicodeDecodeError):
            return self._garbled(url, f"its {status} cannot be read")
        if not genuine:
            return self._garbled(url, f"its {status} is not the one of a missing thing")
        return SourceGone(f"{self._plan.name} has nothing at {_path(url)} ({status}).")

    def _json(self, body: bytes, url: str) -> Json:
        try:
            document: Json = msgspec.json.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            raise self._garbled(url, f"it is no JSON: {str(error)[:100]}") from error
        if too_deep(document, DEPTH):
            raise self._garbled(url, f"it is nested deeper than {DEPTH}")
        return document

    def _text(self, body: bytes, url: str) -> Json:
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise self._garbled(url, "it is no text in UTF-8") from error

    def _body(self, response: httpx2.Response, url: str, limit: int) -> bytes:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", ""):
            raise self._garbled(url, f"it is packed as {encoding[:40]!r}, not as gzip")
        # What a transport answers without a network is there already, and unpacked.
        there = response.is_stream_consumed
        chunks = iter([response.content]) if there else response.iter_raw()
        if encoding == "gzip" and not there:
            chunks = _unpacked(chunks)
        found = bytearray()
        for chunk in chunks:
            found += chunk
            if len(found) > limit:
                raise self._garbled(url, f"it has more than {limit:,} bytes")
        packed = response.num_bytes_downloaded
        if (
            encoding == "gzip"
            and not there
            and len(found) > 100_000
            and len(found) > packed * RATIO
        ):
            raise self._garbled(url, f"it unpacks to more than {RATIO} times its size")
        return bytes(found)

    def _garbled(self, url: str, reason: str) -> SourceGarbled:
        return SourceGarbled(
            f"{self._plan.name} does not answer as promised at {_path(url)}: {reason}.",
            fix="Nothing was changed. Check the source, and its file.",
        )

    def _translated(self, error: Exception, url: str) -> SourceError:
        where = f"at {_path(url)}"
        if isinstance(error, (httpx2.TimeoutException, httpcore2.TimeoutException)):
            return SourceDown(
                f"{self._plan.name} did not answer within {self._timeout:g} s {where}.",
                fix="It is asked again; raise limits.timeout if it is slow by nature.",
            )
        if isinstance(error, zlib.error):
            return self._garbled(url, f"its gzip is broken: {error}")
        if isinstance(error, httpx2.InvalidURL):
            return self._garbled(url, f"it cannot be asked for: {str(error)[:100]}")
        return SourceDown(
            f"{self._plan.name} cannot be reached {where}: {str(error)[:200]}.",
            fix="Check the base_url and the network; allow_private lets it be a local one.",
        )


def credentials(plan: SourcePlan, secret: Callable[[str], str]) -> dict[str, str]:
    """Return the headers that say who we are; raises `SourceSpecError` where they cannot be."""
    auth = plan.written.auth
    if auth is None:
        return {}

    def looked_up(reference: str) -> str:
        value = secret(reference).strip()
        if not value.isascii() or not value.isprintable():
            raise SourceSpecError(
                f"The secret {reference!r} cannot stand in a header.", file=plan.file
            )
        return value

    if auth.bearer is not None:
        return {"authorization": f"Bearer {looked_up(auth.bearer)}"}
    if auth.basic is not None:
        user = auth.basic.user
        pair = f"{looked_up(user) if ':' in user else user}:{looked_up(auth.basic.password)}"
        return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    assert auth.header is not None
    return {auth.header.name: looked_up(auth.header.value)}


def is_type(header: str | None, expected: str) -> bool:
    """
    Return whether a content type is the *expected* one; every kind of JSON is JSON.

    >>> is_type("application/scim+json; charset=utf-8", "application/json")
    True
    """
    found = (header or "").partition(";")[0].strip().lower()
    if expected == "application/json" and found.endswith("+json"):
        return True
    return found == expected.lower()


def retry_after(header: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks to wait, None if it says nothing."""
    if not header:
        return None
    try:
        return (
            max(0.0, float(header))
            if header.strip().isdigit()
            else max(0.0, parsedate_to_datetime(header).timestamp() - now)
        )
    except (ValueError, TypeError, OverflowError):
        return None


def _unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the unpacked bytes in small pieces, so that a bomb never opens whole."""
    unpacker = zlib.decompressobj(wbits=31)
    for packed in chunks:
        rest = packed
        while rest:
            if unpacker.eof:
                # Several may follow one another; what is none is an error of the next one.
                unpacker = zlib.decompressobj(wbits=31)
            yield unpacker.decompress(rest, 65_536)
            rest = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    if not unpacker.eof:
        raise zlib.error("the end is missing")


def _etag(response: httpx2.Response) -> str | None:
    tag = response.headers.get("etag")
    return tag if tag and len(tag) <= 512 and tag.isprintable() else None


def _type(response: httpx2.Response) -> str:
    return repr(response.headers.get("content-type", "missing")[:60])


def _path(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path + (f"?{parts.query}" if parts.query else ""))[:300]

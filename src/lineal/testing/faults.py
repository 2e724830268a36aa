"""A source on loopback that can be wrong in every way that a source over HTTP can be wrong.

It speaks HTTP over plain sockets, so that answers may stop, drip, lie about their length or be no
HTTP at all. In health it serves things and a list of them in pages::

    GET /things/t1         {"id": "t1", "name": "Thing 1", "version": 1, "from": ["t0"]}
    GET /things?page=1     {"items": [{"id": "t1", "version": 1}, …], "pages": 3}
    anything else          404 {"code": "NOT_FOUND"}

`KINDS` names the faults; one at a time is suffered: ``with source.suffering("drip"): …``.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Self, TypeAlias
from urllib.parse import parse_qsl, urlsplit

PAGE = 5
_JSON = "application/json"
_MEGABYTE = 1_000_000


class FaultSource:
    """
    A source of *count* things.

    >>> with FaultSource(count=3) as source:
    ...     sorted(source.things), source.url.startswith("http://127.0.0.1:")
    (['t0', 't1', 't2'], True)

    With *tls* it speaks HTTPS by that context; *expired* is one whose certificate has expired.
    """

    def __init__(
        self,
        count: int = 12,
        *,
        tls: ssl.SSLContext | None = None,
        expired: ssl.SSLContext | None = None,
    ) -> None:
        self.things: dict[str, dict[str, object]] = {
            f"t{n}": {
                "id": f"t{n}",
                "name": f"Thing {n}",
                "version": 1,
                "from": [f"t{n - 1}"] if n else [],
            }
            for n in range(count)
        }
        #: How many requests there were.
        self.asked = 0
        self._kind: str | None = None
        self._tls, self._expired = tls, expired
        self._healed = threading.Event()
        self._port = 0
        self._listener: socket.socket | None = None

    @property
    def url(self) -> str:
        """The address below which the things are, without a slash at its end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop answering."""
        self._healed.set()
        self._close()

    @contextlib.contextmanager
    def suffering(self, kind: str) -> Iterator[None]:
        """Be wrong in one way for a while; raises `KeyError` for a kind that there is not."""
        _ = KINDS[kind]
        self._healed = threading.Event()
        self._kind = kind
        if kind == "refused":
            self._close()
        try:
            yield
        finally:
            self._kind = None
            self._healed.set()
            if kind == "refused":
                self._listen()

    # ── Listening ────────────────────────────────────────────────────────────────────────────

    def _listen(self) -> None:
        listener = socket.create_server(("127.0.0.1", self._port), backlog=128)
        self._port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(
            target=self._accept, args=(listener,), name="fault source", daemon=True
        ).start()

    def _close(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            # Wakes the thread that accepts, which closing alone does not.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.ExitStack() as open_:
            wire: socket.socket = open_.enter_context(connection)
            wire.settimeout(90)
            context = self._expired if self._kind == "expired_certificate" else self._tls
            if context is not None:
                wire = open_.enter_context(context.wrap_socket(connection, server_side=True))
            target = _request(wire)
            if target is not None:
                self.asked += 1
                KINDS.get(self._kind or "", _well)(self, wire, target)

    # ── In health ────────────────────────────────────────────────────────────────────────────

    def answer(self, target: str) -> bytes:
        """Return the answer of a source that is well."""
        status, value = self.said(target)
        return packed(status, json.dumps(value).encode())

    def said(self, target: str) -> tuple[int, dict[str, object]]:
        """Return the status and value of a source that is well."""
        parts = urlsplit(target)
        if parts.path == "/things":
            return 200, self.page(int(dict(parse_qsl(parts.query)).get("page", "1")))
        thing = self.things.get(parts.path.removeprefix("/things/"))
        if thing is None:
            return 404, {"code": "NOT_FOUND"}
        return 200, thing

    def page(self, number: int) -> dict[str, object]:
        """Return one page of the list."""
        names = sorted(self.things)
        items = [
            {"id": name, "version": self.things[name]["version"]}
            for name in names[(number - 1) * PAGE : number * PAGE]
        ]
        return {"items": items, "page": number, "pages": -(-len(names) // PAGE)}

    def wait(self, seconds: float) -> bool:
        """Wait, at most until it is healed; True if it is."""
        return self._healed.wait(seconds)


def _request(wire: socket.socket) -> str | None:
    """Return the target of a request, None if it ends before its head does."""
    head = b""
    while b"\r\n\r\n" not in head:
        received = wire.recv(65_536)
        if not received:
            return None
        head += received
    return head.split(b" ", 2)[1].decode()


def packed(
    status: int,
    body: bytes,
    *,
    content_type: str = _JSON,
    headers: Mapping[str, str] | None = None,
    length: int | None = None,
) -> bytes:
    """Return an answer as it goes over the wire; *length* is what it says of its length."""
    said = {
        "Content-Type": content_type,
        "Content-Length": str(len(body) if length is None else length),
        "Connection": "close",
        **(headers or {}),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    return f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode() + body


# ── Faults ───────────────────────────────────────────────────────────────────────────────────────

Fault: TypeAlias = Callable[[FaultSource, socket.socket, str], None]


def _well(source: FaultSource, wire: socket.socket, target: str) -> None:
    wire.sendall(source.answer(target))


def _status(status: int, **headers: str) -> Fault:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = packed(status, b'{"error": "out of order"}', headers=said)
    return lambda source, wire, target: wire.sendall(answer)


def _sent(answer: bytes) -> Fault:
    return lambda source, wire, target: wire.sendall(answer)


def _body(body: bytes) -> Fault:
    return _sent(packed(200, body))


def _in_lists(change: Callable[[FaultSource, int], dict[str, object]]) -> Fault:
    """Only the list is wrong, and its status is 200; things are answered as they are."""

    def fault(source: FaultSource, wire: socket.socket, target: str) -> None:
        parts = urlsplit(target)
        if parts.path != "/things":
            _well(source, wire, target)
            return
        number = int(dict(parse_qsl(parts.query)).get("page", "1"))
        wire.sendall(packed(200, json.dumps(change(source, number)).encode()))

    return fault


def _refused(source: FaultSource, wire: socket.socket, target: str) -> None:
    """Who came in just before nobody was let in any more is sent away."""


def _reset(source: FaultSource, wire: socket.socket, target: str) -> None:
    """The head arrives, and then the connection is reset."""
    head = source.answer(target).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    wire.sendall(head)
    # To close without lingering is to reset.
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _closed(source: FaultSource, wire: socket.socket, target: str) -> None:
    """The connection is closed without a word."""


def _drip(source: FaultSource, wire: socket.socket, target: str) -> None:
    """One byte a second."""
    for byte in source.answer(target):
        wire.sendall(bytes([byte]))
        if source.wait(1.0):
            return


def _silence(source: FaultSource, wire: socket.socket, target: str) -> None:
    """Nothing for a minute."""
    source.wait(60.0)


def _truncated(source: FaultSource, wire: socket.socket, target: str) -> None:
    """Half a document, and the length of half a document."""
    _, value = source.said(target)
    body = json.dumps(value).encode()
    wire.sendall(packed(200, body[: len(body) // 2]))


def _cut(source: FaultSource, wire: socket.socket, target: str) -> None:
    """Half of what the head says that there is."""
    _, value = source.said(target)
    body = json.dumps(value).encode()
    wire.sendall(packed(200, body[: len(body) // 2], length=len(body)))


def _huge(source: FaultSource, wire: socket.socket, target: str) -> None:
    """A gigabyte."""
    wire.sendall(packed(200, b"", length=1_000 * _MEGABYTE))
    for _ in range(1_000):
        wire.sendall(b" " * _MEGABYTE)


def _bomb() -> Fault:
    """Fifty megabytes in fifty kilobytes."""
    body = gzip.compress(b" " * (50 * _MEGABYTE))
    return _sent(packed(200, body, headers={"Content-Encoding": "gzip"}))


def _broken_gzip(source: FaultSource, wire: socket.socket, target: str) -> None:
    """Half of a packed document."""
    _, value = source.said(target)
    body = gzip.compress(json.dumps(value).encode())
    wire.sendall(packed(200, body[: len(body) // 2], headers={"Content-Encoding": "gzip"}))


def _redirects(source: FaultSource, wire: socket.socket, target: str) -> None:
    """To where one comes from."""
    wire.sendall(packed(302, b"", headers={"Location": f"{source.url}{target}"}))


def _wrong_type(source: FaultSource, wire: socket.socket, target: str) -> None:
    """The document, called a page."""
    _, value = source.said(target)
    wire.sendall(packed(200, json.dumps(value).encode(), content_type="text/html"))


def _endless(source: FaultSource, wire: socket.socket, target: str) -> None:
    """Headers without end."""
    wire.sendall(b"HTTP/1.1 200 Said\r\n")
    for number in range(100_000):
        wire.sendall(f"X-Header-{number}: {'x' * 1_000}\r\n".encode())


def _chunks(source: FaultSource, wire: socket.socket, target: str) -> None:
    """Chunks whose lengths are none."""
    head = f"HTTP/1.1 200 Said\r\nContent-Type: {_JSON}\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire.sendall(head.encode() + b'zz\r\n{"id": 1}\r\n0\r\n\r\n')


def _another(source: FaultSource, wire: socket.socket, target: str) -> None:
    """What was asked for by somebody else."""
    name = target.rpartition("/")[2]
    other = next(one for one in source.things if one != name)
    wire.sendall(source.answer(f"/things/{other}"))


def _half_a_list(source: FaultSource, wire: socket.socket, target: str) -> None:
    """The first page, and then an error."""
    if target.startswith("/things?") and "page=1" not in target:
        wire.sendall(packed(503, b'{"error": "out of order"}'))
    else:
        _well(source, wire, target)


#: Every way to be wrong.
KINDS: dict[str, Fault] = {
    # It says itself that it cannot.
    "429_retry_after": _status(429, Retry_After="120"),
    "429": _status(429),
    "500": _status(500),
    "502": _status(502),
    "503": _status(503),
    "504": _status(504),
    "408": _status(408),
    "401": _status(401),
    "403": _status(403),
    # It is not reached, or breaks off.
    "refused": _refused,
    "reset_after_headers": _reset,
    "closed_without_a_word": _closed,
    "drip": _drip,
    "silence": _silence,
    "cut_short": _cut,
    "bad_chunks": _chunks,
    "no_http": _sent(b"220 mail.example.com ESMTP\r\n"),
    "endless_headers": _endless,
    "expired_certificate": _well,
    # It answers, but not with what it promised.
    "wrong_content_type": _wrong_type,
    "truncated_json": _truncated,
    "gigabyte": _huge,
    "gzip_bomb": _bomb(),
    "broken_gzip": _broken_gzip,
    "redirect_loop": _redirects,
    "empty_object": _body(b"{}"),
    "null": _body(b"null"),
    "too_deep": _body(b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
    "another_document": _another,
    # Somebody else says that there is nothing.
    "404_of_a_proxy": _sent(packed(404, b"<h1>Not Found</h1>", content_type="text/html")),
    "404_of_a_gateway": _sent(packed(404, b'{"message": "no Route matched"}')),
    # Its list is wrong.
    "empty_list": _in_lists(lambda source, number: {"items": [], "page": 1, "pages": 0}),
    "duplicate_pages": _in_lists(lambda source, number: {**source.page(1), "page": number}),
    "missing_pages": _in_lists(
        lambda source, number: {**source.page(number), "items": []} if number == 2
        else source.page(number)
    ),
    "half_a_list": _half_a_list,
}  # fmt: skip

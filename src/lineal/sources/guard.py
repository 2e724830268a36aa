"""Where a request may go: every address is checked, and the checked one is connected to.

Loopback, private and other local networks are refused unless the source's file allows them, the
addresses of cloud metadata always. Also keeps a request within one deadline, however slowly the
other side talks. No proxies, no redirects, nothing from the environment.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import httpcore2
import httpx2

from lineal.errors import SourceDown

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], list[str]]

#: Where clouds tell a machine its secrets. Refused whatever a file allows.
METADATA = frozenset(
    ipaddress.ip_address(text)
    for text in (
        *("169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200"),
        *("192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254"),
    )
)
_NAT64 = tuple(ipaddress.ip_network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48"))


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of *host*, in the order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def refusal(text: str, *, allow_private: bool) -> str | None:
    """
    Return why no connection is made to this address, None if one may be.

    >>> refusal("::ffff:127.0.0.1", allow_private=False)
    '127.0.0.1 is not a public address'
    >>> refusal("169.254.169.254", allow_private=True)
    '169.254.169.254 is the address of cloud metadata'
    """
    for address in _forms(ipaddress.ip_address(text.partition("%")[0])):
        if address in METADATA:
            return f"{address} is the address of cloud metadata"
        if address.is_multicast or address.is_unspecified:
            return f"{address} is no address of one machine"
        if not allow_private and not address.is_global:
            return f"{address} is not a public address"
    return None


def _forms(address: _Address) -> Iterator[_Address]:
    """Yield the IPv4 address that is hidden in an IPv6 one, then the address itself."""
    if isinstance(address, ipaddress.IPv6Address):
        if (inner := address.ipv4_mapped or address.sixtofour) is not None:
            yield inner
            if address.ipv4_mapped is not None:
                return
        if any(address in network for network in _NAT64):
            yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    yield address


class Refused(httpcore2.ConnectError):
    """The guard did not let the request out."""


# ── Deadline ─────────────────────────────────────────────────────────────────────────────────────

_CLOCK = threading.local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Let everything this thread reads and writes here end *seconds* from now."""
    _CLOCK.deadline = time.monotonic() + seconds
    try:
        yield
    finally:
        _CLOCK.deadline = None


def _left(timeout: float | None) -> float | None:
    deadline: float | None = getattr(_CLOCK, "deadline", None)
    if deadline is None:
        return timeout
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the whole request took too long")
    return left if timeout is None else min(left, timeout)


class _Stream(httpcore2.NetworkStream):
    """A connection whose every step is within the deadline."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, _left(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


# ── Connecting ───────────────────────────────────────────────────────────────────────────────────


class _Backend(httpcore2.NetworkBackend):
    """Resolves, checks all addresses, and connects to a checked one."""

    def __init__(self, *, allow_private: bool, resolve: Resolve) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        failed: httpcore2.ConnectError | httpcore2.ConnectTimeout | None = None
        for address in self._checked(host, port):
            try:
                stream = self._inner.connect_tcp(
                    address, port, _left(timeout), local_address, socket_options
                )
                return _Stream(stream)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore2.ConnectError(f"{host} has no address")

    def _checked(self, host: str, port: int) -> list[str]:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {error}") from error
        for address in addresses:
            reason = refusal(address, allow_private=self._allow_private)
            if reason is not None:
                raise Refused(reason)
        return addresses


class _Body(httpx2.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()


class GuardedTransport(httpx2.BaseTransport):
    """An HTTP transport that goes only where the guard lets it."""

    def __init__(
        self,
        *,
        allow_private: bool,
        connections: int = 10,
        resolve: Resolve = resolve,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Connect to nothing yet; *trust* says whose certificates count, if not the usual ones."""
        self._pool = httpcore2.ConnectionPool(
            ssl_context=trust or httpx2.create_ssl_context(trust_env=False),
            max_connections=connections,
            keepalive_expiry=15,
            network_backend=_Backend(allow_private=allow_private, resolve=resolve),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; errors are those of httpcore2."""
        answer = self._pool.handle_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        assert isinstance(answer.stream, Iterable)
        return httpx2.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream),
            extensions=answer.extensions,
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


# ── Pace ─────────────────────────────────────────────────────────────────────────────────────────


class Pace:
    """How often and how many at once: a token bucket and a number of places, for all threads."""

    def __init__(
        self,
        *,
        requests_per_second: float,
        concurrency: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """*clock* gives seconds; *sleep* lets them go by."""
        self._interval = 1 / requests_per_second
        #: Those before the last wait for no longer; else the clock was put back meanwhile.
        self._longest = concurrency * self._interval
        #: So many requests may follow at once after a rest.
        self._burst = max(1.0, min(float(concurrency), requests_per_second))
        self._places = threading.BoundedSemaphore(concurrency)
        self._lock = threading.Lock()
        self._clock, self._sleep = clock, sleep
        self._next = clock()

    @contextmanager
    def turn(self, *, patience: float = 300) -> Iterator[None]:
        """Wait for a place and for the time of the next request; raises `SourceDown`."""
        if not self._places.acquire(timeout=patience):
            raise SourceDown(f"No place among the requests was free within {patience} s.")
        try:
            self._wait()
            yield
        finally:
            self._places.release()

    def _wait(self) -> None:
        with self._lock:
            now = self._clock()
            if self._next - now > self._longest:
                self._next = now
            at = max(self._next, now - (self._burst - 1) * self._interval)
            self._next = at + self._interval
        if at > now:
            self._sleep(at - now)

"""What every request passes and every answer carries: an id, a known host, headers of safety.

Nothing here knows what is asked.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lineal.errors import Forbidden, LinealError
from lineal.surfaces.errors_http import WrongHost, translated

log = structlog.get_logger("lineal.web")

#: On every answer, whatever it is.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Under "no-referrer" a browser says `Origin: null` of our own forms too.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

#: Makes the answer for an error: a page or a problem document.
Refuse = Callable[[LinealError, Request], Response]


def hosts(bound: str) -> frozenset[str]:
    """
    Return the names under which a server bound to *bound* may be asked.

    >>> sorted(hosts("127.0.0.1"))
    ['127.0.0.1', '::1', 'localhost']
    >>> sorted(hosts("Graph.local.") - LOOPBACK)
    ['graph.local']
    """
    return LOOPBACK | {bound.casefold().rstrip(".")}


def host_name(value: str) -> str:
    """
    Return the name in a Host header or an origin's authority, without its port.

    >>> host_name("[::1]:8585"), host_name("LocalHost:80")
    ('::1', 'localhost')
    """
    try:
        return (urlsplit(f"//{value}").hostname or "").rstrip(".")
    except ValueError:
        return ""


class Guard:
    """Wraps the application: nothing reaches it or leaves it without passing here."""

    def __init__(self, app: ASGIApp, *, allowed: Collection[str], refuse: Refuse) -> None:
        self._app, self._allowed, self._refuse = app, allowed, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request.state.request_id = secrets.token_hex(8)
        answered = _Answered(request, send)
        error = self._refused(Headers(scope=scope))
        if error is not None:
            await self._refuse(error, request)(scope, receive, answered)
            return
        try:
            await self._app(scope, receive, answered)
        except Exception as fault:
            log.exception(
                "a request failed", request_id=request.state.request_id, path=scope["path"]
            )
            if answered.begun:
                raise
            await self._refuse(translated(fault), request)(scope, receive, answered)

    def _refused(self, headers: Headers) -> LinealError | None:
        """A page elsewhere must not reach us under a name of its own (DNS rebinding)."""
        host = headers.get("host", "")
        if host_name(host) not in self._allowed:
            return WrongHost(
                f"This server does not answer as {host[:80]!r}.",
                fix="Use the address that it printed when it started.",
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.casefold() != host.casefold():
            return Forbidden("Pages of other sites may not ask here.")
        return None


class _Answered:
    """Sends an answer on, with our headers added."""

    def __init__(self, request: Request, send: Send) -> None:
        self._request, self._send = request, send
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers["X-Request-Id"] = self._request.state.request_id
            if self._request.url.scheme == "https":
                headers["Strict-Transport-Security"] = "max-age=31536000"
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)

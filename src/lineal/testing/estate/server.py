"""The estate in operation: seven tools on one loopback address, their faults and events."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from lineal.testing.estate.changes import Changes
from lineal.testing.estate.faults import Failure, Faults
from lineal.testing.estate.postman import deliver
from lineal.testing.estate.tools import open_tools
from lineal.testing.estate.tools.tool import Document, Reply, Request, Tool
from lineal.testing.estate.world import World


class Estate:
    """
    Seven ML tools over HTTP.

    >>> with Estate(seed=7, scale=0.1) as estate:
    ...     estate.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        seed: int = 7,
        scale: float = 1.0,
        *,
        port: int = 0,
        world: World | None = None,
        slips: float | None = None,
    ) -> None:
        self.world = world or World(seed, scale, slips=slips)
        self.tools = open_tools(self.world)
        self.faults = Faults()
        #: Changes to the world; each is announced unless told otherwise.
        self.change = Changes(self.world, self._tell)
        self._owner = {
            c.kind: tool for tool in self.tools.values() for c in tool.collections.values()
        }
        self._pending: list[tuple[str, Document]] = []
        self._port = port
        self._server: _Server
        self._thread: threading.Thread

    def __enter__(self) -> Self:
        """Begin to answer."""
        self._server = _Server(self, self._port)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="estate", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Return the address below which all tools live, without a slash at its end."""
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def requests(self) -> dict[str, int]:
        """Return how many requests each tool has had so far."""
        return self.faults.asked()

    # -- events ----------------------------------------------------------------------------------

    def announce(self) -> None:
        """Queue one created-event for everything there is, as for a first load."""
        for kind, ident in self.world.things():
            self._tell(kind, ident, "created")

    def drain(self) -> list[tuple[str, Document]]:
        """Hand out the waiting events, each with the tool that sends it, and forget them."""
        with self.world.lock:
            events, self._pending = self._pending, []
        return events

    def send(
        self, sink: str, events: Iterable[tuple[str, Document]] | None = None, *, batch: int = 1
    ) -> int:
        """POST *events* (by default, and then drained, all that wait) to a sink on this machine."""
        return deliver(self.drain() if events is None else list(events), sink, batch=batch)

    def _tell(self, kind: str, ident: str, verb: str) -> None:
        tool = self._owner[kind]
        with self.world.lock:
            self._pending.append((tool.name, tool.notice(kind, ident, verb)))

    # -- faults ----------------------------------------------------------------------------------

    def fail(
        self,
        tool: str,
        *,
        status: int = 503,
        times: int | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Let a tool answer with an error, a number of times or until healed."""
        self.faults.fail(self.tools[tool].name, Failure(status, times, retry_after))

    def delay(self, tool: str, seconds: float) -> None:
        """Let a tool take its time until healed."""
        self.faults.delay(self.tools[tool].name, seconds)

    def garble(self, tool: str, times: int | None = None) -> None:
        """Let a tool send broken JSON, a number of times or until healed."""
        self.faults.garble(self.tools[tool].name, times)

    def heal(self, tool: str | None = None) -> None:
        """Mend one tool, or all of them."""
        self.faults.heal(tool)

    # -- answers ---------------------------------------------------------------------------------

    def answer(self, target: str, *, etag: str | None = None, method: str = "GET") -> Reply:
        """Answer one request for an undecoded path with its query."""
        parts = urlsplit(target)
        tool = next((t for t in self.tools.values() if parts.path.startswith(f"{t.prefix}/")), None)
        if tool is None:
            return Reply(404, b"no such tool\n", {"Content-Type": "text/plain"})
        seconds, failure = self.faults.arrive(tool.name)
        if seconds:
            time.sleep(seconds)
        if failure:
            return _failed(tool, failure)
        if method != "GET":
            return tool.error(405, f"{method} is not possible here")
        path = tuple(
            unquote(segment) for segment in parts.path.removeprefix(f"{tool.prefix}/").split("/")
        )
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        return self.faults.spoil(tool.name, tool.answer(Request(path, query, etag)))


def _failed(tool: Tool, failure: Failure) -> Reply:
    reply = tool.error(failure.status, "out of order")
    if failure.retry_after is None:
        return reply
    return Reply(
        reply.status, reply.body, {**reply.headers, "Retry-After": str(failure.retry_after)}
    )


class _Server(ThreadingHTTPServer):
    """A server on the loopback address that knows its estate and forgets lost callers."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, estate: Estate, port: int) -> None:
        self.estate = estate
        super().__init__(("127.0.0.1", port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: callers that hang up are no news."""


class _Handler(BaseHTTPRequestHandler):
    """Carries requests to the estate and replies back, over connections that stay open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60
    server: _Server

    def _carry(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = self.server.estate.answer(
            self.path, etag=self.headers.get("If-None-Match"), method=self.command
        )
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 304:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    # What http.server calls them.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _carry  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

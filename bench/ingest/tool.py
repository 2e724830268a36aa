"""A registry on loopback, in a process of its own: read one by one, many at once, or listed.

``python -m bench.ingest.tool THINGS [--no-etags]`` prints its port. It speaks plain HTTP/1.1 from
one loop, so that it costs little beside what is measured. Versions say which run made them; a run
was made for one cell of a test; so each run's change moves an inferred edge.
"""

from __future__ import annotations

import asyncio
import json
import sys
from urllib.parse import parse_qs, unquote, urlsplit

#: Cells of each test, and how many tests there are.
CELLS, TESTS = 4, 50
#: So many tables are read by all versions, if there are as many.
READ = 1_000
#: Every so many revisions a version names another data set, and another stage.
MOVES = 4


class Registry:
    """What the tool knows: how often each thing was changed; the rest follows from that."""

    def __init__(self, things: int, *, etags: bool = True) -> None:
        self.things, self.etags = things, etags
        self.revisions = {
            "versions": [0] * things, "runs": [0] * things, "tests": [0] * TESTS,
            "tables": [0] * things,
        }  # fmt: skip
        self.requests = self.documents = self.unchanged = 0

    def document(self, kind: str, ident: str) -> dict[str, object] | None:
        """Return a document as it is now."""
        number = int(ident[1:]) if ident[1:].isdigit() else -1
        if not 0 <= number < len(self.revisions[kind]):
            return None
        revision = self.revisions[kind][number]
        made = getattr(self, f"_{kind}")(number, revision)
        return {"id": ident, "revision": revision, **made}

    def _versions(self, number: int, revision: int) -> dict[str, object]:
        return {
            "name": f"ranker {number}",
            "description": f"Ranks the rows of page {number % 97}, trained again and again.",
            "stage": ("staging", "production", "archived")[revision // MOVES % 3],
            "labels": {"team": f"team-{number % 40}", "tier": number % 3},
            "auc": 0.5 + (number * 31 + revision * 17) % 4_999 / 10_000,
            "bytes": 1_000_000 + number,
            "created_at": "2026-03-04T05:06:07Z",
            "model": f"m{number % 2_000}",
            "run": f"r{number}",
            "owner": f"user{number % 500}@example.com",
            "table": f"t{(number + revision // MOVES) % min(READ, self.things)}",
        }

    @staticmethod
    def _runs(number: int, revision: int) -> dict[str, object]:
        cell = (number + revision) % (TESTS * CELLS)
        return {
            "status": "succeeded",
            "ended_at": "2026-03-04T05:06:07Z",
            "cell": [f"t{cell // CELLS}", str(cell % CELLS)],
        }

    @staticmethod
    def _tests(number: int, revision: int) -> dict[str, object]:
        return {"name": f"test {number}", "cells": [{"no": str(one)} for one in range(CELLS)]}

    @staticmethod
    def _tables(number: int, revision: int) -> dict[str, object]:
        return {
            "name": f"features.daily_{number}",
            "description": f"Rows of page {number % 97}, one for each day and reader.",
            "format": ("parquet", "iceberg")[number % 2],
            "rows": 1_000 * number + revision,
            "labels": {"team": f"team-{number % 40}", "tier": number % 3},
            "owner": f"user{number % 500}@example.com",
            "created_at": "2026-03-04T05:06:07Z",
            "sources": [f"t{one}" for one in {number * 7 // 10, number // 3} if one < number],
        }

    # ── Answers ──────────────────────────────────────────────────────────────────────────────

    def answer(self, method: str, target: str, etag: str, body: bytes) -> bytes:
        """Return the whole answer to one request."""
        parts = urlsplit(target)
        _, kind, *rest = parts.path.split("/")
        if method == "POST":
            for ident in json.loads(body):
                self.revisions[kind][int(ident[1:])] += 1
            return _packed({})
        if kind == "reads":
            found = (self.requests, self.documents, self.unchanged)
            return _packed(dict(zip(("requests", "documents", "unchanged"), found, strict=True)))
        self.requests += 1
        given = parse_qs(parts.query)
        if "ids" in given:
            idents = given["ids"][0].split(",")
            documents = [one for ident in idents if (one := self.document(kind, ident))]
            self.documents += len(documents)
            return _packed({"items": documents})
        if not rest:
            return self._page(kind, int(given.get("from", ["0"])[0]), int(given["size"][0]))
        document = self.document(kind, unquote(rest[0]))
        if document is None:
            return _packed({"error": "gone"}, "404 Not Found")
        tag = f'"{document["revision"]}"' if self.etags else ""
        if tag and etag == tag:
            self.unchanged += 1
            return b"HTTP/1.1 304 Not Modified\r\netag: " + tag.encode() + b"\r\n\r\n"
        self.documents += 1
        return _packed(document, tag=tag)

    def _page(self, kind: str, start: int, size: int) -> bytes:
        last = min(len(self.revisions[kind]), start + size)
        found = [self.document(kind, f"{kind[0]}{number}") for number in range(start, last)]
        return _packed({"items": found, "more": last < len(self.revisions[kind])})


def _packed(value: object, status: str = "200 OK", *, tag: str = "") -> bytes:
    body = json.dumps(value, separators=(",", ":")).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return f"{head}etag: {tag}\r\n\r\n".encode() + body if tag else f"{head}\r\n".encode() + body


class Door(asyncio.Protocol):
    """One connection: requests in, answers out, in their order."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where answers go."""
        assert isinstance(transport, asyncio.Transport)
        self._out = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            lines = self._held[:end].decode("latin-1").split("\r\n")
            headers = {
                name.strip().lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines[1:])
            }
            size = int(headers.get("content-length", "0"))
            if len(self._held) < end + 4 + size:
                return
            body = self._held[end + 4 : end + 4 + size]
            self._held = self._held[end + 4 + size :]
            method, target, _ = lines[0].split(" ")
            etag = headers.get("if-none-match", "")
            self._out.write(self._registry.answer(method, target, etag, body))


async def serve(things: int, *, etags: bool) -> None:
    """Answer until the end of the input."""
    registry = Registry(things, etags=etags)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Door(registry), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), etags="--no-etags" not in sys.argv))

"""A proxy between a store and its server that cuts the connection around a COMMIT.

It listens on a port of this machine and hands every byte on, until it is told how the next COMMIT
is to be cut.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from psycopg.conninfo import conninfo_to_dict

#: The ways of cutting: what the server gets to see, and when it sees the cut.
WAYS = (
    # The server never hears of the COMMIT.
    "before",
    # It acted on it, and its answer is lost.
    "after",
    # It never hears of it, and holds the transaction open after the client has come back.
    "before, noticed late",
    # It hears of it only after the client has come back.
    "after, heard late",
)
#: How long "late" is.
_LATE = 0.15
#: With its end: "READ COMMITTED" is none.
_COMMIT = b"COMMIT\0"

#: Asked at each COMMIT: how to cut it, or None.
Choose = Callable[[], "str | None"]


class Cutter:
    """The proxy, its URL, and how many connections it has cut."""

    def __init__(self, url: str, choose: Choose) -> None:
        self._upstream, self._choose = conninfo_to_dict(url), choose
        self.cuts = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._over = False
        user, name = self._upstream.get("user", ""), self._upstream["dbname"]
        self.url = f"postgresql://{user}@127.0.0.1:{self._listener.getsockname()[1]}/{name}"
        self._start(self._accept)

    def _start(self, task: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=task, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._over:
            if _ready([self._listener]):
                client, _ = self._listener.accept()
                self._start(self._serve, client, self._connected())

    def _connected(self) -> socket.socket:
        host, port = str(self._upstream["host"]), int(self._upstream.get("port") or 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        upstream = socket.socket(socket.AF_UNIX)
        upstream.connect(f"{host}/.s.PGSQL.{port}")
        return upstream

    def _serve(self, client: socket.socket, server: socket.socket) -> None:
        """Hand on what either side says until one of them goes, or the connection is cut."""
        answer_is_lost = False
        with client, server, contextlib.suppress(OSError):
            while not self._over:
                for one in _ready([client, server]):
                    said = one.recv(1 << 16)
                    if not said:
                        return
                    if one is server:
                        if answer_is_lost and _COMMIT in said:
                            return
                        client.sendall(said)
                        continue
                    way = self._choose() if _COMMIT in said else None
                    self.cuts += way is not None
                    if way == "before":
                        return
                    if way is not None and way.endswith("late"):
                        client.close()
                        time.sleep(_LATE)
                        if way.startswith("after"):
                            server.sendall(said)
                        return
                    answer_is_lost = way == "after"
                    server.sendall(said)

    def close(self) -> None:
        """Stop, and wait for what still runs."""
        self._over = True
        for thread in self._threads:
            thread.join()
        self._listener.close()


def _ready(sockets: list[socket.socket]) -> list[socket.socket]:
    return select.select(sockets, [], [], 0.1)[0]


@contextmanager
def cutter(url: str, choose: Choose) -> Iterator[Cutter]:
    """Run a proxy before the database of *url* until the block ends."""
    made = Cutter(url, choose)
    try:
        yield made
    finally:
        made.close()

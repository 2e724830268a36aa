"""The port of a server: held before anything else is opened, and answering at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import pytest
import uvicorn
from fastapi import FastAPI

from lineal.errors import ConfigError
from lineal.surfaces.listening import listening
from lineal.surfaces.server import answering


def test_what_is_answered_is_sent_at_once() -> None:
    """Nagle's algorithm would hold the second packet of an answer back for 40 ms."""

    async def accepted() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            own: socket.socket = writer.get_extra_info("socket")
            found.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        door = listening("127.0.0.1", 0)
        server = await asyncio.start_server(answer, sock=door)
        async with server:
            _, writer = await asyncio.open_connection(*door.getsockname())
            told = await found
            writer.close()
        return told

    assert asyncio.run(accepted()) != 0


def test_headers_without_end_are_cut_off() -> None:
    """Whatever parsers are installed: one that takes them all would fill the memory."""
    door = listening("127.0.0.1", 0)
    config = answering(FastAPI(), log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [door]})
    thread.start()
    line, sent = b"X-More: " + b"x" * 1_000 + b"\r\n", 0
    try:
        with socket.create_connection(door.getsockname(), timeout=30) as wire:
            wire.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
            with contextlib.suppress(ConnectionError):
                while sent < 16 << 20:
                    wire.sendall(line)
                    sent += len(line)
    finally:
        server.should_exit = True
        thread.join(30)

    assert config.http == "h11"
    assert sent < 16 << 20


def test_only_this_machine_is_listened_to() -> None:
    with pytest.raises(ConfigError, match="can be reached from other machines"):
        listening("0.0.0.0", 0)

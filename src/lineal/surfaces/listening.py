"""Holding a port before anything else is opened, or saying why it cannot be had."""

from __future__ import annotations

import errno
import ipaddress
import socket

from lineal.errors import ConfigError


def listening(host: str, port: int) -> socket.socket:
    """
    Return a socket that holds a port, before anything else is opened.

    Only the loopback address is held: there is no sign-in yet, and whoever could reach another
    might read everything.

    Raises:
        ConfigError: the host is not of loopback or not of this machine, or the port is taken or
            may not be had.
    """
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ConfigError(
            f"{host} is no address of this machine: {error.strerror}.", fix="Give another --host."
        ) from error
    if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise ConfigError(
            f"{host} can be reached from other machines, and there is no sign-in yet.",
            fix="Answer on 127.0.0.1, behind a proxy that asks who is there.",
        )
    # Named as TCP: else asyncio lets an answer's second packet wait 40 ms for the first's receipt.
    door = socket.socket(kind, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind(address)
        door.listen(2_048)
    except OSError as error:
        door.close()
        raise ConfigError(
            f"Port {port} of {host} {_why(error)}.",
            fix="Choose another by --port, or a free one by --port 0.",
        ) from error
    return door


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "is taken by another program"
    if error.errno == errno.EACCES:
        return "may only be opened by an administrator"
    return f"cannot be opened: {error.strerror}"

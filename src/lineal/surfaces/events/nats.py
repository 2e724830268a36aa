"""A door for streams of NATS JetStream: acknowledged once kept, and the server's word awaited."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, TimeoutError
from nats.js.api import ConsumerConfig

from lineal.app.taking import Told, Unread
from lineal.surfaces.events.declared import Nats
from lineal.surfaces.events.doors import Inbox
from lineal.surfaces.events.envelopes import Message, items

__all__ = ["NatsDoor"]

#: Seconds that a request waits for messages.
_FETCH = 1.0
#: Seconds in which the server must say that it has an acknowledgement.
_ACK = 5.0


class NatsDoor:
    """One reader of a durable consumer. What it does not acknowledge is delivered again."""

    bus = "nats"

    def __init__(
        self, name: str, spec: Nats, *, source: str | None, secret: Callable[[str], str]
    ) -> None:
        self.name, self._spec, self._source = name, spec, source
        self._login: dict[str, Any] = {
            "user": spec.user,
            "password": secret(spec.password) if spec.password else None,
            "token": secret(spec.token) if spec.token else None,
            "user_credentials": spec.credentials,
        }

    def listen(self, inbox: Inbox, stopping: threading.Event) -> None:
        """Hand over what comes until *stopping*; raises what the client raises."""
        asyncio.run(self._listen(inbox, stopping))

    async def _listen(self, inbox: Inbox, stopping: threading.Event) -> None:
        errors: list[Exception] = []

        async def note(error: Exception) -> None:
            errors.append(error)

        # The supervisor connects again, so that a lost connection is seen and told.
        client = await nats.connect(
            self._spec.servers,
            name=f"lineal {self.name}",
            allow_reconnect=False,
            connect_timeout=5,
            error_cb=note,
            **self._login,
        )
        try:
            stream = client.jetstream()
            subscribed = await stream.pull_subscribe(
                self._spec.subject,
                durable=self._spec.durable,
                stream=self._spec.stream,
                config=ConsumerConfig(ack_wait=self._spec.ack_wait),
            )
            inbox.opened()
            while not stopping.is_set():
                try:
                    messages = await subscribed.fetch(self._spec.batch, timeout=_FETCH)
                except TimeoutError:
                    messages = []
                if messages:
                    await self._keep(messages, inbox, stopping)
                _see_open(client, errors)
        finally:
            if not client.is_closed:
                await client.close()

    async def _keep(self, messages: list[Msg], inbox: Inbox, stopping: threading.Event) -> None:
        found = [item for message in messages for item in self._items(message)]
        # Keeping waits for the disk; the connection goes on meanwhile.
        while (wait := await asyncio.to_thread(inbox.offer, found)) is not None:
            if stopping.is_set():
                return
            for message in messages:
                await message.in_progress()
            await asyncio.to_thread(stopping.wait, wait)
        await asyncio.gather(*(message.ack_sync(timeout=_ACK) for message in messages))

    def _items(self, message: Msg) -> list[Told | Unread]:
        headers = {name.lower(): value for name, value in (message.headers or {}).items()}
        return items(Message(message.data, headers), self._source)


def _see_open(client: Client, errors: list[Exception]) -> None:
    """Raise why the connection is lost, if it is."""
    if not client.is_connected:
        raise errors[-1] if errors else ConnectionClosedError
    del errors[:-1]

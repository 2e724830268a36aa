"""A door for queues of SQS: a message is deleted once what it says is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import boto3
import structlog
from botocore.config import Config

from lineal.app.taking import Told, Unread
from lineal.surfaces.events.declared import Sqs
from lineal.surfaces.events.doors import Inbox, hold
from lineal.surfaces.events.envelopes import Message, items

log = structlog.get_logger("lineal.doors")

#: SQS hands out at most so many at once.
_BATCH = 10


class SqsDoor:
    """One reader of a queue. What it does not delete becomes visible again by itself."""

    bus = "sqs"

    def __init__(
        self, name: str, spec: Sqs, *, source: str | None, secret: Callable[[str], str]
    ) -> None:
        self.name, self._spec, self._source = name, spec, source
        self._keys: dict[str, str] = {}
        if spec.access_key is not None and spec.secret_key is not None:
            self._keys = {
                "aws_access_key_id": secret(spec.access_key),
                "aws_secret_access_key": secret(spec.secret_key),
            }

    def listen(self, inbox: Inbox, stopping: threading.Event) -> None:
        """Hand over what comes until *stopping*; raises what boto3 raises."""
        client = boto3.session.Session().client(
            "sqs",
            region_name=self._spec.region,
            endpoint_url=self._spec.endpoint,
            config=Config(
                connect_timeout=5,
                read_timeout=self._spec.wait + 10,
                retries={"max_attempts": 2, "mode": "standard"},
            ),
            **self._keys,
        )
        try:
            client.get_queue_attributes(QueueUrl=self._spec.queue, AttributeNames=["QueueArn"])
            inbox.opened()
            while not stopping.is_set():
                self._receive(client, inbox, stopping)
        finally:
            client.close()

    def _receive(self, client: Any, inbox: Inbox, stopping: threading.Event) -> None:
        answer = client.receive_message(
            QueueUrl=self._spec.queue,
            MaxNumberOfMessages=_BATCH,
            WaitTimeSeconds=self._spec.wait,
            MessageAttributeNames=["All"],
        )
        messages = answer.get("Messages", [])
        found = [item for message in messages for item in self._items(message)]
        if messages and hold(inbox, found, stopping):
            self._delete(client, messages)

    def _items(self, message: Mapping[str, Any]) -> list[Told | Unread]:
        headers = {
            name.lower(): str(one["StringValue"])
            for name, one in message.get("MessageAttributes", {}).items()
            if "StringValue" in one
        }
        return items(Message(message["Body"].encode(), headers), self._source)

    def _delete(self, client: Any, messages: Sequence[Mapping[str, Any]]) -> None:
        entries = [
            {"Id": str(at), "ReceiptHandle": message["ReceiptHandle"]}
            for at, message in enumerate(messages)
        ]
        answer = client.delete_message_batch(QueueUrl=self._spec.queue, Entries=entries)
        if failed := answer.get("Failed"):
            # They come again, and change nothing then.
            log.warning("messages not deleted", door=self.name, failed=len(failed))

"""A door for topics of Kafka: offsets are committed once what stands before them is kept."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka import Message as Record

from lineal.app.taking import Told, Unread
from lineal.surfaces.events.declared import Kafka
from lineal.surfaces.events.doors import Inbox, hold, looked_up
from lineal.surfaces.events.envelopes import Message, items

__all__ = ["KafkaDoor", "settings"]

#: Seconds until the brokers must have answered when a door is opened.
_OPEN = 10.0
#: How long a poll waits, in seconds.
_POLL = 0.5
#: What may not be set otherwise: the promise that nothing is acknowledged too early.
_OURS = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": False,
}


def settings(spec: Kafka, secret: Callable[[str], str]) -> dict[str, Any]:
    """Return the settings of librdkafka; raises `ConfigError` where a secret is not there."""
    return {
        "client.id": "lineal",
        "auto.offset.reset": "earliest",
        **spec.options,
        **looked_up(spec.secrets, secret),
        "bootstrap.servers": spec.servers,
        "group.id": spec.group,
        **_OURS,
    }


class KafkaDoor:
    """One consumer of a group. Opening it anew begins at the last committed offsets."""

    bus = "kafka"

    def __init__(
        self, name: str, spec: Kafka, *, source: str | None, secret: Callable[[str], str]
    ) -> None:
        self.name, self._spec, self._source = name, spec, source
        self._settings = settings(spec, secret)

    def listen(self, inbox: Inbox, stopping: threading.Event) -> None:
        """Hand over what comes until *stopping*; raises `KafkaException`."""
        broken: list[KafkaError] = []

        def failed(error: KafkaError) -> None:
            if error.fatal() or error.code() == KafkaError._ALL_BROKERS_DOWN:
                broken.append(error)

        logger = logging.getLogger("lineal.kafka")
        consumer = Consumer({**self._settings, "error_cb": failed}, logger=logger)
        try:
            _see_brokers(consumer, stopping)
            consumer.subscribe(self._spec.topics)
            inbox.opened()
            while not stopping.is_set():
                self._poll(consumer, inbox, stopping)
                if broken:
                    raise KafkaException(broken[0])
        finally:
            consumer.close()

    def _poll(self, consumer: Consumer, inbox: Inbox, stopping: threading.Event) -> None:
        records = [
            record
            for record in consumer.consume(self._spec.batch, _POLL)
            if not _raised(record.error())
        ]
        found = [item for record in records for item in self._items(record)]
        if records and hold(inbox, found, stopping, lambda wait: _pause(consumer, wait)):
            self._commit(consumer, records)

    def _items(self, record: Record) -> list[Told | Unread]:
        headers = {
            name.lower(): value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
            for name, value in _headers(record)
        }
        value = record.value()
        body = value if isinstance(value, bytes) else b""
        return items(Message(body, headers), self._source)

    def _commit(self, consumer: Consumer, records: list[Record]) -> None:
        """Commit what follows the last record of each partition."""
        last: dict[tuple[str, int], int] = {}
        for record in records:
            place = (record.topic() or "", record.partition() or 0)
            last[place] = max(last.get(place, OFFSET_BEGINNING), (record.offset() or 0) + 1)
        offsets = [TopicPartition(topic, part, at) for (topic, part), at in last.items()]
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # Another member has these partitions now, and will read the same once more.
            code = error.args[0].code() if error.args else None
            if code not in _MOVED:
                raise


def _see_brokers(consumer: Consumer, stopping: threading.Event) -> None:
    """Raise where no broker answers within a while: the consumer itself would wait for ever."""
    until = time.monotonic() + _OPEN
    while not stopping.is_set():
        try:
            consumer.list_topics(timeout=1.0)
            return
        except KafkaException:
            if time.monotonic() > until:
                raise


_MOVED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._NO_OFFSET,
    }
)


def _headers(record: Record) -> list[tuple[str, Any]]:
    headers = record.headers()
    return list(headers.items()) if isinstance(headers, dict) else list(headers or [])


def _raised(error: KafkaError | None) -> bool:
    """Tell whether a record is no record; raises what cannot be waited for."""
    if error is None:
        return False
    if error.retriable() or error.code() in (
        KafkaError._PARTITION_EOF,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
    ):
        return True
    raise KafkaException(error)


def _pause(consumer: Consumer, wait: float) -> None:
    """Wait without new records, but polling: a member that does not poll loses its place."""
    until = time.monotonic() + wait
    while (left := until - time.monotonic()) > 0:
        assigned = consumer.assignment()
        consumer.pause(assigned)
        try:
            early = consumer.poll(min(left, _POLL))
        finally:
            consumer.resume(assigned)
        if early is not None and not _raised(early.error()):
            # One that was on its way: it is read again when there is room.
            consumer.seek(
                TopicPartition(early.topic() or "", early.partition() or 0, early.offset() or 0)
            )

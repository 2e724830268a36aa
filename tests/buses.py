"""Real peers for the doors: a Kafka in memory, an SQS with SNS and EventBridge, a NATS server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import nats
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from moto.server import ThreadedMotoServer
from nats.js.errors import NotFoundError

REGION = "eu-west-1"


# ── Kafka ────────────────────────────────────────────────────────────────────────────────────────


class Kafka:
    """librdkafka's own cluster in memory; it lives as long as its producer."""

    def __init__(self) -> None:
        self._producer: Producer | None = Producer(
            {"test.mock.num.brokers": 1, "bootstrap.servers": "none", "log_level": 0}
        )
        brokers = self._producer.list_topics(timeout=10).brokers.values()
        self.servers = ",".join(f"{one.host}:{one.port}" for one in brokers)

    def send(
        self, topic: str, bodies: Iterable[bytes], headers: Mapping[str, str] | None = None
    ) -> None:
        assert self._producer is not None
        listed: list[tuple[str, str | bytes | None]] = list((headers or {}).items())
        for body in bodies:
            self._producer.produce(topic, body, headers=listed)
        assert self._producer.flush(10) == 0

    def committed(self, topic: str, group: str) -> int:
        """Return how many records of a topic a group has committed."""
        asking = Consumer({"bootstrap.servers": self.servers, "group.id": group})
        try:
            places = [TopicPartition(topic, number) for number in range(4)]
            return sum(max(0, one.offset) for one in asking.committed(places, timeout=10))
        finally:
            asking.close()

    def close(self) -> None:
        self._producer = None


# ── SQS ──────────────────────────────────────────────────────────────────────────────────────────


class Aws:
    """Queues, topics and event buses over HTTP, in a thread."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        self.variables = {"AWS_KEY": "testing", "AWS_SECRET": "testing"}

    def client(self, service: str) -> Any:
        return boto3.session.Session().client(
            service,
            region_name=REGION,
            endpoint_url=self.endpoint,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )

    def queue(self, name: str) -> str:
        sqs = self.client("sqs")
        return str(
            sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
        )

    def left(self, queue: str) -> int:
        """Return how many messages of a queue are not deleted."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)
        return sum(int(found["Attributes"][name]) for name in names)

    def close(self) -> None:
        self._server.stop()


# ── NATS ─────────────────────────────────────────────────────────────────────────────────────────


class Nats:
    """A NATS server with JetStream, as a process that can be ended and begun again."""

    def __init__(self, folder: Path) -> None:
        binary = shutil.which("nats-server", path=f"{Path(sys.executable).parent}:{os.defpath}")
        if binary is None:
            pytest.skip("no nats-server: it comes with the development requirements")
        self._binary, self._folder = binary, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.url = f"nats://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *(self._binary, "-js", "-a", "127.0.0.1", "-p", str(self._port)),
                *("-sd", str(self._folder)),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)):
                return
            assert time.monotonic() < until, "the NATS server does not begin"
            time.sleep(0.01)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    def stream(self, name: str) -> None:
        async def make(stream: Any) -> None:
            await stream.add_stream(name=name, subjects=[f"{name}.>"])

        self._with(make)

    def send(
        self, subject: str, bodies: Iterable[bytes], headers: Mapping[str, str] | None = None
    ) -> None:
        async def publish(stream: Any) -> None:
            for body in bodies:
                await stream.publish(subject, body, headers=dict(headers) if headers else None)

        self._with(publish)

    def left(self, stream: str, durable: str = "lineal") -> int:
        """Return how many messages of a stream a consumer has not acknowledged."""

        async def count(streams: Any) -> int:
            try:
                info = await streams.consumer_info(stream, durable)
            except NotFoundError:  # it is not made yet
                return int((await streams.stream_info(stream)).state.messages)
            return int(info.num_pending + info.num_ack_pending)

        return int(self._with(count))

    def _with(self, work: Any) -> Any:
        async def run() -> Any:
            client = await nats.connect(self.url, allow_reconnect=False)
            try:
                return await work(client.jetstream())
            finally:
                await client.close()

        return asyncio.run(run())


@contextlib.contextmanager
def closing(peer: Kafka | Aws) -> Iterator[Any]:
    try:
        yield peer
    finally:
        peer.close()

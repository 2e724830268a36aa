"""The doors of buses, against real peers: what is acknowledged is kept, whatever dies when."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import REGISTRY
from starlette.testclient import TestClient

from lineal.app import Lineal
from lineal.app.taking import Taken, Told, Unread
from lineal.config import Config
from lineal.errors import ConfigError, SourceSpecError, StorageFull
from lineal.surfaces import server
from lineal.surfaces.events import declared
from lineal.surfaces.events.doors import Backoff, Doors
from lineal.surfaces.events.opening import made
from tests import buses
from tests.promises.recording import ran

SOURCES = """
source: tool
platform: tool
base_url: http://127.0.0.1:9/api
limits: {requests_per_second: 10000}
events:
  - {match: {event_type: model_changed}, resource: model, key: model_id}
  - {match: {type: com.example.model.changed}, resource: model, key: subject}
  - {match: {detail-type: Model Changed}, resource: model, key: name}
resources:
  model:
    subject: {type: model}
    fetch: {path: "/models/{id}"}
"""
POISON = b"{not json"


@pytest.fixture
def lineal(tmp_path: Path) -> Iterator[Lineal]:
    (tmp_path / "tool.yaml").write_text(SOURCES, "utf-8")
    config = Config(db=tmp_path / "graph.db", sources=(tmp_path / "tool.yaml",))
    with Lineal.open(config) as opened:
        yield opened


def event(number: int) -> bytes:
    return json.dumps({"event_type": "model_changed", "model_id": f"m{number}"}).encode()


def kept(lineal: Lineal) -> Counter[str]:
    """Return how often each model waits in the inbox."""
    with lineal.store.looking() as driver:
        bodies = [json.loads(row[0]) for row in driver.rows("SELECT body FROM inbox")]
    names = (body.get("model_id") or body.get("subject") or body.get("name") for body in bodies)
    return Counter(str(name) for name in names)


def dead(lineal: Lineal) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in lineal.dead_letters()]


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"still not so: {what}"
        time.sleep(0.02)


class Dies:
    """Keeps what a door brings, and dies after that and before it is acknowledged, some times."""

    def __init__(self, lineal: Lineal, times: int) -> None:
        self._lineal, self._left = lineal, times

    def take(self, door: str, items: Sequence[Told | Unread]) -> Taken:
        taken = self._lineal.take(door, items)
        if self._left:
            self._left -= 1
            raise RuntimeError("killed before it was acknowledged")
        return taken


class Full:
    """Has no room for a while."""

    def __init__(self, lineal: Lineal) -> None:
        self._lineal, self.room, self.asked = lineal, threading.Event(), 0

    def take(self, door: str, items: Sequence[Told | Unread]) -> Taken:
        self.asked += 1
        if not self.room.is_set():
            raise StorageFull("No room left.")
        return self._lineal.take(door, items)


def doors(lineal: Lineal, spec: dict[str, Any], takes: Any = None) -> Doors:
    """Return the door that a file would declare, as quick to begin again as a test wants it."""
    specs = msgspec.convert({"bus": spec}, dict[str, declared.Door])
    secret = {"env:AWS_KEY": "testing", "env:AWS_SECRET": "testing"}.__getitem__
    found = made(specs, lineal.listened, secret)
    return Doors(found, takes or lineal, backoff=Backoff(first=0.02, longest=0.2))


class Open:
    """A door while a test listens."""

    def __init__(self, opened: Doors) -> None:
        self.doors = opened

    def __enter__(self) -> Open:
        self.doors.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.doors.stop()

    @property
    def state(self) -> str:
        return self.doors.standing()[0].state

    @property
    def restarts(self) -> int:
        return self.doors.standing()[0].restarts


# ── Kafka ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.promise("P1")
def test_kafka_is_committed_only_after_it_is_kept(lineal: Lineal) -> None:
    """A consumer that dies in between gets everything again; poison does not hold up the rest."""
    ran("P1", "buses", 1)
    with buses.closing(buses.Kafka()) as kafka:
        kafka.send("ml", [event(0), POISON, *(event(n) for n in range(1, 40)), b'{"what": 1}'])
        cloud = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "tool",
                 "ce_type": "com.example.model.changed", "ce_subject": "m40"}  # fmt: skip
        kafka.send("ml", [b""], cloud)
        kafka.send("ml", [b""])
        spec = {
            "servers": kafka.servers,
            "topics": ["ml"],
            "batch": 16,
            # The cluster in memory keeps the place of who left until his session is over.
            "options": {"session.timeout.ms": 3500, "heartbeat.interval.ms": 500},
        }
        with Open(doors(lineal, {"kafka": spec}, Dies(lineal, times=1))) as door:
            until(lambda: len(kept(lineal)) == 41 and door.state == "open", "all are kept")
            assert door.restarts == 1
            # What is kept is committed after that, so that it may be a moment later.
            until(lambda: kafka.committed("ml", "lineal") == 44, "all are committed")

    assert set(kept(lineal)) == {f"m{n}" for n in range(41)}
    assert {"unread": POISON.decode()} in dead(lineal)
    assert {"what": 1} in dead(lineal)
    assert {"unread": ""} not in dead(lineal)


def test_a_kafka_that_goes_away_is_told_and_comes_back(lineal: Lineal) -> None:
    kafka = buses.Kafka()
    spec = {"kafka": {"servers": kafka.servers, "topics": ["ml"]}}
    with Open(doors(lineal, spec)) as door:
        until(lambda: door.state == "open", "it is open")
        kafka.close()
        until(lambda: door.state == "down", "it is told")
        with TestClient(server.create(lineal, door.doors), base_url="http://127.0.0.1") as client:
            ready = client.get("/readyz")
            told = client.get("/api/v1/doors").json()["doors"]

    assert ready.status_code == 503
    assert ready.json()["code"] == "door_down"
    assert "late, not lost" in ready.json()["fix"]
    assert (told[0]["name"], told[0]["state"], told[0]["restarts"] > 0) == ("bus", "down", True)
    assert REGISTRY.get_sample_value("lineal_door_restarts_total", {"door": "bus"})


# ── SQS ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def aws() -> Iterator[buses.Aws]:
    with buses.closing(buses.Aws()) as peer:
        yield peer


def sqs_of(aws: buses.Aws, queue: str) -> dict[str, Any]:
    keys = {"access_key": "env:AWS_KEY", "secret_key": "env:AWS_SECRET"}
    where = {"queue": queue, "region": buses.REGION, "endpoint": aws.endpoint, "wait": 1}
    return {"sqs": {**where, **keys}}


def test_a_queue_takes_sns_raw_delivery_and_event_bridge(lineal: Lineal, aws: buses.Aws) -> None:
    queue, sqs, sns = aws.queue("all"), aws.client("sqs"), aws.client("sns")
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    arn = arn["Attributes"]["QueueArn"]
    for name, raw in (("wrapped", "false"), ("raw", "true")):
        topic = sns.create_topic(Name=name)["TopicArn"]
        sns.subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": raw}
        )
        sns.publish(TopicArn=topic, Message=event(1 if name == "raw" else 2).decode())
    bridge = aws.client("events")
    bridge.put_rule(Name="ml", EventPattern='{"source": ["our.models"]}')
    bridge.put_targets(Rule="ml", Targets=[{"Id": "q", "Arn": arn}])
    bridge.put_events(
        Entries=[
            {"Source": "our.models", "DetailType": "Model Changed", "Detail": '{"name": "m3"}'}
        ]
    )
    sqs.send_message(QueueUrl=queue, MessageBody=event(4).decode())
    sqs.send_message(QueueUrl=queue, MessageBody=POISON.decode())

    with Open(doors(lineal, sqs_of(aws, queue))):
        until(lambda: aws.left(queue) == 0, "all are deleted")

    assert kept(lineal) == Counter(["m1", "m2", "m3", "m4"])
    assert [body["unread"] for body in dead(lineal)] == [POISON.decode()]


@pytest.mark.promise("P1")
def test_a_queue_is_asked_again_for_what_was_kept_and_not_deleted(
    lineal: Lineal, aws: buses.Aws
) -> None:
    ran("P1", "buses", 1)
    queue, sqs = aws.queue("again"), aws.client("sqs")
    order = [*range(20), *range(0, 20, 2)]
    random.Random(5).shuffle(order)
    for number in order:
        sqs.send_message(QueueUrl=queue, MessageBody=event(number).decode())
    with Open(doors(lineal, sqs_of(aws, queue), Dies(lineal, times=1))) as door:
        until(lambda: aws.left(queue) == 0, "all are deleted")
        assert door.restarts == 1

    assert set(kept(lineal)) == {f"m{n}" for n in range(20)}
    assert dead(lineal) == []


# ── NATS ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def jetstream(tmp_path: Path) -> Iterator[buses.Nats]:
    peer = buses.Nats(tmp_path / "jetstream")
    try:
        peer.stream("ml")
        yield peer
    finally:
        peer.stop()


def nats_of(peer: buses.Nats, **more: Any) -> dict[str, Any]:
    return {"nats": {"servers": [peer.url], "stream": "ml", "subject": "ml.>", **more}}


@pytest.mark.promise("P1")
def test_a_stream_is_acknowledged_only_after_it_is_kept(
    lineal: Lineal, jetstream: buses.Nats
) -> None:
    ran("P1", "buses", 1)
    jetstream.send("ml.a", [event(n) for n in (*range(30), *range(5))])
    jetstream.send("ml.b", [POISON, b"[]", b'{"what": 1}'])
    cloud = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/elsewhere",
             "ce-type": "com.example.model.changed", "ce-subject": "m%2030"}  # fmt: skip
    jetstream.send("ml.c", [b'{"n": 1}'], cloud)
    with Open(doors(lineal, nats_of(jetstream, batch=10, ack_wait=1), Dies(lineal, 2))) as door:
        until(lambda: jetstream.left("ml") == 0, "all are acknowledged")
        assert door.restarts == 2

    assert set(kept(lineal)) == {*(f"m{n}" for n in range(30)), "m 30"}
    bodies = dead(lineal)
    assert POISON.decode() in [body.get("unread") for body in bodies]
    assert {"what": 1} in bodies


def test_a_door_pauses_while_there_is_no_room_and_loses_nothing(
    lineal: Lineal, jetstream: buses.Nats
) -> None:
    jetstream.send("ml.a", [event(n) for n in range(8)])
    full = Full(lineal)
    with Open(doors(lineal, nats_of(jetstream, batch=4, ack_wait=1), full)) as door:
        until(lambda: door.state == "paused" and full.asked > 1, "it pauses")
        reason = door.doors.standing()[0].reason
        assert jetstream.left("ml") == 8
        assert REGISTRY.get_sample_value("lineal_door_paused", {"door": "bus"}) == 1
        with TestClient(server.create(lineal, door.doors), base_url="http://127.0.0.1") as client:
            assert client.get("/readyz").status_code == 200
        full.room.set()
        until(lambda: jetstream.left("ml") == 0, "all are acknowledged")
        assert door.state == "open"

    assert "No room left" in reason
    assert door.restarts == 0
    assert set(kept(lineal)) == {f"m{n}" for n in range(8)}


def test_a_server_that_is_killed_is_listened_to_again_when_it_is_back(
    lineal: Lineal, jetstream: buses.Nats
) -> None:
    with Open(doors(lineal, nats_of(jetstream))) as door:
        jetstream.send("ml.a", [event(1)])
        until(lambda: kept(lineal)["m1"] == 1, "the first came")
        jetstream.stop()
        until(lambda: door.state == "down", "it is told")
        jetstream.start()
        jetstream.send("ml.a", [event(2)])
        until(lambda: kept(lineal)["m2"] > 0 and door.state == "open", "the second came")


@pytest.mark.promise("P1")
def test_what_a_killed_lineal_acknowledged_is_there(tmp_path: Path, jetstream: buses.Nats) -> None:
    """Killed at any moment and begun again, until every message is acknowledged; then all are
    there."""
    (tmp_path / "tool.yaml").write_text(SOURCES, "utf-8")
    (tmp_path / "doors.yaml").write_text(
        "doors:\n  bus: {nats: {servers: ['${NATS_URL}'], stream: ml, batch: 7, ack_wait: 1}}\n"
    )
    chance, sent = random.Random(11), 0
    environment = {**os.environ, "NATS_URL": jetstream.url, "LINEAL_INDEX": "off"}
    command = [
        *(sys.executable, "-m", "lineal.surfaces.cli", "serve", "--port", "0"),
        *("--db", str(tmp_path / "graph.db"), "--source", str(tmp_path / "tool.yaml")),
        *("--door", str(tmp_path / "doors.yaml")),
    ]
    for kill in (True, False):
        jetstream.send("ml.a", [event(n) for n in range(sent, sent + 100)])
        sent += 100
        with (tmp_path / "log").open("ab") as log:
            running = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        if kill:
            until(lambda: jetstream.left("ml") < 100, "the first are acknowledged")
            time.sleep(chance.uniform(0, 0.05))
            running.send_signal(signal.SIGKILL)
        else:
            until(lambda: jetstream.left("ml") == 0, "all are acknowledged")
            running.send_signal(signal.SIGTERM)
        running.wait(20)

    with Lineal.open(Config(db=tmp_path / "graph.db")) as after:
        names = set(kept(after))
        with after.store.looking() as driver:
            names |= {row[0].removeprefix("model:") for row in driver.rows(
                "SELECT document FROM watch WHERE source = 'tool'")}  # fmt: skip
    assert names == {f"m{n}" for n in range(sent)}


# ── What is declared ─────────────────────────────────────────────────────────────────────────────


def written(folder: Path, text: str) -> list[Path]:
    (folder / "doors.yaml").write_text(text, "utf-8")
    return [folder / "doors.yaml"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("doors: {a: {kafka: {servers: x, topic: y}}}", "Did you mean 'topics'?"),
        ("doors: {a: {source: x}}", "exactly one of `kafka`, `sqs` and `nats`"),
        ("doors: {}", "length >= 1"),
        ("doors: {a: {sqs: {queue: 'q'}}}", "regex"),
        ("doors: {a: {sqs: {queue: 'http://q', access_key: 'env:A'}}}", "go together"),
        ("doors: {a: {nats: {servers: [x], stream: s, password: secret}}}", "regex"),
    ],
)
def test_a_file_of_doors_that_is_wrong_says_so_with_its_line(tmp_path, text, words):
    with pytest.raises(SourceSpecError) as caught:
        declared.load(written(tmp_path, text), {})

    assert words in str(caught.value)
    assert "doors.yaml:1" in str(caught.value)


def test_two_files_may_not_have_one_door(tmp_path):
    (path,) = written(tmp_path, "doors: {a: {sqs: {queue: 'http://q'}}}")

    with pytest.raises(SourceSpecError, match="two doors 'a'"):
        declared.load([path, path], {})


def test_a_door_of_a_source_that_is_not_there_is_refused(tmp_path):
    specs = declared.load(
        written(tmp_path, "doors: {a: {source: b, sqs: {queue: 'http://q'}}}"), {}
    )

    with pytest.raises(ConfigError, match="Sources are tool"):
        made(specs, frozenset({"tool"}), str)


BUSES = {
    "kafka": "kafka: {servers: 'x:1', topics: [a]}",
    "sqs": "sqs: {queue: 'http://q'}",
    "nats": "nats: {servers: ['nats://x'], stream: a}",
}
WITHOUT = """
import contextlib, io, sys

class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("confluent_kafka", "boto3", "nats"):
            raise ModuleNotFoundError(f"No module named {name}", name=name)

sys.meta_path.insert(0, Gone())
from lineal.surfaces.cli import main
folder = sys.argv[1]
for bus in ("kafka", "sqs", "nats"):
    door = f"{folder}/{bus}.yaml"
    command = ["serve", "--port", "0", "--db", f"{folder}/x.db", "--door", door]
    try:
        main(command)
    except SystemExit as ended:
        print(ended.code)
"""


def test_a_client_that_is_not_installed_is_said_in_one_sentence(tmp_path):
    """In a process of its own, whose path lacks the packages."""
    for name, bus in BUSES.items():
        (tmp_path / f"{name}.yaml").write_text(f"doors: {{a: {{{bus}}}}}", "utf-8")
    ended = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ended.stdout.split() == ["2", "2", "2"], ended.stderr
    for extra in BUSES:
        assert f"pip install 'lineal[{extra}]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_reference_names_every_field_of_a_door():
    text = (Path(__file__).parent.parent / "docs/reference/doors.md").read_text("utf-8")

    for part in declared.PARTS:
        for name in part.__struct_encode_fields__:
            assert f"`{name}`" in text, f"{part.__name__}.{name}"


def test_the_example_of_the_reference_is_a_file_of_doors(tmp_path):
    text = (Path(__file__).parent.parent / "docs/reference/doors.md").read_text("utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]

    assert set(declared.load(written(tmp_path, example), {})) == {"models", "platform", "runs"}

"""Which doors there are: a YAML file, its form, and the JSON Schema of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import fspath
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from lineal.errors import SourceSpecError
from lineal.model import Json
from lineal.sources import written
from lineal.sources.decoding import decode
from lineal.sources.said import Reference


class _Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a file of doors: no field beyond the declared ones."""


class Kafka(_Part, frozen=True):
    """Topics of Kafka, read as a member of a consumer group."""

    servers: Annotated[str, Meta(min_length=1, description="Brokers to begin with, `host:port`, …")]
    topics: Annotated[
        list[str], Meta(min_length=1, description="Topics; one that begins with ^ is a pattern.")
    ]
    group: Annotated[str, Meta(min_length=1, description="The consumer group.")] = "lineal"
    batch: Annotated[int, Meta(ge=1, le=1000, description="Messages kept at once.")] = 500
    options: Annotated[
        dict[str, str | int | float | bool],
        Meta(description="Settings of librdkafka, such as `security.protocol`."),
    ] = field(default_factory=dict)
    secrets: Annotated[
        dict[str, Reference],
        Meta(description="Settings that are secret, such as `sasl.password`, by reference."),
    ] = field(default_factory=dict)


class Sqs(_Part, frozen=True):
    """A queue of SQS: of events as they are, or as SNS or EventBridge deliver them."""

    queue: Annotated[str, Meta(pattern="^https?://", description="The address of the queue.")]
    region: Annotated[str | None, Meta(description="Its region; AWS's own settings if not.")] = None
    endpoint: Annotated[
        str | None, Meta(description="Another address of the service, such as one inside a VPC.")
    ] = None
    wait: Annotated[
        int, Meta(ge=0, le=20, description="Seconds that a request waits for a message.")
    ] = 20
    access_key: Annotated[
        Reference | None,
        Meta(description="A reference to the key's id; AWS's own chain of credentials if not."),
    ] = None
    secret_key: Annotated[Reference | None, Meta(description="A reference to the key.")] = None

    def __post_init__(self) -> None:
        if (self.access_key is None) != (self.secret_key is None):
            raise ValueError("`access_key` and `secret_key` go together")


class Nats(_Part, frozen=True):
    """A stream of NATS JetStream, read through a durable pull consumer."""

    servers: Annotated[
        list[str], Meta(min_length=1, description="Addresses, `nats://…` or `tls://…`.")
    ]
    stream: Annotated[str, Meta(min_length=1, description="The stream.")]
    subject: Annotated[str, Meta(min_length=1, description="Which subjects of it.")] = ">"
    durable: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9_-]+$",
            description="The consumer's name; it is made if it is not there.",
        ),
    ] = "lineal"
    batch: Annotated[int, Meta(ge=2, le=1000, description="Messages kept at once.")] = 200
    ack_wait: Annotated[
        float,
        Meta(ge=1, description="Seconds until what was not acknowledged is delivered again."),
    ] = 30
    user: Annotated[str | None, Meta(description="The user.")] = None
    password: Annotated[Reference | None, Meta(description="A reference to the password.")] = None
    token: Annotated[Reference | None, Meta(description="A reference to a token.")] = None
    credentials: Annotated[str | None, Meta(description="The path of a .creds file.")] = None


class Door(_Part, frozen=True):
    """One door: what it listens to, and whose events come through it."""

    source: Annotated[
        str | None,
        Meta(
            description="Whose events they are. If not given, the envelope's `source` if it is one "
            "of ours, else the one source that understands the event."
        ),
    ] = None
    kafka: Annotated[Kafka | None, Meta(description="Topics of Kafka.")] = None
    sqs: Annotated[Sqs | None, Meta(description="A queue of SQS.")] = None
    nats: Annotated[Nats | None, Meta(description="A stream of NATS JetStream.")] = None

    def __post_init__(self) -> None:
        if sum(bus is not None for bus in (self.kafka, self.sqs, self.nats)) != 1:
            raise ValueError("Give exactly one of `kafka`, `sqs` and `nats`")


class DoorFile(_Part, frozen=True):
    """A file of doors."""

    doors: Annotated[dict[str, Door], Meta(min_length=1, description="The doors, by name.")]


PARTS: tuple[type[Struct], ...] = (DoorFile, Door, Kafka, Sqs, Nats)


def load(paths: Iterable[Path], variables: Mapping[str, str]) -> dict[str, Door]:
    """
    Return the doors that the files at *paths* declare, by name; *variables* fill ``${NAME}``.

    Raises:
        SourceSpecError: a file cannot be read or says what cannot be; with line and fix.
    """
    found: dict[str, Door] = {}
    for path in paths:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SourceSpecError(
                f"The file cannot be read: {error}.", file=fspath(path), fix="Check its path."
            ) from error
        file = written.read(text, fspath(path), variables)
        for name, door in decode(file, DoorFile, PARTS).doors.items():
            if name in found:
                raise file.error(
                    f"There are two doors {name!r}.", ("doors", name), fix="Rename one of them."
                )
            found[name] = door
    return found


def json_schema() -> dict[str, Json]:
    """Return the JSON Schema of files of doors, for editors."""
    schema: dict[str, Json] = msgspec.json.schema(DoorFile)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Doors of Lineal",
        **schema,
    }

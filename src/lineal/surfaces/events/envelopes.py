"""What a message says, whatever it came in: envelopes are taken off, and events are left.

Knows CloudEvents 1.0 (structured, binary and batch; https://cloudevents.io), the envelope that SNS
puts around what it delivers to a queue, and that of EventBridge. Everything else is a plain event:
a JSON object, or a list of them. Pure.

The CloudEvents SDK could read an envelope; it does not read batches, raises whatever its parts
raise, and turns times into values that drop what is finer than a microsecond. Tests hold what it
writes against what is read here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import unquote

import msgspec

from lineal.app.taking import Told, Unread
from lineal.errors import InvalidEvent
from lineal.model import Json
from lineal.sources.expressions import DEPTH, too_deep

CLOUDEVENT = "application/cloudevents+json"
CLOUDEVENT_BATCH = "application/cloudevents-batch+json"
#: What an event may have, in bytes; a longer one is no notice of a change.
LIMIT = 1_000_000
#: So much of a message that is too long is kept with the reason.
_KEPT = 10_000
#: What of an envelope is about the envelope, and says nothing of the event.
_OUTER = frozenset({"specversion", "datacontenttype", "dataschema", "data", "data_base64"})


@dataclass(frozen=True, slots=True)
class Message:
    """A message as a bus brought it; the names of *headers* are in lower case."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content_type(self) -> str:
        """The content type that the headers say, without its parameters."""
        return plain_type(self.headers.get("content-type", ""))


def plain_type(header: str) -> str:
    """
    Return a content type without its parameters.

    >>> plain_type("Application/CloudEvents+JSON; charset=utf-8")
    'application/cloudevents+json'
    """
    return header.partition(";")[0].strip().casefold()


def items(message: Message, source: str | None = None) -> list[Told | Unread]:
    """
    Return all that a message of a bus says; what cannot be read is told as such.

    Where *source* is given, every event is of it, whatever its envelope says. A message without a
    body says nothing, unless its headers are an event: Kafka writes such to let go of a key.
    """
    if not message.body and binary_attributes(message.headers) is None:
        return []
    try:
        if len(message.body) > LIMIT:
            raise InvalidEvent(f"The message has more than {LIMIT:,} bytes.")
        told = opened(message)
    except InvalidEvent as error:
        return [Unread(_shown(message), str(error))]
    if source is None:
        return list(told)
    return [Told(source, one.data, one.around) for one in told]


def opened(message: Message) -> list[Told]:
    """Return the events of a message; raises `InvalidEvent`."""
    mode = message.content_type
    if mode in (CLOUDEVENT, CLOUDEVENT_BATCH):
        value = decoded(message.body)
        if isinstance(value, list) != (mode == CLOUDEVENT_BATCH):
            form = "a list" if mode == CLOUDEVENT_BATCH else "an object"
            raise InvalidEvent(f"{mode} is {form}, and this is not.")
        return unwrapped(value if isinstance(value, list) else [value])
    attributes = binary_attributes(message.headers)
    if attributes is not None:
        return [_binary(message, attributes)]
    return recognised(decoded(message.body))


def decoded(body: bytes) -> Json:
    """Return the JSON of a body; raises `InvalidEvent`."""
    try:
        value = cast("Json", msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidEvent(f"This is not JSON: {error}.") from error
    except RecursionError as error:
        raise InvalidEvent("The JSON is nested too deeply.") from error
    if too_deep(value, DEPTH):
        raise InvalidEvent(f"The JSON is nested deeper than {DEPTH}.")
    return value


# ── CloudEvents ──────────────────────────────────────────────────────────────────────────────────


def unwrapped(found: Sequence[Json | Mapping[str, Json]]) -> list[Told]:
    """Return the events of CloudEvents; raises `InvalidEvent`."""
    return [_structured(one, place) for place, one in enumerate(found)]


def _structured(event: Json | Mapping[str, Json], place: int) -> Told:
    if not isinstance(event, Mapping):
        raise InvalidEvent(f"Event {place} is not an object.")
    if "data_base64" in event and "data" in event:
        raise InvalidEvent(f"Event {place} has both data and data_base64.")
    data = event.get("data")
    if "data_base64" in event:
        data = _unpacked(event["data_base64"], place)
    return _told(event, data, place)


def _told(attributes: Mapping[str, Json], data: Json, place: int) -> Told:
    missing = [
        name
        for name in ("specversion", "id", "source", "type")
        if not isinstance(attributes.get(name), str) or not attributes[name]
    ]
    if missing:
        raise InvalidEvent(
            f"Event {place} is no CloudEvent: it lacks {', '.join(missing)}.",
            fix="Send specversion, id, source and type, each a text.",
        )
    if attributes["specversion"] != "1.0":
        raise InvalidEvent(
            f"Event {place} is a CloudEvent of version {attributes['specversion']!r}.",
            fix="Send version 1.0.",
        )
    around = {name: value for name, value in attributes.items() if name not in _OUTER}
    if data is not None and not isinstance(data, dict):
        # What is no object has no fields of its own: it is one.
        around["data"] = data
    return Told(str(attributes["source"]), data if isinstance(data, dict) else {}, around)


def _unpacked(text: Json, place: int) -> Json:
    try:
        return decoded(base64.b64decode(text if isinstance(text, str) else "-", validate=True))
    except binascii.Error as error:
        raise InvalidEvent(f"Event {place}: its data_base64 is not base64.") from error


def binary_attributes(headers: Mapping[str, str]) -> dict[str, Json] | None:
    """
    Return the attributes of a CloudEvent in binary mode, None if the headers hold none.

    HTTP and NATS write ``ce-id``, percent-encoded; Kafka writes ``ce_id``, as it is.
    """
    for prefix in ("ce-", "ce_"):
        if f"{prefix}specversion" in headers:
            return {
                name.removeprefix(prefix): unquote(value) if prefix == "ce-" else value
                for name, value in headers.items()
                if name.startswith(prefix)
            }
    return None


def _binary(message: Message, attributes: Mapping[str, Json]) -> Told:
    if not message.body:
        return _told(attributes, None, 0)
    mode = message.content_type
    if mode and mode != "application/json" and not mode.endswith("+json"):
        raise InvalidEvent(f"The data is {mode}, not JSON.", fix="Send application/json.")
    return _told(attributes, decoded(message.body), 0)


# ── What says by its look what it is ─────────────────────────────────────────────────────────────


def recognised(value: Json | Mapping[str, Json], *, within: bool = False) -> list[Told]:
    """
    Return the events of a JSON value; an envelope is known by its look.

    *within* an envelope of SNS there is no other of SNS.

    Raises:
        InvalidEvent: it is no object and no list of them, or an envelope that lacks something.
    """
    if isinstance(value, list):
        return [told for one in value for told in recognised(one, within=True)]
    if not isinstance(value, Mapping):
        raise InvalidEvent("An event is a JSON object, or a list of them.")
    if not within and value.get("Type") == "Notification" and "TopicArn" in value:
        return _of_sns(value)
    if isinstance(value.get("detail"), dict) and isinstance(value.get("detail-type"), str):
        return [_of_event_bridge(value)]
    if isinstance(value.get("specversion"), str) and "type" in value and "id" in value:
        return unwrapped([value])
    return [Told(None, value)]


def _of_sns(value: Mapping[str, Json]) -> list[Told]:
    """What SNS delivers to a queue without raw delivery: the message is a text inside."""
    text = value.get("Message")
    if not isinstance(text, str):
        raise InvalidEvent("The envelope of SNS holds no Message.")
    attributes = value.get("MessageAttributes")
    headers = {
        name.lower(): str(one["Value"])
        for name, one in (attributes if isinstance(attributes, dict) else {}).items()
        if isinstance(one, dict) and "Value" in one
    }
    inner = Message(text.encode(), headers)
    if binary_attributes(headers) is not None or inner.content_type.startswith("application/cloud"):
        return opened(inner)
    return recognised(decoded(inner.body), within=True)


def _of_event_bridge(value: Mapping[str, Json]) -> Told:
    """What EventBridge delivers: the event is its detail, and detail-type says what it is."""
    detail, source = value["detail"], value.get("source")
    assert isinstance(detail, dict)
    around = {name: one for name, one in value.items() if name not in ("detail", "version")}
    return Told(source if isinstance(source, str) else None, detail, around)


def _shown(message: Message) -> dict[str, Json]:
    """Return a message that cannot be read, as JSON: whole, unless it is too long to be one."""
    body = message.body if len(message.body) <= LIMIT else message.body[:_KEPT]
    try:
        shown: dict[str, Json] = {"unread": body.decode()}
    except UnicodeDecodeError:
        shown = {"unread_base64": base64.b64encode(body).decode()}
    if len(body) < len(message.body):
        shown |= {"bytes": len(message.body), "sha256": hashlib.sha256(message.body).hexdigest()}
    if message.headers:
        shown["headers"] = dict(message.headers)
    return shown

"""Request bodies: read within limits, unpacked, and taken apart into events."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import cast

import msgspec
from starlette.requests import Request

from lineal.app.taking import Told, Unread
from lineal.errors import InvalidEvent
from lineal.model import Json
from lineal.surfaces.errors_http import Malformed, TooLarge, Unsupported
from lineal.surfaces.events.envelopes import (
    CLOUDEVENT,
    CLOUDEVENT_BATCH,
    Message,
    binary_attributes,
    opened,
    plain_type,
    recognised,
    unwrapped,
)

SINGLE_LIMIT = 1_000_000
BATCH_LIMIT = 5_000_000
BATCH_EVENTS = 1_000

_LIMITS = (
    f"One event may have {SINGLE_LIMIT:,} bytes; "
    f"a batch {BATCH_LIMIT:,} bytes and {BATCH_EVENTS:,} events."
)


@dataclass(frozen=True, slots=True)
class Body:
    """A body as it came, and what its headers say of it."""

    raw: bytes
    content_type: str
    encoding: str
    #: The headers of an event in binary mode, their names in lower case.
    headers: Mapping[str, str] = field(default_factory=dict)


async def read(request: Request) -> Body:
    """Read a body up to the limit of a batch; raises `TooLarge` before more is kept."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BATCH_LIMIT:
            raise TooLarge(f"The body has more than {BATCH_LIMIT:,} bytes.", fix=_LIMITS)
        chunks.append(chunk)
    content_type = request.headers.get("content-type", "application/json")
    return Body(
        b"".join(chunks),
        plain_type(content_type),
        request.headers.get("content-encoding", "").strip().casefold(),
        {
            name: value
            for name, value in request.headers.items()
            if name == "content-type" or name.startswith("ce-")
        },
    )


def unpacked(body: Body) -> bytes:
    """Return the bytes of a body, decompressed up to the limit of a batch."""
    if body.encoding in ("", "identity"):
        return body.raw
    if body.encoding != "gzip":
        raise Unsupported(f"The encoding {body.encoding!r} is not read.", fix="Send gzip or none.")
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        raw = unpacker.decompress(body.raw, BATCH_LIMIT + 1)
    except zlib.error as error:
        raise Malformed("The body is not gzip, though its headers say so.") from error
    if len(raw) > BATCH_LIMIT:
        raise TooLarge(f"Unpacked, the body has more than {BATCH_LIMIT:,} bytes.", fix=_LIMITS)
    if not unpacker.eof:
        raise Malformed("The gzip body ends too early.")
    return raw


def parsed(body: Body) -> Json:
    """Return the JSON of a body; a single object has the smaller limit."""
    raw = unpacked(body)
    try:
        value = cast("Json", msgspec.json.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"The body is not JSON: {error}.") from error
    except RecursionError as error:
        raise Malformed("The JSON is nested too deeply.") from error
    if not isinstance(value, list) and len(raw) > SINGLE_LIMIT:
        raise TooLarge(f"The event has more than {SINGLE_LIMIT:,} bytes.", fix=_LIMITS)
    if isinstance(value, list) and len(value) > BATCH_EVENTS:
        raise TooLarge(f"The batch has {len(value):,} events.", fix=_LIMITS)
    return value


def objects(value: Json, *, one: bool = False) -> list[Mapping[str, Json]]:
    """
    Return one event or a list of them as a list; with *one* a list is refused.

    Raises:
        InvalidEvent: it is anything else.
    """
    if one and isinstance(value, list):
        raise InvalidEvent("This is a list.", fix=f"Send it as {CLOUDEVENT_BATCH}.")
    items = value if isinstance(value, list) else [value]
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            place = f"Event {index}" if isinstance(value, list) else "The event"
            raise InvalidEvent(f"{place} is not an object.")
    return cast("list[Mapping[str, Json]]", items)


def events(body: Body, known: Collection[str], source: str | None) -> tuple[str | None, list[Told]]:
    """
    Return the events of a body and the source they are of.

    A CloudEvents envelope (structured, batch, or binary in the headers) is taken off; where
    *source* is not given, the envelope's counts if it is one of the *known* sources.

    Raises:
        InvalidEvent: an event makes no sense, or they are of several sources.
    """
    found = _told(body)
    if source is not None:
        return source, found
    sources = {told.source if told.source in known else None for told in found}
    if len(sources) > 1:
        raise InvalidEvent(
            "The events of one request are of one source.", fix="Send a batch for each source."
        )
    return next(iter(sources), None), found


def batch(body: Body) -> list[Told | Unread] | None:
    """
    Return the events of a CloudEvents batch, each by itself; None where the body is none.

    Raises:
        InvalidEvent: the body is no list.
    """
    if body.content_type != CLOUDEVENT_BATCH:
        return None
    value = parsed(body)
    if not isinstance(value, list):
        raise InvalidEvent(f"{CLOUDEVENT_BATCH} is a list, and this is not.")
    found: list[Told | Unread] = []
    for item in value:
        try:
            found += unwrapped([item])
        except InvalidEvent as error:
            found.append(Unread({}, str(error).replace("Event 0 ", "It ", 1)))
    return found


def _told(body: Body) -> list[Told]:
    if body.content_type == CLOUDEVENT:
        return unwrapped(objects(parsed(body), one=True))
    if body.content_type == CLOUDEVENT_BATCH:
        return unwrapped(objects(parsed(body)))
    if binary_attributes(body.headers) is None:
        return [told for event in objects(parsed(body)) for told in recognised(event)]
    raw = unpacked(body)
    if len(raw) > SINGLE_LIMIT:
        raise TooLarge(f"The event has more than {SINGLE_LIMIT:,} bytes.", fix=_LIMITS)
    return opened(Message(raw, body.headers))

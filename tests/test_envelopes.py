"""Envelopes: what CloudEvents, SNS and EventBridge put around an event is taken off."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cloudevents.core.bindings import http, kafka
from cloudevents.core.v1.event import CloudEvent

from lineal.app.taking import Told, Unread
from lineal.errors import InvalidEvent
from lineal.surfaces.events.envelopes import (
    CLOUDEVENT,
    CLOUDEVENT_BATCH,
    LIMIT,
    Message,
    items,
    opened,
)

ATTRIBUTES = {
    "id": "7",
    "source": "registry",
    "type": "com.example.model.changed",
    "subject": "ranking v5 ü",
    "partitionkey": "m1",
}


def without_time(told: Told) -> Told:
    """The SDK stamps what it writes."""
    around = {name: one for name, one in told.around.items() if name != "time"}
    return Told(told.source, told.data, around)


@pytest.mark.parametrize(
    ("write", "data"),
    [
        (http.to_structured_event, {"model_id": "m1"}),
        (http.to_structured_event, ["a", "b"]),
        (http.to_structured_event, "text"),
        (http.to_structured_event, None),
        (http.to_binary_event, {"model_id": "m1"}),
        (http.to_binary_event, None),
    ],
)
def test_what_the_sdk_writes_for_http_is_read(write, data):
    """What is no object has no fields to stand beside those of the envelope: it is one."""
    attributes = {**ATTRIBUTES, "datacontenttype": "application/json"}
    written = write(CloudEvent(attributes=attributes, data=data))
    headers = {name.lower(): value for name, value in written.headers.items()}

    (told,) = opened(Message(written.body, headers))

    whole = {"data": data} if isinstance(data, list | str) else {}
    fields = data if isinstance(data, dict) else {}
    assert without_time(told) == Told("registry", fields, {**ATTRIBUTES, **whole})


@pytest.mark.parametrize("write", [kafka.to_structured_event, kafka.to_binary_event])
def test_what_the_sdk_writes_for_kafka_is_read(write):
    event = CloudEvent(
        attributes={**ATTRIBUTES, "datacontenttype": "application/json"}, data={"model_id": "m1"}
    )
    written = write(event)
    headers = {name.lower(): value.decode() for name, value in written.headers.items()}

    (told,) = opened(Message(written.value, headers))

    told = without_time(told)
    assert (told.source, told.data) == ("registry", {"model_id": "m1"})
    assert {name: told.around[name] for name in ("id", "type")} == {
        "id": "7",
        "type": "com.example.model.changed",
    }


def test_a_batch_holds_events_of_several_sources():
    batch = [
        {"specversion": "1.0", "id": "1", "source": "a", "type": "x", "data": {"n": 1}},
        {"specversion": "1.0", "id": "2", "source": "b", "type": "x"},
    ]
    told = opened(Message(json.dumps(batch).encode(), {"content-type": CLOUDEVENT_BATCH}))

    assert [(one.source, one.body) for one in told] == [
        ("a", {"n": 1, "id": "1", "source": "a", "type": "x"}),
        ("b", {"id": "2", "source": "b", "type": "x"}),
    ]


def test_the_fields_of_the_data_count_before_those_of_the_envelope():
    event = {
        "specversion": "1.0", "id": "1", "source": "a", "type": "outer", "data": {"type": "inner"},
    }  # fmt: skip
    (told,) = opened(Message(json.dumps(event).encode(), {"content-type": CLOUDEVENT}))

    assert told.body["type"] == "inner"


def test_packed_data_is_unpacked():
    packed = base64.b64encode(b'{"n": 1}').decode()
    event = {"specversion": "1.0", "id": "1", "source": "a", "type": "x", "data_base64": packed}
    (told,) = opened(Message(json.dumps(event).encode(), {"content-type": CLOUDEVENT}))

    assert told.data == {"n": 1}


def sns(text: str, **more: Any) -> bytes:
    return json.dumps(
        {
            "Type": "Notification",
            "MessageId": "m",
            "TopicArn": "arn:aws:sns:eu-west-1:123456789012:ml",
            "Message": text,
            **more,
        }
    ).encode()


def test_sns_wraps_a_plain_event_a_list_or_a_cloud_event():
    cloud = {"specversion": "1.0", "id": "1", "source": "a", "type": "x", "data": {"n": 2}}

    assert opened(Message(sns('{"n": 1}'))) == [Told(None, {"n": 1})]
    assert opened(Message(sns('[{"n": 1}, {"n": 2}]'))) == [
        Told(None, {"n": 1}),
        Told(None, {"n": 2}),
    ]
    assert opened(Message(sns(json.dumps(cloud))))[0].data == {"n": 2}


def test_an_envelope_of_sns_inside_another_is_an_event_like_any_other():
    """Only the outermost is taken off: what a sender writes is never opened twice."""
    inner = json.loads(sns("{}"))

    assert opened(Message(sns(json.dumps(inner)))) == [Told(None, inner)]


def test_event_bridge_says_beside_the_detail_what_it_is():
    event = {
        "version": "0",
        "id": "e1",
        "detail-type": "SageMaker Model Package State Change",
        "source": "aws.sagemaker",
        "resources": ["arn:aws:sagemaker:eu-west-1:1:model-package/ranker/3"],
        "detail": {"ModelPackageName": "ranker/3"},
    }
    (direct,) = opened(Message(json.dumps(event).encode()))
    (through_sns,) = opened(Message(sns(json.dumps(event))))

    assert direct == through_sns
    assert direct.source == "aws.sagemaker"
    assert direct.body["detail-type"] == "SageMaker Model Package State Change"
    assert direct.body["ModelPackageName"] == "ranker/3"


BAD = [
    (b"{", {}),
    (b" ", {}),
    (b"7", {}),
    (b"[7]", {}),
    (b"\xff\xfe", {}),
    (b"[" * 5_000 + b"]" * 5_000, {}),
    (b'{"a":' * 100 + b"1" + b"}" * 100, {}),
    (b'"\\ud800"', {}),
    (b"{}", {"content-type": CLOUDEVENT}),
    (b"[]", {"content-type": CLOUDEVENT}),
    (b"{}", {"content-type": CLOUDEVENT_BATCH}),
    (b"[7]", {"content-type": CLOUDEVENT_BATCH}),
    (b"{}", {"ce-specversion": "1.0", "ce-id": "1"}),
    (b"{}", {"ce-specversion": "0.3", "ce-id": "1", "ce-source": "a", "ce-type": "x"}),
    (
        b"<a/>",
        {
            "ce-specversion": "1.0", "ce-id": "1", "ce-source": "a", "ce-type": "x",
            "content-type": "application/xml",
        },
    ),
    (sns("no json"), {}),
    (sns("{}").replace(b'"Message"', b'"NoMessage"'), {}),
    (b'{"specversion": "1.0", "id": "1", "type": "x"}', {}),
    (
        b'{"specversion": "1.0", "id": "1", "type": "x", "source": "a", "data": {},'
        b' "data_base64": ""}',
        {},
    ),
    (b'{"specversion": "1.0", "id": "1", "type": "x", "source": "a", "data_base64": "?"}', {}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "headers"), BAD, ids=range(len(BAD)))
def test_what_cannot_be_read_is_told_with_the_reason_and_whole(body, headers):
    message = Message(body, headers)
    with pytest.raises(InvalidEvent):
        opened(message)
    (unread,) = items(message)

    assert isinstance(unread, Unread)
    assert unread.reason
    kept = unread.body.get("unread")
    packed = unread.body.get("unread_base64", "")
    assert isinstance(packed, str)
    assert (kept.encode() if isinstance(kept, str) else base64.b64decode(packed)) == body


@pytest.mark.parametrize("headers", [{}, {"content-type": CLOUDEVENT}, {"trace": "7"}])
def test_a_message_without_a_body_says_nothing(headers):
    """A tombstone of Kafka. Of who sends it over HTTP something is expected."""
    assert items(Message(b"", headers)) == items(Message(b"", headers), "registry") == []
    with pytest.raises(InvalidEvent):
        opened(Message(b"", headers))


def test_of_a_message_that_is_too_long_the_beginning_and_a_hash_are_kept():
    (unread,) = items(Message(b" " * (LIMIT + 1)))

    assert isinstance(unread, Unread)
    assert unread.body["bytes"] == LIMIT + 1
    assert len(json.dumps(dict(unread.body))) < 20_000


def test_a_door_of_one_source_believes_no_envelope():
    event = {"specversion": "1.0", "id": "1", "source": "other", "type": "x", "data": {"n": 1}}
    (told,) = items(Message(json.dumps(event).encode()), "registry")

    assert isinstance(told, Told)
    assert told.source == "registry"

"""A source over HTTP, given its own answers spoilt: what is wrong must never pass for the truth."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

import httpx2
import msgspec

from lineal.app.conformance.checks import Findings
from lineal.app.conformance.looking import Heard, worded
from lineal.errors import LinealError, SourceDown, SourceGarbled, SourceGone
from lineal.model import Instant, Json
from lineal.sources import Key
from lineal.sources.guard import GuardedTransport
from lineal.sources.http import HttpSource, now
from lineal.sources.plan import EventPlan, SourcePlan

#: So many documents of each sort are spoilt.
_EACH = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer over HTTP, unpacked."""

    status: int
    content_type: str
    body: bytes

    def response(self) -> httpx2.Response:
        """Return it as the client sees it."""
        return httpx2.Response(
            self.status, headers={"content-type": self.content_type}, content=self.body
        )


Spoil: TypeAlias = Callable[[Answer], Answer]


class _Recording(httpx2.BaseTransport):
    """Asks the source, and remembers the last whole answer at each address."""

    def __init__(self, inner: httpx2.BaseTransport) -> None:
        self._inner, self.answers = inner, dict[str, Answer]()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        response = self._inner.handle_request(request)
        if response.status_code != 200:
            return response
        response.read()
        self.answers[str(request.url)] = Answer(
            200, response.headers.get("content-type", ""), response.content
        )
        return response

    def close(self) -> None:
        self._inner.close()


class _Replaying(httpx2.BaseTransport):
    """Answers from memory, spoilt."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self._answers = answers
        self.spoil: Spoil = lambda answer: answer

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.spoil(self._answers[str(request.url)]).response()


class Recorder:
    """A declared source over HTTP that remembers what it was answered."""

    def __init__(
        self,
        plan: SourcePlan,
        *,
        secret: Callable[[str], str],
        clock: Callable[[], Instant] = now,
    ) -> None:
        self.plan = plan
        spec = plan.written
        guarded = GuardedTransport(
            allow_private=spec.allow_private, connections=spec.limits.concurrency
        )
        self._recording = _Recording(guarded)
        self.source = HttpSource(plan, secret=secret, clock=clock, transport=self._recording)
        self._replaying = _Replaying(self._recording.answers)
        # Answers from memory need no pace.
        unpaced = msgspec.structs.replace(
            spec, limits=msgspec.structs.replace(spec.limits, requests_per_second=1e6)
        )
        self._again = HttpSource(
            replace(plan, written=unpaced), secret=secret, clock=clock, transport=self._replaying
        )

    def again(self, key: Key, spoil: Spoil) -> str:
        """
        Ask for a document of which the answer is spoilt; return what became of it in a word.

        ``other`` is a record of it; ``wrong`` is a record that is not of it.
        """
        self._replaying.spoil = spoil
        try:
            record = self._again.fetch(key).record
        except SourceGone:
            return "gone"
        except SourceDown:
            return "down"
        except SourceGarbled:
            return "garbled"
        except LinealError as error:
            return f"{error.code}: {error.message}"
        except Exception as error:  # whatever it raises is what is to be told
            return worded(error)
        if record is None or record.document != key.document:
            return "wrong"
        return "other"

    def answer_for(self, key: Key) -> Answer | None:
        """Return the last whole answer about a document."""
        found: list[Answer] = []

        def look(answer: Answer) -> Answer:
            found.append(answer)
            return answer

        self.again(key, look)
        return found[0] if found else None

    def close(self) -> None:
        """Close all connections."""
        self.source.close()
        self._again.close()


# ── Spoiling ─────────────────────────────────────────────────────────────────────────────────────


def _status(status: int) -> Spoil:
    return lambda answer: replace(answer, status=status, body=b'{"error": "lineal"}')


def _page(status: int) -> Spoil:
    return lambda answer: Answer(status, "text/html", b"<html><body>Not Found</body></html>")


def _body(body: bytes) -> Spoil:
    return lambda answer: replace(answer, body=body)


def _instead(other: Answer) -> Spoil:
    return lambda answer: other


#: What means: not now.
_DOWN: dict[str, Spoil] = {
    f"status {code}": _status(code) for code in (401, 403, 408, 429, 500, 502, 503, 504)
}
#: What is no answer at all.
_NONE: dict[str, Spoil] = {
    "a redirect": _status(302),
    "a page of HTML": _page(200),
    "a 404 of a load balancer": _page(404),
    "nothing": _body(b""),
    "half of it": lambda answer: replace(answer, body=answer.body[: len(answer.body) // 2]),
    "null": _body(b"null"),
    "a number": _body(b"7"),
    "a text": _body(b'"text"'),
    "an empty list": _body(b"[]"),
    "an empty object": _body(b"{}"),
    "bytes that are no text": _body(b'{"a": "\xff"}'),
    "too deep": _body(b'{"a":' * 200 + b"1" + b"}" * 200),
}


def spoil(recorder: Recorder, heard: Heard, findings: Findings) -> None:
    """Give a source its own answers, spoilt in every way."""
    chosen = list(_some(heard.records))
    if not chosen:
        findings.skipped("believes no error", "Nothing was fetched that could be spoilt.")
        return
    faults = [
        f"{key.document}: {name} is {became}"
        for key in chosen
        for spoils, allowed in ((_DOWN, {"down"}), (_NONE, {"down", "garbled"}))
        for name, by in spoils.items()
        if (became := recorder.again(key, by)) not in allowed
    ]
    findings.judge(
        "believes no error",
        faults,
        f"{len(chosen)} answers, each spoilt in {len(_DOWN) + len(_NONE)} ways, ended nothing.",
    )
    _gone(recorder, chosen[0], findings)
    _another(recorder, heard, chosen, findings)
    _fields(recorder, chosen, findings)


def _some(keys: Iterable[Key]) -> Iterator[Key]:
    count: dict[str, int] = {}
    for key in keys:
        count[key.resource] = count.get(key.resource, 0) + 1
        if count[key.resource] <= _EACH:
            yield key


def _gone(recorder: Recorder, key: Key, findings: Findings) -> None:
    if recorder.again(key, _status(404)) == "gone":
        findings.noted(
            "knows its own 404",
            "Any 404 of its content type is believed.",
            "Say in `gone.when` what a real one says, so that a proxy's is not taken for it.",
        )
    else:
        findings.kept("knows its own 404", "A 404 that says something else is not believed.")


def _another(recorder: Recorder, heard: Heard, chosen: list[Key], findings: Findings) -> None:
    """Answer with the document of another key: a cache or a proxy may mix them up."""
    taken = []
    for key in chosen:
        other = next((k for k in heard.records if k.resource == key.resource and k != key), None)
        if other is None:
            continue
        answer = recorder.answer_for(other)
        if answer is not None and recorder.again(key, _instead(answer)) == "other":
            taken.append(key.resource)
    if taken:
        findings.noted(
            "knows its document",
            f"Another document is taken for the one asked for: {', '.join(sorted(set(taken)))}.",
            "Let `fetch.verify` be true where the document names its own key.",
        )
    else:
        findings.kept("knows its document", "Another document is not taken for the one asked for.")


def _fields(recorder: Recorder, chosen: list[Key], findings: Findings) -> None:
    """Spoil each field: the document is garbled then, or says less; nothing else may happen."""
    faults, count = [], 0
    for key in chosen:
        answer = recorder.answer_for(key)
        if answer is None:
            continue
        for name, changed in _changed(recorder.plan, key, answer):
            count += 1
            became = recorder.again(key, _body(changed))
            if became not in ("other", "garbled"):
                faults.append(f"{key.document}: with {name} it is {became}")
    findings.judge(
        "survives garbled fields",
        faults,
        f"{count} documents, each with one field spoilt, said less or were refused whole.",
    )


def _changed(plan: SourcePlan, key: Key, answer: Answer) -> Iterator[tuple[str, bytes]]:
    document = json.loads(answer.body)
    fetch = plan.resources[key.resource].fetch
    inner = document
    if fetch is not None and isinstance(document, dict) and fetch.item.text in document:
        inner = document[fetch.item.text]
    if not isinstance(inner, dict):
        return
    for name, value in list(inner.items()):
        for word, spoilt in (
            ("null", None), ("a number", 7), ("a blank", " "), ("control characters", "\x00\n"),
            ("a list of lists", [[[]], None, {}]), ("an object", {"lineal": {"a": []}}),
        ):  # fmt: skip
            inner[name] = spoilt
            yield f"{name} as {word}", json.dumps(document).encode()
        del inner[name]
        yield f"no {name}", json.dumps(document).encode()
        inner[name] = value


# ── Events ───────────────────────────────────────────────────────────────────────────────────────


def invented(plan: SourcePlan, heard: Heard) -> list[dict[str, Json]]:
    """Return events as the rules of a source file say that they look, where that can be told."""
    by_resource: dict[str, Key] = {}
    for key in heard.fetched:
        by_resource.setdefault(key.resource, key)
    found: list[dict[str, Json]] = []
    for rule in plan.events:
        if rule.resource in by_resource:
            event = _event(plan, rule, by_resource[rule.resource])
            found += [] if event is None else [event]
    return found


def _event(plan: SourcePlan, rule: EventPlan, key: Key) -> dict[str, Json] | None:
    if rule.when is not None or rule.each is not None or rule.deleted is True:
        return None
    event: dict[str, Json] = {name: values[0] for name, values in rule.match.items() if values}
    parts = plan.resources[key.resource].key.parts(key.id)
    for name, path in zip(rule.key.names, rule.key.paths, strict=True):
        if not path.text.isidentifier() or path.text in event:
            return None
        event[path.text] = parts[name]
    return event

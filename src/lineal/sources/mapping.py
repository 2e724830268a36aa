"""A source's document brought to our words: a pure function of the document and its plan.

What is missing states nothing. What is there and cannot be is `SourceGarbled`, with the name of
the document and of the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias, cast

from lineal import normalise
from lineal.errors import Invalid, SourceGarbled
from lineal.model import EdgeStatement, Instant, Json, Record, Response, Statement, Uri, iso
from lineal.normalise import Platforms
from lineal.sources import Key
from lineal.sources.expressions import Expression, truth
from lineal.sources.plan import (
    EdgePlan,
    KeyPlan,
    PartPlan,
    ResourcePlan,
    SourcePlan,
    TargetPlan,
    ValuePlan,
)
from lineal.sources.rewriting import with_rewrites

_EdgeName: TypeAlias = tuple[Uri, str, Uri]


def record(
    source: SourcePlan,
    key: Key,
    document: Json,
    *,
    observed_at: Instant,
    response: Response | None = None,
    raw: Mapping[str, Json] | None = None,
) -> Record:
    """
    Return what *document* says, under the name that *key* gives it.

    The same document always gives the same record; *raw* is what of it is kept. That it names the
    same key is the caller's to check, with `key_in`.

    Raises:
        SourceGarbled: the document is not what the source's file says it is.
    """
    resource = source.resources[key.resource]
    try:
        subject = source.subject(key)
        reading = _Reading(source, resource, document, subject)
        reading.read()
        said_at = _instant(resource.said_at, document, document, "said_at")
    except Invalid as error:
        raise SourceGarbled(
            f"{source.name}: the document {key.document} is not as expected: {error.message}",
            fix=f"Compare it with {source.file}.",
        ) from error
    found = Record(
        source=source.name,
        document=key.document,
        subject=subject,
        statements=tuple(reading.statements.values()),
        edges=tuple(reading.edges.values()),
        observed_at=observed_at,
        said_at=said_at,
        response=response,
        raw=raw,
    )
    return with_rewrites(found, source.platforms)


def key_in(source: SourcePlan, resource: str, key: KeyPlan, item: Json, root: Json) -> Key:
    """
    Return the key that *item* names.

    Raises:
        Invalid: a part of it is missing, or no text and no number.
    """
    parts = []
    for name, path in zip(key.names, key.paths, strict=True):
        part = word(path(item, root), path.text)
        if part is None:
            raise Invalid(f"The part {name!r} of its key is missing at {path.text!r}.")
        parts.append(part)
    found = Key(resource, key.text(parts))
    source.subject(found)
    return found


def word(value: Json, path: str) -> str | None:
    """Return an id as text, None if there is none; raises `Invalid` for anything else."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    raise Invalid(f"{path!r} gives {_shown(value)}, not a text or whole number.")


def rank(path: Expression | None, item: Json, root: Json) -> int | None:
    """
    Return how new a document is by its own word: a whole number, or a time in microseconds.

    Raises:
        Invalid: it is neither.
    """
    value = None if path is None else path(item, root)
    if path is None or value is None:
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 62:
        return value
    return _instant(path, item, root, "version")


def _shown(value: Json) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


# ── One document ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Reading:
    """One document being read; *statements* and *edges* fill up."""

    source: SourcePlan
    resource: ResourcePlan
    root: Json
    subject: Uri
    statements: dict[Uri, Statement] = field(default_factory=dict)
    edges: dict[_EdgeName, EdgeStatement] = field(default_factory=dict)

    def read(self) -> None:
        resource, root = self.resource, self.root
        self._state(self.subject, resource.map, root, resource.valid_from)
        for edge in resource.edges:
            self._edge(edge, self.subject, root)
        for part in resource.parts:
            self._part(part)

    def _part(self, part: PartPlan) -> None:
        for item in self._items(part.each, part.when, self.root, "parts"):
            uri = self._target(part.thing, self.subject, item)
            if uri is None:
                raise Invalid(
                    f"A {part.thing.type} has no id at "
                    f"{', '.join(repr(path.text) for path in part.thing.paths)}."
                )
            self._state(uri, part.map, item, part.valid_from)
            for edge in part.edges:
                self._edge(edge, uri, item)

    def _state(
        self, uri: Uri, plans: Sequence[ValuePlan], item: Json, since: Expression | None
    ) -> None:
        found = values(plans, item, self.root)
        if self.source.written.environment:
            found.setdefault("environment", self.source.written.environment)
        before = self.statements.get(uri)
        if before is not None:
            found = {**found, **before.attributes}
        self.statements[uri] = Statement(uri, found, _instant(since, item, self.root, "valid_from"))

    def _edge(self, plan: EdgePlan, here: Uri, around: Json) -> None:
        items: Iterable[Json] = (around,)
        if plan.each is not None or plan.when is not None:
            items = self._items(plan.each, plan.when, around, plan.kind)
        for item in items:
            start = self._target(plan.start, here, item)
            end = self._target(plan.end, here, item)
            if start is None or end is None:
                if plan.required:
                    raise Invalid(f"An end of {plan.kind!r} is missing.")
                continue
            self._add(
                EdgeStatement(
                    start,
                    plan.kind,
                    end,
                    values(plan.attributes, item, self.root) if plan.attributes else {},
                    plan.layer,
                    _instant(plan.valid_from, item, self.root, "valid_from"),
                    _instant(plan.valid_to, item, self.root, "valid_to"),
                )
            )

    def _add(self, edge: EdgeStatement) -> None:
        name = (edge.start, edge.kind, edge.end)
        before = self.edges.get(name)
        if before is not None:
            edge = before._replace(attributes=_joined(before.attributes, edge.attributes))
        self.edges[name] = edge

    def _items(
        self, each: Expression | None, when: Expression | None, around: Json, what: str
    ) -> Iterator[Json]:
        items: Json = [around] if each is None else each(around, self.root)
        if items is None:
            return
        if not isinstance(items, list):
            assert each is not None
            raise Invalid(f"{each.text!r} ({what}) gives {_shown(items)}, not a list.")
        for item in items:
            if when is None or truth(when(item, self.root)):
                yield item

    def _target(self, plan: TargetPlan, here: Uri, item: Json) -> Uri | None:
        if plan.form == "here":
            return here
        if plan.form == "subject":
            return self.subject
        words = []
        for path in plan.paths:
            value = path(item, self.root)
            found = value if type(value) is str and value.strip() else word(value, path.text)
            if found is None:
                return None
            words.append(found)
        if plan.form == "model":
            return self._model(plan, words[0], item)
        return _FORMS[plan.form](plan, words, self)

    def _model(self, plan: TargetPlan, reference: str, item: Json) -> Uri:
        found = None if plan.scope is None else word(plan.scope(item, self.root), plan.scope.text)
        return normalise.model(
            reference, registry=plan.platform, scope=found, platforms=self.source.platforms
        ).uri


def _joined(first: Mapping[str, Json], second: Mapping[str, Json]) -> dict[str, Json]:
    """Return two words on one edge as one: values that differ stand side by side in a list."""
    joined = dict(first)
    for name, value in second.items():
        if name not in joined:
            joined[name] = value
        elif joined[name] != value:
            before = joined[name]
            listed: list[Json] = before if isinstance(before, list) else [before]
            joined[name] = listed if value in listed else [*listed, value]
    return joined


# ── Things that are referred to ──────────────────────────────────────────────────────────────────


@lru_cache(maxsize=100_000)
def _uri(kind: str, platform: str, *segments: str) -> Uri:
    return Uri.of(kind, platform, *segments)


@lru_cache(maxsize=20_000)
def _owner(text: str, directory: str) -> Uri | None:
    return normalise.owner(text, directory=directory)


def _data_set(words: Sequence[str], platforms: Platforms) -> Uri:
    return normalise.data_set(words[0], words[1], platforms)


_FORMS: dict[str, Callable[[TargetPlan, list[str], _Reading], Uri | None]] = {
    "type": lambda plan, words, reading: _uri(plan.type, plan.platform, *words),
    "part": lambda plan, words, reading: reading.subject.part(plan.type, *words),
    "email": lambda plan, words, reading: normalise.email(words[0]),
    "owner": lambda plan, words, reading: _owner(words[0], plan.platform),
    "location": lambda plan, words, reading: normalise.location(words[0], reading.source.platforms),
    "dataset": lambda plan, words, reading: _data_set(words, reading.source.platforms),
    "code": lambda plan, words, reading: normalise.code(*words),
    "uri": lambda plan, words, reading: Uri(words[0]),
}


# ── Attributes ───────────────────────────────────────────────────────────────────────────────────


def values(plans: Sequence[ValuePlan], item: Json, root: Json) -> dict[str, Json]:
    """Return the attributes that *plans* find; what is missing is left out."""
    found: dict[str, Json] = {}
    for plan in plans:
        value = plan.path(item, root)
        if value is not None and (plan.values or plan.as_ != "json"):
            value = _converted(plan, value)
        if value is None:
            if plan.required:
                raise Invalid(f"{plan.name!r} is missing: nothing at {plan.path.text!r}.")
            value = cast("Json", plan.default)
        if value is not None:
            found[plan.name] = value
    return found


def _converted(plan: ValuePlan, value: Json) -> Json:
    known = str(value).lower() if isinstance(value, bool) else str(value)
    if plan.values and not isinstance(value, list | dict) and known in plan.values:
        return plan.values[known]
    try:
        return _AS[plan.as_](value)
    except Invalid as error:
        raise Invalid(f"{plan.name!r} at {plan.path.text!r}: {error.message}") from error


def _text(value: Json) -> Json:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise Invalid(f"{_shown(value)} is not a text.")


def _number(value: Json) -> Json:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        return float(value) if isinstance(value, str) and "." in value else int(str(value))
    except ValueError:
        raise Invalid(f"{_shown(value)} is not a number.") from None


def _boolean(value: Json) -> Json:
    if isinstance(value, bool):
        return value
    raise Invalid(f"{_shown(value)} is neither true nor false.")


def _time(value: Json) -> Json:
    instant = normalise.time(value)
    try:
        return None if instant is None else iso(instant)
    except (ValueError, OverflowError, OSError):
        raise Invalid(f"{_shown(value)} is out of the range of times.") from None


def _status(value: Json) -> Json:
    return str(_text(value)).strip().lower().replace(" ", "-") or None


def _list(value: Json) -> Json:
    return [entry for entry in value if entry is not None] if isinstance(value, list) else [value]


def _tags(value: Json) -> Json:
    return list(normalise.tags(value)) or None


_AS: dict[str, Callable[[Json], Json]] = {
    "json": lambda value: value,
    "text": _text,
    "number": _number,
    "boolean": _boolean,
    "time": _time,
    "status": _status,
    "list": _list,
    "tags": _tags,
}


def _instant(path: Expression | None, item: Json, root: Json, what: str) -> Instant | None:
    if path is None:
        return None
    try:
        return normalise.time(path(item, root))
    except Invalid as error:
        raise Invalid(f"{what} at {path.text!r}: {error.message}") from error


__all__ = ["key_in", "record", "values", "word"]

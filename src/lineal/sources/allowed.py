"""Which fields of a document are kept: those that its source's file maps, and no others. Pure.

A source may answer with more than anybody asked for, and some of it may be personal. What no
expression mentions is never stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from lineal.model import Json
from lineal.sources.expressions import parsed
from lineal.sources.said import CodeName, DatasetName, EdgeRule, PartRule, Target, Value
from lineal.sources.spec import FileRule, Resource

_Node: TypeAlias = "dict[str, object]"


class _All(Exception):
    """An expression takes the document as a whole."""


class Fields:
    """What is kept of the documents of a source's resources, and what nothing maps."""

    def __init__(self, resources: Mapping[str, Resource], files: Iterable[FileRule] = ()) -> None:
        """Look up every expression once."""
        self._allowed = {name: allowed(one) for name, one in resources.items()}
        self._known = {name: known(one) for name, one in resources.items()}
        for rule in files:
            self._known[rule.resource] |= known_by(rule)

    def kept(self, resource: str, document: Json) -> dict[str, Json] | None:
        """Return the fields that are mapped, None where one takes the document as a whole."""
        names = self._allowed[resource]
        if names is None or not isinstance(document, dict):
            return None
        return {name: value for name, value in document.items() if name in names}

    def unmapped(self, resource: str, document: Json) -> tuple[str, ...] | None:
        """Return which fields nothing maps, None where one takes the document as a whole."""
        names = self._allowed[resource]
        if names is None or not isinstance(document, dict):
            return None
        if document.keys() <= names:
            return ()
        return tuple(sorted(document.keys() - names - self._known[resource]))


def allowed(resource: Resource) -> frozenset[str] | None:
    """
    Return the top-level fields that a resource's expressions mention.

    None where one of them takes the document as a whole: then nothing tells them apart.
    """
    found: set[str] = set()
    try:
        for text, at_root in _expressions(resource):
            found |= _fields(parsed(text), at_root)
    except _All:
        return None
    return frozenset(found)


def known(resource: Resource) -> frozenset[str]:
    """Return the top-level fields that are known though nothing maps them."""
    found = set(resource.ignore)
    if resource.list_ is not None and resource.list_.version is not None:
        found |= fields_of(resource.list_.version) or frozenset()
    return frozenset(found)


def known_by(rule: FileRule) -> frozenset[str]:
    """Return the top-level fields that are there for a file's rule, though nothing maps them."""
    found = {name for name in (rule.name_as, rule.path_as) if name}
    if rule.when is not None:
        found |= fields_of(rule.when) or frozenset()
    return frozenset(found)


def fields_of(text: str, *, at_root: bool = True) -> frozenset[str] | None:
    """
    Return the top-level fields that an expression mentions, None where it takes all.

    >>> sorted(fields_of("concat(name, '@', a.b[0].c)")), fields_of("entries(@)")
    (['a', 'name'], None)
    >>> sorted(fields_of("before(@, $.separator)", at_root=False))
    ['separator']
    """
    try:
        return frozenset(_fields(parsed(text), at_root))
    except _All:
        return None


# ── Expressions ──────────────────────────────────────────────────────────────────────────────────


def _fields(node: object, at_root: bool) -> set[str]:
    """Return the fields of the document that are looked at where `@` is the document, or is not."""
    assert isinstance(node, dict)
    kind, children = node["type"], node.get("children", [])
    assert isinstance(children, list)
    if kind == "field":
        return {str(node["value"])} if at_root else set()
    if kind == "current" and at_root:
        raise _All
    if kind == "function_expression" and node["value"] == "root":
        raise _All
    if kind in ("subexpression", "pipe", "index_expression"):
        return _chain(children, at_root)
    if kind in ("projection", "value_projection", "filter_projection", "flatten"):
        return _chain(children, at_root)
    return {
        name for child in children if isinstance(child, dict) for name in _fields(child, at_root)
    }


def _chain(children: list[object], at_root: bool) -> set[str]:
    """Return the fields of a chain: only its first link may look at the document."""
    first, *rest = children
    assert isinstance(first, dict)
    if first["type"] == "function_expression" and first["value"] == "root":
        following = rest[0] if rest else None
        if isinstance(following, dict) and following["type"] == "field":
            return {str(following["value"])} | _among(rest[1:])
        raise _All
    if first["type"] in ("identity", "current") and at_root:
        raise _All
    return _fields(first, at_root) | _among(rest)


def _among(nodes: list[object]) -> set[str]:
    return {name for node in nodes if isinstance(node, dict) for name in _fields(node, False)}


# ── The file ─────────────────────────────────────────────────────────────────────────────────────


def _expressions(resource: Resource) -> Iterator[tuple[str, bool]]:
    """Yield every expression of a resource, and whether `@` is the document in it."""
    keys = [resource.key] if isinstance(resource.key, str) else list(resource.key.values())
    own = (resource.valid_from, resource.said_at, resource.version)
    for text in (*keys, *own):
        if text is not None:
            yield text, True
    yield from _values(resource.map, True)
    for edge in resource.edges:
        yield from _edge(edge, True)
    for part in resource.parts:
        yield from _part(part)


def _values(values: dict[str, str | Value], at_root: bool) -> Iterator[tuple[str, bool]]:
    for value in values.values():
        yield value if isinstance(value, str) else value.path, at_root


def _part(part: PartRule) -> Iterator[tuple[str, bool]]:
    here = part.each is None
    if part.each is not None:
        yield part.each, True
    yield from _target(part.as_, here)
    for text in (part.when, part.valid_from):
        if text is not None:
            yield text, here
    yield from _values(part.map, here)
    for edge in part.edges:
        yield from _edge(edge, here)


def _edge(edge: EdgeRule, at_root: bool) -> Iterator[tuple[str, bool]]:
    here = at_root and edge.each is None
    if edge.each is not None:
        yield edge.each, at_root
    for end in (edge.to, edge.from_):
        if isinstance(end, Target):
            yield from _target(end, here)
    for text in (edge.when, edge.valid_from, edge.valid_to):
        if text is not None:
            yield text, here
    yield from _values(edge.attributes, here)


def _target(target: Target, here: bool) -> Iterator[tuple[str, bool]]:
    ids = [target.id] if isinstance(target.id, str) else target.id or []
    plain = (target.email, target.owner, target.location, target.model, target.scope, target.uri)
    data_set = target.dataset
    names = (data_set.namespace, data_set.name) if isinstance(data_set, DatasetName) else ()
    code = target.code
    where = (code.repository, code.path) if isinstance(code, CodeName) else ()
    for text in (*ids, *plain, *names, *where):
        if text is not None:
            yield text, here

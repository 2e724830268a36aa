"""JMESPath as source files use it: with `$` for the whole document, and functions for texts.

An expression is compiled once. The plain ones, which are most, become closures; the rest runs in
JMESPath's own interpreter. Nothing that is missing ever turns into the text "null".
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias, cast

import jmespath
import msgspec
from jmespath import exceptions, functions, visitor

from lineal.errors import Invalid
from lineal.model import Json

if TYPE_CHECKING:
    from jmespath.functions import _Signature
    from jmespath.visitor import _TreeNode

_Node: TypeAlias = dict[str, "str | Json | list[_Node]"]
_Run: TypeAlias = Callable[[Json, Json], Json]

#: Regular expressions and the texts they are tried on are kept this short.
PATTERN_LIMIT = 200
TEXT_LIMIT = 4_096
#: A text in which all of a pattern is looked for may be longer: a query, say.
LONG_TEXT_LIMIT = 16_384
#: No JSON is believed that is nested deeper.
DEPTH = 64

_TEXT: _Signature = {"types": ["string", "null"]}
_STRING: _Signature = {"types": ["string"]}
_ANY: _Signature = {"types": []}
_NUMBER: _Signature = {"types": ["number", "null"]}


class _Functions(functions.Functions):
    """JMESPath's functions and ours. A function of a text gives null for null."""

    def __init__(self, root: Json = None) -> None:
        self._root = root

    @functions.signature()
    def _func_root(self) -> Json:
        return self._root

    @functions.signature(_ANY)
    def _func_to_string(self, value: Json) -> str | None:
        if value is None or isinstance(value, str):
            return value
        return msgspec.json.encode(value).decode()

    @functions.signature(_TEXT, _STRING)
    def _func_split(self, text: str | None, separator: str) -> list[str] | None:
        return None if text is None else text.split(separator) if separator else list(text)

    @functions.signature(_TEXT, _STRING)
    def _func_before(self, text: str | None, separator: str) -> str | None:
        head, found, _ = (text or "").partition(separator)
        return head if found else None

    @functions.signature(_TEXT, _STRING)
    def _func_after(self, text: str | None, separator: str) -> str | None:
        _, found, tail = (text or "").partition(separator)
        return tail if found else None

    @functions.signature(_TEXT, _STRING)
    def _func_before_last(self, text: str | None, separator: str) -> str | None:
        head, found, _ = (text or "").rpartition(separator)
        return head if found else None

    @functions.signature(_TEXT, _STRING)
    def _func_after_last(self, text: str | None, separator: str) -> str | None:
        _, found, tail = (text or "").rpartition(separator)
        return tail if found else None

    @functions.signature(_TEXT, _STRING)
    def _func_strip_prefix(self, text: str | None, prefix: str) -> str | None:
        return None if text is None else text.removeprefix(prefix)

    @functions.signature(_TEXT, _STRING)
    def _func_strip_suffix(self, text: str | None, suffix: str) -> str | None:
        return None if text is None else text.removesuffix(suffix)

    @functions.signature(_TEXT)
    def _func_trim(self, text: str | None) -> str | None:
        return None if text is None else text.strip()

    @functions.signature(_TEXT)
    def _func_lower(self, text: str | None) -> str | None:
        return None if text is None else text.lower()

    @functions.signature(_TEXT)
    def _func_upper(self, text: str | None) -> str | None:
        return None if text is None else text.upper()

    @functions.signature(_TEXT, _STRING, _STRING)
    def _func_replace(self, text: str | None, old: str, new: str) -> str | None:
        return None if text is None else text.replace(old, new)

    @functions.signature(_TEXT, _STRING)
    def _func_match(self, text: str | None, pattern: str) -> str | None:
        if text is None or len(text) > TEXT_LIMIT:
            return None
        found = _pattern(pattern).search(text)
        return found and cast("str | None", found.group(1 if found.re.groups else 0))

    @functions.signature(_TEXT, _STRING)
    def _func_match_all(self, text: str | None, pattern: str) -> list[str] | None:
        if text is None or len(text) > LONG_TEXT_LIMIT:
            return None
        compiled = _pattern(pattern)
        found = (one.group(1 if compiled.groups else 0) for one in compiled.finditer(text))
        return list(dict.fromkeys(one for one in found if one is not None))

    @functions.signature(_ANY, _ANY, _ANY)
    def _func_if(self, condition: Json, then: Json, other: Json) -> Json:
        return then if truth(condition) else other

    @functions.signature({"types": ["string", "number", "null"], "variadic": True})
    def _func_concat(self, *parts: str | float | None) -> str | None:
        if any(part is None for part in parts):
            return None
        return "".join(str(part) for part in parts)

    @functions.signature({"types": ["object", "null"]})
    def _func_entries(self, mapping: dict[str, Json] | None) -> Json:
        if mapping is None:
            return None
        return [{"key": key, "value": value} for key, value in mapping.items()]

    @functions.signature({"types": ["array", "null"]})
    def _func_from_entries(self, entries: list[Json] | None) -> Json:
        return None if entries is None else dict(map(_entry, entries))

    @functions.signature(_TEXT)
    def _func_from_json(self, text: str | None) -> Json:
        try:
            value: Json = msgspec.json.decode(text or "")
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            return None
        return None if too_deep(value, DEPTH) else value

    @functions.signature(_NUMBER, _NUMBER)
    def _func_divide(self, number: float | None, by: float | None) -> float | None:
        return None if number is None or not by else number / by

    @functions.signature(_NUMBER, _NUMBER)
    def _func_multiply(self, number: float | None, by: float | None) -> float | None:
        return None if number is None or by is None else number * by

    @functions.signature(_ANY)
    def _func_hash(self, value: Json) -> str | None:
        return None if value is None else digest(value)


#: The functions of an expression that has no document around it.
_PLAIN = _Functions()
_TABLE = cast("dict[str, _Node]", _Functions.FUNCTION_TABLE)


def digest(value: Json) -> str:
    """Return a hash of *value* that does not depend on the order of its keys."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def too_deep(value: Json, limit: int) -> bool:
    """Return whether *value* is nested deeper than *limit*."""
    layer: list[Json] = [value]
    for _ in range(limit):
        layer = [child for item in layer for child in _inside(item)]
        if not layer:
            return False
    return True


def _inside(item: Json) -> Iterator[Json]:
    if isinstance(item, dict):
        return (child for child in item.values() if isinstance(child, dict | list))
    if isinstance(item, list):
        return (child for child in item if isinstance(child, dict | list))
    return iter(())


def _entry(entry: Json) -> tuple[str, Json]:
    if not isinstance(entry, dict) or not isinstance(key := entry.get("key"), str):
        raise ValueError("an entry is no mapping with a text as its key")
    return key, entry.get("value")


def truth(value: Json) -> bool:
    """Return whether JMESPath holds *value* to be true."""
    return not (value is None or value is False or value in ("", [], {}))


class Expression:
    """
    A compiled expression: call it with a value and the whole document around it.

    >>> Expression("concat(name, '@', $.host)")({"name": "a"}, {"host": "b"})
    'a@b'

    Raises:
        Invalid: when made, the text is no expression; when called, it does not fit the value.
    """

    __slots__ = ("_run", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        node = parsed(text)
        _check(node)
        self._run = _compiled(node)

    def __reduce__(self) -> tuple[type[Expression], tuple[str]]:
        # For another process it is compiled there.
        return Expression, (self.text,)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __call__(self, value: Json, root: Json = None) -> Json:
        """Return what the expression finds in *value*; *root* is what `$` means."""
        try:
            return self._run(value, root)
        except exceptions.JMESPathTypeError as error:
            raise Invalid(
                f"{self.text!r}: {error.function_name}() does not take "
                f"{_kind(error.current_value)}, it takes {' or '.join(error.expected_types)}."
            ) from error
        except (exceptions.JMESPathError, ArithmeticError, TypeError, ValueError) as error:
            raise Invalid(f"{self.text!r} does not fit: {error}") from error


def _kind(value: Json) -> str:
    return f"{type(value).__name__} {str(value)[:40]!r}" if value is not None else "null"


def parsed(text: str) -> _Node:
    """Return the tree of an expression; raises `Invalid`."""
    try:
        return cast("_Node", jmespath.compile(_with_root(text) or "@").parsed)
    except (exceptions.JMESPathError, RecursionError) as error:
        reason = str(error).split("\n", maxsplit=1)[0]
        raise Invalid(f"{text!r} is not a JMESPath expression: {reason}") from error


_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|\$""", re.DOTALL)


def _with_root(text: str) -> str:
    """Return *text* with each `$` outside of quotes written as a call that JMESPath can parse."""
    return _QUOTED.sub(lambda found: "root()" if found.group() == "$" else found.group(), text)


def _children(node: _Node) -> list[_Node]:
    children = node.get("children")
    if not isinstance(children, list):
        return []
    return [cast("_Node", child) for child in children if isinstance(child, dict)]


def _check(node: _Node) -> None:
    """Refuse functions that do not exist, wrong counts of arguments and bad patterns."""
    for child in _children(node):
        _check(child)
    if node["type"] != "function_expression":
        return
    name, given = str(node["value"]), len(_children(node))
    if name not in _TABLE:
        near = difflib.get_close_matches(name, _TABLE, n=1)
        raise Invalid(
            f"There is no function {name}().", fix=f"Did you mean {near[0]}()?" if near else ""
        )
    signature = cast("list[dict[str, Json]]", _TABLE[name]["signature"])
    variadic = bool(signature and signature[-1].get("variadic"))
    if given < len(signature) or (given > len(signature) and not variadic):
        raise Invalid(f"{name}() takes {len(signature)} arguments, not {given}.")
    if name in ("match", "match_all") and _children(node)[1]["type"] == "literal":
        _pattern(str(_children(node)[1]["value"]))


@lru_cache(maxsize=512)
def _pattern(text: str) -> re.Pattern[str]:
    if len(text) > PATTERN_LIMIT:
        raise Invalid(f"A pattern has at most {PATTERN_LIMIT} characters.")
    try:
        return re.compile(text)
    except re.error as error:
        raise Invalid(f"{text!r} is not a regular expression: {error}.") from error


# ── Compiling ────────────────────────────────────────────────────────────────────────────────────


def _compiled(node: _Node) -> _Run:
    make = _CLOSURES.get(str(node["type"]))
    return (make and make(node)) or _interpreted(node)


def _interpreted(node: _Node) -> _Run:
    def run(value: Json, root: Json) -> Json:
        options = visitor.Options(custom_functions=_Functions(root))
        return cast("Json", visitor.TreeInterpreter(options).visit(cast("_TreeNode", node), value))

    return run


def _field(node: _Node) -> _Run:
    name = str(node["value"])
    return lambda value, root: value.get(name) if isinstance(value, dict) else None


def _literal(node: _Node) -> _Run:
    constant = cast("Json", node["value"])
    return lambda value, root: constant


def _chain(node: _Node) -> _Run:
    steps = [_compiled(child) for child in _children(node)]
    if len(steps) == 2:
        first, second = steps
        return lambda value, root: second(first(value, root), root)

    def run(value: Json, root: Json) -> Json:
        for step in steps:
            value = step(value, root)
        return value

    return run


def _index(node: _Node) -> _Run:
    place = cast("int", node["value"])

    def run(value: Json, root: Json) -> Json:
        if not isinstance(value, list) or not -len(value) <= place < len(value):
            return None
        return value[place]

    return run


def _or(node: _Node) -> _Run:
    first, second = (_compiled(child) for child in _children(node))

    def run(value: Json, root: Json) -> Json:
        found = first(value, root)
        return found if truth(found) else second(value, root)

    return run


def _call(node: _Node) -> _Run | None:
    name, children = str(node["value"]), _children(node)
    if name == "root":
        return lambda value, root: root
    if any(child["type"] == "expref" for child in children):
        return None
    arguments = [_compiled(child) for child in children]

    def run(value: Json, root: Json) -> Json:
        given = [argument(value, root) for argument in arguments]
        return cast("Json", _PLAIN.call_function(name, given))

    return run


def _object(node: _Node) -> _Run:
    pairs = [
        (str(child["value"]), _compiled(inner))
        for child in _children(node)
        for inner in _children(child)
    ]

    def run(value: Json, root: Json) -> Json:
        return None if value is None else {name: find(value, root) for name, find in pairs}

    return run


def _array(node: _Node) -> _Run:
    finds = [_compiled(child) for child in _children(node)]

    def run(value: Json, root: Json) -> Json:
        return None if value is None else [find(value, root) for find in finds]

    return run


_CLOSURES: dict[str, Callable[[_Node], _Run | None]] = {
    "field": _field,
    "literal": _literal,
    "identity": lambda node: lambda value, root: value,
    "current": lambda node: lambda value, root: value,
    "subexpression": _chain,
    "index_expression": _chain,
    "pipe": _chain,
    "index": _index,
    "or_expression": _or,
    "function_expression": _call,
    "multi_select_dict": _object,
    "multi_select_list": _array,
}

"""A written file brought into its form, and what is wrong with it said in our words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import TypeVar

import msgspec
from msgspec import Struct

from lineal.errors import SourceSpecError
from lineal.model import Json
from lineal.sources.written import Path, Written

_WHERE = re.compile(r" - at `(?:key in )?`?\$([^`]*)`$")
_STEP = re.compile(r"\[\.\.\.\]|\[(\d+)\]|\.([^.\[]+)")
_UNKNOWN = re.compile(r"unknown field `([^`]*)`")


Form = TypeVar("Form", bound=Struct)


def decode(written: Written, form: type[Form], parts: tuple[type[Struct], ...]) -> Form:
    """
    Return the file that was written in its *form*, which is made of *parts*.

    Raises:
        SourceSpecError: it is not of this form; with line and fix.
    """
    try:
        return msgspec.convert(written.value, form)
    except msgspec.ValidationError as error:
        raise _explained(str(error), written, form, parts) from error


def _explained(
    message: str, written: Written, form: type[Struct], parts: tuple[type[Struct], ...]
) -> SourceSpecError:
    where = _WHERE.search(message)
    plain = _WHERE.sub("", message)
    path = _pinpointed(_steps(where[1] if where else ""), message, written.value, form)
    unknown = _UNKNOWN.search(plain)
    if unknown:
        names = sorted(_names(written.value, path, parts))
        near = difflib.get_close_matches(unknown[1], names, n=1)
        fix = f"Did you mean {near[0]!r}?" if near else "See the reference of this file."
        return written.error(
            f"There is no field {unknown[1]!r} here.", (*path, unknown[1]), fix=fix
        )
    shown = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return written.error(f"{plain}{f' (at {shown[1:]})' if shown else ''}.", path)


def _steps(text: str) -> list[str | int | None]:
    """Return the steps of a path as msgspec writes it; None stands for any key of a mapping."""
    return [int(found[1]) if found[1] else found[2] for found in _STEP.finditer(text)]


def _pinpointed(
    steps: list[str | int | None], message: str, value: Json, form: type[Struct]
) -> Path:
    """
    Return the path that msgspec meant by *steps*.

    It does not say which key of a mapping is at fault: that is the first one that, left alone in
    its mapping, is still complained of.
    """
    path: Path = ()
    for step in steps:
        if step is not None:
            path = (*path, step)
            continue
        for key, child in _entries(_at(value, path)):
            alone = _replaced(value, path, {str(key): child})
            if _complaint(alone, form) == message:
                value, path = alone, (*path, key)
                break
    return path


def _complaint(value: Json, form: type[Struct]) -> str | None:
    try:
        msgspec.convert(value, form)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def _replaced(value: Json, path: Path, new: Json) -> Json:
    if not path:
        return new
    pairs = [(k, _replaced(v, path[1:], new) if k == path[0] else v) for k, v in _entries(value)]
    return [v for _, v in pairs] if isinstance(value, list) else {str(k): v for k, v in pairs}


def _entries(value: Json) -> Iterator[tuple[str | int, Json]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _names(value: Json, path: Path, parts: tuple[type[Struct], ...]) -> set[str]:
    """Return the names of the fields of the parts that could stand at *path*."""
    given = _at(value, path)
    names: set[str] = set()
    best = 0
    for part in parts:
        fields = {item.encode_name for item in msgspec.structs.fields(part)}
        shared = len(fields & set(given)) if isinstance(given, dict) else 0
        if shared > best:
            names, best = set(fields), shared
        elif shared == best:
            names |= fields
    return names


def _at(value: Json, path: Path) -> Json:
    for step in path:
        value = dict(_entries(value))[step]
    return value

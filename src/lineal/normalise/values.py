"""Loose values: what is a text, a number, a list; labels as tags; status words as ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lineal.errors import Invalid
from lineal.model import Json


def text(value: Json) -> str | None:
    """Return *value* if it is text that is not blank, without the space around it."""
    return value.strip() or None if isinstance(value, str) else None


def number(value: Json) -> int | float | None:
    """Return *value* if it is a number."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def mapping(value: Json) -> Mapping[str, Json]:
    """Return *value* if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Json) -> Sequence[Json]:
    """Return *value* if it is a list, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def mappings(value: Json) -> Iterator[Mapping[str, Json]]:
    """Go through the mappings in the list *value*; anything else in it is passed over."""
    return (item for item in sequence(value) if isinstance(item, Mapping))


def said(attributes: Mapping[str, Json]) -> dict[str, Json]:
    """Return the attributes that say something: without None, blank texts and empty lists."""
    return {key: value for key, value in attributes.items() if value not in (None, "", [], {})}


# ── Status words ─────────────────────────────────────────────────────────────────────────────────

_RUN_STATUS = {
    "queued": "queued pending scheduled created waiting",
    "running": "running start started in_progress executing",
    "succeeded": "succeeded success complete completed finished done pass passed ok",
    "failed": "failed fail failure error errored",
    "cancelled": "cancelled canceled abort aborted killed stopped terminated",
    "skipped": "skipped skip no-op no_op",
}
_RUN_STATUS_OF = {word: ours for ours, words in _RUN_STATUS.items() for word in words.split()}


def run_status(word: str) -> str | None:
    """Return our word for how a run stands or ended, None if *word* is not known."""
    return _RUN_STATUS_OF.get(word.strip().lower().replace(" ", "_"))


# ── Tags ─────────────────────────────────────────────────────────────────────────────────────────


def tag(key: str, value: str | None = None) -> str:
    """Return a label as a tag: ``key::value``, or ``key`` alone where there is no value."""
    return f"{key.strip()}::{value.strip()}" if value and value.strip() else key.strip()


def tags(labels: Json) -> list[str]:
    """
    Return labels of any usual form as sorted tags.

    Known are a mapping, a list of ``{key|name|tag, value}``, and a list of texts in which ``:``
    parts key and value.

    Raises:
        Invalid: *labels* is something else.
    """
    return sorted(set(_tags(labels)))


def _tags(labels: Json) -> Iterable[str]:
    if labels is None:
        return
    if isinstance(labels, Mapping):
        for key, value in labels.items():
            yield tag(str(key), None if value in (None, True, "true", "") else str(value))
    elif isinstance(labels, list):
        for label in labels:
            yield _tag_of(label)
    else:
        raise Invalid(f"{labels!r} is not a set of labels.", fix="Give a list or a mapping.")


def _tag_of(label: Json) -> str:
    if isinstance(label, Mapping):
        key = label.get("key") or label.get("name") or label.get("tag")
        value = label.get("value")
        if key is None:
            raise Invalid(f"The label {label!r} has no key.")
        return tag(str(key), None if value is None else str(value))
    text = str(label)
    key_text, colon, rest = text.partition("::" if "::" in text else ":")
    return tag(key_text, rest) if colon else tag(text)

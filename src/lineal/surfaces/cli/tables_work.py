"""How an installation stands, as tables and lines: sources, dead letters, what people did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias, cast

from rich.console import RenderableType

from lineal.errors import NotFound
from lineal.model import Json
from lineal.surfaces.cli import tables_rules
from lineal.surfaces.cli.showing import line, table

if TYPE_CHECKING:
    from lineal.ingest import Rebuilt, Tally

Parts: TypeAlias = Iterator[RenderableType]
_Object: TypeAlias = Mapping[str, Json]


def _rows(value: Json) -> list[_Object]:
    return [cast("_Object", one) for one in value] if isinstance(value, list) else []


def _of(one: _Object, name: str) -> _Object:
    found = one.get(name)
    return found if isinstance(found, dict) else {}


def health(answer: _Object) -> Parts:
    """Show how each source stands, and which promises are broken."""
    rows = _rows(answer.get("value"))
    if not rows:
        yield line("No source has said anything yet.")
    else:
        yield table(
            ("source", "documents", "to do", "lag", "state", "dead", "last answered", "last swept"),
            [
                (
                    one.get("source"), one.get("documents"), _to_do(one), _lag(one), state(one),
                    one.get("dead"), one.get("confirmed_at"), _of(one, "sweep").get("whole_at"),
                )
                for one in rows
            ],
        )  # fmt: skip
    inbox = _of(answer, "inbox")
    if inbox.get("events"):
        yield line(f"{inbox['events']} of {inbox.get('most_events')} events wait in the inbox.")
    yield from tables_rules.waits(answer.get("rules"))
    for one in _rows(answer.get("broken")):
        yield line(f"Broken: {one.get('what')}")


def _to_do(one: _Object) -> int:
    waiting, dirty = one.get("waiting"), one.get("dirty")
    return sum(count for count in (waiting, dirty) if isinstance(count, int))


def _lag(one: _Object) -> str:
    lag = one.get("lag")
    return "" if not isinstance(lag, int | float) or not lag else seconds(lag)


def seconds(count: float) -> str:
    """
    Return a span of time as people say it.

    >>> seconds(0.2), seconds(59), seconds(200), seconds(90_000)
    ('0.2 s', '59 s', '3 min', '25 h')
    """
    if count < 120:
        return f"{count:.1f} s" if count < 10 else f"{count:.0f} s"
    return f"{count / 60:.0f} min" if count < 7_200 else f"{count / 3_600:.0f} h"


def state(one: _Object) -> str:
    """Return in a few words how a source stands, the worst first."""
    breaker, sweep = _of(one, "breaker"), _of(one, "sweep")
    if sweep.get("late_since"):
        return "late"
    if one.get("held"):
        return f"held: {one['held']} removals"
    if breaker.get("state") != "closed":
        return "left alone" if breaker.get("state") == "open" else "being tried"
    if one.get("failing"):
        return f"{one['failing']} failing"
    return "at work" if _to_do(one) else "up to date"


def named(value: Json, name: str) -> _Object:
    """Return the source of this name; raises `NotFound`."""
    rows = {str(one.get("source")): one for one in _rows(value)}
    if name not in rows:
        raise NotFound(f"There is no source {name!r}.", nearest=tuple(sorted(rows)))
    return rows[name]


def source(one: _Object, findings: Json) -> Parts:
    """Show all that is known of how a source stands, and what of its documents does not fit."""
    breaker, sweep = _of(one, "breaker"), _of(one, "sweep")
    yield line(f"{one.get('source')}: {state(one)}.")
    told: dict[str, Json] = {
        "documents": one.get("documents"),
        "events in the inbox": one.get("waiting"),
        "documents to fetch": one.get("dirty"),
        "waits longest": one.get("oldest"),
        "since": one.get("oldest_dirty"),
        "last event": one.get("heard_at"),
        "last answered": one.get("confirmed_at"),
        "breaker": breaker.get("state"),
        "down since": breaker.get("down_since"),
        "asked again": breaker.get("closed_until"),
        "because": breaker.get("reason"),
        "sweeps": sweep.get("planned"),
        "last whole sweep": sweep.get("whole_at"),
        "next sweep": sweep.get("next_at"),
        "late since": sweep.get("late_since"),
        "listed": sweep.get("listed"),
        "sweep failed": sweep.get("error"),
        "removals held": one.get("held") or None,
        "held since": one.get("held_at"),
    }
    yield table(("", ""), [(name, value) for name, value in told.items() if value is not None])
    notices = _of(one, "notices")
    yield table(tuple(notices), [tuple(notices.values())], title="notices")
    if unfit := _rows(findings):
        names = ("name", "text", "policy", "documents", "example")
        rows = [tuple(each.get(name) for name in names) for each in unfit]
        heads = ("what", "why it does not fit", "policy", "documents", "such as")
        yield table(heads, rows, title="does not fit")


def rebuilt(done: Rebuilt, tally: Tally) -> Parts:
    """Show what a rebuild did."""
    told = ", ".join(f"{count} {what}" for what, count in sorted(tally.documents.items()))
    yield line(f"{done.reworded} documents worded anew: {told or 'none'}.")
    if done.left:
        yield line(f"{done.left} could not be: nothing was kept of them that fits. Sweep it.")


def dead_letters(value: Json) -> Parts:
    """Show what could not be taken in."""
    rows = _rows(value)
    if not rows:
        yield line("There are no dead letters.")
        return
    columns = ("id", "source", "stage", "document", "attempts", "last_at", "reason")
    yield table(columns, [tuple(one.get(name) for name in columns) for one in rows])


def dead_letter(one: _Object) -> Parts:
    """Show all of a dead letter, with the event as it came."""
    yield table(("", ""), [(name, value) for name, value in one.items() if name != "body"])
    if one.get("body"):
        yield line(str(one["body"]))


def deeds(value: Json) -> Parts:
    """Show what people did about sources and dead letters."""
    columns = ("at", "actor", "what", "source", "count", "reason")
    rows = [tuple(one.get(name) for name in columns) for one in _rows(value)]
    yield table(columns, rows) if rows else line("Nobody did anything yet.")

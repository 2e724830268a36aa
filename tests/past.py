"""A graph with a past: the world of `tests.world`, and what happened to it afterwards.

Everything that can happen to a row happens here: values change, are corrected and come late;
events are taken back and happen again; conclusions go and return; a thing is removed and made
again. `answers` puts the same questions at every transaction, so that a copy, a move or a
migration can be held against what was answered before.

Written for every version of Lineal that wrote a database we keep: see ``tests/schemas``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.errors import LinealError
from lineal.model import Event, Record, Removal, Statement, Uri
from lineal.store import Batch, work
from lineal.surfaces.cli.local import Local
from tests import world
from tests.world import edge, record

#: A minute and a day, in microseconds.
MINUTE, DAY = 60_000_000, 86_400_000_000
#: The things that are asked about.
THINGS = (
    world.MODEL, world.V5, world.RUN, world.TREATMENT, world.PLAYS, world.TITLES,
    world.OLD_EXPORT, world.FEATURES,
)  # fmt: skip
#: The edges of which the reasons are asked.
EDGES = (
    (world.V5, "trained_for", world.TEST),
    (world.MODEL, "owned_by", world.TEAM),
    (world.FEATURES, "derived_from", world.PLAYS),
)


def tell(lineal: Lineal, clock: world.Clock) -> None:
    """Tell a graph the world and its past, and leave some work to be done."""
    world.tell(lineal, clock)
    for number, (words, cause) in enumerate(_steps(), 1):
        clock.at = world.NOW + number * DAY
        at = clock.at
        told = [replace(word, observed_at=at) for word in words]
        lineal.store.commit(Batch(told, "someone", cause, token=f"step {number}"))
    clock.at += MINUTE
    _leave_work(lineal, clock.at)


def _steps() -> Iterator[tuple[list[Record | Removal], str]]:
    titles = record("catalogue", world.TITLES, {"name": "titles", "form": "table", "rows": 90_000})
    run = next(one for one in world.work() if one.subject == world.RUN)
    cell = next(one for one in world.experiments() if one.subject == world.TREATMENT)
    plays = next(one for one in world.data() if one.subject == world.PLAYS)
    old = next(one for one in world.data() if one.subject == world.OLD_EXPORT)
    features = next(one for one in world.data() if one.subject == world.FEATURES)
    model = world.models()[0]

    yield [titles], "a value changes"
    late = Statement(world.TITLES, {"name": "titles", "rows": 95_000}, world.CHANGED)
    yield [replace(titles, statements=(late,))], "a change is heard of late"
    yield [_without(run, "executed_for"), titles], "an event is taken back"
    yield [run], "and it did happen"
    yield [_without(cell, "cell_of")], "a state ends"
    yield [cell], "and begins again"
    yield [old], "a table is made again"
    yield [_without(plays, "same_as")], "two things are two"
    gone = Removal(features.source, features.document, features.subject, 0)
    yield [gone], "a feature set is gone"
    until = edge(world.MODEL, "owned_by", world.DATA_TEAM, share=0.5)
    timed = until._replace(valid_from=world.FIRST, valid_to=world.CHANGED)
    yield [replace(model, edges=(*model.edges, timed))], "an owner of the past"
    yield [features, plays], "all is as it was, almost"
    told = record("notes", world.V5, {"name": "ranking v5", "description": "ünïcode ☃ \u2028 'x'"})
    yield [told], "somebody else speaks of a version"


def last_words() -> list[Record]:
    """Return what each document that lives said last."""
    words: dict[tuple[str, str], Record | Removal] = {}
    first = [*world.models(), *world.models(world.CHANGED, "ready")[2:], *world.work()]
    first += [*world.experiments(), *world.data(), *world.serving()]
    for word in [*first, *(word for step, _ in _steps() for word in step)]:
        words[(word.source, word.document)] = word
    return [word for word in words.values() if isinstance(word, Record)]


def _without(said: Record, kind: str) -> Record:
    return replace(said, edges=tuple(one for one in said.edges if one.kind != kind))


def _leave_work(lineal: Lineal, now: int) -> None:
    """Leave an event to be understood, a document to be fetched, a log entry, a dead letter."""
    event = Event("registry", {"type": "updated", "id": "ranking-model/v5"}, now)
    odd = Event("registry", {"type": "odd", "ünï": [1, 2.5, None]}, now)
    with lineal.store.working() as at_work:
        work.receive(at_work, [event, odd])
        work.mark(at_work, "registry", "model/ranking-model", deleted=False, due_at=now)
        work.mark(at_work, "catalogue", "dataset/gone", deleted=True, due_at=now)
        work.keep(at_work, "openlineage", "ab" * 32, {"run": {"runId": "1"}}, ["run:1"], now)
        work.bury_event(at_work, odd, LinealError("Nobody understands it."), now)
    lineal.store.register(
        {("model", "registry"): "registry", ("dataset", "warehouse"): "catalogue"}
    )


def answers(lineal: Lineal) -> dict[str, Any]:
    """Return what is answered at every transaction, and of several instants."""
    local = Local(lineal)
    last = lineal.ask.counts(LOCAL).basis_t
    found: dict[str, Any] = {}
    for t in range(1, last + 1):
        for day in (None, "2026-11-18", "2026-11-28") if t in (7, last) else (None,):
            times = {"known_at": f"t:{t}", "valid_at": day}
            for thing in THINGS:
                for name, value in _about(local, thing, times):
                    found[f"{name} t:{t} {day or 'then'}"] = value
            for start, kind, end in EDGES:
                name = f"explain {start} {kind} {end} t:{t} {day or 'then'}"
                found[name] = _asked(
                    lambda s=start, k=kind, e=end, at=times: local.explain(s, k, e, **at)
                )
    return found


def _about(local: Local, thing: Uri, times: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield f"get {thing}", _asked(lambda: local.get(thing, **times))
    yield f"neighbours {thing}", _asked(lambda: local.neighbours(thing, limit=100, **times))
    yield f"history {thing}", _asked(lambda: local.history(thing, limit=100, **times))
    yield (
        f"lineage {thing}",
        _asked(lambda: local.lineage(thing, up=4, down=4, grain=None, **times)),
    )


def _asked(ask: Any) -> Any:
    """Return the value of an answer, or the code of the error."""
    try:
        return ask()["value"]
    except LinealError as error:
        return error.code

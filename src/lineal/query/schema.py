"""The schema changes of a period, found by comparing two moments, and whom each of them touches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from lineal.errors import OutOfTime
from lineal.lineage.laws import BELIEVED
from lineal.model import Answer, Cut, Json, Uri
from lineal.query import diff
from lineal.query.changing import OF, Change
from lineal.query.diff import Because, Differences, EdgeChange, ThingChange
from lineal.query.impact import Hit, Touched, impact
from lineal.query.things import Brief, Things, answer
from lineal.query.walks import Ask
from lineal.shapes import Shapes
from lineal.store import Basis, Between

#: The types whose changes are schema changes, in the order in which they are told.
TYPES = ("dataset", "column", "feature", "feature-set", "model", "deployment")
#: What of a thing is its type, and what its definition.
_TYPE = ("data_type",)
_DEFINITION = ("expression", "query", "entity_keys", "default_value", "version")
#: How many of those touched are named for each change.
NAMED = 5


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One change of a schema, why it is so, and whom it touches."""

    #: ``added``, or one of those that `lineal.query.changing` knows.
    what: str
    thing: Brief
    #: Of what it is a part, where it is one.
    whole: Uri | None
    #: What changed: the attribute, or the name; before and after.
    attribute: str
    before: Json
    after: Json
    because: Because
    #: Of how many things it was told who is touched; the worst are named.
    touched: int
    live: int
    by_owner: tuple[Touched, ...]
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class SchemaChanges:
    """All schema changes between two moments, those that touch what is live first."""

    changes: tuple[SchemaChange, ...]
    #: How many there are of each sort, also of those that are not listed.
    by_what: dict[str, int]
    #: The two moments.
    before: Basis
    after: Basis


@dataclass(frozen=True, slots=True)
class _Found:
    """A change before it is known whom it touches."""

    what: str
    thing: Brief
    attribute: str
    before: Json
    after: Json
    because: Because
    #: What is put in the place, for the impact.
    to: str | None = None


def schema_changes(
    between: Between,
    shapes: Shapes,
    platforms: Sequence[str],
    *,
    types: Collection[str] | None,
    ask: Ask,
    limit: int,
) -> Answer[SchemaChanges]:
    """
    Return the schema changes between two moments, and whom each touches.

    What is gone is asked about at the first moment, all else at the second.
    """
    wanted = [name for name in TYPES if types is None or name in types]
    why: list[Cut] = []
    found: list[_Found] = []
    for at, name in enumerate(wanted):
        share = 1 / (len(wanted) - at)
        try:
            told = diff.everything(between, shapes, name, ask=ask, limit=LISTED, share=share)
        except OutOfTime:
            # Not even which of them may differ: what was found of other types is told.
            why.append(Cut("time", "candidates").of(name))
            break
        why.extend(cut.of(name) for cut in told.why)
        found.extend(_of_things(told.value))
        found.extend(_of_versions(told.value))
        if Cut("time", "candidates") in told.why:
            break
    # What comes touches nobody: it takes no place from what changes or goes.
    found = sorted(_renamed(found), key=lambda one: one.what == "added")
    # What differs is told of all layers; whom it touches, as for every impact, of those asked for.
    layers = ask.layers | BELIEVED
    sides = {
        True: Things(between.before.of_layers(layers), shapes, platforms),
        False: Things(between.after.of_layers(layers), shapes, platforms),
    }
    changes: list[SchemaChange] = []
    for at, one in enumerate(found[:limit]):
        side = sides[one.what in ("dropped", "renamed")]
        if side.must_end():
            why.append(Cut("time", "touched", done=at, total=len(found)))
            break
        changes.append(_told(side, one, ask, why))
    counts: dict[str, int] = defaultdict(int)
    for one in found:
        counts[one.what] += 1
    total = None if why else len(found)
    if len(found) > limit:
        why.append(Cut("list", "counted", done=len(changes), total=len(found)))
    listed = sorted(changes, key=lambda one: (-one.live, -one.touched, one.what, one.thing.uri))
    value = SchemaChanges(
        tuple(listed), dict(sorted(counts.items())), between.before.basis, between.after.basis
    )
    return answer(between.after, value, why=dict.fromkeys(why), total=total)


#: How many differences of a type are looked at.
LISTED = 5_000


def _of_things(told: Differences) -> list[_Found]:
    """Return what became of things whose being there, type or definition is a schema."""
    found = []
    for one in told.things:
        kind = one.thing.type
        if kind not in OF["dropped"]:
            continue
        if one.what != "changed":
            what = "dropped" if one.what == "vanished" else "added"
            found.append(_Found(what, one.thing, "", None, None, one.because))
            continue
        found.extend(_of_attributes(one))
    return found


def _of_attributes(one: ThingChange) -> list[_Found]:
    found = []
    for change in one.changes:
        what = "retyped" if change.name in _TYPE else "redefined"
        if change.name not in (*_TYPE, *_DEFINITION) or one.thing.type not in OF[what]:
            continue
        if change.before is None or change.after is None:
            # It was only not said before, or is not said any more.
            continue
        found.append(
            _Found(
                what, one.thing, change.name, change.before, change.after, change.because,
                str(change.after),
            )
        )  # fmt: skip
    return found


def _of_versions(told: Differences) -> list[_Found]:
    """Return versions that an older one took the place of: by an alias, or in a deployment."""
    gone: dict[Uri, list[EdgeChange]] = defaultdict(list)
    come: dict[Uri, list[EdgeChange]] = defaultdict(list)
    for edge in told.edges:
        if edge.kind in ("points_to", "deploys") and edge.end.type == "model-version":
            {"vanished": gone, "appeared": come}.get(edge.what, {}).setdefault(
                edge.start.uri, []
            ).append(edge)
    found = []
    for start, some in gone.items():
        for old in some:
            for new in come.get(start, ()):
                if _number(new.end.uri) < _number(old.end.uri):
                    found.append(
                        _Found(
                            "rolled_back", old.end, old.kind, old.end.name, new.end.name,
                            new.because, str(new.end.uri),
                        )
                    )  # fmt: skip
                    break
    return found


def _number(uri: Uri) -> tuple[int, str]:
    """
    Return what orders versions of one model: the number at the end of their name, then the name.

    >>> _number(Uri("mlg://model-version/reg/a/v9")) < _number(Uri("mlg://model-version/reg/a/v10"))
    True
    """
    name = uri.name
    digits = name[len(name.rstrip("0123456789")) :]
    return int(digits or 0), name


def _renamed(found: Sequence[_Found]) -> list[_Found]:
    """Tell as one renaming what went from and came to one whole in one transaction, just alike."""
    by_whole: dict[tuple[str, Uri | None, int | None], list[_Found]] = defaultdict(list)
    for one in found:
        whole = _whole(one.thing.uri)
        if one.what in ("dropped", "added") and whole is not None:
            by_whole[(one.thing.type, whole, one.because.t)].append(one)
    pairs: dict[int, _Found | None] = {}
    for some in by_whole.values():
        gone = [one for one in some if one.what == "dropped"]
        come = [one for one in some if one.what == "added"]
        if len(gone) == len(come) == 1 and gone[0].because.t is not None:
            pairs[id(come[0])] = None
            pairs[id(gone[0])] = replace(
                gone[0], what="renamed", attribute="name", before=gone[0].thing.name,
                after=come[0].thing.name, to=come[0].thing.name,
            )  # fmt: skip
    told = (pairs.get(id(one), one) for one in found)
    return [one for one in told if one is not None]


def _whole(uri: Uri) -> Uri | None:
    """Return a name for what a part belongs to: all of its own but the last segment."""
    return Uri.of(uri.type, uri.platform, *uri.segments[:-1]) if len(uri.segments) > 1 else None


def _told(things: Things, one: _Found, ask: Ask, why: list[Cut]) -> SchemaChange:
    """Return a change with whom it touches; add to *why* what was cut of that."""
    if one.what == "added":
        return _change(one, 0, 0, (), ())
    keys = things.reader.keys([one.thing.uri])
    if one.thing.uri not in keys:
        return _change(one, 0, 0, (), ())
    change = Change(one.what, one.to)
    # Each walks on a budget of its own; the time is that of the whole question.
    things.reached = things.scanned = 0
    found = impact(things, [keys[one.thing.uri]], ask=ask, limit=NAMED, change=change)
    # That only the worst are named is meant so.
    why.extend(cut.of("impact") for cut in found.why if cut.limit != "list")
    value = found.value
    touched = sum(value.by_type.values())
    return _change(one, touched, value.live, value.by_owner, value.hits)


def _change(
    one: _Found, touched: int, live: int, owners: tuple[Touched, ...], hits: tuple[Hit, ...]
) -> SchemaChange:
    whole = _whole(one.thing.uri) if one.thing.type in ("column", "feature") else None
    return SchemaChange(
        one.what,
        one.thing,
        whole,
        one.attribute,
        one.before,
        one.after,
        one.because,
        touched,
        live,
        owners,
        hits,
    )

"""A change that somebody means to make: of what it can be, what it does to what, and why."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from lineal.errors import InvalidQuery
from lineal.model import Json, State, Uri
from lineal.query.things import Things

#: What can change, and of what.
DATA = ("dataset", "column", "feature", "feature-set", "feature-service")
OF = {
    "dropped": DATA,
    "renamed": DATA,
    "retyped": ("column", "feature"),
    "redefined": ("dataset", "column", "feature", "feature-set", "metric"),
    "rolled_back": ("model-version",),
}
#: How each is said.
SAID = {
    "dropped": "is dropped",
    "renamed": "is renamed",
    "retyped": "gets another type",
    "redefined": "is computed otherwise",
    "rolled_back": "is rolled back",
}
BREAKS, MAY_BREAK, CHANGES = "breaks", "may break", "changes"


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to some things: one of `OF`, and what they become where that is said."""

    what: str
    #: The new name, the new type, or the URI of the version that is put in the place.
    to: str | None = None

    def effect(self, depth: int, *, possible: bool) -> str:
        """
        Return what the change does to a thing so many steps away.

        What is gone, or has another name, breaks whatever surely rests on it. Another type may
        break who reads it, and passes as a change of values beyond them. Another definition or
        version breaks nothing, and changes what comes of it.

        >>> Change("dropped").effect(3, possible=False), Change("retyped").effect(2, possible=False)
        ('breaks', 'changes')
        """
        if self.what in ("dropped", "renamed"):
            return MAY_BREAK if possible else BREAKS
        if self.what == "retyped":
            return MAY_BREAK if depth <= 1 else CHANGES
        return CHANGES

    def reason(self, kind: str, depth: int, *, possible: bool) -> str:
        """Return in words why a thing of a type, so many steps away, is touched."""
        if possible:
            return _POSSIBLE
        if self.what in ("dropped", "renamed"):
            gone = "is gone" if self.what == "dropped" else "has that name no more"
            near = f"It takes what {gone}."
            return near if depth <= 1 else f"It rests on something that takes what {gone}."
        if self.what == "retyped":
            near = "It takes values of the old type."
            return near if depth <= 1 else "It rests on what is made from values of the old type."
        if self.what == "rolled_back":
            return _SERVED.get(kind, "It rests on what this version gives.")
        learned = kind in ("model", "model-version", "evaluation")
        return _LEARNED if learned else "Its values follow the new definition."


_POSSIBLE = (
    "It is only said to rest on the whole, or on another part of it; whether this is among what it "
    "takes, nobody has said."
)
_LEARNED = "It was made with values of the old definition: make it anew, or measure it again."
_SERVED = {
    "deployment": "It answers with this version now, and would with the other.",
    "service": "It hands on what a deployment of this version answers.",
    "ab-cell": "Its people are served by this version.",
    "ab-test": "One of its cells is served by this version, so its results are of two versions.",
}


def checked(things: Things, keys: Collection[int], change: Change) -> Change:
    """
    Return a change whose end is known, or raise `InvalidQuery` where it cannot be made.

    A version that is rolled back without saying to which goes back to the one before it.
    """
    if change.what not in OF:
        raise InvalidQuery(
            f"There is no change {change.what!r}.", fix=f"Changes are {', '.join(OF)}."
        )
    uris = things.reader.uris(keys)
    for uri in uris.values():
        if uri.type not in OF[change.what]:
            name = uri.type.replace("-", " ")
            raise InvalidQuery(
                f"A {name} cannot be {change.what.replace('_', ' ')}.",
                fix=f"That can be: {', '.join(OF[change.what])}.",
            )
    if change.what == "rolled_back" and change.to is None:
        before = _version_before(things, sorted(keys)[0])
        return change if before is None else replace(change, to=str(before))
    return change


def _version_before(things: Things, key: int) -> Uri | None:
    """Return the version of the same model that was made before this one, the newest of them."""
    reader = things.reader
    group = things.groups([key])[key]
    models = {link.dst for link in reader.outward(group, ("version_of",))}
    others = {link.src for link in reader.inward(models, ("version_of",))}
    uris, said = reader.uris(others | {key}), reader.attributes(others | {key})

    def made(one: int) -> tuple[str, str]:
        return _text(said[one].get("created_at")), _text(said[one].get("version")).zfill(12)

    older = [one for one in others - group if made(one) < made(key)]
    return uris[max(older, key=made)] if older else None


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def consequence(things: Things, keys: Collection[int], change: Change) -> list[str]:
    """Return what else to know of a change: what a version that comes back needs, for one."""
    if change.what != "rolled_back":
        return []
    if change.to is None:
        return ["No version before this one is known, so it is not told what would come back."]
    other = things.key(Uri(change.to))
    now, then = _consumed(things, keys), _consumed(things, [other])
    briefs = things.briefs(now | then | {other})
    name, notes = briefs[other].name, list[str]()
    if then - now:
        needed = ", ".join(sorted(briefs[key].name for key in then - now))
        notes.append(f"{name} consumes what this version does not: {needed}.")
    gone = [
        briefs[key].name for key in then
        if briefs[key].state in (State.DELETED, State.MISSING)
    ]  # fmt: skip
    if gone:
        notes.append(f"{name} consumes what is gone: {', '.join(sorted(gone))}.")
    if now - then:
        spared = ", ".join(sorted(briefs[key].name for key in now - then))
        notes.append(f"{name} does not consume what this version does: {spared}.")
    return notes or [f"{name} consumes the same as this version."]


def _consumed(things: Things, keys: Collection[int]) -> set[int]:
    group = {member for some in things.groups(keys).values() for member in some}
    links = things.reader.outward(group, ("consumes",))
    return set(things.one([link.dst for link in links]).values())

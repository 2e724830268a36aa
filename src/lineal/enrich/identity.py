"""Things that are the same under several names: which name stands for all, and which parts follow.

The grouping itself is read from ``same_as`` claims; nothing is re-keyed. Wholes that are one thing
have one set of parts: what is called the same in them is joined, by derived claims that rest on
the two parts' places in their wholes and on what joins the wholes, and go when these do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from lineal.lineage import IDENTITY, NOT_SAME, SAME, Joints, Link, joining
from lineal.model import EdgeStatement, Entity, Instant, Json, Layer, Record, State, Uri
from lineal.store import Change, Concluded, Conclusion, Derivation, Program, Reader, Step

#: The rule under which parts that follow their wholes are concluded.
RULE, VERSION = "identity", "1"

#: The source of what people say here.
PERSON = "lineal"

_Key: TypeAlias = "tuple[int, str, int]"


def representative(members: Collection[Entity], platforms: Sequence[str] = ()) -> Uri:
    """
    Return the URI that stands for a group.

    The platform that comes first in *platforms*, then a described thing before a mentioned one,
    then the first URI. A pure function of the members, never of the order in which they came.
    """
    order = {name: place for place, name in enumerate(platforms)}
    return min(
        members,
        key=lambda one: (
            order.get(one.uri.platform, len(order)),
            one.state not in (State.HYDRATED, State.STALE),
            not one.said,
            one.uri,
        ),
    ).uri


# ── Parts follow their wholes ────────────────────────────────────────────────────────────────────


class PartsFollow:
    """Joins the equally named parts of wholes that are one thing, as the store asks at a commit."""

    def __init__(self, levels: Collection[str]) -> None:
        self._levels = frozenset(levels)

    @property
    def seeds(self) -> frozenset[str]:
        """The kinds that join names: no part follows where none is joined."""
        return frozenset(IDENTITY)

    @property
    def programs(self) -> tuple[Program, ...]:
        """None: parts follow in the commit that joins or parts their wholes, however many."""
        return ()

    def may_conclude(self, name: str, knows: Callable[[Collection[str]], Collection[int]]) -> bool:
        """Return False: there are no programs to ask for."""
        return False

    def conclude_for(self, name: str, starts: Sequence[int], reader: Reader) -> Iterator[Step]:
        """Conclude nothing: there are no programs to ask for."""
        return iter(())

    def go_on(
        self, name: str, position: int, keys: Sequence[int], after: int, reader: Reader, most: int
    ) -> Iterator[Step]:
        """Go on with nothing: nothing is put off."""
        return iter(())

    def conclude(
        self, change: Change, reader: Reader, most: int | None = None
    ) -> Iterator[Conclusion]:
        """Conclude anew for every part whose name or wholes the change may touch."""
        starts = _Touched(reader, self._levels).by(change)
        if not starts:
            return
        followed = follow(starts, *_loaded(starts, reader, self._levels))
        derivations = [_derivation(one) for one in followed]
        yield Conclusion(RULE, VERSION, SAME, starts, derivations, _together(derivations), _why)


class _Touched:
    """Finds the parts that a change may join or part: never too few."""

    def __init__(self, reader: Reader, levels: frozenset[str]) -> None:
        self._reader, self._levels = reader, levels

    def by(self, change: Change) -> set[int]:
        """Return every part that is to be looked at again; nothing where no group is touched."""
        named = [edge for edge in change.edges if edge[1] in IDENTITY]
        levels = [edge for edge in change.edges if edge[1] in self._levels]
        if not named and not levels:
            return set()
        keys = self._reader.keys({uri for edge in (*named, *levels) for uri in (edge[0], edge[2])})
        ends = {keys[uri] for edge in named for uri in (edge[0], edge[2])}
        moved: dict[int, set[int]] = defaultdict(set)
        for part, _, whole in levels:
            moved[keys[whole]].add(keys[part])
        starts = self._moved(moved, ends)
        return starts | self._below(starts | ends)

    def _moved(self, moved: Mapping[int, set[int]], ends: set[int]) -> set[int]:
        """Parts that came to a group of wholes or left it, and what is called like them there."""
        groups = self._reader.groups(sorted(moved))
        several = {key for key in moved if len(groups[key]) > 1 or key in ends}
        if not several:
            return set()
        own = {part for key in several for part in moved[key]}
        members = {member for key in several for member in groups[key]}
        uris = self._reader.uris(own)
        called = {(uris[part].type, folded(uris[part])) for part in own}
        others = self._parts(members) - own
        uris = self._reader.uris(others)
        return own | {key for key in others if (uris[key].type, folded(uris[key])) in called}

    def _below(self, frontier: set[int]) -> set[int]:
        """The parts of these things under all their names, and the parts of those again."""
        found, seen = set[int](), set[int]()
        while frontier:
            groups = self._reader.groups(sorted(frontier))
            members = {member for group in groups.values() for member in group}
            seen |= members
            fresh = self._alike(self._parts(members)) - found
            found |= fresh
            frontier = fresh - seen
        return found

    def _parts(self, wholes: set[int]) -> set[int]:
        links = self._reader.held(wholes, self._levels)
        return {link.src for link in links if link.dst in wholes}

    def _alike(self, parts: set[int]) -> set[int]:
        """Which of these have another of their name, or are joined to something already?"""
        uris = self._reader.uris(parts)
        called: dict[tuple[str, str], set[int]] = defaultdict(set)
        for key in parts:
            called[(uris[key].type, folded(uris[key]))].add(key)
        links = self._reader.held(parts, (SAME,))
        joined = {end for link in links for end in (link.src, link.dst)} & parts
        return joined | {key for some in called.values() if len(some) > 1 for key in some}


def folded(uri: Uri) -> str:
    """Return the name of a part as names are compared: without case."""
    return uri.name.casefold()


@dataclass(frozen=True, slots=True)
class Followed:
    """A part that follows its whole: which other part it is, and why."""

    start: Link
    end: Link
    #: What joins the wholes of the two.
    way: tuple[_Key, ...]

    @property
    def keys(self) -> set[int]:
        """Every thing that is spoken of."""
        ends = {self.start.src, self.start.dst, self.end.src, self.end.dst}
        return ends | {key for start, _, end in self.way for key in (start, end)}


def _loaded(
    starts: set[int], reader: Reader, levels: frozenset[str]
) -> tuple[list[Link], list[Link], dict[int, Uri]]:
    """Read what following needs: places in wholes, what joins without these starts, names."""
    up = [link for link in reader.held(starts, levels) if link.src in starts]
    near = starts | {link.dst for link in up}
    names = reader.joins(near)
    members = near | {end for link in names for end in (link.src, link.dst)}
    down = [link for link in reader.held(members, levels) if link.dst in members]
    own = reader.documents_of(f"rule:{RULE}")
    kept = [link for link in names if not (link.document in own and link.src in starts)]
    vetoes = reader.held(starts, (NOT_SAME,))
    every = members | {link.src for link in down}
    return down, [*kept, *vetoes], reader.uris(every)


def follow(
    starts: Collection[int], levels: Sequence[Link], names: Sequence[Link], uris: Mapping[int, Uri]
) -> list[Followed]:
    """
    Return which parts among *starts* are one with another, as a pure function.

    *levels* are the parts' places in wholes, *names* what joins and parts names by other means.
    Whole by whole from above: parts that are joined may be wholes themselves. The parts of one
    group that are called the same are joined in the order of their URIs, each with the next.
    """
    found: list[Followed] = []
    before: set[tuple[int, int]] | None = None
    for _ in range(len(starts) + 2):
        derived = [_link(one) for one in found]
        joints = Joints(joining([*names, *derived]), uris)
        found = [one for some in _called(levels, joints, uris) for one in _row(some, joints, uris)]
        found = [one for one in found if one.start.src in starts]
        now = {(one.start.src, one.end.src) for one in found}
        if now == before:
            break
        before = now
    return found


def _link(one: Followed) -> Link:
    return Link(one.start.src, SAME, one.end.src, Layer.INFERRED, 0, one.start.valid_from)


def _called(
    levels: Sequence[Link], joints: Joints, uris: Mapping[int, Uri]
) -> Iterator[dict[int, Link]]:
    """Yield for each name in each group of wholes the parts that have it, and their places."""
    groups: dict[tuple[int, str, str, str], list[Link]] = defaultdict(list)
    for link in levels:
        group = joints.group(link.dst)
        if len(group) > 1:
            part = uris[link.src]
            groups[(min(group), link.kind, part.type, folded(part))].append(link)
    for links in groups.values():
        if _is_clear(links):
            yield _places(links, uris)
            continue
        exact: dict[str, list[Link]] = defaultdict(list)
        for link in links:
            exact[uris[link.src].name].append(link)
        yield from (_places(some, uris) for some in exact.values() if _is_clear(some))


def _is_clear(links: Iterable[Link]) -> bool:
    """Has no whole two parts of the name? If one has, nobody knows which is meant."""
    of: dict[int, int] = {}
    return all(of.setdefault(link.dst, link.src) == link.src for link in links)


def _places(links: Iterable[Link], uris: Mapping[int, Uri]) -> dict[int, Link]:
    """Each part's place in a whole; of several the first."""
    found: dict[int, Link] = {}
    for link in sorted(links, key=lambda one: (uris[one.dst], one.valid_from), reverse=True):
        found[link.src] = link
    return found


def _row(places: Mapping[int, Link], joints: Joints, uris: Mapping[int, Uri]) -> Iterator[Followed]:
    ordered = sorted(places, key=lambda key: uris[key])
    for one, other in pairwise(ordered):
        start, end = places[one], places[other]
        yield Followed(start, end, joints.way(start.dst, end.dst))


def _derivation(one: Followed) -> Derivation:
    ends = (one.start, one.end)
    return Derivation(
        one.start.src,
        one.end.src,
        (*((link.src, link.kind, link.dst) for link in ends), *one.way),
        max(link.valid_from for link in ends),
        None,
        (one.start.src, *(link.dst for link in ends)),
    )


def _why(each: Derivation, uris: Mapping[int, Uri]) -> str:
    part, *wholes = [uris[key] for key in each.things]
    one, other = [_called_in(whole) for whole in wholes]
    return f"{part.name} is in {one} and in {other}, which are one thing."


def _together(derivations: Sequence[Derivation]) -> dict[tuple[int, int], Concluded]:
    """Return the edges that parts are joined by, each since the first of its derivations."""
    found: dict[tuple[int, int], Concluded] = {}
    for each in derivations:
        known = found.get((each.start, each.end))
        since = each.valid_from if known is None else min(known.valid_from, each.valid_from)
        found[each.start, each.end] = Concluded(since, None)
    return found


def _called_in(uri: Uri) -> str:
    return "/".join(uri.parts[1:])


# ── What people say ──────────────────────────────────────────────────────────────────────────────


def decision(
    one: Uri, other: Uri, kind: str | None, *, reason: str, actor: str, at: Instant
) -> Record:
    """
    Return a person's word on two names: that they are one, that they are not, or nothing any more.

    One document for each two names, so that the last word counts and can be taken back.
    """
    start, end = sorted((one, other))
    about: dict[str, Json] = {"reason": reason, "actor": actor}
    if kind == SAME:
        about["evidence"] = "administrator"
    edges = () if kind is None else (EdgeStatement(start, kind, end, about),)
    return Record(PERSON, f"identity:{start}|{end}", start, (), edges, at)

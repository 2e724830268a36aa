"""Things as answers show them: one name for each group of names, owners, what is live."""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from lineal.enrich.identity import representative
from lineal.errors import NotFound, NotObserved, OutOfTime
from lineal.lineage import Graph, Link
from lineal.lineage.laws import BELIEVED
from lineal.model import Answer, Budget, Cut, Entity, Json, Said, State, Uri, iso
from lineal.shapes import Shapes
from lineal.store import Reader, Trial, together

if TYPE_CHECKING:
    from lineal.query.index import Index

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, order=True)
class Brief:
    """A thing in one line."""

    uri: Uri
    name: str
    status: str | None = None
    state: State = State.HYDRATED

    @property
    def type(self) -> str:
        """The thing's type."""
        return self.uri.type


class Things:
    """
    What one answer needs to know of things, read once.

    Keys are those of the reader; `one` maps each to the key that stands for its group.
    """

    def __init__(
        self,
        reader: Reader,
        shapes: Shapes,
        platforms: Sequence[str] = (),
        *,
        index: Index | None = None,
    ) -> None:
        self.reader, self.shapes, self._platforms = reader, shapes, platforms
        self.index = index
        self._groups: dict[int, frozenset[int]] = {}
        self._one: dict[int, int] = {}
        self._entities: dict[int, Entity] = {}
        self._briefs: dict[int, Brief] = {}
        #: How many things were reached, and edges looked at, by all walks of the question.
        self.reached = self.scanned = 0

    @cached_property
    def graph(self) -> Graph:
        """
        What is walked on: the same graph as the reader's, from memory where the index has it.

        A walk chooses its steps by their layers; by which it is asked over, nothing is less a part.
        """
        layers, reader = self.reader.layers, self.reader
        if layers is not None and not layers >= BELIEVED:
            reader = reader.of_layers(layers | BELIEVED)
        return reader if self.index is None else self.index.graph(reader)

    def leave_index(self) -> None:
        """Begin anew with the store alone: the index's file is damaged."""
        if self.index is not None:
            self.index.unsound()
        self.index, self.reached, self.scanned = None, 0, 0
        self.__dict__.pop("graph", None)

    @property
    def _nearest(self) -> Graph:
        """What edges are read from: memory, if the question has walked there, else the store."""
        walked: Graph = self.__dict__.get("graph", self.reader)
        return walked

    def _outward(self, keys: Collection[int], kinds: Collection[str]) -> list[Link]:
        """Return edges that begin at things, of the layers that are read."""
        layers, links = self.reader.layers, self._nearest.outward(keys, kinds)
        return [one for one in links if layers is None or one.layer in layers]

    # ── What the question may cost ───────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def finding(self, share: float = 1.0) -> Iterator[None]:
        """Keep the block within a share of the question's time in which things are found."""
        meter = self.reader.meter
        with contextlib.nullcontext() if meter is None else meter.finding(share):
            yield

    @property
    def budget(self) -> Budget:
        """What the question may cost; where nobody said, what is usual."""
        return Budget() if self.reader.meter is None else self.reader.meter.budget

    def left(self, budget: Budget, share: float = 1.0) -> Budget:
        """Return what the walks before have left of a budget, or a share of it."""
        nodes = max(0, budget.nodes - self.reached)
        edges = max(0, budget.edges - self.scanned)
        if share < 1.0:
            nodes, edges = round(nodes * share), round(edges * share)
        return replace(budget, nodes=nodes, edges=edges)

    def out_of_time(self, budget: Budget) -> Callable[[], bool]:
        """Return a function that tells whether the time to find things is used up."""
        meter = self.reader.meter
        return deadline(budget) if meter is None else meter.out_of_time

    def out_of_share(self, share: float) -> Callable[[], str]:
        """Return a function that tells by which limit a share of what is left is used up."""
        meter = self.reader.meter
        return (lambda: "") if meter is None else meter.out_of_share(share)

    def telling(self) -> contextlib.AbstractContextManager[None]:
        """Return a block in which `OutOfTime` is raised when the time is used up."""
        meter = self.reader.meter
        return contextlib.nullcontext() if meter is None else meter.telling()

    @contextlib.contextmanager
    def trying(self) -> Iterator[Trial]:
        """Try to read what is only of use as a whole; the trial says whether it could be."""
        meter = self.reader.meter
        with contextlib.nullcontext(Trial()) if meter is None else meter.trying() as trial:
            yield trial

    @property
    def cut(self) -> bool:
        """Whether rows were left unread, because there may be no more of them."""
        return self.reader.meter is not None and bool(self.reader.meter.why)

    def must_end(self) -> bool:
        """Tell whether it is time to tell of no more things."""
        return self.reader.meter is not None and self.reader.meter.must_end()

    # ── Names ────────────────────────────────────────────────────────────────────────────────

    def key(self, uri: Uri) -> int:
        """Return the key of a thing; raises `NotFound`, naming the nearest."""
        found = self.reader.keys([uri]).get(uri)
        if found is not None and not self.reader.known([found]):
            raise self._not_observed(uri, found)
        if found is None:
            raise NotFound(f"Nothing is known as {uri}.", nearest=self.reader.alike(uri))
        return found

    def _not_observed(self, uri: Uri, key: int) -> NotObserved:
        """Tell what was unknown then and is known now from what never was known."""
        t, at = self.reader.first_recorded(key)
        return NotObserved(
            f"Nothing had been observed of {uri} by transaction {self.reader.basis.t}.",
            fix=f"It was first recorded by transaction {t}, at {iso(at)}.",
        )

    def entities(self, keys: Iterable[int]) -> dict[int, Entity]:
        """Return these things, each as its own records say."""
        wanted = set(keys)
        unknown = {one for one in wanted if one not in self._entities}
        if unknown:
            self._entities.update(self.reader.entities(unknown))
        return {key: self._entities[key] for key in wanted}

    def groups(self, keys: Collection[int]) -> dict[int, frozenset[int]]:
        """Return for each thing all names of it."""
        unknown = {one for one in keys if one not in self._groups}
        if unknown:
            for key, group in self._nearest.groups(unknown).items():
                self._groups[key] = group
        return {key: self._groups[key] for key in keys}

    def one(self, keys: Collection[int]) -> dict[int, int]:
        """Return for each thing the key of the name that stands for it."""
        unknown = {one for one in keys if one not in self._one}
        groups = self.groups(unknown)
        several = {key for group in groups.values() if len(group) > 1 for key in group}
        entities = self.entities(several)
        for key, group in groups.items():
            if len(group) == 1:
                self._one[key] = key
                continue
            self._one[key] = self._first(group, entities)
        return {key: self._one[key] for key in keys}

    def stands_for(self, group: Collection[int]) -> int:
        """Return the key of the name that stands, or would stand, for all of these."""
        return self._first(group, self.entities(group))

    def _first(self, group: Collection[int], entities: Mapping[int, Entity]) -> int:
        by_uri = {entities[member].uri: member for member in group}
        return by_uri[representative([entities[key] for key in group], self._platforms)]

    def together(self, group: Collection[int]) -> dict[str, Json]:
        """Return what all names of a thing say, the one that stands for it first."""
        entities, chosen = self.entities(group), self.stands_for(group)
        ordered = sorted(group, key=lambda key: (key != chosen, entities[key].uri))
        return together(entities[key].attributes for key in ordered)

    def merged(self, keys: Collection[int]) -> dict[int, Entity]:
        """Return each thing as all its names and sources together say, the chosen name first."""
        groups, one = self.groups(keys), self.one(keys)
        entities = self.entities(member for group in groups.values() for member in group)
        return {
            key: entities[one[key]] if len(groups[key]) == 1
            else self._merged(groups[key], one[key])
            for key in keys
        }  # fmt: skip

    def _merged(self, group: frozenset[int], chosen: int) -> Entity:
        entities = self.entities(group)
        head = entities[chosen]
        ordered = sorted(group, key=lambda member: (member != chosen, entities[member].uri))
        every = [entities[member] for member in ordered]
        attributes: dict[str, Json] = {}
        said: list[Said] = []
        for entity in every:
            said.extend(entity.said)
            attributes = together([attributes, entity.attributes])
        also = tuple(entity.uri for entity in every[1:])
        states = [entity.state for entity in every if entity.state is not State.NOT_OBSERVED]
        state = head.state if head.state in states or not states else states[0]
        times = [entity.confirmed_at for entity in every if entity.confirmed_at is not None]
        at = max(times, default=None)
        return Entity(head.uri, state, attributes, tuple(said), also, at)

    def unique(self, keys: Collection[int]) -> list[int]:
        """Return each group once, in the order of its URI."""
        chosen = set(self.one(keys).values())
        uris = self.reader.uris(chosen)
        return sorted(chosen, key=lambda key: uris[key])

    def briefs(self, keys: Collection[int]) -> dict[int, Brief]:
        """Return each thing in one line, under the name that stands for it."""
        one = self.one(keys)
        untold = {chosen for chosen in one.values() if chosen not in self._briefs}
        if untold:
            entities = self.entities(untold)
            self._briefs.update((key, brief(entity)) for key, entity in entities.items())
        return {key: self._briefs[chosen] for key, chosen in one.items()}

    def owners(self, keys: Collection[int]) -> dict[int, list[int]]:
        """Return who owns each thing; a part without owners has its whole's."""
        return self._of_parts(keys, "owned_by")

    def domains(self, keys: Collection[int]) -> dict[int, list[int]]:
        """Return the domains of each thing; a part without one has its whole's."""
        return self._of_parts(keys, "in_domain")

    def _of_parts(self, keys: Collection[int], kind: str) -> dict[int, list[int]]:
        """
        Return where edges of a kind lead; from a part without any those of its wholes.

        A whole may be a part of its own part: what is found is handed down until nothing is new.
        """
        level = frozenset(self.shapes.level_kinds)
        own: dict[int, list[int]] = {}
        parts: dict[int, list[int]] = defaultdict(list)
        todo = set(keys)
        while todo:
            own.update(self._own(todo, kind))
            links = self._outward([key for key in todo if not own[key]], level)
            for link in links:
                parts[link.dst].append(link.src)
            todo = {link.dst for link in links} - own.keys()
        ends = {key: set(some) for key, some in own.items()}
        frontier = [key for key, some in own.items() if some]
        while frontier:
            whole = frontier.pop()
            for part in parts[whole]:
                if not ends[whole] <= ends[part]:
                    ends[part] |= ends[whole]
                    frontier.append(part)
        return {key: own[key] or self.unique(ends[key]) for key in keys}

    def _own(self, keys: Collection[int], kind: str) -> dict[int, list[int]]:
        groups = self.groups(keys)
        every = {member for group in groups.values() for member in group}
        ends: dict[int, list[int]] = defaultdict(list)
        for link in self._outward(every, (kind,)):
            ends[link.src].append(link.dst)
        return {
            key: self.unique([end for member in groups[key] for end in ends[member]])
            for key in keys
        }

    def teams(self, keys: Collection[int]) -> dict[int, list[int]]:
        """Return the teams that these owners are, or are members of."""
        uris, groups = self.reader.uris(keys), self.groups(keys)
        every = {member for group in groups.values() for member in group}
        member_of: dict[int, list[int]] = defaultdict(list)
        for link in self._outward(every, ("member_of",)):
            member_of[link.src].append(link.dst)
        found = {}
        for key in keys:
            own = [key] if uris[key].type == "team" else []
            if not own:
                own = [team for member in groups[key] for team in member_of[member]]
            found[key] = self.unique(own)
        return found

    def live(self, keys: Collection[int]) -> set[int]:
        """
        Return those things that are in use now by themselves, under whichever of their names.

        A deployment that serves, with weight above 0 for at least one target; a running A/B test.
        """
        uris = self.reader.uris(keys)
        words = {name: shape.live for name, shape in self.shapes.types.items() if shape.live}
        groups = self.groups([key for key in keys if uris[key].type in words])
        said = self._said(set(groups.values()))
        active = {
            key for key, group in groups.items()
            if said[group].get("status") in words[uris[key].type]
        }  # fmt: skip
        deployments = {key for key in active if uris[key].type == "deployment"}
        weighted = self._weighted({name for key in deployments for name in groups[key]})
        return active - {key for key in deployments if weighted.isdisjoint(groups[key])}

    def _said(self, groups: Collection[frozenset[int]]) -> dict[frozenset[int], Mapping[str, Json]]:
        """Return what is said of each thing, given by all its names, under all of them together."""
        self.entities(name for group in groups if len(group) > 1 for name in group)
        alone = {key: group for group in groups if len(group) == 1 for key in group}
        unread = [key for key in alone if key not in self._entities]
        read = self.reader.attributes(unread) if unread else {}
        said: dict[frozenset[int], Mapping[str, Json]] = {
            group: read[key] if key in read else self._entities[key].attributes
            for key, group in alone.items()
        }
        said.update((group, self.together(group)) for group in groups if len(group) > 1)
        return said

    def _weighted(self, keys: Collection[int]) -> set[int]:
        """
        Which names of deployments send traffic to at least one target? Unsaid weights count.

        What is live is so whatever layers are asked: a target that is only suggested gets none.
        """
        believed = self.reader.of_layers(BELIEVED)
        said = believed.said_of_edges(keys, "deploys") if keys else ()
        return {start for start, attributes in said if _weight(attributes) > 0}


def _weight(attributes: Mapping[str, Json]) -> float:
    weight = attributes.get("weight", 1)
    return float(weight) if isinstance(weight, int | float) else 1.0


#: A relation that ends in one of these is told as a state: "is served by", "is trained on".
_PASSIVE = ("_by", "_from", "_on", "_in", "_for", "_into", "_of")


def spoken(relation: str) -> str:
    """
    Return a kind, or its inverse, as it is said between two names.

    >>> spoken("served_by"), spoken("feeds")
    ('is served by', 'feeds')
    """
    words = relation.replace("_", " ")
    return f"is {words}" if relation.endswith(_PASSIVE) else words


def brief(entity: Entity) -> Brief:
    """Return an entity in one line."""
    status = entity.attributes.get("status")
    return Brief(entity.uri, entity.name, status if isinstance(status, str) else None, entity.state)


def plain(things: Things, key: int) -> Brief:
    """Return a thing in one line under this very name."""
    one = things.entities([key])[key]
    return Brief(one.uri, one.name, None, one.state)


def answer(
    reader: Reader,
    value: Value,
    *,
    why: Iterable[Cut] = (),
    total: int | None = None,
    fresh_at: int | None = None,
    notes: Iterable[str] = (),
    inferred: bool = True,
) -> Answer[Value]:
    """
    Put a value into an answer that says at which basis it was computed.

    What is *inferred* says of now whether rules have still to conclude; what they had to by then is
    not known of the past.
    """
    basis, meter = reader.basis, reader.meter
    said, told = list(notes), list(why)
    through, pieces = None, 0
    if inferred and basis.is_now:
        try:
            behind = reader.behind()
        except OutOfTime:
            behind = None
            told.append(Cut("time", "inferred"))
        if behind is not None:
            through, pieces = behind
            said.append(_BEHIND.format(through=through, pieces=pieces))
    cut = tuple(dict.fromkeys([*told, *(() if meter is None else meter.why)]))
    if meter is not None and meter.why:
        total = None
    return Answer(
        value, basis.t, basis.known_at, basis.valid_at, cut, total, fresh_at, tuple(said), through,
        pieces,
    )  # fmt: skip


_BEHIND = (
    "Rules have not concluded everything yet: what is inferred is complete through transaction "
    "{through}, and {pieces:,} pieces of work wait."
)


def deadline(budget: Budget) -> Callable[[], bool]:
    """Return a function that tells whether the time of a budget is used up."""
    until = time.monotonic() + budget.milliseconds / 1_000
    return lambda: time.monotonic() > until

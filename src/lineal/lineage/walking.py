"""A walk: breadth first, a level at a time, within a budget.

The meaning of a walk (grains, parts and wholes, the three laws) is told in
``docs/explanation/questions.md``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence
from operator import itemgetter

from lineal.errors import OutOfTime
from lineal.lineage.active import active_versions
from lineal.lineage.graph import Graph, Link, Step
from lineal.lineage.laws import COARSE, CURRENT, LIFTED, believed, fine_types
from lineal.lineage.reach import leading
from lineal.lineage.walked import Label, Mode, Reached, Walk, Way
from lineal.model import Budget, Cut, Instant
from lineal.shapes import Shapes

#: After how many edges of a level it is asked whether there is time for more.
_LOOK = 500


def walk(
    graph: Graph,
    shapes: Shapes,
    starts: Collection[int],
    way: Way,
    budget: Budget,
    out_of_time: Callable[[], bool] = lambda: False,
    among: Container[int] | None = None,
) -> Walk:
    """
    Walk from *starts* and return all that is reached within *budget*.

    No step is taken to what is not *among* these; None: to all.

    *out_of_time* is asked at each level and within large ones, and the graph may raise `OutOfTime`
    in the midst of one: then what was reached by then is returned. What was cut is said in the
    walk's ``why``.
    """
    return _Walker(graph, shapes, way, budget, out_of_time, among).go(starts)


def stepping(
    graph: Graph, shapes: Shapes, way: Way, most: int
) -> Callable[[Collection[int], Label], list[tuple[Step, Label]]]:
    """
    Return a function that tells where a single step leads from things that were all reached alike.

    Raises:
        OverflowError: more than *most* edges were read, by all calls together.
    """
    walker = _Walker(graph, shapes, way, Budget(1, 1 << 60, most, 1 << 60), lambda: False)
    return walker.one_step


_Item = tuple[int, Label]


class _Walker:
    """One walk in the making: breadth first, a level at a time."""

    def __init__(
        self,
        graph: Graph,
        shapes: Shapes,
        way: Way,
        budget: Budget,
        out_of_time: Callable[[], bool],
        among: Container[int] | None = None,
    ) -> None:
        self._graph, self._shapes, self._way = graph, shapes, way
        self._budget, self._out_of_time, self._among = budget, out_of_time, among
        self._level = frozenset(shapes.level_kinds)
        self._feedback = shapes.kinds_in(("feedback",)) - shapes.kinds_in(way.classes)
        self._outward, self._inward = self._sides()
        self._leading = None if way.towards is None else leading(shapes, way, way.towards)
        self._labels: dict[int, list[Label]] = defaultdict(list)
        self._active: dict[int, frozenset[int]] = {}
        self._types: dict[int, str] = {}
        #: Limits by which something was left out in the midst of a level.
        self._refused: set[str] = set()
        self._groups: dict[int, frozenset[int]] = {}
        self._fine = fine_types(shapes)
        self.result = Walk()

    def _sides(self) -> tuple[frozenset[str], frozenset[str]]:
        """Which kinds are followed from the start of an edge, which from its end?"""
        kinds = self._shapes.kinds_in(self._way.classes) | self._feedback
        if self._way.kinds is not None:
            kinds &= self._way.kinds
        towards = -1 if self._way.upstream else 1
        outward = frozenset(kind for kind in kinds if self._shapes.flows(kind) == towards)
        inward = frozenset(kind for kind in kinds if self._shapes.flows(kind) == -towards)
        return outward, inward

    def go(self, starts: Collection[int]) -> Walk:
        """Walk level by level until nothing new is found or the budget is used up."""
        for key in starts:
            self.result.reached[key] = Reached(key, 0, False, False, None)
        try:
            level = self._settle([(key, Label(Mode.FULL)) for key in starts], 0)
            depth = 0
            while level and not self._spent(depth, level):
                depth += 1
                level = self._settle(self._expand(level, depth), depth)
        except OutOfTime:
            self.result.why.append(Cut("time", most=self._budget.milliseconds))
        said = {cut.limit for cut in self.result.why}
        self.result.why.extend(self._reason(name) for name in sorted(self._refused - said))
        return self.result

    def _reason(self, name: str) -> Cut:
        """Say which limit was hit: of things, or of edges."""
        if name == "nodes":
            return Cut("nodes", done=len(self.result.reached), most=self._budget.nodes)
        return Cut("edges", done=self.result.scanned, most=self._budget.edges)

    def _spent(self, depth: int, level: Sequence[_Item]) -> bool:
        """Say in the result which limit was hit, if one was."""
        budget, found, read = self._budget, len(self.result.reached), self.result.scanned
        deep = depth >= budget.depth
        limits = (
            # Of some things alone it is asked how they are reached, and not what lies beyond them.
            (
                deep and self._among is None and self._leads_on(level),
                Cut("depth", done=budget.depth),
            ),
            (found >= budget.nodes, self._reason("nodes")),
            (read >= budget.edges, self._reason("edges")),
            (self._out_of_time(), Cut("time", most=budget.milliseconds)),
        )
        self.result.why.extend(cut for hit, cut in limits if hit)
        return deep or any(hit for hit, _ in limits)

    def _leads_on(self, level: Sequence[_Item]) -> bool:
        """Would one more step come to anything new?"""
        reached = self.result.reached
        return any(
            step.end not in reached for step, arrived in self._onward(level) if arrived is not None
        )

    # ── What costs no step ───────────────────────────────────────────────────────────────────

    def _settle(self, items: list[_Item], depth: int) -> list[_Item]:
        """Add other names and wholes of what was reached; return what is new to go on from."""
        fresh: list[_Item] = []
        while items:
            new = [item for item in items if self._is_news(*item)]
            fresh.extend(new)
            items = self._same(new, depth) + self._wholes(new, depth)
        return fresh

    def _is_news(self, key: int, label: Label) -> bool:
        known = self._labels[key]
        if any(one.outdoes(label) for one in known):
            return False
        self._labels[key] = [one for one in known if not label.outdoes(one)] + [label]
        return True

    def _same(self, items: Sequence[_Item], depth: int) -> list[_Item]:
        self._join(key for key, _ in items)
        found = []
        for key, label in items:
            known = self.result.reached[key]
            for other in self._groups[key] - {key}:
                if self._note(other, depth, label, known.step, known.through):
                    found.append((other, label))
        return found

    def _join(self, keys: Iterable[int]) -> None:
        """Remember all names of things."""
        unknown = {key for key in keys if key not in self._groups}
        if unknown:
            self._groups.update(self._graph.groups(unknown))

    def _wholes(self, items: Sequence[_Item], depth: int) -> list[_Item]:
        """A part shows its whole, and covers the statements that name only the whole."""
        labels: dict[int, list[Label]] = defaultdict(list)
        for key, label in items:
            labels[key].append(label)
        found = []
        links = believed(self._graph.outward(labels, self._level))
        self._join(link.dst for link in links)
        for link in links:
            for label in labels[link.src]:
                shown = Label(label.mode, label.possible, label.approximate)
                noted = {
                    name
                    for name in self._groups[link.dst]
                    if self._note(name, depth, shown, None, link.src)
                }
                if link.dst not in noted:
                    continue
                self.result.contained.add((link.src, link.kind, link.dst))
                mode = min(label.mode, Mode.NARROW)
                found.append((link.dst, Label(mode, True, label.approximate, label.run)))
        return found

    def _note(
        self, key: int, depth: int, label: Label, step: Step | None, through: int | None
    ) -> bool:
        """
        Remember that a thing was reached, and by its best way whether only possibly.

        False where as many things as the budget allows are reached, and this is not one of them.
        """
        known = self.result.reached.get(key)
        if known is None and len(self.result.reached) >= self._budget.nodes:
            self._refused.add("nodes")
            return False
        if known is None or (known.through is not None and known.depth == 0 < depth):
            self.result.reached[key] = Reached(
                key, depth, label.possible, label.approximate, step, through
            )
            return True
        known.possible = known.possible and label.possible
        known.approximate = known.approximate and label.approximate
        return True

    def one_step(self, keys: Collection[int], label: Label) -> list[tuple[Step, Label]]:
        """Return where a single step leads from these; see `stepping`."""
        self._join(keys)
        found = [
            (step, arrived)
            for step, arrived in self._onward([(key, label) for key in keys])
            if arrived is not None
        ]
        if "edges" in self._refused:
            raise OverflowError(f"More than {self._budget.edges} edges were read.")
        return found

    # ── One step ─────────────────────────────────────────────────────────────────────────────

    def _expand(self, items: Sequence[_Item], depth: int) -> list[_Item]:
        """Go one step from every item; return what was come to."""
        found: list[_Item] = []
        for step, arrived in self._onward(items):
            if self._among is not None and step.end not in self._among:
                continue
            if arrived is None:
                self.result.feedback.append(step)
            elif self._note(step.end, depth, arrived, step, None):
                self._keep(step)
                found.append((step.end, arrived))
        return found

    def _onward(self, items: Sequence[_Item]) -> Iterator[tuple[Step, Label | None]]:
        """Yield every step from these items, and how it comes to its end; feedback does not."""
        owners = self._owners(self._worth_it(items))
        links = self._links(owners)
        finely = self._stated_finely(links)
        targets = self._targets({self._other(link) for link in links}, links)
        for at, (link, outward) in enumerate(links):
            if at % _LOOK == _LOOK - 1 and self._out_of_time():
                raise OutOfTime("The time of the walk is used up.")
            owner = link.src if outward else link.dst
            kind, layer, edge = link.kind, link.layer, (link.src, link.kind, link.dst)
            for item, label in owners[owner]:
                for target, exact in targets[self._key_of(link, outward)]:
                    if kind in self._feedback:
                        yield Step(item, kind, target, layer, label.possible, edge), None
                        continue
                    arrived = self._arrived(link, label, exact, finely)
                    if arrived is not None and target not in self._groups[item]:
                        shown = arrived.mode is Mode.SHOWN
                        yield Step(item, kind, target, layer, label.possible, edge, shown), arrived

    def _worth_it(self, items: Sequence[_Item]) -> Sequence[_Item]:
        """Leave out what leads to nothing that is asked for, by what the shapes declare."""
        leading = self._leading
        if leading is None:
            return items
        self._learn({key for key, _ in items})
        return [item for item in items if leading(self._types[item[0]])]

    def _links(self, owners: Collection[int]) -> list[tuple[Link, bool]]:
        """Return the edges to follow from these, as many as may still be looked at."""
        most = max(0, self._budget.edges - self.result.scanned)
        out = self._graph.outward(owners, self._outward, most) if self._outward else []
        inward = self._graph.inward(owners, self._inward, most) if self._inward else []
        both = [(link, True) for link in out] + [(link, False) for link in inward]
        if len(both) > most:
            # Before any is left out for its layer: what was not read may be of another.
            self._refused.add("edges")
            del both[most:]
        self.result.scanned += len(both)
        return [(link, side) for link, side in both if link.layer in self._way.layers]

    @staticmethod
    def _other(link: tuple[Link, bool]) -> int:
        return link[0].dst if link[1] else link[0].src

    def _key_of(self, link: Link, outward: bool) -> tuple[int, Instant]:
        return (link.dst if outward else link.src), link.valid_from

    def _owners(self, items: Sequence[_Item]) -> dict[int, list[_Item]]:
        """Whose statements are followed from each item: its own, and its parts' if it is full."""
        owners: dict[int, list[_Item]] = defaultdict(list)
        for key, label in items:
            if label.mode is not Mode.SHOWN:
                owners[key].append((key, label))
        covered = self._parts([key for key, label in items if label.mode is Mode.FULL])
        for key, label in items:
            if label.mode is Mode.FULL:
                for part, certain in covered.get(key, ()):
                    doubt = label.possible or not certain
                    owners[part].append(
                        (key, Label(Mode.FULL, doubt, label.approximate, label.run))
                    )
        return owners

    def _parts(self, keys: Collection[int]) -> dict[int, list[tuple[int, bool]]]:
        """Return the parts that each whole covers, and whether their statements surely count."""
        covered: dict[int, list[tuple[int, bool]]] = defaultdict(list)
        roots: dict[int, set[tuple[int, bool]]] = {key: {(key, True)} for key in keys}
        while roots:
            below: dict[int, set[tuple[int, bool]]] = defaultdict(set)
            links = believed(self._graph.inward(roots, self._level))
            self._learn({link.src for link in links})
            dropped = self._inactive(links)
            for link in links:
                if (link.src, link.dst) in dropped:
                    continue
                lifted = self._way.logical and LIFTED.get(self._types[link.src]) == link.kind
                for root, certain in roots[link.dst]:
                    entry = (link.src, certain and lifted)
                    if entry not in covered[root] and link.src != root:
                        covered[root].append(entry)
                        below[link.src].add((root, entry[1]))
            roots = dict(below)
        return covered

    def _inactive(self, links: Iterable[Link]) -> set[tuple[int, int]]:
        """
        Of a model's versions only the active ones count in a logical walk: leave out the others.

        Version and model: what is idle as a version of one model may be active as one of another.
        """
        if not self._way.logical:
            return set()
        versions: dict[int, set[int]] = defaultdict(set)
        for link in links:
            if link.kind == "version_of" and self._types[link.src] == "model-version":
                versions[link.dst].add(link.src)
        active = self._active_of(versions)
        return {(key, model) for model, keys in versions.items() for key in keys - active[model]}

    def _active_of(self, models: Iterable[int]) -> dict[int, frozenset[int]]:
        """Return the active versions of models; see `active_versions`."""
        unknown = [model for model in models if model not in self._active]
        if unknown:
            self._active.update(active_versions(self._graph, unknown))
        return self._active

    # ── Where a step leads ───────────────────────────────────────────────────────────────────

    def _targets(
        self, keys: Collection[int], links: Sequence[tuple[Link, bool]]
    ) -> dict[tuple[int, Instant], list[tuple[int, bool]]]:
        """Return where each end of an edge stands at the walk's grain, and if that is exact."""
        self._learn(keys)
        ends = {self._key_of(link, side) for link, side in links}
        if self._way.logical:
            lifted = self._lifted(keys)
            return {end: [(key, True) for key in lifted[end[0]]] for end in ends}
        return self._current_parts(ends)

    def _lifted(self, keys: Collection[int]) -> dict[int, list[int]]:
        """A run counts for its pipeline, a version for its whole; the inactive for nothing."""
        parts = {key for key in keys if self._types[key] in LIFTED}
        wholes: dict[int, list[int]] = defaultdict(list)
        links = [
            link
            for link in believed(self._graph.outward(parts, frozenset(LIFTED.values())))
            if LIFTED[self._types[link.src]] == link.kind
        ]
        active = self._active_of(
            {link.dst for link in links if self._types[link.src] == "model-version"}
        )
        without = parts - {link.src for link in links}
        for link in links:
            if self._types[link.src] != "model-version" or link.src in active[link.dst]:
                wholes[link.src].append(link.dst)
        return {
            key: [key] if key not in parts or key in without else sorted(set(wholes[key]))
            for key in keys
        }

    def _current_parts(
        self, ends: Collection[tuple[int, Instant]]
    ) -> dict[tuple[int, Instant], list[tuple[int, bool]]]:
        """An edge that names a whole leads to the version current at its time, else the whole."""
        wholes = {key for key, _ in ends if self._types[key] in CURRENT}
        versions: dict[int, list[tuple[Instant, int]]] = defaultdict(list)
        for link in believed(self._graph.inward(wholes, ("version_of",))):
            versions[link.dst].append((link.valid_from, link.src))
        for some in versions.values():
            some.sort()
        found: dict[tuple[int, Instant], list[tuple[int, bool]]] = {}
        for key, at in ends:
            those = versions.get(key, ())
            earlier = bisect_right(those, at, key=itemgetter(0))
            if earlier:
                found[(key, at)] = [(those[earlier - 1][1], True)]
            else:
                found[(key, at)] = [(key, key not in wholes)]
        return found

    def _arrived(
        self, link: Link, label: Label, exact: bool, finely: Collection[tuple[int, int]]
    ) -> Label | None:
        """Return how a step comes to its end; None where it is not to be taken."""
        limit = self._shapes.kinds[link.kind].depth
        run = label.run + 1 if limit is not None else 0
        if limit is not None and run > limit:
            return None
        mode = Mode.FULL
        if (link.document, link.src) in finely and link.kind in COARSE:
            if link.kind == "derived_from" or not self._way.upstream:
                return None
            mode = Mode.SHOWN
        return Label(mode, label.possible, label.approximate or not exact, run)

    def _keep(self, step: Step) -> None:
        """Keep of steps between the same two the one that leads on, over their own statement."""
        name = (step.start, step.kind, step.end)
        known = self.result.steps.get(name)
        if known is None or _reservations(step) < _reservations(known):
            self.result.steps[name] = step

    def _stated_finely(self, links: Sequence[tuple[Link, bool]]) -> set[tuple[int, int]]:
        """Of which outputs did the same document state edges of columns or features? (Law 3.)"""
        outputs = {(link.document, link.src) for link, _ in links if link.kind in COARSE}
        fine = self._graph.fine_documents({document for document, _ in outputs})
        outputs = {one for one in outputs if one[0] in fine}
        self._learn({output for _, output in outputs})
        outputs = {one for one in outputs if self._types[one[1]] not in self._fine}
        if not outputs:
            return set()
        holders = {output: {output} for _, output in outputs}
        for link in believed(self._graph.outward(holders, ("version_of",))):
            holders[link.src].add(link.dst)
        parts: dict[int, set[int]] = defaultdict(set)
        # Columns and features: a version is no finer than its whole.
        every = {one for held in holders.values() for one in held}
        for link in believed(self._graph.inward(every, self._level - set(LIFTED.values()))):
            parts[link.dst].add(link.src)
        every = {part for some in parts.values() for part in some}
        stated = believed(self._graph.outward(every, ("derived_from",)))
        self._learn({end for link in stated for end in (link.src, link.dst)})
        finely = {
            (link.document, link.src)
            for link in stated
            if self._types[link.src] in self._fine and self._types[link.dst] in self._fine
        }
        return {
            (document, output)
            for document, output in outputs
            if any((document, part) in finely for held in holders[output] for part in parts[held])
        }

    def _learn(self, keys: Iterable[int]) -> None:
        """Remember the types of things."""
        unknown = [key for key in keys if key not in self._types]
        self._types.update(self._graph.types(unknown))


def _reservations(step: Step) -> tuple[bool, bool]:
    """A step that is only shown, and one over a statement of a part, are worth less."""
    return step.shown, step.start not in (step.edge[0], step.edge[2])

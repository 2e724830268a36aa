"""A seeded ML estate to measure on, of any size: M is 1,000,000 things and 3.8 M lineage edges.

Projects of lognormal size go from source tables over data sets, features, feature sets, runs and
model versions to evaluations, deployments, services and experiments; a few platform projects own
tables that all others use, by Zipf's law. Things are numbered by the time of their creation, so
that projects interleave. Each is one document of about 330 bytes and its edges; records are made
as they are asked for.
"""

from __future__ import annotations

from array import array
from bisect import bisect
from collections.abc import Iterator
from itertools import accumulate
from random import Random

from lineal.model import EdgeStatement, Json, Record, Statement, Uri

#: Things, by the name of a size.
SIZES = {"XS": 2_000, "S": 10_000, "M": 1_000_000}
#: How much of a project is of which type, in the order of creation; the rest are data sets.
_SHARES = (
    ("pipeline", 0.04),
    ("dataset", 0.30),
    ("feature", 0.20),
    ("feature-set", 0.05),
    ("ab-test", 0.015),
    ("ab-cell", 0.03),
    ("run", 0.15),
    ("model", 0.015),
    ("model-version", 0.10),
    ("evaluation", 0.07),
    ("service", 0.01),
    ("deployment", 0.02),
)
_TYPES = tuple(name for name, _ in _SHARES)
#: Which edges a thing of a type has: kind, type at the other end, how many.
_EDGES: dict[str, tuple[tuple[str, str, int], ...]] = {
    "pipeline": (("reads", "dataset", 2),),
    "dataset": (("derived_from", "dataset", 3), ("produced_by", "pipeline", 1)),
    "feature": (("derived_from", "dataset", 3),),
    "feature-set": (("derived_from", "dataset", 4),),
    "ab-cell": (("cell_of", "ab-test", 1),),
    "run": (
        ("run_of", "pipeline", 1), ("reads", "dataset", 3), ("reads", "feature-set", 1),
        ("executed_for", "ab-cell", 1),
    ),
    "model": (("consumes", "feature", 2),),
    "model-version": (
        ("version_of", "model", 1), ("produced_by", "run", 1), ("consumes", "feature", 3),
        ("trained_on", "dataset", 1), ("served_in", "ab-cell", 1),
    ),
    "evaluation": (("evaluates", "model-version", 1), ("evaluated_on", "dataset", 1)),
    "service": (("reads", "dataset", 1),),
    "deployment": (("deploys", "model-version", 2), ("deployed_on", "service", 1)),
}  # fmt: skip
_KINDS = sorted({kind for edges in _EDGES.values() for kind, _, _ in edges})
#: How often a data set is taken from a platform project instead of one's own.
_SHARED = 0.2
_TEAMS = 400
_STAGES = ("experimental", "production", "staging", "deprecated")
#: 2026-01-06 in microseconds; each thing is a second younger than the one before.
_BEGIN = 1_767_657_600_000_000


class Graph:
    """The things of one estate and their edges, as numbers."""

    def __init__(self, things: int, *, seed: int = 7) -> None:
        self.seed = seed
        dice = Random(seed)
        projects = _projects(things, dice)
        order = _created(projects, dice)
        self._project, self._type, self._place = order
        self._starts = array("q", [0])
        self._targets = array("i")
        self._codes = bytearray()
        self._join(projects, dice)
        self._uris: list[Uri | None] = [None] * len(self._project)

    def __len__(self) -> int:
        return len(self._project)

    @property
    def edges(self) -> int:
        """How many lineage edges there are; owners come on top."""
        return len(self._targets)

    def _join(self, projects: list[list[int]], dice: Random) -> None:
        """Draw the edges: to older things of the same project, or to a shared table."""
        members: list[dict[int, list[int]]] = [{} for _ in projects]
        dataset = _TYPES.index("dataset")
        hubs: list[int] = []
        weights: list[float] = []
        for thing in range(len(self._project)):
            project, kind = self._project[thing], self._type[thing]
            own = members[project]
            for name, other, count in _EDGES.get(_TYPES[kind], ()):
                code, wanted = _KINDS.index(name), _TYPES.index(other)
                for _ in range(count):
                    if wanted == dataset and hubs and dice.random() < _SHARED:
                        target = hubs[bisect(weights, dice.random() * weights[-1])]
                    elif candidates := own.get(wanted):
                        target = dice.choice(candidates)
                    else:
                        continue
                    self._targets.append(target)
                    self._codes.append(code)
            self._starts.append(len(self._targets))
            own.setdefault(kind, []).append(thing)
            if kind == dataset and project < max(1, len(projects) // 200):
                hubs.append(thing)
                weights.append((weights[-1] if weights else 0.0) + 1.0 / len(hubs))

    # ── Records ──────────────────────────────────────────────────────────────────────────────

    def uri(self, thing: int) -> Uri:
        """Return the name of a thing."""
        found = self._uris[thing]
        if found is None:
            kind = _TYPES[self._type[thing]]
            name = f"{kind}_{self._place[thing]}"
            found = Uri.of(kind, "bench", f"project-{self._project[thing]}", name)
            self._uris[thing] = found
        return found

    def type(self, thing: int) -> str:
        """Return of which type a thing is."""
        return _TYPES[self._type[thing]]

    def record(self, thing: int, *, version: int = 0, moved: int | None = None) -> Record:
        """
        Return what a source says of a thing.

        Each *version* has another description; *moved* is a thing that one of its edges goes to
        instead.
        """
        uri = self.uri(thing)
        first, last = self._starts[thing], self._starts[thing + 1]
        ends = [(_KINDS[self._codes[at]], self.uri(self._targets[at])) for at in range(first, last)]
        if moved is not None and ends and self.uri(moved).type == ends[-1][1].type:
            ends[-1] = (ends[-1][0], self.uri(moved))
        edges = [EdgeStatement(uri, kind, end) for kind, end in dict.fromkeys(ends)]
        if thing % 200:
            edges.append(EdgeStatement(uri, "owned_by", _team(thing)))
        return Record(
            "bench",
            "/".join(uri.parts[2:]),
            uri,
            (Statement(uri, self._attributes(thing, version)),),
            tuple(edges),
            _BEGIN + thing * 1_000_000,
        )

    def _attributes(self, thing: int, version: int) -> dict[str, Json]:
        project, kind = self._project[thing], _TYPES[self._type[thing]]
        return {
            "name": f"{kind}_{self._place[thing]}",
            "description": f"A {kind} of project {project}, made by the nightly job of its team; "
            f"see the wiki for who uses it. Revision {version}.",
            "stage": _STAGES[thing % 4],
            "tags": [f"team::{thing % _TEAMS}", f"tier::{thing % 3}"],
            "created_at": f"2026-01-06T04:{thing % 60:02}:00Z",
            "updated_at": f"2026-03-06T04:{thing % 60:02}:00Z",
            "version": str(version + 1),
            "link": f"https://wiki.example/projects/{project}/{kind}",
        }

    def records(self) -> Iterator[Record]:
        """Yield the record of every thing, the oldest first."""
        return (self.record(thing) for thing in range(len(self)))

    def parents(self, thing: int) -> list[int]:
        """Return where the edges of a thing go."""
        return list(self._targets[self._starts[thing] : self._starts[thing + 1]])


_TEAM_URIS = [Uri.of("team", "bench", f"team-{number}") for number in range(_TEAMS)]


def _team(thing: int) -> Uri:
    return _TEAM_URIS[thing % _TEAMS]


def _projects(things: int, dice: Random) -> list[list[int]]:
    """Return the types of the things of each project, in the order of their creation."""
    projects: list[list[int]] = []
    left = things
    while left > 0:
        size = min(left, max(20, int(dice.lognormvariate(5.5, 1.0))))
        left -= size
        bounds = list(accumulate(share for _, share in _SHARES))
        kinds = [min(bisect(bounds, place / size), len(_TYPES) - 1) for place in range(size)]
        projects.append(kinds)
    return projects


def _created(projects: list[list[int]], dice: Random) -> tuple[array[int], array[int], array[int]]:
    """Return project, type and number in its project of every thing, the oldest first."""
    moments: list[tuple[float, int, int]] = []
    for number, kinds in enumerate(projects):
        begin, length = dice.random(), 0.02 + dice.random() * 0.2
        begin = 0.0 if number < max(1, len(projects) // 200) else begin
        moments += [(begin + length * at / len(kinds), number, at) for at in range(len(kinds))]
    moments.sort()
    return (
        array("i", (number for _, number, _ in moments)),
        array("i", (projects[number][at] for _, number, at in moments)),
        array("i", (at for _, _, at in moments)),
    )

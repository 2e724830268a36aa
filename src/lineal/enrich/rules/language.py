"""The language of rules: paths in openCypher's notation, read character by character.

A path is things joined by arrows: ``(m:model-version)-[:produced_by]->(r:run)``. A thing has a
name, or types, or both: ``(x)``, ``(:ab-cell)``, ``(d:dataset|feature)``. An arrow has kinds, may
have a name by which conditions speak of what is said of the edge (``-[p:points_to]->``), may
be gone several times (``*1..3``), and may be asked to be of some layers
(``{layer: 'observed'}``, ``{layer: ['declared', 'observed']}``). Paths that are joined by equal
values stand beside each other, with a comma between.

The notation is that of openCypher 9 (https://opencypher.org), of which this is a small part.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lineal.errors import RuleError

#: How often an arrow may be gone at most: what is farther is a question, not a rule.
MOST_REPEATS = 8

_NAME = r"[A-Za-z_]\w*"
_TYPE = r"[a-z][a-z0-9-]*"
_NODE = re.compile(
    rf"\(\s*(?P<name>{_NAME})?\s*(?::\s*(?P<types>{_TYPE}(?:\s*\|\s*{_TYPE})*)\s*)?\)"
)
_ARROW = re.compile(
    rf"(?P<back><)?-\s*\[\s*(?P<name>{_NAME})?\s*:\s*(?P<kinds>{_NAME}(?:\s*\|\s*{_NAME})*)\s*"
    r"(?P<star>\*\s*(?P<least>\d+)?\s*(?P<dots>\.\.\s*(?P<most>\d+)?)?)?\s*"
    r"(?:\{\s*layer\s*:\s*(?P<layers>'\w+'|\[\s*'\w+'(?:\s*,\s*'\w+')*\s*\])\s*\}\s*)?"
    r"\]\s*-(?P<forth>>)?"
)
_LAYERS = ("declared", "observed", "inferred", "suggested")


@dataclass(frozen=True, slots=True)
class Place:
    """A thing of a pattern, as it was written."""

    name: str | None
    #: None where any type will do.
    types: frozenset[str] | None
    #: At which character it stands, counted from one.
    at: int


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow of a pattern: its kinds, whether it points along the path, and how often it goes."""

    kinds: tuple[str, ...]
    forward: bool
    #: Of which layers the edges are to be; None: of any.
    layers: frozenset[str] | None
    least: int
    most: int
    at: int
    #: By which conditions speak of it.
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Chain:
    """Things joined by arrows: one more thing than arrows."""

    places: tuple[Place, ...]
    arrows: tuple[Arrow, ...]

    def turned(self) -> Chain:
        """Return the same path, gone from its other end."""
        arrows = (replace(one, forward=not one.forward) for one in reversed(self.arrows))
        return Chain(self.places[::-1], tuple(arrows))


def read_chains(pattern: str, file: str) -> tuple[Chain, ...]:
    """
    Read paths with commas between them.

    Raises:
        RuleError: what is expected, at which character of the pattern.
    """
    reader = _Reading(pattern, file)
    chains = [reader.chain()]
    while reader.takes(","):
        chains.append(reader.chain())
    reader.end()
    return tuple(chains)


class _Reading:
    """A pattern, and how far it was read."""

    def __init__(self, pattern: str, file: str) -> None:
        self._pattern, self._file = pattern, file
        self._at = 0
        self._pass_blanks()

    def chain(self) -> Chain:
        """Read things joined by arrows."""
        places, arrows = [self._place()], list[Arrow]()
        while self._at < len(self._pattern) and self._pattern[self._at] != ",":
            arrows.append(self._arrow())
            places.append(self._place())
        return Chain(tuple(places), tuple(arrows))

    def takes(self, mark: str) -> bool:
        """Go past a mark, if it comes next."""
        if not self._pattern.startswith(mark, self._at):
            return False
        self._at += len(mark)
        self._pass_blanks()
        return True

    def end(self) -> None:
        """See that nothing is left."""
        if self._at < len(self._pattern):
            raise self._expected("an arrow, a comma or the end")

    def _place(self) -> Place:
        found = _NODE.match(self._pattern, self._at)
        if found is None or (found["name"] is None and found["types"] is None):
            raise self._expected("(name:type)")
        place = Place(found["name"], _parts(found["types"]), self._at + 1)
        self._onward(found)
        return place

    def _arrow(self) -> Arrow:
        found = _ARROW.match(self._pattern, self._at)
        if found is None or bool(found["back"]) == bool(found["forth"]):
            raise self._expected("-[:kind]-> or <-[:kind]-")
        least, most = self._repeats(found)
        if found["name"] and found["star"] is not None:
            raise self._wrong(
                f"The arrow at character {self._at + 1} has a name and is gone several times",
                "Leave the name or the repetition out: a condition is on one edge.",
            )
        arrow = Arrow(
            tuple(sorted(_parts(found["kinds"]) or ())),
            found["forth"] is not None,
            self._layers(found["layers"]),
            least,
            most,
            self._at + 1,
            found["name"],
        )
        self._onward(found)
        return arrow

    def _repeats(self, found: re.Match[str]) -> tuple[int, int]:
        if found["star"] is None:
            return 1, 1
        at = found.start("star") + 1
        least = int(found["least"]) if found["least"] else 1
        if found["dots"]:
            most = int(found["most"]) if found["most"] else None
        else:
            most = int(found["least"]) if found["least"] else None
        if most is None:
            raise self._wrong(f"The repetition at character {at} has no end", "Write *1..3.")
        if most > MOST_REPEATS or most < max(least, 1):
            raise self._wrong(
                f"The repetition at character {at} goes from {least} to {most}",
                f"Let it go from at least 0 to at most {MOST_REPEATS}, such as *1..3.",
            )
        return least, most

    def _layers(self, text: str | None) -> frozenset[str] | None:
        if text is None:
            return None
        layers = frozenset(re.findall(r"\w+", text))
        unknown = sorted(layers - set(_LAYERS))
        if unknown:
            raise self._wrong(f"There is no layer {unknown[0]!r}", f"Say {', '.join(_LAYERS)}.")
        return layers

    def _onward(self, found: re.Match[str]) -> None:
        self._at = found.end()
        self._pass_blanks()

    def _pass_blanks(self) -> None:
        while self._at < len(self._pattern) and self._pattern[self._at].isspace():
            self._at += 1

    def _expected(self, what: str) -> RuleError:
        return RuleError(
            f"Expected {what} at character {self._at + 1} of {self._pattern!r}.", file=self._file
        )

    def _wrong(self, what: str, fix: str) -> RuleError:
        return RuleError(f"{what} in {self._pattern!r}.", file=self._file, fix=fix)


def _parts(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(part.strip() for part in text.split("|"))

"""All shapes together, and the questions asked of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from importlib.resources import files
from os import PathLike, fspath
from pathlib import Path
from types import MappingProxyType

from lineal.errors import ShapeError
from lineal.shapes.declarations import CLASSES, FLOWS, EdgeKind, EntityType
from lineal.shapes.gather import gather
from lineal.shapes.nodes import SHIPPED, nearest
from lineal.shapes.parse import Parsed

#: The files that Lineal ships, in the order in which a model comes about.
BUILTIN = (
    *("every", "data", "features", "pipelines", "models", "evaluation", "experiments"),
    *("serving", "generative", "people", "code", "structure"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Shapes(Mapping[str, EntityType]):
    """
    Every entity type by its name, and every edge kind. Never changed, only loaded anew.

    Where a kind is asked for, its inverse is understood too, and then start and end are those of
    the inverse.

    >>> shapes = Shapes.builtin()
    >>> shapes["model-version"].title
    'Model version'
    >>> kind, inverted = shapes.kind_of("writes")
    >>> kind.name, inverted
    ('produced_by', True)
    >>> shapes.flows("produced_by"), shapes.flows("writes")
    (-1, 1)
    """

    types: Mapping[str, EntityType]
    kinds: Mapping[str, EdgeKind]
    #: The names of kinds by class; every class is there.
    classes: Mapping[str, tuple[str, ...]]
    #: The names of types by domain, in the order of their files.
    domains: Mapping[str, tuple[str, ...]]
    #: A digest of all that is declared: equal versions mean equal shapes.
    version: str
    _inverses: Mapping[str, str]

    @classmethod
    def builtin(cls) -> Shapes:
        """Return what Lineal ships."""
        return _builtin()

    @classmethod
    def load(cls, *paths: str | PathLike[str]) -> Shapes:
        """
        Return what Lineal ships and the files at *paths* add.

        Raises:
            ShapeError: a file cannot be read or says what cannot be; with file, line and fix.
        """
        if not paths:
            return cls.builtin()
        parsed = _shipped().copy()
        for path in paths:
            parsed.add(_text(Path(path)), fspath(path))
        return _shapes(parsed)

    def __getitem__(self, name: str) -> EntityType:
        return self.types[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.types)

    def __len__(self) -> int:
        return len(self.types)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shapes) and self.version == other.version

    def __hash__(self) -> int:
        return hash(self.version)

    def __repr__(self) -> str:
        return f"<Shapes {self.version}: {len(self.types)} types, {len(self.kinds)} kinds>"

    def type(self, name: str) -> EntityType:
        """Return the type of this name, or raise `ShapeError` with the nearest."""
        if name not in self.types:
            raise ShapeError(f"There is no type {name!r}.", fix=nearest(name, self.types))
        return self.types[name]

    def kind(self, name: str) -> EdgeKind:
        """Return the kind of this name, which may not be an inverse, or raise `ShapeError`."""
        kind, inverted = self.kind_of(name)
        if inverted:
            raise ShapeError(
                f"{name!r} is the inverse of {kind.name!r}.", fix=f"Use {kind.name!r}."
            )
        return kind

    def kind_of(self, name: str) -> tuple[EdgeKind, bool]:
        """Return the kind that *name* spells, and whether it spells the inverse."""
        if name in self.kinds:
            return self.kinds[name], False
        if name in self._inverses:
            return self.kinds[self._inverses[name]], True
        raise ShapeError(
            f"There is no kind {name!r}.", fix=nearest(name, [*self.kinds, *self._inverses])
        )

    def flows(self, kind: str) -> int:
        """Return +1 if data goes from start to end, -1 if from end to start, 0 if none goes."""
        found, inverted = self.kind_of(kind)
        return -FLOWS[found.flow] if inverted else FLOWS[found.flow]

    def allows(self, kind: str, from_type: str, to_type: str) -> bool:
        """Tell whether *kind* may go from the one type to the other, both of which must exist."""
        found, inverted = self.kind_of(kind)
        ends = (to_type, from_type) if inverted else (from_type, to_type)
        return all(name in self.types for name in ends) and found.allows(*ends)

    def nature(self, kind: str, from_type: str, to_type: str | None = None) -> str:
        """
        Return `event` or `state` for an edge of *kind* between these types.

        Without *to_type* the answer must be the same for every type at the other end, or
        `ShapeError` says that it is not.
        """
        found, inverted = self.kind_of(kind)
        others = (to_type,) if to_type else self.ends(kind, from_type)
        natures = {
            found.nature(other, from_type) if inverted else found.nature(from_type, other)
            for other in others
        }
        if len(natures) != 1:
            raise ShapeError(
                f"The nature of {kind!r} from {from_type!r} depends on its other end.",
                fix="Say which type that is.",
            )
        return natures.pop()

    def ends(self, kind: str, from_type: str) -> tuple[str, ...]:
        """Return the types that *kind* may reach from *from_type*."""
        return tuple(name for name in self.types if self.allows(kind, from_type, name))

    def whole_kinds(self, type_name: str) -> tuple[str, ...]:
        """Return the level kinds that join the type to a whole, its own one first."""
        return _whole_kinds(self, type_name)

    def whole_kind(self, type_name: str) -> str | None:
        """Return the level kind that joins the type to the whole it is a part of, if it is one."""
        return self.type(type_name).part_of_kind

    def wholes(self, type_name: str) -> tuple[str, ...]:
        """Return the types of the whole that the type is a part of; empty if it is no part."""
        own = self.whole_kind(type_name)
        return self.ends(own, type_name) if own else ()

    @property
    def level_kinds(self) -> tuple[str, ...]:
        """The kinds that join a part to its whole."""
        return self.classes["level"]

    def kinds_in(self, classes: Collection[str]) -> frozenset[str]:
        """Return the names of the kinds of these *classes*."""
        for name in classes:
            if name not in self.classes:
                raise ShapeError(f"There is no class {name!r}.", fix=nearest(name, CLASSES))
        return frozenset(kind for name in classes for kind in self.classes[name])


@lru_cache(maxsize=1_000)
def _whole_kinds(shapes: Shapes, type_name: str) -> tuple[str, ...]:
    own = shapes.type(type_name).part_of_kind
    found = [name for name in shapes.level_kinds if shapes.ends(name, type_name)]
    return tuple(sorted(found, key=lambda name: name != own))


@cache
def _builtin() -> Shapes:
    return _shapes(_shipped())


@cache
def _shipped() -> Parsed:
    folder = files("lineal.shapes") / "builtin"
    parsed = Parsed()
    for name in BUILTIN:
        parsed.add((folder / f"{name}.yaml").read_text("utf-8"), f"{SHIPPED}{name}.yaml")
    return parsed


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ShapeError(
            f"The file cannot be read: {error.strerror or error}.",
            file=str(path),
            fix="Check its path and who may read it.",
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ShapeError(
            "The file is not text in UTF-8.", file=str(path), line=line, fix="Save it as UTF-8."
        ) from error


def _shapes(parsed: Parsed) -> Shapes:
    types, kinds = gather(parsed)
    in_class = {
        name: tuple(kind.name for kind in kinds.values() if kind.class_ == name) for name in CLASSES
    }
    domains: dict[str, tuple[str, ...]] = {}
    for found in types.values():
        domains[found.domain] = (*domains.get(found.domain, ()), found.name)
    return Shapes(
        types=MappingProxyType(types),
        kinds=MappingProxyType(kinds),
        classes=MappingProxyType(in_class),
        domains=MappingProxyType(domains),
        version=_digest(types, kinds),
        _inverses=MappingProxyType({k.inverse: k.name for k in kinds.values() if not k.symmetric}),
    )


def _digest(types: Mapping[str, EntityType], kinds: Mapping[str, EdgeKind]) -> str:
    """Return a digest that no order of files or entries changes."""
    content = {
        "types": {name: _unordered(asdict(found)) for name, found in types.items()},
        "kinds": {name: _unordered(asdict(found)) for name, found in kinds.items()},
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _unordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: _unordered(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return sorted((_unordered(item) for item in value), key=repr)
    return value if value is None or isinstance(value, bool | int) else str(value)

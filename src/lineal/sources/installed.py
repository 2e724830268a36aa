"""Sources written in Python, which other distributions bring: found by their entry points.

A distribution names a function in the group ``lineal.sources``. Installed is not enough: an
installation says by name which it uses, so that no package joins a source by being there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TypeAlias, cast

from lineal.errors import ConfigError, LinealError
from lineal.model import Instant
from lineal.normalise import Platforms
from lineal.sources import FetchedSource

GROUP = "lineal.sources"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an installation gives to the sources it uses."""

    #: Settings, from the environment.
    variables: Mapping[str, str]
    #: Looks up a secret by reference, ``env:NAME`` or ``file:/path``; raises `ConfigError`.
    secret: Callable[[str], str]
    #: The time by the installation's clock.
    clock: Callable[[], Instant]
    #: Other names of platforms, and rewrites, as configured.
    platforms: Platforms


#: What an entry point of the group is: it makes the source that has the entry point's name.
Factory: TypeAlias = Callable[[Surroundings], FetchedSource]

#: What every `FetchedSource` has.
_PARTS = (
    "name",
    "platforms",
    "habits",
    "understand",
    "key_of",
    "subject",
    "fetch",
    "list",
    "close",
)


def installed(
    names: Iterable[str], surroundings: Surroundings, *, taken: Collection[str]
) -> dict[str, FetchedSource]:
    """
    Return the sources of these names; those in *taken* are ours or declared, and stay so.

    Raises:
        ConfigError: a name is not installed, is installed twice, is taken, or what it stands for
            cannot be loaded or is no source.
    """
    found: dict[str, FetchedSource] = {}
    for name in names:
        if name in taken or name in found:
            raise ConfigError(
                f"There is a source {name!r} already.", fix="Use the other one, or none of them."
            )
        found[name] = _made(_entry_point(name), surroundings)
    return found


def available() -> list[str]:
    """Return the names of all sources that are installed."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def _entry_point(name: str) -> EntryPoint:
    entries = list(entry_points(group=GROUP, name=name))
    if not entries:
        there = ", ".join(available()) or "none"
        raise ConfigError(
            f"No source {name!r} is installed; there is {there}.",
            fix="Install the package that brings it.",
        )
    values = sorted({entry.value for entry in entries})
    if len(values) > 1:
        raise ConfigError(
            f"The source {name!r} is installed twice: {' and '.join(values)}.",
            fix="Remove one of the packages.",
        )
    return entries[0]


def _made(entry: EntryPoint, surroundings: Surroundings) -> FetchedSource:
    try:
        made = cast("Factory", entry.load())(surroundings)
    except LinealError:
        raise
    except Exception as error:
        raise ConfigError(
            f"The source {entry.name!r} ({entry.value}) cannot be loaded: "
            f"{type(error).__name__}: {error}.",
            fix="Mend the package, or leave the source out.",
        ) from error
    lacking = [part for part in _PARTS if not hasattr(made, part)]
    if lacking:
        raise ConfigError(
            f"{entry.value} makes no source: it lacks {', '.join(lacking)}.",
            fix="See FetchedSource in lineal.sources.",
        )
    if made.name != entry.name:
        raise ConfigError(
            f"{entry.value} makes the source {made.name!r}, and is installed as {entry.name!r}.",
            fix="Let both have one name.",
        )
    return made

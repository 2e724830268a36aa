"""Choices: read from the environment once, at the door, into one frozen object.

Nothing else reads the environment. A value given on the command line wins over the environment,
the environment over the default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lineal.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Config:
    """All choices of one installation."""

    #: The database file, or the URL of a PostgreSQL database (``LINEAL_DB``).
    db: Path | str = Path("lineal.db")
    #: YAML files with further types and kinds (``LINEAL_SHAPES``, parted by ``:``).
    shapes: tuple[Path, ...] = ()
    #: Folders of rules, beside those that come with Lineal (``LINEAL_RULES``, parted by ``:``).
    rules: tuple[Path, ...] = ()
    #: YAML files of declared sources, or folders of them (``LINEAL_SOURCES``, parted by ``:``).
    sources: tuple[Path, ...] = ()
    #: Sources written in Python that other packages bring, by name (``LINEAL_PYTHON_SOURCES``,
    #: parted by ``,``).
    python_sources: tuple[str, ...] = ()
    #: YAML files of doors: buses that a server listens to (``LINEAL_DOORS``, parted by ``:``).
    doors: tuple[Path, ...] = ()
    #: Where the server answers (``LINEAL_HOST``, ``LINEAL_PORT``). Port 0 takes a free one.
    host: str = "127.0.0.1"
    port: int = 8585
    #: Other names of platforms, as ``alias=platform`` (``LINEAL_PLATFORMS``, parted by ``,``).
    platforms: Mapping[str, str] = field(default_factory=dict)
    #: Of several names of one thing, that of the first of these platforms stands for it
    #: (``LINEAL_PLATFORM_ORDER``, parted by ``,``).
    platform_order: tuple[str, ...] = ()
    #: Names of data sets that mean others, as ``namespace old.*=namespace new.*``
    #: (``LINEAL_REWRITES``, parted by ``,``).
    rewrites: Mapping[str, str] = field(default_factory=dict)
    #: Which occurrences are dropped when, as ``type=age/keep`` such as ``run=90d/10``: age in
    #: microseconds, and how many of each whole stay (``LINEAL_RETENTION``, parted by ``,``).
    retention: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    #: Whether a server keeps the lineage index in memory (``LINEAL_INDEX``, ``on`` or ``off``).
    index: bool = True
    #: How much may wait to be taken in before senders are told to wait (``LINEAL_INBOX``, as
    #: ``100000/256``: events and megabytes), and of what buses bring how much that nobody
    #: understands may lie among the dead letters.
    inbox: int = 100_000
    inbox_bytes: int = 256_000_000
    #: From which gap on between the observations that a conclusion rests on it is told that there
    #: was no moment at which all was known, in microseconds (``LINEAL_SKEW``, such as ``24h``).
    skew: int = 24 * 3_600_000_000
    #: What source files may refer to as ``${NAME}`` or ``env:NAME``.
    variables: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Config:
        """Read the environment; raises `ConfigError` for a value that cannot be."""
        found = os.environ if environment is None else environment
        inbox, inbox_bytes = _inbox(found.get("LINEAL_INBOX", "100000/256"))
        return cls(
            db=database(found.get("LINEAL_DB", "lineal.db")),
            shapes=_paths(found.get("LINEAL_SHAPES", "")),
            rules=_paths(found.get("LINEAL_RULES", "")),
            sources=_paths(found.get("LINEAL_SOURCES", "")),
            python_sources=_words(found.get("LINEAL_PYTHON_SOURCES", "")),
            doors=_paths(found.get("LINEAL_DOORS", "")),
            host=found.get("LINEAL_HOST", "127.0.0.1"),
            port=_port(found.get("LINEAL_PORT", "8585")),
            platform_order=_words(found.get("LINEAL_PLATFORM_ORDER", "")),
            platforms=_pairs(found, "LINEAL_PLATFORMS", "alias=platform"),
            rewrites=_pairs(found, "LINEAL_REWRITES", "namespace old.*=namespace new.*"),
            retention=_retention(found.get("LINEAL_RETENTION", "")),
            index=_switch(found, "LINEAL_INDEX"),
            inbox=inbox,
            inbox_bytes=inbox_bytes,
            skew=_span(found, "LINEAL_SKEW", "24h"),
            variables=dict(found),
        )


def database(text: str) -> Path | str:
    """
    Return where a database is: a file, or the URL of a server as it was written.

    >>> database("postgresql://db/lineal"), database("data/lineal.db")
    ('postgresql://db/lineal', PosixPath('data/lineal.db'))
    """
    return text if "://" in text else Path(text)


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(Path(part) for part in text.split(os.pathsep) if part)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65_535:
        raise ConfigError(f"LINEAL_PORT is {text!r}.", fix="Give a port from 0 to 65535.")
    return int(text)


def _switch(found: Mapping[str, str], name: str) -> bool:
    word = found.get(name, "on")
    if word not in ("on", "off"):
        raise ConfigError(f"{name} is {word!r}.", fix="Write on or off.")
    return word == "on"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for part in text.split(",") if (word := part.strip()))


def _pairs(found: Mapping[str, str], name: str, form: str) -> dict[str, str]:
    pairs = {}
    for part in filter(None, found.get(name, "").split(",")):
        alias, sign, platform = part.rpartition("=")
        if not sign or not alias.strip() or not platform.strip():
            raise ConfigError(f"{name} holds {part!r}.", fix=f"Write {form}, parted by commas.")
        pairs[alias.strip()] = platform.strip()
    return pairs


def _inbox(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d{0,8})/([1-9]\d{0,5})", text.strip())
    if found is None:
        raise ConfigError(
            f"LINEAL_INBOX is {text!r}.", fix="Write events/megabytes, such as 100000/256."
        )
    return int(found[1]), int(found[2]) * 1_000_000


def _span(found: Mapping[str, str], name: str, usual: str) -> int:
    text = found.get(name, usual).strip()
    span = re.fullmatch(r"(\d{1,6})([hdw])", text)
    if span is None:
        raise ConfigError(f"{name} is {text!r}.", fix="Write hours, days or weeks, such as 24h.")
    return int(span[1]) * _HOURS[span[2]] * 3_600_000_000


_POLICY = re.compile(r"([a-z][a-z0-9-]*)=(\d+)([hdw])/(\d+)")
_HOURS = {"h": 1, "d": 24, "w": 168}


def _retention(text: str) -> dict[str, tuple[int, int]]:
    policies = {}
    for part in filter(None, (one.strip() for one in text.split(","))):
        found = _POLICY.fullmatch(part)
        if found is None:
            raise ConfigError(
                f"LINEAL_RETENTION holds {part!r}.",
                fix="Write type=age/keep, such as run=90d/10, parted by commas.",
            )
        kind, count, unit, keep = found.groups()
        policies[kind] = (int(count) * _HOURS[unit] * 3_600_000_000, int(keep))
    return policies

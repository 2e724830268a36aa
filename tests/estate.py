"""The example estate joined to a Lineal, and its words beside ours: shared by several tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lineal.testing.estate as package
from lineal.app import Lineal
from lineal.config import Config
from lineal.model import Uri
from lineal.query import Brief
from lineal.testing.estate.server import Estate
from tests.databases import fresh

SOURCES = Path(package.__file__).parent / "sources"

#: Kinds in the estate's words, and the type and platform in ours.
WORDS = {
    "table": ("dataset", "lake"),
    "column": ("column", "lake"),
    "snapshot": ("dataset-version", "lake"),
    "feature": ("feature", "features"),
    "feature_set": ("feature-set", "features"),
    "feature_service": ("feature-service", "features"),
    "pipeline": ("pipeline", "orchestrator"),
    "run": ("run", "orchestrator"),
    "model": ("model", "registry"),
    "instance": ("model-version", "registry"),
    "evaluation": ("evaluation", "registry"),
    "test": ("ab-test", "exp"),
    "cell": ("ab-cell", "exp"),
    "deployment": ("deployment", "serving"),
    "service": ("service", "serving"),
    "user": ("user", "identity"),
    "team": ("team", "identity"),
    "email": ("user", "email"),
}
_SEPARATORS = {"column": "/", "snapshot": "@", "feature": ":", "cell": "/"}
_KINDS = {(kind, platform): word for word, (kind, platform) in WORDS.items()}


@dataclass(frozen=True)
class Joined:
    """An estate and the Lineal that listens to it."""

    estate: Estate
    lineal: Lineal

    def hand_over(self, events: Iterable[tuple[str, Any]]) -> None:
        """Hand events to Lineal, one by one."""
        for tool, event in events:
            self.lineal.receive(tool, [event])

    def deliver(self) -> None:
        """Deliver every event that is pending, and work until nothing is due."""
        self.hand_over(self.estate.drain())
        drained = self.lineal.drain(timeout=240)
        assert drained.complete


@contextlib.contextmanager
def joined(
    folder: Path, *, seed: int = 7, scale: float = 0.1, engine: str = "sqlite"
) -> Iterator[Joined]:
    """Open an estate and a Lineal that listens to it; nothing is delivered yet."""
    with Estate(seed=seed, scale=scale) as estate, fresh(engine, folder) as place:
        config = Config(db=place, sources=(SOURCES,), variables={"ESTATE_URL": estate.url})
        with Lineal.open(config) as lineal:
            yield Joined(estate, lineal)


def uri_of(kind: str, ident: str) -> Uri:
    """Return our name of a thing of the estate."""
    ours, platform = WORDS[kind]
    separator = _SEPARATORS.get(kind)
    segments = ident.rsplit(separator, 1) if separator else [ident]
    return Uri.of(ours, platform, *segments)


def word_of(thing: Brief | Uri) -> tuple[str, str]:
    """Return the estate's name of one of our things."""
    uri = thing.uri if isinstance(thing, Brief) else thing
    word = _KINDS[(uri.type, uri.platform)]
    return word, _SEPARATORS.get(word, "/").join(uri.segments)

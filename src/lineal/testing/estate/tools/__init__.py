"""The seven tools, each its own way of telling what the shelves hold."""

from __future__ import annotations

from lineal.testing.estate.shelves import Shelves
from lineal.testing.estate.tools.catalog import Catalog
from lineal.testing.estate.tools.experiments import Experiments
from lineal.testing.estate.tools.features import Features
from lineal.testing.estate.tools.identity import Identity
from lineal.testing.estate.tools.orchestrator import Orchestrator
from lineal.testing.estate.tools.registry import Registry
from lineal.testing.estate.tools.serving import Serving
from lineal.testing.estate.tools.tool import Tool

__all__ = ["open_tools"]


def open_tools(world: Shelves) -> dict[str, Tool]:
    """Return the seven tools of *world*, by name."""
    kinds = (Registry, Orchestrator, Features, Experiments, Catalog, Identity, Serving)
    return {kind.name: kind(world) for kind in kinds}

"""Which versions of a model count: those in use, else the newest."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from lineal.lineage.graph import Graph
from lineal.lineage.laws import believed
from lineal.model import Json

#: What makes a version of a model active: an edge of this kind, at this side of the version.
_ACTIVE_IN, _ACTIVE_OUT = ("points_to", "deploys"), ("served_in",)


def active_versions(graph: Graph, models: Iterable[int]) -> dict[int, frozenset[int]]:
    """
    Return the active versions of each model.

    Active are those that an alias points to, that a deployment deploys or that a cell is served;
    if there are none such, the newest (by ``created_at``, then by URI).
    """
    wanted = set(models)
    versions: dict[int, set[int]] = {model: set() for model in wanted}
    links = believed(graph.inward(wanted, ("version_of",)))
    types = graph.types({link.src for link in links})
    for link in links:
        if types[link.src] == "model-version":
            versions[link.dst].add(link.src)
    every = {key for keys in versions.values() for key in keys}
    used = {link.dst for link in believed(graph.inward(every, _ACTIVE_IN))}
    used |= {link.src for link in believed(graph.outward(every, _ACTIVE_OUT))}
    found = {model: frozenset(keys & used) for model, keys in versions.items()}
    idle = {model: keys for model, keys in versions.items() if keys and not found[model]}
    found.update((model, frozenset({key})) for model, key in newest(graph, idle).items())
    return found


def newest(graph: Graph, versions: Mapping[int, Collection[int]]) -> dict[int, int]:
    """Return of each model's versions the newest, by ``created_at``, then by URI."""
    every = {key for keys in versions.values() for key in keys}
    said, uris = graph.attributes(every), graph.uris(every)
    return {
        model: max(keys, key=lambda key: (_created(said[key]), uris[key]))
        for model, keys in versions.items()
    }


def _created(attributes: Mapping[str, Json]) -> str:
    created = attributes.get("created_at")
    return created if isinstance(created, str) else ""

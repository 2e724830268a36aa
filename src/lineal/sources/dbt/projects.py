"""A dbt project as its manifest declares it: its nodes, and what each of them is called here.

Source: https://schemas.getdbt.com/dbt/manifest/v12.json and its forerunners since v1.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lineal import normalise
from lineal.errors import InvalidUri
from lineal.model import Json, Statement, Uri
from lineal.sources import Refused
from lineal.sources.dbt.artifacts import Artifact, Node

#: The platform of what only dbt names.
PLATFORM = "dbt"
#: Resources that hold data.
DATA = ("model", "seed", "snapshot", "source")

_SECTIONS = ("nodes", "sources", "exposures", "metrics", "semantic_models", "groups")


@dataclass(frozen=True, slots=True)
class Naming:
    """How relations and people are named."""

    platforms: normalise.Platforms
    #: The OpenLineage namespace of the warehouse, where it was configured.
    namespace: str | None
    adapter: str | None
    directory: str
    #: The folder of its repository in which the project lies, where it was configured.
    home: Uri | None = None

    def relation(self, name: str) -> Uri:
        """Return the data set that the warehouse calls *name*, quoted or not."""
        space = self.namespace or self.adapter or PLATFORM
        return normalise.data_set(space, normalise.fold(name, self._dialect), self.platforms)

    def column(self, data_set: Uri, name: str) -> Uri:
        """Return a column of a data set."""
        return normalise.column(data_set, name, self._dialect)

    def code(self, path: str) -> Uri | None:
        """Return the file at *path* of the project, None where nobody said where that lies."""
        steps = [step for step in path.replace("\\", "/").split("/") if step not in ("", ".")]
        return self.home.part("code", *steps) if self.home is not None and steps else None

    @property
    def _dialect(self) -> str:
        return self.adapter or (normalise.dialect(self.namespace) if self.namespace else "")

    def owners(self, said: Json) -> set[Uri]:
        """Return who is meant by an owner: a text, ``{name, email}``, or a list of either."""
        if isinstance(said, list):
            return {uri for item in said for uri in self.owners(item)}
        if isinstance(said, Mapping):
            return self.owners(said.get("email")) or self.owners(said.get("name"))
        plain = normalise.text(said)
        uri = normalise.owner(plain, directory=self.directory) if plain else None
        return {uri} if uri else set()


@dataclass(frozen=True, slots=True)
class Project:
    """One manifest, understood."""

    name: str
    naming: Naming
    #: Everything with a unique id: nodes, sources, exposures, metrics, semantic models, groups.
    nodes: Mapping[str, Node]
    #: The data sets, by unique id.
    data_sets: Mapping[str, Uri]
    manifest: Artifact | None = None
    refused: tuple[Refused, ...] = ()

    @property
    def source(self) -> str:
        """The name of the source of this project's records."""
        return f"dbt/{self.name}"

    def of_type(self, *types: str) -> Iterator[tuple[str, Node]]:
        """Go through the nodes of these resource types, by unique id."""
        for unique_id in sorted(self.nodes):
            if resource(unique_id) in types:
                yield unique_id, self.nodes[unique_id]

    def data_behind(self, unique_id: str) -> set[Uri]:
        """Return the data sets that a node rests on, through metrics and semantic models."""
        found: set[Uri] = set()
        seen: set[str] = set()
        waiting = [unique_id]
        while waiting:
            current = waiting.pop()
            if current in seen:
                continue
            seen.add(current)
            if current in self.data_sets:
                found.add(self.data_sets[current])
            else:
                waiting.extend(depends_on(self.nodes.get(current, {})))
        return found


def resource(unique_id: str) -> str:
    """Return the resource type of a unique id, such as ``model``."""
    return unique_id.partition(".")[0]


def package(unique_id: str) -> str:
    """Return the package of a unique id."""
    return unique_id.partition(".")[2].partition(".")[0]


def depends_on(node: Node) -> list[str]:
    """Return the unique ids that a node depends on, without macros."""
    listed = normalise.sequence(normalise.mapping(node.get("depends_on")).get("nodes"))
    return [item for item in listed if isinstance(item, str)]


def config(node: Node, key: str) -> Json:
    """Return a setting of a node, from its configuration or from itself."""
    said = normalise.mapping(node.get("config")).get(key)
    return said if said not in (None, "", [], {}) else node.get(key)


def meta(node: Node) -> dict[str, Json]:
    """Return what a node's people noted on it; the configuration's word counts."""
    noted = normalise.mapping(normalise.mapping(node.get("config")).get("meta"))
    return {**normalise.mapping(node.get("meta")), **noted}


def understand(
    artifact: Artifact,
    *,
    platforms: normalise.Platforms,
    namespace: str | None,
    directory: str,
    home: Uri | None,
) -> Project:
    """Read a manifest's nodes and name its data sets."""
    refused: list[Refused] = []
    naming = Naming(platforms, namespace, artifact.metadata.adapter_type, directory, home)
    nodes: dict[str, Node] = {}
    data_sets: dict[str, Uri] = {}
    for section in _SECTIONS:
        for unique_id, node in artifact.section(section, refused):
            nodes[unique_id] = node
            if resource(unique_id) not in DATA:
                continue
            try:
                data_sets[unique_id] = _data_set(unique_id, node, naming)
            except InvalidUri as error:
                path = f"{section}.{unique_id}"
                refused.append(Refused(artifact.file, None, error.message, path))
    name = _project_name(artifact, nodes)
    return Project(name, naming, nodes, data_sets, artifact, tuple(refused))


def _data_set(unique_id: str, node: Node, naming: Naming) -> Uri:
    relation = relation_of(node)
    if relation is None or config(node, "materialized") == "ephemeral":
        return Uri.of("dataset", PLATFORM, unique_id)
    return naming.relation(relation)


def relation_of(node: Mapping[str, Json]) -> str | None:
    """Return a node's relation as dbt writes it, or put together for old versions."""
    if written := normalise.text(node.get("relation_name")):
        return written
    named = (normalise.text(node.get(key)) for key in ("alias", "identifier", "name"))
    last = next((name for name in named if name), None)
    before = [normalise.text(node.get(key)) for key in ("database", "schema")]
    return ".".join([*(part for part in before if part), last]) if last else None


def _project_name(artifact: Artifact, nodes: Iterable[str]) -> str:
    """Return the project's name; old manifests give only its MD5, so the package it fits."""
    if artifact.metadata.project_name:
        return artifact.metadata.project_name
    for name in sorted({package(unique_id) for unique_id in nodes}):
        digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
        if digest == artifact.metadata.project_id:
            return name
    return most_common_package(nodes) or PLATFORM


def most_common_package(unique_ids: Iterable[str]) -> str | None:
    """Return the package of most of the unique ids, the first by name of several."""
    packages = Counter(package(unique_id) for unique_id in unique_ids)
    ranked = sorted(packages.items(), key=lambda item: (-item[1], item[0]))
    return next((name for name, _ in ranked if name), None)


def project_for(artifact: Artifact, projects: Sequence[Project]) -> Project | None:
    """
    Return the project that a catalog or results belong to, None if none fits.

    The manifest of the same invocation; else the one that knows most of the unique ids, and of
    several the nearest in time.
    """
    unique_ids = artifact.unique_ids()

    def fit(project: Project) -> tuple[bool, int, int]:
        invocation = artifact.metadata.invocation_id
        manifest = project.manifest
        same = manifest is not None and manifest.metadata.invocation_id == invocation
        known = sum(unique_id in project.nodes for unique_id in unique_ids)
        said_at = manifest.said_at if manifest else None
        return (
            same and invocation is not None,
            known,
            -abs((said_at or 0) - (artifact.said_at or 0)),
        )

    best = max(projects, key=fit, default=None)
    return best if best is not None and fit(best)[:2] > (False, 0) else None


def columns_of(
    project: Project, uri: Uri, node: Node, told: Callable[[str, Node], dict[str, Json]]
) -> tuple[Statement, ...]:
    """Return what *told* says of each column of a node; a name that cannot be is left out."""
    found: dict[Uri, Statement] = {}
    for key, said in normalise.mapping(node.get("columns")).items():
        column = normalise.mapping(said)
        name = normalise.text(column.get("name")) or key
        try:
            part = project.naming.column(uri, name)
        except InvalidUri:
            continue
        found[part] = Statement(part, normalise.said(told(name, dict(column))))
    return tuple(found[part] for part in sorted(found))

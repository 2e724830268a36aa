"""dbt: the artifacts of a project as snapshots of what it declares and what it did.

Reads ``manifest`` v1 to v12, ``catalog`` v1, ``run-results`` v1 to v6 and ``sources`` v1 to v3,
each recognised by what it says it is, whatever its file is called. Nothing is asked of a server
or a warehouse.
Source: https://docs.getdbt.com/reference/artifacts/dbt-artifacts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lineal import normalise
from lineal.errors import Invalid
from lineal.model import Instant, Record
from lineal.sources import Refused
from lineal.sources.dbt import catalogs, manifests, results
from lineal.sources.dbt.artifacts import Artifact, find
from lineal.sources.dbt.projects import (
    Naming,
    Project,
    most_common_package,
    project_for,
    understand,
)
from lineal.sources.rewriting import with_rewrites

_DECLARED = "manifest:"
#: Artifacts that hold only what somebody selected when dbt was called, which they do not say.
_SELECTED = ("catalog:", "freshness:")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    All that one artifact says: documents of a source whose names begin with *prefix*.

    Without a source and a prefix it holds only what was *refused* before anything could be read.
    """

    source: str
    prefix: str
    said_at: Instant | None
    records: tuple[Record, ...]
    refused: tuple[Refused, ...] = ()

    @property
    def complete(self) -> bool:
        """True when these are all of their prefix, so that what is absent has vanished."""
        return bool(self.prefix) and self.prefix not in _SELECTED and not self.refused

    @property
    def along(self) -> tuple[str, ...]:
        """The prefixes of what goes with a node, once no manifest declares that any more."""
        return _SELECTED if self.prefix == _DECLARED else ()


def read(
    paths: Iterable[Path],
    *,
    platforms: normalise.Platforms = normalise.NO_ALIASES,
    namespace: str | None = None,
    repository: str | None = None,
    observed_at: Instant,
    directory: str = "directory",
) -> tuple[Snapshot, ...]:
    """
    Read artifacts from files and folders into one snapshot each, the oldest first.

    *namespace* is the OpenLineage namespace of the warehouse, such as ``postgres://host:5432``,
    which dbt does not write down; without it the adapter's type stands for the platform.
    *repository* is the address of the repository of a project, or of the page of the folder in
    which it lies. *directory* is the platform of people and teams without an e-mail address.
    Catalogs and results are joined to the manifest of their invocation, else to the one that fits
    best.

    Raises:
        Invalid: *repository* is no address of one.
    """
    home = normalise.code(repository) if repository else None
    if repository and home is None:
        raise Invalid(
            f"{repository!r} is no address of a repository.",
            fix="Write it as https://host/owner/repository.",
        )
    found = list(find(paths))
    unread = [item for item in found if isinstance(item, Refused)]
    artifacts = [item for item in found if isinstance(item, Artifact)]
    projects = [
        understand(
            artifact, platforms=platforms, namespace=namespace, directory=directory, home=home
        )
        for artifact in artifacts
        if artifact.kind == "manifest"
    ]
    naming = Naming(platforms, namespace, None, directory)
    snapshots = [_declared(project, observed_at) for project in projects]
    for artifact in artifacts:
        if artifact.kind != "manifest":
            snapshot = _observed(artifact, projects, naming, observed_at)
            snapshots.append(snapshot)
    if unread:
        snapshots.append(Snapshot("", "", None, (), tuple(unread)))
    return tuple(sorted(snapshots, key=_order))


def _order(snapshot: Snapshot) -> tuple[str, Instant, str]:
    return snapshot.source, snapshot.said_at or 0, snapshot.prefix


def _declared(project: Project, observed_at: Instant) -> Snapshot:
    said_at = project.manifest.said_at if project.manifest else None
    return _snapshot(
        project,
        _DECLARED,
        said_at,
        [*manifests.records(project, observed_at), *project.refused],
    )


def _observed(
    artifact: Artifact, projects: Sequence[Project], naming: Naming, observed_at: Instant
) -> Snapshot:
    project = project_for(artifact, projects) or _alone(artifact, naming)
    if project is None:
        reason = f"no manifest that fits this {artifact.kind}"
        fix = "read it together with the manifest of its project"
        refused = Refused(artifact.file, None, f"{reason}; {fix}")
        return Snapshot("", "", artifact.said_at, (), (refused,))
    read_records, prefix = {
        "catalog": (catalogs.records, "catalog:"),
        "run-results": (results.records, f"run:{results.run_uri(artifact).name}"),
        "sources": (results.freshness, "freshness:"),
    }[artifact.kind]
    items = read_records(artifact, project, observed_at)
    return _snapshot(project, prefix, artifact.said_at, items)


def _alone(artifact: Artifact, naming: Naming) -> Project | None:
    """Return a project for a catalog without manifest, if it is known where its tables are."""
    name = most_common_package(artifact.unique_ids())
    if artifact.kind != "catalog" or naming.namespace is None or name is None:
        return None
    return Project(name, naming, {}, {})


def _snapshot(
    project: Project, prefix: str, said_at: Instant | None, items: Iterable[Record | Refused]
) -> Snapshot:
    listed, platforms = list(items), project.naming.platforms
    return Snapshot(
        project.source,
        prefix,
        said_at,
        tuple(with_rewrites(item, platforms) for item in listed if isinstance(item, Record)),
        tuple(item for item in listed if isinstance(item, Refused)),
    )


__all__ = ["Snapshot", "read"]

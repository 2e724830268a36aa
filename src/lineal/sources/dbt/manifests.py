"""Records of what a manifest declares: data sets, metrics, and what uses them.

Tests become attributes of the data sets they look at; semantic models are passed through, so that
a metric is derived from the data set behind them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from lineal import normalise
from lineal.errors import Invalid
from lineal.model import EdgeStatement, Instant, Json, Record, Statement, Uri
from lineal.sources import Refused
from lineal.sources.dbt.artifacts import Node
from lineal.sources.dbt.checks import checks_of, severity
from lineal.sources.dbt.projects import (
    DATA,
    PLATFORM,
    Project,
    columns_of,
    config,
    depends_on,
    meta,
    package,
    relation_of,
    resource,
)

_FORMS = {
    "table": "table",
    "incremental": "table",
    "snapshot": "table",
    "seed": "table",
    "dynamic_table": "table",
    "view": "view",
    "materialized_view": "view",
    "ephemeral": "view",
    "streaming_table": "stream",
}
_DASHBOARDS = {"dashboard": "dashboard", "notebook": "notebook", "analysis": "report"}


@dataclass(frozen=True, slots=True)
class Saying:
    """What one node says: the statement of itself first."""

    statements: tuple[Statement, ...]
    edges: tuple[EdgeStatement, ...]


def records(project: Project, observed_at: Instant) -> Iterator[Record | Refused]:
    """Go through the records of a manifest, one per node that is something here."""
    checks = checks_of(project)
    manifest = project.manifest
    file, said_at = (manifest.file, manifest.said_at) if manifest else ("", None)
    for unique_id, node in project.of_type(*DATA, "metric", "exposure"):
        try:
            saying = _saying(project, unique_id, node, checks.get(unique_id, {}))
        except Invalid as error:
            yield Refused(file, None, error.message, unique_id)
            continue
        if saying is not None:
            yield Record(
                project.source,
                f"manifest:{unique_id}",
                saying.statements[0].uri,
                saying.statements,
                tuple(sorted(saying.edges, key=lambda edge: (edge.start, edge.kind, edge.end))),
                observed_at,
                said_at,
            )


def _saying(
    project: Project, unique_id: str, node: Node, checks: Mapping[str, Node]
) -> Saying | None:
    if resource(unique_id) == "metric":
        return _metric(project, unique_id, node)
    if resource(unique_id) == "exposure":
        return _exposure(project, unique_id, node)
    # A data set without a name was refused when the manifest was understood.
    uri = project.data_sets.get(unique_id)
    return _data_set(project, uri, unique_id, node, checks) if uri is not None else None


def _shared(unique_id: str, node: Node) -> dict[str, Json]:
    """Return what is said of nodes of every type."""
    noted: dict[str, Json] = {
        key: value for key, value in meta(node).items() if not isinstance(value, dict | list)
    }
    labels = {
        label
        for said in (node.get("tags"), normalise.mapping(node.get("config")).get("tags"))
        for label in normalise.tags([said] if isinstance(said, str) else said)
    }
    return {
        "description": normalise.text(node.get("description")),
        "tool_ids": [unique_id],
        "code_path": normalise.text(node.get("original_file_path")),
        "tags": list[Json](sorted(labels)),
        "properties": noted,
    }


def _owned(project: Project, uri: Uri, node: Node) -> Iterator[EdgeStatement]:
    """Say who owns a node: its own word, its notes, and its group's owner."""
    group = normalise.text(config(node, "group"))
    groups = (
        other
        for unique_id, other in project.of_type("group")
        if group and normalise.text(other.get("name")) == group
    )
    said = [node.get("owner"), meta(node).get("owner"), *(each.get("owner") for each in groups)]
    owners = {owner for each in said for owner in project.naming.owners(each)}
    yield from (EdgeStatement(uri, "owned_by", owner) for owner in sorted(owners))


def _defined_in(project: Project, uri: Uri, unique_id: str, node: Node) -> Iterator[EdgeStatement]:
    """Say in which file a node of the project itself is written; a source is made elsewhere."""
    path = normalise.text(node.get("original_file_path"))
    its_own = (normalise.text(node.get("package_name")) or package(unique_id)) == project.name
    if path and its_own and resource(unique_id) != "source":
        code = project.naming.code(path)
        yield from (EdgeStatement(uri, "defined_in", code),) if code is not None else ()


def _joined(start: Uri, kind: str, ends: Iterable[Uri]) -> Iterator[EdgeStatement]:
    yield from (EdgeStatement(start, kind, end) for end in sorted(set(ends)) if end != start)


# ── Data sets ────────────────────────────────────────────────────────────────────────────────────


def _data_set(
    project: Project, uri: Uri, unique_id: str, node: Node, checks: Mapping[str, Node]
) -> Saying:
    columns = _columns(project, uri, node)
    upstream = [
        project.data_sets[other] for other in depends_on(node) if other in project.data_sets
    ]
    edges = [
        *_joined(uri, "derived_from", upstream),
        *_owned(project, uri, node),
        *_defined_in(project, uri, unique_id, node),
        *(EdgeStatement(column.uri, "column_of", uri) for column in columns),
    ]
    attributes = {
        **_shared(unique_id, node),
        **_described(unique_id, node),
        "tests": _listed(checks),
    }
    return Saying((Statement(uri, normalise.said(attributes)), *columns), tuple(edges))


def _described(unique_id: str, node: Node) -> dict[str, Json]:
    kind = resource(unique_id)
    materialized = normalise.text(config(node, "materialized"))
    return {
        "name": normalise.text(node.get("identifier")) or normalise.text(node.get("name")),
        "form": "table" if kind == "source" else _FORMS.get(materialized or kind),
        "subtypes": [kind],
        "materialized": materialized if kind != "source" else None,
        "qualified_name": relation_of(node) if materialized != "ephemeral" else None,
        "group": normalise.text(config(node, "group")),
        "loader": normalise.text(node.get("loader")),
        "loaded_at_column": normalise.text(config(node, "loaded_at_field")),
        "freshness_limits": _freshness(config(node, "freshness")),
        "access": normalise.text(config(node, "access")),
        "version": _version(node.get("version")),
        "deprecated_at": normalise.iso_time(node.get("deprecation_date")),
        "code_language": normalise.text(node.get("language")),
    }


def _version(said: Json) -> str | None:
    """Return the version of a model, which dbt writes as a number or a text."""
    number = normalise.number(said)
    return normalise.text(said) if number is None else f"{number:g}"


def _freshness(said: Json) -> dict[str, Json]:
    """Return how old a source may be before dbt warns or fails, such as ``24 hour``."""
    found: dict[str, Json] = {}
    for level in ("warn_after", "error_after"):
        limit = normalise.mapping(normalise.mapping(said).get(level))
        if limit.get("count") is not None:
            found[level] = f"{limit.get('count')} {limit.get('period')}"
    return found


def _columns(project: Project, uri: Uri, node: Node) -> tuple[Statement, ...]:
    keys = normalise.sequence(node.get("primary_key"))

    def told(name: str, column: Node) -> dict[str, Json]:
        return {
            "name": name,
            "description": normalise.text(column.get("description")),
            "data_type": normalise.text(column.get("data_type")),
            "tags": list[Json](normalise.tags(column.get("tags"))),
            "primary_key": name in keys or None,
        }

    return columns_of(project, uri, node, told)


def _listed(checks: Mapping[str, Node]) -> list[Json]:
    return [
        normalise.said(
            {
                "name": name,
                "column": normalise.text(check.get("column_name")),
                "severity": severity(check),
            }
        )
        for name, check in sorted(checks.items())
    ]


# ── Metrics and exposures ────────────────────────────────────────────────────────────────────────


def _metric(project: Project, unique_id: str, node: Node) -> Saying:
    uri = metric_uri(unique_id, node)
    parameters = normalise.mapping(node.get("type_params"))
    measure = parameters.get("measure")
    kind = normalise.text(node.get("type")) or normalise.text(node.get("calculation_method"))
    attributes: dict[str, Json] = {
        **_shared(unique_id, node),
        "name": normalise.text(node.get("label")) or normalise.text(node.get("name")),
        "subtypes": [kind] if kind else [],
        "group": normalise.text(config(node, "group")),
        "expression": normalise.text(parameters.get("expr"))
        or normalise.text(node.get("expression"))
        or normalise.text(node.get("sql"))
        or normalise.text(normalise.mapping(measure).get("name")),
    }
    upstream = _upstream(project, node, by_metrics=True)
    edges = [*_joined(uri, "derived_from", upstream), *_owned(project, uri, node)]
    return Saying((Statement(uri, normalise.said(attributes)),), tuple(edges))


def _upstream(project: Project, node: Node, *, by_metrics: bool) -> set[Uri]:
    """Return what a node names: data, and metrics, or else the data behind these."""
    found: set[Uri] = set()
    for other in depends_on(node):
        if by_metrics and resource(other) == "metric" and other in project.nodes:
            found.add(metric_uri(other, project.nodes[other]))
        else:
            found |= project.data_behind(other)
    return found


def metric_uri(unique_id: str, node: Node) -> Uri:
    """Return the metric that a node declares."""
    return Uri.of("metric", PLATFORM, package(unique_id), _name(unique_id, node))


def _exposure(project: Project, unique_id: str, node: Node) -> Saying:
    """Say what uses the data: a dashboard, a service, or a model that learns from it."""
    kind = (normalise.text(node.get("type")) or "dashboard").lower()
    entity = {"ml": "model", "application": "service"}.get(kind, "dashboard")
    uri = Uri.of(entity, PLATFORM, package(unique_id), _name(unique_id, node))
    url = normalise.text(node.get("url"))
    attributes: dict[str, Json] = {
        **_shared(unique_id, node),
        "name": normalise.text(node.get("label")) or normalise.text(node.get("name")),
        "form": _DASHBOARDS.get(kind) if entity == "dashboard" else None,
        "subtypes": [kind],
        "link": normalise.without_password(url) if url else None,
        "maturity": normalise.text(node.get("maturity")),
    }
    use = "trained_on" if entity == "model" else "reads"
    # A model learns from data, and never from a metric.
    upstream = _upstream(project, node, by_metrics=entity != "model")
    edges = [*_joined(uri, use, upstream), *_owned(project, uri, node)]
    return Saying((Statement(uri, normalise.said(attributes)),), tuple(edges))


def _name(unique_id: str, node: Node) -> str:
    return normalise.text(node.get("name")) or unique_id.split(".", 2)[-1]

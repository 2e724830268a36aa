"""Records of what one invocation of dbt did: the run, and each data set it built or tested.

A run of dbt builds many data sets, each from others, so it only *produces* them here: what each
was made from stands in the manifest, never as everything from everything.
Sources: https://schemas.getdbt.com, artifacts ``run-results`` and ``sources``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lineal import normalise
from lineal.errors import Invalid, InvalidUri
from lineal.model import EdgeStatement, Instant, Json, Layer, Record, Statement, Uri, iso
from lineal.sources import Refused
from lineal.sources.dbt.artifacts import Artifact, Node
from lineal.sources.dbt.checks import label, looks_at
from lineal.sources.dbt.projects import PLATFORM, Project, config, resource

#: Commands that build data sets, and those that look at them; others only compile.
BUILDING = frozenset({"run", "build", "seed", "snapshot", "clone", "retry"})
TESTING = frozenset({"test", "build", "retry"})
#: Resources whose results are about a data set.
_BUILT = ("model", "seed", "snapshot", "source")

_BROKEN = frozenset({"error", "fail", "runtime error", "partial success"})
_VERDICTS = {
    "pass": "passed",
    "success": "passed",
    "warn": "warned",
    "skipped": "skipped",
    "fail": "failed",
    "error": "failed",
    "runtime error": "failed",
}


@dataclass(slots=True)
class _Outcome:
    """What one invocation did to one data set."""

    uri: Uri
    built_at: Instant | None = None
    #: Its data is new: not so where only a view was created.
    fresh: bool = False
    rows: Json = None
    quality: dict[str, Json] = field(default_factory=dict)


def run_uri(artifact: Artifact) -> Uri:
    """Return the run; results so old that they have no invocation are named by their time."""
    name = artifact.metadata.invocation_id or f"at {artifact.metadata.generated_at}"
    return Uri.of("run", PLATFORM, name)


def records(
    artifact: Artifact, project: Project, observed_at: Instant
) -> Iterator[Record | Refused]:
    """Go through the records of run results: the run, then one per data set."""
    refused: list[Refused] = []
    results = list(artifact.results(refused))
    run = run_uri(artifact)
    said_at = artifact.said_at
    yield Record(
        project.source,
        f"run:{run.name}",
        run,
        (Statement(run, _run(artifact, results), _started(results) or said_at),),
        (_of_pipeline(run, project, _started(results) or said_at),),
        observed_at,
        said_at,
    )
    outcomes = _outcomes(artifact, project, results, refused)
    for unique_id, outcome in sorted(outcomes.items()):
        document = f"run:{run.name}:{unique_id}"
        statements, edges = _told(outcome, run, said_at)
        yield Record(project.source, document, outcome.uri, statements, edges, observed_at, said_at)
    yield from refused


def _run(artifact: Artifact, results: Sequence[Node]) -> dict[str, Json]:
    counts = Counter(_status(result) for result in results)
    arguments = artifact.arguments()
    command = normalise.text(arguments.get("which"))
    selected = list[Json](map(str, normalise.sequence(arguments.get("select"))))
    failed = any(status in _BROKEN for status in counts)
    started = _started(results)
    return normalise.said(
        {
            "name": f"dbt {command or 'run'} {run_uri(artifact).name[:8]}",
            "status": "failed" if failed else "succeeded",
            "started_at": iso(started) if started is not None else None,
            "ended_at": iso(artifact.said_at) if artifact.said_at is not None else None,
            "engine": "dbt",
            "engine_version": artifact.metadata.dbt_version,
            "command": command,
            "parameters": {"select": selected} if selected else {},
            "results": dict(sorted(counts.items())),
        }
    )


def _of_pipeline(run: Uri, project: Project, since: Instant | None) -> EdgeStatement:
    pipeline = Uri.of("pipeline", PLATFORM, project.name)
    return EdgeStatement(run, "run_of", pipeline, {}, Layer.OBSERVED, since)


def _started(results: Sequence[Node]) -> Instant | None:
    times = (_timing(result, "started_at") for result in results)
    return min((at for at in times if at is not None), default=None)


def _timing(result: Node, key: str) -> Instant | None:
    """Return when a result was begun or done, by the last of its steps that says so."""
    steps = list(normalise.mappings(result.get("timing")))
    for step in reversed(steps) if key == "completed_at" else steps:
        try:
            at = normalise.time(step.get(key))
        except Invalid:
            continue
        if at is not None:
            return at
    return None


def _status(result: Node) -> str:
    """Return dbt's word. Version 1 says ``error`` or ``fail`` where the newer say ``status``."""
    return (normalise.text(result.get("status")) or "unknown").lower()


# ── Data sets ────────────────────────────────────────────────────────────────────────────────────


def _outcomes(
    artifact: Artifact, project: Project, results: Sequence[Node], refused: list[Refused]
) -> dict[str, _Outcome]:
    command = normalise.text(artifact.arguments().get("which"))
    builds, tests = command is None or command in BUILDING, command is None or command in TESTING
    found: dict[str, _Outcome] = {}
    for index, result in enumerate(results):
        unique_id = normalise.text(result.get("unique_id")) or ""
        try:
            if resource(unique_id) == "test" and tests:
                _test(found, project, unique_id, result)
            elif resource(unique_id) in _BUILT and builds:
                _build(found, project, unique_id, result, artifact.said_at)
        except InvalidUri as error:
            path = f"results[{index}]"
            refused.append(Refused(artifact.file, index, f"{unique_id}: {error.message}", path))
    return found


def _build(
    found: dict[str, _Outcome],
    project: Project,
    unique_id: str,
    result: Node,
    said_at: Instant | None,
) -> None:
    if _status(result) != "success":
        return
    materialized = config(project.nodes.get(unique_id, {}), "materialized")
    if materialized == "ephemeral":
        return
    outcome = found.setdefault(unique_id, _Outcome(_uri(project, unique_id, result)))
    outcome.built_at = _timing(result, "completed_at") or said_at
    outcome.fresh = materialized != "view"
    outcome.rows = normalise.number(
        normalise.mapping(result.get("adapter_response")).get("rows_affected")
    )


def _uri(project: Project, unique_id: str, result: Node) -> Uri:
    if unique_id in project.data_sets:
        return project.data_sets[unique_id]
    relation = normalise.text(result.get("relation_name"))
    if relation is None:
        raise InvalidUri("The manifest does not know it.")
    return project.naming.relation(relation)


def _test(found: dict[str, _Outcome], project: Project, unique_id: str, result: Node) -> None:
    test = project.nodes.get(unique_id)
    if test is None:
        raise InvalidUri("The manifest does not know this test.")
    for looked_at in looks_at(project, test):
        outcome = found.setdefault(looked_at, _Outcome(project.data_sets[looked_at]))
        name = label(unique_id, test)
        verdict = _VERDICTS.get(_status(result), _status(result))
        outcome.quality[unique_id if name in outcome.quality else name] = verdict


def _told(
    outcome: _Outcome, run: Uri, said_at: Instant | None
) -> tuple[tuple[Statement, ...], tuple[EdgeStatement, ...]]:
    built = outcome.built_at
    attributes: Mapping[str, Json] = {
        "refreshed_at": iso(built) if built is not None and outcome.fresh else None,
        "quality": dict(sorted(outcome.quality.items())),
    }
    said = normalise.said(attributes)
    statements = (Statement(outcome.uri, said, built or said_at),) if said else ()
    if built is None:
        return statements, ()
    written = normalise.said({"rows": outcome.rows})
    edge = EdgeStatement(outcome.uri, "produced_by", run, written, Layer.OBSERVED, built)
    return statements, (edge,)


# ── Freshness of sources ─────────────────────────────────────────────────────────────────────────


def freshness(
    artifact: Artifact, project: Project, observed_at: Instant
) -> Iterator[Record | Refused]:
    """Go through the records of ``sources.json``: when each source was last loaded."""
    refused: list[Refused] = []
    for index, result in enumerate(artifact.results(refused)):
        unique_id = normalise.text(result.get("unique_id")) or ""
        uri = project.data_sets.get(unique_id)
        if uri is None:
            reason = f"{unique_id or 'no unique_id'}: The manifest does not know it."
            yield Refused(artifact.file, index, reason, f"results[{index}]")
            continue
        attributes: dict[str, Json] = {
            "refreshed_at": normalise.iso_time(result.get("max_loaded_at")),
            "freshness_status": _VERDICTS.get(_status(result)),
        }
        statement = Statement(uri, normalise.said(attributes), artifact.said_at)
        yield Record(
            project.source,
            f"freshness:{unique_id}",
            uri,
            (statement,),
            (),
            observed_at,
            artifact.said_at,
        )
    yield from refused

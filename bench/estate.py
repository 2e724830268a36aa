"""A seeded graph to measure on: projects of tables, pipelines, features and models in layers."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from lineal.model import EdgeStatement, Record, Statement, Uri


def records(projects: int, seed: int = 7) -> Iterator[Record]:
    """Yield the records of *projects* projects of about 27 things each, some sharing tables."""
    dice = Random(seed)
    shared = [_uri("dataset", f"shared.table_{number}") for number in range(max(1, projects // 20))]
    for project in range(projects):
        tables = [dice.choice(shared)]
        for number in range(8):
            pipeline = _uri("pipeline", f"p{project}-build-{number}")
            table = _uri("dataset", f"p{project}.table_{number}")
            reads = dice.sample(tables, min(2, len(tables)))
            yield _record(pipeline, [(pipeline, "reads", read) for read in reads])
            yield _record(table, [(table, "produced_by", pipeline)])
            tables.append(table)
        features = [_uri("feature", f"p{project}/f{number}") for number in range(6)]
        for feature in features:
            yield _record(feature, [(feature, "derived_from", dice.choice(tables))])
        for number in range(2):
            model = _uri("model", f"p{project}-model-{number}")
            used = dice.sample(features, 3)
            yield _record(model, [(model, "consumes", feature) for feature in used])


def _uri(kind: str, name: str) -> Uri:
    return Uri.of(kind, "bench", name)


def _record(subject: Uri, edges: list[tuple[Uri, str, Uri]]) -> Record:
    said = {"name": subject.name, "description": f"{subject.type} of the benchmark"}
    return Record(
        "bench",
        subject,
        subject,
        (Statement(subject, said),),
        tuple(EdgeStatement(*edge) for edge in edges),
        observed_at=1_700_000_000_000_000,
    )

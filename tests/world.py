"""One small named world: how a ranking model came about, is tried, serves and feeds itself.

It holds the chain of the published example (a model version, the run that made it, the cell that
the run was for, the A/B test) and around it data, features, a deployment, owners, a feedback loop,
a thing that is only referred to and one that is gone. Its clock stands at `NOW`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from lineal.app import Lineal
from lineal.config import Config
from lineal.model import (
    EdgeStatement,
    Instant,
    Json,
    Layer,
    Record,
    Removal,
    Response,
    Statement,
    Uri,
    instant,
)
from lineal.store import Batch

#: When the world was first told, when it changed, and now.
FIRST = instant(datetime(2026, 11, 16, 8, 0, tzinfo=UTC))
CHANGED = instant(datetime(2026, 11, 20, 14, 30, tzinfo=UTC))
NOW = instant(datetime(2026, 11, 23, 6, 40, tzinfo=UTC))

MODEL = Uri("mlg://model/registry/ranking-model")
V4 = Uri("mlg://model-version/registry/ranking-model/v4")
V5 = Uri("mlg://model-version/registry/ranking-model/v5")
PIPELINE = Uri("mlg://pipeline/orchestrator/weekly-ranking-trainer")
RUN = Uri("mlg://run/orchestrator/weekly-ranking-trainer/train-weekly-ranking-20260106")
FEATURE_JOB = Uri("mlg://pipeline/orchestrator/member-features-daily")
TEST = Uri("mlg://ab-test/experiments/12345")
CONTROL = Uri("mlg://ab-cell/experiments/12345/1")
TREATMENT = Uri("mlg://ab-cell/experiments/12345/2")
PLAYS = Uri("mlg://dataset/warehouse/prod/events/plays")
PLAYS_LAKE = Uri("mlg://dataset/s3/lake/events/plays")
TITLES = Uri("mlg://dataset/warehouse/prod/catalogue/titles")
PREDICTIONS = Uri("mlg://dataset/warehouse/prod/logs/ranking_predictions")
OLD_EXPORT = Uri("mlg://dataset/warehouse/prod/exports/plays_2019")
FEATURES = Uri("mlg://feature-set/features/member_watch_history")
HOURS = Uri("mlg://feature/features/member_watch_history/hours_watched_7d")
GENRES = Uri("mlg://feature/features/member_watch_history/favourite_genres")
DEPLOYMENT = Uri("mlg://deployment/serving/ranking-homepage")
SERVICE = Uri("mlg://service/mesh/homepage-api")
ALICE = Uri("mlg://user/directory/alice")
TEAM = Uri("mlg://team/directory/personalization")
DATA_TEAM = Uri("mlg://team/directory/data-platform")


def edge(
    start: Uri, kind: str, end: Uri, layer: Layer = Layer.DECLARED, **said: Json
) -> EdgeStatement:
    """Return an edge as a record states it."""
    return EdgeStatement(start, kind, end, said, layer)


def record(
    source: str,
    subject: Uri,
    attributes: dict[str, Json],
    edges: Sequence[EdgeStatement] = (),
    *,
    at: Instant = FIRST,
) -> Record:
    """Return what *source* says of one thing, as fetched from it."""
    document = "/".join(subject.parts[2:])
    response = Response(
        f"https://{source}.example/api/v1/{subject.type}s/{document}", "ab" * 32, at
    )
    statements = (Statement(subject, attributes),)
    return Record(
        source,
        f"{subject.type}/{document}",
        subject,
        statements,
        tuple(edges),
        at,
        response=response,
    )


def models(at: Instant = FIRST, status: str = "pending") -> list[Record]:
    """Return what the registry says."""
    return [
        record(
            "registry", MODEL,
            {
                "name": "ranking-model", "stage": "production", "task": "ranking",
                "description": "Ranks titles on the **homepage**.\n\n* retrained weekly\n"
                "* see [the runbook](https://wiki.example/ranking)\n",
                "framework": "xgboost 2.1", "objective": "homepage engagement",
                "tags": ["tier::1", "surface::homepage"], "link": "https://registry.example/ranking",
            },
            [edge(MODEL, "points_to", V5, alias="production"), edge(MODEL, "owned_by", TEAM)],
            at=at,
        ),
        record(
            "registry", V4,
            {"name": "ranking-model v4", "version": "4", "status": "ready"},
            [edge(V4, "version_of", MODEL), edge(V4, "consumes", FEATURES)],
            at=at,
        ),
        record(
            "registry", V5,
            {
                "name": "ranking-model v5", "version": "5", "status": status,
                "created_at": "2026-01-06T04:12:00Z", "framework": "xgboost 2.1",
                "metrics": {"ndcg@10": 0.4312, "auc": 0.871, "rows": 182_400_111},
                "parameters": {"depth": 8, "eta": 0.05}, "bytes": 48_211_904,
                "tags": ["team::personalization", "tier::1"],
                "artifact_uri": "s3://models/ranking/v5",
            },
            [
                edge(V5, "version_of", MODEL), edge(V5, "produced_by", RUN),
                edge(V5, "consumes", FEATURES), edge(V5, "owned_by", ALICE),
            ],
            at=at,
        ),
    ]  # fmt: skip


def work() -> list[Record]:
    """Return what the orchestrator says."""
    return [
        record(
            "orchestrator", PIPELINE,
            {"name": "weekly-ranking-trainer", "schedule": "0 4 * * 2", "form": "workflow"},
            [edge(PIPELINE, "owned_by", TEAM)],
        ),
        record(
            "orchestrator", RUN,
            {
                "name": "train-weekly-ranking-20260106", "status": "succeeded",
                "started_at": "2026-01-06T02:00:00Z", "ended_at": "2026-01-06T04:10:00Z",
            },
            [
                edge(RUN, "run_of", PIPELINE), edge(RUN, "executed_for", TREATMENT),
                edge(RUN, "reads", FEATURES, Layer.OBSERVED),
                edge(RUN, "reads", TITLES, Layer.OBSERVED),
            ],
        ),
        record(
            "orchestrator", FEATURE_JOB,
            {"name": "member-features-daily", "schedule": "0 1 * * *"},
            [edge(FEATURE_JOB, "reads", PLAYS), edge(FEATURES, "produced_by", FEATURE_JOB)],
        ),
    ]  # fmt: skip


def experiments() -> list[Record]:
    """Return what the experiment platform says."""
    return [
        record(
            "experiments", TEST,
            {
                "name": "Ranking Model v5 vs v4", "status": "running",
                "hypothesis": "v5 raises seven-day retention", "surfaces": ["homepage"],
            },
            [edge(TEST, "owned_by", ALICE)],
        ),
        record(
            "experiments", CONTROL, {"name": "control_ranking_v4", "number": 1, "control": True},
            [edge(CONTROL, "cell_of", TEST), edge(V4, "served_in", CONTROL)],
        ),
        record(
            "experiments", TREATMENT, {"name": "treatment_ranking_v5", "number": 2},
            [edge(TREATMENT, "cell_of", TEST), edge(V5, "served_in", TREATMENT)],
        ),
    ]  # fmt: skip


def data() -> list[Record]:
    """Return what the catalogue and the feature store say."""
    return [
        record(
            "catalogue", PLAYS,
            {
                "name": "plays", "form": "table", "format": "parquet", "rows": 91_442_003_117,
                "description": "One row for each time a title was played.",
                "tags": ["pii::member", "gold"], "refreshed_at": "2026-11-23T05:00:00Z",
            },
            [edge(PLAYS, "owned_by", DATA_TEAM), edge(PLAYS, "same_as", PLAYS_LAKE)],
        ),
        record("lake", PLAYS_LAKE, {"name": "events/plays", "form": "folder", "format": "iceberg"}),
        record("catalogue", TITLES, {"name": "titles", "form": "table", "rows": 81_220}),
        record(
            "catalogue", PREDICTIONS, {"name": "ranking_predictions", "form": "table"},
            [edge(PREDICTIONS, "owned_by", DATA_TEAM)],
        ),
        record("catalogue", OLD_EXPORT, {"name": "plays_2019", "form": "table"}),
        record(
            "features", FEATURES,
            {"name": "member_watch_history", "version": "3", "online": True},
            [
                edge(FEATURES, "derived_from", PLAYS), edge(FEATURES, "derived_from", PREDICTIONS),
                edge(FEATURES, "owned_by", DATA_TEAM),
            ],
        ),
        record(
            "features", HOURS, {"name": "hours_watched_7d", "data_type": "float"},
            [edge(HOURS, "in_set", FEATURES)],
        ),
        record(
            "features", GENRES, {"name": "favourite_genres", "data_type": "list<string>"},
            [edge(GENRES, "in_set", FEATURES)],
        ),
    ]  # fmt: skip


def serving() -> list[Record]:
    """Return what the serving platform and the directory say."""
    return [
        record(
            "serving", DEPLOYMENT,
            {"name": "ranking-homepage", "status": "serving", "mode": "online"},
            [
                edge(DEPLOYMENT, "deploys", V5, weight=0.9, role="live"),
                edge(DEPLOYMENT, "deploys", V4, weight=0.1, role="live"),
                edge(DEPLOYMENT, "deployed_on", SERVICE), edge(DEPLOYMENT, "owned_by", TEAM),
                edge(DEPLOYMENT, "logs_to", PREDICTIONS),
            ],
        ),
        record("directory", TEAM, {"name": "Personalization", "channel": "https://chat.example/p13n"}),
        record("directory", DATA_TEAM, {"name": "Data Platform", "email": "data@example.org"}),
        record(
            "directory", ALICE, {"name": "Alice Osei", "email": "alice@example.org"},
            [edge(ALICE, "member_of", TEAM)],
        ),
    ]  # fmt: skip


class Clock:
    """A clock that stands where it was put."""

    def __init__(self, at: Instant) -> None:
        self.at = at

    def __call__(self) -> Instant:
        """Return the time at which it stands."""
        return self.at


def tell(lineal: Lineal, clock: Clock) -> None:
    """Tell a graph all that this world holds, then what changed in it."""
    clock.at = FIRST
    said = [*models(), *work(), *experiments(), *data(), *serving()]
    lineal.store.commit(Batch(said, actor="sweep", cause="first sweep"))
    clock.at = CHANGED
    gone = Removal("catalogue", "dataset/prod/exports/plays_2019", OLD_EXPORT, CHANGED)
    changes: list[Record | Removal] = [models(CHANGED, "ready")[2], gone]
    lineal.store.commit(Batch(changes, actor="registry", cause="event model_instance_updated"))
    clock.at = NOW


@contextmanager
def empty(folder: Path) -> Iterator[Lineal]:
    """Open a graph that holds nothing."""
    with Lineal.open(Config(db=folder / "lineal.db"), clock=Clock(NOW)) as lineal:
        yield lineal


@contextmanager
def told(folder: Path) -> Iterator[Lineal]:
    """Open a graph that holds this world."""
    clock = Clock(FIRST)
    with Lineal.open(Config(db=folder / "lineal.db"), clock=clock) as lineal:
        tell(lineal, clock)
        yield lineal

"""The traps, each told by one function that puts its players on the shelves."""

from __future__ import annotations

from datetime import timedelta

from lineal.testing.estate.people import MAILING_LIST, NOBODY, SECOND_ADDRESS
from lineal.testing.estate.records import (
    Column,
    Evaluation,
    Feature,
    FeatureSet,
    Instance,
    Run,
    Snapshot,
    Table,
    Target,
    Thing,
)
from lineal.testing.estate.shelves import Shelves
from lineal.testing.estate.stage import ALICE, HOME, RANK, Stage
from lineal.testing.estate.traps import THREE_NAMES


def lay(world: Shelves) -> None:
    """Put every trap on the shelves."""
    stage = Stage(world)
    for story in (
        worked_example,
        shadow,
        feedback_loop,
        feature_of_thirty,
        base_of_five_hundred,
        three_names,
        view,
        purged_run,
        tests_of_every_status,
        trained_and_served,
        two_inputs,
        call_cycle,
        snapshots,
        parent_run,
        awkward_names,
        unknown_source,
        deleted_alias_target,
        odd_owners,
    ):
        story(stage)


def worked_example(stage: Stage) -> None:
    """Tell the published example, with a canary and services that call services."""
    for name in ("ranking_labels", "ranking_labels_v4", "ranking_holdout", "ranking_predictions"):
        stage.table(f"{HOME}.{name}", "label")
    plays = _plays(stage)
    builder = stage.pipeline("member-plays-build")
    stage.feature_set(
        "member_plays",
        ("hours_7d", plays[1], "hours"),
        ("titles_7d", plays[1], "title"),
        builder=builder,
    )
    stage.run("member-plays-build-1", builder, (plays,), (("feature_set", "member_plays"),))
    stage.feature_service("ranking-online", "member_plays:hours_7d")
    _treatment(stage, plays)
    _control(stage)
    stage.test(
        "12345",
        "Ranking Model v5 vs v4",
        "ACTIVE",
        "control_ranking_v4",
        "treatment_ranking_v5",
        metrics=(plays[1],),
    )
    stage.rule(
        "ContinueWatchingRanking",
        "12345",
        c1="ranking-model-v4-20XX0101",
        c2="ranking-model-v5-20XX0101",
    )
    stage.put(
        Evaluation(
            "eval-ranking-model-v5-20XX0101",
            "ranking-model-v5-20XX0101",
            f"{HOME}.ranking_holdout",
            (("auc", 0.81), ("ndcg", 0.44)),
            stage.moment(57),
        )
    )
    _chain(stage)


def _plays(stage: Stage) -> Thing:
    """Make the table behind the example's features, whose pipeline failed last night."""
    raw = stage.table(f"{HOME}.raw_member_plays", "seconds", "title")
    plays = stage.table(f"{HOME}.member_plays_daily", "hours", "title")
    builder = stage.pipeline("member-plays-daily")
    stage.run("member-plays-daily-1", builder, (raw,), (plays,))
    failed = stage.moment(1)
    stage.put(
        Run(
            "member-plays-daily-2",
            builder,
            "FAILED",
            failed,
            failed + timedelta(minutes=3),
            (raw,),
            (),
            attempts=("FAILED", "FAILED"),
        )
    )
    return plays


def _treatment(stage: Stage, plays: Thing) -> None:
    """Train the example's model twice, the first time for a cell."""
    labels: Thing = ("table", f"{HOME}.ranking_labels")
    labels_builder = stage.pipeline("ranking-labels-build")
    stage.run("ranking-labels-build-1", labels_builder, (plays,), (labels,))
    trainer = stage.pipeline("weekly-ranking-trainer", labels_builder)
    stage.model(
        "ranking-v5",
        name="Ranking v5",
        objective="ContinueWatchingRanking",
        production="ranking-model-v5-20XX0101",
    )
    online: Thing = ("feature_service", "ranking-online")
    for date, cells in (("20XX0101", (("12345", 2, "treatment_ranking_v5"),)), ("20XX0201", ())):
        ident = f"ranking-model-v5-{date}"
        run = stage.run(
            f"train-weekly-ranking-{date}",
            trainer,
            (labels, online),
            (("instance", ident),),
            cells=cells,
        )
        stage.instance(
            ident,
            "ranking-v5",
            run,
            features=("member_plays:hours_7d",),
            service="ranking-online",
            trained_on=(labels,),
        )


def _control(stage: Stage) -> None:
    """Add the model that serves the control cell, without a run for it."""
    labels: Thing = ("table", f"{HOME}.ranking_labels_v4")
    trainer = stage.pipeline("weekly-ranking-trainer-v4")
    ident = "ranking-model-v4-20XX0101"
    run = stage.run("train-weekly-ranking-v4-20XX0101", trainer, (labels,), (("instance", ident),))
    stage.model("ranking-v4", name="Ranking v4", objective="ContinueWatchingRanking")
    stage.instance(
        ident, "ranking-v4", run, features=("member_plays:titles_7d",), trained_on=(labels,)
    )


def _chain(stage: Stage) -> None:
    """Deploy the example with a canary, under three services that call one another."""
    stage.service("ranking-service")
    stage.service("homepage-service", "ranking-service")
    stage.service("api-gateway", "homepage-service")
    stage.service("tv-app", "api-gateway")
    stage.deployment(
        "ranking-canary",
        "ranking-service",
        Target("ranking-model-v5-20XX0101", 95, "live"),
        Target("ranking-model-v5-20XX0201", 5, "canary"),
        log=f"{HOME}.ranking_predictions",
    )


def shadow(stage: Stage) -> None:
    """Deploy a model as a shadow only: it answers, and nobody listens."""
    source = stage.table(f"{HOME}.shadow_source", "echo", owner=("team", "search"))
    stage.feature_set("shadow_signals", ("echo", source[1], "echo"), owner=("team", "search"))
    stage.model("shadow-only")
    stage.instance("shadow-only-v1", "shadow-only", features=("shadow_signals:echo",))
    stage.service("shadow-service")
    stage.deployment("shadow-watch", "shadow-service", Target("shadow-only-v1", 0, "shadow"))


def feedback_loop(stage: Stage) -> None:
    """Train the next instance on what the last one predicted."""
    seed = stage.table(f"{HOME}.loop_seed", "label")
    log = stage.table(f"{HOME}.loop_predictions", "score")
    trainer = stage.pipeline("loop-trainer")
    stage.model("loop-ranker", candidate="loop-ranker-v2")
    first = stage.run("loop-train-1", trainer, (seed,), (("instance", "loop-ranker-v1"),))
    stage.instance("loop-ranker-v1", "loop-ranker", first, trained_on=(seed,))
    second = stage.run("loop-train-2", trainer, (seed, log), (("instance", "loop-ranker-v2"),))
    stage.instance("loop-ranker-v2", "loop-ranker", second, trained_on=(seed, log))
    stage.service("loop-service")
    stage.deployment("loop-prod", "loop-service", Target("loop-ranker-v1", 100, "live"), log=log[1])


def feature_of_thirty(stage: Stage) -> None:
    """Share one feature among thirty models: directly, through a service, through its set."""
    table = stage.table(f"{HOME}.member_accounts", "tenure", "plan")
    stage.feature_set(
        "member_profile", ("tenure_days", table[1], "tenure"), ("plan_code", table[1], "plan")
    )
    stage.feature_service("tenure-online", "member_profile:tenure_days")
    for number in range(1, 31):
        model = stage.model(
            f"tenure-reader-{number:02}", owners=(ALICE,) if number % 2 else ("bob@example.com",)
        )
        ident = f"{model}-v1"
        if number % 3 == 0:
            stage.instance(ident, model, features=("member_profile:tenure_days",))
        elif number % 3 == 1:
            stage.instance(ident, model, service="tenure-online")
        else:
            stage.instance(ident, model, whole_set="member_profile")


def base_of_five_hundred(stage: Stage) -> None:
    """Tune one base five hundred times: fifty models of ten bare instances."""
    corpus = stage.table("studio.foundation_corpus", "text")
    trainer = stage.pipeline("foundation-trainer")
    run = stage.run("foundation-train-1", trainer, (corpus,), (("instance", "foundation-lm-v1"),))
    stage.model("foundation-lm", production="foundation-lm-v1")
    stage.instance("foundation-lm-v1", "foundation-lm", run, trained_on=(corpus,))
    for number in range(1, 51):
        model = stage.model(f"foundation-tuned-{number:02}", owners=("bob@example.com",))
        for version in range(1, 11):
            stage.put(
                Instance(
                    f"{model}-v{version}",
                    model,
                    None,
                    ("bob@example.com",),
                    stage.moment(50),
                    base="foundation-lm-v1",
                    relation="finetune",
                    documented=False,
                )
            )


def three_names(stage: Stage) -> None:
    """Call one table by three names."""
    table = stage.table(
        THREE_NAMES["warehouse"],
        "minutes",
        "device",
        storage=THREE_NAMES["storage"],
        hive=THREE_NAMES["hive"],
    )
    ingest = stage.pipeline("playback-ingest")
    stage.run("playback-ingest-1", ingest, (), (table,))
    builder = stage.pipeline("playback-signals-build")
    stage.feature_set("playback_signals", ("minutes_7d", table[1], "minutes"), builder=builder)
    stage.run("playback-signals-build-1", builder, (table,), (("feature_set", "playback_signals"),))
    trainer = stage.pipeline("playback-trainer")
    run = stage.run("playback-train-1", trainer, (table,), (("instance", "playback-model-v1"),))
    stage.model("playback-model")
    stage.instance(
        "playback-model-v1",
        "playback-model",
        run,
        features=("playback_signals:minutes_7d",),
        trained_on=(table,),
    )
    stage.test("20005", "Playback metric", "ACTIVE", "control", "treatment", metrics=(table[1],))


def view(stage: Stage) -> None:
    """Derive a view from two tables, and features from single columns of the view."""
    left = stage.table(f"{HOME}.overview_plays", "hours")[1]
    right = stage.table(f"{HOME}.overview_billing", "plan")[1]
    ident = f"{HOME}.member_overview"
    columns = (
        Column("member_id", "bigint", "", ((left, "member_id"), (right, "member_id"))),
        Column("hours", "double", "", ((left, "hours"),)),
        Column("plan", "varchar", "", ((right, "plan"),)),
    )
    stage.put(
        Table(
            ident,
            "VIEW",
            "plays and plans",
            columns,
            (left, right),
            None,
            None,
            RANK,
            (),
            HOME,
            stage.moment(300),
        )
    )
    stage.feature_set("overview", ("hours", ident, "hours"), ("plan", ident, "plan"))
    for name in ("hours", "plan"):
        stage.model(f"overview-{name}")
        stage.instance(f"overview-{name}-v1", f"overview-{name}", features=(f"overview:{name}",))


def purged_run(stage: Stage) -> None:
    """Keep a model alive whose run the orchestrator has thrown away."""
    stage.purge("purged-run-20251101")
    stage.model("purged-run-model")
    stage.instance(
        "purged-run-model-v1",
        "purged-run-model",
        "purged-run-20251101",
        features=("member_plays:hours_7d",),
    )
    stage.deployment("purged-prod", "homepage-service", Target("purged-run-model-v1", 100, "live"))


def tests_of_every_status(stage: Stage) -> None:
    """Train for a test that has ended, and train and serve for one that has not begun."""
    labels: Thing = ("table", f"{HOME}.ranking_labels")
    for test, name, status in (("20001", "ended-test", "ENDED"), ("20002", "draft-test", "DRAFT")):
        stage.test(test, f"A {status.lower()} test", status, "control", "treatment")
        trainer = stage.pipeline(f"{name}-trainer")
        ident = f"{name}-model-v1"
        run = stage.run(
            f"{name}-train-1",
            trainer,
            (labels,),
            (("instance", ident),),
            cells=((test, 2, "treatment"),),
        )
        stage.model(f"{name}-model")
        stage.instance(ident, f"{name}-model", run, trained_on=(labels,))
    stage.rule("DraftObjective", "20002", c2="draft-test-model-v1")


def trained_and_served(stage: Stage) -> None:
    """Train one model for a cell and serve another in it."""
    labels: Thing = ("table", f"{HOME}.ranking_labels")
    stage.test("20003", "Trained is not served", "ACTIVE", "control", "treatment")
    trainer = stage.pipeline("trained-only-trainer")
    run = stage.run(
        "trained-only-train-1",
        trainer,
        (labels,),
        (("instance", "trained-only-v1"),),
        cells=(("20003", 2, "treatment"),),
    )
    stage.model("trained-only")
    stage.instance("trained-only-v1", "trained-only", run)
    stage.model("served-only")
    stage.instance("served-only-v1", "served-only")
    stage.rule("MismatchObjective", "20003", c1="ranking-model-v4-20XX0101", c2="served-only-v1")


def two_inputs(stage: Stage) -> None:
    """Let two runs of one pipeline read different tables, each for its own instance."""
    trainer = stage.pipeline("two-inputs-trainer")
    stage.model("two-inputs")
    for version, letter in (("1", "a"), ("2", "b")):
        table = stage.table(f"{HOME}.input_{letter}", "label")
        builder = stage.pipeline(f"input-{letter}-build")
        stage.run(f"input-{letter}-build-1", builder, (), (table,))
        run = stage.run(
            f"two-inputs-run-{letter}", trainer, (table,), (("instance", f"two-inputs-v{version}"),)
        )
        stage.instance(f"two-inputs-v{version}", "two-inputs", run)


def call_cycle(stage: Stage) -> None:
    """Let three services call each other in a circle, with a model behind one."""
    stage.service("cycle-a", "cycle-b")
    stage.service("cycle-b", "cycle-c")
    stage.service("cycle-c", "cycle-a")
    stage.model("cycle-model")
    stage.instance("cycle-model-v1", "cycle-model")
    stage.deployment("cycle-prod", "cycle-a", Target("cycle-model-v1", 100, "live"))


def snapshots(stage: Stage) -> None:
    """Write a table twice, and train on exactly the first state."""
    table = stage.table(f"{HOME}.member_facts", "fact")[1]
    stage.table(f"{HOME}.facts_source_1", "fact")
    stage.table(f"{HOME}.facts_source_2", "fact")
    builder = stage.pipeline("member-facts-build")
    for number, snapshot in ((1, "8801"), (2, "8802")):
        ident = f"{table}@{snapshot}"
        source: Thing = ("table", f"{HOME}.facts_source_{number}")
        run = stage.run(f"member-facts-build-{number}", builder, (source,), (("snapshot", ident),))
        stage.put(Snapshot(ident, table, snapshot, run, stage.moment(58), 1_200_000 + number))
    read: Thing = ("snapshot", f"{table}@8801")
    trainer = stage.pipeline("snapshot-trainer")
    run = stage.run("snapshot-train-1", trainer, (read,), (("instance", "snapshot-model-v1"),))
    stage.model("snapshot-model")
    stage.instance("snapshot-model-v1", "snapshot-model", run, trained_on=(read,))


def parent_run(stage: Stage) -> None:
    """Run a night of tasks; the cell is on the task that trains."""
    pipeline = stage.pipeline("nightly-personalization")
    source = stage.table(f"{HOME}.nightly_source", "value")
    extract = stage.table(f"{HOME}.nightly_extract", "value")
    parent = stage.run("nightly-20260110", pipeline, (), ())
    stage.run(f"{parent}.extract", pipeline, (source,), (extract,), parent=parent)
    stage.test("20004", "Nightly", "ACTIVE", "control", "treatment")
    run = stage.run(
        f"{parent}.train",
        pipeline,
        (extract,),
        (("instance", "nightly-model-v1"),),
        cells=(("20004", 2, "treatment"),),
        parent=parent,
    )
    stage.model("nightly-model")
    stage.instance("nightly-model-v1", "nightly-model", run)


def awkward_names(stage: Stage) -> None:
    """Name things with spaces, slashes, accents and percent signs."""
    table = stage.table("ads.café impressions 100%", "plays/hours %")
    stage.feature_set("ad signals/é", ("plays/hours %", table[1], "plays/hours %"))
    trainer = stage.pipeline("train ads/ctr 50%")
    run = stage.run(
        "train ads/ctr 50%/2026-01-10", trainer, (table,), (("instance", "ads/ctr modèle 50% v1"),)
    )
    stage.model("ads/ctr modèle 50%")
    stage.instance(
        "ads/ctr modèle 50% v1",
        "ads/ctr modèle 50%",
        run,
        features=("ad signals/é:plays/hours %",),
        trained_on=(table,),
    )
    stage.put(
        Evaluation(
            "eval ads/ctr 50%", "ads/ctr modèle 50% v1", table[1], (("auc", 0.7),), stage.moment(30)
        )
    )
    stage.service("ads front/é")
    stage.deployment(
        "ads/ctr prod #1?", "ads front/é", Target("ads/ctr modèle 50% v1", 100, "live")
    )


def unknown_source(stage: Stage) -> None:
    """Keep features of which nobody says where they come from."""
    features = (Feature("unknown_origin", "DOUBLE", "", None),)
    stage.put(
        FeatureSet(
            "mystery_signals", "nobody knows", RANK, HOME, stage.moment(300), features, (), None
        )
    )
    stage.model("mystery-model")
    stage.instance(
        "mystery-model-v1", "mystery-model", features=("mystery_signals:unknown_origin",)
    )


def deleted_alias_target(stage: Stage) -> None:
    """Point an alias at an instance that is no more, while another is deployed."""
    stage.model("alias-lost", production="alias-lost-v0")
    stage.instance("alias-lost-v1", "alias-lost", features=("member_plays:hours_7d",))
    stage.deployment("alias-lost-prod", "homepage-service", Target("alias-lost-v1", 100, "live"))


def odd_owners(stage: Stage) -> None:
    """Give models to a mailing list, to nobody, to a second address and to someone who left."""
    for ident, address in (
        ("list-owned", MAILING_LIST),
        ("ghost-owned", NOBODY),
        ("second-address-owned", SECOND_ADDRESS),
        ("leaver-owned", "lee@example.com"),
    ):
        stage.model(ident, owners=(address,))
        stage.instance(f"{ident}-v1", ident, features=("member_profile:plan_code",))

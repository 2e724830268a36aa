"""The awkward things every estate has, at every scale: what they are called, and who plays in them.

The stories themselves are told in ``stories``.
"""

from __future__ import annotations

from collections.abc import Mapping

from lineal.testing.estate.people import MAILING_LIST, NOBODY
from lineal.testing.estate.records import Thing

#: Every trap: what it is called, and its players by role, as (kind, id).
TRAPS: Mapping[str, Mapping[str, Thing]] = {
    "worked_example": {
        "instance": ("instance", "ranking-model-v5-20XX0101"),
        "model": ("model", "ranking-v5"),
        "run": ("run", "train-weekly-ranking-20XX0101"),
        "pipeline": ("pipeline", "weekly-ranking-trainer"),
        "test": ("test", "12345"),
        "cell": ("cell", "12345/2"),
        "control": ("instance", "ranking-model-v4-20XX0101"),
    },
    "failed_upstream": {
        "table": ("table", "personalization.member_plays_daily"),
        "pipeline": ("pipeline", "member-plays-daily"),
        "run": ("run", "member-plays-daily-2"),
    },
    "canary": {
        "deployment": ("deployment", "ranking-canary"),
        "live": ("instance", "ranking-model-v5-20XX0101"),
        "canary": ("instance", "ranking-model-v5-20XX0201"),
    },
    "shadow": {
        "deployment": ("deployment", "shadow-watch"),
        "instance": ("instance", "shadow-only-v1"),
        "model": ("model", "shadow-only"),
        "feature_set": ("feature_set", "shadow_signals"),
        "feature": ("feature", "shadow_signals:echo"),
        "table": ("table", "personalization.shadow_source"),
        "team": ("team", "search"),
    },
    "feedback_loop": {
        "deployment": ("deployment", "loop-prod"),
        "log": ("table", "personalization.loop_predictions"),
        "model": ("model", "loop-ranker"),
        "first": ("instance", "loop-ranker-v1"),
        "next": ("instance", "loop-ranker-v2"),
        "run": ("run", "loop-train-2"),
        "pipeline": ("pipeline", "loop-trainer"),
    },
    "feature_of_thirty": {
        "feature": ("feature", "member_profile:tenure_days"),
        "feature_set": ("feature_set", "member_profile"),
        "feature_service": ("feature_service", "tenure-online"),
        "table": ("table", "personalization.member_accounts"),
    },
    "base_of_five_hundred": {
        "model": ("model", "foundation-lm"),
        "instance": ("instance", "foundation-lm-v1"),
        "tuned": ("instance", "foundation-tuned-07-v10"),
        "tuned_model": ("model", "foundation-tuned-07"),
    },
    "three_names": {
        "table": ("table", "personalization.playback_events"),
        "pipeline": ("pipeline", "playback-ingest"),
        "reader": ("pipeline", "playback-signals-build"),
        "feature": ("feature", "playback_signals:minutes_7d"),
        "test": ("test", "20005"),
        "instance": ("instance", "playback-model-v1"),
    },
    "view": {
        "view": ("table", "personalization.member_overview"),
        "left": ("table", "personalization.overview_plays"),
        "right": ("table", "personalization.overview_billing"),
        "feature": ("feature", "overview:hours"),
        "other_feature": ("feature", "overview:plan"),
    },
    "purged_run": {
        "run": ("run", "purged-run-20251101"),
        "instance": ("instance", "purged-run-model-v1"),
        "model": ("model", "purged-run-model"),
        "deployment": ("deployment", "purged-prod"),
    },
    "ended_test": {"test": ("test", "20001"), "instance": ("instance", "ended-test-model-v1")},
    "draft_test": {"test": ("test", "20002"), "instance": ("instance", "draft-test-model-v1")},
    "trained_never_served": {
        "test": ("test", "20003"),
        "instance": ("instance", "trained-only-v1"),
        "model": ("model", "trained-only"),
    },
    "served_never_trained": {
        "test": ("test", "20003"),
        "cell": ("cell", "20003/2"),
        "instance": ("instance", "served-only-v1"),
        "model": ("model", "served-only"),
    },
    "two_inputs": {
        "pipeline": ("pipeline", "two-inputs-trainer"),
        "model": ("model", "two-inputs"),
        "first": ("instance", "two-inputs-v1"),
        "second": ("instance", "two-inputs-v2"),
        "first_table": ("table", "personalization.input_a"),
        "second_table": ("table", "personalization.input_b"),
    },
    "service_chain": {
        "bottom": ("service", "ranking-service"),
        "first": ("service", "homepage-service"),
        "second": ("service", "api-gateway"),
        "third": ("service", "tv-app"),
    },
    "call_cycle": {
        "a": ("service", "cycle-a"),
        "b": ("service", "cycle-b"),
        "c": ("service", "cycle-c"),
        "deployment": ("deployment", "cycle-prod"),
        "instance": ("instance", "cycle-model-v1"),
    },
    "snapshots": {
        "table": ("table", "personalization.member_facts"),
        "old": ("snapshot", "personalization.member_facts@8801"),
        "new": ("snapshot", "personalization.member_facts@8802"),
        "writer": ("run", "member-facts-build-1"),
        "reader": ("run", "snapshot-train-1"),
        "instance": ("instance", "snapshot-model-v1"),
        "model": ("model", "snapshot-model"),
    },
    "parent_run": {
        "parent": ("run", "nightly-20260110"),
        "task": ("run", "nightly-20260110.train"),
        "pipeline": ("pipeline", "nightly-personalization"),
        "instance": ("instance", "nightly-model-v1"),
        "test": ("test", "20004"),
    },
    "awkward_names": {
        "table": ("table", "ads.café impressions 100%"),
        "feature": ("feature", "ad signals/é:plays/hours %"),
        "feature_set": ("feature_set", "ad signals/é"),
        "model": ("model", "ads/ctr modèle 50%"),
        "instance": ("instance", "ads/ctr modèle 50% v1"),
        "pipeline": ("pipeline", "train ads/ctr 50%"),
        "run": ("run", "train ads/ctr 50%/2026-01-10"),
        "deployment": ("deployment", "ads/ctr prod #1?"),
    },
    "unknown_source": {
        "feature": ("feature", "mystery_signals:unknown_origin"),
        "feature_set": ("feature_set", "mystery_signals"),
        "model": ("model", "mystery-model"),
    },
    "deleted_alias_target": {
        "model": ("model", "alias-lost"),
        "missing": ("instance", "alias-lost-v0"),
        "instance": ("instance", "alias-lost-v1"),
    },
    "mailing_list": {"model": ("model", "list-owned"), "email": ("email", MAILING_LIST)},
    "owner_nobody": {"model": ("model", "ghost-owned"), "email": ("email", NOBODY)},
    "second_address": {"model": ("model", "second-address-owned"), "user": ("user", "bob")},
    "leaver": {"model": ("model", "leaver-owned"), "user": ("user", "lee")},
}

#: The spellings of the one table that has three.
THREE_NAMES = {
    "warehouse": "personalization.playback_events",
    "storage": "s3://stream-lake/legacy/viewing/playback",
    "hive": "hive.legacy_viewing.playback",
}

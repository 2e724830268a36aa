"""The installation's numbers, as Prometheus reads them: asked when they are read, never kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from lineal.app import Lineal
    from lineal.app.standing import Standings

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BREAKER = {"closed": 0, "half-open": 1, "open": 2}
_FATES = ("applied", "superseded", "purged")


class _Standing(Collector):
    """Tells how the installation stands when it is asked."""

    def __init__(self, lineal: Lineal) -> None:
        self._lineal = lineal

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before it is asked for."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Yield all numbers, of one snapshot."""
        stand = self._lineal.standings()
        yield from _inbox(stand)
        yield from _broken(stand)
        yield from _rules(stand)
        for name, text, value in _GAUGES:
            gauge = GaugeMetricFamily(f"lineal_source_{name}", text, labels=["source"])
            for one in stand.sources:
                if (number := value(one)) is not None:
                    gauge.add_metric([one.health.source], number)
            yield gauge
        yield from _notices(stand)


def _seconds(at: int | None) -> float | None:
    return None if at is None else at / 1_000_000


_GAUGES = (
    ("documents", "Documents that live.", lambda one: one.health.documents),
    ("dirty", "Documents that are to be fetched.", lambda one: one.health.dirty),
    ("failing", "Documents whose last fetch failed.", lambda one: one.health.failing),
    ("lag_seconds", "For how long the longest waits.", lambda one: one.lag / 1_000_000),
    ("dead_letters", "What could not be taken in.", lambda one: one.health.dead),
    ("held", "Removals that are held back.", lambda one: one.health.standing.held),
    ("breaker", "0: asked, 1: tried by one question, 2: left alone.",
     lambda one: _BREAKER[one.breaker]),
    ("heard_timestamp_seconds", "When the last event came.",
     lambda one: _seconds(one.health.account.heard_at)),
    ("confirmed_timestamp_seconds", "When it last answered.",
     lambda one: _seconds(one.health.confirmed_at)),
    ("swept_timestamp_seconds", "When the last sweep began that came to its end.",
     lambda one: _seconds(one.health.standing.whole_at)),
    ("late", "1 where two planned sweeps were missed.",
     lambda one: float(one.late_since is not None)),
)  # fmt: skip


def _inbox(stand: Standings) -> Iterator[Metric]:
    for name, text, value in (
        ("events", "Events that wait to be understood.", stand.inbox[0]),
        ("bytes", "Their bytes.", stand.inbox[1]),
        ("most_events", "How many may wait.", stand.limits[0]),
        ("most_bytes", "How many bytes may wait.", stand.limits[1]),
    ):
        yield GaugeMetricFamily(f"lineal_inbox_{name}", text, value=value)


def _broken(stand: Standings) -> Iterator[Metric]:
    broken = GaugeMetricFamily(
        "lineal_promises_broken", "Promises that are not kept just now.", labels=["promise"]
    )
    for promise in ("accounting", "progress", "freshness"):
        broken.add_metric([promise], sum(one.promise == promise for one in stand.broken))
    yield broken


def _rules(stand: Standings) -> Iterator[Metric]:
    for name, text, value in (
        ("pending", "Pieces of work that rules have still to do.", stand.rules.pieces),
        ("failed", "Things for which rules conclude nothing.", sum(stand.rules.failing.values())),
    ):
        yield GaugeMetricFamily(f"lineal_rules_{name}", text, value=value)


def _notices(stand: Standings) -> Iterator[Metric]:
    """Accepted = applied + superseded + purged + dead + pending; missing is what breaks it."""
    came = CounterMetricFamily("lineal_events", "Events that were kept.", labels=["source"])
    counted = CounterMetricFamily(
        "lineal_notices", "What became of notices.", labels=["source", "fate"]
    )
    now = GaugeMetricFamily(
        "lineal_notices_now", "Notices that are dead, pending or missing.",
        labels=["source", "fate"],
    )  # fmt: skip
    for one in stand.sources:
        account, name = one.health.account, one.health.source
        came.add_metric([name], account.events)
        counted.add_metric([name, "accepted"], account.accepted)
        for fate in _FATES:
            counted.add_metric([name, fate], getattr(account, fate))
        for fate in ("dead", "pending", "missing"):
            now.add_metric([name, fate], getattr(account, fate))
    yield came
    yield counted
    yield now


def text(lineal: Lineal) -> bytes:
    """Return the numbers of an installation, and of this process, in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Standing(lineal))
    # What the process counts by itself: its memory, its doors.
    return generate_latest(registry) + generate_latest(REGISTRY)

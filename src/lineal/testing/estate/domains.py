"""The four domains of the estate: their vocabulary, and what each has made so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

from lineal.testing.estate.people import TEAMS

#: The present moment of every estate.
NOW = datetime(2026, 3, 1, tzinfo=UTC)

NOUNS = {
    domain: tuple(nouns.split())
    for domain, nouns in {
        "personalization": "plays rows titles sessions searches profiles ratings trailers",
        "studio": "scenes scripts clips shots dialogues subtitles budgets locations",
        "payments": "charges refunds invoices cards disputes wallets coupons taxes",
        "ads": "clicks impressions bids creatives campaigns audiences auctions spots",
    }.items()
}
_WORDS = "hours score country device plan age day week genre title amount count ratio length kind"
COLUMNS = tuple(_WORDS.split())
TYPES = ("bigint", "double", "varchar", "timestamp", "boolean")
TASKS = ("ranker", "scorer", "detector", "forecaster", "embedder", "classifier")
MEASURES = ("auc", "ndcg", "logloss", "recall")


@dataclass
class Domain:
    """What one domain has so far, for later layers to draw from."""

    name: str
    rng: Random
    raw: list[str] = field(default_factory=list)
    staged: list[str] = field(default_factory=list)
    aggregates: list[str] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    scores: list[str] = field(default_factory=list)
    sets: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    apps: list[str] = field(default_factory=list)

    def team(self) -> str:
        """Pick one of the domain's teams."""
        return self.rng.choice(TEAMS[self.name])

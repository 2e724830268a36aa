"""Errands of children that load or end, rather than answer."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from lineal.enrich.rules import RuleBook, builtin_rules
from lineal.model import EdgeStatement, Record, Statement, Uri
from lineal.query.index import Index
from lineal.search import describing
from lineal.shapes import Shapes
from lineal.store import Store
from lineal.store.first import LOADED

#: More than one transaction of a first load.
MANY = LOADED + 200


def opened(path: Path) -> Store:
    """Open a store with all that belongs to a commit."""
    rules = [RuleBook(builtin_rules())]
    return Store(path, shapes=Shapes.builtin(), rules=rules, describe=describing(Shapes.builtin()))


def first_load(db: str) -> None:
    """Load very many tables into a file of which nothing is known."""
    with closing(opened(Path(db))) as store:
        store.load((_table(number) for number in range(MANY)), actor="test", cause="a load")


def build_index(db: str) -> None:
    """Build the lineage index, or take it from its file; and see that the file is there."""
    path = Path(db)
    with closing(opened(path)) as store:
        index = Index(store, file=path.with_name("graph.db.index"))
        if not index.recall():
            assert index.build()
            assert index.recall()


def _table(number: int) -> Record:
    uri = Uri(f"mlg://dataset/lake/t{number}")
    edges = [EdgeStatement(uri, "derived_from", Uri(f"mlg://dataset/lake/t{number // 2}"))]
    said = [Statement(uri, {"name": f"table {number}"})]
    return Record(
        "lake", f"table:{number}", uri, tuple(said), tuple(edges) if number else (), observed_at=1
    )

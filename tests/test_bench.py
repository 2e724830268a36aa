"""The benchmark of the store runs, and its report has every figure; how fast is not a test."""

from __future__ import annotations

import json
from pathlib import Path

from bench import reports, store
from bench.graph import SIZES, Graph


def test_a_small_run_reports_every_figure(tmp_path: Path) -> None:
    graph = Graph(SIZES["XS"])
    peer = store.Peer(tmp_path / "plain.db")
    found = store.measure(
        tmp_path / "lineal.db", graph, batches=2, peer=peer, progress=lambda _: None
    )
    peer.connection.close()

    path = reports.write(tmp_path / "reports", "XS", len(graph), graph.edges, 7, [found])

    names = {row.what for row in found.rows}
    for wanted in (
        "bulk load of all",
        "new",
        "unchanged",
        "10 % changed",
        "single change, durable, p50",
    ):
        assert wanted in names
    assert "size, one version of everything" in names
    page = path.read_text(encoding="utf-8")
    assert all(f"| {row.what} |" in page for row in found.rows)
    whole = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert len(whole["figures"][found.engine]) == len(found.rows)
    assert all(row["value"] > 0 for row in whole["figures"][found.engine])


def test_the_graph_is_the_same_for_the_same_seed_and_of_the_stated_density() -> None:
    one, other = Graph(3_000, seed=3), Graph(3_000, seed=3)

    assert [one.record(thing) for thing in range(200)] == [
        other.record(thing) for thing in range(200)
    ]
    assert 3.4 < one.edges / len(one) < 4.2
    assert Graph(3_000, seed=4).record(50) != one.record(50)

"""The benchmarks run, and their reports have every figure; how fast is not a test."""

from __future__ import annotations

import json
import os
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from bench import reports, store
from bench.graph import SIZES, Graph
from bench.ingest import run as ingest
from bench.lineage import graph as estates
from bench.lineage import peers, report, run
from bench.lineage.asked import EVERYONE, Asked
from bench.lineage.engines.loop import compiler
from bench.lineage.graph import estate
from bench.lineage.inside import Differs, same
from bench.lineage.measure import ALONE, Pace
from bench.lineage.peers import BITS, LIMIT, NUMBA, NUMPY
from bench.lineage.product import _PROFILED, PARTS
from bench.lineage.seeds import choose


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


ESTATE = estate(estates.SIZES["XS"])


def test_a_small_run_beside_what_is_installed_here_measures_every_question(tmp_path: Path) -> None:
    """Lineal with both kernels, C where it can be compiled, SQLite, and PostgreSQL if wanted."""
    wanted = ["SQLite"]
    if os.environ.get("LINEAL_TEST_POSTGRES") != "none":
        wanted.append("PostgreSQL")
    players = [peer for peer in peers.PEERS if peer.name in wanted]

    page, found = run.run(
        "XS", players, folder=tmp_path / "reports", cache=tmp_path, pace=Pace(0.002, 1)
    )

    assert not [one for one in found.problems if not one.startswith(_ABSENT)]
    measured = {(one.group, one.player, one.letter) for one in found.figures}
    limit = [LIMIT.name] if compiler() else []
    for question in EVERYONE:
        for kernel in _KERNELS + limit:
            assert (ALONE, kernel, question.letter) in measured
        assert {(name, name, question.letter) for name in wanted} <= measured
    assert {*_KERNELS, *limit, *wanted} <= set(found.curves)
    assert any(what.startswith("rebuilt from") for what in found.facts)
    text = page.read_text(encoding="utf-8")
    assert all(f"| {question.letter} {question.text} |" in text for question in EVERYONE)
    ElementTree.fromstring(page.with_suffix(".svg").read_text(encoding="utf-8"))
    again = report.load(page.with_suffix(".json"), {"graph": json.loads(_graph(page))})
    assert again.figures == found.figures


_KERNELS = [NUMPY.name, *([NUMBA.name] if find_spec("numba") else [])]
_ABSENT = tuple(
    f"{player.name}: does not run"
    for player, there in (
        (LIMIT, compiler()), (BITS, compiler()), (NUMBA, find_spec("numba")),
    )
    if not there
)  # fmt: skip


def _graph(page: Path) -> str:
    whole = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    return json.dumps(whole["graph"])


def test_a_wrong_answer_is_noticed_before_it_is_timed(tmp_path: Path) -> None:
    asked = Asked(ESTATE, tmp_path)
    start = asked.seeds.typical[0]
    right = asked.right("down", start)
    path = [start, int(right.ids[right.depths == 1][0])]

    assert not asked.wrong("down", [start], right.ids, right.depths)
    assert asked.wrong("down", [start], right.ids[1:], None)
    assert asked.wrong("down", [start], right.ids, right.depths + 1)
    assert asked.wrong("hops", [start], right.ids, right.depths)
    assert asked.wrong("services", [start], right.ids, None)
    assert not asked.wrong("path", path, np.array(path), None)
    assert asked.wrong("path", path, np.array([start, start, path[1]]), None)
    assert asked.wrong("path", path, np.array(path[:1]), None)


def test_a_peer_that_cannot_run_is_told_of_and_not_left_out(tmp_path: Path) -> None:
    absent = peers.Player("no such peer", "library", "libraries", "NetworkX")

    _, found = run.run(
        "XS", [absent], folder=tmp_path, cache=tmp_path, alone=False, store=False,
        pace=Pace(0.001, 1),
    )  # fmt: skip

    if find_spec("networkx") is None:
        assert any(one.startswith("no such peer: does not run: ModuleN") for one in found.problems)


def test_the_estate_is_the_same_for_the_same_seed_and_has_the_stated_statistics() -> None:
    same, other = estate(2_000), estate(2_000, seed=8)
    assert np.array_equal(same.current.ends, ESTATE.current.ends)
    assert len(other.current) != len(same.current)

    small = estate(estates.SIZES["S"])
    measured, aims = choose(small).measured, estates.AIMS["S"]

    assert 0.9 < len(small.walked()) / aims["edges"] < 1.1
    for name in ("typical", "hub", "mega", "up", "hops"):
        assert 0.6 < measured[name][0] / aims[name] < 1.6, name
    assert len(small.current) > len(small.walked())
    assert 0.25 < len(small.ended) / len(small.walked()) < 0.35


def test_a_small_run_of_the_product_checks_and_reports_every_figure(tmp_path: Path) -> None:
    """Over a database, in other processes and over HTTP; a wrong answer ends the run."""
    page, found = run.run_product(
        "XS", folder=tmp_path / "reports", db=tmp_path / "kept.db", kernels=["numpy"], pages=1
    )

    assert tuple(found.product) == PARTS
    lines = [line for some in found.product.values() for line in some]
    assert all(line.value > 0 for line in lines)
    bounds = {line.target for line in lines}
    assert bounds == {3.0, 40.0, 5.0, 1.0, 200.0, 1.1, 1.6, 2.5, 32.0, None}
    text = page.read_text(encoding="utf-8")
    assert all(f"| {line.what} | {line.kernel} |" in text for line in lines)
    # Where a target is missed it is told what takes the time.
    missed = {line.what for line in lines if line.target and line.value > line.target}
    profiled = {what.rpartition(": ")[0] for what in found.profiles}
    assert profiled <= missed
    assert {what for what in missed if what.startswith(tuple(_PROFILED))} <= profiled
    assert all(f"* {what}: `" in text for what in found.profiles)
    graph = {"graph": json.loads(_graph(page))}
    assert report.load(page.with_suffix(".json"), graph).product == found.product


def test_an_answer_that_differs_is_not_timed() -> None:
    with pytest.raises(Differs, match="1 things instead of 2"):
        same({1: 0}, {1: 0, 2: 1}, "a walk")
    with pytest.raises(Differs, match="nothing instead of 1"):
        same(None, {1: 0}, "a walk")
    same({1: 0}, {1: 0}, "a walk")


def test_a_small_run_of_the_write_path_reports_every_figure(tmp_path: Path) -> None:
    """A server and its tool in processes of their own; whatever is told becomes visible."""
    page = ingest.run(
        things=200, seconds=0.3, folder=tmp_path, seed=7, day=date(2026, 3, 1),
        progress=lambda _: None, bursts=2,
    )  # fmt: skip

    whole = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert all(row["value"] > 0 for row in whole["figures"])
    text = page.read_text(encoding="utf-8")
    assert all(f"| {row['what']} |" in text for row in whole["figures"])
    targets = {row["target"] for row in whole["figures"]}
    assert targets == {"≥ 6,000", "≥ 1,500", "≥ 600", "≤ 50", "≤ 300", "≤ 1,000", ""}
    found = {(one["coalescing"], one["conditional"]): one for one in whole["reads"]}
    assert found[(True, True)]["requests"] < found[(False, True)]["requests"]
    assert found[(True, False)]["unchanged"] == 0 < found[(True, True)]["unchanged"]

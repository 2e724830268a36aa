"""Every published number comes from here: ``python -m bench [walks | store | …] …``."""

from __future__ import annotations

import argparse
import tempfile
from datetime import date
from pathlib import Path

import platformdirs
from rich.console import Console

from bench import accuracy, crowding, reports, rules, store, walks
from bench.graph import SIZES, Graph
from bench.ingest import run as ingest
from bench.lineage import graph as estates
from bench.lineage import peers, product, run
from bench.lineage.measure import ALONE, STORE, Pace


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    kinds = parser.add_subparsers(dest="what")
    walking = kinds.add_parser("walks", help="walks, beside a bare table (the default)")
    walking.add_argument("--projects", type=int, default=400, help="27 things each")
    storing = kinds.add_parser("store", help="writing and looking up, beside plain tables")
    storing.add_argument("--size", choices=sorted(SIZES), default="S")
    storing.add_argument("--batches", type=int, default=40, help="of 500, in each phase")
    storing.add_argument("--postgres", metavar="URL", help="an empty database to measure too")
    storing.add_argument("--reports", type=Path, default=reports.FOLDER, metavar="FOLDER")
    storing.add_argument("--seed", type=int, default=7)
    _lineage_options(kinds.add_parser("lineage", help="walks, beside C and what can be installed"))
    _product_options(kinds.add_parser("product", help="walks of the product over a database"))
    _ingest_options(kinds.add_parser("ingest", help="from an event to a committed fact"))
    _rules_options(kinds.add_parser("rules", help="rules: changes, a hub, everything anew"))
    right = kinds.add_parser("accuracy", help="how right rules and suggestions are")
    right.add_argument("--scale", type=float, default=1.0, help="of the example estate")
    right.add_argument("--reports", type=Path, default=reports.FOLDER, metavar="FOLDER")
    right.add_argument("--seed", type=int, default=7)
    crowd = kinds.add_parser("crowding", help="a small question beside very many large ones")
    crowd.add_argument("--clients", type=int, default=100, help="that ask for very much")
    crowd.add_argument("--senders", type=int, default=8, help="that tell of events")
    crowd.add_argument("--seconds", type=float, default=20.0)
    chosen = parser.parse_args()
    if chosen.what == "store":
        _store(chosen)
    elif chosen.what == "lineage":
        _lineage(chosen)
    elif chosen.what == "product":
        _product(chosen)
    elif chosen.what == "ingest":
        _ingest(chosen)
    elif chosen.what == "rules":
        _rules(chosen)
    elif chosen.what == "accuracy":
        _accuracy(chosen)
    elif chosen.what == "crowding":
        found = crowding.measure(chosen.clients, chosen.senders, chosen.seconds)
        Console().print(crowding.text(found), markup=False)
    else:
        walks.run(getattr(chosen, "projects", 400))


def _lineage_options(parser: argparse.ArgumentParser) -> None:
    names = [ALONE, STORE, *(peer.name for peer in peers.PEERS)]
    parser.add_argument("--size", choices=sorted(estates.SIZES), default="S")
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME",
        help=f"some of: {', '.join(names)}; the rest of the day's report stays as it is",
    )  # fmt: skip
    parser.add_argument("--seconds", type=float, default=0.25, help="of each turn of an engine")
    parser.add_argument("--turns", type=int, default=3, help="of each engine, for each question")
    parser.add_argument("--reports", type=Path, default=reports.FOLDER, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--day", type=date.fromisoformat, default=date.today(), help="of the report, if not today"
    )
    cache = platformdirs.user_cache_path("lineal") / "bench"
    parser.add_argument(
        "--cache", type=Path, default=cache, metavar="FOLDER", help="where peers are installed"
    )


def _rules_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", choices=sorted(SIZES), default="S")
    parser.add_argument("--scale", type=float, default=1.0, help="of the example estate")
    parser.add_argument("--reports", type=Path, default=reports.FOLDER, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=7)
    cache = platformdirs.user_cache_path("lineal") / "bench"
    parser.add_argument(
        "--cache", type=Path, default=cache, metavar="FOLDER", help="where peers are installed"
    )


def _rules(chosen: argparse.Namespace) -> None:
    """Measure at S and at the size asked for, so that the two can be compared."""
    console = Console()
    sizes = ["S"] if chosen.size == "S" else ["S", chosen.size]
    every = [
        rules.measure(
            size, SIZES[size], seed=chosen.seed, cache=chosen.cache,
            progress=lambda what, size=size: console.print(f"{size}: {what} …"),
        )
        for size in sizes
    ]  # fmt: skip
    console.print("the example estate …")
    told = accuracy.measure(seed=chosen.seed, scale=chosen.scale)
    console.print(rules.write(chosen.reports, every, told, chosen.seed))


def _accuracy(chosen: argparse.Namespace) -> None:
    """Show how right rules are, and put it in the newest report of rules."""
    told = accuracy.measure(seed=chosen.seed, scale=chosen.scale)
    Console().print("\n".join(told), markup=False)
    rules.write_truth(chosen.reports, told)


def _product_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", choices=sorted(SIZES), default="S")
    parser.add_argument("--parts", nargs="+", choices=product.PARTS, default=product.PARTS)
    parser.add_argument("--reports", type=Path, default=reports.FOLDER, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--day", type=date.fromisoformat, default=date.today(), help="of the report, if not today"
    )
    parser.add_argument(
        "--db", type=Path, metavar="FILE",
        help="where the database is kept for the next run; made if it is not there",
    )  # fmt: skip


def _ingest_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--things", type=int, default=20_000, help="of each sort")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each rate")
    parser.add_argument("--reports", type=Path, default=reports.FOLDER, metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--day", type=date.fromisoformat, default=date.today(), help="of the report, if not today"
    )


def _ingest(chosen: argparse.Namespace) -> None:
    with Console(stderr=True).status("beginning") as status:
        page = ingest.run(
            things=chosen.things, seconds=chosen.seconds, folder=chosen.reports, seed=chosen.seed,
            day=chosen.day, progress=status.update,
        )  # fmt: skip
    Console().print(page.read_text(encoding="utf-8"), markup=False)


def _product(chosen: argparse.Namespace) -> None:
    with (
        Console(stderr=True).status("beginning") as status,
        tempfile.TemporaryDirectory() as folder,
    ):
        page, _ = run.run_product(
            chosen.size,
            folder=chosen.reports,
            db=chosen.db or Path(folder) / "lineal.db",
            parts=chosen.parts,
            seed=chosen.seed,
            day=chosen.day,
            progress=status.update,
        )
    Console().print(page.read_text(encoding="utf-8"), markup=False)


def _lineage(chosen: argparse.Namespace) -> None:
    with Console(stderr=True).status("drawing the graph") as status:
        page, found = run.run(
            chosen.size,
            [peer for peer in peers.PEERS if peer.name in chosen.only],
            folder=chosen.reports,
            cache=chosen.cache,
            alone=ALONE in chosen.only,
            store=STORE in chosen.only,
            seed=chosen.seed,
            day=chosen.day,
            pace=Pace(chosen.seconds, chosen.turns),
            progress=status.update,
        )
    Console().print(page.read_text(encoding="utf-8"), markup=False)
    if any(problem.startswith(ALONE) for problem in found.problems):
        raise SystemExit("Lineal did not answer as it should; see the end of the report.")


def _store(chosen: argparse.Namespace) -> None:
    console = Console(stderr=True)
    with console.status("making the graph") as status, tempfile.TemporaryDirectory() as folder:
        graph = Graph(SIZES[chosen.size], seed=chosen.seed)
        peer = store.Peer(Path(folder) / "plain.db")
        places: list[Path | str] = [Path(folder) / "lineal.db"]
        places += [chosen.postgres] if chosen.postgres else []
        every = []
        for place in places:
            name = "sqlite" if isinstance(place, Path) else "postgres"
            every.append(
                store.measure(
                    place,
                    graph,
                    batches=chosen.batches,
                    peer=peer if isinstance(place, Path) else None,
                    progress=lambda what, name=name: status.update(f"{name}: {what}"),  # type: ignore[misc]  # bound now
                )
            )
            # What was measured is kept, whatever becomes of the next database.
            path = reports.write(
                chosen.reports, chosen.size, len(graph), graph.edges, chosen.seed, every
            )
        peer.connection.close()
    Console().print(path.read_text(encoding="utf-8"), markup=False)


if __name__ == "__main__":
    main()

"""Every published number comes from here: ``python -m bench [walks | store] …``."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from bench import reports, store, walks
from bench.graph import SIZES, Graph


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
    chosen = parser.parse_args()
    if chosen.what == "store":
        _store(chosen)
    else:
        walks.run(getattr(chosen, "projects", 400))


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
        peer.connection.close()
    path = reports.write(chosen.reports, chosen.size, len(graph), graph.edges, chosen.seed, every)
    Console().print(path.read_text(encoding="utf-8"), markup=False)


if __name__ == "__main__":
    main()

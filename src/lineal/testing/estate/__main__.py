"""Opens the example estate for business: ``python -m lineal.testing.estate``."""

from __future__ import annotations

import argparse
import contextlib
import json
import threading
from pathlib import Path

from lineal.testing.estate.conclusions import conclusions
from lineal.testing.estate.server import Estate
from lineal.testing.estate.truth import truth


def main(arguments: list[str] | None = None) -> None:
    """Serve an estate until interrupted."""
    chosen = _parser().parse_args(arguments)
    with Estate(
        seed=chosen.seed, scale=chosen.scale, port=chosen.port, slips=chosen.slips
    ) as estate:
        if chosen.truth:
            rules = {rule: sorted(pairs) for rule, pairs in conclusions(estate.world).items()}
            told = {**truth(estate.world), "rules": rules}
            text = json.dumps(told, ensure_ascii=False, indent=1)
            chosen.truth.write_text(text + "\n", encoding="utf-8")
        print(estate.url, flush=True)
        if chosen.sink:
            estate.announce()
            print(f"sent {estate.send(chosen.sink, batch=100)} events", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lineal.testing.estate", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument(
        "--sink", help="POST a created-event for everything to this loopback address"
    )
    parser.add_argument(
        "--truth", type=Path, help="write the answers to the thirteen questions to this file"
    )
    parser.add_argument(
        "--slips", type=float, help="tell evidence for rules too, this share of it wrong (0 to 1)"
    )
    return parser


if __name__ == "__main__":
    main()

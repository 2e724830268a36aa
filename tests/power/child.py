"""A Lineal at work whose file is recorded: ``python -m tests.power.child DB SPEC SEED COUNT``.

Its tool is in the same process. One event after the other is kept and so acknowledged, which is
noted in the record at that very place, while the background work fetches, commits and tidies up.
It prints what each event told of.
"""

from __future__ import annotations

import ctypes
import random
import sys
import time
from pathlib import Path

from lineal.app import Lineal
from lineal.config import Config
from tests.crashes.tool import BAD, Tool


def main(db: str, spec: str, seed: int, count: int) -> None:
    """Let so many events happen."""
    acknowledged = ctypes.CDLL(None).record_acknowledged
    acknowledged.argtypes = [ctypes.c_uint64]
    dice, lines = random.Random(seed), list[str]()
    with Tool() as tool:
        del tool.things[BAD]
        config = Config(
            db=Path(db), sources=(Path(spec),), variables={"FAULTY_URL": tool.url}, index=False
        )
        with Lineal.open(config) as lineal:
            lineal.start()
            for number in range(count):
                ident = f"t{dice.randrange(24)}" if dice.random() < 0.8 else f"n{number}"
                version = tool.change(ident, [f"t{dice.randrange(24)}"])
                lineal.receive("faulty", [{"event_type": "changed", "id": ident}])
                acknowledged(number)
                lines.append(f"{ident} {version}")
                # Sometimes nothing is due for a while, and the log is moved into the file.
                time.sleep(0.15 if dice.random() < 0.03 else 0.001)
            assert lineal.drain(timeout=60).complete
    print("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

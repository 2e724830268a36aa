"""The second process of a long list: words the pages that the first one has read.

``python -m lineal.sources.beside.hand NUMBER`` speaks over the open connection of that number:
the plan of a source comes first, then page after page, each answered before the next one comes.
It ends when nobody speaks to it any more.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import sys
from multiprocessing.connection import Connection

from lineal.shapes.examining import Examiner
from lineal.sources.addressing import Addresses
from lineal.sources.beside import frames
from lineal.sources.wording import Wording


def main(number: int) -> None:
    """Answer until there are no more questions."""
    # Whoever ends the first process from a terminal ends it, and with it this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Many values are made, and no cycle.
    gc.disable()
    with Connection(number) as first, contextlib.suppress(EOFError, ConnectionError):
        plan = frames.plan(first.recv_bytes())
        wording = Wording(plan, Addresses(plan))
        examiner = None if plan.shapes is None else Examiner(plan.shapes)
        first.send_bytes(b"")
        while True:
            page = frames.page(first.recv_bytes())
            lines = wording.listed(page.resource, page.items, page.response)
            first.send_bytes(frames.answer(lines, examiner))


if __name__ == "__main__":
    main(int(sys.argv[1]))

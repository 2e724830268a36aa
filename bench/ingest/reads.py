"""How often is a tool asked? Reads for a bursty trace, and what one read costs us."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench.ingest.running import Tool, spec
from lineal.app import Lineal
from lineal.config import Config
from lineal.sources import Key
from lineal.sources.compiling import parse
from lineal.sources.http import HttpSource

#: A burst is so many events about so many things; so many of the events follow a real change.
BURSTS, BURST, ABOUT, CHANGED = 50, 20, 5, 0.4
#: After so many seconds what an event told is looked at once more.
LOOK = 0.5


@dataclass(frozen=True)
class Reads:
    """What a tool was asked for 1,000 events of the trace."""

    coalescing: bool
    conditional: bool
    #: Requests, of which so many gave a whole document and so many said: unchanged.
    requests: float
    documents: float
    unchanged: float


def trace(dice: Random, things: int, bursts: int) -> Iterator[list[tuple[str, bool]]]:
    """Yield bursts: which thing an event is about, and whether it had really changed."""
    for _ in range(bursts):
        about = [f"v{one}" for one in dice.sample(range(things), ABOUT)]
        yield [(dice.choice(about), dice.random() < CHANGED) for _ in range(BURST)]


def reads(
    folder: Path, *, coalescing: bool, conditional: bool, seed: int, bursts: int = BURSTS
) -> Reads:
    """
    Let a tool tell of the trace, and count what it is asked.

    Without *coalescing* each event is worked on before the next one comes. Without *conditional*
    reads the tool gives no ETags.
    """
    things = 1_000
    with Tool(things, etags=conditional) as tool:
        file = folder / "registry.yaml"
        text = spec(tool.address, batches=False, places=4, looks=[LOOK], kinds=["version"])
        file.write_text(text, encoding="utf-8")
        config = Config(db=folder / "lineal.db", sources=(file,))
        with Lineal.open(config) as lineal:
            count = _told(lineal, tool, Random(seed), bursts, coalescing=coalescing)
        found = tool.reads()
    each = 1_000 / count
    return Reads(
        coalescing, conditional, found["requests"] * each, found["documents"] * each,
        found["unchanged"] * each,
    )  # fmt: skip


def _told(lineal: Lineal, tool: Tool, dice: Random, bursts: int, *, coalescing: bool) -> int:
    count = 0
    for burst in trace(dice, tool.things, bursts):
        for ident, changed in burst:
            if changed:
                tool.change("versions", [ident])
            lineal.receive("registry", [{"event": "version_changed", "id": ident}])
            count += 1
            if not coalescing:
                lineal.drain()
        lineal.drain()
    time.sleep(LOOK)
    lineal.drain()
    return count


@dataclass(frozen=True)
class Cost:
    """What one document costs where it is asked for alone, in microseconds of a processor."""

    #: The question and the answer: HTTP, JSON and the checks of the answer.
    asking: float
    #: Bringing it to our words.
    wording: float


def cost(count: int = 2_000) -> Cost:
    """Ask for documents one by one in this thread, and tell what each costs it."""
    with Tool(1_000) as tool:
        plan = parse(spec(tool.address, batches=False, places=1, kinds=["version"]))
        source = HttpSource(plan)
        keys = [Key("version", f"v{number % 1_000}") for number in range(count)]
        for key in keys[:100]:
            source.fetch(key)
        began = time.thread_time()
        for key in keys:
            source.fetch(key)
        whole = time.thread_time() - began
        raws = [source.fetch(key).record for key in keys[:100]]
        began = time.thread_time()
        for at in range(count):
            record = raws[at % 100]
            assert record is not None
            assert record.raw is not None
            source.reword(keys[at % 100], record.raw, 0)
        wording = time.thread_time() - began
        source.close()
    return Cost((whole - wording) / count * 1e6, wording / count * 1e6)

"""Poison is put aside, and nothing disappears (P11): one message in a hundred is malformed.

The messages come as a bus brings them. After each batch the accounts must add up; in the end every
good event is applied, and every bad message lies among the dead letters with its reason.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from lineal.app import Lineal
from lineal.config import Config
from lineal.store import work
from lineal.surfaces.events.envelopes import Message, items
from tests.crashes.tool import SPEC, Tool
from tests.databases import ENGINES, fresh
from tests.promises.recording import SOAK, found, ran


#: An event as it should be, but for what is said otherwise.
def _but(**fields: object) -> bytes:
    return json.dumps({"event_type": "changed", "id": "t1", **fields}).encode()


_CLOUD = {"specversion": "1.0", "id": "1", "source": "tool", "type": "changed"}
POISON: dict[str, bytes] = {
    "a NUL alone": b"\x00",
    "blanks": b" \n\t ",
    "no JSON": b"{not json",
    "half of an event": _but()[:20],
    "two events in one": _but() + _but(),
    "something after it": _but() + b";",
    "null": b"null",
    "a number": b"7",
    "a string": b'"changed"',
    "true": b"true",
    "a list of numbers": b"[1, 2]",
    "a list in a list": b"[[7]]",
    "an empty object": b"{}",
    "a page": b"<!doctype html><title>504</title>",
    "packed": gzip.compress(_but()),
    "no UTF-8": _but().replace(b"t1", b"\xff\xfe"),
    "UTF-16": _but().decode().encode("utf-16"),
    "a lone surrogate": _but().replace(b"t1", b"\\ud800"),
    "a NUL": _but().replace(b"t1", b"\x00"),
    "too deep": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "too long": _but(note="x" * 1_100_000),
    "not a number": b'{"event_type": NaN}',
    "no type": json.dumps({"id": "t1"}).encode(),
    "a type that nobody knows": _but(event_type="exploded"),
    "a type that is null": _but(event_type=None),
    "a type that is a list": _but(event_type=["changed"]),
    "no id": json.dumps({"event_type": "changed"}).encode(),
    "an id that is null": _but(id=None),
    "an id that is empty": _but(id=""),
    "an id that is a list": _but(id=["t1"]),
    "an id that is an object": _but(id={"id": "t1"}),
    "a cloud event without data": json.dumps({**_CLOUD, "type": "x"}).encode(),
    "a cloud event of which half is missing": json.dumps({"specversion": "1.0"}).encode(),
    "a cloud event with data that are none": json.dumps(
        {**_CLOUD, "data_base64": "%%%"}
    ).encode(),
}  # fmt: skip
#: How often each kind comes, and how many messages are good between two that are not.
TIMES, GOOD = (10 if SOAK else 1), 99


@pytest.mark.promise("P11")
@pytest.mark.timeout(0 if SOAK else 200)
@pytest.mark.parametrize("engine", ENGINES)
def test_poison_lies_aside_with_its_reason_and_keeps_nobody_waiting(
    engine: str, tmp_path: Path
) -> None:
    (tmp_path / "faulty.yaml").write_text(SPEC, "utf-8")
    checks = good = 0
    with Tool() as tool, fresh(engine, tmp_path) as place:
        tool.heal()
        config = Config(
            db=place, sources=(tmp_path / "faulty.yaml",), variables={"FAULTY_URL": tool.url}
        )
        with Lineal.open(config) as lineal:
            for poison in list(POISON.values()) * TIMES:
                some = [Message(_but(id=f"t{number % 24}"), {}) for number in range(GOOD)]
                some.insert(GOOD // 2, Message(poison, {}))
                told = [item for message in some for item in items(message, "faulty")]
                taken = lineal.take("bus", told)
                good += GOOD
                assert (taken.kept, taken.dead) == (GOOD, len(told) - GOOD)
                lineal.ingest.turn()
                with lineal.store.looking() as driver:
                    assert [
                        one.missing for one in work.accounts(driver).values() if one.missing
                    ] == []
                checks += 1
            assert lineal.drain(timeout=120).complete
            letters = lineal.dead_letters(limit=10_000)
            with lineal.store.looking() as driver:
                account = work.accounts(driver)["faulty"]
            verdict = lineal.store.verify()

    assert verdict.sound, verdict.disagreements
    assert account.applied + account.superseded == good
    assert account.pending == 0
    assert len(letters) >= len(POISON) * TIMES
    assert all(one.reason and one.stage == "understand" and one.attempts == 1 for one in letters)
    ran("P11", "checks of the accounts", checks)
    if engine == "sqlite":
        ran("P11", "kinds of poison", len(POISON))
    found(good=good, put_aside=len(letters))

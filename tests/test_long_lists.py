"""Long lists of whole documents: worded in a second process, as they would be in the first."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import httpx2
import pytest
from structlog.testing import capture_logs

from lineal.digests import digest_of
from lineal.errors import SourceDown, SourceGarbled
from lineal.model import Json, Response
from lineal.shapes import Shapes
from lineal.shapes.examining import Examiner
from lineal.sources import Fetched, Listed
from lineal.sources.addressing import Addresses
from lineal.sources.beside import LONG, Beside, Page
from lineal.sources.compiling import parse
from lineal.sources.http import HttpSource
from lineal.sources.plan import SourcePlan
from lineal.sources.wording import Wording

SPEC = """
source: registry
environment: prod
base_url: https://registry.example
resources:
  table:
    subject: {type: dataset, platform: lake}
    fetch: {path: "/tables/{id}"}
    list:
      path: /tables
      items: items
      full: true
      version: revision
      paging: {style: offset, param: from, size_param: size, size: 500, more: more}
    version: revision
    said_at: at
    map:
      name: {path: name, required: true}
      rows: rows
      owner_note: note
      tags: {path: labels, as: tags}
    valid_from: at
    edges:
      - kind: derived_from
        each: sources
        to: {type: dataset, platform: lake, id: id}
        attributes: {how: how}
        valid_from: $.at
      - {kind: owned_by, layer: observed, to: {email: $.owner}}
    parts:
      - each: columns
        as: {part: column, id: name}
        map: {type: type}
        edges:
          - {kind: column_of, to: subject}
"""
SIZE = 500
#: What is worded before anything is asked of the second process.
BEFORE = LONG // SIZE + 1


def item(number: int) -> Json:
    """Return a document; some say things that do not fit, and each tenth lacks its name."""
    return {
        "id": f"db/täble {number}",
        "name": None if number % 10 == 3 else f"table {number}",
        "rows": "many" if number % 7 == 0 else number,
        "note": ["é", {"deep": [1, 2.5, None, True]}],
        "revision": number,
        "at": "2026-03-04T05:06:07Z",
        "labels": {"team": f"team-{number % 4}"},
        "owner": f"user{number % 5}@example.com",
        "sources": [{"id": f"db/{one}", "how": "copied"} for one in (number // 2, number // 3)],
        "columns": [{"name": "key", "type": "int"}, {"name": "täg", "type": None}],
        "nobody_maps_it": 1,
    }


def page(at: int) -> Page:
    """Return a page of the list."""
    response = Response(f"https://registry.example/tables?from={at * SIZE}", f"{at:064}", at)
    return Page("table", [item(number) for number in range(at * SIZE, (at + 1) * SIZE)], response)


@pytest.fixture(scope="module")
def plan() -> SourcePlan:
    return parse(SPEC, shapes=Shapes.builtin())


@pytest.fixture
def wording(plan: SourcePlan) -> Wording:
    return Wording(plan, Addresses(plan))


def until_ready(beside: Beside, pages: int) -> Iterator[Page]:
    """Yield so many pages to be worded here, and as many when the second process is there."""
    for at in range(2 * pages):
        if at == pages:
            waited(lambda: beside.is_ready)
        yield page(at)


def waited(condition) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def hands(of: int | None = None) -> list[int]:
    """Return the second processes of a process, of this one where none is named."""
    found = []
    for task in Path(f"/proc/{of or os.getpid()}/task").iterdir():
        for child in (task / "children").read_text().split():
            if "lineal.sources.beside.hand" in Path(f"/proc/{child}/cmdline").read_text():
                found.append(int(child))
    return found


def fetched(line: Listed) -> Fetched:
    assert line.whole is not None
    return line.whole()


def read(line: Listed) -> tuple[object, ...]:
    """Return all that a line tells, but for findings, which nobody looks for in the first."""
    try:
        whole = fetched(line)
    except SourceGarbled as error:
        return line.key, line.version, line.asked_at, error.message, error.fix
    assert whole.record is not None
    same = Fetched(whole.key, whole.record, whole.etag, whole.version, whole.unmapped)
    return line.key, line.version, line.asked_at, same, whole.record.raw


def test_a_second_process_words_what_the_first_would(plan, wording):
    pages = 2 * BEFORE
    expected = [read(line) for at in range(pages) for line in wording.listed(*page(at))]

    with Beside(plan, wording) as beside:
        lines = list(beside.listed(until_ready(beside, BEFORE)))

    assert [read(line) for line in lines] == expected
    fitting = [line for number, line in enumerate(lines) if number % 10 != 3]
    looked = [fetched(line).findings is not None for line in fitting]
    assert not any(looked[: len(looked) // 2])
    assert all(looked[len(looked) // 2 :])


def test_it_finds_what_does_not_fit_the_shapes(plan, wording):
    examiner = Examiner(Shapes.builtin())
    with Beside(plan, wording) as beside:
        lines = list(beside.listed(until_ready(beside, BEFORE)))[-SIZE:]

    found = [fetched(line) for number, line in enumerate(lines) if number % 10 != 3]
    assert any(one.findings for one in found)
    for one in found:
        assert one.record is not None
        assert one.findings == examiner.examine(one.record)


def test_it_makes_the_digest_that_the_store_would(plan, wording):
    with Beside(plan, wording) as beside:
        lines = list(beside.listed(until_ready(beside, BEFORE)))

    told = [fetched(line).record for number, line in enumerate(lines) if number % 10 != 3]
    records = [one for one in told if one is not None]
    here, there = records[: len(records) // 2], records[len(records) // 2 :]
    assert {one.digest for one in here} == {None}
    # What is made of a record says something else, and is digested anew.
    assert [one.digest for one in there] == [digest_of(replace(one)) for one in there]
    assert {replace(one).digest for one in there} == {None}


def test_a_short_list_needs_no_second_process(plan, wording):
    with Beside(plan, wording) as beside:
        assert len(list(beside.listed(page(at) for at in range(BEFORE - 1)))) == LONG
        assert not hands()


def test_the_second_process_ends_with_the_list(plan, wording):
    with Beside(plan, wording) as beside:
        lines = beside.listed(until_ready(beside, BEFORE))
        for _ in range(BEFORE * SIZE + 1):
            next(lines)
        assert len(hands()) == 1

    assert not hands()


def test_a_second_process_that_is_killed_is_done_without(plan, wording):
    """Nothing is lost or told twice; the operator is told."""
    expected = [read(line) for at in range(2 * BEFORE) for line in wording.listed(*page(at))]

    def pages(beside: Beside) -> Iterator[Page]:
        for at, one in enumerate(until_ready(beside, BEFORE)):
            if at == BEFORE + 2:
                for pid in hands():
                    os.kill(pid, signal.SIGKILL)
            yield one

    with capture_logs() as logs, Beside(plan, wording) as beside:
        lines = [read(line) for line in beside.listed(pages(beside))]

    assert lines == expected
    assert [one["source"] for one in logs] == ["registry"]
    assert "lost" in logs[0]["event"]


def test_a_garbled_item_ends_the_list_where_it_stands(plan, wording):
    def pages(beside: Beside) -> Iterator[Page]:
        for at, one in enumerate(until_ready(beside, BEFORE)):
            items = list(one.items)
            if at == BEFORE + 1:
                items[7] = {"name": "nobody"}
            yield one._replace(items=items)

    with Beside(plan, wording) as beside:
        lines = beside.listed(pages(beside))
        told = [next(lines) for _ in range((BEFORE + 1) * SIZE + 7)]
        with pytest.raises(SourceGarbled, match="item 7 of a page of /tables") as found:
            next(lines)

    assert told[-1].key.id.endswith(f"{(BEFORE + 1) * SIZE + 6}")
    assert found.value.fix == "Compare it with source.yaml."


def test_what_was_read_before_a_failure_is_told_before_it(plan, wording):
    def pages(beside: Beside) -> Iterator[Page]:
        yield from until_ready(beside, BEFORE)
        raise SourceDown("The source is down.")

    with Beside(plan, wording) as beside:
        lines = beside.listed(pages(beside))
        for _ in range(2 * BEFORE * SIZE):
            next(lines)
        with pytest.raises(SourceDown):
            next(lines)


#: Begins a second process, says so, and waits to be killed.
_ALONE = """
import sys, time
sys.path[:0] = sys.argv[1].split(":")
from tests.test_long_lists import BEFORE, SPEC, page, until_ready
from lineal.sources.addressing import Addresses
from lineal.sources.beside import Beside
from lineal.sources.compiling import parse
from lineal.sources.wording import Wording
plan = parse(SPEC)
beside = Beside(plan, Wording(plan, Addresses(plan)))
lines = beside.listed(until_ready(beside, BEFORE))
for line in lines:
    if beside.is_ready:
        break
print("ready", flush=True)
time.sleep(600)
"""


def test_the_second_process_ends_when_the_first_is_killed():
    root = Path(__file__).parent.parent
    words = [sys.executable, "-c", _ALONE, f"{root}:{root / 'src'}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        (pid,) = hands(process.pid)
        process.kill()

    waited(lambda: not _is_at_work(pid))


def _is_at_work(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_list_that_nobody_wants_to_its_end_leaves_no_process():
    """A sweep that breaks off lets the list go; pages come as slowly as the process begins."""
    asked = count()

    def answer(request: httpx2.Request) -> httpx2.Response:
        at = next(asked)
        if at > BEFORE:
            waited(hands)
        body = {"items": [item(number) for number in range(at * SIZE, (at + 1) * SIZE)]}
        text = json.dumps({**body, "more": True})
        return httpx2.Response(200, text=text, headers={"content-type": "application/json"})

    source = HttpSource(parse(SPEC), transport=httpx2.MockTransport(answer))
    lines = source.list()
    for _ in range((BEFORE + 2) * SIZE):
        next(lines)
    assert hands()

    lines.close()

    assert not hands()
    source.close()

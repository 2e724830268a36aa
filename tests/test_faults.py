"""An outage only delays (P10): no error of a source ever ends or changes anything."""

from __future__ import annotations

import datetime
import ssl
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import pytest
import stamina
import trustme

from lineal.app import Lineal
from lineal.config import Config
from lineal.errors import SourceDown, SourceError, SourceGarbled, SourceGone
from lineal.ingest import Ingest
from lineal.shapes import Shapes
from lineal.sources import Key
from lineal.sources.compiling import parse
from lineal.sources.guard import GuardedTransport
from lineal.sources.http import HttpSource
from lineal.store import Store, work
from lineal.testing.faults import KINDS, FaultSource
from tests.promises.recording import ran

SPEC = """
source: faulty
platform: faulty
base_url: ${URL}
allow_private: true
limits: {requests_per_second: 100000, concurrency: 8, timeout: 0.5, connect_timeout: 0.5,
         megabytes: 0.5}
gone: {when: "code == 'NOT_FOUND'"}
events:
  - {match: {event_type: changed}, resource: thing, key: id}
resources:
  thing:
    subject: {type: dataset}
    fetch: {path: "/things/{id}"}
    list:
      path: /things
      items: items
      version: version
      paging: {style: page, param: page, total: pages}
    map: {name: name}
    edges:
      - {kind: derived_from, each: from, to: {type: dataset, id: "@"}}
"""
#: What needs TLS has a test of its own.
PLAIN = [kind for kind in KINDS if kind != "expired_certificate"]
HOUR = 3_600_000_000


class Clock:
    def __init__(self) -> None:
        self.at = 1_770_000_000_000_000

    def __call__(self) -> int:
        return self.at

    def wait(self, microseconds: int) -> None:
        self.at += microseconds


@pytest.fixture(scope="module", autouse=True)
def _no_waiting() -> Iterator[None]:
    stamina.set_testing(True, attempts=1)
    yield
    stamina.set_testing(False)


@pytest.fixture(scope="module")
def source() -> Iterator[FaultSource]:
    with FaultSource(count=8) as running:
        yield running


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def lineal(
    source: FaultSource, clock: Clock, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lineal]:
    """A Lineal that has heard all; it goes from fault to fault."""
    folder: Path = tmp_path_factory.mktemp("faults")
    (folder / "faulty.yaml").write_text(SPEC, "utf-8")
    config = Config(
        db=folder / "g.db", sources=(folder / "faulty.yaml",), variables={"URL": source.url}
    )
    with Lineal.open(config, clock=clock) as opened:
        opened.sweep("faulty")
        rest(opened, clock, documents=8)
        yield opened


def rest(lineal: Lineal, clock: Clock, *, documents: int) -> None:
    """Work until all is known and nothing is dirty: a busy machine may miss a short deadline."""
    for _ in range(50):
        lineal.drain(timeout=20)
        (health,) = lineal.health()
        if (health.documents, health.dirty) == (documents, 0):
            return
        clock.wait(HOUR)
    raise AssertionError(f"it does not come to rest: {health}")


def tell(lineal: Lineal, source: FaultSource) -> None:
    """Say of everything that it has changed."""
    lineal.receive("faulty", [{"event_type": "changed", "id": name} for name in source.things])


def ended(lineal: Lineal) -> int:
    """Return how many words of documents and edges were ever ended."""
    with lineal.store.looking() as driver:
        return sum(
            int(driver.rows(f"SELECT count(*) FROM {table} WHERE t_to IS NOT NULL")[0][0])
            for table in ("record", "edge_out")
        )


def swept_badly(lineal: Lineal) -> bool:
    """Sweep; tell whether it failed, or found less than there is."""
    try:
        return lineal.sweep("faulty").absent > 0
    except SourceError:
        return True


def test_there_are_all_kinds_that_are_promised():
    assert len(KINDS) >= 25


@pytest.mark.promise("P10")
@pytest.mark.parametrize("kind", PLAIN)
def test_an_error_ends_nothing_and_is_over_when_it_is_over(lineal, source, clock, kind):
    """Events and sweeps meet the fault, hours go by, and nothing is retracted or changed."""
    digest, before, met = lineal.store.digest(), ended(lineal), 0
    with source.suffering(kind):
        for _ in range(2):
            tell(lineal, source)
            lineal.drain(timeout=20)
            met += sum(one.failing for one in lineal.health())
            met += swept_badly(lineal)
            lineal.drain(timeout=20)
            clock.wait(HOUR)
        during = (lineal.store.digest(), ended(lineal))
    clock.wait(HOUR)
    tell(lineal, source)
    rest(lineal, clock, documents=8)
    swept = lineal.sweep("faulty")

    assert met, "the fault was never met"
    assert during == (digest, before)
    assert (swept.listed, swept.absent) == (len(source.things), 0)
    assert (lineal.store.digest(), ended(lineal)) == (digest, before)
    ran("P10", "kinds of fault", 1)


def test_a_real_change_and_a_real_removal_are_seen_after_all_that(lineal, source, clock):
    """Runs last: what was suffered has not made it deaf."""
    source.things["t1"] |= {"name": "Another name", "version": 2}
    gone = source.things.pop("t7")
    try:
        lineal.sweep("faulty")
        rest(lineal, clock, documents=7)
    finally:
        source.things["t7"] = gone

    assert ended(lineal) > 0


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("429", SourceDown),
        ("refused", SourceDown),
        ("drip", SourceDown),
        ("gigabyte", SourceGarbled),
        ("gzip_bomb", SourceGarbled),
        ("redirect_loop", SourceGarbled),
        ("404_of_a_proxy", SourceGarbled),
        ("another_document", SourceGarbled),
    ],
)
def test_a_fault_is_what_it_is_said_to_be(source, kind, error):
    """Each is met over the wire, and answered within the deadline of the source."""
    asked = HttpSource(parse(SPEC, variables={"URL": source.url}))
    with source.suffering(kind), pytest.raises(error):
        asked.fetch(Key("thing", "t1"))
    assert asked.fetch(Key("thing", "t1")).record is not None
    with pytest.raises(SourceGone):
        asked.fetch(Key("thing", "nothing"))
    asked.close()


def test_the_rig_sees_a_retraction_where_there_is_one(source, clock, tmp_path):
    """
    Of a source whose file believes every 404, a gateway's ends what it is asked.

    But not all of it at once: that is held back.
    """
    text = SPEC.replace("gone: {when: \"code == 'NOT_FOUND'\"}\n", "")
    (tmp_path / "faulty.yaml").write_text(text, "utf-8")
    config = Config(
        db=tmp_path / "g.db", sources=(tmp_path / "faulty.yaml",), variables={"URL": source.url}
    )
    with Lineal.open(config, clock=clock) as credulous:
        credulous.sweep("faulty")
        rest(credulous, clock, documents=8)
        with source.suffering("404_of_a_gateway"):
            for _ in range(3):
                some = [{"event_type": "changed", "id": name} for name in list(source.things)[:5]]
                credulous.receive("faulty", some)
                credulous.drain()
                clock.wait(HOUR)

        assert ended(credulous) > 0


@pytest.mark.promise("P10")
def test_retry_after_is_kept(source):
    asked = HttpSource(parse(SPEC, variables={"URL": source.url}))
    with source.suffering("429_retry_after"), pytest.raises(SourceDown) as caught:
        asked.fetch(Key("thing", "t1"))
    asked.close()

    assert caught.value.retry_after == 120


# ── Certificates ─────────────────────────────────────────────────────────────────────────────────


def served(authority: trustme.CA, *, days: int) -> ssl.SSLContext:
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    since = until - datetime.timedelta(days=30)
    leaf = authority.issue_cert("127.0.0.1", not_before=since, not_after=until)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


@pytest.mark.promise("P10")
def test_an_expired_certificate_ends_nothing(tmp_path):
    """The authority is trusted, so that nothing but the date is wrong."""
    authority, clock = trustme.CA(), Clock()
    trust = httpx2.create_ssl_context(trust_env=False)
    authority.configure_trust(trust)
    contexts = {"tls": served(authority, days=1), "expired": served(authority, days=-1)}
    with (
        FaultSource(4, **contexts) as source,
        closing(Store(tmp_path / "g.db", shapes=Shapes.builtin(), now=clock)) as store,
    ):
        transport = GuardedTransport(allow_private=True, trust=trust)
        plan = parse(SPEC, variables={"URL": source.url})
        asked = HttpSource(plan, clock=clock, transport=transport)
        with closing(Ingest(store, {"faulty": asked}, {})) as ingest:
            ingest.sweep("faulty")
            settle(ingest, 4, store)
            digest = store.digest()
            with source.suffering("expired_certificate"):
                with pytest.raises(SourceDown, match="certificate has expired"):
                    asked.fetch(Key("thing", "t1"))
                ingest.receive("faulty", [{"event_type": "changed", "id": "t1"}])
                for _ in range(3):
                    ingest.turn()
                    clock.wait(HOUR)
                with pytest.raises(SourceDown):
                    ingest.sweep("faulty")
                assert store.digest() == digest
            assert asked.fetch(Key("thing", "t1")).record is not None
    ran("P10", "kinds of fault", 1)


def settle(ingest: Ingest, documents: int, store: Store) -> None:
    """Work until so many documents are known."""
    until = time.monotonic() + 20
    while True:
        ingest.turn()
        with store.looking() as driver:
            if [one.documents for one in work.health(driver)] == [documents]:
                return
        assert time.monotonic() < until

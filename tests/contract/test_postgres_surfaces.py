"""A PostgreSQL database behind the command line: what works, what is wrong."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from lineal.errors import ConfigError
from lineal.store.postgres import OLDEST, refuse_older
from lineal.surfaces.cli import failing
from tests import crowd
from tests.databases import fresh

SECRET = "open-sesame"  # a password that no message may hold
EVENT = (
    '{"eventTime":"2026-01-01T00:00:00Z","eventType":"COMPLETE","producer":"https://example.com",'
    '"run":{"runId":"0190a4ea-0000-7000-8000-000000000001"},'
    '"job":{"namespace":"orchestrator","name":"daily"},'
    '"outputs":[{"namespace":"lake","name":"plays"}]}'
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a fresh PostgreSQL database."""
    with fresh("postgres", tmp_path) as url:
        yield str(url)


def lineal(*arguments: str, db: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "lineal.surfaces.cli", *arguments],
        env={**os.environ, "LINEAL_DB": db},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def reached_by(place: str, user: str, password: str = "", name: str = "") -> str:
    """Return the URL of the same server for another user or database."""
    known = conninfo_to_dict(place)
    options = f"?host={known['host']}" + (f"&port={known['port']}" if known.get("port") else "")
    secret = f":{password}" if password else ""
    return f"postgresql://{user}{secret}@/{name or known['dbname']}{options}"


@contextlib.contextmanager
def role(place: str, name: str, *grants: str) -> Iterator[str]:
    """Make a user of the server, who may do nothing else."""
    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{SECRET}'")
        for grant in grants:
            connection.execute(f'GRANT {grant} TO "{name}"')
        try:
            yield name
        finally:
            connection.execute(f'DROP OWNED BY "{name}"')
            connection.execute(f'DROP ROLE "{name}"')


def refused(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    """It ended with a code, and said one line that holds these and no password."""
    assert done.returncode == code, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    for one in said:
        assert one in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert ".." not in done.stderr


# ── What works ───────────────────────────────────────────────────────────────────────────────────


def test_what_is_imported_is_found_and_sound(place: str, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(EVENT + "\n")

    imported = lineal("import", "openlineage", str(events), db=place)
    found = lineal("search", "plays", "--format", "json", db=place)

    assert (imported.returncode, found.returncode) == (0, 0), imported.stderr
    assert '"mlg://dataset/lake/plays"' in found.stdout
    with closing(crowd.opened(place, writable=False)) as store:
        assert store.verify().sound


def test_a_server_on_it_takes_events_and_answers(place: str) -> None:
    serving = subprocess.Popen(
        [sys.executable, "-m", "lineal.surfaces.cli", "serve", "--port", "0"],
        env={**os.environ, "LINEAL_DB": place},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert serving.stdout is not None
        address = next(
            word.rstrip(".") for line in serving.stdout for word in line.split()
            if word.startswith("http://")
        )  # fmt: skip
        with httpx2.Client(base_url=address, timeout=30) as client:
            taken = client.post("/api/v1/lineage", content=EVENT)
            assert taken.status_code < 300, taken.text
            for _ in range(100):
                found = client.get("/api/v1/search", params={"q": "plays"}).text
                if "mlg://dataset/lake/plays" in found:
                    return
        pytest.fail(found)
    finally:
        serving.terminate()
        serving.communicate(timeout=30)


# ── What is wrong ────────────────────────────────────────────────────────────────────────────────


def test_a_database_that_is_not_there(place: str) -> None:
    known = conninfo_to_dict(place)
    url = reached_by(place, str(known["user"]), SECRET, name="nowhere")

    refused(lineal("search", "x", db=url), failing.USAGE, '"nowhere" does not exist', "createdb")


def test_a_user_that_is_not_there(place: str) -> None:
    url = reached_by(place, "nobody_at_all", SECRET)

    refused(lineal("search", "x", db=url), failing.USAGE, "nobody_at_all", "createuser")


def test_a_server_that_is_not_there() -> None:
    for url in (
        f"postgresql://user:{SECRET}@127.0.0.1:1/x",
        f"postgresql://user@127.0.0.1:1/x?password={SECRET}",
    ):
        done = lineal("search", "x", db=url)
        refused(done, failing.UNREACHABLE, "Connection refused", "Start the server")


def test_a_password_that_is_wrong(place: str) -> None:
    """The server asks for one, as it does where it is set up for more than one's own machine."""
    if os.environ.get("LINEAL_TEST_POSTGRES"):
        pytest.skip("The server of LINEAL_TEST_POSTGRES is set up by whoever named it.")
    with psycopg.connect(place, autocommit=True) as connection:
        (row,) = connection.execute("SHOW hba_file").fetchall()
        rules = Path(row[0])
        before = rules.read_text()
        with role(place, "lineal_locked"):
            rules.write_text(f"local all lineal_locked scram-sha-256\n{before}")
            try:
                connection.execute("SELECT pg_reload_conf()")
                url = reached_by(place, "lineal_locked", "wrong-" + SECRET)
                done = lineal("search", "x", db=url)
            finally:
                rules.write_text(before)
                connection.execute("SELECT pg_reload_conf()")
    refused(done, failing.USAGE, "password authentication failed", "LINEAL_DB")


def test_a_user_who_may_only_read(place: str, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(EVENT + "\n")
    with role(place, "lineal_looker", "SELECT ON ALL TABLES IN SCHEMA public") as name:
        url = reached_by(place, name)
        looked = lineal("search", "plays", db=url)
        wrote = lineal("import", "openlineage", str(events), db=url)

    assert looked.returncode == 0, looked.stderr
    refused(wrote, failing.STORE, "permission denied", "Give the user the right")


def test_a_server_that_is_too_old() -> None:
    refuse_older("postgresql://db/lineal", OLDEST * 10_000)
    with pytest.raises(ConfigError, match=f"is PostgreSQL 12. Use PostgreSQL {OLDEST} or newer"):
        refuse_older("postgresql://db/lineal", 120_004)


def test_what_is_no_address() -> None:
    for url in (f"mysql://root:{SECRET}@host/x", f"postgresql://u:{SECRET}@host:port/x"):
        refused(
            lineal("search", "x", db=url), failing.USAGE, "postgresql://user@host:5432/database"
        )


def test_a_driver_that_is_not_installed() -> None:
    """Told in a process that cannot find it, whatever is installed here."""
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from lineal.surfaces.cli import main\n"
        "main(['search', 'x', '--db', 'postgresql://host/x'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )

    refused(done, failing.USAGE, "pip install 'lineal[postgres]'")

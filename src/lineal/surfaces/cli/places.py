"""Where an answer comes from: a database file on this machine, or a server."""

from __future__ import annotations

import contextlib
import functools
import getpass
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from lineal.config import Config, database
from lineal.errors import ConfigError

if TYPE_CHECKING:
    from lineal.app import Lineal
    from lineal.client import Client
    from lineal.client.answers import Times
    from lineal.surfaces.cli.local import Local

Answers: TypeAlias = "Client | Local"

_PACKAGE = "lineal"


class _Database(click.ParamType["Path | str"]):
    """A database file, or the URL of a PostgreSQL database."""

    name = "path"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | str:
        """Return where the database is."""
        place = value if isinstance(value, Path) else database(str(value))
        if isinstance(place, Path) and place.is_dir():
            self.fail(f"{place} is a folder.", param, ctx)
        return place


db_option = click.option(
    "--db",
    type=_Database(),
    help="The database: a file, or postgresql://…; LINEAL_DB or lineal.db where not said.",
)
server_option = click.option(
    "--server", metavar="URL", help="Ask a server instead; LINEAL_URL where not said."
)


def format_option(*forms: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command --format, with *forms* beside tables and JSON."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json", *forms]),
        default="table",
        show_default=True,
        help="How to show the answer.",
    )


def _user() -> str:
    """Return who runs the command; in a container the system may know no name."""
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):
        return f"user {os.getuid()}"


actor_option = click.option(
    "--actor", default=_user, help="Who decides; the user of the system unless said."
)

layer_option = click.option(
    "--layer",
    "layers",
    metavar="LAYER",
    multiple=True,
    help="Only such edges; all that are not only suggested where none is said.",
)

_known_at = click.option(
    "--known-at",
    metavar="TIME",
    help="As it was recorded by then: an ISO time, or t: and the number of a transaction.",
)
_valid_at = click.option("--valid-at", metavar="TIME", help="As it was so at that ISO time.")


_MOMENT = "an ISO time or t:NUMBER, by which it was recorded; then @ and a time, when it was so."
_from = click.option(
    "--from", "earlier", metavar="MOMENT", required=True, help=f"The first moment: {_MOMENT}"
)
_to = click.option(
    "--to",
    "later",
    metavar="MOMENT",
    default="now",
    show_default=True,
    help="The second moment, written like the first.",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """How a question is asked: whom, about when, and how its answer is shown."""

    db: Path | str | None = None
    server: str | None = None
    form: str = "table"
    known_at: str | None = None
    valid_at: str | None = None
    #: The first of two moments, where two are compared.
    before: Times = field(default_factory=lambda: _times(None))

    @property
    def times(self) -> Times:
        """The two times of the question."""
        return {"known_at": self.known_at, "valid_at": self.valid_at}

    @property
    def url(self) -> str | None:
        """The server that is asked; None for a file."""
        return server_of(Config.from_environment(), db=self.db, server=self.server)

    @contextlib.contextmanager
    def answers(self) -> Iterator[Answers]:
        """Open the server or the file; a file is opened for reading only, without any source."""
        with self._opened(replace(settings(self.db), sources=()), writable=False) as answers:
            yield answers

    @contextlib.contextmanager
    def standing(self, sources: Sequence[Path] = ()) -> Iterator[Answers]:
        """Open the server or the file for reading; a file with its sources, of which it tells."""
        with self._opened(self._with_sources(sources), writable=False) as answers:
            yield answers

    @contextlib.contextmanager
    def hands(self, sources: Sequence[Path] = ()) -> Iterator[Answers]:
        """Open the server or the file to change something; a file with its sources."""
        with self._opened(self._with_sources(sources), writable=True) as answers:
            yield answers

    def _with_sources(self, sources: Sequence[Path]) -> Config:
        config = settings(self.db)
        return replace(config, sources=tuple(sources) or config.sources)

    @contextlib.contextmanager
    def _opened(self, config: Config, *, writable: bool) -> Iterator[Answers]:
        url = self.url
        if url is not None:
            with client(url, config) as remote:
                yield remote
            return
        with opened_with(config, writable=writable) as lineal:
            from lineal.surfaces.cli.local import Local

            yield Local(lineal)


def placed(*forms: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command --db, --server and --format, and call it with how it is `Asked` first."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(*, db: Path | str | None, server: str | None, form: str, **rest: object) -> None:
            command(Asked(db, server, form), **rest)

        return db_option(server_option(format_option(*forms)(run)))

    return decorate


def timed(*forms: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command --known-at and --valid-at too."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(
            asked: Asked, *, known_at: str | None, valid_at: str | None, **rest: object
        ) -> None:
            command(replace(asked, known_at=known_at, valid_at=valid_at), **rest)

        return placed(*forms)(_known_at(_valid_at(run)))

    return decorate


_rows = click.option("--rows", type=click.IntRange(1, 10_000_000), help="Read so many rows.")
_ms = click.option("--ms", type=click.IntRange(1, 600_000), help="Take so many milliseconds.")


def compared() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command --from and --to: two moments, each with both its times."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(
            asked: Asked,
            *,
            earlier: str,
            later: str,
            rows: int | None,
            ms: int | None,
            **rest: object,
        ) -> None:
            moments = replace(asked, before=_times(earlier), **_times(later))
            command(moments, cost={"rows": rows, "ms": ms}, **rest)

        return placed()(_from(_to(_rows(_ms(run)))))

    return decorate


def _times(text: str | None) -> Times:
    """
    Return both times of a moment that is written as one.

    >>> _times("t:7 @ 2026-11-23"), _times("now")
    ({'known_at': 't:7', 'valid_at': '2026-11-23'}, {'known_at': None, 'valid_at': None})
    """
    known, _, valid = (part.strip() for part in (text or "").partition("@"))
    return {
        "known_at": None if known in ("", "now") else known,
        "valid_at": None if valid in ("", "now") else valid,
    }


def server_of(config: Config, *, db: Path | str | None, server: str | None) -> str | None:
    """Return the server to ask, None for a file: what is said wins over the environment."""
    if server is not None and db is not None:
        raise click.UsageError("Give --db or --server, not both.")
    if server is not None or db is not None:
        return server
    return config.variables.get("LINEAL_URL") or None


def client(url: str, config: Config) -> Client:
    """Return a client of the server at *url*, with the token of the environment if there is one."""
    from lineal.client import Client

    return Client(url, config.variables.get("LINEAL_TOKEN") or None)


def settings(db: Path | str | None = None) -> Config:
    """Return the environment's choices, with the database named on the command line."""
    config = Config.from_environment()
    return config if db is None else replace(config, db=db)


@contextlib.contextmanager
def opened(db: Path | str | None, *, writable: bool) -> Iterator[Lineal]:
    """Open a database without any source; the server's packages are first needed here."""
    with opened_with(replace(settings(db), sources=()), writable=writable) as lineal:
        yield lineal


@contextlib.contextmanager
def opened_with(config: Config, *, writable: bool, log_from: str = "warning") -> Iterator[Lineal]:
    """Open an installation as *config* says, and log from a level on."""
    with needing_the_server():
        from lineal.app import Lineal
        from lineal.surfaces.cli import logs
    logs.begin(log_from)
    with Lineal.open(config, writable=writable) as lineal:
        yield lineal


@contextlib.contextmanager
def needing_the_server() -> Iterator[None]:
    """Say how to get the packages of the server where they are not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == _PACKAGE:
            raise
        raise ConfigError(
            f"This needs the package {error.name}, which is not installed.",
            fix="Install it with: pip install 'lineal[server]', or ask a server by --server.",
        ) from error

"""Dead letters: what could not be taken in, shown, taken up again, or thrown away."""

from __future__ import annotations

from pathlib import Path

import click

from lineal.surfaces.cli import failing, tables_work
from lineal.surfaces.cli.places import Asked, actor_option, placed
from lineal.surfaces.cli.showing import line, write, write_json

_source = click.option("--source", "of", metavar="NAME", help="Of this source only.")
_every = click.option("--all", "every", is_flag=True, help="All that there are.")
_limit = click.option(
    "--limit", type=click.IntRange(1, 500), default=100, show_default=True, help="At most so many."
)
_number = click.IntRange(0, 2**63 - 1)
_ids = click.argument("ids", nargs=-1, type=_number, metavar="[NUMBER]...")
_files = click.option(
    "--sources",
    "files",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    metavar="FILE",
    help="A declared source, or a folder of them; LINEAL_SOURCES where not said.",
)


@click.group()
def dead() -> None:
    """Look at what could not be taken in, take it up again, or throw it away."""


@dead.command("list")
@_source
@_limit
@placed()
def list_letters(asked: Asked, of: str | None, limit: int) -> None:
    """List dead letters, newest first."""
    with asked.answers() as answers:
        answer = answers.dead_letters(source=of, limit=limit)
    if asked.form == "json":
        write_json(answer)
    else:
        write(tables_work.dead_letters(answer.get("value")))


@dead.command()
@click.argument("number", type=_number)
@placed()
def show(asked: Asked, number: int) -> None:
    """Show the dead letter NUMBER: why, how often it was tried, and the event as it came."""
    with asked.answers() as answers:
        answer = answers.dead_letter(number)
    if asked.form == "json":
        write_json(answer)
    else:
        write(tables_work.dead_letter(answer))


@dead.command()
@_ids
@_source
@_every
@actor_option
@_files
@placed()
@click.pass_context
def replay(
    context: click.Context,
    asked: Asked,
    ids: tuple[int, ...],
    of: str | None,
    every: bool,
    actor: str,
    files: tuple[Path, ...],
) -> None:
    """
    Take up dead letters again, as they are.

    A document is asked for again by the server, or the next one to start, and its letter goes when
    the answer is written. An event that still makes no sense stays, and so does a document of a
    file, which is to be imported again; then this ends with 1.
    """
    chosen = _chosen(ids, of, every)
    with asked.hands(files) as hands:
        done = hands.replay(chosen, source=of, every=every, actor=actor)
    if asked.form == "json":
        write_json(done)
    else:
        write([line(f"{done['replayed']} taken up again; {done['left']} still make no sense.")])
    if done["left"]:
        context.exit(failing.FOUND)


@dead.command()
@_ids
@_source
@_every
@click.option("--reason", required=True, help="Why: it stays, with the time and who decided.")
@actor_option
@placed()
def purge(
    asked: Asked, ids: tuple[int, ...], of: str | None, every: bool, reason: str, actor: str
) -> None:
    """Throw dead letters away for good; that they were, by whom and why, is kept."""
    chosen = _chosen(ids, of, every)
    with asked.hands() as hands:
        done = hands.purge(chosen, source=of, every=every, actor=actor, reason=reason)
    if asked.form == "json":
        write_json(done)
    else:
        write([line(f"{done['count']} thrown away.")])


@dead.command("deeds")
@_limit
@placed()
def list_deeds(asked: Asked, limit: int) -> None:
    """List who replayed, purged or released what, when and why."""
    with asked.answers() as answers:
        answer = answers.deeds(limit=limit)
    if asked.form == "json":
        write_json(answer)
    else:
        write(tables_work.deeds(answer.get("value")))


def _chosen(ids: tuple[int, ...], of: str | None, every: bool) -> list[int] | None:
    """Return which letters are meant by number; None: by their source, or all."""
    if sum((bool(ids), of is not None, every)) != 1:
        raise click.UsageError("Give numbers, --source or --all.")
    return list(ids) if ids else None

"""Looking after what is known: proving that it agrees with itself, and forgetting on purpose."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import RenderableType

from lineal.surfaces.cli.failing import FOUND
from lineal.surfaces.cli.naming import uri_of
from lineal.surfaces.cli.places import actor_option, db_option, format_option, opened
from lineal.surfaces.cli.showing import line, note, table, write, write_json

if TYPE_CHECKING:
    from lineal.app import Lineal, Losing
    from lineal.store import Verdict
    from lineal.surfaces.cli.local import Local

Parts = Iterator[RenderableType]


@click.command()
@click.option(
    "--expect",
    multiple=True,
    metavar="T:HASH",
    help="What an earlier verification printed, to be held against the chain; repeatable.",
)
@db_option
@format_option()
@click.pass_context
def verify(
    context: click.Context, expect: tuple[str, ...], db: Path | str | None, form: str
) -> None:
    """
    Prove that the database agrees with itself, or say what does not.

    Reads everything in one snapshot. Keep what it prints as T:HASH somewhere else: who has it can
    tell later, by --expect, whether anything that was written by then was changed. Ends with 1 if
    something disagrees.
    """
    kept = dict(_expected(text) for text in expect)
    with opened(db, writable=False) as lineal, _counting() as progress:
        verdict = lineal.store.verify(progress, expected=kept)
    if form == "json":
        write_json(_plain(verdict))
    else:
        write(_verdict(verdict))
    if not verdict.sound:
        context.exit(FOUND)


def _expected(text: str) -> tuple[int, str]:
    t, _, kept = text.partition(":")
    if not t.isdigit() or not re.fullmatch(r"[0-9a-f]{64}", kept):
        raise click.BadParameter(f"{text!r} is not T:HASH, as `lineal verify` prints it.")
    return int(t), kept


def _plain(verdict: Verdict) -> dict[str, object]:
    return {
        "sound": verdict.sound,
        "t": verdict.t,
        "hash": verdict.hash,
        "digest": verdict.digest,
        "counts": dict(verdict.counts),
        "disagreements": [{"table": one.table, "what": one.what} for one in verdict.disagreements],
        "more": verdict.more,
    }


def _verdict(verdict: Verdict) -> Parts:
    if verdict.sound:
        yield line(f"All agrees, up to transaction {verdict.t}.")
        yield line(f"Keep elsewhere: {verdict.t}:{verdict.hash}")
        yield line(f"Digest of what is so now: {verdict.digest}")
        yield table(("table", "rows"), list(verdict.counts.items()))
        return
    rows = [(one.table, one.what) for one in verdict.disagreements]
    count = len(rows) + verdict.more
    yield table(("table", "what disagrees"), rows, title=f"{count} disagreements")
    yield line("Restore a backup, or ask who wrote to this database besides Lineal.")


@contextlib.contextmanager
def _counting() -> Iterator[Callable[[str, int], None] | None]:
    """Show on a terminal what is being looked at, and nothing anywhere else."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("verifying") as status:
        yield lambda what, rows: status.update(f"verifying {what}: {rows:,} rows")


# ── Forgetting ───────────────────────────────────────────────────────────────────────────────────


@click.group()
def forget() -> None:
    """Forget on purpose: values that may not be kept, and old runs that nothing needs."""


_yes = click.option("--yes", is_flag=True, help="Write it without asking.")


@forget.command()
@click.argument("things", nargs=-1, required=True, metavar="THING...")
@click.option("--reason", required=True, help="Why: it stays, with the time and who decided.")
@actor_option
@_yes
@db_option
@click.pass_context
def excise(
    context: click.Context,
    things: tuple[str, ...],
    reason: str,
    actor: str,
    yes: bool,
    db: Path | str | None,
) -> None:
    """
    Remove every value that was ever kept of THINGs, also from the past.

    Names (URIs) and relations stay, and so does that, when, by whom and why they were excised. A
    source that says the values again is not written. A kept event that speaks of other things too
    stays as it came; how many do is told. Ends with 1 if it is not confirmed.
    """
    with opened(db, writable=True) as lineal:
        uris = [uri_of(_local(lineal), thing, {}) for thing in things]
        write(_losing([lineal.losing(uri) for uri in uris]))
        note(
            "Names stay as they are: a name that is itself personal (an e-mail address) stays too."
        )
        if not _confirmed(yes):
            context.exit(FOUND)
        done = lineal.excise(uris, reason=reason, actor=actor)
        write([line(f"Excised {len(done.things)} things in transaction {done.t}.")])
        if done.shared:
            note(
                f"{done.shared} kept events speak of other things too: they stay as they came, "
                "with what they say of these. Excise those things as well to have them gone."
            )


def _losing(some: list[Losing]) -> Parts:
    rows = [(str(one.uri), one.words, one.edges) for one in some]
    yield table(("thing", "words that lose their values", "edges that stay"), rows)


@forget.command()
@click.option("--type", "types", multiple=True, required=True, help="Such as run; repeatable.")
@click.option("--older-than", "age", required=True, metavar="AGE", help="Such as 90d or 26w.")
@click.option("--keep", default=10, show_default=True, help="The newest of each whole stay.")
@actor_option
@_yes
@db_option
@click.pass_context
def old(
    context: click.Context,
    types: tuple[str, ...],
    age: str,
    keep: int,
    actor: str,
    yes: bool,
    db: Path | str | None,
) -> None:
    """
    Drop old occurrences that nothing kept refers to, in bounded batches.

    Whatever a kept thing, or a conclusion, refers to stays. Ends with 1 if it is not confirmed.
    """
    with opened(db, writable=True) as lineal:
        policy = lineal.policy(types, _microseconds(age), keep)
        count, kept = lineal.droppable(policy)
        write([line(f"{count} would go; {kept} are as old and stay, since they are needed.")])
        if not count or not _confirmed(yes):
            context.exit(FOUND if count else 0)
        dropped = 0
        for done in lineal.drop_old(policy, actor=actor):
            dropped += len(done.things)
            note(f"{dropped} of {count} dropped")
        write([line(f"Dropped {dropped} things.")])


def _microseconds(age: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([hdw])", age.strip())
    if found is None:
        raise click.BadParameter(f"{age!r} is no age; write 90d, 26w or 12h.")
    hours = {"h": 1, "d": 24, "w": 168}[found.group(2)]
    return int(found.group(1)) * hours * 3_600_000_000


def _confirmed(yes: bool) -> bool:
    if yes or (sys.stdin.isatty() and click.confirm("Write this?", err=True)):
        return True
    note("Nothing is written. Say --yes to write it.")
    return False


def _local(lineal: Lineal) -> Local:
    from lineal.surfaces.cli.local import Local

    return Local(lineal)

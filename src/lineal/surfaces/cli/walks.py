"""The commands that walk: from things to what they were made from, and to what they feed."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import click

from lineal.surfaces.cli import tables_walks as tables
from lineal.surfaces.cli.naming import uri_of
from lineal.surfaces.cli.pictures import draw
from lineal.surfaces.cli.places import Asked, compared, layer_option, timed
from lineal.surfaces.cli.showing import caveats, show

if TYPE_CHECKING:
    from lineal.client.answers import Among, Answer, Cost, Lineage, Walk
    from lineal.model import Uri
    from lineal.surfaces.cli.places import Answers

_things = click.argument("things", metavar="THING...", nargs=-1, required=True)
_start = click.argument("start", metavar="FROM")
_end = click.argument("end", metavar="TO")
_steps = click.IntRange(0, 20)
_many = click.IntRange(0, 500)
_limit = click.option(
    "--limit", type=_many, default=500, show_default=True, help="At most so many."
)

_WAY = (
    click.option(
        "--grain",
        type=click.Choice(["logical", "exact"]),
        help="Pipelines and wholes, or runs and versions; as fits the things where not said.",
    ),
    click.option("--kind", "kinds", metavar="KIND", multiple=True, help="Only such edges."),
    click.option("--layer", "layers", metavar="LAYER", multiple=True, help="Only such edges."),
    click.option("--type", "types", metavar="TYPE", multiple=True, help="Only such things."),
    click.option("--columns", is_flag=True, help="Columns themselves, not their data sets."),
    click.option("--depth", type=_steps, help="The budget: at most so many steps."),
    click.option("--nodes", type=click.IntRange(1, 50_000), help="At most so many things."),
    click.option("--edges", type=click.IntRange(1, 2_000_000), help="Look at so many edges."),
    click.option("--rows", type=click.IntRange(1, 10_000_000), help="Read so many rows."),
    click.option("--ms", type=click.IntRange(1, 600_000), help="Take so many milliseconds."),
)
_NAMES = ("grain", "kinds", "layers", "types", "columns", "depth", "nodes", "edges", "rows", "ms")


def walking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a walk, and call it with them as its *way*."""

    @functools.wraps(command)
    def run(asked: Asked, **said: object) -> None:
        way = {name: said.pop(name) for name in _NAMES}
        told = {name: it for name, it in way.items() if it or (it == 0 and it is not False)}
        command(asked, way=cast("Walk", told), **said)

    for option in reversed(_WAY):
        run = option(run)
    return run


def uris_of(answers: Answers, things: Sequence[str], asked: Asked) -> list[Uri]:
    """Return the URIs of things, each given by its URI or its name."""
    return [uri_of(answers, thing, asked.times) for thing in things]


@click.command()
@_things
@click.option("--up", type=_steps, default=20, show_default=True, help="Steps upstream.")
@click.option("--down", type=_steps, default=20, show_default=True, help="Steps downstream.")
@timed("svg", "mermaid", "dot")
@walking
def lineage(asked: Asked, things: tuple[str, ...], up: int, down: int, way: Walk) -> None:
    """Show what each THING was made from, and what is made from it."""
    with asked.answers() as answers:
        uris = uris_of(answers, things, asked)
        answer = answers.lineage(uris, up=up, down=down, way=way, **asked.times)
        _shown(asked, answers, answer)


def _shown(asked: Asked, answers: Answers, answer: Answer[Lineage]) -> None:
    """Show a lineage as tables, JSON or a picture."""
    if asked.form in ("table", "json"):
        show(answer, asked.form, tables.lineage)
        return
    click.echo(draw(asked.form, answer["value"], answers.types()), nl=False)
    caveats(answer)


@click.command()
@_start
@_end
@click.option("-k", type=click.IntRange(1, 20), default=3, show_default=True, help="Ways to show.")
@timed()
@walking
def path(asked: Asked, start: str, end: str, k: int, way: Walk) -> None:
    """Show the shortest ways by which FROM feeds TO, or TO feeds FROM."""
    with asked.answers() as answers:
        ends = uris_of(answers, (start, end), asked)
        answer = answers.paths(ends[0], ends[1], k=k, way=way, **asked.times)
    show(answer, asked.form, tables.paths)


@click.command()
@_start
@_end
@timed("svg", "mermaid", "dot")
@walking
def between(asked: Asked, start: str, end: str, way: Walk) -> None:
    """Show all that lies on any way by which FROM feeds TO, or TO feeds FROM."""
    with asked.answers() as answers:
        ends = uris_of(answers, (start, end), asked)
        answer = answers.between(ends[0], ends[1], way=way, **asked.times)
        if asked.form == "table":
            show(answer, asked.form, tables.between)
        else:
            _shown(asked, answers, answer)


@click.command()
@_things
@click.option(
    "--side",
    type=click.Choice(["upstream", "downstream"]),
    default="upstream",
    show_default=True,
    help="What all were made from, or what all of them feed.",
)
@_limit
@timed()
@walking
def common(asked: Asked, things: tuple[str, ...], side: str, limit: int, way: Walk) -> None:
    """Show what several THINGs have in common, nearest first."""
    with asked.answers() as answers:
        uris = uris_of(answers, things, asked)
        answer = answers.common(uris, side=side, limit=limit, way=way, **asked.times)
    show(answer, asked.form, tables.common)


@click.command()
@_things
@click.option(
    "--side",
    type=click.Choice(["upstream", "downstream"]),
    default="downstream",
    show_default=True,
    help="What the things were made from, or what they feed.",
)
@click.option("--limit", type=_many, default=20, show_default=True, help="List so many.")
@click.option("--offset", type=click.IntRange(0), default=0, help="Pass over so many.")
@click.option("--stage", help="Only of this stage; - is none.")
@click.option("--owner", help="Only of this person or team; - is nobody.")
@click.option("--domain", help="Only of this domain; - is none.")
@click.option("--distance", type=click.IntRange(0), help="Only so many steps from the nearest.")
@click.option("--live/--idle", default=None, help="Only what is live by itself, or what is not.")
@timed()
@walking
def closure(
    asked: Asked,
    things: tuple[str, ...],
    side: str,
    limit: int,
    offset: int,
    way: Walk,
    **among: str | int | bool | None,
) -> None:
    """Count all that each THING feeds, by type, stage, owner and domain, and list the nearest."""
    with asked.answers() as answers:
        uris = uris_of(answers, things, asked)
        some = {name: value for name, value in among.items() if value is not None}
        for end in ("owner", "domain"):
            if isinstance(text := some.get(end), str) and text != "-":
                some[end] = uri_of(answers, text, asked.times)
        answer = answers.closure(
            uris, side=side, among=cast("Among", some), limit=limit, offset=offset,
            way=way, **asked.times,
        )  # fmt: skip
    show(answer, asked.form, tables.closure)


@click.command()
@_things
@click.option(
    "--change",
    type=click.Choice(["dropped", "renamed", "retyped", "redefined", "rolled_back"]),
    help="What is done to the things: then it is said what breaks, and why.",
)
@click.option("--to", metavar="NAME", help="The new name or type, or the version that comes back.")
@_limit
@timed()
@walking
def impact(
    asked: Asked,
    things: tuple[str, ...],
    change: str | None,
    to: str | None,
    limit: int,
    way: Walk,
) -> None:
    """Show what a change of each THING would touch, and who must be told."""
    with asked.answers() as answers:
        uris = uris_of(answers, things, asked)
        if change == "rolled_back" and to is not None:
            to = uri_of(answers, to, asked.times)
        answer = answers.impact(uris, change=change, to=to, limit=limit, way=way, **asked.times)
    show(answer, asked.form, tables.impact)


_types = click.option("--type", "types", metavar="TYPE", multiple=True, help="Only such things.")
_few = click.option("--limit", type=_many, default=50, show_default=True, help="At most so many.")


@click.command("schema-changes")
@_types
@_few
@compared()
def schema_changes(asked: Asked, types: tuple[str, ...], limit: int, cost: Cost) -> None:
    """Show the schema changes between two moments, what made them, and whom each touches."""
    with asked.answers() as answers:
        answer = answers.schema_changes(
            asked.before, types=types, limit=limit, cost=cost, **asked.times
        )
    show(answer, asked.form, tables.schema_changes)


# ── Use ──────────────────────────────────────────────────────────────────────────────────────────


@click.command()
@_types
@_few
@layer_option
@timed()
def shared(asked: Asked, types: tuple[str, ...], limit: int, layers: tuple[str, ...]) -> None:
    """Show on which assets most live consumers rest, of the most teams."""
    with asked.answers() as answers:
        answer = answers.shared(types=types, limit=limit, layers=layers, **asked.times)
    show(answer, asked.form, tables.shared)


@click.command()
@click.argument("owner", metavar="[OWNER]", required=False)
@click.option(
    "--days",
    type=click.IntRange(0, 36_500),
    default=90,
    show_default=True,
    help="Leave out what something took from within so many days.",
)
@_types
@_limit
@layer_option
@timed()
def unused(
    asked: Asked,
    owner: str | None,
    days: int,
    types: tuple[str, ...],
    limit: int,
    layers: tuple[str, ...],
) -> None:
    """Show what of OWNER, or of all, nothing live or recent is made from, and since when."""
    with asked.answers() as answers:
        uri = None if owner is None else uri_of(answers, owner, asked.times)
        answer = answers.unused(
            uri, types=types, days=days, limit=limit, layers=layers, **asked.times
        )
    show(answer, asked.form, tables.unused)


@click.command()
@click.argument("thing", metavar="THING")
@click.option("--limit", type=_many, default=20, show_default=True, help="At most so many.")
@layer_option
@timed()
def wanted(asked: Asked, thing: str, limit: int, layers: tuple[str, ...]) -> None:
    """Suggest features for THING, a model or a pipeline that trains: what models alike consume."""
    with asked.answers() as answers:
        uri = uri_of(answers, thing, asked.times)
        answer = answers.wanted(uri, limit=limit, layers=layers, **asked.times)
    show(answer, asked.form, tables.wanted)


@click.command()
@click.argument("thing", metavar="THING")
@click.option("--limit", type=_many, default=20, show_default=True, help="At most so many.")
@layer_option
@timed()
def similar(asked: Asked, thing: str, limit: int, layers: tuple[str, ...]) -> None:
    """Show what is like THING, a model or feature, with a score and the reason."""
    with asked.answers() as answers:
        uri = uri_of(answers, thing, asked.times)
        answer = answers.similar(uri, limit=limit, layers=layers, **asked.times)
    show(answer, asked.form, tables.similar)

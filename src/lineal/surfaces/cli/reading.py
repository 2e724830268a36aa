"""The commands that ask: each names its thing, asks of it, and shows the answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from lineal.surfaces.cli import tables, tables_why
from lineal.surfaces.cli.naming import uri_of
from lineal.surfaces.cli.places import Asked, compared, layer_option, placed, timed
from lineal.surfaces.cli.showing import note, show, write, write_json

if TYPE_CHECKING:
    from lineal.client.answers import Cost

_thing = click.argument("thing", metavar="THING")
_steps = click.IntRange(0, 20)
_many = click.IntRange(0, 500)


# ── One thing ────────────────────────────────────────────────────────────────────────────────────


@click.command()
@_thing
@timed()
def get(asked: Asked, thing: str) -> None:
    """Show what all sources together say of THING, a URI or a name."""
    with asked.answers() as answers:
        answer = answers.get(uri_of(answers, thing, asked.times), **asked.times)
    show(answer, asked.form, tables.entity)


@click.command()
@_thing
@click.option("--limit", type=_many, default=500, show_default=True, help="At most so many.")
@layer_option
@timed()
def neighbours(asked: Asked, thing: str, limit: int, layers: tuple[str, ...]) -> None:
    """Show what THING is joined to, and by which relation."""
    with asked.answers() as answers:
        uri = uri_of(answers, thing, asked.times)
        answer = answers.neighbours(uri, limit=limit, layers=layers, **asked.times)
    show(answer, asked.form, tables.neighbours)


@click.command()
@click.argument("start", metavar="FROM")
@click.argument("kind")
@click.argument("end", metavar="TO")
@timed()
def explain(asked: Asked, start: str, kind: str, end: str) -> None:
    """Show why we believe that FROM is related to TO by KIND."""
    with asked.answers() as answers:
        ends = [uri_of(answers, text, asked.times) for text in (start, end)]
        answer = answers.explain(ends[0], kind, ends[1], **asked.times)
    show(answer, asked.form, tables_why.explanation)


@click.command()
@_thing
@click.option("--limit", type=_many, default=200, show_default=True, help="At most so many.")
@timed()
def history(asked: Asked, thing: str, limit: int) -> None:
    """Show what happened to THING, newest first, and who caused it."""
    with asked.answers() as answers:
        uri = uri_of(answers, thing, asked.times)
        answer = answers.history(uri, limit=limit, **asked.times)
    show(answer, asked.form, tables.history)


@click.command()
@click.option("--limit", type=_many, default=20, show_default=True, help="At most so many.")
@timed()
def recent(asked: Asked, limit: int) -> None:
    """Show what changed lately, newest first, by whom and why."""
    with asked.answers() as answers:
        answer = answers.recent(limit=limit, **asked.times)
    show(answer, asked.form, tables.recent)


@click.command()
@click.argument("thing", metavar="[THING]", required=False)
@click.option("--type", "kind", metavar="TYPE", help="All things of a type, not THING.")
@click.option("--lineage", "walked", is_flag=True, help="The lineage of THING, not only around it.")
@click.option("--up", type=_steps, default=20, show_default=True, help="Steps upstream.")
@click.option("--down", type=_steps, default=20, show_default=True, help="Steps downstream.")
@click.option("--limit", type=_many, default=500, show_default=True, help="At most so many.")
@compared()
def diff(
    asked: Asked,
    thing: str | None,
    kind: str | None,
    walked: bool,
    up: int,
    down: int,
    limit: int,
    cost: Cost,
) -> None:
    """
    Show what differs between two moments, and what made it differ.

    Of THING and what it is joined to, of its lineage, or of everything of a type:
    lineal diff ranking --from 2026-11-01 --to t:120
    """
    if (thing is None) == (kind is None) or (kind is not None and walked):
        raise click.UsageError("Name one THING, or a --type without --lineage.")
    with asked.answers() as answers:
        if kind is not None:
            answer = answers.diff_type(kind, asked.before, limit=limit, cost=cost, **asked.times)
        else:
            uri = uri_of(answers, thing or "", asked.times)
            if walked:
                answer = answers.diff_lineage(
                    uri, asked.before, up=up, down=down, limit=limit, cost=cost, **asked.times
                )
            else:
                answer = answers.diff(uri, asked.before, limit=limit, cost=cost, **asked.times)
    show(answer, asked.form, tables.differences)


# ── Finding ──────────────────────────────────────────────────────────────────────────────────────


@click.command()
@click.argument("words", nargs=-1, metavar="[TEXT]...")
@click.option("--limit", type=_many, default=20, show_default=True, help="At most so many.")
@click.option("--offset", type=click.IntRange(0, 100_000), default=0, help="Leave out so many.")
@layer_option
@timed()
def search(
    asked: Asked, words: tuple[str, ...], limit: int, offset: int, layers: tuple[str, ...]
) -> None:
    """
    Find what fits TEXT, such as: type:model owner:team-rank framework:xgboost ranking

    Filters are type, owner, tag, status, stage, domain, platform, environment, source, the digests
    and every attribute that its type marks as a facet; an unknown one lists all. The shell takes
    quotes away, so write some around: lineal search 'framework:"XGBoost 1.7"'

    Put -- before a text that begins with a minus: lineal search -- -tag:old ranking
    """
    with asked.answers() as answers:
        answer = answers.search(
            " ".join(words), limit=limit, offset=offset, layers=layers, **asked.times
        )
    show(answer, asked.form, tables.found)
    shown, total = len(answer["value"]["hits"]), answer["total"]
    if total is not None and offset + shown < total:
        note(f"cut: {shown} of {total} are shown; --limit and --offset show more")


@click.command()
@placed()
def types(asked: Asked) -> None:
    """Show the types of things and the kinds of edges."""
    with asked.answers() as answers:
        answer = answers.types()
    if asked.form == "json":
        write_json(answer)
    else:
        write(tables.types(answer["value"]))


# ── The thirteen ─────────────────────────────────────────────────────────────────────────────────

#: The thirteen questions: what each asks, and of what.
QUESTIONS = {
    "q1": ("Which features does it use, and what data can feed them?", "model, version"),
    "q2": ("Which pipelines generate data for it?", "model, version"),
    "q3": ("Which data sources feed it?", "feature, feature set, model"),
    "q4": ("What is its complete lineage, from data to experiments?", "model, version"),
    "q5": ("Which A/B tests are running it?", "model, version"),
    "q6": ("Which models are being tested in it?", "A/B test"),
    "q7": ("Which models break if it changes?", "feature, feature set, table"),
    "q8": ("Which models consume it, and which teams own them?", "feature"),
    "q9": ("Which models share features with it?", "model"),
    "q10": ("What data sources does it transitively depend on?", "pipeline"),
    "q11": ("Which data sets are upstream, which experiments downstream?", "version"),
    "q12": ("Who owns each piece of its chain?", "model"),
    "q13": ("Which of its things are no longer used and can be retired?", "team"),
}


@click.command()
@click.argument("question", required=False, type=click.Choice(list(QUESTIONS), False))
@click.argument("thing", required=False)
@layer_option
@timed()
def ask(asked: Asked, question: str | None, thing: str | None, layers: tuple[str, ...]) -> None:
    """Ask one of the thirteen QUESTIONs of THING; alone, list them."""
    if question is None:
        if asked.form == "json":
            write_json({name: {"asks": asks, "of": of} for name, (asks, of) in QUESTIONS.items()})
        else:
            write(tables.questions(QUESTIONS))
        return
    if thing is None:
        raise click.UsageError(f"Say of which {QUESTIONS[question][1]} you ask {question}.")
    with asked.answers() as answers:
        uri = uri_of(answers, thing, asked.times)
        answer = answers.ask(question, uri, layers=layers, **asked.times)
    show(answer, asked.form, partial(tables.answered, question))

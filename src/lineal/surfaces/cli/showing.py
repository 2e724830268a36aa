"""How an answer is written: tables and JSON to standard output, everything else to standard error.

What others named may hold anything: control characters are never written, long cells and long
tables are cut and said to be.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from lineal.surfaces.drawing.text import clean

if TYPE_CHECKING:
    from lineal.client.answers import Answer, Json

Value = TypeVar("Value")

#: The longest cell, the longest table, and how wide a table may be where no terminal limits it.
CELL, ROWS, WIDE = 500, 1_000, 4_000

#: What JSON allows as it is and a terminal might obey, and what no encoding can write.
_UNSAFE = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def show(
    answer: Answer[Value], form: str, tables: Callable[[Value], Iterable[RenderableType]]
) -> None:
    """Write an answer as JSON or as tables, and say on standard error what was cut."""
    if form == "json":
        write_json(answer)
    else:
        write(tables(answer["value"]))
    caveats(answer)


def caveats(answer: Answer[Value]) -> None:
    """Say on standard error what was cut of an answer, and what else to know."""
    for reason in answer["why"]:
        note(f"cut: {reason}")
    for text in answer["notes"]:
        note(text)


def write_json(value: object) -> None:
    r"""
    Write a value as JSON, with what a terminal might obey as escapes.

    >>> write_json({"name": "a\x9bb"})
    {
      "name": "a\u009bb"
    }
    """
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo(_UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def write(parts: Iterable[RenderableType]) -> None:
    """Write tables and lines to standard output; colours only on a terminal."""
    terminal = sys.stdout.isatty()
    text = io.StringIO()
    console = Console(
        file=sys.stdout if terminal else text,
        force_terminal=terminal,
        width=None if terminal else WIDE,
        highlight=False,
        markup=False,
        emoji=False,
    )
    before: RenderableType | None = None
    for part in parts:
        if isinstance(before, Table) or (before and isinstance(part, Table)):
            console.print()
        console.print(part)
        before = part
    for written in text.getvalue().splitlines():
        click.echo(written.rstrip())


def note(text: str) -> None:
    """Say something to the operator, apart from the answer."""
    click.echo(clean(text), err=True)


def line(text: str) -> Text:
    """Return one line of prose."""
    return Text(clean(text))


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Json]], *, title: str | None = None
) -> Table:
    """Return a table; what is too long for it is left out, and said to be."""
    shown = Table(
        box=box.SIMPLE_HEAD,
        title=None if title is None else Text(clean(title)),
        title_justify="left",
        title_style="bold",
        pad_edge=False,
        show_edge=False,
    )
    for column in columns:
        shown.add_column(column, overflow="fold")
    every = list(rows)
    for row in every[:ROWS]:
        shown.add_row(*(Text(cell(value)) for value in row))
    if len(every) > ROWS:
        note(f"cut: {ROWS} of {len(every)} rows are shown; --format json has all")
    return shown


def cell(value: Json) -> str:
    """
    Return a value as it stands in a table.

    >>> cell(None), cell(True), cell(["a", "b"]), cell({"a": 1})
    ('', 'yes', 'a, b', 'a: 1')
    """
    if value is None or value is False:
        return ""
    if value is True:
        return "yes"
    if isinstance(value, list):
        text = ", ".join(cell(item) for item in value)
    elif isinstance(value, dict):
        text = ", ".join(f"{name}: {cell(item)}" for name, item in value.items())
    else:
        text = str(value)
    text = clean(text)
    return text if len(text) <= CELL else text[: CELL - 1] + "…"

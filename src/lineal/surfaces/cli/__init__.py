"""The command line: each command parses its arguments, asks, and shows the answer.

Starts without the server: what that needs is imported where a command first needs it.
"""

from __future__ import annotations

import traceback

import click

from lineal import __version__
from lineal.surfaces.cli import (
    caring,
    databases,
    identity,
    importing,
    joining,
    keeping,
    letters,
    reading,
    rules,
    serving,
    walks,
)
from lineal.surfaces.cli.failing import exit_code, sentence

__all__ = ["main"]


class _Commands(click.Group):
    """A group that tells every error in a sentence, and ends with its exit code."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.echo(f"Error: {sentence(error)}", err=True)
            ctx.exit(exit_code(error))


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Ends with 0 if all is well, 1 if something was found or refused, 2 for wrong usage, "
    "3 if nothing has the name, 4 if it is not allowed, 5 if a server or source cannot be "
    "reached, 6 if the database cannot be used.",
)
@click.version_option(__version__, prog_name="lineal")
@click.option("--debug", is_flag=True, help="Show where in the program an error came up.")
def main(debug: bool) -> None:
    """Ask what feeds a model, what a model feeds, and why we believe it."""


for command in (
    *(serving.demo, serving.serve, importing.bring, importing.send),
    *(reading.search, reading.get, reading.neighbours),
    *(walks.lineage, walks.path, walks.between, walks.common, walks.closure, walks.impact),
    *(walks.schema_changes, walks.shared, walks.unused, walks.similar, walks.wanted),
    *(identity.identity, rules.rules),
    *(reading.explain, reading.history, reading.recent, reading.diff, reading.ask, reading.types),
    *(keeping.status, keeping.source, letters.dead, databases.db, caring.verify, caring.forget),
):
    main.add_command(command)
for command in (joining.new, joining.schema, joining.test):
    keeping.source.add_command(command)

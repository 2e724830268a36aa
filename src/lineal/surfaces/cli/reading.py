"""The commands that ask: each names its thing, asks for it, and shows the answer."""

from __future__ import annotations

from functools import partial

import click

from lineal.surfaces.cli import pictures, tables
from lineal.surfaces.cli.naming import uri_of
from lineal.surfaces.cli.places import Asked, placed, timed
from lineal.surfaces.cli.showing import note, show, write, write_json

_thing = click.argument("thing", metavar="THING")


def _limit(default: int) -> click.decorators.FC:
    ...


# ── One thing ────────────────────────────────────────────────────────────────────────────────────

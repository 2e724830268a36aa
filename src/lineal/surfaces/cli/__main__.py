"""Runs the command line: ``python -m lineal.surfaces.cli``."""

from __future__ import annotations

from lineal.surfaces.cli import main

main(prog_name="lineal")

"""Brings in, once, what every child needs: children are forked from a process that did so."""

from __future__ import annotations

import httpx2  # noqa: F401  # imported to be there
import uvicorn.lifespan.on
import uvicorn.loops.auto
import uvicorn.protocols.http.auto  # noqa: F401

import lineal.query.index
import lineal.store.postgres
import lineal.surfaces.events.opening
import lineal.surfaces.server  # noqa: F401
from lineal.enrich.rules import builtin_rules
from lineal.shapes import Shapes

Shapes.builtin()
builtin_rules()

"""Tells of each test that is collected which promises it tries: for `tests.promises.page`."""

from __future__ import annotations

import sys

import pytest


def pytest_collection_finish(session: pytest.Session) -> None:
    """Print a line for each."""
    for item in session.items:
        names = sorted({name for mark in item.iter_markers("promise") for name in mark.args})
        sys.stdout.write(f"\npromises\t{item.nodeid}\t{','.join(names)}\n")

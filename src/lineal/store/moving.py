"""Exports as files: written beside their name and then given it, packed where the name says so."""

from __future__ import annotations

import os
from pathlib import Path

from lineal.errors import ConfigError
from lineal.store import Store, lines
from lineal.store.copies import part_of, settle
from lineal.store.exporting import Moved


def export_file(
    store: Store, target: Path, *, force: bool = False, progress: Moved | None = None
) -> int:
    """
    Write all that a store holds to *target*, packed if its name ends in ``.gz``.

    Returns the last transaction. Raises `ConfigError` if *target* exists and *force* is not given.
    """
    if target.exists() and not force:
        raise ConfigError(
            f"{target} exists already.", fix="Name another file, or overwrite it by --force."
        )
    with part_of(target) as part:
        with part.open("wb") as file:
            if target.suffix == ".gz":
                with lines.packed(file) as packed:
                    t = store.export(packed, progress=progress)
            else:
                t = store.export(file, progress=progress)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    settle(target)
    return t


def import_file(store: Store, source: Path, *, progress: Moved | None = None) -> int:
    """Fill an empty store from a file, packed or not; return the last transaction."""
    with source.open("rb") as file:
        return store.fill(file, source.name, progress=progress)

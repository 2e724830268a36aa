"""The estate in files, so that every engine reads the same numbers in a process of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.lineage.graph import Edges, Estate

_PARTS = ("starts", "ends", "codes", "since", "until")


class Arrays:
    """A folder of arrays."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array, mapped: what is not read costs nothing."""
        found: NDArray[Any] = np.load(self.folder / f"{name}.npy", mmap_mode="r")
        return found

    def edges(self, name: str) -> Edges:
        """Return edges that were saved under *name*, in memory."""
        there = [part for part in _PARTS if (self.folder / f"{name}.{part}.npy").exists()]
        parts = {part: np.load(self.folder / f"{name}.{part}.npy") for part in there}
        return Edges(**parts)

    def about(self) -> dict[str, Any]:
        """Return the few numbers that go with the arrays."""
        found: dict[str, Any] = json.loads((self.folder / "about.json").read_text("utf-8"))
        return found

    def save(self, estate: Estate, **about: object) -> None:
        """Save an estate: all edges, those that a walk follows by default, and ended ones."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, edges in (
            ("current", estate.current), ("walked", estate.walked()), ("ended", estate.ended),
        ):  # fmt: skip
            for part in _PARTS:
                values = getattr(edges, part)
                if values is not None:
                    np.save(self.folder / f"{name}.{part}.npy", values)
        for name in ("types", "stages", "projects"):
            np.save(self.folder / f"{name}.npy", getattr(estate, name))
        whole = {"things": len(estate), "seed": estate.seed, **about}
        (self.folder / "about.json").write_text(json.dumps(whole), "utf-8")

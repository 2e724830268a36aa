"""Files that are imported: a first load into an empty file, and the same files once more."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

import yaml

from bench.ingest.running import Failed, python, spec
from bench.ingest.tool import Registry

#: How many lines lie in one file.
LINES = 20_000


def write(folder: Path, things: int) -> tuple[Path, Path]:
    """Write tables and versions as JSON lines, and the source that reads them; return both."""
    root = folder / "files"
    root.mkdir()
    content = Registry(things)
    for kind in ("table", "version"):
        for start in range(0, things, LINES):
            idents = (f"{kind[0]}{number}" for number in range(start, min(start + LINES, things)))
            lines = (json.dumps(content.document(f"{kind}s", ident)) for ident in idents)
            (root / f"{kind}-{start:09}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    written = yaml.safe_load(spec("http://127.0.0.1", batches=False, places=1))
    resources = {name: written["resources"][name] for name in ("table", "version")}
    told = {
        "source": "registry",
        "environment": "bench",
        "platform": "registry",
        "files": [{"path": f"{name}-*.jsonl", "resource": name} for name in resources],
        "resources": {name: _of_files(one) for name, one in resources.items()},
    }
    path = folder / "files.yaml"
    path.write_text(yaml.safe_dump(told, sort_keys=False), "utf-8")
    return path, root


def _of_files(resource: Mapping[str, object]) -> dict[str, object]:
    """Return a resource without how it is asked for."""
    return {name: one for name, one in resource.items() if name not in ("fetch", "list", "batch")}


def imported(source: Path, root: Path, db: Path) -> float:
    """Import files as people do, in a process of its own; return how many seconds it takes."""
    words = ("import", "files", str(source), str(root), "--db", str(db))
    began = time.monotonic()
    process = python("-m", "lineal.surfaces.cli", *words)
    process.communicate()
    if process.returncode:
        raise Failed(f"The import ended with {process.returncode}.")
    return time.monotonic() - began

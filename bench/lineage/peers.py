"""Every engine of the benchmark, and the environments in which they are installed.

Peers are installed by the benchmark itself, from the package index that pip is set up with, in
pinned versions with hashes, into environments of their own: they get what they want of the
world, and Lineal's environment stays as it is.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LOCKS = Path(__file__).parent / "locks"


@dataclass(frozen=True, slots=True)
class Player:
    """One engine: what it is called, of which sort it is, and where it lives."""

    name: str
    #: ``limit``, ``ours``, ``library`` or ``stored``.
    sort: str
    module: str
    made_by: str
    #: The name of a lock file, or empty for the environment that runs the benchmark.
    lock: str = ""


LIMIT = Player("C", "limit", "loop", "Loop")
BITS = Player("C, bits", "limit", "loop", "Bits")
NUMPY = Player("Lineal, NumPy", "ours", "ours", "Plain")
NUMBA = Player("Lineal, numba", "ours", "ours", "Compiled")
PEERS = (
    Player("SciPy", "library", "libraries", "SciPy", "peers"),
    Player("rustworkx", "library", "libraries", "RustworkX", "peers"),
    Player("igraph", "library", "libraries", "IGraph", "peers"),
    Player("NetworkX", "library", "libraries", "NetworkX", "peers"),
    Player("DuckDB", "stored", "sql", "DuckDB", "peers"),
    Player("Ladybug", "stored", "sql", "Ladybug", "peers"),
    Player("SQLite", "stored", "sql", "SQLite"),
    Player("PostgreSQL", "stored", "sql", "Postgres"),
    Player("ML Metadata", "stored", "mlmd", "MLMetadata", "mlmd"),
)


def pythons(
    wanted: set[str], cache: Path, *, progress: Callable[[str], None]
) -> tuple[dict[str, Path], dict[str, str]]:
    """
    Install what *wanted* locks hold; return the Python of each, and what could not be installed.

    An environment that is there for exactly this lock is used again.
    """
    found, problems = {"": Path(sys.executable)}, {}
    for lock in sorted(wanted - {""}):
        text = (LOCKS / f"{lock}.txt").read_text("utf-8")
        mark = hashlib.sha256(f"{text}{sys.version}".encode()).hexdigest()[:12]
        folder = cache / f"{lock}-{mark}"
        python = folder / "bin" / "python"
        if not (folder / "whole").exists():
            progress(f"installing {lock}")
            problem = _install(folder, python, text)
            if problem:
                problems[lock] = problem
            else:
                (folder / "whole").touch()
        found[lock] = python
    return found, problems


def _install(folder: Path, python: Path, text: str) -> str:
    """Install a lock, or as much of it as goes. Return what pip complained of."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    whole = _pip(python, folder, text)
    if not whole:
        return ""
    blocks = re.split(r"\n(?=\S)", re.sub(r"(?m)^ *#.*\n?", "", text).strip())
    complaints = [said for block in blocks if (said := _pip(python, folder, block, "--no-deps"))]
    return "; ".join(complaints) or whole


def _pip(python: Path, folder: Path, text: str, *options: str) -> str:
    """Install the requirements in *text*; return the last thing that pip said if it failed."""
    wanted = folder / "wanted.txt"
    wanted.write_text(text, "utf-8")
    ran = subprocess.run(
        [
            str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", "install",
            "--require-hashes", "--only-binary=:all:", *options, "-r", str(wanted),
        ],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    if ran.returncode == 0:
        return ""
    said = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")]
    return (said or ran.stderr.splitlines() or ["pip failed"])[-1][:300]

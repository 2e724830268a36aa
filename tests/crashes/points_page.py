"""Writes `docs/reference/points.md`: ``python -m tests.crashes.points_page``."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import lineal
from lineal.points import POINTS

_PAGE = Path("docs/reference/points.md")
_HEAD = """\
# Points of the write path

Made by `python -m tests.crashes.points_page` from `lineal/points.py`; do not change it by hand.

Each is a place in the code that says what has just happened there, or is about to. In operation
nobody listens. The crash runner (`tests/crashes/`) goes through this list and kills a running
Lineal at each of them; a test fails if a point is named in the code and not here, or here and not
in the code, or is not reached by the runner. What became of that is in [promises](promises.md).

Facts and their publication are one commit on both databases, so there is no point between them.

| point | what is so at it | in |
| --- | --- | --- |
"""


def named() -> Iterator[tuple[str, str]]:
    """Yield each name that code says it has reached, and the file."""
    source = Path(lineal.__file__).parent
    for file in sorted(source.rglob("*.py")):
        written = file.read_text("utf-8")
        if "from lineal.points import reached" not in written:
            continue
        for node in ast.walk(ast.parse(written)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "reached":
                (point,) = node.args
                assert isinstance(point, ast.Constant), f"{file}:{node.lineno}"
                yield str(point.value), str(file.relative_to(source))


def text() -> str:
    """Return the page."""
    places: dict[str, set[str]] = {}
    for point, file in named():
        places.setdefault(point, set()).add(f"`{file}`")
    lines = [
        f"| `{point}` | {sentence} | {', '.join(sorted(places[point]))} |"
        for point, sentence in POINTS.items()
    ]
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    _PAGE.write_text(text(), "utf-8")

"""Writes the table of promises from what really ran: ``make promises``.

    python -m tests.promises.page [RESULTS …]

takes up what sessions have left (`build/promises.json`) into the results that are kept, and writes
the page from them. Which tests there are is asked of pytest: one that did not run is shown so.
"""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.promises import PROMISES, SIZES_OF_ONE, Promise
from tests.promises.recording import RESULTS, Results, load, save

KEPT = Path("docs/reference/promises.json")
PAGE = Path("docs/reference/promises.md")
SIZES = ("CI", "night")
_HEAD = """\
# Promises, and what was tried

Made by `make promises` from what tests recorded when they ran; do not change it by hand. A promise
is **kept** only if every one of its tests passed and the whole of each figure was tried. One that
was tried by less is **shortened**, one whose test was skipped, failed or did not run says so, and
one that no test tries is **untested**. `make test` runs the sizes for every change, `make soak`
those for a night. Under each promise: what ran, when, and on which commit.

"""


@dataclass
class Row:
    """What is known of one promise."""

    name: str
    promise: Promise
    #: The results of each case of each test, by size.
    cases: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    #: Cases of which no result is known.
    never: list[str] = field(default_factory=list)

    def tried(self, figure: str) -> int:
        """How much of a figure was tried, by the size in which it was more."""
        counts: dict[str, list[int]] = defaultdict(list)
        for sizes in self.cases.values():
            for size, result in sizes.items():
                if result["outcome"] == "passed":
                    counts[size] += [
                        count for promise, what, count in result["ran"]
                        if (promise, what) == (self.name, figure)
                    ]  # fmt: skip
        together = max if figure in SIZES_OF_ONE else sum
        return max((together(some) for some in counts.values() if some), default=0)

    @property
    def outcomes(self) -> set[str]:
        """How its cases ended when each ran last."""
        return {
            max(sizes.values(), key=lambda result: str(result["at"]))["outcome"]
            for sizes in self.cases.values()
        }

    @property
    def by_test(self) -> dict[str, dict[str, list[dict[str, Any]]]]:
        """The results of each test, whatever its parameters, by size."""
        found: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for case, sizes in self.cases.items():
            for size, result in sizes.items():
                test = found.setdefault(case.partition("[")[0], {})
                test.setdefault(size, []).append(result)
        return found

    @property
    def verdict(self) -> str:
        """Return in a word or two whether it is kept."""
        if not self.cases and not self.never:
            return "untested"
        if "failed" in self.outcomes:
            return "FAILED"
        if self.never:
            return "not all ran"
        if "skipped" in self.outcomes:
            return "skipped in part"
        full = all(self.tried(what) >= most for what, most in self.promise.figures.items())
        return "**kept**" if full else "shortened"


def rows(results: Results, collected: Mapping[str, Sequence[str]]) -> list[Row]:
    """Return all promises, by the results of the tests that there are."""
    found = {name: Row(name, promise) for name, promise in PROMISES.items()}
    for test, names in collected.items():
        for name in names:
            row = found[name]
            if test not in results:
                row.never.append(test)
                continue
            row.cases[test] = results[test]
    return list(found.values())


def text(results: Results, collected: Mapping[str, Sequence[str]]) -> str:
    """Return the page."""
    found = rows(results, collected)
    lines = ["| | promise | tried, of how much | |", "| --- | --- | --- | --- |"]
    for row in found:
        tried = ", ".join(
            f"{what}: {row.tried(what):,} of {most:,}"
            for what, most in row.promise.figures.items()
        )  # fmt: skip
        lines.append(f"| [{row.name}](#{row.name.lower()}) | {row.promise.says} | {tried} "
                     f"| {row.verdict} |")  # fmt: skip
    return _HEAD + "\n".join(lines) + "\n" + "".join(_section(row) for row in found)


def _section(row: Row) -> str:
    lines = [f"\n## {row.name}\n", f"{row.promise.says}: {row.verdict}.\n"]
    if not row.cases and not row.never:
        lines.append("No test tries it.")
        return "\n".join(lines) + "\n"
    lines += ["| test | size | cases | what was tried and found | on |", "| --- " * 5 + "|"]
    for test, sizes in sorted(row.by_test.items()):
        for size in SIZES:
            if size in sizes:
                lines.append(_line(row.name, test, size, sizes[size]))
    lines += [f"| `{test}` | | | did not run | |" for test in sorted(row.never)]
    return "\n".join(lines) + "\n"


def _line(name: str, test: str, size: str, results: Sequence[Mapping[str, Any]]) -> str:
    outcomes: dict[str, int] = defaultdict(int)
    counts: dict[str, int] = defaultdict(int)
    facts: dict[str, list[str]] = defaultdict(list)
    for result in results:
        outcomes[result["outcome"]] += 1
        for promise, what, count in result["ran"]:
            if promise == name:
                counts[what] = (
                    max(counts[what], count) if what in SIZES_OF_ONE else counts[what] + count
                )
        for what, value in result["found"].items():
            plain = type(value) is not int or what == "seed"
            facts[what.replace("_", " ")].append(str(value) if plain else f"{value:,}")
        if result["why"]:
            facts["skipped"].append(result["why"])
    told = [f"{what}: {count:,}" for what, count in counts.items()]
    told += [f"{what}: {', '.join(dict.fromkeys(values))}" for what, values in facts.items()]
    cases = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    last = max(results, key=lambda result: result["at"])
    short = test.removeprefix("tests/")
    said = "; ".join(told).replace("|", "/")
    return f"| `{short}` | {size} | {cases} | {said} | {last['at']}, {last['commit']} |"


def collected() -> dict[str, list[str]]:
    """Ask pytest which tests of promises there are, and what each is for."""
    asked = subprocess.run(
        [sys.executable, "-m", "pytest", "-qq", "--collect-only", "-m", "promise",
         "-p", "no:cacheprovider", "-p", "tests.promises.listing", "tests"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found: dict[str, list[str]] = {}
    for line in asked.stdout.splitlines():
        if line.startswith("promises\t"):
            _, test, names = line.split("\t")
            found[test] = names.split(",")
    if not found:
        raise SystemExit(f"pytest lists no tests of promises:\n{asked.stdout}{asked.stderr}")
    return found


def main(paths: Sequence[str]) -> None:
    """Take up new results, and write the page."""
    tests, kept = collected(), load(KEPT)
    for path in paths or [str(RESULTS)]:
        for test, sizes in load(Path(path)).items():
            kept.setdefault(test, {}).update(sizes)
    kept = {test: sizes for test, sizes in kept.items() if test in tests}
    save(KEPT, kept)
    PAGE.write_text(text(kept, tests), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])

"""Collects what the tests of promises really did, as hooks of pytest.

A test says which promise it tries by ``@pytest.mark.promise("P1")``, and how much of it by `ran`;
whatever else is worth knowing (a seed, what was found) by `found`. At the end of a session all of
that lies in `build/promises.json`, the newest result of each test in each size.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.promises import PROMISES

__all__ = [
    "SOAK",
    "found",
    "pytest_collection_modifyitems",
    "pytest_runtest_logreport",
    "pytest_runtest_setup",
    "pytest_sessionfinish",
    "pytest_sessionstart",
    "ran",
]

#: Whether the night sizes run.
SOAK = bool(os.environ.get("LINEAL_SOAK"))
RESULTS = Path("build/promises.json")
_WORST = ("failed", "skipped", "passed")
_now: list[pytest.Item] = []
_results: dict[str, dict[str, Any]] = {}
_about: dict[str, str] = {}


def ran(promise: str, figure: str, count: int) -> None:
    """Record that the running test tried so much of a figure of a promise."""
    if figure not in PROMISES[promise].figures:
        raise KeyError(f"{promise} has no figure {figure!r}")
    for name, value in _now[-1].user_properties:
        if name == "ran" and isinstance(value, list) and value[:2] == [promise, figure]:
            value[2] += count
            return
    _now[-1].user_properties.append(("ran", [promise, figure, count]))


def found(**facts: str | int | float) -> None:
    """Record what else the running test has to tell."""
    _now[-1].user_properties.append(("found", facts))


# ── Hooks ────────────────────────────────────────────────────────────────────────────────────────


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Let each test say what it is for, wherever its report is read."""
    for item in items:
        tried = sorted({name for mark in item.iter_markers("promise") for name in mark.args})
        unknown = set(tried) - PROMISES.keys()
        if unknown:
            raise pytest.UsageError(f"{item.nodeid}: there is no promise {', '.join(unknown)}")
        if tried:
            item.user_properties.append(("promises", tried))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember which test is running."""
    _now[:] = [item]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take up a report; under xdist in the process that reads all of them."""
    told = [value for name, value in report.user_properties if name == "promises"]
    if not told or os.environ.get("PYTEST_XDIST_WORKER"):
        return
    if report.when == "setup" and report.passed:
        # What was only prepared did not run: who breaks a session off leaves such a test.
        return
    before = _results.get(report.nodeid, {"outcome": "passed", "seconds": 0.0})
    outcome = min(before["outcome"], report.outcome, key=_WORST.index)
    tried = [value for name, value in report.user_properties if name == "ran"]
    facts = [value for name, value in report.user_properties if name == "found"]
    merged = {key: value for one in facts if isinstance(one, dict) for key, value in one.items()}
    _results[report.nodeid] = {
        "outcome": outcome,
        "seconds": round(before["seconds"] + report.duration, 1),
        "promises": told[0],
        "ran": tried,
        "found": merged,
        "why": before.get("why") or _why(report),
    }


def pytest_sessionstart(session: pytest.Session) -> None:
    """Note which code is about to run: by the end it may be another."""
    _about.update(
        at=datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        commit=_commit(session.config.rootpath),
        size="night" if SOAK else "CI",
    )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write down what ran; what did not run this time keeps its older result."""
    if not _results or os.environ.get("PYTEST_XDIST_WORKER"):
        return
    path = session.config.rootpath / RESULTS
    kept = load(path)
    for test, result in _results.items():
        kept.setdefault(test, {})[_about["size"]] = {**result, **_about}
    save(path, kept)


def _why(report: pytest.TestReport) -> str:
    """Return why a test was skipped."""
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return ""


def _commit(folder: Path) -> str:
    try:
        said = [
            subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
            for words in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said[0].stdout.strip() + (" and changes" if said[1].stdout.strip() else "")


# ── The file ─────────────────────────────────────────────────────────────────────────────────────

#: By test and size, what became of it.
Results = dict[str, dict[str, dict[str, Any]]]


def load(path: Path) -> Results:
    """Read results; none where there are none yet."""
    if not path.exists():
        return {}
    read: Results = json.loads(path.read_text("utf-8"))
    return read


def save(path: Path, results: Mapping[str, Mapping[str, Any]]) -> None:
    """Write results, in an order that makes a difference easy to read."""
    path.parent.mkdir(exist_ok=True)
    text = json.dumps(results, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", "utf-8")
